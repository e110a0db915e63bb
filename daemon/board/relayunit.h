/*
 * relayunit: this board becomes a relay, or is none any more: hearth-relay's keys, relay.json
 * (board/relayfile.h), and its unit, or without systemd the program in the background. For `hearth
 * relay enable` and `enroll-node --relay`, which is why each names its own options. What hearthd
 * and the coordinator say to it is not asked here. Runs other programs and waits for them.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "board/config.h"
#include "board/relayfile.h"

/* Options of both; each calls them its own way, and hands in the names, for people. */
enum relayunit_option {
	RELAYUNIT_HOST, /* an address or a name; up to NODE_RELAY_HOSTS_MAX times; or "automatic" */
	RELAYUNIT_PORT, /* TCP */
	RELAYUNIT_UDP_PORT, /* 0: none */
	RELAYUNIT_PASS_TO,  /* "ADDRESS[:PORT]", the port is 443 unless said; or "none" */
	RELAYUNIT_OPTIONS,
};

/* What a person asked for. Zero-initialise: nothing. */
struct relayunit_wish {
	bool automatic; /* the board's own addresses */
	char hosts[NODE_RELAY_HOSTS_MAX][FIELD_HOST_MAX];
	size_t n_hosts;
	bool has_tcp, has_udp;
	uint16_t tcp, udp;
	bool has_pass_to;
	struct endpoint pass_to; /* port 0: nowhere any more */
};

/* Takes the value of an option. -EINVAL: wrong use, and @err names the option. */
int relayunit_wish_set(struct relayunit_wish *wish, const char *const names[RELAYUNIT_OPTIONS],
	enum relayunit_option option, const char *text, struct err *err);

/* Zero-initialise. */
struct relayunit {
	struct relayfile file; /* as it will be */
	/* Before: */
	bool was_there;
	json_t *before; /* owned */
	uint16_t tcp_before, udp_before;
	struct paths paths;
	char path[PATH_TEXT_MAX];
};

void relayunit_done(struct relayunit *unit);
#define CLEANUP_RELAYUNIT CLEANUP(relayunit_done)

/*
 * What was chosen before, else the defaults, changed by @wish. -EINVAL: the file is damaged.
 */
int relayunit_plan(struct relayunit *unit, const struct paths *paths,
	const struct relayunit_wish *wish, struct err *err);
/* Whether it is so already, and hearth-relay runs. */
bool relayunit_is_on(const struct relayunit *unit);
/* -EADDRINUSE: another program has one of its ports; @err names it. -ELOOP: pass_to is its own. */
int relayunit_check(
	const struct relayunit *unit, const char *const names[RELAYUNIT_OPTIONS], struct err *err);
/* Carries it out: hearth-relay (re)starts and serves when this returns 0. Root's. */
int relayunit_turn_on(struct relayunit *unit, struct err *err);

/* 1; 0: this board is no relay; or -errno. The keys stay. */
int relayunit_turn_off(const struct paths *paths, struct err *err);
/* Only ends hearth-relay, and at the next boot it is not started. */
int relayunit_stop(const struct paths *paths, struct err *err);
