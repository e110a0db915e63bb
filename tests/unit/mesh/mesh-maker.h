/*
 * mesh-maker: a log with a root key (seed of 32 bytes 1) and a signing key (seed of 32 bytes 2),
 * and nodes, for the tests of what stands on it.
 */
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/encode.h"
#include "mesh/alloc.h"
#include "mesh/numbers.h"
#include "mesh/log.h"
#include "mesh/netmap.h"
#include "mesh/ranges.h"

extern const uint8_t maker_root_seed[32], maker_sign_seed[32];

void maker_root_hash(uint8_t ret[static 32]);
/* The defaults with ULA fd12:3456:789a::/48. Release with settings_done(). */
struct settings maker_settings(void);
/* Node @id with keys made of @id and pods @number (0: a member) by maker_settings(). */
struct node maker_node(uint32_t id, uint32_t number, const char *name);

/* An empty log; with its `key` record. */
struct mesh_log *maker_empty_log(void);
struct mesh_log *maker_log(void);
/* Appends a record signed by the signing key. Takes @payload. */
void maker_append(struct mesh_log *log, const char *type, json_t *payload);
/* A record without a log, after @prev, signed by @seed. Takes @payload. */
struct record maker_record(uint64_t seq, const uint8_t *prev, const char *type, json_t *payload,
	const uint8_t seed[static 32]);
/* Applies a record of @type as the next one, whoever signed it. Takes @payload. */
int maker_apply(struct netmap *netmap, const char *type, json_t *payload,
	struct netmap_change *change, struct err *err);
/* A netmap with settings. */
struct netmap *maker_netmap(const struct settings *settings);
