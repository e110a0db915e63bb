/* openapi.yaml names just the calls that the coordinator's table of routes has. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/yaml.h"
#include "coordinator/api.h"
#include "wire/api.h"

static json_t *read_yaml(void)
{
	CLEANUP_BUF struct buf text = { 0 };
	struct err e = { 0 };
	json_t *doc = NULL;
	assert_int_equal(
		file_read(TEST_SOURCE_DIR "/../daemon/coordinator/openapi.yaml", 1 << 20, &text),
		0);
	doc = yaml_parse(buf_str(&text), text.len, &e);
	if (!doc)
		fail_msg("%s", e.text);
	return doc;
}

static void test_routes(void **state)
{
	CLEANUP_JSON json_t *doc = read_yaml();
	const char *path, *method, *name;
	json_t *operations, *operation;
	size_t described = 0, served = 0;
	json_object_foreach(json_object_get(doc, "paths"), path, operations)
		json_object_foreach(operations, name, operation) described++;
	for (; (path = api_route(served, &method)); served++) {
		char lower[16];
		size_t i = 0;
		for (; method[i] && i < sizeof(lower) - 1; i++)
			lower[i] = (char) tolower((unsigned char) method[i]);
		lower[i] = '\0';
		operation = json_object_get(
			json_object_get(json_object_get(doc, "paths"), path), lower);
		if (!operation)
			fail_msg("%s %s is served and not described", method, path);
	}
	assert_int_equal(described, served);
}

static void test_codes(void **state)
{
	CLEANUP_JSON json_t *doc = read_yaml();
	json_t *at = doc;
	static const char *const way[] = { "components", "schemas", "Error", "properties", "error",
		"properties", "code", "enum" };
	for (size_t i = 0; i < ARRAY_LEN(way); i++)
		at = json_object_get(at, way[i]);
	assert_int_equal(json_array_size(at), API_CODES);
	for (int c = 0; c < API_CODES; c++)
		assert_string_equal(json_string_value(json_array_get(at, (size_t) c)),
			api_code_name((enum api_code) c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_codes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
