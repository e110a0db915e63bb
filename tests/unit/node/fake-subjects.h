/*
 * fake-subjects: all subjects of hearthd as a test plays them, linked instead of them. What they
 * are asked is written down in order; what they say is the test's. hearthd's own files are real.
 */
#pragma once

#include "fake-core.h"

#include "node/hearthd.h"
#include "sys/http/http.h"

enum { FAKE_PEERS_MAX = 4 };

struct fake_subjects {
	/* --- what they say --- */
	const char *missing; /* there is no memory for this one, NULL: for all */
	const char *fails;   /* this call fails, */
	int with;            /* with this errno */
	struct candidates own;
	struct reached reached;
	struct state state;
	struct sync_state sync;
	struct peer peers[FAKE_PEERS_MAX]; /* by number */
	size_t n_peers, n_reachable;
	uint16_t port;           /* of the tunnel */
	uint32_t home;           /* relay */
	struct finder_own told;  /* the finder, of ourselves */
	struct endpoint outside; /* where others may try us, too; port 0: nowhere */
	struct nat_side sides[NAT_FAMILIES];
	bool checks; /* are busy */
	bool ipv6_missing, whole, wall_busy, held_back, has_changes, number_is_there, have_tried;
	enum iface_ipv6 ipv6; /* found when the device is looked at, if it is another than UP */
	uint64_t number;

	/* --- what they were made with, to be called --- */
	const struct announce_hooks *announce;
	const struct beacon_hooks *beacon;
	const struct cluster_hooks *cluster;
	const struct device_hooks *device;
	const struct exchange_hooks *exchange;
	const struct ground_hooks *ground;
	const struct holes_hooks *holes;
	const struct ipv6_hooks *ipv6_hooks;
	const struct keep_hooks *keep;
	const struct mtus_hooks *mtus;
	const struct names_hooks *names;
	const struct news_hooks *news;
	const struct offer_hooks *offer;
	const struct overlay_hooks *overlay;
	const struct peers_hooks *peers_hooks;
	const struct finder_hooks *finder;
	const struct relays_hooks *relays;
	const struct mapped_hooks *mapped;
	const struct portmap_hooks *portmap;
	struct endpoint port_mapped; /* as portmap_endpoints() has it; no family: none */
	const struct sync_hooks *sync_hooks;
	const struct uplink_hooks *uplink;
	const struct waits_hooks *waits;
	const struct wall_hooks *wall;
	const struct why_hooks *why;
	void *ctx; /* of all of them */

	/* --- what they were told last --- */
	struct view view;
	unsigned mtu;
	char urls[512];         /* of the coordinator */
	char cert[16], key[16]; /* how they begin */
	char proxy[64];
	enum proxy_use uses[HTTP_URLS_MAX];
	char status[512], notes[512]; /* to systemd: its sentence; other words */
	bool is_deaf;                 /* systemd's queue is full */
	int booted;                   /* what sd_booted() says */
	ping_done_fn ping_done;
	void *ping_ctx;
	struct ip_addr ping_to;
	size_t ping_size;
	uint64_t ping_timeout_us;
	sync_done_fn put_done;
	void *put_ctx;
	void (*check_done)(void *ctx);
	void *check_ctx;
	struct wait_for wait_for;
	uint64_t wait_us;

	struct mesh_log *log; /* the book's */
	bool open;            /* the tunnel */
};
extern struct fake_subjects fake;

/* A hearthd without anything yet, of the board of fake-core. One at a time. */
struct hearthd *fake_hearthd_new(void);
/* Returns NULL. */
struct hearthd *fake_hearthd_free(struct hearthd *h);
/* It has all its subjects, and what it was asked meanwhile is forgotten. */
void fake_hearthd_open(struct hearthd *h);
/* It has none any more. */
void fake_hearthd_close(struct hearthd *h);
/* This board is node 1 of the mesh, with its keys; what the keys are. */
void fake_hearthd_is_in(struct hearthd *h);

/* What was asked since the last time, in order: "names_write names_look". Borrowed. */
const char *fake_asked(void);
/* Just that was. */
void fake_assert_asked(const char *calls);
/* The netcheck that waits has its answer, as at the end of what it asks by. */
void fake_end_check(void);
