/*
 * store: see store.h. The worker has one list of batches at a time; what is committed meanwhile
 * waits for the next one, and so shares its fsync.
 */
#include "sys/store/store.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sys/store/db.h"
#include "sys/work/work.h"

struct store {
	struct db *db;     /* the thread's while a list is with it */
	struct work *work; /* NULL before store_start() */
	struct store_batch *waiting, **waiting_end;
	struct store_batch *running; /* with the thread */
	size_t n_waiting;            /* in both */
};

int store_open(const char *path, const struct store_schema *schema, bool create, struct store **ret,
	struct err *err)
{
	struct store *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_set(err, -ENOMEM, "%s: out of memory", path);
	s->waiting_end = &s->waiting;
	r = db_open(path, schema, create, &s->db, err);
	if (r < 0) {
		free(s);
		return r;
	}
	*ret = s;
	return 0;
}

int store_each(struct store *s, size_t table, store_row_fn row, void *ctx, struct err *err)
{
	assert(!s->work);
	return db_each(s->db, table, row, ctx, err);
}

struct store_batch *store_batch_new(void)
{
	return calloc(1, sizeof(struct store_batch));
}

struct store_batch *store_batch_free(struct store_batch *batch)
{
	if (!batch)
		return NULL;
	for (size_t i = 0; i < batch->n_ops; i++) {
		if (batch->ops[i].value)
			explicit_bzero(batch->ops[i].value, batch->ops[i].len);
		free(batch->ops[i].value);
		free(batch->ops[i].key);
	}
	free(batch->ops);
	free(batch);
	return NULL;
}

static void batch_add(struct store_batch *b, enum op_kind kind, size_t table, const char *key,
	const void *value, size_t len)
{
	if (!b)
		return;
	if (b->n_ops == b->cap) {
		size_t cap = b->cap ? b->cap * 2 : 4;
		struct op *ops = reallocarray(b->ops, cap, sizeof(*ops));

		if (!ops) {
			b->failed = true;
			return;
		}
		b->ops = ops;
		b->cap = cap;
	}
	struct op op = { .kind = kind, .table = table, .key = strdup(key), .len = len };

	op.value = malloc(len + 1);
	if (!op.key || !op.value || strlen(key) > STORE_KEY_MAX || len > STORE_VALUE_MAX) {
		free(op.key);
		free(op.value);
		b->failed = true;
		return;
	}
	if (len)
		memcpy(op.value, value, len);
	b->ops[b->n_ops++] = op;
}

void store_batch_insert(
	struct store_batch *batch, size_t table, const char *key, const void *value, size_t len)
{
	batch_add(batch, OP_INSERT, table, key, value, len);
}

void store_batch_put(
	struct store_batch *batch, size_t table, const char *key, const void *value, size_t len)
{
	batch_add(batch, OP_PUT, table, key, value, len);
}

void store_batch_delete(struct store_batch *batch, size_t table, const char *key)
{
	batch_add(batch, OP_DELETE, table, key, NULL, 0);
}

int store_commit_now(struct store *s, struct store_batch *batch, struct err *err)
{
	int r;

	assert(!s->work);
	if (!batch)
		return err_set(err, -ENOMEM, "%s: out of memory", db_path(s->db));
	db_run(s->db, batch);
	r = batch->result;
	if (r < 0 && err)
		*err = batch->err;
	(void) store_batch_free(batch);
	return r;
}

int store_start(struct store *s, sd_event *event, struct err *err)
{
	return work_new(event, "store", &s->work, err);
}

static void run(void *store)
{
	struct store *s = store;

	db_run(s->db, s->running);
}

static void ran(void *store);

static void run_waiting(struct store *s)
{
	int r;

	if (s->running || !s->waiting)
		return;
	s->running = s->waiting;
	s->waiting = NULL;
	s->waiting_end = &s->waiting;
	r = work_do(s->work, run, ran, s);
	assert(r == 0); /* it is the only job of this worker */
	(void) r;
}

/* Calls back for what is finished, one by one: a callback may commit more. */
static void ran(void *store)
{
	struct store *s = store;
	struct store_batch *list = s->running;

	for (const struct store_batch *b = list; b; b = b->next)
		s->n_waiting--;
	s->running = NULL;
	run_waiting(s); /* the disk needs not wait for the callbacks */
	while (list) {
		struct store_batch *b = list;

		list = b->next;
		if (b->done)
			b->done(b->ctx, b->result, b->result < 0 ? &b->err : NULL);
		(void) store_batch_free(b);
	}
}

int store_commit(struct store *s, struct store_batch *batch, store_done_fn done, void *ctx)
{
	assert(s->work);
	if (!batch)
		return -ENOMEM;
	if (s->n_waiting >= STORE_QUEUE_MAX) {
		(void) store_batch_free(batch);
		return -EBUSY;
	}
	batch->done = done;
	batch->ctx = ctx;
	batch->next = NULL;
	*s->waiting_end = batch;
	s->waiting_end = &batch->next;
	s->n_waiting++;
	run_waiting(s);
	return 0;
}

struct store *store_close(struct store *s)
{
	if (s) {
		s->work = work_free(s->work);
		s->db = db_close(s->db);
	}
	free(s);
	return NULL;
}
