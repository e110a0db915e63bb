/*
 * book: what this board knows of its mesh, on disk and in memory: the signed log, the netmap
 * computed from it, and the latest presence of every node. It is believed record by record, so that
 * a board that starts without a coordinator has all it had.
 *
 * Files in its directory: `log` (a line per record, appended to), `presence` (a JSON list,
 * replaced). What is found damaged is kept beside them as `log.damaged` and `presence.damaged`.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "board/write.h"
#include "mesh/log.h"
#include "mesh/netmap.h"
#include "wire/presence.h"

struct book;

/*
 * Reads what @dir (copied) holds. 0 and *ret, or -ENOMEM, or what reading the log failed with
 * (-EIO: its content is not known). Damage is not a failure: book_damage() tells of it. @root_hash
 * is the configuration's. One process at a time has a directory open this way.
 */
int book_open(const char *dir, const uint8_t root_hash[static RECORD_HASH_LEN], struct book **ret,
	struct err *err);
/* Saves all of it, then forgets it. No write may be handed out. NULL is fine. Returns NULL. */
struct book *book_close(struct book *book);

/* Borrowed, valid until the next book_add_records(). */
const struct netmap *book_netmap(const struct book *book);
const struct mesh_log *book_log(const struct book *book);

/* What was wrong with the files when they were read, "" if nothing. Borrowed. */
const struct err *book_damage(const struct book *book);
/* Why the last write failed, "" if all is on disk. Borrowed. */
const struct err *book_unsaved(const struct book *book);

/*
 * Appends records that follow; those known already are skipped. Returns how many were new, or the
 * refusal of mesh_log_append() (-ERANGE gap, -ENOTUNIQ fork, -EBADMSG, -EKEYREJECTED, -EINVAL):
 * those before the refused one are kept, the log is otherwise as it was. Nothing is on disk yet.
 * @ret_changed (may be NULL): the netmap changed.
 */
int book_add_records(struct book *book, const struct record *records, size_t n, bool *ret_changed,
	struct err *err);

/* Whose presence is a new one. */
struct book_heard {
	uint32_t id;
	bool ipv6_changed; /* it has IPv6 now and had not, or the other way */
};
/*
 * Takes a presence document at @now_us. 1 and *ret if it is newer than the one known, 0 if it is
 * not, -EBADMSG (signature), -ENOENT (no such node), -EINVAL. A node that announces itself without
 * end is heard once a minute: what is newer waits for book_take_held_back(), and counts as 0 here.
 */
int book_add_presence(struct book *book, const json_t *doc, uint64_t now_us, struct book_heard *ret,
	struct err *err);
/* True if one that waited is the node's presence now. */
bool book_take_held_back(struct book *book, uint64_t now_us);

/* The latest presence of node @id, or NULL. Borrowed until presences or records are added. */
const struct presence *book_presence(const struct book *book, uint32_t id);

/* True if somebody removed or shortened a file of it; the next write is of all of it. */
bool book_lost_files(struct book *book);

/* True while a write of the log is handed out. */
bool book_log_is_on_its_way(const struct book *book);
/* True if something is known that is not on disk, nor on its way. */
bool book_has_changes(const struct book *book);

/*
 * What is to be written next: carried out by write_run(), perhaps in another thread, and handed
 * back with book_written(). NULL: nothing is, or one of its kind is under way, or there is no
 * memory for it. Presences are written the more seldom the longer they go on changing; whatever
 * there is if @now_us is UINT64_MAX.
 */
struct write *book_write_log(struct book *book);
struct write *book_write_presences(struct book *book, uint64_t now_us);
/* Frees @write. True if it made all records that are known now durable. */
bool book_written(struct book *book, struct write *write);
/* All of that here and now, for who may wait for a disk. */
void book_save(struct book *book, uint64_t now_us);
