/*
 * open: see open.h. Nothing is served before all of it was read and proved.
 */
#include "coordinator/open.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "coordinator/admin.h"
#include "coordinator/api.h"
#include "coordinator/carry.h"
#include "coordinator/enroll.h"
#include "board/keys.h"
#include "coordinator/kube.h"
#include "coordinator/meet.h"
#include "coordinator/names.h"
#include "coordinator/place.h"
#include "coordinator/presence.h"
#include "coordinator/relays.h"
#include "coordinator/schema.h"
#include "coordinator/urls.h"
#include "sys/x509/x509.h"

/* Relays of records to which connections are kept. */
enum { RECORDS_MAX = CARRY_RELAYS_MAX - MEET_RELAYS_MAX };

/* --- connections that wait at relays --- */

static int on_carried(void *ctx, int fd, const struct endpoint *client)
{
	struct coord *c = ctx;

	return httpd_add(c->httpd, fd, client);
}

static bool is_here(const struct coord *c, const struct node *node)
{
	const struct settings *s = coord_settings(c);

	return s->n_coordinators && s->coordinators[0].node == node->id &&
	       s->coordinators[0].port == c->port;
}

/* Those of the records, and those that were added and are in none yet. */
static void follow_relays(void *ctx)
{
	struct coord *c = ctx;
	struct carry_relay relays[RECORDS_MAX + MEET_RELAYS_MAX];
	size_t n = 0;

	for (const struct node *node = NULL;
		n < RECORDS_MAX && (node = netmap_next(coord_netmap(c), node));)
		if (node->relay.n_hosts)
			relays[n++] = (struct carry_relay){ .node = node->id,
				.name = node->name,
				.relay = &node->relay,
				.here = is_here(c, node) };
	n += meet_relays(c->meet, &relays[n]);
	carry_follow(c->carry, relays, n, coord_settings(c));
}

static const struct meet_hooks meet_hooks = { .changed = follow_relays };

static void on_heard(void *ctx, uint32_t watch, const uint8_t *pin, const struct err *why)
{
	meet_heard(((struct coord *) ctx)->meet, watch, pin, why);
}

static int open_carry(
	struct coord *c, const struct open_config *config, const uint8_t *seed, struct err *err)
{
	const struct carry_config carry = { .seed = seed,
		.carried_max = config->connections_max / 4 + 1,
		.take = on_carried,
		.heard = on_heard,
		.ctx = c };

	return carry_new(c->event, &carry, &c->carry, err);
}

/* --- what happens --- */

/* A removed or renewed node is told so; everybody else hears of the record. */
static void on_applied(void *ctx, const struct record *record, const struct netmap_change *what)
{
	struct coord *c = ctx;

	if (what->kind == NETMAP_CHANGE_REMOVED)
		presences_node_removed(c->presences, what->id);
	else if (what->kind == NETMAP_CHANGE_NODE)
		presences_node_changed(c->presences, netmap_by_id(coord_netmap(c), what->id));
	if (what->kind == NETMAP_CHANGE_REMOVED || what->kind == NETMAP_CHANGE_NODE)
		relays_node_changed(c->relays, what->id);
	feed_wake(c->feed);
	meet_look(c->meet);
	follow_relays(c);
}

static void on_came(void *ctx)
{
	place_board_came(ctx);
}

static void on_look(void *ctx)
{
	place_refresh(ctx);
}

/* --- what is on the disk --- */

static int read_tls(struct coord *c, const struct open_config *config, struct err *err)
{
	char path[COORD_PATH_MAX];
	uint8_t seed[KEYS_SEED_LEN];
	int r;

	coord_path(config->state_dir, COORD_TLS_KEY, path);
	r = keys_read(path, seed, err);
	if (r == -ENOENT)
		return err_set(err, r,
			"there is no coordinator in %s: run `hearth-coord init` first",
			config->state_dir);
	if (r < 0)
		return r;
	r = x509_key_pem(seed, &c->key);
	if (r == 0)
		r = x509_certificate_pem(seed, "hearth-coord", &c->certificate);
	r = r < 0 ? err_set(err, r, "make the TLS certificate: %s", strerror(-r))
		  : open_carry(c, config, seed, err);
	sodium_memzero(seed, sizeof(seed));
	return r;
}

struct meta {
	bool has_root;
	char root[KEY_BASE64_LEN];
	bool urls_found;
};

static int read_meta(void *ctx, const char *key, const void *value, size_t len)
{
	struct meta *meta = ctx;

	if (strcmp(key, "root") == 0 && len == KEY_BASE64_LEN - 1) {
		memcpy(meta->root, value, len);
		meta->has_root = true;
	} else if (strcmp(key, "urls") == 0) {
		meta->urls_found = len == 5 && memcmp(value, "found", 5) == 0;
	}
	return 0;
}

static int certify(const struct coord *c, const uint8_t *seed, const char *path, struct err *err)
{
	uint8_t public_key[RECORD_KEY_LEN];

	record_public_key(seed, public_key);
	if (mesh_log_certifies(ledger_log(c->ledger), public_key))
		return 0;
	return err_set(err, -EKEYREJECTED,
		"%s is not certified by this mesh's root key: restore the key that belongs to the "
		"database",
		path);
}

static int open_ledger(struct coord *c, const char *state_dir, struct err *err)
{
	uint8_t seed[KEYS_SEED_LEN];
	char path[COORD_PATH_MAX];
	struct meta meta = { 0 };
	int r = store_each(c->store, TABLE_META, read_meta, &meta, err);

	if (r < 0)
		return r;
	if (!meta.has_root || key_from_base64(meta.root, c->root_hash) < 0)
		return err_set(err, -ENOENT,
			"the coordinator in %s was not set up to its end: run `hearth-coord init`",
			state_dir);
	c->urls_found = meta.urls_found;
	coord_path(state_dir, COORD_SIGNING_KEY, path);
	r = keys_read(path, seed, err);
	if (r == 0)
		r = ledger_open(c->store, c->root_hash, seed, &c->ledger, err);
	if (r == 0)
		r = certify(c, seed, path, err);
	sodium_memzero(seed, sizeof(seed));
	return r;
}

static int open_store(struct coord *c, const char *state_dir, struct err *err)
{
	char path[COORD_PATH_MAX];
	int r;

	coord_path(state_dir, COORD_DATABASE, path);
	r = store_open(path, &schema_coordinator, false, &c->store, err);
	if (r == -ENOENT)
		return err_set(err, r,
			"there is no coordinator in %s: run `hearth-coord init` first", state_dir);
	return r == 0 ? open_ledger(c, state_dir, err) : r;
}

/* --- what stands on it --- */

/* The order of those that the feed hears of is their order in its replies. */
static int open_subjects(struct coord *c, struct err *err)
{
	int r = feed_new(c->event, c->ledger, &c->feed, err);

	if (r == 0 && !(c->tokens = tokens_new()))
		r = err_set(err, -ENOMEM, "out of memory");
	if (r == 0)
		r = enroll_open(c, &c->enroll, err);
	if (r == 0)
		r = presences_open(c, &c->presences, err);
	if (r == 0)
		r = relays_open(c, &c->relays, err);
	if (r == 0)
		r = kube_open(c, &c->kube, err);
	if (r == 0)
		r = place_open(c, &c->place, err);
	if (r == 0)
		r = meet_open(c, &c->meet, err);
	if (r < 0)
		return r;
	presences_on_came(c->presences, on_came, c);
	ledger_on_applied(c->ledger, on_applied, c);
	meet_on_changed(c->meet, &meet_hooks, c);
	return 0;
}

static int open_admin(struct coord *c, const struct open_config *config, struct err *err)
{
	char path[COORD_PATH_MAX];
	int r = file_mkdirs(config->run_dir, 0755);

	if (r < 0)
		return err_set(err, r, "make %s: %s", config->run_dir, strerror(-r));
	coord_path(config->run_dir, NAMES_COORD_SOCK, path);
	return ipc_server_new(c->event, path, 0660, config->admins, admin_handle, c, &c->ipc, err);
}

static int open_httpd(struct coord *c, const struct open_config *config, struct err *err)
{
	/* A home comes from one address after a power cut; an attacker may have many. */
	static const struct door_rates rates = {
		.stranger = { 32, 2 * USEC_PER_SEC },
		.strangers = { 1000, USEC_PER_SEC / 200 },
		.proven = { 1000, USEC_PER_SEC / 50 },
		.proven_for_us = 3600 * USEC_PER_SEC,
	};
	struct httpd_config https = {
		.listen_fd = config->listen_fd,
		.certificate = c->certificate,
		.key = c->key,
		.connections_max = config->connections_max,
		.per_source_max = config->per_source_max,
		.proven = coord_settings(c)->mesh6,
		.rates = rates,
		.head = api_head,
		.handler = api_handle,
		.ctx = c,
	};

	return httpd_new(c->event, &https, &c->httpd, err);
}

static int open_all(struct coord *c, const struct open_config *config, struct err *err)
{
	int r = read_tls(c, config, err);

	if (r == 0)
		r = open_store(c, config->state_dir, err);
	if (r == 0)
		r = open_subjects(c, err);
	if (r == 0)
		r = store_start(c->store, c->event, err);
	if (r == 0)
		r = open_admin(c, config, err);
	if (r == 0)
		r = open_httpd(c, config, err);
	if (r == 0)
		r = urls_open(c, &c->urls, err);
	return r;
}

int coord_open(
	sd_event *event, const struct open_config *config, struct coord **ret, struct err *err)
{
	CLEANUP(close_p) int listen_fd = config->listen_fd;
	struct coord *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return err_set(err, -ENOMEM, "out of memory");
	c->event = sd_event_ref(event);
	c->started_s = coord_now_s();
	c->port = config->port;
	r = open_all(c, config, err);
	if (c->httpd)
		listen_fd = -1;
	if (r < 0) {
		(void) coord_close(c);
		return r;
	}
	urls_on_look(c->urls, on_look, c);
	place_refresh(c);
	urls_refresh(c);
	follow_relays(c);
	*ret = c;
	return 0;
}

struct coord *coord_close(struct coord *c)
{
	if (!c)
		return NULL;
	c->ipc = ipc_server_free(c->ipc);
	if (c->feed)
		feed_end_polls(c->feed);
	if (c->presences)
		presences_flush(c->presences);
	c->store = store_close(c->store); /* the last changes are answered here */
	if (c->httpd)
		httpd_flush(c->httpd, USEC_PER_SEC);
	c->carry = carry_free(c->carry);
	c->httpd = httpd_free(c->httpd);
	c->feed = feed_free(c->feed);
	c->urls = urls_close(c->urls);
	c->meet = meet_close(c->meet);
	c->place = place_close(c->place);
	c->kube = kube_close(c->kube);
	c->relays = relays_close(c->relays);
	c->presences = presences_close(c->presences);
	c->enroll = enroll_close(c->enroll);
	c->ledger = ledger_free(c->ledger);
	c->tokens = tokens_free(c->tokens);
	x509_wipe_p(&c->key);
	free(c->certificate);
	sd_event_unref(c->event);
	free(c);
	return NULL;
}
