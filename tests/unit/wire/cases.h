/*
 * cases: one good document and a table of what happens to a reader when one field of it is
 * replaced. Fields of objects inside are named "virtual.api4".
 */
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/encode.h"
#include "base/json.h"

struct doc_case {
	const char *field; /* NULL: the whole document */
	const char *value; /* JSON; NULL: the field is taken away */
	int code;          /* 0 or what the reader returns */
};

static inline json_t *doc_parse(const char *text)
{
	struct err err = { 0 };
	json_t *json = json_parse(text, strlen(text), &err);

	if (!json)
		fail_msg("%s: %s", text, err.text);
	return json;
}

static inline json_t *doc_value(const char *text)
{
	json_error_t error;
	json_t *json = json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);

	if (!json)
		fail_msg("%s: %s", text, error.text);
	return json;
}

/* A copy of @base with the case's change. */
static inline json_t *doc_change(const char *base, const struct doc_case *c)
{
	if (!c->field)
		return doc_value(c->value);
	json_t *json = doc_parse(base), *at = json;
	char field[128];

	(void) snprintf(field, sizeof(field), "%s", c->field);
	char *name = field, *dot;

	while ((dot = strchr(name, '.'))) {
		*dot = '\0';
		at = json_object_get(at, name);
		assert_non_null(at);
		name = dot + 1;
	}
	if (c->value)
		assert_int_equal(json_object_set_new(at, name, doc_value(c->value)), 0);
	else
		assert_int_equal(json_object_del(at, name), 0);
	return json;
}

/* Runs the table; @read reads into a struct of its own and releases it. */
static inline void doc_run(const char *base, const struct doc_case *cases, size_t n,
	int (*read)(const json_t *json, struct err *err))
{
	CLEANUP_JSON json_t *good = doc_parse(base);
	struct err err = { 0 };

	if (read(good, &err) != 0)
		fail_msg("the good document: %s", err.text);
	for (size_t i = 0; i < n; i++) {
		CLEANUP_JSON json_t *json = doc_change(base, &cases[i]);
		const char *field = cases[i].field ? cases[i].field : "document";

		err = (struct err){ 0 };
		int r = read(json, &err);

		if (r != cases[i].code)
			fail_msg("%s = %s: %d, expected %d (%s)", field,
				cases[i].value ? cases[i].value : "(absent)", r, cases[i].code,
				err.text);
		if (r && (err.code != r || !err.text[0]))
			fail_msg("%s = %s: no sentence", field, cases[i].value);
		/* Without anybody to tell it to, the answer is the same. */
		assert_int_equal(read(json, NULL), r);
	}
}

/* Asserts that @json prints as @expected with sorted keys. */
static inline void doc_assert_text(const json_t *json, const char *expected)
{
	assert_non_null(json);
	CLEANUP(free_p) char *text = json_text(json);
	CLEANUP_JSON json_t *again = doc_parse(expected);
	CLEANUP(free_p) char *sorted = json_text(again);

	assert_string_equal(text, sorted);
}

#define KEY_A  "ERERERERERERERERERERERERERERERERERERERERERE="
#define KEY_B  "IiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiI="
#define KEY_C  "MzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzM="
#define KEY_0  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define DEEP31 "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"
