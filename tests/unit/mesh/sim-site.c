#include "sim-site.h"

#include <assert.h>
#include <stdio.h>

#define LAN_US     UINT64_C(300)
#define CARRIER_US UINT64_C(3000)

/* --- the table --- */

static const char *const names[SIM_BEHINDS] = {
	[SIM_PUBLIC] = "public",
	[SIM_CONE] = "cone",
	[SIM_ADDR] = "addr",
	[SIM_EASY] = "easy",
	[SIM_DOUBLE] = "double",
	[SIM_CGNAT] = "cgnat",
	[SIM_OPEN] = "open",
	[SIM_COUNTING] = "counting",
	[SIM_HARD] = "hard",
	[SIM_DUAL] = "dual",
	[SIM_FIREWALL] = "firewall",
	[SIM_ALONE] = "alone",
	[SIM_BLOCKED] = "blocked",
};

/*
 * d: direct, p: direct after a pause, n: direct by ports that can be predicted, o: direct in the
 * end, g: by guessing ports only, or by luck, -: by the relay only. Who filters by address lets in
 * whom it has pinged at any port; who filters by port as well must know the port. Where a router
 * with an open input chain has taken a port for its own, that has to be forgotten first; and
 * because there may be one, pauses are made. Columns are in the order of the rows.
 */
static const char table[SIM_BEHINDS][SIM_BEHINDS + 1] = {
	[SIM_PUBLIC] = "ddddddpppdd--",
	[SIM_CONE] = "ddddddpppp---",
	[SIM_ADDR] = "ddddddpppp---",
	[SIM_EASY] = "ddddddongg---",
	[SIM_DOUBLE] = "ddddddongg---",
	[SIM_CGNAT] = "ddddddongg---",
	[SIM_OPEN] = "pppooooggg---",
	[SIM_COUNTING] = "pppnnngn-----",
	[SIM_HARD] = "pppgggg------",
	[SIM_DUAL] = "dppgggg--dd--",
	[SIM_FIREWALL] = "d--------dd--",
	[SIM_ALONE] = "-------------",
	[SIM_BLOCKED] = "-------------",
};

static const struct {
	const char *name;
	enum sim_hope hope;
	enum sim_behind behind; /* each, as others see it */
} together[SIM_PAIR_KINDS] = {
	[SIM_HOME] = { "one LAN, easy", SIM_DIRECT, SIM_EASY },
	[SIM_HOME_HARD] = { "one LAN, hard", SIM_DIRECT, SIM_HARD },
	[SIM_HAIRPIN] = { "kept apart, hairpins", SIM_DIRECT, SIM_EASY },
	[SIM_NO_HAIRPIN] = { "kept apart, no hairpins", SIM_NONE, SIM_EASY },
	[SIM_CGN_HAIRPIN] = { "one CGNAT with hairpins", SIM_DIRECT, SIM_CGNAT },
	[SIM_CGN] = { "one CGNAT without hairpins", SIM_NONE, SIM_CGNAT },
};

const char *sim_behind_name(enum sim_behind behind)
{
	return names[behind];
}

size_t sim_pairs_count(void)
{
	return SIM_BEHINDS * (SIM_BEHINDS + 1) / 2 + SIM_PAIR_KINDS - 1;
}

struct sim_pair sim_pair_nth(size_t n)
{
	size_t a = 0;

	if (n < SIM_PAIR_KINDS - 1)
		return (struct sim_pair){ .kind = (enum sim_pair_kind)(n + 1) };
	n -= SIM_PAIR_KINDS - 1;
	while (n > a)
		n -= ++a;
	assert(a < SIM_BEHINDS);
	return (struct sim_pair){ SIM_APART, (enum sim_behind) a, (enum sim_behind) n };
}

struct sim_pair sim_pair_part(const struct sim_pair *pair)
{
	enum sim_behind behind = together[pair->kind].behind;

	return pair->kind == SIM_APART ? *pair : (struct sim_pair){ SIM_APART, behind, behind };
}

size_t sim_pair_format(const struct sim_pair *pair, char *ret, size_t size)
{
	if (pair->kind != SIM_APART)
		return (size_t) snprintf(ret, size, "%s", together[pair->kind].name);
	return (size_t) snprintf(ret, size, "%s and %s", names[pair->a], names[pair->b]);
}

enum sim_hope sim_pair_hope(const struct sim_pair *pair)
{
	if (pair->kind != SIM_APART)
		return together[pair->kind].hope;
	switch (table[pair->a][pair->b]) {
	case 'd':
		return SIM_DIRECT;
	case 'p':
		return SIM_DIRECT_PAUSE;
	case 'o':
		return SIM_DIRECT_LATE;
	case 'n':
		return SIM_DIRECT_NEXT;
	case 'g':
		return SIM_GUESS;
	default:
		return SIM_NONE;
	}
}

/* --- addresses --- */

static struct ip_addr ipv4(unsigned a, unsigned b, unsigned c, unsigned d)
{
	return (struct ip_addr){ AF_INET, { (uint8_t) a, (uint8_t) b, (uint8_t) c, (uint8_t) d } };
}

/* One that nobody has had. */
static struct ip_addr ipv6(const struct sim_net *net)
{
	return (struct ip_addr){ AF_INET6,
		{ 0x20, 0x01, 0x0d, 0xb8, [15] = (uint8_t) (net->n_hosts + 1) } };
}

struct ip_addr sim_fresh_address(struct sim_net *net)
{
	unsigned c = (unsigned) sim_rng_below(net->rng, 256);

	return ipv4(198, 18, c, (unsigned) sim_rng_between(net->rng, 1, 254));
}

static int add_host(struct sim_net *net, unsigned lan, struct ip_addr addr, unsigned board)
{
	struct endpoint at = { .addr = addr, .port = SIM_PORT };

	return (int) sim_net_add_host(net, lan, &at, board);
}

/* --- routers --- */

static const struct sim_nat_kind easy = { SIM_MAPPING_ONE, SIM_FILTER_PORT, 0, false, false };
static const struct sim_nat_kind easy_hairpin = { SIM_MAPPING_ONE, SIM_FILTER_PORT, 0, true,
	false };
static const struct sim_nat_kind carrier = { SIM_MAPPING_ONE, SIM_FILTER_ANY, 0, false, false };
static const struct sim_nat_kind carrier_hairpin = { SIM_MAPPING_ONE, SIM_FILTER_ANY, 0, true,
	false };
static const struct sim_nat_kind hard = { SIM_MAPPING_RANDOM, SIM_FILTER_PORT, 0, false, false };
static const struct sim_nat_kind firewall = { SIM_MAPPING_NONE, SIM_FILTER_PORT, 0, false, false };

/* Of a board's own router, where it has one to the IPv4 internet. */
static const struct sim_nat_kind kinds[SIM_BEHINDS] = {
	[SIM_CONE] = { SIM_MAPPING_ONE, SIM_FILTER_ANY, 0, false, false },
	[SIM_ADDR] = { SIM_MAPPING_ONE, SIM_FILTER_ADDR, 0, false, false },
	[SIM_EASY] = { SIM_MAPPING_ONE, SIM_FILTER_PORT, 0, false, false },
	[SIM_OPEN] = { SIM_MAPPING_KEEP, SIM_FILTER_PORT, 0, false, true },
	[SIM_COUNTING] = { SIM_MAPPING_COUNTING, SIM_FILTER_PORT, 0, false, false },
	[SIM_HARD] = { SIM_MAPPING_RANDOM, SIM_FILTER_PORT, 0, false, false },
	[SIM_DUAL] = { SIM_MAPPING_RANDOM, SIM_FILTER_PORT, 0, false, false },
	[SIM_ALONE] = { SIM_MAPPING_ONE, SIM_FILTER_PORT, SIM_BLOCKS_ALL_BUT_STUN, false, false },
	[SIM_BLOCKED] = { SIM_MAPPING_ONE, SIM_FILTER_PORT, SIM_BLOCKS_ALL, false, false },
};

static unsigned add_router(struct sim_net *net, unsigned outside, struct ip_addr addr,
	const struct sim_nat_kind *kind, uint64_t lifetime_us)
{
	unsigned inside = sim_net_add_router(net, outside, &addr, kind, lifetime_us);

	net->lans[inside].delay_us = LAN_US;
	return inside;
}

static void add_firewall(struct sim_net *net, unsigned board, uint64_t lifetime_us, int *ret_host)
{
	unsigned lan = add_router(net, SIM_INTERNET, (struct ip_addr){ 0 }, &firewall, lifetime_us);

	*ret_host = add_host(net, lan, ipv6(net), board);
}

/* A router at @addr in @outside, and the board behind it. */
static int add_home(struct sim_net *net, unsigned outside, struct ip_addr addr,
	const struct sim_nat_kind *kind, uint64_t lifetime_us, unsigned board)
{
	unsigned lan = add_router(net, outside, addr, kind, lifetime_us);

	return add_host(net, lan, ipv4(192, 168, 1, 10 + board), board);
}

struct sim_place sim_site_build(
	struct sim_net *net, enum sim_behind behind, unsigned board, uint64_t lifetime_us)
{
	struct sim_place place = { .host4 = -1, .host6 = -1, .router = -1 };
	struct ip_addr addr = sim_fresh_address(net);
	unsigned lan = SIM_INTERNET;

	switch (behind) {
	case SIM_PUBLIC:
		place.host4 = add_host(net, lan, addr, board);
		place.host6 = add_host(net, lan, ipv6(net), board);
		return place;
	case SIM_FIREWALL:
		add_firewall(net, board, lifetime_us, &place.host6);
		return place;
	case SIM_DUAL:
		add_firewall(net, board, lifetime_us, &place.host6);
		break;
	case SIM_DOUBLE:
	case SIM_CGNAT:
		place.router = (int) net->n_routers;
		lan = add_router(
			net, lan, addr, behind == SIM_DOUBLE ? &easy : &carrier, lifetime_us);
		net->lans[lan].delay_us = CARRIER_US;
		place.host4 = add_home(net, lan, ipv4(100, 64, 0, 2), &easy, lifetime_us, board);
		return place;
	default:
		break;
	}
	place.router = (int) net->n_routers;
	place.host4 = add_home(net, lan, addr, &kinds[behind], lifetime_us, board);
	return place;
}

/* --- two behind the same --- */

static void build_home(struct sim_net *net, const struct sim_nat_kind *kind, bool isolated,
	uint64_t lifetime_us, struct sim_place ret[static 2])
{
	unsigned lan = add_router(net, SIM_INTERNET, sim_fresh_address(net), kind, lifetime_us);

	net->lans[lan].isolated = isolated;
	for (unsigned i = 0; i < 2; i++)
		ret[i].host4 = add_host(net, lan, ipv4(192, 168, 1, 10 + i), i);
}

static void build_carrier(struct sim_net *net, const struct sim_nat_kind *kind,
	uint64_t lifetime_us, struct sim_place ret[static 2])
{
	unsigned lan = add_router(net, SIM_INTERNET, sim_fresh_address(net), kind, lifetime_us);

	net->lans[lan].delay_us = CARRIER_US;
	for (unsigned i = 0; i < 2; i++)
		ret[i].host4 = add_home(net, lan, ipv4(100, 64, 0, 2 + i), &easy, lifetime_us, i);
}

void sim_pair_build(struct sim_net *net, const struct sim_pair *pair, uint64_t lifetime_us,
	struct sim_place ret[static 2])
{
	int router = (int) net->n_routers;

	ret[0] = ret[1] = (struct sim_place){ .host4 = -1, .host6 = -1, .router = router };
	switch (pair->kind) {
	case SIM_HOME:
		build_home(net, &easy, false, lifetime_us, ret);
		break;
	case SIM_HOME_HARD:
		build_home(net, &hard, false, lifetime_us, ret);
		break;
	case SIM_HAIRPIN:
		build_home(net, &easy_hairpin, true, lifetime_us, ret);
		break;
	case SIM_NO_HAIRPIN:
		build_home(net, &easy, true, lifetime_us, ret);
		break;
	case SIM_CGN_HAIRPIN:
		build_carrier(net, &carrier_hairpin, lifetime_us, ret);
		break;
	case SIM_CGN:
		build_carrier(net, &carrier, lifetime_us, ret);
		break;
	case SIM_APART:
	case SIM_PAIR_KINDS:
		ret[0] = sim_site_build(net, pair->a, 0, lifetime_us);
		ret[1] = sim_site_build(net, pair->b, 1, lifetime_us);
		break;
	}
}
