/*
 * why: see why.h. There is a list of causes for each end (directly, by a relay, not at all): the
 * first that fits is it. What is sure comes before what is likely, and what one end alone says
 * before what takes both.
 */
#include "mesh/why-internal.h"

enum {
	SILENT_S = 3, /* longer than a board is given to answer */
	BEGIN_S = 10, /* a tunnel has come up by then */
	SESSION_S = 180,
	WITNESS_S = 30,
};

static int own_removed(const struct why_case *c)
{
	return c->here.facts->self == WHY_SELF_REMOVED ? WHY_AT_HERE : WHY_NOT;
}

static int own_replaced(const struct why_case *c)
{
	return c->here.facts->self == WHY_SELF_REPLACED ? WHY_AT_HERE : WHY_NOT;
}

static int own_waiting(const struct why_case *c)
{
	return c->here.facts->self == WHY_SELF_WAITING ? WHY_AT_HERE : WHY_NOT;
}

static int removed(const struct why_case *c)
{
	return c->removed ? WHY_AT_THERE : WHY_NOT;
}

static int own_offline(const struct why_case *c)
{
	return c->here.facts->n_addrs ? WHY_NOT : WHY_AT_HERE;
}

/* Its pings are sealed with the identity keys, its tunnel with WireGuard's. */
static int keys(const struct why_case *c)
{
	const struct why_facts *f = c->here.facts;
	bool answers = f->pong_s < WHY_RECENT_S && f->since_s >= BEGIN_S;

	return answers && f->handshake_s > SESSION_S && f->heard_s > SESSION_S ? WHY_AT_THERE
									       : WHY_NOT;
}

static int never_seen(const struct why_case *c)
{
	return c->here.facts->knows || c->here.facts->heard_s != WHY_NEVER ? WHY_NOT : WHY_AT_THERE;
}

/*
 * Somebody hears it whom we do not. Who is idle hears it every 25 s; one that was switched off a
 * moment ago is one that nobody has heard for longer than the others.
 */
static bool is_witnessed(const struct why_case *c)
{
	for (size_t i = 0; i < c->n_witnesses; i++) {
		const struct why_witness *w = &c->witnesses[i];

		if (w->way != WHY_WAY_NONE && w->heard_s < WITNESS_S &&
			c->here.facts->heard_s > w->heard_s + WITNESS_S)
			return true;
	}
	return false;
}

/* Somebody reaches it: whose relay is it that is missing? */
static int other_cut_off(const struct why_case *c)
{
	return is_witnessed(c) && c->here.facts->bound ? WHY_AT_THERE : WHY_NOT;
}

/* In another house its address may be that of anything in ours. */
static int hearthd_off(const struct why_case *c)
{
	return c->echo.family && why_share_lan(c) && !is_witnessed(c) ? WHY_AT_THERE : WHY_NOT;
}

static int relay_silent(const struct why_case *c)
{
	const struct why_facts *f = c->here.facts;

	return f->relays && !f->bound && !why_share_lan(c) ? WHY_AT_HERE : WHY_NOT;
}

static int no_relay(const struct why_case *c)
{
	return !c->here.facts->relays && !why_share_lan(c) ? 0 : WHY_NOT;
}

static int peer_off(const struct why_case *c)
{
	return WHY_AT_THERE;
}

static const struct why_rule unreached_rules[] = {
	{ WHY_OWN_REMOVED, own_removed },
	{ WHY_OWN_REPLACED, own_replaced },
	{ WHY_OWN_WAITING, own_waiting },
	{ WHY_REMOVED, removed },
	{ WHY_OWN_OFFLINE, own_offline },
	{ WHY_KEYS, keys },
	{ WHY_NEVER_SEEN, never_seen },
	{ WHY_OTHER_CUT_OFF, other_cut_off },
	{ WHY_HEARTHD_OFF, hearthd_off },
	{ WHY_RELAY_SILENT, relay_silent },
	{ WHY_NO_RELAY, no_relay },
	{ WHY_PEER_OFF, peer_off },
};

static void find_first(
	const struct why_rule *rules, const struct why_case *c, struct why_finding *ret)
{
	int at;

	while ((at = rules->fits(c)) == WHY_NOT)
		rules++;
	ret->cause = rules->cause;
	ret->at = (unsigned) at;
}

/* The tunnel finds out after a while; that it does not answer just now says so at once. */
static enum why_way way_of(const struct why_case *c)
{
	const struct why_facts *f = c->here.facts;

	if (f->self != WHY_SELF_UP || c->removed)
		return WHY_WAY_NONE;
	return c->missing == WHY_MISSING_SILENT && f->heard_s > SILENT_S ? WHY_WAY_NONE : f->way;
}

void why_find(const struct why_case *c, struct why_finding *ret)
{
	*ret = (struct why_finding){ .way = way_of(c) };
	switch (ret->way) {
	case WHY_WAY_DIRECT:
		find_first(why_direct_rules, c, ret);
		break;
	case WHY_WAY_RELAYED:
		find_first(why_relayed_rules, c, ret);
		break;
	case WHY_WAY_NONE:
		find_first(unreached_rules, c, ret);
		break;
	}
}
