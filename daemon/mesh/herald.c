/* herald: see herald.h. Whatever is said tells where we are, so it answers those who asked, too. */
#include "mesh/herald.h"

void herald_init(struct herald *h)
{
	*h = (struct herald){
		.move_us = HERALD_NEVER, .answer_us = HERALD_NEVER, .ask_us = HERALD_NEVER
	};
}

static uint64_t later(uint64_t a_us, uint64_t b_us)
{
	return a_us > b_us ? a_us : b_us;
}

static uint64_t sooner(uint64_t a_us, uint64_t b_us)
{
	return a_us < b_us ? a_us : b_us;
}

/* So long after what was said last; now, if nothing was. */
static uint64_t after_last(const struct herald *h, uint64_t us, uint64_t now_us)
{
	return h->said_us ? later(h->said_us + us, now_us) : now_us;
}

/* While a move is being told, we ask with that. */
static void ask_often(struct herald *h, uint64_t now_us)
{
	h->ask_pause_us = HERALD_ASK_US;
	h->ask_us = now_us + (h->left ? HERALD_TOLD_US : 0);
}

void herald_moved(struct herald *h, uint64_t now_us)
{
	bool often = pace_may(&h->moves, HERALD_MOVES, HERALD_MOVES_EVERY_US, now_us, NULL);

	if (often) {
		h->left = HERALD_TIMES;
		h->pause_us = HERALD_PAUSE_US;
		h->move_us = now_us;
	} else if (!h->left) {
		h->left = 1;
		h->move_us = after_last(h, HERALD_MOVED_US, now_us);
	}
	if (often && h->ask_us != HERALD_NEVER)
		ask_often(h, now_us);
}

void herald_asked(struct herald *h, uint64_t now_us, uint32_t chance)
{
	if (h->answer_us == HERALD_NEVER)
		h->answer_us = later(after_last(h, HERALD_AGAIN_US, now_us),
			now_us + chance % (HERALD_ANSWER_US + 1));
}

void herald_misses(struct herald *h, bool any, uint64_t now_us)
{
	if (!any)
		h->ask_us = HERALD_NEVER;
	else if (h->ask_us == HERALD_NEVER)
		ask_often(h, now_us);
}

static void said_move(struct herald *h, uint64_t now_us)
{
	h->left--;
	h->move_us = h->left ? now_us + h->pause_us : HERALD_NEVER;
	h->pause_us *= 2;
}

static void said_ask(struct herald *h, uint64_t now_us)
{
	h->ask_us = now_us + h->ask_pause_us;
	h->ask_pause_us = sooner(h->ask_pause_us * 2, HERALD_ASK_MOST_US);
}

enum herald_word herald_speak(struct herald *h, uint64_t now_us)
{
	bool moved = now_us >= h->move_us, asks = now_us >= h->ask_us;

	if (!moved && !asks && now_us < h->answer_us)
		return HERALD_NOTHING;
	if (moved)
		said_move(h, now_us);
	if (asks)
		said_ask(h, now_us);
	h->answer_us = HERALD_NEVER;
	h->said_us = now_us;
	return moved || asks ? HERALD_ASK : HERALD_ANNOUNCE;
}

uint64_t herald_deadline(const struct herald *h)
{
	return sooner(sooner(h->move_us, h->ask_us), h->answer_us);
}
