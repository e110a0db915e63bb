/*
 * why-tell: the words of a verdict. What is said of each cause is in one table; in its texts stand
 *
 *   {peer}     the other board        {at}       the one, or the two, whose it is
 *   {other}    the one whose it is not
 *   {router}   what leads {at} out    {ports}    what that says to being asked for a port
 *   {by}       how it was asked       {mend}     what helps there
 *   {six}      to whom to give IPv6   {only}     that it has to be IPv6, if the other has no more
 *   {addr}     the address that is used, or that answered
 *   {relay}    the relay              {heard}    when the other was heard last
 *   {search}   for how long a direct way has been looked for
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "mesh/why-internal.h"

#define LET_UDP_OUT                                                            \
	"let UDP out there{only}, or at least to port 3478 of {relay}, which " \
	"then need not carry it by TCP"

static const struct {
	const char *name, *why, *fix;
} causes[WHY_CAUSES] = {
	[WHY_DIRECT_LAN] = { "direct_lan", "both are on one network", "" },
	[WHY_DIRECT_IPV6] = { "direct_ipv6", "both have IPv6", "" },
	[WHY_DIRECT_HAIRPIN] = { "direct_hairpin",
		"both are behind one router, which turns packets around that come from inside",
		"" },
	[WHY_DIRECT_MAPPED] = { "direct_mapped", "{router} mapped a port when asked{by}", "" },
	[WHY_DIRECT_PUBLIC] = { "direct_public", "{at} can be reached at a public address", "" },
	[WHY_DIRECT_NAT] = { "direct_nat",
		"the routers between let through what both have opened from inside", "" },

	[WHY_ONLY_PROXY] = { "only_proxy",
		"no UDP gets out of the network of {at}, whose way out is a proxy", LET_UDP_OUT },
	[WHY_UDP_BLOCKED] = { "udp_blocked", "no UDP gets out of the network of {at}",
		LET_UDP_OUT },
	[WHY_DIRECT_LOST] = { "direct_lost",
		"the direct way stopped answering a moment ago, and is looked for again", "" },
	[WHY_IPV4_BLOCKED] = { "ipv4_blocked",
		"no UDP gets out of the network of {at} by IPv4, and {other} has nothing else",
		"mend IPv4 at {router}, or give the other board IPv6" },
	[WHY_NO_COMMON_FAMILY] = { "no_common_family", "{other} has only IPv6, and {at} only IPv4",
		"give {at} IPv6: switch it on at its router, or ask its provider" },
	[WHY_SEARCHING] = { "searching", "a direct way has been looked for {search}", "" },
	[WHY_NO_ADDRESS] = { "no_address", "{peer} announces no address at which it could be met",
		"look at `hearth status --verbose` on {peer}: it says what each link is taken "
		"for" },
	[WHY_FIREWALL] = { "firewall",
		"nothing that {other} sends gets in at {at}: a firewall on {at}, or before it, "
		"drops UDP",
		"let UDP to the port of Hearth (`hearth status` there says which) in at {at}" },
	[WHY_IPV6_FIREWALL] = { "ipv6_firewall",
		"no IPv6 that {other} sends gets in at {at}: a firewall on {at}, or {router}, "
		"drops it",
		"let UDP to the port of Hearth in to the IPv6 address of {at} (a \"pinhole\")" },
	[WHY_ISOLATED] = { "isolated",
		"both are on one network, which carries nothing from one of them to the other",
		"switch off the isolation of clients at the access point (\"AP isolation\", "
		"\"guest network\"), or use a cable for one of them" },
	[WHY_NO_HAIRPIN] = { "no_hairpin",
		"both are behind one NAT, which does not turn packets around that come from "
		"inside",
		"connect both to the same router, switch on NAT loopback (\"hairpin\") at the one "
		"before both, or {six}" },
	[WHY_HARD_BOTH] = { "hard_both",
		"the routers of both map a new port for each destination, so that neither can "
		"know where the other will be met",
		"switch on UPnP at one of the two routers, or {six}" },
	[WHY_CGNAT] = { "cgnat",
		"{at} is behind the NAT of a carrier, which maps a new port for each destination",
		"switch on UPnP at the router of the other board, ask the provider of {at} for a "
		"public address, or {six}" },
	[WHY_DOUBLE_NAT] = { "double_nat",
		"{at} is behind two NATs, and the outer one maps a new port for each destination",
		"make a bridge of one of the two routers before {at}, switch on UPnP at the router "
		"of the other board, or {six}" },
	[WHY_HARD_NAT] = { "hard_nat", "{router} maps a new port for each destination{ports}",
		"{mend}, or {six}" },
	[WHY_IPV6_BLOCKED] = { "ipv6_blocked",
		"{at} has an IPv6 address, but no IPv6 gets through there",
		"mend IPv6 at {router}: the other board has it" },
	[WHY_VERSIONS] = { "versions", "the versions of Hearth on both are far apart",
		"update Hearth on {at}" },
	[WHY_UNEXPLAINED] = { "unexplained", "no direct way answers, and neither end knows why",
		"compare what `hearth netcheck` says on both" },

	[WHY_OWN_REMOVED] = { "own_removed", "this board was removed from the mesh",
		"enrol it again: on the coordinator `hearth token create`, here `enroll-node`" },
	[WHY_OWN_REPLACED] = { "own_replaced", "another machine was enrolled in this board's place",
		"enrol it again under another name, or in its place: "
		"`hearth token create --replace`" },
	[WHY_OWN_WAITING] = { "own_waiting",
		"this board has no log of the mesh yet, and waits for the coordinator",
		"`hearth status` says why the coordinator is not reached" },
	[WHY_REMOVED] = { "removed", "it was removed from the mesh",
		"if that was a mistake, enrol it again" },
	[WHY_OWN_OFFLINE] = { "own_offline", "this board has no network",
		"look at its cable, its Wi-Fi and `ip address`" },
	[WHY_KEYS] = { "keys",
		"{peer} answers where it is looked for, but no tunnel to it comes up: its "
		"WireGuard key is not the one that the log has, or its clock went back",
		"restart hearthd on {peer}; if that does not help, enrol it again with a token of "
		"`hearth token create --replace {peer}`" },
	[WHY_NEVER_SEEN] = { "never_seen",
		"it has told nobody where it is since it was enrolled, as far as is known here",
		"look at `systemctl status hearthd` on {peer}" },
	[WHY_OTHER_CUT_OFF] = { "other_cut_off",
		"{peer} is on, but has neither a direct way to here nor a relay",
		"on {peer}, `hearth status --verbose` says why it does not reach {relay}" },
	[WHY_HEARTHD_OFF] = { "hearthd_off",
		"its machine answers at {addr}, and Hearth on it does not",
		"look at `systemctl status hearthd` on {peer}; if it runs, let its UDP port in at "
		"the firewall there" },
	[WHY_RELAY_SILENT] = { "relay_silent",
		"no direct way leads there, and no relay answers this board",
		"look whether {relay} is on and its ports are open; `hearth status --verbose` "
		"says what is wrong with it from here" },
	[WHY_NO_RELAY] = { "no_relay",
		"no direct way leads there, and the mesh has no relay; or {peer} is off",
		"make a relay of a board that both can reach, such as a small rented one: "
		"`hearth relay enable`" },
	[WHY_PEER_OFF] = { "peer_off", "it is off, or has no network: {heard}",
		"switch {peer} on, and look at its network" },
};

const char *why_cause_name(enum why_cause cause)
{
	return causes[cause].name;
}

/* --- words --- */

static const struct why_end *end_of(const struct why_case *c, unsigned at)
{
	return at == WHY_AT_HERE ? &c->here : &c->there;
}

/* "3 s", "5 min" ... */
static void add_span(uint32_t s, struct buf *ret)
{
	if (s < 120)
		buf_printf(ret, "%" PRIu32 " s", s);
	else if (s < 7200)
		buf_printf(ret, "%" PRIu32 " min", s / 60);
	else if (s < 172800)
		buf_printf(ret, "%" PRIu32 " h", s / 3600);
	else
		buf_printf(ret, "%" PRIu32 " days", s / 86400);
}

static void add_names(const struct why_case *c, unsigned at, struct buf *ret)
{
	if (at == WHY_AT_BOTH)
		buf_printf(ret, "%s and %s", c->here.name, c->there.name);
	else
		buf_add_str(ret, end_of(c, at)->name);
}

/* "the router of pi3 (house attic)" where houses are told apart. */
static void add_router(const struct why_case *c, unsigned at, struct buf *ret)
{
	const char *site = at == WHY_AT_BOTH ? NULL : end_of(c, at)->site;

	buf_add_str(ret, at == WHY_AT_BOTH ? "the routers of " : "the router of ");
	add_names(c, at, ret);
	if (site)
		buf_printf(ret, " (house %s)", site);
}

static enum why_portmap portmap_of(const struct why_case *c, unsigned at)
{
	const struct why_facts *f = end_of(c, at)->facts;

	return f ? f->portmap : WHY_PORTMAP_UNKNOWN;
}

static void add_ports(const struct why_case *c, unsigned at, struct buf *ret)
{
	static const char *const texts[] = {
		[WHY_PORTMAP_UNKNOWN] = "",
		[WHY_PORTMAP_OFF] = ", and is not asked for one of our own, by configuration",
		[WHY_PORTMAP_NONE] = " and offers no port mapping",
		[WHY_PORTMAP_REFUSED] = " and refuses to map one for us",
		[WHY_PORTMAP_BEHIND] = " and is behind another NAT itself",
		[WHY_PORTMAP_MAPPED] = "",
	};

	buf_add_str(ret, texts[portmap_of(c, at)]);
}

/* " (PCP)" */
static void add_by(const struct why_case *c, unsigned at, struct buf *ret)
{
	const struct why_facts *f = end_of(c, at)->facts;

	if (at != WHY_AT_BOTH && f && *f->portmap_by)
		buf_printf(ret, " (%s)", f->portmap_by);
}

static bool lacks_ipv6(const struct why_facts *f, const struct why_facts *other)
{
	return !why_can_use(f, WHY_IPV6);
}

/* A way by IPv6 takes it at both. */
static void add_six(const struct why_case *c, unsigned at, struct buf *ret)
{
	unsigned lack = why_ends(c, lacks_ipv6) | (c->there.facts ? 0 : WHY_AT_THERE);

	if (lack == WHY_AT_BOTH)
		buf_add_str(ret, "give both boards IPv6");
	else if (lack & at)
		buf_printf(ret, "give %s IPv6", end_of(c, lack)->name);
	else if (lack)
		buf_add_str(ret, "give the other board IPv6");
	else
		buf_add_str(ret, "let UDP by IPv6 in at one of them");
}

static void add_only(const struct why_case *c, unsigned at, struct buf *ret)
{
	unsigned other = WHY_AT_BOTH & ~at;
	const struct why_facts *f = other ? end_of(c, other)->facts : NULL;

	if (f && why_can_use(f, WHY_IPV6) && !why_can_use(f, WHY_IPV4))
		buf_add_str(ret, " by IPv6 (the other board has nothing else)");
}

static void add_mend(const struct why_case *c, unsigned at, struct buf *ret)
{
	if (portmap_of(c, at) == WHY_PORTMAP_OFF) {
		buf_add_str(ret, "switch port mapping on in /etc/hearth/hearthd.yaml of ");
		add_names(c, at, ret);
		return;
	}
	buf_add_str(ret, "switch on UPnP at ");
	add_router(c, at, ret);
}

static void add_addr(const struct why_case *c, struct buf *ret)
{
	char text[IP_TEXT_MAX];

	buf_add_str(ret, c->echo.family ? ip_addr_format(&c->echo, text) : "its address");
}

static void add_heard(const struct why_case *c, struct buf *ret)
{
	uint32_t s = c->here.facts->heard_s;

	if (s == WHY_NEVER) {
		buf_add_str(ret, "nothing was heard of it since hearthd was started here");
		return;
	}
	buf_add_str(ret, "nothing was heard of it for ");
	add_span(s, ret);
}

static void add_search(const struct why_case *c, struct buf *ret)
{
	uint32_t s = c->here.facts->search_s;

	buf_add_str(ret, "for ");
	add_span(s == WHY_NEVER ? 0 : s, ret);
}

/* One word in braces. */
static void add_word(
	const struct why_case *c, unsigned at, const char *word, size_t len, struct buf *ret)
{
	unsigned other = at == WHY_AT_HERE ? WHY_AT_THERE : WHY_AT_HERE;

#define IS(text) (len == sizeof(text) - 1 && !memcmp(word, text, len))
	if (IS("peer"))
		buf_add_str(ret, c->there.name);
	else if (IS("at"))
		add_names(c, at, ret);
	else if (IS("other"))
		buf_add_str(ret, at == WHY_AT_BOTH ? "the other" : end_of(c, other)->name);
	else if (IS("router"))
		add_router(c, at, ret);
	else if (IS("ports"))
		add_ports(c, at, ret);
	else if (IS("by"))
		add_by(c, at, ret);
	else if (IS("mend"))
		add_mend(c, at, ret);
	else if (IS("six"))
		add_six(c, at, ret);
	else if (IS("only"))
		add_only(c, at, ret);
	else if (IS("addr"))
		add_addr(c, ret);
	else if (IS("relay"))
		buf_add_str(ret, c->relay ? c->relay : "the relay");
	else if (IS("heard"))
		add_heard(c, ret);
	else if (IS("search"))
		add_search(c, ret);
#undef IS
}

static void add_text(const struct why_case *c, unsigned at, const char *text, struct buf *ret)
{
	for (const char *brace; (brace = strchr(text, '{')); text = strchr(brace, '}') + 1) {
		buf_add(ret, text, (size_t) (brace - text));
		add_word(c, at, brace + 1, strcspn(brace + 1, "}"), ret);
	}
	buf_add_str(ret, text);
}

/* --- the sentence --- */

/* "0.6 ms", "41 ms" */
static void add_rtt(uint64_t us, struct buf *ret)
{
	if (us)
		buf_printf(ret, us < 10000 ? ", %.1f ms" : ", %.0f ms", (double) us / 1000);
}

static void add_way(const struct why_case *c, const struct why_finding *finding, struct buf *ret)
{
	const struct why_facts *f = c->here.facts;
	char text[ENDPOINT_TEXT_MAX];

	buf_add_str(ret, c->there.name);
	switch (finding->way) {
	case WHY_WAY_DIRECT:
		buf_add_str(ret, " is direct");
		if (f->to.addr.family)
			buf_printf(ret, " at %s", endpoint_format(&f->to, text));
		add_rtt(f->rtt_us, ret);
		break;
	case WHY_WAY_RELAYED:
		buf_printf(ret, " is relayed by %s%s", c->relay ? c->relay : "a relay",
			f->relay_tcp ? " (TCP)" : "");
		add_rtt(f->rtt_us, ret);
		break;
	case WHY_WAY_NONE:
		buf_add_str(ret, " is not reached");
		break;
	}
	buf_add_str(ret, ": ");
}

static void copy(const struct buf *buf, char ret[static WHY_TEXT_MAX])
{
	(void) snprintf(ret, WHY_TEXT_MAX, "%s", buf_str(buf));
}

void why_tell(const struct why_case *c, const struct why_finding *finding, struct why_verdict *ret)
{
	CLEANUP_BUF struct buf sentence = { 0 }, fix = { 0 };

	*ret = (struct why_verdict){ 0 };
	add_way(c, finding, &sentence);
	add_text(c, finding->at, causes[finding->cause].why, &sentence);
	add_text(c, finding->at, causes[finding->cause].fix, &fix);
	copy(&sentence, ret->sentence);
	copy(&fix, ret->fix);
	why_list_evidence(c, finding, ret);
}
