/* relay-stream: see relay-stream.h. */
#include "node/relay-stream.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

enum { PONGS_AT_ONCE = 8 };
#define PONG_EVERY_US  USEC_PER_SEC
#define RESTART_MAX_US (60 * USEC_PER_SEC) /* whatever it says */
#define TRY_US         (3 * USEC_PER_SEC)  /* so long without a failure, and it may be good */

static const char *const state_names[] = {
	[RELAY_STREAM_OFF] = "off",
	[RELAY_STREAM_WAITS] = "waits",
	[RELAY_STREAM_TRIES] = "tries",
	[RELAY_STREAM_OPEN] = "open",
};

static void enter(struct relay_stream *s, enum relay_stream_state state, uint64_t now_us)
{
	log_debug("the stream to relay %u: %s -> %s", s->id, state_names[s->state],
		state_names[state]);
	s->state = state;
	s->since_us = now_us;
}

/* Nothing of it is left, whatever there was; one that stood makes failures before it forgotten. */
static void drop(struct relay_stream *s, uint64_t now_us)
{
	if (s->state == RELAY_STREAM_OPEN) {
		ferry_stream_close(s->ferry, s->id);
		if (now_us - s->since_us >= RELAY_STREAM_PROVED_US && !s->health[0])
			s->failures = 0;
	}
	relay_login_stop(&s->login);
}

/* About @us, so that boards that lost the same relay do not come back all at once. */
static uint64_t by_chance(uint64_t us)
{
	return us - us / 4 + randombytes_uniform((uint32_t) (us / 2) + 1);
}

static uint64_t pause_us(const struct relay_stream *s)
{
	uint64_t us = RELAY_STREAM_PAUSE_US;

	if (s->login.spares_proxy) /* a password, which only a person can mend */
		return RELAY_STREAM_PAUSE_MAX_US;
	for (unsigned i = 0; i < s->failures && us < RELAY_STREAM_PAUSE_MAX_US; i++)
		us *= 2;
	return us < RELAY_STREAM_PAUSE_MAX_US ? us : RELAY_STREAM_PAUSE_MAX_US;
}

/* s->why says what has happened. */
static void fail(struct relay_stream *s, uint64_t now_us)
{
	drop(s, now_us);
	log_debug("no stream to relay %u: %s", s->id, s->why.text);
	s->next_us = now_us + by_chance(pause_us(s));
	if (s->next_us < s->restart_us)
		s->next_us = s->restart_us;
	s->restart_us = 0;
	s->failures++;
	if (!s->wanted_us)
		s->wanted_us = now_us;
	enter(s, RELAY_STREAM_WAITS, now_us);
}

/* The same, of one that was open. */
static void lose(struct relay_stream *s, uint64_t now_us)
{
	relay_login_blame(&s->login, &s->why);
	fail(s, now_us);
}

/* --- open --- */

/* It is asked how far it is. */
static void ping(struct relay_stream *s, uint64_t now_us)
{
	uint8_t frame[DERP_PING_FRAME_LEN];

	randombytes_buf(s->ping, sizeof(s->ping));
	derp_ping_put(DERP_PING, s->ping, frame);
	s->pinged_us = now_us;
	s->is_pinged = ferry_stream_send(s->ferry, s->id, frame, sizeof(frame)) == 0;
}

static void open_stream(struct relay_stream *s, uint64_t now_us)
{
	const struct ferry_stream stream = { .fd = dial_conn_fd(s->login.conn),
		.receive = relay_login_receive,
		.send = relay_login_send,
		.ctx = &s->login };
	int r = ferry_stream_open(s->ferry, s->id, &stream);

	if (r < 0) {
		err_set(&s->why, r, "hand over the connection: %s", strerror(-r));
		fail(s, now_us);
		return;
	}
	s->doubted = false;
	s->health[0] = '\0';
	s->wanted_us = 0;
	enter(s, RELAY_STREAM_OPEN, now_us);
	ping(s, now_us);
}

static bool is_gone(struct relay_stream *s, uint64_t heard_us, uint64_t now_us)
{
	if (s->doubted && now_us - s->doubted_us >= RELAY_STREAM_ANSWER_US)
		err_set(&s->why, -ETIMEDOUT, "it does not answer any more");
	else if (now_us >= heard_us + RELAY_STREAM_GONE_US)
		err_set(&s->why, -ETIMEDOUT, "it has said nothing for 2 min");
	else
		return false;
	return true;
}

static void watch(struct relay_stream *s, uint64_t now_us)
{
	uint64_t heard_us = ferry_stream_heard_us(s->ferry, s->id);

	if (!heard_us)
		return; /* it has ended, as is told in a moment */
	if (heard_us > s->doubted_us)
		s->doubted = false;
	if (is_gone(s, heard_us, now_us))
		lose(s, now_us);
	else if (now_us - s->pinged_us >= RELAY_STREAM_PING_US)
		ping(s, now_us);
}

static void take_pong(struct relay_stream *s, const struct derp_frame *frame, uint64_t now_us)
{
	uint8_t data[DERP_PING_LEN];
	uint64_t took_us = now_us - s->pinged_us;

	if (!s->is_pinged || derp_ping_parse(frame, data) < 0 ||
		memcmp(data, s->ping, sizeof(data)) != 0)
		return;
	s->is_pinged = s->doubted = false;
	s->rtt_us = s->rtt_us ? (3 * s->rtt_us + took_us) / 4 : took_us;
}

static void answer_ping(struct relay_stream *s, const struct derp_frame *frame, uint64_t now_us)
{
	uint8_t data[DERP_PING_LEN], pong[DERP_PING_FRAME_LEN];

	if (derp_ping_parse(frame, data) < 0 ||
		!pace_may(&s->pongs, PONGS_AT_ONCE, PONG_EVERY_US, now_us, NULL))
		return;
	derp_ping_put(DERP_PONG, data, pong);
	/* Without room much else goes, which says as much. */
	(void) ferry_stream_send(s->ferry, s->id, pong, sizeof(pong));
}

static const char *name_of(const struct relay_stream *s)
{
	const struct node *node = netmap_by_id(book_netmap(s->login.core->book), s->id);

	return node ? node->name : "?";
}

static void take_health(struct relay_stream *s, const struct derp_frame *frame)
{
	char text[DERP_HEALTH_MAX];

	derp_health_parse(frame, text);
	if (text[0] && strcmp(text, s->health) != 0)
		log_seldom(LOG_LEVEL_WARNING, "relay %s says of its connection with this board: %s",
			name_of(s), text);
	memcpy(s->health, text, sizeof(text));
}

static void take_restart(struct relay_stream *s, const struct derp_frame *frame, uint64_t now_us)
{
	uint32_t in_ms, try_ms;
	uint64_t in_us;

	if (derp_restarting_parse(frame, &in_ms, &try_ms) < 0)
		return;
	in_us = in_ms * USEC_PER_MSEC;
	s->restart_us = now_us + by_chance(in_us < RESTART_MAX_US ? in_us : RESTART_MAX_US);
}

/* --- what happens --- */

void relay_stream_take(struct relay_stream *s, const struct derp_frame *frame, uint64_t now_us)
{
	if (s->state != RELAY_STREAM_OPEN)
		return; /* it is of the one before */
	switch (frame->type) {
	case DERP_PING:
		answer_ping(s, frame, now_us);
		break;
	case DERP_PONG:
		take_pong(s, frame, now_us);
		break;
	case DERP_HEALTH:
		take_health(s, frame);
		break;
	case DERP_RESTARTING:
		take_restart(s, frame, now_us);
		break;
	default:
		break;
	}
}

void relay_stream_ended(struct relay_stream *s, int error, uint64_t now_us)
{
	/* The word may be of the one before. */
	if (s->state != RELAY_STREAM_OPEN || ferry_stream_heard_us(s->ferry, s->id))
		return;
	if (s->health[0])
		err_set(&s->why, -ECONNRESET, "it hung up, and said: %s", s->health);
	else if (error == -EDQUOT)
		err_set(&s->why, error, "it floods us with what is for nobody here");
	else if (error)
		err_set(&s->why, error, "the connection broke: %s", strerror(-error));
	else
		err_set(&s->why, -ECONNRESET, "it hung up");
	lose(s, now_us);
}

void relay_stream_doubt(struct relay_stream *s, uint64_t now_us)
{
	if (s->state != RELAY_STREAM_OPEN || s->doubted ||
		now_us - s->doubted_us < RELAY_STREAM_DOUBT_US)
		return;
	s->doubted = true;
	s->doubted_us = now_us;
	ping(s, now_us);
}

void relay_stream_hurry(struct relay_stream *s, uint64_t now_us)
{
	s->failures = 0;
	s->next_us = now_us;
	if (s->state == RELAY_STREAM_TRIES)
		relay_login_begin(&s->login, now_us);
}

void relay_stream_moved(struct relay_stream *s, uint64_t now_us)
{
	relay_stream_hurry(s, now_us);
	relay_stream_doubt(s, now_us);
}

void relay_stream_use(struct relay_stream *s, struct ferry *ferry, uint64_t now_us)
{
	if (ferry == s->ferry)
		return;
	drop(s, now_us);
	if (now_us >= s->next_us + RELAY_STREAM_PAUSE_MAX_US)
		s->failures = 0; /* that is long ago */
	s->ferry = ferry;
	s->wanted_us = ferry ? now_us : 0;
	enter(s, ferry ? RELAY_STREAM_WAITS : RELAY_STREAM_OFF, now_us);
}

static uint64_t open_deadline(const struct relay_stream *s)
{
	uint64_t ping_us = s->pinged_us + RELAY_STREAM_PING_US;
	uint64_t gone_us = ferry_stream_heard_us(s->ferry, s->id) + RELAY_STREAM_GONE_US;

	if (s->doubted)
		gone_us = s->doubted_us + RELAY_STREAM_ANSWER_US;
	return gone_us < ping_us ? gone_us : ping_us;
}

/* Returns when it is due again. */
static uint64_t try_on(struct relay_stream *s, uint64_t now_us)
{
	uint64_t due_us = relay_login_run(&s->login, now_us);

	if (s->login.state == RELAY_LOGIN_IN) {
		open_stream(s, now_us);
	} else if (s->login.state == RELAY_LOGIN_FAILED) {
		s->why = s->login.why;
		fail(s, now_us);
	}
	return due_us;
}

uint64_t relay_stream_run(struct relay_stream *s, uint64_t now_us)
{
	uint64_t due_us = UINT64_MAX;

	if (s->state == RELAY_STREAM_WAITS && now_us >= s->next_us) {
		relay_login_begin(&s->login, now_us);
		enter(s, RELAY_STREAM_TRIES, now_us);
	}
	if (s->state == RELAY_STREAM_TRIES)
		due_us = try_on(s, now_us);
	if (s->state == RELAY_STREAM_OPEN)
		watch(s, now_us);
	switch (s->state) {
	case RELAY_STREAM_OFF:
	case RELAY_STREAM_TRIES:
		break;
	case RELAY_STREAM_WAITS:
		return s->next_us;
	case RELAY_STREAM_OPEN:
		return open_deadline(s);
	}
	return due_us;
}

/* --- how it is --- */

bool relay_stream_carries(const struct relay_stream *s)
{
	return s->state == RELAY_STREAM_OPEN;
}

bool relay_stream_is_silent(const struct relay_stream *s, uint64_t now_us)
{
	return s->wanted_us && (s->failures || now_us - s->wanted_us >= TRY_US);
}

bool relay_stream_is_refused(const struct relay_stream *s)
{
	return s->state != RELAY_STREAM_OPEN && s->why.code == -EREMOTEIO;
}

const char *relay_stream_why(const struct relay_stream *s, char ret[static RELAY_STREAM_WHY_MAX])
{
	(void) snprintf(ret, RELAY_STREAM_WHY_MAX, "%.380s", s->why.code ? s->why.text : "");
	return ret;
}

/* --- its life --- */

void relay_stream_init(struct relay_stream *s, struct core *core, uint32_t id,
	const struct node_relay *record, struct relay_addrs *addrs, void (*changed)(void *ctx),
	void *ctx)
{
	*s = (struct relay_stream){ .id = id };
	relay_login_init(&s->login, core, record, addrs, changed, ctx);
}
