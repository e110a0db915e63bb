/*
 * wall: what nft is given and when, when the gate is shut and opened, what is told of those who
 * take rules out and of those whom the rules caught.
 */
#include "fake-core.h"
#include "fake-net.h"

#include <stdio.h>

#include "node/firewall.h"
#include "node/wall.h"
#include "sys/nft/nft.h"

/* --- instead of sys/nft --- */

enum { KEYS_MAX = 80 };

struct key {
	const char *set;
	uint8_t bytes[16];
	size_t len;
};

static struct nft {
	nft_done_fn done;
	nft_touched_fn touched;
	void *ctx;
	char table[FIREWALL_TABLE_MAX];
	bool busy, whole;
	int there;                 /* what nft_is_there() says */
	int opens, applies, tells; /* 0, or the errno with which that fails */
	unsigned n_applied;
	char text[16384]; /* applied last */
	struct key keys[KEYS_MAX];
	size_t n_keys;
} nft;

int nft_new(sd_event *event, const char *table, nft_done_fn done, nft_touched_fn touched, void *ctx,
	struct nft **ret, struct err *err)
{
	if (nft.opens < 0)
		return err_set(err, nft.opens, "nf_tables: %s", strerror(-nft.opens));
	(void) snprintf(nft.table, sizeof(nft.table), "%s", table);
	nft.done = done;
	nft.touched = touched;
	nft.ctx = ctx;
	*ret = &nft;
	return 0;
}

int nft_apply(struct nft *n, const char *text, struct err *err)
{
	nft.n_applied++;
	if (nft.applies < 0)
		return err_set(err, nft.applies, "start nft: %s", strerror(-nft.applies));
	assert_true(strlen(text) < sizeof(nft.text));
	(void) strcpy(nft.text, text);
	nft.busy = true;
	return 0;
}

bool nft_is_busy(const struct nft *n)
{
	return nft.busy;
}

bool nft_is_whole(struct nft *n)
{
	return nft.busy || nft.whole;
}

int nft_is_there(struct nft *n)
{
	return nft.there;
}

int nft_keys(struct nft *n, const char *set, nft_key_fn each, void *ctx)
{
	for (size_t i = 0; i < nft.n_keys; i++)
		if (!strcmp(nft.keys[i].set, set))
			each(ctx, nft.keys[i].bytes, nft.keys[i].len);
	return nft.tells;
}

struct nft *nft_free(struct nft *n)
{
	return NULL;
}

/* The transaction under way ends: 0, or with an errno. */
static void ended(int r)
{
	struct err err = { 0 };

	assert_true(nft.busy);
	nft.busy = false;
	if (r < 0) {
		err_set(&err, r, "nft: %s", strerror(-r));
	} else {
		nft.whole = true;
		nft.there = 1;
	}
	nft.done(nft.ctx, r, &err);
}

/* Somebody takes rules out, or the whole table, and the kernel tells. */
static void rob(int there)
{
	nft.whole = false;
	nft.there = there;
	nft.touched(nft.ctx);
}

static struct key *caught(const char *set, const void *bytes, size_t len)
{
	struct key *key = &nft.keys[nft.n_keys++];

	assert_true(nft.n_keys <= KEYS_MAX);
	key->set = set;
	key->len = len;
	memcpy(key->bytes, bytes, len);
	return key;
}

static void caught_addr(const char *text)
{
	struct ip_addr addr;

	assert_int_equal(ip_addr_parse(text, &addr), 0);
	(void) caught(addr.family == AF_INET ? FIREWALL_SENDERS4 : FIREWALL_SENDERS6, addr.bytes,
		ip_bytes(addr.family));
}

/* --- a board with a wall --- */

#define LOOK_US   (500 * USEC_PER_MSEC)
#define FORGET_US (600 * USEC_PER_SEC)

static struct core *core;
static struct wall *wall;
static struct candidates own;
static struct settings settings;
static unsigned n_settled;

static void settled(void *ctx)
{
	assert_ptr_equal(ctx, &wall);
	n_settled++;
}

static const struct wall_hooks hooks = { .settled = settled };

static void make(void)
{
	assert_int_equal(wall_new(core, &hooks, &wall, &wall, NULL), 0);
}

static int set_up(void **state)
{
	fake_net_reset();
	nft = (struct nft){ .whole = true };
	own = (struct candidates){ 0 };
	settings = maker_settings();
	n_settled = 0;
	core = fake_core_new();
	wall = NULL;
	return 0;
}

static int tear_down(void **state)
{
	wall = wall_free(wall);
	settings_done(&settings);
	core = fake_core_free(core);
	return 0;
}

static void apply(void)
{
	wall_apply(wall, &settings, core_self(core), &own);
}

static void retry(void)
{
	wall_retry(wall, &settings, core_self(core), &own);
}

/* The rules are in place, and the gate is open. */
static void build(void)
{
	make();
	wall_begin(wall);
	apply();
	ended(0);
	assert_string_equal(fake_net.prohibited, "");
	nft.n_applied = n_settled = 0;
	(void) fake_core_logged("");
}

static void assert_shut(void)
{
	assert_string_equal(fake_net.prohibited, "hearth0");
}

static void assert_open(void)
{
	assert_string_equal(fake_net.prohibited, "");
}

/* --- before the rules are there --- */

static void test_begin_without_rules(void **state)
{
	make();
	wall_begin(wall);
	assert_shut();
	fake_core_wrong(core, "firewall", NULL);
	wall_begin(wall);
	assert_int_equal(fake_net.rules, 1); /* it is known */
	apply();
	assert_true(wall_is_busy(wall));
	assert_shut();
	assert_int_equal(n_settled, 0);
	ended(0);
	assert_false(wall_is_busy(wall));
	assert_open();
	assert_int_equal(n_settled, 1);
	fake_core_wrong(core, "firewall", NULL);
}

/* Those of the hearthd before us: nobody is cut off while new ones are made. */
static void test_begin_with_rules(void **state)
{
	nft.there = 1;
	(void) strcpy(fake_net.prohibited, "hearth0"); /* that one ended in between */
	make();
	wall_begin(wall);
	assert_open();
	wall_begin(wall);
	assert_int_equal(fake_net.rules, 1);
}

static void test_begin_unknown(void **state)
{
	nft.there = -EPERM;
	make();
	wall_begin(wall);
	assert_shut();
}

static void test_begin_gate_fails(void **state)
{
	fake_net.refuses = "rule_prohibit";
	fake_net.with = -EPERM;
	make();
	wall_begin(wall);
	fake_core_wrong(core, "firewall", "rule_prohibit: Operation not permitted");
	fake_net.refuses = NULL;
	wall_begin(wall); /* and so it is tried again */
	assert_shut();
}

/* A kernel without nf_tables, until its module can be had. */
static void test_no_nftables(void **state)
{
	nft.opens = -EPROTONOSUPPORT;
	make();
	assert_false(wall_is_busy(wall));
	fake_core_wrong(core, "firewall", NULL);
	wall_begin(wall);
	assert_shut();
	fake_core_wrong(core, "firewall", "not in place: nf_tables: Protocol not supported");
	apply();
	retry();
	assert_int_equal(nft.n_applied, 0);
	assert_shut();
	nft.opens = 0;
	retry();
	assert_int_equal(nft.n_applied, 1);
	ended(0);
	assert_open();
	fake_core_wrong(core, "firewall", NULL);
}

static void test_table(void **state)
{
	(void) strcpy(core->config.interface, "hearth1");
	make();
	assert_string_equal(nft.table, "hearth_hearth1");
	wall_begin(wall);
	assert_string_equal(fake_net.prohibited, "hearth1");
	apply();
	assert_non_null(strstr(nft.text, "table inet hearth_hearth1 {"));
}

static void test_no_timer(void **state)
{
	struct err err = { 0 };

	fake_event_fails = -EMFILE;
	assert_int_equal(wall_new(core, &hooks, &wall, &wall, &err), -EMFILE);
	assert_non_null(strstr(err.text, "timer"));
	assert_null(wall);
	fake_event_fails = 0;
}

/* --- which rules --- */

static bool is_whole_table(void)
{
	return strstr(nft.text, "delete table inet hearth\n") && strstr(nft.text, "chain guard");
}

/* What the rules counted and remember stays where only links changed. */
static void test_same_rules(void **state)
{
	build();
	assert_true(is_whole_table());
	apply();
	assert_int_equal(nft.n_applied, 0);
	(void) strcpy(own.inside[own.n_inside++], "docker0");
	apply();
	assert_int_equal(nft.n_applied, 1);
	assert_string_equal(nft.text, "flush set inet hearth inside\n"
				      "flush set inet hearth outside\n"
				      "add element inet hearth inside { \"lo\" }\n"
				      "add element inet hearth inside { \"docker0\" }\n");
	apply(); /* on their way */
	assert_int_equal(nft.n_applied, 1);
	ended(0);
	(void) strcpy(own.outside[own.n_outside++], "veth0");
	apply();
	assert_int_equal(nft.n_applied, 2);
	assert_false(is_whole_table());
	assert_non_null(strstr(nft.text, "add element inet hearth outside { \"veth0\" }"));
}

static void another_link(void)
{
	(void) snprintf(own.inside[own.n_inside], IFNAMSIZ, "br%zu", own.n_inside);
	own.n_inside++;
	apply();
}

/* No transaction counts on one before it that may not have come to be. */
static void test_links_of_no_table(void **state)
{
	build();
	another_link();
	assert_false(is_whole_table());
	another_link(); /* while it runs */
	assert_true(is_whole_table());
	ended(-EINVAL);
	another_link();
	assert_true(is_whole_table());
	ended(0);
	nft.whole = false; /* somebody flushed it, and no word of it has come yet */
	another_link();
	assert_true(is_whole_table());
	ended(0);
	settings.n_coordinators = 1;
	settings.coordinators[0] = (struct settings_coordinator){ .node = 1, .port = 8443 };
	another_link();
	assert_true(is_whole_table());
	ended(0);
	another_link();
	assert_false(is_whole_table());
	ended(-ENOENT); /* and it was gone all the same */
	retry();
	assert_true(is_whole_table());
	assert_non_null(strstr(nft.text, "add element inet hearth inside { \"br4\" }"));
}

/* All of what the text is made from; firewall.c's own test has the text itself. */
static void test_text(void **state)
{
	CLEANUP_BUF struct buf text = { 0 };
	const struct node *self = core_self(core);
	struct firewall firewall = { .interface = "hearth0",
		.own4 = self->mesh4,
		.own6 = self->mesh6,
		.own_pods4 = self->pods4,
		.own_pods6 = self->pods6,
		.mesh4 = settings.mesh4,
		.mesh6 = settings.mesh6,
		.pods4 = settings.pods4,
		.pods6 = settings.pods6,
		.services4 = settings.services4,
		.services6 = settings.services6,
		.closed = { 41742, 8444 },
		.n_closed = 2 };

	settings.coordinators[0] = (struct settings_coordinator){ .node = 2, .port = 8443 };
	settings.coordinators[1] = (struct settings_coordinator){ .node = 1, .port = 8444 };
	settings.n_coordinators = 2;
	make();
	apply();
	firewall_add_rules(&firewall, &text);
	firewall_add_links(&firewall, &text);
	assert_string_equal(nft.text, buf_str(&text));
	nft.busy = false;
	settings.n_coordinators = 1;
	apply();
	assert_null(strstr(nft.text, "tcp dport 8444"));
	assert_non_null(strstr(nft.text, "tcp dport 41742"));
}

/* --- rules that cannot be put in place --- */

static void test_fails(void **state)
{
	make();
	wall_begin(wall);
	apply();
	ended(-EINVAL);
	assert_shut();
	assert_int_equal(n_settled, 1);
	fake_core_wrong(core, "firewall", "rules are not in place: nft: Invalid argument; until");
	/* The same again, though they are those of last time. */
	retry();
	assert_int_equal(nft.n_applied, 2);
	ended(0);
	assert_open();
	fake_core_wrong(core, "firewall", NULL);
	retry();
	assert_int_equal(nft.n_applied, 2);
}

static void test_fails_at_once(void **state)
{
	nft.applies = -ENOENT;
	make();
	wall_begin(wall);
	apply();
	assert_shut();
	assert_int_equal(n_settled, 1);
	fake_core_wrong(core, "firewall", "start nft: No such file");
}

/* Neither the rules nor the gate: who can send where is said. */
static void test_fails_with_gate(void **state)
{
	fake_net.refuses = "rule_prohibit";
	fake_net.with = -EOPNOTSUPP;
	make();
	apply();
	ended(-EINVAL);
	fake_core_wrong(core, "firewall", "members of the mesh can send through this board");
	fake_core_wrong(core, "firewall", "rule_prohibit: Operation not supported");
}

/* The old rules hold: the gate stays open. */
static void test_fails_with_older_rules(void **state)
{
	build();
	(void) strcpy(own.inside[own.n_inside++], "docker0");
	apply();
	ended(-EINVAL);
	assert_open();
	fake_core_wrong(core, "firewall", "rules are older ones, new ones cannot be put in place");
	/* They are gone, too. */
	nft.there = 0;
	retry();
	ended(-EINVAL);
	assert_shut();
	fake_core_wrong(core, "firewall", "rules are not in place");
}

/* The kernel does not tell: what was last known counts. */
static void test_fails_unknown(void **state)
{
	build();
	nft.there = -EPERM;
	(void) strcpy(own.inside[own.n_inside++], "docker0");
	apply();
	ended(-EINVAL);
	assert_open();
	fake_core_wrong(core, "firewall", "older ones");
}

/* In place, but the gate cannot be opened: that is a problem of its own, until it can. */
static void test_gate_stays_shut(void **state)
{
	make();
	wall_begin(wall);
	apply();
	fake_net.refuses = "rule_permit";
	fake_net.with = -ENOBUFS;
	ended(0);
	assert_shut();
	fake_core_wrong(core, "firewall", "rule_permit: No buffer space");
	fake_net.refuses = NULL;
	wall_begin(wall);
	assert_open();
	fake_core_wrong(core, "firewall", NULL);
}

/* Older rules hold, and the gate opens: that new ones cannot be had is as wrong as before. */
static void test_gate_opens_to_older_rules(void **state)
{
	make();
	wall_begin(wall);
	apply();
	nft.there = 1;
	fake_net.refuses = "rule_permit";
	fake_net.with = -ENOBUFS;
	ended(-EINVAL);
	assert_shut();
	fake_core_wrong(core, "firewall", "older ones");
	wall_begin(wall);
	fake_core_wrong(core, "firewall", "rule_permit: No buffer space");
	retry();
	ended(-EINVAL);
	fake_net.refuses = NULL;
	wall_begin(wall);
	assert_open();
	fake_core_wrong(core, "firewall", "older ones");
}

/* --- rules that somebody takes out --- */

static void test_put_back(void **state)
{
	build();
	rob(0);
	rob(0); /* a burst: one look */
	fake_event_pass(LOOK_US - 1);
	assert_int_equal(nft.n_applied, 0);
	rob(0); /* and not later for it */
	fake_event_pass(1);
	assert_int_equal(nft.n_applied, 1);
	assert_non_null(strstr(nft.text, "table inet hearth {"));
	assert_int_equal(fake_core_logged("somebody removed rules from nftables table inet"), 1);
	ended(0);
	assert_int_equal(fake_event_next_us(), UINT64_MAX);
	fake_core_wrong(core, "rules", NULL);
}

/* Much happened, but not to ours. */
static void test_nothing_taken(void **state)
{
	build();
	nft.touched(nft.ctx);
	fake_event_pass(LOOK_US);
	assert_int_equal(nft.n_applied, 0);
	assert_int_equal(fake_core_logged(""), 0);
	assert_int_equal(fake_event_next_us(), UINT64_MAX);
}

static void test_put_back_fails(void **state)
{
	build();
	rob(0);
	nft.applies = -EMFILE;
	fake_event_pass(LOOK_US);
	assert_shut();
	assert_int_equal(n_settled, 1);
	fake_core_wrong(core, "firewall", "start nft: Too many open files");
}

/* Before there are any, and when there are to be none. */
static void test_nothing_to_put_back(void **state)
{
	make();
	rob(0);
	fake_event_pass(LOOK_US);
	assert_int_equal(nft.n_applied, 0);
	assert_int_equal(fake_core_logged(""), 0);
}

/* Nobody told us, but the minute's look sees it. */
static void test_retry_looks(void **state)
{
	build();
	retry();
	assert_int_equal(fake_event_next_us(), UINT64_MAX);
	nft.whole = false;
	retry();
	assert_int_equal(nft.n_applied, 0);
	fake_event_pass(LOOK_US);
	assert_int_equal(nft.n_applied, 1);
}

/* Puts back three times at once. */
static void rob_thrice(void)
{
	for (int i = 0; i < 3; i++) {
		rob(0);
		fake_event_pass(LOOK_US);
		assert_int_equal(nft.n_applied, i + 1);
		ended(0);
		fake_core_wrong(core, "rules", NULL);
	}
}

/* Then ever more seldom, with the gate shut meanwhile, and until ten minutes were quiet. */
static void test_fight(void **state)
{
	build();
	rob_thrice();
	rob(0);
	fake_event_pass(LOOK_US);
	assert_int_equal(nft.n_applied, 3);
	assert_shut();
	fake_core_wrong(core, "rules", "another program keeps removing rules from nftables table");
	fake_event_pass(2 * USEC_PER_SEC - LOOK_US - 1);
	assert_int_equal(nft.n_applied, 3);
	fake_event_pass(1);
	assert_int_equal(nft.n_applied, 4);
	assert_shut();
	ended(0);
	assert_open();
	fake_core_wrong(core, "rules", "inet hearth; find it");
	retry();
	fake_core_wrong(core, "rules", "find it");
	fake_event_pass(FORGET_US);
	retry();
	fake_core_wrong(core, "rules", "find it");
	fake_event_pass(1);
	retry();
	fake_core_wrong(core, "rules", NULL);
}

/* Over, but the gate is shut: pods still wait. */
static void test_fight_gate_shut(void **state)
{
	build();
	rob_thrice();
	rob(0);
	fake_event_pass(LOOK_US);
	assert_shut();
	nft.whole = true; /* the other one put them back; nobody has looked yet */
	fake_event_pass(LOOK_US);
	assert_shut();
	fake_event_pass(2 * USEC_PER_SEC);
	assert_open();
	assert_int_equal(nft.n_applied, 3);
}

/* While ours are on their way, or are wrong, the gate is not opened by what is there. */
static void test_gate_waits(void **state)
{
	build();
	rob_thrice();
	rob(0);
	fake_event_pass(LOOK_US);
	assert_shut();
	(void) strcpy(own.inside[own.n_inside++], "docker0");
	apply();
	fake_event_pass(3 * USEC_PER_SEC);
	assert_shut();
	ended(-EINVAL);
	assert_shut();
	nft.whole = true;
	nft.touched(nft.ctx);
	fake_event_pass(LOOK_US);
	assert_shut();
}

static void test_fight_gate_fails(void **state)
{
	build();
	rob_thrice();
	fake_net.refuses = "rule_prohibit";
	fake_net.with = -EPERM;
	rob(0);
	fake_event_pass(LOOK_US);
	fake_core_wrong(core, "rules", "; it should not be, but rule_prohibit: Operation not");
}

/* --- who did wrong --- */

static void test_senders(void **state)
{
	build();
	retry();
	fake_core_wrong(core, "astray", NULL);
	caught_addr("10.77.0.2");
	caught_addr("fd12:3456:789a:1002::"); /* its pods */
	caught_addr("10.244.3.0");
	caught_addr("10.77.7.7"); /* nobody's */
	(void) caught(FIREWALL_SENDERS4, "12345", 5);
	retry();
	fake_core_wrong(core, "astray", "within the last hour node-2, node-3 sent through");
	/* Unknown for a moment: as it was. */
	nft.n_keys = 0;
	nft.tells = -ENOBUFS;
	retry();
	fake_core_wrong(core, "astray", "node-2, node-3 sent");
	nft.tells = 0;
	nft.busy = true;
	retry();
	fake_core_wrong(core, "astray", "node-2, node-3 sent");
	nft.busy = false;
	retry();
	fake_core_wrong(core, "astray", NULL);
}

/* Three are named; no more are told apart than there is room for. */
static void test_many_senders(void **state)
{
	char addr[IP_TEXT_MAX];

	build();
	for (uint32_t id = 1; id <= 3; id++) {
		(void) snprintf(addr, sizeof(addr), "10.77.0.%u", id);
		caught_addr(addr);
	}
	retry();
	fake_core_wrong(core, "astray", "hour node-1, node-2, node-3 sent through");
	fake_core_put(4, 4, NULL);
	caught_addr("10.77.0.4");
	retry();
	fake_core_wrong(core, "astray", "hour node-1, node-2, node-3 and 1 more sent through");
	for (uint32_t id = 5; id <= 70; id++) {
		fake_core_put(id, id, NULL);
		(void) snprintf(addr, sizeof(addr), "10.77.0.%u", id);
		caught_addr(addr);
	}
	retry();
	fake_core_wrong(core, "astray", "node-3 and 61 more sent through");
}

static void test_liars(void **state)
{
	build();
	(void) strcpy(fake_net_link("hth0123456789ab", "veth")->alias, "pod abc");
	(void) caught(FIREWALL_LIARS, "hth0123456789ab", 16);
	(void) caught(FIREWALL_LIARS, "hthgone\0\0\0\0\0\0\0\0", 16);
	retry();
	fake_core_wrong(core, "liars", "as somebody else, by hth0123456789ab (pod abc); that");
	fake_net.n_links = 0;
	retry();
	fake_core_wrong(core, "liars", NULL);
	fake_core_wrong(core, "astray", NULL);
}

/* --- the end --- */

static void test_take_down(void **state)
{
	build();
	rob_thrice();
	rob(0);
	fake_event_pass(LOOK_US);
	assert_shut();
	caught_addr("10.77.0.2");
	nft.busy = false;
	retry();
	fake_core_wrong(core, "astray", "node-2");
	(void) fake_core_logged("");
	wall_take_down(wall);
	assert_string_equal(nft.text, "add table inet hearth\ndelete table inet hearth\n");
	assert_open();
	fake_core_wrong(core, "rules", NULL);
	fake_core_wrong(core, "astray", NULL);
	ended(0);
	nft.n_applied = 0;
	assert_int_equal(fake_core_logged("ignoring"), 0);
	rob(0); /* we did */
	fake_event_pass(60 * USEC_PER_SEC);
	assert_int_equal(nft.n_applied, 0);
	assert_open();
	fake_core_wrong(core, "rules", NULL);
	/* A mesh again: all from the beginning. */
	wall_begin(wall);
	assert_shut();
	apply();
	assert_int_equal(nft.n_applied, 1);
	ended(0);
	assert_open();
}

/* What was under way when the mesh ended opens and shuts nothing any more. */
static void test_taken_down_meanwhile(void **state)
{
	build();
	(void) strcpy(own.inside[own.n_inside++], "docker0");
	apply();
	wall_take_down(wall);
	ended(-EINVAL);
	assert_open();
	fake_core_wrong(core, "firewall", NULL);
	assert_int_equal(fake_core_logged("nft: Invalid argument, ignoring"), 1);
	assert_int_equal(n_settled, 1);
	assert_int_equal(fake_net.rules, 2 + 1);
}

static void test_take_down_fails(void **state)
{
	build();
	nft.applies = -EMFILE;
	wall_take_down(wall);
	assert_int_equal(fake_core_logged("start nft: Too many open files, ignoring"), 1);
	fake_core_wrong(core, "firewall", NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(begin_without_rules),
		TEST(begin_with_rules),
		TEST(begin_unknown),
		TEST(begin_gate_fails),
		TEST(no_nftables),
		TEST(table),
		TEST(no_timer),
		TEST(same_rules),
		TEST(links_of_no_table),
		TEST(text),
		TEST(fails),
		TEST(fails_at_once),
		TEST(fails_with_gate),
		TEST(fails_with_older_rules),
		TEST(fails_unknown),
		TEST(gate_stays_shut),
		TEST(gate_opens_to_older_rules),
		TEST(put_back),
		TEST(nothing_taken),
		TEST(put_back_fails),
		TEST(nothing_to_put_back),
		TEST(retry_looks),
		TEST(fight),
		TEST(fight_gate_shut),
		TEST(gate_waits),
		TEST(fight_gate_fails),
		TEST(senders),
		TEST(many_senders),
		TEST(liars),
		TEST(take_down),
		TEST(taken_down_meanwhile),
		TEST(take_down_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
