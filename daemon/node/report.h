/*
 * report: what hearthd says of itself: the JSON of `hearth status` and the sentence of `systemctl
 * status`. Pure.
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/json.h"
#include "board/links.h"
#include "node/beacon.h"
#include "node/finder.h"
#include "node/holes.h"
#include "node/peer.h"
#include "node/portmap.h"
#include "node/relays.h"
#include "node/sync.h"
#include "wire/node.h"
#include "wire/reached.h"
#include "wire/settings.h"

enum mesh_state {
	MESH_WAITING, /* no usable log yet */
	MESH_UP,
	MESH_REMOVED,  /* by a tombstone */
	MESH_REPLACED, /* another machine has our place: a token made with --replace */
};

/* All borrowed. */
struct report {
	const char *mesh;
	enum mesh_state state;
	uint32_t id;
	const struct node *self; /* NULL: not in the netmap */
	const char *ifname;
	unsigned mtu;
	uint16_t port; /* 0: no tunnel */
	const struct endpoint *endpoints;
	size_t n_endpoints;
	const struct links *links;
	const struct finder_counters *disco;
	const struct beacon_counters *beacon;
	struct holes_counters holes;
	const struct sync_state *sync;
	const struct node *sync_relay;   /* whose relay leads to the coordinator; NULL: none does */
	const struct settings *settings; /* NULL: none yet */
	uint64_t seq;
	const uint8_t *head; /* 32 bytes */
	const struct peer *peers;
	size_t n_peers, n_reachable;
	const struct relays_report *relays;
	size_t n_relays;
	const struct portmap_report *mappings;
	size_t n_mappings;
	const struct reached *reached; /* this board's own, if it is one and said so; else NULL */
	const struct node *(*node_of)(void *ctx, uint32_t id);
	void *ctx;
	const char *log_problem;     /* "" if the coordinator's log is believed */
	const char *const *problems; /* all of them */
	size_t n_problems;
	uint64_t now_us, now_wall_us;
	bool systemd; /* PID 1 is systemd */
};

/* "direct", "relayed", "unreachable" (it answered before), "connecting". */
const char *report_peer_state(const struct peer *peer);

/* A new document, or NULL when out of memory. */
json_t *report_json(const struct report *report);

/* "4 of 5 peers reachable, coordinator connected". */
void report_sentence(const struct report *report, struct buf *ret);
