/*
 * multicast: a UDP socket for what machines on one link say to a group of them. What it sends goes
 * to no other link: it leaves with a TTL or hop limit of 255, and only what still has that counts
 * when it comes, which no router leaves it (RFC 5082).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/ip.h"

enum { MULTICAST_LINKS_MAX = 16 };

struct multicast {
	int fd; /* non-blocking; -1: none */
	struct endpoint group;
	int links[MULTICAST_LINKS_MAX]; /* on which it is joined */
	size_t n_links;
};

/*
 * At the group's port, which others of this machine may use for groups, too. Joined on no link yet.
 * -EAFNOSUPPORT: this machine lacks the family; -EADDRINUSE.
 */
int multicast_open(const struct endpoint *group, struct multicast *ret, struct err *err);
void multicast_close(struct multicast *multicast);

/*
 * On these links (numbers of interfaces) from now on, and on no others; not on those where the
 * kernel refuses. How many are new.
 */
size_t multicast_join(struct multicast *multicast, const int *links, size_t n);

/* To the group on the link @link. 0 or -errno. */
int multicast_send(const struct multicast *multicast, int link, const void *data, size_t len);

/*
 * The length of the next one, and who sent it. 0: one that does not count (cut, from another link
 * or network, not to the group); -EAGAIN: there is none; or another -errno.
 */
ssize_t multicast_recv(
	const struct multicast *multicast, void *data, size_t capacity, struct ip_addr *ret_from);
