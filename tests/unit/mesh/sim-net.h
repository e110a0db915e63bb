/*
 * sim-net: the model network: lans (the first is the internet), routers between them (sim-nat.h),
 * and hosts. What leaves a lan is translated when it is sent, what enters one when it arrives, so
 * that two datagrams that cross meet routers as real ones do. Seeded delay, jitter (and so another
 * order), loss and duplicates; cuts between two boards, each way by itself.
 *
 * Beside it a relay, which carries from board to board whatever the routers do, while it is up.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "mesh/predict.h"

#include "sim-nat.h"
#include "sim-queue.h"
#include "sim-rng.h"

enum {
	SIM_BOARDS_MAX = 3,
	SIM_LANS_MAX = 16,
	SIM_ROUTERS_MAX = 16,
	SIM_HOSTS_MAX = 20,
	SIM_NAMED_MAX = 32, /* endpoints in a CALL */
	SIM_INTERNET = 0,   /* the lan */
	SIM_NOBODY = SIM_BOARDS_MAX,
};

/* No time is 0, which often means never. */
#define SIM_BEGIN_US UINT64_C(1000000000)

enum sim_what {        /* in the queue */
	SIM_ARRIVES,   /* x: the packet */
	SIM_RELAYED,   /* x: the packet */
	SIM_WAKES,     /* board a */
	SIM_ASKS_STUN, /* board a, of its run x */
	SIM_SENDS,     /* board a to b, of the plan's part x */
	SIM_SILENT,    /* board a has had no answer of b, of the tunnel's doubt x */
	SIM_KEEPS,     /* board a owes b a keepalive, of the debt x */
	SIM_TELLS,     /* board a's presence reaches b */
	SIM_BINDS,     /* board a at the relay, of the relay's run x */
	SIM_HAPPENS,   /* entry a of the plan */
	SIM_ENDS,      /* of entry a */
	SIM_PHASE,     /* of traffic: the plan's part a */
	SIM_REPLAYS,   /* to board a, until x */
	SIM_FLIPS,     /* what passes directly, until x */
	SIM_CALLING,   /* the same with calls */
	SIM_REBINDS,   /* board a's router, until x */
	SIM_STIRS,     /* board a's links, until x */
	SIM_LOOKS,     /* the watch */
};

enum sim_kind { SIM_PING, SIM_PONG, SIM_CALL, SIM_DATA, SIM_KEEPALIVE, SIM_ASK, SIM_TOLD };

struct sim_packet {
	struct endpoint from, to;
	unsigned sender,
		target; /* boards: who it is from and for is authentic; SIM_NOBODY: STUN's */
	enum sim_kind kind;
	uint64_t run, tx;
	uint16_t port;                        /* that it leaves by; 0: the host's */
	struct endpoint seen;                 /* of a TOLD */
	struct predict_nat nat;               /* of a CALL */
	struct endpoint named[SIM_NAMED_MAX]; /* of a CALL */
	size_t n_named;
	/* on its way */
	unsigned lan;
	int turns_at; /* a router that sends it back to its own inside; -1: none */
};

struct sim_lan {
	int router;    /* to elsewhere; -1: none */
	bool isolated; /* hosts in it do not see each other */
	uint64_t delay_us, jitter_us;
	unsigned loss, twice; /* of 1000 */
};

struct sim_router {
	struct sim_nat nat;
	unsigned outside, inside; /* lans */
};

struct sim_host {
	struct endpoint at;
	unsigned lan;
	unsigned board; /* SIM_NOBODY: it answers STUN */
};

struct sim_relay {
	bool up;
	bool stream[SIM_BOARDS_MAX];       /* loses nothing */
	uint64_t bound_us[SIM_BOARDS_MAX]; /* since then; UINT64_MAX: not */
	uint64_t delay_us, jitter_us;
	unsigned loss;
	uint64_t run;
};

struct sim_net {
	struct sim_rng *rng;     /* borrowed */
	struct sim_queue *queue; /* borrowed */
	struct sim_lan lans[SIM_LANS_MAX];
	struct sim_router routers[SIM_ROUTERS_MAX];
	struct sim_host hosts[SIM_HOSTS_MAX];
	size_t n_lans, n_routers, n_hosts;
	bool cut[SIM_BOARDS_MAX][SIM_BOARDS_MAX]; /* from, to */
	struct sim_relay relay;
	struct sim_packet *packets; /* owned */
	uint32_t *unused;           /* owned: places of packets */
	size_t n_unused, room;
};

void sim_net_init(struct sim_net *net, struct sim_rng *rng, struct sim_queue *queue);
void sim_net_done(struct sim_net *net);

unsigned sim_net_add_lan(struct sim_net *net, uint64_t delay_us);
/* Between a new lan, which is returned, and @outside, where it has the address @addr. */
unsigned sim_net_add_router(struct sim_net *net, unsigned outside, const struct ip_addr *addr,
	const struct sim_nat_kind *kind, uint64_t lifetime_us);
unsigned sim_net_add_host(
	struct sim_net *net, unsigned lan, const struct endpoint *at, unsigned board);

/* It is not there any more. */
void sim_net_remove_host(struct sim_net *net, int host);

/* From host @host, by @packet (copied; its @from is the host's). */
void sim_net_send(
	struct sim_net *net, unsigned host, const struct sim_packet *packet, uint64_t now_us);
/* Packet @place arrives: true, and it is @ret, at host *ret_host of a board. */
bool sim_net_arrive(struct sim_net *net, uint64_t place, uint64_t now_us, struct sim_packet *ret,
	unsigned *ret_host);

/* From board to board. */
void sim_relay_send(struct sim_net *net, const struct sim_packet *packet, uint64_t now_us);
bool sim_relay_arrive(struct sim_net *net, uint64_t place, uint64_t now_us, struct sim_packet *ret);
/* Whether it carries between these two. */
bool sim_relay_carries(const struct sim_net *net, unsigned a, unsigned b, uint64_t now_us);
