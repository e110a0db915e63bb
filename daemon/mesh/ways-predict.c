/*
 * Pings to where a NAT that counts should have its next flows (predict.h). What they find is heard,
 * and a way then like any other that is heard: they themselves are no ways, and wait for no answer.
 */
#include <assert.h>

#include "mesh/ways-internal.h"

static_assert((int) PREDICT_BURSTS == (int) WAYS_PUNCHES, "one with each round");

enum disco_mapping ways_own_mapping(const struct ways *w)
{
	return w->own ? w->own->mapping : DISCO_MAPPING_UNKNOWN;
}

bool ways_both_count(const struct ways *w)
{
	return ways_own_mapping(w) == DISCO_MAPPING_COUNTING &&
	       w->predict.peer.mapping == DISCO_MAPPING_COUNTING;
}

void ways_nat(struct ways *w, const struct predict_nat *nat)
{
	predict_called(&w->predict, nat);
}

/* As long as routers keep a flow that was not answered; where it is gone, nothing is lost. */
#define AIMED_US UINT64_C(180000000)

void ways_predict_begin(struct ways *w, unsigned burst, uint64_t now_us)
{
	bool lately = w->aimed_us && now_us - w->aimed_us < AIMED_US;

	if (burst == 0) {
		w->predict.own = ways_own_mapping(w);
		w->predict.ahead = lately ? predict_flows_to(&w->predict.peer, &w->aimed) : 0;
	}
	predict_begin(&w->predict, burst);
	w->burst = w->predicts ? burst : PREDICT_BURSTS;
	w->burst_next = 0;
}

static bool may_predict(struct ways *w, const struct endpoint *to, uint64_t now_us)
{
	return ways_may_ping(w->own, to) &&
	       pace_left(&w->tries, WAYS_PEER_TRIES, WAYS_PEER_TRIES_EVERY_US, now_us) &&
	       pace_may(&w->predicted, WAYS_PREDICTED, WAYS_PREDICTED_EVERY_US, now_us, NULL) &&
	       pace_may(&w->tries, WAYS_PEER_TRIES, WAYS_PEER_TRIES_EVERY_US, now_us, NULL);
}

bool ways_predict_next(struct ways *w, uint64_t now_us, struct endpoint *ret)
{
	struct endpoint list[PREDICT_PORTS];
	size_t n;

	if (w->burst == PREDICT_BURSTS)
		return false;
	n = predict_ports(&w->predict, w->burst, list);
	while (w->burst_next < n) {
		*ret = list[w->burst_next++];
		if (!may_predict(w, ret, now_us))
			continue;
		predict_pinged(&w->predict, ret);
		if (predict_flows_to(&w->predict.peer, ret) > w->predict.ahead) {
			w->aimed = *ret;
			w->aimed_us = now_us;
		}
		return true;
	}
	w->burst = PREDICT_BURSTS;
	return false;
}
