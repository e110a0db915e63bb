/*
 * derp-client: one connection to the relay's DERP service from its first byte on, over a stream of
 * bytes that somebody else carries (relay/derp.h: TLS). PROTOCOL.md section 13.
 *
 *   REQUEST --upgrade--> LOGIN --a member's key--> OPEN
 *      \____________________\_______________________\____> ENDING (what is to be said goes out)
 *
 * Each half of the way in has 10 s, a frame 30 s once it has begun, a client that takes nothing 30
 * s, and what is said at the end 2 s, however the bytes trickle. Pure: the caller passes the time,
 * hands in what came and takes what is to go out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/pace.h"
#include "relay/derp-queue.h"
#include "wire/derp.h"

#define DERP_CLIENT_STEP_US       UINT64_C(10000000)
#define DERP_CLIENT_FRAME_US      UINT64_C(30000000)
#define DERP_CLIENT_STUCK_US      UINT64_C(30000000)
#define DERP_CLIENT_ENDING_US     UINT64_C(2000000)
#define DERP_CLIENT_KEEP_ALIVE_US UINT64_C(60000000) /* and up to 5 s more, by chance */

enum { DERP_CLIENT_CONTROL_MAX = 4096 /* bytes of small frames that wait */ };

enum derp_client_state {
	DERP_CLIENT_REQUEST,
	DERP_CLIENT_LOGIN,
	DERP_CLIENT_OPEN,
	DERP_CLIENT_ENDING,
};

/* Why it ends. */
enum derp_end {
	DERP_END_NOT,
	DERP_END_ANSWERED,   /* all it wanted was an answer over HTTP */
	DERP_END_REQUEST,    /* no request that we understand */
	DERP_END_LOGIN,      /* what it says of itself does not open, or is of another version */
	DERP_END_STRANGER,   /* no member */
	DERP_END_FULL,       /* a member more than there is room for */
	DERP_END_FRAME,      /* a frame that is too long, or has no place there */
	DERP_END_SLOW_LOGIN, /* not in within its time */
	DERP_END_SLOW_FRAME, /* stopped in the middle of a frame */
	DERP_END_STUCK,      /* took nothing */
	DERP_END_REPLACED,   /* its key has come again */
	DERP_END_REMOVED,    /* no member any more */
	DERP_END_CROWDED,    /* a stranger in whose place there is another */
	DERP_END_TLS,        /* no TLS 1.3, or broken */
	DERP_END_CLOSED,     /* it hung up, or the network did */
	DERP_END_MEMORY,
	DERP_ENDS,
};

struct derp_client;

struct derp_client_hooks {
	/*
	 * @client has proved that it holds client->key. DERP_END_NOT: it may come in; else why not.
	 */
	enum derp_end (*login)(void *ctx, struct derp_client *client);
	/* It sends this to whoever has the key @to. Borrowed. */
	void (*packet)(void *ctx, struct derp_client *client, const uint8_t to[static DERP_KEY_LEN],
		const uint8_t *data, size_t len);
};

/* Embedded. The caller reads state, end, key and preferred; the rest is derp-client.c's. */
struct derp_client {
	const struct derp_client_hooks *hooks;
	void *ctx;
	const struct derp_keys *server; /* borrowed */
	enum derp_client_state state;
	enum derp_end end;
	uint8_t key[DERP_KEY_LEN];
	bool preferred; /* it says that this is its home */

	uint64_t since_us; /* in this state */
	uint64_t frame_us; /* a frame has begun; 0: none */
	uint64_t stuck_us; /* it has taken nothing of what waits; 0: nothing waits */
	uint64_t alive_us; /* when to say that we are still here */
	uint64_t tidy_us;  /* when to look after the queue; 0: not */
	struct pace not_here;
	unsigned unsaid; /* small frames for which there was no room */

	struct buf request, control;
	struct derp_reader reader;
	struct derp_queue queue;
	struct derp_packet *packet; /* of which a part has gone out */
	size_t packet_sent;
};

/* @server and @pool are borrowed. */
void derp_client_init(struct derp_client *client, const struct derp_keys *server,
	struct derp_pool *pool, const struct derp_client_hooks *hooks, void *ctx, uint64_t now_us);
void derp_client_done(struct derp_client *client);

/* These bytes came. */
void derp_client_input(
	struct derp_client *client, const uint8_t *data, size_t len, uint64_t now_us);

/*
 * Takes what is to go out next, at most @max bytes; 0: nothing. It must be sent, or the client be
 * ended.
 */
size_t derp_client_output(struct derp_client *client, uint8_t *ret, size_t max, uint64_t now_us);
bool derp_client_has_output(const struct derp_client *client);

/* A packet for it, from whoever has the key @from. False: it is dropped, and counted. */
bool derp_client_put(struct derp_client *client, const uint8_t from[static DERP_KEY_LEN],
	const uint8_t *data, size_t len, uint64_t now_us);
/* Small things to say. What finds no room is not said. */
void derp_client_say_gone(struct derp_client *client, const uint8_t key[static DERP_KEY_LEN],
	enum derp_gone reason, uint64_t now_us);
void derp_client_say_restart(
	struct derp_client *client, uint32_t in_ms, uint32_t try_ms, uint64_t now_us);

/*
 * Nothing more is read of it. @health (may be NULL): said to it before; what waits for it is not
 * sent. Once ended it stays so, for the first reason.
 */
void derp_client_end(
	struct derp_client *client, enum derp_end why, const char *health, uint64_t now_us);
/* It has ended, and there is nothing to say or no time left for it. */
bool derp_client_is_over(const struct derp_client *client, uint64_t now_us);

/* When to call derp_client_tick(), at the latest; later calls may make it sooner. */
uint64_t derp_client_due_us(const struct derp_client *client);
void derp_client_tick(struct derp_client *client, uint64_t now_us);
