/* announce-choose: see announce-choose.h. */
#include "node/announce-choose.h"

#include <string.h>

#include "base/clock.h"

static const struct damping damping = {
	.free = 4, /* both families, DHCP and a router that was slower, at every start */
	.first_us = 2 * USEC_PER_SEC,
	.longest_us = 300 * USEC_PER_SEC,
	.forget_us = 900 * USEC_PER_SEC,
};
#define LIVES_US (30 * USEC_PER_SEC)

static uint64_t since_of(
	const struct announce_past *a, const struct endpoint *endpoint, uint64_t now_us)
{
	for (size_t i = 0; i < a->n; i++)
		if (endpoint_equal(&a->own[i].endpoint, endpoint))
			return a->own[i].since_us;
	return now_us;
}

static void remember(
	struct announce_past *a, const struct endpoint *own, size_t n_own, uint64_t now_us)
{
	struct announce_past next = { .damper = a->damper, .restless_us = a->restless_us };

	for (size_t i = 0; i < n_own && next.n < PRESENCE_ENDPOINTS_MAX; i++) {
		next.own[next.n].endpoint = own[i];
		next.own[next.n++].since_us = since_of(a, &own[i], now_us);
	}
	*a = next;
}

static bool is_known(
	const struct presence *known, const struct endpoint *endpoints, size_t n_endpoints)
{
	if (!known || known->n_endpoints != n_endpoints)
		return false;
	for (size_t i = 0; i < n_endpoints; i++)
		if (!endpoint_equal(&known->endpoints[i], &endpoints[i]))
			return false;
	return true;
}

/* Those older than @age_us; *ret_wait_us becomes when the next one of the others is. */
static size_t take(const struct announce_past *a, uint64_t age_us, uint64_t now_us,
	struct endpoint *ret, uint64_t *ret_wait_us)
{
	size_t n = 0;

	*ret_wait_us = 0;
	for (size_t i = 0; i < a->n; i++) {
		uint64_t age = now_us - a->own[i].since_us;

		if (age >= age_us)
			ret[n++] = a->own[i].endpoint;
		else if (!*ret_wait_us || age_us - age < *ret_wait_us)
			*ret_wait_us = age_us - age;
	}
	return n;
}

static bool is_damped(const struct announce_past *a, uint64_t now_us)
{
	return damper_is_on(&a->damper, &damping, now_us) ||
	       (a->restless_us && now_us - a->restless_us <= damping.forget_us);
}

bool announce_choose(struct announce_past *a, const struct endpoint *own, size_t n_own,
	const struct presence *known, uint64_t now_us,
	struct endpoint ret[static PRESENCE_ENDPOINTS_MAX], size_t *ret_n, uint64_t *ret_wait_us)
{
	uint64_t pause = damper_wait_us(&a->damper, &damping, now_us);

	remember(a, own, n_own, now_us);
	*ret_n = take(a, is_damped(a, now_us) ? LIVES_US : 0, now_us, ret, ret_wait_us);
	if (*ret_wait_us)
		a->restless_us = now_us;
	if (!*ret_n && a->n) { /* none has lived for long: better than nothing */
		*ret_n = take(a, 0, now_us, ret, ret_wait_us);
		*ret_wait_us = LIVES_US;
	}
	if (is_known(known, ret, *ret_n))
		return false;
	if (!pause)
		return true;
	*ret_wait_us = pause;
	return false;
}

void announce_chosen(struct announce_past *a, uint64_t now_us)
{
	damper_done(&a->damper, &damping, now_us);
}
