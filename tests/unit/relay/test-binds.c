/*
 * Which member is where: every way to be bound, to stay it, to move and to end; and what becomes of
 * DATA.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "base/clock.h"
#include "relay-maker.h"
#include "relay/binds.h"

struct fixture {
	struct maker maker;
	struct members *members;
	struct strangers *strangers;
	struct binds *binds;
	struct ip_addr local;
	uint64_t now_us;
	struct binds_reply reply; /* to what came last */
	uint8_t cookie[UDPRELAY_COOKIE_LEN];
};

/* 1: the next calloc() fails, 2: the one after it ... 0: none. */
static int without_memory, callocs;

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
	if (without_memory && ++callocs == without_memory) {
		callocs = 0;
		return NULL;
	}
	return __real_calloc(n, size);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	maker_init(&f->maker);
	f->members = members_new();
	f->strangers = strangers_new();
	f->binds = binds_new(f->maker.secret, f->maker.key, f->strangers);
	f->now_us = 1000 * USEC_PER_SEC;
	assert_int_equal(ip_addr_parse("203.0.113.1", &f->local), 0);
	assert_int_equal(members_set(f->members, f->maker.list, MAKER_MEMBERS), 0);
	assert_int_equal(binds_follow(f->binds, f->members), 0);
	assert_false(binds_derive(f->binds, 1000));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	(void) binds_free(f->binds);
	(void) strangers_free(f->strangers);
	(void) members_free(f->members);
	free(f);
	return 0;
}

static struct endpoint at(const char *text)
{
	struct endpoint e;

	assert_int_equal(endpoint_parse(text, &e), 0);
	return e;
}

static enum fate send_bind(struct fixture *f, const uint8_t *data, const char *from)
{
	struct endpoint remote = at(from);

	return binds_bind(f->binds, data, &remote, &f->local, f->now_us, &f->reply);
}

/* Member @i from @from with f->cookie, which an answer replaces. */
static enum fate try_bind(struct fixture *f, size_t i, const char *from, struct udprelay_bound *ret)
{
	uint8_t data[UDPRELAY_BIND_LEN];
	struct udprelay_cookie cookie;
	enum fate fate;

	maker_bind(&f->maker, i, f->cookie, f->now_us, data);
	fate = send_bind(f, data, from);
	if (fate == FATE_COOKIE) {
		assert_int_equal(udprelay_cookie_parse(f->reply.data, f->reply.len, &cookie), 0);
		assert_memory_equal(cookie.echo, udprelay_bind_head(data).nonce, 8);
		memcpy(f->cookie, cookie.cookie, sizeof(f->cookie));
	} else if (fate == FATE_BOUND) {
		assert_int_equal(
			udprelay_bound_open(f->maker.keys[i], f->reply.data, f->reply.len, ret), 0);
		assert_true(ret->tx == f->now_us);
		assert_int_equal(ret->lifetime_s, BINDS_LIFETIME_S);
		memcpy(f->cookie, ret->cookie, sizeof(f->cookie));
	} else {
		assert_int_equal(f->reply.len, 0);
	}
	return fate;
}

/* As a member does it: with the cookie that it is told to use. Returns the session. */
static uint32_t bind_at(struct fixture *f, size_t i, const char *from)
{
	struct udprelay_bound bound = { 0 };
	enum fate fate = try_bind(f, i, from, &bound);
	struct endpoint remote = at(from);

	if (fate == FATE_COOKIE)
		fate = try_bind(f, i, from, &bound);
	assert_int_equal(fate, FATE_BOUND);
	assert_true(endpoint_equal(&bound.seen, &remote));
	assert_true(bound.session != 0);
	return bound.session;
}

static enum fate route(struct fixture *f, uint32_t session, uint32_t node, const char *from,
	const struct binds_way **ret_to)
{
	struct endpoint remote = at(from);
	uint32_t source;
	enum fate fate = binds_route(
		f->binds, session, node, &remote, f->now_us, ret_to, &source, &f->reply);

	if (fate == FATE_CARRIED)
		assert_int_equal(f->reply.len, 0);
	if (fate == FATE_BRIDGED && !*ret_to) { /* and he is nowhere else */
		(void) binds_absent(f->binds, source, node, f->now_us, &f->reply);
		return FATE_ABSENT;
	}
	return fate;
}

static void test_first_bind(void **state)
{
	struct fixture *f = *state;
	struct udprelay_bound bound;

	assert_int_equal(try_bind(f, 0, "192.0.2.1:1000", &bound), FATE_COOKIE);
	assert_int_equal(f->reply.len, UDPRELAY_COOKIE_MSG_LEN);
	assert_int_equal(binds_count(f->binds, f->now_us), 0);
	assert_int_equal(try_bind(f, 0, "192.0.2.1:1000", &bound), FATE_BOUND);
	assert_int_equal(binds_count(f->binds, f->now_us), 1);
}

/* A cookie is for one address, one port, one hint. */
static void test_cookie_elsewhere(void **state)
{
	static const char *const others[] = { "192.0.2.2:1000", "192.0.2.1:1001",
		"[2001:db8::1]:1000", "[c000:201::]:1000" };
	struct fixture *f = *state;
	struct udprelay_bound bound;
	uint8_t cookie[UDPRELAY_COOKIE_LEN];

	assert_int_equal(try_bind(f, 0, "192.0.2.1:1000", &bound), FATE_COOKIE);
	memcpy(cookie, f->cookie, sizeof(cookie));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		memcpy(f->cookie, cookie, sizeof(cookie));
		assert_int_equal(try_bind(f, 0, others[i], &bound), FATE_COOKIE);
	}
	memcpy(f->cookie, cookie, sizeof(cookie));
	assert_int_equal(try_bind(f, 1, "192.0.2.1:1000", &bound), FATE_COOKIE);
	for (size_t i = 0; i < sizeof(cookie); i++) {
		memcpy(f->cookie, cookie, sizeof(cookie));
		f->cookie[i] ^= 0x81;
		assert_int_equal(try_bind(f, 0, "192.0.2.1:1000", &bound), FATE_COOKIE);
	}
	memcpy(f->cookie, cookie, sizeof(cookie));
	assert_int_equal(try_bind(f, 0, "192.0.2.1:1000", &bound), FATE_BOUND);
}

/* Good for two minutes, whenever it was made, and no longer than four. */
static void test_cookie_age(void **state)
{
	struct fixture *f = *state;
	struct udprelay_bound bound;
	static const struct {
		unsigned made_s, used_s;
		bool good;
	} cases[] = {
		{ 0, 119, true },
		{ 0, 120, true },
		{ 0, 240, false },
		{ 119, 239, true },
		{ 1, 121, true },
		{ 119, 240, false },
		{ 0, 241, false },
		{ 0, 300, false },
		{ 0, 3600, false },
	};

	for (size_t k = 0; k < 2 * sizeof(cases) / sizeof(cases[0]); k++) {
		size_t i = k / 2;
		uint64_t start_us = f->now_us += 100000 * USEC_PER_SEC;
		uint8_t cookie[UDPRELAY_COOKIE_LEN];

		/* the first one after so long begins the period */
		memset(f->cookie, 0, sizeof(f->cookie));
		assert_int_equal(try_bind(f, 1, "192.0.2.1:1000", &bound), FATE_COOKIE);
		memset(f->cookie, 0, sizeof(f->cookie));
		f->now_us = start_us + cases[i].made_s * USEC_PER_SEC;
		assert_int_equal(try_bind(f, 0, "192.0.2.1:1000", &bound), FATE_COOKIE);
		memcpy(cookie, f->cookie, sizeof(cookie));
		/* somebody asks in between, as late as may be: that must not make it last */
		f->now_us = start_us + (cases[i].used_s - 1) * USEC_PER_SEC;
		if (k % 2)
			assert_int_equal(try_bind(f, 2, "192.0.2.1:1000", &bound), FATE_COOKIE);
		memcpy(f->cookie, cookie, sizeof(cookie));
		f->now_us = start_us + cases[i].used_s * USEC_PER_SEC;
		assert_int_equal(try_bind(f, 0, "192.0.2.1:1000", &bound),
			cases[i].good ? FATE_BOUND : FATE_COOKIE);
	}
}

/* The cookie that BOUND carries serves for hours, every 20 s, without another COOKIE. */
static void test_kept(void **state)
{
	struct fixture *f = *state;
	struct udprelay_bound bound;
	uint32_t session = bind_at(f, 0, "192.0.2.1:1000");

	for (int i = 0; i < 1000; i++) {
		f->now_us += 20 * USEC_PER_SEC;
		assert_int_equal(try_bind(f, 0, "192.0.2.1:1000", &bound), FATE_BOUND);
		assert_int_equal(bound.session, session);
	}
}

static void test_ends(void **state)
{
	struct fixture *f = *state;
	uint32_t a = bind_at(f, 0, "192.0.2.1:1000"), b;
	const struct binds_way *to;

	b = bind_at(f, 1, "192.0.2.2:2000");
	f->now_us += 30 * USEC_PER_SEC;
	assert_int_equal(bind_at(f, 1, "192.0.2.2:2000"), b);
	f->now_us += 30 * USEC_PER_SEC - 1;
	assert_int_equal(route(f, a, 102, "192.0.2.1:1000", &to), FATE_CARRIED);
	assert_int_equal(route(f, b, 101, "192.0.2.2:2000", &to), FATE_CARRIED);
	assert_int_equal(binds_count(f->binds, f->now_us), 2);
	f->now_us += 1;
	assert_int_equal(binds_count(f->binds, f->now_us), 1);
	assert_int_equal(route(f, b, 101, "192.0.2.2:2000", &to), FATE_ABSENT);
	assert_int_equal(route(f, a, 102, "192.0.2.1:1000", &to), FATE_UNKNOWN);
	assert_int_not_equal(bind_at(f, 0, "192.0.2.1:1000"), a);
}

/* All, again and again: every session leads to its member, and ended ones leave no trace. */
static void test_many_sessions(void **state)
{
	static const char *const from[MAKER_MEMBERS] = { "192.0.2.1:1", "192.0.2.2:2",
		"192.0.2.3:3", "192.0.2.4:4", "192.0.2.5:5", "192.0.2.6:6", "192.0.2.7:7",
		"192.0.2.8:8" };
	struct fixture *f = *state;
	const struct binds_way *to;

	for (int round = 0; round < 200; round++) {
		uint32_t sessions[MAKER_MEMBERS];

		for (size_t i = 0; i < MAKER_MEMBERS; i++)
			sessions[i] = bind_at(f, i, from[i]);
		for (size_t i = 0; i < MAKER_MEMBERS; i++) {
			size_t k = (i + 1) % MAKER_MEMBERS;

			assert_int_equal(route(f, sessions[i], f->maker.list[k].id, from[i], &to),
				FATE_CARRIED);
			assert_int_equal(to->session, sessions[k]);
		}
		f->now_us += BINDS_LIFETIME_S * USEC_PER_SEC;
	}
}

/* To another address: the same session, and DATA from the one before is not taken any more. */
static void test_roams(void **state)
{
	struct fixture *f = *state;
	uint32_t a = bind_at(f, 0, "192.0.2.1:1000"), b = bind_at(f, 1, "192.0.2.2:2000");
	const struct binds_way *to;
	struct endpoint now_at = at("[2001:db8::1]:3000");

	assert_int_equal(bind_at(f, 0, "[2001:db8::1]:3000"), a);
	assert_int_equal(route(f, b, 101, "192.0.2.2:2000", &to), FATE_CARRIED);
	assert_true(endpoint_equal(&to->remote, &now_at));
	assert_int_equal(to->session, a);
	assert_int_equal(to->node, 101);
	assert_true(ip_addr_equal(&to->local, &f->local));
	assert_int_equal(route(f, a, 102, "[2001:db8::1]:3000", &to), FATE_CARRIED);
	assert_int_equal(route(f, a, 102, "192.0.2.1:1000", &to), FATE_ELSEWHERE);
	assert_int_equal(binds_count(f->binds, f->now_us), 2);
}

/* Whoever has recorded a BIND cannot bring the member back to where it was, nor anywhere else. */
static void test_replayed(void **state)
{
	struct fixture *f = *state;
	uint8_t recorded[UDPRELAY_BIND_LEN];
	const struct binds_way *to;
	uint32_t a, b;
	struct endpoint new_at = at("192.0.2.9:9000");

	a = bind_at(f, 0, "192.0.2.1:1000");
	maker_bind(&f->maker, 0, f->cookie, 5, recorded);
	assert_int_equal(send_bind(f, recorded, "192.0.2.1:1000"), FATE_BOUND);
	/* where the member is, it changes nothing */
	assert_int_equal(send_bind(f, recorded, "192.0.2.1:1000"), FATE_BOUND);
	assert_int_equal(send_bind(f, recorded, "198.51.100.1:1000"), FATE_COOKIE);
	assert_int_equal(send_bind(f, recorded, "192.0.2.1:1001"), FATE_COOKIE);
	b = bind_at(f, 1, "192.0.2.2:2000");
	assert_int_equal(bind_at(f, 0, "192.0.2.9:9000"), a);
	assert_int_equal(send_bind(f, recorded, "192.0.2.1:1000"), FATE_COOKIE);
	assert_int_equal(route(f, b, 101, "192.0.2.2:2000", &to), FATE_CARRIED);
	assert_true(endpoint_equal(&to->remote, &new_at));
}

/* ... nor when the member is gone meanwhile. */
static void test_replayed_after_the_end(void **state)
{
	struct fixture *f = *state;
	uint8_t recorded[UDPRELAY_BIND_LEN];

	(void) bind_at(f, 0, "192.0.2.1:1000");
	maker_bind(&f->maker, 0, f->cookie, 5, recorded);
	assert_int_equal(send_bind(f, recorded, "192.0.2.1:1000"), FATE_BOUND);
	f->now_us += BINDS_LIFETIME_S * USEC_PER_SEC;
	assert_int_equal(send_bind(f, recorded, "192.0.2.1:1000"), FATE_COOKIE);
	assert_int_equal(binds_count(f->binds, f->now_us), 0);
}

/* The cookie is right, the rest is not. None of it is answered. */
static void test_forged(void **state)
{
	struct fixture *f = *state;
	struct udprelay_bind other = { .tx = 1, .node = 102 };
	uint8_t data[UDPRELAY_BIND_LEN], nonce[UDPRELAY_NONCE_LEN] = { 1 };
	struct udprelay_bound bound;

	assert_int_equal(try_bind(f, 0, "192.0.2.1:1000", &bound), FATE_COOKIE);
	maker_bind(&f->maker, 0, f->cookie, 1, data);
	data[sizeof(data) - 1] ^= 1;
	assert_int_equal(send_bind(f, data, "192.0.2.1:1000"), FATE_FORGED);
	assert_int_equal(f->reply.len, 0);
	/* sealed with the right key, of member 101, in the name of 102 */
	udprelay_bind_seal(f->maker.keys[0], f->maker.hints[0], f->cookie, nonce, &other, data);
	assert_int_equal(send_bind(f, data, "192.0.2.1:1000"), FATE_FORGED);
	assert_int_equal(f->reply.len, 0);
	assert_int_equal(binds_count(f->binds, f->now_us), 0);
}

/* Of no member: a cookie as for everybody, then nothing. */
static void test_stranger(void **state)
{
	struct fixture *f = *state;
	struct udprelay_bound bound;

	f->maker.hints[0][0] ^= 1;
	assert_int_equal(try_bind(f, 0, "192.0.2.1:1000", &bound), FATE_COOKIE);
	assert_int_equal(try_bind(f, 0, "192.0.2.1:1000", &bound), FATE_STRANGER);
}

/* A flood of BINDs from one address: after the burst nothing is said, and others are served. */
static void test_paced(void **state)
{
	struct fixture *f = *state;
	uint8_t data[UDPRELAY_BIND_LEN];
	struct udprelay_bound bound;
	unsigned told = 0;

	maker_bind(&f->maker, 0, NULL, 1, data);
	for (int i = 0; i < 1000; i++) {
		enum fate fate = send_bind(f, data, "192.0.2.1:1000");

		assert_true(fate == FATE_COOKIE || fate == FATE_PACED);
		assert_int_equal(f->reply.len, fate == FATE_COOKIE ? UDPRELAY_COOKIE_MSG_LEN : 0);
		told += fate == FATE_COOKIE;
	}
	assert_int_equal(told, STRANGERS_EACH_BURST);
	assert_int_equal(try_bind(f, 1, "192.0.2.2:1000", &bound), FATE_COOKIE);
	assert_int_equal(try_bind(f, 1, "192.0.2.2:1000", &bound), FATE_BOUND);
}

/* Strangers take everything there is: who is bound stays it. */
static void test_bound_through_a_flood(void **state)
{
	struct fixture *f = *state;
	uint8_t data[UDPRELAY_BIND_LEN];
	uint32_t session = bind_at(f, 0, "192.0.2.1:1000");
	struct endpoint from = at("10.0.0.0:7");
	struct binds_reply reply;
	struct udprelay_bound bound;

	maker_bind(&f->maker, 1, NULL, 1, data);
	for (int second = 0; second < 300; second++) {
		f->now_us += USEC_PER_SEC;
		for (unsigned i = 0; i < 7000; i++) {
			from.addr.bytes[2] = (uint8_t) (i >> 8);
			from.addr.bytes[3] = (uint8_t) i;
			(void) binds_bind(f->binds, data, &from, &f->local, f->now_us, &reply);
		}
		if (second % 20 == 19) {
			assert_int_equal(try_bind(f, 0, "192.0.2.1:1000", &bound), FATE_BOUND);
			assert_int_equal(bound.session, session);
		}
	}
}

static void test_denied(void **state)
{
	struct fixture *f = *state;
	struct ip_prefix mesh;
	struct udprelay_bound bound;
	const struct binds_way *to;
	uint32_t a = bind_at(f, 0, "192.0.2.1:1000"), b = bind_at(f, 1, "10.77.0.2:2000");

	assert_int_equal(ip_prefix_parse("10.77.0.0/16", &mesh), 0);
	assert_int_equal(strangers_deny(f->strangers, &mesh, 1), 0);
	binds_drop_denied(f->binds);
	assert_int_equal(route(f, a, 102, "192.0.2.1:1000", &to), FATE_ABSENT);
	assert_int_equal(route(f, b, 101, "10.77.0.2:2000", &to), FATE_PACED);
	assert_int_equal(f->reply.len, 0);
	assert_int_equal(try_bind(f, 1, "10.77.0.2:2000", &bound), FATE_DENIED);
	(void) bind_at(f, 1, "10.78.0.2:2000");
	assert_int_equal(route(f, a, 102, "192.0.2.1:1000", &to), FATE_CARRIED);
}

static void test_route(void **state)
{
	struct fixture *f = *state;
	uint32_t a = bind_at(f, 0, "192.0.2.1:1000"), b = bind_at(f, 1, "192.0.2.2:2000"), got;
	struct endpoint from = at("192.0.2.1:1000"), b_at = at("192.0.2.2:2000");
	const struct binds_way *to;
	uint32_t source = 0;

	assert_int_not_equal(a, b);
	assert_int_equal(binds_route(f->binds, a, 102, &from, f->now_us, &to, &source, &f->reply),
		FATE_CARRIED);
	assert_int_equal(source, 101);
	assert_int_equal(to->session, b);
	assert_true(endpoint_equal(&to->remote, &b_at));
	assert_int_equal(route(f, a, 101, "192.0.2.1:1000", &to), FATE_TO_SELF);
	assert_int_equal(f->reply.len, 0);
	/* somebody else's session, none at all, and one that is nearly it */
	assert_int_equal(route(f, b, 101, "192.0.2.1:1000", &to), FATE_ELSEWHERE);
	assert_int_equal(route(f, a, 102, "192.0.2.1:1001", &to), FATE_ELSEWHERE);
	assert_int_equal(f->reply.len, UDPRELAY_UNKNOWN_LEN);
	assert_int_equal(udprelay_unknown_parse(f->reply.data, f->reply.len, &got), 0);
	assert_int_equal(got, a);
	assert_int_equal(route(f, 0, 102, "192.0.2.1:1000", &to), FATE_UNKNOWN);
	assert_int_equal(route(f, a ^ 0x80000000, 102, "192.0.2.1:1000", &to), FATE_UNKNOWN);
	assert_int_equal(udprelay_unknown_parse(f->reply.data, f->reply.len, &got), 0);
	assert_int_equal(got, a ^ 0x80000000);
}

static void test_unknown_is_paced(void **state)
{
	struct fixture *f = *state;
	const struct binds_way *to;
	unsigned told = 0;

	for (int i = 0; i < 1000; i++) {
		enum fate fate = route(f, 7, 102, "192.0.2.1:1000", &to);

		assert_int_equal(f->reply.len, fate == FATE_UNKNOWN ? UDPRELAY_UNKNOWN_LEN : 0);
		told += fate == FATE_UNKNOWN;
	}
	assert_int_equal(told, STRANGERS_EACH_BURST);
}

/* Once a second, whomever it is about: a member that is away, or a number that nobody has. */
static void test_absent(void **state)
{
	struct fixture *f = *state;
	uint32_t a = bind_at(f, 0, "192.0.2.1:1000"), session, node;
	const struct binds_way *to;

	assert_int_equal(route(f, a, 102, "192.0.2.1:1000", &to), FATE_ABSENT);
	assert_int_equal(f->reply.len, UDPRELAY_ABSENT_LEN);
	assert_int_equal(udprelay_absent_parse(f->reply.data, f->reply.len, &session, &node), 0);
	assert_true(session == a && node == 102);
	f->now_us += USEC_PER_SEC - 1;
	assert_int_equal(route(f, a, 102, "192.0.2.1:1000", &to), FATE_ABSENT);
	assert_int_equal(f->reply.len, 0);
	f->now_us += 1;
	assert_int_equal(route(f, a, 99, "192.0.2.1:1000", &to), FATE_ABSENT);
	assert_int_equal(f->reply.len, UDPRELAY_ABSENT_LEN);
}

/* At once, whatever else; and the others keep their sessions. */
static void test_removed(void **state)
{
	struct fixture *f = *state;
	uint32_t a = bind_at(f, 0, "192.0.2.1:1000"), b = bind_at(f, 1, "192.0.2.2:2000"),
		 c = bind_at(f, 2, "192.0.2.3:3000");
	struct udprelay_bound bound;
	const struct binds_way *to;

	assert_int_equal(members_set(f->members, f->maker.list + 1, 4), 0);
	assert_int_equal(binds_follow(f->binds, f->members), 0);
	assert_false(binds_derive(f->binds, 1000));
	assert_int_equal(route(f, a, 102, "192.0.2.1:1000", &to), FATE_UNKNOWN);
	assert_int_equal(route(f, b, 101, "192.0.2.2:2000", &to), FATE_ABSENT);
	assert_int_equal(route(f, b, 103, "192.0.2.2:2000", &to), FATE_CARRIED);
	assert_int_equal(to->session, c);
	assert_int_equal(route(f, c, 102, "192.0.2.3:3000", &to), FATE_CARRIED);
	assert_int_equal(to->session, b);
	assert_int_equal(bind_at(f, 2, "192.0.2.3:3000"), c);
	memset(f->cookie, 0, sizeof(f->cookie));
	assert_int_equal(try_bind(f, 0, "192.0.2.1:1000", &bound), FATE_COOKIE);
	assert_int_equal(try_bind(f, 0, "192.0.2.1:1000", &bound), FATE_STRANGER);
	/* and back */
	assert_int_equal(members_set(f->members, f->maker.list, 5), 0);
	assert_int_equal(binds_follow(f->binds, f->members), 0);
	assert_false(binds_derive(f->binds, 1000));
	assert_int_not_equal(bind_at(f, 0, "192.0.2.1:1000"), a);
	assert_int_equal(bind_at(f, 2, "192.0.2.3:3000"), c);
}

/* ... also where there is no memory to take up who has come instead. */
static void test_removed_without_memory(void **state)
{
	struct fixture *f = *state;
	uint32_t a = bind_at(f, 0, "192.0.2.1:1000"), b = bind_at(f, 1, "192.0.2.2:2000");
	struct udprelay_bound bound;
	const struct binds_way *to;

	assert_int_equal(members_set(f->members, f->maker.list + 1, 4), 0);
	for (without_memory = 1; without_memory <= 3; without_memory++)
		assert_int_equal(binds_follow(f->binds, f->members), -ENOMEM);
	without_memory = 0;
	assert_int_equal(route(f, a, 102, "192.0.2.1:1000", &to), FATE_UNKNOWN);
	assert_int_equal(route(f, b, 101, "192.0.2.2:2000", &to), FATE_ABSENT);
	memset(f->cookie, 0, sizeof(f->cookie));
	assert_int_equal(try_bind(f, 0, "192.0.2.1:1000", &bound), FATE_COOKIE);
	assert_int_equal(try_bind(f, 0, "192.0.2.1:1000", &bound), FATE_STRANGER);
	assert_false(binds_derive(f->binds, 1000));
	assert_int_equal(try_bind(f, 0, "192.0.2.1:1000", &bound), FATE_STRANGER);
	assert_int_equal(bind_at(f, 1, "192.0.2.2:2000"), b);
	/* and back */
	assert_int_equal(members_set(f->members, f->maker.list, 5), 0);
	assert_int_equal(binds_follow(f->binds, f->members), 0);
	assert_false(binds_derive(f->binds, 1000));
	assert_int_not_equal(bind_at(f, 0, "192.0.2.1:1000"), a);
	assert_int_equal(bind_at(f, 1, "192.0.2.2:2000"), b);
}

/* The number is somebody else's now. */
static void test_replaced(void **state)
{
	struct fixture *f = *state;
	uint32_t a = bind_at(f, 0, "192.0.2.1:1000");
	struct udprelay_bound bound;
	const struct binds_way *to;

	memcpy(f->maker.list[0].identity, f->maker.list[7].identity, NODE_KEY_LEN);
	assert_int_equal(members_set(f->members, f->maker.list, 7), 0);
	assert_int_equal(binds_follow(f->binds, f->members), 0);
	assert_false(binds_derive(f->binds, 1000));
	assert_int_equal(route(f, a, 102, "192.0.2.1:1000", &to), FATE_UNKNOWN);
	memset(f->cookie, 0, sizeof(f->cookie));
	assert_int_equal(try_bind(f, 0, "192.0.2.1:1000", &bound), FATE_COOKIE);
	assert_int_equal(try_bind(f, 0, "192.0.2.1:1000", &bound), FATE_STRANGER);
}

/* Keys come some at a time; who has none yet is a stranger still. */
static void test_derived_in_steps(void **state)
{
	struct fixture *f = *state;
	struct udprelay_bound bound;

	assert_int_equal(members_set(f->members, f->maker.list, 0), 0);
	assert_int_equal(binds_follow(f->binds, f->members), 0);
	assert_false(binds_derive(f->binds, 1));
	memset(f->maker.list[1].identity, 0xff, NODE_KEY_LEN); /* no point */
	assert_int_equal(members_set(f->members, f->maker.list, 3), 0);
	assert_int_equal(binds_follow(f->binds, f->members), 0);
	assert_true(binds_derive(f->binds, 2));
	assert_int_equal(try_bind(f, 2, "192.0.2.1:1000", &bound), FATE_COOKIE);
	assert_int_equal(try_bind(f, 2, "192.0.2.1:1000", &bound), FATE_STRANGER);
	assert_false(binds_derive(f->binds, 2));
	/* those who stay are not asked again */
	assert_int_equal(binds_follow(f->binds, f->members), 0);
	assert_false(binds_derive(f->binds, 0));
	memset(f->cookie, 0, sizeof(f->cookie));
	(void) bind_at(f, 2, "192.0.2.1:1000");
	memset(f->cookie, 0, sizeof(f->cookie));
	assert_int_equal(try_bind(f, 1, "192.0.2.2:1000", &bound), FATE_COOKIE);
	assert_int_equal(try_bind(f, 1, "192.0.2.2:1000", &bound), FATE_STRANGER);
}

static void test_local_gone(void **state)
{
	struct fixture *f = *state;
	uint32_t a = bind_at(f, 0, "192.0.2.1:1000"), b = bind_at(f, 1, "192.0.2.2:2000");
	const struct binds_way *to;

	binds_local_gone(f->binds, b);
	binds_local_gone(f->binds, b + 1);
	assert_int_equal(route(f, a, 102, "192.0.2.1:1000", &to), FATE_CARRIED);
	assert_int_equal(to->local.family, 0);
	assert_int_equal(bind_at(f, 1, "192.0.2.2:2000"), b);
	assert_int_equal(route(f, a, 102, "192.0.2.1:1000", &to), FATE_CARRIED);
	assert_true(ip_addr_equal(&to->local, &f->local));
}

/* By DERP, too: to where he sent from last. A BIND that keeps him bound is no word of his. */
static void test_by_derp(void **state)
{
	struct fixture *f = *state;
	uint32_t a = bind_at(f, 0, "192.0.2.1:1000"), b = bind_at(f, 1, "192.0.2.2:2000");
	const struct binds_way *to;

	assert_int_equal(binds_reach(f->binds, 103, 102, true, f->now_us)->session, b);
	assert_null(binds_reach(f->binds, 102, 103, false, f->now_us)); /* he sends by DERP */
	assert_null(binds_reach(f->binds, 103, 102, true, f->now_us));
	assert_int_equal(binds_reach(f->binds, 103, 102, false, f->now_us)->session, b);
	assert_int_equal(route(f, a, 102, "192.0.2.1:1000", &to), FATE_BRIDGED);
	assert_int_equal(to->session, b);
	assert_int_equal(bind_at(f, 1, "192.0.2.2:2000"), b);
	assert_int_equal(route(f, a, 102, "192.0.2.1:1000", &to), FATE_BRIDGED);
	assert_int_equal(route(f, b, 101, "192.0.2.9:9000", &to), FATE_ELSEWHERE); /* another's */
	assert_int_equal(route(f, a, 102, "192.0.2.1:1000", &to), FATE_BRIDGED);
	assert_int_equal(route(f, b, 101, "192.0.2.2:2000", &to), FATE_CARRIED); /* he by UDP */
	assert_int_equal(route(f, a, 102, "192.0.2.1:1000", &to), FATE_CARRIED);
	/* from another address, or after the end, he binds anew */
	assert_null(binds_reach(f->binds, 102, 103, false, f->now_us));
	assert_int_equal(bind_at(f, 1, "192.0.2.3:3000"), b);
	assert_int_equal(route(f, a, 102, "192.0.2.1:1000", &to), FATE_CARRIED);
	assert_true(binds_has(f->binds, 102, f->now_us, NULL));
	f->now_us += BINDS_LIFETIME_S * USEC_PER_SEC;
	assert_false(binds_has(f->binds, 102, f->now_us, NULL));
	assert_null(binds_reach(f->binds, 103, 102, false, f->now_us));
	assert_null(binds_absent(f->binds, 102, 103, f->now_us, &f->reply));
}

static void test_fates(void **state)
{
	for (int i = 0; i < FATES; i++)
		for (int k = 0; k < i; k++)
			assert_string_not_equal(fate_name((enum fate) i), fate_name((enum fate) k));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_first_bind),
		TEST(test_cookie_elsewhere),
		TEST(test_cookie_age),
		TEST(test_kept),
		TEST(test_ends),
		TEST(test_many_sessions),
		TEST(test_roams),
		TEST(test_replayed),
		TEST(test_replayed_after_the_end),
		TEST(test_forged),
		TEST(test_stranger),
		TEST(test_paced),
		TEST(test_bound_through_a_flood),
		TEST(test_denied),
		TEST(test_route),
		TEST(test_unknown_is_paced),
		TEST(test_absent),
		TEST(test_removed),
		TEST(test_removed_without_memory),
		TEST(test_replaced),
		TEST(test_derived_in_steps),
		TEST(test_local_gone),
		TEST(test_by_derp),
		cmocka_unit_test(test_fates),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
