/* meet: see meet.h. What is heard is only noted: what comes of it is decided by the timer. */
#include "coordinator/meet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "coordinator/added-change.h"
#include "coordinator/relays.h"
#include "coordinator/schema.h"

#define LOOK_US (60 * USEC_PER_SEC) /* for what is too old; after a failure, too */

enum answer { ANSWER_NONE, ANSWER_MET, ANSWER_NOT, ANSWER_UNKNOWN };

/* An address that a record says beside the added host. */
struct probe {
	uint32_t watch;
	struct node_relay at;
	enum answer answer;
};

struct meet {
	struct coord *coord;
	const struct meet_hooks *hooks;
	void *ctx;
	sd_event_source *timer;
	uint32_t last_watch;
	struct node_relay at[ADDED_MAX]; /* for meet_relays() */
	size_t n_carried;                /* it has said so many */
	struct added_change own;         /* one at a time */
	bool busy;
	uint64_t pause_us; /* until then, after a failure */
	/* While a record's addresses are tried: for the sake of which host, and its relay's pin. */
	bool trying;
	char host[FIELD_HOST_MAX];
	uint8_t pin[FIELD_KEY_LEN];
	struct probe probes[NODE_RELAY_HOSTS_MAX];
	size_t n_probes;
	uint64_t until_us;
};

static struct added *by_watch(struct meet *m, uint32_t watch)
{
	struct added_list *added = &m->coord->added;

	for (size_t i = 0; i < added->n; i++)
		if (added->list[i].watch == watch)
			return &added->list[i];
	return NULL;
}

/* --- when to look --- */

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void arm_at(struct meet *m, uint64_t due_us)
{
	(void) sd_event_source_set_time(m->timer, due_us);
	(void) sd_event_source_set_enabled(
		m->timer, due_us == UINT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

static void arm(struct meet *m, uint64_t now_us)
{
	const struct added_list *added = &m->coord->added;
	uint64_t due_us = added->n ? now_us + LOOK_US : UINT64_MAX;

	for (size_t i = 0; i < added->n; i++) {
		const struct added *a = &added->list[i];

		if (a->leave_us > now_us)
			due_us = sooner(due_us, a->leave_us);
		if (a->again_us > now_us)
			due_us = sooner(due_us, a->again_us);
	}
	if (m->trying && !m->busy)
		due_us = sooner(due_us, m->until_us);
	arm_at(m, due_us);
}

void meet_look(struct meet *m)
{
	if (m->coord->added.n || m->n_carried)
		arm_at(m, 0);
}

/* --- changes of our own --- */

static void forget_probes(struct meet *m)
{
	m->trying = false;
	m->n_probes = 0;
}

static void say_done(const struct meet *m)
{
	const struct node *node = netmap_by_id(coord_netmap(m->coord), m->own.node);

	if (m->own.kind == ADDED_RECORD)
		log_notice("%s is found at %s, as somebody said (relay add): its record says so",
			node ? node->name : "a relay", m->own.host);
	else if (m->own.kind == ADDED_TURN)
		log_notice("%s, as somebody said (relay add), is another relay than the record has "
			   "there",
			m->own.host);
	else
		log_notice("relay %s, which somebody added, is forgotten: no relay of the mesh is "
			   "found there",
			m->own.host);
}

static void is_met(struct added *a, const uint8_t *pin)
{
	if (!a->met)
		log_seldom(LOG_LEVEL_NOTICE,
			"relay %s, which somebody added, keeps connections of "
			"ours at TCP port %u",
			a->host, a->port);
	a->met = true;
	a->problem[0] = '\0';
	memcpy(a->pin, pin, sizeof(a->pin));
}

static void own_done(struct added_change *change, int r)
{
	struct meet *m = (struct meet *) ((char *) change - offsetof(struct meet, own));
	struct added *a = added_find(&m->coord->added, m->own.host);
	uint64_t now_us = clock_now_us();

	m->busy = false;
	forget_probes(m);
	if (r > 0)
		say_done(m);
	if (r > 0 && a && a->recorded)
		a->leave_us = now_us + MEET_LEAVE_US;
	if (r > 0 && a && m->own.kind == ADDED_TURN) {
		a->again_us = 0;
		a->is_other = false;
		is_met(a, a->other);
	}
	if (r < 0) {
		log_seldom(LOG_LEVEL_WARNING, "relay %s, which somebody added: %s", m->own.host,
			m->own.change.err.text);
		m->pause_us = now_us + LOOK_US;
	}
	meet_look(m);
}

static void submit(struct meet *m, enum added_kind kind, const char host[static FIELD_HOST_MAX])
{
	m->own.change = (struct change){ 0 };
	m->own.coord = m->coord;
	m->own.done = own_done;
	m->own.kind = kind;
	memcpy(m->own.host, host, sizeof(m->own.host));
	m->busy = true;
	if (added_submit(&m->own) == 0)
		return;
	m->busy = false;
	m->pause_us = clock_now_us() + LOOK_US;
	forget_probes(m);
}

/* --- the other addresses of a record --- */

static void add_probe(struct meet *m, const struct node_relay *relay, const char *host)
{
	struct probe *p = &m->probes[m->n_probes];
	struct ip_addr addr;

	if (ip_addr_parse(host, &addr) < 0 || !strcmp(host, m->host))
		return;
	*p = (struct probe){ .watch = ++m->last_watch };
	p->at.n_hosts = 1;
	p->at.tcp = relay->tcp;
	memcpy(p->at.pin, relay->pin, sizeof(p->at.pin));
	(void) snprintf(p->at.hosts[0], sizeof(p->at.hosts[0]), "%s", host);
	m->n_probes++;
}

static void begin_probes(
	struct meet *m, const struct added *a, const struct node_relay *relay, uint64_t now_us)
{
	m->trying = true;
	m->until_us = now_us + MEET_TRY_US;
	(void) snprintf(m->host, sizeof(m->host), "%s", a->host);
	memcpy(m->pin, a->pin, sizeof(m->pin));
	for (size_t i = 0; i < relay->n_hosts; i++)
		add_probe(m, relay, relay->hosts[i]);
}

static bool are_answered(const struct meet *m)
{
	for (size_t i = 0; i < m->n_probes; i++)
		if (m->probes[i].answer == ANSWER_NONE)
			return false;
	return true;
}

static void end_probes(struct meet *m)
{
	const struct added *a = added_find(&m->coord->added, m->host);

	if (!a || !a->met || memcmp(a->pin, m->pin, sizeof(m->pin)) != 0)
		return forget_probes(m); /* it went away meanwhile */
	m->own.n_gone = 0;
	for (size_t i = 0; i < m->n_probes; i++) {
		const struct probe *p = &m->probes[i];

		if (p->answer == ANSWER_NONE || p->answer == ANSWER_NOT)
			memcpy(m->own.gone[m->own.n_gone++], p->at.hosts[0], FIELD_HOST_MAX);
	}
	memcpy(m->own.pin, m->pin, sizeof(m->own.pin));
	submit(m, ADDED_RECORD, m->host);
}

/* Where there is no way from here there may be one from elsewhere. */
static enum answer answer_of(const uint8_t *pin, const struct err *why)
{
	if (pin)
		return ANSWER_MET;
	return why->code == -ENETUNREACH || why->code == -EAFNOSUPPORT ||
			       why->code == -EADDRNOTAVAIL || why->code == -ENOMEM ||
			       why->code == -EMFILE || why->code == -ENFILE
		       ? ANSWER_UNKNOWN
		       : ANSWER_NOT;
}

static void probe_heard(struct meet *m, uint32_t watch, enum answer answer)
{
	for (size_t i = 0; i < m->n_probes; i++)
		if (m->probes[i].watch == watch && m->probes[i].answer == ANSWER_NONE)
			m->probes[i].answer = answer;
}

/* --- what is heard --- */

/* Of a host that a record says, and that somebody has said again. */
static void is_met_again(struct added *a, const uint8_t *pin, uint64_t now_us)
{
	if (a->again_us <= now_us)
		return;
	a->is_other = memcmp(a->pin, pin, sizeof(a->pin)) != 0;
	memcpy(a->other, pin, sizeof(a->other));
	if (a->is_other)
		return;
	a->again_us = 0;
	a->leave_us = now_us + MEET_LEAVE_US;
}

void meet_heard(struct meet *m, uint32_t watch, const uint8_t *pin, const struct err *why)
{
	struct added *a = by_watch(m, watch);

	if (!a) {
		probe_heard(m, watch, answer_of(pin, why));
	} else if (pin && a->recorded) {
		is_met_again(a, pin, clock_now_us());
	} else if (pin) {
		is_met(a, pin);
	} else if (why) {
		a->met = false;
		(void) snprintf(a->problem, sizeof(a->problem), "%s", why->text);
	}
	meet_look(m);
}

static bool is_old(const struct added *a, uint64_t now_s)
{
	return !a->recorded && now_s > a->since && now_s - a->since >= ADDED_KEEP_S;
}

/* One at a time: each ends in a look at the rest. */
static void next_step(struct meet *m, uint64_t now_us)
{
	struct added_list *added = &m->coord->added;

	for (size_t i = 0; i < added->n; i++) {
		const struct added *a = &added->list[i];
		const struct node *node = added_node(m->coord, a->pin);

		if (is_old(a, coord_now_s()) || (a->recorded && !node))
			return submit(m, ADDED_FORGET, a->host);
		if (a->recorded && a->is_other)
			return submit(m, ADDED_TURN, a->host);
		if (!a->recorded && a->met && node && node->relay.tcp == a->port)
			return begin_probes(m, a, &node->relay, now_us);
	}
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct meet *m = ctx;
	struct added_list *added = &m->coord->added;
	uint64_t now_us = clock_now_us();

	if (coord_is_ending(m->coord))
		return 0;
	for (size_t i = 0; i < added->n; i++)
		if (!added->list[i].watch)
			added->list[i].watch = ++m->last_watch;
	if (!m->busy && !m->trying && now_us >= m->pause_us)
		next_step(m, now_us);
	if (!m->busy && m->trying && (are_answered(m) || now_us >= m->until_us))
		end_probes(m);
	arm(m, now_us);
	if (m->hooks)
		m->hooks->changed(m->ctx);
	return 0;
}

/* --- from outside --- */

size_t meet_relays(struct meet *m, struct carry_relay *ret)
{
	const struct added_list *added = &m->coord->added;
	uint64_t now_us = clock_now_us();
	size_t n = 0;

	for (size_t i = 0; i < added->n; i++) {
		const struct added *a = &added->list[i];

		if (!a->watch || (a->recorded && a->leave_us <= now_us && a->again_us <= now_us))
			continue;
		m->at[n] = (struct node_relay){ .n_hosts = 1, .tcp = a->port };
		(void) snprintf(m->at[n].hosts[0], FIELD_HOST_MAX, "%s", a->host);
		ret[n] = (struct carry_relay){
			.name = a->host, .relay = &m->at[n], .any_key = true, .watch = a->watch
		};
		n++;
	}
	for (size_t i = 0; i < m->n_probes; i++)
		ret[n++] = (struct carry_relay){
			.name = m->host, .relay = &m->probes[i].at, .watch = m->probes[i].watch
		};
	m->n_carried = n;
	return n;
}

const char *meet_state_name(enum meet_state state)
{
	static const char *const names[] = {
		[MEET_TRYING] = "trying",
		[MEET_WAITING] = "waiting",
		[MEET_ASKS] = "asks",
		[MEET_PORT] = "port",
		[MEET_CHECKING] = "checking",
		[MEET_RECORDED] = "recorded",
	};

	return names[state];
}

/* Who asks to be the relay that has this key. */
static const struct node *who_asks(const struct coord *c, const uint8_t *pin)
{
	for (const struct node *n = NULL; (n = netmap_next(coord_netmap(c), n));) {
		const struct node_relay *asked = relays_asked(c->relays, n->id);

		if (asked && !memcmp(asked->pin, pin, FIELD_KEY_LEN))
			return n;
	}
	return NULL;
}

enum meet_state meet_state(
	const struct coord *coord, const struct added *a, const struct node **ret_node)
{
	*ret_node = a->recorded || a->met ? added_node(coord, a->pin) : NULL;
	if (a->recorded && a->again_us <= clock_now_us())
		return MEET_RECORDED;
	if (a->recorded || !a->met)
		return MEET_TRYING;
	if (*ret_node)
		return (*ret_node)->relay.tcp == a->port ? MEET_CHECKING : MEET_PORT;
	*ret_node = who_asks(coord, a->pin);
	return *ret_node ? MEET_ASKS : MEET_WAITING;
}

/* --- its life --- */

static int load(void *ctx, const char *key, const void *value, size_t len)
{
	struct coord *c = ctx;
	struct err err = { 0 };
	CLEANUP_JSON json_t *json = strcmp(key, "added") == 0 ? json_parse(value, len, &err) : NULL;

	if (json)
		(void) added_from_json(json, &c->added, &err);
	if (err.code)
		log_warning("relays that were added: %s, ignoring them", err.text);
	return 0;
}

int meet_open(struct coord *coord, struct meet **ret, struct err *err)
{
	struct meet *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return err_set(err, -ENOMEM, "out of memory");
	m->coord = coord;
	r = store_each(coord->store, TABLE_META, load, coord, err);
	if (r == 0) {
		r = sd_event_add_time(coord->event, &m->timer, CLOCK_BOOTTIME, 0,
			10 * USEC_PER_MSEC, on_timer, m);
		if (r < 0)
			(void) err_set(err, r, "event loop: %s", strerror(-r));
		else
			arm_at(m, coord->added.n ? 0 : UINT64_MAX);
	}
	if (r < 0) {
		(void) meet_close(m);
		return r;
	}
	*ret = m;
	return 0;
}

void meet_on_changed(struct meet *m, const struct meet_hooks *hooks, void *ctx)
{
	m->hooks = hooks;
	m->ctx = ctx;
}

struct meet *meet_close(struct meet *m)
{
	if (!m)
		return NULL;
	sd_event_source_disable_unref(m->timer);
	free(m);
	return NULL;
}
