/*
 * pace: when to speak and when to try again, so that nothing that goes on for ever fills a journal
 * or a disk. Pure: the caller passes the time (clock_now_us()).
 *
 *   pace     a bucket of words: a few at once, then one after the other
 *   trouble  something that is wrong and goes on being wrong: said once, again when it is wrong for
 *            another reason, and once when it is over
 *   backoff  pauses between tries that double
 *   damper   what is asked for again and again is done at once, then ever more slowly, then
 *            forgiven
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero-initialise all four. */
struct pace {
	uint64_t filled_us;
	unsigned left, held_back;
	bool begun;
};

/*
 * Takes a word: @burst at once, then one per @every_us. False: not now. *ret_held_back (on true;
 * may be NULL): how often it was false since the last true.
 */
bool pace_may(struct pace *pace, unsigned burst, uint64_t every_us, uint64_t now_us,
	unsigned *ret_held_back);
/* How many may be taken at once. */
unsigned pace_left(const struct pace *pace, unsigned burst, uint64_t every_us, uint64_t now_us);

enum { TROUBLE_CODES_MAX = 8 };

struct trouble {
	int codes[TROUBLE_CODES_MAX]; /* told since it began */
	unsigned n_codes, times;
	uint64_t since_us;
	bool on;
	struct pace pace;
};

/*
 * It is wrong, for the reason @code (an errno or another number that says why; never a text, which
 * may hold a duration or a counter). True: say so now. What comes and goes all the time is said
 * twelve times a day at most.
 */
bool trouble_is(struct trouble *trouble, int code, uint64_t now_us);

struct trouble_end {
	uint64_t lasted_us;
	unsigned times; /* trouble_is() was called so often */
};
/* It is right. True: it was told that it was wrong, so say that it is over. */
bool trouble_over(struct trouble *trouble, uint64_t now_us, struct trouble_end *ret);

struct backoff {
	uint64_t next_us;
	unsigned failures;
};

/*
 * One more failure: the next try is @min_us from now, after the next failure twice that ...
 * @max_us.
 */
void backoff_failed(struct backoff *backoff, uint64_t min_us, uint64_t max_us, uint64_t now_us);
bool backoff_is_due(const struct backoff *backoff, uint64_t now_us);

struct damping {
	unsigned free;                 /* done at once */
	uint64_t first_us, longest_us; /* pauses after these: first, twice that ... longest */
	uint64_t forget_us; /* longer than the longest: without one for so long, it begins anew */
};
struct damper {
	unsigned times;
	uint64_t last_us;
};

/*
 * For what is kept on a disk and is only a hint for the next start, which an older one serves
 * nearly as well: whoever can make us write it without end must not wear out the disk.
 */
extern const struct damping damping_of_hints;

/* How long to wait with the next time. */
uint64_t damper_wait_us(
	const struct damper *damper, const struct damping *damping, uint64_t now_us);
/* It was done. */
void damper_done(struct damper *damper, const struct damping *damping, uint64_t now_us);
/*
 * Whether it goes on and on: the next time would have to wait, or would have had to a moment ago.
 */
bool damper_is_on(const struct damper *damper, const struct damping *damping, uint64_t now_us);

enum { PACE_SPAN_MAX = 16 };
/* "12 s", "3 min", "5 h", "9 days" in @ret. Returns @ret. */
const char *pace_span_format(uint64_t us, char ret[static PACE_SPAN_MAX]);
