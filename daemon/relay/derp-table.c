/* derp-table: see derp-table.h. */
#include "relay/derp-table.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "packet/bytes.h"

enum { BITS_MIN = 4, BITS_MAX = 16 };

int derp_table_init(struct derp_table *t, unsigned max)
{
	*t = (struct derp_table){ .bits = BITS_MIN };
	while (t->bits < BITS_MAX && 1U << t->bits < max)
		t->bits++;
	randombytes_buf(&t->odd, sizeof(t->odd));
	t->odd |= 1;
	t->buckets = calloc((size_t) 1 << t->bits, sizeof(t->buckets[0]));
	return t->buckets ? 0 : -ENOMEM;
}

void derp_table_done(struct derp_table *t)
{
	free(t->buckets);
	*t = (struct derp_table){ 0 };
}

/* Keys are numbers by chance. */
static struct derp_conn **bucket(const struct derp_table *t, const uint8_t key[static DERP_KEY_LEN])
{
	return &t->buckets[raw64_read(key) * t->odd >> (64 - t->bits)];
}

void derp_table_put(struct derp_table *t, struct derp_conn *conn)
{
	struct derp_conn **at = bucket(t, conn->client.key);

	conn->next_of_key = *at;
	*at = conn;
	t->n++;
}

void derp_table_remove(struct derp_table *t, struct derp_conn *conn)
{
	struct derp_conn **at = bucket(t, conn->client.key);

	while (*at != conn)
		at = &(*at)->next_of_key;
	*at = conn->next_of_key;
	t->n--;
}

struct derp_conn *derp_table_find(
	const struct derp_table *t, const uint8_t key[static DERP_KEY_LEN])
{
	struct derp_conn *c = *bucket(t, key);

	while (c && memcmp(c->client.key, key, DERP_KEY_LEN) != 0)
		c = c->next_of_key;
	return c;
}
