/*
 * mtus: see mtus.h. What is due is done from its own timer only: news comes from within others, who
 * would not expect that routes are changed under them.
 */
#include "node/mtus.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "wire/disco.h"
#include "wire/wg.h"

/* A packet of the tunnel's that is padded, and a ping as long as the datagram it is sealed into. */
enum { AROUND = WG_DATA_MIN_LEN, TOP_MAX = DISCO_MAX_LEN - AROUND };

_Static_assert((int) MTU_SMALL + (int) AROUND == (int) DISCO_MIN_LEN, "no ping is shorter");

struct mtus {
	struct peers *peers;
	const struct mtus_hooks *hooks;
	void *ctx;
	sd_event_source *timer;
	unsigned top;
	uint64_t told_us;
};

static unsigned known(const struct peer *peer)
{
	return peer->mtu.search.size ? peer->mtu.search.size : MTU_LEAST;
}

unsigned mtus_of(const struct mtus *m, uint32_t id)
{
	const struct peer *peer = peers_get(m->peers, id);

	return peer ? peer_mtu(peer) : MTU_LEAST;
}

/* --- a turn --- */

static void wake_at(struct mtus *m, uint64_t at_us, uint64_t now_us)
{
	uint64_t wait_us = at_us > now_us ? at_us - now_us : 0;

	if (at_us != MTU_NEVER) {
		(void) sd_event_source_set_time_relative(m->timer, wait_us);
		(void) sd_event_source_set_time_accuracy(m->timer, 10 * USEC_PER_MSEC);
	}
	(void) sd_event_source_set_enabled(
		m->timer, at_us != MTU_NEVER ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

/* The next turn is when a probe is due, or news. */
static void arm(struct mtus *m, uint64_t now_us)
{
	uint64_t next_us = MTU_NEVER;
	size_t n;
	const struct peer *list = peers_list(m->peers, &n);

	for (size_t i = 0; i < n; i++) {
		uint64_t at_us = mtu_deadline(&list[i].mtu.search);

		if (list[i].mtu.search.size != list[i].mtu.told &&
			m->told_us + MTUS_TOGETHER_US < at_us)
			at_us = m->told_us + MTUS_TOGETHER_US;
		if (at_us < next_us)
			next_us = at_us;
	}
	wake_at(m, next_us, now_us);
}

static void probe(struct mtus *m, struct peer *peer, uint64_t now_us)
{
	uint16_t sizes[MTU_PROBES_MAX];
	size_t n = mtu_probes(&peer->mtu.search, now_us, sizes);

	for (size_t i = 0; i < n; i++)
		m->hooks->probe(m->ctx, peer->id, &peer->mtu.way, sizes[i] + AROUND);
}

static void tell(struct mtus *m, uint64_t now_us)
{
	bool news = false;
	size_t n;
	struct peer *list = peers_all(m->peers, &n);

	if (now_us - m->told_us < MTUS_TOGETHER_US)
		return;
	for (size_t i = 0; i < n; i++) {
		struct peer_mtu *mtu = &list[i].mtu;

		if (known(&list[i]) != peer_mtu(&list[i])) {
			log_debug("packets to board %u may have %u bytes", list[i].id,
				known(&list[i]));
			news = true;
		}
		mtu->told = mtu->search.size;
	}
	if (!news)
		return;
	m->told_us = now_us;
	m->hooks->changed(m->ctx);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct mtus *m = ctx;
	uint64_t now_us = clock_now_us();
	size_t n;
	struct peer *list = peers_all(m->peers, &n);

	for (size_t i = 0; i < n; i++)
		probe(m, &list[i], now_us);
	tell(m, now_us);
	arm(m, now_us);
	return 0;
}

/* --- what happens --- */

static void follow(struct mtus *m, struct peer *peer, uint64_t now_us)
{
	const struct way *way = ways_in_use(&peer->ways);
	struct endpoint to = way ? way->to : (struct endpoint){ 0 };
	uint32_t relay = way && way->relayed ? peer->relay : 0;
	unsigned top = way ? m->top : 0;
	struct peer_mtu *mtu = &peer->mtu;

	if (endpoint_equal(&mtu->way, &to) && mtu->relay == relay && mtu->search.top == top)
		return;
	mtu->way = to;
	mtu->relay = relay;
	mtu_way(&mtu->search, top, way ? way->rtt_us : 0, now_us);
}

void mtus_follow(struct mtus *m)
{
	uint64_t now_us = clock_now_us();
	size_t n;
	struct peer *list = peers_all(m->peers, &n);

	for (size_t i = 0; i < n; i++)
		follow(m, &list[i], now_us);
	arm(m, now_us);
}

void mtus_set_top(struct mtus *m, unsigned top)
{
	m->top = top < TOP_MAX ? top : TOP_MAX;
	mtus_follow(m);
}

void mtus_doubt(struct mtus *m, uint32_t id, uint64_t sent)
{
	struct peer *peer = peers_change(m->peers, id);
	uint64_t now_us = clock_now_us();

	if (!peer)
		return;
	mtu_doubt(&peer->mtu.search, sent, now_us);
	arm(m, now_us);
}

/* The tunnel counts from 0 when it is opened anew. */
static void look(struct peer *peer, uint64_t now_us)
{
	uint64_t sent = peer->stats.tx_bytes, before = peer->mtu.sent_bytes;
	uint64_t more = sent >= before ? sent - before : sent;

	peer->mtu.sent_bytes = sent;
	if (more >= MTUS_SOME)
		mtu_traffic(&peer->mtu.search, more >= MTUS_MUCH, now_us);
}

void mtus_look(struct mtus *m)
{
	uint64_t now_us = clock_now_us();
	size_t n;
	struct peer *list = peers_all(m->peers, &n);

	for (size_t i = 0; i < n; i++)
		look(&list[i], now_us);
	mtus_follow(m);
}

void mtus_probed(
	struct mtus *m, uint32_t id, const struct endpoint *to, size_t len, uint64_t rtt_us)
{
	struct peer *peer = peers_change(m->peers, id);
	uint64_t now_us = clock_now_us();

	if (!peer || !endpoint_equal(&peer->mtu.way, to))
		return;
	mtu_answered(&peer->mtu.search, (unsigned) len - AROUND, rtt_us, now_us);
	arm(m, now_us);
}

/* --- its life --- */

int mtus_new(struct core *core, struct peers *peers, const struct mtus_hooks *hooks, void *ctx,
	struct mtus **ret, struct err *err)
{
	struct mtus *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return err_set(err, -ENOMEM, "out of memory");
	*m = (struct mtus){ .peers = peers, .hooks = hooks, .ctx = ctx };
	r = sd_event_add_time(core->event, &m->timer, CLOCK_MONOTONIC, 0, 0, on_timer, m);
	if (r < 0) {
		mtus_free(m);
		return err_set(err, r, "cannot set up a timer: %s", strerror(-r));
	}
	(void) sd_event_source_set_enabled(m->timer, SD_EVENT_OFF);
	*ret = m;
	return 0;
}

struct mtus *mtus_free(struct mtus *m)
{
	if (m)
		sd_event_source_disable_unref(m->timer);
	free(m);
	return NULL;
}
