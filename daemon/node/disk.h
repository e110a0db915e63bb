/*
 * disk: what hearthd writes while it runs, one after the other in a thread of its own: an fsync may
 * take seconds on an SD card, and neither heartbeats nor the watchdog wait for it.
 */
#pragma once

#include <systemd/sd-event.h>

#include "base/err.h"
#include "board/write.h"

struct disk;

int disk_new(sd_event *event, struct disk **ret, struct err *err);
/* Waits until all is written and told. NULL is fine. Returns NULL. */
struct disk *disk_free(struct disk *disk);

/* Called from the loop with what was written, or could not be: its to free. */
typedef void (*disk_done_fn)(void *ctx, struct write *write);
/*
 * Takes @write (NULL: there is nothing to write). @done may be NULL. What is handed over first is
 * on the disk first. Should too much be on its way, it is told at once, as a failure. Without a
 * @disk (before the loop, or where none could be made) it is written here and now.
 */
void disk_write(struct disk *disk, struct write *write, disk_done_fn done, void *ctx);

/*
 * The same of a file that was there and that somebody removed: says so once it is there again, or
 * cannot be.
 */
void disk_restore(struct disk *disk, struct write *write);

/* Waits until all is written and told. */
void disk_drain(struct disk *disk);
