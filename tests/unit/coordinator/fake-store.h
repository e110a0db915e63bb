/*
 * fake-store: the coordinator's tables in memory, instead of sys/store. What is committed waits
 * until the test lets the disk have it, or says what became of it.
 */
#pragma once

#include "coordinator/schema.h"

/* Empties it. */
void fake_store_reset(void);
/* The one that there is. */
struct store *fake_store(void);

/* Writes a row, as if it had been there before. */
void fake_store_put(enum schema_table table, const char *key, const char *value);
void fake_store_drop(enum schema_table table, const char *key);
/* The value of a row, borrowed, NULL if there is none. */
const char *fake_store_get(enum schema_table table, const char *key);
size_t fake_store_rows(enum schema_table table);

/* The disk has written what waits, and all that comes of it. Returns how many batches. */
size_t fake_store_flush(void);
size_t fake_store_waiting(void);

/*
 * From now on: 0 all is well; store_commit() returns this; what store_commit() took ends with that.
 */
extern int fake_store_refuses, fake_store_fails;
/* What store_open() and store_start() return instead of 0. */
extern int fake_store_open_fails, fake_store_start_fails;
