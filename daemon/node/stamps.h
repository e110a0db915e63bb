/*
 * stamps: keeps on disk how far handshake timestamps may have been used. The tunnel's thread asks,
 * the event loop has it written: no packet waits for a disk.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "node/disk.h"

struct stamps;

/*
 * @path is copied, @disk borrowed. The caller's, to stamps_free() after the tunnel that uses it,
 * and with nothing on its way to the disk. -ENOMEM, -EMFILE ...
 */
int stamps_new(sd_event *event, struct disk *disk, const char *path, struct stamps **ret);
struct stamps *stamps_free(struct stamps *stamps);

/*
 * What is to be written again because somebody removed the file, or because it could not be
 * written; NULL if nothing is. Without it the next hearthd begins at the clock, below what peers
 * have seen, and they refuse its handshakes for an hour or more.
 */
struct write *stamps_keep(struct stamps *stamps, bool *ret_was_removed);

/* For tunnel_config: reserve_timestamp and its ctx. 0 if @until_s is stored, else -EAGAIN. */
int stamps_reserve(void *stamps, uint64_t until_s);
