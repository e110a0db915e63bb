/* keep: see keep.h. All of it goes through core.disk, and is judged when it is written. */
#include "node/keep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

struct keep {
	struct core *core;
	const struct keep_hooks *hooks;
	void *ctx;
	char state_path[PATH_TEXT_MAX];
	struct state state, saved, written; /* of now; on disk; on its way there */
	bool is_saved, is_writing;
	struct seen *seen;
};

struct keep *keep_new(struct core *core, const struct keep_hooks *hooks, void *ctx)
{
	struct keep *k = calloc(1, sizeof(*k));

	if (k)
		*k = (struct keep){ .core = core, .hooks = hooks, .ctx = ctx };
	return k;
}

struct keep *keep_free(struct keep *k)
{
	if (k)
		k->seen = seen_free(k->seen);
	free(k);
	return NULL;
}

int keep_load(struct keep *k)
{
	char path[PATH_TEXT_MAX];
	struct err damage = { 0 };

	paths_join(k->core->paths.state, "state.json", k->state_path);
	if (state_load(k->state_path, &k->state, &damage) < 0)
		problem_set(&k->core->problems, "files", &damage);
	k->seen = seen_open(paths_join(k->core->paths.state, "endpoints.json", path));
	return k->seen ? 0 : -ENOMEM;
}

/* --- the book --- */

static void book_done(void *ctx, struct write *w)
{
	struct keep *k = ctx;
	struct book *book = k->core->book;
	bool all = book_written(book, w), failed = book_unsaved(book)->code != 0;

	problem_set(&k->core->problems, "disk", book_unsaved(book));
	if (!failed)
		keep_log(k); /* newer records */
	if (all || failed)
		k->hooks->log_settled(k->ctx, all);
}

void keep_log(struct keep *k)
{
	disk_write(k->core->disk, book_write_log(k->core->book), book_done, k);
}

void keep_book(struct keep *k, uint64_t now_us)
{
	keep_log(k);
	disk_write(k->core->disk, book_write_presences(k->core->book, now_us), book_done, k);
}

/* --- the state --- */

struct state *keep_state(struct keep *k)
{
	return &k->state;
}

static void state_done(void *ctx, struct write *w)
{
	struct keep *k = ctx;
	struct err err = { 0 };

	k->is_writing = false;
	k->is_saved = w->result == 0;
	k->saved = k->written;
	if (w->result < 0)
		err_set(&err, w->result, "write %s: %s", w->path, strerror(-w->result));
	problem_set(&k->core->problems, "state", &err);
	write_free(w);
	if (k->is_saved)
		keep_save_state(k); /* what changed meanwhile */
	k->hooks->state_settled(k->ctx);
}

void keep_save_state(struct keep *k)
{
	struct write *w;

	if (k->is_writing || (k->is_saved && state_equal(&k->saved, &k->state)))
		return;
	w = state_write(k->state_path, &k->state);
	if (!w)
		return; /* out of memory: at the next round */
	k->written = k->state;
	k->is_writing = true;
	disk_write(k->core->disk, w, state_done, k);
}

bool keep_take_number(struct keep *k, uint64_t known, uint64_t *last)
{
	if (state_take_counter(&k->state, k->saved.counter, known, last))
		return true;
	keep_save_state(k);
	return false;
}

void keep_settle_number(struct keep *k, uint64_t last)
{
	if (state_settle(&k->state, last))
		keep_save_state(k);
}

/* --- where peers answered --- */

struct seen *keep_seen(struct keep *k)
{
	return k->seen;
}

static void seen_done(void *ctx, struct write *w)
{
	struct keep *k = ctx;

	seen_written(k->seen, w);
	write_free(w);
}

void keep_save_seen(struct keep *k, uint64_t now_us)
{
	disk_write(k->core->disk, seen_write(k->seen, book_netmap(k->core->book), now_us),
		seen_done, k);
}

/* --- what somebody removed --- */

static void keep_key(struct keep *k, const char *name, const uint8_t *key)
{
	char path[PATH_TEXT_MAX];

	disk_restore(
		k->core->disk, state_keep_key(paths_join(k->core->paths.state, name, path), key));
}

void keep_look(struct keep *k)
{
	keep_key(k, "identity.key", k->core->identity_seed);
	keep_key(k, "wireguard.key", k->core->wg_private);
	if (book_lost_files(k->core->book))
		log_notice("files of the log in %s were removed by another program; written again",
			k->core->paths.state);
	if (!k->is_writing && k->is_saved && access(k->state_path, F_OK) < 0)
		k->is_saved = false;
}

void keep_all(struct keep *k)
{
	if (!k->seen)
		return; /* nothing was read, and what is there stays */
	keep_save_state(k);
	if (k->core->book) {
		keep_save_seen(k, UINT64_MAX);
		keep_book(k, UINT64_MAX);
	}
	disk_drain(k->core->disk);
}
