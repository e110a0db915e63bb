/*
 * serve-internal: shared by serve.c (its life, and who is served), serve-open.c (its ports, with
 * the limits of each) and serve-say.c (what systemd and Prometheus are told).
 */
#pragma once

#include "board/config.h"
#include "board/relayfile.h"
#include "relay/admit.h"
#include "relay/bridge.h"
#include "relay/derp.h"
#include "relay/elsewhere.h"
#include "relay/front.h"
#include "relay/metrics.h"
#include "relay/outsiders.h"
#include "relay/pass.h"
#include "relay/udp.h"

struct serve {
	const char *state_dir, *user;
	struct paths paths;
	struct relayfile file;
	struct relay_core core;
	uint8_t tls_seed[TLS_SEED_LEN];
	int listen_fd; /* of the TCP port, until front has it */
	uint16_t tcp_port;
	struct admit *admit;
	struct udp *udp; /* NULL: relay.json wants none */
	struct front *front;
	struct derp *derp;
	struct bridge bridge; /* between the two */
	struct pass *pass;
	struct elsewhere *elsewhere; /* NULL: relay.json passes nothing on */
	struct metrics *metrics;     /* the same */
	/*
	 * relay.json names coordinators that it waits for, and hearthd has not said yet who the
	 * members are. Over once and for all when it has.
	 */
	bool waiting;
	uint64_t unserved; /* connections of those who had another wish than these */
	struct reached reached;
	sd_event_source *on_status;
	uint64_t status_us;
	bool watchdog;
	char said[160];
};

/* --- serve-open.c --- */

/* The TCP port: systemd's socket, or one of our own, while we may still have any port. */
int serve_listen_tcp(struct serve *s, struct err *err);
/* All that has connections of it, once the keys are there; and the UDP port, if there is one. */
int serve_open_tcp(struct serve *s, const struct front_hooks *hooks, struct err *err);
int serve_open_udp(struct serve *s, struct err *err);

/* --- serve-say.c --- */

/* To systemd, if it is news. */
void serve_say_status(struct serve *s);
/* The same now and then, and that we are alive. */
int serve_say_begin(struct serve *s, struct err *err);
/* For metrics_new(). */
void serve_say_metrics(void *ctx, struct buf *text);
