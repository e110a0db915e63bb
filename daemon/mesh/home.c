/* home: see home.h. */
#include "mesh/home.h"

/* Relays that come and go must not make the whole mesh read of it each time. */
static const struct damping damping = {
	.free = 3,
	.first_us = UINT64_C(10000000),
	.longest_us = UINT64_C(600000000),
	.forget_us = UINT64_C(1800000000),
};

static const struct home_choice *find(const struct home_choice *list, size_t n, uint32_t id)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].id == id)
			return &list[i];
	return NULL;
}

static const struct home_choice *nearest(const struct home_choice *list, size_t n)
{
	const struct home_choice *best = NULL;

	for (size_t i = 0; i < n; i++)
		if (list[i].answers && (!best || list[i].rtt_us < best->rtt_us))
			best = &list[i];
	return best;
}

static bool is_clearly_nearer(const struct home_choice *a, const struct home_choice *b)
{
	return a->rtt_us + HOME_NEARER_US <= b->rtt_us && a->rtt_us <= b->rtt_us - b->rtt_us / 3;
}

/* Another one has been nearer for long enough. */
static bool is_outdone(struct home *h, const struct home_choice *now,
	const struct home_choice *best, uint64_t now_us)
{
	if (!now->answers || !is_clearly_nearer(best, now)) {
		h->since_us = 0;
		return false;
	}
	if (!h->since_us)
		h->since_us = now_us;
	return now_us - h->since_us >= HOME_NEARER_FOR_US;
}

bool home_choose(struct home *h, const struct home_choice *list, size_t n, uint64_t now_us)
{
	const struct home_choice *now = find(list, n, h->id), *best = nearest(list, n);
	uint32_t was = h->id;

	if (!now)
		h->id = 0; /* it is no relay any more */
	if (best && (!now || now->silent || is_outdone(h, now, best, now_us)) &&
		damper_wait_us(&h->damper, &damping, now_us) == 0)
		h->id = best->id;
	if (h->id == was)
		return false;
	damper_done(&h->damper, &damping, now_us);
	h->since_us = 0;
	return true;
}
