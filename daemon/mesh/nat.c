/*
 * nat: see nat.h. Requests of a round go out together, so that a NAT that counts is seen to: only
 * who has not answered is asked again. What a server of our own LAN sees says nothing.
 */
#include "mesh/nat.h"

#include <stdlib.h>
#include <string.h>

#include "mesh/nat-judge.h"

enum { MISSES_MAX = 2 };

static const uint64_t try_at_us[NAT_TRIES] = { 0, NAT_SOON_US, 750000, 1750000 };

static enum nat_family family_of(const struct endpoint *e)
{
	return e->addr.family == AF_INET ? NAT_IPV4 : NAT_IPV6;
}

static bool has_address(const struct nat_own *own, enum nat_family family)
{
	for (size_t i = 0; i < own->n; i++)
		if (family_of(&own->list[i]) == family)
			return true;
	return false;
}

static bool is_own_address(const struct nat_own *own, const struct ip_addr *addr)
{
	for (size_t i = 0; i < own->n; i++)
		if (ip_addr_equal(&own->list[i].addr, addr))
			return true;
	return false;
}

static bool is_own(const struct nat_own *own, const struct endpoint *e)
{
	for (size_t i = 0; i < own->n; i++)
		if (endpoint_equal(&own->list[i], e))
			return true;
	return false;
}

/* --- servers --- */

static struct nat_server *find(struct nat *nat, const struct endpoint *at)
{
	for (size_t i = 0; i < nat->n; i++)
		if (endpoint_equal(&nat->servers[i].at, at))
			return &nat->servers[i];
	return NULL;
}

bool nat_set_servers(struct nat *nat, const struct endpoint *list, size_t n)
{
	struct nat_server next[NAT_SERVERS_MAX];
	bool new = false;
	size_t k = 0;

	for (size_t i = 0; i < n && k < NAT_SERVERS_MAX; i++) {
		const struct nat_server *known = find(nat, &list[i]);

		new = new || !known;
		next[k++] = known ? *known : (struct nat_server){ .at = list[i] };
	}
	memcpy(nat->servers, next, k * sizeof(next[0]));
	nat->n = k;
	return new;
}

/* --- rounds --- */

/* Nearer than @than, and it answered last time: worth asking alone. */
static bool is_nearer(const struct nat_server *s, const struct nat_server *than)
{
	return s->answered && (!than || s->rtt_us < than->rtt_us);
}

/* The nearest of @family that is not at the address of @but. */
static struct nat_server *nearest(
	struct nat *nat, enum nat_family family, const struct nat_server *but)
{
	struct nat_server *best = NULL;

	for (size_t i = 0; i < nat->n; i++) {
		struct nat_server *s = &nat->servers[i];

		if (family_of(&s->at) == family && is_nearer(s, best) &&
			!(but && ip_addr_equal(&but->at.addr, &s->at.addr)))
			best = s;
	}
	return best;
}

static void choose_few(struct nat *nat, enum nat_family family)
{
	struct nat_server *first = nearest(nat, family, NULL);
	struct nat_server *second = first ? nearest(nat, family, first) : NULL;

	for (size_t i = 0; i < nat->n; i++) {
		struct nat_server *s = &nat->servers[i];

		if (family_of(&s->at) == family)
			s->asked = !first || s == first || s == second;
	}
}

void nat_begin(struct nat *nat, bool all, const struct nat_own *own, uint64_t now_us)
{
	for (size_t i = 0; i < nat->n; i++)
		nat->servers[i].asked = true;
	for (int f = 0; f < NAT_FAMILIES && !all; f++)
		choose_few(nat, f);
	for (size_t i = 0; i < nat->n; i++) {
		struct nat_server *s = &nat->servers[i];
		bool can = has_address(own, family_of(&s->at));

		s->asked = s->asked && can;
		s->answered = s->answered && can && !s->asked;
		s->tries = 0;
		memset(s->sent, 0, sizeof(s->sent));
	}
	nat->on = true;
	nat->all = all;
	nat->begun_us = now_us;
}

void nat_moved(struct nat *nat)
{
	for (int f = 0; f < NAT_FAMILIES; f++)
		nat->missed[f] = MISSES_MAX - 1;
}

bool nat_is_asking(const struct nat *nat)
{
	return nat->on;
}

static bool is_waited_for(const struct nat_server *s)
{
	return s->asked && !s->answered;
}

/* When there is something to do for it; the end of the round, if no try is left. */
static uint64_t due_us(const struct nat *nat, const struct nat_server *s)
{
	return nat->begun_us + (s->tries < NAT_TRIES ? try_at_us[s->tries] : NAT_ROUND_US);
}

bool nat_ask(struct nat *nat, uint64_t now_us, const uint8_t tx[static STUN_TX_LEN],
	struct endpoint *ret)
{
	for (size_t i = 0; i < nat->n && nat->on; i++) {
		struct nat_server *s = &nat->servers[i];

		if (!is_waited_for(s) || s->tries == NAT_TRIES || due_us(nat, s) > now_us)
			continue;
		memcpy(s->sent[s->tries].tx, tx, STUN_TX_LEN);
		s->sent[s->tries].at_us = now_us;
		if (!s->tries++)
			s->number = ++nat->n_sent;
		*ret = s->at;
		return true;
	}
	return false;
}

static int find_try(const struct nat_server *s, const uint8_t tx[static STUN_TX_LEN])
{
	for (unsigned i = 0; i < s->tries; i++)
		if (!memcmp(s->sent[i].tx, tx, STUN_TX_LEN))
			return (int) i;
	return -1;
}

bool nat_answer(struct nat *nat, const struct endpoint *from, const uint8_t tx[static STUN_TX_LEN],
	const struct endpoint *seen, uint64_t now_us)
{
	struct nat_server *s = nat->on ? find(nat, from) : NULL;
	int try = s && is_waited_for(s) ? find_try(s, tx) : -1;

	if (try < 0)
		return false;
	s->answered = true;
	s->rtt_us = now_us - s->sent[try].at_us;
	s->rtt_us += !s->rtt_us; /* 0 is none */
	if (endpoint_equal(&s->seen, seen))
		return true;
	s->seen = *seen;
	s->born_us = s->sent[0].at_us;
	s->born = s->number;
	return true;
}

/* --- what it means --- */

/* It is no further than our own LAN, where nothing is translated. */
static bool is_near(const struct nat_own *own, const struct nat_server *s)
{
	return s->answered && ip_addr_is_private(&s->seen.addr) &&
	       is_own_address(own, &s->seen.addr);
}

/*
 * Those of @family that have answered when they were asked last; *ret_silent is how many of this
 * round have not. Who is near is neither.
 */
static size_t collect(const struct nat *nat, const struct nat_own *own, enum nat_family family,
	struct nat_sample ret[static NAT_SERVERS_MAX], size_t *ret_silent)
{
	size_t n = 0;

	*ret_silent = 0;
	for (size_t i = 0; i < nat->n; i++) {
		const struct nat_server *s = &nat->servers[i];

		if (family_of(&s->at) != family || is_near(own, s))
			continue;
		if (s->answered)
			ret[n++] = (struct nat_sample){ s->at, s->seen, s->born_us, s->born };
		else
			*ret_silent += s->asked;
	}
	return n;
}

/*
 * Between two NATs there may be a server, too: what it sees is another NAT's doing than what those
 * behind the second one do. Those that are further out come first; returns how many.
 */
static size_t put_far_first(struct nat_sample *list, size_t n)
{
	size_t far = 0;

	for (size_t i = 0; i < n; i++)
		if (!ip_addr_is_private(&list[i].seen.addr)) {
			struct nat_sample s = list[i];

			list[i] = list[far];
			list[far++] = s;
		}
	return far ? far : n;
}

static void add_outside(struct nat_side *side, const struct endpoint *seen)
{
	for (size_t i = 0; i < side->n_outside; i++)
		if (endpoint_equal(&side->outside[i], seen))
			return;
	if (side->n_outside < NAT_OUTSIDE_MAX)
		side->outside[side->n_outside++] = *seen;
}

static void judge(
	struct nat_side *side, const struct nat_own *own, struct nat_sample *list, size_t n)
{
	size_t far = put_far_first(list, n);

	nat_judge(list, far, side);
	side->udp = NAT_UDP_WORKS;
	side->open = true;
	for (size_t i = 0; i < far; i++)
		side->open = side->open && is_own(own, &list[i].seen);
	if (side->open)
		side->mapping = NAT_MAPPING_INDEPENDENT;
	side->n_outside = 0;
	for (size_t i = far; i-- > 0;)
		add_outside(side, &list[i].seen);
	for (size_t i = far; i < n; i++)
		add_outside(side, &list[i].seen);
}

static void settle_side(
	struct nat *nat, enum nat_family family, const struct nat_own *own, bool over)
{
	struct nat_side *side = &nat->sides[family];
	struct nat_sample list[NAT_SERVERS_MAX];
	size_t silent, n = collect(nat, own, family, list, &silent);

	if (!has_address(own, family)) {
		*side = (struct nat_side){ 0 };
		return;
	}
	if (n) {
		nat->missed[family] = 0;
		side->has_address = true;
		judge(side, own, list, n);
	} else if (over && !silent) {
		*side = (struct nat_side){ .has_address = true };
	} else if (over && (++nat->missed[family] >= MISSES_MAX || side->udp != NAT_UDP_WORKS)) {
		*side = (struct nat_side){ .has_address = true, .udp = NAT_UDP_NONE };
	}
}

/* None of the few has answered, and there are others, who did the last time. */
static bool are_silent(const struct nat *nat, enum nat_family family)
{
	bool others = false;

	for (size_t i = 0; i < nat->n; i++) {
		const struct nat_server *s = &nat->servers[i];

		if (family_of(&s->at) == family && s->answered && s->asked)
			return false;
		others = others || (family_of(&s->at) == family && s->answered);
	}
	return others;
}

/* Something is not as it was for the few: all have to say what it is. */
static bool wants_all(const struct nat *nat, bool over)
{
	if (nat->all)
		return false;
	for (size_t i = 0; i < nat->n; i++) {
		const struct nat_server *s = &nat->servers[i];

		if (s->asked && s->answered && s->born == s->number)
			return true;
	}
	return over && (are_silent(nat, NAT_IPV4) || are_silent(nat, NAT_IPV6));
}

static bool is_over(const struct nat *nat, uint64_t now_us)
{
	for (size_t i = 0; i < nat->n; i++)
		if (is_waited_for(&nat->servers[i]))
			return now_us >= nat->begun_us + NAT_ROUND_US;
	return true;
}

bool nat_settle(struct nat *nat, const struct nat_own *own, uint64_t now_us)
{
	struct nat_side before[NAT_FAMILIES];
	bool over = is_over(nat, now_us);

	if (nat->on && wants_all(nat, over)) {
		nat_begin(nat, true, own, now_us);
		return false;
	}
	if (!nat->on || (!over && (!nat->all || now_us < nat->begun_us + NAT_SOON_US)))
		return false;
	memcpy(before, nat->sides, sizeof(before));
	for (int f = 0; f < NAT_FAMILIES; f++)
		settle_side(nat, f, own, over);
	nat->on = !over;
	nat->next_us = now_us;
	return memcmp(before, nat->sides, sizeof(before)) != 0; /* padding: once too often */
}

/* --- when to ask again --- */

static uint64_t pause_us(const struct nat *nat, bool active, uint32_t chance)
{
	bool works = false, blocked = false;

	for (int f = 0; f < NAT_FAMILIES; f++) {
		const struct nat_side *side = &nat->sides[f];

		if (nat->missed[f] && side->udp == NAT_UDP_WORKS)
			return NAT_DOUBT_US;
		works = works || (side->udp == NAT_UDP_WORKS && !side->open);
		blocked = blocked || side->udp == NAT_UDP_NONE;
	}
	if (active && works)
		return NAT_OFTEN_US + chance % NAT_OFTENER_US;
	return active && blocked ? NAT_BLOCKED_US : NAT_SELDOM_US;
}

uint64_t nat_deadline(const struct nat *nat, bool active, uint32_t chance)
{
	uint64_t at_us = NAT_NEVER;

	if (!nat->on)
		return nat->n ? nat->next_us + pause_us(nat, active, chance) : NAT_NEVER;
	for (size_t i = 0; i < nat->n; i++) {
		uint64_t due = due_us(nat, &nat->servers[i]);

		if (is_waited_for(&nat->servers[i]) && due < at_us)
			at_us = due;
	}
	return at_us == NAT_NEVER ? nat->begun_us : at_us;
}

/* --- where others may try us --- */

static int compare(const void *a, const void *b)
{
	const struct endpoint *x = a, *y = b;
	bool far_x = !ip_addr_is_private(&x->addr), far_y = !ip_addr_is_private(&y->addr);
	int bytes = memcmp(x->addr.bytes, y->addr.bytes, sizeof(x->addr.bytes));

	if (far_x != far_y)
		return far_x ? -1 : 1;
	if (x->addr.family != y->addr.family)
		return x->addr.family == AF_INET ? -1 : 1;
	return bytes ? bytes : (int) x->port - (int) y->port;
}

size_t nat_announced(const struct nat *nat, const struct nat_own *own,
	struct endpoint ret[static NAT_ANNOUNCED_MAX])
{
	struct nat_side all = { 0 };
	size_t n = 0;

	for (int f = 0; f < NAT_FAMILIES; f++) {
		const struct nat_side *side = &nat->sides[f];
		bool other_port = side->mapping == NAT_MAPPING_COUNTING ||
				  side->mapping == NAT_MAPPING_RANDOM;

		all.n_outside = 0;
		for (size_t i = 0; i < side->n_outside && own->n; i++) {
			struct endpoint e = side->outside[i];

			if (other_port)
				e.port = own->list[0].port;
			if (!is_own(own, &e))
				add_outside(&all, &e);
		}
		memcpy(ret + n, all.outside, all.n_outside * sizeof(*ret));
		n += all.n_outside;
	}
	qsort(ret, n, sizeof(*ret), compare);
	return n;
}
