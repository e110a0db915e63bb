/*
 * device: what the parts of the engine share; nobody else includes it. See wg.h for what they do
 * together.
 *
 *   device.c     the device: identity, time, look-ups by key and address, denied sources
 *   peer.c       one peer: configuration, staged packets, statistics
 *   session.c    sessions: previous, current, next; the data path's calls
 *   handshake.c  handshake messages out and in
 *   timers.c     everything that happens because time passes
 */
#pragma once

#include <sodium.h>

#include "wg/cookie.h"
#include "wg/heap.h"
#include "wg/index.h"
#include "wg/noise.h"
#include "wg/ratelimit.h"
#include "wg/stamp.h"
#include "wg/trie.h"
#include "wg/wg.h"

/* Unanswered for this long: keepalive and rekey timeout together. */
#define WG_UNANSWERED_US (WG_KEEPALIVE_US + WG_REKEY_TIMEOUT_US)
/* Told so soon, if somebody wants to know: another way may be better. */
#define WG_QUIET_US UINT64_C(800000)

/* In the order in which those due at once are run: old keys go before new ones are asked for. */
enum wg_timer {
	WG_TIMER_ZERO_KEYS,  /* no new session for long */
	WG_TIMER_RETRANSMIT, /* our initiation was not answered */
	WG_TIMER_CONFIRM,    /* nothing has come in since our first session */
	WG_TIMER_KEEPALIVE,  /* something came in and nothing went out since */
	WG_TIMER_UNANSWERED, /* something went out and nothing came in since */
	WG_TIMER_PERSISTENT, /* the configured keepalive */
	WG_TIMERS
};

struct wg_peer {
	struct wg_device *device;
	struct wg_peer *hash_next, *prev, *next, *next_dead;
	bool removed;
	void *user;

	struct wg_remote remote;
	struct wg_endpoint endpoint; /* remote family 0: unknown */
	bool sought;                 /* an endpoint, while there is none */
	struct wg_trie_list allowed;

	/* handshakes */
	struct wg_handshake handshake;
	struct wg_cookie_jar jar;
	struct wg_stamp last_stamp;             /* sent */
	uint8_t latest_stamp[WG_TIMESTAMP_LEN]; /* received */
	uint64_t initiation_received_us;        /* 0: never */
	uint64_t initiations_until_us;          /* those taken so far are worth the time to then */
	uint64_t quiet_until_us;                /* no further initiation before */
	uint64_t trying_since_us;               /* the last wish for a session */
	uint64_t unanswered_since_us;           /* first initiation without an answer; 0: none */
	uint64_t lost_us;                       /* of WG_TIMER_UNANSWERED: then it is */
	bool asked;                             /* data went out, and nothing was said of it yet */
	bool lost;                              /* no answer for 15 s */
	bool last_minute;                       /* a rekey for receiving was begun already */

	/* sessions; owned, each in the index table */
	struct wg_session *previous, *current, *coming;

	struct wg_heap_node due;    /* not later than the earliest of: */
	uint64_t timers[WG_TIMERS]; /* WG_NO_DEADLINE: off */
	bool another_keepalive;     /* more came in while WG_TIMER_KEEPALIVE ran */
	uint16_t keepalive_s;

	struct wg_staged *staged, **staged_end; /* owned */
	size_t n_staged;

	uint64_t rx_bytes, tx_bytes, last_handshake_wall_us, last_receive_us;
	uint64_t asked_tx_bytes; /* tx_bytes before that data */
};

/* Out of service. */
struct wg_dead {
	struct wg_peer *peers;
	struct wg_session *sessions;
};

struct wg_device {
	struct wg_ops ops;
	void *ctx;
	bool managed;
	bool tells_quiet;
	uint64_t now_us, wall_us;
	uint64_t jitter; /* state of a generator; spreads load, hides nothing */
	struct wg_crypto crypto;
	struct wg_identity identity;
	struct wg_stamp_clock clock;
	struct wg_stamp removed_stamp; /* the latest of peers that are gone: they may come back */

	struct wg_peer **buckets; /* by public key; owned */
	size_t n_buckets, n_peers;
	uint8_t hash_key[crypto_shorthash_KEYBYTES];
	struct wg_peer *first, *last;

	struct wg_index index;
	struct wg_trie allowed, denied;
	struct wg_trie_list denied_list;
	size_t n_denied;
	uint64_t loopback[(UINT16_MAX + 1) / 64]; /* ports allowed there, a bit each */
	struct wg_heap heap;

	struct wg_cookie_checker checker;
	struct wg_ratelimit *ratelimit; /* NULL until first under load */
	uint64_t load_window_us, load_until_us;
	unsigned load_n;

	/*
	 * @doomed has been dead since before the last turn, @dead since then at most. A hold counts
	 * in the turn that it was taken in, so only those of the other one can know of @doomed.
	 */
	struct wg_dead dead, doomed;
	unsigned holds[2], turn;
	size_t staged_bytes;
	struct wg_counters counters;
};

static inline void wg_event(struct wg_peer *peer, enum wg_event event)
{
	struct wg_device *device = peer->device;

	if (device->ops.event)
		device->ops.event(device->ctx, peer, event);
}

/* handshake.c */

/*
 * Sends an initiation, unless one went out (or was answered) in the last 5 s. @retry: one more of a
 * row; otherwise the 90 s of trying begin anew.
 */
void wg_handshake_begin(struct wg_peer *peer, bool retry);
/* Forgets our initiation under way. */
void wg_handshake_forget(struct wg_peer *peer);

/* session.c */

/* Puts a finished session, which is in the index table, into service. */
void wg_session_install(struct wg_session *session);
bool wg_session_may_send(const struct wg_session *session, uint64_t now_us);
/* All sessions of @peer go. */
void wg_sessions_drop(struct wg_peer *peer);
/* The identity changed: nothing more is sent with them. */
void wg_sessions_expire(struct wg_peer *peer);
/* Wipes and frees a list of dead ones. */
void wg_sessions_free(struct wg_device *device, struct wg_session *list);
/* An empty packet, or what is staged instead; begins a handshake where there is no session. */
void wg_keepalive_send(struct wg_peer *peer);
/* Tells the caller to send what is staged. */
void wg_staged_flush(struct wg_peer *peer);
void wg_endpoint_learn(struct wg_peer *peer, const struct wg_endpoint *from);

/* peer.c */

/* In no table yet. -EIO (the crypto library failed), -ENOMEM. */
int wg_peer_new(
	struct wg_device *device, const uint8_t key[static WG_KEY_LEN], struct wg_peer **ret);
struct wg_peer *wg_peer_free(struct wg_peer *peer);
void wg_staged_drop(struct wg_peer *peer);

/* timers.c: what happened, in the words of the protocol. */

void wg_timer_set(struct wg_peer *peer, enum wg_timer timer, uint64_t at_us);
static inline void wg_timer_stop(struct wg_peer *peer, enum wg_timer timer)
{
	peer->timers[timer] = WG_NO_DEADLINE; /* the heap finds out when the time comes */
}
static inline bool wg_timer_is_set(const struct wg_peer *peer, enum wg_timer timer)
{
	return peer->timers[timer] != WG_NO_DEADLINE;
}

void wg_timers_sent(struct wg_peer *peer, bool data); /* anything authenticated */
void wg_timers_received(struct wg_peer *peer, bool data);
void wg_timers_initiation_sent(struct wg_peer *peer);
void wg_timers_staged(struct wg_peer *peer); /* without an endpoint */
void wg_timers_session_made(struct wg_peer *peer);
void wg_timers_session_confirmed(struct wg_peer *peer);
void wg_timers_first_session(struct wg_peer *peer); /* of ours, answered */
/* Below WG_REKEY_JITTER_US. */
uint64_t wg_jitter_us(struct wg_device *device);
/* Runs one peer's due timers. False if no one's are due. */
bool wg_timers_run_next(struct wg_device *device);
