/*
 * nat: against NATs of every kind that the test plays, with servers that answer or do not: what it
 * makes of them, what it would announce, and when it asks again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mesh/nat.h"

#define MS     UINT64_C(1000)
#define SECOND UINT64_C(1000000)

enum { PORT = 41741, RTT_MS = 10, PLACES = 16 };

enum kind { OPEN, EASY, COUNTS_UP, COUNTS_DOWN, COUNTS_BY_TWO, HARD, BLOCKED };

/* What is between us and each server; a table of what it has mapped. */
static struct {
	enum kind kind;
	const char *address; /* outside */
	uint16_t next;       /* port */
	struct {
		struct endpoint to;
		uint16_t port;
	} mapped[64];
	size_t n;
	unsigned n_asked;
} world;

static const char *const places[] = { "198.51.100.1:3478", "198.51.100.2:3478", "198.51.100.3:3478",
	"198.51.100.4:3478", "198.51.100.5:3478" };
static bool silent[PLACES];           /* this server does not answer */
static const char *elsewhere[PLACES]; /* this server sees us there, whatever the NAT does */

static struct nat nat;
static struct endpoint own_list[4];
static struct nat_own own;
static uint64_t now_us;

static struct endpoint at(const char *text)
{
	struct endpoint e;

	assert_int_equal(endpoint_parse(text, &e), 0);
	return e;
}

static void we_are_at(const char *a, const char *b)
{
	own = (struct nat_own){ own_list, 0 };
	own_list[own.n++] = at(a);
	if (b)
		own_list[own.n++] = at(b);
}

static void servers(const char *const *list, size_t n)
{
	struct endpoint all[PLACES];

	for (size_t i = 0; i < n; i++)
		all[i] = at(list[i]);
	(void) nat_set_servers(&nat, all, n);
}

static int set_up(void **state)
{
	memset(&world, 0, sizeof(world));
	memset(silent, 0, sizeof(silent));
	memset(elsewhere, 0, sizeof(elsewhere));
	memset(&nat, 0, sizeof(nat));
	world.address = "203.0.113.2:1";
	world.next = 40000;
	now_us = 1000 * SECOND;
	we_are_at("192.168.50.11:41741", NULL);
	servers(places, 3);
	return 0;
}

static size_t place_of(const struct endpoint *to)
{
	size_t i = 0;

	while (i + 1 < nat.n && !endpoint_equal(&nat.servers[i].at, to))
		i++;
	return i;
}

static uint16_t new_port(void)
{
	switch (world.kind) {
	case COUNTS_UP:
		return world.next++;
	case COUNTS_DOWN:
		return world.next--;
	case COUNTS_BY_TWO:
		return world.next += 2;
	default:
		return (uint16_t) (1024 + random() % 60000);
	}
}

static uint16_t port_for(const struct endpoint *to)
{
	if (world.kind == OPEN || world.kind == EASY)
		return world.kind == OPEN ? PORT : 20007;
	for (size_t i = 0; i < world.n; i++)
		if (endpoint_equal(&world.mapped[i].to, to))
			return world.mapped[i].port;
	assert_true(world.n < 64);
	world.mapped[world.n].to = *to;
	world.mapped[world.n].port = new_port();
	return world.mapped[world.n++].port;
}

static void next_tx(uint8_t tx[static STUN_TX_LEN])
{
	static uint64_t number;

	number++;
	memcpy(tx, &number, sizeof(number));
}

/* All that it asks now; the answers come after the round trip. */
static void turn(bool *ret_changed)
{
	struct {
		uint8_t tx[STUN_TX_LEN];
		struct endpoint from, seen;
	} answers[64];
	uint8_t tx[STUN_TX_LEN] = { 0 };
	struct endpoint to;
	size_t n = 0;

	while (next_tx(tx), nat_ask(&nat, now_us, tx, &to)) {
		size_t place = place_of(&to);
		struct endpoint seen = at(elsewhere[place] ? elsewhere[place] : world.address);

		world.n_asked++;
		if (!elsewhere[place])
			seen.port = port_for(&to);
		if (world.kind == OPEN)
			seen.addr = own.list[0].addr;
		memcpy(answers[n].tx, tx, sizeof(tx));
		answers[n].from = to;
		answers[n].seen = seen;
		n += world.kind != BLOCKED && !silent[place];
		assert_true(n < 64);
	}
	*ret_changed = nat_settle(&nat, &own, now_us) || *ret_changed;
	now_us += RTT_MS * MS;
	for (size_t i = 0; i < n; i++)
		assert_true(nat_answer(
			&nat, &answers[i].from, answers[i].tx, &answers[i].seen, now_us));
	*ret_changed = nat_settle(&nat, &own, now_us) || *ret_changed;
}

/* A round, to its end. True: something is not as it was. */
static bool ask(bool all)
{
	bool changed = false;

	nat_begin(&nat, all, &own, now_us);
	while (nat_is_asking(&nat)) {
		uint64_t due_us = nat_deadline(&nat, false, 0);

		if (due_us > now_us)
			now_us = due_us;
		turn(&changed);
	}
	return changed;
}

static const struct nat_side *v4(void)
{
	return &nat.sides[NAT_IPV4];
}

/* "203.0.113.2:20007 ..." */
static void announces(const char *wanted)
{
	struct endpoint list[NAT_ANNOUNCED_MAX];
	size_t n = nat_announced(&nat, &own, list);
	char all[NAT_ANNOUNCED_MAX * ENDPOINT_TEXT_MAX] = "", text[ENDPOINT_TEXT_MAX];

	for (size_t i = 0; i < n; i++) {
		(void) strcat(all, i ? " " : "");
		(void) strcat(all, endpoint_format(&list[i], text));
	}
	assert_string_equal(all, wanted);
}

static void forget_mapped(void)
{
	world.n = 0;
}

/* --- kinds of NAT --- */

static void test_kinds(void **state)
{
	static const struct {
		enum kind kind;
		enum nat_udp udp;
		bool open;
		enum nat_mapping mapping;
		int step;
		const char *announced;
	} cases[] = {
		{ OPEN, NAT_UDP_WORKS, true, NAT_MAPPING_INDEPENDENT, 0, "" },
		{ EASY, NAT_UDP_WORKS, false, NAT_MAPPING_INDEPENDENT, 0, "203.0.113.2:20007" },
		{ COUNTS_UP, NAT_UDP_WORKS, false, NAT_MAPPING_COUNTING, 1, "203.0.113.2:41741" },
		{ COUNTS_DOWN, NAT_UDP_WORKS, false, NAT_MAPPING_COUNTING, -1,
			"203.0.113.2:41741" },
		{ COUNTS_BY_TWO, NAT_UDP_WORKS, false, NAT_MAPPING_COUNTING, 2,
			"203.0.113.2:41741" },
		{ HARD, NAT_UDP_WORKS, false, NAT_MAPPING_RANDOM, 0, "203.0.113.2:41741" },
		{ BLOCKED, NAT_UDP_NONE, false, NAT_MAPPING_UNKNOWN, 0, "" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void) set_up(state);
		world.kind = cases[i].kind;
		if (world.kind == OPEN)
			we_are_at("203.0.113.2:41741", NULL);
		assert_true(ask(true));
		assert_true(v4()->has_address);
		assert_int_equal(v4()->udp, cases[i].udp);
		assert_int_equal(v4()->open, cases[i].open);
		assert_int_equal(v4()->mapping, cases[i].mapping);
		assert_int_equal(v4()->step, cases[i].step);
		announces(cases[i].announced);
		assert_false(nat.sides[NAT_IPV6].has_address);
		/* What is mapped stays so, and is asked of two only. */
		world.n_asked = 0;
		assert_false(ask(false));
		if (cases[i].kind != BLOCKED)
			assert_int_equal(world.n_asked, 2);
		assert_int_equal(v4()->mapping, cases[i].mapping);
		assert_int_equal(v4()->step, cases[i].step);
		announces(cases[i].announced);
		/* It has forgotten all, and begins elsewhere. */
		forget_mapped();
		world.next += 500;
		assert_int_equal(ask(true),
			cases[i].kind != OPEN && cases[i].kind != EASY && cases[i].kind != BLOCKED);
		assert_int_equal(v4()->mapping, cases[i].mapping);
		assert_int_equal(v4()->step, cases[i].step);
		announces(cases[i].announced);
	}
}

/* The port that was mapped last comes first: who guesses goes on from there. */
static void test_last_port(void **state)
{
	world.kind = COUNTS_UP;
	(void) ask(true);
	assert_false(ask(false)); /* of two, who saw others */
	assert_int_equal(v4()->n_outside, 3);
	assert_int_equal(v4()->outside[0].port, 40002);
	assert_int_equal(v4()->outside[2].port, 40000);
}

/* Others in the house map ports, too, and the NAT begins anew with its first one. */
static void test_counting_with_noise(void **state)
{
	static const uint16_t ports[][5] = {
		{ 40000, 40007, 40009, 40030, 40031 },
		{ 40510, 40511, 40000, 40001, 40002 },
		{ 65534, 65535, 1, 2, 3 },
	};
	static const uint16_t none[][5] = {
		{ 40000, 50000, 40001, 50001, 40002 },
		{ 40000, 40100, 40200, 40300, 40400 },
		{ 40000, 40001, 40000, 40001, 40000 },
	};

	for (size_t k = 0; k < 6; k++) {
		(void) set_up(state);
		servers(places, 5);
		world.kind = HARD;
		for (size_t i = 0; i < 5; i++) {
			world.mapped[i].to = at(places[i]);
			world.mapped[i].port = k < 3 ? ports[k][i] : none[k - 3][i];
		}
		world.n = 5;
		(void) ask(true);
		assert_int_equal(v4()->mapping, k < 3 ? NAT_MAPPING_COUNTING : NAT_MAPPING_RANDOM);
		assert_int_equal(v4()->step, k < 3 ? 1 : 0);
	}
}

/* With fewer servers it says no more than it can know. */
static void test_few_servers(void **state)
{
	static const char *const ports[] = { "198.51.100.1:3478", "198.51.100.1:3479" };

	world.kind = EASY;
	servers(places, 1);
	(void) ask(true);
	assert_int_equal(v4()->mapping, NAT_MAPPING_UNKNOWN);
	announces("203.0.113.2:20007");
	servers(ports, 2);
	(void) ask(true);
	assert_int_equal(v4()->mapping, NAT_MAPPING_UNKNOWN); /* per address, perhaps */
	servers(places, 2);
	(void) ask(true);
	assert_int_equal(v4()->mapping, NAT_MAPPING_INDEPENDENT);
	silent[1] = true;
	(void) ask(true);
	assert_int_equal(v4()->mapping, NAT_MAPPING_INDEPENDENT); /* it was so a moment ago */
	world.address = "203.0.113.9:1";
	assert_true(ask(true));
	assert_int_equal(v4()->mapping, NAT_MAPPING_UNKNOWN); /* another NAT, perhaps */

	(void) set_up(state);
	world.kind = COUNTS_UP;
	servers(places, 2);
	(void) ask(true);
	assert_int_equal(v4()->mapping, NAT_MAPPING_RANDOM); /* two may be chance */
	(void) set_up(state);
	servers(places, 0);
	assert_int_equal(nat_deadline(&nat, true, 0), NAT_NEVER);
	(void) ask(true);
	assert_int_equal(v4()->udp, NAT_UDP_UNKNOWN);
}

/* A relay of the same LAN sees our address there; one between two NATs another NAT's. */
static void test_near(void **state)
{
	world.kind = HARD;
	elsewhere[0] = "192.168.50.11:41741";
	servers(places, 1);
	(void) ask(true);
	assert_int_equal(v4()->udp, NAT_UDP_UNKNOWN);
	assert_int_equal(v4()->n_outside, 0);
	announces("");
	servers(places, 4);
	(void) ask(true);
	assert_int_equal(v4()->udp, NAT_UDP_WORKS);
	assert_int_equal(v4()->mapping, NAT_MAPPING_RANDOM);
	world.kind = BLOCKED;
	(void) ask(true);
	(void) ask(true);
	assert_int_equal(v4()->udp, NAT_UDP_NONE);

	(void) set_up(state);
	world.kind = EASY;
	elsewhere[1] = "192.168.1.7:5000";
	(void) ask(true);
	assert_int_equal(v4()->mapping, NAT_MAPPING_INDEPENDENT);
	announces("203.0.113.2:20007 192.168.1.7:5000");
}

/* Behind a carrier's NAT, whose subscribers reach each other there. */
static void test_carrier(void **state)
{
	world.kind = EASY;
	elsewhere[0] = elsewhere[1] = "100.64.0.7:20007";
	servers(places, 2);
	assert_true(ask(true));
	assert_false(v4()->open);
	assert_int_equal(v4()->mapping, NAT_MAPPING_INDEPENDENT);
	announces("100.64.0.7:20007");
}

/* Each family has servers, addresses and a NAT of its own. */
static void test_families(void **state)
{
	static const char *const both[] = { "198.51.100.1:3478", "198.51.100.2:3478",
		"[2001:db8:9::1]:3478", "[2001:db8:9::2]:3478" };

	world.kind = EASY;
	servers(both, 4);
	elsewhere[2] = elsewhere[3] = "[2001:db8:1::11]:41741";
	we_are_at("192.168.50.11:41741", "[2001:db8:1::11]:41741");
	assert_true(ask(true));
	assert_int_equal(nat.sides[NAT_IPV6].udp, NAT_UDP_WORKS);
	assert_true(nat.sides[NAT_IPV6].open);
	assert_false(v4()->open);
	announces("203.0.113.2:20007");
	elsewhere[2] = elsewhere[3] = "[2001:db8:2::5]:6000"; /* translated as well */
	assert_true(ask(true));
	assert_false(nat.sides[NAT_IPV6].open);
	announces("203.0.113.2:20007 [2001:db8:2::5]:6000");
	we_are_at("192.168.50.11:41741", NULL);
	nat_moved(&nat);
	assert_true(ask(true));
	assert_false(nat.sides[NAT_IPV6].has_address);
	announces("203.0.113.2:20007");
}

/* --- what is lost, and what changes --- */

static void test_lost(void **state)
{
	world.kind = EASY;
	assert_true(ask(true));
	world.kind = BLOCKED;
	assert_false(ask(true));
	assert_int_equal(v4()->udp, NAT_UDP_WORKS);
	announces("203.0.113.2:20007");
	assert_int_equal(nat_deadline(&nat, false, 5), now_us + NAT_DOUBT_US - RTT_MS * MS);
	world.kind = EASY;
	assert_false(ask(true));
	world.kind = BLOCKED;
	assert_false(ask(true)); /* not two in a row */
	assert_true(ask(true));
	assert_int_equal(v4()->udp, NAT_UDP_NONE);
	announces("");
	world.kind = EASY;
	assert_true(ask(true));
	nat_moved(&nat);
	announces("203.0.113.2:20007"); /* it may be true still */
	world.kind = BLOCKED;
	assert_true(ask(true));
	announces("");
}

/* Those that are silent are asked four times, others once. */
static void test_tries(void **state)
{
	uint64_t begun_us = now_us;

	silent[1] = true;
	world.kind = EASY;
	(void) ask(true);
	assert_int_equal(world.n_asked, 2 + NAT_TRIES);
	assert_in_range(now_us - begun_us, NAT_ROUND_US, NAT_ROUND_US + RTT_MS * MS);
	assert_int_equal(v4()->mapping, NAT_MAPPING_INDEPENDENT);
	silent[1] = false;
	begun_us = now_us;
	(void) ask(true);
	assert_int_equal(now_us - begun_us, RTT_MS * MS); /* all have answered */
	assert_int_equal(nat.servers[0].rtt_us, RTT_MS * MS);
}

/* Who answers soon is made use of before the last one has. */
static void test_not_all_yet(void **state)
{
	bool changed = false;

	silent[2] = true;
	world.kind = EASY;
	nat_begin(&nat, true, &own, now_us);
	turn(&changed);
	assert_false(changed);
	announces("");
	now_us = nat.begun_us + NAT_SOON_US;
	turn(&changed);
	assert_true(changed);
	assert_true(nat_is_asking(&nat));
	announces("203.0.113.2:20007");
}

/* A few are enough to see that something is not as it was; then all are asked. */
static void test_rebound(void **state)
{
	servers(places, 5);
	world.kind = EASY;
	(void) ask(true);
	world.address = "203.0.113.9:1";
	world.n_asked = 0;
	assert_true(ask(false));
	assert_int_equal(world.n_asked, 2 + 5);
	announces("203.0.113.9:20007");
}

/* So they are when the few do not answer; one of them alone may be gone. */
static void test_few_are_silent(void **state)
{
	servers(places, 5);
	world.kind = EASY;
	(void) ask(true);
	silent[0] = silent[1] = true;
	world.n_asked = 0;
	assert_false(ask(false));
	assert_int_equal(world.n_asked, 2 * NAT_TRIES + 2 * NAT_TRIES + 3);
	announces("203.0.113.2:20007");
	silent[0] = silent[1] = false;
	(void) ask(true);
	silent[0] = true;
	world.address = "203.0.113.9:1"; /* the other one is believed at once */
	world.n_asked = 0;
	assert_true(ask(false));
	assert_int_equal(world.n_asked, 2 + NAT_TRIES + 4);
	assert_int_equal(v4()->mapping, NAT_MAPPING_INDEPENDENT);
	announces("203.0.113.9:20007");
	silent[2] = silent[1] = silent[3] = silent[4] = true;
	(void) ask(false);
	announces("203.0.113.9:20007");
	assert_true(ask(false));
	announces("");
}

/* --- when --- */

static void test_when(void **state)
{
	world.kind = EASY;
	(void) ask(true);
	assert_int_equal(nat_deadline(&nat, false, 77), nat.next_us + NAT_SELDOM_US);
	assert_int_equal(nat_deadline(&nat, true, 0), nat.next_us + 20 * SECOND);
	assert_in_range(nat_deadline(&nat, true, UINT32_MAX), nat.next_us + 20 * SECOND,
		nat.next_us + 26 * SECOND);
	world.kind = OPEN;
	we_are_at("203.0.113.2:41741", NULL);
	(void) ask(true);
	assert_int_equal(nat_deadline(&nat, true, 0), nat.next_us + NAT_SELDOM_US);
	world.kind = BLOCKED;
	(void) ask(true);
	(void) ask(true);
	assert_int_equal(nat_deadline(&nat, true, 0), nat.next_us + 60 * SECOND);
	assert_int_equal(nat_deadline(&nat, false, 0), nat.next_us + NAT_SELDOM_US);
}

/* --- who lies --- */

static void test_strangers(void **state)
{
	uint8_t tx[STUN_TX_LEN] = { 9 }, other[STUN_TX_LEN] = { 8 };
	struct endpoint to, stranger = at("198.51.100.66:3478"), seen = at("203.0.113.2:7");
	struct endpoint second = at(places[1]);

	assert_false(nat_answer(&nat, &second, tx, &seen, now_us)); /* nothing was asked */
	nat_begin(&nat, true, &own, now_us);
	assert_true(nat_ask(&nat, now_us, tx, &to));
	assert_false(nat_answer(&nat, &stranger, tx, &seen, now_us));
	assert_false(nat_answer(&nat, &second, tx, &seen, now_us)); /* another server's */
	assert_false(nat_answer(&nat, &to, other, &seen, now_us));
	assert_true(nat_answer(&nat, &to, tx, &seen, now_us));
	assert_false(nat_answer(&nat, &to, tx, &second, now_us)); /* once */
	assert_true(endpoint_equal(&nat.servers[0].seen, &seen));
}

static void test_servers(void **state)
{
	struct endpoint list[PLACES];

	for (size_t i = 0; i < 5; i++)
		list[i] = at(places[i]);
	world.kind = EASY;
	(void) ask(true);
	assert_false(nat_set_servers(&nat, list + 1, 2));
	assert_int_equal(nat.n, 2);
	assert_int_equal(nat.servers[0].seen.port, 20007); /* the second, as it was */
	assert_true(nat_set_servers(&nat, list, 5));
	assert_int_equal(nat.servers[0].seen.port, 0);
	assert_false(nat_set_servers(&nat, list, 5));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_kinds, set_up),
		cmocka_unit_test_setup(test_last_port, set_up),
		cmocka_unit_test_setup(test_counting_with_noise, set_up),
		cmocka_unit_test_setup(test_few_servers, set_up),
		cmocka_unit_test_setup(test_near, set_up),
		cmocka_unit_test_setup(test_carrier, set_up),
		cmocka_unit_test_setup(test_families, set_up),
		cmocka_unit_test_setup(test_lost, set_up),
		cmocka_unit_test_setup(test_tries, set_up),
		cmocka_unit_test_setup(test_not_all_yet, set_up),
		cmocka_unit_test_setup(test_rebound, set_up),
		cmocka_unit_test_setup(test_few_are_silent, set_up),
		cmocka_unit_test_setup(test_when, set_up),
		cmocka_unit_test_setup(test_strangers, set_up),
		cmocka_unit_test_setup(test_servers, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
