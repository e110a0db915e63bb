/*
 * The life of hearthd: it reads what it must, brings the mesh up from what it knows already, and then
 * asks the coordinator for more.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <time.h>
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
#include "node/stamps.h"
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
	watch_refresh(h);
	if (!moved)
		return;
	if (h->tunnel) {
		watch_moved(h);
		peers_initiate(h->peers, h->tunnel);
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

int hearthd_reload(struct hearthd *h, struct err *err)
{
	struct config config;
	struct timespec now;
	int r;

	(void) clock_gettime(CLOCK_MONOTONIC, &now); /* systemd wants its own clock's time */
	(void) notify_send("RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
		(uint64_t) now.tv_sec * USEC_PER_SEC + (uint64_t) now.tv_nsec / 1000);
	r = config_read(h->config_path, &config, err);
	if (r == 0 && (config.node != h->core.config.node ||
			      strcmp(config.mesh, h->core.config.mesh) != 0 ||
			      memcmp(config.root, h->core.config.root, sizeof(config.root)) != 0))
		r = err_set(err, -EINVAL, "%s is about another board or mesh; restart hearthd",
			h->config_path);
	if (r == 0) {
		if (config.port != h->core.config.port ||
			strcmp(config.interface, h->core.config.interface) != 0)
			log_notice("interface and port change with the next restart");
		config.port = h->core.config.port;
		memcpy(config.interface, h->core.config.interface, sizeof(config.interface));
		h->core.config = config;
		r = mesh_update(h, CHANGE_ALL, err);
	}
	if (r == 0) {
		names_write(h->names, true);
		mesh_retry(h);
		assist_retry_now(h);
		pods_hurry(h->pods);
		pods_look(h->pods, clock_now_us());
		sync_link_changed(h->sync);
		log_info("configuration read again");
	}
	(void) notify_send("READY=1");
	return r;
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *ctx)
{
	struct err err = { 0 };

	hearthd_keep_files(ctx);
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
	paths_join(h->core.paths.state, "state.json", h->state_path);
	paths_join(h->core.paths.state, "timestamp", h->timestamp_path);
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

/* A file that is not there may come yet, as by a mount; one that is wrong stays so until a person mends it. */
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
	struct err damage = { 0 };
	int r;

	r = when_wrong(config_read(h->config_path, &h->core.config, err));
	if (r == 0)
		r = h->state_lock = state_lock(h->core.paths.state, err);
	if (r >= 0)
		r = when_wrong(read_identity(h, err));
	if (r < 0)
		return r;
	if (state_load(h->state_path, &h->state, &damage) < 0)
		problem_set(&h->core.problems, "files", &damage);
	h->counter = h->state.counter;
	r = book_open(h->core.paths.state, h->core.config.root, &h->core.book, err);
	if (r < 0)
		return r;
	problem_set(&h->core.problems, "damage", book_damage(h->core.book));
	return 0;
}

static int open_control(struct hearthd *h, struct err *err)
{
	char path[PATH_TEXT_MAX];

	return ipc_server_new(h->core.event,
		paths_join(h->core.paths.run, NAMES_HEARTHD_SOCK, path), 0666, (gid_t) -1,
		control_handle, h, &h->ipc, err);
}

static void keep_control(struct hearthd *h)
{
	struct err err = { 0 };

	if (h->ipc && ipc_server_has_path(h->ipc))
		return;
	h->ipc = ipc_server_free(h->ipc);
	if (open_control(h, &err) < 0)
		log_seldom(LOG_LEVEL_WARNING, "`hearth` does not work: %s", err.text);
	else
		log_notice("the socket in %s was removed by another program; listening again",
			h->core.paths.run);
}

/* It is root's: we only say that the next start will fail. */
static void look_at_config(struct hearthd *h)
{
	struct config config;
	struct err why = { 0 }, err = { 0 };

	if (config_read(h->config_path, &config, &why) < 0)
		err_set(&err, why.code,
			"hearthd goes on as before, but will not start again: %.600s", why.text);
	problem_set(&h->core.problems, "config", &err);
}

void hearthd_keep_files(struct hearthd *h)
{
	keep_control(h);
	look_at_config(h);
	pods_hurry(h->pods);
	uapi_keep(h->uapi);
	save_again(h);
}

/* Each borrows the core, which is complete before anything is asked of them. */
static int make_subjects(struct hearthd *h, struct err *err)
{
	h->pods = pods_new(&h->core);
	return h->pods && assist_open(h) == 0 ? 0 : err_set(err, -ENOMEM, "out of memory");
}

static void free_subjects(struct hearthd *h)
{
	assist_close(h);
	h->pods = pods_free(h->pods);
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
	if (r == 0)
		r = feed_open(h, err);
	if (r == 0)
		r = waits_new(&h->core, &control_waits, h, &h->waits, err);
	if (r == 0)
		r = open_control(h, err);
	if (r == 0)
		r = watch_begin(h, err);
	return r;
}

static void hearthd_close(struct hearthd *h)
{
	if (h->sync)
		sync_stop(h->sync);
	watch_end(h);
	h->waits = waits_free(h->waits); /* they are told, while there are peers */
	h->announce_waits = false;
	if (h->core.book && state_settle(&h->state, h->counter))
		save_state(h);
	save_all(h); /* while the tunnel still carries packets */
	h->announce_timer = sd_event_source_disable_unref(h->announce_timer);
	mesh_close(h);
	h->sync = sync_free(h->sync); /* who waits for it, or for an echo, hears that it ends */
	h->ping = ping_free(h->ping);
	h->ipc = ipc_server_free(h->ipc);
	h->uplink = uplink_free(h->uplink);
	h->core.nl = nl_close(h->core.nl);
	h->core.disk = disk_free(h->core.disk);
	free_subjects(h); /* nobody tells them any more of what was written */
	h->core.book = book_close(h->core.book);
	free(h->sync_sources);
	free(h->cert_pem);
	x509_wipe_p(&h->key_pem);
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
