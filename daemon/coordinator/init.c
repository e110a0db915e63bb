/*
 * init: see init.h. Everything is checked before anything is written. The database becomes complete
 * in one transaction; root.key gets its name last, so that whoever finds it finds a whole
 * coordinator, and an init that was cut off is simply run again.
 *
 * The state directory is hearth-coord's, who may put anything there under any name. So all that is
 * read and written in it is read and written by a process of that user; root.key lies in a
 * directory of root's beside it.
 */
#include "coordinator/init.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/encode.h"
#include "base/env.h"
#include "base/file.h"
#include "base/json.h"
#include "base/names.h"
#include "base/owned.h"
#include "base/usage.h"
#include "board/config.h"
#include "board/locals.h"
#include "coordinator/addrs.h"
#include "coordinator/init-internal.h"
#include "board/keys.h"
#include "coordinator/ledger.h"
#include "coordinator/names.h"
#include "coordinator/schema.h"
#include "sys/priv/priv.h"
#include "sys/x509/x509.h"
#include "wire/api.h"
#include "wire/record.h"
#include "wire/settings.h"

static void init_done(struct init *i)
{
	settings_done(&i->settings);
	free(i->certificate);
	if (i->batch)
		(void) store_batch_free(i->batch);
	sodium_memzero(i, sizeof(*i));
}

static int read_mesh(void *ctx, const char *key, const void *value, size_t len)
{
	char *mesh = ctx;

	if (!strcmp(key, "mesh") && len < FIELD_NAME_MAX) {
		memcpy(mesh, value, len);
		mesh[len] = '\0';
	}
	return 0;
}

/* Sets existing: the mesh's name is written last, with all else. As hearth-coord. */
static int read_existing(void *ctx, struct err *err)
{
	struct init *i = ctx;
	char path[COORD_PATH_MAX];
	struct store *store = NULL;

	coord_path(i->state_dir, COORD_DATABASE, path);
	if (access(path, F_OK) < 0)
		return errno == ENOENT ? 0 : err_set(err, -errno, "look for %s: %m", path);
	int r = store_open(path, &schema_coordinator, false, &store, err);

	if (r == -EBUSY) { /* being served */
		(void) snprintf(i->existing, sizeof(i->existing), "?");
		return 0;
	}
	if (r == 0)
		r = store_each(store, TABLE_META, read_mesh, i->existing, err);
	(void) store_close(store);
	return r;
}

/* Runs @fn as hearth-coord if we are root and there is such a user. */
static int as_user(struct init *i, priv_fn fn, void *share, size_t len, struct err *err)
{
	if (geteuid() == 0 && !getpwnam(i->user))
		return fn(i, err);
	return priv_run_as(i->user, fn, i, share, len, err);
}

static int find_existing(struct init *i, struct err *err)
{
	struct stat st;

	if (lstat(i->state_dir, &st) < 0 && errno == ENOENT)
		return 0;
	int r = as_user(i, read_existing, i->existing, sizeof(i->existing), err);

	i->existing[sizeof(i->existing) - 1] = '\0';
	if (i->existing[0] && strcmp(i->existing, "?") != 0 && !field_name_is_valid(i->existing))
		(void) snprintf(i->existing, sizeof(i->existing), "?");
	return r;
}

static int sync_dir(const char *dir)
{
	CLEANUP(close_p) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int make_root_dir(const struct init *i, struct err *err)
{
	int r = owned_make_dir(i->root_dir, 0700, geteuid(), getegid());

	if (r == -EPERM)
		return err_set(err, r,
			"%s, which is for the root key, belongs to somebody else: move it away",
			i->root_dir);
	return r < 0 ? err_set(err, r, "make %s: %s", i->root_dir, strerror(-r)) : 0;
}

/*
 * Before root.key had a directory of its own it lay among hearth-coord's files, which may have
 * renamed it, but can not have made it: only a file of ours, with no other name, is taken for it. 1
 * moved, 0 there is none.
 */
static int take_over(const struct init *i, const char *name, const char *to, struct err *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	char from[COORD_PATH_MAX];
	struct stat st;

	coord_path(i->state_dir, name, from);
	int r = owned_read(from, KEYS_FILE_MAX, &text, &st);

	if (r < 0 || st.st_uid != geteuid() || st.st_mode & 077)
		return 0;
	r = make_root_dir(i, err);
	if (r == 0) {
		r = file_write_atomic(to, buf_str(&text), text.len, 0600);
		if (r < 0)
			(void) err_set(err, r, "write %s: %s", to, strerror(-r));
	}
	if (text.data)
		sodium_memzero(text.data, text.cap);
	if (r < 0)
		return r;
	/* Whatever the name is by now, it is one in a directory of hearth-coord's. */
	(void) unlink(from);
	fprintf(stderr,
		"hearth-coord init: the root key was moved from %s to %s, which is root's\n", from,
		to);
	return 1;
}

/* What an init that was cut off, or one of an older version, may have left undone. */
static int finish(const struct init *i, struct err *err)
{
	char path[COORD_PATH_MAX], spare[COORD_PATH_MAX];

	coord_path(i->root_dir, COORD_ROOT_KEY, path);
	coord_path(i->root_dir, COORD_ROOT_KEY ".new", spare);
	if (access(path, F_OK) == 0)
		return 0;
	if (rename(spare, path) == 0) {
		int r = sync_dir(i->root_dir);

		return r < 0 ? err_set(err, r, "sync %s: %s", i->root_dir, strerror(-r)) : 0;
	}
	if (errno != ENOENT)
		return err_set(err, -errno, "name %s: %m", path);
	int r = take_over(i, COORD_ROOT_KEY, path, err);

	if (r == 0)
		r = take_over(i, COORD_ROOT_KEY ".new", path, err);
	return r < 0 ? r : 0;
}

/* Both directories; and no root key is written over: it may be all that is left of a mesh. */
static int make_dirs(const struct init *i, const struct passwd *user, struct err *err)
{
	char path[COORD_PATH_MAX];
	int r = owned_make_dir(i->state_dir, 0700, user ? user->pw_uid : geteuid(),
		user ? user->pw_gid : getegid());

	if (r == -EPERM)
		return err_set(err, r,
			"%s is there and does not belong to user %s. If it is empty, remove it; if "
			"its files are the coordinator's: `chown -R %s: %s`",
			i->state_dir, user ? user->pw_name : "root", user ? user->pw_name : "root",
			i->state_dir);
	if (r < 0)
		return err_set(err, r, "make %s: %s", i->state_dir, strerror(-r));
	coord_path(i->root_dir, COORD_ROOT_KEY, path);
	if (access(path, F_OK) == 0)
		return err_set(err, -EEXIST,
			"%s is the root key of a mesh whose coordinator is not in %s any more; "
			"nothing was changed. Bring that directory back, or, to begin a new mesh, "
			"move %s away",
			path, i->state_dir, i->root_dir);
	return make_root_dir(i, err);
}

/* The root key, and in memory what hearth-coord is going to write. */
static int make_keys(struct init *i, struct err *err)
{
	uint8_t tls_key[X509_KEY_LEN];
	char path[COORD_PATH_MAX];

	coord_path(i->root_dir, COORD_ROOT_KEY ".new", path);
	int r = keys_make(path, i->root_seed, err);

	if (r < 0)
		return r;
	randombytes_buf(i->signing_seed, sizeof(i->signing_seed));
	randombytes_buf(i->tls_seed, sizeof(i->tls_seed));
	record_public_key(i->root_seed, i->root_key);
	record_root_hash(i->root_key, i->root_hash);
	r = x509_certificate_pem(i->tls_seed, "hearth-coord", &i->certificate);
	if (r == 0)
		r = x509_public_key(i->tls_seed, tls_key);
	if (r == 0)
		r = x509_pin_of_key(tls_key, i->pin);
	if (r < 0)
		return err_set(err, r, "make the TLS certificate: %s", strerror(-r));
	(void) key_from_base64(i->pin, i->settings.pins[0]); /* just written by us */
	i->settings.n_pins = 1;
	return 0;
}

/* Makes record after record; each is checked as a board would. */
static int add_record(struct mesh_log *log, const char *type, const json_t *payload,
	const uint8_t *seed, struct store_batch *batch, struct err *err)
{
	CLEANUP_RECORD struct record record = { 0 };
	int r = payload ? mesh_log_make_next(log, type, payload, seed, &record) : -ENOMEM;

	if (r < 0)
		return err_set(err, r, "make the %s record: %s", type, strerror(-r));
	r = mesh_log_append(log, &record, err);
	if (r == 0)
		ledger_store_record(batch, &record);
	return r;
}

static int first_records(struct init *i, struct err *err)
{
	struct record_key key = { 0 };
	char root[KEY_BASE64_LEN];
	const char *urls = i->has_urls ? "given" : "found";
	CLEANUP_MESH_LOG struct mesh_log *log = mesh_log_new(i->root_hash);

	i->batch = store_batch_new();
	if (!log || !i->batch)
		return err_set(err, -ENOMEM, "out of memory");
	record_public_key(i->signing_seed, key.key);
	memcpy(key.root, i->root_key, sizeof(key.root));
	CLEANUP_JSON json_t *key_json = record_key_to_json(&key);
	CLEANUP_JSON json_t *settings_json = settings_to_json(&i->settings);
	int r = add_record(log, RECORD_TYPE_KEY, key_json, i->root_seed, i->batch, err);

	if (r == 0)
		r = add_record(
			log, RECORD_TYPE_SETTINGS, settings_json, i->signing_seed, i->batch, err);
	if (r < 0)
		return r;
	key_to_base64(i->root_hash, root);
	store_batch_insert(i->batch, TABLE_META, "root", root, strlen(root));
	store_batch_insert(i->batch, TABLE_META, "urls", urls, strlen(urls));
	store_batch_insert(
		i->batch, TABLE_META, "mesh", i->settings.mesh, strlen(i->settings.mesh));
	return 0;
}

/* As hearth-coord: its keys, then the database, which is whole or not there. */
static int write_state(void *ctx, struct err *err)
{
	struct init *i = ctx;
	char path[COORD_PATH_MAX];
	struct store *store = NULL;

	sodium_memzero(
		i->root_seed, sizeof(i->root_seed)); /* the user's process has no use for it */
	coord_path(i->state_dir, COORD_SIGNING_KEY, path);
	int r = keys_write(path, i->signing_seed, err);

	coord_path(i->state_dir, COORD_TLS_KEY, path);
	if (r == 0)
		r = keys_write(path, i->tls_seed, err);
	if (r < 0)
		return r;
	coord_path(i->state_dir, COORD_TLS_CERT, path);
	r = file_write_atomic(path, i->certificate, strlen(i->certificate), 0644);
	if (r < 0)
		return err_set(err, r, "write %s: %s", path, strerror(-r));
	coord_path(i->state_dir, COORD_DATABASE, path);
	r = store_open(path, &schema_coordinator, true, &store, err);
	if (r < 0)
		return r;
	r = store_commit_now(store, TAKE(i->batch), err);
	(void) store_close(store);
	return r;
}

static int check_urls(struct init *i)
{
	char host[FIELD_URL_MAX];
	struct err err = { 0 };
	const char *port;

	for (size_t u = 0; u < i->settings.n_urls; u++)
		if (field_url_split(i->settings.urls[u], host, &port) &&
			settings_check_outside(&i->settings, host, &err) < 0)
			return init_fail(1, "--url: %s", err.text);
	i->settings.n_by_hand = i->settings.n_urls;
	return 0;
}

static int choose_urls(struct init *i)
{
	if (i->has_urls)
		return check_urls(i);
	struct err err = { 0 };
	int n = addrs_urls(&i->settings, i->port, i->settings.urls, &err);

	if (n < 0)
		return init_fail(1, "ask for this machine's addresses: %s", err.text);
	if (n == 0)
		return init_fail(1,
			"this machine has no address that boards could use: no link that is up has "
			"one but loopback, containers and VPNs (`ip address`). Connect it, or name "
			"one with --url https://HOST:%u",
			i->port);
	i->settings.n_urls = (size_t) n;
	return 0;
}

static int check_ranges(const struct init *i)
{
	struct err err = { 0 };
	CLEANUP_LOCALS struct locals locals = { 0 };
	/* This board may be in a mesh that is being made anew, as after a disk was lost. */
	const struct locals_own own = { .ifname = NAMES_LINK_DEFAULT };
	int r = locals_read(&own, &locals, &err);

	if (r == 0)
		r = ranges_check(&i->settings, locals.list, locals.n,
			(locals.tailscale ? RANGES_TAILSCALE : 0) |
				(i->allow_public ? 0 : RANGES_ONLY_PRIVATE),
			&err);
	return r < 0 ? init_fail(1, "%s", err.text) : 0;
}

static void show(const struct init *i)
{
	static const char *const names[] = { "mesh", "", "pods", "", "services", "" };
	const struct settings *s = &i->settings;
	const struct ip_prefix *ranges[] = { &s->mesh4, &s->mesh6, &s->pods4, &s->pods6,
		&s->services4, &s->services6 };
	char text[PREFIX_TEXT_MAX];

	printf("%-10s%s\n", "name", s->mesh);
	for (size_t r = 0; r < ARRAY_LEN(ranges); r++)
		printf("%-10s%s\n", names[r], ip_prefix_format(ranges[r], text));
	for (size_t u = 0; u < s->n_urls; u++)
		printf("%-10s%s\n", u ? "" : "found at", s->urls[u]);
	if (i->pin[0])
		printf("%-10ssha256//%s\n", "its pin", i->pin);
}

/* 1: there is one (said so); 0: there is none; else the exit status, negative. */
static int existing(struct init *i)
{
	struct err err = { 0 };

	if (find_existing(i, &err) < 0)
		return -init_fail(1, "%s", err.text);
	if (!i->existing[0])
		return 0;
	if (!i->dry_run && finish(i, &err) < 0)
		return -init_fail(1, "%s", err.text);
	bool runs = i->existing[0] == '?';
	const char *what = runs ? " and it runs" : ", of the mesh ";
	const char *mesh = runs ? "" : i->existing;

	if (i->if_needed) {
		printf("There is a coordinator in %s already%s%s; nothing was changed.\n",
			i->state_dir, what, mesh);
		return 1;
	}
	return -init_fail(1,
		"there is a coordinator in %s already%s%s; nothing was changed. A mesh is made "
		"once; to begin a new one move that directory and %s away.",
		i->state_dir, what, mesh, i->root_dir);
}

static int make(struct init *i)
{
	struct err err = { 0 };
	const struct passwd *user = geteuid() == 0 ? getpwnam(i->user) : NULL;

	umask(077);
	if (make_dirs(i, user, &err) < 0 || make_keys(i, &err) < 0 || first_records(i, &err) < 0 ||
		as_user(i, write_state, NULL, 0, &err) < 0 || finish(i, &err) < 0)
		return init_fail(1, "%s", err.text);
	printf("Made a mesh; its coordinator is kept in %s\n\n", i->state_dir);
	show(i);
	printf("\nKeep a copy of %s/%s somewhere safe and offline: whoever has it is the mesh.\n"
	       "Next: systemctl enable --now hearth-coord, then `hearth token create`.\n",
		i->root_dir, COORD_ROOT_KEY);
	if (geteuid() == 0 && !user)
		fprintf(stderr,
			"hearth-coord init: there is no user %s here; the files belong to root\n",
			i->user);
	return 0;
}

/* Beside the state directory, "/" at its end or not. */
static int name_root_dir(struct init *i)
{
	size_t len = strlen(i->state_dir);

	while (len > 1 && i->state_dir[len - 1] == '/')
		len--;
	if (len + sizeof(COORD_ROOT_SUFFIX "/" COORD_ROOT_KEY ".new") > sizeof(i->root_dir))
		return init_fail(USAGE_STATUS, "--state %.40s...: that is too long", i->state_dir);
	(void) snprintf(i->root_dir, sizeof(i->root_dir), "%.*s" COORD_ROOT_SUFFIX, (int) len,
		i->state_dir);
	return 0;
}

int init_run(int argc, char **argv)
{
	CLEANUP(init_done) struct init i = { .user = COORD_USER, .port = API_PORT };
	uint8_t random[RANGES_RANDOM_LEN];

	i.state_dir = env_dir("HEARTH_COORD_STATE", NAMES_COORD_STATE);
	randombytes_buf(random, sizeof(random));
	ranges_set_defaults(&i.settings, random);
	(void) snprintf(i.settings.mesh, sizeof(i.settings.mesh), "%s", "home");
	int r = init_read_options(&i, argc, argv);

	if (r)
		return r < 0 ? 0 : r;
	r = name_root_dir(&i);
	if (r)
		return r;
	r = existing(&i);
	if (r)
		return r < 0 ? -r : 0;
	r = check_ranges(&i); /* first: an address in a range of the mesh is none for boards */
	if (r == 0)
		r = choose_urls(&i);
	if (r)
		return r;
	if (!i.dry_run)
		return make(&i);
	show(&i);
	return 0;
}
