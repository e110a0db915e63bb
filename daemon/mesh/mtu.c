/*
 * mtu: see mtu.h. A probe that is lost for another reason than its size costs a little: each is
 * sent twice at least before a smaller one is believed, and what was missed is found by growth.
 */
#include "mesh/mtu.h"

#include "base/cleanup.h"

/*
 * What is tried below the interface's MTU. The tunnel pads packets to multiples of 16 (but not
 * above the interface's MTU), so only such a size goes out as long as it is. Behind them, the MTU
 * of an underlay that leaves so much by IPv4 and by IPv6 (60 and 80 bytes are in front).
 */
static const uint16_t likely[] = {
	1440, /* 1500 by IPv4, of an interface that has more; others have 1420, which is tried */
	1408, /* PPPoE's 1492 by IPv6 */
	1392, /* 1460 by IPv4, 1480 by IPv6: a tunnel in IPv4 */
	1376, /* 1450 by IPv4, 1460 by IPv6 */
	1360, /* 1450 by IPv6 */
	1344, 1328,         /* 1400 by IPv4 */
	1312,               /* 1400 by IPv6 */
	1296, 1280,         /* 1340 by IPv4, 1360 by IPv6 */
	1216,               /* 1280 by IPv4 */
	1200,               /* 1280 by IPv6, which has no less */
	1152, 1104, 1056,   /* 1124 by IPv4 */
	960, 768, MTU_SURE, /* 576 by IPv4 */
};

/* So often, before a step is over. */
static const unsigned tries[] = { [MTU_TRIES_TOP] = 1,
	[MTU_TRIES_ALL] = 2,
	[MTU_TRIES_LESS] = 2,
	[MTU_CHECKS] = 3,
	[MTU_GROWS] = 2 };

static void begin(struct mtu *m, enum mtu_step step, uint64_t now_us)
{
	m->step = step;
	m->sent = 0;
	m->next_us = now_us;
}

static void rest(struct mtu *m, uint64_t again_us)
{
	m->step = MTU_RESTS;
	m->again_us = again_us;
}

/* The search has found @size. */
static void settle(struct mtu *m, unsigned size, uint64_t now_us)
{
	m->size = size;
	rest(m, now_us + MTU_GROW_US);
}

static uint64_t wait_for(uint64_t rtt_us)
{
	uint64_t wait_us = 2 * rtt_us + MTU_SLACK_US;

	if (wait_us < MTU_WAIT_US)
		return MTU_WAIT_US;
	return wait_us < MTU_WAIT_MOST_US ? wait_us : MTU_WAIT_MOST_US;
}

void mtu_way(struct mtu *m, unsigned top, uint64_t rtt_us, uint64_t now_us)
{
	m->top = top;
	m->best = 0;
	m->wait_us = wait_for(rtt_us);
	if (top && m->size > top)
		m->size = top;
	if (top)
		begin(m, MTU_TRIES_TOP, now_us);
	else
		rest(m, 0);
}

/* --- reasons to look again --- */

static void check(struct mtu *m, uint64_t now_us)
{
	m->checked_us = now_us;
	m->best = 0;
	m->alive = false;
	begin(m, MTU_CHECKS, now_us);
}

void mtu_traffic(struct mtu *m, bool much, uint64_t now_us)
{
	if (!m->top || m->step != MTU_RESTS)
		return;
	if (m->size < m->top && now_us >= m->again_us) {
		m->best = 0;
		begin(m, m->size ? MTU_GROWS : MTU_TRIES_TOP, now_us);
	} else if (m->size && much) {
		check(m, now_us);
	}
}

void mtu_doubt(struct mtu *m, uint64_t sent, uint64_t now_us)
{
	if (sent < MTU_SURE)
		return;
	if (now_us - m->doubted_us >= 2 * MTU_DOUBT_MOST_US)
		m->pause_us = 0;
	m->doubted_us = now_us;
	if (!m->top || m->step != MTU_RESTS || !m->size || now_us - m->checked_us < m->pause_us)
		return;
	m->pause_us = m->pause_us ? 2 * m->pause_us : MTU_DOUBT_US;
	if (m->pause_us > MTU_DOUBT_MOST_US)
		m->pause_us = MTU_DOUBT_MOST_US;
	check(m, now_us);
}

/* --- steps --- */

/* All from @above (not with it) down to @least that are below the interface's MTU. */
static size_t list_likely(const struct mtu *m, unsigned above, unsigned least, uint16_t *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(likely); i++)
		if (likely[i] < m->top && likely[i] < above && likely[i] >= least &&
			likely[i] > m->best)
			ret[n++] = likely[i];
	return n;
}

static size_t list_all(const struct mtu *m, uint16_t *ret)
{
	ret[0] = (uint16_t) m->top;
	return 1 + list_likely(m, m->top, MTU_LEAST, ret + 1);
}

/* The next one, and the most there can be. */
static size_t list_more(const struct mtu *m, uint16_t *ret)
{
	unsigned next = m->top;

	for (size_t i = 0; i < ARRAY_LEN(likely); i++)
		if (likely[i] > m->size && likely[i] < next)
			next = likely[i];
	ret[0] = (uint16_t) m->top;
	ret[1] = (uint16_t) next;
	return next == m->top ? 1 : 2;
}

static size_t list(const struct mtu *m, uint16_t *ret)
{
	switch (m->step) {
	case MTU_RESTS:
		break;
	case MTU_TRIES_TOP:
		ret[0] = (uint16_t) m->top;
		return 1;
	case MTU_TRIES_ALL:
		return list_all(m, ret);
	case MTU_TRIES_LESS:
		return list_likely(m, MTU_LEAST, 0, ret);
	case MTU_CHECKS:
		ret[0] = (uint16_t) m->size;
		ret[1] = MTU_SMALL;
		return 2;
	case MTU_GROWS:
		return list_more(m, ret);
	}
	return 0;
}

/*
 * Nothing was answered. The way has just proved that it works, by a small ping: more than the least
 * is not promised any longer.
 */
static void find_nothing(struct mtu *m, uint64_t now_us)
{
	if (m->size > MTU_LEAST)
		m->size = MTU_LEAST;
	rest(m, now_us + MTU_VAIN_US);
}

/* This step has had its time. */
static void advance(struct mtu *m, uint64_t now_us)
{
	switch (m->step) {
	case MTU_RESTS:
		break;
	case MTU_TRIES_TOP:
		begin(m, MTU_TRIES_ALL, now_us);
		break;
	case MTU_TRIES_ALL:
		if (m->best >= MTU_LEAST)
			settle(m, m->best, now_us);
		else
			begin(m, MTU_TRIES_LESS, now_us);
		break;
	case MTU_TRIES_LESS:
		if (m->best)
			settle(m, m->best, now_us);
		else
			find_nothing(m, now_us);
		break;
	case MTU_CHECKS:
		m->pause_us = 0;
		if (m->alive)
			begin(m, MTU_TRIES_ALL, now_us);
		else
			rest(m, m->again_us); /* others see to it that another way is used */
		break;
	case MTU_GROWS:
		if (m->best > m->size)
			begin(m, MTU_TRIES_ALL, now_us);
		else
			rest(m, now_us + MTU_GROW_US);
		break;
	}
}

size_t mtu_probes(struct mtu *m, uint64_t now_us, uint16_t ret[static MTU_PROBES_MAX])
{
	if (m->step == MTU_RESTS || now_us < m->next_us)
		return 0;
	if (m->sent == tries[m->step])
		advance(m, now_us);
	if (m->step == MTU_RESTS)
		return 0;
	m->sent++;
	m->next_us = now_us + m->wait_us;
	return list(m, ret);
}

uint64_t mtu_deadline(const struct mtu *m)
{
	return m->step == MTU_RESTS ? MTU_NEVER : m->next_us;
}

void mtu_answered(struct mtu *m, unsigned size, uint64_t rtt_us, uint64_t now_us)
{
	unsigned enough = m->step == MTU_CHECKS ? m->size : m->top;

	if (!m->top || size > m->top)
		return;
	m->wait_us = wait_for(rtt_us);
	if (size == MTU_SMALL) {
		m->alive = true;
		return;
	}
	if (m->step == MTU_RESTS) { /* it comes late */
		if (size > m->size)
			settle(m, size, now_us);
		return;
	}
	if (size > m->best)
		m->best = size;
	if (m->best < enough)
		return;
	if (m->step == MTU_CHECKS && m->best == m->size) /* as it was */
		rest(m, m->again_us);
	else
		settle(m, m->best, now_us);
}
