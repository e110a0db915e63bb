/* table: see table.h. At most half full, so that probing ends. */
#include "mesh/table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fnv.h"

struct table_slot {
	uint8_t key[TABLE_KEY_MAX];
	uint32_t value; /* 0: free */
};

void table_done(struct table *table)
{
	free(table->slots);
	*table = (struct table){ .key_len = table->key_len };
}

static struct table_slot *slot_of(const struct table *table, const void *key)
{
	size_t i = (size_t) fnv64(FNV64_START, key, table->key_len);

	for (;; i++) {
		struct table_slot *slot = &table->slots[i & (table->cap - 1)];

		if (!slot->value || !memcmp(slot->key, key, table->key_len))
			return slot;
	}
}

int table_reserve(struct table *table, size_t extra)
{
	size_t cap = table->cap ? table->cap : 16;

	while (cap < (table->n + extra) * 2)
		cap *= 2;
	if (cap == table->cap)
		return 0;
	struct table grown = { .key_len = table->key_len, .cap = cap };

	grown.slots = calloc(cap, sizeof(*grown.slots));
	if (!grown.slots)
		return -ENOMEM;
	for (size_t i = 0; i < table->cap; i++)
		if (table->slots[i].value)
			table_set(&grown, table->slots[i].key, table->slots[i].value);
	free(table->slots);
	*table = grown;
	return 0;
}

void table_set(struct table *table, const void *key, uint32_t value)
{
	struct table_slot *slot = slot_of(table, key);

	assert(value);
	if (!slot->value) {
		assert((table->n + 1) * 2 <= table->cap);
		memcpy(slot->key, key, table->key_len);
		table->n++;
	}
	slot->value = value;
}

uint32_t table_get(const struct table *table, const void *key)
{
	return table->cap ? slot_of(table, key)->value : 0;
}
