/* kube: the join bundle's two documents. Their strings end in other programs' documents. */
#include "cases.h"

#include <sodium.h>

#include "wire/kube.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SIG \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="
static const char good[] = "{\"id\":\"0123456789abcdef\",\"cluster\":{\"payload\":\"e30=\",\"sig\":"
			   "\"" SIG "\"},\"secret\":{\"token\":\"abcdef.0123456789abcdef\","
			   "\"expires\":1795000000,\"certificate_key\":\"" HEX64 "\"}}";
static const char named[] =
	"{\"root\":\"AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=\",\"mesh\":\"home\",\"node\":1,"
	"\"seq\":1795000000,\"endpoint\":\"api.home.internal:6443\",\"ca\":[\"sha256:" HEX64
	"\"],\"version\":\"v1.37.2\"}";

static int read_bundle(const json_t *json, struct err *err)
{
	CLEANUP_KUBE_BUNDLE struct kube_bundle bundle = { 0 };

	return kube_bundle_from_json(json, &bundle, err);
}

static void test_bundle(void **state)
{
	static const struct doc_case cases[] = {
		{ NULL, "[]", -EINVAL }, { "id", "\"0123\"", -EINVAL }, { "id", NULL, -EINVAL },
		{ "cluster", NULL, -EINVAL }, { "cluster", "[]", -EINVAL },
		{ "cluster.payload", "7", -EINVAL }, { "cluster.payload", "\"e30\"", -EINVAL },
		{ "cluster.payload", "\"\"", 0 }, /* not looked into */
		{ "cluster.sig", "\"AAAA\"", -EINVAL },
		{ "cluster.sig", "\"" SIG SIG "\"", -EINVAL }, { "cluster.sig", NULL, -EINVAL },
		{ "secret", NULL, -EINVAL },
		{ "secret.token", "\"abcdef.0123456789abcde\"", -EINVAL },
		{ "secret.token", "\"abcdef.0123456789abcdef0\"", -EINVAL },
		{ "secret.token", "\"ABCDEF.0123456789abcdef\"", -EINVAL },
		{ "secret.token", "\"abcdef-0123456789abcdef\"", -EINVAL },
		{ "secret.token", "\"abcdefg.123456789abcdef\"", -EINVAL },
		{ "secret.token", NULL, -EINVAL }, { "secret.expires", "0", 0 },
		{ "secret.expires", "-1", -EINVAL },
		{ "secret.expires", "\"1795000000\"", -EINVAL },
		{ "secret.expires", "1.5", -EINVAL }, { "secret.certificate_key", "null", 0 },
		{ "secret.certificate_key", NULL, 0 },
		{ "secret.certificate_key", "\"\"", -EINVAL },
		{ "secret.certificate_key", "\"" HEX64 "0\"", -EINVAL },
		{ "secret.certificate_key", "7", -EINVAL }, { "later", "{}", 0 },
		{ "endpoint", "\"evil.example.net:6443\"", 0 }, /* nobody reads it */
	};

	doc_run(good, cases, ARRAY_LEN(cases), read_bundle);
}

static int read_cluster(const json_t *json, struct err *err)
{
	CLEANUP(free_p) char *text = json_text(json);
	struct kube_signed document = { .len = strlen(text) };
	struct kube_cluster cluster;

	memcpy(document.payload, text, document.len);
	return kube_cluster_read(&document, &cluster, err);
}

static void test_cluster(void **state)
{
	static const struct doc_case cases[] = {
		{ NULL, "[]", -EINVAL },
		{ "root", "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"", -EINVAL },
		{ "root", NULL, -EINVAL },
		{ "mesh", "\"Home\"", -EINVAL },
		{ "mesh", NULL, -EINVAL },
		{ "node", "0", -EINVAL },
		{ "node", NULL, -EINVAL },
		{ "seq", "0", -EINVAL },
		{ "seq", "9007199254740991", 0 },
		{ "seq", "9007199254740992", -EINVAL },
		{ "seq", NULL, -EINVAL },
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
		{ "later", "{}", 0 },
	};

	doc_run(named, cases, ARRAY_LEN(cases), read_cluster);
}

/* Known answer: what is signed is the label and the payload, byte for byte. */
static void test_signature(void **state)
{
	static const uint8_t seed[FIELD_KEY_LEN] = { 7 };
	uint8_t public[crypto_sign_PUBLICKEYBYTES], secret[crypto_sign_SECRETKEYBYTES];
	uint8_t sig[crypto_sign_BYTES], other[FIELD_KEY_LEN] = { 1 };
	struct kube_signed document = { .len = sizeof(named) - 1 }, made;
	struct kube_cluster cluster;
	struct err err = { 0 };
	char bytes[KUBE_CLUSTER_MAX + 16];

	memcpy(document.payload, named, document.len);
	assert_int_equal(kube_cluster_read(&document, &cluster, &err), 0);
	assert_int_equal(kube_cluster_sign(&cluster, seed, &made, &err), 0);
	(void) crypto_sign_seed_keypair(public, secret, seed);
	(void) snprintf(bytes, sizeof(bytes), "hearth-cluster-1%.*s", (int) made.len,
		(const char *) made.payload);
	(void) crypto_sign_detached(sig, NULL, (const uint8_t *) bytes, strlen(bytes), secret);
	assert_memory_equal(made.sig, sig, sizeof(sig));
	assert_int_equal(kube_cluster_verify(&made, public), 0);
	assert_int_equal(kube_cluster_verify(&made, other), -EBADMSG);
	made.payload[made.len - 3] ^= 1;
	assert_int_equal(kube_cluster_verify(&made, public), -EBADMSG);
	/* What nobody would read is not signed. */
	strcpy(cluster.endpoint, "nowhere");
	assert_int_equal(kube_cluster_sign(&cluster, seed, &made, &err), -EINVAL);
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

	assert_true(json_is_null(
		json_object_get(json_object_get(without, "secret"), "certificate_key")));
	kube_bundle_done(&bundle);
	assert_true(sodium_is_zero((const uint8_t *) &bundle, sizeof(bundle)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bundle),
		cmocka_unit_test(test_cluster),
		cmocka_unit_test(test_signature),
		cmocka_unit_test(test_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
