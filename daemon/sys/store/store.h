/*
 * store: a few tables of keys and values that survive power cuts, on SQLite (WAL, synchronous=FULL,
 * one process at a time). The program keeps what it needs in memory: tables are read once when it
 * starts, and afterwards only written, in batches that are carried out whole or not at all. Writing
 * blocks, so it happens in one worker thread; batches that wait together share one fsync.
 *
 * Not for large tables: everything is read at start.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/err.h"

enum { STORE_QUEUE_MAX = 1024, STORE_KEY_MAX = 128, STORE_VALUE_MAX = 1 << 20 };

struct store;
struct store_batch;

/*
 * What is in a database file. migrations[i] is SQL that leads from version i to i + 1; a change of
 * the format adds one and never edits another. Each table has the columns key (TEXT or INTEGER
 * PRIMARY KEY) and value. Must live as long as the store.
 */
struct store_schema {
	uint32_t application_id; /* marks the file as ours: another one is refused */
	const char *what;        /* "the coordinator's database", for errors */
	const char *const *migrations;
	size_t n_migrations;
	const char *const *tables; /* names; the functions below take the index */
	size_t n_tables;
};

/*
 * Opens @path, makes it (mode 0600) if @create, brings it to the newest version. With @err:
 * -ENOENT it is not there, -EBUSY another process has it open, -EBADMSG damaged or no database of
 * this kind, -EPROTONOSUPPORT written by a newer program, -ENOSPC, -EIO, ...
 */
int store_open(const char *path, const struct store_schema *schema, bool create, struct store **ret,
	struct err *err);

/* Carries out what is queued (callbacks that were not yet due are called now), then closes. */
struct store *store_close(struct store *store);

/*
 * Calls @row for each row in order of key until it returns non-zero, which is returned. Before
 * store_start().
 */
typedef int (*store_row_fn)(void *ctx, const char *key, const void *value, size_t len);
int store_each(struct store *store, size_t table, store_row_fn row, void *ctx, struct err *err);

/* A batch in the making. Out of memory is remembered and reported by the commit. */
struct store_batch *store_batch_new(void);
struct store_batch *store_batch_free(struct store_batch *batch);
/* A new row: if @key is there already the whole batch fails with -EEXIST. */
void store_batch_insert(
	struct store_batch *batch, size_t table, const char *key, const void *value, size_t len);
/* A row, new or replaced. */
void store_batch_put(
	struct store_batch *batch, size_t table, const char *key, const void *value, size_t len);
/* Removes a row if it is there. */
void store_batch_delete(struct store_batch *batch, size_t table, const char *key);

/* Carries out @batch now, in this thread, and frees it. Only before store_start(). */
int store_commit_now(struct store *store, struct store_batch *batch, struct err *err);

/* Starts the worker; from now on only store_commit() and store_close(). */
int store_start(struct store *store, sd_event *event, struct err *err);

/*
 * Queues @batch (taken in every case). @done is called once from the loop when it is durable (r =
 * 0) or was refused with nothing changed: -ENOSPC disk full, -EEXIST, -EIO, -ENOMEM, with a
 * sentence. Batches are carried out and reported in the order of the calls. Returns 0, or without
 * calling @done -EBUSY (STORE_QUEUE_MAX batches wait) or -ENOMEM.
 */
typedef void (*store_done_fn)(void *ctx, int r, const struct err *err);
int store_commit(struct store *store, struct store_batch *batch, store_done_fn done, void *ctx);
