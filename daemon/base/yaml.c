/*
 * yaml: see yaml.h. The parser builds the tree from libyaml's events with a stack of its own, so
 * that neither depth nor aliases can make it grow beyond what was read.
 */
#include "base/yaml.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"

/* --- scalars --- */

enum scalar {
	SCALAR_STRING,
	SCALAR_NULL,
	SCALAR_TRUE,
	SCALAR_FALSE,
	SCALAR_INT,
	SCALAR_REAL,
	SCALAR_AMBIGUOUS /* readers of different YAML versions do not agree */
};

static bool in_list(const char *text, const char *const list[])
{
	for (size_t i = 0; list[i]; i++)
		if (!strcmp(text, list[i]))
			return true;
	return false;
}

static size_t digits(const char *p)
{
	return strspn(p, "0123456789");
}

/* [-+]? digits, with a dot, an exponent, or both. */
static bool is_real(const char *p)
{
	p += *p == '-' || *p == '+';
	size_t whole = digits(p), part = 0;

	p += whole;
	bool dot = *p == '.';

	if (dot) {
		p++;
		part = digits(p);
		p += part;
	}
	if (!whole && !part)
		return false;
	if (*p == 'e' || *p == 'E') {
		p++;
		p += *p == '-' || *p == '+';
		if (!digits(p))
			return false;
		return !p[digits(p)];
	}
	return dot && !*p;
}

/* Decimal without a leading zero, or hexadecimal: the same number in both versions. */
static bool is_int(const char *p)
{
	p += *p == '-' || *p == '+';
	if (p[0] == '0' && p[1] == 'x')
		return p[2] && !p[2 + strspn(p + 2, "0123456789abcdefABCDEF")];
	if (p[0] == '0')
		return !p[1];
	return *p && !p[digits(p)];
}

/*
 * Octal and binary numbers, digits grouped by underscores, base 60, dates: whatever is made of the
 * signs of numbers and times alone, or has one of their prefixes, and is not one of the above.
 */
static bool is_number_like(const char *p)
{
	const char *all = p;

	p += *p == '-' || *p == '+';
	if (*p == '.' && p != all)
		p++;
	if (!isdigit((unsigned char) *p))
		return false;
	if (p[0] == '0' && p[1] && strchr("oObBxX", p[1]) && p[2] &&
		!p[2 + strspn(p + 2, "0123456789abcdefABCDEF_")])
		return true;
	if (strspn(p, "0123456789_") == strlen(p))
		return true;
	if (strchr(p, '_') && strspn(p, "0123456789_.eE+-") == strlen(p))
		return true;
	/* 1:30, 190:20:30.15 */
	size_t n = strspn(p, "0123456789_");

	if (p[n] == ':' && strspn(p, "0123456789_:.") == strlen(p) && !strstr(p, "::"))
		return true;
	/* 2026-01-31, with or without a time behind */
	if (digits(p) == 4 && p[4] == '-' && digits(p + 5) >= 1 && digits(p + 5) <= 2) {
		const char *q = p + 5 + digits(p + 5);

		return *q == '-' && digits(q + 1) >= 1 && digits(q + 1) <= 2 &&
		       strspn(p, "0123456789-:.+TtZz \t") == strlen(p);
	}
	return false;
}

static enum scalar plain_type(const char *text)
{
	static const char *const nulls[] = { "", "~", "null", "Null", "NULL", NULL };
	static const char *const trues[] = { "true", "True", "TRUE", NULL };
	static const char *const falses[] = { "false", "False", "FALSE", NULL };
	static const char *const unlike[] = { "y", "Y", "yes", "Yes", "YES", "n", "N", "no", "No",
		"NO", "on", "On", "ON", "off", "Off", "OFF", ".inf", ".Inf", ".INF", "+.inf",
		"+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF", ".nan", ".NaN", ".NAN", "=", "<<",
		NULL };

	if (in_list(text, nulls))
		return SCALAR_NULL;
	if (in_list(text, trues))
		return SCALAR_TRUE;
	if (in_list(text, falses))
		return SCALAR_FALSE;
	if (in_list(text, unlike))
		return SCALAR_AMBIGUOUS;
	if (is_int(text))
		return SCALAR_INT;
	if (is_real(text))
		return SCALAR_REAL;
	return is_number_like(text) ? SCALAR_AMBIGUOUS : SCALAR_STRING;
}

/* --- parser --- */

struct level {
	json_t *container; /* owned */
	char *key;         /* owned: the key whose value comes next, NULL if a key comes next */
};

struct reader {
	yaml_parser_t parser;
	struct err *err;
	struct level stack[JSON_DEPTH_MAX];
	size_t depth;
	json_t *docs; /* owned: array of what is finished */
	bool bad;
};

static void reader_done(struct reader *reader)
{
	while (reader->depth) {
		struct level *top = &reader->stack[--reader->depth];

		json_decref(top->container);
		free(top->key);
	}
	json_decref(reader->docs);
	yaml_parser_delete(&reader->parser);
}

static void refuse(struct reader *reader, const yaml_event_t *event, const char *why)
{
	reader->bad = true;
	err_set(reader->err, -EINVAL, "not accepted as YAML at line %zu, column %zu: %s",
		event->start_mark.line + 1, event->start_mark.column + 1, why);
}

/* Puts @value (owned by us from now on) where it belongs. */
static void place(struct reader *reader, const yaml_event_t *event, json_t *value)
{
	if (!value) {
		reader->bad = true;
		err_set(reader->err, -ENOMEM, "out of memory");
		return;
	}
	int r;

	if (!reader->depth) {
		r = json_array_append_new(reader->docs, value);
	} else {
		struct level *top = &reader->stack[reader->depth - 1];

		if (json_is_array(top->container)) {
			r = json_array_append_new(top->container, value);
		} else {
			r = json_object_set_new(top->container, top->key, value);
			free(TAKE(top->key));
		}
	}
	if (r)
		refuse(reader, event, "text that is no valid UTF-8");
}

static void read_key(struct reader *reader, const yaml_event_t *event, const char *text, bool plain)
{
	struct level *top = &reader->stack[reader->depth - 1];

	if (plain && plain_type(text) != SCALAR_STRING)
		refuse(reader, event, "a key must be a string; put it in quotes");
	else if (json_object_get(top->container, text))
		refuse(reader, event, "this key was there before");
	else if (!(top->key = strdup(text)))
		place(reader, event, NULL);
}

static json_t *plain_value(struct reader *reader, const yaml_event_t *event, const char *text)
{
	char *end = NULL;

	errno = 0;
	switch (plain_type(text)) {
	case SCALAR_STRING:
		return json_string(text);
	case SCALAR_NULL:
		return json_null();
	case SCALAR_TRUE:
		return json_true();
	case SCALAR_FALSE:
		return json_false();
	case SCALAR_INT: {
		long long n = strtoll(text, &end, strpbrk(text, "x") ? 16 : 10);

		if (!errno && !*end)
			return json_integer(n);
		refuse(reader, event, "a number too large; put it in quotes if it is text");
		return NULL;
	}
	case SCALAR_REAL: {
		double d = strtod(text, &end);
		json_t *real = !*end ? json_real(d) : NULL; /* NULL for an infinite one */

		if (!real)
			refuse(reader, event, "a number too large; put it in quotes if it is text");
		return real;
	}
	case SCALAR_AMBIGUOUS:
		refuse(reader, event,
			"versions of YAML read this differently; put it in quotes if it is text, "
			"else write true, false or a plain decimal number");
		return NULL;
	}
	return NULL;
}

static void read_scalar(struct reader *reader, const yaml_event_t *event)
{
	const char *text = (const char *) event->data.scalar.value;
	bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;

	if (event->data.scalar.anchor || event->data.scalar.tag) {
		refuse(reader, event, "anchors and tags are not supported");
		return;
	}
	if (strlen(text) != event->data.scalar.length) {
		refuse(reader, event, "a NUL in a string");
		return;
	}
	struct level *top = reader->depth ? &reader->stack[reader->depth - 1] : NULL;

	if (top && json_is_object(top->container) && !top->key) {
		read_key(reader, event, text, plain);
		return;
	}
	json_t *value = plain ? plain_value(reader, event, text) : json_string(text);

	if (!value && !reader->bad)
		refuse(reader, event, "text that is no valid UTF-8");
	if (value)
		place(reader, event, value);
}

static void open_level(struct reader *reader, const yaml_event_t *event, const yaml_char_t *anchor,
	const yaml_char_t *tag, json_t *container)
{
	CLEANUP_JSON json_t *made = container;
	struct level *top = reader->depth ? &reader->stack[reader->depth - 1] : NULL;

	if (anchor || tag)
		refuse(reader, event, "anchors and tags are not supported");
	else if (top && json_is_object(top->container) && !top->key)
		refuse(reader, event, "a key must be a string");
	else if (reader->depth == JSON_DEPTH_MAX)
		refuse(reader, event, "nested too deeply");
	else if (!made)
		place(reader, event, NULL);
	else
		reader->stack[reader->depth++] = (struct level){ .container = TAKE(made) };
}

static void close_level(struct reader *reader, const yaml_event_t *event)
{
	struct level *top = &reader->stack[--reader->depth];

	place(reader, event, TAKE(top->container));
}

static void read_event(struct reader *reader, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (json_array_size(reader->docs) >= YAML_DOCUMENTS_MAX)
			refuse(reader, event, "too many documents");
		break;
	case YAML_ALIAS_EVENT:
		refuse(reader, event, "aliases are not supported");
		break;
	case YAML_SCALAR_EVENT:
		read_scalar(reader, event);
		break;
	case YAML_SEQUENCE_START_EVENT:
		open_level(reader, event, event->data.sequence_start.anchor,
			event->data.sequence_start.tag, json_array());
		break;
	case YAML_MAPPING_START_EVENT:
		open_level(reader, event, event->data.mapping_start.anchor,
			event->data.mapping_start.tag, json_object());
		break;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		close_level(reader, event);
		break;
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		break;
	}
}

static void parser_failed(struct reader *reader)
{
	reader->bad = true;
	if (reader->parser.error == YAML_MEMORY_ERROR)
		err_set(reader->err, -ENOMEM, "out of memory");
	else
		err_set(reader->err, -EINVAL, "not valid YAML at line %zu, column %zu: %s",
			reader->parser.problem_mark.line + 1,
			reader->parser.problem_mark.column + 1,
			reader->parser.problem ? reader->parser.problem : "syntax error");
}

json_t *yaml_parse_all(const char *text, size_t len, struct err *err)
{
	CLEANUP(reader_done) struct reader reader = { .err = err };

	if (!yaml_parser_initialize(&reader.parser) || !(reader.docs = json_array())) {
		err_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	if (len > YAML_SIZE_MAX) {
		err_set(err, -EFBIG, "not accepted as YAML: more than %d bytes", YAML_SIZE_MAX);
		return NULL;
	}
	yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&reader.parser, (const unsigned char *) text, len);
	for (bool end = false; !end && !reader.bad;) {
		yaml_event_t event;

		if (!yaml_parser_parse(&reader.parser, &event)) {
			parser_failed(&reader);
			break;
		}
		end = event.type == YAML_STREAM_END_EVENT;
		read_event(&reader, &event);
		yaml_event_delete(&event);
	}
	if (reader.bad)
		return NULL;
	for (size_t i = json_array_size(reader.docs); i-- > 0;)
		if (json_is_null(json_array_get(reader.docs, i)))
			json_array_remove(reader.docs, i);
	return TAKE(reader.docs);
}

json_t *yaml_parse(const char *text, size_t len, struct err *err)
{
	CLEANUP_JSON json_t *docs = yaml_parse_all(text, len, err);

	if (!docs)
		return NULL;
	if (json_array_size(docs) != 1) {
		err_set(err, -EINVAL, "%s YAML document where one was expected",
			json_array_size(docs) ? "more than one" : "no");
		return NULL;
	}
	return json_incref(json_array_get(docs, 0));
}

static json_t *read_file(
	const char *path, json_t *(*parse)(const char *, size_t, struct err *), struct err *err)
{
	CLEANUP_BUF struct buf text = { 0 };
	int r = file_read(path, YAML_SIZE_MAX, &text);

	if (r < 0) {
		err_set(err, r, "read %s: %s", path, strerror(-r));
		return NULL;
	}
	json_t *json = parse(buf_str(&text), text.len, err);

	if (text.data)
		explicit_bzero(text.data, text.len);
	if (!json)
		err_prefix(err, "%s", path);
	return json;
}

json_t *yaml_read_file(const char *path, struct err *err)
{
	return read_file(path, yaml_parse, err);
}

json_t *yaml_read_file_all(const char *path, struct err *err)
{
	return read_file(path, yaml_parse_all, err);
}

/* --- emitter --- */

/*
 * Plain only what no reader can take for anything but text: a letter or a slash first, harmless
 * signs behind it, and no word that some version knows, in any case.
 */
static bool may_be_plain(const char *text)
{
	static const char *const words[] = { "y", "n", "yes", "no", "on", "off", "true", "false",
		"null", "nan", "inf", "infinity", NULL };

	if (!isalpha((unsigned char) text[0]) && text[0] != '/')
		return false;
	for (const char *p = text; *p; p++) {
		if (isalnum((unsigned char) *p) || strchr("/._-+=%@", *p))
			continue;
		if (*p == ':' && p[1] && p[1] != ' ')
			continue;
		if (*p == ' ' && p[1] && isalnum((unsigned char) p[1]))
			continue;
		return false;
	}
	for (size_t i = 0; words[i]; i++)
		if (!strcasecmp(text, words[i]))
			return false;
	return true;
}

static int emit(yaml_emitter_t *emitter, int made, yaml_event_t *event)
{
	return made && yaml_emitter_emit(emitter, event) ? 0 : -ENOMEM;
}

static int emit_scalar(yaml_emitter_t *emitter, const char *text, yaml_scalar_style_t style)
{
	yaml_event_t event;
	int made = yaml_scalar_event_initialize(
		&event, NULL, NULL, (const yaml_char_t *) text, (int) strlen(text), 1, 1, style);

	return emit(emitter, made, &event);
}

static int emit_string(yaml_emitter_t *emitter, const char *text)
{
	return emit_scalar(emitter, text,
		may_be_plain(text) ? YAML_PLAIN_SCALAR_STYLE : YAML_DOUBLE_QUOTED_SCALAR_STYLE);
}

static int emit_value(yaml_emitter_t *emitter, const json_t *value, unsigned depth);

static int emit_object(yaml_emitter_t *emitter, const json_t *object, unsigned depth)
{
	yaml_event_t event;
	int r = emit(emitter,
		yaml_mapping_start_event_initialize(
			&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE),
		&event);
	const char *key;
	json_t *value;

	json_object_foreach((json_t *) object, key, value)
	{
		if (r == 0)
			r = emit_string(emitter, key);
		if (r == 0)
			r = emit_value(emitter, value, depth);
	}
	return r ? r : emit(emitter, yaml_mapping_end_event_initialize(&event), &event);
}

static int emit_array(yaml_emitter_t *emitter, const json_t *array, unsigned depth)
{
	yaml_event_t event;
	int r = emit(emitter,
		yaml_sequence_start_event_initialize(
			&event, NULL, NULL, 1, YAML_BLOCK_SEQUENCE_STYLE),
		&event);

	for (size_t i = 0; r == 0 && i < json_array_size(array); i++)
		r = emit_value(emitter, json_array_get(array, i), depth);
	return r ? r : emit(emitter, yaml_sequence_end_event_initialize(&event), &event);
}

static int emit_value(yaml_emitter_t *emitter, const json_t *value, unsigned depth)
{
	if (json_is_string(value))
		return emit_string(emitter, json_string_value(value));
	if (json_is_object(value) || json_is_array(value)) {
		if (depth >= JSON_DEPTH_MAX)
			return -EINVAL;
		return json_is_object(value) ? emit_object(emitter, value, depth + 1)
					     : emit_array(emitter, value, depth + 1);
	}
	CLEANUP(free_p) char *text = json_dumps(value, JSON_ENCODE_ANY);

	return text ? emit_scalar(emitter, text, YAML_PLAIN_SCALAR_STYLE) : -ENOMEM;
}

static int emit_document(yaml_emitter_t *emitter, const json_t *doc, bool first)
{
	yaml_event_t event;
	int r = emit(emitter, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, first),
		&event);

	if (r == 0)
		r = emit_value(emitter, doc, 0);
	return r ? r : emit(emitter, yaml_document_end_event_initialize(&event, 1), &event);
}

static int append(void *ctx, unsigned char *data, size_t len)
{
	struct buf *buf = ctx;

	buf_add(buf, data, len);
	return !buf_failed(buf);
}

static int emit_stream(yaml_emitter_t *emitter, const json_t *docs)
{
	yaml_event_t event;
	int r = emit(
		emitter, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING), &event);

	for (size_t i = 0; r == 0 && i < json_array_size(docs); i++)
		r = emit_document(emitter, json_array_get(docs, i), i == 0);
	return r ? r : emit(emitter, yaml_stream_end_event_initialize(&event), &event);
}

int yaml_add_all(struct buf *ret, const json_t *docs)
{
	yaml_emitter_t emitter;

	if (!yaml_emitter_initialize(&emitter))
		return -ENOMEM;
	yaml_emitter_set_output(&emitter, append, ret);
	yaml_emitter_set_unicode(&emitter, 1);
	yaml_emitter_set_width(&emitter, -1);
	int r = emit_stream(&emitter, docs);

	yaml_emitter_delete(&emitter);
	return r;
}

int yaml_add(struct buf *ret, const json_t *doc)
{
	CLEANUP_JSON json_t *docs = json_array();

	if (!docs || json_array_append(docs, (json_t *) doc))
		return -ENOMEM;
	return yaml_add_all(ret, docs);
}
