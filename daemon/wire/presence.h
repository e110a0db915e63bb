/*
 * presence: where a node can be reached now, signed by its identity key (PROTOCOL.md section 6).
 * The payload bytes are kept as sent, so that a document can be passed on with fields that this
 * program does not know.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/ip.h"
#include "wire/fields.h"

enum {
	PRESENCE_ENDPOINTS_MAX = 32,
	PRESENCE_PAYLOAD_MAX = 4096,
	PRESENCE_SIG_LEN = 64,
	PRESENCE_KEY_LEN = 32,
	PRESENCE_SEED_LEN = 32,
	PRESENCE_PROBLEM_MAX = 384, /* with the NUL */
};
#define PRESENCE_COUNTER_MAX ((UINT64_C(1) << 53) - 1)

/* Zero-initialise. */
struct presence {
	uint32_t node;
	uint64_t counter; /* from 1 on */
	struct endpoint endpoints[PRESENCE_ENDPOINTS_MAX];
	size_t n_endpoints;
	bool has_disco;
	uint8_t disco[PRESENCE_KEY_LEN];
	/*
	 * Of a board that runs pods: the last join bundle it tried, "" none; why it came to
	 * nothing, "" it did not.
	 */
	char kube[FIELD_ID_MAX], kube_problem[PRESENCE_PROBLEM_MAX];
	uint32_t relay;   /* the node of the relay by which it is reached best, 0: none */
	bool no_ipv6;     /* its interface has no IPv6, so that mesh6 and pods6 lead nowhere */
	uint8_t *payload; /* owned; NULL until signed or read */
	size_t payload_len;
	uint8_t sig[PRESENCE_SIG_LEN];
};

void presence_done(struct presence *presence);
#define CLEANUP_PRESENCE CLEANUP(presence_done)

/*
 * An address that others may try: no loopback, link-local, multicast, unspecified, IPv4-mapped one.
 */
bool presence_endpoint_is_valid(const struct endpoint *endpoint);

/*
 * Makes payload and signature from the fields above them. -EINVAL for fields that a reader would
 * refuse, -ENOMEM.
 */
int presence_sign(struct presence *presence, const uint8_t seed[static PRESENCE_SEED_LEN]);

/* Reads @json without trusting it: 0, -EINVAL, -ENOMEM. Tells which node's key must verify it. */
int presence_from_json(const json_t *json, struct presence *ret, struct err *err);
/* 0, or -EBADMSG if @identity did not sign it, -ENOMEM. */
int presence_verify(
	const struct presence *presence, const uint8_t identity[static PRESENCE_KEY_LEN]);
/* Both, and that it is about @node: -EBADMSG if it is not or the signature does not hold. */
int presence_open(const json_t *json, uint32_t node,
	const uint8_t identity[static PRESENCE_KEY_LEN], struct presence *ret, struct err *err);
/* The envelope of a signed presence, NULL when out of memory. */
json_t *presence_to_json(const struct presence *presence);
