/*
 * hole-sockets: UDP sockets of which each pinged a peer once, so that a NAT has as many ports open
 * for it, and waits for what comes back. A part of holes.h, whose thread's it is.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/ip.h"
#include "mesh/guess.h"
#include "node/core.h"

struct hole_sockets {
	int epoll_fd;           /* owned; -1: none is open */
	int fds[GUESS_SOCKETS]; /* owned; -1: not open */
	sd_event_source *io;
};

void hole_sockets_init(struct hole_sockets *sockets);
/*
 * None yet; @ready is called with @ctx, from the loop, when something has come to one of them.
 * -EMFILE: this process may not open so many.
 */
int hole_sockets_open(struct hole_sockets *sockets, struct core *core,
	int (*ready)(sd_event_source *source, int fd, uint32_t revents, void *ctx), void *ctx);
void hole_sockets_close(struct hole_sockets *sockets);

/* A new socket takes the place of the one numbered @i, and sends @data to @to. 0 or -errno. */
int hole_sockets_send(struct hole_sockets *sockets, size_t i, const struct endpoint *to,
	const void *data, size_t len);
/*
 * The next that came: *@ret_len bytes, cut off at @room (0: an error of the way there), to socket
 * *@ret_i. False: none any more.
 */
bool hole_sockets_next(
	struct hole_sockets *sockets, void *ret, size_t room, size_t *ret_i, size_t *ret_len);
/* The descriptor of socket @i, which is the caller's from now on. */
int hole_sockets_take(struct hole_sockets *sockets, size_t i);
