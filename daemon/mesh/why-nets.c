/* why-nets: see why-internal.h. */
#include <string.h>

#include "mesh/why-internal.h"

unsigned why_ends(const struct why_case *c, why_test_fn test)
{
	const struct why_facts *here = c->here.facts, *there = c->there.facts;

	return (test(here, there) ? WHY_AT_HERE : 0) |
	       (there && test(there, here) ? WHY_AT_THERE : 0);
}

int why_where(const struct why_case *c, why_test_fn test)
{
	unsigned at = why_ends(c, test);

	return at ? (int) at : WHY_NOT;
}

bool why_is_cgnat(const struct ip_addr *addr)
{
	return addr->family == AF_INET && addr->bytes[0] == 100 && (addr->bytes[1] & 0xc0) == 64;
}

bool why_is_global(const struct ip_addr *addr, int family)
{
	return addr->family == family && !ip_addr_is_private(addr) &&
	       !ip_addr_is_link_local(addr) && !ip_addr_is_loopback(addr);
}

bool why_has_global(const struct why_facts *f, int family)
{
	for (size_t i = 0; i < f->n_addrs; i++)
		if (why_is_global(&f->addrs[i].addr, family))
			return true;
	return false;
}

bool why_has_addr(const struct why_facts *f, const struct ip_addr *addr)
{
	for (size_t i = 0; i < f->n_addrs; i++)
		if (ip_addr_equal(&f->addrs[i].addr, addr))
			return true;
	return false;
}

bool why_can_use(const struct why_facts *f, enum why_family family)
{
	if (f->udp[family] != WHY_UNKNOWN)
		return f->udp[family] == WHY_YES;
	for (size_t i = 0; i < f->n_addrs; i++)
		if (family == WHY_IPV4 ? f->addrs[i].addr.family == AF_INET
				       : why_is_global(&f->addrs[i].addr, AF_INET6))
			return true;
	return false;
}

/* Prefix lengths are not told: a house's LAN is a /24 as a rule, and a /64. */
static bool are_neighbours(const struct ip_addr *a, const struct ip_addr *b)
{
	size_t same = a->family == AF_INET ? 3 : 8;

	return a->family && a->family == b->family && !memcmp(a->bytes, b->bytes, same);
}

bool why_is_near(const struct why_facts *f, const struct ip_addr *addr)
{
	for (size_t i = 0; i < f->n_addrs; i++)
		if (are_neighbours(&f->addrs[i].addr, addr))
			return true;
	return false;
}

bool why_may_echo(const struct why_facts *here, const struct ip_addr *addr)
{
	return (ip_addr_is_private(addr) && !why_is_cgnat(addr)) || why_is_near(here, addr);
}

enum why_known why_share_outside(const struct why_facts *a, const struct why_facts *b)
{
	enum why_known known = WHY_UNKNOWN;

	for (size_t i = 0; i < a->n_outside; i++)
		for (size_t k = 0; k < b->n_outside; k++) {
			if (a->outside[i].addr.family != AF_INET ||
				b->outside[k].addr.family != AF_INET)
				continue;
			if (ip_addr_equal(&a->outside[i].addr, &b->outside[k].addr))
				return WHY_YES;
			known = WHY_NO;
		}
	return known;
}

/* A house has one address for all; one that is another's is in another house. */
static bool announces_other_outside(const struct why_case *c)
{
	const struct why_facts *f = c->here.facts;
	bool other = false;

	for (size_t i = 0; i < c->n_announced; i++)
		for (size_t k = 0; k < f->n_outside; k++) {
			const struct ip_addr *addr = &c->announced[i].addr;

			if (ip_addr_equal(addr, &f->outside[k].addr))
				return false;
			other = other || (why_is_global(addr, AF_INET) &&
						 f->outside[k].addr.family == AF_INET);
		}
	return other;
}

static bool have_two_routers(const struct why_facts *a, const struct why_facts *b)
{
	return *a->router && *b->router && strcmp(a->router, b->router) != 0;
}

/* Two houses may both call their LAN 192.168.1.0/24, and be customers behind one carrier's NAT. */
static bool are_in_two_houses(const struct why_case *c)
{
	if (c->here.site && c->there.site && strcmp(c->here.site, c->there.site) != 0)
		return true;
	if (c->there.facts)
		return why_share_outside(c->here.facts, c->there.facts) == WHY_NO ||
		       have_two_routers(c->here.facts, c->there.facts);
	return announces_other_outside(c);
}

bool why_share_lan(const struct why_case *c)
{
	const struct why_facts *there = c->there.facts;
	const struct endpoint *list = there ? there->addrs : c->announced;
	size_t n = there ? there->n_addrs : c->n_announced;
	bool apart = are_in_two_houses(c);

	for (size_t i = 0; i < n; i++)
		if (why_is_near(c->here.facts, &list[i].addr) &&
			(!apart || why_is_global(&list[i].addr, AF_INET6)))
			return true;
	return false;
}
