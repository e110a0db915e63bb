/*
 * replay: see replay.h. Constant time but for the words that a jump ahead clears (at most
 * 128).
 */
#include "wg/replay.h"

enum { WORDS = WG_REPLAY_BITS / 64 };

bool wg_replay_accept(struct wg_replay *replay, uint64_t counter, uint64_t limit)
{
	if (counter >= limit)
		return false;
	if (counter < replay->next && replay->next - counter > WG_REPLAY_WINDOW)
		return false;
	uint64_t word = counter / 64;

	if (counter >= replay->next) {
		uint64_t last = replay->next ? (replay->next - 1) / 64 : 0;
		uint64_t ahead = word - last;

		if (ahead > WORDS)
			ahead = WORDS;
		for (uint64_t i = 1; i <= ahead; i++)
			replay->ring[(last + i) % WORDS] = 0;
		replay->next = counter + 1;
	}
	uint64_t bit = UINT64_C(1) << counter % 64;
	uint64_t *slot = &replay->ring[word % WORDS];

	if (*slot & bit)
		return false;
	*slot |= bit;
	return true;
}
