/* cluster: see cluster.h. */
#include "node/cluster.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "mesh/cluster.h"
#include "node/job.h"
#include "wire/api.h"

#define JOIN_US (150 * USEC_PER_SEC)

/*
 * Each is written to the card, and root looks at it: no coordinator may make them come without end.
 */
enum { BURST = 12 };
#define EVERY_US (300 * USEC_PER_SEC)

struct cluster {
	struct core *core; /* borrowed, as hooks and ctx are */
	const struct cluster_hooks *hooks;
	void *ctx;
	char path[PATH_TEXT_MAX];

	char id[FIELD_ID_MAX]; /* of the bundle in that file, "" none */
	uint64_t expires;      /* likewise */
	char done[FIELD_ID_MAX];
	char coming[FIELD_ID_MAX]; /* of one on its way to it, "" none */
	uint64_t coming_expires;
	unsigned n_writing;
	bool was_refused; /* before it came */
	struct pace pace; /* of those that come */

	char refused[FIELD_ID_MAX]; /* the last one, "" none since a true one */
	struct pace refused_pace;   /* of telling of those that no control plane signed */
	char tried[FIELD_ID_MAX], problem[PRESENCE_PROBLEM_MAX]; /* as others are told */

	struct job job;
	bool wait_log; /* the log is on its way to the disk: root reads it */
	bool unsaved;  /* files were asked for while it could not be written */
	char *inputs;  /* what the log has for the files, when last looked at */
	bool stale;    /* there may be files that were made of something else */
	bool again;    /* inputs or bundle changed while files were being made */
};

struct cluster *cluster_new(struct core *core, const struct cluster_hooks *hooks, void *ctx)
{
	struct cluster *cluster = calloc(1, sizeof(*cluster));

	if (!cluster)
		return NULL;
	cluster->core = core;
	cluster->hooks = hooks;
	cluster->ctx = ctx;
	cluster->stale = true; /* who knows what changed while nobody looked */
	paths_join(core->paths.state, "kube.json", cluster->path);
	return cluster;
}

struct cluster *cluster_free(struct cluster *cluster)
{
	if (!cluster)
		return NULL;
	assert(!cluster->n_writing);
	job_cancel(&cluster->job);
	free(cluster->inputs);
	free(cluster);
	return NULL;
}

void cluster_load(struct cluster *cluster, const char *done)
{
	CLEANUP_JSON json_t *json = json_read_file(cluster->path, API_REQUEST_MAX, NULL);
	CLEANUP_KUBE_BUNDLE struct kube_bundle bundle = { 0 };
	const struct core *core = cluster->core;
	const struct presence *own = book_presence(core->book, core->config.node);

	(void) snprintf(cluster->done, sizeof(cluster->done), "%s", done);
	if (json && kube_bundle_from_json(json, &bundle, NULL) == 0) {
		(void) snprintf(cluster->id, sizeof(cluster->id), "%s", bundle.id);
		cluster->expires = bundle.expires;
	}
	(void) snprintf(cluster->tried, sizeof(cluster->tried), "%s", done);
	/* What failed will be tried again; until then it is as the others were told. */
	if (own && cluster->id[0] && !strcmp(own->kube, cluster->id)) {
		(void) snprintf(cluster->tried, sizeof(cluster->tried), "%s", own->kube);
		(void) snprintf(
			cluster->problem, sizeof(cluster->problem), "%s", own->kube_problem);
	}
}

const char *cluster_tried(const struct cluster *cluster)
{
	return cluster->tried;
}

const char *cluster_problem(const struct cluster *cluster)
{
	return cluster->problem;
}

/* For the presence, and so for other boards' terminals: one line of ASCII. */
static void tell_others(struct cluster *cluster, const char *id, const char *problem)
{
	size_t i;

	(void) snprintf(cluster->tried, sizeof(cluster->tried), "%s", id);
	for (i = 0; problem[i] && i < sizeof(cluster->problem) - 1; i++)
		cluster->problem[i] =
			(char) (problem[i] >= ' ' && problem[i] <= '~' ? problem[i] : '?');
	cluster->problem[i] = 0;
	cluster->hooks->told(cluster->ctx);
}

/* --- what came --- */

/*
 * Root decides (enroll-node), and by what it has seen itself. But what no control plane signed is
 * not worth its time, nor a write: a coordinator that has no signing key can send one with every
 * answer.
 */
static bool is_signed(
	const struct cluster *cluster, const struct kube_bundle *bundle, struct err *err)
{
	const struct core *core = cluster->core;
	struct kube_cluster ignored;

	return cluster_judge(book_netmap(core->book), core->config.root, &bundle->cluster, 0,
		       &ignored, err) == 0;
}

static void refuse(struct cluster *cluster, const char *id, const struct err *why)
{
	struct err err = { 0 };

	err_set(&err, why->code,
		"the cluster's join files are not written: the bundle that came is not a control "
		"plane's: %.500s; whoever runs the coordinator made it up, or changed it. `hearth "
		"kube publish` makes a true one",
		why->text);
	problem_set(&cluster->core->problems, "kube", &err);
	tell_others(cluster, id, why->text);
}

/* A true one came after it; if that one is known, nobody else will say that all is right. */
static void take_refusal_back(struct cluster *cluster)
{
	if (!cluster->id[0] || strcmp(cluster->id, cluster->done) != 0)
		return; /* it will be told when root has looked */
	problem_set(&cluster->core->problems, "kube", NULL);
	tell_others(cluster, cluster->id, "");
}

static void written(void *ctx, struct write *w)
{
	struct cluster *cluster = ctx;
	struct err err = { 0 };

	if (w->result < 0)
		err_set(&err, w->result, "write %s: %s", w->path, strerror(-w->result));
	problem_set(&cluster->core->problems, "bundle", &err);
	write_free(w);
	if (--cluster->n_writing)
		return; /* a newer one follows */
	if (!err.code) {
		memcpy(cluster->id, cluster->coming, sizeof(cluster->id));
		cluster->expires = cluster->coming_expires;
		cluster->again = job_is_under_way(&cluster->job);
		cluster_join(cluster);
		if (cluster->was_refused)
			take_refusal_back(cluster);
		cluster->was_refused = false;
	}
	cluster->coming[0] = 0;
}

static void keep(struct cluster *cluster, const struct kube_bundle *bundle)
{
	CLEANUP_JSON json_t *json = kube_bundle_to_json(bundle);
	struct write *w = write_new_json(cluster->path, json, 0600);

	if (!w)
		return; /* out of memory: the next poll brings it again */
	log_seldom(LOG_LEVEL_INFO, "the cluster's join bundle %s came", bundle->id);
	(void) snprintf(cluster->coming, sizeof(cluster->coming), "%s", bundle->id);
	cluster->coming_expires = bundle->expires;
	cluster->n_writing++;
	disk_write(cluster->core->disk, w, written, cluster);
}

int cluster_take(struct cluster *cluster, const struct kube_bundle *bundle)
{
	const struct node *self = core_self(cluster->core);
	uint64_t now = clock_now_us();
	struct err err = { 0 };

	if (!self || !node_has_pods(self))
		return -EAGAIN; /* no coordinator that is one sends it to such a board */
	if (!is_signed(cluster, bundle, &err)) {
		if (pace_may(&cluster->refused_pace, BURST, EVERY_US, now, NULL))
			refuse(cluster, bundle->id, &err);
		(void) snprintf(cluster->refused, sizeof(cluster->refused), "%s", bundle->id);
		return -EAGAIN;
	}
	if (!pace_may(&cluster->pace, BURST, EVERY_US, now, NULL))
		return -EAGAIN;
	cluster->was_refused = cluster->was_refused || cluster->refused[0];
	cluster->refused[0] = 0;
	keep(cluster, bundle);
	return 0;
}

const char *cluster_position(const struct cluster *cluster)
{
	if (cluster->refused[0])
		return cluster->refused;
	return cluster->coming[0] ? cluster->coming : cluster->id;
}

/* --- what becomes of it --- */

static void set_done(struct cluster *cluster, const char *id)
{
	(void) snprintf(cluster->done, sizeof(cluster->done), "%s", id);
	cluster->hooks->done(cluster->ctx, id);
}

/* Root sees by which name kubelet joined. True: by the one that the board has, or not yet. */
static bool has_joined_as_itself(struct cluster *cluster, const json_t *reply)
{
	const char *name = json_string_value(json_object_get(reply, "joined"));
	const struct node *self = core_self(cluster->core);
	struct err err = { 0 };

	if (name && self)
		err_set(&err, -EEXIST,
			"Kubernetes knows this board as %.253s, by the name that it joined with, "
			"and a Node's name cannot be changed: `sudo hearth node rename %s %.253s` "
			"on the coordinator makes them one again, or let it join anew (`sudo "
			"enroll-node` says how)",
			name, self->name, name);
	problem_set(&cluster->core->problems, "node", &err);
	return !err.code;
}

static void failed(struct cluster *cluster, const struct err *err)
{
	struct err why = { 0 };

	job_failed(&cluster->job);
	if (cluster->id[0])
		tell_others(cluster, cluster->id, err->text);
	err_set(&why, err->code, "%s: hearth-helper: %.600s",
		cluster->id[0] ? "the cluster's join files are not written"
			       : "the kubeadm files do not follow the mesh's log",
		err->text);
	problem_set(&cluster->core->problems, "kube", &why);
}

static void joined(void *ctx, int r, struct ipc_reply *reply, const struct err *err)
{
	struct cluster *cluster = ctx;
	bool itself;

	job_ended(&cluster->job);
	if (cluster->again) {
		cluster->again = false;
		cluster_join(cluster);
		return;
	}
	if (r < 0) {
		failed(cluster, err);
		return;
	}
	job_clear(&cluster->job);
	cluster->stale = false;
	problem_set(&cluster->core->problems, "kube", NULL);
	itself = has_joined_as_itself(cluster, reply->ok);
	cluster_look(cluster);
	if (!cluster->id[0])
		return;
	log_seldom(LOG_LEVEL_INFO, "join bundle %s: kubeadm files written", cluster->id);
	/* Else the next hearthd asks once more, and so has the problem, too. */
	set_done(cluster, itself ? cluster->id : "");
	tell_others(cluster, cluster->id, "");
}

/* A board that runs pods and was made ready for kubeadm. */
static bool has_files(const struct cluster *cluster)
{
	char path[PATH_TEXT_MAX];

	paths_join(cluster->core->paths.etc, "kubeadm/upgrade.yaml", path);
	return access(path, F_OK) == 0;
}

static bool is_wanted(const struct cluster *cluster)
{
	if (cluster->id[0])
		return strcmp(cluster->id, cluster->done) != 0;
	return cluster->stale && has_files(cluster);
}

static void ask(struct cluster *cluster, const char *call, const json_t *args)
{
	cluster->unsaved = book_unsaved(cluster->core->book)->code != 0;
	job_ask(&cluster->job, cluster->core, call, args, JOIN_US, joined, cluster);
}

void cluster_join(struct cluster *cluster)
{
	CLEANUP_JSON json_t *bundle = NULL;
	CLEANUP_JSON json_t *args = NULL;

	if (job_is_under_way(&cluster->job) || !is_wanted(cluster))
		return;
	if (book_log_is_on_its_way(cluster->core->book)) {
		cluster->wait_log = true;
		return;
	}
	if (!cluster->id[0]) {
		ask(cluster, "kube.follow", NULL);
		return;
	}
	bundle = json_read_file(cluster->path, API_REQUEST_MAX, NULL);
	if (!bundle) {
		cluster->id[0] = 0; /* the next poll brings it again */
		return;
	}
	args = json_pack("{s:O}", "bundle", bundle);
	if (args)
		ask(cluster, "kube.join", args);
}

/* Ready for kubeadm, which did not run yet, or was reset. */
static bool is_out_of_cluster(const struct cluster *cluster)
{
	char kubernetes[PATH_TEXT_MAX], kubelet[PATH_TEXT_MAX];

	paths_join(cluster->core->host_path, "kubernetes", kubernetes);
	paths_join(cluster->core->host_path, "kubernetes/kubelet.conf", kubelet);
	return access(kubernetes, F_OK) == 0 && access(kubelet, F_OK) < 0 && errno == ENOENT;
}

/* With a token that is over kubeadm join tries for ten minutes, and does not say why. */
void cluster_look(struct cluster *cluster)
{
	char join[PATH_TEXT_MAX];
	bool is_out = is_out_of_cluster(cluster);
	struct err err = { 0 };

	if (is_out)
		problem_set(&cluster->core->problems, "node", NULL);
	paths_join(cluster->core->paths.etc, "kubeadm/join.yaml", join);
	if (is_out && cluster->id[0] && cluster->expires <= clock_wall_us() / USEC_PER_SEC &&
		access(join, F_OK) == 0)
		err_set(&err, -ETIMEDOUT,
			"this board is not in the cluster, and the token in %s is over (kubeadm "
			"join would try for minutes); `sudo hearth kube publish` on the control "
			"plane brings another",
			join);
	problem_set(&cluster->core->problems, "token", &err);
}

static void make_again(struct cluster *cluster)
{
	cluster->again = job_is_under_way(&cluster->job);
	cluster->stale = true;
	set_done(cluster, "");
	job_clear(&cluster->job);
	cluster_join(cluster);
}

void cluster_follow_record(struct cluster *cluster, const struct node *self)
{
	CLEANUP(free_p)
	char *inputs = cluster_inputs(book_netmap(cluster->core->book), self->id);
	bool changed = inputs && cluster->inputs && strcmp(inputs, cluster->inputs) != 0;

	if (!inputs)
		return; /* out of memory: at the next change */
	free(cluster->inputs);
	cluster->inputs = TAKE(inputs);
	if (changed && node_has_pods(self))
		make_again(cluster);
}

void cluster_log_settled(struct cluster *cluster, bool saved)
{
	bool join = cluster->wait_log, again = saved && cluster->unsaved;

	cluster->wait_log = false;
	cluster->unsaved = cluster->unsaved && !saved;
	if (again)
		make_again(cluster);
	else if (join)
		cluster_join(cluster);
}

void cluster_retry(struct cluster *cluster)
{
	if (job_is_due(&cluster->job))
		cluster_join(cluster);
}

void cluster_hurry(struct cluster *cluster)
{
	job_hurry(&cluster->job);
}

/* --- what the others say --- */

static const char *const state_names[] = { "written", "failed", "trying", "unreachable" };
enum board_state { BOARD_WRITTEN, BOARD_FAILED, BOARD_TRYING, BOARD_UNREACHABLE };

static enum board_state state_of(const struct cluster *cluster, const struct node *node,
	const char *bundle, const char **ret_problem)
{
	const struct presence *presence = book_presence(cluster->core->book, node->id);
	bool is_self = node->id == cluster->core->config.node;
	const char *tried = is_self ? cluster->tried : presence ? presence->kube : "";

	*ret_problem = is_self ? cluster->problem : presence ? presence->kube_problem : "";
	if (!strcmp(tried, bundle))
		return **ret_problem ? BOARD_FAILED : BOARD_WRITTEN;
	*ret_problem = "";
	return is_self || cluster->hooks->is_reachable(cluster->ctx, node->id) ? BOARD_TRYING
									       : BOARD_UNREACHABLE;
}

bool cluster_boards_have_tried(const struct cluster *cluster, const char *bundle)
{
	const struct netmap *map = book_netmap(cluster->core->book);
	const char *problem;

	for (const struct node *n = NULL; (n = netmap_next(map, n));)
		if (node_has_pods(n) && state_of(cluster, n, bundle, &problem) == BOARD_TRYING)
			return false;
	return true;
}

json_t *cluster_boards_json(const struct cluster *cluster, const char *bundle)
{
	const struct netmap *map = book_netmap(cluster->core->book);
	json_t *list = json_array();
	const char *problem;

	for (const struct node *n = NULL; list && (n = netmap_next(map, n));) {
		if (!node_has_pods(n))
			continue;
		enum board_state state = state_of(cluster, n, bundle, &problem);

		(void) json_array_append_new(
			list, json_pack("{s:s, s:s, s:s?}", "name", n->name, "state",
				      state_names[state], "problem", *problem ? problem : NULL));
	}
	return list ? json_pack("{s:o}", "boards", list) : NULL;
}

/* The first with its reason; the others by name. */
void cluster_look_at_boards(struct cluster *cluster, const struct node *self)
{
	const struct book *book = cluster->core->book;
	const struct netmap *map = book_netmap(book);
	CLEANUP_BUF struct buf others = { 0 };
	struct err err = { 0 };

	for (const struct node *n = NULL;
		self && self->role == NODE_ROLE_CONTROL_PLANE && (n = netmap_next(map, n));) {
		const struct presence *presence = book_presence(book, n->id);

		if (n->id == self->id || !node_has_pods(n) || !presence ||
			!presence->kube_problem[0])
			continue;
		if (err.code)
			buf_printf(&others, ", %s", n->name);
		else
			err_set(&err, -(int) n->id, /* another board is another reason */
				"%s could not write what it needs to join the cluster: %s", n->name,
				presence->kube_problem);
	}
	if (others.len) {
		size_t len = strlen(err.text);

		(void) snprintf(err.text + len, sizeof(err.text) - len,
			"; nor could%s (`hearth status` there says why)", buf_str(&others) + 1);
	}
	problem_set(&cluster->core->problems, "boards", &err);
}
