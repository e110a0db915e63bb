/*
 * write: one write to a file, made where it is known what to say, carried out where waiting for a
 * disk harms nobody (sys/work), and judged by who made it.
 */
#pragma once

#include <sys/types.h>

#include "base/buf.h"
#include "board/config.h"

struct write {
	char path[PATH_TEXT_MAX];
	struct buf text;
	mode_t mode;
	/* 0: the file is replaced, unless it says just this. Else this follows so many bytes. */
	size_t at;
	int result; /* of write_run(): 0 or -errno; then the file is as it was */
};

/* NULL when out of memory. @path is copied; the text is the caller's to add. */
struct write *write_new(const char *path, mode_t mode);
/* The same with @json and a newline as its text. */
struct write *write_new_json(const char *path, const json_t *json, mode_t mode);
/* Wipes the text. NULL is fine. Returns NULL. */
struct write *write_free(struct write *write);

/* A work_fn. What is written is on the disk, not only on its way, when this returns. */
void write_run(void *write);
