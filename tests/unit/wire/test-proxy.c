/* proxy: what people write into https_proxy and NO_PROXY. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/proxy.h"

static void test_good(void **state)
{
	static const struct {
		const char *url, *text;
		enum proxy_kind kind;
		const char *user, *password; /* NULL: none */
	} cases[] = {
		{ "http://proxy:3128", "proxy:3128", PROXY_HTTP, NULL, "" },
		{ "proxy:3128", "proxy:3128", PROXY_HTTP, NULL, "" },
		{ "proxy", "proxy:80", PROXY_HTTP, NULL, "" },
		{ "HTTP://Proxy.Example.ORG/", "proxy.example.org:80", PROXY_HTTP, NULL, "" },
		{ "https://proxy", "proxy:443", PROXY_HTTPS, NULL, "" },
		{ "socks5h://10.0.0.1", "10.0.0.1:1080", PROXY_SOCKS5, NULL, "" },
		{ "socks5://a_b:9/", "a_b:9", PROXY_SOCKS5, NULL, "" },
		{ "http://[2001:DB8::1]:8080", "[2001:db8::1]:8080", PROXY_HTTP, NULL, "" },
		{ "http://[::1]/", "[::1]:80", PROXY_HTTP, NULL, "" },
		{ "http://proxy:/", "proxy:80", PROXY_HTTP, NULL, "" },
		{ "http://ann:secret@proxy:1", "proxy:1", PROXY_HTTP, "ann", "secret" },
		{ "ann:secret@proxy:1", "proxy:1", PROXY_HTTP, "ann", "secret" },
		{ "http://ann@proxy", "proxy:80", PROXY_HTTP, "ann", "" },
		{ "http://:x@proxy", "proxy:80", PROXY_HTTP, "", "x" },
		{ "http://CORP%5Cann:p%40ss%3a%2F%25@proxy", "proxy:80", PROXY_HTTP, "CORP\\ann",
			"p@ss:/%" },
		/* What people forget to encode, as far as there is one meaning. */
		{ "http://ann:p@s:s@proxy:1", "proxy:1", PROXY_HTTP, "ann", "p@s:s" },
		{ "http://ann:\xc3\xa4@proxy", "proxy:80", PROXY_HTTP, "ann", "\xc3\xa4" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP_PROXY struct proxy proxy = { 0 };
		char text[PROXY_TEXT_MAX];
		struct err err = { 0 };

		if (proxy_parse(cases[i].url, &proxy, &err) < 0)
			fail_msg("%s: %s", cases[i].url, err.text);
		assert_string_equal(proxy_text(&proxy, text), cases[i].text);
		assert_int_equal(proxy.kind, cases[i].kind);
		assert_int_equal(proxy.has_user, cases[i].user != NULL);
		assert_string_equal(proxy.user, cases[i].user ? cases[i].user : "");
		assert_string_equal(proxy.password, cases[i].password);
	}
}

static void test_bad(void **state)
{
	static const char *const cases[] = {
		"",
		"http://",
		"http://:3128",
		"http://ann:secret@",
		"ftp://ann:secret@proxy",
		"socks4://ann:secret@proxy",
		"http://ann:sec/ret@proxy:1",
		"http://ann:secret?@proxy:1",
		"http://ann:secret#1@proxy:1",
		"http://ann:secret@proxy/path",
		"http://ann:secret%@proxy",
		"http://ann:secret%4@proxy",
		"http://ann:secret%4g@proxy",
		"http://ann:secret%00@proxy",
		"http://ann:secret%0d%0a@proxy",
		"http://ann:secret@proxy:0",
		"http://ann:secret@proxy:65536",
		"http://ann:secret@proxy:12345678901234567890",
		"http://ann:secret@proxy:8o",
		"http://ann:secret@2001:db8::1",
		"http://ann:secret@[10.0.0.1]:80",
		"http://ann:secret@[proxy]:80",
		"http://ann:secret@[::1]80",
		"http://ann:secret@pro xy:80",
		"http://ann:secret@pro%20xy:80",
		"http://proxy:80\n",
		"http://proxy\r\nX: y",
	};
	struct proxy proxy = { .port = 42 };
	char user[300], host[300], url[1200];
	struct err err = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (proxy_parse(cases[i], &proxy, &err) != -EINVAL)
			fail_msg("%s", cases[i]);
		if (!*err.text || strstr(err.text, "sec") || strstr(err.text, "ret"))
			fail_msg("%s: %s", cases[i], err.text);
	}
	for (size_t len = 0; len < sizeof(url) - 1; len++)
		url[len] = '/';
	url[sizeof(url) - 1] = 0;
	assert_int_equal(proxy_parse(url, &proxy, &err), -EINVAL);
	memset(user, 'u', sizeof(user));
	memset(host, 'h', sizeof(host));
	user[PROXY_USER_MAX] = host[PROXY_HOST_MAX] = 0;
	(void) snprintf(url, sizeof(url), "http://%s@proxy", user);
	assert_int_equal(proxy_parse(url, &proxy, &err), -EINVAL);
	(void) snprintf(url, sizeof(url), "http://%s@proxy", user + 1);
	assert_int_equal(proxy_parse(url, &proxy, &err), 0);
	proxy.port = 42;
	(void) snprintf(url, sizeof(url), "http://%s", host);
	assert_int_equal(proxy_parse(url, &proxy, &err), -EINVAL);
	assert_int_equal(proxy.port, 42);
	(void) snprintf(url, sizeof(url), "http://%s", host + 1);
	assert_int_equal(proxy_parse(url, &proxy, &err), 0);
}

static void test_excepted(void **state)
{
	static const struct {
		const char *list, *host;
		uint16_t port;
		bool is;
	} cases[] = {
		{ "", "example.com", 443, false },
		{ " , ,", "example.com", 443, false },
		{ "*", "example.com", 443, true },
		{ "a,*", "2001:db8::1", 443, true },
		{ "example.com", "example.com", 443, true },
		{ "example.com", "Example.COM.", 443, true },
		{ "EXAMPLE.com.", "example.com", 443, true },
		{ "example.com", "www.example.com", 443, true },
		{ ".example.com", "www.example.com", 443, true },
		{ ".example.com", "example.com", 443, true },
		{ "*.example.com", "www.example.com", 443, true },
		{ "example.com", "notexample.com", 443, false },
		{ "www.example.com", "example.com", 443, false },
		{ "com", "example.com", 443, true },
		{ ".", "example.com", 443, false },
		{ "*.", "example.com", 443, false },
		{ "a b,example.com c", "example.com", 443, true },
		{ "a;example.com", "example.com", 443, true },
		{ "example.com:443", "example.com", 443, true },
		{ "example.com:8443", "example.com", 443, false },
		{ "example.com:", "example.com", 443, false },
		{ "example.com:x", "example.com", 443, false },
		{ "10.0.0.1", "10.0.0.1", 443, true },
		{ "10.0.0.1:443", "10.0.0.1", 443, true },
		{ "10.0.0.1:80", "10.0.0.1", 443, false },
		{ "10.0.0.1", "10.0.0.11", 443, false },
		{ "0.0.1", "10.0.0.1", 443, false }, /* an address is no name */
		{ "10.0.0.0/8", "10.9.8.7", 443, true },
		{ "10.1.2.3/8", "10.9.8.7", 443, true },
		{ "10.0.0.0/8", "11.0.0.0", 443, false },
		{ "0.0.0.0/0", "11.0.0.0", 443, true },
		{ "10.0.0.0/33", "10.0.0.0", 443, false },
		{ "10.0.0.0/x", "10.0.0.0", 443, false },
		{ "10.0.0.0/", "10.0.0.0", 443, false },
		{ "10.0.0.0/8", "10.example.com", 443, false },
		{ "10.0.0.0/8", "::ffff:10.0.0.1", 443, true },
		{ "::ffff:10.0.0.1", "10.0.0.1", 443, true },
		{ "::ffff:10.0.0.0/104", "10.9.8.7", 443, true },
		{ "::ffff:10.0.0.0/104", "11.9.8.7", 443, false },
		{ "2001:db8::1", "2001:db8:0::1", 443, true },
		{ "[2001:db8::1]", "2001:db8::1", 443, true },
		{ "[2001:db8::1]:443", "2001:db8::1", 443, true },
		{ "[2001:db8::1]:80", "2001:db8::1", 443, false },
		{ "[2001:db8::]/32", "2001:db8::1", 443, true },
		{ "2001:db8::/32", "2001:db8:1::1", 443, true },
		{ "2001:db8::/32", "2001:db9::1", 443, false },
		{ "::/0", "10.0.0.1", 443, false },
		{ "[", "example.com", 443, false },
		{ "]", "example.com", 443, false },
		{ "[]", "::1", 443, false },
		{ "[::1", "::1", 443, false },
		{ "[::1]x", "::1", 443, false },
		{ ":443", "example.com", 443, false },
	};
	char longer[600];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (proxy_is_excepted(cases[i].list, cases[i].host, cases[i].port) != cases[i].is)
			fail_msg("%s: %s", cases[i].list, cases[i].host);
	memset(longer, 'a', sizeof(longer));
	(void) snprintf(longer + 500, 100, ",example.com");
	assert_true(proxy_is_excepted(longer, "example.com", 443));
}

static void test_wiped(void **state)
{
	static const struct proxy none;
	struct proxy proxy;

	assert_int_equal(proxy_parse("http://ann:secret@proxy", &proxy, NULL), 0);
	proxy_done(&proxy);
	assert_memory_equal(&proxy, &none, sizeof(none));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_excepted),
		cmocka_unit_test(test_wiped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
