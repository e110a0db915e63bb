/* announce: see announce.h. */
#include "node/announce.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "node/announce-choose.h"

#define ADDRESSLESS_US (5 * USEC_PER_SEC)
enum { MORE_MAX = 12 }; /* places of a presence that those of links leave to others */
_Static_assert((int) CANDIDATES_MAX <= (int) PRESENCE_ENDPOINTS_MAX, "a presence holds all");

struct announce {
	struct core *core;
	const struct announce_hooks *hooks;
	void *ctx;
	uint64_t number; /* of the last presence made, or what was reserved before the start */
	uint64_t told;   /* the number of the one the coordinator is to have, 0: none */
	bool waits;      /* for a number */
	struct announce_past past;
	sd_event_source *timer;
	uint64_t addressless_us; /* no address since then, 0: there is one */
};

struct announce *announce_new(
	struct core *core, uint64_t number, const struct announce_hooks *hooks, void *ctx)
{
	struct announce *a = calloc(1, sizeof(*a));

	if (a)
		*a = (struct announce){
			.core = core, .hooks = hooks, .ctx = ctx, .number = number
		};
	return a;
}

struct announce *announce_free(struct announce *a)
{
	if (a)
		(void) sd_event_source_disable_unref(a->timer);
	free(a);
	return NULL;
}

uint64_t announce_number(const struct announce *a)
{
	return a->number;
}

/* Known already but for its endpoints, and not older than what we made last. */
static bool is_current(
	const struct announce *a, const struct announce_facts *facts, const struct presence *known)
{
	return known && known->counter >= a->number && known->no_ipv6 == facts->no_ipv6 &&
	       known->relay == facts->relay && !strcmp(known->kube, facts->kube) &&
	       !strcmp(known->kube_problem, facts->kube_problem) &&
	       presence_verify(known, a->core->identity) == 0;
}

static int make(const struct announce *a, const struct announce_facts *facts,
	const struct endpoint *endpoints, size_t n, struct presence *ret)
{
	*ret = (struct presence){ .node = a->core->config.node,
		.counter = a->number,
		.relay = facts->relay,
		.no_ipv6 = facts->no_ipv6,
		.n_endpoints = n };
	(void) snprintf(ret->kube, sizeof(ret->kube), "%s", facts->kube);
	(void) snprintf(ret->kube_problem, sizeof(ret->kube_problem), "%s", facts->kube_problem);
	memcpy(ret->endpoints, endpoints, n * sizeof(*endpoints));
	return presence_sign(ret, a->core->identity_seed);
}

static void tell(struct announce *a, const struct presence *presence, json_t *doc)
{
	a->told = presence->counter;
	if (doc)
		a->hooks->tell(a->ctx, doc);
}

static void tell_new(struct announce *a, const struct announce_facts *facts,
	const struct endpoint *endpoints, size_t n)
{
	CLEANUP(presence_done) struct presence made = { 0 };
	CLEANUP_JSON json_t *doc = NULL;
	struct book_heard heard;
	struct err err = { 0 };

	if (make(a, facts, endpoints, n, &made) < 0)
		return;
	doc = presence_to_json(&made);
	if (doc && book_add_presence(a->core->book, doc, clock_now_us(), &heard, &err) < 0)
		log_warning("our own presence: %s", err.text);
	log_debug("announcing %zu addresses", n);
	tell(a, &made, doc);
}

static void tell_again(struct announce *a, const struct presence *known)
{
	CLEANUP_JSON json_t *doc = presence_to_json(known);

	tell(a, known, doc);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	announce_look(ctx);
	return 0;
}

static void look_again(struct announce *a, uint64_t wait_us)
{
	int r = 0;

	if (!a->timer)
		r = sd_event_add_time(
			a->core->event, &a->timer, CLOCK_MONOTONIC, 0, 0, on_timer, a);
	if (r < 0)
		return; /* then with the next change */
	(void) sd_event_source_set_time_relative(a->timer, wait_us);
	(void) sd_event_source_set_enabled(a->timer, wait_us ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

/*
 * A board that was restored or wiped goes on above what the others have seen of it.
 */
static bool take_number(struct announce *a, const struct presence *known)
{
	a->waits = !a->hooks->take_number(a->ctx, known ? known->counter : 0, &a->number);
	return !a->waits;
}

static void add_valid(const struct endpoint *list, size_t n, size_t max,
	struct endpoint ret[static PRESENCE_ENDPOINTS_MAX], size_t *ret_n)
{
	for (size_t i = 0; i < n && *ret_n < max; i++) {
		bool is_new = presence_endpoint_is_valid(&list[i]);

		for (size_t k = 0; k < *ret_n && is_new; k++)
			is_new = !endpoint_equal(&ret[k], &list[i]);
		if (is_new)
			ret[(*ret_n)++] = list[i];
	}
}

/* The links' first, but there is room for the others: those may be the only ones of use. */
static size_t collect(
	const struct announce_facts *facts, struct endpoint ret[static PRESENCE_ENDPOINTS_MAX])
{
	size_t n = 0, more = facts->n_more < MORE_MAX ? facts->n_more : MORE_MAX;

	add_valid(facts->own->endpoints, facts->own->n_endpoints, PRESENCE_ENDPOINTS_MAX - more,
		ret, &n);
	if (n) /* without a link all that is over */
		add_valid(facts->more, facts->n_more, PRESENCE_ENDPOINTS_MAX, ret, &n);
	return n;
}

void announce_look(struct announce *a)
{
	const struct presence *known = book_presence(a->core->book, a->core->config.node);
	struct endpoint all[PRESENCE_ENDPOINTS_MAX], told[PRESENCE_ENDPOINTS_MAX];
	struct announce_facts facts;
	size_t n_all, n_told = 0;
	uint64_t wait_us = 0;
	bool moved;

	a->hooks->look(a->ctx, &facts);
	n_all = collect(&facts, all);
	if (!n_all)
		return; /* no uplink: nothing to tell, and nobody to tell it to */
	moved = announce_choose(
		&a->past, all, n_all, known, clock_now_us(), told, &n_told, &wait_us);
	look_again(a, wait_us);
	if (!moved && is_current(a, &facts, known)) {
		if (a->told != known->counter)
			tell_again(a, known);
		return;
	}
	if (!take_number(a, known))
		return;
	if (moved)
		announce_chosen(&a->past, clock_now_us());
	if (moved || !known)
		tell_new(a, &facts, told, n_told);
	else
		tell_new(a, &facts, known->endpoints, known->n_endpoints);
}

void announce_go_on(struct announce *a)
{
	if (!a->waits)
		return;
	a->waits = false;
	announce_look(a);
}

/* A cable that is moved, DHCP at the start: nothing to speak of. */
void announce_check(struct announce *a, bool up)
{
	uint64_t now = clock_now_us();
	struct announce_facts facts;
	struct err err = { 0 };

	a->hooks->look(a->ctx, &facts);
	if (!up || facts.own->n_endpoints) {
		a->addressless_us = 0;
		problem_set(&a->core->problems, "addresses", NULL);
		return;
	}
	if (!a->addressless_us)
		a->addressless_us = now;
	if (now - a->addressless_us < ADDRESSLESS_US)
		return;
	err_set(&err, -EADDRNOTAVAIL,
		"no link of this board has an address that others could try; connect it, or see "
		"with `hearth status --verbose` what its links are taken for");
	problem_set(&a->core->problems, "addresses", &err);
}
