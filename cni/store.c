/*
 * store: see store.h. The lock is held inside each call only. Under it, a lease is written to
 * ".new", linked to its key, then to its addresses; released in the opposite order, so that the key
 * names everything that may be left. The directory is also writable by hearthd's user: nothing in
 * it is followed, waited for or trusted to be a file.
 */
#include "cni/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"

enum { FILE_MAX = 1024, SMALL_MAX = 65536, LOCK_TRIES = 20000, LOCK_PAUSE_US = 500 };
enum { BOOT_ID_MAX = 40 };

/* IPv6 ranges are large: this many addresses of one are used. */
#define RANGE_MAX UINT64_C(65536)

struct store {
	int dir, lock;
	char boot[BOOT_ID_MAX];
	char path[PATH_MAX];
};

/* -- files ------------------------------------------------------------------------------------ */

static int read_at(int dir, const char *name, size_t max, struct buf *ret)
{
	struct stat st;
	CLEANUP(close_p)
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size > (off_t) max)
		return -EBADMSG;
	for (;;) {
		char chunk[1024];
		ssize_t n = read(fd, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0 || ret->len > max)
			break;
		buf_add(ret, chunk, (size_t) n);
	}
	return buf_failed(ret) ? -ENOMEM : 0;
}

/* A new file ".new" holding @text. What an interrupted call left under that name goes away. */
static int write_new(int dir, const char *text, size_t len)
{
	if (unlinkat(dir, ".new", 0) < 0 && errno != ENOENT)
		return -errno;
	CLEANUP(close_p)
	int fd = openat(dir, ".new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	while (len) {
		ssize_t n = write(fd, text, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t) n;
	}
	return 0;
}

static int replace(int dir, const char *name, const char *text, size_t len)
{
	int r = write_new(dir, text, len);
	if (r == 0 && renameat(dir, ".new", dir, name) < 0)
		r = -errno;
	return r;
}

static int remove_at(int dir, const char *name)
{
	return unlinkat(dir, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

static bool same_file(int dir, const char *a, const char *b)
{
	struct stat x, y;
	return fstatat(dir, a, &x, AT_SYMLINK_NOFOLLOW) == 0 &&
	       fstatat(dir, b, &y, AT_SYMLINK_NOFOLLOW) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

/* -- lock and boot ---------------------------------------------------------------------------- */

static void pause_us(uint64_t us)
{
	struct timespec t = { .tv_sec = (time_t) (us / USEC_PER_SEC),
		.tv_nsec = (long) (us % USEC_PER_SEC) * 1000 };
	(void) nanosleep(&t, NULL); /* woken early: the caller looks again */
}

static int lock(struct store *store, struct err *err)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(store->lock, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_set(err, -errno, "lock %s/lock: %m", store->path);
		pause_us(LOCK_PAUSE_US);
	}
	return err_set(err, -ETIMEDOUT, "%s/lock is held by another process", store->path);
}

static void unlock(struct store *store)
{
	(void) flock(store->lock, LOCK_UN); /* cannot fail on a descriptor that was locked */
}

static int read_boot_id(char ret[static BOOT_ID_MAX])
{
	CLEANUP_BUF struct buf text = { 0 };
	/* Tests reboot by naming another one. */
	const char *fake = getenv("HEARTH_BOOT_ID");
	int r = fake && *fake ? 0 : file_read("/proc/sys/kernel/random/boot_id", 64, &text);
	if (r < 0)
		return r;
	(void) snprintf(ret, BOOT_ID_MAX, "%s", fake && *fake ? fake : buf_str(&text));
	ret[strcspn(ret, "\n ")] = 0;
	return *ret ? 0 : -EBADMSG;
}

static int drop_all(struct store *store)
{
	CLEANUP(close_p) int fd = openat(store->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	int r = 0;
	if (!dir)
		return -errno;
	(void) take_fd(&fd);
	for (struct dirent *e; r == 0 && (e = readdir(dir));)
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") && strcmp(e->d_name, "lock"))
			r = remove_at(store->dir, e->d_name);
	(void) closedir(dir);
	return r;
}

static bool is_this_boot(const struct store *store)
{
	CLEANUP_BUF struct buf text = { 0 };
	return read_at(store->dir, "boot", BOOT_ID_MAX, &text) == 0 &&
	       !strcmp(buf_str(&text), store->boot);
}

static int check_boot(struct store *store, struct err *err)
{
	if (is_this_boot(store))
		return 0;
	int r = drop_all(store);
	if (r == 0)
		r = replace(store->dir, "boot", store->boot, strlen(store->boot));
	return r < 0 ? err_set(err, r, "%s: drop the leases of an earlier boot: %s", store->path,
			       strerror(-r))
		     : 0;
}

/* Our own directory gets the group of the one above, so that hearthd can tidy up in it. */
static int make_dir(const char *path, struct err *err)
{
	char up[PATH_MAX];
	struct stat st;
	(void) snprintf(up, sizeof(up), "%s", path);
	*strrchr(up, '/') = 0;
	int r = file_mkdirs(up, 0755);
	if (r < 0)
		return err_set(err, r, "create %s: %s", up, strerror(-r));
	if (mkdir(path, 0770) < 0)
		return errno == EEXIST ? 0 : err_set(err, -errno, "create %s: %m", path);
	/* By descriptor: hearthd's user could put a link to somewhere else in its place meanwhile. */
	CLEANUP(close_p) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_set(err, -errno, "open %s: %m", path);
	if (stat(up, &st) == 0)
		(void) !fchown(fd, (uid_t) -1, st.st_gid); /* then only root tidies up */
	(void) fchmod(fd, 0770);
	return 0;
}

static int open_store(const char *network, int lock_flags, struct store **ret, struct err *err)
{
	const char *run = getenv("HEARTH_RUN");
	CLEANUP_STORE struct store *store = calloc(1, sizeof(*store));
	if (!store)
		return err_set(err, -ENOMEM, "out of memory");
	store->dir = store->lock = -1;
	int n = snprintf(store->path, sizeof(store->path), "%s/cni/%s",
		run && *run ? run : "/run/hearth", network);
	if (n < 0 || (size_t) n >= sizeof(store->path))
		return err_set(err, -ENAMETOOLONG, "$HEARTH_RUN is too long");
	int r = read_boot_id(store->boot);
	if (r < 0)
		return err_set(err, r, "read the boot id: %s", strerror(-r));
	r = lock_flags & O_CREAT ? make_dir(store->path, err) : 0;
	if (r < 0)
		return r;
	store->dir = open(store->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (store->dir < 0)
		return err_set(err, -errno, "open %s: %m", store->path);
	store->lock = openat(store->dir, "lock",
		lock_flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0660);
	if (store->lock < 0)
		return err_set(err, -errno, "open %s/lock: %m", store->path);
	*ret = TAKE(store);
	return 0;
}

int store_open(const char *network, struct store **ret, struct err *err)
{
	CLEANUP_STORE struct store *store = NULL;
	int r = open_store(network, O_RDWR | O_CREAT, &store, err);
	if (r == 0)
		r = lock(store, err);
	if (r < 0)
		return r;
	r = check_boot(store, err);
	unlock(store);
	if (r == 0)
		*ret = TAKE(store);
	return r;
}

int store_open_readonly(const char *network, struct store **ret, struct err *err)
{
	CLEANUP_STORE struct store *store = NULL;
	int r = open_store(network, O_RDONLY, &store, err);
	if (r < 0)
		return r;
	if (!is_this_boot(store))
		return err_set(err, -ENOENT, "%s: of an earlier boot", store->path);
	*ret = TAKE(store);
	return 0;
}

struct store *store_close(struct store *store)
{
	if (!store)
		return NULL;
	if (store->dir >= 0)
		(void) close(store->dir);
	if (store->lock >= 0)
		(void) close(store->lock);
	free(store);
	return NULL;
}

/* -- leases ----------------------------------------------------------------------------------- */

/* The value of the line that @at points to, if its key is @key; moves behind the line. */
static bool take_line(const char **at, const char *key, char *ret, size_t size)
{
	size_t key_len = strlen(key);
	if (strncmp(*at, key, key_len) || (*at)[key_len] != ' ')
		return false;
	const char *value = *at + key_len + 1;
	size_t len = strcspn(value, "\n");
	if (value[len] != '\n' || len == 0 || len >= size)
		return false;
	memcpy(ret, value, len);
	ret[len] = 0;
	*at = value + len + 1;
	return true;
}

int lease_parse(const char *text, const char *boot, struct lease *ret)
{
	struct lease lease = { 0 };
	char stamp[BOOT_ID_MAX], addr[IP_TEXT_MAX];
	const char *at = text;
	if (!take_line(&at, "boot", stamp, sizeof(stamp)) ||
		!take_line(&at, "key", lease.key, sizeof(lease.key)) ||
		!take_line(&at, "container", lease.container, sizeof(lease.container)) ||
		!take_line(&at, "ifname", lease.ifname, sizeof(lease.ifname)))
		return -EBADMSG;
	while (*at) {
		if (lease.n_addrs == STORE_ADDRS_MAX ||
			!take_line(&at, "address", addr, sizeof(addr)) ||
			ip_addr_parse(addr, &lease.addrs[lease.n_addrs++]) < 0)
			return -EBADMSG;
	}
	if (strcmp(stamp, boot))
		return -ESTALE;
	*ret = lease;
	return 0;
}

static void lease_format(const struct lease *lease, const char *boot, struct buf *ret)
{
	char text[IP_TEXT_MAX];
	buf_printf(ret, "boot %s\nkey %s\ncontainer %s\nifname %s\n", boot, lease->key,
		lease->container, lease->ifname);
	for (size_t i = 0; i < lease->n_addrs; i++)
		buf_printf(ret, "address %s\n", ip_addr_format(&lease->addrs[i], text));
}

static int read_lease(struct store *store, const char *name, struct lease *ret)
{
	CLEANUP_BUF struct buf text = { 0 };
	int r = read_at(store->dir, name, FILE_MAX, &text);
	if (r < 0)
		return r;
	if (strlen(buf_str(&text)) != text.len)
		return -EBADMSG;
	return lease_parse(buf_str(&text), store->boot, ret);
}

static bool owns(const struct store_owner *owner, const struct lease *lease)
{
	return !strcmp(owner->container, lease->container) && !strcmp(owner->ifname, lease->ifname);
}

static bool is_lease_name(const char *name)
{
	struct ip_addr addr;
	return !strncmp(name, "hth", 3) || ip_addr_parse(name, &addr) == 0;
}

/* Calls @each with every file that is a lease's. */
static int each_file(
	struct store *store, int (*each)(struct store *, void *ctx, const char *name), void *ctx)
{
	CLEANUP(close_p) int fd = openat(store->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	int r = 0;
	if (!dir)
		return -errno;
	(void) take_fd(&fd);
	for (struct dirent *e; r == 0 && (e = readdir(dir));)
		if (is_lease_name(e->d_name))
			r = each(store, ctx, e->d_name);
	(void) closedir(dir);
	return r;
}

/* -- addresses given back a moment ago -------------------------------------------------------- */

/* Lines "ADDRESS MICROSECONDS" younger than the delay, of the file "released". */
static void read_released(struct store *store, uint64_t now_us, struct buf *ret)
{
	CLEANUP_BUF struct buf text = { 0 };
	if (read_at(store->dir, "released", SMALL_MAX, &text) < 0)
		return;
	for (const char *line = buf_str(&text); *line; line += strcspn(line, "\n") + 1) {
		size_t len = strcspn(line, "\n"), name = strcspn(line, " \n");
		if (line[len] != '\n')
			break;
		uint64_t at_us = line[name] == ' ' ? strtoull(line + name, NULL, 10) : 0;
		if (at_us && at_us <= now_us &&
			now_us - at_us < STORE_REUSE_DELAY_MS * USEC_PER_MSEC)
			buf_add(ret, line, len + 1);
	}
}

/* When @addr may be used again: 0 now, else microseconds to wait. */
static uint64_t rest_us(const char *released, const char *addr, uint64_t now_us)
{
	size_t len = strlen(addr);
	for (const char *line = released; *line; line += strcspn(line, "\n") + 1)
		if (!strncmp(line, addr, len) && line[len] == ' ')
			return strtoull(line + len, NULL, 10) +
			       STORE_REUSE_DELAY_MS * USEC_PER_MSEC - now_us;
	return 0;
}

/* A full disk is no reason to keep the lease: its address may then be used again at once. */
static void note_released(struct store *store, const struct lease *lease)
{
	char text[IP_TEXT_MAX];
	CLEANUP_BUF struct buf lines = { 0 };
	uint64_t now_us = clock_now_us();
	read_released(store, now_us, &lines);
	for (size_t i = 0; i < lease->n_addrs; i++)
		buf_printf(&lines, "%s %llu\n", ip_addr_format(&lease->addrs[i], text),
			(unsigned long long) now_us);
	if (!buf_failed(&lines) && lines.len)
		(void) replace(store->dir, "released", lines.data, lines.len);
}

/* -- choosing --------------------------------------------------------------------------------- */

/* First and last index used of @subnet: not the network, its first address, the broadcast. */
static void bounds(const struct ip_prefix *subnet, uint64_t *ret_first, uint64_t *ret_last)
{
	unsigned bits = ip_bits(subnet->addr.family) - subnet->len;
	uint64_t size = bits >= 17 ? RANGE_MAX : UINT64_C(1) << bits;
	if (subnet->addr.family == AF_INET && bits >= 17)
		size = UINT64_C(1) << bits;
	*ret_first = 2;
	*ret_last = subnet->addr.family == AF_INET ? size - 2 : size - 1;
}

uint64_t store_capacity(const struct ip_prefix *subnet)
{
	uint64_t first, last;
	bounds(subnet, &first, &last);
	return last - first + 1;
}

struct choice {
	struct store *store;
	const char *released, *next;
	uint64_t now_us;
	uint64_t wait_us; /* the shortest wait that would have helped, 0 none */
	struct buf new_next;
};

static bool is_free(struct choice *c, const struct ip_addr *addr)
{
	char text[IP_TEXT_MAX];
	ip_addr_format(addr, text);
	if (faccessat(c->store->dir, text, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT)
		return false;
	uint64_t wait_us = rest_us(c->released, text, c->now_us);
	if (wait_us && (!c->wait_us || wait_us < c->wait_us))
		c->wait_us = wait_us;
	return wait_us == 0;
}

/* Where the search in @subnet goes on: the line "SUBNET INDEX" of the file "next". */
static uint64_t next_index(
	const struct choice *c, const char *subnet, uint64_t first, uint64_t last)
{
	size_t len = strlen(subnet);
	for (const char *line = c->next; *line; line += strcspn(line, "\n")) {
		line += strspn(line, "\n");
		if (!strncmp(line, subnet, len) && line[len] == ' ') {
			uint64_t index = strtoull(line + len, NULL, 10);
			return index >= first && index <= last ? index : first;
		}
	}
	return first;
}

static int choose_in(struct choice *c, const struct ip_prefix *subnet, struct ip_addr *ret)
{
	uint64_t first, last;
	char text[PREFIX_TEXT_MAX];
	bounds(subnet, &first, &last);
	if (last < first)
		return -ENOSPC;
	uint64_t start = next_index(c, ip_prefix_format(subnet, text), first, last), index = start;
	do {
		struct ip_addr addr;
		uint64_t next = index == last ? first : index + 1;
		if (ip_prefix_nth(subnet, index, &addr) == 0 && is_free(c, &addr)) {
			buf_printf(&c->new_next, "%s %llu\n", text, (unsigned long long) next);
			*ret = addr;
			return 0;
		}
		index = next;
	} while (index != start);
	return -ENOSPC;
}

static bool may_be_leased(
	const struct ip_prefix *subnets, size_t n_subnets, const struct ip_addr *addr)
{
	for (size_t i = 0; i < n_subnets; i++) {
		struct ip_addr zero, one, top;
		uint64_t first, last;
		bounds(&subnets[i], &first, &last);
		if (!ip_prefix_contains(&subnets[i], addr))
			continue;
		if (ip_prefix_nth(&subnets[i], 0, &zero) < 0 ||
			ip_prefix_nth(&subnets[i], 1, &one) < 0 ||
			ip_prefix_nth(&subnets[i], last + 1, &top) < 0)
			return false;
		return !ip_addr_equal(addr, &zero) && !ip_addr_equal(addr, &one) &&
		       (addr->family != AF_INET || !ip_addr_equal(addr, &top));
	}
	return false;
}

/* One address of each family for which there is a range; wanted ones first. */
static int choose(struct choice *c, const struct ip_prefix *subnets, size_t n_subnets,
	const struct ip_addr *want, size_t n_want, struct lease *lease, struct err *err)
{
	static const int families[] = { AF_INET, AF_INET6 };
	char text[IP_TEXT_MAX];
	bool have[2] = { false, false };
	for (size_t i = 0; i < n_want; i++) {
		if (lease->n_addrs == STORE_ADDRS_MAX)
			return err_set(err, -EADDRINUSE, "more than %d addresses are wanted",
				STORE_ADDRS_MAX);
		if (!may_be_leased(subnets, n_subnets, &want[i]))
			return err_set(err, -EADDRINUSE, "%s is not an address for pods here",
				ip_addr_format(&want[i], text));
		if (!is_free(c, &want[i]))
			return c->wait_us ? -EAGAIN
					  : err_set(err, -EADDRINUSE, "%s is in use",
						    ip_addr_format(&want[i], text));
		have[want[i].family == AF_INET6] = true;
		lease->addrs[lease->n_addrs++] = want[i];
	}
	for (size_t f = 0; f < ARRAY_LEN(families); f++) {
		bool ranges = false, found = have[f];
		for (size_t i = 0; i < n_subnets && !found; i++) {
			if (subnets[i].addr.family != families[f])
				continue;
			ranges = true;
			found = choose_in(c, &subnets[i], &lease->addrs[lease->n_addrs]) == 0;
			lease->n_addrs += found;
		}
		if (!found && ranges)
			return c->wait_us
				       ? -EAGAIN
				       : err_set(err, -ENOSPC,
						 "no IPv%d address for pods is left on this board",
						 f ? 6 : 4);
	}
	return 0;
}

/* -- taking and giving back ------------------------------------------------------------------- */

static int write_lease(struct store *store, const struct lease *lease)
{
	CLEANUP_BUF struct buf text = { 0 };
	char name[IP_TEXT_MAX];
	lease_format(lease, store->boot, &text);
	if (buf_failed(&text))
		return -ENOMEM;
	int r = write_new(store->dir, text.data, text.len);
	if (r == 0 && linkat(store->dir, ".new", store->dir, lease->key, 0) < 0)
		r = -errno;
	for (size_t i = 0; i < lease->n_addrs && r == 0; i++)
		if (linkat(store->dir, ".new", store->dir, ip_addr_format(&lease->addrs[i], name),
			    0) < 0)
			r = -errno;
	(void) remove_at(store->dir, ".new"); /* else the next one does */
	return r;
}

/* The key goes last: as long as it is there, it says what may be left. */
static int remove_lease(struct store *store, const struct lease *lease)
{
	char name[IP_TEXT_MAX];
	int r = 0;
	note_released(store, lease);
	for (size_t i = 0; i < lease->n_addrs && r == 0; i++) {
		ip_addr_format(&lease->addrs[i], name);
		if (same_file(store->dir, name, lease->key))
			r = remove_at(store->dir, name);
	}
	return r < 0 ? r : remove_at(store->dir, lease->key);
}

/* The lease under @owner's key. -EEXIST if it is somebody else's, -ENOENT if there is none. */
static int find(struct store *store, const struct store_owner *owner, struct lease *ret)
{
	int r = read_lease(store, owner->key, ret);
	if (r == -EBADMSG || r == -ESTALE)
		return -ENOENT;
	if (r < 0)
		return r;
	return owns(owner, ret) && !strcmp(owner->key, ret->key) ? 0 : -EEXIST;
}

/* A lease whose addresses lost their names (a kill while it was made) is made whole or dropped. */
static bool is_whole(struct store *store, const struct lease *lease)
{
	char name[IP_TEXT_MAX];
	for (size_t i = 0; i < lease->n_addrs; i++)
		if (!same_file(store->dir, ip_addr_format(&lease->addrs[i], name), lease->key))
			return false;
	return lease->n_addrs > 0;
}

static void keep_other_ranges(struct choice *c)
{
	/* Lines of ranges that were not used this time stay as they are. */
	CLEANUP_BUF struct buf keep = { 0 };
	for (const char *line = c->next; *line;) {
		size_t len = strcspn(line, "\n"), name = strcspn(line, " \n");
		if (line[len] != '\n' || c->new_next.len + keep.len > SMALL_MAX / 2)
			break;
		CLEANUP_BUF struct buf key = { 0 };
		buf_add(&key, line, name);
		buf_add_str(&key, " ");
		if (!strstr(buf_str(&c->new_next), buf_str(&key)))
			buf_add(&keep, line, len + 1);
		line += len + 1;
	}
	buf_add(&c->new_next, buf_str(&keep), keep.len);
}

static int take_locked(struct store *store, const struct store_owner *owner,
	const struct ip_prefix *subnets, size_t n_subnets, const struct ip_addr *want,
	size_t n_want, struct lease *ret, uint64_t *ret_wait_us, struct err *err)
{
	struct lease lease = { 0 };
	CLEANUP_BUF struct buf released = { 0 };
	CLEANUP_BUF struct buf next = { 0 };
	int r = find(store, owner, &lease);
	if (r == -EEXIST)
		return err_set(
			err, r, "%s belongs to container %s already", owner->key, lease.container);
	if (r == 0 && is_whole(store, &lease)) {
		*ret = lease;
		return 0;
	}
	if (r == 0)
		r = remove_lease(store, &lease);
	else if (r == -ENOENT)
		r = remove_at(store->dir, owner->key);
	if (r < 0)
		return err_set(err, r, "%s/%s: %s", store->path, owner->key, strerror(-r));

	struct choice c = { .store = store, .now_us = clock_now_us() };
	read_released(store, c.now_us, &released);
	(void) read_at(store->dir, "next", SMALL_MAX, &next); /* none: from the beginning */
	c.released = buf_str(&released);
	c.next = buf_str(&next);
	memset(&lease, 0, sizeof(lease));
	(void) snprintf(lease.key, sizeof(lease.key), "%s", owner->key);
	(void) snprintf(lease.container, sizeof(lease.container), "%s", owner->container);
	(void) snprintf(lease.ifname, sizeof(lease.ifname), "%s", owner->ifname);
	r = choose(&c, subnets, n_subnets, want, n_want, &lease, err);
	if (r == 0) {
		r = write_lease(store, &lease);
		if (r < 0) {
			(void) remove_lease(store, &lease);
			/* Not -ENOSPC: a full disk is not a full pool. */
			r = err_set(
				err, -EIO, "write a lease in %s: %s", store->path, strerror(-r));
		}
	}
	if (r == 0 && c.new_next.len) {
		keep_other_ranges(&c);
		/* Without it the search starts further back, no more. */
		(void) replace(store->dir, "next", buf_str(&c.new_next), c.new_next.len);
	}
	buf_done(&c.new_next);
	*ret_wait_us = c.wait_us;
	*ret = lease;
	return r < 0 ? r : 1;
}

int store_take(struct store *store, const struct store_owner *owner,
	const struct ip_prefix *subnets, size_t n_subnets, const struct ip_addr *want,
	size_t n_want, struct lease *ret, struct err *err)
{
	uint64_t deadline_us = clock_now_us() + 2 * STORE_REUSE_DELAY_MS * USEC_PER_MSEC;
	for (;;) {
		uint64_t wait_us = 0;
		int r = lock(store, err);
		if (r < 0)
			return r;
		r = take_locked(store, owner, subnets, n_subnets, want, n_want, ret, &wait_us, err);
		unlock(store);
		if (r != -EAGAIN)
			return r;
		if (clock_now_us() > deadline_us)
			return err_set(
				err, -ENOSPC, "all free addresses were in use until a moment ago");
		pause_us(wait_us);
	}
}

int store_find(
	struct store *store, const struct store_owner *owner, struct lease *ret, struct err *err)
{
	int r = lock(store, err);
	if (r < 0)
		return r;
	r = find(store, owner, ret);
	if (r == 0 && !is_whole(store, ret))
		r = -ENOENT;
	unlock(store);
	if (r < 0)
		return err_set(err, r == -EEXIST ? -ENOENT : r, "no lease of container %s, %s",
			owner->container, owner->ifname);
	return 0;
}

struct sweep {
	const struct store_owner *owner;
	bool found;
	struct lease *items;
	size_t n, cap;
};

/* A file of @owner's that its key does not name: only tampering leaves one. */
static int release_file(struct store *store, void *ctx, const char *name)
{
	struct sweep *sweep = ctx;
	struct lease lease;
	if (read_lease(store, name, &lease) < 0 || !owns(sweep->owner, &lease))
		return 0;
	sweep->found = true;
	return remove_at(store->dir, name);
}

int store_release(struct store *store, const struct store_owner *owner, struct err *err)
{
	struct lease lease;
	struct sweep sweep = { .owner = owner };
	int r = lock(store, err);
	if (r < 0)
		return r;
	r = find(store, owner, &lease);
	if (r == 0) {
		sweep.found = true;
		r = remove_lease(store, &lease);
	} else if (r == -ENOENT || r == -EEXIST) {
		r = each_file(store, release_file, &sweep);
	}
	unlock(store);
	if (r < 0)
		return err_set(err, r, "give back the lease in %s: %s", store->path, strerror(-r));
	return sweep.found;
}

static int collect_file(struct store *store, void *ctx, const char *name)
{
	struct sweep *sweep = ctx;
	struct lease lease = { 0 };
	int r = read_lease(store, name, &lease);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		memset(&lease, 0, sizeof(lease));
	for (size_t i = 0; i < sweep->n; i++)
		if (!strcmp(sweep->items[i].key, lease.key) &&
			!strcmp(sweep->items[i].container, lease.container) &&
			!strcmp(sweep->items[i].ifname, lease.ifname))
			return 0;
	if (sweep->n == sweep->cap) {
		size_t cap = sweep->cap ? sweep->cap * 2 : 16;
		struct lease *items = realloc(sweep->items, cap * sizeof(*items));
		if (!items)
			return -ENOMEM;
		sweep->items = items;
		sweep->cap = cap;
	}
	sweep->items[sweep->n++] = lease;
	return 0;
}

int store_list(struct store *store, struct lease **ret, size_t *ret_n, struct err *err)
{
	struct sweep sweep = { 0 };
	int r = lock(store, err);
	if (r < 0)
		return r;
	r = each_file(store, collect_file, &sweep);
	unlock(store);
	if (r < 0) {
		free(sweep.items);
		return err_set(err, r, "list the leases in %s: %s", store->path, strerror(-r));
	}
	*ret = sweep.items;
	*ret_n = sweep.n;
	return 0;
}

static int remove_damaged_file(struct store *store, void *ctx, const char *name)
{
	struct lease lease;
	int r = read_lease(store, name, &lease);
	return r == -EBADMSG || r == -ESTALE || r == -ELOOP ? remove_at(store->dir, name) : 0;
}

int store_remove_damaged(struct store *store, struct err *err)
{
	int r = lock(store, err);
	if (r < 0)
		return r;
	r = each_file(store, remove_damaged_file, NULL);
	unlock(store);
	return r < 0 ? err_set(err, r, "remove damaged leases in %s: %s", store->path, strerror(-r))
		     : 0;
}

struct tally {
	const struct ip_prefix *subnet;
	uint64_t used;
};

static int count_file(struct store *store, void *ctx, const char *name)
{
	struct tally *tally = ctx;
	struct ip_addr addr;
	if (ip_addr_parse(name, &addr) == 0 && ip_prefix_contains(tally->subnet, &addr))
		tally->used++;
	return 0;
}

int store_count(
	struct store *store, const struct ip_prefix *subnet, uint64_t *ret_used, struct err *err)
{
	struct tally tally = { .subnet = subnet };
	int r = each_file(store, count_file, &tally);
	if (r < 0)
		return err_set(err, r, "count the leases in %s: %s", store->path, strerror(-r));
	*ret_used = tally.used;
	return 0;
}
