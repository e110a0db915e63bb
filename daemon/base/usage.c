/* usage: see usage.h. */
#include "base/usage.h"

#include <assert.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { WORD_MAX = 40, OPTIONS_MAX = 32 };

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/*
 * How many letters must be added, removed, changed or swapped with their neighbour to make @b of @a
 * (Damerau's distance, with three rows of its table).
 */
static size_t distance(const char *a, const char *b)
{
	size_t rows[3][WORD_MAX + 1], len_a = strlen(a), len_b = strlen(b);

	for (size_t j = 0; j <= len_b; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= len_a; i++) {
		size_t *row = rows[i % 3], *up = rows[(i + 2) % 3], *up2 = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= len_b; j++) {
			row[j] = least(
				up[j - 1] + (a[i - 1] != b[j - 1]), least(up[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = least(row[j], up2[j - 2] + 1);
		}
	}
	return rows[len_a % 3][len_b];
}

const char *usage_nearest(const char *word, const char *const *names)
{
	size_t len = strlen(word), best = (len + 2) / 3; /* a slip in three letters */
	const char *found = NULL;

	if (len > WORD_MAX)
		return NULL;
	for (; *names; names++) {
		size_t d = strlen(*names) <= WORD_MAX ? distance(word, *names) : WORD_MAX;
		bool begins = len >= 2 && !strncmp(*names, word, len);

		if (begins)
			d = least(d, 1);
		if (d < best || (d == best && !found)) {
			best = d;
			found = *names;
		}
	}
	return found;
}

static const char *name_of(const struct option *longs, int val)
{
	for (; longs->name; longs++)
		if (longs->val == val)
			return longs->name;
	return NULL;
}

/* What is wrong with @word, which begins with "--". */
static void explain_long(
	const char *word, const struct option *longs, char ret_text[static USAGE_TEXT_MAX])
{
	const char *names[OPTIONS_MAX + 1] = { NULL }, *near, *value = strchr(word, '=');
	char name[WORD_MAX + 1];
	size_t n = 0;

	(void) snprintf(
		name, sizeof(name), "%.*s", value ? (int) (value - word - 2) : WORD_MAX, word + 2);
	for (; longs->name && n < OPTIONS_MAX; longs++) {
		if (value && !strcmp(longs->name, name) && longs->has_arg == no_argument) {
			(void) snprintf(
				ret_text, USAGE_TEXT_MAX, "option --%s takes no value", name);
			return;
		}
		names[n++] = longs->name;
	}
	near = usage_nearest(name, names);
	(void) snprintf(ret_text, USAGE_TEXT_MAX,
		near ? "there is no option --%s (did you mean --%s?)" : "there is no option --%s",
		name, near);
}

int usage_getopt(int argc, char **argv, const char *shorts, const struct option *longs,
	int *ret_index, char ret_text[static USAGE_TEXT_MAX])
{
	char quiet[64]; /* a ':' in front tells a missing value from an unknown option */
	const char *name;
	int c;

	assert(strspn(shorts, ":+-") == 0);
	(void) snprintf(quiet, sizeof(quiet), ":%s", shorts);
	opterr = 0;
	c = getopt_long(argc, argv, quiet, longs, ret_index);
	if (c != ':' && c != '?')
		return c;
	name = strncmp(argv[optind - 1], "--", 2) ? NULL : name_of(longs, optopt);
	/* optopt: 0 for a long option that is none, its value for one that was given something. */
	if (c == ':' && name)
		(void) snprintf(ret_text, USAGE_TEXT_MAX, "option --%s wants a value", name);
	else if (c == ':')
		(void) snprintf(ret_text, USAGE_TEXT_MAX, "option -%c wants a value", optopt);
	else if (!optopt || (name && strchr(argv[optind - 1], '=')))
		explain_long(argv[optind - 1], longs, ret_text);
	else
		(void) snprintf(ret_text, USAGE_TEXT_MAX, "there is no option -%c",
			optopt > 0x20 && optopt < 0x7f ? optopt : '?');
	return '?';
}

void usage_surplus(const char *word, char ret_text[static USAGE_TEXT_MAX])
{
	(void) snprintf(ret_text, USAGE_TEXT_MAX, "\"%.40s\" is one word too many", word);
}
