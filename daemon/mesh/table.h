/*
 * table: fixed-size keys to small numbers, open addressing. For keys that the coordinator let in
 * (base/fnv.h says why that matters). Entries are never removed. Embedded, zero-initialised apart
 * from key_len.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { TABLE_KEY_MAX = 64 };

struct table {
	size_t key_len; /* 1..TABLE_KEY_MAX, set by the owner */
	struct table_slot *slots;
	size_t cap; /* a power of two, or 0 */
	size_t n;
};

void table_done(struct table *table);

/* Makes room for @extra keys, so that as many table_set() cannot fail. 0 or -ENOMEM. */
int table_reserve(struct table *table, size_t extra);
/* Adds or replaces; there is room. @value is not 0. */
void table_set(struct table *table, const void *key, uint32_t value);
/* 0 if absent. */
uint32_t table_get(const struct table *table, const void *key);
