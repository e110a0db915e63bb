/*
 * file: whole files. A file that matters is written under a temporary name with its final mode,
 * synced, renamed, and its directory synced: after a power cut there is the old or the new one.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"

/*
 * Reads all of the regular file @path into @ret (appended). -EFBIG if it holds more than @max
 * bytes, -EISDIR, -EMEDIUMTYPE for a FIFO, a device or a socket (it never waits for one), -ENOENT
 * ... A link is followed: for what lies in a directory of another user's there is owned_read().
 */
int file_read(const char *path, size_t max, struct buf *ret);

/* The same of an open file, and what fstat() says of it. */
struct stat;
int file_read_fd(int fd, size_t max, struct buf *ret, struct stat *ret_stat);

/*
 * Reads what a person named, which may be a pipe (/dev/stdin, a shell's <(...)): waits for its end.
 */
int file_read_stream(const char *path, size_t max, struct buf *ret);

/* Replaces @path atomically. 0 or -errno; the old file is whole in either case. */
int file_write_atomic(const char *path, const void *data, size_t len, mode_t mode);

/* As above unless @path holds just these bytes already. Returns 1 if written, 0 if not needed. */
int file_write_if_changed(const char *path, const void *data, size_t len, mode_t mode);

/* Writes all of it where @fd stands: on after a signal, and after a write of less. */
int file_write_all(int fd, const void *data, size_t len);

/* Makes @path and its missing parents. An existing directory is left as it is. */
int file_mkdirs(const char *path, mode_t mode);
