/*
 * cluster: which bundles are kept, when hearth-helper makes files of them, and what is said of it,
 * here and there.
 */
#include "fake-core.h"
#include "fake-disk.h"
#include "fake-helper.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "node/cluster.h"

enum { BURST = 12 };
#define EVERY_US (300 * USEC_PER_SEC)
#define LATER_S  (FAKE_WALL_S + 1000)

static const uint8_t plane_seed[32] = { 11 }, other_seed[32] = { 12 };
static const char id_a[] = "aaaaaaaaaaaaaaaa", id_b[] = "bbbbbbbbbbbbbbbb",
		  id_c[] = "cccccccccccccccc";

static struct core *core;
static struct cluster *cluster;
static char dir[64];

/* --- its hooks --- */

static struct {
	unsigned told, n_done;
	char done[FIELD_ID_MAX];
	uint32_t away; /* node that does not answer */
} t;

static void on_told(void *ctx)
{
	assert_ptr_equal(ctx, &t);
	t.told++;
}

static void on_done(void *ctx, const char *id)
{
	assert_ptr_equal(ctx, &t);
	t.n_done++;
	(void) snprintf(t.done, sizeof(t.done), "%s", id);
}

static bool is_reachable(const void *ctx, uint32_t id)
{
	assert_ptr_equal(ctx, &t);
	return id != t.away;
}

static const struct cluster_hooks hooks = {
	.told = on_told, .done = on_done, .is_reachable = is_reachable
};

/* --- a mesh: 1 is this board, 2 the control plane, 3 another worker, 4 a laptop --- */

static void put(uint32_t id, uint32_t number, enum node_role role, const char *name)
{
	CLEANUP_NODE struct node node = maker_node(id, number, name);

	node.role = role;
	if (role == NODE_ROLE_CONTROL_PLANE) { /* one that can sign */
		assert_int_equal(node_revoke_identity(&node), 0);
		record_public_key(plane_seed, node.identity);
		memset(node.wg, 7, sizeof(node.wg));
	}
	fake_core_put_node(&node);
}

static void make(const char *name)
{
	char path[128];

	(void) snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(mkdir(path, 0700), 0);
}

static void touch(const char *name)
{
	char path[128];
	FILE *file;

	(void) snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	(void) fclose(file);
}

static void take_away(const char *name)
{
	char path[128];

	(void) snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(remove(path), 0);
}

static void begin(void)
{
	cluster = cluster_new(core, &hooks, &t);
	assert_non_null(cluster);
}

static int set_up(void **state)
{
	core = fake_core_new();
	fake_helper_reset();
	fake_disk_reset();
	memset(&t, 0, sizeof(t));
	(void) strcpy(dir, "/tmp/hearth-cluster.XXXXXX");
	assert_non_null(mkdtemp(dir));
	(void) snprintf(core->paths.state, sizeof(core->paths.state), "%s", dir);
	(void) snprintf(core->paths.etc, sizeof(core->paths.etc), "%s/hearth", dir);
	(void) snprintf(core->host_path, sizeof(core->host_path), "%s", dir);
	maker_root_hash(core->config.root);
	put(1, 1, NODE_ROLE_WORKER, "pi3");
	put(2, 2, NODE_ROLE_CONTROL_PLANE, "n100");
	put(3, 3, NODE_ROLE_WORKER, "pi4");
	put(4, 0, NODE_ROLE_MEMBER, "laptop");
	begin();
	return 0;
}

static int tear_down(void **state)
{
	static const char *const left[] = { "kube.json", "hearth/kubeadm/join.yaml",
		"hearth/kubeadm/upgrade.yaml", "hearth/kubeadm", "hearth",
		"kubernetes/kubelet.conf", "kubernetes", "" };

	while (fake_disk_waiting())
		fake_disk_end(-EIO);
	cluster = cluster_free(cluster);
	assert_int_equal(fake_helper_waiting(), 0);
	core = fake_core_free(core);
	for (size_t i = 0; i < ARRAY_LEN(left); i++) {
		char path[128];

		(void) snprintf(path, sizeof(path), "%s/%s", dir, left[i]);
		(void) remove(path);
	}
	assert_int_equal(access(dir, F_OK), -1);
	return 0;
}

/* --- bundles --- */

static struct kube_bundle bundle(const char *id, const uint8_t seed[32])
{
	struct kube_cluster c = { .mesh = "home",
		.node = 2,
		.seq = 1,
		.endpoint = "api.home.internal:6443",
		.n_ca = 1,
		.version = "v1.37.2" };
	struct kube_bundle ret = { .token = "abcdef.0123456789abcdef", .expires = LATER_S };
	struct err err = { 0 };

	(void) snprintf(ret.id, sizeof(ret.id), "%s", id);
	maker_root_hash(c.root);
	memcpy(c.ca[0], "sha256:", 7);
	memset(c.ca[0] + 7, 'a', 64);
	if (kube_cluster_sign(&c, seed, &ret.cluster, &err) < 0)
		fail_msg("%s", err.text);
	return ret;
}

static int take(const char *id)
{
	struct kube_bundle b = bundle(id, plane_seed);

	return cluster_take(cluster, &b);
}

static int take_false(const char *id)
{
	struct kube_bundle b = bundle(id, other_seed);

	return cluster_take(cluster, &b);
}

/* It came, and is on the disk. */
static void have(const char *id)
{
	assert_int_equal(take(id), 0);
	fake_disk_end(0);
}

/* It is what root is asked to make files of. */
static void is_asked(const char *id)
{
	const json_t *asked;

	assert_int_equal(fake_helper_waiting(), 1);
	assert_string_equal(fake_helper_call(), "kube.join");
	assert_int_equal(fake_helper_timeout_us(), 150 * USEC_PER_SEC);
	asked = json_object_get(fake_helper_args(), "bundle");
	assert_string_equal(json_string_value(json_object_get(asked, "id")), id);
}

static void says(const char *tried, const char *problem)
{
	assert_string_equal(cluster_tried(cluster), tried);
	assert_string_equal(cluster_problem(cluster), problem);
}

/* Our record has that one label, or none. */
static void label(const char *key)
{
	CLEANUP_NODE struct node node = maker_node(1, 1, "pi3");

	if (key)
		node.labels = json_pack("{s:s}", key, "x");
	fake_core_put_node(&node);
	cluster_follow_record(cluster, core_self(core));
}

static void test_joined(void **state)
{
	assert_string_equal(cluster_position(cluster), "");
	says("", "");
	assert_int_equal(take(id_a), 0);
	assert_string_equal(cluster_position(cluster), id_a);
	assert_int_equal(fake_disk_next()->mode, 0600); /* there is a token in it */
	assert_int_equal(fake_helper_calls(), 0);       /* a restart would lose it */
	fake_disk_end(0);
	assert_string_equal(cluster_position(cluster), id_a);
	is_asked(id_a);
	assert_int_equal(t.told, 0);
	assert_int_equal(fake_core_logged("join bundle aaaaaaaaaaaaaaaa came"), 1);
	fake_helper_answer(NULL);
	assert_int_equal(fake_core_logged("aaaaaaaaaaaaaaaa: kubeadm files written"), 1);
	says(id_a, "");
	assert_int_equal(t.told, 1);
	assert_int_equal(t.n_done, 1);
	assert_string_equal(t.done, id_a);
	fake_core_wrong(core, "kube", NULL);
	cluster_join(cluster);
	have(id_a); /* once more the same */
	assert_int_equal(fake_helper_calls(), 1);
	have(id_b);
	is_asked(id_b);
	assert_int_equal(t.n_done, 1);
}

/* Boards without pods get none, and boards that the log does not name. */
static void test_not_for_us(void **state)
{
	core->config.node = 4;
	assert_int_equal(take(id_a), -EAGAIN);
	core->config.node = 9;
	assert_int_equal(take(id_a), -EAGAIN);
	core->config.node = 1;
	assert_int_equal(fake_disk_waiting(), 0);
	assert_string_equal(cluster_position(cluster), "");
	assert_int_equal(t.told, 0);
}

static void test_refused(void **state)
{
	assert_int_equal(take_false(id_a), -EAGAIN);
	assert_int_equal(fake_disk_waiting(), 0);
	assert_string_equal(cluster_position(cluster), id_a); /* it need not send it again */
	fake_core_wrong(core, "kube", "not a control plane's");
	assert_int_equal(t.told, 1);
	assert_string_equal(cluster_tried(cluster), id_a);
	assert_non_null(strstr(cluster_problem(cluster), "n100"));
	assert_int_equal(take_false(id_b), -EAGAIN);
	assert_string_equal(cluster_position(cluster), id_b);
	assert_int_equal(take(id_c), 0);
	assert_string_equal(cluster_position(cluster), id_c);
	fake_disk_end(0);
	fake_core_wrong(core, "kube", "not a control plane's"); /* until root has looked */
	is_asked(id_c);
	fake_helper_answer(NULL);
	fake_core_wrong(core, "kube", NULL);
	says(id_c, "");
}

/* What is in place already need not be made again, but all is well again. */
static void test_refused_then_known(void **state)
{
	have(id_a);
	fake_helper_answer(NULL);
	assert_int_equal(take_false(id_b), -EAGAIN);
	assert_string_equal(cluster_tried(cluster), id_b);
	t.told = 0;
	assert_int_equal(take(id_a), 0);
	fake_disk_end(-ENOSPC);
	fake_core_wrong(core, "kube", "not a control plane's");
	assert_int_equal(take(id_a), 0);
	fake_disk_end(0);
	fake_core_wrong(core, "kube", NULL);
	says(id_a, "");
	assert_int_equal(t.told, 1);
	have(id_a); /* nothing was refused since */
	assert_int_equal(t.told, 1);
	assert_int_equal(fake_helper_calls(), 1);
}

/* Neither true ones nor false ones come without end. */
static void test_paces(void **state)
{
	for (unsigned i = 0; i < BURST + 3; i++)
		assert_int_equal(take_false(id_a), -EAGAIN);
	assert_int_equal(t.told, BURST);
	fake_event_pass(EVERY_US);
	assert_int_equal(take_false(id_a), -EAGAIN);
	assert_int_equal(t.told, BURST + 1);
	for (unsigned i = 0; i < BURST; i++)
		have(id_a);
	assert_int_equal(take(id_a), -EAGAIN);
	assert_int_equal(fake_disk_waiting(), 0);
	fake_event_pass(EVERY_US - 1);
	assert_int_equal(take(id_a), -EAGAIN);
	fake_event_pass(1);
	assert_int_equal(take(id_a), 0);
}

static void test_disk(void **state)
{
	assert_int_equal(take(id_a), 0);
	fake_disk_end(-ENOSPC);
	fake_core_wrong(core, "bundle", "kube.json: No space");
	assert_int_equal(fake_helper_calls(), 0);
	assert_string_equal(cluster_position(cluster), ""); /* it comes again */
	have(id_a);
	fake_core_wrong(core, "bundle", NULL);
	is_asked(id_a);
	fake_helper_answer(NULL);
	/* Two on their way: the newer one counts. */
	assert_int_equal(take(id_b), 0);
	assert_int_equal(take(id_c), 0);
	fake_disk_end(0);
	assert_int_equal(fake_helper_waiting(), 0);
	assert_string_equal(cluster_position(cluster), id_c);
	fake_disk_end(0);
	is_asked(id_c);
	fake_helper_answer(NULL);
	says(id_c, "");
	/* Somebody removed the file: the coordinator is asked for it again. */
	label(NULL);
	take_away("kube.json");
	label("site");
	assert_int_equal(fake_helper_waiting(), 0);
	assert_string_equal(cluster_position(cluster), "");
}

static void test_failed(void **state)
{
	have(id_a);
	fake_helper_fail(-EREMOTEIO, "the CA is another\none\xc3\xa9");
	fake_core_wrong(core, "kube", "hearth-helper: the CA is another");
	says(id_a, "the CA is another?one??"); /* others' terminals show it */
	assert_int_equal(t.told, 1);
	assert_int_equal(t.n_done, 0);
	fake_event_pass(5 * USEC_PER_SEC - 1);
	cluster_retry(cluster);
	assert_int_equal(fake_helper_calls(), 1);
	fake_event_pass(1);
	cluster_retry(cluster);
	is_asked(id_a);
	fake_helper_fail(-EREMOTEIO, "still");
	cluster_retry(cluster);
	assert_int_equal(fake_helper_calls(), 2);
	cluster_hurry(cluster);
	cluster_retry(cluster);
	assert_int_equal(fake_helper_calls(), 3);
	fake_helper_answer(NULL);
	fake_core_wrong(core, "kube", NULL);
	says(id_a, "");
	cluster_hurry(cluster);
	cluster_retry(cluster);
	assert_int_equal(fake_helper_calls(), 3);
	have(id_b);
	fake_helper_fail(-EREMOTEIO, "no");
	fake_event_pass(5 * USEC_PER_SEC); /* from the beginning */
	cluster_retry(cluster);
	is_asked(id_b);
}

/* The problem as others are told has an end. */
static void test_long_problem(void **state)
{
	char text[ERR_TEXT_MAX];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	have(id_a);
	fake_helper_fail(-EREMOTEIO, text);
	assert_int_equal(strlen(cluster_problem(cluster)), PRESENCE_PROBLEM_MAX - 1);
}

/* While root makes files of one another comes: its answer is of yesterday. */
static void test_newer_meanwhile(void **state)
{
	have(id_a);
	have(id_b);
	is_asked(id_a);
	fake_helper_answer(NULL);
	assert_int_equal(t.told, 0);
	assert_int_equal(t.n_done, 0);
	is_asked(id_b);
	fake_helper_fail(-EREMOTEIO, "no");
	says(id_b, "no");
	cluster_hurry(cluster);
	cluster_retry(cluster);
	is_asked(id_b);
	cluster_join(cluster); /* one at a time */
	assert_int_equal(fake_helper_calls(), 3);
}

/* A disk that was full when nothing was asked has cost nothing. */
static void test_log_failed_before(void **state)
{
	have(id_a);
	fake_helper_answer(NULL);
	cluster_log_settled(cluster, false);
	cluster_log_settled(cluster, true);
	assert_int_equal(fake_helper_calls(), 1);
	assert_string_equal(t.done, id_a);
}

/* Root reads our log on the disk. */
static void test_waits_for_the_log(void **state)
{
	cluster_log_settled(cluster, true);
	fake_core_log_is_on_its_way = true;
	have(id_a);
	assert_int_equal(fake_helper_calls(), 0);
	fake_core_log_is_on_its_way = false;
	fake_core_unsaved.code = -ENOSPC;
	cluster_log_settled(cluster, false);
	is_asked(id_a); /* what is there is better than nothing */
	fake_helper_answer(NULL);
	cluster_log_settled(cluster, false); /* nothing waits for it any more */
	assert_int_equal(fake_helper_calls(), 1);
	assert_string_equal(t.done, id_a);
	fake_core_unsaved.code = 0;
	cluster_log_settled(cluster, true); /* it saw an old one */
	assert_string_equal(t.done, "");
	is_asked(id_a);
	fake_helper_answer(NULL);
	cluster_log_settled(cluster, true);
	assert_int_equal(fake_helper_calls(), 2);
	fake_core_unsaved.code = -ENOSPC;
	have(id_b);
	fake_core_log_is_on_its_way = true;
	cluster_log_settled(cluster, true); /* while it is asked */
	fake_core_log_is_on_its_way = false;
	fake_core_unsaved.code = 0;
	fake_helper_answer(NULL);
	is_asked(id_b);
	fake_helper_answer(NULL);
	fake_core_log_is_on_its_way = true;
	have(id_c);
	fake_core_log_is_on_its_way = false;
	cluster_log_settled(cluster, false);
	fake_helper_fail(-EREMOTEIO, "no");
	cluster_log_settled(cluster, false); /* it waits for its pause, not for that */
	assert_int_equal(fake_helper_waiting(), 0);
}

static void test_labels(void **state)
{
	label("site");
	have(id_a);
	fake_helper_answer(NULL);
	label("site");
	assert_int_equal(fake_helper_calls(), 1);
	label(NULL);
	assert_string_equal(t.done, "");
	is_asked(id_a);
	label("house"); /* while they are being made */
	fake_helper_answer(NULL);
	is_asked(id_a);
	fake_helper_answer(NULL);
	assert_int_equal(fake_helper_calls(), 3);
	assert_string_equal(t.done, id_a);
	/* What failed need not wait. */
	fake_helper_refuses = -ENOENT;
	label("site");
	label(NULL);
	assert_int_equal(fake_helper_calls(), 5);
	fake_event_pass(5 * USEC_PER_SEC);
	cluster_retry(cluster);
	assert_int_equal(fake_helper_calls(), 6);
	put(1, 0, NODE_ROLE_MEMBER, "pi3"); /* it runs no pods any more */
	cluster_follow_record(cluster, core_self(core));
	assert_int_equal(fake_helper_calls(), 6);
}

/* Files that need no bundle: those of a board that is in the cluster follow the log, too. */
static void test_follows(void **state)
{
	label("site");
	cluster_join(cluster);
	assert_int_equal(fake_helper_calls(), 0); /* there are none */
	make("hearth");
	make("hearth/kubeadm");
	touch("hearth/kubeadm/upgrade.yaml");
	cluster_join(cluster); /* who knows what was while nobody looked */
	assert_string_equal(fake_helper_call(), "kube.follow");
	assert_int_equal(fake_helper_timeout_us(), 150 * USEC_PER_SEC);
	fake_helper_fail(-EREMOTEIO, "no kubeadm");
	fake_core_wrong(core, "kube", "do not follow the mesh's log: hearth-helper: no kubeadm");
	assert_int_equal(t.told, 0); /* others do not wait for that */
	cluster_hurry(cluster);
	cluster_retry(cluster);
	fake_helper_answer(NULL);
	fake_core_wrong(core, "kube", NULL);
	assert_int_equal(t.told, 0);
	assert_int_equal(t.n_done, 0);
	cluster_join(cluster);
	assert_int_equal(fake_helper_calls(), 2);
	label("house");
	assert_int_equal(fake_helper_calls(), 3);
	assert_string_equal(fake_helper_call(), "kube.follow");
	label("site");
	fake_helper_answer(NULL);
	assert_int_equal(fake_helper_calls(), 4); /* once more, with the newest */
	fake_helper_answer(NULL);
	label("house");
	have(id_a); /* while they are being made */
	fake_helper_answer(NULL);
	is_asked(id_a);
}

/* Root sees that kubelet joined by another name than the board has now. */
static void test_other_name(void **state)
{
	have(id_a);
	fake_helper_answer(json_pack("{s:s}", "joined", "old-pi3"));
	fake_core_wrong(core, "node", "`sudo hearth node rename pi3 old-pi3`");
	assert_int_equal(t.n_done, 1);
	assert_string_equal(t.done, ""); /* so that the next hearthd says so, too */
	says(id_a, "");
	cluster_join(cluster);
	is_asked(id_a);
	fake_helper_answer(NULL);
	fake_core_wrong(core, "node", NULL);
	assert_string_equal(t.done, id_a);
	have(id_b);
	fake_helper_answer(json_pack("{s:s}", "joined", "old-pi3"));
	make("kubernetes"); /* and was reset */
	cluster_look(cluster);
	fake_core_wrong(core, "node", NULL);
	cluster_join(cluster);
	core->config.node = 9; /* the log does not name it */
	fake_helper_answer(json_pack("{s:s}", "joined", "old-pi3"));
	fake_core_wrong(core, "node", NULL);
}

static void test_restarted(void **state)
{
	struct presence *own = fake_core_announce(1);

	have(id_a);
	cluster = cluster_free(cluster);
	begin();
	cluster_load(cluster, id_b);
	assert_string_equal(cluster_position(cluster), id_a);
	says(id_b, "");
	(void) strcpy(own->kube, id_a);
	(void) strcpy(own->kube_problem, "no room");
	cluster_load(cluster, "");
	says(id_a, "no room"); /* as the others were told; it will be tried again */
	assert_int_equal(t.told, 0);
	cluster_join(cluster);
	is_asked(id_a);
	cluster = cluster_free(cluster);
	begin();
	cluster_load(cluster, id_a);
	cluster_join(cluster);
	assert_int_equal(fake_helper_waiting(), 0); /* it is done */
	cluster = cluster_free(cluster);
	touch("kube.json"); /* and it is damaged */
	begin();
	cluster_load(cluster, id_b);
	assert_string_equal(cluster_position(cluster), "");
	says(id_b, "");
}

static void test_token(void **state)
{
	make("hearth");
	make("hearth/kubeadm");
	make("kubernetes");
	touch("hearth/kubeadm/join.yaml");
	have(id_a);
	fake_event_set_wall(LATER_S);
	cluster_look(cluster);
	fake_core_wrong(core, "token", "join.yaml is over");
	fake_event_set_wall(LATER_S - 1);
	fake_helper_answer(NULL);
	fake_core_wrong(core, "token", NULL);
	fake_event_set_wall(LATER_S);
	touch("kubernetes/kubelet.conf"); /* it has joined */
	cluster_look(cluster);
	fake_core_wrong(core, "token", NULL);
	take_away("kubernetes/kubelet.conf");
	cluster_look(cluster);
	fake_core_wrong(core, "token", "hearth kube publish");
	take_away("hearth/kubeadm/join.yaml"); /* nothing that anybody could join with */
	cluster_look(cluster);
	fake_core_wrong(core, "token", NULL);
	touch("hearth/kubeadm/join.yaml");
	take_away("kubernetes"); /* no kubeadm here */
	cluster_look(cluster);
	fake_core_wrong(core, "token", NULL);
	make("kubernetes");
	cluster = cluster_free(cluster);
	begin();
	cluster_load(cluster, "");
	cluster_look(cluster); /* as before the restart */
	fake_core_wrong(core, "token", "hearth kube publish");
	fake_event_set_wall(LATER_S - 1);
	cluster_look(cluster);
	fake_core_wrong(core, "token", NULL);
	fake_event_set_wall(LATER_S);
	take_away("kube.json");
	cluster = cluster_free(cluster);
	begin();
	cluster_load(cluster, "");
	cluster_look(cluster); /* no bundle, no token */
	fake_core_wrong(core, "token", NULL);
}

/* --- what the others say --- */

static void presence(uint32_t id, const char *tried, const char *problem)
{
	struct presence *p = fake_core_announce(id);

	(void) strcpy(p->kube, tried);
	(void) strcpy(p->kube_problem, problem);
}

/* "pi3 written, n100 failed: why, ..." */
static const char *boards(const char *id)
{
	static char text[512];
	CLEANUP_JSON json_t *reply = cluster_boards_json(cluster, id);
	size_t i;
	json_t *board;

	text[0] = 0;
	assert_true(json_is_array(json_object_get(reply, "boards")));
	json_array_foreach(json_object_get(reply, "boards"), i, board)
	{
		const char *problem = json_string_value(json_object_get(board, "problem"));
		size_t len = strlen(text);

		(void) snprintf(text + len, sizeof(text) - len, "%s%s %s%s%s", i ? ", " : "",
			json_string_value(json_object_get(board, "name")),
			json_string_value(json_object_get(board, "state")), problem ? ": " : "",
			problem ? problem : "");
	}
	return text;
}

static void test_boards(void **state)
{
	assert_string_equal(boards(id_a), "pi3 trying, n100 trying, pi4 trying");
	assert_false(cluster_boards_have_tried(cluster, id_a));
	presence(2, id_a, "");
	presence(3, id_b, "no room"); /* that was another one */
	presence(4, id_a, "no room"); /* it runs no pods */
	t.away = 1;                   /* we answer ourselves */
	assert_string_equal(boards(id_a), "pi3 trying, n100 written, pi4 trying");
	have(id_a);
	fake_helper_fail(-EREMOTEIO, "no");
	assert_string_equal(boards(id_a), "pi3 failed: no, n100 written, pi4 trying");
	assert_false(cluster_boards_have_tried(cluster, id_a));
	t.away = 3;
	assert_string_equal(boards(id_a), "pi3 failed: no, n100 written, pi4 unreachable");
	assert_true(cluster_boards_have_tried(cluster, id_a));
	assert_false(cluster_boards_have_tried(cluster, id_c));
	presence(3, id_a, "no room");
	assert_string_equal(boards(id_a), "pi3 failed: no, n100 written, pi4 failed: no room");
	assert_true(cluster_boards_have_tried(cluster, id_a));
	presence(1, id_a, "of another run"); /* we know better */
	assert_string_equal(boards(id_a), "pi3 failed: no, n100 written, pi4 failed: no room");
}

static void look_at_boards(void)
{
	cluster_look_at_boards(cluster, core_self(core));
}

static void test_boards_that_failed(void **state)
{
	put(5, 5, NODE_ROLE_WORKER, "pi5");
	put(6, 6, NODE_ROLE_WORKER, "pi6");
	presence(3, id_a, "no room");
	look_at_boards();
	fake_core_wrong(core, "boards", NULL); /* who sits here can do nothing about it */
	core->config.node = 2;
	look_at_boards();
	fake_core_wrong(
		core, "boards", "pi4 could not write what it needs to join the cluster: no room");
	assert_null(strstr(problem_text(&core->problems, "boards"), "nor could"));
	presence(2, id_a, "ours has a problem of its own");
	presence(4, id_a, "of a board without pods");
	presence(5, id_a, "");
	look_at_boards();
	assert_null(strstr(problem_text(&core->problems, "boards"), "nor could"));
	presence(5, id_a, "bad");
	presence(6, id_b, "bad");
	look_at_boards();
	fake_core_wrong(core, "boards", "no room; nor could pi5, pi6 (`hearth status` there");
	core->config.node = 9;
	look_at_boards();
	fake_core_wrong(core, "boards", NULL);
	core->config.node = 2;
	look_at_boards();
	for (uint32_t id = 1; id <= 6; id++)
		presence(id, id_a, "");
	look_at_boards();
	fake_core_wrong(core, "boards", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_joined, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_not_for_us, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused_then_known, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_paces, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_disk, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_failed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_long_problem, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_newer_meanwhile, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_log_failed_before, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_waits_for_the_log, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_labels, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_follows, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_other_name, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_restarted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_token, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_boards, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_boards_that_failed, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
