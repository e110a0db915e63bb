/*
 * stun-once: one question to a STUN server, from a UDP port that is used for nothing else. It is
 * not sent again: what is late is not wanted any more. A part of mapped.h, and of holes.h.
 */
#pragma once

#include "node/core.h"
#include "wire/stun.h"

struct stun_once {
	struct core *core; /* borrowed */
	void (*answered)(void *ctx, const struct endpoint *from, const struct endpoint *seen);
	void *ctx;
	int fd; /* owned, -1: nothing is asked */
	sd_event_source *io;
	struct endpoint at;
	uint8_t tx[STUN_TX_LEN];
	uint64_t asked_us;
};

/* @answered is called with @ctx, from the loop. It must not be moved in memory. */
void stun_once_init(struct stun_once *once, struct core *core,
	void (*answered)(void *ctx, const struct endpoint *from, const struct endpoint *seen),
	void *ctx);
/* In place of what was asked before. -errno: it cannot be. */
int stun_once_ask(struct stun_once *once, const struct endpoint *at, uint64_t now_us);
void stun_once_stop(struct stun_once *once);
