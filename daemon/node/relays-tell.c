/* relays-tell: see relays.h and relays-internal.h. */
#include "node/relays-internal.h"

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"

static const char *name_of(const struct relays *r, uint32_t id)
{
	const struct node *node = netmap_by_id(book_netmap(r->core->book), id);

	return node ? node->name : "?";
}

/* Whom there is no way to; the first, and how many. */
static uint32_t find_cut_off(const struct relays *r, size_t *ret_n)
{
	size_t n;
	const struct peer *list = peers_list(r->peers, &n);
	uint32_t first = 0;

	*ret_n = 0;
	for (size_t i = 0; i < n; i++) {
		if (list[i].reachable || !list[i].has_presence || !list[i].ways.doubtful)
			continue;
		first = first ? first : list[i].id;
		++*ret_n;
	}
	return first;
}

void relays_tell_problem(struct relays *r, uint64_t now_us)
{
	size_t n_cut_off;
	uint32_t cut_off = find_cut_off(r, &n_cut_off);
	char why[RELAY_WAYS_WHY_MAX], others[48] = "";
	const struct relay_ways *relay = r->n ? r->list[0] : NULL;
	struct err err = { 0 };

	for (size_t i = 0; i < r->n; i++)
		if (r->list[i]->id == r->home.id)
			relay = r->list[i];
	if (!relay || !r->ferry || !cut_off || !r->silent_us ||
		now_us - r->silent_us < RELAYS_TELL_US)
		return problem_set(&r->core->problems, "relay", NULL);
	if (n_cut_off > 1)
		(void) snprintf(others, sizeof(others), " and %zu other%s", n_cut_off - 1,
			n_cut_off > 2 ? "s" : "");
	err_set(&err, -EHOSTUNREACH,
		"no relay answers, and no direct way leads to %s%s. Relay %s: %s",
		name_of(r, cut_off), others, name_of(r, relay->id),
		relay_ways_why(relay, now_us, why));
	problem_set(&r->core->problems, "relay", &err);
}

size_t relays_report(const struct relays *r, struct relays_report ret[static RELAYS_MAX])
{
	uint64_t now_us = clock_now_us();

	for (size_t i = 0; i < r->n; i++) {
		const struct relay_ways *relay = r->list[i];

		ret[i] = (struct relays_report){ .id = relay->id,
			.home = relay->id == r->home.id,
			.state = relay_ways_state(relay, now_us),
			.way = relay_ways_by(relay, now_us),
			.rtt_us = relay_ways_choice(relay, now_us).rtt_us,
			.at = relay_ways_at(relay, now_us) };
		(void) relay_ways_why(relay, now_us, ret[i].why);
	}
	return r->n;
}

static const struct relay_addr *first_of(const struct relay_addrs *addrs, uint8_t family)
{
	for (size_t i = 0; i < addrs->n; i++)
		if (addrs->list[i].addr.family == family)
			return &addrs->list[i];
	return NULL;
}

size_t relays_stun(const struct relays *r, struct relays_stun *ret, size_t max)
{
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		for (size_t f = 0; f < ARRAY_LEN(families); f++) {
			const struct relay_ways *relay = r->list[i];
			const struct relay_addr *a = first_of(&relay->addrs, families[f]);

			if (a && relay->record.udp && !relay->addrs.own && n < max)
				ret[n++] = (struct relays_stun){ relay->id,
					{ .addr = a->addr, .port = relay->record.udp } };
		}
	return n;
}
