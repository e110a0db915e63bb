/*
 * log: the chain of signed records that says what the mesh is (PROTOCOL.md section 3). It only
 * grows, and only by records that follow from the root hash the board got with its token. Boards
 * and the coordinator hold it in memory and as lines of JSON in a file that is only appended to.
 *
 * Pure: the caller reads and writes files.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "wire/record.h"

struct mesh_log;

/* An empty log under a root key of this hash. NULL: out of memory. */
struct mesh_log *mesh_log_new(const uint8_t root_hash[static RECORD_HASH_LEN]);
/* NULL is fine. Returns NULL. */
struct mesh_log *mesh_log_free(struct mesh_log *log);
static inline void mesh_log_free_p(struct mesh_log **log)
{
	mesh_log_free(*log);
}
#define CLEANUP_MESH_LOG CLEANUP(mesh_log_free_p)

/*
 * Appends a copy of @record, whose payload bytes are kept as sent. Returns 0 or refuses it, leaving
 * the log as it is, with a sentence in @err:
 *	-EALREADY	it is in the log already (no harm)
 *	-ERANGE		a gap: records before it are missing
 *	-ENOTUNIQ	a fork: another record has its number, or it does not follow the last one
 *	-EKEYREJECTED	its key is not certified by the root key
 *	-EBADMSG	the signature does not hold
 *	-EINVAL		a `key` record whose payload is not well formed
 *	-ENOMEM
 */
int mesh_log_append(struct mesh_log *log, const struct record *record, struct err *err);

/*
 * Makes and signs the record that would come next; it is not appended. For the coordinator, which
 * stores it first. @seed: the signing key's, or the root key's for a `key` record. As
 * record_make().
 */
int mesh_log_make_next(const struct mesh_log *log, const char *type, const json_t *payload,
	const uint8_t seed[static RECORD_SEED_LEN], struct record *ret);

/*
 * Compares a head that somebody told with what is held. 0: the same, or ahead of us (its records
 * are asked for next and judged then). -ESTALE: it is lower than ours, on the same branch: somebody
 * restored an old copy. -ENOTUNIQ: another branch.
 */
int mesh_log_check_head(const struct mesh_log *log, uint64_t seq,
	const uint8_t hash[static RECORD_HASH_LEN], struct err *err);

/* The number of the last record; 0 while empty. */
uint64_t mesh_log_head(const struct mesh_log *log);
/* The hash of the last record; zero while empty. Borrowed until the next append. */
const uint8_t *mesh_log_head_hash(const struct mesh_log *log);
/*
 * The records from @from on, at most @max of them, as they came: {"seq": the head's, "records":
 * [...]}. NULL when out of memory.
 */
json_t *mesh_log_page(const struct mesh_log *log, uint64_t from, size_t max);

/* Record @seq (1 to head), else NULL. Borrowed until the next append. */
const struct record *mesh_log_get(const struct mesh_log *log, uint64_t seq);
/* The hash of record @seq, else NULL. Borrowed until the next append. */
const uint8_t *mesh_log_hash(const struct mesh_log *log, uint64_t seq);
/* True if an accepted `key` record certifies @key. */
bool mesh_log_certifies(const struct mesh_log *log, const uint8_t key[static RECORD_KEY_LEN]);

/*
 * Appends to @out the lines (one JSON object each, with its newline) of the records from @from on:
 * all of a file (from 1), or what to append to one. 0 or -ENOMEM.
 */
int mesh_log_save(const struct mesh_log *log, uint64_t from, struct buf *out);

/*
 * Reads lines as mesh_log_save() wrote them into a new log. Whatever follows the last line that is
 * whole, in sequence and proved is dropped: a torn write costs the records it tore. The chain of
 * hashes and all `key` records are checked, and of the others the last signature, which covers
 * all before it. *@ret_lines counts the lines dropped (0: all was fine), *@ret_len the bytes of
 * @text that are good (truncate the file to that before appending), and @err then says why.
 * Returns 0 (the log may be empty) or -ENOMEM.
 */
int mesh_log_load(const uint8_t root_hash[static RECORD_HASH_LEN], const char *text, size_t len,
	struct mesh_log **ret, size_t *ret_lines, size_t *ret_len, struct err *err);
