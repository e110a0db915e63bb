/* why-facts: see why-facts.h. */
#include "node/why-facts.h"

#include <stdio.h>

#include "base/clock.h"

static uint32_t span_since(uint64_t at_us, uint64_t now_us)
{
	uint64_t s = now_us > at_us ? (now_us - at_us) / USEC_PER_SEC : 0;

	if (!at_us)
		return WHY_NEVER;
	return s < WHY_NEVER ? (uint32_t) s : WHY_NEVER - 1;
}

static enum why_family family_of(const struct ip_addr *addr)
{
	return addr->family == AF_INET6 ? WHY_IPV6 : WHY_IPV4;
}

void why_net_from_relays(struct why_net *net, const struct why_relay *relays, size_t n)
{
	bool udp = false;

	for (size_t i = 0; i < n; i++)
		udp = udp || relays[i].udp;
	for (size_t i = 0; i < n; i++) {
		enum why_known *known = &net->udp[family_of(&relays[i].at.addr)];

		if (*known == WHY_UNKNOWN && relays[i].udp)
			*known = WHY_YES;
		else if (*known == WHY_UNKNOWN && relays[i].tcp && !udp)
			*known = WHY_NO;
	}
}

/* --- this board --- */

static void put_net(const struct why_net *net, struct why_facts *f)
{
	memcpy(f->udp, net->udp, sizeof(f->udp));
	f->mapping = net->mapping;
	f->filtering = net->filtering;
	f->n_outside = net->n_outside;
	memcpy(f->outside, net->outside, sizeof(f->outside));
	f->portmap = net->portmap;
	f->gateway = net->gateway;
	memcpy(f->router, net->router, sizeof(f->router));
	if (net->portmap_by)
		(void) snprintf(f->portmap_by, sizeof(f->portmap_by), "%s", net->portmap_by);
}

static void put_own(const struct core *core, const struct why_sources *sources, struct why_facts *f)
{
	const struct candidates *own = sources->own;

	(void) snprintf(f->version, sizeof(f->version), "%s", HEARTH_VERSION);
	f->node = core->config.node;
	f->self = sources->self;
	f->seq = mesh_log_head(book_log(core->book));
	f->time_s = clock_wall_us() / USEC_PER_SEC;
	f->coordinator = sources->connected;
	for (size_t i = 0; i < own->n_endpoints && i < PRESENCE_ENDPOINTS_MAX; i++)
		f->addrs[f->n_addrs++] = own->endpoints[i];
	f->proxy = core->wayout.url != NULL;
	f->relays = (uint32_t) sources->n_relays;
	for (size_t i = 0; i < sources->n_relays; i++)
		f->bound += sources->relays[i].udp || sources->relays[i].tcp;
	put_net(&sources->net, f);
}

/* --- the way --- */

static uint64_t sent_us(const struct way *way)
{
	uint64_t last_us = 0;

	for (unsigned i = 0; i < WAYS_PINGS; i++)
		if (way->pings[i].at_us > last_us)
			last_us = way->pings[i].at_us;
	return last_us;
}

static void note_last(uint32_t *span, uint64_t at_us, uint64_t now_us)
{
	uint32_t s = span_since(at_us, now_us);

	if (s < *span)
		*span = s;
}

static void put_pings(const struct peer *peer, uint64_t now_us, struct why_facts *f)
{
	const struct ways *ways = &peer->ways;

	for (size_t i = 0; i < ways->n; i++) {
		const struct way *way = &ways->list[i];
		struct why_pings *pings = &f->pings[family_of(&way_leads_to(way)->addr)];

		note_last(&f->pong_s, way->answered_us, now_us);
		if (way->relayed)
			continue;
		f->knows++;
		note_last(&pings->sent_s, sent_us(way), now_us);
		note_last(&pings->answered_s, way->answered_us, now_us);
		if (way->heard_us != peer->recalled_us)
			note_last(&pings->heard_s, way->heard_us, now_us);
	}
}

static bool is_by_tcp(const struct why_sources *sources, uint32_t relay)
{
	for (size_t i = 0; i < sources->n_relays; i++)
		if (sources->relays[i].id == relay)
			return sources->relays[i].tcp && !sources->relays[i].udp;
	return false;
}

static void put_way(const struct why_sources *sources, const struct peer *peer, uint64_t now_us,
	struct why_facts *f)
{
	const struct way *way = ways_in_use(&peer->ways);

	f->since_s = span_since(peer->state_us, now_us);
	if (!peer->reachable)
		return;
	f->way = way && way->relayed ? WHY_WAY_RELAYED : WHY_WAY_DIRECT;
	f->rtt_us = way ? way->rtt_us : 0;
	f->mtu = way ? peer->mtu.told : 0;
	if (way && way->taken_us)
		f->since_s = span_since(way->taken_us, now_us);
	f->relay = f->way == WHY_WAY_RELAYED ? peer->relay : 0;
	f->relay_tcp = f->relay && is_by_tcp(sources, f->relay);
	if (f->way == WHY_WAY_DIRECT)
		f->to = way ? *way_leads_to(way) : peer->stats.endpoint;
}

static void put_peer(const struct why_sources *sources, const struct peer *peer, uint64_t now_us,
	uint64_t wall_us, struct why_facts *f)
{
	put_way(sources, peer, now_us, f);
	put_pings(peer, now_us, f);
	f->heard_s = span_since(peer->stats.last_receive_us, now_us);
	f->handshake_s = span_since(peer->stats.last_handshake_wall_us, wall_us);
	if (peer->ways.doubtful)
		f->search_s = span_since(peer->ways.since_us, now_us);
	f->absent = peer->relay_absent;
}

void why_facts_gather(const struct core *core, const struct why_sources *sources,
	const struct peer *peer, uint32_t about, struct why_facts *f)
{
	static const struct why_pings none = { WHY_NEVER, WHY_NEVER, WHY_NEVER };

	*f = (struct why_facts){ .about = about,
		.since_s = WHY_NEVER,
		.search_s = WHY_NEVER,
		.heard_s = WHY_NEVER,
		.handshake_s = WHY_NEVER,
		.pong_s = WHY_NEVER,
		.pings = { none, none } };
	put_own(core, sources, f);
	if (peer)
		put_peer(sources, peer, clock_now_us(), clock_wall_us(), f);
}
