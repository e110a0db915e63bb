/*
 * Leases of pods that went without a word (their runtime was killed, or lost its state) hold addresses that
 * nobody uses. The plugin would hear of them by GC, which container runtimes do not call, so they are looked for
 * here. Links and routes need nobody: they go with the pod's namespace.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "node/hearthd.h"
#include "sys/lease/leases.h"

#define LOOK_US (30 * USEC_PER_SEC)

static void close_dir(DIR **dir)
{
	if (*dir)
		(void) closedir(*dir);
}

/* Container runtimes are told nothing of it: they would end the pods that have the addresses. */
static void tell_full(const struct hearthd *h, const struct leases_census *census, struct err *ret)
{
	const struct node *self = core_self(&h->core);
	size_t used = census->living + census->held + census->elsewhere + census->damaged;
	char text[PREFIX_TEXT_MAX];

	if (self && self->pods4.len && used >= leases_capacity(&self->pods4))
		err_set(ret, -ENOSPC,
			"new pods of this board get no address: all of %s are in use; let fewer "
			"pods run here (maxPods of kubelet)",
			ip_prefix_format(&self->pods4, text));
}

static void tidy(struct hearthd *h, const char *network, struct err *ret_full)
{
	CLEANUP_LEASES struct leases *store = NULL;
	struct leases_census census = { 0 };
	struct err err = { 0 };
	int r = leases_open_existing(network, &store, &err);

	if (r == 0)
		r = leases_reclaim(store, h->core.nl, 0, &census, &err);
	if (r < 0) {
		/* The lock is taken for moments. What is not open to us, ADD looks after when it needs to. */
		log_debug("leases of network %s: %s", network, err.text);
		return;
	}
	if (census.dead)
		log_notice("%zu leases of pods that went without DEL are given back (network %s)",
			census.dead, network);
	tell_full(h, &census, ret_full);
}

void pods_look(struct hearthd *h, uint64_t now_us)
{
	char path[PATH_TEXT_MAX];
	struct err full = { 0 };
	const struct dirent *entry;

	if (now_us < h->pods_us)
		return;
	h->pods_us = now_us + LOOK_US;
	CLEANUP(close_dir) DIR *dir = opendir(paths_join(h->core.paths.run, "cni", path));
	while (dir && (entry = readdir(dir)))
		if (*entry->d_name != '.')
			tidy(h, entry->d_name, &full);
	problem_set(&h->core.problems, "pods", &full);
}
