/*
 * hole-ways: peers that were met by guessing a port, each at the end of a socket of its own, which
 * the tunnel knows as an address of the loopback (tunnel/ferry.h), and its ways as the hole. A part
 * of holes.h, whose thread's it is.
 */
#pragma once

#include "node/peer.h"
#include "tunnel/tunnel.h"

enum { HOLE_WAYS_MAX = 32 };
/* So long one that does not answer, or is not needed, is kept. */
#define HOLE_WAYS_LINGER_US UINT64_C(60000000)

struct hole_ways;

/* @peers is borrowed. NULL: out of memory. */
struct hole_ways *hole_ways_new(struct peers *peers);
struct hole_ways *hole_ways_free(struct hole_ways *ways);

/* Works with @tunnel from now on, with no hole at first; NULL: there is none any more. */
void hole_ways_use(struct hole_ways *ways, struct tunnel *tunnel);

/*
 * Node @id is at @to, at the other end of @fd (connected, non-blocking; owned, also on failure), in
 * place of where it was so before. 0, or -errno with @err.
 */
int hole_ways_add(struct hole_ways *ways, uint32_t id, int fd, const struct endpoint *to,
	uint64_t now_us, struct err *err);

/* Every few seconds: what leads nowhere any more is closed. */
void hole_ways_look(struct hole_ways *ways, uint64_t now_us);
size_t hole_ways_count(const struct hole_ways *ways);
