/* offer: see offer.h. The file is looked at each time: a person may have changed it. */
#include "node/offer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/pace.h"
#include "board/relayfile.h"
#include "mesh/relay-hosts.h"
#include "wire/api.h"

#define FOLLOWS_US (5 * USEC_PER_SEC) /* so long a record may take once it was put */
#define PAUSE_US   (2 * USEC_PER_SEC) /* after a failure, then twice as long each time */

struct offer {
	struct core *core;
	const struct offer_hooks *hooks;
	void *ctx;
	bool under_way;
	struct backoff backoff;
	struct node_relay put; /* what was put last */
	uint64_t put_us;       /* and is there; 0: it is not */
	bool tells;            /* what is under way: only by whom it was reached */
	struct reached told;
	uint64_t told_us; /* 0: nothing yet */
};

void offer_choose_hosts(const struct candidates *own, struct node_relay *ret)
{
	struct ip_addr addrs[LINKS_ADDRS_MAX];

	for (size_t i = 0; i < own->n_endpoints; i++)
		addrs[i] = own->endpoints[i].addr;
	relay_hosts_own(addrs, own->n_endpoints, ret);
}

/* 1 and what the record should say; 0: that is not known now. */
static int find_wanted(struct offer *offer, const struct candidates *own, struct node_relay *ret)
{
	CLEANUP_RELAYFILE struct relayfile file = { 0 };
	struct problems *problems = &offer->core->problems;
	char path[PATH_TEXT_MAX];
	struct err err = { 0 };
	int r = relayfile_read(
		paths_join(offer->core->paths.etc, RELAYFILE_NAME, path), &file, &err);

	problem_set(problems, "relay-file", r < 0 && r != -ENOENT ? &err : NULL);
	if (r < 0)
		return r == -ENOENT;
	*ret = file.relay;
	if (file.automatic)
		offer_choose_hosts(own, ret);
	return ret->n_hosts > 0;
}

static void say_unfollowed(struct offer *offer, const struct node *self)
{
	struct err err = { 0 };

	if (clock_now_us() - offer->put_us < FOLLOWS_US)
		return;
	if (offer->put.n_hosts)
		err_set(&err, -EINPROGRESS,
			"this board offers itself as a relay, but others do not use it yet: "
			"`hearth relay allow %s` on the coordinator's board lets them",
			self->name);
	else
		err_set(&err, -EALREADY,
			"the coordinator still lists this board as a relay, though it is none");
	problem_set(&offer->core->problems, "relay-offer", &err);
}

static void put_doc(
	struct offer *offer, const struct node_relay *wanted, const struct reached *reached)
{
	struct api_relay_request request = { .relay = *wanted };
	CLEANUP_JSON json_t *doc = NULL;
	struct err err = { 0 };
	int r;

	request.has_reached = reached != NULL;
	if (reached)
		request.reached = *reached;
	doc = api_relay_request_to_json(&request, clock_now_us());
	r = doc ? offer->hooks->put(offer->ctx, doc, &err)
		: err_set(&err, -ENOMEM, "out of memory");

	offer->under_way = true;
	if (r < 0)
		offer_put_ended(offer, r, &err);
}

static void put(struct offer *offer, const struct node_relay *wanted, const struct reached *reached)
{
	offer->put = *wanted;
	offer->put_us = 0;
	put_doc(offer, wanted, reached);
}

/* The record says @wanted: whether the relay is of any use is all there is to tell. */
static void tell(
	struct offer *offer, const struct node_relay *wanted, const struct reached *reached)
{
	uint64_t now_us = clock_now_us(), pause_us;

	if (!reached || !wanted->n_hosts)
		return;
	pause_us = reached_same_ways(reached, &offer->told) ? OFFER_AGAIN_US : OFFER_TELL_US;
	if (offer->told_us && now_us - offer->told_us < pause_us)
		return;
	offer->tells = true;
	offer->told = *reached;
	offer->told_us = now_us;
	put_doc(offer, wanted, reached);
}

void offer_put_ended(struct offer *offer, int r, const struct err *err)
{
	struct err why = { 0 };

	offer->under_way = false;
	if (offer->tells) {
		offer->tells = false; /* not told: with the next one, in ten minutes at most */
		return;
	}
	if (r == 0) {
		offer->put_us = clock_now_us();
		offer->backoff = (struct backoff){ .next_us = offer->put_us + OFFER_AGAIN_US };
		return;
	}
	backoff_failed(&offer->backoff, PAUSE_US, OFFER_AGAIN_US, clock_now_us());
	err_set(&why, r, "this board is to be %s, but the coordinator was not told: %s",
		offer->put.n_hosts ? "a relay" : "a relay no more", err->text);
	problem_set(&offer->core->problems, "relay-offer", &why);
}

/*
 * The record is that of the relay which this board is, at whatever hosts: once it was told, the
 * coordinator says that better, for its administrator may have named others (`hearth relay add`).
 */
static bool is_the_same(const struct node_relay *record, const struct node_relay *wanted)
{
	struct node_relay there = *wanted;

	there.n_hosts = record->n_hosts;
	memcpy(there.hosts, record->hosts, sizeof(there.hosts));
	return record->n_hosts && wanted->n_hosts && node_relay_equal(record, &there);
}

void offer_look(struct offer *offer, const struct node *self, const struct candidates *own,
	const struct reached *reached)
{
	struct node_relay wanted = { 0 };
	bool is_followed;

	if (!self || offer->under_way || !find_wanted(offer, own, &wanted))
		return;
	is_followed = offer->put_us && is_the_same(&self->relay, &wanted);
	if (node_relay_equal(&self->relay, &wanted)) {
		problem_set(&offer->core->problems, "relay-offer", NULL);
		offer->backoff = (struct backoff){ 0 };
		offer->put_us = 0;
		tell(offer, &wanted, reached);
		return;
	}
	if (!node_relay_equal(&offer->put, &wanted))
		offer->backoff = (struct backoff){ 0 }; /* it is something else that is wanted */
	else if (is_followed)
		problem_set(&offer->core->problems, "relay-offer", NULL);
	else if (offer->put_us)
		say_unfollowed(offer, self);
	if (clock_now_us() >= offer->backoff.next_us)
		put(offer, &wanted, reached);
	else if (is_followed)
		tell(offer, &wanted, reached);
}

struct offer *offer_new(struct core *core, const struct offer_hooks *hooks, void *ctx)
{
	struct offer *offer = calloc(1, sizeof(*offer));

	if (offer)
		*offer = (struct offer){ .core = core, .hooks = hooks, .ctx = ctx };
	return offer;
}

struct offer *offer_free(struct offer *offer)
{
	free(offer);
	return NULL;
}
