/*
 * relayfile: that this board serves as a relay, and how: /etc/hearth/relay.json, which `hearth
 * relay enable` writes and a person may change. hearth-relay listens as it says, hearthd tells the
 * coordinator:
 *
 *	{"hosts": "automatic", "tcp": 3340, "udp": 3478, "pin": "<base64>", "key": "<base64>"}
 *
 * `hosts` is a list of addresses and DNS names, or automatic: the board's own addresses. It may
 * have "metrics": the TCP port of the loopback address at which Prometheus gets hearth-relay's
 * numbers; and "waits_for": 1 to 4 pins of coordinators. That is written when the board is to be
 * enrolled by way of its own relay: until hearthd has said who the mesh's members are, hearth-relay
 * passes connections to these and does nothing else. Then it means nothing. And "pass_to", an
 * address and a port: connections to the TCP port that ask for other servers go there.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "wire/node-relay.h"

#define RELAYFILE_NAME "relay.json"
enum { RELAYFILE_TCP_DEFAULT = 3340, RELAYFILE_UDP_DEFAULT = 3478 };

/* Zero-initialise. */
struct relayfile {
	bool automatic;          /* the file has no hosts: relay.n_hosts is 0 */
	struct node_relay relay; /* what else the record will say */
	uint16_t metrics;        /* 0: none */
	uint8_t waits_for[FIELD_PINS_MAX][FIELD_KEY_LEN];
	size_t n_waits_for;      /* 0: for none */
	struct endpoint pass_to; /* port 0: nowhere */
};

void relayfile_done(struct relayfile *file);
#define CLEANUP_RELAYFILE CLEANUP(relayfile_done)

/* Why connections cannot be passed on to @to: a clause; NULL: they can. */
const char *relayfile_pass_to_objection(const struct endpoint *to);

/* 0 or -EINVAL: also for a key that is not known, for it would be a wish not heard. */
int relayfile_from_json(const json_t *json, struct relayfile *ret, struct err *err);
json_t *relayfile_to_json(const struct relayfile *file);

/* -ENOENT: this board is no relay; -EINVAL ... with @err, which names @path. */
int relayfile_read(const char *path, struct relayfile *ret, struct err *err);
/* Atomically, for everybody to read. */
int relayfile_write(const char *path, const struct relayfile *file, struct err *err);
