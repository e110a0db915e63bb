/* kube: the join bundle's grammar, for its strings end in other programs' documents. */
#include "cases.h"

#include <sodium.h>

#include "wire/kube.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
static const char good[] =
	"{\"id\":\"0123456789abcdef\",\"endpoint\":\"api.home.internal:6443\","
	"\"token\":\"abcdef.0123456789abcdef\",\"expires\":1795000000,"
	"\"ca\":[\"sha256:" HEX64 "\"],\"version\":\"v1.37.2\",\"certificate_key\":\"" HEX64 "\"}";

static int read_json(const json_t *json, struct err *err)
{
	CLEANUP_KUBE_BUNDLE struct kube_bundle bundle = { 0 };
	return kube_bundle_from_json(json, &bundle, err);
}

static void test_fields(void **state)
{
	static const struct doc_case cases[] = {
		{ NULL, "[]", -EINVAL },
		{ "id", "\"0123\"", -EINVAL },
		{ "id", NULL, -EINVAL },
		{ "endpoint", "\"10.77.0.1:6443\"", 0 },
		{ "endpoint", "\"[fd00::1]:6443\"", 0 },
		{ "endpoint", "\"[fd00::1]\"", -EINVAL },
		{ "endpoint", "\"fd00::1\"", -EINVAL },
		{ "endpoint", "\"api.home.internal\"", -EINVAL },
		{ "endpoint", "\"api.home.internal:\"", -EINVAL },
		{ "endpoint", "\"api.home.internal:0\"", -EINVAL },
		{ "endpoint", "\"a b:6443\"", -EINVAL },
		{ "endpoint", "\"a\\n:6443\"", -EINVAL },
		{ "endpoint", "\"a/b:6443\"", -EINVAL },
		{ "endpoint", "\"\"", -EINVAL },
		{ "token", "\"abcdef.0123456789abcde\"", -EINVAL },
		{ "token", "\"abcdef.0123456789abcdef0\"", -EINVAL },
		{ "token", "\"ABCDEF.0123456789abcdef\"", -EINVAL },
		{ "token", "\"abcdef-0123456789abcdef\"", -EINVAL },
		{ "token", "\"abcdefg.123456789abcdef\"", -EINVAL },
		{ "token", NULL, -EINVAL },
		{ "expires", "0", 0 },
		{ "expires", "-1", -EINVAL },
		{ "expires", "\"1795000000\"", -EINVAL },
		{ "expires", "1.5", -EINVAL },
		{ "ca", "[]", -EINVAL },
		{ "ca", "[\"sha256:" HEX64 "\",\"sha256:" HEX64 "\"]", 0 },
		{ "ca", "[\"sha256:" HEX64 "\",\"" HEX64 "\"]", -EINVAL },
		{ "ca", "[\"" HEX64 "\",\"sha256:" HEX64 "\"]", -EINVAL },
		{ "ca", "[\"sha256:0\"]", -EINVAL },
		{ "ca", "\"sha256:" HEX64 "\"", -EINVAL },
		{ "version", "\"v1.35.4\"", 0 },
		{ "version", "\"v1.37.0-rc.1+hearth\"", 0 },
		{ "version", "\"1.37.2\"", -EINVAL },
		{ "version", "\"v1.37\"", -EINVAL },
		{ "version", "\"v1.37.\"", -EINVAL },
		{ "version", "\"v1.37.2 \"", -EINVAL },
		{ "version", "\"v1.37.2-\"", -EINVAL },
		{ "version", "\"v1.37.2:x\"", -EINVAL },
		{ "version", "\"v1..2\"", -EINVAL },
		{ "version", "\"\"", -EINVAL },
		{ "certificate_key", "null", 0 },
		{ "certificate_key", NULL, 0 },
		{ "certificate_key", "\"\"", -EINVAL },
		{ "certificate_key", "\"" HEX64 "0\"", -EINVAL },
		{ "certificate_key", "7", -EINVAL },
		{ "later", "{}", 0 },
	};
	doc_run(good, cases, ARRAY_LEN(cases), read_json);
}

static void test_round_trip(void **state)
{
	CLEANUP_JSON json_t *json = doc_parse(good);
	struct kube_bundle bundle = { 0 };
	assert_int_equal(kube_bundle_from_json(json, &bundle, NULL), 0);
	CLEANUP_JSON json_t *again = kube_bundle_to_json(&bundle);
	doc_assert_text(again, good);
	bundle.has_certificate_key = false;
	CLEANUP_JSON json_t *without = kube_bundle_to_json(&bundle);
	assert_true(json_is_null(json_object_get(without, "certificate_key")));
	kube_bundle_done(&bundle);
	assert_true(sodium_is_zero((const uint8_t *) &bundle, sizeof(bundle)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_round_trip),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
