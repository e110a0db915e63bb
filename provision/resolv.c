/*
 * The name servers of pods. A pod has another 127.0.0.1 than its board, so the local stub of
 * systemd-resolved is of no use to it: kubelet is given a file with the uplink's own servers
 * (resolvConf). It is never empty: CoreDNS, which forwards to what it finds there, does not start
 * without a server.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "provision/enroll.h"
#include "sys/net/route.h"

enum { RESOLV_SERVERS = 3 /* resolv.conf(5) knows no more */, RESOLV_MAX = 64 << 10 };

#define HEAD                                                                          \
	"# Written for the pods of this board: the name servers of its uplink only. " \
	"hearthd follows them.\n"

static bool may_serve(const struct ip_addr *addr, const struct settings *s)
{
	return !ip_addr_is_loopback(addr) && !ip_addr_is_unspecified(addr) &&
	       !ip_addr_is_multicast(addr) && !ip_addr_is_link_local(addr) &&
	       !ip_prefix_contains(&s->mesh4, addr) && !ip_prefix_contains(&s->mesh6, addr);
}

/* The address of a "nameserver" line that begins at @line. */
static bool read_server(const char *line, struct ip_addr *ret)
{
	char word[16], value[64], copy[128];

	(void) snprintf(copy, sizeof(copy), "%.*s", (int) strcspn(line, "\n"), line);
	return sscanf(copy, "%15s %63s", word, value) == 2 && !strcmp(word, "nameserver") &&
	       ip_addr_parse(value, ret) == 0;
}

static bool is_among(const struct ip_addr *addrs, unsigned n, const struct ip_addr *addr)
{
	for (unsigned i = 0; i < n; i++)
		if (ip_addr_equal(&addrs[i], addr))
			return true;
	return false;
}

unsigned resolv_servers(const char *text, const struct settings *settings, struct buf *ret)
{
	struct ip_addr seen[RESOLV_SERVERS], addr;
	char shown[IP_TEXT_MAX];
	unsigned n = 0;

	for (const char *line = text; line && *line && n < RESOLV_SERVERS;
		line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!read_server(line, &addr) || !may_serve(&addr, settings) ||
			is_among(seen, n, &addr))
			continue;
		seen[n++] = addr;
		buf_printf(ret, "nameserver %s\n", ip_addr_format(&addr, shown));
	}
	return n;
}

/* A home router answers DNS nearly always; better than pods without names. */
static unsigned gateway_servers(const struct settings *settings, struct buf *ret)
{
	CLEANUP_NL struct nl *nl = NULL;
	struct route_filter filter = { .table = RT_TABLE_MAIN, .only_default = true };
	CLEANUP(free_p) struct route *routes = NULL;
	size_t n = 0;

	if (nl_open(&nl, NULL) < 0 || route_list(nl, &filter, &routes, &n, NULL) < 0)
		return 0;
	for (size_t i = 0; i < n; i++) {
		char shown[IP_TEXT_MAX];

		if (!routes[i].gateway.family || !may_serve(&routes[i].gateway, settings))
			continue;
		buf_printf(ret, "nameserver %s\n", ip_addr_format(&routes[i].gateway, shown));
		return 1;
	}
	return 0;
}

static unsigned servers_in(const char *path, const struct settings *settings, struct buf *ret)
{
	CLEANUP_BUF struct buf text = { 0 };

	return file_read(path, RESOLV_MAX, &text) == 0
		       ? resolv_servers(buf_str(&text), settings, ret)
		       : 0;
}

static const char *own_path(const struct enroll *e, char ret[static PATH_TEXT_MAX])
{
	return paths_join(e->paths.etc, "kubeadm/resolv.conf", ret);
}

enum resolv_from resolv_make(const struct enroll *e, struct buf *ret)
{
	char path[PATH_TEXT_MAX], shown[IP_TEXT_MAX];

	buf_add_str(ret, HEAD);
	if (!strcmp(e->host, "/etc") &&
		servers_in("/run/systemd/resolve/resolv.conf", &e->settings, ret))
		return RESOLV_UPLINK;
	if (servers_in(paths_join(e->host, "resolv.conf", path), &e->settings, ret))
		return RESOLV_UPLINK;
	if (gateway_servers(&e->settings, ret))
		return RESOLV_ROUTER;
	if (servers_in(own_path(e, path), &e->settings, ret))
		return RESOLV_KEPT;
	/* Where nobody answers, a resolver hears so at once. */
	buf_printf(ret,
		"# None is known now: this is the board itself, where names outside the cluster "
		"fail at once.\n"
		"nameserver %s\n",
		ip_addr_format(&e->node.mesh4, shown));
	return RESOLV_NOBODY;
}

void resolv_tell(struct enroll *e, enum resolv_from from)
{
	static const char *const notes[] = {
		[RESOLV_UPLINK] = NULL,
		[RESOLV_ROUTER] = "this board names no DNS server that pods could use; "
				  "they will ask the router",
		[RESOLV_KEPT] = "this board names no DNS server now and has no router; "
				"pods keep asking those it named before",
		[RESOLV_NOBODY] = "this board knows no DNS server and has no router: "
				  "pods find no names outside the cluster until it has one",
	};

	if (notes[from])
		talk_step(&e->talk, TALK_NOTE, "resolv", "%s", notes[from]);
}

/* --- pods-resolv: run by hearth-helper when the uplink's servers may have changed --- */

static void print_servers(const char *text)
{
	struct ip_addr addr;
	char shown[IP_TEXT_MAX];
	const char *comma = "";

	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!read_server(line, &addr))
			continue;
		printf("%s%s", comma, ip_addr_format(&addr, shown));
		comma = ", ";
	}
	printf("\n");
}

int resolv_follow(struct enroll *e, struct err *err)
{
	CLEANUP_BUF struct buf now = { 0 };
	CLEANUP_BUF struct buf text = { 0 };
	char path[PATH_TEXT_MAX];
	int r = file_read(own_path(e, path), RESOLV_MAX, &now);

	if (r == -ENOENT) /* there are no files for kubeadm here */
		return 0;
	(void) resolv_make(e, &text);
	if (r == 0 && now.len == text.len && !memcmp(now.data, text.data, text.len))
		return 0;
	r = file_write_atomic(path, text.data, text.len, 0644);
	if (r < 0)
		return err_set(err, r, "write %s: %s", path, strerror(-r));
	print_servers(buf_str(&text));
	return 0;
}
