/* derp-client: see derp-client.h. */
#include "relay/derp-client.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "base/clock.h"
#include "packet/bytes.h"
#include "wire/derp-http.h"

enum { NOT_HERE_BURST = 3, JITTER_US = 5000000 };
#define NOT_HERE_US USEC_PER_SEC

/* --- what is said --- */

bool derp_client_has_output(const struct derp_client *c)
{
	return c->packet || c->control.len || !derp_queue_is_empty(&c->queue);
}

/* Something waits to go out: from now on the client's patience with us is ours with it. */
static void waits(struct derp_client *c, uint64_t now_us)
{
	if (!c->stuck_us)
		c->stuck_us = now_us;
}

static void say(struct derp_client *c, const void *data, size_t len, uint64_t now_us)
{
	if (c->control.len + len > DERP_CLIENT_CONTROL_MAX) {
		c->unsaid++;
		return;
	}
	buf_add(&c->control, data, len);
	if (buf_failed(&c->control))
		return derp_client_end(c, DERP_END_MEMORY, NULL, now_us);
	waits(c, now_us);
}

void derp_client_say_gone(struct derp_client *c, const uint8_t key[static DERP_KEY_LEN],
	enum derp_gone reason, uint64_t now_us)
{
	uint8_t frame[DERP_PEER_GONE_LEN];

	if (c->state != DERP_CLIENT_OPEN)
		return;
	/* Whoever sends to nobody is told so now and then, not at each packet. */
	if (reason == DERP_GONE_NOT_HERE &&
		!pace_may(&c->not_here, NOT_HERE_BURST, NOT_HERE_US, now_us, NULL))
		return;
	derp_peer_gone_put(key, reason, frame);
	say(c, frame, sizeof(frame), now_us);
}

void derp_client_say_restart(
	struct derp_client *c, uint32_t in_ms, uint32_t try_ms, uint64_t now_us)
{
	uint8_t frame[DERP_RESTARTING_LEN];

	if (c->state != DERP_CLIENT_OPEN)
		return;
	derp_restarting_put(in_ms, try_ms, frame);
	say(c, frame, sizeof(frame), now_us);
}

static void keep_alive(struct derp_client *c, uint64_t now_us)
{
	uint8_t frame[DERP_HEAD_LEN];

	c->alive_us = now_us + DERP_CLIENT_KEEP_ALIVE_US + randombytes_uniform(JITTER_US);
	if (c->stuck_us)
		return; /* something else tells it, as soon as it takes it */
	derp_keep_alive_put(frame);
	say(c, frame, sizeof(frame), now_us);
}

/* --- its life --- */

static void enter(struct derp_client *c, enum derp_client_state state, uint64_t now_us)
{
	c->state = state;
	c->since_us = now_us;
}

void derp_client_init(struct derp_client *c, const struct derp_keys *server, struct derp_pool *pool,
	const struct derp_client_hooks *hooks, void *ctx, uint64_t now_us)
{
	*c = (struct derp_client){ .hooks = hooks, .ctx = ctx, .server = server };
	derp_queue_init(&c->queue, pool);
	enter(c, DERP_CLIENT_REQUEST, now_us);
}

void derp_client_done(struct derp_client *c)
{
	derp_queue_done(&c->queue);
	c->packet = derp_packet_free(c->packet);
	derp_reader_done(&c->reader);
	buf_done(&c->request);
	buf_done(&c->control);
}

void derp_client_end(struct derp_client *c, enum derp_end why, const char *health, uint64_t now_us)
{
	struct derp_pool *pool = c->queue.pool;
	uint8_t frame[DERP_HEALTH_FRAME_MAX];

	if (c->state == DERP_CLIENT_ENDING)
		return;
	if (health && c->state != DERP_CLIENT_REQUEST)
		say(c, frame, derp_health_put(health, frame), now_us);
	c->end = why;
	enter(c, DERP_CLIENT_ENDING, now_us);
	derp_queue_done(&c->queue);
	derp_queue_init(&c->queue, pool);
	derp_reader_done(&c->reader);
	buf_done(&c->request);
}

bool derp_client_is_over(const struct derp_client *c, uint64_t now_us)
{
	return c->state == DERP_CLIENT_ENDING &&
	       (!derp_client_has_output(c) || now_us - c->since_us >= DERP_CLIENT_ENDING_US);
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return b && b < a ? b : a;
}

uint64_t derp_client_due_us(const struct derp_client *c)
{
	uint64_t due;

	if (c->state == DERP_CLIENT_ENDING)
		return c->since_us + DERP_CLIENT_ENDING_US;
	if (c->state != DERP_CLIENT_OPEN)
		return c->since_us + DERP_CLIENT_STEP_US;
	due = sooner(c->alive_us, c->tidy_us);
	if (c->frame_us)
		due = sooner(due, c->frame_us + DERP_CLIENT_FRAME_US);
	if (c->stuck_us)
		due = sooner(due, c->stuck_us + DERP_CLIENT_STUCK_US);
	return due;
}

void derp_client_tick(struct derp_client *c, uint64_t now_us)
{
	if (c->state == DERP_CLIENT_ENDING)
		return;
	if (c->state != DERP_CLIENT_OPEN) {
		if (now_us - c->since_us >= DERP_CLIENT_STEP_US)
			derp_client_end(c, DERP_END_SLOW_LOGIN, NULL, now_us);
		return;
	}
	if (c->frame_us && now_us - c->frame_us >= DERP_CLIENT_FRAME_US)
		return derp_client_end(c, DERP_END_SLOW_FRAME, NULL, now_us);
	if (c->stuck_us && now_us - c->stuck_us >= DERP_CLIENT_STUCK_US)
		return derp_client_end(c, DERP_END_STUCK, NULL, now_us);
	if (c->tidy_us && now_us >= c->tidy_us)
		c->tidy_us = derp_queue_tidy(&c->queue, now_us) || !derp_queue_is_empty(&c->queue)
				     ? now_us + DERP_QUEUE_IDLE_US
				     : 0;
	if (now_us >= c->alive_us)
		keep_alive(c, now_us);
}

/* --- what comes: the request --- */

static void answer(struct derp_client *c, const struct derp_http *request, uint64_t now_us)
{
	char text[DERP_HTTP_ANSWER_MAX];
	uint8_t greeting[DERP_SERVER_KEY_LEN];

	say(c, text, derp_http_answer(request, c->server->key, text), now_us);
	if (!derp_http_upgrades(request))
		return derp_client_end(c, DERP_END_ANSWERED, NULL, now_us);
	derp_server_key_put(c->server->key, greeting);
	say(c, greeting, sizeof(greeting), now_us);
	buf_done(&c->request);
	enter(c, DERP_CLIENT_LOGIN, now_us);
}

static void refuse(struct derp_client *c, uint64_t now_us)
{
	char text[DERP_HTTP_ANSWER_MAX];

	say(c, text, derp_http_refusal(text), now_us);
	derp_client_end(c, DERP_END_REQUEST, NULL, now_us);
}

/* The request, as far as it goes; how many of these bytes were its. */
static size_t read_request(struct derp_client *c, const uint8_t *data, size_t len, uint64_t now_us)
{
	size_t had = c->request.len;
	size_t n = len < DERP_HTTP_MAX - had ? len : DERP_HTTP_MAX - had;
	struct derp_http request;
	int r;

	buf_add(&c->request, data, n);
	if (buf_failed(&c->request)) {
		derp_client_end(c, DERP_END_MEMORY, NULL, now_us);
		return len;
	}
	r = derp_http_parse(c->request.data, c->request.len, &request);
	if (r == 0)
		return len;
	if (r < 0) {
		refuse(c, now_us);
		return len;
	}
	answer(c, &request, now_us);
	return (size_t) r - had;
}

/* --- what comes: frames --- */

/* Why a login is refused, as the client may show it. */
static const char *reason_of(enum derp_end why)
{
	if (why == DERP_END_STRANGER)
		return "this relay serves the members of its mesh only";
	return why == DERP_END_FULL ? "this relay is full" : NULL;
}

static void login(struct derp_client *c, const struct derp_frame *frame, uint64_t now_us)
{
	static const struct derp_server_info us = { .version = DERP_VERSION };
	struct derp_client_info info;
	uint8_t nonce[DERP_NONCE_LEN], answer_frame[DERP_INFO_FRAME_MAX];
	enum derp_end why;
	int n;

	if (derp_client_info_parse(frame, c->server->secret, c->key, &info) < 0 ||
		info.version < DERP_VERSION)
		return derp_client_end(c, DERP_END_LOGIN, NULL, now_us);
	why = c->hooks->login(c->ctx, c);
	if (why != DERP_END_NOT)
		return derp_client_end(c, why, reason_of(why), now_us);
	randombytes_buf(nonce, sizeof(nonce));
	n = derp_server_info_put(&us, c->server, c->key, nonce, answer_frame);
	if (n < 0)
		return derp_client_end(c, DERP_END_LOGIN, NULL, now_us);
	say(c, answer_frame, (size_t) n, now_us);
	if (c->state == DERP_CLIENT_ENDING)
		return;
	enter(c, DERP_CLIENT_OPEN, now_us);
	c->alive_us = now_us + DERP_CLIENT_KEEP_ALIVE_US + randombytes_uniform(JITTER_US);
}

static void send_on(struct derp_client *c, const struct derp_frame *frame, uint64_t now_us)
{
	const uint8_t *to, *data;
	size_t len;

	if (derp_packet_parse(frame, &to, &data, &len) < 0)
		return derp_client_end(c, DERP_END_FRAME, NULL, now_us);
	c->hooks->packet(c->ctx, c, to, data, len);
}

static void pong(struct derp_client *c, const struct derp_frame *frame, uint64_t now_us)
{
	uint8_t data[DERP_PING_LEN], ret[DERP_PING_FRAME_LEN];

	if (derp_ping_parse(frame, data) < 0)
		return derp_client_end(c, DERP_END_FRAME, NULL, now_us);
	derp_ping_put(DERP_PONG, data, ret);
	say(c, ret, sizeof(ret), now_us);
}

static void take_frame(struct derp_client *c, const struct derp_frame *frame, uint64_t now_us)
{
	switch (frame->type) {
	case DERP_CLIENT_INFO: /* that it comes in time, and once, derp_frame_max() has seen to */
		return login(c, frame, now_us);
	case DERP_SEND:
		return send_on(c, frame, now_us);
	case DERP_PING:
		return pong(c, frame, now_us);
	case DERP_NOTE_PREFERRED:
		if (derp_note_preferred_parse(frame, &c->preferred) < 0)
			derp_client_end(c, DERP_END_FRAME, NULL, now_us);
		return;
	default: /* of a later version, or nothing that a server does something about */
		return;
	}
}

static bool reads(const struct derp_client *c)
{
	return c->state == DERP_CLIENT_LOGIN || c->state == DERP_CLIENT_OPEN;
}

static void read_frames(struct derp_client *c, const uint8_t *data, size_t len, uint64_t now_us)
{
	struct derp_frame frame;
	bool went_on = false;
	int r = 1;

	while (r > 0 && reads(c)) {
		r = derp_reader_next(&c->reader,
			c->state == DERP_CLIENT_LOGIN ? DERP_STAGE_SERVER_LOGIN
						      : DERP_STAGE_SERVER_OPEN,
			&data, &len, &frame);
		if (r <= 0)
			break;
		went_on = true;
		take_frame(c, &frame, now_us);
	}
	if (!reads(c))
		return;
	if (r < 0)
		return derp_client_end(
			c, r == -ENOMEM ? DERP_END_MEMORY : DERP_END_FRAME, NULL, now_us);
	if (!c->reader.len)
		c->frame_us = 0;
	else if (went_on || !c->frame_us)
		c->frame_us = now_us;
}

void derp_client_input(struct derp_client *c, const uint8_t *data, size_t len, uint64_t now_us)
{
	if (c->state == DERP_CLIENT_REQUEST) {
		size_t n = read_request(c, data, len, now_us);

		data += n;
		len -= n;
	}
	if (len && reads(c))
		read_frames(c, data, len, now_us);
}

/* --- what goes --- */

bool derp_client_put(struct derp_client *c, const uint8_t from[static DERP_KEY_LEN],
	const uint8_t *data, size_t len, uint64_t now_us)
{
	uint8_t head[DERP_PACKET_HEAD_LEN];

	if (c->state != DERP_CLIENT_OPEN)
		return false;
	derp_packet_head(DERP_RECV, from, len, head);
	if (!derp_queue_put(&c->queue, raw64_read(from), head, sizeof(head), data, len, now_us))
		return false;
	if (!c->tidy_us)
		c->tidy_us = now_us + DERP_QUEUE_IDLE_US;
	waits(c, now_us);
	return true;
}

/* Moves up to @max bytes of the packet that is on its way. */
static size_t put_packet(struct derp_client *c, uint8_t *ret, size_t max)
{
	size_t left = c->packet->len - c->packet_sent, n = left < max ? left : max;

	memcpy(ret, c->packet->data + c->packet_sent, n);
	c->packet_sent += n;
	if (c->packet_sent == c->packet->len)
		c->packet = derp_packet_free(c->packet);
	return n;
}

static size_t put_control(struct derp_client *c, uint8_t *ret, size_t max)
{
	size_t n = c->control.len < max ? c->control.len : max;

	memcpy(ret, c->control.data, n);
	memmove(c->control.data, c->control.data + n, c->control.len - n);
	c->control.len -= n;
	if (!c->control.len)
		buf_done(&c->control);
	return n;
}

/* Small frames go between two packets, before those that wait. */
size_t derp_client_output(struct derp_client *c, uint8_t *ret, size_t max, uint64_t now_us)
{
	size_t n = 0;

	while (n < max) {
		if (!c->packet && c->control.len) {
			n += put_control(c, ret + n, max - n);
			continue;
		}
		if (!c->packet) {
			c->packet = derp_queue_take(&c->queue, now_us);
			c->packet_sent = 0;
		}
		if (!c->packet)
			break;
		n += put_packet(c, ret + n, max - n);
	}
	c->stuck_us = !derp_client_has_output(c) ? 0 : n ? now_us : c->stuck_us;
	return n;
}
