/*
 * relay-stream: the way to a relay of the mesh by a stream (DERP, PROTOCOL.md section 13), for when
 * UDP does not get through: made by relay-login.h, then the ferry's until it ends; then again, ever
 * later while that leads to nothing. A part of relays.h, whose thread's it is.
 */
#pragma once

#include "base/pace.h"
#include "node/relay-login.h"
#include "tunnel/ferry.h"

/* From a failure to the next try, a quarter less or more by chance; then twice as much ... */
#define RELAY_STREAM_PAUSE_US     UINT64_C(500000)
#define RELAY_STREAM_PAUSE_MAX_US UINT64_C(60000000) /* ... up to here */
/* What ends sooner is a failure, too: there may be relays that restart all the time. */
#define RELAY_STREAM_PROVED_US UINT64_C(5000000)
#define RELAY_STREAM_PING_US   UINT64_C(90000000)  /* from one to the next: how far it is */
#define RELAY_STREAM_GONE_US   UINT64_C(120000000) /* no frame for so long: it is gone */
#define RELAY_STREAM_ANSWER_US UINT64_C(5000000)   /* likewise, after a doubt */
#define RELAY_STREAM_DOUBT_US  UINT64_C(1000000)   /* from one doubt that counts to the next */

enum relay_stream_state {
	RELAY_STREAM_OFF,   /* not wanted */
	RELAY_STREAM_WAITS, /* for the next try */
	RELAY_STREAM_TRIES,
	RELAY_STREAM_OPEN, /* the ferry's */
};

struct relay_stream {
	uint32_t id;
	struct relay_login login;
	struct ferry *ferry; /* borrowed; NULL: it is not wanted */

	enum relay_stream_state state;
	uint64_t since_us;  /* in that */
	uint64_t wanted_us; /* in vain since then; 0: it is open, or not wanted */
	uint64_t next_us;   /* the next try, not sooner */
	unsigned failures;
	struct err why; /* the last one */

	uint8_t ping[DERP_PING_LEN]; /* the last of ours */
	uint64_t pinged_us;          /* it went then */
	bool is_pinged;              /* and is not answered yet */
	bool doubted;                /* a frame has to come, soon after ... */
	uint64_t doubted_us;
	uint64_t rtt_us; /* smoothed; 0: not known */
	struct pace pongs;
	uint64_t restart_us;          /* it said that one should not come back sooner; 0: nothing */
	char health[DERP_HEALTH_MAX]; /* what it says is wrong with this connection, "": nothing */
};

/* As relay_login_init(). */
void relay_stream_init(struct relay_stream *stream, struct core *core, uint32_t id,
	const struct node_relay *record, struct relay_addrs *addrs, void (*changed)(void *ctx),
	void *ctx);

/* Whether there is to be one from now on, with @ferry; NULL: no more. The ferry is there still. */
void relay_stream_use(struct relay_stream *stream, struct ferry *ferry, uint64_t now_us);

/* All that is due. When it is to be called again, UINT64_MAX: not before something happens. */
uint64_t relay_stream_run(struct relay_stream *stream, uint64_t now_us);

/* It brought a frame that is no packet; of peers that are gone nothing is known here. */
void relay_stream_take(
	struct relay_stream *stream, const struct derp_frame *frame, uint64_t now_us);
/* The ferry says that it has ended, for the reason @error (-errno, 0: by the relay). */
void relay_stream_ended(struct relay_stream *stream, int error, uint64_t now_us);
/* What goes by it is not answered: the relay has to, soon. */
void relay_stream_doubt(struct relay_stream *stream, uint64_t now_us);
/* What was in vain may not be any more: a try that waits begins. */
void relay_stream_hurry(struct relay_stream *stream, uint64_t now_us);
/* Our own addresses are others. */
void relay_stream_moved(struct relay_stream *stream, uint64_t now_us);

/* Packets can go by it. */
bool relay_stream_carries(const struct relay_stream *stream);
/* It is wanted, and was tried in vain, or for long. */
bool relay_stream_is_silent(const struct relay_stream *stream, uint64_t now_us);

/* It answers, and does not know us. */
bool relay_stream_is_refused(const struct relay_stream *stream);

enum { RELAY_STREAM_WHY_MAX = 384 };
/* Why it does not carry, for a person. Returns @ret. */
const char *relay_stream_why(
	const struct relay_stream *stream, char ret[static RELAY_STREAM_WHY_MAX]);
