/*
 * derp-table: who is connected, by key. For derp-internal.h alone. It borrows what is put in, and
 * chains it by next_of_key.
 */
#pragma once

#include <stdint.h>

#include "relay/derp-conn.h"

struct derp_table {
	struct derp_conn **buckets; /* owned */
	unsigned bits, n;
	uint64_t odd; /* by chance: nobody can aim at a bucket */
};

/* For about @max. 0 or -ENOMEM. */
int derp_table_init(struct derp_table *table, unsigned max);
void derp_table_done(struct derp_table *table);

/* Its key must not be in it. */
void derp_table_put(struct derp_table *table, struct derp_conn *conn);
/* It must be in it. */
void derp_table_remove(struct derp_table *table, struct derp_conn *conn);

/* NULL: there is none. */
struct derp_conn *derp_table_find(
	const struct derp_table *table, const uint8_t key[static DERP_KEY_LEN]);
