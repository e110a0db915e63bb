/*
 * carry-link: one connection to a relay, from its first byte to its last, for carry.c. What became
 * of it, it says by hooks.
 */
#pragma once

#include <systemd/sd-event.h>

#include "base/pace.h"
#include "sys/resolve/resolve.h"
#include "sys/tls/pump.h"
#include "wire/node.h"
#include "wire/pass.h"

#define LINK_CONNECT_US UINT64_C(10000000) /* TCP, TLS and the relay's first frame */
#define LINK_SILENT_US  UINT64_C(60000000) /* the relay asks every 25 s */

struct carry;

enum link_state {
	LINK_CONNECTING,
	LINK_SHAKING, /* TLS; and it has been asked to park us, and has not answered */
	LINK_PARKED,
	LINK_CARRYING,
};

struct link {
	struct link *next, **pprev;
	struct target *target;
	enum link_state state;
	int fd; /* the socket to the relay; -1: it is the pump's or the stream's */
	int tls_fd;
	sd_event_source *io;
	uint32_t events;
	struct tls_stream *tls;
	struct ip_addr addr;      /* the relay's */
	uint8_t pin[TLS_PIN_LEN]; /* of the key that it holds, once we have asked it to park us */
	bool asked;
	struct pump *pump;
	uint64_t since_us, heard_us;
	uint8_t frame[PASS_FRAME_LEN];
	size_t have;
};

/* A relay. */
struct target {
	struct link_core *core;
	struct carry *carry; /* carry.c's, as all that is not about links */
	uint32_t node;
	char name[NODE_NAME_MAX];
	struct node_relay relay;
	bool here;
	bool any_key; /* as in struct carry_relay */
	uint32_t watch;
	bool up;                 /* one is parked, or was until a moment ago */
	struct resolve *resolve; /* of a host whose addresses are being looked up; NULL: none */
	unsigned tries;          /* which host and address is next */
	unsigned more;           /* beyond CARRY_PARKED, until ... */
	uint64_t more_until_us;
	struct backoff backoff;
	struct trouble trouble;
	struct link *links;
};

/* What carry.c does when something happened to a link, whose end is seen to. */
struct link_hooks {
	/* It waits at the relay now, which holds the key with @pin. */
	void (*up)(struct target *target, const uint8_t *pin);
	/* It could not be made, or broke before it had a client. @why is not kept. */
	void (*failed)(struct target *target, const struct err *why);
	/* It has a client, or had one: there may be too few that wait. */
	void (*used)(struct target *target);
	bool (*may_take)(const struct target *target, const struct endpoint *client);
};

/* What all links share. */
struct link_core {
	sd_event *event;
	struct tls_party *tls;
	const struct link_hooks *hooks;
	/* As in struct carry_config. */
	int (*take)(void *ctx, int fd, const struct endpoint *client);
	void *ctx;
	unsigned n_carried;
	uint64_t taken, refused; /* clients */
};

/* Begins one to @addr. On failure the target hears of it. */
void link_begin(struct target *target, const struct ip_addr *addr);
void link_end(struct link *link);
/* When to call link_look(), at the latest. */
uint64_t link_due_us(const struct link *link);
/* Ends it if it has been silent for too long. */
void link_look(struct link *link, uint64_t now_us);
