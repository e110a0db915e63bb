/*
 * door: see door.h. A table of fixed size, four times as large as there are places: a source looks at a few
 * entries only and takes over one that nobody is in. Rates are the limiter's: one for sources that are
 * strange, one for those that are not, and one for all strange sources together, so that an attacker with
 * many addresses cannot make handshakes the only thing that is done here.
 */
#include "sys/httpd/door.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/limiter.h"

enum { PROBES = 8, ENTRIES_MIN = 64, SOURCES_LIMITED = 8192 };
enum { STRANGE_BURST = 32, ALL_BURST = 1000, PROVEN_BURST = 1000 };
#define STRANGE_REFILL_US (2 * USEC_PER_SEC)
#define ALL_REFILL_US     (USEC_PER_SEC / 200)
#define PROVEN_REFILL_US  (USEC_PER_SEC / 50)
#define PROVEN_FOR_US     (3600 * USEC_PER_SEC)

struct source {
	struct ip_addr addr;   /* family 0: never used */
	unsigned n, strangers; /* of a source */
	uint64_t proven_us;    /* of an address: until then others from there are let in faster */
};

struct door {
	struct door_limits limits;
	struct limiter *strange, *proven, *all;
	unsigned strangers, size;
	uint8_t seed[crypto_shorthash_KEYBYTES]; /* so that nobody can aim at an entry */
	struct source sources[];
};

int door_new(const struct door_limits *limits, struct door **ret)
{
	unsigned size = limits->places * 4 > ENTRIES_MIN ? limits->places * 4 : ENTRIES_MIN;
	struct door *d = calloc(1, sizeof(*d) + size * sizeof(d->sources[0]));
	if (!d)
		return -ENOMEM;
	d->limits = *limits;
	d->size = size;
	randombytes_buf(d->seed, sizeof(d->seed));
	d->strange = limiter_new(STRANGE_BURST, STRANGE_REFILL_US, SOURCES_LIMITED);
	d->proven = limiter_new(PROVEN_BURST, PROVEN_REFILL_US, SOURCES_LIMITED);
	d->all = limiter_new(ALL_BURST, ALL_REFILL_US, 1);
	if (!d->strange || !d->proven || !d->all) {
		(void) door_free(d);
		return -ENOMEM;
	}
	*ret = d;
	return 0;
}

struct door *door_free(struct door *door)
{
	if (!door)
		return NULL;
	limiter_free(door->strange);
	limiter_free(door->proven);
	limiter_free(door->all);
	free(door);
	return NULL;
}

static struct ip_addr source_of(const struct door *d, const struct ip_addr *addr)
{
	return ip_prefix_contains(&d->limits.proven, addr) ? *addr : limiter_source(addr);
}

/* The entry of @key, or one for it; NULL if each that it may have is in use by another. */
static struct source *find(struct door *d, const struct ip_addr *key)
{
	struct source *spare = NULL;
	uint64_t hash;
	crypto_shorthash((uint8_t *) &hash, (const uint8_t *) key, sizeof(*key), d->seed);
	for (unsigned i = 0; i < PROBES; i++) {
		struct source *s = &d->sources[(hash + i) % d->size];
		if (s->addr.family && ip_addr_equal(&s->addr, key))
			return s;
		if (!s->n && (!spare || s->proven_us < spare->proven_us))
			spare = s;
	}
	if (spare)
		*spare = (struct source){ .addr = *key };
	return spare;
}

static struct source *find_source(struct door *d, const struct ip_addr *addr)
{
	struct ip_addr source = source_of(d, addr);
	return find(d, &source);
}

static bool is_proven(struct door *d, const struct ip_addr *addr, uint64_t now_us)
{
	const struct source *s = find(d, addr);
	return s && s->proven_us > now_us;
}

enum door_answer door_ask(struct door *d, const struct ip_addr *addr, uint64_t now_us)
{
	static const struct ip_addr everybody = { .family = AF_INET };
	struct ip_addr source = source_of(d, addr);
	const struct source *s = find(d, &source);
	if (!s || s->n >= d->limits.per_source)
		return DOOR_FULL;
	if (is_proven(d, addr, now_us))
		return limiter_take(d->proven, addr, now_us, NULL) ? DOOR_ENTER : DOOR_TOO_FAST;
	if (!limiter_take(d->strange, &source, now_us, NULL) ||
		!limiter_take(d->all, &everybody, now_us, NULL))
		return DOOR_TOO_FAST;
	return DOOR_ENTER;
}

void door_came(struct door *d, const struct ip_addr *addr)
{
	struct source *s = find_source(d, addr);
	d->strangers++;
	if (s) {
		s->n++;
		s->strangers++;
	}
}

void door_proved(struct door *d, const struct ip_addr *addr, uint64_t now_us)
{
	struct source *s = find_source(d, addr);
	d->strangers--;
	if (s)
		s->strangers -= s->strangers > 0;
	s = find(d, addr);
	if (s)
		s->proven_us = now_us + PROVEN_FOR_US;
}

void door_left(struct door *d, const struct ip_addr *addr, bool proved)
{
	struct source *s = find_source(d, addr);
	d->strangers -= !proved;
	if (!s)
		return;
	s->n -= s->n > 0;
	s->strangers -= !proved && s->strangers > 0;
}

bool door_same_source(const struct door *d, const struct ip_addr *a, const struct ip_addr *b)
{
	struct ip_addr x = source_of(d, a), y = source_of(d, b);
	return ip_addr_equal(&x, &y);
}

unsigned door_strangers_from(struct door *d, const struct ip_addr *addr)
{
	const struct source *s = find_source(d, addr);
	return s ? s->strangers : 0;
}

enum door_crowd door_crowd(struct door *d, const struct ip_addr *addr)
{
	if (door_strangers_from(d, addr) > d->limits.strangers_per_source)
		return DOOR_CROWDED_SOURCE;
	return d->strangers > d->limits.strangers ? DOOR_CROWDED : DOOR_ROOM;
}
