/*
 * A record is in memory before it is on disk: were the power cut in between, the coordinator sends it
 * again. A write that fails half way is taken back by cutting the file to where it was good. A log
 * that cannot be read (a worn card) is not taken for an empty one: the board would forget how far it
 * was and believe an older log.
 */
#include "board/book.h"

#include <errno.h>
#include <fcntl.h>
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

static int entry_put(struct book *book, struct presence *presence, const json_t *doc)
{
	bool found;
	size_t at = entry_find(book, presence->node, &found);
	struct entry entry = { .presence = *presence, .doc = json_deep_copy(doc) };

	if (!entry.doc)
		return -ENOMEM;
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

int book_add_presence(
	struct book *book, const json_t *doc, uint64_t now_us, uint32_t *ret_id, struct err *err)
{
	CLEANUP(presence_done) struct presence presence = { 0 };
	const struct node *node;
	bool found;
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
	r = entry_put(book, &presence, doc);
	if (r < 0)
		return err_set(err, r, "out of memory");
	book->presence_dirty = true;
	*ret_id = id;
	return 1;
}

bool book_take_held_back(struct book *book, uint64_t now_us)
{
	bool taken = false;

	for (size_t i = 0; i < book->n_entries; i++) {
		CLEANUP_JSON json_t *doc = TAKE(book->entries[i].held_back);
		uint32_t id;

		book->entries[i].held_back_counter = 0;

		taken |= doc && book_add_presence(book, doc, now_us, &id, NULL) > 0;
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

		if (node && presence_verify(&entry->presence, node->identity) == 0) {
			book->entries[kept++] = *entry;
			continue;
		}
		entry_done(entry);
		book->presence_dirty = true;
	}
	book->n_entries = kept;
}

static void save_presences(struct book *book)
{
	CLEANUP_JSON json_t *list = json_array();
	char path[PATH_TEXT_MAX];
	int r = list ? 0 : -ENOMEM;

	if (!book->presence_dirty)
		return;
	for (size_t i = 0; i < book->n_entries && r == 0; i++)
		r = json_array_append(list, book->entries[i].doc) < 0 ? -ENOMEM : 0;
	paths_join(book->dir, "presence", path);
	if (r == 0)
		r = json_write_file(path, list, 0600);
	if (r < 0) {
		err_set(&book->presence_unsaved, r, "write %s: %s", path, strerror(-r));
		return;
	}
	book->presence_unsaved = (struct err){ 0 };
	book->presence_dirty = false;
}

static void save_presences_seldom(struct book *book, uint64_t now_us)
{
	if (!book->presence_dirty || damper_wait_us(&book->saved, &damping_of_hints, now_us))
		return;
	damper_done(&book->saved, &damping_of_hints, now_us);
	save_presences(book);
}

/* --- the log --- */

static void save_log(struct book *book)
{
	CLEANUP_BUF struct buf text = { 0 };
	CLEANUP(close_p) int fd = -1;
	char path[PATH_TEXT_MAX];
	int r;

	if (book->saved_seq == mesh_log_head(book->log))
		return;
	paths_join(book->dir, "log", path);
	r = mesh_log_save(book->log, book->saved_seq + 1, &text);
	if (r == 0 && !book->saved_len) {
		r = file_write_atomic(path, buf_str(&text), text.len, 0600);
	} else if (r == 0) {
		fd = open(path, O_WRONLY | O_CLOEXEC);
		r = fd < 0 ? -errno : 0;
		if (r == 0 && lseek(fd, (off_t) book->saved_len, SEEK_SET) < 0)
			r = -errno;
		if (r == 0)
			r = file_write_all(fd, text.data, text.len);
		if (r == 0 && fsync(fd) < 0)
			r = -errno;
		if (r < 0 && fd >= 0)
			(void) !ftruncate(
				fd, (off_t) book->saved_len); /* else reading cuts it off */
	}
	if (r < 0) {
		err_set(&book->log_unsaved, r, "write %s: %s", path, strerror(-r));
		if (r == -ENOENT)
			book->saved_seq = book->saved_len =
				0; /* somebody removed it: write all of it */
		return;
	}
	book->saved_len += text.len;
	book->saved_seq = mesh_log_head(book->log);
	book->log_unsaved = (struct err){ 0 };
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

	if (book->saved_len && (stat(paths_join(book->dir, "log", path), &st) < 0 ||
				       (size_t) st.st_size < book->saved_len)) {
		book->saved_seq = book->saved_len = 0;
		lost = true;
	}
	if (book->n_entries && !book->presence_dirty &&
		stat(paths_join(book->dir, "presence", path), &st) < 0) {
		book->presence_dirty = true;
		lost = true;
	}
	return lost;
}

void book_save(struct book *book, uint64_t now_us)
{
	save_log(book);
	save_presences_seldom(book, now_us);
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
	if (added)
		save_log(book);
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
			"read %s: %s. If it cannot be repaired, move it away: the coordinator "
			"sends it again",
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
		uint32_t id;

		/* One that does not hold is as good as none. */
		(void) book_add_presence(book, json_array_get(list, i), 0, &id, &why);
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
	if (book->log) {
		save_log(book);
		save_presences(book);
	}
	for (size_t i = 0; i < book->n_entries; i++)
		entry_done(&book->entries[i]);
	free(book->entries);
	netmap_free(book->netmap);
	mesh_log_free(book->log);
	free(book);
	return NULL;
}
