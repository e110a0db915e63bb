/*
 * why: a row for each cause: what the two ends know, and whose it is, in what words. The facts are
 * written as changes of two documents, as boards tell them.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "mesh/why.h"

/* Two houses, each behind its own router; a relay carries; nothing else is known. */
static const char base[] =
	"{\"version\":\"0.1.0\",\"self\":\"up\",\"seq\":7,\"time_s\":1800000000,"
	"\"coordinator\":true,\"udp4\":\"yes\",\"udp6\":\"unknown\",\"proxy\":false,"
	"\"mapping\":\"same\",\"filtering\":\"unknown\",\"portmap\":\"unknown\",\"relays\":1,"
	"\"bound\":1,\"way\":\"relayed\",\"relay\":9,\"relay_tcp\":false,\"rtt_us\":41000,"
	"\"mtu\":0,\"since_s\":300,\"search_s\":300,\"knows\":2,\"heard_s\":1,"
	"\"handshake_s\":60,\"pong_s\":1,\"ping4_sent_s\":3,\"absent\":false,\"node\":0,"
	"\"about\":0,\"addresses\":[],\"outside\":[]}";
#define HERE                                                             \
	"{\"node\":1,\"about\":2,\"addresses\":[\"192.168.1.5:41741\"]," \
	"\"outside\":[\"203.0.113.1:41741\"]}"
#define THERE                                                            \
	"{\"node\":2,\"about\":1,\"addresses\":[\"192.168.7.7:41741\"]," \
	"\"outside\":[\"198.51.100.7:41741\"]}"

enum { NONE = 0, H = WHY_AT_HERE, T = WHY_AT_THERE, B = WHY_AT_BOTH };

static const struct {
	const char *here, *there; /* changes, with ' for "; @there NULL: nothing is known of it */
	enum why_missing missing;
	enum why_cause cause;
	unsigned at;
	const char *says, *mends; /* in sentence and fix; NULL: no fix at all */
} rows[] = {
	/* --- directly --- */
	{ "'way':'direct','endpoint':'192.168.1.7:41741','rtt_us':600,'mtu':1420",
		"'addresses':['192.168.1.7:41741']", 0, WHY_DIRECT_LAN, NONE,
		"pi3 is direct at 192.168.1.7:41741, 0.6 ms: both are on one network", NULL },
	{ "'way':'direct','endpoint':'10.9.0.7:41741'", "", 0, WHY_DIRECT_LAN, NONE, "one network",
		NULL }, /* routed, within a house */
	{ "'way':'direct','endpoint':'198.51.100.7:41741'", "'endpoint':'203.0.113.1:41741'", 0,
		WHY_DIRECT_NAT, NONE, "opened from inside", NULL },
	{ "'way':'direct','endpoint':'100.64.0.7:41741'", "'endpoint':'100.64.0.5:41741'", 0,
		WHY_DIRECT_NAT, NONE, "opened from inside", NULL },
	{ "'way':'direct','endpoint':'198.51.100.7:41741'",
		"'addresses':['198.51.100.7:41741'],'endpoint':'203.0.113.1:41741'", 0,
		WHY_DIRECT_PUBLIC, T, "pi3 can be reached at a public address", NULL },
	{ "'way':'direct','endpoint':'198.51.100.7:5','addresses':['203.0.113.1:41741']", "", 0,
		WHY_DIRECT_PUBLIC, H, "n100 can be reached at a public address", NULL },
	{ "'way':'direct','endpoint':'198.51.100.7:5','addresses':['203.0.113.1:41741']", NULL,
		WHY_MISSING_OLD, WHY_DIRECT_PUBLIC, H, "n100 can be reached", NULL },
	{ "'way':'direct','endpoint':'198.51.100.7:5','addresses':['203.0.113.1:41741']",
		"'addresses':['198.51.100.7:5'],'endpoint':'203.0.113.1:41741'", 0,
		WHY_DIRECT_PUBLIC, B, "n100 and pi3 can be reached", NULL },
	{ "'way':'direct','endpoint':'198.51.100.7:5','addresses':['203.0.113.9:41741']",
		"'endpoint':'203.0.113.1:41741'", 0, WHY_DIRECT_NAT, NONE, "opened from inside",
		NULL }, /* it has one, by which it is not reached */
	{ "'way':'direct','endpoint':'198.51.100.7:41741','addresses':['198.51.100.5:41741']",
		"'endpoint':'198.51.100.5:41741'", 0, WHY_DIRECT_PUBLIC, H, "n100 can be reached",
		NULL }, /* a neighbour's router is no LAN of ours */
	{ "'way':'direct','endpoint':'198.51.100.7:41741','portmap':'mapped','portmap_by':'PCP'",
		"'endpoint':'203.0.113.1:41741'", 0, WHY_DIRECT_MAPPED, H,
		"the router of n100 mapped a port when asked (PCP)", NULL },
	{ "'way':'direct','endpoint':'198.51.100.7:41741'",
		"'endpoint':'203.0.113.1:41741','portmap':'mapped'", 0, WHY_DIRECT_MAPPED, T,
		"the router of pi3 mapped a port when asked", NULL },
	{ "'way':'direct','endpoint':'198.51.100.7:41741','portmap':'mapped'",
		"'endpoint':'203.0.113.1:41741','portmap':'mapped','portmap_by':'UPnP'", 0,
		WHY_DIRECT_MAPPED, B, "the routers of n100 and pi3 mapped a port when asked",
		NULL },
	{ "'way':'direct','endpoint':'198.51.100.7:5','portmap':'mapped'",
		"'endpoint':'203.0.113.1:5','portmap':'mapped'", 0, WHY_DIRECT_NAT, NONE,
		"opened from inside", NULL }, /* by other ports */
	{ "'way':'direct','endpoint':'203.0.113.1:6000'",
		"'outside':['203.0.113.1:6000'],'endpoint':'203.0.113.1:41741'", 0,
		WHY_DIRECT_HAIRPIN, NONE, "behind one router, which turns packets around", NULL },
	{ "'way':'direct','endpoint':'198.51.100.9:6000'", "'outside':['203.0.113.1:6000']", 0,
		WHY_DIRECT_NAT, NONE, "opened from inside", NULL },
	{ "'way':'direct','endpoint':'[2001:db8:7::7]:41741'", "", 0, WHY_DIRECT_IPV6, NONE,
		"both have IPv6", NULL },
	{ "'way':'direct','endpoint':'[2001:db8:7::7]:41741','addresses':['[2001:db8:7::5]:41741']",
		"'addresses':['[2001:db8:7::7]:41741']", 0, WHY_DIRECT_LAN, NONE, "one network",
		NULL },
	{ "'way':'direct','endpoint':'192.168.1.7:41741'", NULL, WHY_MISSING_OLD, WHY_DIRECT_LAN,
		NONE, "one network", NULL },

	/* --- by a relay --- */
	{ "'udp4':'no','proxy':true,'relay_tcp':true", "", 0, WHY_ONLY_PROXY, H,
		"pi3 is relayed by vps (TCP), 41 ms: no UDP gets out of the network of n100, whose "
		"way out is a proxy",
		"port 3478 of vps" },
	{ "", "'udp4':'no','proxy':true,'relay_tcp':true", 0, WHY_ONLY_PROXY, T,
		"the network of pi3, whose way out", "UDP" },
	{ "'udp4':'no','proxy':true", "'udp4':'no','proxy':true", 0, WHY_ONLY_PROXY, B,
		"the network of n100 and pi3, whose way out", "UDP" },
	{ "'udp4':'no'", "'udp4':'no','proxy':true", 0, WHY_UDP_BLOCKED, B,
		"the network of n100 and pi3", "UDP" }, /* without proxies nothing is better */
	{ "'udp4':'no','udp6':'no','relay_tcp':true", "", 0, WHY_UDP_BLOCKED, H,
		"no UDP gets out of the network of n100", "let UDP out there" },
	{ "", "'udp4':'no'", 0, WHY_UDP_BLOCKED, T, "the network of pi3", "UDP" },
	{ "'udp4':'no'", "'udp4':'no'", 0, WHY_UDP_BLOCKED, B, "the network of n100 and pi3",
		"UDP" },
	{ "'udp4':'no'", NULL, WHY_MISSING_OLD, WHY_UDP_BLOCKED, H, "the network of n100", "UDP" },
	{ "'udp4':'no'", "'udp4':'unknown','udp6':'yes','addresses':['[2001:db8:9::5]:41741']", 0,
		WHY_UDP_BLOCKED, H, "the network of n100", "let UDP out there by IPv6" },
	{ "'ping4_answered_s':8", "", 0, WHY_DIRECT_LOST, NONE, "stopped answering", NULL },
	{ "'search_s':4,'since_s':5", "", 0, WHY_SEARCHING, NONE, "looked for for 4 s", NULL },
	{ "'search_s':8,'since_s':8", "", 0, WHY_UNEXPLAINED, NONE, "neither end knows",
		"netcheck" },
	{ "'search_s':0,'since_s':90", "", 0, WHY_UNEXPLAINED, NONE, "neither end knows",
		"netcheck" }, /* it has begun anew */
	{ "'search_s':19,'since_s':19", "'mapping':'random'", 0, WHY_SEARCHING, NONE, "looked for",
		NULL },
	{ "'search_s':20,'since_s':20", "'mapping':'random'", 0, WHY_HARD_NAT, T, "pi3 maps",
		"UPnP" },
	{ "'knows':0", "", 0, WHY_NO_ADDRESS, T, "pi3 announces no address", "on pi3" },
	{ "'udp4':'unknown','udp6':'yes','addresses':['[2001:db8:1::5]:41741']", "", 0,
		WHY_NO_COMMON_FAMILY, T, "n100 has only IPv6, and pi3 only IPv4", "give pi3 IPv6" },
	{ "'udp6':'no','addresses':['[2001:db8:1::5]:41741','192.168.1.5:41741']",
		"'udp4':'no','udp6':'yes','addresses':['[2001:db8:9::5]:41741']", 0,
		WHY_NO_COMMON_FAMILY, H, "pi3 has only IPv6, and n100 only IPv4",
		"give n100 IPv6" },
	{ "'search_s':1,'since_s':1",
		"'udp4':'no','udp6':'yes','addresses':['192.168.7.7:1','[2001:db8:9::5]:1']", 0,
		WHY_IPV4_BLOCKED, T,
		"no UDP gets out of the network of pi3 by IPv4, and n100 has nothing else",
		"mend IPv4 at the router of pi3, or give the other board IPv6" },
	{ "", "'ping4_heard_s':2", 0, WHY_FIREWALL, H,
		"nothing that pi3 sends gets in at n100: a firewall on n100", "in at n100" },
	{ "'ping4_heard_s':2", "", 0, WHY_FIREWALL, T,
		"nothing that n100 sends gets in at pi3: a firewall on pi3", "in at pi3" },
	{ "'mapping':'random'", "'mapping':'none','addresses':['198.51.100.7:41741']", 0,
		WHY_FIREWALL, T, "gets in at pi3", "in at pi3" }, /* the NAT would not matter */
	{ "'addresses':['203.0.113.1:41741']", "'addresses':['198.51.100.7:41741']", 0,
		WHY_FIREWALL, B, "nothing that the other sends gets in at n100 and pi3",
		"in at n100 and pi3" },
	{ "'addresses':['203.0.113.1:41741']", "'addresses':['203.0.113.7:41741'],'outside':[]", 0,
		WHY_ISOLATED, B, "carries nothing",
		"AP isolation" }, /* whatever addresses it has */
	{ "'mapping':'random','ping4_sent_s':120",
		"'mapping':'none','addresses':['198.51.100.7:41741'],'ping4_heard_s':200", 0,
		WHY_FIREWALL, T, "gets in at pi3", "in at pi3" }, /* it is sent seldom */
	{ "'mapping':'random','ping4_sent_s':120",
		"'addresses':['198.51.100.7:41741'],'ping4_sent_s':null,'ping4_heard_s':110", 0,
		WHY_UNEXPLAINED, NONE, "neither end knows", "netcheck" }, /* it arrived */
	{ "'portmap':'mapped'", "'mapping':'random'", 0, WHY_FIREWALL, H, "gets in at n100",
		"in at n100" },
	{ "'ping6_sent_s':3,'ping6_heard_s':3,'addresses':['[2001:db8:1::5]:41741']",
		"'ping6_sent_s':3,'addresses':['[2001:db8:9::5]:41741']", 0, WHY_IPV6_FIREWALL, T,
		"no IPv6 that n100 sends gets in at pi3", "IPv6 address of pi3" },
	{ "'outside':[]", "'outside':[],'addresses':['192.168.1.7:41741']", 0, WHY_ISOLATED, B,
		"carries nothing", "AP isolation" },
	{ "", "'addresses':['192.168.1.7:41741'],'outside':['203.0.113.1:6000']", 0, WHY_ISOLATED,
		B, "carries nothing", "AP isolation" },
	{ "'router':'02:00:00:00:00:01'",
		"'addresses':['192.168.1.7:41741'],'outside':['203.0.113.1:6000'],"
		"'router':'02:00:00:00:00:01'",
		0, WHY_ISOLATED, B, "carries nothing", "AP isolation" },
	{ "'router':'02:00:00:00:00:01'",
		"'addresses':['192.168.1.7:41741'],'outside':['203.0.113.1:6000'],"
		"'router':'02:00:00:00:00:02'",
		0, WHY_NO_HAIRPIN, B, "both are behind one NAT",
		"or give both boards IPv6" }, /* a carrier's; LANs are called so everywhere */
	{ "", "'outside':['203.0.113.1:6000']", 0, WHY_NO_HAIRPIN, B, "both are behind one NAT",
		"hairpin" },
	{ "'mapping':'random'", "'mapping':'counting'", 0, WHY_HARD_BOTH, B, "the routers of both",
		"UPnP at one of the two routers, or give both boards IPv6" },
	{ "'mapping':'random','udp6':'yes'", "'mapping':'counting'", 0, WHY_HARD_BOTH, B,
		"the routers of both", "or give pi3 IPv6" },
	{ "'mapping':'random','udp6':'yes'", "'mapping':'random','udp6':'yes'", 0, WHY_HARD_BOTH, B,
		"the routers of both", "or let UDP by IPv6 in at one of them" },
	{ "", "'mapping':'random','gateway':'100.64.3.4','portmap':'behind'", 0, WHY_CGNAT, T,
		"pi3 is behind the NAT of a carrier",
		"at the router of the other board, ask the provider of pi3 for a public" },
	{ "'mapping':'random','addresses':['100.64.3.4:41741']", "", 0, WHY_CGNAT, H,
		"n100 is behind the NAT of a carrier", "the provider of n100" },
	{ "", "'mapping':'random','gateway':'192.168.0.3','portmap':'behind'", 0, WHY_DOUBLE_NAT, T,
		"pi3 is behind two NATs", "before pi3" },
	{ "", "'mapping':'random','portmap':'none'", 0, WHY_HARD_NAT, T,
		"the router of pi3 (house attic) maps a new port for each destination and offers "
		"no port mapping",
		"switch on UPnP at the router of pi3 (house attic), or give both boards IPv6" },
	{ "'udp6':'yes'", "'mapping':'random'", 0, WHY_HARD_NAT, T, "the router of pi3",
		"or give pi3 IPv6" },
	{ "", "'mapping':'random','udp6':'yes'", 0, WHY_HARD_NAT, T, "the router of pi3",
		"or give the other board IPv6" },
	{ "'mapping':'counting','portmap':'refused'", "", 0, WHY_HARD_NAT, H,
		"the router of n100 (house home) maps a new port for each destination and refuses",
		"UPnP at the router of n100" },
	{ "'mapping':'random','portmap':'off'", "", 0, WHY_HARD_NAT, H, "by configuration",
		"switch port mapping on in /etc/hearth/hearthd.yaml of n100" },
	{ "'mapping':'random'", NULL, WHY_MISSING_OLD, WHY_HARD_NAT, H, "the router of n100",
		"n100" },
	{ "'udp6':'no','addresses':['192.168.1.5:41741','[2001:db8:1::5]:41741']",
		"'udp6':'yes','addresses':['192.168.7.7:41741','[2001:db8:9::5]:41741']", 0,
		WHY_IPV6_BLOCKED, H, "n100 has an IPv6 address", "the router of n100" },
	{ "", "'version':'0.3.0'", 0, WHY_VERSIONS, H, "versions", "update Hearth on n100" },
	{ "'version':'1.0.0'", "'version':'0.9.0'", 0, WHY_VERSIONS, T, "versions", "on pi3" },
	{ "", "'version':'0.2.7'", 0, WHY_UNEXPLAINED, NONE, "neither end knows",
		"hearth netcheck" },
	{ "", NULL, WHY_MISSING_REFUSED, WHY_UNEXPLAINED, NONE, "neither end knows",
		"hearth netcheck" },
	{ "'mapping':'random','ping4_heard_s':2", "'portmap':'mapped','ping4_heard_s':2", 0,
		WHY_UNEXPLAINED, NONE, "neither end knows",
		"hearth netcheck" }, /* a hard NAT would be no hindrance */

	/* --- not at all --- */
	{ "'self':'removed','way':'direct'", NULL, 0, WHY_OWN_REMOVED, H,
		"pi3 is not reached: this board was removed", "hearth token create" },
	{ "'self':'replaced'", NULL, 0, WHY_OWN_REPLACED, H, "in this board's place", "--replace" },
	{ "'self':'waiting'", NULL, 0, WHY_OWN_WAITING, H, "no log of the mesh", "hearth status" },
	{ "'way':'none','addresses':[],'heard_s':90", NULL, WHY_MISSING_SILENT, WHY_OWN_OFFLINE, H,
		"this board has no network", "cable" },
	{ "'way':'none','heard_s':null,'handshake_s':null,'since_s':20", NULL, WHY_MISSING_SILENT,
		WHY_KEYS, T, "no tunnel to it comes up", "--replace pi3" },
	{ "'way':'none','heard_s':null,'pong_s':null,'handshake_s':null,'knows':0", NULL,
		WHY_MISSING_SILENT, WHY_NEVER_SEEN, T, "told nobody where it is", "on pi3" },
	{ "'way':'none','heard_s':900,'pong_s':900", NULL, WHY_MISSING_SILENT, WHY_PEER_OFF, T,
		"it is off, or has no network: nothing was heard of it for 15 min",
		"switch pi3 on" },
	{ "'way':'none','heard_s':null,'pong_s':null", NULL, WHY_MISSING_SILENT, WHY_PEER_OFF, T,
		"nothing was heard of it since hearthd was started here", "switch pi3 on" },
	{ "'heard_s':9,'pong_s':9", NULL, WHY_MISSING_SILENT, WHY_PEER_OFF, T, "for 9 s",
		"switch pi3 on" }, /* the tunnel hopes still */
	{ "'way':'none','heard_s':900,'pong_s':900,'bound':0", NULL, WHY_MISSING_SILENT,
		WHY_RELAY_SILENT, H, "no relay answers this board", "whether vps is on" },
	{ "'way':'none','heard_s':900,'pong_s':900,'relays':0,'bound':0", NULL, WHY_MISSING_SILENT,
		WHY_NO_RELAY, NONE, "the mesh has no relay", "hearth relay enable" },
};

static const char *part_of(json_t *json, const char *changes)
{
	static char text[1024];
	json_error_t error;
	json_t *more;

	(void) snprintf(text, sizeof(text), "{%s}", changes);
	for (char *p = text; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	more = json_loads(text, 0, &error);
	if (!more || json_object_update(json, more) < 0)
		fail_msg("%s: %s", text, error.text);
	json_decref(more);
	return text;
}

static void read_facts(const char *who, const char *changes, struct why_facts *ret)
{
	CLEANUP_JSON json_t *json = json_loads(base, 0, NULL), *own = json_loads(who, 0, NULL);
	struct err err = { 0 };

	assert_int_equal(json_object_update(json, own), 0);
	(void) part_of(json, changes);
	if (why_facts_from_json(json, ret, &err) < 0)
		fail_msg("%s: %s", changes, err.text);
}

static struct endpoint announced[2];
static struct why_facts here, there;

/* n100 in house home, and pi3 in house attic where it is known that there are two. */
static struct why_case case_of(size_t i)
{
	struct why_case c = { .here = { .name = "n100", .facts = &here },
		.there = { .name = "pi3" },
		.missing = rows[i].missing,
		.relay = "vps" };

	read_facts(HERE, rows[i].here, &here);
	if (rows[i].there) {
		read_facts(THERE, rows[i].there, &there);
		c.there.facts = &there;
	}
	if (strstr(rows[i].says, "house") || strstr(rows[i].mends ? rows[i].mends : "", "house")) {
		c.here.site = "home";
		c.there.site = "attic";
	}
	return c;
}

static void assert_has(const char *text, const char *words, size_t i)
{
	if (!strstr(text, words))
		fail_msg("row %zu: \"%s\" is not in: %s", i, words, text);
}

/* The fix names who has to do something, and nobody else. */
static void assert_names(const struct why_verdict *v, unsigned at, size_t i)
{
	if (at == T && !strstr(v->fix, "pi3"))
		assert_has(v->sentence, "pi3", i);
	if (at == T && strstr(v->fix, "n100"))
		fail_msg("row %zu blames n100: %s", i, v->fix);
	if (at == H && strstr(v->fix, "pi3"))
		fail_msg("row %zu blames pi3: %s", i, v->fix);
}

static void test_rows(void **state)
{
	bool seen[WHY_CAUSES] = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct why_case c = case_of(i);
		struct why_finding finding;
		struct why_verdict v;

		why_find(&c, &finding);
		why_tell(&c, &finding, &v);
		if (finding.cause != rows[i].cause || finding.at != rows[i].at)
			fail_msg("row %zu (%s): %s at %u, not %s at %u", i, rows[i].says,
				why_cause_name(finding.cause), finding.at,
				why_cause_name(rows[i].cause), rows[i].at);
		seen[finding.cause] = true;
		assert_has(v.sentence, rows[i].says, i);
		assert_has(v.fix, rows[i].mends ? rows[i].mends : "", i);
		if (!rows[i].mends)
			assert_string_equal(v.fix, "");
		if (finding.way == WHY_WAY_RELAYED)
			assert_names(&v, finding.at, i);
		assert_null(strpbrk(v.sentence, "{}"));
		assert_null(strpbrk(v.fix, "{}"));
	}
	seen[WHY_REMOVED] = seen[WHY_OTHER_CUT_OFF] = seen[WHY_HEARTHD_OFF] = true; /* below */
	for (enum why_cause cause = 0; cause < WHY_CAUSES; cause++)
		if (!seen[cause])
			fail_msg("no row is about %s", why_cause_name(cause));
}

/* --- what is known beside the facts of two ends --- */

static struct why_case silent_case(const char *changes)
{
	read_facts(HERE, changes, &here);
	return (struct why_case){ .here = { .name = "n100", .facts = &here },
		.there = { .name = "pi3" },
		.missing = WHY_MISSING_SILENT,
		.relay = "vps" };
}

#define SILENT "'way':'none','heard_s':900,'pong_s':900"

static struct why_verdict verdict_of(const struct why_case *c, enum why_cause cause)
{
	struct why_finding finding;
	struct why_verdict v;

	why_find(c, &finding);
	assert_string_equal(why_cause_name(finding.cause), why_cause_name(cause));
	why_tell(c, &finding, &v);
	return v;
}

static bool has_evidence(const struct why_verdict *v, const char *words)
{
	for (size_t i = 0; i < v->n_evidence; i++)
		if (strstr(v->evidence[i], words))
			return true;
	return false;
}

static void test_removed(void **state)
{
	struct why_case c = silent_case("");
	struct why_verdict v;

	c.removed = true;
	v = verdict_of(&c, WHY_REMOVED);
	assert_string_equal(v.sentence, "pi3 is not reached: it was removed from the mesh");
}

/* Its machine is on: is it Hearth that is not, or its firewall? */
static void test_echo(void **state)
{
	struct why_case c = silent_case(SILENT);
	struct why_witness w = { .name = "pi4", .way = WHY_WAY_DIRECT, .heard_s = 2 };
	struct why_verdict v;

	assert_int_equal(ip_addr_parse("192.168.1.7", &c.echo), 0);
	(void) verdict_of(&c, WHY_PEER_OFF); /* that may be anybody's machine, in our house */
	announced[0].addr = c.echo;
	announced[0].port = 41741;
	c.announced = announced;
	c.n_announced = 1;
	v = verdict_of(&c, WHY_HEARTHD_OFF);
	assert_non_null(strstr(v.sentence, "answers at 192.168.1.7, and Hearth on it does not"));
	assert_true(has_evidence(&v, "answers ICMP at 192.168.1.7"));
	c.witnesses = &w;
	c.n_witnesses = 1;
	v = verdict_of(&c, WHY_OTHER_CUT_OFF); /* then Hearth is on there */
	assert_true(has_evidence(&v, "pi4 reaches it directly, heard it 2 s ago"));
}

/* Another board hears it, so it is on. */
static void test_witness(void **state)
{
	struct why_case c = silent_case(SILENT);
	struct why_witness w[] = { { .name = "pi4", .way = WHY_WAY_NONE, .heard_s = WHY_NEVER },
		{ .name = "pi5", .way = WHY_WAY_RELAYED, .heard_s = 70 } };
	struct why_verdict v;

	c.witnesses = w;
	c.n_witnesses = 2;
	v = verdict_of(&c, WHY_PEER_OFF); /* neither does at the moment */
	assert_true(has_evidence(&v, "pi4 does not reach it either, heard it never"));
	w[1].heard_s = 29;
	(void) verdict_of(&c, WHY_OTHER_CUT_OFF);
	here.heard_s = 40; /* nobody has heard it lately */
	(void) verdict_of(&c, WHY_PEER_OFF);
	here.heard_s = WHY_NEVER;
	here.bound = 0;
	(void) verdict_of(&c, WHY_RELAY_SILENT); /* it is our own relay that is missing */
	here.relays = 0;
	(void) verdict_of(&c, WHY_NO_RELAY);
}

/* Where it is at home on our LAN, no relay would help. */
static void test_announced(void **state)
{
	struct why_case c = silent_case(SILENT ",'relays':0,'bound':0");

	c.announced = announced;
	c.n_announced = 1;
	assert_int_equal(endpoint_parse("192.168.1.7:41741", &announced[0]), 0);
	assert_int_equal(endpoint_parse("198.51.100.7:41741", &announced[1]), 0);
	(void) verdict_of(&c, WHY_PEER_OFF);
	c.n_announced = 2; /* a house that calls its LAN as ours is called */
	(void) verdict_of(&c, WHY_NO_RELAY);
	announced[1].addr = here.outside[0].addr;
	(void) verdict_of(&c, WHY_PEER_OFF);
	c.here.site = "home";
	c.there.site = "attic";
	(void) verdict_of(&c, WHY_NO_RELAY);
	c.there.site = "home";
	(void) verdict_of(&c, WHY_PEER_OFF);
}

/* A tunnel needs its time. */
static void test_keys_need_time(void **state)
{
	struct why_case c = silent_case("'way':'none','heard_s':null,'handshake_s':null,"
					"'since_s':9");

	(void) verdict_of(&c, WHY_PEER_OFF);
	here.since_s = 10;
	(void) verdict_of(&c, WHY_KEYS);
	here.handshake_s = 170;
	(void) verdict_of(&c, WHY_PEER_OFF);
}

/* One that does not answer the question is reached all the same if its tunnel does. */
static void test_busy(void **state)
{
	struct why_case c = silent_case("'heard_s':3,'mapping':'random'");
	struct why_verdict v = verdict_of(&c, WHY_HARD_NAT);

	assert_true(has_evidence(&v, "only this board's end is known: pi3 does not answer"));
	here.heard_s = 4;
	(void) verdict_of(&c, WHY_PEER_OFF);
}

static void test_evidence(void **state)
{
	struct why_case c;
	struct why_verdict v;

	read_facts(HERE, "'mtu':1280,'seq':5,'portmap':'none','portmap_by':'UPnP'", &here);
	read_facts(THERE, "'mapping':'random','time_s':1800000100,'version':'0.2.0','udp6':'no'",
		&there);
	c = (struct why_case){ .here = { .name = "n100", .facts = &here },
		.there = { .name = "pi3", .facts = &there },
		.relay = "vps" };
	v = verdict_of(&c, WHY_HARD_NAT);
	assert_true(has_evidence(&v,
		"the tunnel heard pi3 1 s ago, last handshake 60 s ago; packets of 1280 bytes "
		"fit"));
	assert_true(has_evidence(&v,
		"n100: UDP by IPv4 gets out, its NAT keeps one port (easy), seen from outside at "
		"203.0.113.1:41741, its router offers no port mapping (UPnP)"));
	assert_true(has_evidence(&v,
		"pi3: UDP by IPv4 gets out, UDP by IPv6 is not answered, its NAT takes another"));
	assert_true(has_evidence(&v,
		"n100: last ping to IPv4 addresses of pi3 3 s ago, last answer never, last ping "
		"from there never"));
	assert_true(has_evidence(&v, "the clock of n100 is 100 s behind that of pi3"));
	assert_true(has_evidence(&v, "pi3 has record 7 of the log, and n100 only 5"));
	assert_true(has_evidence(&v, "n100 runs version 0.1.0, pi3 version 0.2.0"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_removed),
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_witness),
		cmocka_unit_test(test_announced),
		cmocka_unit_test(test_keys_need_time),
		cmocka_unit_test(test_busy),
		cmocka_unit_test(test_evidence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
