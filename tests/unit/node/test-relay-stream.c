/*
 * relay-stream and relay-login: how a stream to a relay comes to be and is lost, what it costs when
 * that goes on for ever, and what a relay can do about it that means ill. The ferry, the resolver,
 * the connection and the relay at its other end are the test's.
 */
#include "fake-core.h"
#include "fake-dial.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>

#include "base/encode.h"
#include "node/relay-stream.h"

#define SECOND USEC_PER_SEC
#define MS     USEC_PER_MSEC

enum { ID = 4, FRAMES = 64 };

static uint8_t relay_secret[DERP_KEY_LEN] = { 7 }, relay_key[DERP_KEY_LEN];

/* --- instead of the ferry --- */

static struct {
	bool open;
	struct ferry_stream stream;
	unsigned opened;
	uint64_t heard_us;
	int fails, full;
} ferry;
static struct ferry *const the_ferry = (struct ferry *) &ferry;
static uint8_t frames[FRAMES][DERP_PING_FRAME_LEN]; /* that it was given to send */
static size_t n_frames;

int ferry_stream_open(struct ferry *f, uint32_t relay, const struct ferry_stream *stream)
{
	assert_false(ferry.open);
	assert_int_equal(relay, ID);
	if (ferry.fails)
		return ferry.fails;
	ferry.open = true;
	ferry.opened++;
	ferry.stream = *stream;
	ferry.heard_us = clock_now_us();
	return 0;
}

void ferry_stream_close(struct ferry *f, uint32_t relay)
{
	assert_true(ferry.open);
	ferry.open = false;
	ferry.heard_us = 0;
}

int ferry_stream_send(struct ferry *f, uint32_t relay, const uint8_t *frame, size_t len)
{
	assert_true(ferry.open);
	assert_int_equal(len, DERP_PING_FRAME_LEN);
	if (ferry.full)
		return -EAGAIN;
	assert_true(n_frames < FRAMES);
	memcpy(frames[n_frames++], frame, len);
	return 0;
}

uint64_t ferry_stream_heard_us(const struct ferry *f, uint32_t relay)
{
	return ferry.heard_us;
}

/* --- instead of the resolver --- */

static struct resolve {
	resolve_fn done;
	void *ctx;
	bool asked;
} lookup;

int resolve_start(sd_event *event, const char *name, resolve_fn done, void *ctx,
	struct resolve **ret, struct err *err)
{
	assert_false(lookup.asked);
	lookup = (struct resolve){ done, ctx, true };
	*ret = &lookup;
	return 0;
}

struct resolve *resolve_cancel(struct resolve *r)
{
	if (r)
		r->asked = false;
	return NULL;
}

static void resolved(const char *text)
{
	struct ip_addr addr;
	struct err err = { 0 };
	size_t n = 0;

	assert_true(lookup.asked);
	lookup.asked = false;
	if (text)
		assert_int_equal(ip_addr_parse(text, &addr), (int) n++);
	else
		err_set(&err, -EHOSTUNREACH, "vps.example cannot be looked up: no such name");
	lookup.done(lookup.ctx, &addr, n, &err);
}

/* --- around it --- */

static struct core *core;
static struct node_relay record;
static struct relay_addrs addrs;
static struct relay_stream stream;
static sd_event_source *timer;

static void run(void)
{
	uint64_t now_us = clock_now_us(), at_us = relay_stream_run(&stream, now_us);

	assert_true(at_us > now_us); /* else it would spin */
	(void) sd_event_source_set_time_relative(timer, at_us == UINT64_MAX ? 0 : at_us - now_us);
	(void) sd_event_source_set_enabled(
		timer, at_us == UINT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	run();
	return 0;
}

static void on_changed(void *ctx)
{
	assert_ptr_equal(ctx, &ferry);
	run();
}

static void add_host(const char *host)
{
	(void) snprintf(record.hosts[record.n_hosts++], FIELD_HOST_MAX, "%s", host);
}

static int set_up(void **state)
{
	core = fake_core_new();
	core->wg_private[0] = 3;
	(void) crypto_scalarmult_base(core->wg_public, core->wg_private);
	(void) crypto_scalarmult_base(relay_key, relay_secret);
	fake_dial_reset();
	memset(&ferry, 0, sizeof(ferry));
	n_frames = 0;
	record = (struct node_relay){ .tcp = 443, .pin = { 0xaa } };
	memcpy(record.key, relay_key, sizeof(record.key));
	assert_int_equal(
		sd_event_add_time(core->event, &timer, CLOCK_MONOTONIC, 0, 0, on_timer, NULL), 0);
	(void) sd_event_source_set_enabled(timer, SD_EVENT_OFF);
	relay_addrs_init(&addrs, core, ID, &record, on_changed, &ferry);
	relay_stream_init(&stream, core, ID, &record, &addrs, on_changed, &ferry);
	return 0;
}

static int tear_down(void **state)
{
	relay_stream_use(&stream, NULL, clock_now_us());
	relay_addrs_stop(&addrs);
	assert_false(ferry.open);
	assert_false(lookup.asked);
	fake_dial_check();
	timer = sd_event_source_disable_unref(timer);
	core = fake_core_free(core);
	return 0;
}

static void use(void)
{
	relay_addrs_ask(&addrs, clock_now_us());
	relay_stream_use(&stream, the_ferry, clock_now_us());
	run();
}

static void begin(const char *host)
{
	add_host(host);
	use();
}

/* As the relay does it that is none of the evil ones. */
static struct dial_conn *let_in(void)
{
	struct dial_conn *c = fake_dial_stands(fake_dial_last());

	fake_dial_lets_in(c, relay_secret);
	assert_true(relay_stream_carries(&stream));
	assert_true(ferry.open);
	return c;
}

static void take(uint8_t type, const void *data, size_t len)
{
	const struct derp_frame frame = { type, data, len };

	ferry.heard_us = clock_now_us();
	relay_stream_take(&stream, &frame, clock_now_us());
	run();
}

static void pong(void)
{
	take(DERP_PONG, frames[n_frames - 1] + DERP_HEAD_LEN, DERP_PING_LEN);
}

static void ended(int error)
{
	ferry.heard_us = 0;
	relay_stream_ended(&stream, error, clock_now_us());
	run();
}

static void why_is(const char *text)
{
	char why[RELAY_STREAM_WHY_MAX];

	assert_string_equal(relay_stream_why(&stream, why), text);
}

/* --- as it should be --- */

static void test_open(void **state)
{
	char pin[KEY_BASE64_LEN];
	uint8_t key[DERP_KEY_LEN], text[2 * DERP_INFO_FRAME_MAX];
	struct dial_conn *c;
	size_t n;

	begin("203.0.113.4");
	assert_int_equal(fake_dials_n, 1);
	assert_string_equal(fake_dials[0].host, "203.0.113.4");
	assert_int_equal(fake_dials[0].port, 443);
	assert_string_equal(fake_dials[0].proxy, "");
	key_to_base64(record.pin, pin);
	assert_string_equal(fake_dials[0].pin, pin);
	c = fake_dial_stands(&fake_dials[0]);
	fake_dial_expect_login(c, relay_secret, key);
	assert_memory_equal(key, core->wg_public, sizeof(key));
	assert_non_null(memmem(c->out.data, c->out.len, "Host: 203.0.113.4:443\r\n", 23));
	/* What comes with it is the ferry's, before what comes later. */
	n = fake_dial_welcome(relay_secret, key, text);
	memcpy(text + n, "first", 5);
	fake_dial_says(c, text, n + 5);
	assert_true(ferry.open);
	assert_int_equal(ferry.stream.fd, c->fd);
	fake_dial_says(c, "then", 4);
	assert_int_equal(ferry.stream.receive(ferry.stream.ctx, text, 3), 3);
	assert_int_equal(ferry.stream.receive(ferry.stream.ctx, text + 3, 100), 2);
	assert_int_equal(ferry.stream.receive(ferry.stream.ctx, text + 5, 100), 4);
	assert_memory_equal(text, "firstthen", 9);
	assert_int_equal(ferry.stream.receive(ferry.stream.ctx, text, 100), -EAGAIN);
	n = c->out.len;
	assert_int_equal(ferry.stream.send(ferry.stream.ctx, "hello", 5), 5);
	assert_int_equal(c->out.len, n + 5);
	/* And how far it is. */
	assert_int_equal(n_frames, 1);
	fake_event_pass(41 * MS);
	pong();
	assert_int_equal(stream.rtt_us, 41 * MS);
	assert_false(relay_stream_is_silent(&stream, clock_now_us()));
	/* An idle one: a ping now and then, and nothing else. */
	n = n_frames;
	for (int i = 0; i < 30; i++) {
		fake_event_pass(60 * SECOND);
		ferry.heard_us = clock_now_us(); /* a KEEP_ALIVE */
	}
	assert_in_range(n_frames - n, 19, 21);
	assert_int_equal(ferry.opened, 1);
}

/* It says it byte by byte, and takes nothing for a while. */
static void test_slowly(void **state)
{
	uint8_t key[DERP_KEY_LEN], text[2 * DERP_INFO_FRAME_MAX];
	struct dial_conn *c;
	size_t n;

	begin("203.0.113.4");
	fake_dials[0].conn.full = true;
	c = fake_dial_stands(&fake_dials[0]);
	assert_int_equal(c->out.len, 0);
	c->full = false;
	fake_event_ready(c->fd);
	fake_dial_expect_login(c, relay_secret, key);
	c->most = 1;
	n = fake_dial_welcome(relay_secret, key, text);
	for (size_t i = 0; i < n; i++) {
		assert_false(ferry.open);
		fake_event_pass(MS);
		fake_dial_says(c, text + i, 1);
	}
	assert_true(ferry.open);
	assert_int_equal(ferry.stream.receive(ferry.stream.ctx, text, 100), -EAGAIN);
}

/* --- where it is --- */

static void test_addresses(void **state)
{
	add_host("203.0.113.4");
	add_host("2001:db8::4");
	add_host("198.51.100.4");
	use();
	assert_int_equal(fake_dials_n, 1);
	fake_event_pass(RELAY_LOGIN_NEXT_US);
	assert_int_equal(fake_dials_n, 2);
	assert_string_equal(fake_dials[1].host, "2001:db8::4");
	fake_dial_fails_with(&fake_dials[1], -ENETUNREACH, "Network is unreachable");
	assert_int_equal(fake_dials_n, 3); /* at once */
	assert_true(fake_dials[0].asked);
	(void) let_in();
	assert_int_equal(fake_dial_asked(), 0); /* nobody waits for the first */
	/* Next time where it was good. */
	fake_event_pass(20 * SECOND);
	ended(0);
	fake_event_pass(SECOND);
	assert_string_equal(fake_dial_last()->host, "198.51.100.4");
	fake_event_pass(RELAY_LOGIN_NEXT_US);
	assert_string_equal(fake_dial_last()->host, "203.0.113.4");
}

static void test_all_fail(void **state)
{
	add_host("203.0.113.4");
	add_host("198.51.100.4");
	use();
	fake_dial_fails_with(&fake_dials[0], -ECONNREFUSED, "Connection refused");
	assert_false(relay_stream_is_silent(&stream, clock_now_us()));
	fake_dial_fails_with(&fake_dials[1], -EKEYREJECTED, "it has another key");
	assert_int_equal(fake_dials_n, 2);
	why_is("TLS to 198.51.100.4:443: it has another key");
	assert_true(relay_stream_is_silent(&stream, clock_now_us()));
	fake_event_pass(SECOND);
	assert_int_equal(fake_dials_n, 3);
}

/* Another server where one is looked for is more than that nobody is at another. */
static void test_why(void **state)
{
	add_host("203.0.113.4");
	begin("203.0.113.5");
	fake_dial_fails_with(&fake_dials[0], -EKEYREJECTED, "this is another server");
	fake_dial_fails_with(&fake_dials[1], -ETIMEDOUT, "no answer in time");
	assert_non_null(strstr(stream.why.text, "this is another server"));
	while (fake_dials_n == 2)
		fake_event_pass(100 * USEC_PER_MSEC);
	fake_dial_fails_with(&fake_dials[2], -ETIMEDOUT, "no answer in time");
	fake_dial_fails_with(&fake_dials[3], -ECONNREFUSED, "refused");
	assert_non_null(strstr(stream.why.text, "refused")); /* it is gone */
}

static void test_names(void **state)
{
	begin("vps.example");
	assert_int_equal(fake_dials_n, 0);
	fake_event_pass(5 * SECOND);
	assert_true(relay_stream_is_silent(&stream, clock_now_us()));
	resolved(NULL);
	why_is("vps.example cannot be looked up: no such name");
	fake_event_pass(SECOND);
	assert_true(lookup.asked); /* five seconds after the first time */
	resolved("203.0.113.4");
	assert_string_equal(fake_dials[0].host, "vps.example");
	assert_non_null(let_in());
}

/* What the proxy leads to alone is not looked for here; what may be on the LAN, by both. */
static void test_proxy(void **state)
{
	static char proxy[] = "http://proxy.example:3128";

	core->wayout.url = proxy;
	add_host("vps.example");
	add_host("192.168.50.4");
	use();
	fake_event_pass(10 * SECOND);
	assert_int_equal(fake_dials_n, 2);
	assert_string_equal(fake_dials[0].host, "vps.example");
	assert_string_equal(fake_dials[0].proxy, proxy);
	assert_int_equal(fake_dials[0].addr.family, AF_UNSPEC);
	assert_string_equal(fake_dials[1].host, "192.168.50.4");
	assert_string_equal(fake_dials[1].proxy, proxy);
	resolved("203.0.113.4");
	assert_int_equal(fake_dials_n, 3);
	assert_string_equal(fake_dials[2].host, "192.168.50.4");
	assert_string_equal(fake_dials[2].proxy, "");
	fake_dial_fails_with(&fake_dials[0], -EACCES, "the proxy wants another password");
	fake_dial_fails_with(&fake_dials[2], -ENETUNREACH, "Network is unreachable");
	(void) let_in();
	assert_int_equal(stream.login.to.addr.family, AF_UNSPEC);
	core->wayout.url = NULL;
}

/* One that wants another password is asked once a minute, whatever the hosts; but after a reload. */
static void test_proxy_refuses(void **state)
{
	static char proxy[] = "http://proxy.example:3128";
	uint64_t failed_us = 0;

	core->wayout.url = proxy;
	add_host("vps.example");
	add_host("other.example");
	use();
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(fake_dials_n, i + 1);
		assert_true(!i || fake_dials[i].at_us - failed_us >= RELAY_STREAM_PAUSE_MAX_US / 2);
		failed_us = clock_now_us();
		fake_dial_fails_with(&fake_dials[i], -EACCES, "the proxy wants another password");
		while (lookup.asked)
			resolved(NULL);
		while (fake_dials_n == i + 1)
			fake_event_pass(100 * USEC_PER_MSEC);
	}
	fake_dial_fails_with(fake_dial_last(), -EACCES, "the proxy wants another password");
	while (lookup.asked)
		resolved(NULL);
	assert_non_null(strstr(stream.why.text, "the proxy wants another password"));
	relay_stream_hurry(&stream, clock_now_us());
	run();
	(void) let_in();
	core->wayout.url = NULL;
}

/* --- relays that mean ill, or are none --- */

static void welcome(struct dial_conn *c)
{
	uint8_t text[2 * DERP_INFO_FRAME_MAX];

	fake_dial_says(c, text, fake_dial_welcome(relay_secret, core->wg_public, text));
}

static void another_key(struct dial_conn *c)
{
	static const uint8_t secret[DERP_KEY_LEN] = { 8 };
	uint8_t text[2 * DERP_INFO_FRAME_MAX];

	fake_dial_says(c, text, fake_dial_welcome(secret, core->wg_public, text));
}

static void garbage(struct dial_conn *c)
{
	fake_dial_says(c, "\xff\xff\xff\xff\xff\xff", 6);
}

static void http(struct dial_conn *c)
{
	fake_dial_says(c, "HTTP/1.1 403 Forbidden\r\n\r\n", 26);
}

static void refuses(struct dial_conn *c)
{
	uint8_t frame[DERP_HEALTH_FRAME_MAX], key[DERP_SERVER_KEY_LEN];

	derp_server_key_put(relay_key, key);
	fake_dial_says(c, key, sizeof(key));
	fake_dial_says(c, frame, derp_health_put("members\x1b[2J only", frame));
}

static void hangs_up(struct dial_conn *c)
{
	fake_dial_hangs_up(c, 0);
}

static void breaks(struct dial_conn *c)
{
	fake_dial_hangs_up(c, -ECONNRESET);
}

static void stalls(struct dial_conn *c)
{
	fake_event_pass(RELAY_LOGIN_US);
}

static void stalls_in_head(struct dial_conn *c)
{
	fake_dial_says(c, "HTTP/1.1 101 Swi", 16);
	fake_event_pass(RELAY_LOGIN_US);
}

static void stalls_in_frame(struct dial_conn *c)
{
	uint8_t text[2 * DERP_INFO_FRAME_MAX];
	size_t n = fake_dial_welcome(relay_secret, core->wg_public, text);

	fake_dial_says(c, text, n - 1);
	fake_event_pass(RELAY_LOGIN_US);
}

/* However it keeps us busy. */
static void trickles(struct dial_conn *c)
{
	for (int i = 0; i < 20; i++) {
		fake_dial_says(c, &"HTTP/1.1 101 Switching Protocols"[i], 1);
		fake_event_pass(RELAY_LOGIN_US / 20);
	}
}

static void test_hostile(void **state)
{
	static const struct {
		void (*talk)(struct dial_conn *c);
		const char *why;
	} cases[] = {
		{ another_key, "its key is not the one in its record" },
		{ garbage, "it does not speak DERP" },
		{ http, "it is no relay: it answers with HTTP status 403" },
		{ refuses, "it says: members\\x1b[2J only" },
		{ hangs_up, "it hangs up before it lets us in" },
		{ breaks, "it hangs up before it lets us in" },
		{ stalls, "it does not let us in" },
		{ stalls_in_head, "it does not let us in" },
		{ stalls_in_frame, "it does not let us in" },
		{ trickles, "it does not let us in" },
	};
	char why[RELAY_STREAM_WHY_MAX];

	begin("203.0.113.4");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct dial_conn *c = fake_dial_stands(fake_dial_last());

		cases[i].talk(c);
		assert_false(c->there);
		assert_int_equal(fake_dial_asked(), 0);
		(void) snprintf(why, sizeof(why), "TLS to 203.0.113.4:443: %s", cases[i].why);
		why_is(why);
		assert_int_equal(relay_stream_is_refused(&stream), cases[i].talk == refuses);
		fake_event_pass(80 * SECOND);
		assert_int_equal(fake_dial_asked(), 1);
	}
	assert_int_equal(ferry.opened, 0);
	/* And it is believed again when it behaves. */
	welcome(fake_dial_stands(fake_dial_last()));
	assert_int_equal(ferry.opened, 1);
}

/* --- what it costs --- */

/* From one try to the next: half a second, twice that ... a minute; a quarter more or less. */
static void test_backoff(void **state)
{
	uint64_t pause_us = RELAY_STREAM_PAUSE_US;

	begin("203.0.113.4");
	for (unsigned i = 1; i < 12; i++) {
		uint64_t failed_us = clock_now_us();

		fake_dial_fails_with(fake_dial_last(), -ECONNREFUSED, "Connection refused");
		fake_event_pass(2 * RELAY_STREAM_PAUSE_MAX_US);
		assert_int_equal(fake_dials_n, i + 1);
		assert_in_range(
			fake_dials[i].at_us - failed_us, pause_us * 3 / 4, pause_us * 5 / 4 + 1);
		pause_us *= 2;
		if (pause_us > RELAY_STREAM_PAUSE_MAX_US)
			pause_us = RELAY_STREAM_PAUSE_MAX_US;
	}
	/* With other addresses of ours it may be another thing. */
	fake_dial_fails_with(fake_dial_last(), -ECONNREFUSED, "Connection refused");
	relay_stream_moved(&stream, clock_now_us());
	run();
	assert_int_equal(fake_dial_asked(), 1);
	fake_dial_fails_with(fake_dial_last(), -ECONNREFUSED, "Connection refused");
	fake_event_pass(SECOND);
	assert_int_equal(fake_dial_asked(), 1);
	relay_stream_moved(&stream, clock_now_us()); /* also while it is dialled */
	run();
	assert_int_equal(fake_dial_asked(), 1);
}

/* Failures are forgotten once it has stood, also if it was we who closed it; or after a minute. */
static void test_backoff_ends(void **state)
{
	begin("203.0.113.4");
	for (int i = 0; i < 3; i++) {
		for (int k = 0; k < 5 && i < 2; k++) {
			fake_dial_fails_with(fake_dial_last(), -ECONNREFUSED, "no");
			fake_event_pass(RELAY_STREAM_PAUSE_MAX_US / 2);
		}
		if (i == 0)
			(void) let_in();
		if (i < 2)
			fake_event_pass(RELAY_STREAM_PROVED_US);
		relay_stream_use(&stream, NULL, clock_now_us());
		run();
		if (i == 2)
			fake_event_pass(2 * RELAY_STREAM_PAUSE_MAX_US);
		use();
		fake_dial_fails_with(fake_dial_last(), -ECONNREFUSED, "no");
		fake_event_pass(SECOND);
		/* Not where it did not stand, and is asked for again at once. */
		assert_int_equal(fake_dial_asked(), i != 1);
		fake_event_pass(RELAY_STREAM_PAUSE_MAX_US * 2);
	}
}

static void restart(uint32_t in_ms)
{
	uint8_t frame[DERP_RESTARTING_LEN];

	derp_restarting_put(in_ms, 5000, frame);
	take(DERP_RESTARTING, frame + DERP_HEAD_LEN, 8);
}

/* One that restarts every second, or has us taken over by another, is not asked every second. */
static void test_restarts_always(void **state)
{
	uint64_t end_us = clock_now_us() + 600 * SECOND;

	begin("203.0.113.4");
	while (clock_now_us() < end_us) {
		if (fake_dial_asked()) {
			(void) let_in();
			fake_event_pass(SECOND);
			restart(0);
			ended(0);
		}
		n_frames = 0;
		fake_event_pass(SECOND);
	}
	assert_in_range(fake_dials_n, 10, 25);
}

static void test_restart(void **state)
{
	uint64_t ended_us;

	begin("203.0.113.4");
	(void) let_in();
	fake_event_pass(20 * SECOND);
	restart(8000);
	ended_us = clock_now_us();
	ended(0);
	fake_event_pass(20 * SECOND);
	assert_in_range(fake_dial_last()->at_us - ended_us, 6 * SECOND, 10 * SECOND + 1);
	(void) let_in();
	/* One that stood is back at once. */
	fake_event_pass(20 * SECOND);
	ended(-ECONNRESET);
	why_is("TLS to 203.0.113.4:443: the connection broke: Connection reset by peer");
	fake_event_pass(RELAY_STREAM_PAUSE_US * 5 / 4 + 1);
	(void) let_in();
	/* Whatever it says, it is not left for longer than for that. */
	fake_event_pass(20 * SECOND);
	restart(UINT32_MAX);
	ended(0);
	fake_event_pass(76 * SECOND);
	assert_int_equal(fake_dial_asked(), 1);
	/* A payload that is none. */
	(void) let_in();
	take(DERP_RESTARTING, "1234567", 7);
	assert_int_equal(stream.restart_us, 0);
}

/* --- open, and gone all the same --- */

static void test_silent(void **state)
{
	begin("203.0.113.4");
	(void) let_in();
	fake_event_pass(RELAY_STREAM_GONE_US - MS);
	assert_true(ferry.open);
	fake_event_pass(MS);
	assert_false(ferry.open);
	why_is("TLS to 203.0.113.4:443: it has said nothing for 2 min");
	fake_event_pass(SECOND);
	assert_int_equal(fake_dial_asked(), 1);
}

static void test_doubt(void **state)
{
	begin("203.0.113.4");
	(void) let_in();
	fake_event_pass(10 * MS);
	pong();
	fake_event_pass(20 * SECOND);
	n_frames = 0;
	for (int i = 0; i < 10; i++)
		relay_stream_doubt(&stream, clock_now_us());
	run();
	assert_int_equal(n_frames, 1);
	fake_event_pass(SECOND);
	pong();
	assert_in_range(stream.rtt_us, 1, SECOND / 2); /* one slow answer does not say much */
	fake_event_pass(10 * SECOND);
	assert_true(ferry.open);
	/* Anything that comes is an answer. */
	relay_stream_doubt(&stream, clock_now_us());
	run();
	fake_event_pass(3 * SECOND);
	ferry.heard_us = clock_now_us();
	fake_event_pass(10 * SECOND);
	assert_true(ferry.open);
	relay_stream_doubt(&stream, clock_now_us());
	run();
	fake_event_pass(RELAY_STREAM_ANSWER_US - MS);
	assert_true(ferry.open);
	fake_event_pass(MS);
	assert_false(ferry.open);
	why_is("TLS to 203.0.113.4:443: it does not answer any more");
	fake_event_pass(SECOND);
	(void) let_in();
	/* Our addresses are others, and there is no room for a question. */
	fake_event_pass(20 * SECOND);
	ferry.full = true;
	relay_stream_moved(&stream, clock_now_us());
	run();
	fake_event_pass(RELAY_STREAM_ANSWER_US);
	assert_false(ferry.open);
}

static void test_pings(void **state)
{
	begin("203.0.113.4");
	(void) let_in();
	n_frames = 0;
	take(DERP_PING, "12345678", 8);
	assert_int_equal(n_frames, 1);
	assert_int_equal(frames[0][0], DERP_PONG);
	assert_memory_equal(frames[0] + DERP_HEAD_LEN, "12345678", 8);
	take(DERP_PING, "1234567", 7);
	for (int i = 0; i < 1000; i++)
		take(DERP_PING, "12345678", 8);
	assert_int_equal(n_frames, 8);
	/* An answer to nothing. */
	take(DERP_PONG, "12345678", 8);
	take(DERP_PONG, "", 0);
	assert_int_equal(stream.rtt_us, 0);
	take(0x77, "", 0);
}

static void health(const char *text)
{
	take(DERP_HEALTH, text, strlen(text));
}

/* Said once, safe to show; and who was told that is in no hurry, however long it stood. */
static void test_health(void **state)
{
	begin("203.0.113.4");
	(void) let_in();
	for (int i = 0; i < 100; i++)
		health("another connection took\nits place");
	assert_int_equal(fake_core_logged("relay ? says of its connection with this board: "
					  "another connection took\\x0aits place"),
		1);
	health("");
	health("");
	assert_int_equal(fake_core_logged("says of its connection"), 0);
	for (unsigned i = 0; i < 5; i++) {
		fake_event_pass(20 * SECOND);
		health("another connection took its place");
		ended(0);
		why_is("TLS to 203.0.113.4:443: it hung up, and said: "
		       "another connection took its place");
		fake_event_pass(RELAY_STREAM_PAUSE_US * 3 / 4 << i);
		assert_int_equal(fake_dial_asked(), 0);
		fake_event_pass(60 * SECOND);
		(void) let_in();
	}
}

/* --- its life --- */

/* What is told of the one before is not of this one. */
static void test_late_words(void **state)
{
	begin("203.0.113.4");
	relay_stream_ended(&stream, 0, clock_now_us());
	take(DERP_PING, "12345678", 8);
	ferry.heard_us = 0;
	(void) let_in();
	relay_stream_ended(&stream, -EPROTO, clock_now_us());
	assert_true(ferry.open);
	n_frames = 0;
	fake_event_pass(SECOND);
	assert_int_equal(n_frames, 0);
}

/* No more, in whatever state it is; tear_down() sees that nothing is left. */
static void test_no_more(void **state)
{
	for (int i = 0; i < 5; i++) {
		if (i == 0)
			begin("203.0.113.4");
		else
			use();
		if (i == 1)
			(void) fake_dial_stands(fake_dial_last());
		if (i == 2)
			(void) let_in();
		if (i == 3)
			fake_dial_fails_with(fake_dial_last(), -ECONNREFUSED, "no");
		relay_stream_use(&stream, NULL, clock_now_us());
		run();
		assert_false(ferry.open);
		fake_dial_check();
		assert_true(fake_event_next_us() == UINT64_MAX);
		assert_false(relay_stream_is_silent(&stream, clock_now_us()));
		fake_event_pass(60 * SECOND);
	}
}

static void test_fails_here(void **state)
{
	struct dial_conn *c;

	fake_dial_fails = -ENOMEM;
	begin("203.0.113.4");
	why_is("TLS to 203.0.113.4:443: no");
	fake_dial_fails = 0;
	ferry.fails = -ENOMEM;
	fake_event_pass(SECOND);
	c = fake_dial_stands(fake_dial_last());
	fake_dial_lets_in(c, relay_secret);
	assert_false(c->there);
	why_is("hand over the connection: Cannot allocate memory");
	fake_event_pass(2 * SECOND);
	fake_event_fails = -EMFILE;
	c = fake_dial_stands(fake_dial_last());
	fake_event_fails = 0;
	assert_false(c->there);
	why_is("TLS to 203.0.113.4:443: begin to log in: Too many open files");
	/* A key to which nothing can be sealed. */
	memset(record.key, 0, sizeof(record.key));
	fake_event_pass(5 * SECOND);
	c = fake_dial_stands(fake_dial_last());
	assert_false(c->there);
	why_is("TLS to 203.0.113.4:443: begin to log in: Bad message");
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(open),
		TEST(slowly),
		TEST(addresses),
		TEST(all_fail),
		TEST(names),
		TEST(why),
		TEST(proxy),
		TEST(proxy_refuses),
		TEST(hostile),
		TEST(backoff),
		TEST(backoff_ends),
		TEST(restarts_always),
		TEST(restart),
		TEST(silent),
		TEST(doubt),
		TEST(pings),
		TEST(health),
		TEST(late_words),
		TEST(no_more),
		TEST(fails_here),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
