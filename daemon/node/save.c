/*
 * What hearthd keeps on its disk: the book, its state, where peers answered, and files that were there when it
 * began. All of it goes through h->core.disk, and is judged when it is written.
 */
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "node/hearthd.h"
#include "node/stamps.h"

/* --- the book --- */

static void book_done(void *ctx, struct write *w)
{
	struct hearthd *h = ctx;
	bool all = book_written(h->core.book, w), failed = book_unsaved(h->core.book)->code != 0;

	problem_set(&h->core.problems, "disk", book_unsaved(h->core.book));
	if (!failed)
		disk_write(h->core.disk, book_write_log(h->core.book), book_done,
			h); /* newer records */
	if (all || failed)
		assist_log_settled(h, all);
}

void save_log(struct hearthd *h)
{
	disk_write(h->core.disk, book_write_log(h->core.book), book_done, h);
}

void save_book(struct hearthd *h, uint64_t now_us)
{
	save_log(h);
	disk_write(h->core.disk, book_write_presences(h->core.book, now_us), book_done, h);
}

/* --- the state --- */

static void state_done(void *ctx, struct write *w)
{
	struct hearthd *h = ctx;
	struct err err = { 0 };

	h->state_writing = false;
	h->is_saved = w->result == 0;
	h->saved = h->state_written; /* or could not be: hearthd goes on without */
	if (w->result < 0)
		err_set(&err, w->result, "write %s: %s", w->path, strerror(-w->result));
	problem_set(&h->core.problems, "state", &err);
	write_free(w);
	if (h->is_saved)
		save_state(h); /* what changed meanwhile */
	if (h->announce_waits) {
		h->announce_waits = false;
		feed_announce(h);
	}
}

void save_state(struct hearthd *h)
{
	struct write *w;

	if (h->state_writing || (h->is_saved && state_equal(&h->saved, &h->state)))
		return;
	w = state_write(h->state_path, &h->state);
	if (!w)
		return; /* out of memory: at the next round */
	h->state_written = h->state;
	h->state_writing = true;
	disk_write(h->core.disk, w, state_done, h);
}

/* --- where peers answered --- */

static void seen_done(void *ctx, struct write *w)
{
	struct hearthd *h = ctx;

	seen_written(h->seen, w);
	write_free(w);
}

void save_seen(struct hearthd *h, uint64_t now_us)
{
	disk_write(
		h->core.disk, seen_write(h->seen, book_netmap(h->core.book), now_us), seen_done, h);
}

/* --- what somebody removed --- */

static void kept(void *ctx, struct write *w)
{
	if (w->result == 0)
		log_notice("%s was removed by another program; written again", w->path);
	else
		log_seldom(LOG_LEVEL_WARNING, "%s is gone and cannot be written again: %s", w->path,
			strerror(-w->result));
	write_free(w);
}

static void keep_key(struct hearthd *h, const char *name, const uint8_t *key)
{
	char path[PATH_TEXT_MAX];

	disk_write(h->core.disk, state_keep_key(paths_join(h->core.paths.state, name, path), key),
		kept, h);
}

static void keep_timestamp(struct hearthd *h)
{
	bool was_removed = false;
	struct write *w = h->stamps ? stamps_keep(h->stamps, &was_removed) : NULL;

	/* Else the disk was full; that was told. */
	disk_write(h->core.disk, w, was_removed ? kept : NULL, h);
}

void save_again(struct hearthd *h)
{
	keep_key(h, "identity.key", h->core.identity_seed);
	keep_key(h, "wireguard.key", h->core.wg_private);
	keep_timestamp(h);
	if (book_lost_files(h->core.book))
		log_notice("files of the log in %s were removed by another program; written again",
			h->core.paths.state);
	if (!h->state_writing && h->is_saved && access(h->state_path, F_OK) < 0)
		h->is_saved = false;
}

void save_all(struct hearthd *h)
{
	save_state(h);
	if (h->seen && h->core.book)
		save_seen(h, UINT64_MAX);
	if (h->core.book)
		save_book(h, UINT64_MAX);
	disk_drain(h->core.disk);
}
