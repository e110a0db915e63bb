#include "mesh/guess.h"

#include <assert.h>

/* --- which side --- */

enum guess_side guess_side(
	enum disco_mapping own, const struct predict_nat *peer, struct endpoint *ret_at)
{
	const struct endpoint *at = &peer->last;

	if (at->addr.family != AF_INET || ip_addr_is_private(&at->addr) ||
		at->port < GUESS_PORT_MIN)
		return GUESS_NEITHER;
	*ret_at = *at;
	if (own == DISCO_MAPPING_RANDOM && peer->mapping == DISCO_MAPPING_INDEPENDENT)
		return GUESS_HARD;
	if (own == DISCO_MAPPING_INDEPENDENT && peer->mapping == DISCO_MAPPING_RANDOM)
		return GUESS_EASY;
	return GUESS_NEITHER;
}

/* --- pings --- */

/*
 * All numbers of 16 bits, each once, in an order that @first and the odd @step choose: what matters
 * is that none comes twice, for the NAT's choice has nothing to do with ours.
 */
static uint16_t next_port(struct guess *g)
{
	uint16_t port;

	do
		port = (uint16_t) (g->first + g->tried++ * g->step);
	while (port < GUESS_PORT_MIN);
	return port;
}

/* The next socket's time: when all are open, with the next set of them. */
static uint64_t next_socket_us(const struct guess *g)
{
	unsigned sets = g->n / GUESS_SOCKETS;

	return g->n % GUESS_SOCKETS ? g->next_us + GUESS_HARD_US
				    : g->begun_us + sets * GUESS_RENEW_US;
}

static bool next_ping(struct guess *g, uint64_t now_us, struct guess_action *ret)
{
	if (!g->begun_us || now_us < g->next_us || g->n == GUESS_PINGS)
		return false;
	if (now_us - g->next_us > GUESS_BEHIND_US)
		g->next_us = now_us - GUESS_BEHIND_US;
	*ret = (struct guess_action){ .what = GUESS_PING, .to = g->at };
	if (g->side == GUESS_HARD) {
		ret->what = GUESS_PING_BY;
		ret->socket = g->n++ % GUESS_SOCKETS;
		g->next_us = next_socket_us(g);
		return true;
	}
	ret->to.port = next_port(g);
	g->n++;
	g->next_us += GUESS_EASY_US;
	return true;
}

/* --- whether others suffer --- */

static uint64_t patience_us(const struct guess *g)
{
	return g->usual_us ? 2 * g->usual_us + GUESS_SLOWER_US : GUESS_ANSWER_US;
}

static bool is_late(const struct guess *g, uint64_t now_us)
{
	return g->asking && now_us - g->asked_us >= patience_us(g);
}

/* The next question, or the end because there were no answers. */
static bool watch(struct guess *g, uint64_t now_us, struct guess_action *ret)
{
	if (is_late(g, now_us)) {
		g->asking = false;
		g->late++;
	}
	if (g->late == GUESS_LATE) {
		*ret = (struct guess_action){ .what = GUESS_OVER,
			.end = g->begun_us ? GUESS_END_HURT : GUESS_END_DEAF };
		return true;
	}
	if (g->asking || now_us < g->ask_us)
		return false;
	g->asking = true;
	g->asked_us = now_us;
	g->ask_us = now_us + GUESS_ASK_US;
	*ret = (struct guess_action){ .what = GUESS_ASK };
	return true;
}

bool guess_answered(struct guess *g, uint64_t now_us)
{
	if (g->side == GUESS_NEITHER || !g->asking)
		return false;
	g->asking = false;
	g->late = 0;
	if (g->begun_us)
		return false;
	g->usual_us = now_us > g->asked_us ? now_us - g->asked_us : 1;
	g->begun_us = g->next_us = now_us;
	return true;
}

/* --- a try --- */

void guess_begin(struct guess *g, enum guess_side side, const struct endpoint *at, uint32_t chance,
	uint64_t now_us)
{
	assert(side != GUESS_NEITHER);
	*g = (struct guess){ .side = side,
		.at = *at,
		.first = (uint16_t) chance,
		.step = (uint16_t) (chance >> 16 | 1),
		.ask_us = now_us };
}

void guess_stop(struct guess *g)
{
	*g = (struct guess){ 0 };
}

bool guess_next(struct guess *g, uint64_t now_us, struct guess_action *ret)
{
	if (g->side == GUESS_NEITHER)
		return false;
	if (g->begun_us && now_us - g->begun_us >= GUESS_FOR_US) {
		*ret = (struct guess_action){ .what = GUESS_OVER, .end = GUESS_END_TIME };
		guess_stop(g);
		return true;
	}
	if (!watch(g, now_us, ret))
		return next_ping(g, now_us, ret);
	if (ret->what == GUESS_OVER)
		guess_stop(g);
	return true;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t guess_deadline(const struct guess *g)
{
	uint64_t at_us = g->asking ? g->asked_us + patience_us(g) : g->ask_us;

	if (g->side == GUESS_NEITHER)
		return GUESS_NEVER;
	if (!g->begun_us)
		return at_us;
	at_us = earlier(at_us, g->begun_us + GUESS_FOR_US);
	return g->n == GUESS_PINGS ? at_us : earlier(at_us, g->next_us);
}

/* --- how often --- */

static size_t find(const struct guess_addresses *a, const struct ip_addr *addr)
{
	size_t i = 0;

	while (i < a->n && !ip_addr_equal(&a->list[i].addr, addr))
		i++;
	return i;
}

static void forget_old(struct guess_addresses *a, uint64_t now_us)
{
	for (size_t i = a->n; i-- > 0;)
		if (now_us - a->list[i].first_us >= GUESS_ADDRESS_US)
			a->list[i] = a->list[--a->n];
}

bool guess_may_try(struct guess_addresses *a, const struct ip_addr *addr, uint64_t now_us)
{
	size_t i;

	forget_old(a, now_us);
	i = find(a, addr);
	if (i == GUESS_ADDRESSES || (i < a->n && a->list[i].tries == GUESS_ADDRESS_TRIES))
		return false;
	if (i == a->n) {
		a->list[a->n].addr = *addr;
		a->list[a->n].tries = 0;
		a->list[a->n++].first_us = now_us;
	}
	a->list[i].tries++;
	return true;
}

void guess_forgive(struct guess_addresses *a, const struct ip_addr *addr)
{
	size_t i = find(a, addr);

	if (i < a->n)
		a->list[i] = a->list[--a->n];
}
