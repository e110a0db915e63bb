/* presence: known answer, whose signature counts, which addresses a node may offer. */
#include "cases.h"

#include "wire/presence.h"

/* Computed with Python's cryptography: the identity key is the seed of 32 bytes 3. */
#define IDENTITY "7UkoxijRwsbq6QM4kFmVYSlZJzpcY/k2NsFGFKyHN9E="
static const char known[] =
	"{\"payload\":"
	"\"eyJjb3VudGVyIjoxNywiZGlzY28iOm51bGwsImVuZHBvaW50cyI6WyIxOTIuMTY4LjUwLjExOjQxNzQxIiwiWzIw"
	"MDE6ZGI4OjoxMV06NDE3NDEiXSwibm9kZSI6NywicmVsYXkiOm51bGx9\","
	"\"sig\":\"LKVnNmSGl653RjyuATGtepkJRIznoEspILBWEfhXnURoOfSXziKTg86gMEWtkruHieHknqwRac5c65kk"
	"/WPjCg==\"}";
static const char good[] =
	"{\"node\":7,\"counter\":17,\"endpoints\":[\"192.168.50.11:41741\"],\"disco\":null,"
	"\"relay\":null}";

static struct presence sample(void)
{
	struct presence presence = { .node = 7, .counter = 17, .n_endpoints = 2 };

	assert_int_equal(endpoint_parse("192.168.50.11:41741", &presence.endpoints[0]), 0);
	assert_int_equal(endpoint_parse("[2001:db8::11]:41741", &presence.endpoints[1]), 0);
	return presence;
}

static void test_known(void **state)
{
	CLEANUP_PRESENCE struct presence presence = sample();
	uint8_t seed[32], identity[32];

	memset(seed, 3, sizeof(seed));
	assert_int_equal(key_from_base64(IDENTITY, identity), 0);
	assert_int_equal(presence_sign(&presence, seed), 0);
	CLEANUP_JSON json_t *json = presence_to_json(&presence);

	doc_assert_text(json, known);

	CLEANUP_PRESENCE struct presence again = { 0 };
	struct err err = { 0 };

	assert_int_equal(presence_open(json, 7, identity, &again, &err), 0);
	assert_int_equal(again.node, 7);
	assert_int_equal(again.counter, 17);
	assert_int_equal(again.n_endpoints, 2);
	assert_true(endpoint_equal(&again.endpoints[1], &presence.endpoints[1]));
	assert_false(again.has_disco);

	CLEANUP_PRESENCE struct presence unused = { 0 };

	assert_int_equal(presence_open(json, 8, identity, &unused, &err), -EBADMSG);
	identity[0] ^= 1;
	assert_int_equal(presence_open(json, 7, identity, &unused, &err), -EBADMSG);
	assert_null(unused.payload);
}

/* Said only where it is so: the payload of all others stays as older boards write it. */
static void test_no_ipv6(void **state)
{
	CLEANUP_PRESENCE struct presence presence = sample(), again = { 0 };
	uint8_t seed[32] = { 3 };

	presence.no_ipv6 = true;
	assert_int_equal(presence_sign(&presence, seed), 0);
	CLEANUP(free_p) char *text = strndup((char *) presence.payload, presence.payload_len);

	assert_non_null(strstr(text, "\"no_ipv6\":true"));
	CLEANUP_JSON json_t *json = presence_to_json(&presence);

	assert_int_equal(presence_from_json(json, &again, NULL), 0);
	assert_true(again.no_ipv6);
}

static void test_relay(void **state)
{
	CLEANUP_PRESENCE struct presence presence = sample(), again = { 0 };
	uint8_t seed[32] = { 3 };

	presence.relay = 12;
	assert_int_equal(presence_sign(&presence, seed), 0);
	CLEANUP_JSON json_t *json = presence_to_json(&presence);

	assert_int_equal(presence_from_json(json, &again, NULL), 0);
	assert_int_equal(again.relay, 12);
	presence.relay = UINT32_MAX;
	assert_int_equal(presence_sign(&presence, seed), -EINVAL);
}

static void test_kube(void **state)
{
	CLEANUP_PRESENCE struct presence presence = sample(), again = { 0 };
	uint8_t seed[32] = { 3 };

	(void) strcpy(presence.kube_problem, "no bundle, no problem");
	assert_int_equal(presence_sign(&presence, seed), -EINVAL);
	(void) strcpy(presence.kube, "00112233aabbccdd");
	assert_int_equal(presence_sign(&presence, seed), 0);
	CLEANUP_JSON json_t *json = presence_to_json(&presence);

	assert_int_equal(presence_from_json(json, &again, NULL), 0);
	assert_string_equal(again.kube, presence.kube);
	assert_string_equal(again.kube_problem, presence.kube_problem);
}

static void test_mutations(void **state)
{
	CLEANUP_PRESENCE struct presence presence = sample();
	uint8_t seed[32] = { 9 }, identity[32], other[32];

	memset(seed, 3, sizeof(seed));
	assert_int_equal(key_from_base64(IDENTITY, identity), 0);
	assert_int_equal(presence_sign(&presence, seed), 0);
	assert_int_equal(presence_verify(&presence, identity), 0);
	for (size_t i = 0; i < presence.payload_len; i++) {
		presence.payload[i] ^= 1;
		assert_int_equal(presence_verify(&presence, identity), -EBADMSG);
		presence.payload[i] ^= 1;
	}
	for (size_t i = 0; i < sizeof(presence.sig); i++) {
		presence.sig[i] ^= 0x80;
		assert_int_equal(presence_verify(&presence, identity), -EBADMSG);
		presence.sig[i] ^= 0x80;
	}
	presence.payload_len--;
	assert_int_equal(presence_verify(&presence, identity), -EBADMSG);
	memset(other, 0, sizeof(other));
	presence.payload_len++;
	assert_int_equal(presence_verify(&presence, other), -EBADMSG);
	assert_int_equal(presence_verify(&presence, identity), 0);
}

/* @json is the payload; the signature is not looked at. */
static int read_payload(const json_t *json, struct err *err)
{
	CLEANUP_PRESENCE struct presence presence = { 0 };
	CLEANUP(free_p) char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
	CLEANUP(free_p) char *payload = base64_encode(text, strlen(text));
	CLEANUP_JSON json_t *envelope = doc_parse(known);

	json_object_set_new(envelope, "payload", json_string(payload));
	return presence_from_json(envelope, &presence, err);
}

static void test_payload(void **state)
{
	static const struct doc_case cases[] = {
		{ NULL, "[]", -EINVAL },
		{ "node", "0", -EINVAL },
		{ "node", "16777216", -EINVAL },
		{ "node", NULL, -EINVAL },
		{ "counter", "0", -EINVAL },
		{ "counter", "9007199254740992", -EINVAL },
		{ "counter", "-3", -EINVAL },
		{ "counter", NULL, -EINVAL },
		{ "endpoints", "[]", 0 },
		{ "endpoints", "null", -EINVAL },
		{ "endpoints", "{}", -EINVAL },
		{ "endpoints", "[1]", -EINVAL },
		{ "endpoints", "[\"\"]", -EINVAL },
		{ "endpoints", "[\"192.168.1.1\"]", -EINVAL },
		{ "endpoints", "[\"192.168.1.1:0\"]", -EINVAL },
		{ "endpoints", "[\"192.168.1.1:65536\"]", -EINVAL },
		{ "endpoints", "[\"192.168.1.1:041\"]", -EINVAL },
		{ "endpoints", "[\"192.168.1.1:1\",\"192.168.1.1:1\"]", -EINVAL },
		{ "endpoints", "[\"127.0.0.1:1\"]", -EINVAL },
		{ "endpoints", "[\"0.0.0.0:1\"]", -EINVAL },
		{ "endpoints", "[\"0.1.2.3:1\"]", -EINVAL },
		{ "endpoints", "[\"224.0.0.1:1\"]", -EINVAL },
		{ "endpoints", "[\"255.255.255.255:1\"]", -EINVAL },
		{ "endpoints", "[\"169.254.0.1:1\"]", -EINVAL },
		{ "endpoints", "[\"[::1]:1\"]", -EINVAL },
		{ "endpoints", "[\"[::]:1\"]", -EINVAL },
		{ "endpoints", "[\"[fe80::1]:1\"]", -EINVAL },
		{ "endpoints", "[\"[fe80::1%2]:1\"]", -EINVAL },
		{ "endpoints", "[\"[ff02::1]:1\"]", -EINVAL },
		{ "endpoints", "[\"[::ffff:10.0.0.1]:1\"]", -EINVAL },
		{ "endpoints", "[\"[2001:DB8::1]:1\"]", -EINVAL },
		{ "endpoints", "[\"[2001:db8::1]:65535\",\"10.0.0.1:1\"]", 0 },
		{ "disco", "\"" KEY_A "\"", 0 },
		{ "disco", "\"" KEY_0 "\"", -EINVAL },
		{ "disco", "5", -EINVAL },
		{ "disco", NULL, 0 },
		{ "relay", "2", 0 },
		{ "relay", "null", 0 },
		{ "relay", NULL, 0 },
		{ "relay", "4294967295", -EINVAL },
		{ "relay", "0", -EINVAL },
		{ "relay", "-1", -EINVAL },
		{ "relay", "\"2\"", -EINVAL },
		{ "relay", "{\"any\":1}", -EINVAL },
		{ "kube", "null", 0 },
		{ "kube", "{\"bundle\":\"00112233aabbccdd\"}", 0 },
		{ "kube", "{\"bundle\":\"00112233aabbccdd\",\"problem\":null,\"new\":1}", 0 },
		{ "kube", "{\"bundle\":\"00112233aabbccdd\",\"problem\":\"why\"}", 0 },
		{ "kube", "{\"bundle\":\"00112233aabbccdd\",\"problem\":\"\"}", -EINVAL },
		{ "kube", "{\"bundle\":\"00112233aabbccdd\",\"problem\":\"a\\nb\"}", -EINVAL },
		{ "kube", "{\"bundle\":\"00112233aabbccdd\",\"problem\":1}", -EINVAL },
		{ "kube", "{\"bundle\":\"0011\"}", -EINVAL },
		{ "kube", "{\"problem\":\"why\"}", -EINVAL },
		{ "kube", "{}", -EINVAL },
		{ "kube", "\"00112233aabbccdd\"", -EINVAL },
		{ "no_ipv6", "true", 0 },
		{ "no_ipv6", "false", 0 },
		{ "no_ipv6", "null", 0 },
		{ "no_ipv6", "1", -EINVAL },
		{ "no_ipv6", "\"true\"", -EINVAL },
		{ "later", "1", 0 },
	};

	doc_run(good, cases, ARRAY_LEN(cases), read_payload);
}

static int read_envelope(const json_t *json, struct err *err)
{
	CLEANUP_PRESENCE struct presence presence = { 0 };

	return presence_from_json(json, &presence, err);
}

static void test_envelope(void **state)
{
	static const struct doc_case cases[] = {
		{ NULL, "[]", -EINVAL },
		{ NULL, "5", -EINVAL },
		{ "payload", NULL, -EINVAL },
		{ "payload", "\"\"", -EINVAL },
		{ "payload", "\"!\"", -EINVAL },
		{ "payload", "{}", -EINVAL },
		{ "sig", NULL, -EINVAL },
		{ "sig", "\"\"", -EINVAL },
		{ "sig", "\"" KEY_A "\"", -EINVAL },
		{ "via", "\"lan\"", 0 },
	};

	doc_run(known, cases, ARRAY_LEN(cases), read_envelope);
}

static void test_limits(void **state)
{
	struct presence presence = {
		.node = 1, .counter = 1, .n_endpoints = 32, .has_disco = true
	};
	CLEANUP_PRESENCE struct presence again = { 0 };
	uint8_t seed[32] = { 1 };

	memset(presence.disco, 7, sizeof(presence.disco));
	for (size_t i = 0; i < 32; i++) {
		char text[ENDPOINT_TEXT_MAX];

		(void) snprintf(
			text, sizeof(text), "[2001:db8:1111:2222:3333:4444:5555:66%02zx]:65535", i);
		assert_int_equal(endpoint_parse(text, &presence.endpoints[i]), 0);
	}
	assert_int_equal(presence_sign(&presence, seed), 0);
	assert_true(presence.payload_len <= PRESENCE_PAYLOAD_MAX);
	CLEANUP_JSON json_t *json = presence_to_json(&presence);

	assert_int_equal(presence_from_json(json, &again, NULL), 0);
	assert_int_equal(again.n_endpoints, 32);
	assert_true(again.has_disco);
	assert_memory_equal(again.disco, presence.disco, 32);
	assert_int_equal(presence_sign(&presence, seed), 0); /* again: the old payload goes */
	presence.n_endpoints = 33;
	assert_int_equal(presence_sign(&presence, seed), -EINVAL);
	presence.n_endpoints = 1;
	presence.counter = 0;
	assert_int_equal(presence_sign(&presence, seed), -EINVAL);
	presence_done(&presence);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_no_ipv6),
		cmocka_unit_test(test_relay),
		cmocka_unit_test(test_kube),
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_payload),
		cmocka_unit_test(test_envelope),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
