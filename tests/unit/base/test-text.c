/* What others wrote, as a person is shown it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static const struct {
	const char *in, *line, *lines; /* lines NULL: the same */
} cases[] = {
	{ "", "", NULL }, { "plain", "plain", NULL },
	{ "Küche, 台所, кухня 🍳", "Küche, 台所, кухня 🍳", NULL },
	{ "a\nb\tc", "a\\x0ab\\x09c", "a\nb\tc" }, { "a\rb", "a\\x0db", NULL },
	{ "\x1b[2J\x1b]0;pwned\x07", "\\x1b[2J\\x1b]0;pwned\\x07",
		NULL }, /* clears; sets the title */
	{ "\x1b[8m hidden", "\\x1b[8m hidden", NULL }, { "\x7f", "\\x7f", NULL },
	{ "\xc2\x9b"
	  "2J",
		"\\x9b2J", NULL }, /* CSI as one character of C1 */
	{ "\xc2\x85", "\\x85", NULL },
	{ "\x9b"
	  "2J",
		"\\x9b2J", NULL }, /* and as the byte of a terminal that is not in UTF-8 */
	{ "exe\xe2\x80\xaetxt", "exe\\u202etxt", NULL },          /* RIGHT-TO-LEFT OVERRIDE */
	{ "\xe2\x81\xa6i\xe2\x81\xa9", "\\u2066i\\u2069", NULL }, /* isolates */
	{ "\xd8\x9c\xe2\x80\x8f", "\\u061c\\u200f", NULL },
	{ "\xe2\x80\xa8", "\\u2028", NULL }, /* LINE SEPARATOR */
	{ "pi\xe2\x80\x8b"
	  "3",
		"pi\\u200b3", NULL }, /* looks like another board's name */
	{ "\xef\xbb\xbf", "\\ufeff", NULL }, { "\xc2\xad", "\\xad", NULL },
	{ "\xf3\xa0\x81\x81", "\\U0e0041", NULL }, /* a tag */
	{ "\xee\x80\x80", "\\ue000", NULL },       /* of private use */
	{ "\xff\xfe", "\\xff\\xfe", NULL },
	{ "\xc0\xaf", "\\xc0\\xaf", NULL }, /* "/" in a longer form */
	{ "\xe0\x80\x8a", "\\xe0\\x80\\x8a", NULL },
	{ "\xed\xa0\x80", "\\xed\\xa0\\x80", NULL },                      /* a surrogate */
	{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80", NULL },             /* behind the last one */
	{ "\xe2\x82", "\\xe2\\x82", NULL },                               /* cut */
	{ "\xe2\x82x", "\\xe2\\x82x", NULL }, { "\\x1b", "\\x1b", NULL }, /* a backslash is one */
};

static void test_clean(void **state)
{
	char out[256];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *lines = cases[i].lines ? cases[i].lines : cases[i].line;
		size_t len = strlen(cases[i].in);

		assert_int_equal(text_clean(cases[i].in, len, TEXT_LINE, out, sizeof(out)),
			strlen(cases[i].line));
		assert_string_equal(out, cases[i].line);
		assert_int_equal(
			text_is_clean(cases[i].in, len, TEXT_LINE), !strcmp(out, cases[i].in));
		(void) text_clean(cases[i].in, len, TEXT_LINES, out, sizeof(out));
		assert_string_equal(out, lines);
		assert_int_equal(
			text_is_clean(cases[i].in, len, TEXT_LINES), !strcmp(out, cases[i].in));
	}
	assert_int_equal(text_clean("a\0b", 3, TEXT_LINE, out, sizeof(out)), 6);
	assert_string_equal(out, "a\\x00b");
}

/* Cut where a character or an escape ends, never in it. */
static void test_cut(void **state)
{
	char out[8] = "unset";

	assert_int_equal(text_clean("ab\x1b", 3, TEXT_LINE, out, 6), 2);
	assert_string_equal(out, "ab");
	assert_int_equal(text_clean("ab\x1b", 3, TEXT_LINE, out, 7), 6);
	assert_int_equal(text_clean("a\xc3\xbc", 3, TEXT_LINE, out, 3), 1);
	assert_string_equal(out, "a");
	assert_int_equal(text_clean("a", 1, TEXT_LINE, out, 1), 0);
	assert_string_equal(out, "");
}

static void test_whole(void **state)
{
	static const struct {
		const char *in;
		size_t whole;
	} t[] = {
		{ "", 0 },
		{ "a", 1 },
		{ "a\xc3", 1 },
		{ "a\xc3\xbc", 3 },
		{ "\xe2\x82", 0 },
		{ "x\xf0\x9f\x8d", 1 },
		{ "x\xf0\x9f\x8d\xb3", 5 },
		{ "\x80\x80\x80", 3 }, /* never a character */
		{ "\xff", 1 },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		assert_int_equal(text_whole(t[i].in, strlen(t[i].in)), t[i].whole);
}

static void test_say(void **state)
{
	char *said = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&said, &len);

	assert_non_null(f);
	text_say(f, "%s: %d", "a\x1b[1m\nb", 7);
	assert_int_equal(fclose(f), 0);
	assert_string_equal(said, "a\\x1b[1m\\x0ab: 7\n");
	free(said);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
