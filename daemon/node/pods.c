/* pods: see pods.h. */
#include "node/pods.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "sys/lease/leases.h"

#define LOOK_US (30 * USEC_PER_SEC)

struct pods {
	struct core *core; /* borrowed */
	uint64_t next_us;
};

struct pods *pods_new(struct core *core)
{
	struct pods *pods = calloc(1, sizeof(*pods));

	if (pods)
		pods->core = core;
	return pods;
}

struct pods *pods_free(struct pods *pods)
{
	free(pods);
	return NULL;
}

static void close_dir(DIR **dir)
{
	if (*dir)
		(void) closedir(*dir);
}

/* Container runtimes are told nothing of it: they would end the pods that have the addresses. */
static void tell_full(const struct core *core, const struct leases_census *census, struct err *ret)
{
	const struct node *self = core_self(core);
	size_t used = census->living + census->held + census->elsewhere + census->damaged;
	char text[PREFIX_TEXT_MAX];

	if (self && self->pods4.len && used >= leases_capacity(&self->pods4))
		err_set(ret, -ENOSPC,
			"new pods of this board get no address: all of %s are in use; let fewer "
			"pods run here (maxPods of kubelet)",
			ip_prefix_format(&self->pods4, text));
}

static void tidy(const struct core *core, const char *network, struct err *ret_full)
{
	CLEANUP_LEASES struct leases *store = NULL;
	struct leases_census census = { 0 };
	struct err err = { 0 };
	int r = leases_open_existing(network, &store, &err);

	if (r == 0)
		r = leases_reclaim(store, core->nl, 0, &census, &err);
	if (r < 0) {
		/*
		 * The lock is taken for moments. What is not open to us, ADD looks after when it
		 * needs to.
		 */
		log_debug("leases of network %s: %s", network, err.text);
		return;
	}
	if (census.dead)
		log_notice("%zu leases of pods that went without DEL are given back (network %s)",
			census.dead, network);
	tell_full(core, &census, ret_full);
}

void pods_look(struct pods *pods, uint64_t now_us)
{
	char path[PATH_TEXT_MAX];
	struct err full = { 0 };
	const struct dirent *entry;

	if (now_us < pods->next_us)
		return;
	pods->next_us = now_us + LOOK_US;
	CLEANUP(close_dir) DIR *dir = opendir(paths_join(pods->core->paths.run, "cni", path));

	while (dir && (entry = readdir(dir)))
		if (*entry->d_name != '.')
			tidy(pods->core, entry->d_name, &full);
	problem_set(&pods->core->problems, "pods", &full);
}

void pods_hurry(struct pods *pods)
{
	pods->next_us = 0;
}

void pods_forget(struct pods *pods)
{
	problem_set(&pods->core->problems, "pods", NULL);
}
