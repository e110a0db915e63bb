/*
 * announce: when there is a new presence, with which addresses and number, and what the coordinator
 * and the book get. Which addresses and when is test-announce-choose's.
 */
#include "fake-core.h"

#include "node/announce.h"

#define PAUSE_US (2 * USEC_PER_SEC) /* after four changes */

static struct core *core;
static struct announce *announce;
static struct candidates own;

static struct {
	struct announce_facts facts;
	unsigned looks;
	/* numbers */
	bool busy; /* the next one is being reserved */
	uint64_t known;
	/* what was told */
	unsigned told;
	struct presence last;
	/* the book */
	unsigned added;
	int refuses;
} t;

/* --- instead of board/book --- */

static struct presence *in_book(void)
{
	return fake_core_announce(1);
}

int book_add_presence(struct book *book, const json_t *doc, uint64_t now_us, struct book_heard *ret,
	struct err *err)
{
	t.added++;
	assert_int_equal(now_us, clock_now_us());
	if (t.refuses < 0)
		return err_set(err, t.refuses, "no room");
	presence_done(in_book());
	assert_int_equal(presence_open(doc, 1, core->identity, in_book(), NULL), 0);
	return 1;
}

/* --- its hooks --- */

static void look(const void *ctx, struct announce_facts *ret)
{
	assert_ptr_equal(ctx, &t);
	t.looks++;
	*ret = t.facts;
}

static bool take_number(void *ctx, uint64_t known, uint64_t *last)
{
	assert_ptr_equal(ctx, &t);
	t.known = known;
	if (t.busy)
		return false;
	*last = (known > *last ? known : *last) + 1;
	return true;
}

static void tell(void *ctx, json_t *doc)
{
	assert_ptr_equal(ctx, &t);
	t.told++;
	presence_done(&t.last);
	assert_int_equal(presence_open(doc, 1, core->identity, &t.last, NULL), 0);
}

static const struct announce_hooks hooks = {
	.look = look, .take_number = take_number, .tell = tell
};

/* --- a board --- */

static void begin(uint64_t number)
{
	announce = announce_new(core, number, &hooks, &t);
	assert_non_null(announce);
}

static int set_up(void **state)
{
	core = fake_core_new();
	memset(core->identity_seed, 5, sizeof(core->identity_seed));
	record_public_key(core->identity_seed, core->identity);
	own = (struct candidates){ 0 };
	memset(&t, 0, sizeof(t));
	t.facts = (struct announce_facts){ .own = &own, .kube = "", .kube_problem = "" };
	announce = NULL;
	return 0;
}

static int tear_down(void **state)
{
	announce = announce_free(announce);
	presence_done(&t.last);
	presence_done(in_book());
	core = fake_core_free(core);
	return 0;
}

static void add_own(const char *text)
{
	assert_true(own.n_endpoints < CANDIDATES_MAX);
	assert_int_equal(endpoint_parse(text, &own.endpoints[own.n_endpoints++]), 0);
}

/* The board is at @text, and nowhere else. */
static void move(const char *text)
{
	own.n_endpoints = 0;
	add_own(text);
	announce_look(announce);
}

/* So often, this number and these addresses last. */
static void assert_told(unsigned times, uint64_t counter, const char *addresses)
{
	char text[ENDPOINT_TEXT_MAX], all[256] = "";

	assert_int_equal(t.told, times);
	assert_int_equal(t.last.counter, counter);
	for (size_t i = 0; i < t.last.n_endpoints; i++)
		(void) strcat(
			strcat(all, i ? " " : ""), endpoint_format(&t.last.endpoints[i], text));
	assert_string_equal(all, addresses);
}

static void test_at_once(void **state)
{
	begin(0);
	assert_int_equal(announce_number(announce), 0);
	add_own("192.168.50.11:41741");
	add_own("[2001:db8::11]:41741");
	t.facts.kube = "00112233aabbccdd";
	announce_look(announce);
	assert_told(1, 1, "192.168.50.11:41741 [2001:db8::11]:41741");
	assert_int_equal(t.known, 0);
	assert_false(t.last.no_ipv6);
	assert_string_equal(t.last.kube, "00112233aabbccdd");
	assert_string_equal(t.last.kube_problem, "");
	assert_int_equal(in_book()->counter, 1);
	assert_int_equal(announce_number(announce), 1);
	assert_int_equal(fake_core_logged("announcing 2 addresses"), 1);
	assert_int_equal(fake_event_next_us(), UINT64_MAX);
	announce_look(announce);
	assert_int_equal(t.told, 1);
	assert_int_equal(t.added, 1);
}

/* Nor with addresses that nobody can be at. */
static void test_no_address(void **state)
{
	begin(0);
	announce_look(announce);
	add_own("127.0.0.1:41741");
	announce_look(announce);
	assert_int_equal(t.told, 0);
	assert_int_equal(fake_event_sources(), 0);
	add_own("192.168.50.11:41741");
	announce_look(announce);
	assert_told(1, 1, "192.168.50.11:41741");
}

static void test_as_many_as_there_may_be(void **state)
{
	begin(0);
	while (own.n_endpoints < CANDIDATES_MAX) {
		add_own("192.168.50.11:41741");
		own.endpoints[own.n_endpoints - 1].addr.bytes[2] = (uint8_t) own.n_endpoints;
	}
	announce_look(announce);
	assert_int_equal(t.told, 1);
	assert_int_equal(t.last.n_endpoints, CANDIDATES_MAX);
}

/* Where others see us comes behind our links' addresses, each once, and always has room. */
static void test_more(void **state)
{
	static const char *const texts[] = { "203.0.113.2:20007", "192.168.50.11:41741",
		"127.0.0.1:41741", "[2001:db8:2::5]:6000" };
	struct endpoint more[4];

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_int_equal(endpoint_parse(texts[i], &more[i]), 0);
	t.facts.more = more;
	t.facts.n_more = ARRAY_LEN(more);
	begin(0);
	announce_look(announce);
	assert_int_equal(t.told, 0); /* what was outside, without a link */
	add_own("192.168.50.11:41741");
	announce_look(announce);
	assert_told(1, 1, "192.168.50.11:41741 203.0.113.2:20007 [2001:db8:2::5]:6000");
	announce_look(announce);
	assert_int_equal(t.told, 1);
	more[0].port++;
	announce_look(announce);
	assert_told(2, 2, "192.168.50.11:41741 203.0.113.2:20008 [2001:db8:2::5]:6000");
	t.facts.n_more = 0;
	announce_look(announce);
	assert_told(3, 3, "192.168.50.11:41741");
	while (own.n_endpoints < CANDIDATES_MAX) {
		add_own("192.168.50.11:41741");
		own.endpoints[own.n_endpoints - 1].addr.bytes[2] = (uint8_t) own.n_endpoints;
	}
	t.facts.n_more = ARRAY_LEN(more);
	announce_look(announce);
	assert_int_equal(t.last.n_endpoints, PRESENCE_ENDPOINTS_MAX - 2);
	assert_true(endpoint_equal(&t.last.endpoints[t.last.n_endpoints - 1], &more[3]));
}

static void test_facts(void **state)
{
	begin(0);
	move("192.168.50.11:41741");
	t.facts.no_ipv6 = true;
	announce_look(announce);
	assert_told(2, 2, "192.168.50.11:41741");
	assert_true(t.last.no_ipv6);
	t.facts.kube = "00112233aabbccdd";
	announce_look(announce);
	assert_told(3, 3, "192.168.50.11:41741");
	assert_string_equal(t.last.kube, "00112233aabbccdd");
	t.facts.kube_problem = "kubeadm said no";
	announce_look(announce);
	assert_told(4, 4, "192.168.50.11:41741");
	assert_string_equal(t.last.kube_problem, "kubeadm said no");
	t.facts.relay = 7;
	announce_look(announce);
	assert_told(5, 5, "192.168.50.11:41741");
	assert_int_equal(t.last.relay, 7);
	announce_look(announce);
	assert_int_equal(t.told, 5);
}

/* Four changes of address at once, then there is a pause, which the timer ends. */
static void test_pause(void **state)
{
	begin(0);
	move("192.168.50.11:41741");
	move("192.168.50.12:41741");
	move("192.168.50.13:41741");
	move("192.168.50.14:41741");
	assert_told(4, 4, "192.168.50.14:41741");
	move("192.168.50.15:41741");
	assert_int_equal(t.told, 4);
	assert_int_equal(fake_event_next_us(), PAUSE_US);
	/* What is not an address is told meanwhile, with those that others have. */
	t.facts.no_ipv6 = true;
	announce_look(announce);
	assert_told(5, 5, "192.168.50.14:41741");
	fake_event_pass(PAUSE_US - 1);
	assert_int_equal(t.told, 5);
	fake_event_pass(1);
	assert_told(6, 6, "192.168.50.15:41741");
}

/* A timer that is not wanted any more does not come. */
static void test_back_in_the_pause(void **state)
{
	begin(0);
	move("192.168.50.11:41741");
	move("192.168.50.12:41741");
	move("192.168.50.13:41741");
	move("192.168.50.14:41741");
	move("192.168.50.15:41741");
	fake_event_pass(PAUSE_US / 2);
	own.n_endpoints = 0;
	add_own("192.168.50.14:41741");
	announce_look(announce);
	fake_event_pass(60 * USEC_PER_SEC);
	t.looks = 0;
	announce_look(announce);
	fake_event_pass(3600 * USEC_PER_SEC);
	assert_int_equal(t.looks, 1);
	assert_int_equal(fake_event_next_us(), UINT64_MAX);
	assert_int_equal(t.told, 4);
}

/* Then with the next change. */
static void test_no_timer(void **state)
{
	begin(0);
	fake_event_fails = -ENOMEM;
	move("192.168.50.11:41741");
	assert_int_equal(fake_event_sources(), 0);
	assert_told(1, 1, "192.168.50.11:41741");
}

/* --- what was made before this start --- */

/* The book has it, signed by @seed. */
static void have(uint64_t counter, const uint8_t seed[static PRESENCE_SEED_LEN])
{
	struct presence *known = in_book();

	known->counter = counter;
	assert_int_equal(endpoint_parse("192.168.50.11:41741", &known->endpoints[0]), 0);
	known->n_endpoints = 1;
	assert_int_equal(presence_sign(known, seed), 0);
}

static void test_known_and_current(void **state)
{
	have(7, core->identity_seed);
	begin(7);
	move("192.168.50.11:41741");
	assert_told(1, 7, "192.168.50.11:41741");
	assert_int_equal(t.added, 0);
	announce_look(announce);
	assert_int_equal(t.told, 1);
	assert_int_equal(announce_number(announce), 7);
	t.facts.no_ipv6 = true;
	announce_look(announce);
	assert_told(2, 8, "192.168.50.11:41741");
}

/* Others had more of us than this disk knows: we go on above that. */
static void test_restored(void **state)
{
	have(50, core->identity_seed);
	begin(7);
	move("192.168.50.11:41741");
	assert_told(1, 50, "192.168.50.11:41741");
	move("192.168.50.12:41741");
	assert_int_equal(t.known, 50);
	assert_told(2, 51, "192.168.50.12:41741");
}

static void test_known_and_old(void **state)
{
	have(6, core->identity_seed);
	begin(7);
	move("192.168.50.11:41741");
	assert_told(1, 8, "192.168.50.11:41741");
	assert_int_equal(t.added, 1);
}

static void test_known_and_not_ours(void **state)
{
	static const uint8_t other[PRESENCE_SEED_LEN] = { 6 };

	have(7, other);
	begin(7);
	move("192.168.50.11:41741");
	assert_told(1, 8, "192.168.50.11:41741");
}

/* --- its number --- */

static void test_number_is_waited_for(void **state)
{
	begin(0);
	t.busy = true;
	move("192.168.50.11:41741");
	assert_int_equal(t.told, 0);
	assert_int_equal(t.added, 0);
	announce_go_on(announce); /* for another number than ours */
	assert_int_equal(t.told, 0);
	t.busy = false;
	own.n_endpoints = 0;
	add_own("192.168.50.12:41741"); /* meanwhile */
	announce_go_on(announce);
	assert_told(1, 1, "192.168.50.12:41741");
	assert_int_equal(t.looks, 3);
	announce_go_on(announce);
	assert_int_equal(t.looks, 3);
}

/* What was not told in the end counts as no change: four are free all the same. */
static void test_waiting_is_no_change(void **state)
{
	begin(0);
	t.busy = true;
	for (unsigned i = 0; i < 10; i++)
		move(i % 2 ? "192.168.50.12:41741" : "192.168.50.11:41741");
	t.busy = false;
	move("192.168.50.11:41741");
	move("192.168.50.12:41741");
	move("192.168.50.13:41741");
	move("192.168.50.14:41741");
	assert_told(4, 4, "192.168.50.14:41741");
}

/* --- what goes wrong --- */

static void test_book_refuses(void **state)
{
	begin(0);
	t.refuses = -ENOMEM;
	move("192.168.50.11:41741");
	assert_told(1, 1, "192.168.50.11:41741");
	assert_int_equal(fake_core_logged("our own presence: no room"), 1);
}

/* A reader would refuse it. */
static void test_cannot_be_made(void **state)
{
	core->config.node = 0;
	begin(0);
	move("192.168.50.11:41741");
	assert_int_equal(t.told, 0);
	assert_int_equal(t.added, 0);
}

static void test_addressless(void **state)
{
	begin(0);
	announce_check(announce, true);
	fake_core_wrong(core, "addresses", NULL);
	fake_event_pass(5 * USEC_PER_SEC - 1);
	announce_check(announce, true);
	fake_core_wrong(core, "addresses", NULL);
	fake_event_pass(1);
	announce_check(announce, true);
	fake_core_wrong(core, "addresses", "no link of this board has an address");
	add_own("192.168.50.11:41741");
	announce_check(announce, true);
	fake_core_wrong(core, "addresses", NULL);
	/* The five seconds begin anew. */
	own.n_endpoints = 0;
	announce_check(announce, true);
	fake_core_wrong(core, "addresses", NULL);
	fake_event_pass(5 * USEC_PER_SEC);
	announce_check(announce, true);
	fake_core_wrong(core, "addresses", "no link of this board has an address");
	announce_check(announce, false);
	fake_core_wrong(core, "addresses", NULL);
	announce_check(announce, true);
	fake_core_wrong(core, "addresses", NULL);
}

static void test_none(void **state)
{
	assert_null(announce_free(NULL));
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(at_once),
		TEST(no_address),
		TEST(as_many_as_there_may_be),
		TEST(more),
		TEST(facts),
		TEST(pause),
		TEST(back_in_the_pause),
		TEST(no_timer),
		TEST(known_and_current),
		TEST(restored),
		TEST(known_and_old),
		TEST(known_and_not_ours),
		TEST(number_is_waited_for),
		TEST(waiting_is_no_change),
		TEST(book_refuses),
		TEST(cannot_be_made),
		TEST(addressless),
		TEST(none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
