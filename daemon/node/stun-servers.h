/*
 * stun-servers: the STUN servers that the settings name beside the mesh's own relays: those of the
 * list `stun`, and of relays of others that have one. Names are looked up, one after the other. A
 * part of mapped.h, whose thread's it is.
 */
#pragma once

#include "node/core.h"
#include "sys/resolve/resolve.h"

enum {
	STUN_HOSTS_MAX = SETTINGS_STUN_MAX + SETTINGS_RELAYS_MAX,
	STUN_ADDRS_MAX = 2 * STUN_HOSTS_MAX, /* one of each family */
};
/* From one look-up to the next: of names that have no address yet, and of all. */
#define STUN_SERVERS_SOON_US   UINT64_C(60000000)
#define STUN_SERVERS_SELDOM_US UINT64_C(3600000000)

struct stun_addr {
	struct endpoint at;
	size_t host; /* which of them it is of */
};

struct stun_servers {
	struct core *core; /* borrowed */
	void (*changed)(void *ctx);
	void *ctx;

	struct outside hosts[STUN_HOSTS_MAX]; /* as the settings name them */
	size_t n_hosts;
	struct stun_addr list[STUN_ADDRS_MAX]; /* as last looked up, in the order of the hosts */
	size_t n;
	struct stun_addr found[STUN_ADDRS_MAX]; /* so far by the look-up under way */
	size_t n_found, host;                   /* which host is looked up */
	bool missing;                           /* one had no address */
	struct resolve *asking;                 /* that is a name */
	uint64_t asked_us;                      /* the last look-up began */
};

/*
 * @changed is called with @ctx when names were looked up, not from within a call of what is here.
 * It must not be moved in memory.
 */
void stun_servers_init(
	struct stun_servers *servers, struct core *core, void (*changed)(void *ctx), void *ctx);
void stun_servers_stop(struct stun_servers *servers);

/* The settings may name others: they are looked up at once. */
void stun_servers_follow(struct stun_servers *servers, uint64_t now_us);
/* Now and then: again, when it is time. */
void stun_servers_look(struct stun_servers *servers, uint64_t now_us);
