/* pace: see pace.h. */
#include "base/pace.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"

#define TROUBLE_EVERY_US (2 * 3600 * USEC_PER_SEC)
enum { TROUBLE_BURST = 4 };

bool pace_may(struct pace *pace, unsigned burst, uint64_t every_us, uint64_t now_us,
	unsigned *ret_held_back)
{
	uint64_t refill;

	if (!pace->begun)
		*pace = (struct pace){ .filled_us = now_us, .left = burst, .begun = true };
	refill = now_us > pace->filled_us ? (now_us - pace->filled_us) / every_us : 0;
	if (pace->left + refill >= burst) {
		pace->left = burst;
		pace->filled_us = now_us;
	} else {
		pace->left += (unsigned) refill;
		pace->filled_us += refill * every_us;
	}
	if (!pace->left) {
		pace->held_back++;
		return false;
	}
	pace->left--;
	if (ret_held_back)
		*ret_held_back = pace->held_back;
	pace->held_back = 0;
	return true;
}

unsigned pace_left(const struct pace *pace, unsigned burst, uint64_t every_us, uint64_t now_us)
{
	uint64_t refill = now_us > pace->filled_us ? (now_us - pace->filled_us) / every_us : 0;

	return !pace->begun || pace->left + refill >= burst ? burst
							    : pace->left + (unsigned) refill;
}

bool trouble_is(struct trouble *trouble, int code, uint64_t now_us)
{
	if (!trouble->on) {
		trouble->on = true;
		trouble->since_us = now_us;
		trouble->n_codes = trouble->times = 0;
	}
	trouble->times++;
	for (unsigned i = 0; i < trouble->n_codes; i++)
		if (trouble->codes[i] == code)
			return false;
	if (trouble->n_codes == TROUBLE_CODES_MAX ||
		!pace_may(&trouble->pace, TROUBLE_BURST, TROUBLE_EVERY_US, now_us, NULL))
		return false;
	trouble->codes[trouble->n_codes++] = code;
	return true;
}

bool trouble_over(struct trouble *trouble, uint64_t now_us, struct trouble_end *ret)
{
	bool told = trouble->on && trouble->n_codes;

	if (told)
		*ret = (struct trouble_end){
			.lasted_us = now_us > trouble->since_us ? now_us - trouble->since_us : 0,
			.times = trouble->times,
		};
	trouble->on = false;
	return told;
}

void backoff_failed(struct backoff *backoff, uint64_t min_us, uint64_t max_us, uint64_t now_us)
{
	uint64_t pause = min_us;

	for (unsigned i = 0; i < backoff->failures && pause < max_us; i++)
		pause *= 2;
	backoff->failures++;
	backoff->next_us = now_us + (pause < max_us ? pause : max_us);
}

bool backoff_is_due(const struct backoff *backoff, uint64_t now_us)
{
	return now_us >= backoff->next_us;
}

const struct damping damping_of_hints = {
	.free = 4,
	.first_us = 60 * USEC_PER_SEC,
	.longest_us = 1800 * USEC_PER_SEC,
	.forget_us = 3 * 3600 * USEC_PER_SEC,
};

static bool is_forgotten(
	const struct damper *damper, const struct damping *damping, uint64_t now_us)
{
	return now_us - damper->last_us > damping->forget_us;
}

uint64_t damper_wait_us(const struct damper *damper, const struct damping *damping, uint64_t now_us)
{
	uint64_t pause = damping->first_us, since = now_us - damper->last_us;

	if (damper->times < damping->free || is_forgotten(damper, damping, now_us))
		return 0;
	for (unsigned i = damping->free; i < damper->times && pause < damping->longest_us; i++)
		pause *= 2;
	pause = pause < damping->longest_us ? pause : damping->longest_us;
	return pause > since ? pause - since : 0;
}

void damper_done(struct damper *damper, const struct damping *damping, uint64_t now_us)
{
	if (is_forgotten(damper, damping, now_us))
		damper->times = 0;
	damper->times++;
	damper->last_us = now_us;
}

bool damper_is_on(const struct damper *damper, const struct damping *damping, uint64_t now_us)
{
	return damper->times > damping->free && !is_forgotten(damper, damping, now_us);
}

const char *pace_span_format(uint64_t us, char ret[static PACE_SPAN_MAX])
{
	uint64_t s = us / USEC_PER_SEC;

	if (s < 120)
		(void) snprintf(ret, PACE_SPAN_MAX, "%" PRIu64 " s", s);
	else if (s < 120 * 60)
		(void) snprintf(ret, PACE_SPAN_MAX, "%" PRIu64 " min", s / 60);
	else if (s < 48 * 3600)
		(void) snprintf(ret, PACE_SPAN_MAX, "%" PRIu64 " h", s / 3600);
	else
		(void) snprintf(ret, PACE_SPAN_MAX, "%" PRIu64 " days", s / 86400 % 1000000);
	return ret;
}
