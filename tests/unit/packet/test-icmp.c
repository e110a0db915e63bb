/* icmp: who is told that a destination cannot be reached, and who is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "packet/checksum.h"
#include "packet/icmp.h"
#include "packet/ipkt.h"

enum { UDP = 17, ICMP = 1, ICMP6 = 58 };

/* 10.0.0.1 to 10.0.0.2, or fd00::1 to fd00::2, of @len bytes. */
static void packet4(uint8_t *p, size_t len, uint8_t protocol)
{
	memset(p, 0x5a, len);
	memcpy(p,
		(uint8_t[20]){ 0x45, 0, (uint8_t) (len >> 8), (uint8_t) len, 1, 2, 0, 0, 64,
			protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2 },
		20);
}

static void packet6(uint8_t *p, size_t len, uint8_t next)
{
	memset(p, 0x5a, len);
	memcpy(p,
		(uint8_t[40]){ 0x60, 0, 0, 0, (uint8_t) ((len - 40) >> 8), (uint8_t) (len - 40),
			next, 64, [8] = 0xfd, [23] = 1, [24] = 0xfd, [39] = 2 },
		40);
}

static void test_v4(void **state)
{
	static const struct {
		size_t len, error_len;
	} cases[] = { { 28, 56 }, { 84, 112 }, { 548, 576 }, { 549, 576 }, { 1500, 576 } };
	uint8_t p[1500], e[ICMP_ERROR_MAX];
	struct ipkt ip;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t n = cases[i].error_len;

		packet4(p, cases[i].len, UDP);
		assert_int_equal(icmp_unreachable(p, cases[i].len, e), n);
		assert_int_equal(ipkt_parse(e, n, &ip), 0);
		assert_int_equal(ip.len, n);
		assert_memory_equal(ip.src, p + 16, 4);
		assert_memory_equal(ip.dst, p + 12, 4);
		assert_int_equal(checksum_fold(checksum_add(0, e, 20)), 0xffff);
		assert_int_equal(checksum_fold(checksum_add(0, e + 20, n - 20)), 0xffff);
		assert_int_equal(e[9], ICMP);
		assert_int_equal(e[20], 3);
		assert_int_equal(e[21], 1);
		assert_memory_equal(e + 28, p, n - 28);
	}
}

static void test_v6(void **state)
{
	static const struct {
		size_t len, error_len;
	} cases[] = { { 48, 96 }, { 1232, 1280 }, { 1233, 1280 }, { 1500, 1280 } };
	uint8_t p[1500], e[ICMP_ERROR_MAX];
	struct ipkt ip;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t n = cases[i].error_len;
		uint64_t sum;

		packet6(p, cases[i].len, UDP);
		assert_int_equal(icmp_unreachable(p, cases[i].len, e), n);
		assert_int_equal(ipkt_parse(e, n, &ip), 0);
		assert_int_equal(ip.len, n);
		assert_memory_equal(ip.src, p + 24, 16);
		assert_memory_equal(ip.dst, p + 8, 16);
		sum = checksum_pseudo(e + 8, 32, ICMP6) + htobe16((uint16_t) (n - 40));
		assert_int_equal(checksum_fold(checksum_add(sum, e + 40, n - 40)), 0xffff);
		assert_int_equal(e[6], ICMP6);
		assert_int_equal(e[40], 1);
		assert_int_equal(e[41], 3);
		assert_memory_equal(e + 48, p, n - 48);
	}
}

static bool answered4(size_t at, uint8_t value, uint8_t protocol)
{
	uint8_t p[64], e[ICMP_ERROR_MAX];

	packet4(p, sizeof(p), protocol);
	p[at] = value;
	return icmp_unreachable(p, sizeof(p), e) > 0;
}

static bool answered6(size_t at, uint8_t value, uint8_t next)
{
	uint8_t p[96], e[ICMP_ERROR_MAX];

	packet6(p, sizeof(p), next);
	p[at] = value;
	return icmp_unreachable(p, sizeof(p), e) > 0;
}

static void test_silence4(void **state)
{
	uint8_t p[64], e[ICMP_ERROR_MAX];

	assert_true(answered4(6, 0x20, UDP));  /* the first fragment */
	assert_false(answered4(7, 1, UDP));    /* another one */
	assert_false(answered4(16, 224, UDP)); /* to many */
	assert_false(answered4(16, 255, UDP));
	assert_false(answered4(12, 0, UDP)); /* from nobody in particular */
	assert_false(answered4(12, 127, UDP));
	assert_false(answered4(12, 239, UDP));
	assert_true(answered4(20, 8, ICMP)); /* an echo request */
	assert_true(answered4(20, 0, ICMP));
	for (size_t i = 0; i < 5; i++) /* errors */
		assert_false(answered4(20, (uint8_t[]){ 3, 4, 5, 11, 12 }[i], ICMP));
	packet4(p, 20, ICMP);
	assert_int_equal(icmp_unreachable(p, 20, e), 0); /* ICMP without a type */
	assert_int_equal(icmp_unreachable(p, 19, e), 0);
	assert_int_equal(icmp_unreachable(p, 0, e), 0);
}

static void test_silence6(void **state)
{
	uint8_t p[96], e[ICMP_ERROR_MAX];

	assert_false(answered6(24, 0xff, UDP));
	assert_false(answered6(8, 0xff, UDP));
	assert_true(answered6(40, 128, ICMP6));
	assert_false(answered6(40, 1, ICMP6));
	assert_false(answered6(40, 127, ICMP6));
	assert_false(answered6(40, 137, ICMP6));
	/* behind extension headers */
	packet6(p, sizeof(p), 0);
	memcpy(p + 40, (uint8_t[]){ 60, 0, 1, 4, 0, 0, 0, 0, ICMP6, 1 }, 10);
	p[40 + 8 + 16] = 128;
	assert_true(icmp_unreachable(p, sizeof(p), e) > 0);
	p[40 + 8 + 16] = 3;
	assert_int_equal(icmp_unreachable(p, sizeof(p), e), 0);
	assert_int_equal(icmp_unreachable(p, 50, e), 0); /* cut in the midst of them */
	packet6(p, sizeof(p), 44);
	memcpy(p + 40, (uint8_t[]){ UDP, 200, 0, 1 }, 4);
	assert_true(icmp_unreachable(p, sizeof(p), e) > 0); /* the first fragment */
	p[43] = 9;
	assert_int_equal(icmp_unreachable(p, sizeof(p), e), 0);
	packet6(p, sizeof(p), UDP);
	memset(p + 8, 0, 16);
	assert_int_equal(icmp_unreachable(p, sizeof(p), e), 0); /* from :: */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_v4),
		cmocka_unit_test(test_v6),
		cmocka_unit_test(test_silence4),
		cmocka_unit_test(test_silence6),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
