/*
 * internal: the parts of one tunnel, for the files of this folder only.
 *
 *   tunnel.c    opens, closes, carries calls over to the thread
 *   worker.c    the thread: waits, ticks, hands batches to the two below; the engine's actions
 *   outbound.c  TUN -> sealed -> UDP
 *   inbound.c   UDP -> opened -> TUN
 *   control.c   the calls themselves, in the thread
 *   control-uapi.c  the same for the userspace API
 */
#pragma once

#include <net/if.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aead.h"
#include "mesh/wg.h"
#include "sys/sock/sock.h"
#include "tunnel.h"

enum {
	BATCH = SOCK_BATCH_MAX,
	LATE_BATCH = 16,    /* staged packets sent at once when a session comes up */
	PACKET_MAX = 65535, /* an inner packet, and a datagram */
	/* Head, packet, padding, tag; not a multiple of a page, so that slots do not share cache sets. */
	SLOT_LEN = 65536 + 4096 + 192,
};

/* A call from the control thread. */
struct call {
	int (*fn)(struct tunnel *t, void *arg);
	void *arg;
	int result;
	bool done;
};

/* What a peer's wg_peer_user() points to: heap, freed when the engine says that the peer leaves. */
struct peer_user {
	struct endpoint configured; /* the endpoint given last */
	bool has_candidates;
};

/* An inner packet on its way out. */
struct outgoing {
	struct wg_peer *peer;
	uint8_t *slot; /* WG_DATA_HEAD_LEN bytes of room, then the packet */
	size_t len;    /* of the packet */
};

/* Datagrams ready to be sent. */
struct send_list {
	struct sock_msg msgs[BATCH];
	struct wg_session *sessions[BATCH]; /* which each belongs to */
	size_t n;
};

struct tunnel {
	char ifname[IF_NAMESIZE];
	pthread_t thread;
	int call_fd, closed_fd; /* eventfds */
	pthread_mutex_t caller; /* held by whoever calls: one call at a time */
	pthread_mutex_t lock;   /* guards the three below */
	pthread_cond_t answered;
	struct call *call;
	bool ended;

	/* Everything below is the thread's. */
	bool stop;
	int tun_fd, watch_fd, timer_fd;
	uint64_t timer_us; /* what timer_fd is armed for, WG_NO_DEADLINE: nothing */
	uint32_t mtu;      /* of the device, 0: unknown */
	uint32_t fwmark;
	struct sock sock;
	struct wg_device *device;
	struct aead *aead;
	struct sock_batch *batch;
	struct tunnel_counters counters;
	int (*reserve_timestamp)(void *ctx, uint64_t until_s);
	void *reserve_ctx;

	uint8_t *area; /* one mapping for all slots; only touched pages count */
	size_t area_len;
	uint8_t *in_slots[BATCH], *out_slots[BATCH], *late_slots[LATE_BATCH];
	struct sock_msg in_msgs[BATCH];
	struct outgoing outgoing[BATCH];
	struct aead_packet in_packets[BATCH], out_packets[BATCH];
	struct send_list out_list, late_list;
};

/* worker.c */
void *worker_main(void *tunnel);
const struct wg_ops *worker_ops(void);
/* Forgets the local addresses that peers were heard at. */
void worker_clear_sources(struct tunnel *t);

/* outbound.c. Return 1 if there may be more at once, 0 if not, -errno if the device is gone. */
int outbound_run(struct tunnel *t);
/* Sends what is staged for @peer. */
void outbound_flush_staged(struct tunnel *t, struct wg_peer *peer);
/* Sends one handshake message or keepalive. */
void outbound_send_one(struct tunnel *t, struct wg_peer *peer, const struct wg_endpoint *to,
	const uint8_t *data, size_t len);

/* inbound.c, as outbound_run(). */
int inbound_run(struct tunnel *t, int fd);

/* control.c: used by both interfaces, in the thread. */
int control_move_port(struct tunnel *t, uint16_t port);
int control_set_fwmark(struct tunnel *t, uint32_t fwmark);
void control_set_endpoint(struct tunnel *t, struct wg_peer *peer, const struct endpoint *endpoint);
int control_add_peer(
	struct tunnel *t, const uint8_t key[static TUNNEL_KEY_LEN], struct wg_peer **ret);
bool control_prefix_is_valid(const struct ip_prefix *prefix);

/* tunnel.c: runs @fn in the thread and waits. -ENODEV after the thread has ended. */
int tunnel_call(struct tunnel *t, int (*fn)(struct tunnel *t, void *arg), void *arg);
