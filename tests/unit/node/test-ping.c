/* ping: what counts as a reply at a raw ICMP socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "node/ping.h"

static const uint8_t nonce[PING_NONCE] = { 1, 2, 3, 4, 5, 6, 7, 8 };

/* An IPv4 packet with a header of @words words that holds an echo reply; returns its length. */
static size_t make4(unsigned words, uint8_t *ret)
{
	memset(ret, 0, words * 4 + 8);
	ret[0] = (uint8_t) (0x40 | words);
	memcpy(ret + words * 4 + 4, "IDSQ", 4);
	memcpy(ret + words * 4 + 8, nonce, sizeof(nonce));
	return words * 4 + 16;
}

static void test_ipv4(void **state)
{
	uint8_t data[128];
	struct ping_reply reply = { 0 };

	for (unsigned words = 5; words <= 15; words++) {
		size_t len = make4(words, data);

		assert_true(ping_parse_reply(AF_INET, data, len, &reply));
		assert_memory_equal(&reply.id, "ID", 2);
		assert_memory_equal(&reply.seq, "SQ", 2);
		assert_memory_equal(reply.nonce, nonce, sizeof(nonce));
		for (size_t cut = 0; cut < len; cut++)
			assert_false(ping_parse_reply(AF_INET, data, cut, &reply));
		data[words * 4] = 8; /* a request */
		assert_false(ping_parse_reply(AF_INET, data, len, &reply));
	}
}

static void test_ipv6(void **state)
{
	uint8_t data[16] = { 129, 0, 0, 0, 'I', 'D', 'S', 'Q', 1, 2, 3, 4, 5, 6, 7, 8 };
	struct ping_reply reply = { 0 };

	assert_true(ping_parse_reply(AF_INET6, data, sizeof(data), &reply));
	assert_memory_equal(reply.nonce, nonce, sizeof(nonce));
	assert_false(ping_parse_reply(AF_INET6, data, sizeof(data) - 1, &reply));
	data[1] = 1;
	assert_false(ping_parse_reply(AF_INET6, data, sizeof(data), &reply));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_ipv4),
		cmocka_unit_test(test_ipv6) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
