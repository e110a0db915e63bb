/*
 * buf: a growing byte string. Embedded, zero-initialised: struct buf b = { 0 };
 * A failed allocation is remembered (buf_failed), so that a chain of appends is checked once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct buf {
	char *data; /* owned; always ends in a NUL that is not counted, NULL while empty */
	size_t len;
	size_t cap;
	bool failed;
};

void buf_done(struct buf *buf);
#define CLEANUP_BUF CLEANUP(buf_done)

void buf_add(struct buf *buf, const void *data, size_t len);
void buf_add_str(struct buf *buf, const char *text);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The text so far, "" when empty. Borrowed. */
const char *buf_str(const struct buf *buf);

/* Hands the heap block to the caller and empties the buffer. NULL if an append failed. */
char *buf_take(struct buf *buf, size_t *ret_len);

static inline bool buf_failed(const struct buf *buf)
{
	return buf->failed;
}
