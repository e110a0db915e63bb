/* stops: see stops.h. Codes tell apart the reasons of one finding, so that each is said once. */
#include "board/stops.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/names.h"
#include "board/runtime.h"
#include "board/sysctls.h"
#include "sys/net/link.h"
#include "sys/net/netconf.h"

enum { RESOLV_MAX = 65536 };

/* --- forwarding --- */

static bool has_pods(struct nl *nl)
{
	CLEANUP(free_p) struct link *links = NULL;
	size_t n = 0;

	if (link_list(nl, &links, &n, NULL) < 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (names_is_pod_link(links[i].name))
			return true;
	return false;
}

/* Off, although it was on since we started, or pods are there. */
static bool is_missing(struct nl *nl, int family, bool *was_on)
{
	struct netconf conf;

	if (netconf_get(nl, family, NETCONF_ALL, &conf, NULL) < 0 || conf.forwarding < 0)
		return false;
	*was_on = *was_on || conf.forwarding;
	return !conf.forwarding && (*was_on || has_pods(nl));
}

static void look_at_forwarding(struct stops *s, struct nl *nl, struct err *ret)
{
	bool four = is_missing(nl, AF_INET, &s->forwarded4);
	bool six = is_missing(nl, AF_INET6, &s->forwarded6);
	bool was_on = (four && s->forwarded4) || (six && s->forwarded6);

	if (four || six)
		err_set(ret,
			four && six ? -EHOSTDOWN
			: four      ? -ENETDOWN
				    : -ENETUNREACH,
			"pods of this board are cut off: %s; `sudo sysctl -w%s%s` puts it on%s, "
			"`grep -r forward /etc/sysctl.*` may tell what %s",
			was_on ? "another program switched forwarding off"
			       : "forwarding is off (enroll-node sets it)",
			four ? " net.ipv4.ip_forward=1" : "",
			six ? " net.ipv6.conf.all.forwarding=1" : "", was_on ? " again" : "",
			was_on ? "it was" : "keeps it off");
}

/* "net.ipv4.ip_forward", as people write it. */
static const char *dotted(const char *name, char ret[static SYSCTLS_VALUE_MAX])
{
	size_t i = 0;

	for (; name[i] && i < SYSCTLS_VALUE_MAX - 1; i++)
		ret[i] = (char) (name[i] == '/' ? '.' : name[i]);
	ret[i] = 0;
	return ret;
}

int stops_look_at_boot(const char *etc, struct err *ret)
{
	static const char *const switches[] = { "net/ipv4/ip_forward",
		"net/ipv6/conf/all/forwarding" };
	char value[SYSCTLS_VALUE_MAX], name[SYSCTLS_VALUE_MAX], path[SYSCTLS_PATH_MAX];

	for (size_t i = 0; i < ARRAY_LEN(switches); i++)
		if (sysctls_at_boot(etc, switches[i], value, path) && !strcmp(value, "0"))
			return err_set(ret, i ? -ENETUNREACH : -ENETDOWN,
				"pods of this board will be cut off at the next boot: "
				"%s sets %s to 0, and is read after Hearth's 60-hearth.conf; "
				"take that line out, or set it to 1 there",
				path, dotted(switches[i], name));
	return 0;
}

/* --- firewalls --- */

int stops_look_at_firewall(const struct stops *s, struct nft_forward *ret)
{
	CLEANUP_NL struct nl *nl = NULL;
	struct nft_forward_pods pods = { .links = NAMES_POD_LINK,
		.pods4 = s->pods4,
		.pods6 = s->pods6,
		.mesh = s->ifname,
		.mesh4 = s->range4,
		.mesh6 = s->range6 };
	struct nft_forward found = { 0 };

	if (nl_open_protocol(NETLINK_NETFILTER, &nl, NULL) < 0 ||
		nft_forward_look(nl, &pods, &found) < 0 ||
		!(found.drops4 || found.drops6 || found.input4 || found.input6))
		return 0;
	*ret = found;
	return 1;
}

/* Kubelet's and kubeadm's packages make the directory. */
static bool has_kubernetes(const struct stops *s)
{
	char path[PATH_MAX];

	(void) snprintf(path, sizeof(path), "%s/kubernetes", s->etc);
	return access(path, F_OK) == 0;
}

static const char *families(bool four, bool six)
{
	return !six ? "IPv4" : !four ? "IPv6" : "IPv4 and IPv6";
}

static void tell_input(const struct stops *s, const struct nft_forward *found, struct err *ret)
{
	if (found->input4 || found->input6)
		err_set(ret, -EPERM,
			"kubectl logs and exec, and whatever else other boards "
			"and their pods ask of this one, get no answer: ufw drops what comes in "
			"(%s, policy of INPUT); `sudo enroll-node --fix` lets the mesh in, "
			"or by hand: `sudo ufw allow in on %s` and `sudo ufw allow in on hth+`",
			families(found->input4, found->input6), s->ifname);
}

/* A board that runs Docker and no pods is not ill: enroll-node says what is to come, once. */
static void look_at_firewall(
	const struct stops *s, struct nl *nl, struct err *ret, struct err *ret_input)
{
	struct nft_forward found;
	const char *dropped;

	if (!(s->ahead || has_kubernetes(s) || has_pods(nl)) || !stops_look_at_firewall(s, &found))
		return;
	tell_input(s, &found, ret_input);
	if (!found.drops4 && !found.drops6)
		return;
	dropped = families(found.drops4, found.drops6);
	switch (found.owner) {
	case NFT_FORWARD_DOCKER:
		err_set(ret, -EACCES,
			"pods of this board are cut off: "
			"Docker's firewall drops what is passed on (%s, policy of FORWARD); "
			"`sudo enroll-node --fix` lets pods through, by rules in DOCKER-USER",
			dropped);
		break;
	case NFT_FORWARD_UFW:
		err_set(ret, -EPERM,
			"pods of this board are cut off: ufw drops what is passed on (%s, policy "
			"of FORWARD); `sudo enroll-node --fix` lets pods through, or by hand: "
			"`sudo ufw route allow in on hth+` and `sudo ufw route allow out on hth+`",
			dropped);
		break;
	case NFT_FORWARD_OTHER:
		err_set(ret, -ECONNREFUSED,
			"pods of this board are cut off: a firewall drops what is passed on "
			"(%s, policy of chain FORWARD in table filter: `sudo nft list ruleset`); "
			"let in it pass what comes from and goes to interfaces hth+",
			dropped);
		break;
	}
}

/* --- the rest --- */

/* Where ipv6.disable=1 is on the kernel's command line, or it was built without. */
static void look_at_ipv6(const struct stops *s, struct nl *nl, struct err *ret)
{
	struct netconf conf;
	char path[PATH_MAX];

	(void) snprintf(path, sizeof(path), "%s/kubeadm", s->own);
	if (access(path, F_OK) < 0)
		return; /* the mesh itself does without, and so do pods */
	int r = netconf_get(nl, AF_INET6, NETCONF_ALL, &conf, NULL);

	if (r == -EOPNOTSUPP || r == -EAFNOSUPPORT)
		err_set(ret, -EAFNOSUPPORT,
			"this kernel has no IPv6: kubelet is told an address of each family, and "
			"without its IPv6 one registers this board with none (no InternalIP); take "
			"ipv6.disable=1 off the kernel's command line (/boot/firmware/cmdline.txt, "
			"or GRUB_CMDLINE_LINUX in /etc/default/grub) and start the board again");
}

/* A server other than the board itself, which enroll-node writes where nobody is known. */
static bool names_server(const char *text, const struct ip_addr *self)
{
	char value[IP_TEXT_MAX];
	struct ip_addr addr;

	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (sscanf(line, "nameserver %45[0-9a-fA-F:.]", value) == 1 &&
			ip_addr_parse(value, &addr) == 0 && !ip_addr_equal(&addr, self))
			return true;
	}
	return false;
}

/* The file that kubelet gives to pods; without it the board has not come that far. */
static void look_at_dns(const struct stops *s, struct err *ret)
{
	char path[PATH_MAX];
	CLEANUP_BUF struct buf text = { 0 };

	(void) snprintf(path, sizeof(path), "%s/kubeadm/resolv.conf", s->own);
	if (file_read(path, RESOLV_MAX, &text) < 0 || names_server(buf_str(&text), &s->mesh4))
		return;
	err_set(ret, -ENOENT,
		"pods of this board find no names outside the cluster: "
		"the board has no name server that they could ask; "
		"give it one (its router's DHCP, or /etc/resolv.conf), which then comes into %s",
		path);
}

/* Only where kubelet or kubeadm is installed: others may use containerd as they like. */
static void look_at_programs(const struct stops *s, struct err ret[static STOPS])
{
	const struct runtime_where where = {
		.etc = s->etc, .bin = "/usr/bin", .plugin = s->cni.plugin
	};

	if (!has_kubernetes(s))
		return;
	(void) runtime_look_at_containerd(&where, &ret[STOP_CONTAINERD]);
	(void) runtime_look_at_kubelet(s->etc, &ret[STOP_KUBELET]);
}

void stops_look(struct stops *s, struct nl *nl, struct err ret[static STOPS])
{
	memset(ret, 0, STOPS * sizeof(ret[0]));
	look_at_forwarding(s, nl, &ret[STOP_FORWARDING]);
	(void) stops_look_at_boot(s->etc, &ret[STOP_BOOT]);
	look_at_firewall(s, nl, &ret[STOP_DROPPED], &ret[STOP_INPUT]);
	look_at_ipv6(s, nl, &ret[STOP_IPV6]);
	(void) cnilist_look(&s->cni, &ret[STOP_CNI]);
	look_at_dns(s, &ret[STOP_DNS]);
	look_at_programs(s, ret);
}
