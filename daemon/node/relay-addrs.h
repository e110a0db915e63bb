/*
 * relay-addrs: where a relay of the mesh is: the addresses of its hosts, as its record and DNS say
 * it. Where no relay may be (mesh/relay-hosts.h) is not among them. A part of relays.h, whose
 * thread's it is.
 */
#pragma once

#include "node/core.h"
#include "sys/resolve/resolve.h"

enum {
	RELAY_ADDRS_MAX = 8,
	RELAY_ADDRS_OWN = NODE_RELAY_HOSTS_MAX, /* in place of a host: this very board */
};
/* From one look-up of its names to the next, while it does not answer. */
#define RELAY_ADDRS_ASK_US UINT64_C(5000000)

struct relay_addr {
	struct ip_addr addr;
	size_t host; /* which of the record's it is of */
};

struct relay_addrs {
	struct core *core;               /* borrowed */
	const struct node_relay *record; /* borrowed */
	bool own;                        /* the relay is on this board */
	void (*changed)(void *ctx);
	void *ctx;

	struct relay_addr list[RELAY_ADDRS_MAX]; /* as last looked up, in the order of the hosts */
	size_t n;
	unsigned times;                           /* that the list was made anew */
	struct relay_addr found[RELAY_ADDRS_MAX]; /* so far by the look-up under way */
	size_t n_found, host;                     /* which host is looked up */
	struct resolve *asking;                   /* that is a name */
	uint64_t asked_us;                        /* the last look-up began; 0: none did */
	struct err why;                           /* the last that went wrong */
};

/*
 * @record must last. @changed is called with @ctx when a name was looked up, not from within a call
 * of what is here. It must not be moved in memory.
 */
void relay_addrs_init(struct relay_addrs *addrs, struct core *core, uint32_t node,
	const struct node_relay *record, void (*changed)(void *ctx), void *ctx);
/* Nobody wants to know any more; what is known stays. */
void relay_addrs_stop(struct relay_addrs *addrs);

/* Looks them up: at once, and anew if that is under way. */
void relay_addrs_ask(struct relay_addrs *addrs, uint64_t now_us);
/* The same, unless it is under way, or was a moment ago. */
void relay_addrs_ask_again(struct relay_addrs *addrs, uint64_t now_us);

bool relay_addrs_have(const struct relay_addrs *addrs, const struct ip_addr *addr);
