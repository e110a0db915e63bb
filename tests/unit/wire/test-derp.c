/*
 * DERP's frames: as Tailscale writes them, in pieces of any size, and nothing that has no place
 * there.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "derp-vectors.h"
#include "wire/derp.h"

static struct derp_frame frame_of(const uint8_t *data, size_t len)
{
	struct derp_frame frame = { data[0], data + DERP_HEAD_LEN, len - DERP_HEAD_LEN };

	assert_int_equal(frame.len, (size_t) data[3] << 8 | data[4]);
	return frame;
}

static const struct derp_keys client = { client_secret, client_key };
static const struct derp_keys server = { server_secret, server_key };

/* What Go's library sealed opens, and we seal the same. */
static void test_login_vectors(void **state)
{
	struct derp_frame hello = frame_of(client_info, sizeof(client_info));
	struct derp_frame answer = frame_of(server_info, sizeof(server_info));
	struct derp_client_info in = { 0 };
	struct derp_server_info out = { 0 };
	uint8_t key[DERP_KEY_LEN], data[DERP_INFO_FRAME_MAX];

	assert_int_equal(derp_client_info_parse(&hello, server_secret, key, &in), 0);
	assert_memory_equal(key, client_key, sizeof(key));
	assert_int_equal(in.version, 2);
	assert_true(in.can_ack_pings);
	assert_false(in.prober);
	assert_int_equal(
		derp_client_info_put(&in, &client, server_key, nonce, data), sizeof(client_info));
	assert_memory_equal(data, client_info, sizeof(client_info));

	assert_int_equal(derp_server_info_parse(&answer, client_secret, server_key, &out), 0);
	assert_int_equal(out.version, 2);
	assert_int_equal(out.rate, 1000);
	assert_int_equal(out.burst, 2000);
	assert_int_equal(
		derp_server_info_put(&out, &server, client_key, nonce, data), sizeof(server_info));
	assert_memory_equal(data, server_info, sizeof(server_info));
}

/* Any bit is another, any end is missing, or it is for somebody else: nothing of it is believed. */
static void test_login_spoilt(void **state)
{
	uint8_t data[sizeof(client_info)], key[DERP_KEY_LEN];
	struct derp_frame frame = { DERP_CLIENT_INFO, data + DERP_HEAD_LEN, 0 };
	struct derp_client_info in;
	struct derp_server_info out;

	memcpy(data, client_info, sizeof(data));
	frame.len = sizeof(data) - DERP_HEAD_LEN;
	for (size_t bit = 0; bit < 8 * frame.len; bit++) {
		if (bit == 8 * DERP_KEY_LEN - 1)
			continue; /* X25519 does not look at the highest bit of a key */
		data[DERP_HEAD_LEN + bit / 8] ^= (uint8_t) (1 << bit % 8);
		assert_int_equal(derp_client_info_parse(&frame, server_secret, key, &in), -EBADMSG);
		data[DERP_HEAD_LEN + bit / 8] ^= (uint8_t) (1 << bit % 8);
	}
	for (frame.len = 0; frame.len < sizeof(data) - DERP_HEAD_LEN; frame.len++)
		assert_int_equal(derp_client_info_parse(&frame, server_secret, key, &in), -EBADMSG);
	assert_int_equal(derp_client_info_parse(&frame, client_secret, key, &in), -EBADMSG);
	frame = frame_of(server_info, sizeof(server_info));
	assert_int_equal(derp_server_info_parse(&frame, server_secret, server_key, &out), -EBADMSG);
	assert_int_equal(derp_server_info_parse(&frame, client_secret, client_key, &out), -EBADMSG);
}

static int parse_text(const char *text)
{
	uint8_t data[DERP_KEY_LEN + DERP_NONCE_LEN + DERP_TAG_LEN + DERP_INFO_MAX + 64];
	uint8_t key[DERP_KEY_LEN];
	size_t len = strlen(text);
	struct derp_frame frame = { DERP_CLIENT_INFO, data,
		DERP_KEY_LEN + DERP_NONCE_LEN + DERP_TAG_LEN + len };
	struct derp_client_info info;

	assert_true(frame.len <= sizeof(data));
	memcpy(data, client_key, DERP_KEY_LEN);
	memcpy(data + DERP_KEY_LEN, nonce, DERP_NONCE_LEN);
	assert_int_equal(crypto_box_easy(data + DERP_KEY_LEN + DERP_NONCE_LEN,
				 (const uint8_t *) text, len, nonce, server_key, client_secret),
		0);
	return derp_client_info_parse(&frame, server_secret, key, &info);
}

/* Authentic, and still from a stranger. */
static void test_login_text(void **state)
{
	static const struct {
		const char *text;
		int code;
	} cases[] = {
		{ "{}", 0 },
		{ "{\"version\":2,\"CanAckPings\":false,\"IsProber\":true,\"AppName\":\"x\"}", 0 },
		{ "{\"version\":2,\"meshKey\":\"00\",\"later\":[{}]}", 0 },
		{ "", -EBADMSG },
		{ "[]", -EBADMSG },
		{ "{\"version\":2", -EBADMSG },
		{ "{\"version\":-1}", -EBADMSG },
		{ "{\"version\":\"2\"}", -EBADMSG },
		{ "{\"version\":4294967296}", -EBADMSG },
		{ "{\"CanAckPings\":1}", -EBADMSG },
		{ "{\"version\":2}{}", -EBADMSG },
	};
	char text[DERP_INFO_MAX + 2];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(parse_text(cases[i].text), cases[i].code);
	memset(text, ' ', sizeof(text));
	text[0] = '{';
	text[1] = '}';
	text[DERP_INFO_MAX] = '\0';
	assert_int_equal(parse_text(text), 0);
	text[DERP_INFO_MAX] = ' ';
	text[DERP_INFO_MAX + 1] = '\0';
	assert_int_equal(parse_text(text), -EBADMSG);
}

static void test_no_key(void **state)
{
	static const uint8_t zero[DERP_KEY_LEN];
	uint8_t data[DERP_INFO_FRAME_MAX];
	struct derp_client_info info = { .version = 2 };

	assert_int_equal(derp_client_info_put(&info, &client, zero, nonce, data), -EBADMSG);
}

static void test_greeting(void **state)
{
	uint8_t data[DERP_SERVER_KEY_LEN + 3] = { 0 }, key[DERP_KEY_LEN];
	struct derp_frame frame;

	derp_server_key_put(server_key, data);
	assert_memory_equal(data,
		"\1\0\0\0\x28"
		"DERP\xf0\x9f\x94\x91",
		13);
	frame = frame_of(data, DERP_SERVER_KEY_LEN);
	assert_int_equal(derp_server_key_parse(&frame, key), 0);
	assert_memory_equal(key, server_key, sizeof(key));
	frame.len += 3;
	assert_int_equal(derp_server_key_parse(&frame, key), 0);
	frame.len = 39;
	assert_int_equal(derp_server_key_parse(&frame, key), -EBADMSG);
	data[12] ^= 1;
	frame.len = 40;
	assert_int_equal(derp_server_key_parse(&frame, key), -EBADMSG);
}

static void test_small_frames(void **state)
{
	uint8_t data[DERP_HEALTH_FRAME_MAX], key[DERP_KEY_LEN], ping[DERP_PING_LEN];
	char text[DERP_HEALTH_MAX], longer[DERP_HEALTH_MAX + 10];
	const uint8_t *at_key, *at_data;
	enum derp_gone reason;
	struct derp_frame frame;
	uint32_t in, try_for;
	size_t len;
	bool preferred;

	derp_packet_head(DERP_RECV, client_key, 258, data);
	assert_memory_equal(data, "\5\0\0\1\x22", 5);
	frame = (struct derp_frame){ DERP_RECV, data + DERP_HEAD_LEN, DERP_KEY_LEN };
	assert_int_equal(derp_packet_parse(&frame, &at_key, &at_data, &len), 0);
	assert_memory_equal(at_key, client_key, DERP_KEY_LEN);
	assert_int_equal(len, 0);
	frame.len--;
	assert_int_equal(derp_packet_parse(&frame, &at_key, &at_data, &len), -EBADMSG);

	derp_keep_alive_put(data);
	assert_memory_equal(data, "\6\0\0\0\0", 5);
	derp_note_preferred_put(true, data);
	assert_memory_equal(data, "\7\0\0\0\1\1", 6);
	frame = frame_of(data, DERP_NOTE_LEN);
	assert_int_equal(derp_note_preferred_parse(&frame, &preferred), 0);
	assert_true(preferred);
	frame.len = 0;
	assert_int_equal(derp_note_preferred_parse(&frame, &preferred), -EBADMSG);

	derp_peer_gone_put(client_key, DERP_GONE_NOT_HERE, data);
	assert_memory_equal(data, "\x08\0\0\0\x21", 5);
	frame = frame_of(data, DERP_PEER_GONE_LEN);
	assert_int_equal(derp_peer_gone_parse(&frame, key, &reason), 0);
	assert_memory_equal(key, client_key, sizeof(key));
	assert_int_equal(reason, DERP_GONE_NOT_HERE);
	frame.len = DERP_KEY_LEN;
	assert_int_equal(derp_peer_gone_parse(&frame, key, &reason), 0);
	assert_int_equal(reason, DERP_GONE_DISCONNECTED);
	frame.len--;
	assert_int_equal(derp_peer_gone_parse(&frame, key, &reason), -EBADMSG);

	derp_ping_put(DERP_PONG, (const uint8_t *) "12345678", data);
	assert_memory_equal(data,
		"\x13\0\0\0\x08"
		"12345678",
		DERP_PING_FRAME_LEN);
	frame = frame_of(data, DERP_PING_FRAME_LEN);
	assert_int_equal(derp_ping_parse(&frame, ping), 0);
	assert_memory_equal(ping, "12345678", sizeof(ping));
	frame.len--;
	assert_int_equal(derp_ping_parse(&frame, ping), -EBADMSG);

	derp_restarting_put(1500, 0x01020304, data);
	assert_memory_equal(data, "\x15\0\0\0\x08\0\0\5\xdc\1\2\3\4", DERP_RESTARTING_LEN);
	frame = frame_of(data, DERP_RESTARTING_LEN);
	assert_int_equal(derp_restarting_parse(&frame, &in, &try_for), 0);
	assert_int_equal(in, 1500);
	assert_int_equal(try_for, 0x01020304);
	frame.len--;
	assert_int_equal(derp_restarting_parse(&frame, &in, &try_for), -EBADMSG);

	assert_int_equal(derp_health_put("bad\x1b[2J", data), DERP_HEAD_LEN + 7);
	frame = frame_of(data, DERP_HEAD_LEN + 7);
	derp_health_parse(&frame, text);
	assert_string_equal(text, "bad\\x1b[2J");
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(derp_health_put(longer, data), DERP_HEALTH_FRAME_MAX);
	frame = frame_of(data, DERP_HEALTH_FRAME_MAX);
	derp_health_parse(&frame, text);
	assert_int_equal(strlen(text), DERP_HEALTH_MAX - 1);
}

/* --- the reader --- */

struct seen {
	unsigned n;
	size_t bytes, held_max;
	uint8_t last;
};

/* All of @data in pieces of @step: 0 or what the reader says. */
static int read_all(struct derp_reader *r, enum derp_stage stage, const uint8_t *data, size_t len,
	size_t step, struct seen *ret)
{
	while (len) {
		size_t n = step < len ? step : len;
		const uint8_t *at = data;
		struct derp_frame frame;
		int e;

		data += n;
		len -= n;
		while ((e = derp_reader_next(r, stage, &at, &n, &frame)) > 0) {
			ret->n++;
			ret->bytes += frame.len;
			ret->last = frame.len ? frame.data[frame.len - 1] : 0;
		}
		if (e < 0)
			return e;
		assert_int_equal(n, 0);
		ret->held_max = r->cap > ret->held_max ? r->cap : ret->held_max;
	}
	return 0;
}

static void test_pieces(void **state)
{
	static const size_t steps[] = { 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1000, 65577, 1000000 };
	size_t len = 0;
	uint8_t *data = calloc(3, DERP_PACKET_MAX);

	assert_non_null(data);
	derp_ping_put(DERP_PING, (const uint8_t *) "abcdefgh", data);
	len += DERP_PING_FRAME_LEN;
	derp_packet_head(DERP_SEND, client_key, 1400, data + len);
	len += DERP_PACKET_HEAD_LEN + 1400;
	data[len++] = 0xee; /* of no type that we know, and empty */
	len += 4;
	derp_packet_head(DERP_SEND, client_key, DERP_PACKET_MAX, data + len);
	len += DERP_PACKET_HEAD_LEN + DERP_PACKET_MAX;
	data[len - 1] = 0x5a;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct derp_reader r = { 0 };
		struct seen seen = { 0 };

		assert_int_equal(
			read_all(&r, DERP_STAGE_SERVER_OPEN, data, len, steps[i], &seen), 0);
		assert_int_equal(seen.n, 4);
		assert_int_equal(
			seen.bytes, DERP_PING_LEN + 2 * DERP_KEY_LEN + 1400 + DERP_PACKET_MAX);
		assert_int_equal(seen.last, 0x5a);
		assert_in_range(seen.held_max, 0, DERP_PACKET_HEAD_LEN + DERP_PACKET_MAX);
		assert_null(r.held); /* and nothing is kept when nothing is left */
		derp_reader_done(&r);
	}
	free(data);
}

/* Who says that much is coming has cost nothing yet. */
static void test_memory_follows(void **state)
{
	uint8_t data[DERP_PACKET_HEAD_LEN + 100] = { 0 };
	struct derp_reader r = { 0 };
	struct seen seen = { 0 };

	derp_packet_head(DERP_SEND, client_key, DERP_PACKET_MAX, data);
	assert_int_equal(read_all(&r, DERP_STAGE_SERVER_OPEN, data, sizeof(data), 10, &seen), 0);
	assert_int_equal(seen.n, 0);
	assert_in_range(r.cap, sizeof(data), 2 * sizeof(data));
	derp_reader_done(&r);
}

static void test_refused(void **state)
{
	static const struct {
		enum derp_stage stage;
		uint8_t type;
		uint32_t len;
		int code; /* 0: it is waited for */
	} cases[] = {
		{ DERP_STAGE_SERVER_LOGIN, DERP_CLIENT_INFO, 72 + DERP_INFO_MAX, 0 },
		{ DERP_STAGE_SERVER_LOGIN, DERP_CLIENT_INFO, 73 + DERP_INFO_MAX, -EMSGSIZE },
		{ DERP_STAGE_SERVER_LOGIN, DERP_SEND, 40, -EPROTO },
		{ DERP_STAGE_SERVER_LOGIN, 0xee, 1, -EPROTO },
		{ DERP_STAGE_SERVER_OPEN, DERP_CLIENT_INFO, 72, -EPROTO },
		{ DERP_STAGE_SERVER_OPEN, DERP_RECV, 40, -EPROTO },
		{ DERP_STAGE_SERVER_OPEN, DERP_SERVER_KEY, 40, -EPROTO },
		{ DERP_STAGE_SERVER_OPEN, DERP_FORWARD, 80, -EPERM },
		{ DERP_STAGE_SERVER_OPEN, DERP_WATCH, 0, -EPERM },
		{ DERP_STAGE_SERVER_OPEN, DERP_CLOSE_PEER, 32, -EPERM },
		{ DERP_STAGE_SERVER_OPEN, DERP_SEND, 32 + 65536, 0 },
		{ DERP_STAGE_SERVER_OPEN, DERP_SEND, 32 + 65537, -EMSGSIZE },
		{ DERP_STAGE_SERVER_OPEN, DERP_SEND, UINT32_MAX, -EMSGSIZE },
		{ DERP_STAGE_SERVER_OPEN, 0xee, 0x80000000, -EMSGSIZE },
		{ DERP_STAGE_CLIENT_GREETING, DERP_SERVER_KEY, 1024, 0 },
		{ DERP_STAGE_CLIENT_GREETING, DERP_SERVER_KEY, 1025, -EMSGSIZE },
		{ DERP_STAGE_CLIENT_GREETING, DERP_RECV, 40, -EPROTO },
		{ DERP_STAGE_CLIENT_OPEN, DERP_SERVER_INFO, 40 + DERP_INFO_MAX, 0 },
		{ DERP_STAGE_CLIENT_OPEN, DERP_SERVER_INFO, 41 + DERP_INFO_MAX, -EMSGSIZE },
		{ DERP_STAGE_CLIENT_OPEN, DERP_SEND, 40, -EPROTO },
		{ DERP_STAGE_CLIENT_OPEN, DERP_SERVER_KEY, 40, 0 },
		{ DERP_STAGE_CLIENT_OPEN, DERP_RECV, 32 + 65537, -EMSGSIZE },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t step = 1; step <= 6; step++) {
			uint8_t data[6] = { cases[i].type, (uint8_t) (cases[i].len >> 24),
				(uint8_t) (cases[i].len >> 16), (uint8_t) (cases[i].len >> 8),
				(uint8_t) cases[i].len };
			size_t len = cases[i].len ? 6 : 5;
			struct derp_reader r = { 0 };
			struct seen seen = { 0 };

			assert_int_equal(read_all(&r, cases[i].stage, data, len, step, &seen),
				cases[i].code);
			assert_int_equal(seen.n, 0);
			derp_reader_done(&r);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_login_vectors),
		cmocka_unit_test(test_login_spoilt),
		cmocka_unit_test(test_login_text),
		cmocka_unit_test(test_no_key),
		cmocka_unit_test(test_greeting),
		cmocka_unit_test(test_small_frames),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_memory_follows),
		cmocka_unit_test(test_refused),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
