/*
 * mtus: the subject of how long a packet each peer's way carries: padded pings by the finder, what
 * mesh/mtu.h makes of their answers, and what the routes to the peer get of that.
 */
#pragma once

#include "node/core.h"
#include "node/peer.h"

/* Bytes sent to a peer between two looks (5 s): what is growth's business, and a check's. */
enum { MTUS_SOME = 1000, MTUS_MUCH = 16000 };
#define MTUS_TOGETHER_US UINT64_C(100000) /* news of so long is told as one */

struct mtus;

struct mtus_hooks {
	/* A ping of @len bytes to node @id at @to, which may not be fragmented. */
	void (*probe)(void *ctx, uint32_t id, const struct endpoint *to, size_t len);
	/* Peers' ways carry more or less than before: mtus_of(). */
	void (*changed)(void *ctx);
};

/* @peers is borrowed. */
int mtus_new(struct core *core, struct peers *peers, const struct mtus_hooks *hooks, void *ctx,
	struct mtus **ret, struct err *err);
struct mtus *mtus_free(struct mtus *mtus);

/* Of the interface, from now on. */
void mtus_set_top(struct mtus *mtus, unsigned top);
/* Peers may be reached by other ways. */
void mtus_follow(struct mtus *mtus);
/* What is sent to node @id has had no answer, @sent bytes. */
void mtus_doubt(struct mtus *mtus, uint32_t id, uint64_t sent);
/* Every few seconds, after the tunnel was asked how much it sent. */
void mtus_look(struct mtus *mtus);
/* A probe was answered. */
void mtus_probed(
	struct mtus *mtus, uint32_t id, const struct endpoint *to, size_t len, uint64_t rtt_us);

/* What packets to node @id may be: as it was told last. MTU_LEAST where nothing is known. */
unsigned mtus_of(const struct mtus *mtus, uint32_t id);
