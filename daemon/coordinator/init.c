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
#include <getopt.h>
#include <pwd.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdbool.h>
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
#include "base/number.h"
#include "base/owned.h"
#include "base/text.h"
#include "base/usage.h"
#include "board/locals.h"
#include "coordinator/addrs.h"
#include "coordinator/keys.h"
#include "coordinator/ledger.h"
#include "coordinator/names.h"
#include "coordinator/schema.h"
#include "sys/priv/priv.h"
#include "sys/x509/x509.h"
#include "wire/api.h"
#include "wire/node-name.h"
#include "wire/record.h"
#include "wire/settings.h"

struct init {
	const char *state_dir, *user;
	char root_dir[COORD_PATH_MAX - 32]; /* a file's name fits behind it */
	char existing
		[FIELD_NAME_MAX];  /* the mesh that is here; "": none; "?": it is being served */
	struct store_batch *batch; /* the first records, until they are written */
	char *certificate;
	struct settings settings;
	uint16_t port;
	bool has_urls, if_needed, dry_run, allow_public;
	uint8_t root_seed[KEYS_SEED_LEN], signing_seed[KEYS_SEED_LEN], tls_seed[KEYS_SEED_LEN];
	uint8_t root_key[RECORD_KEY_LEN], root_hash[RECORD_HASH_LEN];
	char pin[X509_PIN_TEXT_LEN];
};

static void init_done(struct init *i)
{
	settings_done(&i->settings);
	free(i->certificate);
	if (i->batch)
		(void) store_batch_free(i->batch);
	sodium_memzero(i, sizeof(*i));
}

void init_usage(void)
{
	fputs("usage: hearth-coord init [OPTION...]\n"
	      "Makes a mesh on this machine: its keys, its address ranges, its coordinator.\n\n"
	      "  --mesh NAME          the mesh's name (default: home)\n"
	      "  --url URL            where boards find the coordinator, https://HOST:PORT; repeat "
	      "for\n"
	      "                       more (default: every address of this machine's uplinks)\n"
	      "  --port PORT          the port in those default addresses (8443)\n"
	      "  --mesh4 PREFIX       mesh addresses, IPv4 (10.77.0.0/16)\n"
	      "  --ula PREFIX         the /48 for everything IPv6 (random, in fd00::/8)\n"
	      "  --pods4 PREFIX       pods, IPv4 (10.244.0.0/16): a /24 for each board\n"
	      "  --pods6 PREFIX       pods, IPv6 (of the ULA): a /64 for each board\n"
	      "  --services4 PREFIX   Kubernetes services, IPv4 (10.96.0.0/16)\n"
	      "  --services6 PREFIX   Kubernetes services, IPv6 (of the ULA)\n"
	      "  --allow-public-ranges  take ranges that are not private: those of the owner\n"
	      "  --if-needed          succeed if there is a coordinator already\n"
	      "  --dry-run            check and show, write nothing\n"
	      "  --state DIR          where it is kept (" NAMES_COORD_STATE ")\n"
	      "  --user USER          who will own it, if run as root (" COORD_USER ")\n"
	      "  --help, --version\n",
		stdout);
}

static int fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int fail(int status, const char *format, ...)
{
	char text[2 * ERR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	int n = vsnprintf(text, sizeof(text), format, args);

	va_end(args);
	text_say(stderr, "hearth-coord init: %s%s", n < 0 ? format : text,
		status == USAGE_STATUS ? "; see hearth-coord init --help" : "");
	return status;
}

static int set_range(struct settings *s, const char *flag, const char *text)
{
	struct ip_prefix prefix;
	bool v6 = flag[strlen(flag) - 1] == '6' || !strcmp(flag, "ula");

	if (ip_prefix_parse(text, &prefix) < 0 || !strchr(text, '/') ||
		prefix.addr.family != (v6 ? AF_INET6 : AF_INET))
		return fail(USAGE_STATUS,
			"--%s %s: write an %s prefix such as %s, with no bits set behind its "
			"length",
			flag, text, v6 ? "IPv6" : "IPv4",
			v6 ? "fd12:3456:789a::/48" : "10.77.0.0/16");
	if (!strcmp(flag, "ula")) {
		if (ranges_set_ula(s, &prefix) < 0)
			return fail(USAGE_STATUS, "--ula %s: it must be a /48 in fd00::/8", text);
	} else if (!strcmp(flag, "mesh4")) {
		s->mesh4 = prefix;
	} else if (!strcmp(flag, "pods4")) {
		s->pods4 = prefix;
	} else if (!strcmp(flag, "pods6")) {
		s->pods6 = prefix;
	} else if (!strcmp(flag, "services4")) {
		s->services4 = prefix;
	} else {
		s->services6 = prefix;
	}
	settings_set_virtual(s);
	return 0;
}

static int add_url(struct init *i, const char *url)
{
	struct settings *s = &i->settings;

	if (!field_url_is_valid(url))
		return fail(USAGE_STATUS, "--url %s: write https://HOST:PORT, with no path", url);
	if (s->n_urls == FIELD_URLS_MAX)
		return fail(USAGE_STATUS, "--url: %d are the most", FIELD_URLS_MAX);
	snprintf(s->urls[s->n_urls++], FIELD_URL_MAX, "%s", url);
	i->has_urls = true;
	return 0;
}

enum {
	OPT_MESH = 256,
	OPT_URL,
	OPT_PORT,
	OPT_STATE,
	OPT_USER,
	OPT_IF_NEEDED,
	OPT_DRY,
	OPT_RANGE,
	OPT_PUBLIC
};

static const struct option options[] = {
	{ "mesh", required_argument, NULL, OPT_MESH },
	{ "url", required_argument, NULL, OPT_URL },
	{ "port", required_argument, NULL, OPT_PORT },
	{ "state", required_argument, NULL, OPT_STATE },
	{ "user", required_argument, NULL, OPT_USER },
	{ "if-needed", no_argument, NULL, OPT_IF_NEEDED },
	{ "dry-run", no_argument, NULL, OPT_DRY },
	{ "allow-public-ranges", no_argument, NULL, OPT_PUBLIC },
	{ "help", no_argument, NULL, 'h' },
	{ "ula", required_argument, NULL, OPT_RANGE },
	{ "mesh4", required_argument, NULL, OPT_RANGE },
	{ "pods4", required_argument, NULL, OPT_RANGE },
	{ "pods6", required_argument, NULL, OPT_RANGE },
	{ "services4", required_argument, NULL, OPT_RANGE },
	{ "services6", required_argument, NULL, OPT_RANGE },
	{ 0 },
};

/* A mesh is named as a node is, but none of its names is reserved: it stands before ".internal". */
static int set_mesh(struct settings *s, const char *text)
{
	char name[FIELD_NAME_MAX + 1], near[NODE_NAME_MAX];
	size_t len = strnlen(text, FIELD_NAME_MAX);

	for (size_t i = 0; i < len; i++)
		name[i] = (char) (text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 'a' - 'A' : text[i]);
	name[len] = '\0';
	if (!field_name_is_valid(name)) {
		bool offer = node_name_suggest(text, near);

		return fail(USAGE_STATUS,
			"--mesh %.80s: a name is 1 to 63 of a-z, 0-9 and hyphens, not at its "
			"ends%s%s%s",
			text, offer ? "; \"" : "", offer ? near : "", offer ? "\" would do" : "");
	}
	memcpy(s->mesh, name, len + 1);
	return 0;
}

static int read_option(struct init *i, int c, int index, const char *wrong)
{
	uint64_t port;

	switch (c) {
	case OPT_MESH:
		return set_mesh(&i->settings, optarg);
	case OPT_URL:
		return add_url(i, optarg);
	case OPT_PORT:
		if (number_parse(optarg, 1, UINT16_MAX, &port) < 0)
			return fail(USAGE_STATUS, "--port %s: write 1 to 65535", optarg);
		i->port = (uint16_t) port;
		return 0;
	case OPT_STATE:
		i->state_dir = optarg;
		return 0;
	case OPT_USER:
		i->user = optarg;
		return 0;
	case OPT_IF_NEEDED:
		i->if_needed = true;
		return 0;
	case OPT_DRY:
		i->dry_run = true;
		return 0;
	case OPT_PUBLIC:
		i->allow_public = true;
		return 0;
	case OPT_RANGE: /* the ULA first, whatever the order: the others are told apart from it */
		return strcmp(options[index].name, "ula") ? 0
							  : set_range(&i->settings, "ula", optarg);
	case 'h':
		init_usage();
		return -1;
	default:
		return fail(USAGE_STATUS, "%s", wrong);
	}
}

/* 0 to go on, -1 when all was said, else the exit status. */
static int read_options(struct init *i, int argc, char **argv)
{
	char wrong[USAGE_TEXT_MAX];
	int index = 0, r = 0;

	optind = 1;
	for (int c; r == 0 && (c = usage_getopt(argc, argv, "h", options, &index, wrong)) != -1;)
		r = read_option(i, c, index, wrong);
	if (r == 0 && optind < argc)
		return fail(USAGE_STATUS,
			"\"%.40s\" is one word too many (did you mean --mesh %.40s?)", argv[optind],
			argv[optind]);
	optind = 1;
	for (int c; r == 0 && (c = usage_getopt(argc, argv, "h", options, &index, wrong)) != -1;)
		if (c == OPT_RANGE && strcmp(options[index].name, "ula") != 0)
			r = set_range(&i->settings, options[index].name, optarg);
	return r;
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

static int choose_urls(struct init *i)
{
	if (i->has_urls)
		return 0;
	struct err err = { 0 };
	int n = addrs_urls(&i->settings, i->port, i->settings.urls, &err);

	if (n < 0)
		return fail(1, "ask for this machine's addresses: %s", err.text);
	if (n == 0)
		return fail(1,
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
	struct locals_own own = { 0 }; /* there is nothing of this mesh yet */
	int r = locals_read(&own, &locals, &err);

	if (r == 0)
		r = ranges_check(&i->settings, locals.list, locals.n,
			(locals.tailscale ? RANGES_TAILSCALE : 0) |
				(i->allow_public ? 0 : RANGES_ONLY_PRIVATE),
			&err);
	return r < 0 ? fail(1, "%s", err.text) : 0;
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
		return -fail(1, "%s", err.text);
	if (!i->existing[0])
		return 0;
	if (!i->dry_run && finish(i, &err) < 0)
		return -fail(1, "%s", err.text);
	bool runs = i->existing[0] == '?';
	const char *what = runs ? " and it runs" : ", of the mesh ";
	const char *mesh = runs ? "" : i->existing;

	if (i->if_needed) {
		printf("There is a coordinator in %s already%s%s; nothing was changed.\n",
			i->state_dir, what, mesh);
		return 1;
	}
	return -fail(1,
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
		return fail(1, "%s", err.text);
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
		return fail(USAGE_STATUS, "--state %.40s...: that is too long", i->state_dir);
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
	int r = read_options(&i, argc, argv);

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
