/*
 * enroll-node: one command that makes this machine part of a mesh and, if it is to run pods, writes
 * what kubeadm reads. Everything it does can be done again: what is done already is said and left.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/env.h"
#include "base/file.h"
#include "base/guard.h"
#include "base/json.h"
#include "base/log.h"
#include "base/names.h"
#include "base/text.h"
#include "provision/options.h"
#include "provision/relay.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_NO_TOKEN = 3, EXIT_DISBELIEVED = 4 };
enum { BUNDLE_INPUT_MAX = 65536, WAIT_DEFAULT_S = 15, LOCK_WAIT_S = 60 };

static void init(struct enroll *e)
{
	paths_init(&e->paths);
	e->user = getenv("HEARTH_USER");
	if (!e->user || !*e->user)
		e->user = "hearth";
	(void) snprintf(e->host, sizeof(e->host), "%s", env_dir("HEARTH_HOST_ETC", "/etc"));
	(void) snprintf(
		e->proc_sys, sizeof(e->proc_sys), "%s", env_dir("HEARTH_PROC_SYS", "/proc/sys"));
	e->wait_s = WAIT_DEFAULT_S;
}

/*
 * One at a time: hearthd may have the helper write the kubeadm files while a person runs this. The
 * lock lies where the files do; a dry run takes none, because it changes nothing.
 */
static int lock(struct enroll *e, int *ret_fd, struct err *err)
{
	char path[PATH_TEXT_MAX];
	int r = file_mkdirs(e->paths.etc, 0755);
	CLEANUP(close_p)
	int fd = r < 0 ? -1
		       : open(paths_join(e->paths.etc, ".enroll-node.lock", path),
				 O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_set(err, r < 0 ? r : -errno, "make %s: %s", e->paths.etc,
			strerror(r < 0 ? -r : errno));
	(void) alarm(LOCK_WAIT_S);
	r = flock(fd, LOCK_EX) < 0 ? -errno : 0;
	(void) alarm(0);
	if (r < 0)
		return err_set(err, r, "another enroll-node is at work (%s is locked)", path);
	*ret_fd = take_fd(&fd);
	return 0;
}

/* --- the steps --- */

struct step {
	const char *name;
	int (*run)(struct enroll *e, struct err *err);
};

static int run_steps(struct enroll *e, const struct step *steps, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct err err = { 0 };

		if (steps[i].run(e, &err) < 0) {
			talk_failed(&e->talk, steps[i].name, &err);
			return e->needs_token ? EXIT_NO_TOKEN : EXIT_FAILED;
		}
	}
	return EXIT_DONE;
}

/* Only once there is a token: until then everything stays as it was. */
static int step_removed(struct enroll *e, struct err *err)
{
	if (!e->removed)
		return 0;
	if (e->dry_run) {
		e->new_keys = true;
		sodium_memzero(e->identity_seed, sizeof(e->identity_seed));
		sodium_memzero(e->wg_private, sizeof(e->wg_private));
		talk_step(&e->talk, TALK_WOULD, "removed",
			"this board was removed from mesh %s: put its old keys away",
			e->config.mesh);
		return 0;
	}
	int r = service_stop(e, err);

	return r ? r : local_put_away(e, err);
}

static int step_token(struct enroll *e, struct err *err)
{
	if (e->enrolled && !e->token_file)
		return 0;
	int r = join_read_token(e, err);

	e->needs_token = r == -ENODATA && !e->enrolled;
	if (r && e->removed)
		return err_prefix(err,
			"this board was removed from mesh %s, "
			"and needs a new token to be enrolled anew",
			e->config.mesh);
	if (!e->enrolled)
		return r;
	if (r)
		return r;
	if (memcmp(e->token.root, e->config.root, sizeof(e->token.root)))
		return err_set(err, -EEXIST,
			"this board is in mesh %s, and the token is for another mesh (%s). "
			"To move it, remove the board there (`hearth node remove %s`), "
			"stop hearthd, put %s/hearthd.yaml and %s away, and run this again",
			e->config.mesh, e->token.mesh, e->node.name, e->paths.etc, e->paths.state);
	talk_step(&e->talk, TALK_NOTE, "token", "not used: this board is in mesh %s already",
		e->config.mesh);
	return 0;
}

static int step_enroll(struct enroll *e, struct err *err)
{
	if (e->enrolled) {
		talk_step(&e->talk, TALK_KEPT, "enroll", "%s of mesh %s, named %s",
			node_role_name(e->node.role), e->settings.mesh, e->node.name);
		return e->name[0] && strcmp(e->name, e->node.name)
			       ? err_set(err, -EEXIST,
					 "this board is named %s; `hearth node rename %s %s` on "
					 "the coordinator changes that",
					 e->node.name, e->node.name, e->name)
			       : 0;
	}
	return e->dry_run ? join_check(e, err) : join_mesh(e, err);
}

static int step_config(struct enroll *e, struct err *err)
{
	if (!e->enrolled && e->dry_run) {
		talk_step(&e->talk, TALK_WOULD, "config", "write %s/hearthd.yaml", e->paths.etc);
		return 0;
	}
	int r = look_ranges(e, err);

	if (r || e->enrolled)
		return r;
	return join_write_config(e, err);
}

/* What a dry run cannot know before the coordinator has said the role. */
static bool unknown_yet(struct enroll *e)
{
	return e->dry_run && !e->enrolled;
}

/* What is left is for somebody at the first control plane to do. */
static int step_kubeadm(struct enroll *e, struct err *err)
{
	int r = kubefiles_write(e, err);

	if (r != -ENOKEY)
		return r;
	talk_step(&e->talk, TALK_NOTE, "kubeadm", "%s", err->text);
	*err = (struct err){ 0 };
	return 0;
}

static const struct step mesh_steps[] = { { "board", look_board }, { "state", local_load },
	{ "proxy", proxied_find }, { "token", step_token }, { "removed", step_removed },
	{ "keys", local_keys }, { "relay", relay_set_up }, { "enroll", step_enroll },
	{ "config", step_config }, { "relay", relay_settle }, { "network", leftalone_write },
	{ "service", service_start }, { "peers", service_wait } };

static const struct step pod_steps[] = { { "forwarding", forwarding_on }, { "cni", pods_cni },
	{ "kubelet", pods_kubelet_order }, { "kubeadm", step_kubeadm },
	{ "firewall", firewall_fix }, { "pods", look_pods } };

/* Of a configuration that is damaged nothing is wanted but the interface's usual name. */
static int step_booted(struct enroll *e, struct err *err)
{
	char path[PATH_TEXT_MAX];
	struct err why = { 0 };

	if (config_read(paths_join(e->paths.etc, "hearthd.yaml", path), &e->config, &why) < 0)
		(void) snprintf(
			e->config.interface, sizeof(e->config.interface), "%s", NAMES_LINK_DEFAULT);
	e->systemd = sd_booted() > 0;
	return local_find_user(e, err);
}

static const struct step leave_steps[] = { { "leave", leave_check }, { "state", step_booted },
	{ "service", leave_service }, { "firewall", firewall_back },
	{ "forwarding", forwarding_back }, { "files", leave_files } };

static json_t *about(struct enroll *e)
{
	json_t *node = e->enrolled ? node_to_json(&e->node) : json_null();

	return json_pack("{s:o, s:o, s:b, s:s}", "board", facts_to_json(&e->facts), "node", node,
		"dry_run", e->dry_run, "mesh", e->enrolled ? e->settings.mesh : "");
}

static void finish(struct enroll *e)
{
	char a4[IP_TEXT_MAX], a6[IP_TEXT_MAX];
	CLEANUP_BUF struct buf text = { 0 };

	if (e->dry_run && e->talk.done)
		buf_add_str(&text, "Nothing was changed (--dry-run).");
	else if (!e->talk.done)
		buf_add_str(&text, "Nothing to do: ");
	else
		buf_add_str(&text, "Done: ");
	if (!e->dry_run || !e->talk.done)
		buf_printf(&text, "this board is %s, %s of mesh %s: %s and %s on %s.", e->node.name,
			node_role_name(e->node.role), e->settings.mesh,
			ip_addr_format(&e->node.mesh4, a4), ip_addr_format(&e->node.mesh6, a6),
			e->config.interface);
	if (!e->dry_run)
		talk_next(&e->talk, "hearth status shows who is there");
	CLEANUP_JSON json_t *what = e->talk.json_output ? about(e) : NULL;

	talk_end(&e->talk, buf_str(&text), what);
}

static int leave(struct enroll *e)
{
	int status = run_steps(e, leave_steps, ARRAY_LEN(leave_steps));

	if (status)
		return status;
	if (!e->dry_run)
		talk_next(&e->talk, "on the coordinator's board: hearth node remove NAME "
				    "(or, to enrol this board again in its place: "
				    "hearth token create --replace NAME)");
	talk_end(&e->talk,
		e->dry_run     ? "Nothing was changed (--dry-run)."
		: e->talk.done ? "Done: this board is in no mesh any more."
			       : "Nothing to do: this board is in no mesh.",
		NULL);
	return EXIT_DONE;
}

static int enroll(struct enroll *e)
{
	CLEANUP(close_p) int lock_fd = -1;
	struct err err = { 0 };

	if (!e->dry_run && geteuid() == 0 && lock(e, &lock_fd, &err) < 0) {
		talk_failed(&e->talk, "lock", &err);
		return EXIT_FAILED;
	}
	if (e->leave)
		return leave(e);
	int status = run_steps(e, mesh_steps, ARRAY_LEN(mesh_steps));

	if (!status && unknown_yet(e))
		talk_step(&e->talk, TALK_WOULD, "pods",
			"unless the token is for a member: "
			"turn forwarding on, write the CNI configuration and the kubeadm files");
	else if (!status && node_has_pods(&e->node))
		status = run_steps(e, pod_steps, ARRAY_LEN(pod_steps));
	if (!status)
		finish(e);
	return status;
}

/* --- run by hearth-helper: kubeadm-files (a bundle on stdin), kubeadm-follow, pods-resolv --- */

static int read_bundle(struct kube_bundle *ret, struct err *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	int r = file_read_stream("/dev/stdin", BUNDLE_INPUT_MAX, &text);
	CLEANUP_JSON json_t *json = NULL;

	if (r < 0)
		return err_set(err, r, "read the bundle from standard input: %s", strerror(-r));
	json = json_parse(buf_str(&text), text.len, err);
	if (text.data)
		sodium_memzero(text.data, text.cap);
	return json ? kube_bundle_from_json(json, ret, err) : err->code;
}

static int check_role(struct enroll *e, struct err *err)
{
	if (!e->enrolled)
		return err_set(err, -ENOENT, "this board is in no mesh yet");
	if (!node_has_pods(&e->node))
		return err_set(err, -EPERM, "this board is a member and joins no cluster");
	return 0;
}

/* What both know before they write. */
static int load_for_helper(struct enroll *e, int *ret_lock_fd, struct err *err)
{
	e->talk.quiet = e->follows = true;
	int r = facts_get(e->paths.etc, &e->facts, err);

	if (r == 0)
		r = lock(e, ret_lock_fd, err);
	if (r == 0)
		r = local_load(e, err);
	return r ? r : check_role(e, err);
}

/* hearthd asks what it cannot see: whether the board's Node has another name. */
static void say_joined(const struct enroll *e)
{
	char joined[JOINED_NAME_MAX];

	if (joined_as_another(e, joined))
		printf("joined %s\n", joined);
}

static int kubeadm_files(struct enroll *e)
{
	CLEANUP_KUBE_BUNDLE struct kube_bundle bundle = { 0 };
	CLEANUP(close_p) int lock_fd = -1;
	bool believed = true;
	struct err err = { 0 };
	int r = read_bundle(&bundle, &err);

	if (r == 0)
		r = load_for_helper(e, &lock_fd, &err);
	if (r == 0) {
		e->bundle = bundle;
		e->has_bundle = true;
		r = kubefiles_believe(e, e->config.root, &err);
		believed = r == 0;
	}
	if (r == 0)
		r = kubefiles_write(e, &err);
	if (r < 0)
		text_say(stderr, "enroll-node: kubeadm-files: %s", err.text);
	else
		say_joined(e);
	return !believed ? EXIT_DISBELIEVED : r < 0 ? EXIT_FAILED : EXIT_DONE;
}

/* The log says something else of this board: so do the files made of it, if there are any. */
static int kubeadm_follow(struct enroll *e)
{
	CLEANUP(close_p) int lock_fd = -1;
	struct err err = { 0 };
	int r = load_for_helper(e, &lock_fd, &err);

	if (r == 0 && kubefiles_are_there(e))
		r = kubefiles_write(e, &err);
	if (r < 0)
		text_say(stderr, "enroll-node: kubeadm-follow: %s", err.text);
	else
		say_joined(e);
	return r < 0 ? EXIT_FAILED : EXIT_DONE;
}

static int pods_resolv(struct enroll *e)
{
	CLEANUP(close_p) int lock_fd = -1;
	struct err err = { 0 };
	int r = load_for_helper(e, &lock_fd, &err);

	if (r == 0)
		r = resolv_follow(e, &err);
	if (r < 0)
		text_say(stderr, "enroll-node: pods-resolv: %s", err.text);
	return r < 0 ? EXIT_FAILED : EXIT_DONE;
}

static void on_alarm(int sig)
{
	(void) sig; /* ends flock() with EINTR */
}

int main(int argc, char **argv)
{
	CLEANUP(enroll_done) struct enroll e = { 0 };
	struct sigaction alarm_action = { .sa_handler = on_alarm };

	env_open_log("enroll-node");
	(void) guard_memory(false); /* a dry run of somebody else's has no keys */
	(void) sigaction(SIGALRM, &alarm_action, NULL);
	(void) umask(022);
	if (sodium_init() < 0) {
		fprintf(stderr, "enroll-node: the random generator is not ready\n");
		return EXIT_FAILED;
	}
	init(&e);
	int status = options_parse(argc, argv, &e);

	if (status >= 0)
		return status;
	if (optind < argc && !strcmp(argv[optind], "kubeadm-files") && optind + 1 == argc)
		return kubeadm_files(&e);
	if (optind < argc && !strcmp(argv[optind], "kubeadm-follow") && optind + 1 == argc)
		return kubeadm_follow(&e);
	if (optind < argc && !strcmp(argv[optind], "pods-resolv") && optind + 1 == argc)
		return pods_resolv(&e);
	if (optind < argc)
		return options_misuse(
			"what is \"%.40s\"? "
			"A token is never an argument: it would show in the process list",
			argv[optind]);
	return enroll(&e);
}
