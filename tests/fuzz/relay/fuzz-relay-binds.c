/*
 * Where members are bound, beside a model of it that is as simple as the words of PROTOCOL.md
 * section 12: members bind, bind again from elsewhere, are removed and come back, time goes by,
 * what they sent is recorded and played again from anywhere, everybody sends DATA in everybody's
 * name, and members come to DERP and send there. Two bytes are one event: what, and its details. What the relay decides is what the model
 * says, and what it tells a stranger is never longer than what it answers.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "relay-maker.h"
#include "relay/binds.h"

enum { PLACES = 4, RECORDS = 4, EVENTS_MAX = 200 };

struct model {
	bool is_member, bound;
	bool by_derp; /* shown there after the last that was sent from here, or the last move */
	unsigned place;
	uint64_t until_us;
	uint32_t session; /* the last one */
	uint8_t cookie[UDPRELAY_COOKIE_LEN];
};

struct record {
	uint8_t data[UDPRELAY_BIND_LEN];
	size_t member;
	unsigned place;
	bool there;
};

struct world {
	struct maker maker;
	struct members *members;
	struct strangers *strangers;
	struct binds *binds;
	uint64_t now_us;
	struct model model[MAKER_MEMBERS];
	struct record records[RECORDS];
	size_t n_records;
};

static void check(bool good)
{
	if (!good)
		abort();
}

static struct endpoint at(unsigned place)
{
	static const char *const texts[PLACES] = { "192.0.2.1:1", "192.0.2.1:2", "192.0.2.2:1",
		"[2001:db8::1]:1" };
	struct endpoint e;

	check(endpoint_parse(texts[place % PLACES], &e) == 0);
	return e;
}

static bool is_bound(const struct world *w, size_t i)
{
	return w->model[i].bound && w->now_us < w->model[i].until_us;
}

static enum fate give(
	struct world *w, const uint8_t *data, unsigned place, struct binds_reply *ret_reply)
{
	const struct ip_addr local = { .family = AF_INET, .bytes = { 203, 0, 113, 1 } };
	struct endpoint from = at(place);
	enum fate fate = binds_bind(w->binds, data, &from, &local, w->now_us, ret_reply);

	check(ret_reply->len <= UDPRELAY_BIND_LEN);
	check((ret_reply->len == UDPRELAY_BOUND_LEN) == (fate == FATE_BOUND));
	check((ret_reply->len == UDPRELAY_COOKIE_MSG_LEN) == (fate == FATE_COOKIE));
	return fate;
}

/* A BIND as a member makes it, with the cookie that it has; and again, if that is told another. */
static enum fate try_bind(struct world *w, size_t i, unsigned place, struct record *ret_record,
	struct binds_reply *ret_reply)
{
	struct model *m = &w->model[i];
	struct udprelay_cookie cookie;
	enum fate fate;

	maker_bind(&w->maker, i, m->cookie, 1, ret_record->data);
	fate = give(w, ret_record->data, place, ret_reply);
	if (is_bound(w, i) && m->place == place % PLACES)
		check(fate == FATE_BOUND); /* the cookie of a BOUND is good for longer than that */
	if (fate != FATE_COOKIE)
		return fate;
	check(udprelay_cookie_parse(ret_reply->data, ret_reply->len, &cookie) == 0);
	maker_bind(&w->maker, i, cookie.cookie, 1, ret_record->data);
	fate = give(w, ret_record->data, place, ret_reply);
	check(fate == (m->is_member ? FATE_BOUND : FATE_STRANGER));
	return fate;
}

static void bind_member(struct world *w, size_t i, unsigned place)
{
	struct model *m = &w->model[i];
	struct record *record = &w->records[w->n_records++ % RECORDS];
	struct endpoint from = at(place);
	struct udprelay_bound bound;
	struct binds_reply reply;

	record->member = i;
	record->place = place % PLACES;
	record->there = true;
	if (try_bind(w, i, place, record, &reply) != FATE_BOUND)
		return;
	check(udprelay_bound_open(w->maker.keys[i], reply.data, reply.len, &bound) == 0);
	check(bound.tx == 1 && endpoint_equal(&bound.seen, &from));
	check(!is_bound(w, i) || bound.session == m->session);
	if (!is_bound(w, i) || m->place != place % PLACES)
		m->by_derp = false;
	m->bound = true;
	m->place = place % PLACES;
	m->session = bound.session;
	m->until_us = w->now_us + BINDS_LIFETIME_S * USEC_PER_SEC;
	memcpy(m->cookie, bound.cookie, sizeof(m->cookie));
}

/* Somebody plays a recorded one: it counts only from where the member is bound at the moment. */
static void replay(struct world *w, unsigned which, unsigned place)
{
	const struct record *record = &w->records[which % RECORDS];
	struct model *m = &w->model[record->member];
	struct binds_reply reply;

	if (!record->there)
		return;
	if (give(w, record->data, place, &reply) != FATE_BOUND)
		return;
	check(is_bound(w, record->member) && m->place == place % PLACES);
	check(record->place == m->place);
	m->until_us = w->now_us + BINDS_LIFETIME_S * USEC_PER_SEC;
}

/* The way to where it is bound, if it is. */
static void check_way(const struct world *w, size_t to, const struct binds_way *way)
{
	struct endpoint there = at(w->model[to].place);

	check((way != NULL) == is_bound(w, to));
	if (!way)
		return;
	check(way->node == w->maker.list[to].id);
	check(way->session == w->model[to].session);
	check(endpoint_equal(&way->remote, &there));
}

static void send_data(struct world *w, size_t from, size_t to, unsigned place)
{
	const struct binds_way *way = NULL;
	struct endpoint remote = at(place);
	struct binds_reply reply;
	uint32_t source = 0;
	enum fate fate = binds_route(w->binds, w->model[from].session, w->maker.list[to].id,
		&remote, w->now_us, &way, &source, &reply);

	check(reply.len <= UDPRELAY_DATA_HEAD_LEN);
	if (!is_bound(w, from)) {
		check(fate == FATE_UNKNOWN || fate == FATE_PACED);
	} else if (w->model[from].place != place % PLACES) {
		check(fate == FATE_ELSEWHERE || fate == FATE_PACED);
	} else {
		w->model[from].by_derp = false;
		if (from == to) {
			check(fate == FATE_TO_SELF && reply.len == 0);
			return;
		}
		check(fate ==
			(is_bound(w, to) && !w->model[to].by_derp ? FATE_CARRIED : FATE_BRIDGED));
		check(source == w->maker.list[from].id);
		check_way(w, to, way);
	}
}

static void send_by_derp(struct world *w, size_t from, size_t to, bool connected)
{
	const struct binds_way *way;

	w->model[from].by_derp = w->model[from].is_member;
	way = binds_reach(
		w->binds, w->maker.list[from].id, w->maker.list[to].id, connected, w->now_us);
	if (connected && w->model[to].by_derp)
		check(!way);
	else
		check_way(w, to, way);
}

static void come_to_derp(struct world *w, size_t i)
{
	binds_came(w->binds, w->maker.list[i].id);
	w->model[i].by_derp = w->model[i].is_member;
}

static void set_members(struct world *w, uint8_t mask)
{
	struct relay_member list[MAKER_MEMBERS];
	size_t n = 0;

	for (size_t i = 0; i < MAKER_MEMBERS; i++) {
		w->model[i].is_member = mask >> i & 1;
		w->model[i].bound = w->model[i].bound && w->model[i].is_member;
		w->model[i].by_derp = w->model[i].by_derp && w->model[i].is_member;
		if (w->model[i].is_member)
			list[n++] = w->maker.list[i];
	}
	check(members_set(w->members, list, n) == 0);
	check(binds_follow(w->binds, w->members) == 0);
	check(!binds_derive(w->binds, MAKER_MEMBERS));
}

static void happen(struct world *w, uint8_t what, uint8_t details)
{
	static const uint64_t spans_s[] = { 0, 1, 19, 20, 59, 60, 119, 120, 240, 1000 };

	switch (what % 8) {
	case 0:
		set_members(w, details);
		break;
	case 1:
		w->now_us += spans_s[details % 10] * USEC_PER_SEC + (details & 1);
		break;
	case 2:
		replay(w, details, details / RECORDS);
		break;
	case 3:
	case 4:
		bind_member(w, details % MAKER_MEMBERS, details / MAKER_MEMBERS);
		break;
	case 7:
		if (details / MAKER_MEMBERS % 4)
			send_by_derp(w, details % MAKER_MEMBERS, what / 8 % MAKER_MEMBERS,
				details / MAKER_MEMBERS & 1);
		else
			come_to_derp(w, details % MAKER_MEMBERS);
		break;
	default:
		send_data(w, details % MAKER_MEMBERS, what / 8 % MAKER_MEMBERS,
			details / MAKER_MEMBERS);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct maker maker; /* keys are made once */
	struct world *w = calloc(1, sizeof(*w));
	size_t bound = 0;

	if (maker.list[0].id == 0)
		maker_init(&maker);
	check(w && sodium_init() >= 0);
	w->maker = maker;
	w->members = members_new();
	w->strangers = strangers_new();
	w->binds = binds_new(w->maker.secret, w->maker.key, w->strangers);
	w->now_us = 1000 * USEC_PER_SEC;
	check(w->members && w->strangers && w->binds);
	set_members(w, 0x0f);
	for (size_t i = 0; i + 1 < size && i < 2 * EVENTS_MAX; i += 2)
		happen(w, data[i], data[i + 1]);
	for (size_t i = 0; i < MAKER_MEMBERS; i++)
		bound += is_bound(w, i);
	check(bound == binds_count(w->binds, w->now_us));
	(void) binds_free(w->binds);
	(void) strangers_free(w->strangers);
	(void) members_free(w->members);
	free(w);
	return 0;
}
