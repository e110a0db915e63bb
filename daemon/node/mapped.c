/*
 * mapped: see mapped.h. All that is due is done in one turn (run()), whatever made it begin, and
 * one timer begins the next.
 */
#include "node/mapped.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "mesh/relay-hosts.h"
#include "node/stun-once.h"
#include "node/stun-servers.h"

#define SAMPLE_US      (350 * USEC_PER_MSEC) /* for its answer; then another may be asked for */
#define CHECK_PAUSE_US USEC_PER_SEC          /* between two rounds that people want */
/* Links that come and go, and peers who make their ways do so, are followed ever more slowly. */
static const struct damping moves_damping = { .free = 4,
	.first_us = USEC_PER_SEC,
	.longest_us = 30 * USEC_PER_SEC,
	.forget_us = 60 * USEC_PER_SEC };
/* In a few seconds: more than keepalives and handshakes are, also of many peers. */
enum { TRAFFIC_BYTES = 2000, TRAFFIC_BYTES_EACH = 64 };

struct check {
	void (*done)(void *ctx);
	void *ctx;
};

struct mapped {
	struct core *core;
	const struct peers *peers;
	const struct mapped_hooks *hooks;
	void *ctx;
	struct tunnel *tunnel; /* borrowed, NULL: none */
	struct nat nat;
	struct stun_servers named;
	struct stun_once once;
	struct mapped_server servers[NAT_SERVERS_MAX]; /* in the order of nat's */
	size_t n;
	sd_event_source *timer;
	bool active;     /* it matters what others are told */
	uint64_t bytes;  /* of peers that are not on our LAN, when that was asked last */
	uint32_t chance; /* of the next round */
	struct damper moves;
	uint64_t move_us; /* the next, which had to wait; NAT_NEVER: none */
	uint64_t checked_us;
	struct check checks[MAPPED_CHECKS_MAX];
	size_t n_checks;
	struct mapped_counters counters;
};

static struct nat_own own_of(const struct mapped *m)
{
	const struct candidates *own = m->hooks->own(m->ctx);

	return (struct nat_own){ own->endpoints, own->n_endpoints };
}

/* --- whom to ask --- */

static void add(struct mapped *m, const struct mapped_server *server)
{
	for (size_t i = 0; i < m->n; i++)
		if (endpoint_equal(&m->servers[i].at, &server->at))
			return;
	if (m->n < NAT_SERVERS_MAX)
		m->servers[m->n++] = *server;
}

static void find_servers(struct mapped *m)
{
	struct mapped_server relays[NAT_SERVERS_MAX];
	size_t n = m->hooks->relays(m->ctx, relays, NAT_SERVERS_MAX);

	m->n = 0;
	for (size_t i = 0; i < n; i++)
		add(m, &relays[i]);
	for (size_t i = 0; i < m->named.n; i++)
		add(m, &(struct mapped_server){ .at = m->named.list[i].at,
			       .host = m->named.hosts[m->named.list[i].host].host });
}

/* Who is new is asked at once, with all others. */
static void follow_servers(struct mapped *m, uint64_t now_us)
{
	struct endpoint list[NAT_SERVERS_MAX];
	struct nat_own own = own_of(m);

	find_servers(m);
	for (size_t i = 0; i < m->n; i++)
		list[i] = m->servers[i].at;
	if (nat_set_servers(&m->nat, list, m->n) && m->tunnel)
		nat_begin(&m->nat, true, &own, now_us);
}

/* --- how much it matters --- */

/* It is looked for, and not yet for so long that it may just be off. */
static bool is_sought(const struct peer *peer, uint64_t now_us)
{
	return peer->has_presence && peer->ways.doubtful &&
	       now_us - peer->ways.since_us < WAYS_TIRED_US;
}

/* To and from peers for whom it matters what the NAT does. */
static uint64_t bytes_outside(const struct peer *list, size_t n)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < n; i++)
		if (!ip_addr_is_private(&list[i].stats.endpoint.addr))
			bytes += list[i].stats.rx_bytes + list[i].stats.tx_bytes;
	return bytes;
}

static bool find_active(struct mapped *m, uint64_t now_us)
{
	size_t n;
	const struct peer *list = peers_list(m->peers, &n);
	uint64_t bytes = bytes_outside(list, n), before = m->bytes;

	m->bytes = bytes;
	for (size_t i = 0; i < n; i++)
		if (is_sought(&list[i], now_us))
			return true;
	return bytes > before && bytes - before > TRAFFIC_BYTES + n * TRAFFIC_BYTES_EACH;
}

/* --- a turn --- */

static void ask(struct mapped *m, uint64_t now_us)
{
	static const struct ip_addr as_routed;
	uint8_t tx[STUN_TX_LEN], data[STUN_REQUEST_LEN];
	struct endpoint to;

	while (randombytes_buf(tx, sizeof(tx)), nat_ask(&m->nat, now_us, tx, &to)) {
		stun_request_format(tx, data);
		/* What does not leave is not answered either. */
		if (tunnel_send_aside(m->tunnel, &to, &as_routed, data, sizeof(data)) == 0)
			m->counters.sent++;
	}
}

static void end_checks(struct mapped *m)
{
	struct check checks[MAPPED_CHECKS_MAX];
	size_t n = m->n_checks;

	memcpy(checks, m->checks, sizeof(checks));
	m->n_checks = 0;
	for (size_t i = 0; i < n; i++)
		checks[i].done(checks[i].ctx);
}

static void move(struct mapped *m, uint64_t now_us)
{
	struct nat_own own = own_of(m);

	m->move_us = NAT_NEVER;
	damper_done(&m->moves, &moves_damping, now_us);
	nat_moved(&m->nat);
	nat_begin(&m->nat, true, &own, now_us);
}

/* What is only now and then may be together with what else wakes us. */
static void wake_at(struct mapped *m, uint64_t at_us, uint64_t now_us)
{
	uint64_t wait_us = at_us > now_us ? at_us - now_us : 0;

	if (at_us != NAT_NEVER) {
		(void) sd_event_source_set_time_relative(m->timer, wait_us);
		(void) sd_event_source_set_time_accuracy(
			m->timer, nat_is_asking(&m->nat) ? 10 * USEC_PER_MSEC : USEC_PER_SEC);
	}
	(void) sd_event_source_set_enabled(
		m->timer, at_us != NAT_NEVER ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static uint64_t deadline_us(const struct mapped *m)
{
	uint64_t at_us = nat_deadline(&m->nat, m->active, m->chance);

	return at_us < m->move_us ? at_us : m->move_us;
}

static void run(struct mapped *m)
{
	uint64_t now_us = clock_now_us();
	struct nat_own own = own_of(m);
	bool changed;

	if (!m->tunnel)
		return;
	if (now_us >= m->move_us)
		move(m, now_us);
	if (!nat_is_asking(&m->nat) && nat_deadline(&m->nat, m->active, m->chance) <= now_us)
		nat_begin(&m->nat, !m->active, &own, now_us);
	ask(m, now_us);
	changed = nat_settle(&m->nat, &own, now_us);
	ask(m, now_us); /* that may have begun a round of all */
	if (!nat_is_asking(&m->nat))
		m->chance = randombytes_random();
	wake_at(m, deadline_us(m), now_us);
	if (changed)
		m->hooks->changed(m->ctx);
	if (!nat_is_asking(&m->nat))
		end_checks(m);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	run(ctx);
	return 0;
}

/* --- what comes in --- */

/* Nobody can be there whom another board could reach: it is a lie, or of no use. */
static bool is_nonsense(const struct mapped *m, const struct endpoint *seen, uint8_t family)
{
	const struct settings *settings = netmap_settings(book_netmap(m->core->book));

	return seen->addr.family != family || !presence_endpoint_is_valid(seen) ||
	       (settings && relay_host_refused(settings, &seen->addr));
}

void mapped_take(struct mapped *m, const struct tunnel_event *event)
{
	struct stun_answer answer;

	if (stun_answer_parse(event->data, event->len, &answer) < 0)
		m->counters.bad++;
	else if (answer.error)
		m->counters.refused++;
	else if (is_nonsense(m, &answer.mapped, event->from.addr.family))
		m->counters.nonsense++;
	else if (!nat_answer(&m->nat, &event->from, answer.tx, &answer.mapped, clock_now_us()))
		m->counters.strange++;
	else {
		m->counters.answers++;
		run(m);
	}
}

static void on_sampled(void *ctx, const struct endpoint *from, const struct endpoint *seen)
{
	const struct mapped *m = ctx;

	if (!is_nonsense(m, seen, from->addr.family))
		m->hooks->sampled(m->ctx, seen);
}

bool mapped_far_server(const struct mapped *m, struct endpoint *ret)
{
	const struct nat_server *best = NULL;

	for (size_t i = 0; i < m->nat.n; i++) {
		const struct nat_server *s = &m->nat.servers[i];

		if (s->answered && s->at.addr.family == AF_INET &&
			!ip_addr_is_private(&s->seen.addr) && (!best || s->rtt_us < best->rtt_us))
			best = s;
	}
	if (best)
		*ret = best->at;
	return best != NULL;
}

void mapped_sample(struct mapped *m)
{
	uint64_t now_us = clock_now_us();
	struct endpoint at;

	if (!m->tunnel || !mapped_far_server(m, &at) ||
		(m->once.fd >= 0 && now_us - m->once.asked_us < SAMPLE_US))
		return;
	if (stun_once_ask(&m->once, &at, now_us) == 0)
		m->counters.sent++;
}

/* --- what happens --- */

static void on_named(void *ctx)
{
	struct mapped *m = ctx;

	follow_servers(m, clock_now_us());
	run(m);
}

void mapped_use(struct mapped *m, struct tunnel *tunnel)
{
	m->tunnel = tunnel;
	stun_once_stop(&m->once);
	m->nat = (struct nat){ 0 };
	m->move_us = NAT_NEVER;
	(void) sd_event_source_set_enabled(m->timer, SD_EVENT_OFF);
	if (tunnel)
		on_named(m);
	else
		end_checks(m);
}

void mapped_follow(struct mapped *m)
{
	stun_servers_follow(&m->named, clock_now_us());
	on_named(m);
}

void mapped_moved(struct mapped *m)
{
	uint64_t now_us = clock_now_us();

	if (!m->tunnel)
		return;
	m->move_us = now_us + damper_wait_us(&m->moves, &moves_damping, now_us);
	run(m);
}

void mapped_look(struct mapped *m)
{
	uint64_t now_us = clock_now_us();

	m->active = find_active(m, now_us);
	stun_servers_look(&m->named, now_us);
	on_named(m);
}

int mapped_check(struct mapped *m, void (*done)(void *ctx), void *ctx)
{
	uint64_t now_us = clock_now_us();
	struct nat_own own = own_of(m);

	if (m->n_checks == MAPPED_CHECKS_MAX)
		return -EBUSY;
	m->checks[m->n_checks++] = (struct check){ done, ctx };
	if (!m->tunnel || (m->checked_us && now_us - m->checked_us < CHECK_PAUSE_US &&
				  !nat_is_asking(&m->nat))) {
		end_checks(m); /* with what was found a moment ago */
		return 0;
	}
	nat_moved(&m->nat); /* he does not want to hear what was */
	if (!nat_is_asking(&m->nat) || !m->nat.all)
		nat_begin(&m->nat, true, &own, now_us);
	m->checked_us = now_us;
	run(m);
	return 0;
}

/* --- what it knows --- */

size_t mapped_endpoints(const struct mapped *m, struct endpoint ret[static NAT_ANNOUNCED_MAX])
{
	struct nat_own own = own_of(m);

	return nat_announced(&m->nat, &own, ret);
}

const struct nat_side *mapped_sides(const struct mapped *m)
{
	return m->nat.sides;
}

size_t mapped_servers(const struct mapped *m, struct mapped_server ret[static NAT_SERVERS_MAX])
{
	for (size_t i = 0; i < m->nat.n; i++) {
		const struct nat_server *s = &m->nat.servers[i];

		ret[i] = m->servers[i];
		ret[i].asked = s->asked;
		ret[i].rtt_us = s->answered ? s->rtt_us : 0;
	}
	return m->nat.n;
}

const struct mapped_counters *mapped_counters(const struct mapped *m)
{
	return &m->counters;
}

/* --- its life --- */

int mapped_new(struct core *core, const struct peers *peers, const struct mapped_hooks *hooks,
	void *ctx, struct mapped **ret, struct err *err)
{
	struct mapped *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return err_set(err, -ENOMEM, "out of memory");
	m->core = core;
	m->peers = peers;
	m->hooks = hooks;
	m->ctx = ctx;
	m->move_us = NAT_NEVER;
	stun_servers_init(&m->named, core, on_named, m);
	stun_once_init(&m->once, core, on_sampled, m);
	r = sd_event_add_time(core->event, &m->timer, CLOCK_MONOTONIC, 0, 0, on_timer, m);
	if (r < 0) {
		mapped_free(m);
		return err_set(err, r, "cannot set up a timer: %s", strerror(-r));
	}
	(void) sd_event_source_set_enabled(m->timer, SD_EVENT_OFF);
	*ret = m;
	return 0;
}

struct mapped *mapped_free(struct mapped *m)
{
	if (!m)
		return NULL;
	end_checks(m);
	stun_servers_stop(&m->named);
	stun_once_stop(&m->once);
	(void) sd_event_source_disable_unref(m->timer);
	free(m);
	return NULL;
}
