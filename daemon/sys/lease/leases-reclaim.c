/*
 * leases-reclaim: see leases_reclaim(). All of it is done under the lock, so that no ADD begins
 * meanwhile; and the links are listed after every lease was seen not to be held: an ADD that ended
 * before made its link.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/names.h"
#include "sys/lease/leases-internal.h"
#include "sys/net/link.h"
#include "sys/net/netns.h"

struct reclaim {
	struct leases_census census;
	struct lease *idle; /* nobody is at work on them */
	size_t n, cap;
	unsigned flags;
	char runtime[LEASES_RUNTIME_MAX]; /* the present run */
	bool unsettled;                   /* an ADD of an earlier run is still at work */
	struct suspect *suspects;
	size_t n_suspects;
};

/* A pod that containerd lost: used by nobody, as soon as no process is there. */
struct suspect {
	const struct lease *lease;
	int link; /* its index */
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
	return names_is_pod_link(name);
}

/*
 * An address is another name of a key's file. Not read: hearthd looks at all of them twice a
 * minute.
 */
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

	if (fd < 0) {
		reclaim->census.held++;
		reclaim->unsettled |= strcmp(lease.runtime, reclaim->runtime) != 0;
	} else if (lease.netns && lease.netns != store->netns)
		reclaim->census.elsewhere++;
	else
		return add_idle(reclaim, &lease);
	return 0;
}

/* Somebody may have given it another name. *@ret_own: it says that it is this lease's. */
static const struct link *find_link(const struct leases *store, const struct link *links, size_t n,
	const struct lease *lease, bool *ret_own)
{
	char alias[LINK_ALIAS_MAX];
	const struct link *found = NULL;

	(void) snprintf(alias, sizeof(alias), LEASES_ALIAS, strrchr(store->path, '/') + 1,
		lease->container, lease->ifname);
	*ret_own = false;
	for (size_t i = 0; i < n && !*ret_own; i++) {
		*ret_own = !strcmp(links[i].alias, alias);
		if (*ret_own || !strcmp(links[i].name, lease->key))
			found = &links[i];
	}
	return found;
}

static int give_back(struct leases *store, const struct lease *lease, struct err *err)
{
	int r = leases_remove_lease(store, lease);

	return r < 0 ? err_set(err, r, "give back the lease %s/%s: %s", store->path, lease->key,
			       strerror(-r))
		     : 0;
}

static void is_living(struct reclaim *reclaim, const struct lease *lease)
{
	reclaim->census.living++;
	reclaim->census.example = *lease;
}

/* The link first: as long as it is there, somebody may have the address. */
static int judge_suspects(
	struct leases *store, struct nl *nl, struct reclaim *reclaim, struct err *err)
{
	CLEANUP(free_p)
	struct netns_use *uses = calloc(reclaim->n_suspects + 1, sizeof(*uses));
	int r = uses ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < reclaim->n_suspects; i++)
		uses[i].ino = reclaim->suspects[i].lease->pod_netns;
	if (r == 0 && reclaim->n_suspects)
		(void) netns_mark_used(uses, reclaim->n_suspects); /* fails: all are */
	for (size_t i = 0; r == 0 && i < reclaim->n_suspects; i++) {
		const struct suspect *s = &reclaim->suspects[i];

		if (uses[i].used) {
			is_living(reclaim, s->lease);
			reclaim->census.orphans++;
			continue;
		}
		r = link_delete(nl, s->link, err);
		if (r == 0 || r == -ENODEV)
			r = give_back(store, s->lease, err);
		reclaim->census.forgotten += r == 0;
	}
	return r;
}

/* That the link's other end is where the lease says, is not to be taken for granted. */
static bool is_suspect(const struct reclaim *reclaim, struct nl *nl, const struct lease *lease,
	const struct link *link)
{
	if (!(reclaim->flags & LEASES_FORGOTTEN) || !leases_is_forgotten(lease, reclaim->runtime))
		return false;
	CLEANUP(close_p) int fd = netns_open(lease->pod, lease->pod_netns);

	return fd >= 0 && link->peer_netnsid >= 0 && netns_id(nl, fd) == link->peer_netnsid;
}

static int judge(struct leases *store, struct nl *nl, struct reclaim *reclaim, struct err *err)
{
	CLEANUP(free_p) struct link *links = NULL;
	size_t n = 0;
	int r = reclaim->n ? link_list(nl, &links, &n, err) : 0;

	reclaim->suspects = calloc(reclaim->n + 1, sizeof(*reclaim->suspects));
	if (!reclaim->suspects)
		return err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; r == 0 && i < reclaim->n; i++) {
		const struct lease *lease = &reclaim->idle[i];
		bool own;
		const struct link *link = find_link(store, links, n, lease, &own);

		if (!link) {
			r = give_back(store, lease, err);
			reclaim->census.dead += r == 0;
		} else if (own && is_suspect(reclaim, nl, lease, link)) {
			reclaim->suspects[reclaim->n_suspects++] =
				(struct suspect){ .lease = lease, .link = link->index };
		} else {
			is_living(reclaim, lease);
		}
	}
	return r < 0 ? r : judge_suspects(store, nl, reclaim, err);
}

int leases_reclaim(struct leases *store, struct nl *nl, unsigned flags, struct leases_census *ret,
	struct err *err)
{
	struct reclaim reclaim = { .flags = flags };
	int r = flags & LEASES_WAIT ? leases_lock(store, err) : leases_try_lock(store, err);

	if (r < 0)
		return r;
	leases_runtime(reclaim.runtime);
	r = leases_each(store, leases_is_lease_name, look_at, &reclaim);
	if (r < 0)
		(void) err_set(err, r, "list the leases in %s: %s", store->path, strerror(-r));
	else
		r = judge(store, nl, &reclaim, err);
	if (r == 0 && flags & LEASES_FORGOTTEN && !reclaim.unsettled && !reclaim.census.orphans)
		leases_runtime_settled(store, reclaim.runtime);
	leases_unlock(store);
	free(reclaim.idle);
	free(reclaim.suspects);
	if (r == 0)
		*ret = reclaim.census;
	return r;
}
