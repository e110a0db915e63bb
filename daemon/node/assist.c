/*
 * Who asks hearth-helper: names, uapi, cluster, resolv are made here, connected with the rest, and
 * tried again. It may be missing or slow: everything is tried by and by and is a problem in `hearth
 * status` until then.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "node/hearthd.h"

static bool is_up(const void *ctx)
{
	return ((const struct hearthd *) ctx)->mesh_state == MESH_UP;
}

static bool has_ipv6(const void *ctx, uint32_t id)
{
	return ipv6_leads_to(((const struct hearthd *) ctx)->ipv6, id);
}

static const struct names_hooks names_hooks = { .is_up = is_up, .has_ipv6 = has_ipv6 };

static void on_told(void *ctx)
{
	struct hearthd *h = ctx;

	if (h->announce) /* not at the end */
		announce_look(h->announce);
}

static void on_done(void *ctx, const char *id)
{
	struct hearthd *h = ctx;
	struct state *state = keep_state(h->keep);

	(void) snprintf(state->kube_done, sizeof(state->kube_done), "%s", id);
	keep_save_state(h->keep);
}

static bool is_reachable(const void *ctx, uint32_t id)
{
	const struct peer *peer = peers_get(((const struct hearthd *) ctx)->peers, id);

	return peer && peer->reachable;
}

static const struct cluster_hooks cluster_hooks = {
	.told = on_told, .done = on_done, .is_reachable = is_reachable
};

int assist_open(struct hearthd *h)
{
	h->cluster = cluster_new(&h->core, &cluster_hooks, h);
	h->names = names_new(&h->core, &names_hooks, h);
	h->resolv = resolv_new(&h->core);
	h->uapi = uapi_new(&h->core);
	return h->cluster && h->names && h->resolv && h->uapi ? 0 : -ENOMEM;
}

void assist_close(struct hearthd *h)
{
	h->cluster = cluster_free(h->cluster);
	h->names = names_free(h->names);
	h->resolv = resolv_free(h->resolv);
	h->uapi = uapi_free(h->uapi);
}

/* Started again, as its socket shows: what failed without it need not wait. */
static bool has_new_helper(struct hearthd *h)
{
	struct stat st = { 0 };
	bool is_new;

	(void) stat(h->core.helper_path, &st); /* none: zero */
	is_new = st.st_ino && st.st_ino != h->helper_ino;
	h->helper_ino = st.st_ino;
	return is_new;
}

static void no_pauses(struct hearthd *h)
{
	names_hurry(h->names);
	uapi_hurry(h->uapi);
	cluster_hurry(h->cluster);
	resolv_hurry(h->resolv);
}

void assist_log_settled(struct hearthd *h, bool saved)
{
	names_log_settled(h->names, saved);
	cluster_log_settled(h->cluster, saved);
}

void assist_retry(struct hearthd *h)
{
	if (has_new_helper(h))
		no_pauses(h);
	names_retry(h->names);
	uapi_retry(h->uapi);
	cluster_retry(h->cluster);
	resolv_retry(h->resolv);
}

void assist_retry_now(struct hearthd *h)
{
	no_pauses(h);
	assist_retry(h);
}
