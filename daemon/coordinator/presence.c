/*
 * presence: see presence.h. Those of all nodes form a list in the order in which they changed, so
 * that what is newer than a cursor is its tail.
 */
#include "coordinator/presence.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fnv.h"
#include "base/json.h"
#include "base/pace.h"
#include "coordinator/reply.h"
#include "coordinator/schema.h"
#include "wire/presence.h"

enum { BATCH_MAX = 256 };
#define SENT_EVERY_US  (30 * USEC_PER_SEC)
#define WRITE_AFTER_US (30 * USEC_PER_SEC)

/* What one node said last. */
struct entry {
	uint32_t id;
	char *text; /* as JSON, NULL for nothing */
	uint64_t counter, where_hash;
	uint64_t number; /* of the change */
	struct entry *newer, *older;
	uint64_t paid_us; /* how far ahead it has used up what it may say, as in base/limiter */
};

struct presences {
	struct coord *coord;
	char instance[FIELD_ID_MAX];
	struct entry **entries; /* by node id */
	size_t n_entries;
	struct entry *newest, *oldest; /* of those with a text */
	uint64_t number;               /* of the last change */
	void (*came)(void *ctx);
	void *came_ctx;

	sd_event_source *on_write;
	struct damper written;
	uint32_t *dirty; /* node ids */
	size_t n_dirty, cap_dirty;
};

/* --- what they said --- */

static struct entry *find(const struct presences *p, uint32_t id)
{
	return id < p->n_entries ? p->entries[id] : NULL;
}

static struct entry *make(struct presences *p, uint32_t id)
{
	if (id >= p->n_entries) {
		size_t n = p->n_entries ? p->n_entries : 64;
		struct entry **entries;

		while (n <= id)
			n *= 2;
		entries = reallocarray(p->entries, n, sizeof(struct entry *));
		if (!entries)
			return NULL;
		memset(entries + p->n_entries, 0, (n - p->n_entries) * sizeof(struct entry *));
		p->entries = entries;
		p->n_entries = n;
	}
	if (!p->entries[id]) {
		p->entries[id] = calloc(1, sizeof(struct entry));
		if (p->entries[id])
			p->entries[id]->id = id;
	}
	return p->entries[id];
}

static void forget(struct presences *p, struct entry *e)
{
	if (!e->text)
		return;
	*(e->newer ? &e->newer->older : &p->newest) = e->older;
	*(e->older ? &e->older->newer : &p->oldest) = e->newer;
	e->newer = e->older = NULL;
	free(e->text);
	e->text = NULL;
}

static void link_newest(struct presences *p, struct entry *e)
{
	e->newer = NULL;
	e->older = p->newest;
	*(p->newest ? &p->newest->newer : &p->oldest) = e;
	p->newest = e;
}

const char *presences_text(const struct presences *p, uint32_t id)
{
	const struct entry *e = find(p, id);

	return e ? e->text : NULL;
}

void presences_on_came(struct presences *p, void (*came)(void *ctx), void *ctx)
{
	p->came = came;
	p->came_ctx = ctx;
}

const char *presences_instance(const struct presences *p)
{
	return p->instance;
}

/* --- who hears of it --- */

/*
 * The number that a node has reached: 0 with another instance's cursor, or with one that was never
 * given.
 */
static uint64_t reached(const struct presences *p, const struct api_cursor *cursor)
{
	if (cursor->number > p->number || strcmp(cursor->instance, p->instance) != 0)
		return 0;
	return cursor->number;
}

/* The oldest that is newer than @number, NULL if there is none. */
static const struct entry *first_after(const struct presences *p, uint64_t number)
{
	const struct entry *found = NULL;

	if (number == 0)
		return p->oldest;
	for (const struct entry *e = p->newest; e && e->number > number; e = e->older)
		found = e;
	return found;
}

/* Its own is news to a node only when it starts from the beginning. */
static bool is_news(const struct entry *e, const struct node *node, uint64_t number)
{
	return e->id != node->id || number == 0;
}

static bool has_news(const void *ctx, const struct node *node, const struct feed_position *position)
{
	const struct presences *p = ctx;
	uint64_t number = reached(p, &position->cursor);

	for (const struct entry *e = first_after(p, number); e; e = e->newer)
		if (is_news(e, node, number))
			return true;
	return false;
}

/* Those that one reply has room for, and the cursor that it stands for. */
static void write_news(const void *ctx, const struct node *node,
	const struct feed_position *position, struct buf *out)
{
	const struct presences *p = ctx;
	uint64_t number = reached(p, &position->cursor), told = p->number;
	unsigned n = 0;

	buf_add_str(out, ",\"presence\":[");
	for (const struct entry *e = first_after(p, number); e; e = e->newer) {
		if (!is_news(e, node, number))
			continue;
		if (n >= API_PRESENCES_MAX || out->len >= 2 * FEED_REPLY_SOFT_MAX)
			break;
		if (n++)
			buf_add_str(out, ",");
		buf_add_str(out, e->text);
		told = e->newer ? e->number : p->number;
	}
	buf_printf(out, "],\"cursor\":\"%s-%" PRIu64 "\"", p->instance, told);
}

/* --- what is written of it --- */

static void key_of(uint32_t id, char ret_key[static 16])
{
	(void) snprintf(ret_key, 16, "%" PRIu32, id);
}

void presences_flush(struct presences *p)
{
	size_t done = 0;

	while (done < p->n_dirty) {
		struct store_batch *batch = store_batch_new();
		size_t end = done + BATCH_MAX < p->n_dirty ? done + BATCH_MAX : p->n_dirty;

		for (size_t i = done; i < end; i++) {
			char key[16];
			const char *text = presences_text(p, p->dirty[i]);

			key_of(p->dirty[i], key);
			if (text)
				store_batch_put(batch, TABLE_PRESENCE, key, text, strlen(text));
			else
				store_batch_delete(batch, TABLE_PRESENCE, key);
		}
		/* Worth nothing to anybody if it fails: the nodes send it again after a restart. */
		(void) store_commit(p->coord->store, batch, NULL, NULL);
		done = end;
	}
	p->n_dirty = 0;
}

static int on_write(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct presences *p = ctx;

	damper_done(&p->written, &damping_of_hints, clock_now_us());
	presences_flush(p);
	return 0;
}

static void mark_dirty(struct presences *p, uint32_t id)
{
	uint64_t wait = damper_wait_us(&p->written, &damping_of_hints, clock_now_us());
	int enabled = SD_EVENT_OFF;

	for (size_t i = 0; i < p->n_dirty; i++)
		if (p->dirty[i] == id)
			return;
	if (p->n_dirty == p->cap_dirty) {
		size_t cap = p->cap_dirty ? p->cap_dirty * 2 : 64;
		uint32_t *dirty = reallocarray(p->dirty, cap, sizeof(*dirty));

		if (!dirty)
			return; /* not stored this time */
		p->dirty = dirty;
		p->cap_dirty = cap;
	}
	p->dirty[p->n_dirty++] = id;
	(void) sd_event_source_get_enabled(p->on_write, &enabled);
	if (enabled != SD_EVENT_OFF)
		return;
	(void) sd_event_source_set_time_relative(
		p->on_write, wait > WRITE_AFTER_US ? wait : WRITE_AFTER_US);
	(void) sd_event_source_set_enabled(p->on_write, SD_EVENT_ONESHOT);
}

/* --- what comes --- */

/* Of where it can be reached. */
static uint64_t hash_where(const struct presence *p)
{
	uint64_t hash = fnv64(FNV64_START, &p->relay, sizeof(p->relay));

	for (size_t i = 0; i < p->n_endpoints; i++) {
		hash = fnv64(hash, &p->endpoints[i].addr, sizeof(p->endpoints[i].addr));
		hash = fnv64(hash, &p->endpoints[i].port, sizeof(p->endpoints[i].port));
	}
	return hash;
}

/*
 * A newer document of @id. *ret_moved: its endpoints or its home relay are others than before, so
 * that it is worth keeping.
 */
static int keep(struct presences *p, uint32_t id, const struct presence *presence, bool *ret_moved)
{
	CLEANUP_JSON json_t *json = presence_to_json(presence);
	char *text = json ? json_text(json) : NULL;
	struct entry *e = text ? make(p, id) : NULL;
	uint64_t hash = hash_where(presence);

	if (!e) {
		free(text);
		return -ENOMEM;
	}
	*ret_moved = !e->text || e->where_hash != hash;
	forget(p, e);
	e->text = text;
	e->counter = presence->counter;
	e->where_hash = hash;
	e->number = ++p->number;
	link_newest(p, e);
	feed_wake(p->coord->feed);
	return 0;
}

static bool may_say(struct presences *p, uint32_t id, uint64_t now_us)
{
	struct entry *e = make(p, id);
	uint64_t start = e && e->paid_us > now_us ? e->paid_us : now_us;

	if (!e || start + SENT_EVERY_US > now_us + PRESENCES_BURST * SENT_EVERY_US)
		return false;
	e->paid_us = start + SENT_EVERY_US;
	return true;
}

static json_t *cursor_json(const struct presences *p)
{
	struct api_cursor cursor = { .number = p->number };

	memcpy(cursor.instance, p->instance, sizeof(cursor.instance));
	return api_cursor_to_json(&cursor);
}

void presences_handle(
	struct coord *c, struct httpd_request *request, const struct node *node, const json_t *body)
{
	CLEANUP_PRESENCE struct presence presence = { 0 };
	struct presences *p = c->presences;
	struct err err = { 0 };
	bool moved = false;

	if (!may_say(p, node->id, clock_now_us())) {
		reply_refuse(request, API_TOO_MANY,
			"%s announces itself too often: at most once a second.", node->name);
		return;
	}
	if (presence_open(body, node->id, node->identity, &presence, &err) < 0) {
		reply_refuse(
			request, API_BAD_REQUEST, "The presence is not accepted: %s.", err.text);
		return;
	}
	if (presence.counter > find(p, node->id)->counter) {
		if (keep(p, node->id, &presence, &moved) < 0) {
			reply_refuse(request, API_INTERNAL, "Out of memory.");
			return;
		}
		if (moved)
			mark_dirty(p, node->id);
		if (p->came)
			p->came(p->came_ctx);
	}
	httpd_reply(request, 200, cursor_json(p));
}

void presences_node_removed(struct presences *p, uint32_t id)
{
	struct entry *e = find(p, id);

	if (e) {
		forget(p, e);
		e->counter = e->where_hash = 0;
	}
	feed_node_removed(p->coord->feed, id);
	mark_dirty(p, id);
}

/* Else the board that was wiped, whose counter begins at 1, would not be heard for a long time. */
void presences_node_changed(struct presences *p, const struct node *node)
{
	CLEANUP_PRESENCE struct presence presence = { 0 };
	const char *text = node ? presences_text(p, node->id) : NULL;
	CLEANUP_JSON json_t *json = text ? json_parse(text, strlen(text), NULL) : NULL;

	if (json && presence_open(json, node->id, node->identity, &presence, NULL) < 0)
		presences_node_removed(p, node->id);
}

/* What does not fit the log any more (a node removed just before a crash) is dropped. */
static int load(void *ctx, const char *key, const void *value, size_t len)
{
	struct presences *p = ctx;
	CLEANUP_PRESENCE struct presence presence = { 0 };
	CLEANUP_JSON json_t *json = json_parse(value, len, NULL);
	const struct node *node =
		netmap_by_id(coord_netmap(p->coord), (uint32_t) strtoul(key, NULL, 10));
	bool moved;

	if (!json || !node || presence_open(json, node->id, node->identity, &presence, NULL) < 0)
		return 0;
	return keep(p, node->id, &presence, &moved);
}

static void draw_instance(struct presences *p)
{
	uint64_t number;

	randombytes_buf(&number, sizeof(number));
	(void) snprintf(p->instance, sizeof(p->instance), "%016" PRIx64, number);
}

int presences_open(struct coord *coord, struct presences **ret, struct err *err)
{
	struct presences *p = calloc(1, sizeof(*p));
	struct feed_source source = { .has_news = has_news, .write = write_news, .ctx = p };
	int r;

	if (!p)
		return err_set(err, -ENOMEM, "out of memory");
	p->coord = coord;
	draw_instance(p);
	r = sd_event_add_time_relative(
		coord->event, &p->on_write, CLOCK_BOOTTIME, 0, 5 * USEC_PER_SEC, on_write, p);
	if (r >= 0)
		r = sd_event_source_set_enabled(p->on_write, SD_EVENT_OFF);
	if (r < 0)
		(void) err_set(err, r, "event loop: %s", strerror(-r));
	else
		r = store_each(coord->store, TABLE_PRESENCE, load, p, err);
	if (r < 0) {
		(void) presences_close(p);
		return r;
	}
	feed_add_source(coord->feed, &source);
	*ret = p;
	return 0;
}

struct presences *presences_close(struct presences *p)
{
	if (!p)
		return NULL;
	sd_event_source_disable_unref(p->on_write);
	for (size_t i = 0; i < p->n_entries; i++)
		if (p->entries[i])
			free(p->entries[i]->text);
	for (size_t i = 0; i < p->n_entries; i++)
		free(p->entries[i]);
	free(p->entries);
	free(p->dirty);
	free(p);
	return NULL;
}
