/*
 * wg-net: WireGuard devices joined by a network that loses, doubles, delays, reorders and spoils
 * datagrams as a seed says. Time is a number that jumps from event to event, so hours pass in
 * milliseconds. Any failure ends the test.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wg/wg.h"

enum {
	NET_HOSTS_MAX = 4,
	NET_PACKET_MAX = 200,
	NET_ADDRS_MAX = 3,
	NET_EVENTS = WG_EVENT_KEYS_ZEROED + 1
};

struct net;
struct net_packet;

struct net_host {
	struct net *net;
	struct wg_device *device;
	uint8_t private_key[WG_KEY_LEN], public_key[WG_KEY_LEN];
	struct endpoint addrs[NET_ADDRS_MAX]; /* where it receives; it sends from the first */
	size_t n_addrs;
	int64_t wall_offset_us;
	uint64_t reserved_s; /* what was stored by reserve_timestamp */
	int reserve_result;
	unsigned n_reserved;

	/* what happened */
	unsigned sent_type[5],
		dropped; /* datagrams by type; those that did not open or were refused */
	unsigned events[NET_EVENTS];
	uint64_t unanswered; /* with the last of those that tell of silence */
	unsigned delivered, keepalives, ciphers_freed;
	uint8_t last[NET_PACKET_MAX];
	size_t last_len;
	struct wg_peer *last_peer;
	int last_result;    /* of wg_device_receive */
	bool no_handshakes; /* of ours leave the host */
	bool managed;       /* from the next restart on */
	unsigned n_heard;   /* elsewhere than at its endpoint, and last there: */
	struct endpoint heard;
	void (*on_send)(struct net_host *host, const struct wg_endpoint *to, const uint8_t *data,
		size_t len);
};

struct net {
	uint64_t now_us, wall_us, seed;
	unsigned loss, doubled, spoiled;     /* per thousand datagrams */
	uint64_t delay_min_us, delay_max_us; /* each datagram's own, so they overtake each other */
	unsigned cut;                        /* hosts that nothing reaches or leaves, as bits */
	struct net_host hosts[NET_HOSTS_MAX];
	size_t n_hosts;
	struct net_packet *flying; /* by time of arrival */
	unsigned lost, on_the_way;
};

/* Delay 10 ms, no faults. */
void net_init(struct net *net, uint64_t seed);
void net_done(struct net *net);
uint64_t net_random(struct net *net);

/* A host with a key of its own at 192.0.2.<n>:1000 (or 2001:db8::<n> with @v6). */
struct net_host *net_host_add(struct net *net, bool v6);
/* A new device for @host, as after a restart; its key and reserved timestamp stay. */
void net_host_restart(struct net_host *host);
/* @a learns of @b: allowed 10.0.0.<n>/32 and fd00::<n>/128, its endpoint if @know. */
struct wg_peer *net_introduce(struct net_host *a, struct net_host *b, bool know);
struct wg_peer *net_peer(struct net_host *a, const struct net_host *b);

/* An IPv4 packet from 10.0.0.<from> to 10.0.0.<to> with @number in it. */
size_t net_packet_make(
	uint8_t ret[static NET_PACKET_MAX], unsigned from, unsigned to, uint32_t number);
/*
 * @host's system sends an inner packet. 0, or the error of staging, -ENETUNREACH without a route.
 */
int net_write(struct net_host *host, const uint8_t *packet, size_t len);
/* One packet from @from to @to through both devices. */
int net_ping(struct net_host *from, const struct net_host *to, uint32_t number);
/* A datagram comes to @host's first address from @from now, whatever it is. */
void net_inject(
	struct net_host *host, const struct endpoint *from, const uint8_t *data, size_t len);

/* Everything that happens in this time. */
void net_run(struct net *net, uint64_t duration_us);
unsigned net_host_number(const struct net_host *host);
