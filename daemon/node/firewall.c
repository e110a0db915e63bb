/*
 * Pure. Every value in the text is an address we formatted or an interface name that the kernel or
 * our configuration's check accepted; names are quoted and those with odd characters left out.
 */
#include "node/firewall.h"

#include <stdio.h>
#include <string.h>

#include "board/links.h"
#include "board/config.h"

/* nft takes letters, digits and few other signs: the rest is written as _HEX, so is '_'. */
const char *firewall_table(const char *ifname, char ret[static FIREWALL_TABLE_MAX])
{
	size_t at = (size_t) snprintf(ret, FIREWALL_TABLE_MAX, "hearth");

	if (!strcmp(ifname, CONFIG_INTERFACE_DEFAULT))
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
 * Other people's containers on the board are left alone: a cluster in containers may use the same ranges
 * for itself. Pods' links and a container's own veths are known by their names' beginnings, so that a
 * pod that comes changes nothing here.
 */
static void add_inside(const struct firewall *f, struct buf *ret)
{
	buf_printf(ret, "\tset inside {\n\t\ttype ifname\n\t\telements = { \"lo\", \"%s\"",
		f->interface);
	for (size_t i = 0; i < f->n_inside; i++)
		if (name_is_plain(f->inside[i]) && strcmp(f->inside[i], "lo") != 0 &&
			strcmp(f->inside[i], f->interface) != 0)
			buf_printf(ret, ", \"%s\"", f->inside[i]);
	buf_add_str(ret, " }\n\t}\n");
}

/* What comes from strangers and lies. */
static void add_liars(const struct firewall *f, struct buf *ret)
{
	buf_add_str(ret, "\tchain liars {\n");
	for (size_t i = 0; i < f->n_outside; i++)
		if (name_is_plain(f->outside[i]))
			buf_printf(ret, "\t\tiifname \"%s\" counter drop\n", f->outside[i]);
	for (const char *const *p = links_inside_patterns; *p; p++)
		buf_printf(ret, "\t\tiifname \"%s\" accept\n", *p);
	buf_add_str(ret, "\t\tcounter drop\n\t}\n");
}

/* What the rules say of one family: "ip" or "ip6". */
static void add_pods_family(const char *ip, const struct ip_prefix *mesh,
	const struct ip_prefix *pods, const struct ip_prefix *own_pods, struct buf *ret)
{
	char net[PREFIX_TEXT_MAX], all[PREFIX_TEXT_MAX], here[PREFIX_TEXT_MAX];

	buf_printf(ret, "\t\t%s saddr { %s, %s } %s saddr != %s counter drop\n", ip,
		ip_prefix_format(mesh, net), ip_prefix_format(pods, all), ip,
		ip_prefix_format(own_pods, here));
}

static void add_pods(const struct firewall *f, struct buf *ret)
{
	buf_add_str(ret, "\tchain pods {\n");
	add_pods_family("ip", &f->mesh4, &f->pods4, &f->own_pods4, ret);
	add_pods_family("ip6", &f->mesh6, &f->pods6, &f->own_pods6, ret);
	buf_add_str(ret, "\t}\n");
}

static void add_guard_family(const char *ip, const struct ip_prefix *mesh,
	const struct ip_prefix *pods, const struct ip_addr *own, struct buf *ret)
{
	char net[PREFIX_TEXT_MAX], all[PREFIX_TEXT_MAX], self[IP_TEXT_MAX];

	buf_printf(ret, "\t\t%s saddr { %s, %s } goto liars\n\t\t%s daddr %s goto liars\n", ip,
		ip_prefix_format(mesh, net), ip_prefix_format(pods, all), ip,
		ip_addr_format(own, self));
}

static void add_guard(const struct firewall *f, struct buf *ret)
{
	add_inside(f, ret);
	add_liars(f, ret);
	if (has_pods(f))
		add_pods(f, ret);
	buf_add_str(ret, "\tchain guard {\n"
			 "\t\ttype filter hook prerouting priority raw; policy accept;\n"
			 "\t\tiifname @inside accept\n");
	if (has_pods(f))
		buf_add_str(ret, "\t\tiifname \"hth*\" goto pods\n");
	add_guard_family("ip", &f->mesh4, &f->pods4, &f->own4, ret);
	add_guard_family("ip6", &f->mesh6, &f->pods6, &f->own6, ret);
	buf_add_str(ret, "\t}\n");
}

/* After kube-proxy's DNAT a pod that called itself would leave by the link it came from. */
static void add_hairpin(const struct firewall *f, struct buf *ret)
{
	buf_printf(ret,
		"\tchain hairpin {\n"
		"\t\ttype filter hook prerouting priority dstnat + 1; policy accept;\n"
		"\t\tiifname \"hth*\" ct status dnat ct direction original fib daddr . iif oif "
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

void firewall_add_text(const struct firewall *firewall, struct buf *ret)
{
	char table[FIREWALL_TABLE_MAX];

	firewall_add_removal(firewall->interface, ret);
	buf_printf(ret, "table inet %s {\n", firewall_table(firewall->interface, table));
	add_guard(firewall, ret);
	if (has_pods(firewall)) {
		add_hairpin(firewall, ret);
		add_masquerade(firewall, ret);
	}
	add_clamp(firewall, ret);
	buf_add_str(ret, "}\n");
}
