/*
 * ferry: carries the datagrams of relayed peers between the tunnel and relays, in a thread of its
 * own, so that a relay that is slow or floods does not keep the tunnel from other peers.
 *
 *   tunnel 127.0.0.1:PORT <-> 127.0.0.1:A  (peer A)  \          / relay R
 *                         <-> 127.0.0.1:B  (peer B)  - ferry  -
 *                         <-> 127.0.0.1:C  (peer C)  /          \ relay S
 *
 * To the tunnel, a relayed peer is an endpoint like any other: a socket on the loopback that the
 * ferry made for it (ferry_peer_add), connected to the tunnel's port, so that the kernel refuses
 * what others on this machine send there. The tunnel must be told to take such an endpoint
 * (tunnel_allow_loopback), before it is used and no longer than it lasts. What the tunnel sends
 * there goes to the peer by the relay that was chosen (ferry_peer_carrier); what comes for it by
 * any relay goes to the tunnel. Whole trains of datagrams stay together all the way.
 *
 * There are two ways to a relay: by UDP, and by a stream (DERP). With both, packets go by UDP while
 * it is bound, else by the stream. A peer that was met by guessing its port (mesh/guess.h) is at
 * the other end of a socket of its own, and no relay is between.
 *
 * Peers and relays are known by their node ids, which are not 0. Who is a peer, which relays there
 * are, binding to them and choosing among them is the control thread's. Its calls are carried out
 * between two batches and never wait for a network; all are from one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/ip.h"

struct ferry;

enum {
	FERRY_PEERS_MAX = 1024,
	FERRY_RELAYS_MAX = 64, /* by UDP, and as many by streams */
	FERRY_KEY_LEN = 32,
	FERRY_NO_RELAY = 0,
};

/* @tunnel_port: of the tunnel, host byte order. On failure @err says what could not be had. */
int ferry_new(uint16_t tunnel_port, struct ferry **ret, struct err *err);
/* Ends the thread and closes all sockets. NULL is fine. Returns NULL. */
struct ferry *ferry_free(struct ferry *ferry);

/* The tunnel has moved; endpoints stay. What it sent from the old port is dropped from now on. */
void ferry_set_tunnel_port(struct ferry *ferry, uint16_t port);

/* --- peers --- */

/*
 * Makes a socket for peer @node, whose WireGuard key is @key (by which a stream knows it), or finds
 * the one it has (with the key given then); *@ret is its address, for the tunnel. There is no relay
 * for it yet. -ENOSPC above FERRY_PEERS_MAX, -EMFILE, -ENOMEM, -EINVAL (@node 0).
 */
int ferry_peer_add(struct ferry *ferry, uint32_t node, const uint8_t key[static FERRY_KEY_LEN],
	struct endpoint *ret);
/* The tunnel must have been told before, for anybody may have the port now. */
void ferry_peer_remove(struct ferry *ferry, uint32_t node);
/* What is sent to @node goes by @relay from now on (FERRY_NO_RELAY: nowhere). -ENOENT */
int ferry_peer_carrier(struct ferry *ferry, uint32_t node, uint32_t relay);

/* --- relays by UDP (wire/udprelay.h) --- */

/*
 * Opens a socket to the relay @relay at @to, whose packets carry @fwmark if it is not 0. If there
 * is one, the new one takes its place, without a session: so after our addresses or the relay's
 * changed. -ENOSPC above FERRY_RELAYS_MAX, -EINVAL, or as @err says; the old one stays then.
 */
int ferry_relay_open(struct ferry *ferry, uint32_t relay, const struct endpoint *to,
	uint32_t fwmark, struct err *err);
/*
 * Bound as @session (0: not any more): now packets may go. For every BOUND, also with the same
 * session: whether the way there takes whole trains is found out anew. -ENOENT
 */
int ferry_relay_session(struct ferry *ferry, uint32_t relay, uint32_t session);
/* Peers that went by it have none then. */
void ferry_relay_close(struct ferry *ferry, uint32_t relay);
/*
 * Sends a datagram (a BIND) to the relay, at once and in the caller's thread. -ENOENT, or -errno:
 * -EAGAIN the send buffer is full, -ECONNREFUSED nobody listened there when we sent last.
 */
int ferry_send_control(struct ferry *ferry, uint32_t relay, const uint8_t *data, size_t len);

/* --- peers themselves, by a socket that is not the tunnel's --- */

/*
 * What is sent to the peer @node goes by @fd from now on, a UDP socket of @family that is
 * non-blocking and connected to it, and what comes there goes to the tunnel; in place of the one
 * that was. It is the ferry's, also on failure. To be had in a ferry without relays: one of the
 * same number would be another's. -EINVAL (@node 0), -ENOSPC above FERRY_RELAYS_MAX, -ENOENT no
 * such peer, -ENOMEM.
 */
int ferry_hole_open(struct ferry *ferry, uint32_t node, int fd, int family);
void ferry_hole_close(struct ferry *ferry, uint32_t node);

/* --- relays by a stream (wire/derp.h) --- */

/*
 * A connection to a relay that is up and logged in: the next that receive() gives is a frame, also
 * if it was read with what came before. It is the caller's to close, after ferry_stream_close();
 * until then the ferry's thread alone uses it, and must never wait for it.
 */
struct ferry_stream {
	int fd; /* is ready for one or the other when poll() says so */
	/*
	 * As recv() and send(), but for the errors: -EAGAIN for not now, another -errno (or 0 of
	 * receive) for the end. After -EAGAIN, the same bytes come again from the same place.
	 */
	ssize_t (*receive)(void *ctx, void *ret, size_t len);
	ssize_t (*send)(void *ctx, const void *data, size_t len);
	void *ctx;
};

/* -EEXIST there is one, -ENOSPC above FERRY_RELAYS_MAX, -ENOMEM, -EINVAL. */
int ferry_stream_open(struct ferry *ferry, uint32_t relay, const struct ferry_stream *stream);
/* Afterwards nothing of it is used any more. */
void ferry_stream_close(struct ferry *ferry, uint32_t relay);
/* Puts a whole frame (a PONG, say) between the packets. -ENOENT, -EAGAIN no room. */
int ferry_stream_send(struct ferry *ferry, uint32_t relay, const uint8_t *frame, size_t len);
/*
 * When it brought the last frame, or was opened (clock_now_us()). 0: there is none, or it has
 * ended.
 */
uint64_t ferry_stream_heard_us(const struct ferry *ferry, uint32_t relay);

/* --- what it has to tell --- */

enum ferry_event_kind {
	/* @relay sent @data, a message of the relay protocol that is no DATA. Nothing is proved. */
	FERRY_CONTROL,
	/*
	 * Something came by @relay that @relay says is from @node, who is no peer here (and it was
	 * dropped), or to whom we send by another relay or none. Who is no peer and comes by a
	 * stream has no number: then @node is 0 and @data his WireGuard key. Told again after a
	 * second; of many at once, only some.
	 */
	FERRY_HEARD,
	/* The kernel refused what was sent to @relay, or it was refused there: @error, -errno. */
	FERRY_REFUSED,
	/*
	 * The stream to @relay brought a frame that is no packet: @frame (enum derp_type: PING,
	 * PONG, PEER_GONE, HEALTH or RESTARTING) and its payload @data.
	 */
	FERRY_FRAME,
	/*
	 * The stream to @relay has ended, @error says why (0: by the relay; -EDQUOT: it floods us
	 * with what is for nobody). Never lost.
	 */
	FERRY_ENDED,
};

struct ferry_event {
	enum ferry_event_kind kind;
	uint32_t relay;
	uint32_t node;
	int error;
	uint8_t frame;
	const uint8_t *data;
	size_t len;
};

/* Readable while there are some. Borrowed. */
int ferry_event_fd(const struct ferry *ferry);
/* The next one; @data lies in the ferry's memory until the next call. False: none any more. */
bool ferry_next_event(struct ferry *ferry, struct ferry_event *ret);

/*
 * Datagrams since it was opened; of those that were dropped, each is counted for one reason. What
 * the kernel drops because we do not come to it in time, it counts in messages: a train is one.
 */
struct ferry_counters {
	uint64_t from_tunnel;       /* for peers */
	uint64_t from_tunnel_super; /* messages of several of them */
	uint64_t to_relay;          /* gone */
	uint64_t to_relay_super;    /* messages of several of them */
	uint64_t to_relay_full;     /* a send buffer was full, or we did not come to it in time */
	uint64_t to_relay_refused;  /* the kernel refused them: EMSGSIZE, ENETUNREACH, ... */
	uint64_t no_relay;          /* there is none for this peer, or we are not bound to it */
	uint64_t too_long;          /* for a relay */
	uint64_t foreign;           /* not the tunnel's */

	uint64_t from_relay;       /* of peers, with our session */
	uint64_t from_relay_super; /* messages of several of them */
	uint64_t from_relay_full;  /* we did not come to it in time */
	uint64_t malformed;        /* no message or frame that a member gets */
	uint64_t bad_session;      /* DATA for another session than ours */
	uint64_t unknown_node;     /* DATA from somebody who is no peer */
	uint64_t control;          /* for ferry_next_event() */
	uint64_t control_lost;     /* nobody took them in time, or a flood of them */

	uint64_t to_tunnel;         /* gone; whether it came to them in time is not known */
	uint64_t to_tunnel_super;   /* messages of several of them */
	uint64_t to_tunnel_full;    /* a send buffer was full */
	uint64_t to_tunnel_refused; /* the kernel refused them */
};
int ferry_get_counters(struct ferry *ferry, struct ferry_counters *ret);
