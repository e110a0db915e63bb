/* foreign: a relay of somebody else's in the settings, and in a person's words. */
#include "cases.h"

#include <stdio.h>

#include "wire/foreign.h"

static const char good[] =
	"{\"name\":\"fra\",\"host\":\"derp.example.org\",\"tcp\":443,\"stun\":3478,"
	"\"pin\":\"" KEY_A "\"}";

static int read_json(const json_t *json, struct err *err)
{
	struct foreign relay;

	return foreign_from_json(json, &relay, err);
}

static void test_fields(void **state)
{
	static const struct doc_case cases[] = {
		{ NULL, "[]", -EINVAL },
		{ NULL, "\"derp.example.org\"", -EINVAL },
		{ "name", "\"Fra\"", -EINVAL },
		{ "name", NULL, -EINVAL },
		{ "host", "\"192.0.2.1\"", 0 },
		{ "host", "\"2001:db8::1\"", 0 },
		{ "host", "\"[2001:db8::1]\"", -EINVAL },
		{ "host", "\"Derp.example.org\"", -EINVAL },
		{ "host", "\"localhost\"", -EINVAL },
		{ "host", "\"127.0.0.1\"", -EINVAL },
		{ "host", "7", -EINVAL },
		{ "host", NULL, -EINVAL },
		{ "tcp", "0", -EINVAL },
		{ "tcp", "65536", -EINVAL },
		{ "tcp", "\"443\"", -EINVAL },
		{ "tcp", NULL, -EINVAL },
		{ "stun", "0", 0 },
		{ "stun", "null", 0 },
		{ "stun", NULL, 0 },
		{ "stun", "-1", -EINVAL },
		{ "stun", "65536", -EINVAL },
		{ "stun", "true", -EINVAL },
		{ "pin", "\"web\"", 0 },
		{ "pin", "\"Web\"", -EINVAL },
		{ "pin", "\"" KEY_0 "\"", -EINVAL },
		{ "pin", "null", -EINVAL },
		{ "pin", NULL, -EINVAL },
		{ "later", "{}", 0 },
	};

	doc_run(good, cases, ARRAY_LEN(cases), read_json);
}

static void test_round_trip(void **state)
{
	CLEANUP_JSON json_t *json = doc_parse(good);
	struct foreign relay, other;

	json_object_set_new(json, "later", json_integer(5));
	assert_int_equal(foreign_from_json(json, &relay, NULL), 0);
	CLEANUP_JSON json_t *again = foreign_to_json(&relay, json);

	assert_true(json_equal(json, again));
	other = relay;
	assert_true(foreign_equal(&relay, &other));
	other.stun = 0;
	assert_false(foreign_equal(&relay, &other));
	other.web = true;
	memset(other.pin, 0, sizeof(other.pin));
	CLEANUP_JSON json_t *changed = foreign_to_json(&other, json);

	doc_assert_text(changed, "{\"name\":\"fra\",\"host\":\"derp.example.org\",\"tcp\":443,"
				 "\"pin\":\"web\",\"later\":5}");
	CLEANUP_JSON json_t *bare = foreign_to_json(&other, NULL);

	assert_null(json_object_get(bare, "later"));
}

static void test_choose(void **state)
{
	static const struct {
		const char *text, *is; /* its JSON; NULL: refused, and the words: */
		const char *says;
	} cases[] = {
		{ "Derp1.Example.org",
			"{\"name\":\"derp1\",\"host\":\"derp1.example.org\",\"tcp\":443,"
			"\"stun\":3478,\"pin\":\"web\"}",
			NULL },
		{ "192.0.2.1:8443,stun=none",
			"{\"name\":\"192-0-2-1\",\"host\":\"192.0.2.1\",\"tcp\":8443,\"pin\":"
			"\"web\"}",
			NULL },
		{ "[2001:db8::]:1,stun=7",
			"{\"name\":\"2001-db8\",\"host\":\"2001:db8::\",\"tcp\":1,\"stun\":7,"
			"\"pin\":\"web\"}",
			NULL },
		{ "::ffff:191",
			"{\"name\":\"255-255-1-145\",\"host\":\"::255.255.1.145\",\"tcp\":443,"
			"\"stun\":3478,\"pin\":\"web\"}",
			NULL },
		{ "a,pin=web,name=fra,pin=sha256//" KEY_A,
			"{\"name\":\"fra\",\"host\":\"a\",\"tcp\":443,\"stun\":3478,\"pin\":\"" KEY_A
			"\"}",
			NULL },
		{ "a,pin=" KEY_A ",pin=web",
			"{\"name\":\"a\",\"host\":\"a\",\"tcp\":443,\"stun\":3478,\"pin\":\"web\"}",
			NULL },
		{ "", NULL, "no host that can be" },
		{ "https://a", NULL, "is a URL" },
		{ "a:0", NULL, "from 1 to 65535" },
		{ "localhost", NULL, "that machine itself" },
		{ "a,name=A", NULL, "name=A: a name is made of" },
		{ "a,name=", NULL, "a name is made of" },
		{ "a,name", NULL, "name wants a value" },
		{ "a,stun=0", NULL, "stun=0: write its UDP port" },
		{ "a,stun=no", NULL, "or none" },
		{ "a,pin=x", NULL, "pin=x: write web" },
		{ "a,pin=" KEY_0, NULL, "write web" },
		{ "a,sutn=1", NULL, "did you mean stun?" },
		{ "a,region=1", NULL, "there are name=, stun= and pin=" },
		{ "a,", NULL, "\"\" is nothing" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct foreign relay, again;
		struct err err = { 0 };
		int r = foreign_choose(cases[i].text, &relay, &err);

		if (r != (cases[i].is ? 0 : -EINVAL))
			fail_msg("%s: %d, %s", cases[i].text, r, err.text);
		if (!cases[i].is) {
			if (!strstr(err.text, cases[i].says))
				fail_msg("%s: %s", cases[i].text, err.text);
			continue;
		}
		CLEANUP_JSON json_t *json = foreign_to_json(&relay, NULL);

		doc_assert_text(json, cases[i].is);
		assert_int_equal(foreign_from_json(json, &again, NULL), 0);
		assert_true(foreign_equal(&relay, &again));
	}
}

static void test_long(void **state)
{
	char text[2000];
	struct foreign relay;
	struct err err = { 0 };

	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(foreign_choose(text, &relay, &err), -EINVAL);
	assert_non_null(strstr(err.text, "too long"));
	/* The longest first label that a host can have is a name, too. */
	memcpy(text + 63, ".org", 5);
	assert_int_equal(foreign_choose(text, &relay, &err), 0);
	assert_int_equal(strlen(relay.name), 63);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_choose),
		cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
