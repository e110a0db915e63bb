/*
 * file: whole files. A file that matters is written under a temporary name with its final mode,
 * synced, renamed, and its directory synced: after a power cut there is the old or the new one.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"

/*
 * Reads all of @path into @ret (appended). -EFBIG if it holds more than @max bytes, -EISDIR,
 * -ENOENT ... Never follows nothing special: a symbolic link is followed.
 */
int file_read(const char *path, size_t max, struct buf *ret);

/* Replaces @path atomically. 0 or -errno; the old file is whole in either case. */
int file_write_atomic(const char *path, const void *data, size_t len, mode_t mode);

/* As above unless @path holds just these bytes already. Returns 1 if written, 0 if not needed. */
int file_write_if_changed(const char *path, const void *data, size_t len, mode_t mode);

/* Writes all of it where @fd stands: on after a signal, and after a write of less. */
int file_write_all(int fd, const void *data, size_t len);

/* Makes @path and its missing parents. An existing directory is left as it is. */
int file_mkdirs(const char *path, mode_t mode);
