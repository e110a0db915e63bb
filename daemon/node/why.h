/*
 * why: the subject of why a board is reached as it is: gathers what this board knows, asks the
 * other for what it knows (PROTOCOL.md section 11), and has the cause found (mesh/why.h). If the
 * other does not answer, two more boards are asked about it, and its machine for an ICMP echo.
 *
 *   why.c          who is asked
 *   why-facts.c    what this board knows
 *   why-router.c   ... of the router before it
 *   why-answer.c   what is made of it all
 */
#pragma once

#include <jansson.h>

#include "node/core.h"
#include "node/why-facts.h"
#include "sys/ipc/ipc.h"

enum {
	WHY_CALLS_MAX = 8, /* at a time */
	WHY_WITNESSES_MAX = 2,
	WHY_ECHOES_MAX = 4,
};
#define WHY_ANSWER_US UINT64_C(2000000) /* so long a board has to answer */

struct why;

struct why_hooks {
	/* What others know of this moment. */
	void (*look)(void *ctx, struct why_sources *ret);
};

/* @peers is borrowed. NULL: out of memory. */
struct why *why_new(
	struct core *core, const struct peers *peers, const struct why_hooks *hooks, void *ctx);
/* Who still waits is told that it ends. NULL is fine. Returns NULL. */
struct why *why_free(struct why *why);

/* The call of others on this machine, `why` {"peer": NAME}: ends @request, now or within 2 s. */
void why_answer(struct why *why, struct ipc_request *request);

/*
 * What another board is told of the way from here to @about. A new document; NULL: that is no other
 * board of the mesh, or out of memory.
 */
json_t *why_tell_board(struct why *why, uint32_t about);
