/*
 * mapping: see mapping.h. A round asks by all that the gateway may speak, or, for a mapping that is
 * held, only by what it was made with; if that has no answer, the next round asks by all again.
 */
#include "mesh/mapping.h"

#include <string.h>

#include "wire/presence.h"

#define SECOND_US UINT64_C(1000000)

/* For a router that comes and goes, or lies, and a LAN host that advertises ever new addresses. */
static const struct damping damping = {
	.free = 4,
	.first_us = 60 * SECOND_US,
	.longest_us = MAPPING_AGAIN_US,
	.forget_us = 2 * (uint64_t) MAPPING_AGAIN_US,
};

const char *mapping_protocol_name(enum mapping_protocol protocol)
{
	static const char *const names[] = { NULL, "pcp", "nat-pmp", "upnp" };

	return names[protocol];
}

static const struct {
	const char *name, *words;
} whys[] = {
	[MAPPING_WHY_NONE] = { "", "" },
	[MAPPING_WHY_OFF] = { "off", "switched off (port_mapping in hearthd.yaml)" },
	[MAPPING_WHY_NO_GATEWAY] = { "no-gateway", "there is no default route by a gateway" },
	[MAPPING_WHY_NEEDLESS] = { "needless", "this board has a public address of its own" },
	[MAPPING_WHY_ASKING] = { "asking", "the gateway is being asked" },
	[MAPPING_WHY_NOTHING] = { "nothing", "the gateway offers none" },
	[MAPPING_WHY_REFUSED] = { "refused", "the gateway refuses it" },
	[MAPPING_WHY_NO_ADDRESS] = { "no-address",
		"the gateway names no address that others could try" },
	[MAPPING_WHY_SHORT] = { "short", "the gateway gives it for less than two minutes" },
	[MAPPING_WHY_BROKEN] = { "broken", "the gateway's answers cannot be used" },
};

const char *mapping_why_name(enum mapping_why why)
{
	return whys[why].name;
}

const char *mapping_why_words(enum mapping_why why)
{
	return whys[why].words;
}

void mapping_init(struct mapping *m, int family)
{
	*m = (struct mapping){ .why.why = MAPPING_WHY_NO_GATEWAY };
	m->with[MAPPING_PCP] = true;
	m->with[MAPPING_NATPMP] = m->with[MAPPING_UPNP] = family == AF_INET;
}

static void forget(struct mapping *m)
{
	m->held = MAPPING_NONE;
	m->outside = (struct endpoint){ 0 };
	m->had = false;
	m->failures = 0;
	memset(m->epochs, 0, sizeof(m->epochs));
}

static void set_why(struct mapping *m, enum mapping_why why, int detail)
{
	m->why.why = why;
	m->why.detail = detail;
}

void mapping_begin(struct mapping *m, uint64_t now_us)
{
	forget(m);
	m->wanted = true;
	m->in_round = false;
	set_why(m, MAPPING_WHY_ASKING, 0);
	m->next_us = now_us + damper_wait_us(&m->damper, &damping, now_us);
	damper_done(&m->damper, &damping, now_us);
}

void mapping_end(struct mapping *m, enum mapping_why why)
{
	forget(m);
	m->wanted = m->in_round = false;
	set_why(m, why, 0);
}

void mapping_hurry(struct mapping *m, uint64_t now_us)
{
	uint64_t soon = now_us + damper_wait_us(&m->damper, &damping, now_us);

	if (!m->wanted || m->in_round || soon >= m->next_us)
		return;
	m->next_us = soon;
	damper_done(&m->damper, &damping, now_us);
}

/* --- a round --- */

static void start_try(struct mapping *m, enum mapping_protocol by, uint64_t at_us)
{
	m->tries[by] = (struct mapping_try){ .state = MAPPING_TRY_WAITS, .next_us = at_us };
}

static void start_round(struct mapping *m, uint64_t now_us)
{
	m->in_round = true;
	m->round_us = now_us;
	m->found.why = MAPPING_WHY_NOTHING;
	m->found.detail = 0;
	m->address = (struct ip_addr){ 0 };
	for (enum mapping_protocol by = MAPPING_PCP; by <= MAPPING_UPNP; by++) {
		m->tries[by].state = MAPPING_TRY_OVER;
		if (m->with[by] && (!m->held || m->held == by || m->failures))
			start_try(m, by,
				now_us + (by == MAPPING_UPNP && m->held != by ? MAPPING_FIRST_US
									      : 0));
	}
}

/* Half of its life, and a gateway that has lost it is found out before long. */
static uint64_t until_look(const struct mapping *m)
{
	uint64_t half = m->lifetime_s * SECOND_US / 2;

	return half && half < MAPPING_LOOK_US ? half : MAPPING_LOOK_US;
}

/* Where there was one there may be one again as soon as the gateway is itself again. */
static uint64_t until_again(const struct mapping *m)
{
	uint64_t wait = m->had ? MAPPING_LOST_US : MAPPING_AGAIN_US;

	if (!m->had && m->failures == 1)
		return MAPPING_FIRST_AGAIN_US;
	for (unsigned i = m->had ? 1 : 2; i < m->failures && wait < MAPPING_AGAIN_MOST_US; i++)
		wait *= 2;
	return wait < MAPPING_AGAIN_MOST_US ? wait : MAPPING_AGAIN_MOST_US;
}

static void end_round(struct mapping *m, uint64_t now_us, bool made)
{
	m->in_round = false;
	for (enum mapping_protocol by = MAPPING_PCP; by <= MAPPING_UPNP; by++)
		m->tries[by].state = MAPPING_TRY_OVER;
	if (!m->held)
		set_why(m, m->found.why, m->found.detail);
	m->failures = made ? 0 : m->failures + 1;
	m->next_us = now_us + (made ? until_look(m) : until_again(m));
}

static bool is_over(const struct mapping *m)
{
	for (enum mapping_protocol by = MAPPING_PCP; by <= MAPPING_UPNP; by++)
		if (m->tries[by].state != MAPPING_TRY_OVER)
			return false;
	return true;
}

/* Its datagrams are sent again after 250 ms, 500 ms ..., as often as MAPPING_SENDS says. */
static bool sends(struct mapping_try *try, uint64_t now_us)
{
	if (now_us < try->next_us)
		return false;
	if (try->sends == MAPPING_SENDS) {
		try->state = MAPPING_TRY_OVER;
		return false;
	}
	try->state = MAPPING_TRY_RUNS;
	try->next_us = now_us + ((uint64_t) MAPPING_FIRST_US << try->sends++);
	return true;
}

/* The port is asked for by NAT-PMP when PCP has said no, or has had its time. */
static bool may_map_by_natpmp(const struct mapping *m, uint64_t now_us)
{
	return m->tries[MAPPING_PCP].state == MAPPING_TRY_OVER ||
	       now_us >= m->round_us + MAPPING_FIRST_US;
}

static enum mapping_act act_natpmp(struct mapping *m, uint64_t now_us)
{
	struct mapping_try *try = &m->tries[MAPPING_NATPMP];

	switch (try->state) {
	case MAPPING_TRY_OVER:
		break;
	case MAPPING_TRY_WAITS:
	case MAPPING_TRY_RUNS:
		if (sends(try, now_us))
			return MAPPING_ACT_LOOK;
		break;
	case MAPPING_TRY_THERE:
		if (!may_map_by_natpmp(m, now_us))
			break;
		if (sends(try, now_us)) {
			try->state = MAPPING_TRY_THERE;
			return MAPPING_ACT_NATPMP;
		}
		break;
	}
	return MAPPING_ACT_WAIT;
}

/* Not while NAT-PMP answers; at once when nothing else is left. */
static enum mapping_act act_upnp(struct mapping *m, uint64_t now_us)
{
	struct mapping_try *try = &m->tries[MAPPING_UPNP];

	if (try->state != MAPPING_TRY_WAITS || m->tries[MAPPING_NATPMP].state == MAPPING_TRY_THERE)
		return MAPPING_ACT_WAIT;
	if (now_us < try->next_us && (m->tries[MAPPING_PCP].state != MAPPING_TRY_OVER ||
					     m->tries[MAPPING_NATPMP].state != MAPPING_TRY_OVER))
		return MAPPING_ACT_WAIT;
	try->state = MAPPING_TRY_RUNS;
	return MAPPING_ACT_UPNP;
}

static enum mapping_act act_in_round(struct mapping *m, uint64_t now_us)
{
	struct mapping_try *pcp = &m->tries[MAPPING_PCP];
	enum mapping_act act;

	if (pcp->state != MAPPING_TRY_OVER && sends(pcp, now_us))
		return MAPPING_ACT_PCP;
	act = act_natpmp(m, now_us);
	if (act == MAPPING_ACT_WAIT)
		act = act_upnp(m, now_us);
	if (act == MAPPING_ACT_WAIT && is_over(m))
		end_round(m, now_us, false);
	return act;
}

static void drop(struct mapping *m, enum mapping_why why, int detail)
{
	m->held = MAPPING_NONE;
	set_why(m, why, detail);
}

enum mapping_act mapping_act(struct mapping *m, uint64_t now_us)
{
	if (m->held && now_us >= m->until_us)
		drop(m, MAPPING_WHY_NOTHING, 0); /* its life is over */
	if (!m->wanted)
		return MAPPING_ACT_WAIT;
	if (!m->in_round) {
		if (now_us < m->next_us)
			return MAPPING_ACT_WAIT;
		start_round(m, now_us);
	}
	return act_in_round(m, now_us);
}

static void sooner(uint64_t *deadline, uint64_t us)
{
	if (us < *deadline)
		*deadline = us;
}

uint64_t mapping_deadline(const struct mapping *m)
{
	uint64_t deadline = m->held ? m->until_us : MAPPING_NEVER;
	const struct mapping_try *upnp = &m->tries[MAPPING_UPNP];
	const struct mapping_try *natpmp = &m->tries[MAPPING_NATPMP];

	if (!m->wanted)
		return MAPPING_NEVER;
	if (!m->in_round) {
		sooner(&deadline, m->next_us);
		return deadline;
	}
	if (m->tries[MAPPING_PCP].state != MAPPING_TRY_OVER)
		sooner(&deadline, m->tries[MAPPING_PCP].next_us);
	if (natpmp->state == MAPPING_TRY_THERE && !natpmp->sends)
		sooner(&deadline, m->round_us + MAPPING_FIRST_US);
	else if (natpmp->state != MAPPING_TRY_OVER)
		sooner(&deadline, natpmp->next_us);
	if (upnp->state == MAPPING_TRY_WAITS && natpmp->state != MAPPING_TRY_THERE)
		sooner(&deadline, upnp->next_us);
	return deadline;
}

/* --- what came of it --- */

/*
 * Whether it has started anew: its seconds went back, or they and ours went apart further than
 * clocks do. NAT-PMP's may be an eighth slower than ours (RFC 6886, 3.6), PCP's a sixteenth slower
 * or faster (RFC 6887, 8.5); both are given two seconds.
 */
static bool has_restarted(
	const struct mapping *m, enum mapping_protocol by, uint64_t server_s, uint64_t now_us)
{
	uint64_t before_s = m->epochs[by].server_s;
	uint64_t client = (now_us - m->epochs[by].at_us) / SECOND_US;
	uint64_t server = server_s > before_s ? server_s - before_s : 0;

	if (by == MAPPING_NATPMP)
		return server_s + 2 < before_s + client * 7 / 8;
	return server_s + 1 < before_s || client + 2 < server - server / 16 ||
	       server + 2 < client - client / 16;
}

static bool note_epoch(
	struct mapping *m, enum mapping_protocol by, uint32_t server_s, uint64_t now_us)
{
	bool restarted = m->epochs[by].known && has_restarted(m, by, server_s, now_us);

	m->epochs[by].known = true;
	m->epochs[by].server_s = server_s;
	m->epochs[by].at_us = now_us;
	m->restarts += restarted;
	return restarted;
}

static bool is_asked(const struct mapping *m, enum mapping_protocol by)
{
	return m->in_round && m->tries[by].state != MAPPING_TRY_OVER &&
	       m->tries[by].state != MAPPING_TRY_WAITS;
}

static void hold(struct mapping *m, enum mapping_protocol by, const struct mapping_made *made,
	uint64_t now_us)
{
	uint32_t life = made->lifetime_s;

	if (!life || life > MAPPING_LIFETIME_MAX_S)
		life = MAPPING_LIFETIME_MAX_S;
	m->held = by;
	m->had = true;
	m->outside = made->outside;
	m->lifetime_s = made->lifetime_s;
	m->until_us = now_us + life * SECOND_US;
	set_why(m, MAPPING_WHY_NONE, 0);
}

bool mapping_made(struct mapping *m, enum mapping_protocol by, const struct mapping_made *made,
	uint64_t now_us)
{
	struct mapping_made full = *made;
	bool restarted = false;

	if (!is_asked(m, by))
		return false;
	if (by == MAPPING_NATPMP)
		full.outside.addr = m->address;
	if (made->has_epoch)
		restarted = note_epoch(m, by, made->epoch_s, now_us);
	if (full.lifetime_s && full.lifetime_s < MAPPING_LIFETIME_MIN_S) {
		mapping_refused(m, by, MAPPING_WHY_SHORT, 0, now_us);
		return restarted;
	}
	hold(m, by, &full, now_us);
	end_round(m, now_us, true);
	return restarted;
}

bool mapping_address(
	struct mapping *m, const struct ip_addr *outside, uint32_t epoch_s, uint64_t now_us)
{
	struct mapping_try *try = &m->tries[MAPPING_NATPMP];

	if (!is_asked(m, MAPPING_NATPMP) || try->state == MAPPING_TRY_THERE)
		return false;
	m->address = *outside;
	*try = (struct mapping_try){ .state = MAPPING_TRY_THERE };
	return note_epoch(m, MAPPING_NATPMP, epoch_s, now_us);
}

/* Who says no says more than who is silent. The one that is held is gone if its maker says so. */
void mapping_refused(struct mapping *m, enum mapping_protocol by, enum mapping_why why, int detail,
	uint64_t now_us)
{
	if (!is_asked(m, by))
		return;
	m->tries[by].state = MAPPING_TRY_OVER;
	if (why == MAPPING_WHY_NOTHING)
		return;
	if (m->held == by)
		drop(m, why, detail);
	m->found.why = why;
	m->found.detail = detail;
}

const struct endpoint *mapping_outside(const struct mapping *m)
{
	return m->held ? &m->outside : NULL;
}

bool mapping_is_nested(const struct mapping *m)
{
	return m->held && ip_addr_is_private(&m->outside.addr);
}

bool mapping_may_be_told(
	const struct endpoint *outside, int family, const struct ip_prefix *denied, size_t n_denied)
{
	if (outside->addr.family != family || !presence_endpoint_is_valid(outside))
		return false;
	for (size_t i = 0; i < n_denied; i++)
		if (ip_prefix_contains(&denied[i], &outside->addr))
			return false;
	return true;
}
