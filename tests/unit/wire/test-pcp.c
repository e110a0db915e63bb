/*
 * PCP by RFC 6887: the layout of figures 2, 3, 9 and 10 byte by byte, what NAT-PMP servers answer
 * to it (appendix A; RFC 6886, 3.5), and what is broken.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/pcp.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

#define NONCE  "000102030405060708090a0b"
#define MAPPED "00000000000000000000ffff" /* before an IPv4 address */

static size_t from_hex(const char *hex, uint8_t *ret)
{
	char digits[3] = { 0 };
	size_t n = 0;

	for (; *hex; hex += hex[0] == ' ' ? 1 : 2) {
		if (hex[0] == ' ')
			continue;
		memcpy(digits, hex, 2);
		ret[n++] = (uint8_t) strtoul(digits, NULL, 16);
	}
	return n;
}

static struct pcp_request a_request(const char *client, const char *wanted)
{
	struct pcp_request ret = { .lifetime_s = 7200, .port = 41741 };

	assert_int_equal(ip_addr_parse(client, &ret.client), 0);
	if (wanted)
		assert_int_equal(endpoint_parse(wanted, &ret.wanted), 0);
	for (uint8_t i = 0; i < PCP_NONCE_LEN; i++)
		ret.nonce[i] = i;
	return ret;
}

static void assert_request(const struct pcp_request *request, const char *hex)
{
	uint8_t expected[256], data[PCP_REQUEST_LEN];

	assert_int_equal(from_hex(hex, expected), PCP_REQUEST_LEN);
	memset(data, 0xee, sizeof(data));
	pcp_request_format(request, data);
	assert_memory_equal(data, expected, PCP_REQUEST_LEN);
}

static void test_request(void **state)
{
	struct pcp_request first = a_request("192.168.1.5", NULL);
	struct pcp_request again = a_request("192.168.1.5", "203.0.113.7:2000");
	struct pcp_request ipv6 = a_request("2001:db8::5", NULL);

	/* "All zeros" of IPv4 is ::ffff:0:0 (5). */
	assert_request(&first, "02 01 0000 00001c20 " MAPPED "c0a80105"
			       " " NONCE " 11 000000 a30d 0000 " MAPPED "00000000");
	again.lifetime_s = 0;
	assert_request(&again, "02 01 0000 00000000 " MAPPED "c0a80105"
			       " " NONCE " 11 000000 a30d 07d0 " MAPPED "cb007107");
	ipv6.wanted.port = 41741;
	assert_request(&ipv6, "02 01 0000 00001c20 20010db8000000000000000000000005"
			      " " NONCE " 11 000000 a30d a30d 00000000000000000000000000000000");
}

#define HEAD(result) "02 81 00 " result " 00000e10 00012345 000000000000000000000000 "
#define MAP(outside) NONCE " 11 000000 a30d 07d0 " outside

static void test_answer(void **state)
{
	struct pcp_request request = a_request("192.168.1.5", NULL);
	struct endpoint outside;
	struct pcp_answer answer;
	uint8_t data[256];
	size_t len = from_hex(HEAD("00") MAP(MAPPED "cb007107"), data);

	assert_int_equal(pcp_answer_parse(data, len, &answer), 0);
	assert_int_equal(answer.result, PCP_SUCCESS);
	assert_int_equal(answer.lifetime_s, 3600);
	assert_int_equal(answer.epoch_s, 0x12345);
	assert_true(answer.has_map);
	assert_int_equal(endpoint_parse("203.0.113.7:2000", &outside), 0);
	assert_true(endpoint_equal(&answer.outside, &outside));
	assert_true(pcp_answers(&answer, &request));
	request.port++;
	assert_false(pcp_answers(&answer, &request));
	request.port--;
	request.nonce[11]++;
	assert_false(pcp_answers(&answer, &request));

	len = from_hex(HEAD("00") MAP("20010db8000000000000000000000005"), data);
	assert_int_equal(pcp_answer_parse(data, len, &answer), 0);
	assert_int_equal(endpoint_parse("[2001:db8::5]:2000", &outside), 0);
	assert_true(endpoint_equal(&answer.outside, &outside));
}

/* With the map as it was asked for, cut to what a server kept of it, or with an option behind. */
static void test_refusals(void **state)
{
	static const struct {
		const char *hex;
		uint8_t result;
		bool has_map;
	} cases[] = {
		{ HEAD("02") MAP(MAPPED "00000000"), PCP_NOT_AUTHORIZED, true },
		{ HEAD("04"), PCP_UNSUPP_OPCODE, false },
		{ HEAD("08") NONCE, PCP_NO_RESOURCES, false },
		{ HEAD("ff") MAP(MAPPED "00000000") "03000000", PCP_RESULT_MAX, true },
	};
	struct pcp_request request = a_request("192.168.1.5", NULL);

	for (size_t i = 0; i < N(cases); i++) {
		struct pcp_answer answer;
		uint8_t data[256];
		size_t len = from_hex(cases[i].hex, data);

		assert_int_equal(pcp_answer_parse(data, len, &answer), 0);
		assert_int_equal(answer.result, cases[i].result);
		assert_int_equal(answer.has_map, cases[i].has_map);
		assert_true(pcp_answers(&answer, &request));
	}
}

static void test_other_versions(void **state)
{
	static const char *const cases[] = {
		"00 81 0001 00001234",          /* NAT-PMP: unsupported version */
		"00 80 0000 00001234 cb007107", /* an answer that nobody asked PCP for */
		"01 81 00 01 00000000 00000000 000000000000000000000000",
		"03 81 00 01 00000000 00000000 000000000000000000000000",
		HEAD("01") MAP(MAPPED "00000000"), /* says so, though it speaks this one */
	};
	struct pcp_answer answer;

	for (size_t i = 0; i < N(cases); i++) {
		uint8_t data[256];
		size_t len = from_hex(cases[i], data);

		assert_int_equal(pcp_answer_parse(data, len, &answer), -EPROTONOSUPPORT);
	}
}

static void test_broken(void **state)
{
	static const char *const cases[] = {
		"", "02 81 00", "02 81 00 00",
		"02 01 0000 00001c20 " MAPPED "c0a80105 " MAP(MAPPED "cb007107"), /* a request */
		"02 82 00 00 00000e10 00012345 000000000000000000000000 " MAP(MAPPED "cb007107"),
		HEAD("00"),       /* success, and no map */
		HEAD("00") NONCE, /* half of it */
		HEAD("02") "0000" /* no whole words (7) */,
		HEAD("00") NONCE " 06 000000 a30d 07d0 " MAPPED "cb007107", /* TCP */
	};
	uint8_t longer[PCP_MAX_LEN + 4] = { PCP_VERSION, 0x81, 0, 2 };
	struct pcp_answer answer;

	for (size_t i = 0; i < N(cases); i++) {
		uint8_t data[256], *exact;
		size_t len = from_hex(cases[i], data);

		exact = malloc(len ? len : 1); /* a sanitizer sees one byte too many */
		assert_non_null(exact);
		memcpy(exact, data, len);
		assert_int_equal(pcp_answer_parse(exact, len, &answer), -EBADMSG);
		free(exact);
	}
	longer[36] = 17;
	assert_int_equal(pcp_answer_parse(longer, PCP_MAX_LEN, &answer), 0);
	assert_int_equal(pcp_answer_parse(longer, PCP_MAX_LEN + 4, &answer), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_other_versions),
		cmocka_unit_test(test_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
