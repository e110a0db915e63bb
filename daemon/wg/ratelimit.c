/*
 * ratelimit: see ratelimit.h. A token bucket per source, counted in microseconds; a keyed
 * hash, so that nobody can aim at one chain; a list by last use, so that room is found in one step.
 */
#include "wg/ratelimit.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN_US  (UINT64_C(1000000) / WG_RATELIMIT_PER_SECOND)
#define FULL_US   (TOKEN_US * WG_RATELIMIT_BURST)
#define FORGET_US UINT64_C(1000000)

enum { NONE = 0, BUCKETS = WG_RATELIMIT_SOURCES }; /* entry 0 is the ring's head, never a source */

struct entry {
	uint64_t seen_us, tokens_us;
	uint8_t key[9];        /* family and 4 or 8 bytes */
	uint16_t bucket_next;  /* NONE ends */
	uint16_t newer, older; /* ring by last use through entry 0 */
};

struct wg_ratelimit {
	uint8_t hash_key[crypto_shorthash_KEYBYTES];
	uint16_t used; /* entries 1 .. used were ever taken */
	uint16_t bucket[BUCKETS];
	struct entry entry[WG_RATELIMIT_SOURCES + 1];
};

struct wg_ratelimit *wg_ratelimit_new(void)
{
	struct wg_ratelimit *limit = calloc(1, sizeof(*limit)); /* pages come as they are touched */

	if (limit)
		randombytes_buf(limit->hash_key, sizeof(limit->hash_key));
	return limit;
}

struct wg_ratelimit *wg_ratelimit_free(struct wg_ratelimit *limit)
{
	free(limit);
	return NULL;
}

static unsigned bucket_of(const struct wg_ratelimit *limit, const uint8_t key[static 9])
{
	uint8_t hash[crypto_shorthash_BYTES];
	uint64_t value;

	(void) crypto_shorthash(hash, key, 9, limit->hash_key); /* always 0 */
	memcpy(&value, hash, sizeof(value));
	return (unsigned) (value % BUCKETS);
}

static void ring_remove(struct wg_ratelimit *limit, uint16_t i)
{
	struct entry *e = &limit->entry[i];

	limit->entry[e->newer].older = e->older;
	limit->entry[e->older].newer = e->newer;
}

static void ring_push(struct wg_ratelimit *limit, uint16_t i)
{
	struct entry *e = &limit->entry[i], *head = &limit->entry[0];

	e->older = head->older; /* the head's older is the newest, its newer the oldest */
	e->newer = 0;
	limit->entry[head->older].newer = i;
	head->older = i;
}

static void bucket_remove(struct wg_ratelimit *limit, uint16_t i)
{
	uint16_t *at = &limit->bucket[bucket_of(limit, limit->entry[i].key)];

	while (*at != i)
		at = &limit->entry[*at].bucket_next;
	*at = limit->entry[i].bucket_next;
}

/* An entry for a new source, out of table and ring; NONE if all are in use. */
static uint16_t entry_take(struct wg_ratelimit *limit, uint64_t now_us)
{
	if (limit->used < WG_RATELIMIT_SOURCES)
		return ++limit->used;
	uint16_t oldest = limit->entry[0].newer;

	if (now_us - limit->entry[oldest].seen_us < FORGET_US)
		return NONE;
	bucket_remove(limit, oldest);
	ring_remove(limit, oldest);
	return oldest;
}

static void key_of(const struct ip_addr *source, uint8_t ret[static 9])
{
	memset(ret, 0, 9);
	ret[0] = source->family;
	memcpy(ret + 1, source->bytes, source->family == AF_INET ? 4 : 8);
}

bool wg_ratelimit_allow(struct wg_ratelimit *limit, const struct ip_addr *source, uint64_t now_us)
{
	uint8_t key[9];

	key_of(source, key);
	unsigned bucket = bucket_of(limit, key);
	uint16_t i = limit->bucket[bucket];

	while (i != NONE && memcmp(limit->entry[i].key, key, sizeof(key)) != 0)
		i = limit->entry[i].bucket_next;

	if (i == NONE) {
		i = entry_take(limit, now_us);
		if (i == NONE)
			return false;
		struct entry *fresh = &limit->entry[i];

		memcpy(fresh->key, key, sizeof(key));
		fresh->bucket_next = limit->bucket[bucket];
		limit->bucket[bucket] = i;
		fresh->tokens_us = FULL_US;
	} else {
		struct entry *known = &limit->entry[i];
		uint64_t gained = now_us - known->seen_us;

		known->tokens_us = gained >= FULL_US || known->tokens_us + gained >= FULL_US
					   ? FULL_US
					   : known->tokens_us + gained;
		ring_remove(limit, i);
	}
	ring_push(limit, i);
	struct entry *e = &limit->entry[i];

	e->seen_us = now_us;
	if (e->tokens_us < TOKEN_US)
		return false;
	e->tokens_us -= TOKEN_US;
	return true;
}
