/*
 * leases-reclaim: see leases_reclaim(). All of it is done under the lock, so that no ADD begins meanwhile; and
 * the links are listed after every lease was seen not to be held: an ADD that ended before made its link.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "sys/lease/leases-internal.h"
#include "sys/net/link.h"

struct reclaim {
	struct leases_census census;
	struct lease *idle; /* nobody is at work on them */
	size_t n, cap;
};

static int add_idle(struct reclaim *reclaim, const struct lease *lease)
{
	if (reclaim->n == reclaim->cap) {
		size_t cap = reclaim->cap ? reclaim->cap * 2 : 16;
		struct lease *idle = reallocarray(reclaim->idle, cap, sizeof(*idle));
		if (!idle)
			return -ENOMEM;
		reclaim->idle = idle;
		reclaim->cap = cap;
	}
	reclaim->idle[reclaim->n++] = *lease;
	return 0;
}

static bool is_key(const char *name)
{
	return !strncmp(name, "hth", 3);
}

/* An address is another name of a key's file. Not read: hearthd looks at all of them twice a minute. */
static int look_at_address(struct leases *store, struct reclaim *reclaim, const char *name)
{
	struct stat st;
	if (fstatat(store->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		(!S_ISREG(st.st_mode) || st.st_nlink < 2))
		reclaim->census.damaged++;
	return 0;
}

static int look_at(struct leases *store, void *ctx, const char *name)
{
	struct reclaim *reclaim = ctx;
	struct lease lease;
	if (!is_key(name))
		return look_at_address(store, reclaim, name);
	if (leases_read_lease(store, name, &lease) < 0 || strcmp(name, lease.key)) {
		reclaim->census.damaged++;
		return 0;
	}
	CLEANUP(close_p) int fd = leases_hold(store, name, true);
	if (fd < 0)
		reclaim->census.held++;
	else if (lease.netns && lease.netns != store->netns)
		reclaim->census.elsewhere++;
	else
		return add_idle(reclaim, &lease);
	return 0;
}

/* Somebody may have given it another name. */
static bool has_link(
	const struct leases *store, const struct link *links, size_t n, const struct lease *lease)
{
	char alias[LINK_ALIAS_MAX];
	(void) snprintf(alias, sizeof(alias), LEASES_ALIAS, strrchr(store->path, '/') + 1,
		lease->container, lease->ifname);
	for (size_t i = 0; i < n; i++)
		if (!strcmp(links[i].name, lease->key) || !strcmp(links[i].alias, alias))
			return true;
	return false;
}

static int judge(struct leases *store, struct nl *nl, struct reclaim *reclaim, struct err *err)
{
	CLEANUP(free_p) struct link *links = NULL;
	size_t n = 0;
	int r = reclaim->n ? link_list(nl, &links, &n, err) : 0;
	for (size_t i = 0; r == 0 && i < reclaim->n; i++) {
		const struct lease *lease = &reclaim->idle[i];
		if (has_link(store, links, n, lease)) {
			reclaim->census.living++;
			reclaim->census.example = *lease;
			continue;
		}
		r = leases_remove_lease(store, lease);
		if (r < 0)
			return err_set(err, r, "give back the lease %s/%s: %s", store->path,
				lease->key, strerror(-r));
		reclaim->census.dead++;
	}
	return r;
}

int leases_reclaim(
	struct leases *store, struct nl *nl, bool wait, struct leases_census *ret, struct err *err)
{
	struct reclaim reclaim = { 0 };
	int r = wait ? leases_lock(store, err) : leases_try_lock(store, err);
	if (r < 0)
		return r;
	r = leases_each(store, leases_is_lease_name, look_at, &reclaim);
	if (r < 0)
		(void) err_set(err, r, "list the leases in %s: %s", store->path, strerror(-r));
	else
		r = judge(store, nl, &reclaim, err);
	leases_unlock(store);
	free(reclaim.idle);
	if (r == 0)
		*ret = reclaim.census;
	return r;
}
