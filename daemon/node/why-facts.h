/*
 * why-facts: what this board knows of the way to another one, as wire/why.h has it. A part of
 * why.h.
 */
#pragma once

#include "node/candidates.h"
#include "node/core.h"
#include "node/peer.h"
#include "tunnel/ferry.h"
#include "wire/why.h"

/* What is known of this board's network. Zero: nothing. */
struct why_net {
	enum why_known udp[WHY_FAMILIES];
	enum why_mapping mapping;
	enum why_filtering filtering;
	struct endpoint outside[WHY_OUTSIDE_MAX];
	size_t n_outside;
	enum why_portmap portmap;
	const char *portmap_by; /* NULL: nothing */
	struct ip_addr gateway;
	char router[WHY_ROUTER_MAX]; /* why-router.h */
};

/* A relay of the mesh. */
struct why_relay {
	uint32_t id;
	bool home;
	bool udp, tcp; /* it carries by that */
	struct endpoint at;
};

enum { WHY_RELAYS_MAX = FERRY_RELAYS_MAX };

/* All that is not the peers', of this moment. */
struct why_sources {
	enum why_self self;
	bool connected; /* to the coordinator */
	const struct candidates *own;
	struct why_relay relays[WHY_RELAYS_MAX];
	size_t n_relays;
	struct why_net net;
};

/*
 * That UDP gets out, as far as relays show it: some carry by it. If one carries by TCP only, and
 * none by UDP, it does not. What @net says already stays.
 */
void why_net_from_relays(struct why_net *net, const struct why_relay *relays, size_t n);

/* Of the way to node @about; @peer is NULL where it is none any more. */
void why_facts_gather(const struct core *core, const struct why_sources *sources,
	const struct peer *peer, uint32_t about, struct why_facts *ret);
