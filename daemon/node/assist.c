/*
 * What hearth-helper is asked for. It may be missing or slow: only the device at the start is waited
 * for, everything else is tried again by and by and is a problem in `hearth status` until then.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "mesh/cluster.h"
#include "node/hearthd.h"
#include "wire/kube.h"

#define KUBE_US (150 * USEC_PER_SEC)

/* --- what connects names with the rest --- */

static bool is_up(const void *ctx)
{
	return ((const struct hearthd *) ctx)->mesh_state == MESH_UP;
}

static bool has_ipv6(const void *ctx, uint32_t id)
{
	return ipv6_leads_to(((const struct hearthd *) ctx)->ipv6, id);
}

static const struct names_hooks names_hooks = { .is_up = is_up, .has_ipv6 = has_ipv6 };

int assist_open(struct hearthd *h)
{
	h->kube_stale = true; /* who knows what changed while nobody looked */
	h->names = names_new(&h->core, &names_hooks, h);
	h->resolv = resolv_new(&h->core);
	h->uapi = uapi_new(&h->core);
	return h->names && h->resolv && h->uapi ? 0 : -ENOMEM;
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

/* --- joining the cluster --- */

/* For the presence, and so for other boards' terminals: one line of ASCII. */
static void tell_others(struct hearthd *h, const char *id, const char *problem)
{
	size_t i;

	(void) snprintf(h->kube_tried, sizeof(h->kube_tried), "%s", id);
	for (i = 0; problem[i] && i < sizeof(h->kube_problem) - 1; i++)
		h->kube_problem[i] =
			(char) (problem[i] >= ' ' && problem[i] <= '~' ? problem[i] : '?');
	h->kube_problem[i] = 0;
	feed_announce(h);
}

/* Root sees by which name kubelet joined. True: by the one that the board has, or not yet. */
static bool has_joined_as_itself(struct hearthd *h, const json_t *reply)
{
	const char *joined = json_string_value(json_object_get(reply, "joined"));
	const struct node *self = core_self(&h->core);
	struct err err = { 0 };

	if (joined && self)
		err_set(&err, -EEXIST,
			"Kubernetes knows this board as %.253s, by the name that it joined with, "
			"and a Node's name cannot be changed: `sudo hearth node rename %s %.253s` "
			"on the coordinator makes them one again, or let it join anew (`sudo "
			"enroll-node` says how)",
			joined, self->name, joined);
	problem_set(&h->core.problems, "node", &err);
	return !err.code;
}

static void kube_failed(struct hearthd *h, const struct err *err)
{
	struct err why = { 0 };

	job_failed(&h->kube_job);
	if (h->kube_id[0])
		tell_others(h, h->kube_id, err->text);
	err_set(&why, err->code, "%s: hearth-helper: %.600s",
		h->kube_id[0] ? "the cluster's join files are not written"
			      : "the kubeadm files do not follow the mesh's log",
		err->text);
	problem_set(&h->core.problems, "kube", &why);
}

static void kube_joined(void *ctx, int r, struct ipc_reply *reply, const struct err *err)
{
	struct hearthd *h = ctx;
	bool itself;

	job_ended(&h->kube_job);
	if (h->kube_again) {
		h->kube_again = false;
		assist_join_kube(h);
		return;
	}
	if (r < 0) {
		kube_failed(h, err);
		return;
	}
	job_clear(&h->kube_job);
	h->kube_stale = false;
	problem_set(&h->core.problems, "kube", NULL);
	itself = has_joined_as_itself(h, reply->ok);
	assist_look_at_cluster(h);
	if (!h->kube_id[0])
		return;
	log_seldom(LOG_LEVEL_INFO, "join bundle %s: kubeadm files written", h->kube_id);
	/* Else the next hearthd asks once more, and so has the problem, too. */
	(void) snprintf(h->state.kube_done, sizeof(h->state.kube_done), "%s",
		itself ? h->kube_id : "");
	save_state(h);
	tell_others(h, h->kube_id, "");
}

void assist_refuse_kube(struct hearthd *h, const char *id, const struct err *why)
{
	struct err err = { 0 };

	err_set(&err, why->code,
		"the cluster's join files are not written: the bundle that came is not a control "
		"plane's: %.500s; whoever runs the coordinator made it up, or changed it. `hearth "
		"kube publish` makes a true one",
		why->text);
	problem_set(&h->core.problems, "kube", &err);
	tell_others(h, id, why->text);
}

void assist_accept_kube(struct hearthd *h)
{
	if (!h->kube_id[0] || strcmp(h->kube_id, h->state.kube_done) != 0)
		return; /* it will be told when root has looked */
	problem_set(&h->core.problems, "kube", NULL);
	tell_others(h, h->kube_id, "");
}

/* A board that runs pods and was made ready for kubeadm. */
static bool has_kube_files(const struct hearthd *h)
{
	char path[PATH_TEXT_MAX];

	return access(paths_join(h->core.paths.etc, "kubeadm/upgrade.yaml", path), F_OK) == 0;
}

static bool is_kube_wanted(const struct hearthd *h)
{
	if (h->kube_id[0])
		return strcmp(h->kube_id, h->state.kube_done) != 0;
	return h->kube_stale && has_kube_files(h);
}

static void call_kube(struct hearthd *h, const char *call, const json_t *args)
{
	h->kube_unsaved = book_unsaved(h->core.book)->code != 0;
	job_ask(&h->kube_job, &h->core, call, args, KUBE_US, kube_joined, h);
}

void assist_join_kube(struct hearthd *h)
{
	CLEANUP_JSON json_t *bundle = NULL;
	CLEANUP_JSON json_t *args = NULL;

	if (job_is_under_way(&h->kube_job) || !is_kube_wanted(h))
		return;
	if (book_log_is_on_its_way(h->core.book)) {
		h->kube_wait_log = true;
		return;
	}
	if (!h->kube_id[0]) {
		call_kube(h, "kube.follow", NULL);
		return;
	}
	bundle = json_read_file(h->kube_path, API_REQUEST_MAX, NULL);
	if (!bundle) {
		h->kube_id[0] = 0; /* the next poll brings it again */
		return;
	}
	args = json_pack("{s:O}", "bundle", bundle);
	if (args)
		call_kube(h, "kube.join", args);
}

/* Ready for kubeadm, which did not run yet, or was reset. */
static bool is_out_of_cluster(const struct hearthd *h)
{
	char kubernetes[PATH_TEXT_MAX], kubelet[PATH_TEXT_MAX];

	paths_join(h->core.host_path, "kubernetes", kubernetes);
	paths_join(h->core.host_path, "kubernetes/kubelet.conf", kubelet);
	return access(kubernetes, F_OK) == 0 && access(kubelet, F_OK) < 0 && errno == ENOENT;
}

/* With a token that is over kubeadm join tries for ten minutes, and does not say why. */
void assist_look_at_cluster(struct hearthd *h)
{
	char join[PATH_TEXT_MAX];
	bool is_out = is_out_of_cluster(h);
	struct err err = { 0 };

	if (is_out)
		problem_set(&h->core.problems, "node", NULL);
	paths_join(h->core.paths.etc, "kubeadm/join.yaml", join);
	if (is_out && h->kube_id[0] && h->kube_expires <= clock_wall_us() / USEC_PER_SEC &&
		access(join, F_OK) == 0)
		err_set(&err, -ETIMEDOUT,
			"this board is not in the cluster, and the token in %s is over (kubeadm "
			"join would try for minutes); `sudo hearth kube publish` on the control "
			"plane brings another",
			join);
	problem_set(&h->core.problems, "token", &err);
}

static void make_again(struct hearthd *h)
{
	h->kube_again = job_is_under_way(&h->kube_job);
	h->kube_stale = true;
	h->state.kube_done[0] = 0;
	save_state(h);
	job_clear(&h->kube_job);
	assist_join_kube(h);
}

void assist_follow_record(struct hearthd *h, const struct node *self)
{
	CLEANUP(free_p) char *inputs = cluster_inputs(book_netmap(h->core.book), self->id);
	bool changed = inputs && h->kube_inputs && strcmp(inputs, h->kube_inputs) != 0;

	if (!inputs)
		return; /* out of memory: at the next change */
	free(h->kube_inputs);
	h->kube_inputs = TAKE(inputs);
	if (changed && node_has_pods(self))
		make_again(h);
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
	job_hurry(&h->kube_job);
	resolv_hurry(h->resolv);
}

void assist_log_settled(struct hearthd *h, bool saved)
{
	bool kube = h->kube_wait_log, again = saved && h->kube_unsaved;

	h->kube_wait_log = false;
	h->kube_unsaved = h->kube_unsaved && !saved;
	names_log_settled(h->names, saved);
	if (again)
		make_again(h);
	else if (kube)
		assist_join_kube(h);
}

void assist_retry(struct hearthd *h)
{
	if (has_new_helper(h))
		no_pauses(h);
	names_retry(h->names);
	uapi_retry(h->uapi);
	if (job_is_due(&h->kube_job))
		assist_join_kube(h);
	resolv_retry(h->resolv);
}

void assist_retry_now(struct hearthd *h)
{
	no_pauses(h);
	assist_retry(h);
}

void assist_close(struct hearthd *h)
{
	job_cancel(&h->kube_job);
	h->names = names_free(h->names);
	h->resolv = resolv_free(h->resolv);
	h->uapi = uapi_free(h->uapi);
	free(h->kube_inputs);
	h->kube_inputs = NULL;
}
