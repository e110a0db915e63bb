/*
 * uplink: watches rtnetlink and says, once things have settled, which of this board's addresses
 * others may try and that the mesh's interface may have been touched.
 */
#pragma once

#include <systemd/sd-event.h>

#include "node/candidates.h"
#include "sys/net/nl.h"

struct uplink;

struct uplink_hooks {
	/*
	 * What was looked up is another than before. @moved: addresses that others may try, default
	 * routes, or an uplink was without a carrier, so that what goes over the old ways may be
	 * lost; else it was only which links are ours, or the MTU.
	 */
	void (*changed)(void *ctx, bool moved);
	/*
	 * Somebody changed @ifname: took it down, removed it, an address of it or a route of ours.
	 */
	void (*touched)(void *ctx);
};

/* @nl is borrowed; @ifname copied. */
int uplink_new(sd_event *event, struct nl *nl, const char *ifname, const struct uplink_hooks *hooks,
	void *ctx, struct uplink **ret, struct err *err);
struct uplink *uplink_free(struct uplink *uplink);

/* Ranges whose addresses are never candidates (copied, at most 16), and the port to name. */
void uplink_set(struct uplink *uplink, const struct ip_prefix *denied, size_t n, uint16_t port);

/* Looks now, without calling back. The result is uplink_candidates(). */
int uplink_look(struct uplink *uplink, struct err *err);

/* Borrowed until the next look. */
const struct candidates *uplink_candidates(const struct uplink *uplink);
const struct links *uplink_links(const struct uplink *uplink);
