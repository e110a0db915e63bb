/*
 * ledger: see ledger.h. One change is under way at a time; with one fsync each this is a few
 * hundred a second on an SSD and tens on an SD card, far more than a home enrols.
 */
#include "coordinator/ledger.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "coordinator/schema.h"

struct ledger {
	struct store *store;
	struct mesh_log *log;
	struct netmap *netmap;
	uint8_t *signing_seed; /* sodium_malloc(): locked in memory */
	char **texts;          /* by sequence - 1, owned */
	size_t n_texts, cap_texts;
	struct change *queue, **queue_end;
	size_t n_queued;
	bool busy;
	void (*applied)(void *, const struct record *, const struct netmap_change *);
	void *applied_ctx;
};

static void run_queue(struct ledger *l);

int change_refuse(struct change *change, enum api_code code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void) vsnprintf(change->err.text, sizeof(change->err.text), format, args);
	va_end(args);
	change->err.code = -EPERM;
	change->code = code;
	return -EPERM;
}

static int keep_text(struct ledger *l, char *text)
{
	if (l->n_texts == l->cap_texts) {
		size_t cap = l->cap_texts ? l->cap_texts * 2 : 64;
		char **texts = reallocarray(l->texts, cap, sizeof(char *));

		if (!texts)
			return -ENOMEM;
		l->texts = texts;
		l->cap_texts = cap;
	}
	l->texts[l->n_texts++] = text;
	return 0;
}

static int load_record(void *ctx, const char *key, const void *value, size_t len)
{
	struct ledger *l = ctx;
	CLEANUP_RECORD struct record record = { 0 };
	struct err why = { 0 };
	CLEANUP_JSON json_t *json = json_parse(value, len, &why);

	if (why.code == -ENOMEM)
		return -ENOMEM; /* that is no damage */
	if (!json || record_from_json(json, &record, NULL) < 0)
		return -EBADMSG;
	int r = mesh_log_append(l->log, &record, NULL);

	if (r < 0)
		return r == -ENOMEM ? r : -EBADMSG;
	char *text = json_text(json);

	if (!text || keep_text(l, text) < 0) {
		free(text);
		return -ENOMEM;
	}
	return 0;
}

static int load(struct ledger *l, struct err *err)
{
	size_t refused = 0;
	int r = store_each(l->store, TABLE_LOG, load_record, l, err);

	if (r == -ENOMEM)
		return err_set(err, r, "out of memory");
	if (r == -EBADMSG && !err->code) /* else the file itself is, and @err says so */
		return err_set(err, r,
			"the coordinator's log is damaged at record %zu: it is not signed by this "
			"mesh's keys or does not follow the one before. Restore the database from "
			"a copy.",
			l->n_texts + 1);
	if (r == 0)
		r = netmap_follow(l->netmap, l->log, &refused, err);
	return r;
}

int ledger_open(struct store *store, const uint8_t root_hash[static RECORD_HASH_LEN],
	const uint8_t signing_seed[static RECORD_SEED_LEN], struct ledger **ret, struct err *err)
{
	struct ledger *l = calloc(1, sizeof(*l));

	if (!l)
		return err_set(err, -ENOMEM, "out of memory");
	l->store = store;
	l->queue_end = &l->queue;
	l->log = mesh_log_new(root_hash);
	l->netmap = netmap_new();
	l->signing_seed = sodium_malloc(RECORD_SEED_LEN);
	int r = l->log && l->netmap && l->signing_seed ? 0 : err_set(err, -ENOMEM, "out of memory");

	if (r == 0) {
		memcpy(l->signing_seed, signing_seed, RECORD_SEED_LEN);
		r = load(l, err);
	}
	if (r == 0 && !netmap_settings(l->netmap))
		r = err_set(
			err, -EBADMSG, "the coordinator's log has no settings: it is incomplete");
	if (r < 0) {
		(void) ledger_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

struct ledger *ledger_free(struct ledger *l)
{
	if (!l)
		return NULL;
	for (size_t i = 0; i < l->n_texts; i++)
		free(l->texts[i]);
	free(l->texts);
	(void) mesh_log_free(l->log);
	(void) netmap_free(l->netmap);
	sodium_free(l->signing_seed);
	free(l);
	return NULL;
}

void ledger_on_applied(struct ledger *ledger,
	void (*applied)(void *ctx, const struct record *record, const struct netmap_change *what),
	void *ctx)
{
	ledger->applied = applied;
	ledger->applied_ctx = ctx;
}

const struct mesh_log *ledger_log(const struct ledger *ledger)
{
	return ledger->log;
}

const struct netmap *ledger_netmap(const struct ledger *ledger)
{
	return ledger->netmap;
}

const char *ledger_record_text(const struct ledger *ledger, uint64_t seq)
{
	return seq >= 1 && seq <= ledger->n_texts ? ledger->texts[seq - 1] : NULL;
}

/* What a board would say of the payload when it reads it: asked before it is signed for ever. */
static int check_payload(
	const struct ledger *l, const char *type, const json_t *payload, struct err *why)
{
	CLEANUP_NODE struct node node = { 0 };
	CLEANUP_SETTINGS struct settings settings = { 0 };
	int r = 0;

	if (!strcmp(type, RECORD_TYPE_NODE)) {
		r = node_from_json(payload, &node, why);
		if (r == 0)
			r = netmap_check_node(l->netmap, &node, why);
	} else if (!strcmp(type, RECORD_TYPE_SETTINGS)) {
		r = settings_from_json(payload, &settings, why);
		if (r == 0)
			r = netmap_check_settings(l->netmap, &settings, why);
	}
	return r;
}

int ledger_set_record(struct change *change, const char *type, const json_t *payload)
{
	struct ledger *l = change->ledger;
	struct err why = { 0 };

	if (payload && check_payload(l, type, payload, &why) < 0)
		return change_refuse(
			change, API_INTERNAL, "The record would be refused: %s", why.text);
	int r = payload ? mesh_log_make_next(
				  l->log, type, payload, l->signing_seed, &change->record)
			: -ENOMEM;

	if (r == -EFBIG)
		return change_refuse(change, API_BAD_REQUEST, "The record would be too large.");
	if (r < 0)
		return change_refuse(
			change, API_INTERNAL, "The record cannot be made: %s.", strerror(-r));
	change->has_record = true;
	return 0;
}

void ledger_store_record(struct store_batch *batch, const struct record *record)
{
	char key[24];
	CLEANUP_JSON json_t *json = record_to_json(record);
	CLEANUP(free_p) char *text = json ? json_text(json) : NULL;

	snprintf(key, sizeof(key), "%" PRIu64, record->seq);
	/*
	 * An empty value never passes ledger_open(); out of memory fails the batch through its
	 * length.
	 */
	store_batch_insert(batch, TABLE_LOG, key, text ? text : "", text ? strlen(text) : SIZE_MAX);
}

static void finish(struct ledger *l, struct change *c, int r)
{
	l->busy = false;
	record_done(&c->record);
	c->done(c, r);
}

static enum api_code code_of(int r)
{
	return r == -EBUSY ? API_TOO_MANY : r == -ENOMEM ? API_INTERNAL : API_STORAGE;
}

/* The record is durable: now it becomes true. */
static int apply(struct ledger *l, struct change *c)
{
	struct netmap_change what = { 0 };
	CLEANUP_JSON json_t *json = record_to_json(&c->record);
	char *text = json ? json_text(json) : NULL;

	if (!text)
		return -ENOMEM;
	int r = mesh_log_append(l->log, &c->record, &c->err);

	if (r == 0)
		r = keep_text(l, text);
	if (r < 0) {
		free(text);
		return r;
	}
	(void) netmap_apply(l->netmap, &c->record, &what, NULL); /* checked when it was decided */
	if (l->applied)
		l->applied(l->applied_ctx, &c->record, &what);
	return 0;
}

static void on_stored(void *ctx, int r, const struct err *err)
{
	struct change *c = ctx;
	struct ledger *l = c->ledger;

	if (r < 0) {
		(void) change_refuse(c, code_of(r), "%s", err->text);
	} else if (c->has_record && apply(l, c) < 0) {
		/* On disk but not in memory: only a new start can bring them together. */
		abort();
	}
	finish(l, c, r < 0 ? r : 1);
	run_queue(l);
}

static void run_change(struct ledger *l, struct change *c)
{
	struct store_batch *batch = store_batch_new();

	l->busy = true;
	int r = batch ? c->decide(c, batch) : change_refuse(c, API_INTERNAL, "Out of memory.");

	if (r > 0) {
		if (c->has_record)
			ledger_store_record(batch, &c->record);
		r = store_commit(l->store, batch, on_stored, c);
		if (r == 0)
			return;
		(void) change_refuse(c, code_of(r), "The disk cannot keep up. Try again.");
	} else {
		(void) store_batch_free(batch);
	}
	finish(l, c, r);
}

static void run_queue(struct ledger *l)
{
	while (!l->busy && l->queue) {
		struct change *c = l->queue;

		l->queue = c->next;
		if (!l->queue)
			l->queue_end = &l->queue;
		l->n_queued--;
		run_change(l, c);
	}
}

int ledger_submit(struct ledger *ledger, struct change *change)
{
	if (ledger->n_queued >= LEDGER_QUEUE_MAX)
		return -EBUSY;
	change->ledger = ledger;
	change->next = NULL;
	*ledger->queue_end = change;
	ledger->queue_end = &change->next;
	ledger->n_queued++;
	run_queue(ledger);
	return 0;
}
