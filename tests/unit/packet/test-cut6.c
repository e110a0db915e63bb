/* cut6: pieces that are no longer than asked, and make the datagram again as RFC 8200 has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

#include "packet/bytes.h"
#include "packet/checksum.h"
#include "packet/cut6.h"

enum { IP = 40, FRAGMENT = 8, UDP = 8, MOST = 9216 };

static const struct cut6 cut = {
	.addresses = { 0xfd, [15] = 1, [16] = 0xfd, [31] = 2 },
	.source_port = 41741,
	.port = 41742,
	.id = 0x01020304,
	.hops = 64,
};

static uint8_t data[MOST + 1000];

static int set_up(void **state)
{
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t) (i * 7 + i / 251);
	return 0;
}

static void check_head(const uint8_t *head, size_t payload, size_t offset, bool last)
{
	assert_int_equal(head[0], 0x60);
	assert_int_equal(be16_read(head + 4), payload);
	assert_int_equal(head[6], 44); /* a fragment */
	assert_int_equal(head[7], 64);
	assert_memory_equal(head + 8, cut.addresses, 32);
	assert_int_equal(head[IP], 17); /* of UDP */
	assert_int_equal(be16_read(head + IP + 2), offset | !last);
	assert_int_equal(be32_read(head + IP + 4), 0x01020304);
}

/* Puts the pieces together, as a receiver does. */
static void check(const struct cut6_piece *pieces, size_t n, size_t len, size_t mtu)
{
	static uint8_t whole[MOST + UDP];
	uint64_t sum = checksum_pseudo(cut.addresses, 32, 17);
	size_t at = 0;

	for (size_t i = 0; i < n; i++) {
		size_t front = pieces[i].head_len - IP - FRAGMENT, part = front + pieces[i].len;

		assert_in_range(pieces[i].head_len + pieces[i].len, IP + FRAGMENT + 1, mtu);
		check_head(pieces[i].head, FRAGMENT + part, at, i + 1 == n);
		memcpy(whole + at, pieces[i].head + IP + FRAGMENT, front);
		memcpy(whole + at + front, pieces[i].data, pieces[i].len);
		at += part;
		assert_true(i + 1 == n || at % 8 == 0);
	}
	assert_int_equal(at, len + UDP);
	assert_int_equal(be16_read(whole), 41741);
	assert_int_equal(be16_read(whole + 2), 41742);
	assert_int_equal(be16_read(whole + 4), len + UDP);
	assert_int_not_equal(be16_read(whole + 6), 0);
	sum = checksum_add(sum + htobe16((uint16_t) at), whole, at);
	assert_int_equal(checksum_fold(sum), 0xffff);
	assert_memory_equal(whole + UDP, data, len);
}

static void test_sizes(void **state)
{
	/* A full piece of 1280 carries 1232 bytes, of the first 8 are UDP's header. */
	static const struct {
		size_t len, mtu, pieces;
	} cases[] = { { 0, 1280, 1 }, { 1, 1280, 1 }, { 1224, 1280, 1 }, { 1225, 1280, 2 },
		{ 1312, 1280, 2 }, { 1313, 1280, 2 }, { 1224 + 1232, 1280, 2 },
		{ 1225 + 1232, 1280, 3 }, { 1312, 1359, 2 }, { 1312, 1368, 1 }, { MOST, 1280, 8 },
		{ 8 * 1232 - 8, 1280, 8 }, { 8 * 1232 - 7, 1280, 0 } };
	struct cut6_piece pieces[CUT6_PIECES_MAX];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t n = cut6(&cut, data, cases[i].len, cases[i].mtu, pieces);

		assert_int_equal(n, cases[i].pieces);
		if (n && cases[i].len <= MOST)
			check(pieces, n, cases[i].len, cases[i].mtu);
	}
}

static void test_all_lengths(void **state)
{
	struct cut6_piece pieces[CUT6_PIECES_MAX];

	for (size_t len = 1200; len < 1500; len++)
		for (size_t mtu = 1280; mtu < 1300; mtu++)
			check(pieces, cut6(&cut, data, len, mtu, pieces), len, mtu);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_sizes, set_up),
		cmocka_unit_test_setup(test_all_lengths, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
