/* record: bytes, signature and hash against known answers; every flipped bit is noticed. */
#include "cases.h"

#include "wire/record.h"

/*
 * Computed with another implementation of Ed25519 and BLAKE2b (Python's cryptography and hashlib):
 * the root key is the seed of 32 bytes 1, the signing key that of 32 bytes 2.
 */
#define ROOT      "iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w="
#define ROOT_HASH "xeIascn2Ai2Bw7JeNDbLfx33f5ZSrj4TEMKOYh3Ye0w="
#define SIGNING   "gTl3Dqh9F19Wo1Rmw0x+zMuNipG07jeiXfYPW4/Js5Q="
#define SIG1 \
	"h4F1vl7OZ7oQJ/9ZA6YG3PHNGNKasg6HFrcFmFUYKCajhIIq5mTRq7dHaJTFdF4JZcTu06FK+HJtinp0CVdeBw=="
#define HASH1 "zT6tQ7QKxnYSF39g8ppkmZ4OfLaHgGWDTHjwYOwtQIw="
#define SIG2 \
	"NJAlBea5xMA3yDRI83BOUUsPSWV05ly4fCqU2mxklbdE1xj10NwDdBNmGFF+Q7svkMemZs4eO5K43IunyHyhAg=="
#define HASH2 "SP5KuZFP4kJYx4VRrma/nlkyNrGlqKFhdA6pS9QeWlI="

static const char record2[] =
	"{\"seq\":2,\"prev\":\"" HASH1 "\",\"type\":\"checkpoint\",\"by\":\"" SIGNING "\","
	"\"payload\":\"eyJoZWxsbyI6ICJ3b3JsZCJ9\",\"sig\":\"" SIG2 "\"}";

static void assert_key(const uint8_t key[static 32], const char *expected)
{
	char text[KEY_BASE64_LEN];

	key_to_base64(key, text);
	assert_string_equal(text, expected);
}

static void test_known_first(void **state)
{
	CLEANUP_RECORD struct record record = { 0 };
	uint8_t seed[32], hash[32];
	struct record_key key;

	memset(seed, 2, sizeof(seed));
	record_public_key(seed, key.key);
	assert_key(key.key, SIGNING);
	memset(seed, 1, sizeof(seed));
	record_public_key(seed, key.root);
	assert_key(key.root, ROOT);
	record_root_hash(key.root, hash);
	assert_key(hash, ROOT_HASH);

	CLEANUP_JSON json_t *payload = record_key_to_json(&key);

	assert_int_equal(record_make(1, NULL, RECORD_TYPE_KEY, payload, &record), 0);
	assert_int_equal(record_sign(&record, seed), 0);
	CLEANUP(free_p) char *sig = base64_encode(record.sig, sizeof(record.sig));

	assert_string_equal(sig, SIG1);
	assert_key(record.by, ROOT);
	assert_int_equal(record_hash(&record, hash), 0);
	assert_key(hash, HASH1);
	assert_int_equal(record_verify_signature(&record), 0);
}

static void test_known_second(void **state)
{
	CLEANUP_JSON json_t *json = doc_parse(record2);
	CLEANUP_RECORD struct record record = { 0 };
	uint8_t hash[32];

	assert_int_equal(record_from_json(json, &record, NULL), 0);
	assert_int_equal(record.seq, 2);
	assert_string_equal(record.type, "checkpoint");
	/* The payload keeps its bytes, space included. */
	assert_int_equal(record.payload_len, 18);
	assert_memory_equal(record.payload, "{\"hello\": \"world\"}", 18);
	assert_int_equal(record_verify_signature(&record), 0);
	assert_int_equal(record_hash(&record, hash), 0);
	assert_key(hash, HASH2);
	CLEANUP_JSON json_t *again = record_to_json(&record);

	doc_assert_text(again, record2);
}

/* Flips each bit of each byte that the signature covers. */
static void test_mutations(void **state)
{
	CLEANUP_JSON json_t *json = doc_parse(record2);
	CLEANUP_RECORD struct record record = { 0 };
	uint8_t before[32], after[32];

	assert_int_equal(record_from_json(json, &record, NULL), 0);
	assert_int_equal(record_hash(&record, before), 0);
	struct {
		uint8_t *at;
		size_t len;
	} parts[] = {
		{ record.prev, sizeof(record.prev) },
		{ record.by, sizeof(record.by) },
		{ record.sig, sizeof(record.sig) },
		{ (uint8_t *) record.type, strlen(record.type) },
		{ record.payload, record.payload_len },
		{ (uint8_t *) &record.seq, sizeof(record.seq) },
	};

	for (size_t p = 0; p < ARRAY_LEN(parts); p++)
		for (size_t bit = 0; bit < parts[p].len * 8; bit++) {
			uint8_t flip = (uint8_t) (1u << (bit % 8));

			parts[p].at[bit / 8] ^= flip;
			assert_int_equal(record_verify_signature(&record), -EBADMSG);
			if (record_hash(&record, after) == 0)
				assert_memory_not_equal(before, after, sizeof(before));
			parts[p].at[bit / 8] ^= flip;
		}
	record.payload_len--;
	assert_int_equal(record_verify_signature(&record), -EBADMSG);
	record.payload_len++;
	assert_int_equal(record_verify_signature(&record), 0);
}

/* Type and payload are told apart by their lengths: moving a byte over does not hold. */
static void test_boundaries(void **state)
{
	CLEANUP_JSON json_t *empty = json_object();
	CLEANUP_RECORD struct record record = { 0 };
	uint8_t seed[32] = { 5 };

	assert_int_equal(record_make(3, NULL, "node", empty, &record), 0);
	assert_int_equal(record_sign(&record, seed), 0);
	memcpy(record.type, "nod", 4);
	assert_int_equal(record_verify_signature(&record), -EBADMSG);
	memcpy(record.type, "node", 5);
	assert_int_equal(record_verify_signature(&record), 0);
	memset(record.type, 'a', sizeof(record.type)); /* no end */
	assert_int_equal(record_verify_signature(&record), -EBADMSG);
	assert_int_equal(record_sign(&record, seed), -EINVAL);
}

/* The order of the Ed25519 group added to S verifies in careless libraries. */
static void test_malleable(void **state)
{
	static const uint8_t order[32] = { 0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6,
		0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10 };
	CLEANUP_JSON json_t *json = doc_parse(record2);
	CLEANUP_RECORD struct record record = { 0 };

	assert_int_equal(record_from_json(json, &record, NULL), 0);
	unsigned carry = 0;

	for (size_t i = 0; i < 32; i++) {
		carry += (unsigned) record.sig[32 + i] + order[i];
		record.sig[32 + i] = (uint8_t) carry;
		carry >>= 8;
	}
	assert_int_equal(record_verify_signature(&record), -EBADMSG);
	memset(record.by, 0, sizeof(record.by)); /* a point of low order */
	memset(record.sig, 0, sizeof(record.sig));
	assert_int_equal(record_verify_signature(&record), -EBADMSG);
}

static void test_types(void **state)
{
	static const struct {
		const char *type;
		bool ok;
	} cases[] = {
		{ "node", true },
		{ "a", true },
		{ "a-b", true },
		{ "abcdefghijklmnopqrstuvwxyzabcdef", true },
		{ "abcdefghijklmnopqrstuvwxyzabcdefg", false },
		{ "", false },
		{ "-a", false },
		{ "Node", false },
		{ "a1", false },
		{ "a b", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(record_type_is_valid(cases[i].type), cases[i].ok);
}

static void test_make(void **state)
{
	CLEANUP_RECORD struct record record = { 0 };
	CLEANUP_JSON json_t *empty = json_object(), *large = json_object();
	static char text[RECORD_PAYLOAD_MAX + 1];

	memset(text, 'x', RECORD_PAYLOAD_MAX - 8); /* {"x":""} is 8 more */
	json_object_set_new(large, "x", json_string(text));
	assert_int_equal(record_make(0, NULL, "node", empty, &record), -EINVAL);
	assert_int_equal(record_make(RECORD_SEQ_MAX + 1, NULL, "node", empty, &record), -EINVAL);
	assert_int_equal(record_make(1, NULL, "Node", empty, &record), -EINVAL);
	assert_int_equal(record_make(1, NULL, "node", large, &record), 0);
	assert_int_equal(record.payload_len, RECORD_PAYLOAD_MAX);
	CLEANUP_JSON json_t *json = record_to_json(&record);
	CLEANUP_RECORD struct record again = { 0 };

	assert_int_equal(record_from_json(json, &again, NULL), 0);
	assert_int_equal(again.payload_len, RECORD_PAYLOAD_MAX);
	text[RECORD_PAYLOAD_MAX - 8] = 'x';
	json_object_set_new(large, "x", json_string(text));
	CLEANUP_RECORD struct record unused = { 0 };

	assert_int_equal(record_make(1, NULL, "node", large, &unused), -EFBIG);
}

static int read_json(const json_t *json, struct err *err)
{
	CLEANUP_RECORD struct record record = { 0 };

	return record_from_json(json, &record, err);
}

static void test_fields(void **state)
{
	static const struct doc_case cases[] = {
		{ NULL, "[]", -EINVAL },
		{ NULL, "null", -EINVAL },
		{ "seq", "0", -EINVAL },
		{ "seq", "-1", -EINVAL },
		{ "seq", "9007199254740992", -EINVAL },
		{ "seq", "9007199254740991", 0 },
		{ "seq", "1.0", -EINVAL },
		{ "seq", "\"2\"", -EINVAL },
		{ "seq", NULL, -EINVAL },
		{ "prev", "\"\"", -EINVAL },
		{ "prev", "null", -EINVAL },
		{ "prev", "\"" KEY_A KEY_A "\"", -EINVAL },
		{ "type", "\"\"", -EINVAL },
		{ "type", "\"Node\"", -EINVAL },
		{ "type", "\"from-the-future\"", 0 },
		{ "by", NULL, -EINVAL },
		{ "by", "[]", -EINVAL },
		{ "payload", "\"\"", 0 },
		{ "payload", "\"AA\"", -EINVAL },
		{ "payload", "\"AB==\"", -EINVAL },
		{ "payload", "{}", -EINVAL },
		{ "payload", NULL, -EINVAL },
		{ "sig", "\"\"", -EINVAL },
		{ "sig", "\"" KEY_A "\"", -EINVAL },
		{ "sig", NULL, -EINVAL },
		{ "more", "true", 0 },
	};

	doc_run(record2, cases, ARRAY_LEN(cases), read_json);
}

static void test_payloads(void **state)
{
	static const struct doc_case keys[] = {
		{ "key", "\"" KEY_0 "\"", -EINVAL },
		{ "key", NULL, -EINVAL },
		{ "root", "\"x\"", -EINVAL },
		{ "root", NULL, -EINVAL },
		{ "until", "5", 0 },
	};
	static const struct doc_case tombstones[] = {
		{ "id", "0", -EINVAL },
		{ "id", "16777216", -EINVAL },
		{ "id", "16777215", 0 },
		{ "id", "\"3\"", -EINVAL },
		{ "id", NULL, -EINVAL },
		{ "reason", NULL, 0 },
		{ "reason", "\"\"", -EINVAL },
		{ "reason", "\"a\\nb\"", -EINVAL },
		{ "reason", "7", -EINVAL },
	};
	struct record_key key;
	struct tombstone tombstone;

	for (int pass = 0; pass < 2; pass++) {
		const char *base = pass ? "{\"id\":3,\"reason\":\"removed\"}"
					: "{\"key\":\"" KEY_A "\",\"root\":\"" KEY_B "\"}";
		const struct doc_case *cases = pass ? tombstones : keys;
		size_t n = pass ? ARRAY_LEN(tombstones) : ARRAY_LEN(keys);

		for (size_t i = 0; i < n; i++) {
			CLEANUP_JSON json_t *json = doc_change(base, &cases[i]);
			int r = pass ? tombstone_from_json(json, &tombstone, NULL)
				     : record_key_from_json(json, &key, NULL);

			assert_int_equal(r, cases[i].code);
		}
	}
	CLEANUP_JSON json_t *good = doc_parse("{\"id\":3,\"reason\":\"removed\"}");

	assert_int_equal(tombstone_from_json(good, &tombstone, NULL), 0);
	CLEANUP_JSON json_t *again = tombstone_to_json(&tombstone);

	assert_true(json_equal(good, again));
}

static void test_payload_json(void **state)
{
	static const char *const bad[] = { "", "[]", "5", "{", "{\"a\":1,\"a\":2}", "{}{}" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct record record = { .payload = (uint8_t *) (uintptr_t) bad[i],
			.payload_len = strlen(bad[i]) };
		struct err err = { 0 };

		assert_null(record_payload_json(&record, &err));
		assert_int_equal(err.code, -EINVAL);
	}
}

static void test_lists(void **state)
{
	CLEANUP_JSON json_t *json = json_object(), *list = json_array();
	struct record *records = NULL;
	size_t n = 0;

	for (size_t i = 0; i < 3; i++)
		json_array_append_new(list, doc_parse(record2));
	json_object_set(json, "records", list);
	assert_int_equal(record_list_from_json(json, "records", 2, &records, &n, NULL), -EINVAL);
	assert_int_equal(record_list_from_json(json, "none", 3, &records, &n, NULL), -EINVAL);
	assert_int_equal(record_list_from_json(json, "records", 3, &records, &n, NULL), 0);
	assert_int_equal(n, 3);
	CLEANUP_JSON json_t *again = record_list_to_json(records, n);

	assert_true(json_equal(list, again));
	records = record_list_free(records, n);
	json_array_append_new(list, json_integer(1));
	struct err err = { 0 };

	assert_int_equal(record_list_from_json(json, "records", 9, &records, &n, &err), -EINVAL);
	assert_null(records);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_first),
		cmocka_unit_test(test_known_second),
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_boundaries),
		cmocka_unit_test(test_malleable),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_make),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_payloads),
		cmocka_unit_test(test_payload_json),
		cmocka_unit_test(test_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
