/* checksum: against RFC 1071's example and a slow sum of every length and alignment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

#include "packets.h"
#include "packet/checksum.h"

static unsigned folded(uint64_t sum)
{
	return be16toh(checksum_fold(sum));
}

static void test_example(void **state)
{
	static const uint8_t rfc1071[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };

	assert_int_equal(folded(checksum_add(0, rfc1071, sizeof(rfc1071))), 0xddf2);
	assert_int_equal(be16toh(checksum_field(checksum_add(0, rfc1071, 8))), 0xffff & ~0xddf2);
	assert_int_equal(folded(checksum_add_words(0, rfc1071, 2)), 0xddf2);
	assert_int_equal(folded(checksum_sub(checksum_add(0, rfc1071, 8), htobe16(0xf6f7))),
		slow_sum(0, rfc1071, 6));
}

/* 0 means "none" on the wire, 0xffff is the same number. */
static void test_zero(void **state)
{
	assert_int_equal(checksum_field(htobe16(0xffff)), 0xffff);
	assert_int_equal(checksum_field(0), 0xffff);
	assert_int_equal(checksum_fold(0), 0);
	assert_int_equal(checksum_fold(UINT64_MAX), 0xffff);
}

static void test_every_length(void **state)
{
	static uint8_t data[1024 + 64];
	uint64_t random = 1;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t) next_random(&random);
	for (size_t len = 0; len <= 1024; len++)
		for (size_t at = 0; at<64; at += len> 160 ? 13 : 1)
			if (folded(checksum_add(htobe16(0xabcd), data + at, len)) !=
				slow_sum(0xabcd, data + at, len))
				fail_msg("%zu bytes at %zu", len, at);
}

/* No carry is lost where every word is as large as it can be. */
static void test_large(void **state)
{
	uint8_t *data = malloc(65536);
	uint64_t random = 2;

	assert_non_null(data);
	memset(data, 0xff, 65536);
	for (size_t len = 65000; len <= 65536; len++)
		assert_int_equal(
			folded(checksum_add(htobe16(1), data, len)), slow_sum(1, data, len));
	for (int i = 0; i < 200; i++) {
		size_t cut = 2 * (next_random(&random) % 32768);

		data[next_random(&random) % 65536] = (uint8_t) next_random(&random);
		assert_int_equal(
			folded(checksum_add(checksum_add(0, data, cut), data + cut, 65535 - cut)),
			slow_sum(0, data, 65535));
	}
	free(data);
}

static void test_pseudo(void **state)
{
	uint8_t p[60] = { [0] = 0x60, [8] = 0xfd, 1, 2, 3, [39] = 7, [20] = 0xff, 0xfe };

	assert_int_equal(
		folded(checksum_pseudo(p + 8, 32, UDP) + htobe16(1234)), slow_pseudo(p, UDP, 1234));
	p[0] = 0x45;
	assert_int_equal(folded(checksum_pseudo(p + 12, 8, TCP) + htobe16(65515)),
		slow_pseudo(p, TCP, 65515));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_example),
		cmocka_unit_test(test_zero),
		cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_pseudo),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
