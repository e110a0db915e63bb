/*
 * hearth-helper: the root process behind hearthd. It does a fixed list of things (request.h) for
 * root and for hearthd's user, and nothing else; it reads no network, and no file that others may
 * write but the hosts file and the mesh's log, of which it believes what is signed (board/trust.h).
 * Started by its socket, it ends when it has had nothing to do for a while.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "base/clock.h"
#include "base/descriptors.h"
#include "base/guard.h"
#include "base/env.h"
#include "base/log.h"
#include "base/names.h"
#include "base/number.h"
#include "base/usage.h"
#include "board/refused.h"
#include "helper/act.h"
#include "helper/request.h"
#include "sys/exec/exec.h"
#include "sys/ipc/ipc.h"
#include "sys/notify/notify.h"
#include "sys/priv/priv.h"

enum { DESCRIPTORS_WANTED = 256, IDLE_S = 30, IDLE_MAX_S = 24 * 3600, OUTPUT_MAX = 8192 };
#define KUBE_TIMEOUT_US (120 * USEC_PER_SEC)

struct helper {
	sd_event *event;
	sd_event_source *idle;
	struct ipc_server *server;
	uid_t uid; /* hearthd's */
	bool has_uid;
	uint64_t idle_us;        /* 0: stay */
	bool joining, following; /* enroll-node is at work; it waits for itself */
	struct paths paths;
	const char *hosts, *uapi_dir, *user, *listen;
	char enroll_node[PATH_MAX];
};

static const char usage_text[] =
	"Usage: hearth-helper [OPTION...]\n"
	"The root process behind hearthd. systemd starts it when it is needed.\n"
	"\n"
	"  --listen PATH       make this socket (without systemd)\n"
	"  --user NAME         hearthd's user, which may ask; default hearth\n"
	"  --hosts FILE        default /etc/hosts\n"
	"  --uapi-dir DIR      where `wg` looks for sockets; default /var/run/wireguard\n"
	"  --enroll-node FILE  the program behind kube.join; default: beside this one\n"
	"  --idle SECONDS      end after so long without a request; 0: never; default 30\n"
	"  --help, --version\n";

/* The clock starts again after each request; while one is under way it stands. */
static void rest(struct helper *h)
{
	if (!h->idle_us) {
		(void) sd_event_source_set_enabled(h->idle, SD_EVENT_OFF);
		return;
	}
	(void) sd_event_source_set_time_relative(h->idle, h->idle_us);
	(void) sd_event_source_set_enabled(
		h->idle, h->joining || h->following ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

static int on_idle(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct helper *h = ctx;

	if (!ipc_server_is_busy(h->server))
		return sd_event_exit(h->event, 0);
	rest(h); /* whoever was let in is answered */
	return 0;
}

/* Nobody of ours asks for that, nor has a log go back: a person is told, whoever it was. */
static bool is_strange(int r)
{
	return r == -ENOSYS || r == -EINVAL || r == -E2BIG || r == -EPERM || r == -ESTALE ||
	       r == -ENOTUNIQ || r == -ELOOP || r == -EMLINK || r == -EMEDIUMTYPE;
}

static void tell_strange(struct helper *h, struct ipc_request *request, const struct err *err)
{
	const struct ipc_creds *creds = ipc_request_creds(request);

	log_seldom(LOG_LEVEL_WARNING, "%s: %s", ipc_request_call(request), err->text);
	if (creds->uid != 0) /* root looks whether anybody answers, and may try things */
		refused_note(h->paths.run, clock_wall_us() / USEC_PER_SEC, creds->uid,
			ipc_request_call(request), err->text);
}

/* Who asked hears why and says so. */
static void fail(struct helper *h, struct ipc_request *request, int r, const struct err *err)
{
	const char *code = r == -ENOSYS                      ? "not_found"
			   : r == -EPERM || r == -EACCES     ? "forbidden"
			   : r == -EINVAL || r == -E2BIG     ? "bad_request"
			   : r == -ENOSPC || r == -EDQUOT    ? "storage"
			   : r == -EADDRINUSE || r == -EBUSY ? "busy"
							     : "internal";

	if (is_strange(r))
		tell_strange(h, request, err);
	ipc_request_fail(request, code, "%s", err->text);
}

/*
 * Nothing is written on the word of who asks: which mesh this is, and who is in it, root knows
 * itself.
 */
static int write_hosts(
	struct helper *h, const struct request *request, const char **ret_taken, struct err *err)
{
	CLEANUP_TRUST struct trust *trust = NULL;
	struct config config;
	int r = act_check_interface(&h->paths, request->ifname, &config, err);

	if (r == 0 && request->n_entries) {
		r = trust_open(&h->paths, config.root, true, &trust, err);
		if (r == 0)
			r = act_check_names(
				trust_netmap(trust), request->entries, request->n_entries, err);
	}
	return r < 0 ? r
		     : act_write_hosts(h->hosts, request->ifname, request->entries,
			       request->n_entries, ret_taken, err);
}

/* enroll-node, at work for a request. */
struct run {
	struct helper *helper;
	struct ipc_request *request;
	enum request_kind kind;
	char *input; /* a secret, or NULL */
};

static void run_free(struct run *run)
{
	if (run->input)
		explicit_bzero(run->input, strlen(run->input));
	free(run->input);
	free(run);
}

static bool *is_at_work(struct helper *h, enum request_kind kind)
{
	return kind == REQUEST_RESOLV_FOLLOW ? &h->following : &h->joining;
}

static const char *word_of(enum request_kind kind)
{
	switch (kind) {
	case REQUEST_RESOLV_FOLLOW:
		return "pods-resolv";
	case REQUEST_KUBE_JOIN:
		return "kubeadm-files";
	case REQUEST_KUBE_FOLLOW:
		return "kubeadm-follow";
	case REQUEST_HOSTS_WRITE:
	case REQUEST_UAPI_OPEN:
	case REQUEST_IPV6_ENABLE:
	case REQUEST_TUN_OPEN:
		break;
	}
	return NULL;
}

/* What it printed: the servers that are new. Only such a line is handed on. */
static json_t *servers_reply(struct buf *out)
{
	const char *line = buf_str(out);
	size_t len = strcspn(line, "\n");

	if (strspn(line, "0123456789abcdef.:, ") != len)
		len = 0;
	return json_pack("{s:s%}", "servers", line, len);
}

/* The other name by which Kubernetes knows the board: only such a word is handed on. */
static json_t *joined_reply(struct buf *out)
{
	static const char head[] = "joined ";
	const char *word = buf_str(out);
	size_t len;

	if (strncmp(word, head, sizeof(head) - 1) != 0)
		return NULL;
	word += sizeof(head) - 1;
	len = strcspn(word, "\n");
	if (!len || strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789-.") != len)
		return NULL;
	return json_pack("{s:s%}", "joined", word, len);
}

static void run_ended(void *ctx, struct exec_result *result)
{
	struct run *run = ctx;
	struct helper *h = run->helper;
	struct err err = { 0 };
	int r = exec_check(result, "enroll-node", &err);

	if (result->status == REQUEST_DISBELIEVED)
		r = err.code = -EPERM;
	if (r < 0)
		fail(h, run->request, r, &err);
	else if (run->kind == REQUEST_RESOLV_FOLLOW)
		ipc_request_reply(run->request, servers_reply(&result->out));
	else
		ipc_request_reply(run->request, joined_reply(&result->out));
	if (r == 0 && run->kind == REQUEST_KUBE_JOIN)
		log_info("wrote the kubeadm files for joining the cluster");
	*is_at_work(h, run->kind) = false;
	rest(h);
	run_free(run);
}

static int start_run(
	struct helper *h, const struct request *request, struct ipc_request *ipc, struct err *err)
{
	bool join = request->kind == REQUEST_KUBE_JOIN;
	const char *const argv[] = { h->enroll_node, word_of(request->kind), NULL };
	CLEANUP_JSON json_t *json = join ? kube_bundle_to_json(&request->bundle) : NULL;
	struct run *run;
	struct exec_options options = {
		.argv = argv,
		.output_max = OUTPUT_MAX,
		.timeout_us = KUBE_TIMEOUT_US,
	};
	int r;

	if (*is_at_work(h, request->kind))
		return err_set(err, -EBUSY, "enroll-node is at work on the same already");
	run = calloc(1, sizeof(*run));
	if (!run)
		return err_set(err, -ENOMEM, "out of memory");
	*run = (struct run){ .helper = h, .request = ipc, .kind = request->kind };
	if (join) {
		run->input = json ? json_text(json) : NULL;
		if (!run->input) {
			run_free(run);
			return err_set(err, -ENOMEM, "out of memory");
		}
		options.input = run->input;
		options.input_len = strlen(run->input);
	}
	r = exec_spawn(h->event, &options, run_ended, run, NULL, err);
	if (r < 0)
		run_free(run);
	else
		*is_at_work(h, request->kind) = true;
	return r;
}

static void carry_out(struct helper *h, const struct request *request, struct ipc_request *ipc)
{
	const char *taken = NULL;
	struct config config;
	struct err err = { 0 };
	int r = 0;

	switch (request->kind) {
	case REQUEST_HOSTS_WRITE:
		r = write_hosts(h, request, &taken, &err);
		if (r >= 0)
			ipc_request_reply(ipc, json_pack("{s:b,s:s,s:s?}", "changed", r, "path",
						       h->hosts, "taken", taken));
		break;
	case REQUEST_UAPI_OPEN:
		r = act_check_interface(&h->paths, request->ifname, &config, &err);
		if (r == 0)
			r = act_open_uapi(h->uapi_dir, request->ifname, &err);
		if (r >= 0)
			ipc_request_reply_fd(ipc, NULL, r);
		break;
	case REQUEST_IPV6_ENABLE:
		r = act_check_interface(&h->paths, request->ifname, &config, &err);
		if (r == 0)
			r = act_enable_ipv6(request->ifname, &err);
		if (r >= 0)
			ipc_request_reply(ipc, json_pack("{s:b}", "changed", r));
		break;
	case REQUEST_TUN_OPEN:
		r = act_open_tun(&err);
		if (r >= 0)
			ipc_request_reply_fd(ipc, NULL, r);
		break;
	case REQUEST_RESOLV_FOLLOW:
	case REQUEST_KUBE_JOIN:
	case REQUEST_KUBE_FOLLOW:
		r = start_run(h, request, ipc, &err);
		break;
	}
	if (r < 0)
		fail(h, ipc, r, &err);
}

static void on_request(void *ctx, struct ipc_request *ipc)
{
	const struct ipc_creds *creds = ipc_request_creds(ipc);
	CLEANUP_REQUEST struct request request = { 0 };
	struct helper *h = ctx;
	struct err err = { 0 };
	int r;

	if (creds->uid != 0 && !(h->has_uid && creds->uid == h->uid)) {
		log_seldom(LOG_LEVEL_WARNING, "user %u asked for %s: refused",
			(unsigned) creds->uid, ipc_request_call(ipc));
		refused_note(h->paths.run, clock_wall_us() / USEC_PER_SEC, creds->uid,
			ipc_request_call(ipc), "no business of that user's");
		ipc_request_fail(
			ipc, "forbidden", "only root and user %s may ask hearth-helper", h->user);
		return;
	}
	r = request_from_json(ipc_request_call(ipc), ipc_request_args(ipc), &request, &err);
	if (r < 0)
		fail(h, ipc, r, &err);
	else
		carry_out(h, &request, ipc);
	rest(h);
}

/* The sockets systemd made, or our own. */
static int open_server(struct helper *h, struct err *err)
{
	int n = sd_listen_fds(1);

	if (n > 1)
		return err_set(err, -EINVAL, "systemd handed over %d sockets, one is expected", n);
	if (n == 1 && sd_is_socket_unix(SD_LISTEN_FDS_START, SOCK_STREAM, 1, NULL, 0) > 0)
		return ipc_server_new_fd(
			h->event, SD_LISTEN_FDS_START, on_request, h, &h->server, err);
	if (!h->listen)
		return err_set(err, -EINVAL,
			"no socket was handed over; start hearth-helper.socket, or use --listen");
	/* Its peers are known by SO_PEERCRED, so that the mode only keeps the curious out. */
	return ipc_server_new(h->event, h->listen, h->has_uid ? 0666 : 0600, (gid_t) -1, on_request,
		h, &h->server, err);
}

static void find_enroll_node(struct helper *h)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (h->enroll_node[0])
		return;
	self[n > 0 ? n : 0] = 0;
	(void) snprintf(
		h->enroll_node, sizeof(h->enroll_node), "%.4000s/enroll-node", dirname(self));
}

static int parse_options(struct helper *h, int argc, char **argv, char wrong[static USAGE_TEXT_MAX])
{
	static const struct option options[] = { { "listen", required_argument, NULL, 'l' },
		{ "user", required_argument, NULL, 'u' }, { "hosts", required_argument, NULL, 'H' },
		{ "uapi-dir", required_argument, NULL, 'w' },
		{ "enroll-node", required_argument, NULL, 'e' },
		{ "idle", required_argument, NULL, 'i' }, { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' }, { 0 } };
	uint64_t idle_s;
	int c;

	while ((c = usage_getopt(argc, argv, "", options, NULL, wrong)) >= 0) {
		switch (c) {
		case 'l':
			h->listen = optarg;
			break;
		case 'u':
			h->user = optarg;
			break;
		case 'H':
			h->hosts = optarg;
			break;
		case 'w':
			h->uapi_dir = optarg;
			break;
		case 'e':
			(void) snprintf(h->enroll_node, sizeof(h->enroll_node), "%s", optarg);
			break;
		case 'i':
			if (number_parse(optarg, 0, IDLE_MAX_S, &idle_s) < 0) {
				(void) snprintf(wrong, USAGE_TEXT_MAX,
					"--idle takes seconds, from 0 to %d, not \"%.40s\"",
					IDLE_MAX_S, optarg);
				return -EINVAL;
			}
			h->idle_us = idle_s * USEC_PER_SEC;
			break;
		case 'h':
			fputs(usage_text, stdout);
			exit(0);
		case 'v':
			puts("hearth-helper " HEARTH_VERSION);
			exit(0);
		default:
			return -EINVAL;
		}
	}
	if (optind == argc)
		return 0;
	usage_surplus(argv[optind], wrong);
	return -EINVAL;
}

static int run(struct helper *h, struct err *err)
{
	sigset_t signals;
	gid_t gid;
	int r;

	(void) sigemptyset(&signals);
	(void) sigaddset(&signals, SIGTERM);
	(void) sigaddset(&signals, SIGINT);
	(void) sigprocmask(SIG_BLOCK, &signals, NULL);
	r = priv_find_user(h->user, &h->uid, &gid, err);
	h->has_uid = r == 0;
	if (r < 0)
		log_warning("%s; only root may ask for now", err->text);
	(void) descriptors_allow(DESCRIPTORS_WANTED);
	find_enroll_node(h);
	r = sd_event_default(&h->event);
	if (r >= 0)
		r = sd_event_add_signal(h->event, NULL, SIGTERM, NULL, NULL);
	if (r >= 0)
		r = sd_event_add_signal(h->event, NULL, SIGINT, NULL, NULL);
	if (r >= 0)
		r = sd_event_add_time_relative(
			h->event, &h->idle, CLOCK_MONOTONIC, h->idle_us, USEC_PER_SEC, on_idle, h);
	if (r < 0)
		return err_set(err, r, "cannot set up the event loop: %s", strerror(-r));
	rest(h);
	r = open_server(h, err);
	if (r < 0)
		return r;
	if (h->has_uid)
		ipc_server_serve(h->server, h->uid);
	(void) notify_send("READY=1");
	r = sd_event_loop(h->event);
	return r < 0 ? err_set(err, r, "event loop: %s", strerror(-r)) : 0;
}

int main(int argc, char **argv)
{
	struct helper h = {
		.hosts = NAMES_HOSTS,
		.uapi_dir = "/var/run/wireguard",
		.user = "hearth",
		.idle_us = IDLE_S * USEC_PER_SEC,
	};
	struct err err = { 0 };
	char wrong[USAGE_TEXT_MAX];
	int r;

	env_open_log("hearth-helper");
	(void) guard_memory(true); /* join bundles pass through it */
	paths_init(&h.paths);
	(void) signal(SIGPIPE, SIG_IGN);
	if (parse_options(&h, argc, argv, wrong) < 0) {
		fprintf(stderr, "hearth-helper: %s; see hearth-helper --help\n", wrong);
		return USAGE_STATUS;
	}
	r = sodium_init() < 0 ? err_set(&err, -EIO, "the random generator is not ready")
			      : run(&h, &err);
	if (r < 0)
		log_error("%s", err.text);
	h.server = ipc_server_free(h.server);
	sd_event_source_unref(h.idle);
	sd_event_unref(h.event);
	return r < 0 ? 1 : 0;
}
