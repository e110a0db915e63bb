/*
 * Pure. Every value in the text is an address we formatted or an interface name that the kernel or
 * our configuration's check accepted; names are quoted and those with odd characters left out. No
 * chain is called by a word of nft's: `tunnel` is one in some versions.
 */
#include "node/firewall.h"

#include <stdio.h>
#include <string.h>

#include "base/names.h"
#include "board/links.h"
#include "board/config.h"
#include "wire/node.h"

enum { MEMORY_SIZE = 1024 };

/* nft takes letters, digits and few other signs: the rest is written as _HEX, so is '_'. */
const char *firewall_table(const char *ifname, char ret[static FIREWALL_TABLE_MAX])
{
	size_t at = (size_t) snprintf(ret, FIREWALL_TABLE_MAX, "hearth");

	if (!strcmp(ifname, NAMES_LINK_DEFAULT))
		return ret;
	ret[at++] = '_';
	for (; *ifname && at < FIREWALL_TABLE_MAX - 4; ifname++) {
		bool plain = (*ifname >= 'a' && *ifname <= 'z') ||
			     (*ifname >= 'A' && *ifname <= 'Z') ||
			     (*ifname >= '0' && *ifname <= '9');

		at += (size_t) snprintf(ret + at, FIREWALL_TABLE_MAX - at, plain ? "%c" : "_%02x",
			(unsigned char) *ifname);
	}
	ret[at] = 0;
	return ret;
}

void firewall_add_removal(const char *ifname, struct buf *ret)
{
	char table[FIREWALL_TABLE_MAX];

	(void) firewall_table(ifname, table);
	buf_printf(ret, "add table inet %s\ndelete table inet %s\n", table, table);
}

static bool name_is_plain(const char *name)
{
	return name[0] && name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					    "0123456789_.-@:")] == 0;
}

static bool has_pods(const struct firewall *f)
{
	return f->own_pods4.addr.family && f->own_pods6.addr.family;
}

/*
 * What is wrong for a stranger: only links that another program makes for its containers may do it.
 */
static void add_strangers(const struct firewall *f, struct buf *ret)
{
	buf_add_str(ret, "\tchain strangers {\n\t\tiifname @outside counter drop\n");
	for (const char *const *p = links_inside_patterns; *p; p++)
		buf_printf(ret, "\t\tiifname \"%s\" accept\n", *p);
	buf_add_str(ret, "\t\tcounter drop\n\t}\n");
}

/* A rule about pods' links, where this board runs pods. */
static void add_if_pods(const struct firewall *f, const char *rule, struct buf *ret)
{
	if (has_pods(f))
		buf_printf(ret, "\t\t%s\n", rule);
}

/* What the rules say of one family: "ip" or "ip6". */
struct family {
	const char *ip;
	int number;
	const char *pods_mask; /* of one board's */
	const struct ip_addr *own;
	const struct ip_prefix *own_pods, *mesh, *pods, *services;
};

static void families(const struct firewall *f, struct family ret[static 2])
{
	ret[0] = (struct family){ "ip", 4, "255.255.255.0", &f->own4, &f->own_pods4, &f->mesh4,
		&f->pods4, &f->services4 };
	ret[1] = (struct family){ "ip6", 6, "ffff:ffff:ffff:ffff::", &f->own6, &f->own_pods6,
		&f->mesh6, &f->pods6, &f->services6 };
}

_Static_assert(NODE_PODS4_LEN == 24 && NODE_PODS6_LEN == 64, "as pods_mask has it");

/*
 * Who did wrong within the hour, for hearthd to tell (no more of them than there are boards, or
 * pods here). A full set ends a rule, so what it stands in decides nothing.
 */
static void add_memory(const char *name, const char *type, struct buf *ret)
{
	buf_printf(ret,
		"\tset %s {\n\t\ttype %s\n\t\tsize %d\n\t\tflags dynamic,timeout\n\t\ttimeout "
		"1h\n\t}\n",
		name, type, MEMORY_SIZE);
}

/*
 * A peer's source is checked where its packet is decrypted; here, that it is for us and not for
 * what lies behind us. What this board itself multicasts comes back to it this way. What is there
 * for boards is not for pods. Nobody is remembered for an error: the tunnel's own
 * word that a peer is out of reach comes from that peer's address, to whatever address a program
 * here sent from.
 */
static void add_from_mesh(
	const struct firewall *f, const struct family both[static 2], struct buf *ret)
{
	char own[IP_TEXT_MAX], mesh[PREFIX_TEXT_MAX], pods[PREFIX_TEXT_MAX];

	add_memory(FIREWALL_SENDERS4, "ipv4_addr", ret);
	add_memory(FIREWALL_SENDERS6, "ipv6_addr", ret);
	buf_add_str(ret, "\tchain from_mesh {\n");
	for (size_t i = 0; i < 2 * f->n_closed; i++)
		buf_printf(ret, "\t\t%s saddr %s tcp dport %u counter drop\n", both[i % 2].ip,
			ip_prefix_format(both[i % 2].pods, pods), f->closed[i / 2]);
	for (int i = 0; i < 2; i++) {
		(void) ip_addr_format(both[i].own, own);
		buf_printf(ret, "\t\t%s saddr %s accept\n", both[i].ip, own);
		buf_printf(ret, "\t\t%s daddr { %s", both[i].ip, own);
		if (has_pods(f))
			buf_printf(ret, ", %s", ip_prefix_format(both[i].own_pods, pods));
		buf_add_str(ret, " } accept\n");
	}
	buf_add_str(ret,
		"\t\ticmp type { destination-unreachable, time-exceeded, parameter-problem } "
		"counter drop\n"
		"\t\ticmpv6 type { destination-unreachable, packet-too-big, time-exceeded, "
		"parameter-problem } counter drop\n");
	for (int i = 0; i < 2; i++)
		buf_printf(ret,
			"\t\t%s saddr %s update @senders%d { %s saddr }\n"
			"\t\t%s saddr %s update @senders%d { %s saddr & %s }\n",
			both[i].ip, ip_prefix_format(both[i].mesh, mesh), both[i].number,
			both[i].ip, both[i].ip, ip_prefix_format(both[i].pods, pods),
			both[i].number, both[i].ip, both[i].pods_mask);
	buf_add_str(ret, "\t\tcounter drop\n\t}\n");
}

/*
 * The plugin's host routes say which addresses live behind a link. A pod that has no address yet
 * asks its link whether somebody has the one it wants. 127.0.0.1 would be the board's own where a
 * plugin chained behind ours (portmap) has set route_localnet on the link.
 */
static void add_pods(const struct firewall *f, const struct family both[static 2], struct buf *ret)
{
	char own[IP_TEXT_MAX];

	add_memory(FIREWALL_LIARS, "ifname", ret);
	buf_add_str(ret, "\tchain lies {\n"
			 "\t\tip6 saddr fe80::/10 counter drop\n"
			 "\t\tupdate @liars { iifname }\n"
			 "\t\tcounter drop\n"
			 "\t}\n"
			 "\tchain pods {\n"
			 "\t\tip6 saddr :: ip6 daddr ff02::/16 accept\n"
			 "\t\tfib saddr . iif oif missing goto lies\n"
			 "\t\tip daddr 127.0.0.0/8 counter drop\n");
	for (size_t i = 0; i < 2 * f->n_closed; i++)
		buf_printf(ret, "\t\t%s daddr %s tcp dport %u counter drop\n", both[i % 2].ip,
			ip_addr_format(both[i % 2].own, own), f->closed[i / 2]);
	buf_add_str(ret, "\t}\n");
}

/*
 * A network whose own addresses are in the services' range keeps its way to this board. Services
 * are translated where pods run; elsewhere there is nothing to guard, and no need of a kernel that
 * has fib.
 */
static void add_guard_family(const struct firewall *f, const struct family *family, struct buf *ret)
{
	char mesh[PREFIX_TEXT_MAX], pods[PREFIX_TEXT_MAX], services[PREFIX_TEXT_MAX];

	(void) ip_prefix_format(family->mesh, mesh);
	(void) ip_prefix_format(family->pods, pods);
	for (int to = 0; to < 2; to++)
		buf_printf(ret, "\t\t%s %caddr { %s, %s } goto strangers\n", family->ip,
			to ? 'd' : 's', mesh, pods);
	if (has_pods(f))
		buf_printf(ret, "\t\t%s daddr %s fib daddr . iif type != local goto strangers\n",
			family->ip, ip_prefix_format(family->services, services));
}

static void add_guard(const struct firewall *f, const struct family both[static 2], struct buf *ret)
{
	buf_printf(ret,
		"\tchain guard {\n"
		"\t\ttype filter hook prerouting priority raw; policy accept;\n"
		"\t\tiifname \"%s\" goto from_mesh\n",
		f->interface);
	add_if_pods(f, "iifname \"" NAMES_POD_LINK "*\" goto pods", ret);
	buf_add_str(ret, "\t\tiifname @inside accept\n");
	for (int i = 0; i < 2; i++)
		add_guard_family(f, &both[i], ret);
	buf_add_str(ret, "\t}\n");
}

/*
 * A container of others may send, but not as the mesh or a pod: what it sends to this board, to a
 * pod or into the tunnel has a source that lives behind its link; where no pods run, none does.
 * (What a bridge carries from port to port is not looked at: it goes to none of these.)
 */
static void add_sources(
	const struct firewall *f, const struct family both[static 2], struct buf *ret)
{
	char mesh[PREFIX_TEXT_MAX], pods[PREFIX_TEXT_MAX];

	buf_add_str(ret, "\tchain sources {\n");
	for (int i = 0; i < 2; i++)
		buf_printf(ret, "\t\t%s saddr { %s, %s } %sgoto strangers\n", both[i].ip,
			ip_prefix_format(both[i].mesh, mesh), ip_prefix_format(both[i].pods, pods),
			has_pods(f) ? "fib saddr . iif oif missing " : "");
	buf_printf(ret,
		"\t}\n"
		"\tchain to_board {\n"
		"\t\ttype filter hook input priority raw; policy accept;\n"
		"\t\tiifname { \"lo\", \"%s\" } accept\n",
		f->interface);
	add_if_pods(f, "iifname \"" NAMES_POD_LINK "*\" accept", ret);
	buf_printf(ret,
		"\t\tgoto sources\n"
		"\t}\n"
		"\tchain to_mesh {\n"
		"\t\ttype filter hook forward priority raw; policy accept;\n"
		"\t\tiifname \"%s\" accept\n",
		f->interface);
	add_if_pods(f, "iifname \"" NAMES_POD_LINK "*\" accept", ret);
	buf_printf(ret, "\t\toifname \"%s\" goto sources\n", f->interface);
	add_if_pods(f, "oifname \"" NAMES_POD_LINK "*\" goto sources", ret);
	buf_add_str(ret, "\t}\n");
}

/* After kube-proxy's DNAT a pod that called itself would leave by the link it came from. */
static void add_hairpin(const struct firewall *f, struct buf *ret)
{
	buf_printf(ret,
		"\tchain hairpin {\n"
		"\t\ttype filter hook prerouting priority dstnat + 1; policy accept;\n"
		"\t\tiifname \"" NAMES_POD_LINK
		"*\" ct status dnat ct direction original fib daddr . iif oif "
		"exists "
		"meta mark set meta mark | 0x%x\n"
		"\t}\n",
		FIREWALL_MARK);
}

static void add_masquerade(const struct firewall *f, struct buf *ret)
{
	char own[PREFIX_TEXT_MAX], mesh[PREFIX_TEXT_MAX], pods[PREFIX_TEXT_MAX],
		services[PREFIX_TEXT_MAX];

	buf_printf(ret,
		"\tchain postrouting {\n"
		"\t\ttype nat hook postrouting priority srcnat; policy accept;\n"
		"\t\tmeta mark & 0x%x == 0x%x masquerade\n",
		FIREWALL_MARK, FIREWALL_MARK);
	buf_printf(ret,
		"\t\tip saddr %s ip daddr != { %s, %s, %s, 224.0.0.0/4, 255.255.255.255 } "
		"masquerade\n",
		ip_prefix_format(&f->own_pods4, own), ip_prefix_format(&f->mesh4, mesh),
		ip_prefix_format(&f->pods4, pods), ip_prefix_format(&f->services4, services));
	buf_printf(ret,
		"\t\tip6 saddr %s ip6 daddr != { %s, %s, %s, fe80::/10, ff00::/8 } masquerade\n",
		ip_prefix_format(&f->own_pods6, own), ip_prefix_format(&f->mesh6, mesh),
		ip_prefix_format(&f->pods6, pods), ip_prefix_format(&f->services6, services));
	buf_add_str(ret, "\t}\n");
}

/*
 * Behind masquerade. What connection tracking makes nothing of is not masqueraded, and an address
 * of ours that no pod has leads out by the default route. Answers go to whoever was let in; and
 * pods of another CNI plugin may have addresses of ours behind links of their own.
 */
static void add_leave(const struct firewall *f, const struct family both[static 2], struct buf *ret)
{
	char pods[PREFIX_TEXT_MAX];

	buf_add_str(ret, "\tchain astray {\n\t\toifname @inside accept\n");
	for (const char *const *p = links_inside_patterns; *p; p++)
		buf_printf(ret, "\t\toifname \"%s\" accept\n", *p);
	buf_printf(ret,
		"\t\tcounter drop\n"
		"\t}\n"
		"\tchain leave {\n"
		"\t\ttype filter hook postrouting priority srcnat + 1; policy accept;\n"
		"\t\toifname \"%s\" accept\n"
		"\t\toifname \"" NAMES_POD_LINK "*\" accept\n"
		"\t\tct direction reply accept\n",
		f->interface);
	for (int i = 0; i < 2; i++) {
		(void) ip_prefix_format(both[i].own_pods, pods);
		buf_printf(ret,
			"\t\tiifname \"" NAMES_POD_LINK "*\" %s saddr %s goto astray\n"
			"\t\tiifname \"%s\" %s daddr %s goto astray\n",
			both[i].ip, pods, f->interface, both[i].ip, pods);
	}
	buf_add_str(ret, "\t}\n");
}

/* A rule's maxseg only ever lowers the value, so both directions may be given the route's. */
static void add_clamp(const struct firewall *f, struct buf *ret)
{
	buf_add_str(ret, "\tchain clamp {\n"
			 "\t\ttype filter hook forward priority mangle; policy accept;\n");
	for (int in = 0; in < 2; in++)
		buf_printf(ret,
			"\t\t%sifname \"%s\" tcp flags & (syn | rst) == syn tcp option maxseg size "
			"set rt mtu\n",
			in ? "i" : "o", f->interface);
	buf_add_str(ret, "\t}\n");
}

static void add_links_of(const struct firewall *f, const char *set, const char (*names)[IFNAMSIZ],
	size_t n, struct buf *ret)
{
	char table[FIREWALL_TABLE_MAX];

	for (size_t i = 0; i < n; i++)
		if (name_is_plain(names[i]) && strcmp(names[i], f->interface) != 0)
			buf_printf(ret, "add element inet %s %s { \"%s\" }\n",
				firewall_table(f->interface, table), set, names[i]);
}

/*
 * Other people's containers on the board are let in: a cluster in containers may use the same
 * ranges for itself, and what its bridge carries passes the guard where the bridge asks nftables.
 * Pods' links and a container's own veths are known by their names' beginnings, so that a pod that
 * comes changes nothing here.
 */
void firewall_add_links(const struct firewall *firewall, struct buf *ret)
{
	char table[FIREWALL_TABLE_MAX];

	(void) firewall_table(firewall->interface, table);
	buf_printf(ret,
		"flush set inet %s inside\n"
		"flush set inet %s outside\n"
		"add element inet %s inside { \"lo\" }\n",
		table, table, table);
	add_links_of(firewall, "inside", firewall->inside, firewall->n_inside, ret);
	add_links_of(firewall, "outside", firewall->outside, firewall->n_outside, ret);
}

void firewall_add_rules(const struct firewall *firewall, struct buf *ret)
{
	char table[FIREWALL_TABLE_MAX];
	struct family both[2];

	families(firewall, both);
	firewall_add_removal(firewall->interface, ret);
	buf_printf(ret, "table inet %s {\n", firewall_table(firewall->interface, table));
	buf_add_str(ret, "\tset inside {\n\t\ttype ifname\n\t}\n"
			 "\tset outside {\n\t\ttype ifname\n\t}\n");
	add_strangers(firewall, ret);
	add_from_mesh(firewall, both, ret);
	if (has_pods(firewall))
		add_pods(firewall, both, ret);
	add_guard(firewall, both, ret);
	add_sources(firewall, both, ret);
	if (has_pods(firewall)) {
		add_hairpin(firewall, ret);
		add_masquerade(firewall, ret);
		add_leave(firewall, both, ret);
	}
	add_clamp(firewall, ret);
	buf_add_str(ret, "}\n");
}
