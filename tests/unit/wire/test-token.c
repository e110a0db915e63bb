/* token: a known token, what is refused and with which words, the secret stays out of them. */
#include "cases.h"

#include <sodium.h>
#include <stdio.h>

#include "wire/token.h"

/* Computed with Python's hashlib and base64 from sorted, compact JSON. */
static const char known[] =
	"hearth1."
	"eyJpZCI6IjAxMjM0NTY3ODlhYmNkZWYiLCJtZXNoIjoiaG9tZSIsInBpbnMiOlsiQ1FrSkNRa0pDUWtKQ1FrSkNR"
	"a0pDUWtKQ1FrSkNRa0pDUWtKQ1FrSkNRaz0iXSwicmVsYXlzIjpbXSwicm9vdCI6InhlSWFzY24yQWkyQnc3SmVO"
	"RGJMZngzM2Y1WlNyajRURU1LT1loM1llMHc9Iiwic2VjcmV0IjoiQUFFQ0F3UUZCZ2NJQ1FvTERBME9EeEFSRWhN"
	"VUZSWVhHQmthR3h3ZEhoOD0iLCJ1cmxzIjpbImh0dHBzOi8vMTkyLjE2OC41MC4xMTo4NDQzIl0sInYiOjF9";

static const char good[] =
	"{\"v\":1,\"mesh\":\"home\",\"urls\":[\"https://192.168.50.11:8443\"],\"relays\":[],"
	"\"pins\":[\"" KEY_A "\"],\"root\":\"" KEY_B "\",\"id\":\"0123456789abcdef\","
	"\"secret\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"}";

static char *encode(const char *json)
{
	CLEANUP(free_p) char *body = base64url_encode(json, strlen(json));
	size_t size = strlen(body) + 9;
	char *text = malloc(size);

	assert_non_null(text);
	(void) snprintf(text, size, "hearth1.%s", body);
	return text;
}

static int read_json(const json_t *json, struct err *err)
{
	CLEANUP_TOKEN struct token token = { 0 };
	CLEANUP(free_p) char *text = json_text(json);
	CLEANUP(free_p) char *whole = encode(text);

	return token_parse(whole, &token, err);
}

static void test_known(void **state)
{
	CLEANUP_TOKEN struct token token = { 0 };
	struct err err = { 0 };
	char pin[KEY_BASE64_LEN];
	static const uint8_t hash[] = { 0xcb, 0x2f, 0x51, 0x60, 0xfc, 0x1f, 0x7e, 0x05, 0xa5, 0x5e,
		0xf4, 0x9d, 0x34, 0x0b, 0x48, 0xda, 0x2e, 0x5a, 0x78, 0x09, 0x9d, 0x53, 0x39, 0x33,
		0x51, 0xcd, 0x57, 0x9d, 0xd4, 0x25, 0x03, 0xd6 };
	uint8_t secret_hash[TOKEN_HASH_LEN];

	assert_int_equal(token_parse(known, &token, &err), 0);
	assert_string_equal(token.mesh, "home");
	assert_int_equal(token.n_urls, 1);
	assert_string_equal(token.urls[0], "https://192.168.50.11:8443");
	assert_int_equal(token.n_pins, 1);
	key_to_base64(token.pins[0], pin);
	assert_string_equal(pin, "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=");
	key_to_base64(token.root, pin);
	assert_string_equal(pin, "xeIascn2Ai2Bw7JeNDbLfx33f5ZSrj4TEMKOYh3Ye0w=");
	assert_string_equal(token.id, "0123456789abcdef");
	for (uint8_t i = 0; i < TOKEN_SECRET_LEN; i++)
		assert_int_equal(token.secret[i], i);
	token_hash_secret(token.secret, secret_hash);
	assert_memory_equal(secret_hash, hash, sizeof(hash));
	CLEANUP(free_p) char *again = NULL;

	assert_int_equal(token_format(&token, &again), 0);
	assert_string_equal(again, known);
	token_done(&token);
	assert_true(sodium_is_zero((const uint8_t *) &token, sizeof(token)));
}

static void test_around(void **state)
{
	char text[1024];
	CLEANUP_TOKEN struct token token = { 0 };

	(void) snprintf(text, sizeof(text), " \r\n\t%s \r\n\n", known);
	assert_int_equal(token_parse(text, &token, NULL), 0);
}

/* Every shorter beginning and every changed character: refused or, at worst, another token. */
static void test_damaged(void **state)
{
	char text[sizeof(known)];

	for (size_t i = 0; i < sizeof(known) - 1; i++) {
		struct err err = { 0 };
		struct token token = { 0 };

		memcpy(text, known, sizeof(known));
		text[i] = '\0';
		assert_true(token_parse(text, &token, &err) < 0);
		assert_true(err.text[0] != '\0');
		memcpy(text, known, sizeof(known));
		text[i] = i < 8 ? 'X' : '*';
		assert_true(token_parse(text, &token, &err) < 0);
	}
}

static void test_words(void **state)
{
	static const struct {
		const char *text, *says;
		int code;
	} cases[] = {
		{ "", "empty", -EINVAL },
		{ "  \n", "empty", -EINVAL },
		{ "tskey-auth-abc", "hearth token create", -EINVAL },
		{ "hearth2.abc", "later kind", -EPROTONOSUPPORT },
		{ "hearth1.", "damaged", -EINVAL },
		{ "hearth1.e30", "missing", -EINVAL },
		{ "hearth1.e30=", "damaged", -EINVAL },
		{ "hearth1.e3 0", "damaged", -EINVAL },
		{ "hearth1.W10", "expected", -EINVAL },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = { 0 };
		struct token token = { 0 };
		int r = token_parse(cases[i].text, &token, &err);

		if (r != cases[i].code || !strstr(err.text, cases[i].says))
			fail_msg("\"%s\": %d, %s", cases[i].text, r, err.text);
	}
	char large[TOKEN_TEXT_MAX + 2];

	memset(large, 'A', sizeof(large));
	memcpy(large, "hearth1.", 8);
	large[sizeof(large) - 1] = '\0';
	struct err err = { 0 };
	struct token token = { 0 };

	assert_int_equal(token_parse(large, &token, &err), -EINVAL);
	assert_non_null(strstr(err.text, "4096"));
}

static void test_fields(void **state)
{
	static const struct doc_case cases[] = {
		{ "v", "2", -EPROTONOSUPPORT },
		{ "v", "0", -EPROTONOSUPPORT },
		{ "v", "\"1\"", -EINVAL },
		{ "v", NULL, -EINVAL },
		{ "mesh", "\"Home\"", -EINVAL },
		{ "mesh", "\"\"", -EINVAL },
		{ "mesh", "\"a.b\"", -EINVAL },
		{ "urls", "[]", -EINVAL },
		{ "urls", "[\"http://192.168.50.11:8443\"]", -EINVAL },
		{ "urls", "[\"https://\"]", -EINVAL },
		{ "urls", "[\"https://a/b\"]", -EINVAL },
		{ "urls", "[\"https://user@host\"]", -EINVAL },
		{ "urls", "[\"https://host:0\"]", -EINVAL },
		{ "urls", "[\"https://host:65536\"]", -EINVAL },
		{ "urls", "[\"https://host:\"]", -EINVAL },
		{ "urls", "[\"https://ho st\"]", -EINVAL },
		{ "urls", "[\"https://-host\"]", -EINVAL },
		{ "urls", "[\"https://host-\"]", -EINVAL },
		{ "urls", "[\"https://host..a\"]", -EINVAL },
		{ "urls", "[\"https://1.2.3.4.5\"]", -EINVAL },
		{ "urls", "[\"https://[::1\"]", -EINVAL },
		{ "urls", "[\"https://[1.2.3.4]\"]", -EINVAL },
		{ "urls", "[\"https://::1\"]", -EINVAL },
		{ "urls", "[\"https://[fd00::1]:8443\",\"https://n100.lan\",\"https://N-100:1\"]",
			0 },
		{ "urls", "[1]", -EINVAL },
		{ "urls", "\"https://host\"", -EINVAL },
		{ "relays", "[{\"any\":\"thing\"}]", 0 },
		{ "relays", "[1,null,\"x\",[]]", 0 },
		{ "relays", "{}", -EINVAL },
		{ "relays", "\"vps.example.org\"", -EINVAL },
		{ "relays", NULL, 0 },
		{ "pins", "[]", -EINVAL },
		{ "pins", "[\"" KEY_A "\",\"" KEY_A "\"]", -EINVAL },
		{ "pins", "[\"" KEY_0 "\"]", -EINVAL },
		{ "pins", "[\"short\"]", -EINVAL },
		{ "pins", "[null]", -EINVAL },
		{ "root", "\"" KEY_0 "\"", -EINVAL },
		{ "root", "null", -EINVAL },
		{ "id", "\"0123456789ABCDEF\"", -EINVAL },
		{ "id", "\"0123456789abcde\"", -EINVAL },
		{ "secret", "\"" KEY_A "A\"", -EINVAL },
		{ "secret", "5", -EINVAL },
		{ "later", "{\"a\":[1]}", 0 },
		{ "later", DEEP31, 0 },
		{ "later", "[" DEEP31 "]", -EINVAL },
	};

	doc_run(good, cases, ARRAY_LEN(cases), read_json);
}

/* What is none is passed over, and so are those beyond the fourth. */
static void test_relays(void **state)
{
	static const char relays[] =
		"[{\"host\":\"203.0.113.5\",\"port\":443},7,null,[],{},{\"host\":\"x.example\"},"
		"{\"host\":\"vps.example.org\",\"port\":3340,\"later\":1},"
		"{\"host\":\"127.0.0.1\",\"port\":1},{\"host\":\"fe80::1\",\"port\":1},"
		"{\"host\":\"Big.example\",\"port\":1},{\"host\":\"a b\",\"port\":1},"
		"{\"host\":\"a.example\",\"port\":0},{\"host\":\"a.example\",\"port\":65536},"
		"{\"host\":\"a.example\",\"port\":\"1\"},{\"host\":5,\"port\":1},"
		"{\"host\":\"2001:db8::5\",\"port\":65535},{\"host\":\"b.example\",\"port\":1},"
		"{\"host\":\"c.example\",\"port\":2}]";
	static const struct outside wanted[] = { { "203.0.113.5", 443 },
		{ "vps.example.org", 3340 }, { "2001:db8::5", 65535 }, { "b.example", 1 } };
	CLEANUP_JSON json_t *json = json_loads(good, 0, NULL);
	CLEANUP_TOKEN struct token token = { 0 }, again = { 0 };
	struct err err = { 0 };

	assert_int_equal(json_object_set_new(json, "relays", json_loads(relays, 0, NULL)), 0);
	CLEANUP(free_p) char *text = json_text(json), *whole = encode(text), *printed = NULL;

	if (token_parse(whole, &token, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(token.n_relays, TOKEN_RELAYS_MAX);
	for (size_t i = 0; i < TOKEN_RELAYS_MAX; i++)
		assert_true(outside_equal(&token.relays[i], &wanted[i]));
	assert_int_equal(token_format(&token, &printed), 0);
	assert_int_equal(token_parse(printed, &again, &err), 0);
	assert_int_equal(again.n_relays, TOKEN_RELAYS_MAX);
	for (size_t i = 0; i < TOKEN_RELAYS_MAX; i++)
		assert_true(outside_equal(&again.relays[i], &wanted[i]));
}

static void test_limits(void **state)
{
	struct token token = {
		.mesh = "home", .n_urls = 16, .n_pins = 4, .id = "0123456789abcdef"
	};

	memset(token.root, 1, sizeof(token.root));
	for (size_t i = 0; i < 16; i++)
		(void) snprintf(token.urls[i], sizeof(token.urls[i]), "https://host-%zu:8443", i);
	for (size_t i = 0; i < 4; i++)
		memset(token.pins[i], (int) i + 1, sizeof(token.pins[i]));
	CLEANUP(free_p) char *text = NULL, *unused = NULL;
	CLEANUP_TOKEN struct token again = { 0 };

	assert_int_equal(token_format(&token, &text), 0);
	assert_int_equal(token_parse(text, &again, NULL), 0);
	assert_int_equal(again.n_urls, 16);
	assert_string_equal(again.urls[15], "https://host-15:8443");
	for (size_t i = 0; i < 16; i++)
		memset(token.urls[i] + 8, 'a', FIELD_URL_MAX - 9);
	assert_int_equal(token_format(&token, &unused), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_around),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_relays),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
