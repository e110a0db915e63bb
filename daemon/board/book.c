/*
 * A record is in memory before it is on disk: were the power cut in between, the coordinator sends
 * it again. A write that fails half way is taken back by cutting the file to where it was good. A
 * log that cannot be read (a worn card) is not taken for an empty one: the board would forget how
 * far it was and believe an older log.
 */
#include "board/book.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/pace.h"
#include "board/config.h"

enum {
	LOG_MAX = 256 * 1024 * 1024,
	PRESENCE_MAX = 64 * 1024 * 1024,
	HEARD_AT_ONCE = 20, /* presences of one node */
};
#define HEARD_EVERY_US (60 * USEC_PER_SEC)

struct entry {
	struct presence presence;
	uint8_t signer[NODE_KEY_LEN]; /* the identity that its signature was checked with */
	json_t *doc;
	struct pace pace;
	json_t *held_back; /* a newer one, NULL for none */
	uint64_t held_back_counter;
};

struct book {
	char dir[256];
	struct mesh_log *log;
	struct netmap *netmap;
	struct entry *entries; /* sorted by node */
	size_t n_entries, room;
	uint64_t saved_seq; /* records of the file */
	size_t saved_len;   /* its bytes */
	bool presence_dirty;
	struct damper saved;
	struct write *log_write, *presence_write; /* handed out, not handed back yet */
	uint64_t log_write_seq, presence_write_us;
	struct err damage, log_unsaved, presence_unsaved;
};

const struct netmap *book_netmap(const struct book *book)
{
	return book->netmap;
}

const struct mesh_log *book_log(const struct book *book)
{
	return book->log;
}

const struct err *book_damage(const struct book *book)
{
	return &book->damage;
}

const struct err *book_unsaved(const struct book *book)
{
	return book->log_unsaved.code ? &book->log_unsaved : &book->presence_unsaved;
}

/* --- presences --- */

static size_t entry_find(const struct book *book, uint32_t id, bool *ret_found)
{
	size_t low = 0, high = book->n_entries;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (book->entries[mid].presence.node < id)
			low = mid + 1;
		else
			high = mid;
	}
	*ret_found = low < book->n_entries && book->entries[low].presence.node == id;
	return low;
}

static void entry_done(struct entry *entry)
{
	presence_done(&entry->presence);
	json_decref(entry->doc);
	json_decref(entry->held_back);
}

const struct presence *book_presence(const struct book *book, uint32_t id)
{
	bool found;
	size_t at = entry_find(book, id, &found);

	return found ? &book->entries[at].presence : NULL;
}

static int entry_put(struct book *book, struct presence *presence,
	const uint8_t signer[static NODE_KEY_LEN], const json_t *doc)
{
	bool found;
	size_t at = entry_find(book, presence->node, &found);
	struct entry entry = { .presence = *presence, .doc = json_deep_copy(doc) };

	if (!entry.doc)
		return -ENOMEM;
	memcpy(entry.signer, signer, sizeof(entry.signer));
	if (!found && book->n_entries == book->room) {
		size_t room = book->room ? book->room * 2 : 16;
		struct entry *entries = reallocarray(book->entries, room, sizeof(*entries));

		if (!entries) {
			json_decref(entry.doc);
			return -ENOMEM;
		}
		book->entries = entries;
		book->room = room;
	}
	if (found) {
		entry.pace = book->entries[at].pace;
		entry_done(&book->entries[at]);
	} else {
		memmove(book->entries + at + 1, book->entries + at,
			(book->n_entries - at) * sizeof(*book->entries));
		book->n_entries++;
	}
	book->entries[at] = entry;
	*presence = (struct presence){ 0 };
	return 0;
}

/* Whether the node announces itself without end. Then @doc is kept until it may be heard again. */
static bool hold_back(struct entry *entry, const json_t *doc, uint64_t counter, uint64_t now_us)
{
	if (pace_may(&entry->pace, HEARD_AT_ONCE, HEARD_EVERY_US, now_us, NULL))
		return false;
	if (counter > entry->held_back_counter) {
		json_decref(entry->held_back);
		entry->held_back = json_deep_copy(doc);
		entry->held_back_counter = counter;
	}
	return true;
}

int book_add_presence(struct book *book, const json_t *doc, uint64_t now_us, struct book_heard *ret,
	struct err *err)
{
	CLEANUP(presence_done) struct presence presence = { 0 };
	const struct node *node;
	struct book_heard heard;
	bool found, had_ipv6;
	uint32_t id;
	int r;

	r = presence_from_json(doc, &presence, err);
	if (r < 0)
		return r;
	id = presence.node;
	size_t at = entry_find(book, id, &found);

	if (found && presence.counter <= book->entries[at].presence.counter)
		return 0;
	node = netmap_by_id(book->netmap, id);
	if (!node)
		return err_set(err, -ENOENT, "a presence of node %u, which is not in the mesh", id);
	r = presence_verify(&presence, node->identity);
	if (r < 0)
		return err_set(err, r, "a presence of %s that it did not sign", node->name);
	if (found && hold_back(&book->entries[at], doc, presence.counter, now_us))
		return 0;
	had_ipv6 = !found || !book->entries[at].presence.no_ipv6;
	heard = (struct book_heard){ id, had_ipv6 == presence.no_ipv6 };
	r = entry_put(book, &presence, node->identity, doc);
	if (r < 0)
		return err_set(err, r, "out of memory");
	book->presence_dirty = true;
	*ret = heard;
	return 1;
}

bool book_take_held_back(struct book *book, uint64_t now_us)
{
	bool taken = false;

	for (size_t i = 0; i < book->n_entries; i++) {
		CLEANUP_JSON json_t *doc = TAKE(book->entries[i].held_back);
		struct book_heard heard;

		book->entries[i].held_back_counter = 0;
		taken |= doc && book_add_presence(book, doc, now_us, &heard, NULL) > 0;
	}
	return taken;
}

/* After nodes went or got other keys. */
static void drop_stale_presences(struct book *book)
{
	size_t kept = 0;

	for (size_t i = 0; i < book->n_entries; i++) {
		struct entry *entry = &book->entries[i];
		const struct node *node = netmap_by_id(book->netmap, entry->presence.node);

		if (node && memcmp(entry->signer, node->identity, NODE_KEY_LEN) == 0) {
			book->entries[kept++] = *entry;
			continue;
		}
		entry_done(entry);
		book->presence_dirty = true;
	}
	book->n_entries = kept;
}

struct write *book_write_presences(struct book *book, uint64_t now_us)
{
	CLEANUP_JSON json_t *list = NULL;
	char path[PATH_TEXT_MAX];
	bool last = now_us == UINT64_MAX, whole = true;

	if (!book->presence_dirty || book->presence_write ||
		(!last && damper_wait_us(&book->saved, &damping_of_hints, now_us)))
		return NULL;
	list = json_array();
	for (size_t i = 0; i < book->n_entries && whole; i++)
		whole = json_array_append(list, book->entries[i].doc) == 0;
	if (whole)
		book->presence_write =
			write_new_json(paths_join(book->dir, "presence", path), list, 0600);
	if (!book->presence_write)
		return NULL; /* out of memory: at the next round */
	book->presence_write_us = now_us;
	book->presence_dirty = false;
	return book->presence_write;
}

/* --- the log --- */

struct write *book_write_log(struct book *book)
{
	char path[PATH_TEXT_MAX];
	struct write *w;

	if (book->log_write || book->saved_seq == mesh_log_head(book->log))
		return NULL;
	w = write_new(paths_join(book->dir, "log", path), 0600);
	if (!w)
		return NULL;
	w->at = book->saved_len;
	if (mesh_log_save(book->log, book->saved_seq + 1, &w->text) < 0)
		return write_free(w);
	book->log_write = w;
	book->log_write_seq = mesh_log_head(book->log);
	return w;
}

static void log_written(struct book *book, const struct write *w)
{
	if (w->result == -ENOENT) /* somebody removed it: write all of it */
		book->saved_seq = book->saved_len = 0;
	if (w->result < 0)
		return;
	book->saved_len = w->at + w->text.len;
	book->saved_seq = book->log_write_seq;
}

/* One that failed is not one of those that may come at once: with space again it is tried soon. */
static void presences_written(struct book *book, const struct write *w)
{
	if (w->result < 0)
		book->presence_dirty = true;
	else if (book->presence_write_us != UINT64_MAX)
		damper_done(&book->saved, &damping_of_hints, book->presence_write_us);
}

bool book_written(struct book *book, struct write *w)
{
	bool is_log = w == book->log_write;
	struct err *unsaved = is_log ? &book->log_unsaved : &book->presence_unsaved;

	assert(w == book->log_write || w == book->presence_write);
	*unsaved = (struct err){ 0 };
	if (w->result < 0)
		err_set(unsaved, w->result, "write %s: %s", w->path, strerror(-w->result));
	if (is_log) {
		log_written(book, w);
		book->log_write = NULL;
	} else {
		presences_written(book, w);
		book->presence_write = NULL;
	}
	write_free(w);
	return is_log && book->saved_seq == mesh_log_head(book->log);
}

bool book_log_is_on_its_way(const struct book *book)
{
	return book->log_write != NULL;
}

bool book_has_changes(const struct book *book)
{
	return book->presence_dirty || book->saved_seq != mesh_log_head(book->log);
}

bool book_lost_files(struct book *book)
{
	char path[PATH_TEXT_MAX];
	struct stat st = { 0 };
	bool lost = false;

	if (!book->log_write && book->saved_len &&
		(stat(paths_join(book->dir, "log", path), &st) < 0 ||
			(size_t) st.st_size < book->saved_len)) {
		book->saved_seq = book->saved_len = 0;
		lost = true;
	}
	if (book->n_entries && !book->presence_dirty && !book->presence_write &&
		stat(paths_join(book->dir, "presence", path), &st) < 0) {
		book->presence_dirty = true;
		lost = true;
	}
	return lost;
}

static void write_now(struct book *book, struct write *w)
{
	if (!w)
		return;
	write_run(w);
	(void) book_written(book, w);
}

void book_save(struct book *book, uint64_t now_us)
{
	write_now(book, book_write_log(book));
	write_now(book, book_write_presences(book, now_us));
}

/* Also what an earlier call had no memory for. True if the netmap changed. */
static bool follow_log(struct book *book)
{
	const struct record *record;
	bool changed = false;

	while ((record = mesh_log_get(book->log, netmap_seq(book->netmap) + 1))) {
		struct err refused = { 0 };
		/* A record that makes no sense is in the log for ever and changes nothing. */
		int r = netmap_apply(book->netmap, record, NULL, &refused);

		if (r == -ENOMEM)
			break;
		changed = changed || r == 1;
	}
	return changed;
}

int book_add_records(struct book *book, const struct record *records, size_t n, bool *ret_changed,
	struct err *err)
{
	bool changed;
	int added = 0, r = 0;

	for (size_t i = 0; i < n; i++) {
		r = mesh_log_append(book->log, &records[i], err);
		if (r == -EALREADY) {
			r = 0;
			continue;
		}
		if (r < 0)
			break;
		added++;
	}
	changed = follow_log(book);
	if (changed)
		drop_stale_presences(book);
	if (ret_changed)
		*ret_changed = changed;
	return r < 0 ? r : added;
}

/* --- reading --- */

static void keep_damaged(
	struct book *book, const char *name, const struct buf *text, const char *why)
{
	char path[PATH_TEXT_MAX], file[64];

	(void) snprintf(file, sizeof(file), "%s.damaged", name);
	(void) file_write_atomic(paths_join(book->dir, file, path), buf_str(text), text->len, 0600);
	if (book->damage.code)
		err_prefix(&book->damage, "%s: %s; and", name, why);
	else
		err_set(&book->damage, -EBADMSG, "%s was damaged (%s)", name, why);
}

static int load_log(struct book *book, const uint8_t *root_hash, struct err *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	char path[PATH_TEXT_MAX];
	struct err why = { 0 };
	size_t bad = 0, good = 0;
	int r = file_read(paths_join(book->dir, "log", path), LOG_MAX, &text);

	if (r < 0 && r != -ENOENT)
		return err_set(err, r,
			"read %s: %s. "
			"If it cannot be repaired, move it away: the coordinator sends it again",
			path, strerror(-r));
	r = mesh_log_load(root_hash, buf_str(&text), text.len, &book->log, &bad, &good, &why);
	if (r < 0)
		return err_set(err, r, "out of memory");
	book->saved_seq = mesh_log_head(book->log);
	book->saved_len = good;
	if (bad) {
		keep_damaged(book, "log", &text, why.text);
		if (truncate(path, (off_t) good) < 0)
			book->saved_len = book->saved_seq = 0; /* written as a whole next time */
	}
	r = netmap_follow(book->netmap, book->log, NULL, &why);
	return r < 0 ? err_set(err, r, "out of memory") : 0;
}

static void load_presences(struct book *book)
{
	CLEANUP_BUF struct buf text = { 0 };
	CLEANUP_JSON json_t *list = NULL;
	char path[PATH_TEXT_MAX];
	struct err why = { 0 };
	int r = file_read(paths_join(book->dir, "presence", path), PRESENCE_MAX, &text);

	if (r == -ENOENT)
		return;
	if (r == 0)
		list = json_parse(buf_str(&text), text.len, &why);
	if (!json_is_array(list)) {
		keep_damaged(book, "presence", &text, r < 0 ? strerror(-r) : why.text);
		return;
	}
	for (size_t i = 0; i < json_array_size(list); i++) {
		struct book_heard heard;

		/* One that does not hold is as good as none. */
		(void) book_add_presence(book, json_array_get(list, i), 0, &heard, &why);
	}
	book->presence_dirty = false;
}

int book_open(const char *dir, const uint8_t root_hash[static RECORD_HASH_LEN], struct book **ret,
	struct err *err)
{
	struct book *book = calloc(1, sizeof(*book));
	int r;

	if (!book)
		return err_set(err, -ENOMEM, "out of memory");
	(void) snprintf(book->dir, sizeof(book->dir), "%s", dir);
	book->netmap = netmap_new();
	r = book->netmap ? load_log(book, root_hash, err) : err_set(err, -ENOMEM, "out of memory");
	if (r < 0) {
		book_close(book);
		return r;
	}
	load_presences(book);
	*ret = book;
	return 0;
}

struct book *book_close(struct book *book)
{
	if (!book)
		return NULL;
	assert(!book->log_write && !book->presence_write);
	if (book->log)
		book_save(book, UINT64_MAX);
	for (size_t i = 0; i < book->n_entries; i++)
		entry_done(&book->entries[i]);
	free(book->entries);
	netmap_free(book->netmap);
	mesh_log_free(book->log);
	free(book);
	return NULL;
}
