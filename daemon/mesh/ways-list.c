/* The list of ways, and the bounds of pings to who did not prove to be the peer. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "mesh/ways-internal.h"
#include "wire/presence.h"

void ways_init(struct ways *w)
{
	*w = (struct ways){ .doubtful = true,
		.searching = true,
		.round_us = WAYS_NEVER,
		.check_us = WAYS_NEVER,
		.over_us = WAYS_NEVER,
		.call_us = WAYS_NEVER,
		.punch_us = WAYS_NEVER,
		.burst = PREDICT_BURSTS,
		.decide_us = WAYS_NEVER,
		.move_us = WAYS_NEVER,
		.look_pause_us = WAYS_BETTER_US };
}

void ways_done(struct ways *w)
{
	free(w->list);
	ways_init(w);
}

struct way *ways_used(struct ways *w)
{
	return w->in_use < w->n ? &w->list[w->in_use] : NULL;
}

const struct way *ways_in_use(const struct ways *w)
{
	return w->in_use < w->n ? &w->list[w->in_use] : NULL;
}

bool ways_is_relayed(const struct ways *w)
{
	return w->in_use < w->n && w->list[w->in_use].relayed;
}

bool ways_passes_nat(const struct ways *w)
{
	const struct way *used = ways_in_use(w);

	if (!used || used->relayed || !w->own || w->own->n == w->own->n_local)
		return false;
	return used->to.addr.family == AF_INET && !ip_addr_is_private(&used->to.addr);
}

const struct endpoint *way_leads_to(const struct way *way)
{
	return way->hole ? &way->beyond : &way->to;
}

const struct way *ways_get_hole(const struct ways *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->list[i].hole)
			return &w->list[i];
	return NULL;
}

const struct way *ways_get_relayed(const struct ways *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->list[i].relayed)
			return &w->list[i];
	return NULL;
}

struct way *ways_relayed_one(struct ways *w)
{
	const struct way *way = ways_get_relayed(w);

	return way ? &w->list[way - w->list] : NULL;
}

struct way *ways_find(struct ways *w, const struct endpoint *to)
{
	for (size_t i = 0; i < w->n; i++)
		if (endpoint_equal(&w->list[i].to, to))
			return &w->list[i];
	return NULL;
}

void ways_drop(struct ways *w, size_t at)
{
	assert(at != w->in_use);
	memmove(&w->list[at], &w->list[at + 1], (w->n - at - 1) * sizeof(w->list[0]));
	w->n--;
	if (w->in_use > at)
		w->in_use--;
}

static void take_losses(struct way *way, const struct way *from)
{
	way->losses = from->losses;
	way->losses_us = from->losses_us;
	way->good_us = 0;
}

/* A router that counts is met at many ports at once, and all go when one does. */
void ways_share_losses(struct ways *w, const struct way *from)
{
	for (size_t i = 0; i < w->n; i++)
		if (ip_addr_equal(&w->list[i].to.addr, &from->to.addr))
			take_losses(&w->list[i], from);
}

static void inherit_losses(struct ways *w, struct way *way)
{
	for (size_t i = 0; i < w->n; i++)
		if (&w->list[i] != way && ip_addr_equal(&w->list[i].to.addr, &way->to.addr))
			take_losses(way, &w->list[i]);
}

struct way *ways_add(struct ways *w, const struct endpoint *to)
{
	bool none = w->in_use == w->n;

	assert(w->n < WAYS_MAX);
	if (w->n == w->room) {
		size_t room = w->room ? w->room * 2 : 4;
		struct way *list = reallocarray(w->list, room, sizeof(*list));

		if (!list)
			return NULL;
		w->list = list;
		w->room = room;
	}
	w->list[w->n++] = (struct way){ .to = *to, .fresh = true };
	inherit_losses(w, &w->list[w->n - 1]);
	if (none)
		w->in_use = w->n;
	return &w->list[w->n - 1];
}

struct way *ways_add_named(struct ways *w, const struct endpoint *to)
{
	if (!presence_endpoint_is_valid(to) || !ways_may_ping(w->own, to) || ways_find(w, to))
		return NULL;
	return ways_add(w, to);
}

static bool is_named(const struct way *way)
{
	return way->announced || way->called || way->relayed;
}

static bool is_local(const struct way *way)
{
	return way->to.addr.family != AF_INET || ip_addr_is_private(&way->to.addr);
}

/*
 * A port that the peer, or this board, has in its house and outside as well. Where our NAT counts,
 * the rest makes it begin new flows, too, whose ports are those that we say.
 */
void ways_note_ports(struct ways *w)
{
	const struct ways_own *own = w->own;

	w->keeps_ports = own && own->mapping == DISCO_MAPPING_COUNTING;
	for (size_t i = 0; i < w->n; i++)
		for (size_t k = 0; k < w->n; k++)
			if (is_named(&w->list[i]) && is_named(&w->list[k]) &&
				!is_local(&w->list[i]) && is_local(&w->list[k]))
				w->keeps_ports |= w->list[i].to.port == w->list[k].to.port;
	for (size_t i = own ? own->n_local : 0; own && i < own->n; i++)
		for (size_t k = 0; k < own->n_local; k++)
			w->keeps_ports |= own->list[i].port == own->list[k].port;
}

/* Of those that were only heard, the one that was heard longest ago, or never. */
static size_t find_oldest(const struct ways *w, size_t *ret_n)
{
	size_t oldest = w->n;

	*ret_n = 0;
	for (size_t i = 0; i < w->n; i++) {
		if (is_named(&w->list[i]) || w->list[i].hole || i == w->in_use)
			continue;
		++*ret_n;
		if (oldest == w->n || w->list[i].heard_us < w->list[oldest].heard_us)
			oldest = i;
	}
	return oldest;
}

void ways_drop_unnamed(struct ways *w, size_t most)
{
	size_t n, oldest;

	while (oldest = find_oldest(w, &n), n > 0 && (n > most || !w->list[oldest].heard_us))
		ways_drop(w, oldest);
}

/* --- answers --- */

uint64_t way_missed_us(const struct way *way, uint64_t since_us)
{
	uint64_t first_us = 0;

	for (unsigned i = 0; i < WAYS_PINGS; i++) {
		uint64_t at_us = way->pings[i].at_us;

		if (way->pings[i].tx && at_us >= since_us && at_us >= way->answered_us &&
			(!first_us || at_us < first_us))
			first_us = at_us;
	}
	return first_us;
}

bool way_is_live(const struct way *way, uint64_t now_us)
{
	uint64_t missed_us = way_missed_us(way, 0);

	return way->answered_us && (!missed_us || now_us - missed_us < WAYS_GRACE_MOST_US);
}

/* --- bounds --- */

/* No address of an own link is a peer's, at whatever port; other own endpoints lead here. */
static bool is_own(const struct ways_own *own, const struct endpoint *to)
{
	for (size_t i = 0; own && i < own->n; i++)
		if (i < own->n_local ? ip_addr_equal(&own->list[i].addr, &to->addr)
				     : endpoint_equal(&own->list[i], to))
			return true;
	return false;
}

bool ways_may_ping(const struct ways_own *own, const struct endpoint *to)
{
	struct endpoint unscoped = *to;

	/* Nobody announces one, but a peer on the same link may be heard there. */
	if (ip_addr_is_link_local(&to->addr))
		return to->port && (to->addr.family == AF_INET || to->scope) && !is_own(own, to);
	unscoped.scope = 0;
	return presence_endpoint_is_valid(&unscoped) && !is_own(own, to);
}

/* It is the peer's, or was until a moment ago. */
static bool has_proved(const struct ways *w, const struct way *way, uint64_t now_us)
{
	return way->relayed || way->hole || way == ways_in_use(w) ||
	       (way->lost_us && now_us - way->lost_us < WAYS_BACK_FOR_US) ||
	       (way->answered_us && now_us - way->answered_us < WAYS_PROVED_US);
}

bool ways_answers_at(const struct ways *w, const struct endpoint *at, uint64_t now_us)
{
	for (size_t i = 0; i < w->n; i++)
		if (endpoint_equal(&w->list[i].to, at))
			return has_proved(w, &w->list[i], now_us);
	return false;
}

bool ways_may_try(struct ways *w, struct way *way, uint64_t now_us)
{
	if (has_proved(w, way, now_us))
		return true;
	if (!pace_left(&w->tries, WAYS_PEER_TRIES, WAYS_PEER_TRIES_EVERY_US, now_us))
		return false;
	return pace_may(&way->tries, WAYS_TRIES, WAYS_TRIES_EVERY_US, now_us, NULL) &&
	       pace_may(&w->tries, WAYS_PEER_TRIES, WAYS_PEER_TRIES_EVERY_US, now_us, NULL);
}
