/* fake-store: see fake-store.h. */
#include "fake-store.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TABLES = TABLE_PRESENCE + 1, ROWS_MAX = 8192 };

enum op { OP_INSERT, OP_PUT, OP_DELETE };

struct row {
	char *key, *value;
};

struct write {
	struct write *next;
	enum op op;
	size_t table;
	char *key, *value;
};

struct store_batch {
	struct store_batch *next;
	struct write *first, **end;
	store_done_fn done;
	void *ctx;
};

static struct {
	struct row rows[TABLES][ROWS_MAX];
	size_t n[TABLES];
	struct store_batch *queue, **queue_end;
} store;

int fake_store_refuses, fake_store_fails, fake_store_open_fails, fake_store_start_fails;

void fake_store_reset(void)
{
	assert_null(store.queue);
	for (size_t t = 0; t < TABLES; t++) {
		for (size_t i = 0; i < store.n[t]; i++) {
			free(store.rows[t][i].key);
			free(store.rows[t][i].value);
		}
		store.n[t] = 0;
	}
	fake_store_refuses = fake_store_fails = fake_store_open_fails = fake_store_start_fails = 0;
}

struct store *fake_store(void)
{
	return (struct store *) &store;
}

/* Tables of numbers are in their order. */
static int compare(size_t table, const char *a, const char *b)
{
	long x = strtol(a, NULL, 10), y = strtol(b, NULL, 10);

	if (table != TABLE_LOG && table != TABLE_PRESENCE)
		return strcmp(a, b);
	return (x > y) - (x < y);
}

static struct row *find(size_t table, const char *key)
{
	for (size_t i = 0; i < store.n[table]; i++)
		if (!strcmp(store.rows[table][i].key, key))
			return &store.rows[table][i];
	return NULL;
}

static void drop(size_t table, const char *key)
{
	struct row *row = find(table, key);

	if (!row)
		return;
	free(row->key);
	free(row->value);
	store.n[table]--;
	memmove(row, row + 1, (size_t) (&store.rows[table][store.n[table]] - row) * sizeof(*row));
}

static void add(size_t table, const char *key, const char *value)
{
	struct row *rows = store.rows[table];
	size_t at = store.n[table];

	assert_true(at < ROWS_MAX);
	while (at > 0 && compare(table, rows[at - 1].key, key) > 0)
		at--;
	memmove(&rows[at + 1], &rows[at], (store.n[table]++ - at) * sizeof(*rows));
	rows[at] = (struct row){ strdup(key), strdup(value) };
}

void fake_store_put(enum schema_table table, const char *key, const char *value)
{
	drop(table, key);
	add(table, key, value);
}

void fake_store_drop(enum schema_table table, const char *key)
{
	drop(table, key);
}

const char *fake_store_get(enum schema_table table, const char *key)
{
	const struct row *row = find(table, key);

	return row ? row->value : NULL;
}

size_t fake_store_rows(enum schema_table table)
{
	return store.n[table];
}

static int carry_out(const struct store_batch *b)
{
	for (const struct write *w = b->first; w; w = w->next)
		if (w->op == OP_INSERT && find(w->table, w->key))
			return -EEXIST;
	for (const struct write *w = b->first; w; w = w->next) {
		drop(w->table, w->key);
		if (w->op != OP_DELETE)
			add(w->table, w->key, w->value);
	}
	return 0;
}

size_t fake_store_waiting(void)
{
	size_t n = 0;

	for (const struct store_batch *b = store.queue; b; b = b->next)
		n++;
	return n;
}

size_t fake_store_flush(void)
{
	size_t n = 0;

	for (struct store_batch *b; (b = store.queue); n++) {
		struct err err = { 0 };
		int r = fake_store_fails;

		store.queue = b->next;
		if (r == 0)
			r = carry_out(b);
		if (r < 0)
			(void) err_set(&err, r, "the disk says no");
		if (b->done)
			b->done(b->ctx, r, &err);
		(void) store_batch_free(b);
	}
	return n;
}

int store_open(const char *path, const struct store_schema *schema, bool create, struct store **ret,
	struct err *err)
{
	assert_ptr_equal(schema, &schema_coordinator);
	if (fake_store_open_fails < 0)
		return err_set(err, fake_store_open_fails, "open %s: the disk says no", path);
	*ret = fake_store();
	return 0;
}

struct store *store_close(struct store *s)
{
	if (s)
		(void) fake_store_flush();
	return NULL;
}

int store_each(struct store *s, size_t table, store_row_fn row, void *ctx, struct err *err)
{
	int r = 0;

	assert_ptr_equal(s, fake_store());
	for (size_t i = 0; i < store.n[table] && r == 0; i++) {
		const struct row *it = &store.rows[table][i];

		r = row(ctx, it->key, it->value, strlen(it->value));
	}
	return r;
}

struct store_batch *store_batch_new(void)
{
	struct store_batch *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->end = &b->first;
	return b;
}

struct store_batch *store_batch_free(struct store_batch *b)
{
	for (struct write *w; b && (w = b->first);) {
		b->first = w->next;
		free(w->key);
		free(w->value);
		free(w);
	}
	free(b);
	return NULL;
}

static void add_write(struct store_batch *b, enum op op, size_t table, const char *key,
	const void *value, size_t len)
{
	struct write *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	assert_true(table < TABLES);
	*w = (struct write){ .op = op, .table = table, .key = strdup(key) };
	w->value = value ? strndup(value, len) : NULL;
	*b->end = w;
	b->end = &w->next;
}

void store_batch_insert(
	struct store_batch *b, size_t table, const char *key, const void *value, size_t len)
{
	add_write(b, OP_INSERT, table, key, value, len);
}

void store_batch_put(
	struct store_batch *b, size_t table, const char *key, const void *value, size_t len)
{
	add_write(b, OP_PUT, table, key, value, len);
}

void store_batch_delete(struct store_batch *b, size_t table, const char *key)
{
	add_write(b, OP_DELETE, table, key, NULL, 0);
}

int store_commit_now(struct store *s, struct store_batch *b, struct err *err)
{
	int r = fake_store_fails ? fake_store_fails : carry_out(b);

	(void) store_batch_free(b);
	return r < 0 ? err_set(err, r, "the disk says no") : 0;
}

int store_start(struct store *s, sd_event *event, struct err *err)
{
	return fake_store_start_fails < 0
		       ? err_set(err, fake_store_start_fails, "the worker says no")
		       : 0;
}

int store_commit(struct store *s, struct store_batch *b, store_done_fn done, void *ctx)
{
	assert_ptr_equal(s, fake_store());
	if (fake_store_refuses < 0) {
		(void) store_batch_free(b);
		return fake_store_refuses;
	}
	b->done = done;
	b->ctx = ctx;
	if (!store.queue)
		store.queue_end = &store.queue;
	*store.queue_end = b;
	store.queue_end = &b->next;
	return 0;
}
