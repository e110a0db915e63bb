/*
 * portmap: see portmap.h. All that is done is done by drive(), from the loop's timer or from
 * portmap_follow(), never from within a socket's or the child's word: those may be closed by it.
 */
#include "node/portmap-internal.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"

static void say(const struct side *side)
{
	const struct mapping *m = &side->mapping;
	char text[ENDPOINT_TEXT_MAX];

	if (m->held)
		log_seldom(LOG_LEVEL_INFO, "port mapping: reachable at %s by %s%s",
			endpoint_format(&m->outside, text), mapping_protocol_name(m->held),
			mapping_is_nested(m) ? ", which is a private address" : "");
	else
		log_seldom(LOG_LEVEL_INFO, "port mapping: %s is lost (%s)",
			endpoint_format(&side->told, text), mapping_why_words(m->why.why));
}

/* What others should be told now. */
static void note(struct side *side)
{
	const struct endpoint *outside = mapping_outside(&side->mapping);
	const struct endpoint now = outside ? *outside : (struct endpoint){ 0 };

	if (endpoint_equal(&now, &side->told))
		return;
	if (outside || side->way.gateway.family)
		say(side);
	side->told = now;
	side->portmap->changed = true;
}

static void arm(struct portmap *p, uint64_t now)
{
	uint64_t first = MAPPING_NEVER;

	for (size_t i = 0; i < PORTMAP_MAX; i++) {
		uint64_t deadline = mapping_deadline(&p->sides[i].mapping);

		first = deadline < first ? deadline : first;
	}
	if (first == MAPPING_NEVER) {
		(void) sd_event_source_set_enabled(p->timer, SD_EVENT_OFF);
		return;
	}
	(void) sd_event_source_set_time_relative(p->timer, first > now ? first - now : 0);
	(void) sd_event_source_set_enabled(p->timer, SD_EVENT_ONESHOT);
}

static void drive(struct portmap *p)
{
	uint64_t now = clock_now_us();

	for (size_t i = 0; i < PORTMAP_MAX; i++) {
		struct side *side = &p->sides[i];
		enum mapping_act what;

		while ((what = mapping_act(&side->mapping, now)) != MAPPING_ACT_WAIT)
			portmap_ask(side, what, now);
		if (!side->mapping.in_round)
			portmap_stop_asking(side);
		note(side);
	}
	arm(p, now);
	if (!p->changed)
		return;
	p->changed = false;
	p->hooks->changed(p->ctx);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	drive(ctx);
	return 0;
}

/* --- whom to ask --- */

static bool same_way(const struct pmp_way *a, const struct pmp_way *b)
{
	return a->ifindex == b->ifindex && ip_addr_equal(&a->gateway, &b->gateway) &&
	       ip_addr_equal(&a->own, &b->own);
}

static void leave(struct side *side, enum mapping_why why)
{
	portmap_stop_asking(side);
	mapping_end(&side->mapping, why);
	side->way = (struct pmp_way){ 0 };
	side->url[0] = 0;
}

static void follow_side(struct side *side, const struct links *links, bool anew)
{
	struct pmp_way way = { 0 };

	if (!side->portmap->core->config.port_mapping)
		leave(side, MAPPING_WHY_OFF);
	else if (!portmap_find_way(side->portmap->core->nl, links, side->family, &way))
		leave(side, MAPPING_WHY_NO_GATEWAY);
	else if (side->family == AF_INET && !ip_addr_is_private(&way.own))
		leave(side, MAPPING_WHY_NEEDLESS);
	else if (anew || !side->mapping.wanted || !same_way(&way, &side->way)) {
		leave(side, MAPPING_WHY_ASKING);
		side->way = way;
		mapping_begin(&side->mapping, clock_now_us());
	}
}

void portmap_follow(struct portmap *p, const struct view *view, const struct links *links)
{
	uint16_t port = tunnel_port(view->tunnel);
	bool anew = port != p->port;

	if (!p->core->config.port_mapping || anew)
		portmap_remove(p);
	p->port = port;
	p->n_denied = settings_ranges(view->settings, p->denied);
	for (size_t i = 0; i < PORTMAP_MAX; i++)
		follow_side(&p->sides[i], links, anew);
	drive(p);
}

void portmap_hurry(struct portmap *p)
{
	uint64_t now = clock_now_us();

	for (size_t i = 0; i < PORTMAP_MAX; i++)
		mapping_hurry(&p->sides[i].mapping, now);
	arm(p, now);
}

/* --- the end of it --- */

void portmap_remove(struct portmap *p)
{
	for (size_t i = 0; i < PORTMAP_MAX; i++) {
		portmap_take_away(&p->sides[i]);
		leave(&p->sides[i], MAPPING_WHY_NO_GATEWAY);
		note(&p->sides[i]);
	}
	p->port = 0;
	arm(p, clock_now_us());
}

struct portmap *portmap_new(struct core *core, const struct portmap_hooks *hooks, void *ctx)
{
	static const int families[PORTMAP_MAX] = { AF_INET, AF_INET6 };
	struct portmap *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->core = core;
	p->hooks = hooks;
	p->ctx = ctx;
	for (size_t i = 0; i < PORTMAP_MAX; i++) {
		p->sides[i].portmap = p;
		p->sides[i].family = families[i];
		mapping_init(&p->sides[i].mapping, families[i]);
	}
	if (sd_event_add_time(core->event, &p->timer, CLOCK_MONOTONIC, UINT64_MAX, 0, on_timer, p) <
		0)
		return portmap_free(p);
	(void) sd_event_source_set_enabled(p->timer, SD_EVENT_OFF);
	return p;
}

struct portmap *portmap_free(struct portmap *p)
{
	if (!p)
		return NULL;
	for (size_t i = 0; i < PORTMAP_MAX; i++)
		portmap_stop_asking(&p->sides[i]);
	(void) sd_event_source_disable_unref(p->timer);
	free(p);
	return NULL;
}

/* --- what there is --- */

/* What is let in at the board's own address is no news. */
static bool is_own(const struct side *side)
{
	return side->told.port == side->portmap->port &&
	       ip_addr_equal(&side->told.addr, &side->way.own);
}

size_t portmap_endpoints(const struct portmap *p, struct endpoint ret[static PORTMAP_MAX])
{
	size_t n = 0;

	for (int nested = 0; nested < 2; nested++)
		for (size_t i = 0; i < PORTMAP_MAX; i++)
			if (p->sides[i].told.addr.family && !is_own(&p->sides[i]) &&
				ip_addr_is_private(&p->sides[i].told.addr) == nested)
				ret[n++] = p->sides[i].told;
	return n;
}

const char *portmap_word(const struct portmap *p)
{
	const struct mapping *m = &p->sides[0].mapping; /* of IPv4 */

	return m->held ? mapping_protocol_name(m->held) : mapping_why_name(m->why.why);
}

static struct portmap_report report(const struct side *side, uint64_t now)
{
	const struct mapping *m = &side->mapping;
	struct portmap_report ret = { .family = side->family,
		.gateway = side->way.gateway,
		.protocol = m->held,
		.why = m->why.why,
		.detail = m->why.detail,
		.restarts = m->restarts };

	if (m->held) {
		ret.outside = m->outside;
		ret.nested = mapping_is_nested(m);
		ret.left_us = m->until_us > now ? m->until_us - now : 0;
	}
	return ret;
}

size_t portmap_report(const struct portmap *p, struct portmap_report ret[static PORTMAP_MAX])
{
	uint64_t now = clock_now_us();
	size_t n = 0;

	for (size_t i = 0; i < PORTMAP_MAX; i++)
		if (p->sides[i].family == AF_INET || p->sides[i].way.gateway.family)
			ret[n++] = report(&p->sides[i], now);
	return n;
}
