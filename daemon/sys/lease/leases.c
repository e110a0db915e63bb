/*
 * leases: see leases.h. The lock is held inside each call only. Under it, a lease is written to
 * ".new", linked to its key, then to its addresses; released in the opposite order, so that the key
 * names everything that may be left.
 */
#include "sys/lease/leases.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/names.h"
#include "base/number.h"
#include "sys/lease/leases-internal.h"

enum { FILE_MAX = 2048 };

/* --- leases --- */

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
	char stamp[BOOT_ID_MAX], addr[IP_TEXT_MAX], netns[24];
	const char *at = text;

	if (!take_line(&at, "boot", stamp, sizeof(stamp)) ||
		!take_line(&at, "key", lease.key, sizeof(lease.key)) ||
		!take_line(&at, "container", lease.container, sizeof(lease.container)) ||
		!take_line(&at, "ifname", lease.ifname, sizeof(lease.ifname)))
		return -EBADMSG;
	if (take_line(&at, "netns", netns, sizeof(netns)) &&
		number_parse(netns, 1, UINT64_MAX, &lease.netns) < 0)
		return -EBADMSG;
	if (take_line(&at, "pod-netns", netns, sizeof(netns)) &&
		(number_parse(netns, 1, UINT64_MAX, &lease.pod_netns) < 0 ||
			!take_line(&at, "pod", lease.pod, sizeof(lease.pod)) || *lease.pod != '/'))
		return -EBADMSG;
	(void) take_line(&at, "runtime", lease.runtime, sizeof(lease.runtime));
	while (*at) {
		if (lease.n_addrs == LEASES_ADDRS_MAX ||
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
	if (lease->netns)
		buf_printf(ret, "netns %llu\n", (unsigned long long) lease->netns);
	if (lease->pod_netns)
		buf_printf(ret, "pod-netns %llu\npod %s\n", (unsigned long long) lease->pod_netns,
			lease->pod);
	if (*lease->runtime)
		buf_printf(ret, "runtime %s\n", lease->runtime);
	for (size_t i = 0; i < lease->n_addrs; i++)
		buf_printf(ret, "address %s\n", ip_addr_format(&lease->addrs[i], text));
}

int leases_read_lease(struct leases *store, const char *name, struct lease *ret)
{
	CLEANUP_BUF struct buf text = { 0 };
	int r = leases_read(store, name, FILE_MAX, &text);

	if (r < 0)
		return r;
	if (strlen(buf_str(&text)) != text.len)
		return -EBADMSG;
	return lease_parse(buf_str(&text), store->boot, ret);
}

static bool owns(const struct lease_owner *owner, const struct lease *lease)
{
	return !strcmp(owner->container, lease->container) && !strcmp(owner->ifname, lease->ifname);
}

bool leases_is_lease_name(const char *name)
{
	struct ip_addr addr;

	return names_is_pod_link(name) || ip_addr_parse(name, &addr) == 0;
}

/* --- taking and giving back --- */

static int write_lease(struct leases *store, const struct lease *lease)
{
	CLEANUP_BUF struct buf text = { 0 };
	char name[IP_TEXT_MAX];

	lease_format(lease, store->boot, &text);
	if (buf_failed(&text))
		return -ENOMEM;
	int r = leases_write_new(store, text.data, text.len);

	if (r == 0 && linkat(store->dir, ".new", store->dir, lease->key, 0) < 0)
		r = -errno;
	for (size_t i = 0; i < lease->n_addrs && r == 0; i++)
		if (linkat(store->dir, ".new", store->dir, ip_addr_format(&lease->addrs[i], name),
			    0) < 0)
			r = -errno;
	(void) leases_remove(store, ".new"); /* else the next one does */
	return r;
}

int leases_hold(const struct leases *store, const char *key, bool alone)
{
	CLEANUP(close_p)
	int fd = openat(store->dir, key, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 || flock(fd, (alone ? LOCK_EX : LOCK_SH) | LOCK_NB) < 0)
		return -errno;
	return take_fd(&fd);
}

/* Until the process ends, however it ends. */
static int hold(struct leases *store, const struct lease *lease)
{
	int fd = leases_hold(store, lease->key, false);

	if (fd < 0)
		return fd;
	close_p(&store->held);
	store->held = fd;
	return 0;
}

/* The key goes last: as long as it is there, it says what may be left. */
int leases_remove_lease(struct leases *store, const struct lease *lease)
{
	char name[IP_TEXT_MAX];
	int r = 0;

	leases_note_released(store, lease);
	for (size_t i = 0; i < lease->n_addrs && r == 0; i++) {
		ip_addr_format(&lease->addrs[i], name);
		if (leases_is_same_file(store, name, lease->key))
			r = leases_remove(store, name);
	}
	return r < 0 ? r : leases_remove(store, lease->key);
}

/* The lease under @owner's key. -EEXIST if it is somebody else's, -ENOENT if there is none. */
static int find(struct leases *store, const struct lease_owner *owner, struct lease *ret)
{
	int r = leases_read_lease(store, owner->key, ret);

	if (r == -EBADMSG || r == -ESTALE)
		return -ENOENT;
	if (r < 0)
		return r;
	return owns(owner, ret) && !strcmp(owner->key, ret->key) ? 0 : -EEXIST;
}

/* A lease whose addresses lost their names (a kill while it was made) is made whole or dropped. */
static bool is_whole(struct leases *store, const struct lease *lease)
{
	char name[IP_TEXT_MAX];

	for (size_t i = 0; i < lease->n_addrs; i++)
		if (!leases_is_same_file(store, ip_addr_format(&lease->addrs[i], name), lease->key))
			return false;
	return lease->n_addrs > 0;
}

static int take_locked(struct leases *store, const struct lease_owner *owner,
	const struct ip_prefix *subnets, size_t n_subnets, const struct ip_addr *want,
	size_t n_want, struct lease *ret, uint64_t *ret_wait_us, struct err *err)
{
	struct lease lease = { 0 };
	CLEANUP(leases_choice_done) struct leases_choice c = { 0 };
	int r = find(store, owner, &lease);

	if (r == -EEXIST)
		return err_set(
			err, r, "%s belongs to container %s already", owner->key, lease.container);
	if (r == 0 && is_whole(store, &lease)) {
		*ret = lease;
		r = hold(store, &lease);
		return r < 0 ? err_set(err, r, "lock %s/%s: %s", store->path, owner->key,
				       strerror(-r))
			     : 0;
	}
	if (r == 0)
		r = leases_remove_lease(store, &lease);
	else if (r == -ENOENT)
		r = leases_remove(store, owner->key);
	if (r < 0)
		return err_set(err, r, "%s/%s: %s", store->path, owner->key, strerror(-r));

	leases_choice_init(store, &c);
	memset(&lease, 0, sizeof(lease));
	(void) snprintf(lease.key, sizeof(lease.key), "%s", owner->key);
	(void) snprintf(lease.container, sizeof(lease.container), "%s", owner->container);
	(void) snprintf(lease.ifname, sizeof(lease.ifname), "%s", owner->ifname);
	lease.netns = store->netns;
	leases_note_origin(&lease, owner);
	r = leases_choice_make(&c, subnets, n_subnets, want, n_want, &lease, err);
	if (r == 0) {
		r = write_lease(store, &lease);
		if (r == 0)
			r = hold(store, &lease);
		if (r < 0) {
			(void) leases_remove_lease(store, &lease);
			/* Not -ENOSPC: a full disk is not a full pool. */
			r = err_set(
				err, -EIO, "write a lease in %s: %s", store->path, strerror(-r));
		}
	}
	if (r == 0)
		leases_choice_keep(&c);
	*ret_wait_us = c.wait_us;
	*ret = lease;
	return r < 0 ? r : 1;
}

int leases_take(struct leases *store, const struct lease_owner *owner,
	const struct ip_prefix *subnets, size_t n_subnets, const struct ip_addr *want,
	size_t n_want, struct lease *ret, struct err *err)
{
	uint64_t deadline_us = clock_now_us() + 2 * LEASES_REUSE_DELAY_MS * USEC_PER_MSEC;

	for (;;) {
		uint64_t wait_us = 0;
		int r = leases_lock(store, err);

		if (r < 0)
			return r;
		r = take_locked(store, owner, subnets, n_subnets, want, n_want, ret, &wait_us, err);
		leases_unlock(store);
		if (r != -EAGAIN)
			return r;
		if (clock_now_us() > deadline_us)
			return err_set(
				err, -EBUSY, "all free addresses were in use until a moment ago");
		leases_pause_us(wait_us);
	}
}

int leases_find(
	struct leases *store, const struct lease_owner *owner, struct lease *ret, struct err *err)
{
	int r = leases_lock(store, err);

	if (r < 0)
		return r;
	r = find(store, owner, ret);
	if (r == 0 && !is_whole(store, ret))
		r = -ENOENT;
	leases_unlock(store);
	if (r < 0)
		return err_set(err, r == -EEXIST ? -ENOENT : r, "no lease of container %s, %s",
			owner->container, owner->ifname);
	return 0;
}

bool leases_is_held(struct leases *store, const struct lease_owner *owner)
{
	/* Under the lock: who is just taking it must not find it held by this look. */
	if (leases_lock(store, NULL) < 0)
		return true;
	int fd = leases_hold(store, owner->key, true);

	close_p(&fd);
	leases_unlock(store);
	return fd == -EAGAIN;
}

struct sweep {
	const struct lease_owner *owner;
	bool found;
	struct lease *items;
	size_t n, cap;
};

/* A file of @owner's that its key does not name: only tampering leaves one. */
static int release_file(struct leases *store, void *ctx, const char *name)
{
	struct sweep *sweep = ctx;
	struct lease lease;

	if (leases_read_lease(store, name, &lease) < 0 || !owns(sweep->owner, &lease))
		return 0;
	sweep->found = true;
	return leases_remove(store, name);
}

int leases_release(struct leases *store, const struct lease_owner *owner, struct err *err)
{
	struct lease lease;
	struct sweep sweep = { .owner = owner };
	int r = leases_lock(store, err);

	if (r < 0)
		return r;
	r = find(store, owner, &lease);
	if (r == 0) {
		sweep.found = true;
		r = leases_remove_lease(store, &lease);
	} else if (r == -ENOENT || r == -EEXIST) {
		r = leases_each(store, leases_is_lease_name, release_file, &sweep);
	}
	leases_unlock(store);
	if (r < 0)
		return err_set(err, r, "give back the lease in %s: %s", store->path, strerror(-r));
	return sweep.found;
}

static int collect_file(struct leases *store, void *ctx, const char *name)
{
	struct sweep *sweep = ctx;
	struct lease lease = { 0 };
	int r = leases_read_lease(store, name, &lease);

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
		struct lease *items = reallocarray(sweep->items, cap, sizeof(*items));

		if (!items)
			return -ENOMEM;
		sweep->items = items;
		sweep->cap = cap;
	}
	sweep->items[sweep->n++] = lease;
	return 0;
}

int leases_list(struct leases *store, struct lease **ret, size_t *ret_n, struct err *err)
{
	struct sweep sweep = { 0 };
	int r = leases_lock(store, err);

	if (r < 0)
		return r;
	r = leases_each(store, leases_is_lease_name, collect_file, &sweep);
	leases_unlock(store);
	if (r < 0) {
		free(sweep.items);
		return err_set(err, r, "list the leases in %s: %s", store->path, strerror(-r));
	}
	*ret = sweep.items;
	*ret_n = sweep.n;
	return 0;
}

static int remove_damaged_file(struct leases *store, void *ctx, const char *name)
{
	struct lease lease;
	int r = leases_read_lease(store, name, &lease);

	return r == -EBADMSG || r == -ESTALE || r == -ELOOP ? leases_remove(store, name) : 0;
}

int leases_remove_damaged(struct leases *store, struct err *err)
{
	int r = leases_lock(store, err);

	if (r < 0)
		return r;
	r = leases_each(store, leases_is_lease_name, remove_damaged_file, NULL);
	leases_unlock(store);
	return r < 0 ? err_set(err, r, "remove damaged leases in %s: %s", store->path, strerror(-r))
		     : 0;
}
