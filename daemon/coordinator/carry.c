/*
 * carry: see carry.h. While a relay does not answer there is one try at a time; when one has
 * succeeded the others follow.
 */
#include "coordinator/carry.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "coordinator/carry-link.h"
#include "mesh/relay-hosts.h"

enum { BEGUN_MAX = 6 /* at once: to the relay they are strangers */ };
#define PAUSE_US     (USEC_PER_SEC / 2)
#define PAUSE_MAX_US (15 * USEC_PER_SEC)

struct carry {
	struct link_core core;
	unsigned carried_max;
	void (*heard)(void *ctx, uint32_t watch, const uint8_t *pin, const struct err *why);
	sd_event_source *timer;
	struct target *targets[CARRY_RELAYS_MAX];
	size_t n_targets;
	struct settings settings;
};

static void target_maintain(struct target *t);
static void target_failed(struct target *t, const struct err *why);

/* --- when to look --- */

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void count(const struct target *t, unsigned *ret_parked, unsigned *ret_begun)
{
	*ret_parked = *ret_begun = 0;
	for (const struct link *l = t->links; l; l = l->next) {
		*ret_parked += l->state == LINK_PARKED;
		*ret_begun += l->state == LINK_CONNECTING || l->state == LINK_SHAKING;
	}
}

/* Nothing is under way at a relay that does not answer: it waits for its next try. */
static bool is_resting(const struct target *t)
{
	unsigned parked, begun;

	count(t, &parked, &begun);
	return !t->up && !t->resolve && !begun;
}

static void arm(struct carry *c)
{
	uint64_t due_us = UINT64_MAX;

	for (size_t i = 0; i < c->n_targets; i++) {
		const struct target *t = c->targets[i];

		if (is_resting(t))
			due_us = sooner(due_us, t->backoff.next_us);
		if (t->more)
			due_us = sooner(due_us, t->more_until_us);
		for (const struct link *l = t->links; l; l = l->next)
			due_us = sooner(due_us, link_due_us(l));
	}
	(void) sd_event_source_set_time(c->timer, due_us);
	(void) sd_event_source_set_enabled(
		c->timer, due_us == UINT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct carry *c = ctx;
	uint64_t now_us = clock_now_us();

	for (size_t i = 0; i < c->n_targets; i++) {
		struct target *t = c->targets[i];
		struct link *next;

		if (now_us >= t->more_until_us)
			t->more = 0;
		for (struct link *l = t->links; l; l = next) {
			next = l->next;
			link_look(l, now_us);
		}
		target_maintain(t);
	}
	arm(c);
	return 0;
}

/* --- where a relay is --- */

/* DNS may say anything: answers that lead into the mesh, or to this machine, are left out. */
static size_t keep_good(
	const struct settings *settings, const struct ip_addr *list, size_t n, struct ip_addr *ret)
{
	size_t good = 0;

	for (size_t i = 0; i < n; i++)
		if (!relay_host_refused(settings, &list[i]))
			ret[good++] = list[i];
	return good;
}

/* A host's addresses get their turn, one each time the host does. */
static void looked_up(void *ctx, const struct ip_addr *list, size_t n, const struct err *err)
{
	struct target *t = ctx;
	struct ip_addr good[RESOLVE_MAX];
	struct err bad = { 0 };

	t->resolve = NULL;
	if (n) {
		n = keep_good(&t->carry->settings, list, n, good);
		(void) err_set(&bad, -EHOSTUNREACH, "its name leads into the mesh, or to nowhere");
	}
	if (n)
		link_begin(t, &good[t->tries / t->relay.n_hosts % n]);
	else
		target_failed(t, bad.code ? &bad : err);
	target_maintain(t);
}

static void connect_one(struct target *t)
{
	static const struct ip_addr loopback = { AF_INET, { 127, 0, 0, 1 } };
	const char *host = t->relay.hosts[t->tries % t->relay.n_hosts];
	struct ip_addr addr;
	struct err err = { 0 };

	if (t->here)
		link_begin(t, &loopback);
	else if (ip_addr_parse(host, &addr) == 0)
		link_begin(t, &addr);
	else if (resolve_start(t->core->event, host, looked_up, t, &t->resolve, &err) < 0)
		target_failed(t, &err);
}

/* --- how many --- */

static void target_maintain(struct target *t)
{
	unsigned parked, begun, wanted = CARRY_PARKED + t->more;

	if (wanted > CARRY_PARKED_MAX)
		wanted = CARRY_PARKED_MAX;
	count(t, &parked, &begun);
	if (!t->up) {
		if (is_resting(t) && backoff_is_due(&t->backoff, clock_now_us()))
			connect_one(t);
	} else {
		/* One that fails at once ends this: it is not up any more then. */
		for (; parked + begun < wanted && begun < BEGUN_MAX && t->up && !t->resolve;
			begun++)
			connect_one(t);
	}
	arm(t->carry);
}

static void target_is_up(struct target *t, const uint8_t *pin)
{
	struct trouble_end end;
	char span[PACE_SPAN_MAX];

	if (!t->up && trouble_over(&t->trouble, clock_now_us(), &end))
		log_notice("relay %s answers again, after %s", t->name,
			pace_span_format(end.lasted_us, span));
	t->up = true;
	t->backoff = (struct backoff){ 0 };
	if (t->watch)
		t->carry->heard(t->carry->core.ctx, t->watch, pin, NULL);
	target_maintain(t);
}

/* Those that fail together are one failure. */
static void target_failed(struct target *t, const struct err *why)
{
	uint64_t now_us = clock_now_us();

	if (t->up || backoff_is_due(&t->backoff, now_us)) {
		backoff_failed(&t->backoff, PAUSE_US, PAUSE_MAX_US, now_us);
		t->tries++;
	}
	t->up = false;
	if (t->watch)
		t->carry->heard(t->carry->core.ctx, t->watch, NULL, why);
	else if (trouble_is(&t->trouble, why->code, now_us))
		log_warning("relay %s: %s; boards that reach this coordinator only by way of it "
			    "have to wait; tried again",
			t->name, why->text);
	arm(t->carry);
}

static bool may_take(const struct target *t, const struct endpoint *client)
{
	const struct carry *c = t->carry;
	struct ip_prefix ranges[SETTINGS_RANGES];
	size_t n = settings_ranges(&c->settings, ranges);

	for (size_t i = 0; i < n; i++)
		if (ip_prefix_contains(&ranges[i], &client->addr))
			return false;
	return c->core.n_carried < c->carried_max;
}

static const struct link_hooks hooks = {
	.up = target_is_up, .failed = target_failed, .used = target_maintain, .may_take = may_take
};

/* --- which relays --- */

static struct target *target_free(struct target *t)
{
	if (!t)
		return NULL;
	(void) resolve_cancel(t->resolve);
	while (t->links)
		link_end(t->links);
	node_relay_done(&t->relay);
	free(t);
	return NULL;
}

static struct target *target_new(struct carry *c, const struct carry_relay *from)
{
	struct target *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->core = &c->core;
	t->carry = c;
	t->node = from->node;
	t->here = from->here;
	t->any_key = from->any_key;
	t->watch = from->watch;
	node_relay_copy(from->relay, &t->relay);
	return t;
}

/* What there is of it already, if it is the same. */
static struct target *keep(struct carry *c, const struct carry_relay *from)
{
	for (size_t i = 0; i < c->n_targets; i++) {
		struct target *t = c->targets[i];

		if (t && t->node == from->node && t->here == from->here &&
			t->any_key == from->any_key && t->watch == from->watch &&
			node_relay_equal(&t->relay, from->relay)) {
			c->targets[i] = NULL;
			return t;
		}
	}
	return NULL;
}

void carry_follow(struct carry *c, const struct carry_relay *relays, size_t n,
	const struct settings *settings)
{
	struct target *targets[CARRY_RELAYS_MAX];
	size_t n_targets = 0;

	for (size_t i = 0; i < n && n_targets < CARRY_RELAYS_MAX; i++) {
		struct target *t = keep(c, &relays[i]);

		if (!t)
			t = target_new(c, &relays[i]);
		if (!t)
			continue; /* at the next change */
		(void) snprintf(t->name, sizeof(t->name), "%s", relays[i].name);
		targets[n_targets++] = t;
	}
	for (size_t i = 0; i < c->n_targets; i++)
		(void) target_free(c->targets[i]);
	memcpy(c->targets, targets, n_targets * sizeof(targets[0]));
	c->n_targets = n_targets;
	settings_done(&c->settings);
	settings_copy(settings, &c->settings);
	for (size_t i = 0; i < c->n_targets; i++)
		target_maintain(c->targets[i]);
	arm(c);
}

void carry_counters(const struct carry *c, struct carry_counters *ret)
{
	unsigned parked, begun;

	*ret = (struct carry_counters){
		.carried = c->core.n_carried, .taken = c->core.taken, .refused = c->core.refused
	};
	for (size_t i = 0; i < c->n_targets; i++) {
		count(c->targets[i], &parked, &begun);
		ret->parked += parked;
	}
}

/* --- its life --- */

int carry_new(
	sd_event *event, const struct carry_config *config, struct carry **ret, struct err *err)
{
	const struct tls_options tls = {
		.client = true, .seed = config->seed, .name = "hearth-coord"
	};
	struct carry *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return err_set(err, -ENOMEM, "out of memory");
	c->core = (struct link_core){
		.event = event, .hooks = &hooks, .take = config->take, .ctx = config->ctx
	};
	c->carried_max = config->carried_max;
	c->heard = config->heard;
	r = tls_party_new(&tls, &c->core.tls, err);
	if (r == 0) {
		r = sd_event_add_time(
			event, &c->timer, CLOCK_BOOTTIME, 0, 100 * USEC_PER_MSEC, on_timer, c);
		if (r >= 0)
			r = sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
		if (r < 0)
			(void) err_set(err, r, "event loop: %s", strerror(-r));
	}
	if (r < 0) {
		(void) carry_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

struct carry *carry_free(struct carry *c)
{
	if (!c)
		return NULL;
	for (size_t i = 0; i < c->n_targets; i++)
		(void) target_free(c->targets[i]);
	c->n_targets = 0;
	sd_event_source_disable_unref(c->timer);
	(void) tls_party_free(c->core.tls);
	settings_done(&c->settings);
	free(c);
	return NULL;
}
