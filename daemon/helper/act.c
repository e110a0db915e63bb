/*
 * Paths come from our command line and root's configuration, never from a request; of a request
 * only the checked interface name becomes part of one.
 */
#include "helper/act.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "sys/net/link.h"
#include "sys/tun/tun.h"

int act_check_interface(
	const struct paths *paths, const char *ifname, struct config *ret, struct err *err)
{
	char path[PATH_TEXT_MAX];
	int r = config_read(paths_join(paths->etc, "hearthd.yaml", path), ret, err);

	if (r == 0 && strcmp(ifname, ret->interface) != 0)
		r = err_set(err, -EPERM, "the interface of this board's mesh is %s by %s, not %s",
			ret->interface, path, ifname);
	return r;
}

static bool is_own(const struct node *node, const struct ip_addr *addr)
{
	return node && (ip_addr_equal(&node->mesh4, addr) || ip_addr_equal(&node->mesh6, addr));
}

/* `api` is a control plane, or the address that they share. */
static bool is_api(
	const struct netmap *netmap, const struct settings *settings, const struct ip_addr *addr)
{
	const struct node *node = netmap_by_addr(netmap, addr);

	return ip_addr_equal(&settings->api4, addr) || ip_addr_equal(&settings->api6, addr) ||
	       (is_own(node, addr) && node->role == NODE_ROLE_CONTROL_PLANE);
}

static int check_name(
	const struct netmap *netmap, const char *name, const struct ip_addr *addr, struct err *err)
{
	const struct settings *settings = netmap_settings(netmap);
	char domain[FIELD_NAME_MAX + 16], label[NODE_NAME_MAX], text[IP_TEXT_MAX];
	const char *dot = strchr(name, '.');

	(void) snprintf(domain, sizeof(domain), ".%s.internal", settings->mesh);
	if (!dot || strcmp(dot, domain) != 0 || (size_t) (dot - name) >= sizeof(label))
		return err_set(err, -EPERM, "%.100s is no name of mesh %s", name, settings->mesh);
	(void) snprintf(label, sizeof(label), "%.*s", (int) (dot - name), name);
	if (!strcmp(label, "api") ? is_api(netmap, settings, addr)
				  : is_own(netmap_by_name(netmap, label), addr))
		return 0;
	return err_set(err, -EACCES,
		"the mesh's log, "
		"as far as it is proved on this board's disk, does not give %s to %.100s",
		ip_addr_format(addr, text), name);
}

int act_check_names(
	const struct netmap *netmap, const struct hosts_entry *entries, size_t n, struct err *err)
{
	int r = 0;

	if (n && !netmap_settings(netmap))
		return err_set(err, -EACCES, "no log of the mesh is on this board's disk yet");
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < entries[i].n_names && r == 0; k++)
			r = check_name(netmap, entries[i].names[k], &entries[i].addr, err);
	return r;
}

static int write_in_place(const char *path, const struct buf *text)
{
	CLEANUP(close_p) int fd = open(path, O_WRONLY | O_CLOEXEC);
	size_t at = 0;

	if (fd < 0)
		return -errno;
	while (at < text->len) {
		ssize_t n = pwrite(fd, text->data + at, text->len - at, (off_t) at);

		if (n < 0 && errno != EINTR)
			return -errno;
		at += n > 0 ? (size_t) n : 0;
	}
	if (ftruncate(fd, (off_t) text->len) < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}

static int failed_hosts(const char *what, const char *path, int r, struct err *err)
{
	if (r == -EFBIG)
		return err_set(err, r,
			"%s %s: it is larger than %d MiB, the most that is edited; make it smaller",
			what, path, HOSTS_FILE_MAX >> 20);
	return err_set(err, r, "%s %s: %s", what, path, strerror(-r));
}

int act_write_hosts(const char *path, const char *ifname, const struct hosts_entry *entries,
	size_t n, const char **ret_taken, struct err *err)
{
	CLEANUP(free_p) char *real = realpath(path, NULL);
	CLEANUP_BUF struct buf old = { 0 }, text = { 0 };
	struct stat before = { .st_mode = 0644 };
	const char *target = real ? real : path;
	int r = file_read(target, HOSTS_FILE_MAX, &old);

	if (r < 0 && r != -ENOENT)
		return failed_hosts("read", path, r, err);
	if (r == 0 && stat(target, &before) < 0)
		return err_set(err, -errno, "stat %s: %m", path);
	r = hosts_edit(buf_str(&old), old.len, ifname, entries, n, &text);
	if (r < 0)
		return failed_hosts("edit", path, r, err);
	if (!hosts_find_taken(buf_str(&text), text.len, ifname, entries, n, ret_taken))
		*ret_taken = NULL;
	if (text.len == old.len && !memcmp(buf_str(&text), buf_str(&old), old.len))
		return 0;
	r = file_write_atomic(target, buf_str(&text), text.len, before.st_mode & 07777);
	if (r == -EBUSY || r == -EXDEV) /* a mount point cannot be renamed over */
		r = write_in_place(target, &text);
	if (r < 0)
		return failed_hosts("write", path, r, err);
	if (before.st_uid || before.st_gid)
		(void) !chown(target, before.st_uid,
			before.st_gid); /* as root: only a strange file system refuses */
	return 1;
}

static bool somebody_answers(const struct sockaddr_un *address)
{
	CLEANUP(close_p) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return true;
	return connect(fd, (const struct sockaddr *) address, sizeof(*address)) == 0 ||
	       errno == EAGAIN;
}

int act_open_uapi(const char *dir, const char *ifname, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	CLEANUP(close_p) int fd = -1;
	struct stat st;
	mode_t mask;
	int r, len;

	len = snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s.sock", dir, ifname);
	if (len < 0 || (size_t) len >= sizeof(address.sun_path))
		return err_set(err, -ENAMETOOLONG, "%s/%s.sock is too long", dir, ifname);
	r = file_mkdirs(dir, 0755);
	if (r < 0)
		return err_set(err, r, "make %s: %s", dir, strerror(-r));
	if (lstat(address.sun_path, &st) == 0) {
		if (!S_ISSOCK(st.st_mode))
			return err_set(err, -EEXIST, "%s is no socket", address.sun_path);
		if (somebody_answers(&address))
			return err_set(
				err, -EADDRINUSE, "another program serves %s", address.sun_path);
		(void) unlink(address.sun_path); /* else bind() says why not */
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set(err, -errno, "socket: %m");
	mask = umask(0177);
	r = bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 ? -errno : 0;
	(void) umask(mask);
	if (r == 0 && listen(fd, 16) < 0)
		r = -errno;
	if (r < 0)
		return err_set(err, r, "listen on %s: %s", address.sun_path, strerror(-r));
	return take_fd(&fd);
}

static int check_is_tun(const char *ifname, struct err *err)
{
	CLEANUP_NL struct nl *nl = NULL;
	struct link link;
	int r = nl_open(&nl, err);

	if (r == 0)
		r = link_find(nl, ifname, &link, err);
	if (r == 0 && strcmp(link.kind, "tun") != 0)
		r = err_set(err, -EINVAL, "%s is no TUN device", ifname);
	return r;
}

int act_enable_ipv6(const char *ifname, struct err *err)
{
	char path[64 + IFNAMSIZ], now = 0;
	CLEANUP(close_p) int fd = -1;
	int r = check_is_tun(ifname, err);

	if (r < 0)
		return r;
	(void) snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", ifname);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return err_set(err, -errno, "open %s: %m", path);
	if (read(fd, &now, 1) == 1 && now == '0')
		return 0;
	if (pwrite(fd, "0", 1, 0) != 1)
		return err_set(err, -errno, "write %s: %m", path);
	return 1;
}

int act_open_tun(struct err *err)
{
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	return fd < 0 ? tun_explain(-errno, err) : fd;
}
