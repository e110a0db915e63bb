/*
 * announce: the subject of our presence: the addresses at which others may try this board, and what
 * else they should know of it, signed, for the coordinator and for our own book. Which addresses,
 * and when, is announce-choose.h's.
 *
 * Its problem is "addresses": for five seconds there has been none.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "node/candidates.h"
#include "node/core.h"

struct announce;

/* What there is to tell. Borrowed. */
struct announce_facts {
	const struct candidates *own;
	/* Beside those: where others see us, or what a router opened for us. In a fixed order. */
	const struct endpoint *more;
	size_t n_more;
	bool no_ipv6;
	uint32_t relay;                  /* its home relay's node, 0: none */
	const char *kube, *kube_problem; /* the bundle tried last; why that came to nothing */
};

struct announce_hooks {
	void (*look)(const void *ctx, struct announce_facts *ret);
	/*
	 * As state_take_counter(). False: the number is being reserved on the disk;
	 * announce_go_on() is called once it is.
	 */
	bool (*take_number)(void *ctx, uint64_t known, uint64_t *last);
	/* The coordinator is to have @doc (borrowed). */
	void (*tell)(void *ctx, json_t *doc);
};

/*
 * @core and @hooks are borrowed. Numbers of presences up to @number may have been used. NULL: out
 * of memory.
 */
struct announce *announce_new(
	struct core *core, uint64_t number, const struct announce_hooks *hooks, void *ctx);
/* Returns NULL; announce_number() comes before. */
struct announce *announce_free(struct announce *announce);

/* Something of it has changed, or may have: a new presence if so. */
void announce_look(struct announce *announce);
/* The number that was waited for is reserved. */
void announce_go_on(struct announce *announce);
/* Whether others could try any address of this board, which is in the mesh or not (@up). */
void announce_check(struct announce *announce, bool up);

/* The highest that may have been used. */
uint64_t announce_number(const struct announce *announce);
