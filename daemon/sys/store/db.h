/*
 * db: the database file behind a store, see store.h; SQLite's only place. It belongs to one thread
 * at a time.
 */
#pragma once

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

struct db;

/* As store_open() and store_each(). */
int db_open(const char *path, const struct store_schema *schema, bool create, struct db **ret,
	struct err *err);
struct db *db_close(struct db *db);
const char *db_path(const struct db *db);
int db_each(struct db *db, size_t table, store_row_fn row, void *ctx, struct err *err);

/*
 * Carries out the list, in one transaction if that can be had; sets result and err of each batch.
 */
void db_run(struct db *db, struct store_batch *list);
