/*
 * keep: the subject of what hearthd keeps on this board's disk: its state, the book, where peers
 * answered, and the files that were there when it began. Nothing here waits for the disk.
 *
 * Its problems: "state" and "disk", what could not be written, and is tried again; "files", what
 * was damaged.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "board/seen.h"
#include "board/state.h"
#include "node/core.h"

struct keep;

struct keep_hooks {
	/*
	 * The log is on the disk, all of it (@saved), or cannot be written. hearth-helper believes
	 * only what it finds there.
	 */
	void (*log_settled)(void *ctx, bool saved);
	/* So with the state; what could not be written counts as written, for hearthd goes on. */
	void (*state_settled)(void *ctx);
};

/* @core and @hooks are borrowed. NULL: out of memory. */
struct keep *keep_new(struct core *core, const struct keep_hooks *hooks, void *ctx);
/* With nothing on its way to the disk. Returns NULL. */
struct keep *keep_free(struct keep *keep);
/* Reads what is there. -ENOMEM. */
int keep_load(struct keep *keep);

/* --- the state: to be changed, and then saved. Borrowed --- */

struct state *keep_state(struct keep *keep);
void keep_save_state(struct keep *keep);
/* As state_take_counter(); false: hooks->state_settled() follows. */
bool keep_take_number(struct keep *keep, uint64_t known, uint64_t *last);
/* Numbers above @last are not used any more. */
void keep_settle_number(struct keep *keep, uint64_t last);

/* --- what the mesh is --- */

/* New records, at once. */
void keep_log(struct keep *keep);
/* Presences, too, if it is time for them; of all there is with UINT64_MAX. */
void keep_book(struct keep *keep, uint64_t now_us);
/* Where peers answered. Borrowed. */
struct seen *keep_seen(struct keep *keep);
void keep_save_seen(struct keep *keep, uint64_t now_us);

/* --- all of it --- */

/* Files that somebody removed. */
void keep_look(struct keep *keep);
/* Everything, and waits for it: for the end. Nothing, if keep_load() was not called. */
void keep_all(struct keep *keep);
