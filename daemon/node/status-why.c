/* What hearthd knows of the network around it, for `hearth why`. */
#include <string.h>

#include "node/hearthd.h"
#include "node/why-router.h"

static enum why_self why_self(enum mesh_state state)
{
	switch (state) {
	case MESH_WAITING:
		return WHY_SELF_WAITING;
	case MESH_UP:
		break;
	case MESH_REMOVED:
		return WHY_SELF_REMOVED;
	case MESH_REPLACED:
		return WHY_SELF_REPLACED;
	}
	return WHY_SELF_UP;
}

static enum why_known udp_of(const struct nat_side *side)
{
	switch (side->udp) {
	case NAT_UDP_UNKNOWN:
		break;
	case NAT_UDP_WORKS:
		return WHY_YES;
	case NAT_UDP_NONE:
		return WHY_NO;
	}
	return WHY_UNKNOWN;
}

static enum why_mapping mapping_of(const struct nat_side *side)
{
	if (side->open)
		return WHY_MAPPING_NONE;
	switch (side->mapping) {
	case NAT_MAPPING_UNKNOWN:
		break;
	case NAT_MAPPING_INDEPENDENT:
		return WHY_MAPPING_SAME;
	case NAT_MAPPING_COUNTING:
		return WHY_MAPPING_COUNTING;
	case NAT_MAPPING_RANDOM:
		return WHY_MAPPING_RANDOM;
	}
	return WHY_MAPPING_UNKNOWN;
}

static void put_outside(const struct endpoint *outside, struct why_net *ret)
{
	if (ret->n_outside < WHY_OUTSIDE_MAX)
		ret->outside[ret->n_outside++] = *outside;
}

static void put_nat(const struct nat_side sides[static NAT_FAMILIES], struct why_net *ret)
{
	const struct nat_side *v4 = &sides[NAT_IPV4];

	ret->udp[WHY_IPV4] = udp_of(v4);
	ret->udp[WHY_IPV6] = udp_of(&sides[NAT_IPV6]);
	ret->mapping = mapping_of(v4);
	for (size_t i = 0; i < NAT_FAMILIES; i++)
		for (size_t k = 0; k < sides[i].n_outside; k++)
			put_outside(&sides[i].outside[k], ret);
}

static enum why_portmap portmap_of(const struct portmap_report *report)
{
	if (report->protocol != MAPPING_NONE)
		return report->nested ? WHY_PORTMAP_BEHIND : WHY_PORTMAP_MAPPED;
	switch (report->why) {
	case MAPPING_WHY_OFF:
		return WHY_PORTMAP_OFF;
	case MAPPING_WHY_NO_GATEWAY:
	case MAPPING_WHY_NOTHING:
		return WHY_PORTMAP_NONE;
	case MAPPING_WHY_REFUSED:
	case MAPPING_WHY_NO_ADDRESS:
	case MAPPING_WHY_SHORT:
	case MAPPING_WHY_BROKEN:
		return WHY_PORTMAP_REFUSED;
	case MAPPING_WHY_NONE:
	case MAPPING_WHY_NEEDLESS:
	case MAPPING_WHY_ASKING:
		break;
	}
	return WHY_PORTMAP_UNKNOWN;
}

static void put_mapping(const struct portmap *portmap, struct why_net *ret)
{
	struct portmap_report list[PORTMAP_MAX];
	size_t n = portmap_report(portmap, list);

	for (size_t i = 0; i < n; i++) {
		if (list[i].family != AF_INET)
			continue;
		ret->portmap = portmap_of(&list[i]);
		ret->portmap_by = mapping_protocol_name(list[i].protocol);
		ret->gateway = list[i].outside.addr;
		if (ret->portmap == WHY_PORTMAP_MAPPED)
			put_outside(&list[i].outside, ret);
	}
}

/* What STUN says comes before what relays show. */
void status_fill_why(struct hearthd *h, struct why_sources *ret)
{
	static struct relays_report relays[RELAYS_MAX];

	status_look(h);
	*ret = (struct why_sources){ .self = why_self(h->mesh_state),
		.connected = sync_state(h->sync)->connected,
		.own = uplink_candidates(h->uplink),
		.n_relays = relays_report(h->relays, relays) };
	for (size_t i = 0; i < ret->n_relays; i++) {
		const char *way = relays[i].way;

		ret->relays[i] = (struct why_relay){ .id = relays[i].id,
			.home = relays[i].home,
			.udp = way && !strcmp(way, "udp"),
			.tcp = way && !strcmp(way, "tcp"),
			.at = relays[i].at };
	}
	put_mapping(h->portmap, &ret->net);
	put_nat(mapped_sides(h->mapped), &ret->net);
	why_router_find(h->core.nl, uplink_links(h->uplink), ret->net.router);
	why_net_from_relays(&ret->net, ret->relays, ret->n_relays);
}
