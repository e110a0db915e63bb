/*
 * limiter: see limiter.h. An open-addressed table of fixed size; an address looks at a few places
 * only and, if all are taken by others, takes over the one unused longest. An attacker with many
 * addresses can so make the limiter forget addresses, never make it slow or large.
 */
#include "base/limiter.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { PROBES = 8 };

struct bucket {
	struct ip_addr addr; /* family 0: free */
	uint64_t empty_us;   /* the time at which it will be or was full, less its burst */
	uint64_t used_us;
};

struct limiter {
	unsigned burst, size;
	uint64_t refill_us;
	uint8_t seed[crypto_shorthash_KEYBYTES]; /* so that nobody can aim at a place */
	struct bucket buckets[];
};

struct limiter *limiter_new(unsigned burst, uint64_t refill_us, unsigned max)
{
	unsigned size = max > PROBES ? max : PROBES;
	struct limiter *l = calloc(1, sizeof(*l) + size * sizeof(l->buckets[0]));

	if (!l)
		return NULL;
	l->burst = burst;
	l->refill_us = refill_us;
	l->size = size;
	randombytes_buf(l->seed, sizeof(l->seed));
	return l;
}

struct limiter *limiter_free(struct limiter *limiter)
{
	free(limiter);
	return NULL;
}

/* A home or a provider's customer has a whole /64. */
struct ip_addr limiter_source(const struct ip_addr *addr)
{
	struct ip_addr key = *addr;

	if (key.family == AF_INET6)
		memset(key.bytes + 8, 0, 8);
	return key;
}

static struct bucket *find(struct limiter *l, const struct ip_addr *key)
{
	uint64_t hash;
	struct bucket *stalest = NULL;

	crypto_shorthash((uint8_t *) &hash, (const uint8_t *) key, sizeof(*key), l->seed);
	for (unsigned i = 0; i < PROBES; i++) {
		struct bucket *b = &l->buckets[(hash + i) % l->size];

		if (b->addr.family && ip_addr_equal(&b->addr, key))
			return b;
		if (!stalest || b->used_us < stalest->used_us)
			stalest = b;
	}
	*stalest = (struct bucket){ .addr = *key };
	return stalest;
}

/*
 * The bucket is kept as one time, the generic cell rate algorithm: each try moves it on by
 * refill_us; it may run ahead of now by burst * refill_us.
 */
bool limiter_take(
	struct limiter *l, const struct ip_addr *source, uint64_t now_us, uint64_t *ret_wait_us)
{
	struct bucket *b = find(l, source);
	uint64_t start = b->empty_us > now_us ? b->empty_us : now_us;

	b->used_us = now_us;
	if (start + l->refill_us > now_us + l->burst * l->refill_us) {
		if (ret_wait_us)
			*ret_wait_us = start + l->refill_us - (now_us + l->burst * l->refill_us);
		return false;
	}
	b->empty_us = start + l->refill_us;
	return true;
}

void limiter_return(struct limiter *l, const struct ip_addr *source)
{
	struct bucket *b = find(l, source);

	if (b->empty_us >= l->refill_us)
		b->empty_us -= l->refill_us;
}
