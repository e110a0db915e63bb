/* base: buffers, files, addresses. */
#include <errno.h>
#include <getopt.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/fnv.h"
#include "base/ip.h"
#include "base/number.h"
#include "base/usage.h"

static void test_buf(void **state)
{
	CLEANUP_BUF struct buf b = { 0 };

	assert_string_equal(buf_str(&b), "");
	for (int i = 0; i < 1000; i++)
		buf_printf(&b, "%d,", i);
	assert_false(buf_failed(&b));
	assert_int_equal(b.len, 10 * 2 + 90 * 3 + 900 * 4);
	assert_int_equal(strlen(buf_str(&b)), b.len);
	buf_add(&b, "", SIZE_MAX / 2);
	assert_true(buf_failed(&b));
	assert_null(buf_take(&b, NULL));
	assert_int_equal(b.len, 0);
}

static void test_err(void **state)
{
	struct err e = { 0 };

	errno = ENOENT;
	assert_int_equal(err_set(&e, -ENOENT, "open %s: %m", "/x"), -ENOENT);
	assert_string_equal(e.text, "open /x: No such file or directory");
	assert_int_equal(err_prefix(&e, "reading %d", 7), -ENOENT);
	assert_string_equal(e.text, "reading 7: open /x: No such file or directory");
	assert_int_equal(err_set(NULL, -EIO, "unheard"), -EIO);
}

static void test_file(void **state)
{
	char dir[] = "/tmp/hearth-test-base.XXXXXX", path[64], deep[64];

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/f", dir);
	snprintf(deep, sizeof(deep), "%s/a/b", dir);
	assert_int_equal(file_mkdirs(deep, 0700), 0);
	assert_int_equal(file_mkdirs(deep, 0700), 0);
	CLEANUP_BUF struct buf b = { 0 };

	assert_int_equal(file_read(path, 10, &b), -ENOENT);
	assert_int_equal(file_write_atomic(path, "hello", 5, 0600), 0);
	assert_int_equal(file_write_if_changed(path, "hello", 5, 0600), 0);
	assert_int_equal(file_write_if_changed(path, "hello", 5, 0640), 1); /* the mode counts */
	assert_int_equal(file_write_if_changed(path, "hellO", 5, 0640), 1);
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(file_read(path, 4, &b), -EFBIG);
	buf_done(&b);
	assert_int_equal(file_read(path, 5, &b), 0);
	assert_string_equal(buf_str(&b), "hellO");
	buf_done(&b);
	assert_int_equal(file_read(dir, 5, &b), -EISDIR);
	assert_int_equal(file_mkdirs(path, 0700), -ENOTDIR);
	assert_int_equal(file_write_atomic("/nonexistent/x", "", 0, 0600), -ENOENT);
	unlink(path);
	rmdir(deep);
	snprintf(deep, sizeof(deep), "%s/a", dir);
	rmdir(deep);
	assert_int_equal(rmdir(dir), 0); /* no temporary file left */
}

static void test_prefixes(void **state)
{
	static const struct {
		const char *text;
		const char *back; /* NULL: refused */
	} cases[] = {
		{ "10.77.0.0/16", "10.77.0.0/16" },
		{ "0.0.0.0/0", "0.0.0.0/0" },
		{ "::/0", "::/0" },
		{ "10.77.0.1", "10.77.0.1/32" },
		{ "fd00::1", "fd00::1/128" },
		{ "fd00::/48", "fd00::/48" },
		{ "10.77.0.1/16", NULL },
		{ "10.77.0.0/33", NULL },
		{ "10.77.0.0/", NULL },
		{ "10.77.0.0/+16", NULL },
		{ "10.77.0.0/016", NULL },
		{ "10.77.0.0/16x", NULL },
		{ "", NULL },
		{ "fd00::1/64", NULL },
		{ "fd00::/129", NULL },
		{ "10.77.0/16", NULL },
		{ "/16", NULL },
		{ "fd00:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000/48", NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ip_prefix p;
		char text[PREFIX_TEXT_MAX];
		int r = ip_prefix_parse(cases[i].text, &p);

		assert_int_equal(r, cases[i].back ? 0 : -EINVAL);
		if (cases[i].back)
			assert_string_equal(ip_prefix_format(&p, text), cases[i].back);
	}
}

static void test_numbers(void **state)
{
	static const char *const bad[] = { "", " 5", "5 ", "+5", "-1", "05", "00", "5x", "0x5",
		"1e3" };
	static const struct {
		const char *text;
		uint64_t min, max, wanted;
		int r;
	} cases[] = {
		{ "0", 0, 0, 0, 0 },
		{ "0", 1, 9, 0, -ERANGE },
		{ "9", 1, 9, 9, 0 },
		{ "10", 1, 9, 0, -ERANGE },
		{ "18446744073709551615", 0, UINT64_MAX, UINT64_MAX, 0 },
		{ "18446744073709551616", 0, UINT64_MAX, 0, -ERANGE },
		{ "99999999999999999999999", 0, UINT64_MAX, 0, -ERANGE },
	};
	uint64_t n = 7;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(number_parse(bad[i], 0, 9, &n), -EINVAL);
	assert_int_equal(n, 7);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		n = 0;
		assert_int_equal(
			number_parse(cases[i].text, cases[i].min, cases[i].max, &n), cases[i].r);
		assert_true(n == cases[i].wanted);
	}
}

static void test_endpoints(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} cases[] = {
		{ "192.0.2.1:41741", true },
		{ "[2001:db8::1]:41741", true },
		{ "[fe80::1%7]:1", true },
		{ "192.0.2.1", false },
		{ "2001:db8::1:41741", false },
		{ "[192.0.2.1]:1", false },
		{ "192.0.2.1:65536", false },
		{ "192.0.2.1:-1", false },
		{ "192.0.2.1:", false },
		{ ":1", false },
		{ "[]:1", false },
		{ "[fe80::1%]:1", false },
		{ "[fe80::1%x]:1", false },
		{ "[::1", false },
		{ "]:1", false },
		{ "[:1", false },
		{ "192.0.2.1:01", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct endpoint e, f;
		char text[ENDPOINT_TEXT_MAX];

		assert_int_equal(endpoint_parse(cases[i].text, &e), cases[i].good ? 0 : -EINVAL);
		if (!cases[i].good)
			continue;
		assert_string_equal(endpoint_format(&e, text), cases[i].text);
		struct sockaddr_storage ss;

		assert_true(endpoint_to_sockaddr(&e, &ss) > 0);
		assert_int_equal(endpoint_from_sockaddr((struct sockaddr *) &ss, &f), 0);
		assert_true(endpoint_equal(&e, &f));
	}
	struct sockaddr_in6 mapped = { .sin6_family = AF_INET6, .sin6_port = htons(9) };
	struct endpoint e;
	char text[ENDPOINT_TEXT_MAX];

	memcpy(mapped.sin6_addr.s6_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\1", 16);
	assert_int_equal(endpoint_from_sockaddr((struct sockaddr *) &mapped, &e), 0);
	assert_string_equal(endpoint_format(&e, text), "10.0.0.1:9");
}

static void test_arithmetic(void **state)
{
	struct ip_prefix p, q, sub;
	struct ip_addr a;
	char text[PREFIX_TEXT_MAX], addr[IP_TEXT_MAX];

	assert_int_equal(ip_prefix_parse("10.244.0.0/16", &p), 0);
	assert_int_equal(ip_prefix_subnet(&p, 24, 255, &sub), 0);
	assert_string_equal(ip_prefix_format(&sub, text), "10.244.255.0/24");
	assert_int_equal(ip_prefix_subnet(&p, 24, 256, &sub), -ERANGE);
	assert_int_equal(ip_prefix_subnet(&p, 8, 0, &sub), -EINVAL);
	assert_int_equal(ip_prefix_nth(&p, 65535, &a), 0);
	assert_string_equal(ip_addr_format(&a, addr), "10.244.255.255");
	assert_int_equal(ip_prefix_nth(&p, 65536, &a), -ERANGE);
	assert_int_equal(ip_prefix_nth(&p, UINT64_MAX, &a), -ERANGE);
	assert_int_equal(ip_prefix_parse("fd00:1:2:1000::/56", &p), 0);
	assert_int_equal(ip_prefix_subnet(&p, 64, 255, &sub), 0);
	assert_string_equal(ip_prefix_format(&sub, text), "fd00:1:2:10ff::/64");
	assert_int_equal(ip_prefix_subnet(&p, 64, 256, &sub), -ERANGE);
	assert_int_equal(ip_prefix_parse("255.255.255.255", &q), 0);
	assert_int_equal(ip_prefix_nth(&q, 1, &a), -ERANGE);
	assert_int_equal(ip_prefix_parse("10.0.0.0/8", &p), 0);
	assert_int_equal(ip_prefix_parse("10.244.0.0/16", &q), 0);
	assert_true(ip_prefix_overlaps(&p, &q) && ip_prefix_overlaps(&q, &p));
	assert_int_equal(ip_prefix_parse("100.64.0.0/10", &q), 0);
	assert_false(ip_prefix_overlaps(&p, &q));
	assert_int_equal(ip_addr_parse("100.127.255.255", &a), 0);
	assert_true(ip_prefix_contains(&q, &a));
	assert_int_equal(ip_addr_parse("100.128.0.0", &a), 0);
	assert_false(ip_prefix_contains(&q, &a));
	assert_int_equal(ip_addr_parse("fe80::1", &a), 0);
	assert_true(ip_addr_is_link_local(&a) && !ip_addr_is_loopback(&a));
	assert_false(ip_prefix_contains(&q, &a));
}

static void test_private(void **state)
{
	static const char *const private[] = { "10.0.0.0", "10.255.255.255", "172.16.0.1",
		"172.31.255.255", "192.168.0.1", "100.64.0.1", "100.127.255.255", "fc00::1",
		"fdff::1" };
	static const char *const public[] = { "9.255.255.255", "11.0.0.0", "172.15.255.255",
		"172.32.0.0", "192.167.255.255", "192.169.0.0", "100.63.255.255", "100.128.0.0",
		"fbff::1", "fe00::1", "2001:db8::1", "8.8.8.8" };
	struct ip_addr a;

	for (size_t i = 0; i < ARRAY_LEN(private); i++) {
		assert_int_equal(ip_addr_parse(private[i], &a), 0);
		assert_true(ip_addr_is_private(&a));
	}
	for (size_t i = 0; i < ARRAY_LEN(public); i++) {
		assert_int_equal(ip_addr_parse(public[i], &a), 0);
		assert_false(ip_addr_is_private(&a));
	}
	assert_false(ip_addr_is_private(&(struct ip_addr){ 0 }));
}

static void test_unmapped(void **state)
{
	static const char *const pairs[][2] = {
		{ "::ffff:192.0.2.1", "192.0.2.1" },
		{ "::ffff:0.0.0.0", "0.0.0.0" },
		{ "192.0.2.1", "192.0.2.1" },
		{ "::fffe:192.0.2.1", "::fffe:192.0.2.1" },
		{ "1::ffff:192.0.2.1", "1::ffff:192.0.2.1" },
		{ "::192.0.2.1", "::192.0.2.1" },
		{ "2001:db8::1", "2001:db8::1" },
	};

	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		struct ip_addr a, expected;

		assert_int_equal(ip_addr_parse(pairs[i][0], &a), 0);
		assert_int_equal(ip_addr_parse(pairs[i][1], &expected), 0);
		a = ip_addr_unmapped(&a);
		assert_true(ip_addr_equal(&a, &expected));
	}
	assert_int_equal(ip_addr_unmapped(&(struct ip_addr){ 0 }).family, AF_UNSPEC);
}

/* One order for all of them, in which only equal ones are equal. */
static void test_prefix_order(void **state)
{
	static const char *const sorted[] = { "0.0.0.0/0", "10.0.0.0/8", "11.0.0.0/8", "9.0.0.0/16",
		"10.0.0.0/24", "10.0.1.0/24", "0.0.0.0/32", "::/0", "fd00::/48", "fd00:0:1::/48",
		"fd00::/64" };

	for (size_t i = 0; i < ARRAY_LEN(sorted); i++)
		for (size_t j = 0; j < ARRAY_LEN(sorted); j++) {
			struct ip_prefix a, b;
			int order;

			assert_int_equal(ip_prefix_parse(sorted[i], &a), 0);
			assert_int_equal(ip_prefix_parse(sorted[j], &b), 0);
			order = ip_prefix_compare(&a, &b);
			assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
			assert_int_equal(order == 0, ip_prefix_equal(&a, &b));
		}
}

static void test_fnv(void **state)
{
	/* published test vectors of FNV-1a 64 */
	assert_true(fnv64(FNV64_START, "", 0) == UINT64_C(0xcbf29ce484222325));
	assert_true(fnv64(FNV64_START, "a", 1) == UINT64_C(0xaf63dc4c8601ec8c));
	assert_true(fnv64(FNV64_START, "foobar", 6) == UINT64_C(0x85944171f73967e8));
}

static void test_nearest(void **state)
{
	static const char *const names[] = { "status", "ping", "ip", "reload", "token create",
		NULL };
	static const struct {
		const char *word, *near;
	} cases[] = {
		{ "status", "status" },
		{ "sttaus", "status" },
		{ "statsu", "status" },
		{ "stat", "status" },
		{ "pong", "ping" },
		{ "pin", "ping" },
		{ "relode", "reload" },
		{ "token craete", "token create" },
		{ "up", "ip" },
		{ "foo", NULL },
		{ "x", NULL },
		{ "", NULL },
		{ "statistics", NULL },
		{ "a word that is longer than any name could be, to be sure", NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *near = usage_nearest(cases[i].word, names);

		if (!near != !cases[i].near || (near && strcmp(near, cases[i].near) != 0))
			fail_msg("%s: %s", cases[i].word, near ? near : "nothing");
	}
}

static void test_getopt(void **state)
{
	static const struct option longs[] = { { "json", no_argument, NULL, 'j' },
		{ "count", required_argument, NULL, 'c' }, { "control", no_argument, NULL, 300 },
		{ 0 } };
	static const struct {
		const char *argv[4];
		int first; /* what the first call returns */
		const char *text;
	} cases[] = {
		{ { "p", "--jsno" }, '?', "there is no option --jsno (did you mean --json?)" },
		{ { "p", "--xyzzy" }, '?', "there is no option --xyzzy" },
		{ { "p", "--co" }, '?', "there is no option --co (did you mean --count?)" },
		{ { "p", "--json=x" }, '?', "option --json takes no value" },
		{ { "p", "--jsno=x" }, '?', "there is no option --jsno (did you mean --json?)" },
		{ { "p", "--control=x" }, '?', "option --control takes no value" },
		{ { "p", "--count" }, '?', "option --count wants a value" },
		{ { "p", "-c" }, '?', "option -c wants a value" },
		{ { "p", "-x" }, '?', "there is no option -x" },
		{ { "p", "-xj", "--count=1" }, '?', "there is no option -x" },
		{ { "p", "-\xff" }, '?', "there is no option -?" },
		{ { "p", "--", "--jsno" }, -1, "" },
		{ { "p", "--json" }, 'j', "" },
		{ { "p", "--contr" }, 300, "" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char text[USAGE_TEXT_MAX] = "";
		char *argv[4] = { NULL };
		int argc = 0, c;

		while (argc < 3 && cases[i].argv[argc]) {
			argv[argc] = (char *) cases[i].argv[argc];
			argc++;
		}
		optind = 0; /* as glibc wants it for another command line */
		c = usage_getopt(argc, argv, "jc:", longs, NULL, text);
		if (c != cases[i].first || strcmp(text, cases[i].text) != 0)
			fail_msg("%s: %d, %s", cases[i].argv[1], c, text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nearest),
		cmocka_unit_test(test_getopt),
		cmocka_unit_test(test_buf),
		cmocka_unit_test(test_err),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_endpoints),
		cmocka_unit_test(test_arithmetic),
		cmocka_unit_test(test_private),
		cmocka_unit_test(test_unmapped),
		cmocka_unit_test(test_prefix_order),
		cmocka_unit_test(test_fnv),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
