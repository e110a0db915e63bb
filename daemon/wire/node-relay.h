/*
 * node-relay: the field `relay` of a node's record: the board serves as a relay, and where it is
 * reached (PROTOCOL.md section 5).
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "wire/fields.h"

enum { NODE_RELAY_HOSTS_MAX = 4 };

/* Zero-initialise. n_hosts 0: none. */
struct node_relay {
	/* IP addresses or DNS names, tried in any order. */
	char hosts[NODE_RELAY_HOSTS_MAX][FIELD_HOST_MAX];
	size_t n_hosts;
	uint16_t tcp;               /* DERP over TLS, and TLS connections that are passed on */
	uint16_t udp;               /* the UDP relay, and STUN. 0: there is none */
	uint8_t pin[FIELD_KEY_LEN]; /* SHA-256 of the public key of its TLS certificate */
	uint8_t key[FIELD_KEY_LEN]; /* X25519 */
	json_t *origin;             /* owned or NULL: what was read; unknown fields are kept */
};

void node_relay_done(struct node_relay *relay);
#define CLEANUP_NODE_RELAY CLEANUP(node_relay_done)

/* 0, -EINVAL; null is none. */
int node_relay_from_json(const json_t *json, struct node_relay *ret, struct err *err);
/* A new document, null for none; NULL when out of memory. */
json_t *node_relay_to_json(const struct node_relay *relay);
void node_relay_copy(const struct node_relay *relay, struct node_relay *ret);
/* Whether both say the same, but for fields of later versions. */
bool node_relay_equal(const struct node_relay *a, const struct node_relay *b);
