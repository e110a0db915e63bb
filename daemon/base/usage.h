/*
 * usage: command lines, one way for every program: what is wrong with one is a line that names the
 * wrong word, with the nearest right one where there is one. The program puts its name in front,
 * ends it with where help is, and exits with USAGE_STATUS.
 */
#pragma once

#include <stddef.h>

enum { USAGE_STATUS = 2, USAGE_TEXT_MAX = 256 };

/* The one of @names (NULL at the end) that @word is a slip of, NULL if it is like none. */
const char *usage_nearest(const char *word, const char *const *names);

/*
 * getopt_long(3) that prints nothing: '?' for anything wrong, with the reason in @ret_text. @shorts
 * must not begin with ':', '+' or '-'. *ret_index (may be NULL) is the option's place in @longs.
 */
struct option;
int usage_getopt(int argc, char **argv, const char *shorts, const struct option *longs,
	int *ret_index, char ret_text[static USAGE_TEXT_MAX]);

/* The reason why @word, which no option wants, is refused. */
void usage_surplus(const char *word, char ret_text[static USAGE_TEXT_MAX]);
