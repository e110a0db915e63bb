/* links: what each link is on the machines that people have, and which addresses are announced. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <net/if_arp.h>
#include <linux/rtnetlink.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/names.h"
#include "board/links.h"

/* --- machines in words --- */

enum { MAX = 24, WORD_MAX = 64 };

struct machine {
	struct link links[MAX];
	struct link_addr addrs[MAX];
	struct route defaults[MAX];
	struct links_facts facts;
};

static struct link *find(struct machine *m, const char *name)
{
	for (size_t i = 0; i < m->facts.n_links; i++)
		if (!strcmp(m->links[i].name, name))
			return &m->links[i];
	fail_msg("no link %s", name);
	return NULL;
}

static void add_addr(struct machine *m, int index, char *text)
{
	struct link_addr *addr = &m->addrs[m->facts.n_addrs++];
	char *slash = strchr(text, '/');

	*slash = 0;
	assert_int_equal(ip_addr_parse(text, &addr->addr), 0);
	addr->prefix_len = (uint8_t) strtoul(slash + 1, NULL, 10);
	addr->ifindex = index;
	addr->scope = ip_addr_is_link_local(&addr->addr) ? RT_SCOPE_LINK
		      : ip_addr_is_loopback(&addr->addr) ? RT_SCOPE_HOST
							 : RT_SCOPE_UNIVERSE;
}

static void add_word(struct machine *m, struct link *link, char *word)
{
	if (strchr(word, '/'))
		add_addr(m, link->index, word);
	else if (!strcmp(word, "default"))
		m->defaults[m->facts.n_defaults++].oif = link->index;
	else if (!strcmp(word, "down"))
		link->flags &= ~(unsigned) IFF_UP;
	else if (!strncmp(word, "in=", 3))
		link->master = find(m, word + 3)->index;
	else if (!strncmp(word, "on=", 3))
		link->peer_index = find(m, word + 3)->index;
	else if (!strcmp(word, "away")) /* the lower link or other end is in another namespace */
		link->peer_netnsid = 0;
	else if (!strcmp(word, "hw"))
		link->type = ARPHRD_ETHER;
	else if (!strncmp(word, "type=", 5))
		link->type = (unsigned) strtoul(word + 5, NULL, 10);
	else
		strcpy(link->kind, word);
}

/* "NAME WORD...; NAME WORD...": "hw" or a kind, "default", "down", "in=MASTER", "on=LOWER", addresses. */
static struct links_facts *machine(const char *text)
{
	static struct machine m;
	char copy[2048], *line, *lines = NULL, *word, *words;

	memset(&m, 0, sizeof(m));
	m.facts =
		(struct links_facts){ .links = m.links, .addrs = m.addrs, .defaults = m.defaults };
	strcpy(copy, text);
	for (line = strtok_r(copy, ";", &lines); line; line = strtok_r(NULL, ";", &lines)) {
		struct link *link = &m.links[m.facts.n_links++];

		link->index = (int) m.facts.n_links;
		link->flags = IFF_UP;
		link->mtu = 1500;
		link->peer_netnsid = -1;
		strcpy(link->name, strtok_r(line, " ", &words));
		if (!strcmp(link->name, "lo"))
			link->flags |= IFF_LOOPBACK;
		while ((word = strtok_r(NULL, " ", &words)))
			add_word(&m, link, word);
	}
	return &m.facts;
}

static struct links judge(const struct links_facts *facts, bool lasting)
{
	static const char *const denied[] = { "10.77.0.0/16", "10.244.0.0/16", "10.96.0.0/16",
		"fd12:3456:789a::/48" };
	static struct ip_prefix prefixes[4];
	struct links_rules rules = {
		.denied = prefixes, .n_denied = 4, .own_ifname = "hearth0", .lasting = lasting
	};
	struct links links;

	for (size_t i = 0; i < 4; i++)
		assert_int_equal(ip_prefix_parse(denied[i], &prefixes[i]), 0);
	assert_int_equal(links_judge(facts, &rules, &links), 0);
	return links;
}

/* "eth0=uplink docker0=container+ ...": a plus where packets are believed. */
static const char *classes(const struct links *links)
{
	static char text[2048];
	size_t n = 0;

	text[0] = 0;
	for (size_t i = 0; i < links->n; i++)
		n += (size_t) snprintf(text + n, sizeof(text) - n, "%s%s=%s%s", i ? " " : "",
			links->list[i].name, link_class_name(links->list[i].class),
			links->list[i].inside ? "+" : "");
	return text;
}

static const char *addresses(const struct links *links)
{
	static char text[2048];
	char addr[IP_TEXT_MAX];
	size_t n = 0;

	text[0] = 0;
	for (size_t i = 0; i < links->n_addrs; i++)
		n += (size_t) snprintf(text + n, sizeof(text) - n, "%s%s", i ? " " : "",
			ip_addr_format(&links->addrs[i].addr, addr));
	return text;
}

/* --- the table --- */

static const struct layout {
	const char *what, *links, *classes, *addresses;
} layouts[] = {
	{ "a board on Ethernet",
		"lo 127.0.0.1/8 ::1/128; eth0 hw default 192.168.50.11/24 2001:db8::11/64 "
		"fe80::1/64",
		"lo=local+ eth0=uplink", "192.168.50.11 2001:db8::11" },
	{ "a Raspberry Pi: the cable has the default route, Wi-Fi none",
		"lo 127.0.0.1/8; wlan0 hw 192.168.1.6/24; eth0 hw default 192.168.1.7/24",
		"lo=local+ wlan0=uplink eth0=uplink", "192.168.1.7 192.168.1.6" },
	{ "no default route at all", "eth0 hw 192.168.50.11/24", "eth0=uplink", "192.168.50.11" },
	{ "udev's names, an adapter on USB",
		"enp3s0 hw 192.168.1.2/24; enx0050b6 hw default 192.168.2.2/24",
		"enp3s0=uplink enx0050b6=uplink", "192.168.2.2 192.168.1.2" },
	{ "a NIC called lom1", "lom1 hw 192.168.1.2/24", "lom1=uplink", "192.168.1.2" },
	{ "NICs with names of others",
		"docker0 hw 192.168.1.2/24; wg0 hw 192.168.2.2/24; veth0 hw 192.168.3.2/24; tun0 "
		"hw default 192.168.4.2/24",
		"docker0=uplink wg0=uplink veth0=uplink tun0=uplink",
		"192.168.4.2 192.168.1.2 192.168.2.2 192.168.3.2" },
	{ "a gadget's usb0 and a modem",
		"usb0 hw 10.55.0.1/24; wwan0 wwan default 100.70.1.2/30; wwan1 type=519 "
		"100.71.1.2/30",
		"usb0=uplink wwan0=uplink wwan1=uplink", "100.70.1.2 10.55.0.1 100.71.1.2" },
	{ "PPPoE on a NIC", "eth0 hw; ppp0 ppp default 203.0.113.7/32", "eth0=uplink ppp0=uplink",
		"203.0.113.7" },
	{ "OpenWrt: LAN bridge, WAN port of the switch",
		"eth0 hw; lan1 dsa on=eth0; br-lan bridge 192.168.1.1/24 fd00:1::1/60; lan2 dsa "
		"on=eth0 in=br-lan; wan dsa on=eth0 default 203.0.113.5/24; phy0-ap0 hw in=br-lan",
		"eth0=uplink lan1=uplink br-lan=uplink lan2=port wan=uplink phy0-ap0=port",
		"203.0.113.5 192.168.1.1 fd00:1::1" },
	{ "OpenWrt as an access point: br-lan without a default route",
		"br-lan bridge 192.168.1.2/24; eth0 hw in=br-lan; phy0-ap0 hw in=br-lan",
		"br-lan=uplink eth0=port phy0-ap0=port", "192.168.1.2" },
	{ "Proxmox: vmbr0 on a NIC, vmbr1 for guests only",
		"vmbr0 bridge default 192.168.1.9/24; enp1s0 hw in=vmbr0; tap100i0 tun in=vmbr0; "
		"vmbr1 bridge 10.1.1.1/24; tap101i0 tun in=vmbr1",
		"vmbr0=uplink enp1s0=port tap100i0=port vmbr1=container+ tap101i0=port",
		"192.168.1.9" },
	{ "Proxmox with its firewall: veths between bridges",
		"vmbr0 bridge default 192.168.1.9/24; eno1 hw in=vmbr0; fwbr100i0 bridge; tap100i0 "
		"tun in=fwbr100i0; fwln100i0 veth in=fwbr100i0; fwpr100p0 veth in=vmbr0",
		"vmbr0=uplink eno1=port fwbr100i0=container+ tap100i0=port fwln100i0=port "
		"fwpr100p0=port",
		"192.168.1.9" },
	{ "Proxmox: a bond in the bridge, the address on a VLAN of it",
		"vmbr0 bridge; bond0 bond in=vmbr0; eno1 hw in=bond0; vmbr0.5 vlan on=vmbr0 "
		"10.5.0.9/24",
		"vmbr0=uplink bond0=port eno1=port vmbr0.5=uplink", "10.5.0.9" },
	{ "NetworkManager's bridge",
		"nm-bridge1 bridge default 192.168.1.20/24; enp0s31f6 hw in=nm-bridge1",
		"nm-bridge1=uplink enp0s31f6=port", "192.168.1.20" },
	{ "a team", "team0 team default 192.168.1.20/24; eth0 hw in=team0; eth1 hw in=team0",
		"team0=uplink eth0=port eth1=port", "192.168.1.20" },
	{ "VLANs on a NIC",
		"eth0 hw; eth0.10 vlan on=eth0 192.168.10.2/24; eth0.20 vlan on=eth0 default "
		"192.168.20.2/24",
		"eth0=uplink eth0.10=uplink eth0.20=uplink", "192.168.20.2 192.168.10.2" },
	{ "macvlan to reach its own containers, macvtap of a guest",
		"eth0 hw default 192.168.1.2/24; shim macvlan on=eth0 192.168.1.250/32; macvtap0 "
		"macvtap on=eth0",
		"eth0=uplink shim=uplink macvtap0=uplink", "192.168.1.2 192.168.1.250" },
	{ "a macvlan on Docker's bridge",
		"eth0 hw default 192.168.1.2/24; docker0 bridge 172.17.0.1/16; m0 macvlan "
		"on=docker0 172.17.0.9/16",
		"eth0=uplink docker0=container+ m0=container+", "192.168.1.2" },
	{ "a Docker host",
		"eth0 hw default 192.168.1.2/24; docker0 bridge 172.17.0.1/16; br-1a2b3c4d5e6f "
		"bridge 172.18.0.1/16; veth12ab34c veth in=docker0 away; veth45ab34c veth "
		"in=br-1a2b3c4d5e6f away; docker_gwbridge bridge 172.19.0.1/16",
		"eth0=uplink docker0=container+ br-1a2b3c4d5e6f=container+ veth12ab34c=port "
		"veth45ab34c=port docker_gwbridge=container+",
		"192.168.1.2" },
	{ "a NIC put into Docker's bridge",
		"docker0 bridge 192.168.1.2/24; eth0 hw in=docker0; veth12ab34c veth in=docker0 "
		"away",
		"docker0=uplink eth0=port veth12ab34c=port", "192.168.1.2" },
	{ "Docker with a bridge of a name of its own",
		"eth0 hw default 192.168.1.2/24; services bridge 172.30.0.1/16; veth12ab34c veth "
		"in=services away",
		"eth0=uplink services=container+ veth12ab34c=port", "192.168.1.2" },
	{ "and nothing in it yet: unsure, and guarded",
		"eth0 hw default 192.168.1.2/24; services bridge 172.30.0.1/16",
		"eth0=uplink services=unknown", "192.168.1.2 172.30.0.1" },
	{ "Home Assistant OS",
		"eth0 hw default 192.168.1.3/24; hassio bridge 172.30.32.1/23; docker0 bridge "
		"172.30.232.1/23; veth0a1b2c3 veth in=hassio away",
		"eth0=uplink hassio=container+ docker0=container+ veth0a1b2c3=port",
		"192.168.1.3" },
	{ "podman and nerdctl",
		"eth0 hw default 192.168.1.2/24; podman0 bridge 10.88.0.1/16; veth0 veth "
		"in=podman0 away; cni-podman1 bridge 10.89.0.1/24; nerdctl0 bridge 10.4.0.1/24",
		"eth0=uplink podman0=container+ veth0=port cni-podman1=container+ "
		"nerdctl0=container+",
		"192.168.1.2" },
	{ "k3s with flannel",
		"eth0 hw default 192.168.1.2/24; flannel.1 vxlan on=eth0 10.42.0.0/32; cni0 bridge "
		"10.42.0.1/24; veth1a2b3c4d veth in=cni0 away; kube-ipvs0 dummy 10.43.0.1/32; "
		"nodelocaldns dummy 169.254.20.10/32",
		"eth0=uplink flannel.1=overlay cni0=container+ veth1a2b3c4d=port "
		"kube-ipvs0=container+ nodelocaldns=container+",
		"192.168.1.2" },
	{ "Cilium",
		"eth0 hw default 192.168.1.2/24; cilium_net veth; cilium_host veth 10.0.0.120/32; "
		"cilium_vxlan vxlan; lxc_health veth away; lxc0a1b2c3d veth away",
		"eth0=uplink cilium_net=container+ cilium_host=container+ cilium_vxlan=overlay "
		"lxc_health=container+ lxc0a1b2c3d=container+",
		"192.168.1.2" },
	{ "Calico",
		"eth0 hw default 192.168.1.2/24; tunl0 ipip 192.168.200.1/32; vxlan.calico vxlan; "
		"cali0a1b2c3d4e5 veth away",
		"eth0=uplink tunl0=overlay vxlan.calico=overlay cali0a1b2c3d4e5=container+",
		"192.168.1.2" },
	{ "our own pods and interface, and another mesh beside it",
		"eth0 hw default 192.168.1.2/24; hearth0 tun 10.77.0.1/32; hth0123456789 veth "
		"169.254.1.1/32 away; hearth1 tun 10.78.0.1/32",
		"eth0=uplink hearth0=mesh+ hth0123456789=pod hearth1=mesh", "192.168.1.2" },
	{ "libvirt",
		"eth0 hw default 192.168.1.2/24; virbr0 bridge 192.168.122.1/24; vnet0 tun "
		"in=virbr0",
		"eth0=uplink virbr0=container+ vnet0=port", "192.168.1.2" },
	{ "libvirt, bridged to the LAN",
		"br0 bridge 192.168.1.2/24; eth0 hw in=br0; vnet0 tun in=br0",
		"br0=uplink eth0=port vnet0=port", "192.168.1.2" },
	{ "VirtualBox and VMware: kindless as hardware is",
		"eth0 hw default 192.168.1.2/24; vboxnet0 hw 192.168.56.1/24; vmnet8 hw "
		"172.16.5.1/24",
		"eth0=uplink vboxnet0=container+ vmnet8=container+", "192.168.1.2" },
	{ "LXD and Incus",
		"eth0 hw default 192.168.1.2/24; lxdbr0 bridge 10.5.5.1/24 fd42:1::1/64; incusbr0 "
		"bridge 10.6.6.1/24; vethabcdef01 veth in=lxdbr0 away",
		"eth0=uplink lxdbr0=container+ incusbr0=container+ vethabcdef01=port",
		"192.168.1.2" },
	{ "inside an LXC container", "lo 127.0.0.1/8; eth0 veth default 10.5.5.7/24 away",
		"lo=local+ eth0=uplink", "10.5.5.7" },
	{ "the same without a default route", "eth0 veth 10.5.5.7/24 away", "eth0=unknown",
		"10.5.5.7" },
	{ "inside nspawn",
		"host0 veth default 192.168.1.77/24 away; mv-eth0 macvlan 192.168.1.78/24 away",
		"host0=uplink mv-eth0=uplink", "192.168.1.77 192.168.1.78" },
	{ "nspawn's host",
		"eth0 hw default 192.168.1.2/24; ve-deb veth 192.168.77.1/28 away; br0 bridge "
		"192.168.9.1/24; vb-deb veth in=br0 away; vz-lab bridge 192.168.8.1/24",
		"eth0=uplink ve-deb=container+ br0=container+ vb-deb=port vz-lab=container+",
		"192.168.1.2" },
	{ "a namespace whose way out is called as a container's",
		"veth0 veth 192.168.1.2/24 away; veth1 veth 10.9.0.1/32 away",
		"veth0=unknown veth1=container+", "192.168.1.2" },
	{ "a namespace with a bridge to the LAN, no default route",
		"br0 bridge 192.168.1.2/24; eth0 veth in=br0 away", "br0=unknown eth0=port",
		"192.168.1.2" },
	{ "the same, with a port called as a container's",
		"br-lan bridge 192.168.1.2/24; veth0 veth in=br-lan away",
		"br-lan=unknown veth0=port", "192.168.1.2" },
	{ "a node of kind: pods' links and its own",
		"eth0 veth default 172.18.0.2/16 away; veth1a2b3c4d veth 10.244.0.1/32 away",
		"eth0=uplink veth1a2b3c4d=container+", "172.18.0.2" },
	{ "VPNs, with the default route through one",
		"eth0 hw 192.168.1.2/24; tun0 tun default 10.8.0.2/24; wg0 wireguard default "
		"10.9.0.2/32; tailscale0 tun 100.100.1.2/32; ztabcdef tun 10.147.17.3/24; tap0 tun "
		"10.10.0.2/24",
		"eth0=uplink tun0=overlay wg0=overlay tailscale0=overlay ztabcdef=overlay "
		"tap0=overlay",
		"192.168.1.2" },
	{ "IPv6 only", "eth0 hw default 2001:db8::7/64 fe80::7/64", "eth0=uplink", "2001:db8::7" },
	{ "only link-local", "eth0 hw default 169.254.7.7/16 fe80::7/64", "eth0=uplink", "" },
	{ "IPv6 through a tunnel broker",
		"eth0 hw 192.168.1.2/24; he6 sit default 2001:db8:6::2/64; sit0 sit down",
		"eth0=uplink he6=uplink sit0=overlay", "2001:db8:6::2 192.168.1.2" },
	{ "a routed address on lo, another on a dummy",
		"lo 127.0.0.1/8 ::1/128 198.51.100.7/32; eth0 hw default fe80::7/64; dummy0 dummy "
		"198.51.100.8/32",
		"lo=local+ eth0=uplink dummy0=local", "198.51.100.7 198.51.100.8" },
	{ "a VRF takes no address from its links", "red vrf; eth0 hw in=red 192.168.1.2/24",
		"red=unknown eth0=uplink", "192.168.1.2" },
	{ "batman-adv over Wi-Fi", "bat0 batadv 10.3.0.1/16; wlan0 hw in=bat0 192.168.9.2/24",
		"bat0=uplink wlan0=uplink", "10.3.0.1 192.168.9.2" },
	{ "Open vSwitch",
		"ovs-system openvswitch; eth0 hw in=ovs-system; br-ex openvswitch default "
		"192.168.1.2/24; br-int openvswitch 10.2.0.1/24",
		"ovs-system=container+ eth0=port br-ex=uplink br-int=container+", "192.168.1.2" },
	{ "Hyper-V's fast path under its NIC", "eth0 hw default 10.1.0.4/24; enP1 hw in=eth0",
		"eth0=uplink enP1=port", "10.1.0.4" },
	{ "a kind of tomorrow",
		"new0 something 192.168.1.2/24; new1 something default 192.168.2.2/24; eth0 hw "
		"192.168.3.2/24",
		"new0=unknown new1=uplink eth0=uplink", "192.168.2.2 192.168.3.2 192.168.1.2" },
	{ "a link that is down, one without address",
		"eth0 hw down 192.168.1.2/24; eth1 hw; eth2 hw 192.168.3.2/24",
		"eth0=uplink eth1=uplink eth2=uplink", "192.168.3.2" },
	{ "addresses of the mesh, the pods and the services",
		"eth0 hw default 10.77.3.4/16 10.244.1.1/24 10.96.0.1/32 fd12:3456:789a::5/64 "
		"10.7.0.1/24",
		"eth0=uplink", "10.7.0.1" },
	{ "one address on two links", "eth0 hw 192.168.1.2/32; eth1 hw default 192.168.1.2/24",
		"eth0=uplink eth1=uplink", "192.168.1.2" },
	{ "no link at all", "", "", "" },
};

static void test_layouts(void **state)
{
	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		const struct layout *l = &layouts[i];
		CLEANUP_LINKS struct links links = { 0 };

		links = judge(machine(l->links), false);
		if (strcmp(classes(&links), l->classes) != 0 ||
			strcmp(addresses(&links), l->addresses) != 0)
			fail_msg("%s:\n  %s\n  %s\nnot\n  %s\n  %s", l->what, classes(&links),
				addresses(&links), l->classes, l->addresses);
	}
	assert_true(sizeof(layouts) / sizeof(layouts[0]) >= 50);
}

/* --- addresses --- */

static void test_addresses(void **state)
{
	struct links_facts *facts =
		machine("eth0 hw default 10.0.0.1/8 2001:db8::1/64 2001:db8::2/64 "
			"2001:db8::3/64 2001:db8::4/64 192.0.2.1/24 192.0.2.2/24");
	CLEANUP_LINKS struct links links = { 0 };

	facts->addrs[0].scope = RT_SCOPE_LINK;
	facts->addrs[1].flags = IFA_F_DEPRECATED;
	facts->addrs[2].flags = IFA_F_TENTATIVE;
	facts->addrs[3].flags = IFA_F_DADFAILED | IFA_F_PERMANENT;
	facts->addrs[4].flags = IFA_F_TENTATIVE | IFA_F_OPTIMISTIC;
	facts->addrs[6].flags = IFA_F_SECONDARY; /* IPv6's bit for temporary */
	links = judge(facts, false);
	assert_string_equal(addresses(&links), "192.0.2.1 192.0.2.2 2001:db8::4");
}

static void test_temporary(void **state)
{
	struct links_facts *facts =
		machine("eth0 hw default 2001:db8:1::aaaa/64 2001:db8:1::1/64 2001:db8:2::bbbb/64");
	CLEANUP_LINKS struct links links = { 0 }, lasting = { 0 };

	facts->addrs[0].flags = IFA_F_TEMPORARY;
	facts->addrs[2].flags = IFA_F_TEMPORARY; /* the only one of its prefix */
	links = judge(facts, false);
	assert_string_equal(addresses(&links), "2001:db8:1::1 2001:db8:2::bbbb");
	lasting = judge(facts, true);
	assert_string_equal(addresses(&lasting), "2001:db8:1::1");
}

/* Too many: the unsure are left out first, whatever the kernel's order. */
static void test_limit(void **state)
{
	static struct link links[2 * LINKS_ADDRS_MAX];
	static struct link_addr addrs[2 * LINKS_ADDRS_MAX];
	struct route route = { .oif = 2 * LINKS_ADDRS_MAX };
	struct links_facts facts = { .links = links,
		.n_links = 2 * LINKS_ADDRS_MAX,
		.addrs = addrs,
		.n_addrs = 2 * LINKS_ADDRS_MAX,
		.defaults = &route,
		.n_defaults = 1 };
	CLEANUP_LINKS struct links found = { 0 };

	for (int i = 0; i < 2 * LINKS_ADDRS_MAX; i++) {
		links[i] = (struct link){ .index = i + 1, .flags = IFF_UP, .type = ARPHRD_ETHER };
		snprintf(links[i].name, IFNAMSIZ, "net%d", i);
		strcpy(links[i].kind, i < LINKS_ADDRS_MAX ? "strange" : "");
		addrs[i] = (struct link_addr){ .ifindex = i + 1, .prefix_len = 24 };
		addrs[i].addr = (struct ip_addr){ .family = AF_INET, .bytes = { 192, 168, i, 1 } };
	}
	found = judge(&facts, false);
	assert_int_equal(found.n_addrs, LINKS_ADDRS_MAX);
	assert_int_equal(found.addrs[0].addr.bytes[2], 2 * LINKS_ADDRS_MAX - 1);
	for (size_t i = 1; i < found.n_addrs; i++)
		assert_int_equal(found.addrs[i].addr.bytes[2], LINKS_ADDRS_MAX + i - 1);
}

/* --- why --- */

static void test_why(void **state)
{
	static const struct {
		const char *links, *why; /* of the first */
	} cases[] = {
		{ "eth0 hw default", "hardware, with a default route" },
		{ "eth0 hw down", "hardware; down" },
		{ "br-lan bridge; eth1 hw in=br-lan", "a bridge whose way out is eth1" },
		{ "br0 bridge; eth0 veth in=br0 away", "a bridge without hardware, but with eth0" },
		{ "flannel.1 vxlan", "a tunnel of kind vxlan" },
		{ "new0 something", "a link of the unknown kind something" },
		{ "docker0 bridge",
			"a bridge with a container network's name, and no hardware in it" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP_LINKS struct links links = judge(machine(cases[i].links), false);
		char why[LINKS_WHY_MAX];

		assert_string_equal(link_verdict_why(&links.list[0], why), cases[i].why);
	}
}

/* What the kernel never says ends all the same: links on top of each other in a ring. */
static void test_ring(void **state)
{
	struct links_facts *facts =
		machine("a vlan 192.0.2.1/24; b vlan on=a; c bridge; d vlan on=c in=c");
	CLEANUP_LINKS struct links links = { 0 };

	facts->links[0].peer_index = 2;
	links = judge(facts, false);
	assert_string_equal(classes(&links), "a=unknown b=unknown c=unknown d=port");
	assert_string_equal(addresses(&links), "192.0.2.1");
}

static void test_patterns(void **state)
{
	for (const char *const *p = links_inside_patterns; *p; p++) {
		const char *star = strchr(*p, '*');

		assert_true(star && !star[1]); /* nft knows a star at the end only */
	}
	assert_true(links_matches_inside_pattern("veth1a2b3c"));
	assert_false(links_matches_inside_pattern("eth0"));
}

/* What is asked again, by hearthd and by the coordinator: not for each pod that comes. */
static void test_may_change(void **state)
{
	static const struct {
		enum monitor_what what;
		const char *name; /* or address, or route */
		bool may;
	} cases[] = {
		{ MONITOR_LINKS, "eth0", true },
		{ MONITOR_LINKS, "veth12ab34c", true }, /* with an address perhaps */
		{ MONITOR_LINKS, "hth0123456789", false },
		{ MONITOR_ADDRS, "192.168.1.2", true },
		{ MONITOR_ADDRS, "2001:db8::1", true },
		{ MONITOR_ADDRS, "fe80::1", false },
		{ MONITOR_ADDRS, "169.254.3.4", false },
		{ MONITOR_ROUTES, "0.0.0.0/0", true },
		{ MONITOR_ROUTES, "::/0", true },
		{ MONITOR_ROUTES, "10.77.0.3/32", false },
		{ MONITOR_SETTINGS, "", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct monitor_event event = { .what = cases[i].what };

		if (event.what == MONITOR_LINKS)
			strcpy(event.link.name, cases[i].name);
		else if (event.what == MONITOR_ADDRS)
			assert_int_equal(ip_addr_parse(cases[i].name, &event.addr.addr), 0);
		else if (event.what == MONITOR_ROUTES)
			assert_int_equal(ip_prefix_parse(cases[i].name, &event.route.dst), 0);
		if (links_may_change(&event) != cases[i].may)
			fail_msg("%s", cases[i].name);
	}
}

/* The files of others that know our links by name say what we say. */
static void test_names(void **state)
{
	static const char *const files[][2] = {
		{ "networkd.network", "\nName=" NAMES_LINK "* " NAMES_POD_LINK "*\n" },
		{ "networkmanager.conf",
			"=interface-name:" NAMES_LINK "*;interface-name:" NAMES_POD_LINK "*\n" },
	};

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		CLEANUP_BUF struct buf text = { 0 };
		char path[512];

		(void) snprintf(
			path, sizeof(path), TEST_SOURCE_DIR "/../daemon/node/%s", files[i][0]);
		assert_int_equal(file_read(path, 65536, &text), 0);
		if (!strstr(buf_str(&text), files[i][1]))
			fail_msg("%s", files[i][0]);
	}
	assert_true(names_is_mesh_link("hearth0") && names_is_mesh_link("hearth-2"));
	assert_false(names_is_mesh_link("hear0") || names_is_mesh_link("mesh7"));
	assert_true(links_is_tailscale("tailscale0"));
	assert_false(links_is_tailscale("ts0"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layouts),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_temporary),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_why),
		cmocka_unit_test(test_ring),
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_may_change),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
