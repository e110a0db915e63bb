/*
 * wg: a WireGuard device as decisions: peers, handshakes (Noise_IKpsk2), cookies, sessions, timers
 * and allowed addresses, to the WireGuard paper and the behaviour of Linux. No system call, no
 * clock, no lock: one thread at a time (below) tells a device the time (wg_device_set_time), calls
 * it and carries out what it asks for through struct wg_ops.
 *
 * The data path is the caller's: it seals and opens data packets with the keys of struct
 * wg_session.
 *
 *   out  peer = wg_device_route(dst); s = wg_peer_sending(peer);
 *        if s: wg_session_reserve(s, n, &counter), seal, send to wg_peer_endpoint(peer),
 *              wg_peer_data_sent(s, bytes)
 *        else: wg_peer_stage(peer, packet): kept, a handshake starts, ops.ready tells when to
 *              wg_peer_unstage()
 *   in   wg_device_denies(source) ? drop
 *        type 4: s = wg_device_session(receiver); open; wg_session_accept(s, counter);
 *                wg_peer_data_received(s, from, bytes, not_empty);
 *                wg_device_route(inner source) == s->peer ? deliver : drop
 *        else:   wg_device_receive(data, len, from)
 *
 * Nothing in the "out" and "in" rows for data allocates, locks or logs. Lifetime: removing a peer
 * or replacing a session only takes it out of service. The memory of both stays until the next
 * wg_device_tick() (or wg_device_free), so pointers may be kept over a batch of packets, never over
 * a tick. Callbacks may call anything here but wg_device_tick() and wg_device_free().
 *
 * Several threads: all calls that name the device, a peer or a session are made under one lock of
 * the caller's, callbacks included. One thread ticks. Any other that keeps pointers while it does
 * not have the lock (to seal and open) holds the device meanwhile: what it found is not freed
 * before it lets go, and of a session's fields those that never change may be read without the
 * lock: keys, indices and peer. All else (endpoints, too) may have changed when the lock is taken
 * again, and peer and session may be out of service: then the calls above refuse, drop or do
 * nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "wg/replay.h"
#include "wire/wg.h"

struct wg_device;
struct wg_peer;

/* Limits of the protocol (paper, section 6.1) and of this implementation. */
#define WG_REKEY_AFTER_MESSAGES  (UINT64_C(1) << 60)
#define WG_REJECT_AFTER_MESSAGES (UINT64_MAX - (UINT64_C(1) << 13)) /* counters are below this */
#define WG_REKEY_AFTER_US        UINT64_C(120000000)
#define WG_REJECT_AFTER_US       UINT64_C(180000000)
#define WG_REKEY_TIMEOUT_US      UINT64_C(5000000)
#define WG_REKEY_ATTEMPT_US      UINT64_C(90000000)
#define WG_KEEPALIVE_US          UINT64_C(10000000)
#define WG_REKEY_JITTER_US       UINT64_C(334000)
#define WG_ZERO_KEYS_AFTER_US    (3 * WG_REJECT_AFTER_US)
#define WG_NO_DEADLINE           UINT64_MAX

enum {
	WG_PEERS_MAX = 1 << 16,
	WG_STAGED_MAX = 128,            /* packets per peer; the oldest gives way */
	WG_STAGED_BYTES_MAX = 32 << 20, /* of all peers; beyond it, new ones are refused */
	WG_DENIED_MAX = 1024,
	WG_INITIATIONS_PER_SECOND = 50, /* taken from one peer */
	WG_LOAD_HANDSHAKES = 128,       /* in 100 ms: above it, one second "under load" (cookies) */
	WG_INITIATIONS_AT_ONCE = 4,     /* of those, so soon after another */
	WG_TIMESTAMP_BLOCK_S = 3600,    /* handshake timestamps are reserved this far ahead */
	WG_TIMESTAMP_LEFT_S = 300       /* the next block is asked for when so much is left */
};

/*
 * What the caller found out about the way to an endpoint; forgotten with what it was found out for.
 */
struct wg_path {
	uint32_t seen; /* which state of the routes it is of, 0: nothing found out */
	uint32_t oif;  /* by which interface datagrams from endpoint.local leave, 0: by none */
	bool astray;   /* routing leads elsewhere now: do not send from endpoint.local */
	bool nested;   /* they leave through another tunnel */
};

/*
 * Where a peer is, and which of our addresses it talks to (sticky source: family 0 and ifindex 0 if
 * unknown).
 */
struct wg_endpoint {
	struct endpoint remote;
	struct ip_addr local;
	uint32_t ifindex;
	struct wg_path path; /* the caller's (wg_peer_set_path) */
};

/*
 * One pair of transport keys. The caller reads it; only @cipher and (through
 * wg_session_reserve/accept) the counters are its to change.
 */
struct wg_session {
	struct wg_peer *peer;
	void *cipher;          /* the caller's, NULL at first; goes to ops.cipher_free in the end */
	uint32_t local_index;  /* receiver of packets to us */
	uint32_t remote_index; /* and of those to the peer */
	uint64_t send_counter; /* next */
	uint64_t created_us;
	uint8_t send_key[WG_KEY_LEN], receive_key[WG_KEY_LEN];
	bool initiator; /* we began the handshake */
	bool may_send;  /* false once our identity changed */
	bool dead;      /* out of service, freed soon */
	struct wg_replay replay;
	struct wg_session *next_dead;
};

enum wg_event {
	WG_EVENT_INITIATION_SENT,
	WG_EVENT_INITIATION_RECEIVED,
	WG_EVENT_RESPONSE_RECEIVED,
	WG_EVENT_COOKIE_RECEIVED,
	WG_EVENT_SESSION,  /* a session is confirmed: first contact or a rekey */
	WG_EVENT_ENDPOINT, /* the peer's address is another one than before */
	WG_EVENT_QUIET,    /* nothing has come for 0.8 s after data went: wg_device_tell_quiet() */
	WG_EVENT_UNANSWERED, /* 15 s without an answer to what was sent: a new handshake is tried */
	WG_EVENT_GAVE_UP,    /* 90 s of handshakes unanswered; then what is staged is dropped */
	WG_EVENT_KEYS_ZEROED
};

/* Actions. All optional but @send. None may block. */
struct wg_ops {
	/*
	 * Send one handshake message, cookie reply or keepalive. @peer is NULL for a cookie reply.
	 * All is borrowed.
	 */
	void (*send)(void *ctx, struct wg_peer *peer, const struct wg_endpoint *to,
		const uint8_t *data, size_t len);
	/* @peer can be sent to and has staged packets: unstage, seal and send them. */
	void (*ready)(void *ctx, struct wg_peer *peer);
	void (*cipher_free)(void *ctx, void *cipher);
	/*
	 * @peer leaves: forget its pointer (and what wg_peer_user() is). Called before its memory
	 * goes, once.
	 */
	void (*peer_removed)(void *ctx, struct wg_peer *peer);
	/*
	 * Store durably that timestamps up to @until_s (seconds since 1970) may have been used;
	 * hand the last stored value to the next device as timestamp_floor_s. Asked some minutes
	 * ahead, and with each handshake until it succeeds. Once what was reserved is used up, an
	 * error keeps the handshake from being sent until the next try: -EAGAIN (it is being
	 * stored) in 20 ms, others in 5 s.
	 */
	int (*reserve_timestamp)(void *ctx, uint64_t until_s);
	/*
	 * @peer has proved to be at @from (borrowed), which is not its endpoint: of a managed
	 * device, once for each batch and handshake message.
	 */
	void (*heard)(void *ctx, struct wg_peer *peer, const struct wg_endpoint *from);
	void (*event)(void *ctx, struct wg_peer *peer, enum wg_event event);
};

struct wg_config {
	struct wg_ops ops;
	void *ctx;
	/*
	 * Endpoints are what wg_peer_set_endpoint() says. Else they are also learned from whatever
	 * a peer has authenticated.
	 */
	bool managed;
	uint64_t timestamp_floor_s; /* no handshake timestamp is below; 0: none was ever used */
	uint64_t now_us, wall_us;   /* as for wg_device_set_time() */
};

/* What was dropped and why, since the device was made. */
struct wg_counters {
	uint64_t malformed, denied, bad_mac, rate_limited, cookies_sent, unknown, forged, replayed,
		flooded, handshakes;
};

/* -ENOMEM, or -ENOSYS if the crypto libraries lack BLAKE2s or do not work. */
int wg_device_new(const struct wg_config *config, struct wg_device **ret);
/* Wipes and frees everything; returns NULL. */
struct wg_device *wg_device_free(struct wg_device *device);

/*
 * The time for all that follows: microseconds of one monotonic clock (never back; above 0) and
 * since 1970 (may jump). Call once per wakeup.
 */
void wg_device_set_time(struct wg_device *device, uint64_t now_us, uint64_t wall_us);

/* When wg_device_tick() wants to be called next (may be past: at once), or WG_NO_DEADLINE. */
uint64_t wg_device_next_deadline(const struct wg_device *device);
/*
 * Runs what is due, a bounded number of peers at a time (then next_deadline is past), and frees
 * what is dead and not held.
 */
void wg_device_tick(struct wg_device *device);

/*
 * Keeps all that can be found now in memory until wg_device_release() is given what this returned.
 * For a batch of packets: what is freed later also keeps its keys as long.
 */
unsigned wg_device_hold(struct wg_device *device);
void wg_device_release(struct wg_device *device, unsigned hold);

/*
 * Our identity. Zero bytes: none (nothing can be sent). Another key than before: sessions stop
 * sending, a peer with our public key is removed, and the next packet starts a handshake at once.
 * The key is clamped, so that any will do.
 */
void wg_device_set_private_key(struct wg_device *device, const uint8_t key[static WG_KEY_LEN]);
/* False (and zero bytes) if there is none. */
bool wg_device_private_key(const struct wg_device *device, uint8_t ret_key[static WG_KEY_LEN]);
bool wg_device_public_key(const struct wg_device *device, uint8_t ret_key[static WG_KEY_LEN]);

/*
 * Sources that are dropped unseen and never learned. Replaces the list. -E2BIG, -ENOMEM, -EINVAL
 * (family).
 */
int wg_device_set_denied(struct wg_device *device, const struct ip_prefix *prefixes, size_t n);
/*
 * Of a managed device, the loopback is denied, too: nobody on this machine is a peer. But for what
 * is at 127.0.0.1 and @port, if that is allowed: a helper of the caller's that carries packets on.
 * When it is not any more, peers whose endpoint it is have none.
 */
void wg_device_allow_loopback(struct wg_device *device, uint16_t port, bool allowed);
/* Whether WG_EVENT_QUIET is told. It is not unless asked for: it costs wakeups. */
void wg_device_tell_quiet(struct wg_device *device, bool on);
bool wg_device_denies(const struct wg_device *device, const struct endpoint *remote);

/*
 * The caller has more handshake messages waiting than it likes: answer with cookies for one second.
 */
void wg_device_note_load(struct wg_device *device);

const struct wg_counters *wg_device_counters(const struct wg_device *device);

/*
 * An incoming initiation, response or cookie reply; @from says where from and which local address
 * it came to. 0: taken. -EBADMSG: length or type; -EACCES: denied source; -ENOKEY: we have no
 * identity; -EKEYREJECTED: a MAC, tag or point is wrong; -ENOENT: unknown peer or index; -EALREADY:
 * replayed; -EBUSY: flood; -EAGAIN: answered with a cookie; -EDQUOT: rate limit of its source;
 * -ENOMEM. The caller need not care.
 */
int wg_device_receive(
	struct wg_device *device, const uint8_t *data, size_t len, const struct wg_endpoint *from);

/* Peers */

/*
 * The peer with public key @key, made if there is none. 1 made, 0 known, -ELOOP our own key,
 * -ENOSPC WG_PEERS_MAX, -ENOMEM. A key of low order (as zero is) is taken, as Linux does, but no
 * handshake with it ever comes about, and no packet is sent.
 */
int wg_device_add_peer(
	struct wg_device *device, const uint8_t key[static WG_KEY_LEN], struct wg_peer **ret);
struct wg_peer *wg_device_find_peer(struct wg_device *device, const uint8_t key[static WG_KEY_LEN]);
/*
 * Peers in the order in which they were added; NULL begins, NULL ends. @peer must not have been
 * removed.
 */
struct wg_peer *wg_device_next_peer(const struct wg_device *device, const struct wg_peer *peer);
size_t wg_device_n_peers(const struct wg_device *device);
void wg_peer_remove(struct wg_peer *peer);

const uint8_t *wg_peer_key(const struct wg_peer *peer);
/* A pointer of the caller's, NULL at first. */
void wg_peer_set_user(struct wg_peer *peer, void *user);
void *wg_peer_user(const struct wg_peer *peer);

/* Zero bytes: none. Counts from the next handshake on. */
void wg_peer_set_psk(struct wg_peer *peer, const uint8_t psk[static WG_KEY_LEN]);
const uint8_t *wg_peer_psk(const struct wg_peer *peer);

/*
 * Sets the remote address and forgets the source. Family 0 is ignored. A managed device's handshake
 * that has had no answer yet is begun again there.
 */
void wg_peer_set_endpoint(struct wg_peer *peer, const struct endpoint *remote);
/* As if there had never been one. A session that is up stays. */
void wg_peer_forget_endpoint(struct wg_peer *peer);
/* Borrowed; NULL while unknown. Where data goes. */
const struct wg_endpoint *wg_peer_endpoint(const struct wg_peer *peer);
/* Sending from the endpoint's local address failed: let the kernel choose again. */
void wg_peer_clear_source(struct wg_peer *peer);
/* Notes on the way to wg_peer_endpoint(). */
void wg_peer_set_path(struct wg_peer *peer, const struct wg_path *path);
/*
 * While @peer has no endpoint, is one being looked for? Then what is sent to it waits, 90 s at
 * most. False at first.
 */
void wg_peer_set_sought(struct wg_peer *peer, bool sought);

/* Seconds, 0: off. Turning it on sends a keepalive at once, so set endpoint and keys first. */
void wg_peer_set_keepalive(struct wg_peer *peer, uint16_t interval_s);
uint16_t wg_peer_keepalive(const struct wg_peer *peer);

/* @peer takes the prefix, from another peer if that had it. -EINVAL (family, length), -ENOMEM. */
int wg_peer_add_allowed(struct wg_peer *peer, const struct ip_prefix *prefix);
/* -ENOENT if the prefix is not this peer's. */
int wg_peer_remove_allowed(struct wg_peer *peer, const struct ip_prefix *prefix);
void wg_peer_clear_allowed(struct wg_peer *peer);
/* The same in steps, where there may be very many: at most @n. Returns how many are left. */
size_t wg_peer_clear_some_allowed(struct wg_peer *peer, size_t n);
size_t wg_peer_n_allowed(const struct wg_peer *peer);
/*
 * Calls @fn for each prefix, in the order they were added, in steps: for at most @n from *@at on
 * (NULL: from the first), which is then the next one, or NULL after the last. They must not change
 * between two steps.
 */
void wg_peer_some_allowed(const struct wg_peer *peer, const void **at, size_t n,
	void (*fn)(void *ctx, const struct ip_prefix *prefix), void *ctx);

/*
 * A handshake now unless a session is fresh (below 120 s old and answered) or one was begun in the
 * last 5 s.
 */
void wg_peer_initiate(struct wg_peer *peer);
struct wg_peer_stats {
	uint64_t rx_bytes, tx_bytes;     /* UDP payload, handshakes included */
	uint64_t last_handshake_wall_us; /* 0: never */
	uint64_t last_receive_us;        /* monotonic: anything authenticated; 0: never */
	bool session; /* there is a confirmed session to send with, and no answer is overdue */
};
void wg_peer_stats(const struct wg_peer *peer, struct wg_peer_stats *ret);
/* Within WG_EVENT_QUIET and WG_EVENT_UNANSWERED: bytes of what has had no answer. */
uint64_t wg_peer_unanswered(const struct wg_peer *peer);

/* The data path */

/* Whose allowed address is it? @addr: 4 or 16 bytes by @family. NULL: nobody's. */
struct wg_peer *wg_device_route(const struct wg_device *device, int family, const uint8_t *addr);

/* The session to send with now, or NULL: stage. With one there is an endpoint. */
struct wg_session *wg_peer_sending(struct wg_peer *peer);
/* The session of an incoming packet if it may still receive, or NULL. */
struct wg_session *wg_device_session(struct wg_device *device, uint32_t receiver);

/* Takes @n counters in a row. False if not so many are left: stage (a handshake is begun). */
bool wg_session_reserve(struct wg_session *session, unsigned n, uint64_t *ret_first);
/* After opening: true once per counter. */
bool wg_session_accept(struct wg_session *session, uint64_t counter);

/*
 * Data packets (not empty ones) went out with @session, @bytes of UDP payload in all: once per
 * batch.
 */
void wg_peer_data_sent(struct wg_session *session, uint64_t bytes);
/*
 * Authenticated, not replayed packets came in with @session, the last one from @from: once per
 * batch (or more often). @data: at least one was not empty. Confirms a new session (ops.ready may
 * be called), learns the endpoint, runs timers.
 */
void wg_peer_data_received(
	struct wg_session *session, const struct wg_endpoint *from, uint64_t bytes, bool data);

/*
 * Keeps a copy of an inner packet until there is a session, and begins a handshake. When full, the
 * oldest goes. -EDESTADDRREQ without an endpoint that there is or is sought, -ENOKEY without
 * identity, -ENOBUFS (device limit), -ENOMEM, -EMSGSIZE.
 */
int wg_peer_stage(struct wg_peer *peer, const uint8_t *packet, size_t len);

/* A staged packet, the caller's to free() */
struct wg_staged {
	struct wg_staged *next;
	size_t len;
	uint8_t data[];
};
/* The oldest, or NULL. */
struct wg_staged *wg_peer_unstage(struct wg_peer *peer);
