/*
 * ledger: the mesh's log as the coordinator keeps it, and the only way to change it. A change is
 * decided when its turn comes (all earlier ones are then applied), signed, made durable, and only
 * then applied and reported: nobody ever sees a record that a power cut could take back, and of two
 * boards that want the same thing exactly one gets it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "mesh/log.h"
#include "mesh/netmap.h"
#include "sys/store/store.h"
#include "wire/api.h"

enum { LEDGER_QUEUE_MAX = 256 };

struct ledger;
struct change;

/*
 * Decides what @change does, now. Returns
 *	1	something is to be stored: a record (ledger_set_record()), writes in @batch, or both
 *	0	nothing is to be done: the change has succeeded
 *	< 0	it is refused: change->code and change->err were set with change_refuse()
 */
typedef int (*change_decide_fn)(struct change *change, struct store_batch *batch);
/*
 * The end. @r: 1 applied and durable, 0 nothing was to be done, < 0 refused (code, err). Frees
 * @change.
 */
typedef void (*change_done_fn)(struct change *change, int r);

/* Embedded in a struct of the caller's, who fills the first two fields and zeroes the rest. */
struct change {
	change_decide_fn decide;
	change_done_fn done;

	enum api_code code; /* why it was refused */
	struct err err;

	struct ledger *ledger;
	struct change *next;
	struct record record;
	bool has_record;
};

int change_refuse(struct change *change, enum api_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Reads the log out of @store and proves all of it. -EBADMSG and @err if a record is damaged,
 * missing or not signed as it should be: nothing is served then.
 */
int ledger_open(struct store *store, const uint8_t root_hash[static RECORD_HASH_LEN],
	const uint8_t signing_seed[static RECORD_SEED_LEN], struct ledger **ret, struct err *err);
struct ledger *ledger_free(struct ledger *ledger);

/* Called after each change that was applied, before its done(). */
void ledger_on_applied(struct ledger *ledger,
	void (*applied)(void *ctx, const struct record *record, const struct netmap_change *what),
	void *ctx);

const struct mesh_log *ledger_log(const struct ledger *ledger);
const struct netmap *ledger_netmap(const struct ledger *ledger);

/* Record @seq as JSON text, borrowed until ledger_free(); NULL if there is none. */
const char *ledger_record_text(const struct ledger *ledger, uint64_t seq);

/* Queues @change. -EBUSY if too many wait: done() is then not called. */
int ledger_submit(struct ledger *ledger, struct change *change);

/*
 * From decide(): the record of the change. Refused, as `internal`, if a board would refuse it. 0 or
 * what decide() returns. @payload is borrowed.
 */
int ledger_set_record(struct change *change, const char *type, const json_t *payload);

/* Adds a record to @batch as the log's table has it; for the first records of a mesh (init). */
void ledger_store_record(struct store_batch *batch, const struct record *record);
