/*
 * init: see init.h. Everything is checked before anything is written. The database becomes complete
 * in one transaction; root.key gets its name last, so that whoever finds it finds a whole coordinator,
 * and an init that was cut off is simply run again.
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
#include "base/usage.h"
#include "coordinator/addrs.h"
#include "coordinator/keys.h"
#include "coordinator/ledger.h"
#include "coordinator/paths.h"
#include "coordinator/schema.h"
#include "mesh/ranges.h"
#include "sys/x509/x509.h"
#include "wire/api.h"
#include "wire/node-name.h"
#include "wire/record.h"
#include "wire/settings.h"

struct init {
	const char *state_dir, *user;
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
	      "  --state DIR          where it is kept (" PATHS_STATE_DIR ")\n"
	      "  --user USER          who will own it, if run as root (" PATHS_USER ")\n"
	      "  --help, --version\n",
		stdout);
}

static int fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int fail(int status, const char *format, ...)
{
	va_list args;
	fputs("hearth-coord init: ", stderr);
	va_start(args, format);
	(void) vfprintf(stderr, format, args);
	va_end(args);
	fputs(status == USAGE_STATUS ? "; see hearth-coord init --help\n" : "\n", stderr);
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
	for (int c; !r && (c = usage_getopt(argc, argv, "h", options, &index, wrong)) != -1;)
		r = read_option(i, c, index, wrong);
	if (!r && optind < argc)
		return fail(USAGE_STATUS,
			"\"%.40s\" is one word too many (did you mean --mesh %.40s?)", argv[optind],
			argv[optind]);
	optind = 1;
	for (int c; !r && (c = usage_getopt(argc, argv, "h", options, &index, wrong)) != -1;)
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

/* @ret_mesh: the name of the mesh that is set up here, "" if none is; it is written last, with all else. */
static int find_existing(
	const struct init *i, char ret_mesh[static FIELD_NAME_MAX], struct err *err)
{
	char path[PATHS_MAX];
	struct store *store = NULL;
	ret_mesh[0] = '\0';
	paths_join(i->state_dir, PATHS_DATABASE, path);
	if (access(path, F_OK) < 0)
		return errno == ENOENT ? 0 : err_set(err, -errno, "look for %s: %m", path);
	int r = store_open(path, &schema_coordinator, false, &store, err);
	if (r == -EBUSY) { /* being served */
		(void) snprintf(ret_mesh, FIELD_NAME_MAX, "?");
		return 0;
	}
	if (!r)
		r = store_each(store, TABLE_META, read_mesh, ret_mesh, err);
	(void) store_close(store);
	return r;
}

static int sync_dir(const char *dir)
{
	CLEANUP(close_p) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int give_away(const char *path, const struct passwd *user, struct err *err)
{
	if (lchown(path, user->pw_uid, user->pw_gid) < 0 && errno != ENOENT)
		return err_set(err, -errno, "give %s to %s: %m", path, user->pw_name);
	return 0;
}

/* Owners, then root.key's name: what an init that was cut off may have left undone. */
static int finish(const struct init *i, struct err *err)
{
	static const char *const files[] = { PATHS_DATABASE, PATHS_DATABASE "-wal",
		PATHS_DATABASE "-shm", PATHS_SIGNING_KEY, PATHS_TLS_KEY, PATHS_TLS_CERT };
	char path[PATHS_MAX], spare[PATHS_MAX];
	const struct passwd *user = geteuid() == 0 ? getpwnam(i->user) : NULL;
	for (size_t f = 0; user && f < ARRAY_LEN(files); f++) {
		paths_join(i->state_dir, files[f], path);
		if (give_away(path, user, err) < 0)
			return err->code;
	}
	if (user && give_away(i->state_dir, user, err) < 0)
		return err->code;
	paths_join(i->state_dir, PATHS_ROOT_KEY, path);
	paths_join(i->state_dir, PATHS_ROOT_KEY ".new", spare);
	if (rename(spare, path) < 0 && errno != ENOENT)
		return err_set(err, -errno, "name %s: %m", path);
	int r = sync_dir(i->state_dir);
	return r < 0 ? err_set(err, r, "sync %s: %s", i->state_dir, strerror(-r)) : 0;
}

static int make_keys(struct init *i, struct err *err)
{
	static const char *const names[] = { PATHS_ROOT_KEY ".new", PATHS_SIGNING_KEY,
		PATHS_TLS_KEY };
	uint8_t *const seeds[] = { i->root_seed, i->signing_seed, i->tls_seed };
	uint8_t tls_key[X509_KEY_LEN];
	char path[PATHS_MAX];
	CLEANUP(free_p) char *certificate = NULL;
	int r = 0;
	for (size_t k = 0; k < ARRAY_LEN(names) && !r; k++) {
		paths_join(i->state_dir, names[k], path);
		r = keys_make(path, seeds[k], err);
	}
	if (r < 0)
		return r;
	record_public_key(i->root_seed, i->root_key);
	record_root_hash(i->root_key, i->root_hash);
	r = x509_certificate_pem(i->tls_seed, "hearth-coord", &certificate);
	if (!r)
		r = x509_public_key(i->tls_seed, tls_key);
	if (!r)
		r = x509_pin_of_key(tls_key, i->pin);
	if (r < 0)
		return err_set(err, r, "make the TLS certificate: %s", strerror(-r));
	(void) key_from_base64(i->pin, i->settings.pins[0]); /* just written by us */
	i->settings.n_pins = 1;
	paths_join(i->state_dir, PATHS_TLS_CERT, path);
	r = file_write_atomic(path, certificate, strlen(certificate), 0644);
	return r < 0 ? err_set(err, r, "write %s: %s", path, strerror(-r)) : 0;
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
	if (!r)
		ledger_store_record(batch, &record);
	return r;
}

static int first_records(const struct init *i, struct store_batch *batch, struct err *err)
{
	struct record_key key = { 0 };
	CLEANUP_MESH_LOG struct mesh_log *log = mesh_log_new(i->root_hash);
	if (!log)
		return err_set(err, -ENOMEM, "out of memory");
	record_public_key(i->signing_seed, key.key);
	memcpy(key.root, i->root_key, sizeof(key.root));
	CLEANUP_JSON json_t *key_json = record_key_to_json(&key);
	CLEANUP_JSON json_t *settings_json = settings_to_json(&i->settings);
	int r = add_record(log, RECORD_TYPE_KEY, key_json, i->root_seed, batch, err);
	if (!r)
		r = add_record(
			log, RECORD_TYPE_SETTINGS, settings_json, i->signing_seed, batch, err);
	return r;
}

static int make_database(const struct init *i, struct err *err)
{
	char path[PATHS_MAX], root[KEY_BASE64_LEN];
	struct store *store = NULL;
	const char *urls = i->has_urls ? "given" : "found";
	paths_join(i->state_dir, PATHS_DATABASE, path);
	int r = store_open(path, &schema_coordinator, true, &store, err);
	if (r < 0)
		return r;
	struct store_batch *batch = store_batch_new();
	r = first_records(i, batch, err);
	key_to_base64(i->root_hash, root);
	store_batch_insert(batch, TABLE_META, "root", root, strlen(root));
	store_batch_insert(batch, TABLE_META, "urls", urls, strlen(urls));
	store_batch_insert(batch, TABLE_META, "mesh", i->settings.mesh, strlen(i->settings.mesh));
	if (r < 0)
		(void) store_batch_free(batch);
	else
		r = store_commit_now(store, batch, err);
	(void) store_close(store);
	return r;
}

static int choose_urls(struct init *i)
{
	if (i->has_urls)
		return 0;
	struct err e = { 0 };
	int n = addrs_urls(&i->settings, i->port, i->settings.urls, &e);
	if (n < 0)
		return fail(1, "ask for this machine's addresses: %s", e.text);
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
	struct err e = { 0 };
	struct addrs_locals *locals = calloc(1, sizeof(*locals));
	int r = locals ? addrs_locals(locals, &e) : err_set(&e, -ENOMEM, "out of memory");
	if (r == 0)
		r = ranges_check(&i->settings, locals->list, locals->n,
			locals->flags | (i->allow_public ? 0 : RANGES_ONLY_PRIVATE), &e);
	free(locals);
	return r < 0 ? fail(1, "%s", e.text) : 0;
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
static int existing(const struct init *i)
{
	struct err e = { 0 };
	char mesh[FIELD_NAME_MAX];
	if (find_existing(i, mesh, &e) < 0)
		return -fail(1, "%s", e.text);
	if (!mesh[0])
		return 0;
	if (!i->dry_run && finish(i, &e) < 0)
		return -fail(1, "%s", e.text);
	if (i->if_needed) {
		printf("There is a coordinator in %s already%s%s; nothing was changed.\n",
			i->state_dir, mesh[0] == '?' ? " and it runs" : ", of the mesh ",
			mesh[0] == '?' ? "" : mesh);
		return 1;
	}
	return -fail(1,
		"there is a coordinator in %s already%s%s; nothing was changed. A mesh is made "
		"once; to "
		"begin a new one move that directory away.",
		i->state_dir, mesh[0] == '?' ? " and it runs" : ", of the mesh ",
		mesh[0] == '?' ? "" : mesh);
}

static int make(struct init *i)
{
	struct err e = { 0 };
	int r = file_mkdirs(i->state_dir, 0700);
	if (r < 0)
		return fail(1, "make %s: %s", i->state_dir, strerror(-r));
	umask(077);
	if (make_keys(i, &e) < 0 || make_database(i, &e) < 0 || finish(i, &e) < 0)
		return fail(1, "%s", e.text);
	printf("Made a mesh; its coordinator is kept in %s\n\n", i->state_dir);
	show(i);
	printf("\nKeep a copy of %s/%s somewhere safe and offline: whoever has it is the mesh.\n"
	       "Next: systemctl enable --now hearth-coord, then `hearth token create`.\n",
		i->state_dir, PATHS_ROOT_KEY);
	if (geteuid() == 0 && !getpwnam(i->user))
		fprintf(stderr,
			"hearth-coord init: there is no user %s here; the files belong to root\n",
			i->user);
	return 0;
}

int init_run(int argc, char **argv)
{
	CLEANUP(init_done) struct init i = { .user = PATHS_USER, .port = API_PORT };
	uint8_t random[RANGES_RANDOM_LEN];
	i.state_dir = env_dir("HEARTH_COORD_STATE", PATHS_STATE_DIR);
	randombytes_buf(random, sizeof(random));
	ranges_set_defaults(&i.settings, random);
	(void) snprintf(i.settings.mesh, sizeof(i.settings.mesh), "%s", "home");
	int r = read_options(&i, argc, argv);
	if (r)
		return r < 0 ? 0 : r;
	r = existing(&i);
	if (r)
		return r < 0 ? -r : 0;
	r = check_ranges(&i); /* first: an address in a range of the mesh is none for boards */
	if (!r)
		r = choose_urls(&i);
	if (r)
		return r;
	if (!i.dry_run)
		return make(&i);
	show(&i);
	return 0;
}
