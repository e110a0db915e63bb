/*
 * door: see door.h. A table of fixed size, four times as large as there are places: a source looks
 * at a few entries only and takes over one that nobody is in. Rates are the limiter's: one for
 * sources that are strange, one for those that are not, and one for all strange sources together,
 * so that an attacker with many addresses cannot make handshakes the only thing that is done here.
 */
#include "sys/httpd/door.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/limiter.h"

enum { PROBES = 8, ENTRIES_MIN = 64, SOURCES_LIMITED = 8192 };

struct source {
	struct ip_addr addr;   /* family 0: never used */
	unsigned n, strangers; /* of a source */
	uint64_t proven_us;    /* of an address: until then others from there are let in faster */
};

struct door {
	struct door_limits limits;
	struct limiter *stranger, *strangers, *proven; /* NULL: no limit */
	unsigned n_strangers, size;
	uint8_t seed[crypto_shorthash_KEYBYTES]; /* so that nobody can aim at an entry */
	struct source sources[];
};

/* NULL in @ret for no limit. */
static int make_limiter(const struct door_rate *rate, unsigned sources, struct limiter **ret)
{
	if (!rate->burst)
		return 0;
	*ret = limiter_new(rate->burst, rate->refill_us, sources);
	return *ret ? 0 : -ENOMEM;
}

static bool may(struct limiter *limiter, const struct ip_addr *source, uint64_t now_us)
{
	return !limiter || limiter_take(limiter, source, now_us, NULL);
}

int door_new(const struct door_limits *limits, struct door **ret)
{
	unsigned size = limits->places * 4 > ENTRIES_MIN ? limits->places * 4 : ENTRIES_MIN;
	struct door *d = calloc(1, sizeof(*d) + size * sizeof(d->sources[0]));

	if (!d)
		return -ENOMEM;
	d->limits = *limits;
	d->size = size;
	randombytes_buf(d->seed, sizeof(d->seed));
	if (make_limiter(&limits->rates.stranger, SOURCES_LIMITED, &d->stranger) < 0 ||
		make_limiter(&limits->rates.strangers, 1, &d->strangers) < 0 ||
		make_limiter(&limits->rates.proven, SOURCES_LIMITED, &d->proven) < 0) {
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
	limiter_free(door->stranger);
	limiter_free(door->strangers);
	limiter_free(door->proven);
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
		return may(d->proven, addr, now_us) ? DOOR_ENTER : DOOR_TOO_FAST;
	if (!may(d->stranger, &source, now_us) || !may(d->strangers, &everybody, now_us))
		return DOOR_TOO_FAST;
	return DOOR_ENTER;
}

void door_came(struct door *d, const struct ip_addr *addr)
{
	struct source *s = find_source(d, addr);

	d->n_strangers++;
	if (s) {
		s->n++;
		s->strangers++;
	}
}

void door_proved(struct door *d, const struct ip_addr *addr, uint64_t now_us)
{
	struct source *s = find_source(d, addr);

	d->n_strangers--;
	if (s)
		s->strangers -= s->strangers > 0;
	s = find(d, addr);
	if (s)
		s->proven_us = now_us + d->limits.rates.proven_for_us;
}

void door_left(struct door *d, const struct ip_addr *addr, bool proved)
{
	struct source *s = find_source(d, addr);

	d->n_strangers -= !proved;
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
	return d->n_strangers > d->limits.strangers ? DOOR_CROWDED : DOOR_ROOM;
}
