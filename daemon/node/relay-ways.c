/* relay-ways: see relay-ways.h. */
#include "node/relay-ways.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

void relay_ways_use(struct relay_ways *w, struct ferry *ferry, uint64_t now_us)
{
	if (w->twin || !w->usable)
		ferry = NULL;
	if (ferry == w->ferry)
		return;
	relay_addrs_stop(&w->addrs);
	relay_link_use(&w->link, ferry, now_us);
	relay_stream_use(&w->stream, ferry, now_us);
	w->ferry = ferry;
	w->bound_us = 0;
	if (ferry)
		relay_addrs_ask(&w->addrs, now_us);
}

void relay_ways_bar(struct relay_ways *w, uint32_t twin, uint64_t now_us)
{
	w->twin = twin;
	if (twin)
		relay_ways_use(w, NULL, now_us);
}

uint64_t relay_ways_run(struct relay_ways *w, uint64_t now_us)
{
	uint64_t udp_us, tcp_us, beside_us = UINT64_MAX;

	if (!w->ferry)
		return UINT64_MAX;
	w->link.patient = relay_stream_carries(&w->stream);
	udp_us = relay_link_run(&w->link, now_us);
	if (!relay_link_carries(&w->link, now_us))
		w->bound_us = 0;
	else if (!w->bound_us)
		w->bound_us = now_us;
	if (w->bound_us && now_us - w->bound_us < RELAY_WAYS_BESIDE_US)
		beside_us = w->bound_us + RELAY_WAYS_BESIDE_US;
	relay_stream_use(
		&w->stream, w->bound_us && beside_us == UINT64_MAX ? NULL : w->ferry, now_us);
	tcp_us = relay_stream_run(&w->stream, now_us);
	if (tcp_us < udp_us)
		udp_us = tcp_us;
	return beside_us < udp_us ? beside_us : udp_us;
}

void relay_ways_doubt(struct relay_ways *w, uint64_t now_us)
{
	relay_link_doubt(&w->link, now_us);
	relay_stream_doubt(&w->stream, now_us);
}

void relay_ways_moved(struct relay_ways *w, uint64_t now_us)
{
	if (!w->ferry)
		return;
	relay_addrs_ask(&w->addrs, now_us);
	relay_link_moved(&w->link, now_us);
	relay_stream_moved(&w->stream, now_us);
}

/* --- how it is --- */

struct home_choice relay_ways_choice(const struct relay_ways *w, uint64_t now_us)
{
	bool udp = relay_link_carries(&w->link, now_us), tcp = relay_stream_carries(&w->stream);
	bool silent = relay_link_is_silent(&w->link, now_us) &&
		      relay_stream_is_silent(&w->stream, now_us);

	return (struct home_choice){ .id = w->id,
		.answers = udp || tcp,
		.silent = w->twin || !w->usable || (!udp && !tcp && silent),
		.rtt_us = !udp && tcp ? w->stream.rtt_us : w->link.rtt_us };
}

const char *relay_ways_by(const struct relay_ways *w, uint64_t now_us)
{
	if (relay_link_carries(&w->link, now_us))
		return "udp";
	return relay_stream_carries(&w->stream) ? "tcp" : NULL;
}

const char *relay_ways_state(const struct relay_ways *w, uint64_t now_us)
{
	if (!w->ferry)
		return "unused";
	if (relay_ways_by(w, now_us))
		return "bound";
	if (relay_link_is_refused(&w->link, now_us) || relay_stream_is_refused(&w->stream))
		return "refused";
	return "silent";
}

struct endpoint relay_ways_at(const struct relay_ways *w, uint64_t now_us)
{
	const char *by = relay_ways_by(w, now_us);

	if (w->link.open && (!by || *by == 'u'))
		return w->link.to;
	return (struct endpoint){ .addr = w->stream.login.to.addr, .port = w->record.tcp };
}

static const char *name_of(const struct relay_ways *w, uint32_t id)
{
	const struct node *node = netmap_by_id(book_netmap(w->addrs.core->book), id);

	return node ? node->name : "?";
}

/* Of one that carries by a stream, why not by UDP; of one that does not carry, both. */
static void tell_ways(const struct relay_ways *w, uint64_t now_us, char *ret, size_t size)
{
	char udp[RELAY_LINK_WHY_MAX] = "", tcp[RELAY_STREAM_WHY_MAX] = "";

	if (w->link.usable)
		(void) relay_link_why(&w->link, now_us, udp);
	if (!relay_stream_carries(&w->stream))
		(void) relay_stream_why(&w->stream, tcp);
	if (!strcmp(udp, tcp)) /* its name is not found */
		*tcp = 0;
	(void) snprintf(ret, size, "%s%s%s", udp, *udp && *tcp ? "; " : "", tcp);
}

const char *relay_ways_why(
	const struct relay_ways *w, uint64_t now_us, char ret[static RELAY_WAYS_WHY_MAX])
{
	*ret = 0;
	if (w->twin)
		(void) snprintf(ret, RELAY_WAYS_WHY_MAX,
			"its record has the key of relay %s, and only one of them can be that",
			name_of(w, w->twin));
	else if (!w->usable)
		(void) snprintf(ret, RELAY_WAYS_WHY_MAX, "its record has no usable key");
	else if (!relay_link_carries(&w->link, now_us))
		tell_ways(w, now_us, ret, RELAY_WAYS_WHY_MAX);
	return ret;
}

/* --- its life --- */

void relay_ways_init(struct relay_ways *w, struct core *core, const struct pair_self *self,
	const struct node *node, void (*changed)(void *ctx), void *ctx)
{
	*w = (struct relay_ways){ .id = node->id };
	node_relay_copy(&node->relay, &w->record);
	relay_addrs_init(&w->addrs, core, node->id, &w->record, changed, ctx);
	w->usable = relay_link_init(
		&w->link, self, core->config.node, node->id, &w->record, &w->addrs, clock_now_us());
	relay_stream_init(&w->stream, core, node->id, &w->record, &w->addrs, changed, ctx);
	if (!w->usable)
		log_seldom(LOG_LEVEL_WARNING,
			"the relay key in the record of board %s is none: it is no relay for us",
			node->name);
}

void relay_ways_done(struct relay_ways *w)
{
	relay_ways_use(w, NULL, 0);
	relay_link_done(&w->link);
	node_relay_done(&w->record);
}
