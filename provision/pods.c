/*
 * pods: what a board needs that runs pods, beside kubeadm's own files: forwarding, the configuration
 * of our CNI plugin, and a kubelet that starts after the mesh's addresses exist.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "provision/enroll.h"
#include "sys/exec/exec.h"
#include "sys/net/link.h"
#include "sys/net/route.h"

enum { SYSCTLS_MAX = 32 };

/* ---- forwarding ---- */

struct sysctl {
	char path[96]; /* below /proc/sys */
	const char *value;
};

/*
 * With forwarding on, Linux ignores router advertisements unless accept_ra is 2, and the board would
 * lose its IPv6 default route. Where a network manager reads them itself (accept_ra 0) nothing changes.
 */
static size_t add_uplinks(struct enroll *e, struct sysctl *list, size_t n)
{
	CLEANUP_NL struct nl *nl = NULL;
	struct route_filter filter = { .table = RT_TABLE_MAIN, .only_default = true };
	struct route *routes = NULL;
	struct link *links = NULL;
	size_t n_routes = 0, n_links = 0;
	if (nl_open(&nl, NULL) < 0 || route_list(nl, &filter, &routes, &n_routes, NULL) < 0 ||
		link_list(nl, &links, &n_links, NULL) < 0)
		n_routes = 0;
	for (size_t i = 0; i < n_links; i++) {
		bool uplink = false;
		for (size_t k = 0; k < n_routes; k++)
			uplink |= routes[k].oif == links[i].index;
		char path[PATH_TEXT_MAX];
		CLEANUP_BUF struct buf now = { 0 };
		if (!uplink || n == SYSCTLS_MAX || strchr(links[i].name, '/'))
			continue;
		(void) snprintf(list[n].path, sizeof(list[n].path), "net/ipv6/conf/%s/accept_ra",
			links[i].name);
		if (file_read(paths_join(e->proc_sys, list[n].path, path), 64, &now) < 0 ||
			!now.len || now.data[0] == '0')
			continue;
		list[n++].value = "2";
	}
	free(routes);
	free(links);
	return n;
}

static bool is_set(struct enroll *e, const struct sysctl *s)
{
	char path[PATH_TEXT_MAX];
	CLEANUP_BUF struct buf now = { 0 };
	return file_read(paths_join(e->proc_sys, s->path, path), 64, &now) == 0 && now.len &&
	       now.data[0] == s->value[0];
}

static int set(struct enroll *e, const struct sysctl *s)
{
	char path[PATH_TEXT_MAX];
	CLEANUP(close_p)
	int fd = open(paths_join(e->proc_sys, s->path, path), O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, s->value, 1) != 1)
		return -errno;
	return 0;
}

/* Slashes, because an interface's name may have dots (VLANs). */
static int write_sysctls(struct enroll *e, const struct sysctl *list, size_t n, struct err *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	char path[PATH_TEXT_MAX];
	buf_add_str(&text,
		"# Written by enroll-node: boards pass packets between pods and the mesh. "
		"accept_ra 2\n"
		"# keeps the IPv6 default route of an uplink although forwarding is on.\n");
	for (size_t i = 0; i < n; i++)
		buf_printf(&text, "%s = %s\n", list[i].path, list[i].value);
	paths_join(e->host, "sysctl.d", path);
	int r = file_mkdirs(path, 0755);
	if (!r)
		r = file_write_if_changed(paths_join(e->host, "sysctl.d/60-hearth.conf", path),
			text.data, text.len, 0644);
	return r < 0 ? err_set(err, r, "write %s: %s", path, strerror(-r)) : r;
}

int pods_forwarding(struct enroll *e, struct err *err)
{
	struct sysctl list[SYSCTLS_MAX];
	/* accept_ra first: forwarding throws routes of advertisements away at once. */
	size_t n = add_uplinks(e, list, 0), changed = 0;
	static const char *const forwarding[] = { "net/ipv4/ip_forward",
		"net/ipv6/conf/all/forwarding", "net/ipv6/conf/default/forwarding" };
	for (size_t i = 0; i < ARRAY_LEN(forwarding) && n < SYSCTLS_MAX; i++) {
		(void) snprintf(list[n].path, sizeof(list[n].path), "%s", forwarding[i]);
		list[n++].value = "1";
	}
	for (size_t i = 0; i < n; i++)
		changed += !is_set(e, &list[i]);
	if (e->dry_run) {
		talk_step(&e->talk, changed ? TALK_WOULD : TALK_KEPT, "forwarding",
			changed ? "turn on, now and at every boot" : "is on");
		return 0;
	}
	int wrote = write_sysctls(e, list, n, err);
	if (wrote < 0)
		return wrote;
	for (size_t i = 0; i < n; i++) {
		int r = is_set(e, &list[i]) ? 0 : set(e, &list[i]);
		if (r < 0)
			return err_set(err, r,
				"set %s to %s: %s. Pods need it; in a container, the host must set "
				"it",
				list[i].path, list[i].value, strerror(-r));
	}
	talk_step(&e->talk, wrote || changed ? TALK_DONE : TALK_KEPT, "forwarding",
		"IPv4 and IPv6 packets are passed on, now and at every boot "
		"(%s/sysctl.d/60-hearth.conf)",
		e->host);
	return 0;
}

/* ---- CNI ---- */

static json_t *addr_text(const struct ip_addr *addr)
{
	char s[IP_TEXT_MAX];
	return json_string(ip_addr_format(addr, s));
}

static json_t *prefix_text(const struct ip_prefix *prefix)
{
	char s[PREFIX_TEXT_MAX];
	return json_string(ip_prefix_format(prefix, s));
}

/* containerd 1.6 refuses a plain 1.1.0, and takes the list's first word for it. */
json_t *pods_conflist(const struct node *node, const char *device)
{
	return json_pack("{s:s, s:[s, s, s], s:s, s:[{s:s, s:s, s:[o, o], s:[o, o]}]}",
		"cniVersion", "1.0.0", "cniVersions", "0.4.0", "1.0.0", "1.1.0", "name", "hearth",
		"plugins", "type", "hearth", "device", device, "nodeAddresses",
		addr_text(&node->mesh4), addr_text(&node->mesh6), "subnets",
		prefix_text(&node->pods4), prefix_text(&node->pods6));
}

int pods_cni(struct enroll *e, struct err *err)
{
	char path[PATH_TEXT_MAX], p4[PREFIX_TEXT_MAX], p6[PREFIX_TEXT_MAX];
	CLEANUP_JSON json_t *conflist = pods_conflist(&e->node, e->config.interface);
	CLEANUP(free_p) char *text = conflist ? json_dumps(conflist, JSON_INDENT(2)) : NULL;
	CLEANUP_BUF struct buf out = { 0 }, now = { 0 };
	if (!text)
		return err_set(err, -ENOMEM, "out of memory");
	buf_add_str(&out, text);
	buf_add_str(&out, "\n");
	paths_join(e->host, "cni/net.d/05-hearth.conflist", path);
	bool same = file_read(path, 65536, &now) == 0 && now.len == out.len &&
		    !memcmp(now.data, out.data, out.len);
	if (e->dry_run) {
		talk_step(&e->talk, same ? TALK_KEPT : TALK_WOULD, "cni", "%s%s",
			same ? "" : "write ", path);
		return 0;
	}
	char dir[PATH_TEXT_MAX];
	int r = file_mkdirs(paths_join(e->host, "cni/net.d", dir), 0755);
	if (!r)
		r = file_write_if_changed(path, out.data, out.len, 0644);
	if (r < 0)
		return err_set(err, r, "write %s: %s", path, strerror(-r));
	talk_step(&e->talk, r ? TALK_DONE : TALK_KEPT, "cni", "%s: pods here get %s and %s", path,
		ip_prefix_format(&e->node.pods4, p4), ip_prefix_format(&e->node.pods6, p6));
	return 0;
}

/* ---- kubelet ---- */

static const char drop_in[] = "# Written by enroll-node: kubelet's node addresses are the mesh's, "
			      "so it starts after them.\n"
			      "[Unit]\n"
			      "Wants=hearthd.service containerd.service\n"
			      "After=hearthd.service containerd.service\n";

int pods_kubelet_order(struct enroll *e, struct err *err)
{
	char path[PATH_TEXT_MAX], dir[PATH_TEXT_MAX];
	CLEANUP_BUF struct buf now = { 0 };
	paths_join(e->host, "systemd/system/kubelet.service.d/10-hearth.conf", path);
	bool same = file_read(path, 65536, &now) == 0 && !strcmp(buf_str(&now), drop_in);
	if (same || e->dry_run) {
		talk_step(&e->talk, same ? TALK_KEPT : TALK_WOULD, "kubelet", "%s%s",
			same ? "" : "write ", path);
		return 0;
	}
	int r = file_mkdirs(paths_join(e->host, "systemd/system/kubelet.service.d", dir), 0755);
	if (!r)
		r = file_write_atomic(path, drop_in, strlen(drop_in), 0644);
	if (r < 0)
		return err_set(err, r, "write %s: %s", path, strerror(-r));
	if (e->systemd) {
		const char *const argv[] = { "systemctl", "daemon-reload", NULL };
		struct exec_options options = {
			.argv = argv, .output_max = 4096, .timeout_us = 60 * USEC_PER_SEC
		};
		CLEANUP_EXEC_RESULT struct exec_result result = { 0 };
		r = exec_run(&options, &result, err);
		if (!r)
			r = exec_check(&result, "systemctl daemon-reload", err);
		if (r)
			return r;
	}
	talk_step(&e->talk, TALK_DONE, "kubelet", "starts after hearthd and containerd (%s)", path);
	return 0;
}
