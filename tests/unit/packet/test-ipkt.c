/* ipkt: what counts as an IP packet, and how much it is padded. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "packet/ipkt.h"

static void test_v4(void **state)
{
	uint8_t p[64] = { 0x45, 0, 0, 40, [12] = 10, 1, 2, 3, 10, 4, 5, 6 };
	struct ipkt ip;

	assert_int_equal(ipkt_parse(p, 40, &ip), 0);
	assert_int_equal(ip.family, AF_INET);
	assert_int_equal(ip.len, 40);
	assert_memory_equal(ip.src, "\x0a\x01\x02\x03", 4);
	assert_memory_equal(ip.dst, "\x0a\x04\x05\x06", 4);
	assert_int_equal(ipkt_parse(p, 48, &ip), 0); /* padding behind it is not part of it */
	assert_int_equal(ip.len, 40);
	p[0] = 0x4a; /* options: a header of 40 bytes */
	assert_int_equal(ipkt_parse(p, 40, &ip), 0);
}

static void test_v6(void **state)
{
	uint8_t p[64] = { 0x60, 0, 0, 0, 0, 8, [8] = 0xfd, [23] = 1, [24] = 0xfd, [39] = 2 };
	struct ipkt ip;

	assert_int_equal(ipkt_parse(p, 48, &ip), 0);
	assert_int_equal(ip.family, AF_INET6);
	assert_int_equal(ip.len, 48);
	assert_ptr_equal(ip.src, p + 8);
	assert_ptr_equal(ip.dst, p + 24);
	p[5] = 0;
	assert_int_equal(ipkt_parse(p, 40, &ip), 0);
	assert_int_equal(ip.len, 40);
}

static void test_refused(void **state)
{
	static const struct {
		const char *what;
		uint8_t head[6];
		size_t len;
	} cases[] = {
		{ "nothing", { 0 }, 0 },
		{ "version 0", { 0x05, 0, 0, 40 }, 40 },
		{ "version 5", { 0x55, 0, 0, 40 }, 40 },
		{ "version 15", { 0xff, 0xff, 0xff, 0xff }, 40 },
		{ "IPv4, one byte", { 0x45 }, 1 },
		{ "IPv4, header cut", { 0x45, 0, 0, 19 }, 19 },
		{ "IPv4, header length 16", { 0x44, 0, 0, 40 }, 40 },
		{ "IPv4, header length 0", { 0x40, 0, 0, 40 }, 40 },
		{ "IPv4, total shorter than the header", { 0x46, 0, 0, 20 }, 40 },
		{ "IPv4, total 0", { 0x45, 0, 0, 0 }, 40 },
		{ "IPv4, one byte missing", { 0x45, 0, 0, 41 }, 40 },
		{ "IPv4, total 65535", { 0x45, 0, 0xff, 0xff }, 60 },
		{ "IPv6, header cut", { 0x60, 0, 0, 0, 0, 0 }, 39 },
		{ "IPv6, one byte missing", { 0x60, 0, 0, 0, 0, 9 }, 48 },
		{ "IPv6, payload 65535", { 0x60, 0, 0, 0, 0xff, 0xff }, 60 },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t p[64] = { 0 };
		struct ipkt ip;

		memcpy(p, cases[i].head, sizeof(cases[i].head));
		if (ipkt_parse(p, cases[i].len, &ip) != -EBADMSG)
			fail_msg("%s was taken", cases[i].what);
	}
}

static void test_padding(void **state)
{
	static const struct {
		size_t len, mtu, padding;
	} cases[] = {
		{ 0, 1420, 0 }, { 1, 1420, 15 }, { 16, 1420, 0 }, { 17, 1420, 15 },
		{ 1408, 1420, 0 }, { 1409, 1420, 11 }, /* up to the MTU only */
		{ 1419, 1420, 1 }, { 1420, 1420, 0 }, { 1280, 1280, 0 }, { 1279, 1280, 1 },
		{ 84, 1280, 12 }, { 1500, 1420, 0 }, /* 80 above: 80 % 16 */
		{ 1421, 1420, 15 }, { 1420, 0, 4 },  /* MTU unknown */
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (ipkt_padding(cases[i].len, cases[i].mtu) != cases[i].padding)
			fail_msg("%zu of %zu: %zu", cases[i].len, cases[i].mtu,
				ipkt_padding(cases[i].len, cases[i].mtu));
	for (size_t len = 0; len <= 1500; len++)
		for (size_t mtu = 68; mtu <= 1500; mtu += 7)
			if (len <= mtu)
				assert_true(len + ipkt_padding(len, mtu) <= mtu);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_v4),
		cmocka_unit_test(test_v6),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_padding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
