/*
 * Events come in bursts (DHCP, a cable, fifty pods): nothing is done before 200 ms of silence, and
 * nothing later than a second after the first. Links and addresses of pods wake nobody.
 */
#include "node/uplink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fnv.h"
#include "sys/net/monitor.h"

#define QUIET_US  (200 * USEC_PER_MSEC)
#define LATEST_US USEC_PER_SEC
enum { DENIED_MAX = 16 };

struct uplink {
	struct nl *nl;
	sd_event_source *io, *timer;
	int fd;
	char ifname[IFNAMSIZ];
	int ifindex; /* of the mesh's interface, 0 unknown */
	const struct uplink_hooks *hooks;
	void *ctx;
	struct ip_prefix denied[DENIED_MAX];
	size_t n_denied;
	uint16_t port;
	struct links links;
	struct candidates candidates;
	uint64_t routes;   /* a hash of the default routes */
	uint64_t first_us; /* of the burst, 0: none */
	bool moved, touched;
	bool lost; /* an uplink's carrier, since the last look */
};

const struct candidates *uplink_candidates(const struct uplink *uplink)
{
	return &uplink->candidates;
}

const struct links *uplink_links(const struct uplink *uplink)
{
	return &uplink->links;
}

void uplink_set(struct uplink *uplink, const struct ip_prefix *denied, size_t n, uint16_t port)
{
	uplink->n_denied = n < DENIED_MAX ? n : DENIED_MAX;
	memcpy(uplink->denied, denied, uplink->n_denied * sizeof(*denied));
	uplink->port = port;
}

static uint64_t hash_routes(const struct links_facts *facts)
{
	uint64_t sum = 0; /* in whatever order they are listed */

	for (size_t i = 0; i < facts->n_defaults; i++) {
		const struct route *route = &facts->defaults[i];
		uint64_t hash = fnv64(FNV64_START, &route->oif, sizeof(route->oif));

		hash = fnv64(hash, &route->dst.addr.family, sizeof(route->dst.addr.family));
		sum += fnv64(hash, route->gateway.bytes, sizeof(route->gateway.bytes));
	}
	return sum;
}

int uplink_look(struct uplink *uplink, struct err *err)
{
	CLEANUP_LINKS_FACTS struct links_facts facts = { 0 };
	struct links links;
	struct links_rules rules = {
		.denied = uplink->denied,
		.n_denied = uplink->n_denied,
		.own_ifname = uplink->ifname,
	};
	int r;

	r = links_facts_read(uplink->nl, &facts, err);
	if (r == 0 && links_judge(&facts, &rules, &links) < 0)
		r = err_set(err, -ENOMEM, "out of memory");
	if (r < 0)
		return r;
	uplink->ifindex = 0;
	for (size_t i = 0; i < links.n; i++)
		if (!strcmp(links.list[i].name, uplink->ifname))
			uplink->ifindex = links.list[i].index;
	candidates_find(&links, uplink->port, &uplink->candidates);
	uplink->routes = hash_routes(&facts);
	links_done(&uplink->links);
	uplink->links = links;
	return 0;
}

static void note(struct uplink *uplink, bool moved, bool touched)
{
	uint64_t now = clock_now_us(), wait = QUIET_US;

	uplink->moved = uplink->moved || moved;
	uplink->touched = uplink->touched || touched;
	if (!uplink->moved && !uplink->touched)
		return;
	if (!uplink->first_us)
		uplink->first_us = now;
	if (now + wait > uplink->first_us + LATEST_US)
		wait = uplink->first_us + LATEST_US > now ? uplink->first_us + LATEST_US - now : 0;
	(void) sd_event_source_set_time_relative(uplink->timer, wait);
	(void) sd_event_source_set_enabled(uplink->timer, SD_EVENT_ONESHOT);
}

/* Whether others may try an address of the link @index. */
static bool is_announced(const struct uplink *uplink, int index)
{
	const struct links *links = &uplink->links;

	for (size_t i = 0; i < links->n_addrs; i++)
		if (links->list[links->addrs[i].link].index == index)
			return true;
	return false;
}

/*
 * Somebody's route to what is the mesh's: it took the place of ours, or would take packets from it.
 */
static bool steals(const struct uplink *uplink, const struct route *route)
{
	if (route->table != RT_TABLE_MAIN || route->protocol == ROUTE_PROTOCOL_HEARTH ||
		route->protocol == ROUTE_PROTOCOL_HEARTH_CNI || route->oif == uplink->ifindex)
		return false;
	for (size_t i = 0; i < uplink->n_denied; i++)
		if (ip_prefix_contains(&uplink->denied[i], &route->dst.addr))
			return true;
	return false;
}

static void on_change(void *ctx, const struct monitor_event *event)
{
	struct uplink *uplink = ctx;
	bool own, other = links_may_change(event);

	switch (event->what) {
	case MONITOR_LINKS:
		own = event->link.index == uplink->ifindex ||
		      !strcmp(event->link.name, uplink->ifname);
		/* It may come back at another switch, with the same address. */
		if (!(event->link.flags & IFF_RUNNING) && is_announced(uplink, event->link.index))
			uplink->lost = true;
		if (own || other)
			note(uplink, !own, own);
		break;
	case MONITOR_ADDRS:
		own = event->addr.ifindex == uplink->ifindex;
		if (own || other)
			note(uplink, !own, own && event->gone);
		break;
	case MONITOR_SETTINGS:
		note(uplink, false, true);
		break;
	case MONITOR_ROUTES:
		if (other)
			note(uplink, true, false);
		else if (event->gone ? event->route.protocol == ROUTE_PROTOCOL_HEARTH
				     : steals(uplink, &event->route))
			note(uplink, false, true);
		break;
	}
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct uplink *uplink = ctx;

	if (monitor_read(fd, on_change, uplink) < 0)
		note(uplink, true, true); /* some were lost */
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct uplink *uplink = ctx;
	const struct candidates before = uplink->candidates;
	const uint64_t routes = uplink->routes;
	bool touched = uplink->touched, moved = uplink->lost;

	uplink->first_us = 0;
	uplink->moved = uplink->touched = false;
	if (uplink_look(uplink, NULL) < 0) {
		note(uplink, true, touched); /* interrupted by yet another change */
		return 0;
	}
	uplink->lost = false;
	moved = moved || routes != uplink->routes ||
		!candidates_same_endpoints(&before, &uplink->candidates);
	if (touched)
		uplink->hooks->touched(uplink->ctx);
	if (moved || !candidates_equal(&before, &uplink->candidates))
		uplink->hooks->changed(uplink->ctx, moved);
	return 0;
}

int uplink_new(sd_event *event, struct nl *nl, const char *ifname, const struct uplink_hooks *hooks,
	void *ctx, struct uplink **ret, struct err *err)
{
	struct uplink *uplink = calloc(1, sizeof(*uplink));
	int r;

	if (!uplink)
		return err_set(err, -ENOMEM, "out of memory");
	uplink->nl = nl;
	uplink->hooks = hooks;
	uplink->ctx = ctx;
	(void) snprintf(uplink->ifname, sizeof(uplink->ifname), "%s", ifname);
	r = uplink->fd = monitor_open(
		MONITOR_LINKS | MONITOR_ADDRS | MONITOR_ROUTES | MONITOR_SETTINGS, err);
	if (r < 0) {
		uplink_free(uplink);
		return r;
	}
	r = sd_event_add_io(event, &uplink->io, uplink->fd, EPOLLIN, on_io, uplink);
	if (r >= 0)
		r = sd_event_add_time(
			event, &uplink->timer, CLOCK_MONOTONIC, 0, 0, on_timer, uplink);
	if (r >= 0)
		r = sd_event_source_set_enabled(uplink->timer, SD_EVENT_OFF);
	if (r < 0) {
		uplink_free(uplink);
		return err_set(err, r, "cannot watch the network: %s", strerror(-r));
	}
	*ret = uplink;
	return 0;
}

struct uplink *uplink_free(struct uplink *uplink)
{
	if (!uplink)
		return NULL;
	sd_event_source_disable_unref(uplink->io);
	sd_event_source_disable_unref(uplink->timer);
	close_p(&uplink->fd);
	links_done(&uplink->links);
	free(uplink);
	return NULL;
}
