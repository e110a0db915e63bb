/*
 * tunnel: the WireGuard tunnel in userspace: one TUN device, one UDP port, one thread. Or several
 * threads ("queues"), each with a queue of the device and sockets of its own at that port: a peer's
 * datagrams all come in at the same one, and the device's answers to them go there.
 *
 * A tunnel runs from tunnel_open() to tunnel_close() in threads of its own, which alone touch
 * packets, keys and peers. All other functions are calls from one control thread: they are carried
 * out by the tunnel's (first) thread between two batches of packets and return when that is done
 * (some microseconds; a call never waits for a network). After the interface has gone
 * (tunnel_closed_fd) they return -ENODEV.
 *
 * Not done here: addresses, routes and the MTU of the interface; names; paths through relays.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ip.h"

struct tunnel;
struct uapi_get;
struct uapi_set;

enum {
	TUNNEL_KEY_LEN = 32,
	TUNNEL_ASIDE_MAX = 9216,   /* bytes of one: all that a jumbo frame carries */
	TUNNEL_MTU_DEFAULT = 1420, /* of a TUN device that the tunnel makes */
	TUNNEL_QUEUES_MAX = 16,
};

struct tunnel_config {
	const char *ifname; /* borrowed during the call; "tun%d" style patterns are allowed */
	/* An open TUN (IFF_NO_PI; without IFF_VNET_HDR it has no offloads); taken over, also on
	 * failure. -1: open one. */
	int tun_fd;
	uint16_t port;   /* UDP, both families; 0: any free one */
	uint32_t fwmark; /* SO_MARK of the outer packets, 0: none */
	bool persistent; /* the TUN device outlives the tunnel */
	/*
	 * The caller alone decides each peer's endpoint, and calls tunnel_next_event(). Else peers
	 * roam: whoever proves to be one is where it was heard last.
	 */
	bool managed;
	uint32_t
		mtu; /* of the device. 0: as it is if persistent or handed over, else the default */

	/*
	 * Handshake timestamps never go back, also not when the clock does: the first one is above
	 * @timestamp_floor_s (seconds since 1970), and before one above the limit reserved last is
	 * used, @reserve_timestamp must have said that @until_s is stored. It is called in the
	 * tunnel's threads (one at a time), with handshakes, for the first time five minutes before
	 * they need it, and must not block: 0 (stored), -EAGAIN (being stored; a handshake that
	 * cannot go without tries again in 20 ms) or another -errno (in 5 s). Both may be left
	 * zero.
	 */
	uint64_t timestamp_floor_s;
	int (*reserve_timestamp)(void *ctx, uint64_t until_s);
	void *ctx;
};

/*
 * Opens the device and the sockets and starts the thread. Segmentation offloads of both are used as
 * far as the kernel has them, unless $HEARTH_OFFLOAD says otherwise: off, tun (only the device's)
 * or udp. $HEARTH_QUEUES (1 to 16) asks for so many queues; a device that was handed over or is
 * persistent has one. No private key yet: nothing is sent or answered before
 * tunnel_set_private_key(). @err names what failed: -EADDRINUSE the port, -EBUSY the interface
 * name, -ENOENT or -ENODEV there is no /dev/net/tun, -EPERM no right to it.
 */
int tunnel_open(const struct tunnel_config *config, struct tunnel **ret, struct err *err);

/* Ends the thread, wipes the keys, closes what was opened. NULL is fine. Returns NULL. */
struct tunnel *tunnel_close(struct tunnel *tunnel);

/* The interface's name as made. Borrowed until the tunnel is closed. */
const char *tunnel_ifname(const struct tunnel *tunnel);

/* The name it has now, for others may rename it. -EBADFD: the interface is gone. */
int tunnel_device_name(const struct tunnel *tunnel, char ret_name[static IF_NAMESIZE]);

/* The interface goes with the tunnel, also if it was to outlive it. */
void tunnel_forget_device(struct tunnel *tunnel);

/*
 * Becomes readable (and stays so) when the tunnel ended by itself because its interface was
 * removed. Borrowed. For an event loop or poll().
 */
int tunnel_closed_fd(const struct tunnel *tunnel);

/* An all-zero key takes the identity away. Peers with our own public key are removed. */
int tunnel_set_private_key(struct tunnel *tunnel, const uint8_t key[static TUNNEL_KEY_LEN]);

/* The UDP port in use (host byte order); 0 when the device is gone. Wakes nobody. */
uint16_t tunnel_port(struct tunnel *tunnel);

/*
 * Moves the sockets to @port (0: any). -EADDRINUSE and the like leave the old ones as they are.
 */
int tunnel_set_port(struct tunnel *tunnel, uint16_t port);

/* What a managed tunnel tells; none of it comes from a denied underlay address. */
enum tunnel_event_kind {
	/*
	 * The side door: a datagram at the tunnel's port that does not begin as WireGuard's do (a
	 * type and three zero bytes). It may come from anybody.
	 */
	TUNNEL_ASIDE,
	/*
	 * The peer whose public key is @data sent something authentic from elsewhere than its
	 * endpoint; told again after a second.
	 */
	TUNNEL_HEARD,
	/*
	 * What was sent to the peer whose public key is @data has had no answer for 0.8 s: often it
	 * needs none, for 10 s. Only told after tunnel_tell_quiet().
	 */
	TUNNEL_QUIET,
	/* The same, for 15 s: it should have had one. */
	TUNNEL_UNANSWERED,
};

struct tunnel_event {
	enum tunnel_event_kind kind;
	struct endpoint from;
	struct ip_addr to; /* our address that it came to; family 0: unknown */
	uint32_t ifindex;  /* the interface it came in by */
	const uint8_t *data;
	size_t len;
	uint64_t sent; /* QUIET and UNANSWERED: bytes of what has had no answer */
};

/* Readable while there are some. Borrowed. -1: the tunnel is not managed. */
int tunnel_event_fd(const struct tunnel *tunnel);
/*
 * The next one, which lies in the tunnel's memory until the next call. False: none any more. While
 * nobody takes them, some wait and the rest is lost; a flood by the side door costs what a flood of
 * handshakes does.
 */
bool tunnel_next_event(struct tunnel *tunnel, struct tunnel_event *ret);
/*
 * Sends a datagram from the tunnel's port, at once and in the caller's thread. @from: one of our
 * addresses (family 0: as routed). 0, or -errno: -EAGAIN the send buffer is full, -EACCES a denied
 * address, -EADDRNOTAVAIL and -EINVAL @from is none of ours.
 */
int tunnel_send_aside(struct tunnel *tunnel, const struct endpoint *to, const struct ip_addr *from,
	const uint8_t *data, size_t len);

/*
 * The same in one piece, which nobody on its way may fragment, and whatever the kernel believes of
 * the way's MTU: how long one may be is found out by it. By the tunnel's thread. -EMSGSIZE: the
 * interface has less.
 */
int tunnel_send_whole(
	struct tunnel *tunnel, const struct endpoint *to, const uint8_t *data, size_t len);

struct tunnel_peer {
	uint8_t key[TUNNEL_KEY_LEN];
	uint8_t psk[TUNNEL_KEY_LEN];
	bool has_psk;
	uint16_t keepalive_s; /* 0: none */
	/*
	 * AF_UNSPEC: none known; the one in use stays. A given one replaces it only if it differs
	 * from the one given last, so that a peer that roamed is not thrown back by a repeated
	 * call.
	 */
	struct endpoint endpoint;
	/* While there is none, what is sent to the peer waits for one (90 s at most). */
	bool sought;
	/*
	 * What is sealed for it leaves in IPv6 packets of at most so many bytes (1280 or more), in
	 * fragments if need be: on its way the kernel does not learn how long they may be. 0: as
	 * usual. For longer ones only, and slow.
	 */
	uint16_t fragment;
	const struct ip_prefix *allowed; /* borrowed during the call */
	size_t n_allowed;
};

/*
 * Adds the peer or changes all of it. A session that is up stays. -EINVAL: a key that is zero or
 * our own, or a bad prefix; -ENOSPC: too many peers or prefixes; -ENOMEM.
 */
int tunnel_set_peer(struct tunnel *tunnel, const struct tunnel_peer *peer);

/*
 * Sends to the peer at @endpoint from now on, also if it is the one given last. A handshake that
 * has had no answer is begun again there. -ENOENT, -EACCES a denied address, -EINVAL.
 */
int tunnel_set_endpoint(struct tunnel *tunnel, const uint8_t key[static TUNNEL_KEY_LEN],
	const struct endpoint *endpoint);

/* -ENOENT if there is no such peer. */
int tunnel_remove_peer(struct tunnel *tunnel, const uint8_t key[static TUNNEL_KEY_LEN]);

/* Starts a handshake now unless a session is fresh. -ENOENT, -EDESTADDRREQ without an endpoint. */
int tunnel_initiate(struct tunnel *tunnel, const uint8_t key[static TUNNEL_KEY_LEN]);

/*
 * Underlay addresses that are never used: a datagram from there is dropped unread and its source
 * never learned, and nothing is sent there. Replaces the list of before. Copied. -E2BIG above 1024.
 */
int tunnel_set_denied_underlay(struct tunnel *tunnel, const struct ip_prefix *prefixes, size_t n);

/*
 * A managed tunnel denies the loopback as well, for nobody on this machine is a peer; but what is
 * at 127.0.0.1 and @port if that is allowed: a socket of this program's that carries packets on
 * (ferry.h). When it is not any more, peers whose endpoint it is have none.
 */
int tunnel_allow_loopback(struct tunnel *tunnel, uint16_t port, bool allowed);

/* TUNNEL_QUIET is told from now on, or not any more: it costs wakeups. A new tunnel does not. */
int tunnel_tell_quiet(struct tunnel *tunnel, bool on);

struct tunnel_peer_stats {
	uint8_t key[TUNNEL_KEY_LEN];
	struct endpoint endpoint;        /* AF_UNSPEC: none */
	uint64_t last_handshake_wall_us; /* since 1970, 0: never */
	uint64_t last_receive_us;    /* clock_now_us() of the last authenticated packet, 0: never */
	uint64_t rx_bytes, tx_bytes; /* on the wire, without IP and UDP */
	bool session;                /* a session that may be used to send now */
};

/* All peers. @ret is a heap block the caller frees (NULL if there is none). */
int tunnel_get_stats(struct tunnel *tunnel, struct tunnel_peer_stats **ret, size_t *ret_n);

/* What went wrong with packets since the tunnel was opened. */
struct tunnel_counters {
	uint64_t rx_datagrams, tx_datagrams; /* UDP, all kinds */
	uint64_t rx_packets, tx_packets; /* inner packets handed to and taken from the TUN device */
	/*
	 * Messages of several datagrams, and super-packets of several inner packets: of the above.
	 */
	uint64_t rx_super, tx_super, tun_super_written, tun_super_read;
	uint64_t rx_malformed;      /* no WireGuard message, or a bad length */
	uint64_t rx_denied;         /* from a denied underlay address */
	uint64_t rx_handshake_bad;  /* handshake or cookie messages that proved nothing */
	uint64_t rx_handshake_shed; /* dropped unread in a flood; what the kernel dropped for us is
				     * not known */
	uint64_t rx_aside;          /* for tunnel_next_event() */
	uint64_t rx_aside_lost;     /* nobody took them in time, or a flood of them */
	uint64_t rx_no_session;     /* data for an index nobody has */
	uint64_t rx_forged;         /* data that fails authentication */
	uint64_t rx_replayed;       /* data seen before or too old */
	uint64_t rx_inner_bad; /* decrypted, but no IP packet, or a source that is not the peer's */
	uint64_t tun_write_errors;
	uint64_t tx_no_peer;    /* no peer has the destination, or the packet is no IP packet */
	uint64_t tx_no_session; /* dropped while waiting for a session */
	uint64_t tx_errors;     /* the kernel refused it: EMSGSIZE, ENOBUFS, ENETUNREACH, ... */
};
int tunnel_get_counters(struct tunnel *tunnel, struct tunnel_counters *ret);

/*
 * The operations of the userspace API (wire/uapi.h): what `wg show` reads and what `wg set` writes.
 * @ret is filled with heap blocks: uapi_get_done(). A set is applied in its order; the first
 * failure ends it, what came before stays (as the kernel does it).
 */
int tunnel_uapi_get(struct tunnel *tunnel, struct uapi_get *ret);
int tunnel_uapi_set(struct tunnel *tunnel, const struct uapi_set *set);
