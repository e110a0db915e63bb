/*
 * nat-judge: see nat-judge.h. A NAT that counts does so for all that go out by it, so steps between
 * two of our requests are whole numbers of its own, and one in between may be anything: it began
 * again, or skipped what was taken.
 */
#include "mesh/nat-judge.h"

#include <stdlib.h>

/* Asked in one go: what others had mapped in between is little. */
#define TOGETHER_US UINT64_C(1000000)
enum { STEPS_MIN = 2, ODD_STEPS_MAX = 1 };

static int compare(const void *a, const void *b)
{
	const struct nat_sample *x = a, *y = b;

	return x->born < y->born ? -1 : x->born > y->born;
}

static bool all_see_the_same(const struct nat_sample *list, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (!endpoint_equal(&list[i].seen, &list[0].seen))
			return false;
	return true;
}

/* Two ports of one machine may be one destination to the NAT. */
static bool are_at_two_addresses(const struct nat_sample *list, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (!ip_addr_equal(&list[i].server.addr, &list[0].server.addr))
			return true;
	return false;
}

static bool was_seen(const struct nat_side *side, const struct ip_addr *addr)
{
	for (size_t i = 0; i < side->n_outside; i++)
		if (ip_addr_equal(&side->outside[i].addr, addr))
			return true;
	return false;
}

struct steps {
	unsigned up, down, odd;
	int least_up, least_down;
};

static void note(struct steps *s, int step)
{
	if (step > 0 && step <= NAT_STEP_MAX) {
		s->up++;
		s->least_up = s->up == 1 || step < s->least_up ? step : s->least_up;
	} else if (step < 0 && step >= -NAT_STEP_MAX) {
		s->down++;
		s->least_down = s->down == 1 || step > s->least_down ? step : s->least_down;
	} else {
		s->odd++;
	}
}

static struct steps count(const struct nat_sample *list, size_t n)
{
	struct steps s = { 0 };

	for (size_t i = 1; i < n; i++)
		if (list[i].born_us - list[i - 1].born_us <= TOGETHER_US)
			note(&s, (int16_t) (list[i].seen.port - list[i - 1].seen.port));
	return s;
}

/* They see different ports. False: too few have been chosen together to tell. */
static bool judge_steps(const struct nat_sample *list, size_t n, struct nat_side *ret)
{
	struct steps s = count(list, n);
	bool up = s.up >= s.down;
	unsigned most = up ? s.up : s.down, others = s.odd + (up ? s.down : s.up);

	if (most + others < STEPS_MIN)
		return false;
	ret->step = up ? s.least_up : s.least_down;
	ret->mapping = NAT_MAPPING_COUNTING;
	if (most < STEPS_MIN || others > ODD_STEPS_MAX) {
		ret->mapping = NAT_MAPPING_RANDOM;
		ret->step = 0;
	}
	return true;
}

void nat_judge(struct nat_sample *list, size_t n, struct nat_side *ret)
{
	bool same = all_see_the_same(list, n), two = are_at_two_addresses(list, n);

	qsort(list, n, sizeof(*list), compare);
	if (!same && judge_steps(list, n, ret))
		return;
	if (!same && ret->mapping == NAT_MAPPING_COUNTING)
		return;
	if (same && !two && was_seen(ret, &list[0].seen.addr))
		return; /* one alone says nothing else */
	ret->step = 0;
	ret->mapping = !same ? NAT_MAPPING_RANDOM
		       : two ? NAT_MAPPING_INDEPENDENT
			     : NAT_MAPPING_UNKNOWN;
}
