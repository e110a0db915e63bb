/*
 * store-internal: shared by store.c (SQLite) and worker.c (the thread).
 */
#pragma once

#include <pthread.h>
#include <sqlite3.h>

#include "sys/store/store.h"

enum op_kind { OP_INSERT, OP_PUT, OP_DELETE };

struct op {
	enum op_kind kind;
	size_t table;
	char *key;
	void *value;
	size_t len;
};

struct store_batch {
	struct store_batch *next;
	struct op *ops;
	size_t n_ops, cap;
	bool failed; /* out of memory while it was made */

	store_done_fn done;
	void *ctx;
	int result;
	struct err err;
};

struct store {
	sqlite3 *db;
	int lock_fd;
	char *path;
	const struct store_schema *schema;
	sqlite3_stmt **statements; /* three for each table */

	/* Shared with the worker, under @lock. */
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct store_batch *queue, **queue_end;
	struct store_batch *finished, **finished_end;
	size_t n_waiting;
	bool stop;

	pthread_t thread;
	bool started;
	int event_fd;
	sd_event_source *on_finished;
};

/* Carries out the list, in one transaction if that can be had; sets result and err of each batch. */
void store_run(struct store *s, struct store_batch *list);

/* Lets the worker finish its queue, ends it, reports what is finished. Does nothing without one. */
void store_worker_stop(struct store *s);
