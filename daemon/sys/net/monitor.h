/*
 * monitor: a non-blocking descriptor that becomes readable when links, addresses, routes or
 * settings of the namespace change. Of routes only default ones, Hearth's own and those that
 * replaced one: the kernel keeps all others back, for a router's table comes in 200,000 pieces.
 * What exactly changed is told one by one (monitor_read()), or only of which kind it was
 * (monitor_drain()).
 */
#pragma once

#include "sys/net/addr.h"
#include "sys/net/link.h"
#include "sys/net/route.h"

enum monitor_what {
	MONITOR_LINKS = 1 << 0,
	MONITOR_ADDRS = 1 << 1,
	MONITOR_ROUTES = 1 << 2,
	MONITOR_SETTINGS = 1 << 3, /* forwarding of "all", routing rules; nothing beside */
};
/* For monitor_open() and monitor_drain() only. */
enum {
	MONITOR_WAYS = 1 << 4,       /* every route, and rules */
	MONITOR_EVERYWHERE = 1 << 5, /* also of namespaces with an id in ours (CAP_NET_ADMIN) */
};

struct monitor_event {
	enum monitor_what what;
	bool gone; /* removed, else new or changed */
	union {
		struct link link;
		struct link_addr addr;
		struct route route;
	};
};

/* @what: a set of the above. Returns a descriptor the caller owns, or -errno. */
int monitor_open(unsigned what, struct err *err);

/*
 * Reads what is there, calling @event for each change until nothing is left or MONITOR_READ_MAX
 * datagrams were read. @event may be NULL. Returns the number of events, or -ENOBUFS: the kernel
 * dropped some; the caller lists everything again and goes on reading.
 */
enum { MONITOR_READ_MAX = 64 };
typedef void monitor_changed(void *ctx, const struct monitor_event *event);
int monitor_read(int fd, monitor_changed *event, void *ctx);

/*
 * Reads what is there (of a very long queue a part, it stays readable). Returns which kinds
 * changed, of MONITOR_LINKS, MONITOR_ADDRS, MONITOR_WAYS (any route or rule); all of them if the
 * kernel dropped some; or -errno.
 */
int monitor_drain(int fd);
