/* netcheck: see netcheck.h. Keys only ever get more: scripts read them. */
#include "node/netcheck.h"

static const char *mapping_name(enum nat_mapping mapping)
{
	switch (mapping) {
	case NAT_MAPPING_UNKNOWN:
		return "unknown";
	case NAT_MAPPING_INDEPENDENT:
		return "independent";
	case NAT_MAPPING_COUNTING:
		return "counting";
	case NAT_MAPPING_RANDOM:
		return "random";
	}
	return "unknown";
}

static json_t *udp_json(enum nat_udp udp)
{
	return udp == NAT_UDP_UNKNOWN ? json_null() : json_boolean(udp == NAT_UDP_WORKS);
}

static json_t *text_or_null(const char *text)
{
	return text ? json_string(text) : json_null();
}

/* Those of @family; 0: all. */
static json_t *endpoints_json(const struct endpoint *list, size_t n, uint8_t family)
{
	json_t *all = json_array();
	char text[ENDPOINT_TEXT_MAX];

	for (size_t i = 0; i < n; i++)
		if (!family || list[i].addr.family == family)
			(void) json_array_append_new(
				all, json_string(endpoint_format(&list[i], text)));
	return all;
}

static json_t *side_json(const struct netcheck *c, enum nat_family family)
{
	const struct nat_side *side = &c->nat.sides[family];

	return json_pack("{s:o, s:o, s:b, s:s, s:i, s:o}", "addresses",
		endpoints_json(c->own, c->n_own, family == NAT_IPV4 ? AF_INET : AF_INET6), "udp",
		udp_json(side->udp), "open", side->open, "mapping", mapping_name(side->mapping),
		"step", side->step, "outside", endpoints_json(side->outside, side->n_outside, 0));
}

static const char *name_of(const struct netcheck *c, uint32_t id)
{
	const struct node *node = netmap_by_id(c->map, id);

	return node ? node->name : "?";
}

static json_t *servers_json(const struct netcheck *c)
{
	json_t *all = json_array();
	char text[ENDPOINT_TEXT_MAX];

	for (size_t i = 0; i < c->n_servers; i++) {
		const struct mapped_server *s = &c->servers[i];

		(void) json_array_append_new(all,
			json_pack("{s:s, s:b, s:s, s:b, s:o}", "name",
				s->relay ? name_of(c, s->relay) : s->host, "relay", s->relay != 0,
				"endpoint", endpoint_format(&s->at, text), "asked", s->asked,
				"rtt_us",
				s->rtt_us ? json_integer((json_int_t) s->rtt_us) : json_null()));
	}
	return all;
}

static json_t *relays_json(const struct netcheck *c)
{
	json_t *all = json_array();

	for (size_t i = 0; i < c->n_relays; i++)
		(void) json_array_append_new(
			all, json_pack("{s:s, s:b, s:s, s:o}", "name", name_of(c, c->relays[i].id),
				     "home", c->relays[i].home, "state", c->relays[i].state, "way",
				     text_or_null(c->relays[i].way)));
	return all;
}

static json_t *counters_json(const struct mapped_counters *n)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "sent", (json_int_t) n->sent, "answers",
		(json_int_t) n->answers, "strange", (json_int_t) n->strange, "bad",
		(json_int_t) n->bad, "refused", (json_int_t) n->refused, "nonsense",
		(json_int_t) n->nonsense);
}

json_t *netcheck_json(const struct netcheck *c)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "ipv4", side_json(c, NAT_IPV4),
		"ipv6", side_json(c, NAT_IPV6), "port_mapping", text_or_null(c->nat.port_mapping),
		"announced", endpoints_json(c->announced, c->n_announced, 0), "servers",
		servers_json(c), "relays", relays_json(c), "counters", counters_json(c->counters));
}
