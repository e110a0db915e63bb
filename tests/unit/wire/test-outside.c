/* outside: one way to write where something is, and what a person hears who writes it otherwise. */
#include "cases.h"

#include <stdio.h>

#include "wire/outside.h"

static void test_hosts(void **state)
{
	static const struct {
		const char *host;
		bool valid;
	} cases[] = {
		{ "stun.example.org", true },
		{ "nas", true },
		{ "1.example.org", true },
		{ "xn--kche-0ra.example", true },
		{ "192.0.2.1", true },
		{ "10.0.0.1", true },
		{ "2001:db8::1", true },
		{ "", false },
		{ "Stun.example.org", false },
		{ "stun.example.org.", false },
		{ "stun..org", false },
		{ "-a.org", false },
		{ "a_b.org", false },
		{ "a b", false },
		{ "192.0.2", false },
		{ "192.0.2.256", false },
		{ "2001:DB8::1", false },
		{ "2001:db8:0::1", false },
		{ "[2001:db8::1]", false },
		{ "::ffff:192.0.2.1", false },
		{ "fe80::1", false },
		{ "fe80::1%2", false },
		{ "169.254.1.1", false },
		{ "127.0.0.1", false },
		{ "127.9.9.9", false },
		{ "::1", false },
		{ "0.0.0.0", false },
		{ "0.1.2.3", false },
		{ "255.255.255.255", false },
		{ "::", false },
		{ "224.0.0.1", false },
		{ "ff02::1", false },
		{ "localhost", false },
		{ "a.localhost", false },
		{ "notlocalhost", true },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (outside_host_is_valid(cases[i].host) != cases[i].valid)
			fail_msg("%s: not %d", cases[i].host, cases[i].valid);
}

static void test_parse(void **state)
{
	static const char *const good[] = { "stun.example.org:3478", "192.0.2.1:1",
		"[2001:db8::1]:65535" };
	static const char *const bad[] = { "", ":", ":1", "a", "a:", "a:0", "a:65536", "a:01",
		"a:+1", "a:1 ", "A:1", "2001:db8::1", "2001:db8::1:3478", "[2001:db8::1]",
		"[2001:db8::1]:", "[2001:db8::1]x:1", "[2001:db8::1", "[192.0.2.1]:1", "[a]:1",
		"[]:1", "[:]:1", "a:1:2", "a.:1", "127.0.0.1:1", "u@a:1" };
	struct outside at, before;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		char text[OUTSIDE_TEXT_MAX];

		if (outside_parse(good[i], &at) < 0)
			fail_msg("%s is refused", good[i]);
		assert_string_equal(outside_format(&at, text), good[i]);
		assert_true(outside_equal(&at, &at));
	}
	assert_string_equal(at.host, "2001:db8::1");
	assert_int_equal(at.port, 65535);
	before = at;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (outside_parse(bad[i], &at) != -EINVAL)
			fail_msg("%s is taken", bad[i]);
	assert_memory_equal(&at, &before, sizeof(at));
	before.port--;
	assert_false(outside_equal(&at, &before));
	before = at;
	before.host[0] = '3';
	assert_false(outside_equal(&at, &before));
}

/* The longest name that there can be, and one more. */
static void test_long(void **state)
{
	char host[FIELD_HOST_MAX + 1], text[OUTSIDE_TEXT_MAX + 8], again[OUTSIDE_TEXT_MAX];
	struct outside at;
	struct err err = { 0 };

	for (size_t i = 0; i < FIELD_HOST_MAX - 1; i++)
		host[i] = i % 50 == 49 ? '.' : 'a';
	host[FIELD_HOST_MAX - 1] = '\0';
	(void) snprintf(text, sizeof(text), "%s:65535", host);
	assert_int_equal(outside_parse(text, &at), 0);
	assert_string_equal(outside_format(&at, again), text);
	host[FIELD_HOST_MAX - 1] = 'a';
	host[FIELD_HOST_MAX] = '\0';
	(void) snprintf(text, sizeof(text), "%s:1", host);
	assert_int_equal(outside_parse(text, &at), -EINVAL);
	assert_int_equal(outside_choose(text, 1, &at, &err), -EINVAL);
}

static void test_choose(void **state)
{
	static const struct {
		const char *text, *is; /* NULL: refused, and the words: */
		const char *says;
	} cases[] = {
		{ "stun.example.org", "stun.example.org:7", NULL },
		{ "Stun.Example.ORG.:3478", "stun.example.org:3478", NULL },
		{ "192.0.2.1", "192.0.2.1:7", NULL },
		{ "192.0.2.1:65535", "192.0.2.1:65535", NULL },
		{ "2001:DB8:0:0::1", "[2001:db8::1]:7", NULL },
		{ "[2001:DB8::1]", "[2001:db8::1]:7", NULL },
		{ "[2001:DB8::1]:80", "[2001:db8::1]:80", NULL },
		{ "::ffff:192.0.2.1", "192.0.2.1:7", NULL },
		{ "", NULL, "no host that can be" },
		{ "a:", NULL, "\"a:\" is no host and port" },
		{ "[2001:db8::1", NULL, "in brackets" },
		{ "a:0", NULL, "from 1 to 65535" },
		{ "a:70000", NULL, "\"a:70000\" has a port" },
		{ "a:http", NULL, "has a port" },
		{ "a b", NULL, "no host that can be" },
		{ "u@a:1", NULL, "no host that can be" },
		{ "192.0.2.256", NULL, "no host that can be" },
		{ "stun://a:1", NULL, "is a URL" },
		{ "127.0.0.1:1", NULL, "that machine itself" },
		{ "::ffff:127.0.0.1", NULL, "that machine itself" },
		{ "LocalHost", NULL, "that machine itself" },
		{ "fe80::1", NULL, "one link only" },
		{ "ff02::1", NULL, "no single machine" },
		{ "0.0.0.0:1", NULL, "no single machine" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct outside at = { 0 };
		struct err err = { 0 };
		char text[OUTSIDE_TEXT_MAX];
		int r = outside_choose(cases[i].text, 7, &at, &err);

		if (r != (cases[i].is ? 0 : -EINVAL))
			fail_msg("%s: %d, %s", cases[i].text, r, err.text);
		if (cases[i].is)
			assert_string_equal(outside_format(&at, text), cases[i].is);
		else if (!strstr(err.text, cases[i].says))
			fail_msg("%s: %s", cases[i].text, err.text);
	}
}

static void test_urls(void **state)
{
	static const struct {
		const char *text, *is;
		const char *says;
	} cases[] = {
		{ "https://a", "https://a", NULL },
		{ "HTTPS://Home.Example.ORG:8443/", "https://home.example.org:8443", NULL },
		{ "https://192.0.2.1:1", "https://192.0.2.1:1", NULL },
		{ "https://127.0.0.1:8443", "https://127.0.0.1:8443", NULL }, /* as init takes it */
		{ "https://[2001:DB8::1]", "https://[2001:db8::1]", NULL },
		{ "https://[2001:DB8::1]:8443", "https://[2001:db8::1]:8443", NULL },
		{ "https://[::ffff:192.0.2.1]:1", "https://192.0.2.1:1", NULL },
		{ "", NULL, "write https://HOST:PORT" },
		{ "http://a:1", NULL, "\"http://a:1\" is no https:// URL" },
		{ "http://a:1", NULL, "write https://a:1" },
		{ "a:8443", NULL, "write https://a:8443" },
		{ "https://", NULL, "no host that can be" },
		{ "https://:8443", NULL, "no host that can be" },
		{ "https://a:0", NULL, "from 1 to 65535" },
		{ "https://a:", NULL, "no host and port" },
		{ "https://a b", NULL, "no host that can be" },
		{ "https://a/b", NULL, "write https://a" },
		{ "https://a?b", NULL, "behind its host and port" },
		{ "https://a#b", NULL, "behind its host and port" },
		{ "https://a//", NULL, "behind its host and port" },
		{ "https://me:secret@a:1", NULL, "a user or a password" },
		{ "ftp://me:secret@a:1", NULL, "a user or a password" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char url[FIELD_URL_MAX] = "";
		struct err err = { 0 };
		int r = outside_choose_url(cases[i].text, url, &err);

		if (r != (cases[i].is ? 0 : -EINVAL))
			fail_msg("%s: %d, %s", cases[i].text, r, err.text);
		if (cases[i].is) {
			assert_string_equal(url, cases[i].is);
			assert_true(field_url_is_valid(url));
		} else if (!strstr(err.text, cases[i].says)) {
			fail_msg("%s: %s", cases[i].text, err.text);
		}
		assert_null(strstr(err.text, "secret"));
	}
}

static void test_long_urls(void **state)
{
	char text[400], url[FIELD_URL_MAX];
	struct err err = { 0 };

	/* As long as a host can be and a URL at most. */
	(void) snprintf(text, sizeof(text), "https://%.*s", FIELD_URL_MAX - 9,
		"aaaaaaaaa.aaaaaaaaa.aaaaaaaaa.aaaaaaaaa.aaaaaaaaa.aaaaaaaaa.aaaaaaaaa.aaaaaaaaa."
		"aaaaaaaaa.aaaaaaaaa.aaaaaaaaa.aaaaaaaaa.aaaaaaaaa.aaaaaaaaa.aaaaaaaaa.aaaaaaaaa."
		"aaaaaaaaa.aaaaaaaaa.aaaaaaaaa.aaaaaaaaa.aaaaaaaaa.aaaaaaaaa.aaaaaaaaa.aaaaaaaaa."
		"aaaaaaaaa.aaaaaaaaa.aaaaaaaaa.");
	assert_int_equal(strlen(text), FIELD_URL_MAX - 1);
	assert_int_equal(outside_choose_url(text, url, &err), 0);
	assert_string_equal(url, text);
	(void) strcat(text, "a");
	assert_int_equal(outside_choose_url(text, url, &err), -EINVAL);
	assert_non_null(strstr(err.text, "at most 255"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_choose),
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_long_urls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
