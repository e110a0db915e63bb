/*
 * stamps: keeps on disk how far handshake timestamps may have been used. The tunnel's thread asks, the
 * event loop writes: no packet waits for a disk.
 */
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>

struct stamps;

/* @path is copied. The caller's, to stamps_free() after the tunnel that uses it. -ENOMEM, -EMFILE ... */
int stamps_new(sd_event *event, const char *path, struct stamps **ret);
struct stamps *stamps_free(struct stamps *stamps);

/*
 * Writes the file again if somebody removed it, or if it could not be written. Without it the next hearthd
 * begins at the clock, below what peers have seen, and they refuse its handshakes for an hour or more.
 * 1: it had been removed; 0; or -errno: removed, and cannot be written.
 */
int stamps_keep(struct stamps *stamps);

/* For tunnel_config: reserve_timestamp and its ctx. 0 if @until_s is stored, else -EAGAIN. */
int stamps_reserve(void *stamps, uint64_t until_s);
