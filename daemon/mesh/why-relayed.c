/* why-relayed: why packets go by a relay, from the surest cause to the least sure. */
#include <stdio.h>

#include "mesh/why-internal.h"

enum { SEARCH_S = 20 }; /* a search that may succeed has by then */

static bool gets_no_udp(const struct why_facts *f, const struct why_facts *other)
{
	bool blocked = false;

	for (enum why_family k = 0; k < WHY_FAMILIES; k++) {
		if (f->udp[k] == WHY_YES)
			return false;
		blocked = blocked || f->udp[k] == WHY_NO;
	}
	return blocked;
}

static bool has_only_proxy(const struct why_facts *f, const struct why_facts *other)
{
	return f->proxy && gets_no_udp(f, other);
}

static int only_proxy(const struct why_case *c)
{
	return why_where(c, has_only_proxy);
}

static int udp_blocked(const struct why_case *c)
{
	return why_where(c, gets_no_udp);
}

static bool lost_it(const struct why_facts *f, const struct why_facts *other)
{
	for (enum why_family k = 0; k < WHY_FAMILIES; k++)
		if (f->pings[k].answered_s < SEARCH_S)
			return true;
	return false;
}

static int direct_lost(const struct why_case *c)
{
	return lost_it(c->here.facts, NULL) ? 0 : WHY_NOT;
}

static int searching(const struct why_case *c)
{
	return c->here.facts->search_s < SEARCH_S ? 0 : WHY_NOT;
}

static int no_address(const struct why_case *c)
{
	return c->here.facts->knows ? WHY_NOT : WHY_AT_THERE;
}

static bool can_use(const struct why_facts *f, enum why_family k)
{
	if (f->udp[k] != WHY_UNKNOWN)
		return f->udp[k] == WHY_YES;
	for (size_t i = 0; i < f->n_addrs; i++)
		if (k == WHY_IPV4 ? f->addrs[i].addr.family == AF_INET
				  : why_is_global(&f->addrs[i].addr, AF_INET6))
			return true;
	return false;
}

/* IPv6 is what would help both. */
static bool lacks_ipv6_of_other(const struct why_facts *f, const struct why_facts *other)
{
	return other && !can_use(f, WHY_IPV6) && can_use(f, WHY_IPV4) && can_use(other, WHY_IPV6) &&
	       !can_use(other, WHY_IPV4);
}

static int no_common_family(const struct why_case *c)
{
	return why_where(c, lacks_ipv6_of_other);
}

/* What it sends arrives, and nothing comes in. */
static bool is_deaf_to(const struct why_facts *f, const struct why_facts *other, enum why_family k)
{
	return other && other->pings[k].heard_s < WHY_RECENT_S &&
	       other->pings[k].sent_s < WHY_RECENT_S && f->pings[k].heard_s >= WHY_RECENT_S &&
	       f->pings[k].answered_s >= WHY_RECENT_S;
}

/* Anybody may send to it, wherever he is. */
static bool is_open(const struct why_facts *f)
{
	return f->mapping == WHY_MAPPING_NONE || f->portmap == WHY_PORTMAP_MAPPED ||
	       (f->mapping == WHY_MAPPING_SAME && f->filtering == WHY_FILTERING_NONE) ||
	       why_has_global(f, AF_INET);
}

/* Nothing between could stop it, and still it hears nothing. */
static bool is_shut(const struct why_facts *f, const struct why_facts *other)
{
	return is_deaf_to(f, other, WHY_IPV4) ||
	       (other && is_open(f) && other->pings[WHY_IPV4].sent_s < WHY_RECENT_S &&
		       other->pings[WHY_IPV4].answered_s >= WHY_RECENT_S &&
		       f->pings[WHY_IPV4].heard_s >= WHY_RECENT_S);
}

static bool is_shut_to_ipv6(const struct why_facts *f, const struct why_facts *other)
{
	return is_deaf_to(f, other, WHY_IPV6);
}

static int firewall(const struct why_case *c)
{
	return why_where(c, is_shut);
}

static int ipv6_firewall(const struct why_case *c)
{
	return why_where(c, is_shut_to_ipv6);
}

static bool sends_in_vain(const struct why_facts *f, const struct why_facts *other)
{
	bool sent = false;

	for (enum why_family k = 0; k < WHY_FAMILIES; k++) {
		if (f->pings[k].heard_s < WHY_RECENT_S)
			return false;
		sent = sent || f->pings[k].sent_s < WHY_RECENT_S;
	}
	return sent;
}

static int isolated(const struct why_case *c)
{
	return c->there.facts && why_share_lan(c) && why_ends(c, sends_in_vain) == WHY_AT_BOTH
		       ? WHY_AT_BOTH
		       : WHY_NOT;
}

static int no_hairpin(const struct why_case *c)
{
	return c->there.facts && why_share_outside(c->here.facts, c->there.facts) == WHY_YES &&
			       !why_share_lan(c)
		       ? WHY_AT_BOTH
		       : WHY_NOT;
}

/* Behind a NAT by which nobody can guess where it will be met, and who does not come by himself. */
static bool is_hard(const struct why_facts *f, const struct why_facts *other)
{
	return (f->mapping == WHY_MAPPING_COUNTING || f->mapping == WHY_MAPPING_RANDOM) &&
	       !is_open(f) && !(other && is_open(other));
}

static bool is_behind_carrier(const struct why_facts *f, const struct why_facts *other)
{
	bool cgnat = why_is_cgnat(&f->gateway);

	for (size_t i = 0; i < f->n_addrs; i++)
		cgnat = cgnat || why_is_cgnat(&f->addrs[i].addr);
	return cgnat && is_hard(f, other);
}

static bool is_behind_two(const struct why_facts *f, const struct why_facts *other)
{
	return f->portmap == WHY_PORTMAP_BEHIND && is_hard(f, other);
}

static int hard_both(const struct why_case *c)
{
	return why_ends(c, is_hard) == WHY_AT_BOTH ? WHY_AT_BOTH : WHY_NOT;
}

static int cgnat(const struct why_case *c)
{
	return why_where(c, is_behind_carrier);
}

static int double_nat(const struct why_case *c)
{
	return why_where(c, is_behind_two);
}

static int hard_nat(const struct why_case *c)
{
	return why_where(c, is_hard);
}

static bool gets_no_ipv6(const struct why_facts *f, const struct why_facts *other)
{
	return other && why_has_global(f, AF_INET6) && f->udp[WHY_IPV6] == WHY_NO &&
	       other->udp[WHY_IPV6] == WHY_YES;
}

static int ipv6_blocked(const struct why_case *c)
{
	return why_where(c, gets_no_ipv6);
}

/* Neighbouring minor versions work together. */
static int versions(const struct why_case *c)
{
	unsigned major[2], minor[2];

	if (!c->there.facts ||
		sscanf(c->here.facts->version, "%5u.%5u", &major[0], &minor[0]) != 2 ||
		sscanf(c->there.facts->version, "%5u.%5u", &major[1], &minor[1]) != 2)
		return WHY_NOT;
	if (major[0] != major[1])
		return major[0] < major[1] ? WHY_AT_HERE : WHY_AT_THERE;
	if (minor[0] + 1 < minor[1])
		return WHY_AT_HERE;
	return minor[1] + 1 < minor[0] ? WHY_AT_THERE : WHY_NOT;
}

static int unexplained(const struct why_case *c)
{
	return 0;
}

const struct why_rule why_relayed_rules[] = {
	{ WHY_ONLY_PROXY, only_proxy },
	{ WHY_UDP_BLOCKED, udp_blocked },
	{ WHY_DIRECT_LOST, direct_lost },
	{ WHY_SEARCHING, searching },
	{ WHY_NO_ADDRESS, no_address },
	{ WHY_NO_COMMON_FAMILY, no_common_family },
	{ WHY_ISOLATED, isolated },
	{ WHY_FIREWALL, firewall },
	{ WHY_IPV6_FIREWALL, ipv6_firewall },
	{ WHY_NO_HAIRPIN, no_hairpin },
	{ WHY_HARD_BOTH, hard_both },
	{ WHY_CGNAT, cgnat },
	{ WHY_DOUBLE_NAT, double_nat },
	{ WHY_HARD_NAT, hard_nat },
	{ WHY_IPV6_BLOCKED, ipv6_blocked },
	{ WHY_VERSIONS, versions },
	{ WHY_UNEXPLAINED, unexplained },
};
