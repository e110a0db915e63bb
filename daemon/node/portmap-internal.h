/*
 * portmap-internal: what the files of portmap share: portmap-ask.c asks and hears, portmap.c has it
 * do so.
 */
#pragma once

#include "node/portmap-way.h"
#include "node/portmap.h"
#include "sys/portmap/upnp.h"

/* One family, and its gateway. */
struct side {
	struct portmap *portmap;
	int family;
	struct mapping mapping;
	struct pmp_way way; /* no gateway: nobody is asked */
	struct pmp *pmp;
	struct upnp *upnp;
	char url[UPNP_URL_MAX];
	struct endpoint told; /* no family: nothing is */
};

struct portmap {
	struct core *core;
	const struct portmap_hooks *hooks;
	void *ctx;
	uint16_t port; /* the tunnel's, 0: none */
	struct ip_prefix denied[SETTINGS_RANGES];
	size_t n_denied;
	struct side sides[PORTMAP_MAX];
	bool changed; /* what is told, since its hook was called */
	sd_event_source *timer;
};

/* Does what the mapping says. What comes of it is noted there, and the timer goes off. */
void portmap_ask(struct side *side, enum mapping_act act, uint64_t now_us);
/* No answer is waited for any more. Not from within an answer. */
void portmap_stop_asking(struct side *side);
/*
 * The gateway is told that what is held is not needed any more: by one datagram, as a courtesy, for
 * what is lost lapses. What is UPnP's may be for ever, and is waited for, for a second.
 */
void portmap_take_away(struct side *side);
