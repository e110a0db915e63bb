/*
 * Who asks hearth-helper: names, uapi, cluster, resolv are made here, connected with the rest, and
 * tried again. It may be missing or slow: only the device at the start is waited for, everything
 * else is tried by and by and is a problem in `hearth status` until then.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "node/hearthd.h"

/* --- what connects them with the rest --- */

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
	feed_announce(ctx);
}

static void on_done(void *ctx, const char *id)
{
	struct hearthd *h = ctx;

	(void) snprintf(h->state.kube_done, sizeof(h->state.kube_done), "%s", id);
	save_state(h);
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

/* --- the TUN device, where only root may open it --- */

int assist_open_tun(struct hearthd *h, struct err *err)
{
	CLEANUP_IPC_REPLY struct ipc_reply reply = { .fd = -1 };
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR };
	int r = ipc_call(h->core.helper_path, "tun.open", NULL, 2 * USEC_PER_SEC, &reply, err);

	if (r < 0)
		return err_prefix(
			err, "only root may open /dev/net/tun here, and hearth-helper did not");
	if (reply.fd < 0)
		return err_set(err, -EPROTO, "hearth-helper sent no descriptor");
	(void) snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", h->core.config.interface);
	if (ioctl(reply.fd, TUNSETIFF, &ifr) < 0)
		return err_set(err, -errno, "make TUN device %s: %m", h->core.config.interface);
	if (ioctl(reply.fd, TUNSETPERSIST, 1) < 0)
		return err_set(err, -errno, "keep TUN device %s: %m", h->core.config.interface);
	return take_fd(&reply.fd);
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

void assist_close(struct hearthd *h)
{
	h->cluster = cluster_free(h->cluster);
	h->names = names_free(h->names);
	h->resolv = resolv_free(h->resolv);
	h->uapi = uapi_free(h->uapi);
}
