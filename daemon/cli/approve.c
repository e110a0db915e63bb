/*
 * hearth kube approve: the kubelets' requests for the certificates of their servers, without which
 * `kubectl logs` and `exec` fail. Approved is what kube/serving.h finds good, each request exactly
 * as it was judged: the API server refuses an approval of one that changed since.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/number.h"
#include "board/trust.h"
#include "cli/cli.h"
#include "kube/serving.h"
#include "sys/exec/exec.h"

#define ADMIN_CONF "/etc/kubernetes/admin.conf"
#define REQUESTS   "/apis/certificates.k8s.io/v1/certificatesigningrequests"

enum {
	OUTPUT_MAX = 8 << 20,
	BOARDS_MAX = 256,
	WAIT_S = 600,
	WAIT_MAX_S = 24 * 3600,
	PAUSE_US = 2 * 1000 * 1000,
};

struct approve {
	struct trust *trust; /* owned; the boards' names are in it */
	struct serving_mesh mesh;
	struct serving_board boards[BOARDS_MAX];
	bool serves[BOARDS_MAX];
	json_t *approved, *refused; /* {name, board}, {name, why}: of this run */
};

static void approve_done(struct approve *a)
{
	trust_free(a->trust);
	json_decref(a->approved);
	json_decref(a->refused);
}

/* --- the cluster, by kubectl --- */

static int kubectl(const char *const *args, const char *input, struct buf *ret, struct err *err)
{
	const char *argv[12] = { "kubectl", "--kubeconfig", ADMIN_CONF, "--request-timeout=10s" };
	CLEANUP_EXEC_RESULT struct exec_result out = { 0 };
	struct exec_options options = { .argv = argv,
		.input = input,
		.input_len = input ? strlen(input) : 0,
		.output_max = OUTPUT_MAX,
		.timeout_us = 30 * USEC_PER_SEC };

	for (size_t n = 4; *args && n < ARRAY_LEN(argv) - 1; n++)
		argv[n] = *args++;
	int r = exec_run(&options, &out, err);

	if (r == -ENOENT)
		return err_set(err, r, "kubectl is not installed (or not in PATH)");
	if (r == 0)
		r = exec_check(&out, "kubectl", err);
	if (r == 0 && out.truncated)
		r = err_set(err, -EFBIG, "kubectl: the cluster's answer is larger than %d MiB",
			OUTPUT_MAX >> 20);
	if (r == 0 && ret) {
		*ret = out.out;
		out.out = (struct buf){ 0 };
	}
	return r;
}

/* An answer from the kubelet's server through the API server: its certificate is there. */
static bool board_serves(const char *name)
{
	char path[128];
	const char *const args[] = { "get", "--raw", path, NULL };

	(void) snprintf(path, sizeof(path), "/api/v1/nodes/%.63s/proxy/healthz", name);
	return kubectl(args, NULL, NULL, NULL) == 0;
}

static int put_approval(const json_t *csr, const struct serving_board *board, struct err *err)
{
	const char *name = cli_str(json_object_get(csr, "metadata"), "name");
	char path[400];
	const char *const args[] = { "replace", "--raw", path, "-f", "-", NULL };
	CLEANUP_JSON json_t *approved = serving_approved(csr, board);
	CLEANUP(free_p) char *text = approved ? json_dumps(approved, JSON_COMPACT) : NULL;

	if (!text)
		return err_set(err, -ENOMEM, "out of memory");
	if (!*name || name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-.")])
		return err_set(err, -EBADMSG, "its name is none");
	(void) snprintf(path, sizeof(path), REQUESTS "/%.253s/approval", name);
	return kubectl(args, text, NULL, err);
}

/* --- one look at all requests --- */

static bool is_known(const json_t *list, const char *name)
{
	size_t i;
	json_t *item;

	json_array_foreach(list, i, item) if (!strcmp(cli_str(item, "name"), name)) return true;
	return false;
}

static void refuse(struct approve *a, const char *name, const char *why)
{
	if (is_known(a->refused, name))
		return;
	(void) json_array_append_new(a->refused, json_pack("{s:s,s:s}", "name", name, "why", why));
	fprintf(stderr, "refused   %s: %s\n", name, why);
}

/* What could not be approved for a moment (the API server was busy) is tried at the next look. */
static void forget_refusal(struct approve *a, const char *name)
{
	size_t i;
	json_t *item;

	json_array_foreach(a->refused, i, item) if (!strcmp(cli_str(item, "name"), name))
	{
		(void) json_array_remove(a->refused, i);
		return;
	}
}

static void decide(struct approve *a, const json_t *csr)
{
	const char *name = cli_str(json_object_get(csr, "metadata"), "name");
	const struct serving_board *board = NULL;
	struct err err = { 0 };

	switch (serving_judge(csr, &a->mesh, &board, &err)) {
	case SERVING_OTHER:
	case SERVING_DECIDED:
		return;
	case SERVING_BAD:
		refuse(a, name, err.text);
		return;
	case SERVING_GOOD:
		break;
	}
	if (put_approval(csr, board, &err) < 0) {
		refuse(a, name, err.text);
		return;
	}
	forget_refusal(a, name);
	(void) json_array_append_new(
		a->approved, json_pack("{s:s,s:s}", "name", name, "board", board->name));
	fprintf(stderr, "approved  %s: %s serves by its mesh names and addresses\n", name,
		board->name);
}

static int look(struct approve *a, struct err *err)
{
	const char *const args[] = { "get", "--raw", REQUESTS, NULL };
	CLEANUP_BUF struct buf text = { 0 };
	int r = kubectl(args, NULL, &text, err);

	if (r < 0)
		return r;
	CLEANUP_JSON json_t *list = json_parse(buf_str(&text), text.len, err);
	size_t i;
	json_t *csr;

	if (!list)
		return err_prefix(err, "kubectl get --raw " REQUESTS);
	json_array_foreach(json_object_get(list, "items"), i, csr) decide(a, csr);
	return 0;
}

/* --- boards --- */

static int add_board(struct approve *a, const struct node *node)
{
	const struct node *once;

	if (!node_has_pods(node))
		return 0;
	if (a->mesh.n_boards == BOARDS_MAX)
		return cli_fail(CLI_FAILED, "kube approve: more than %d boards", BOARDS_MAX);
	once = netmap_once_named(trust_netmap(a->trust), trust_log(a->trust), node->name);
	a->boards[a->mesh.n_boards++] = (struct serving_board){ .name = node->name,
		.once = once ? once->name : NULL,
		.mesh4 = node->mesh4,
		.mesh6 = node->mesh6 };
	return 0;
}

/* By the log, as root believes it: hearthd says nothing here. */
static int read_boards(struct approve *a)
{
	char path[PATH_TEXT_MAX];
	struct paths paths;
	struct config config;
	struct err err = { 0 };
	int r;

	paths_init(&paths);
	r = config_read(paths_join(paths.etc, "hearthd.yaml", path), &config, &err);
	if (r == 0)
		r = trust_open(&paths, config.root, true, &a->trust, &err);
	if (r == 0 && !netmap_settings(trust_netmap(a->trust)))
		r = err_set(&err, -ENOENT, "there is no log of the mesh in %s", paths.state);
	if (r)
		return cli_fail(CLI_FAILED, "kube approve: %s", err.text);
	a->mesh.name = netmap_settings(trust_netmap(a->trust))->mesh;
	a->mesh.boards = a->boards;
	for (const struct node *n = NULL; r == 0 && (n = netmap_next(trust_netmap(a->trust), n));)
		r = add_board(a, n);
	return r;
}

/* How many boards' servers do not answer yet; the first of them are named in @ret_text. */
static size_t count_waiting(struct approve *a, struct buf *ret_text)
{
	size_t n = 0;

	for (size_t i = 0; i < a->mesh.n_boards; i++) {
		const char *name = a->boards[i].name;

		if (!a->serves[i])
			a->serves[i] = board_serves(name);
		if (a->serves[i])
			continue;
		if (n++ < 20)
			buf_printf(ret_text, "%s%s", ret_text->len ? ", " : "", name);
	}
	return n;
}

static int wait_for_all(struct approve *a, uint64_t seconds, struct err *err)
{
	uint64_t end = clock_now_us() + seconds * USEC_PER_SEC;
	size_t before = 0;

	for (;;) {
		CLEANUP_BUF struct buf names = { 0 };
		size_t n;
		int r = look(a, err);

		if (r < 0)
			return r;
		n = count_waiting(a, &names);
		if (!n) {
			fprintf(stderr, "All %zu boards serve: kubectl logs and exec work.\n",
				a->mesh.n_boards);
			return 0;
		}
		if (clock_now_us() >= end)
			return err_set(err, -ETIMEDOUT,
				"after %llu s these boards do not serve: %s. "
				"A board asks once it has joined "
				"(kubeadm join) and its kubelet runs: journalctl -u kubelet",
				(unsigned long long) seconds, buf_str(&names));
		if (n != before)
			fprintf(stderr, "waiting   for %s\n", buf_str(&names));
		before = n;
		(void) usleep(PAUSE_US);
	}
}

/* --- the verb --- */

static const struct option options_known[] = {
	{ "wait", optional_argument, NULL, 'w' },
	{ 0 },
};

static int approve_all(struct approve *a, uint64_t wait_s)
{
	struct err err = { 0 };
	int r;

	if (access(ADMIN_CONF, R_OK) < 0)
		return cli_fail(CLI_FAILED,
			"read " ADMIN_CONF
			": %s. Run this on a control plane, as root, after kubeadm init",
			strerror(errno));
	r = read_boards(a);
	if (r)
		return r;
	r = wait_s ? wait_for_all(a, wait_s, &err) : look(a, &err);
	if (r < 0)
		return cli_fail(CLI_FAILED, "kube approve: %s", err.text);
	return json_array_size(a->refused) ? CLI_FAILED : CLI_DONE;
}

int cli_kube_approve(const struct cli_verb *verb, int argc, char **argv)
{
	struct cli_options o = { .verb = verb };
	CLEANUP(approve_done)
	struct approve a = { .approved = json_array(), .refused = json_array() };
	uint64_t wait_s = 0;

	for (int c; (c = cli_getopt(&o, argc, argv, options_known)) != -1;) {
		if (c != 'w')
			return c == 'h' ? CLI_DONE : CLI_USAGE;
		wait_s = WAIT_S;
		if (optarg && number_parse(optarg, 1, WAIT_MAX_S, &wait_s) < 0)
			return cli_fail(CLI_USAGE,
				"kube approve: --wait takes seconds, from 1 to %d, not \"%.40s\"",
				WAIT_MAX_S, optarg);
	}
	int r = cli_operands(&o, argc, argv, 0, 0);

	if (r)
		return r;
	r = approve_all(&a, wait_s);
	if (o.json)
		(void) cli_print_json(
			json_pack("{s:O,s:O}", "approved", a.approved, "refused", a.refused));
	else if (r == CLI_DONE && !wait_s)
		fprintf(stderr, "%zu approved, none refused.\n", json_array_size(a.approved));
	return r;
}
