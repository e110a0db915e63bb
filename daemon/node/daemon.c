/*
 * The life of hearthd: it reads what it must, brings the mesh up from what it knows already, and
 * then asks the coordinator for more.
 */
#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/env.h"
#include "base/descriptors.h"
#include "base/file.h"
#include "base/log.h"
#include "base/names.h"
#include "node/firewall.h"
#include "node/hearthd.h"
#include "node/hostnames.h"
#include "node/iface.h"
#include "sys/net/rule.h"
#include "sys/nft/nft.h"
#include "sys/notify/notify.h"
#include "sys/x509/x509.h"
#include "wire/record.h"

enum { DESCRIPTORS_WANTED = 16384 }; /* as hearthd.service has it */

/* --- hooks --- */

static void on_uplink_changed(void *ctx, bool moved)
{
	struct hearthd *h = ctx;
	struct err err = { 0 };

	if (mesh_update(h, CHANGE_UPLINK, &err) < 0) {
		log_error("%s", err.text);
		(void) sd_event_exit(h->core.event, 1);
		return;
	}
	status_look(h);
	if (!moved)
		return;
	portmap_hurry(h->portmap);
	if (overlay_tunnel(h->overlay)) {
		finder_moved(h->finder);
		relays_moved(h->relays);
		mapped_moved(h->mapped);
		peers_initiate(h->peers, overlay_tunnel(h->overlay));
	}
	sync_link_changed(h->sync);
}

static void on_uplink_touched(void *ctx)
{
	struct hearthd *h = ctx;

	mesh_retry(h);
}

static const struct uplink_hooks uplink_hooks = {
	.changed = on_uplink_changed,
	.touched = on_uplink_touched,
};

/* --- signals --- */

static int on_end(sd_event_source *source, const struct signalfd_siginfo *info, void *ctx)
{
	(void) notify_send("STOPPING=1\nSTATUS=ending; interface, routes and firewall stay");
	return sd_event_exit(sd_event_source_get_event(source), 0);
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *ctx)
{
	struct err err = { 0 };

	tick_keep_files(ctx);
	if (hearthd_reload(ctx, &err) < 0)
		log_error("%s; going on as before", err.text);
	return 0;
}

/* --- opening --- */

static int read_identity(struct hearthd *h, struct err *err)
{
	char path[PATH_TEXT_MAX];
	int r;

	r = state_read_key(
		paths_join(h->core.paths.state, "identity.key", path), h->core.identity_seed, err);
	if (r == 0)
		r = state_read_key(paths_join(h->core.paths.state, "wireguard.key", path),
			h->core.wg_private, err);
	if (r < 0)
		return r;
	record_public_key(h->core.identity_seed, h->core.identity);
	if (crypto_scalarmult_base(h->core.wg_public, h->core.wg_private) != 0)
		return err_set(err, -EINVAL, "%s is no usable key", path);
	r = x509_certificate_pem(h->core.identity_seed, "hearth", &h->cert_pem);
	if (r == 0)
		r = x509_key_pem(h->core.identity_seed, &h->key_pem);
	return r < 0 ? err_set(err, r, "make the client certificate: %s", strerror(-r)) : 0;
}

static void set_paths(struct hearthd *h, const struct hearthd_options *options)
{
	char up[PATH_TEXT_MAX];

	paths_init(&h->core.paths);
	paths_join(h->core.paths.etc, "hearthd.yaml", h->config_path);
	if (options->config_path)
		(void) snprintf(h->config_path, sizeof(h->config_path), "%s", options->config_path);
	paths_join(h->core.paths.run, NAMES_HELPER_SOCK, h->core.helper_path);
	(void) snprintf(up, sizeof(up), "%.*s",
		(int) (strrchr(h->core.paths.etc, '/') - h->core.paths.etc), h->core.paths.etc);
	(void) snprintf(
		h->core.host_path, sizeof(h->core.host_path), "%s", env_dir("HEARTH_HOST_ETC", up));
}

static int open_event(struct hearthd *h, struct err *err)
{
	static const int ends[] = { SIGTERM, SIGINT };
	sigset_t signals;
	int r;

	(void) sigemptyset(&signals);
	(void) sigaddset(&signals, SIGTERM);
	(void) sigaddset(&signals, SIGINT);
	(void) sigaddset(&signals, SIGHUP);
	(void) sigprocmask(SIG_BLOCK, &signals, NULL);
	(void) signal(SIGPIPE, SIG_IGN);
	r = sd_event_default(&h->core.event);
	for (size_t i = 0; i < ARRAY_LEN(ends) && r >= 0; i++)
		r = sd_event_add_signal(h->core.event, NULL, ends[i], on_end, h);
	if (r >= 0)
		r = sd_event_add_signal(h->core.event, NULL, SIGHUP, on_reload, h);
	return r < 0 ? err_set(err, r, "cannot set up the event loop: %s", strerror(-r)) : 0;
}

/*
 * A file that is not there may come yet, as by a mount; one that is wrong stays so until a person
 * mends it.
 */
static int when_wrong(int r)
{
	switch (r) {
	case -EINVAL:
	case -EBADMSG:
	case -EFBIG:
	case -EISDIR:
	case -EACCES:
	case -EPERM:
		return -ENOTRECOVERABLE;
	default:
		return r;
	}
}

static int read_all(struct hearthd *h, struct err *err)
{
	int r;

	r = when_wrong(config_read(h->config_path, &h->core.config, err));
	if (r == 0)
		r = h->state_lock = state_lock(h->core.paths.state, err);
	if (r >= 0)
		r = when_wrong(read_identity(h, err));
	if (r == 0 && keep_load(h->keep) < 0)
		r = err_set(err, -ENOMEM, "out of memory");
	if (r == 0)
		r = book_open(h->core.paths.state, h->core.config.root, &h->core.book, err);
	if (r < 0)
		return r;
	problem_set(&h->core.problems, "damage", book_damage(h->core.book));
	ask_find_way(h);
	return 0;
}

static void on_log_settled(void *ctx, bool saved)
{
	assist_log_settled(ctx, saved);
}

static void on_state_settled(void *ctx)
{
	struct hearthd *h = ctx;

	if (h->announce) /* not at the end */
		announce_go_on(h->announce);
}

static const struct keep_hooks keep_hooks = { .log_settled = on_log_settled,
	.state_settled = on_state_settled };

/* Each borrows the core, which is complete before anything is asked of them. */
static int make_subjects(struct hearthd *h, struct err *err)
{
	h->keep = keep_new(&h->core, &keep_hooks, h);
	h->news = news_new(&h->core, &mesh_news_hooks, h);
	h->pods = pods_new(&h->core);
	if (!h->keep || !h->news || !h->pods || assist_open(h) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	return 0;
}

static void free_subjects(struct hearthd *h)
{
	assist_close(h);
	h->pods = pods_free(h->pods);
	h->news = news_free(h->news);
	h->keep = keep_free(h->keep);
}

static int hearthd_open(struct hearthd *h, const struct hearthd_options *options, struct err *err)
{
	int r;

	set_paths(h, options);
	(void) descriptors_allow(DESCRIPTORS_WANTED);
	r = open_event(h, err);
	if (r == 0)
		r = make_subjects(h, err);
	if (r == 0)
		r = read_all(h, err);
	if (r == 0)
		r = disk_new(h->core.event, &h->core.disk, err);
	if (r == 0)
		r = nl_open(&h->core.nl, err);
	if (r == 0)
		r = uplink_new(h->core.event, h->core.nl, h->core.config.interface, &uplink_hooks,
			h, &h->uplink, err);
	if (r == 0)
		r = uplink_look(h->uplink, err);
	if (r == 0)
		r = ping_new(h->core.event, h->core.config.interface, &h->ping, err);
	if (r == 0)
		r = mesh_open(h, err);
	if (r < 0)
		return r;
	cluster_load(h->cluster, keep_state(h->keep)->kube_done);
	r = ask_open(h, err);
	if (r == 0)
		r = control_open(h, err);
	if (r == 0)
		r = tick_begin(h, err);
	return r;
}

static void hearthd_close(struct hearthd *h)
{
	if (h->sync)
		sync_stop(h->sync);
	tick_end(h);
	control_end_waits(h); /* they are told, while there are peers */
	if (h->announce)
		keep_settle_number(h->keep, announce_number(h->announce));
	h->announce = announce_free(h->announce);
	if (h->keep)
		keep_all(h->keep); /* while the tunnel still carries packets */
	mesh_close(h);
	h->sync = sync_free(h->sync); /* who waits for it, or for an echo, hears that it ends */
	h->offer = offer_free(h->offer);
	h->ping = ping_free(h->ping);
	control_close(h);
	h->uplink = uplink_free(h->uplink);
	h->core.nl = nl_close(h->core.nl);
	h->core.disk = disk_free(h->core.disk);
	free_subjects(h); /* nobody tells them any more of what was written */
	h->core.book = book_close(h->core.book);
	free(h->asked);
	free(h->said);
	free(h->cert_pem);
	x509_wipe_p(&h->key_pem);
	wayout_done(&h->core.wayout);
	h->core.event = sd_event_unref(h->core.event);
	close_p(&h->state_lock);
	problems_done(&h->core.problems);
	sodium_memzero(h, sizeof(*h));
}

int hearthd_run(const struct hearthd_options *options, struct err *err)
{
	struct hearthd *h = calloc(1, sizeof(*h));
	int r;

	if (!h || sodium_init() < 0) {
		free(h);
		return err_set(err, -ENOMEM, "out of memory");
	}
	h->state_lock = -1;
	(void) sodium_mlock(h, sizeof(*h)); /* keys: best effort, RLIMIT_MEMLOCK may be small */
	r = hearthd_open(h, options, err);
	if (r == 0 && sd_booted() <= 0)
		log_info("PID 1 is not systemd: nobody restarts hearthd should it fail");
	if (r == 0)
		r = mesh_update(h, CHANGE_ALL, err);
	if (r == 0) {
		sync_start(h->sync);
		cluster_join(h->cluster);
		r = sd_event_loop(h->core.event);
		if (r != 0)
			r = err_set(
				err, r < 0 ? r : -EIO, "the event loop ended: see the lines above");
	}
	hearthd_close(h);
	(void) sodium_munlock(h, sizeof(*h));
	free(h);
	return r;
}

static int remove_names(const struct paths *paths, const char *ifname, struct err *err)
{
	CLEANUP_IPC_REPLY struct ipc_reply reply = { .fd = -1 };
	CLEANUP_JSON json_t *args = hostnames_request(json_array(), ifname);
	char path[PATH_TEXT_MAX];

	return ipc_call(paths_join(paths->run, NAMES_HELPER_SOCK, path), "hosts.write", args,
		5 * USEC_PER_SEC, &reply, err);
}

/* All that can be taken down is; @err tells of the first that could not. */
static int take_all_down(
	const struct paths *paths, const struct config *config, struct nl *nl, struct err *err)
{
	CLEANUP_BUF struct buf removal = { 0 };
	struct err why = { 0 };
	char alias[IFACE_ALIAS_MAX], was[IF_NAMESIZE];
	int result, r;

	/* One that was renamed is ours all the same. */
	(void) iface_reclaim(
		nl, config->interface, iface_alias(config->mesh, config->node, alias), was, NULL);
	result = iface_remove(nl, config->interface, err);
	if (result == -ENODEV)
		result = 0;
	firewall_add_removal(config->interface, &removal);
	r = nft_run(buf_str(&removal), &why);
	if (r < 0 && result == 0)
		result = err_set(err, r, "%s", why.text);
	r = rule_permit(nl, config->interface, &why);
	if (r < 0 && result == 0)
		result = err_set(err, r, "%s", why.text);
	r = remove_names(paths, config->interface, &why);
	if (r < 0 && result == 0)
		result = err_set(err, r,
			"the names stay in the hosts file: hearth-helper: %.500s; start it and do "
			"this again, or delete the lines from \"# BEGIN hearth\" to \"# END "
			"hearth\"",
			why.text);
	return result;
}

int hearthd_down(const struct hearthd_options *options, struct err *err)
{
	struct hearthd where = { 0 };
	CLEANUP(close_p) int lock = -1;
	CLEANUP_NL struct nl *nl = NULL;
	struct config config;
	int r;

	set_paths(&where, options);
	r = config_read(where.config_path, &config, err);
	if (r < 0)
		return r;
	lock = state_lock(where.core.paths.state, err);
	if (lock < 0 && lock != -ENOENT)
		return lock;
	r = nl_open(&nl, err);
	return r < 0 ? r : take_all_down(&where.core.paths, &config, nl, err);
}
