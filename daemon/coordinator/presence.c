/* presence: see presence.h. */
#include "coordinator/presence.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fnv.h"
#include "base/json.h"
#include "coordinator/place.h"
#include "coordinator/reply.h"
#include "coordinator/schema.h"
#include "wire/presence.h"

enum { BATCH_MAX = 256 };
#define SENT_EVERY_US  (30 * USEC_PER_SEC)
#define WRITE_AFTER_US (30 * USEC_PER_SEC)

/* What is not written is sent again; a board that changes without end must not wear out the disk. */
static const struct damping writing = {
	.free = 4,
	.first_us = 60 * USEC_PER_SEC,
	.longest_us = 1800 * USEC_PER_SEC,
	.forget_us = 3 * 3600 * USEC_PER_SEC,
};

struct allowance {
	uint64_t next_us; /* as the limiter's: how far ahead the node has spent */
};

struct presences {
	struct coord *coord;
	sd_event_source *on_write;
	struct damper written;
	uint32_t *dirty; /* node ids */
	size_t n_dirty, cap_dirty;
	struct allowance *allowances; /* by node id */
	size_t n_allowances;
};

static uint64_t hash_endpoints(const struct presence *p)
{
	uint64_t hash = FNV64_START;
	for (size_t i = 0; i < p->n_endpoints; i++) {
		hash = fnv64(hash, &p->endpoints[i].addr, sizeof(p->endpoints[i].addr));
		hash = fnv64(hash, &p->endpoints[i].port, sizeof(p->endpoints[i].port));
	}
	return hash;
}

static void key_of(uint32_t id, char ret_key[static 16])
{
	snprintf(ret_key, 16, "%" PRIu32, id);
}

static void write_dirty(struct presences *p)
{
	size_t done = 0;
	while (done < p->n_dirty) {
		struct store_batch *batch = store_batch_new();
		size_t end = done + BATCH_MAX < p->n_dirty ? done + BATCH_MAX : p->n_dirty;
		for (size_t i = done; i < end; i++) {
			char key[16];
			const char *text = feed_presence_text(p->coord->feed, p->dirty[i]);
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

static int on_write(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct presences *p = userdata;
	damper_done(&p->written, &writing, clock_now_us());
	write_dirty(p);
	return 0;
}

static void mark_dirty(struct presences *p, uint32_t id)
{
	for (size_t i = 0; i < p->n_dirty; i++)
		if (p->dirty[i] == id)
			return;
	if (p->n_dirty == p->cap_dirty) {
		size_t cap = p->cap_dirty ? p->cap_dirty * 2 : 64;
		uint32_t *dirty = realloc(p->dirty, cap * sizeof(*dirty));
		if (!dirty)
			return; /* not stored this time */
		p->dirty = dirty;
		p->cap_dirty = cap;
	}
	p->dirty[p->n_dirty++] = id;
	int enabled = SD_EVENT_OFF;
	(void) sd_event_source_get_enabled(p->on_write, &enabled);
	if (enabled != SD_EVENT_OFF)
		return;
	uint64_t wait = damper_wait_us(&p->written, &writing, clock_now_us());
	(void) sd_event_source_set_time_relative(
		p->on_write, wait > WRITE_AFTER_US ? wait : WRITE_AFTER_US);
	(void) sd_event_source_set_enabled(p->on_write, SD_EVENT_ONESHOT);
}

static int accept_presence(
	struct coord *c, const struct node *node, const struct presence *p, bool *ret_moved)
{
	CLEANUP_JSON json_t *json = presence_to_json(p);
	char *text = json ? json_text(json) : NULL;
	return feed_set_presence(c->feed, node->id, p->counter, hash_endpoints(p), text, ret_moved);
}

static bool may_send(struct presences *p, uint32_t id)
{
	uint64_t now = clock_now_us();
	if (id >= p->n_allowances) {
		size_t n = id + 64;
		struct allowance *list = realloc(p->allowances, n * sizeof(*list));
		if (!list)
			return false;
		memset(list + p->n_allowances, 0, (n - p->n_allowances) * sizeof(*list));
		p->allowances = list;
		p->n_allowances = n;
	}
	struct allowance *a = &p->allowances[id];
	uint64_t start = a->next_us > now ? a->next_us : now;
	if (start + SENT_EVERY_US > now + PRESENCES_BURST * SENT_EVERY_US)
		return false;
	a->next_us = start + SENT_EVERY_US;
	return true;
}

void presence_handle(
	struct coord *c, struct httpd_request *request, const struct node *node, const json_t *body)
{
	CLEANUP_PRESENCE struct presence p = { 0 };
	struct err e = { 0 };
	struct api_cursor cursor = { 0 };
	char text[API_CURSOR_MAX];
	bool moved = false;
	if (!may_send(c->presences, node->id)) {
		reply_refuse(request, API_TOO_MANY,
			"%s announces itself too often: at most once a second.", node->name);
		return;
	}
	int r = presence_open(body, node->id, node->identity, &p, &e);
	if (r < 0) {
		reply_refuse(request, API_BAD_REQUEST, "The presence is not accepted: %s.", e.text);
		return;
	}
	if (p.counter > feed_presence_counter(c->feed, node->id)) {
		r = accept_presence(c, node, &p, &moved);
		if (r < 0) {
			reply_refuse(request, API_INTERNAL, "Out of memory.");
			return;
		}
		if (moved)
			mark_dirty(c->presences, node->id);
		place_board_came(c);
	}
	(void) api_cursor_parse(feed_cursor(c->feed, text), &cursor);
	httpd_reply(request, 200, api_cursor_to_json(&cursor));
}

/* What does not fit the log any more (a node removed just before a crash) is dropped. */
static int load_presence(void *ctx, const char *key, const void *value, size_t len)
{
	struct presences *p = ctx;
	CLEANUP_PRESENCE struct presence presence = { 0 };
	CLEANUP_JSON json_t *json = json_parse(value, len, NULL);
	const struct node *node =
		netmap_by_id(coord_netmap(p->coord), (uint32_t) strtoul(key, NULL, 10));
	bool moved;
	if (!json || !node || presence_open(json, node->id, node->identity, &presence, NULL) < 0)
		return 0;
	return accept_presence(p->coord, node, &presence, &moved);
}

int presences_open(struct coord *coord, struct presences **ret, struct err *err)
{
	struct presences *p = calloc(1, sizeof(*p));
	if (!p)
		return err_set(err, -ENOMEM, "out of memory");
	p->coord = coord;
	int r = sd_event_add_time_relative(
		coord->event, &p->on_write, CLOCK_BOOTTIME, 0, 5 * USEC_PER_SEC, on_write, p);
	if (r >= 0)
		r = sd_event_source_set_enabled(p->on_write, SD_EVENT_OFF);
	if (r < 0)
		(void) err_set(err, r, "event loop: %s", strerror(-r));
	else
		r = store_each(coord->store, TABLE_PRESENCE, load_presence, p, err);
	if (r < 0) {
		p->n_dirty = 0;
		(void) presences_close(p);
		return r;
	}
	*ret = p;
	return 0;
}

struct presences *presences_close(struct presences *p)
{
	if (!p)
		return NULL;
	write_dirty(p);
	sd_event_source_disable_unref(p->on_write);
	free(p->dirty);
	free(p->allowances);
	free(p);
	return NULL;
}

void presences_node_removed(struct presences *p, uint32_t id)
{
	feed_node_removed(p->coord->feed, id);
	mark_dirty(p, id);
}

/* Else the board that was wiped, whose counter begins at 1, would not be heard for a long time. */
void presences_node_changed(struct presences *p, const struct node *node)
{
	CLEANUP_PRESENCE struct presence presence = { 0 };
	const char *text = node ? feed_presence_text(p->coord->feed, node->id) : NULL;
	CLEANUP_JSON json_t *json = text ? json_parse(text, strlen(text), NULL) : NULL;
	if (json && presence_open(json, node->id, node->identity, &presence, NULL) < 0)
		presences_node_removed(p, node->id);
}
