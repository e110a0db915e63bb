/* why-relayed: why packets go by a relay, from the surest cause to the least sure. */
#include <stdio.h>

#include "mesh/why-internal.h"

enum {
	LATELY_S = 20,
	SEARCH_S = 8, /* a search that may succeed has by then ... */
	GUESS_S = 20, /* ... or by then, where a port has to be guessed */
};

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

/* One that gets no UDP out without a proxy is as much in the way as one that has it. */
static int only_proxy(const struct why_case *c)
{
	return why_ends(c, has_only_proxy) == why_ends(c, gets_no_udp)
		       ? why_where(c, has_only_proxy)
		       : WHY_NOT;
}

static int udp_blocked(const struct why_case *c)
{
	return why_where(c, gets_no_udp);
}

static bool lost_it(const struct why_facts *f, const struct why_facts *other)
{
	for (enum why_family k = 0; k < WHY_FAMILIES; k++)
		if (f->pings[k].answered_s < LATELY_S)
			return true;
	return false;
}

static int direct_lost(const struct why_case *c)
{
	return lost_it(c->here.facts, NULL) ? 0 : WHY_NOT;
}

static int no_address(const struct why_case *c)
{
	return c->here.facts->knows ? WHY_NOT : WHY_AT_THERE;
}

/* IPv6 is what would help both. */
static bool lacks_ipv6_of_other(const struct why_facts *f, const struct why_facts *other)
{
	return other && !why_can_use(f, WHY_IPV6) && why_can_use(f, WHY_IPV4) &&
	       why_can_use(other, WHY_IPV6) && !why_can_use(other, WHY_IPV4);
}

/* So would an IPv4 that works where there is one. */
static bool has_dead_ipv4(const struct why_facts *f, const struct why_facts *other)
{
	bool has_it = false;

	for (size_t i = 0; i < f->n_addrs; i++)
		has_it = has_it || f->addrs[i].addr.family == AF_INET;
	return has_it && other && lacks_ipv6_of_other(other, f);
}

static int ipv4_blocked(const struct why_case *c)
{
	return why_where(c, has_dead_ipv4);
}

static int no_common_family(const struct why_case *c)
{
	return why_where(c, lacks_ipv6_of_other);
}

/* The other has sent something, and nothing has come in, nor for a while before. */
static bool hears_nothing(
	const struct why_facts *f, const struct why_facts *other, enum why_family k)
{
	uint32_t sent_s = other->pings[k].sent_s, heard_s = f->pings[k].heard_s;

	return sent_s < WHY_SELDOM_S && heard_s > sent_s && heard_s >= WHY_RECENT_S;
}

/* What it sends arrives, and nothing comes in. */
static bool is_deaf_to(const struct why_facts *f, const struct why_facts *other, enum why_family k)
{
	return other && hears_nothing(f, other, k) && other->pings[k].heard_s < WHY_SELDOM_S &&
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
	       (other && is_open(f) && hears_nothing(f, other, WHY_IPV4) &&
		       other->pings[WHY_IPV4].answered_s >= WHY_RECENT_S);
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

/* A search begins anew whenever traffic does: one that found nothing before needs no time. */
static int searching(const struct why_case *c)
{
	uint32_t enough_s = why_ends(c, is_hard) ? GUESS_S : SEARCH_S;
	const struct why_facts *f = c->here.facts;

	return f->search_s < enough_s && f->since_s < enough_s ? 0 : WHY_NOT;
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
	{ WHY_IPV4_BLOCKED, ipv4_blocked },
	{ WHY_NO_COMMON_FAMILY, no_common_family },
	{ WHY_SEARCHING, searching },
	{ WHY_NO_ADDRESS, no_address },
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
