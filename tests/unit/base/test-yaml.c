/* yaml: what people write is read as they meant it, or refused; what we write is read back equal. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/yaml.h"

static json_t *parse(const char *text, struct err *err)
{
	return yaml_parse(text, strlen(text), err);
}

static void test_read(void **state)
{
	static const struct {
		const char *yaml, *json;
	} good[] = {
		{ "a: 1\nb: [x, -2, 0x10, 1.5, 1e3, true, null, ~, '']\n",
			"{\"a\":1,\"b\":[\"x\",-2,16,1.5,1000.0,true,null,null,\"\"]}" },
		{ "---\n# comment\na:\n", "{\"a\":null}" },
		{ "a: 'yes'\nb: \"0123\"\nc: \"1:30\"\n",
			"{\"a\":\"yes\",\"b\":\"0123\",\"c\":\"1:30\"}" },
		{ "a: fd00::1\nb: 10.77.0.0/16\nc: 10.77.0.1\nd: https://h:8443\ne: 4m0s\nf: 1/2\n",
			"{\"a\":\"fd00::1\",\"b\":\"10.77.0.0/16\",\"c\":\"10.77.0.1\","
			"\"d\":\"https://h:8443\",\"e\":\"4m0s\",\"f\":\"1/2\"}" },
		{ "- |\n  two\n  lines\n- >\n  one\n  line\n",
			"[\"two\\nlines\\n\",\"one line\\n\"]" },
		{ "a: {b: [], c: {}}\n", "{\"a\":{\"b\":[],\"c\":{}}}" },
		{ "a: 9223372036854775807\nb: 10.244.0.0/16,fd00::/56\n",
			"{\"a\":9223372036854775807,\"b\":\"10.244.0.0/16,fd00::/56\"}" },
		{ "\xc3\xa4: \"\\u00fc\"\n", "{\"\xc3\xa4\":\"\xc3\xbc\"}" },
	};

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct err e = { 0 };
		CLEANUP_JSON json_t *got = parse(good[i].yaml, &e);

		if (!got)
			fail_msg("%s: %s", good[i].yaml, e.text);
		CLEANUP_JSON json_t *want = json_parse(good[i].json, strlen(good[i].json), &e);

		assert_non_null(want);
		if (!json_equal(got, want)) {
			CLEANUP(free_p) char *text = json_text(got);

			fail_msg("%s: got %s", good[i].yaml, text);
		}
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *yaml, *why;
	} bad[] = {
		{ "a: yes", "quotes" },
		{ "a: y", "quotes" },
		{ "a: No", "quotes" },
		{ "a: off", "quotes" },
		{ "a: 0123", "quotes" },
		{ "a: 0o17", "quotes" },
		{ "a: 0b11", "quotes" },
		{ "a: 1_000", "quotes" },
		{ "a: 1:30", "quotes" },
		{ "a: 190:20:30.15", "quotes" },
		{ "a: 2026-01-31", "quotes" },
		{ "a: 2026-01-31T10:00:00Z", "quotes" },
		{ "a: .inf", "quotes" },
		{ "a: .NaN", "quotes" },
		{ "a: =", "quotes" },
		{ "a: 9223372036854775808", "too large" },
		{ "a: 1e999", "too large" },
		{ "a: 1\na: 2", "before" },
		{ "a: {b: 1, b: 2}", "before" },
		{ "1: a", "key" },
		{ "true: a", "key" },
		{ "on: a", "key" },
		{ "? [a]\n: b", "key" },
		{ "<<: {a: 1}", "key" },
		{ "a: &x 1\nb: *x", "anchors" },
		{ "a: &x [1]\nb: [*x, *x]", "anchors" },
		{ "a: *x", "alias" },
		{ "a: !!str 1", "tags" },
		{ "a: !foo {}", "tags" },
		{ "a: \"\\0\"", "NUL" },
		{ "a: \"\xff\"", "not valid YAML" },
		{ "a: [", "not valid YAML" },
		{ "a: b: c", "not valid YAML" },
		{ "\ta: 1", "not valid YAML" },
		{ "", "no YAML document" },
		{ "# nothing\n", "no YAML document" },
		{ "a: 1\n---\nb: 2\n", "more than one" },
		{ "\"\\ud800\"", "" },
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = { 0 };
		CLEANUP_JSON json_t *got = parse(bad[i].yaml, &e);

		if (got)
			fail_msg("accepted: %s", bad[i].yaml);
		assert_int_equal(e.code, -EINVAL);
		if (!strstr(e.text, bad[i].why))
			fail_msg("%s: %s", bad[i].yaml, e.text);
	}
}

static void test_bounds(void **state)
{
	struct err e = { 0 };
	char deep[200];

	memset(deep, '[', 100);
	memset(deep + 100, ']', 100);
	assert_null(yaml_parse(deep, sizeof(deep), &e));
	assert_non_null(strstr(e.text, "deeply"));
	CLEANUP_JSON json_t *fine = yaml_parse(deep + 68, 64, &e);

	assert_non_null(fine);

	CLEANUP(free_p) char *big = malloc(YAML_SIZE_MAX + 1);

	assert_non_null(big);
	memset(big, '#', YAML_SIZE_MAX + 1);
	assert_null(yaml_parse_all(big, YAML_SIZE_MAX + 1, &e));
	assert_int_equal(e.code, -EFBIG);

	CLEANUP_BUF struct buf many = { 0 };

	for (int i = 0; i <= YAML_DOCUMENTS_MAX; i++)
		buf_add_str(&many, "--- a\n");
	assert_null(yaml_parse_all(many.data, many.len, &e));
	assert_non_null(strstr(e.text, "too many"));
}

static void test_documents(void **state)
{
	static const char text[] = "# head\n---\na: 1\n---\n---\n# empty\n---\nb: 2\n...\n";
	struct err e = { 0 };
	CLEANUP_JSON json_t *docs = yaml_parse_all(text, strlen(text), &e);

	assert_non_null(docs);
	assert_int_equal(json_array_size(docs), 2);
	CLEANUP_BUF struct buf out = { 0 };

	assert_int_equal(yaml_add_all(&out, docs), 0);
	assert_string_equal(buf_str(&out), "a: 1\n---\nb: 2\n");
	assert_null(yaml_read_file("/nonexistent/hearth.yaml", &e));
	assert_int_equal(e.code, -ENOENT);
	assert_non_null(strstr(e.text, "/nonexistent/hearth.yaml"));
}

/* Each of these strings must come out in quotes, and come back as the same string. */
static void test_quoting(void **state)
{
	static const char *const quoted[] = { "y", "Y", "n", "yes", "No", "on", "OFF", "true",
		"False", "null", "NULL", "~", "", " a", "a ", "1", "-1", "1.5", "0123", "0x1f",
		"1e3", "1:30", "2026-01-31", ".inf", ".nan", "NaN", "10.77.0.1", "4m0s", "- a",
		"a: b", "a #b", "#a", "*a", "&a", "!a", "[a", "{a", "a:", "'a'", "\"a\"", "a\nb",
		"a\tb", "\xc3\xbc", "=", "<<", "?", "|", ">", "%a", "@a", "`a", "-", "--- a", "...",
		"a, b" };
	static const char *const plain[] = { "a", "pi4-8g", "v1.37.2", "unix:///run/x.sock",
		"/etc/a", "api.home.internal:6443", "system:bootstrappers:x",
		"hearth.internal/board=pi3", "two words" };

	for (size_t i = 0; i < ARRAY_LEN(quoted) + ARRAY_LEN(plain); i++) {
		bool quote = i < ARRAY_LEN(quoted);
		const char *s = quote ? quoted[i] : plain[i - ARRAY_LEN(quoted)];
		CLEANUP_JSON json_t *doc = json_pack("{s:s,s:[s]}", "k", s, "l", s);

		if (*s)
			json_object_set_new(doc, s, json_integer(1));
		CLEANUP_BUF struct buf out = { 0 };

		assert_int_equal(yaml_add(&out, doc), 0);
		struct err e = { 0 };
		CLEANUP_JSON json_t *back = yaml_parse(out.data, out.len, &e);

		if (!back)
			fail_msg("%s\n%s", e.text, out.data);
		assert_true(json_equal(doc, back));
		assert_int_equal(out.data[3] == '"', quote);
	}
}

static void test_layout(void **state)
{
	CLEANUP_JSON json_t *doc = json_pack(
		"{s:s, s:{s:b, s:i, s:n, s:f}, s:[{s:s,s:s},{s:[]}], s:{}}", "kind", "Z", "map",
		"t", 1, "i", -7, "n", "f", 0.5, "list", "name", "a", "value", "1", "empty", "none");

	assert_non_null(doc);
	CLEANUP_BUF struct buf out = { 0 };

	assert_int_equal(yaml_add(&out, doc), 0);
	assert_string_equal(buf_str(&out), "kind: Z\n"
					   "map:\n"
					   "  t: true\n"
					   "  i: -7\n"
					   "  \"n\": null\n"
					   "  f: 0.5\n"
					   "list:\n"
					   "- name: a\n"
					   "  value: \"1\"\n"
					   "- empty: []\n"
					   "none: {}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_documents),
		cmocka_unit_test(test_quoting),
		cmocka_unit_test(test_layout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
