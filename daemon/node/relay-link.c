/*
 * relay-link: see relay-link.h. Addresses are tried in turn, in the order of the hosts, for as long
 * as none answers; names are looked up anew meanwhile, for the relay may have moved.
 */
#include "node/relay-link.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "mesh/relay-hosts.h"

/* --- where it is --- */

static bool is_among(const struct endpoint *list, size_t n, const struct endpoint *to)
{
	for (size_t i = 0; i < n; i++)
		if (endpoint_equal(&list[i], to))
			return true;
	return false;
}

static void add(struct relay_link *l, const struct endpoint *to)
{
	if (l->n_found < RELAY_LINK_ADDRS && !is_among(l->found, l->n_found, to))
		l->found[l->n_found++] = *to;
}

static void add_found(struct relay_link *l, const struct ip_addr *addr)
{
	const struct settings *settings = netmap_settings(book_netmap(l->core->book));
	const char *refused = settings ? relay_host_refused(settings, addr) : NULL;
	char text[IP_TEXT_MAX];

	if (refused)
		err_set(&l->why, -EINVAL, "%s is not used: %s", ip_addr_format(addr, text),
			refused);
	else
		add(l, &(struct endpoint){ .addr = *addr, .port = l->record.udp });
}

/* Where a relay on this very board always is, whatever is between its addresses and the world. */
static void add_ourselves(struct relay_link *l)
{
	add(l, &(struct endpoint){
		       .addr = { .family = AF_INET, .bytes = { 127, 0, 0, 1 } },
		       .port = l->record.udp,
	       });
}

/*
 * What was found so far can be tried, where nothing else is. Where it is not any more has had its
 * time, unless it answers.
 */
static void publish(struct relay_link *l, bool complete)
{
	if (!l->n_found || (l->open && !complete))
		return;
	memcpy(l->addrs, l->found, sizeof(l->addrs));
	l->n_addrs = l->n_found;
	if (!l->open || !is_among(l->addrs, l->n_addrs, &l->to))
		l->tried_us = 0;
}

static void on_answer(void *ctx, const struct ip_addr *list, size_t n, const struct err *err);

/* From l->host on, until one is a name, whose answer goes on from there. */
static void look_up_rest(struct relay_link *l)
{
	struct ip_addr addr;
	struct err err = { 0 };

	for (; l->host < l->record.n_hosts; l->host++) {
		const char *host = l->record.hosts[l->host];

		if (ip_addr_parse(host, &addr) == 0)
			add_found(l, &addr);
		else if (resolve_start(l->core->event, host, on_answer, l, &l->asking, &err) == 0)
			return publish(l, false);
		else
			l->why = err;
	}
	publish(l, true);
}

static void on_answer(void *ctx, const struct ip_addr *list, size_t n, const struct err *err)
{
	struct relay_link *l = ctx;

	l->asking = NULL;
	if (!n)
		l->why = *err;
	for (size_t i = 0; i < n; i++)
		add_found(l, &list[i]);
	l->host++;
	look_up_rest(l);
	l->changed(l->ctx);
}

static void look_up(struct relay_link *l, uint64_t now_us)
{
	l->asking = resolve_cancel(l->asking);
	l->asked_us = now_us;
	l->n_found = l->host = 0;
	if (l->id == l->core->config.node)
		add_ourselves(l);
	look_up_rest(l);
}

/* --- its carrier --- */

/* The one after the one that was tried last; if that is not among them any more, the first. */
static size_t next_addr(const struct relay_link *l)
{
	for (size_t i = 0; i < l->n_addrs; i++)
		if (endpoint_equal(&l->addrs[i], &l->to))
			return (i + 1) % l->n_addrs;
	return 0;
}

static void open_carrier(struct relay_link *l, uint64_t now_us)
{
	size_t first = next_addr(l);
	char text[ENDPOINT_TEXT_MAX];

	l->tried_us = now_us;
	for (size_t i = 0; i < l->n_addrs; i++) {
		const struct endpoint *to = &l->addrs[(first + i) % l->n_addrs];

		if (ferry_relay_open(l->ferry, l->id, to, 0, &l->why) < 0)
			continue;
		l->open = true;
		l->to = *to;
		l->session = 0;
		bond_moved(&l->bond, now_us);
		log_debug("relay %u is tried at %s", l->id, endpoint_format(to, text));
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

/* It has had its time at this address, or there is no carrier at all. */
static bool is_next_due(const struct relay_link *l, uint64_t now_us)
{
	bool silent = !l->open || bond_silence_us(&l->bond, now_us) >= RELAY_LINK_TRY_US;

	return silent && (!l->tried_us || now_us - l->tried_us >= RELAY_LINK_TRY_US);
}

static uint64_t deadline(const struct relay_link *l, uint64_t now_us)
{
	uint64_t at_us = l->tried_us + RELAY_LINK_TRY_US, bind_us = bond_deadline(&l->bond);
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

uint64_t relay_link_run(struct relay_link *l, uint64_t now_us)
{
	if (!l->ferry || !l->usable)
		return UINT64_MAX;
	if (is_next_due(l, now_us)) {
		if (!l->asking && now_us - l->asked_us >= RELAY_LINK_ASK_US)
			look_up(l, now_us);
		open_carrier(l, now_us);
	}
	if (l->open)
		send_binds(l, now_us);
	return deadline(l, now_us);
}

void relay_link_take(struct relay_link *l, const uint8_t *data, size_t len, uint64_t now_us)
{
	if (!l->open || !bond_take(&l->bond, data, len, now_us))
		return;
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
	look_up(l, now_us);
	l->to.addr.family = AF_UNSPEC; /* begin with the first */
	open_carrier(l, now_us);
}

void relay_link_use(struct relay_link *l, struct ferry *ferry, uint64_t now_us)
{
	if (ferry == l->ferry || !l->usable)
		return;
	l->asking = resolve_cancel(l->asking);
	if (l->open)
		ferry_relay_close(l->ferry, l->id);
	l->ferry = ferry;
	l->used_us = now_us;
	l->open = false;
	l->session = 0;
	l->tried_us = 0;
	if (ferry)
		look_up(l, now_us);
}

/* --- how it is --- */

bool relay_link_carries(const struct relay_link *l, uint64_t now_us)
{
	return l->open && l->session && bond_is_bound(&l->bond, now_us) &&
	       bond_silence_us(&l->bond, now_us) < RELAY_LINK_PATIENCE_US;
}

/* One that is not used may be good. */
static bool is_silent(const struct relay_link *l, uint64_t now_us)
{
	if (!l->usable)
		return true;
	if (!l->ferry || now_us - l->used_us < RELAY_LINK_TRY_US)
		return false;
	return !l->open || bond_silence_us(&l->bond, now_us) >= RELAY_LINK_TRY_US;
}

struct home_choice relay_link_choice(const struct relay_link *l, uint64_t now_us)
{
	return (struct home_choice){ .id = l->id,
		.answers = relay_link_carries(l, now_us),
		.silent = is_silent(l, now_us),
		.rtt_us = l->rtt_us };
}

const char *relay_link_state(const struct relay_link *l, uint64_t now_us)
{
	if (!l->ferry || !l->usable)
		return "unused";
	if (relay_link_carries(l, now_us))
		return "bound";
	return bond_is_refused(&l->bond, now_us) ? "refused" : "silent";
}

const char *relay_link_why(
	const struct relay_link *l, uint64_t now_us, char ret[static RELAY_LINK_WHY_MAX])
{
	char to[ENDPOINT_TEXT_MAX], span[PACE_SPAN_MAX];

	*ret = 0;
	if (relay_link_carries(l, now_us))
		return ret;
	if (!l->usable)
		(void) snprintf(ret, RELAY_LINK_WHY_MAX, "its record has no usable key");
	else if (!l->n_addrs || !l->open)
		(void) snprintf(ret, RELAY_LINK_WHY_MAX, "%.380s",
			l->why.code ? l->why.text : "it was not asked yet");
	else if (bond_is_refused(&l->bond, now_us))
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

void relay_link_init(struct relay_link *l, struct core *core, const struct pair_self *self,
	const struct node *node, void (*changed)(void *ctx), void *ctx)
{
	*l = (struct relay_link){ .core = core, .id = node->id, .changed = changed, .ctx = ctx };
	node_relay_copy(&node->relay, &l->record);
	l->usable =
		bond_init(&l->bond, self, core->config.node, node->relay.key, clock_now_us()) == 0;
	if (!l->usable)
		log_seldom(LOG_LEVEL_WARNING,
			"the relay key in the record of board %s is none: it is no relay for us",
			node->name);
}

void relay_link_done(struct relay_link *l)
{
	relay_link_use(l, NULL, 0);
	bond_done(&l->bond);
	node_relay_done(&l->record);
}
