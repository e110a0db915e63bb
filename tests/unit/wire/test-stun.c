/*
 * STUN by the vectors of RFC 5769, by what clients and servers that are about really send, and by
 * what the RFC does not allow.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "packet/bytes.h"
#include "wire/stun.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

/* The magic cookie, and RFC 5769's transaction. */
#define COOKIE "2112a442"
#define TX     "b7e7a701bc34d686fa87dfae"

/* RFC 5769 section 2.1, 2.2 and 2.3: a request, an answer by IPv4, and one by IPv6. */
static const char sample_request[] =
	"0001 0058" COOKIE TX "8022 0010 5354554e207465737420636c69656e74 0024 0004 6e0001ff"
	"8029 0008 932ff9b151263b36 0006 0009 6576746a3a68367659 202020"
	"0008 0014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2"
	"8028 0004 e57a3bcf";
static const char sample_ipv4[] = "0101 003c" COOKIE TX "8022 000b 7465737420766563746f72 20"
				  "0020 0008 0001 a147 e112a643"
				  "0008 0014 2b91f599fd9e90c38c7489f92af9ba53f06be7d7"
				  "8028 0004 c07d4c96";
static const char sample_ipv6[] = "0101 0048" COOKIE TX "8022 000b 7465737420766563746f72 20"
				  "0020 0014 0002 a147 0113a9faa5d3f179bc25f4b5bed2b9d9"
				  "0008 0014 a382954e4be67bf11784c97c8292c275bfe3ed41"
				  "8028 0004 c8fb0b4c";

/* A message on the heap, as long as it is: a sanitizer sees one byte too many. */
struct bytes {
	uint8_t *data;
	size_t len;
};

static void bytes_done(struct bytes *b)
{
	free(b->data);
}
#define CLEANUP_BYTES __attribute__((cleanup(bytes_done)))

static struct bytes from_hex(const char *hex)
{
	struct bytes ret = { .data = malloc(strlen(hex) / 2 + 1) };
	char digits[3] = { 0 };

	assert_non_null(ret.data);
	for (; *hex; hex += hex[0] == ' ' ? 1 : 2) {
		if (hex[0] == ' ')
			continue;
		memcpy(digits, hex, 2);
		ret.data[ret.len++] = (uint8_t) strtoul(digits, NULL, 16);
	}
	ret.data = realloc(ret.data, ret.len ? ret.len : 1);
	assert_non_null(ret.data);
	return ret;
}

/* A message of @type with TX and @attrs, whose length field is right. */
static struct bytes message(uint16_t type, const char *attrs)
{
	char hex[8192];
	struct bytes ret;

	assert_true(strlen(attrs) < 8000);
	(void) snprintf(hex, sizeof(hex), "%04x 0000" COOKIE TX "%s", type, attrs);
	ret = from_hex(hex);
	be16_write(ret.data + 2, (uint16_t) (ret.len - STUN_HEAD_LEN));
	return ret;
}

static struct endpoint endpoint_of(const char *text)
{
	struct endpoint e = { 0 };

	assert_int_equal(endpoint_parse(text, &e), 0);
	return e;
}

static const uint8_t *sample_tx(void)
{
	static const uint8_t tx[STUN_TX_LEN] = { 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86,
		0xfa, 0x87, 0xdf, 0xae };

	return tx;
}

/* The fingerprint that is to follow @attrs of a request, by a CRC-32 of its own: bit by bit. */
static uint32_t fingerprint(const uint8_t *data, size_t len)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < len; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			unsigned in = (crc ^ data[i] >> bit) & 1;

			crc = crc >> 1 ^ (in ? 0xedb88320 : 0);
		}
	return ~crc ^ 0x5354554e;
}

static void set_fingerprint(struct bytes *m)
{
	be32_write(m->data + m->len - 4, fingerprint(m->data, m->len - 8));
}

static void test_samples(void **state)
{
	static const struct {
		const char *hex, *mapped;
	} cases[] = {
		{ sample_ipv4, "192.0.2.1:32853" },
		{ sample_ipv6, "[2001:db8:1234:5678:11:2233:4455:6677]:32853" },
	};

	for (size_t i = 0; i < N(cases); i++) {
		CLEANUP_BYTES struct bytes m = from_hex(cases[i].hex);
		struct endpoint mapped = endpoint_of(cases[i].mapped);
		struct stun_answer got;

		assert_true(stun_looks(m.data, m.len));
		assert_int_equal(stun_answer_parse(m.data, m.len, &got), 0);
		assert_memory_equal(got.tx, sample_tx(), STUN_TX_LEN);
		assert_int_equal(got.error, 0);
		assert_true(endpoint_equal(&got.mapped, &mapped));
	}
}

/* ICE's: with PRIORITY, which we do not know, and with credentials, for which we do not ask. */
static void test_sample_request(void **state)
{
	CLEANUP_BYTES struct bytes m = from_hex(sample_request);
	struct endpoint from = endpoint_of("192.0.2.1:32853");
	uint8_t data[STUN_ANSWER_MAX_LEN];
	struct stun_request got;
	struct stun_answer answer;
	size_t len;

	assert_int_equal(stun_request_parse(m.data, m.len, &got), 0);
	assert_memory_equal(got.tx, sample_tx(), STUN_TX_LEN);
	assert_true(got.fingerprint);
	assert_int_equal(got.n_unknown, 1);
	assert_int_equal(got.unknown[0], 0x0024);
	len = stun_answer_format(&got, &from, data);
	assert_int_equal(stun_answer_parse(data, len, &answer), 0);
	assert_int_equal(answer.error, 420);
}

/* Is byte @at in the type or length of an attribute? */
static bool in_attr_head(const struct bytes *m, size_t at)
{
	size_t begin = STUN_HEAD_LEN;

	while (begin + 4 <= at)
		begin += 4 + (be16_read(m->data + begin + 2) + 3U) / 4 * 4;
	return at >= begin;
}

static int parse(const struct bytes *m, bool is_answer)
{
	struct stun_request request;
	struct stun_answer answer;

	return is_answer ? stun_answer_parse(m->data, m->len, &answer)
			 : stun_request_parse(m->data, m->len, &request);
}

/*
 * One bit is another. A fingerprint proves only what it is found in: where the head of an attribute
 * is another, there may be none any more.
 */
static void check_spoilt(struct bytes *m, bool is_answer, size_t bit)
{
	bool heads = in_attr_head(m, bit / 8);
	uint16_t type;
	int r;

	m->data[bit / 8] ^= (uint8_t) (0x80 >> bit % 8);
	type = be16_read(m->data);
	r = parse(m, is_answer);
	m->data[bit / 8] ^= (uint8_t) (0x80 >> bit % 8);
	if (heads)
		assert_true(r == 0 || r == -EBADMSG);
	else if (bit < 2 || bit >= 16 || (is_answer && type == 0x0111))
		assert_int_equal(r, -EBADMSG);
	else
		assert_int_equal(r, -ENOMSG);
}

static const char *const samples[] = { sample_request, sample_ipv4, sample_ipv6 };

static void test_spoilt(void **state)
{
	for (size_t i = 0; i < N(samples); i++) {
		CLEANUP_BYTES struct bytes m = from_hex(samples[i]);

		for (size_t bit = 0; bit < 8 * m.len; bit++)
			check_spoilt(&m, i > 0, bit);
		assert_int_equal(parse(&m, i > 0), 0);
	}
}

/* Cut or longer: not even alike. */
static void test_cut(void **state)
{
	for (size_t i = 0; i < N(samples); i++) {
		CLEANUP_BYTES struct bytes m = from_hex(samples[i]);
		size_t whole = m.len;

		m.data = realloc(m.data, whole + 4);
		assert_non_null(m.data);
		memset(m.data + whole, 0, 4);
		for (size_t len = 0; len <= whole + 4; len++) {
			struct stun_request request;
			struct stun_answer answer;

			if (len == whole)
				continue;
			assert_false(stun_looks(m.data, len));
			assert_int_equal(stun_request_parse(m.data, len, &request), -EBADMSG);
			assert_int_equal(stun_answer_parse(m.data, len, &answer), -EBADMSG);
		}
	}
}

/* What the attributes of a request are, and what it is answered with. */
static const struct {
	const char *what, *attrs;
	bool fingerprint; /* the last four bytes are to be set */
	int code;
	const char *unknown; /* each four digits */
} requests[] = {
	{ "bare, as coturn's turnutils_stunclient", "", false, 0, "" },
	{ "fingerprint only, as ours", "8028 0004 00000000", true, 0, "" },
	{ "Tailscale's", "8022 0008 7461696c6e6f6465 8028 0004 00000000", true, 0, "" },
	{ "optional ones that nobody knows", "c001 0003 61626300 ffff 0000", false, 0, "" },
	{ "credentials", "0006 0001 61000000 0014 0000 0015 0000 001d 0004 00010000 001e 0000",
		false, 0, "" },
	{ "answers' attributes, known and not expected",
		"0001 0000 0009 0000 000a 0000 0020 0001 00000000", false, 0, "" },
	{ "padding of any bytes (14)", "8022 0001 61ffffff", false, 0, "" },
	{ "RESPONSE-ADDRESS and CHANGE-REQUEST of RFC 3489", "0002 0000 0003 0004 00000006", false,
		0, "00020003" },
	{ "unknown, with a fingerprint", "7fff 0000 8028 0004 00000000", true, 0, "7fff" },
	{ "reserved", "0000 0000", false, 0, "0000" },
	{ "unknown, more than once", "0024 0000 0025 0000 0024 0004 00000000 0025 0000", false, 0,
		"00240025" },
	{ "more of them than are told",
		"0101 0000 0102 0000 0103 0000 0104 0000 0105 0000 0106 0000 0107 0000 0108 0000"
		"0109 0000 8028 0004 00000000",
		true, 0, "01010102010301040105010601070108" },
	{ "unknown behind an integrity, which is nobody's then",
		"0008 0014 0000000000000000000000000000000000000000 0024 0000", false, 0, "" },
	{ "before and behind the newer one, and a fingerprint",
		"0024 0000 001c 0010 00000000000000000000000000000000 0025 0000 8028 0004 00000000",
		true, 0, "0024" },
	{ "both integrities", "0008 0000 001c 0000 0024 0000 8028 0004 00000000", true, 0, "" },
	{ "wrong fingerprint", "8028 0004 00000000", false, -EBADMSG, NULL },
	{ "fingerprint not last", "8028 0004 00000000 8022 0000", false, -EBADMSG, NULL },
	{ "fingerprint of 3 bytes", "8028 0003 00000000", true, -EBADMSG, NULL },
	{ "fingerprint of 8 bytes", "8028 0008 00000000 00000000", true, -EBADMSG, NULL },
	{ "empty fingerprint", "8028 0000", false, -EBADMSG, NULL },
	{ "attribute longer than the rest", "8022 0005 61626364", false, -EBADMSG, NULL },
	{ "attribute longer than anything", "8022 ffff 61626364", false, -EBADMSG, NULL },
	{ "last attribute without its value", "8022 0000 8022 0001", false, -EBADMSG, NULL },
	{ "an unknown one that lies", "0024 0004", false, -EBADMSG, NULL },
	{ "a lie behind an integrity", "0008 0000 8022 0004", false, -EBADMSG, NULL },
};

/* Answers @request to @from and checks what of it all answers have. */
static size_t answer(const struct stun_request *request, size_t request_len, const char *from,
	uint8_t ret_data[static STUN_ANSWER_MAX_LEN], struct stun_answer *ret)
{
	struct endpoint endpoint = endpoint_of(from);
	uint8_t fresh[STUN_ANSWER_MAX_LEN];
	size_t len;

	memset(ret_data, 0xa5, STUN_ANSWER_MAX_LEN); /* nothing of what was there may go out */
	memset(fresh, 0x5a, sizeof(fresh));
	len = stun_answer_format(request, &endpoint, ret_data);
	assert_int_equal(stun_answer_format(request, &endpoint, fresh), len);
	assert_memory_equal(ret_data, fresh, len);
	assert_in_range(len, STUN_HEAD_LEN, STUN_ANSWER_MAX_LEN);
	assert_true(
		len <=
		request_len + (endpoint.addr.family == AF_INET || request->n_unknown ? 12 : 24));
	assert_int_equal(stun_answer_parse(ret_data, len, ret), 0);
	assert_memory_equal(ret->tx, request->tx, STUN_TX_LEN);
	if (request->fingerprint)
		assert_true(be32_read(ret_data + len - 4) == fingerprint(ret_data, len - 8));
	if (!ret->error)
		assert_true(endpoint_equal(&ret->mapped, &endpoint));
	return len;
}

/* ERROR-CODE 420 without a phrase, UNKNOWN-ATTRIBUTES with @unknown. */
static void check_error(const uint8_t *data, size_t len, bool with_fingerprint, const char *unknown)
{
	CLEANUP_BYTES struct bytes types = from_hex(unknown);
	size_t padded = (types.len + 3) / 4 * 4;

	assert_int_equal(len, STUN_HEAD_LEN + 8 + 4 + padded + (with_fingerprint ? 8 : 0));
	assert_memory_equal(data, "\x01\x11", 2);
	assert_memory_equal(data + 20, "\0\x09\0\4\0\0\4\24\0\x0a", 10);
	assert_int_equal(be16_read(data + 30), types.len);
	assert_memory_equal(data + 32, types.data, types.len);
	assert_memory_equal(data + 32 + types.len, "\0\0\0", padded - types.len);
}

static void check_request(size_t i)
{
	static const char *const from[] = { "192.0.2.7:1", "[2001:db8::7]:65535" };
	CLEANUP_BYTES struct bytes m = message(0x0001, requests[i].attrs);
	struct stun_request got;
	int r;

	if (requests[i].fingerprint)
		set_fingerprint(&m);
	r = stun_request_parse(m.data, m.len, &got);
	if (r != requests[i].code)
		fail_msg("%s: %d", requests[i].what, r);
	if (r < 0)
		return;
	assert_int_equal(got.fingerprint, requests[i].fingerprint);
	if (got.n_unknown != strlen(requests[i].unknown) / 4)
		fail_msg("%s: %u unknown", requests[i].what, got.n_unknown);
	for (size_t k = 0; k < N(from); k++) {
		uint8_t data[STUN_ANSWER_MAX_LEN];
		struct stun_answer a;
		size_t len = answer(&got, m.len, from[k], data, &a);

		assert_int_equal(a.error, got.n_unknown ? 420 : 0);
		if (a.error)
			check_error(data, len, got.fingerprint, requests[i].unknown);
	}
}

static void test_requests(void **state)
{
	for (size_t i = 0; i < N(requests); i++)
		check_request(i);
}

/* Right, but not last: what follows would be covered by nothing (14.7). */
static void test_early_fingerprint(void **state)
{
	CLEANUP_BYTES struct bytes m = message(0x0001, "8028 0004 00000000 8022 0000");
	struct stun_request got;

	be32_write(m.data + 24, fingerprint(m.data, 20));
	assert_int_equal(stun_request_parse(m.data, m.len, &got), -EBADMSG);
}

/* To the byte: what RFC 5769 has, without SOFTWARE and MESSAGE-INTEGRITY. */
static void test_answer_bytes(void **state)
{
	static const struct {
		const char *from, *hex;
		bool fingerprint;
	} answers[] = {
		{ "192.0.2.1:32853", "0101 000c" COOKIE TX "0020 0008 0001 a147 e112a643", false },
		{ "192.0.2.1:32853",
			"0101 0014" COOKIE TX "0020 0008 0001 a147 e112a643 8028 0004 00000000",
			true },
		{ "[2001:db8:1234:5678:11:2233:4455:6677]:32853",
			"0101 0018" COOKIE TX
			"0020 0014 0002 a147 0113a9faa5d3f179bc25f4b5bed2b9d9",
			false },
	};

	for (size_t i = 0; i < N(answers); i++) {
		CLEANUP_BYTES struct bytes want = from_hex(answers[i].hex);
		struct stun_request request = { .fingerprint = answers[i].fingerprint };
		uint8_t data[STUN_ANSWER_MAX_LEN];
		struct stun_answer a;

		if (request.fingerprint)
			set_fingerprint(&want);
		memcpy(request.tx, sample_tx(), STUN_TX_LEN);
		assert_int_equal(answer(&request, 28, answers[i].from, data, &a), want.len);
		assert_memory_equal(data, want.data, want.len);
	}
}

static void test_our_request(void **state)
{
	CLEANUP_BYTES struct bytes want = message(0x0001, "8028 0004 00000000");
	uint8_t data[STUN_REQUEST_LEN];
	struct stun_request got;

	set_fingerprint(&want);
	stun_request_format(sample_tx(), data);
	assert_int_equal(want.len, sizeof(data));
	assert_memory_equal(data, want.data, sizeof(data));
	assert_int_equal(stun_request_parse(data, sizeof(data), &got), 0);
	assert_memory_equal(got.tx, sample_tx(), STUN_TX_LEN);
	assert_true(got.fingerprint && got.n_unknown == 0);
}

static const struct {
	const char *what;
	uint16_t type;
	const char *attrs;
	int code;
	unsigned error;
	const char *mapped;
} answers[] = {
	{ "XOR-MAPPED-ADDRESS", 0x0101, "0020 0008 0001 a147 e112a643", 0, 0, "192.0.2.1:32853" },
	{ "its first byte is anybody's (14.1)", 0x0101, "0020 0008 ff01 a147 e112a643", 0, 0,
		"192.0.2.1:32853" },
	{ "its old number", 0x0101, "8020 0008 0001 a147 e112a643", 0, 0, "192.0.2.1:32853" },
	{ "MAPPED-ADDRESS", 0x0101, "0001 0008 0001 8055 c0000201", 0, 0, "192.0.2.1:32853" },
	{ "MAPPED-ADDRESS, IPv6", 0x0101, "0001 0014 0002 0007 20010db8000000000000000000000001", 0,
		0, "[2001:db8::1]:7" },
	{ "IPv4 as IPv6", 0x0101, "0001 0014 0002 0007 00000000000000000000ffffc0000201", 0, 0,
		"192.0.2.1:7" },
	{ "all three, the best last", 0x0101,
		"0001 0008 0001 0007 c0000202 8020 0008 0001 a146 e112a643"
		"0020 0008 0001 a147 e112a643",
		0, 0, "192.0.2.1:32853" },
	{ "all three, the best first", 0x0101,
		"0020 0008 0001 a147 e112a643 8020 0008 0001 a146 e112a643"
		"0001 0008 0001 0007 c0000202",
		0, 0, "192.0.2.1:32853" },
	{ "the old number behind MAPPED-ADDRESS", 0x0101,
		"0001 0008 0001 0007 c0000202 8020 0008 0001 a147 e112a643", 0, 0,
		"192.0.2.1:32853" },
	{ "the old number before MAPPED-ADDRESS", 0x0101,
		"8020 0008 0001 a147 e112a643 0001 0008 0001 0007 c0000202", 0, 0,
		"192.0.2.1:32853" },
	{ "twice: the first", 0x0101, "0020 0008 0001 a147 e112a643 0020 0008 0001 a146 e112a643",
		0, 0, "192.0.2.1:32853" },
	{ "a server of RFC 3489", 0x0101,
		"0001 0008 0001 8055 c0000201 0004 0008 0001 0d96 c6336401"
		"0005 0008 0001 0d97 c6336402",
		0, 0, "192.0.2.1:32853" },
	{ "a server of RFC 5780", 0x0101,
		"0020 0008 0001 a147 e112a643 802b 0008 0001 0d96 c6336401"
		"802c 0008 0001 0d97 c6336402",
		0, 0, "192.0.2.1:32853" },
	{ "no address", 0x0101, "8022 0001 61000000", -EBADMSG, 0, NULL },
	{ "nothing", 0x0101, "", -EBADMSG, 0, NULL },
	{ "an address behind an integrity", 0x0101, "0008 0000 0020 0008 0001 a147 e112a643",
		-EBADMSG, 0, NULL },
	{ "family 0", 0x0101, "0020 0008 0000 a147 e112a643", -EBADMSG, 0, NULL },
	{ "family 3", 0x0101, "0020 0008 0003 a147 e112a643", -EBADMSG, 0, NULL },
	{ "family 3, another behind it", 0x0101,
		"0020 0008 0003 a147 e112a643 0001 0008 0001 8055 c0000201", -EBADMSG, 0, NULL },
	{ "IPv4 of 16 bytes", 0x0101, "0020 0014 0001 a147 0113a9faa5d3f179bc25f4b5bed2b9d9",
		-EBADMSG, 0, NULL },
	{ "IPv6 of 4 bytes", 0x0101, "0020 0008 0002 a147 e112a643", -EBADMSG, 0, NULL },
	{ "IPv4 of 5 bytes", 0x0101, "0020 0009 0001 a147 e112a643 00000000", -EBADMSG, 0, NULL },
	{ "an address of 3 bytes", 0x0101, "0020 0003 0001a100", -EBADMSG, 0, NULL },
	{ "an empty address", 0x0101, "0020 0000", -EBADMSG, 0, NULL },
	{ "port 0", 0x0101, "0001 0008 0001 0000 c0000201", -EBADMSG, 0, NULL },
	{ "0.0.0.0", 0x0101, "0001 0008 0001 8055 00000000", -EBADMSG, 0, NULL },
	{ "an unknown one that must be understood", 0x0101,
		"0020 0008 0001 a147 e112a643 0024 0000", -EBADMSG, 0, NULL },
	{ "it lies about its length", 0x0101, "0020 0008 0001 a147 e112a643 8022 0004", -EBADMSG, 0,
		NULL },
	{ "wrong fingerprint", 0x0101, "0020 0008 0001 a147 e112a643 8028 0004 00000000", -EBADMSG,
		0, NULL },
	{ "error 420", 0x0111, "0009 0004 00000414 000a 0002 00240000", 0, 420, NULL },
	{ "error 300 with a phrase", 0x0111, "0009 0007 00000300 54727900 8023 0000", 0, 300,
		NULL },
	{ "error 699, the reserved bits set", 0x0111, "0009 0004 fffffe63", 0, 699, NULL },
	{ "two errors: the first", 0x0111, "0009 0004 00000400 0009 0004 00000500", 0, 400, NULL },
	{ "class 2", 0x0111, "0009 0004 00000200", -EBADMSG, 0, NULL },
	{ "class 7", 0x0111, "0009 0004 00000700", -EBADMSG, 0, NULL },
	{ "number 100", 0x0111, "0009 0004 00000464", -EBADMSG, 0, NULL },
	{ "error of 3 bytes", 0x0111, "0009 0003 00000400", -EBADMSG, 0, NULL },
	{ "no error code", 0x0111, "000a 0002 00240000", -EBADMSG, 0, NULL },
	{ "an address is no error", 0x0111, "0020 0008 0001 a147 e112a643", -EBADMSG, 0, NULL },
	{ "an error with an unknown one", 0x0111, "0009 0004 00000400 0024 0000", -EBADMSG, 0,
		NULL },
	{ "a request", 0x0001, "", -ENOMSG, 0, NULL },
	{ "an indication", 0x0011, "", -ENOMSG, 0, NULL },
	{ "an answer to Allocate (RFC 8656)", 0x0103, "0020 0008 0001 a147 e112a643", -ENOMSG, 0,
		NULL },
};

static void test_answers(void **state)
{
	for (size_t i = 0; i < N(answers); i++) {
		CLEANUP_BYTES struct bytes m = message(answers[i].type, answers[i].attrs);
		struct stun_answer got = { .error = 12345 };
		int r = stun_answer_parse(m.data, m.len, &got);

		if (r != answers[i].code)
			fail_msg("%s: %d", answers[i].what, r);
		if (r < 0) {
			assert_int_equal(got.error, 12345);
			continue;
		}
		assert_int_equal(got.error, answers[i].error);
		assert_memory_equal(got.tx, sample_tx(), STUN_TX_LEN);
		if (answers[i].mapped) {
			struct endpoint want = endpoint_of(answers[i].mapped);

			assert_true(endpoint_equal(&got.mapped, &want));
		} else {
			assert_int_equal(got.mapped.addr.family, AF_UNSPEC);
		}
	}
}

/* Nothing but a request is ever answered. */
static void test_other_types(void **state)
{
	for (unsigned type = 0; type < 0x4000; type++) {
		CLEANUP_BYTES struct bytes m =
			message((uint16_t) type, "0020 0008 0001 a147 e112a643");
		struct stun_request request;
		struct stun_answer a;
		int r = stun_answer_parse(m.data, m.len, &a);

		assert_true(stun_looks(m.data, m.len));
		assert_int_equal(
			stun_request_parse(m.data, m.len, &request), type == 1 ? 0 : -ENOMSG);
		assert_int_equal(r, type == 0x0101 ? 0 : type == 0x0111 ? -EBADMSG : -ENOMSG);
	}
}

static void test_looks(void **state)
{
	static const struct {
		const char *hex;
		bool is;
	} heads[] = {
		{ "0001 0000" COOKIE TX, true },
		{ "3fff 0000" COOKIE TX, true },
		{ "0001 0004" COOKIE TX "80220000", true },
		{ "4001 0000" COOKIE TX, false },
		{ "8001 0000" COOKIE TX, false },
		{ "0001 0000 2112a443" TX, false }, /* as clients of RFC 3489 would */
		{ "0001 0004" COOKIE TX, false },
		{ "0001 0000" COOKIE TX "80220000", false },
		{ "0001 0008" COOKIE TX "80220000", false },
		{ "0001 0002" COOKIE TX "8022", false },
		{ "0001 fffc" COOKIE TX "80220000", false },
		{ "0001 0000" COOKIE "b7e7a701bc34d686fa87df", false },
		{ "", false },
	};

	for (size_t i = 0; i < N(heads); i++) {
		CLEANUP_BYTES struct bytes m = from_hex(heads[i].hex);

		assert_int_equal(stun_looks(m.data, m.len), heads[i].is);
	}
}

/* Of what is longer than a path may be no byte is looked at. */
static void test_longest(void **state)
{
	for (size_t len = STUN_MAX_LEN - 4; len <= STUN_MAX_LEN + 4; len += 4) {
		CLEANUP_BYTES struct bytes m = { .data = calloc(1, len), .len = len };
		struct stun_request request;
		struct stun_answer a;
		bool fits = len <= STUN_MAX_LEN;

		assert_non_null(m.data);
		stun_request_format(sample_tx(), m.data);
		be16_write(m.data + 2, (uint16_t) (len - STUN_HEAD_LEN));
		be16_write(m.data + 20, 0x8022);
		be16_write(m.data + 22, (uint16_t) (len - STUN_HEAD_LEN - 4));
		assert_true(stun_looks(m.data, len));
		assert_int_equal(stun_request_parse(m.data, len, &request), fits ? 0 : -EBADMSG);
		assert_int_equal(stun_answer_parse(m.data, len, &a), fits ? -ENOMSG : -EBADMSG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_sample_request),
		cmocka_unit_test(test_spoilt),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_early_fingerprint),
		cmocka_unit_test(test_answer_bytes),
		cmocka_unit_test(test_our_request),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_other_types),
		cmocka_unit_test(test_looks),
		cmocka_unit_test(test_longest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
