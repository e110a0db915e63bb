/* why-direct: what makes a direct way possible, the simplest reason first. */
#include "mesh/why-internal.h"

static bool has_outside(const struct why_facts *f, const struct endpoint *to)
{
	for (size_t i = 0; i < f->n_outside; i++)
		if (endpoint_equal(&f->outside[i], to))
			return true;
	return false;
}

/*
 * A neighbour's router may have an address beside our own public one: it is the board itself that
 * has to be on our network.
 */
static int on_one_lan(const struct why_case *c)
{
	const struct why_facts *f = c->here.facts, *there = c->there.facts;
	const struct ip_addr *to = &f->to.addr;
	bool near = why_is_near(f, to) && (!there || why_has_addr(there, to));

	return near || ip_addr_is_link_local(to) || (ip_addr_is_private(to) && !why_is_cgnat(to))
		       ? 0
		       : WHY_NOT;
}

static int by_ipv6(const struct why_case *c)
{
	return c->here.facts->to.addr.family == AF_INET6 ? 0 : WHY_NOT;
}

static int by_hairpin(const struct why_case *c)
{
	const struct why_facts *f = c->here.facts, *there = c->there.facts;

	if (!there || why_share_outside(f, there) != WHY_YES)
		return WHY_NOT;
	for (size_t i = 0; i < there->n_outside; i++)
		if (ip_addr_equal(&there->outside[i].addr, &f->to.addr))
			return 0;
	return WHY_NOT;
}

static bool is_met_at_mapped_port(const struct why_facts *f, const struct why_facts *other)
{
	return other && f->portmap == WHY_PORTMAP_MAPPED && has_outside(f, &other->to);
}

static int by_mapped_port(const struct why_case *c)
{
	return why_where(c, is_met_at_mapped_port);
}

/* Where the other does not say how it comes here, it will be by that address. */
static bool is_public(const struct why_facts *f, const struct why_facts *other)
{
	return why_has_global(f, AF_INET) &&
	       (!other || !other->to.addr.family || why_has_addr(f, &other->to.addr));
}

static int public_address(const struct why_case *c)
{
	return why_where(c, is_public);
}

static int opened_from_inside(const struct why_case *c)
{
	return 0;
}

const struct why_rule why_direct_rules[] = {
	{ WHY_DIRECT_LAN, on_one_lan },
	{ WHY_DIRECT_IPV6, by_ipv6 },
	{ WHY_DIRECT_HAIRPIN, by_hairpin },
	{ WHY_DIRECT_MAPPED, by_mapped_port },
	{ WHY_DIRECT_PUBLIC, public_address },
	{ WHY_DIRECT_NAT, opened_from_inside },
};
