/*
 * wait: calls of others on this machine that are answered once something has come about, or when
 * their time is over.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/core.h"
#include "sys/ipc/ipc.h"
#include "wire/fields.h"

struct waits;

/* What is waited for. */
struct wait_for {
	size_t peers;              /* so many are reachable; 0: all that have an address */
	char bundle[FIELD_ID_MAX]; /* not "": all boards that answer have tried it */
};

struct waits_hooks {
	/* Before the others, once for all that wait. */
	void (*look)(void *ctx);
	bool (*has_come)(void *ctx, const struct wait_for *what);
	/* The answer: a new reference, NULL when out of memory. @done: it has come. */
	json_t *(*answer)(void *ctx, const struct wait_for *what, bool done);
};

int waits_new(struct core *core, const struct waits_hooks *hooks, void *ctx, struct waits **ret,
	struct err *err);
/* Answers those who still wait: it has not come. NULL is fine. Returns NULL. */
struct waits *waits_free(struct waits *waits);

/*
 * @request is answered when @what has come, after @timeout_us, or when nobody waits for it any
 * more.
 */
void waits_add(struct waits *waits, struct ipc_request *request, const struct wait_for *what,
	uint64_t timeout_us);
