/*
 * problems: what is wrong and goes on being wrong: each is one sentence in `hearth status`, known
 * by a name, which is a literal of whoever finds it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum { PROBLEMS_MAX = 64 };

struct problems {
	struct problem *list[PROBLEMS_MAX]; /* owned; those that were there once */
	size_t n;
};

void problems_done(struct problems *problems);

/*
 * Sets or (NULL, or without a code) clears a problem. Its text is always the newest; a line is
 * logged when its code is another one than before, and when it is over.
 */
void problem_set(struct problems *problems, const char *name, const struct err *err);

/* Borrowed until it is set again, "" if there is no such problem. */
const char *problem_text(const struct problems *problems, const char *name);
static inline bool problem_is(const struct problems *problems, const char *name)
{
	return *problem_text(problems, name);
}

/* Those that there are, as they were first met. Borrowed until one is set. */
size_t problems_texts(const struct problems *problems, const char *ret[static PROBLEMS_MAX]);
