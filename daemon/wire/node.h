/*
 * node: one board or laptop of the mesh as its record describes it (PROTOCOL.md section 5).
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/ip.h"
#include "wire/fields.h"
#include "wire/node-relay.h"

enum {
	NODE_ID_MAX = 16777215,
	NODE_NAME_MAX = FIELD_NAME_MAX,
	NODE_KEY_LEN = FIELD_KEY_LEN,
	NODE_TAGS_MAX = 16,
	NODE_LABELS_MAX = 64,
	NODE_REVOKED_MAX = 64,
	NODE_PODS4_LEN = 24, /* prefix lengths of a node's pods */
	NODE_PODS6_LEN = 64,
	NODE_ALLOWED_MAX = 4,
};

enum node_role { NODE_ROLE_CONTROL_PLANE, NODE_ROLE_WORKER, NODE_ROLE_MEMBER };

/* Zero-initialise. */
struct node {
	uint32_t id; /* 1..NODE_ID_MAX */
	char name[NODE_NAME_MAX];
	enum node_role role;
	json_t *tags;   /* owned list of strings; NULL: none */
	json_t *labels; /* owned object of strings; NULL: none */
	uint8_t wg[NODE_KEY_LEN];
	uint8_t identity[NODE_KEY_LEN];
	struct ip_addr mesh4, mesh6;
	struct ip_prefix pods4, pods6;    /* family 0: no pods; both or none */
	uint8_t (*revoked)[NODE_KEY_LEN]; /* owned; identity keys it had before */
	size_t n_revoked;
	struct node_relay relay;
	json_t *origin; /* owned or NULL: what was read; node_to_json() keeps unknown fields */
};

void node_done(struct node *node);
#define CLEANUP_NODE CLEANUP(node_done)

const char *node_role_name(enum node_role role);
/* 0 or -EINVAL. */
int node_role_parse(const char *text, enum node_role *ret);
bool node_role_has_pods(enum node_role role);

static inline bool node_has_pods(const struct node *node)
{
	return node->pods4.addr.family != 0;
}

/* Adds the identity key it has now to `revoked`, before it gets another. -E2BIG, -ENOMEM. */
int node_revoke_identity(struct node *node);

/* 0, -EINVAL, -ENOMEM. What only the whole mesh can tell (ranges, uniqueness) is mesh/netmap's. */
int node_from_json(const json_t *json, struct node *ret, struct err *err);
/* A new document, NULL when out of memory. */
json_t *node_to_json(const struct node *node);
int node_copy(const struct node *node, struct node *ret);

/* mesh4/32, mesh6/128 and the pods: what WireGuard calls allowed IPs. Returns how many (2 or 4). */
size_t node_allowed_ips(const struct node *node, struct ip_prefix ret[static NODE_ALLOWED_MAX]);
