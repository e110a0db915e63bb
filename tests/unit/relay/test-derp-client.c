/*
 * One connection, with a clock of its own: the way in, what is refused, and who is waited for how
 * long.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "derp-login.h"
#include "relay/derp-client.h"

#define UPGRADE "GET /derp HTTP/1.1\r\nUpgrade: DERP\r\n\r\n"
#define FAST    "GET /derp HTTP/1.1\r\nUpgrade: DERP\r\nDerp-Fast-Start: 1\r\n\r\n"
#define SEC     UINT64_C(1000000)

static struct login_keys server, me, other;
static const struct derp_keys server_keys = { server.secret, server.key };

struct world {
	struct derp_pool pool;
	struct derp_client client;
	enum derp_end answer; /* to its login */
	unsigned logins, packets;
	uint8_t to[DERP_KEY_LEN], data[65536];
	size_t len;
	uint8_t out[1 << 17];
	size_t out_len;
};

static enum derp_end on_login(void *ctx, struct derp_client *client)
{
	struct world *w = ctx;

	w->logins++;
	return w->answer;
}

static void on_packet(void *ctx, struct derp_client *client, const uint8_t to[static DERP_KEY_LEN],
	const uint8_t *data, size_t len)
{
	struct world *w = ctx;

	w->packets++;
	memcpy(w->to, to, DERP_KEY_LEN);
	memcpy(w->data, data, len);
	w->len = len;
}

static const struct derp_client_hooks hooks = { .login = on_login, .packet = on_packet };

static struct world *make(uint64_t now)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->pool.max = 8 << 20;
	derp_client_init(&w->client, &server_keys, &w->pool, &hooks, w, now);
	return w;
}

static void done(struct world *w)
{
	derp_client_done(&w->client);
	assert_int_equal(w->pool.used, 0);
	free(w);
}

/* All that it has to say, in bites of @max. */
static size_t drain(struct world *w, size_t max, uint64_t now)
{
	size_t n;

	w->out_len = 0;
	while ((n = derp_client_output(&w->client, w->out + w->out_len, max, now)))
		w->out_len += n;
	assert_false(derp_client_has_output(&w->client));
	return w->out_len;
}

static void input(struct world *w, const void *data, size_t len, size_t step, uint64_t now)
{
	for (size_t n; len; len -= n, data = (const uint8_t *) data + n) {
		n = step < len ? step : len;
		derp_client_input(&w->client, data, n, now);
	}
}

static struct world *make_open(uint64_t now)
{
	struct world *w = make(now);
	uint8_t frame[DERP_INFO_FRAME_MAX];
	size_t len = login_frame(&me, server.key, 2, frame);

	input(w, FAST, strlen(FAST), 1000, now);
	input(w, frame, len, 1000, now);
	assert_int_equal(w->client.state, DERP_CLIENT_OPEN);
	(void) drain(w, 16384, now);
	return w;
}

static void ended(struct world *w, enum derp_end why)
{
	assert_int_equal(w->client.state, DERP_CLIENT_ENDING);
	assert_int_equal(w->client.end, why);
}

/* As a client does it that does not know our key yet, whatever the pieces. */
static void test_way_in(void **state)
{
	static const size_t steps[] = { 1, 2, 7, 100000 };

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct world *w = make(SEC);
		uint8_t in[2 * DERP_INFO_FRAME_MAX], greeting[DERP_SERVER_KEY_LEN];
		struct derp_frame frame;
		struct derp_server_info info;
		size_t len;

		input(w, UPGRADE, strlen(UPGRADE), steps[i], SEC);
		assert_int_equal(w->client.state, DERP_CLIENT_LOGIN);
		len = drain(w, 3, SEC);
		assert_memory_equal(w->out, "HTTP/1.1 101 ", 13);
		derp_server_key_put(server.key, greeting);
		assert_memory_equal(w->out + len - sizeof(greeting), greeting, sizeof(greeting));
		assert_memory_equal(w->out + len - sizeof(greeting) - 4, "\r\n\r\n", 4);

		len = login_frame(&me, server.key, 2, in);
		len += packet_frame(other.key, "hello", 5, in + len);
		input(w, in, len, steps[i], SEC);
		assert_int_equal(w->client.state, DERP_CLIENT_OPEN);
		assert_memory_equal(w->client.key, me.key, DERP_KEY_LEN);
		assert_int_equal(w->logins, 1);
		len = drain(w, 16384, SEC);
		frame = (struct derp_frame){ w->out[0], w->out + 5, len - 5 };
		assert_int_equal(frame.type, DERP_SERVER_INFO);
		assert_int_equal(derp_server_info_parse(&frame, me.secret, server.key, &info), 0);
		assert_int_equal(info.version, 2);
		assert_int_equal(w->packets, 1);
		assert_memory_equal(w->to, other.key, DERP_KEY_LEN);
		assert_int_equal(w->len, 5);
		assert_memory_equal(w->data, "hello", 5);
		done(w);
	}
}

static void test_fast_start(void **state)
{
	struct world *w = make(0);
	uint8_t in[2 * DERP_INFO_FRAME_MAX];
	size_t len = strlen(FAST);

	memcpy(in, FAST, len);
	len += login_frame(&me, server.key, 2, in + len);
	input(w, in, len, sizeof(in), 0);
	assert_int_equal(w->client.state, DERP_CLIENT_OPEN);
	(void) drain(w, 16384, 0);
	assert_int_equal(w->out[0], DERP_SERVER_KEY);
	assert_int_equal(w->out[DERP_SERVER_KEY_LEN], DERP_SERVER_INFO);
	done(w);
}

static void test_http_only(void **state)
{
	static const struct {
		const char *request, *answer;
		enum derp_end end;
	} cases[] = {
		{ "GET /derp/probe HTTP/1.1\r\n\r\n", "HTTP/1.1 200 ", DERP_END_ANSWERED },
		{ "GET /derp HTTP/1.1\r\nUpgrade: websocket\r\n\r\n\x81\x80", "HTTP/1.1 426 ",
			DERP_END_ANSWERED },
		{ "GET /derp HTTP/1.1\r\n\r\n\4\0\0\0", "HTTP/1.1 426 ", DERP_END_ANSWERED },
		{ "\x16\x03\x01", "HTTP/1.1 400 ", DERP_END_REQUEST },
		{ "POST /derp HTTP/1.1\r\nContent-Length: 9\r\n\r\n", "HTTP/1.1 400 ",
			DERP_END_REQUEST },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world *w = make(0);

		input(w, cases[i].request, strlen(cases[i].request), 5, 0);
		ended(w, cases[i].end);
		assert_false(derp_client_is_over(&w->client, 0));
		assert_true(drain(w, 100, 0) > 0);
		assert_memory_equal(w->out, cases[i].answer, strlen(cases[i].answer));
		assert_true(derp_client_is_over(&w->client, 0));
		done(w);
	}
}

static void test_long_request(void **state)
{
	struct world *w = make(0);
	char many[5000];

	memset(many, 'a', sizeof(many));
	memcpy(many, "GET /", 5);
	input(w, many, sizeof(many), 900, 0);
	ended(w, DERP_END_REQUEST);
	done(w);
}

/* Sealed for another, by another, of another version, or by nobody of ours. */
static void test_logins_refused(void **state)
{
	static const enum derp_end answers[] = { DERP_END_STRANGER, DERP_END_FULL };
	uint8_t frame[DERP_INFO_FRAME_MAX];
	size_t len;

	for (int i = 0; i < 3; i++) {
		struct world *w = make(0);

		len = login_frame(&me, i == 0 ? other.key : server.key, i == 1 ? 1 : 2, frame);
		if (i == 2)
			memcpy(frame + DERP_HEAD_LEN, other.key, DERP_KEY_LEN);
		input(w, FAST, strlen(FAST), 1000, 0);
		input(w, frame, len, 1000, 0);
		ended(w, DERP_END_LOGIN);
		assert_int_equal(w->logins, 0);
		done(w);
	}
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct world *w = make(0);

		w->answer = answers[i];
		len = login_frame(&me, server.key, 2, frame);
		input(w, FAST, strlen(FAST), 1000, 0);
		(void) drain(w, 1000, 0);
		input(w, frame, len, 1000, 0);
		ended(w, answers[i]);
		(void) drain(w, 1000, 0);
		assert_int_equal(w->out[0], DERP_HEALTH); /* and no server information */
		assert_int_equal(w->out_len, DERP_HEAD_LEN + w->out[4]);
		done(w);
	}
}

/* What has no place there ends it, and nothing behind that is looked at. */
static void test_wrong_order(void **state)
{
	static const struct {
		bool open;
		uint8_t frame[6];
	} cases[] = {
		{ false, { DERP_SEND, 0, 0, 0, 32 } },
		{ false, { DERP_PING, 0, 0, 0, 8 } },
		{ false, { DERP_CLIENT_INFO, 0, 1, 0, 0 } },
		{ true, { DERP_CLIENT_INFO, 0, 0, 0, 80 } },
		{ true, { DERP_RECV, 0, 0, 0, 32 } },
		{ true, { DERP_FORWARD, 0, 0, 0, 64 } },
		{ true, { DERP_WATCH, 0, 0, 0, 0 } },
		{ true, { DERP_CLOSE_PEER, 0, 0, 0, 32 } },
		{ true, { DERP_SEND, 0, 1, 0, 33 } },
		{ true, { DERP_SEND, 0xff, 0xff, 0xff, 0xff } },
		{ true, { 0x77, 0, 2, 0, 0 } },
		{ true, { DERP_PING, 0, 0, 0, 1, 1 } },
		{ true, { DERP_SEND, 0, 0, 0, 1, 1 } },
		{ true, { DERP_NOTE_PREFERRED, 0, 0, 0, 0 } },
	};
	uint8_t packet[64];
	size_t len = packet_frame(other.key, "late", 4, packet);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world *w = cases[i].open ? make_open(0) : make(0);

		if (!cases[i].open)
			input(w, FAST, strlen(FAST), 1000, 0);
		input(w, cases[i].frame, cases[i].frame[4] == 1 ? 6 : 5, 10, 0);
		input(w, packet, len, 10, 0);
		ended(w, DERP_END_FRAME);
		assert_int_equal(w->packets, 0);
		done(w);
	}
}

static void test_small_talk(void **state)
{
	struct world *w = make_open(0);
	uint8_t frame[DERP_HEALTH_FRAME_MAX];

	derp_ping_put(DERP_PING, (const uint8_t *) "12345678", frame);
	input(w, frame, DERP_PING_FRAME_LEN, 3, 0);
	assert_int_equal(drain(w, 100, 0), DERP_PING_FRAME_LEN);
	derp_ping_put(DERP_PONG, (const uint8_t *) "12345678", frame);
	assert_memory_equal(w->out, frame, DERP_PING_FRAME_LEN);
	derp_note_preferred_put(true, frame);
	input(w, frame, DERP_NOTE_LEN, 100, 0);
	assert_true(w->client.preferred);
	input(w, "\x77\0\0\0\3abc", 8, 100, 0); /* of a later version: nothing */
	assert_int_equal(w->client.state, DERP_CLIENT_OPEN);
	derp_client_say_restart(&w->client, 1, 2, 0);
	derp_client_say_gone(&w->client, other.key, DERP_GONE_DISCONNECTED, 0);
	assert_int_equal(drain(w, 100, 0), DERP_RESTARTING_LEN + DERP_PEER_GONE_LEN);
	done(w);
}

/* Pings without end from one who reads nothing cost so much and no more. */
static void test_ping_flood(void **state)
{
	struct world *w = make_open(0);
	uint8_t frame[DERP_PING_FRAME_LEN];

	derp_ping_put(DERP_PING, (const uint8_t *) "12345678", frame);
	for (int i = 0; i < 100000; i++)
		input(w, frame, sizeof(frame), sizeof(frame), 0);
	assert_in_range(w->client.control.len, 1, DERP_CLIENT_CONTROL_MAX);
	assert_int_equal(w->client.control.len / sizeof(frame) + w->client.unsaid, 100000);
	done(w);
}

/* Three at once, then one each second. */
static void test_not_here(void **state)
{
	struct world *w = make_open(0);

	for (int i = 0; i < 100; i++)
		derp_client_say_gone(&w->client, other.key, DERP_GONE_NOT_HERE, SEC);
	assert_int_equal(drain(w, 1000, SEC), 3 * DERP_PEER_GONE_LEN);
	for (int i = 0; i < 100; i++)
		derp_client_say_gone(
			&w->client, other.key, DERP_GONE_NOT_HERE, 2 * SEC + (uint64_t) i);
	assert_int_equal(drain(w, 1000, 2 * SEC), DERP_PEER_GONE_LEN);
	done(w);
}

/* Packets come whole in their order, and small frames only between two. */
static void test_output(void **state)
{
	static const uint8_t large[60000] = { 1 };
	struct world *w = make_open(0);
	struct derp_reader reader = { 0 };
	const uint8_t *at = w->out;
	struct derp_frame frame;
	uint8_t types[8];
	size_t n = 0, first;

	assert_true(derp_client_put(&w->client, other.key, large, sizeof(large), 0));
	assert_true(derp_client_put(&w->client, other.key, large, 100, 0));
	first = derp_client_output(&w->client, w->out, 1000, 0);
	assert_int_equal(first, 1000);
	derp_client_say_gone(&w->client, me.key, DERP_GONE_DISCONNECTED, 0);
	while ((n = derp_client_output(&w->client, w->out + first, 777, 0)))
		first += n;
	while (derp_reader_next(&reader, DERP_STAGE_CLIENT_OPEN, &at, &first, &frame) > 0)
		types[n++] = frame.type;
	assert_int_equal(n, 3);
	assert_memory_equal(types, "\x05\x08\x05", 3);
	derp_reader_done(&reader);
	done(w);
}

/* --- time --- */

static void tick_until(struct world *w, uint64_t until)
{
	while (w->client.state != DERP_CLIENT_ENDING && derp_client_due_us(&w->client) <= until) {
		uint64_t due = derp_client_due_us(&w->client);

		derp_client_tick(&w->client, due);
		assert_true(w->client.state == DERP_CLIENT_ENDING ||
			    derp_client_due_us(&w->client) > due);
	}
}

/* However steadily it trickles: 10 s for each half of the way in. */
static void test_slow_login(void **state)
{
	uint8_t frame[DERP_INFO_FRAME_MAX];
	size_t len = login_frame(&me, server.key, 2, frame), at = 0;
	struct world *w = make(0);
	uint64_t now;

	for (now = 0; now < 9 * SEC; now += SEC) {
		tick_until(w, now);
		input(w, &UPGRADE[at++], 1, 1, now);
	}
	input(w, &UPGRADE[at], strlen(UPGRADE) - at, 100, 9 * SEC);
	(void) drain(w, 100, now);
	assert_int_equal(w->client.state, DERP_CLIENT_LOGIN);
	tick_until(w, 19 * SEC - 1);
	input(w, frame, len - 1, 100, 19 * SEC - 1);
	assert_int_equal(w->client.state, DERP_CLIENT_LOGIN);
	tick_until(w, 19 * SEC);
	ended(w, DERP_END_SLOW_LOGIN);
	done(w);
	w = make(0);
	tick_until(w, 10 * SEC - 1);
	assert_int_equal(w->client.state, DERP_CLIENT_REQUEST);
	tick_until(w, 10 * SEC);
	ended(w, DERP_END_SLOW_LOGIN);
	done(w);
}

/* A frame has 30 s from its first byte; one that is silent between frames has all the time. */
static void test_slow_frame(void **state)
{
	struct world *w = make_open(0);
	uint8_t frame[200], data[100] = { 0 };

	(void) packet_frame(other.key, data, sizeof(data), frame);
	for (uint64_t now = SEC; now < 1000 * SEC; now += SEC) {
		tick_until(w, now);
		(void) drain(w, 100, now);
	}
	for (int i = 0; i < 29; i++) {
		tick_until(w, (1000 + (uint64_t) i) * SEC);
		(void) drain(w, 100, (1000 + (uint64_t) i) * SEC);
		input(w, frame + i, 1, 1, (1000 + (uint64_t) i) * SEC);
	}
	assert_int_equal(w->client.state, DERP_CLIENT_OPEN);
	tick_until(w, 1030 * SEC);
	ended(w, DERP_END_SLOW_FRAME);
	assert_null(w->client.reader.held);
	done(w);
}

/* Takes nothing for 30 s while something waits. */
static void test_stuck(void **state)
{
	struct world *w = make_open(0);
	uint8_t byte;

	assert_true(derp_client_put(&w->client, other.key, w->data, 1000, SEC));
	tick_until(w, 30 * SEC);
	assert_true(derp_client_put(&w->client, other.key, w->data, 1000, 30 * SEC));
	assert_int_equal(derp_client_output(&w->client, &byte, 1, 30 * SEC), 1);
	tick_until(w, 60 * SEC - 1);
	assert_int_equal(w->client.state, DERP_CLIENT_OPEN);
	tick_until(w, 60 * SEC);
	ended(w, DERP_END_STUCK);
	done(w);
}

static void test_keep_alive(void **state)
{
	struct world *w = make_open(0);
	unsigned n = 0;

	for (uint64_t now = 0; now < 3600 * SEC; now += SEC) {
		tick_until(w, now);
		if (drain(w, 100, now)) {
			assert_int_equal(w->out_len, DERP_HEAD_LEN);
			assert_int_equal(w->out[0], DERP_KEEP_ALIVE);
			n++;
		}
	}
	assert_in_range(n, 3600 / 66, 60);
	done(w);
}

/* The reason is said, nothing is read any more, and there are two seconds for it. */
static void test_ending(void **state)
{
	struct world *w = make_open(0);
	uint8_t frame[DERP_PING_FRAME_LEN];

	assert_true(derp_client_put(&w->client, other.key, w->data, 1000, 0));
	derp_client_end(&w->client, DERP_END_REMOVED, "go away", SEC);
	derp_client_end(&w->client, DERP_END_CLOSED, NULL, SEC);
	ended(w, DERP_END_REMOVED);
	assert_false(derp_client_put(&w->client, other.key, w->data, 1000, SEC));
	derp_ping_put(DERP_PING, (const uint8_t *) "12345678", frame);
	input(w, frame, sizeof(frame), sizeof(frame), SEC);
	assert_false(derp_client_is_over(&w->client, 3 * SEC - 1));
	assert_true(derp_client_is_over(&w->client, 3 * SEC));
	assert_int_equal(drain(w, 100, SEC), DERP_HEAD_LEN + 7);
	assert_int_equal(w->out[0], DERP_HEALTH);
	assert_true(derp_client_is_over(&w->client, SEC));
	done(w);
}

/* A minute after the last packet it holds nothing of it. */
static void test_memory(void **state)
{
	struct world *w = make_open(0);

	for (int i = 0; i < 100; i++)
		assert_true(derp_client_put(&w->client, other.key, w->data, 1000, 0));
	tick_until(w, 500000);
	(void) drain(w, 16384, 500000);
	assert_int_equal(w->client.queue.n_flows, 1);
	tick_until(w, 5 * SEC);
	assert_int_equal(w->client.queue.n_flows, 0);
	assert_null(w->client.control.data);
	assert_null(w->client.request.data);
	assert_null(w->client.reader.held);
	assert_int_equal(w->client.tidy_us, 0);
	done(w);
}

static int prepare(void **state)
{
	server = login_keys(1);
	me = login_keys(2);
	other = login_keys(3);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_way_in),
		cmocka_unit_test(test_fast_start),
		cmocka_unit_test(test_http_only),
		cmocka_unit_test(test_long_request),
		cmocka_unit_test(test_logins_refused),
		cmocka_unit_test(test_wrong_order),
		cmocka_unit_test(test_small_talk),
		cmocka_unit_test(test_ping_flood),
		cmocka_unit_test(test_not_here),
		cmocka_unit_test(test_output),
		cmocka_unit_test(test_slow_login),
		cmocka_unit_test(test_slow_frame),
		cmocka_unit_test(test_stuck),
		cmocka_unit_test(test_keep_alive),
		cmocka_unit_test(test_ending),
		cmocka_unit_test(test_memory),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, prepare, NULL);
}
