/*
 * relay-link: see relay-link.h. Addresses are tried in turn, in the order of the hosts, for as long
 * as none answers; names are looked up anew meanwhile, for the relay may have moved.
 */
#include "node/relay-link.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

enum { SOON = 20 }; /* tries in vain, beside one for each address, before they get seldom */

/* --- its carrier --- */

/* What was found can be tried. Where it is not any more has had its time, unless it answers. */
static void look_at_addrs(struct relay_link *l)
{
	if (l->times == l->addrs->times)
		return;
	l->times = l->addrs->times;
	if (!l->open || !relay_addrs_have(l->addrs, &l->to.addr))
		l->tried_us = 0;
}

/* The one after the one that was tried last; if that is not among them any more, the first. */
static size_t next_addr(const struct relay_link *l)
{
	for (size_t i = 0; i < l->addrs->n; i++)
		if (ip_addr_equal(&l->addrs->list[i].addr, &l->to.addr))
			return (i + 1) % l->addrs->n;
	return 0;
}

static void open_carrier(struct relay_link *l, uint64_t now_us)
{
	const struct relay_addrs *a = l->addrs;
	size_t first = next_addr(l);
	char text[ENDPOINT_TEXT_MAX];

	l->tried_us = now_us;
	l->in_vain++;
	for (size_t i = 0; i < a->n; i++) {
		struct endpoint to = { .addr = a->list[(first + i) % a->n].addr, .port = l->port };

		if (ferry_relay_open(l->ferry, l->id, &to, 0, &l->why) < 0)
			continue;
		l->open = true;
		l->to = to;
		l->session = 0;
		bond_moved(&l->bond, now_us);
		log_debug("relay %u is tried at %s", l->id, endpoint_format(&to, text));
		return;
	}
}

static void send_binds(struct relay_link *l, uint64_t now_us)
{
	uint8_t data[UDPRELAY_BIND_LEN];
	struct bond_chance chance;

	do
		randombytes_buf(&chance, sizeof(chance));
	while (!chance.tx);
	/* What does not leave is one that is not answered. */
	if (bond_bind(&l->bond, now_us, &chance, data))
		(void) ferry_send_control(l->ferry, l->id, data, sizeof(data));
}

/* All addresses soon; where another way serves, or after a minute, then ever more seldom. */
static uint64_t try_us(const struct relay_link *l)
{
	uint64_t us = RELAY_LINK_TRY_US;
	uint64_t max_us = l->patient ? RELAY_LINK_TRY_MAX_US : RELAY_LINK_TRY_TIRED_US;
	size_t soon = l->patient ? l->addrs->n : l->addrs->n + SOON;

	for (size_t i = soon; i < l->in_vain && us < max_us; i++)
		us *= 2;
	return us;
}

/* It has had its time at this address, or there is no carrier at all. */
static bool is_next_due(const struct relay_link *l, uint64_t now_us)
{
	bool silent = !l->open || bond_silence_us(&l->bond, now_us) >= RELAY_LINK_TRY_US;

	return silent && (!l->tried_us || now_us - l->tried_us >= try_us(l));
}

static uint64_t deadline(const struct relay_link *l, uint64_t now_us)
{
	uint64_t at_us = l->tried_us + try_us(l), bind_us = bond_deadline(&l->bond);
	uint64_t silence_us = bond_silence_us(&l->bond, now_us);

	if (!l->open)
		return at_us;
	if (!silence_us)
		return bind_us;
	if (silence_us < RELAY_LINK_PATIENCE_US)
		at_us = now_us - silence_us + RELAY_LINK_PATIENCE_US;
	else if (silence_us < RELAY_LINK_TRY_US && now_us - silence_us > l->tried_us)
		at_us = now_us - silence_us + RELAY_LINK_TRY_US;
	return at_us < bind_us ? at_us : bind_us;
}

/* While it is silent the ferry has another way, or none. */
static void tell_silence(struct relay_link *l, uint64_t now_us)
{
	if (l->session && !relay_link_carries(l, now_us) &&
		ferry_relay_session(l->ferry, l->id, 0) == 0)
		l->session = 0;
}

uint64_t relay_link_run(struct relay_link *l, uint64_t now_us)
{
	if (!l->ferry || !l->usable)
		return UINT64_MAX;
	look_at_addrs(l);
	if (is_next_due(l, now_us)) {
		relay_addrs_ask_again(l->addrs, now_us);
		l->times = l->addrs->times;
		open_carrier(l, now_us);
	}
	if (l->open) {
		send_binds(l, now_us);
		tell_silence(l, now_us);
	}
	return deadline(l, now_us);
}

void relay_link_take(struct relay_link *l, const uint8_t *data, size_t len, uint64_t now_us)
{
	if (!l->open || !bond_take(&l->bond, data, len, now_us))
		return;
	l->in_vain = 0;
	l->rtt_us = l->rtt_us ? (3 * l->rtt_us + l->bond.rtt_us) / 4 : l->bond.rtt_us;
	if (l->session != l->bond.session)
		log_debug("relay %u has bound us, in %u us", l->id, (unsigned) l->bond.rtt_us);
	if (ferry_relay_session(l->ferry, l->id, l->bond.session) == 0)
		l->session = l->bond.session;
}

void relay_link_doubt(struct relay_link *l, uint64_t now_us)
{
	bond_doubt(&l->bond, now_us);
}

void relay_link_moved(struct relay_link *l, uint64_t now_us)
{
	if (!l->ferry || !l->usable)
		return;
	l->times = l->addrs->times;
	l->in_vain = 0;
	l->to.addr.family = AF_UNSPEC; /* begin with the first */
	open_carrier(l, now_us);
}

void relay_link_use(struct relay_link *l, struct ferry *ferry, uint64_t now_us)
{
	if (ferry == l->ferry || !l->usable)
		return;
	if (l->open)
		ferry_relay_close(l->ferry, l->id);
	l->ferry = ferry;
	l->used_us = now_us;
	l->open = false;
	l->session = 0;
	l->tried_us = 0;
	l->in_vain = 0;
}

/* --- how it is --- */

bool relay_link_carries(const struct relay_link *l, uint64_t now_us)
{
	return l->open && l->session && bond_is_bound(&l->bond, now_us) &&
	       bond_silence_us(&l->bond, now_us) < RELAY_LINK_PATIENCE_US;
}

bool relay_link_is_silent(const struct relay_link *l, uint64_t now_us)
{
	if (!l->usable)
		return true;
	if (!l->ferry || now_us - l->used_us < RELAY_LINK_TRY_US)
		return false;
	return !l->open || bond_silence_us(&l->bond, now_us) >= RELAY_LINK_TRY_US;
}

bool relay_link_is_refused(const struct relay_link *l, uint64_t now_us)
{
	return l->open && bond_is_refused(&l->bond, now_us);
}

const char *relay_link_why(
	const struct relay_link *l, uint64_t now_us, char ret[static RELAY_LINK_WHY_MAX])
{
	const struct err *why = l->addrs->n ? &l->why : &l->addrs->why;
	char to[ENDPOINT_TEXT_MAX], span[PACE_SPAN_MAX];

	if (!l->port)
		(void) snprintf(ret, RELAY_LINK_WHY_MAX, "it has no UDP port");
	else if (!l->open)
		(void) snprintf(ret, RELAY_LINK_WHY_MAX, "%.380s",
			why->code ? why->text : "it was not asked yet");
	else if (relay_link_is_refused(l, now_us))
		(void) snprintf(ret, RELAY_LINK_WHY_MAX,
			"it answers at %s, but does not know this board",
			endpoint_format(&l->to, to));
	else
		(void) snprintf(ret, RELAY_LINK_WHY_MAX, "UDP to %s is not answered, for %s",
			endpoint_format(&l->to, to),
			pace_span_format(bond_silence_us(&l->bond, now_us), span));
	return ret;
}

/* --- its life --- */

bool relay_link_init(struct relay_link *l, const struct pair_self *self, uint32_t node, uint32_t id,
	const struct node_relay *record, struct relay_addrs *addrs, uint64_t now_us)
{
	bool good;

	*l = (struct relay_link){ .id = id, .port = record->udp, .addrs = addrs };
	good = bond_init(&l->bond, self, node, record->key, now_us) == 0;
	l->usable = good && l->port;
	return good;
}

void relay_link_done(struct relay_link *l)
{
	relay_link_use(l, NULL, 0);
	bond_done(&l->bond);
}
