/*
 * err: a failure whose text is the product. Code and sentence travel together; the text names the
 * thing that failed, why, and (where there is something to do) what to do next.
 */
#pragma once

#include <stdarg.h>

enum { ERR_TEXT_MAX = 768 };

struct err {
	int code;                /* negative errno, 0 = no error */
	char text[ERR_TEXT_MAX]; /* one sentence or more, no newline at the end, no secret */
};

/*
 * Fills @err (may be NULL) with @code (a negative errno) and the text, cut at ERR_TEXT_MAX.
 * Returns @code: `return err_set(err, -errno, "open %s: %m", path);`
 */
int err_set(struct err *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "text: " before what @err says already. Returns err->code. */
int err_prefix(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
