/*
 * text: words of others on their way to a person. A coordinator, a peer or a local daemon that was
 * taken over may send any bytes as a name or as its reason: escape sequences that rewrite the
 * screen, a line that looks like another program's, letters turned around. What is shown instead is
 * what came: \x1b, \u202e.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum text_form {
	TEXT_LINE,  /* one line: no end of line in it, no tabulator */
	TEXT_LINES, /* those may stay */
};

/* Of each byte that comes in at most so many go out. */
enum { TEXT_GROWTH = 4 };

/*
 * Cleans @len bytes into @out, cut at a whole character where @size (its NUL included) ends. Left
 * out of it are control characters (C0, DEL, C1), what is no UTF-8, and what is not seen or turns
 * around what is: marks and overrides of direction, characters without width, tags, separators of
 * lines. Returns the length.
 */
size_t text_clean(const char *in, size_t len, enum text_form form, char *out, size_t size);

/* Whether it would come out as it is. */
bool text_is_clean(const char *in, size_t len, enum text_form form);

/* How much of @len bytes are whole characters, if more is to come: at most 3 less. */
size_t text_whole(const char *in, size_t len);

/* One line, cleaned, with its end, in one piece. */
void text_say(FILE *to, const char *format, ...) __attribute__((format(printf, 2, 3)));
