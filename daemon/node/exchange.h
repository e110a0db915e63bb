/*
 * exchange: what boards ask each other, over the mesh itself (PROTOCOL.md section 11): TCP at our
 * mesh addresses. The tunnel has proved which board sends from an address, so that is who calls;
 * anybody else is hung up on. A call reveals and changes nothing that an unprivileged user of this
 * board may not.
 *
 *   records   the log's records from a number on. While the coordinator is away, a board asks the
 *             others in turn for what it lacks: any of them may have heard more
 *   why       what this board knows of its way to the board that asks, or to another one
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "node/core.h"
#include "node/peer.h"

enum { EXCHANGE_PAGE = 256 /* records in one answer */ };
#define EXCHANGE_AWAY_US  (10 * UINT64_C(1000000)) /* without the coordinator, before one asks */
#define EXCHANGE_PAUSE_US (30 * UINT64_C(1000000)) /* between two that are asked; after 4 minutes */
#define EXCHANGE_PAUSE_MOST_US \
	(120 * UINT64_C(1000000)) /* without news an eighth of that time, up to this */

struct exchange;

struct exchange_hooks {
	/*
	 * Board @id has newer records. Negative: they are not believed, or changed nothing, and no
	 * more of them are asked for.
	 */
	int (*records)(void *ctx, uint32_t id, const struct record *records, size_t n);
	/* What is known here of the way to board @id: a new document. NULL: there is none. */
	json_t *(*why)(void *ctx, uint32_t id);
};

/* @peers is borrowed. NULL: out of memory. */
struct exchange *exchange_new(struct core *core, const struct peers *peers,
	const struct exchange_hooks *hooks, void *ctx);
struct exchange *exchange_free(struct exchange *exchange);

/* Answers at the addresses of @self; NULL: there is no mesh here, and nobody is answered. */
void exchange_follow(struct exchange *exchange, const struct node *self);

/* Every few seconds: asks if it is time. @connected: to the coordinator. */
void exchange_look(struct exchange *exchange, bool connected, uint64_t now_us);
