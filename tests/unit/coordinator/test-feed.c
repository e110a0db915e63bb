/* feed: whose poll is answered when, with what, and how many may wait. */
#include "world.h"

#include <errno.h>

#include "base/json.h"

/* A source that a test turns on. */
struct news {
	bool has;
	unsigned asked;
	const char *name;
};

static bool has_news(const void *ctx, const struct node *node, const struct feed_position *position)
{
	struct news *n = (struct news *) (uintptr_t) ctx;

	n->asked++;
	return n->has;
}

static void write_news(const void *ctx, const struct node *node,
	const struct feed_position *position, struct buf *out)
{
	const struct news *n = ctx;

	buf_printf(out, ",\"%s\":%d", n->name, n->has);
}

static struct news *add_source(struct coord *c, const char *name)
{
	static struct news news[2];
	static unsigned n;
	struct news *it = &news[n++ % 2];

	*it = (struct news){ .name = name };
	feed_add_source(c->feed, &(struct feed_source){ has_news, write_news, it });
	return it;
}

/* A poll by @b that has all records. */
static struct httpd_request *poll(struct coord *c, const struct board *b, unsigned wait_s)
{
	struct httpd_request *r = world_request(b, "/v1/poll");
	struct feed_position position = { .seq = mesh_log_head(ledger_log(c->ledger)) };

	feed_poll(c->feed, r, netmap_by_id(coord_netmap(c), b->id), &position, wait_s);
	return r;
}

static void answered(struct httpd_request *r, unsigned status)
{
	assert_int_equal(r->status, status);
	fake_request_free(r);
}

static void test_at_once(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	struct news *news = add_source(c, "x");
	const struct node *node = world_find(c, &a);
	struct feed_position old = { .seq = 1 }, ahead = { .seq = 9 };
	struct httpd_request *r;

	answered(poll(c, &a, 0), 200); /* it does not want to wait */
	r = world_request(&a, "/v1/poll");
	feed_poll(c->feed, r, node, &old, 55);
	assert_int_equal(json_array_size(json_object_get(r->reply, "records")), 2);
	assert_int_equal(json_integer_value(json_object_get(r->reply, "x")), 0);
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(r->reply, "head"), "seq")), 3);
	answered(r, 200);
	/* It has more than there is: a forked or an older log, which it must see. */
	r = world_request(&a, "/v1/poll");
	feed_poll(c->feed, r, node, &ahead, 55);
	assert_int_equal(json_array_size(json_object_get(r->reply, "records")), 0);
	answered(r, 200);
	news->has = true;
	r = poll(c, &a, 55);
	assert_int_equal(json_integer_value(json_object_get(r->reply, "x")), 1);
	answered(r, 200);
	assert_int_equal(feed_polls(c->feed), 0);
}

static void test_waits(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	struct httpd_request *r = poll(c, &a, 55), *shorter = poll(c, &a, 3);

	assert_int_equal(feed_polls(c->feed), 2);
	assert_true(feed_is_polling(c->feed, a.id));
	assert_false(feed_is_polling(c->feed, a.id + 1));
	fake_event_pass(3 * USEC_PER_SEC);
	answered(shorter, 200);
	assert_int_equal(r->status, 0);
	fake_event_pass(51 * USEC_PER_SEC);
	assert_int_equal(r->status, 0);
	fake_event_pass(USEC_PER_SEC);
	assert_int_equal(json_array_size(json_object_get(r->reply, "records")), 0);
	answered(r, 200);
	assert_false(feed_is_polling(c->feed, a.id));
	assert_int_equal(fake_event_next_us(), UINT64_MAX); /* nobody waits: nothing ticks */
}

/* The machine slept: all are due, each once, and new ones wait as long as they want. */
static void test_slept(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	struct httpd_request *r[3] = { poll(c, &a, 10), poll(c, &a, 40), NULL };

	fake_event_pass(10000 * USEC_PER_SEC);
	answered(r[0], 200);
	answered(r[1], 200);
	r[2] = poll(c, &a, 55);
	fake_event_pass(54 * USEC_PER_SEC);
	assert_int_equal(r[2]->status, 0);
	fake_event_pass(USEC_PER_SEC);
	answered(r[2], 200);
}

static void test_woken(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	struct board b = world_node(c, 2, "b", NODE_ROLE_WORKER);
	struct news *x = add_source(c, "x"), *y = add_source(c, "y");
	struct httpd_request *of_a, *of_b;

	fake_event_pass(10 * USEC_PER_SEC);
	of_a = poll(c, &a, 55);
	of_b = poll(c, &b, 55);
	feed_wake(c->feed);
	fake_event_pass(0);                /* it was quiet: at once */
	assert_int_equal(of_a->status, 0); /* but there is nothing */
	x->asked = y->asked = 0;
	y->has = true;
	feed_wake(c->feed);
	feed_wake(c->feed);
	fake_event_pass(50 * USEC_PER_MSEC - 1);
	assert_int_equal(of_a->status, 0); /* one wake was just now */
	fake_event_pass(1);
	assert_int_equal(x->asked, 2); /* both, once */
	answered(of_a, 200);
	answered(of_b, 200);
	/* A record is news, too. */
	y->has = false;
	fake_event_pass(USEC_PER_SEC);
	of_a = poll(c, &a, 55);
	world_record(c, RECORD_TYPE_NODE, node_to_json(world_find(c, &b)));
	fake_event_pass(0);
	assert_int_equal(json_array_size(json_object_get(of_a->reply, "records")), 1);
	answered(of_a, 200);
	fake_event_pass(55 * USEC_PER_SEC);
	feed_wake(c->feed); /* nobody polls */
	assert_int_equal(fake_event_next_us(), UINT64_MAX);
}

/* The more are woken, the longer is the pause; but never for long. */
static void test_pause(void **state)
{
	enum { MANY = 400 };
	struct coord *c = *state;
	struct httpd_request *r[MANY];
	struct board b;

	for (uint32_t i = 0; i < MANY; i++) {
		char name[16];

		(void) snprintf(name, sizeof(name), "n%u", i);
		b = world_node(c, 1 + i, name, NODE_ROLE_MEMBER);
		r[i] = NULL;
	}
	fake_event_pass(10 * USEC_PER_SEC);
	for (uint32_t i = 0; i < MANY; i++) {
		b = world_board(1 + i);
		b.id = world_find(c, &b)->id;
		r[i] = poll(c, &b, 55);
	}
	feed_wake(c->feed);
	assert_int_equal(fake_event_next_us(), 0);
	fake_event_pass(0);
	feed_wake(c->feed);
	assert_int_equal(fake_event_next_us(), MANY * 200);
	feed_end_polls(c->feed);
	for (uint32_t i = 0; i < MANY; i++)
		answered(r[i], 200);
}

/* A few of one node at a time: the oldest goes. */
static void test_too_many(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	struct board b = world_node(c, 2, "b", NODE_ROLE_WORKER);
	struct httpd_request *r[FEED_POLLS_PER_NODE + 1], *other = poll(c, &b, 55);

	for (int i = 0; i < FEED_POLLS_PER_NODE; i++)
		r[i] = poll(c, &a, 55);
	for (int i = 0; i < FEED_POLLS_PER_NODE; i++)
		assert_int_equal(r[i]->status, 0);
	r[FEED_POLLS_PER_NODE] = poll(c, &a, 55);
	answered(r[0], 200);
	for (int i = 1; i <= FEED_POLLS_PER_NODE; i++)
		assert_int_equal(r[i]->status, 0);
	assert_int_equal(other->status, 0);
	assert_int_equal(feed_polls(c->feed), FEED_POLLS_PER_NODE + 1);
	feed_end_polls(c->feed);
	for (int i = 1; i <= FEED_POLLS_PER_NODE; i++)
		answered(r[i], 200);
	answered(other, 200);
}

/*
 * Who asks without end waits for each answer, a second, whatever there is to tell; and no more than
 * a few of it.
 */
static void test_too_often(void **state)
{
	enum { AT_ONCE = 100 };
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	struct board b = world_node(c, 2, "b", NODE_ROLE_WORKER);
	struct news *news = add_source(c, "x");
	struct httpd_request *r[FEED_POLLS_PER_NODE];

	news->has = true;
	for (int i = 0; i < AT_ONCE; i++)
		answered(poll(c, &a, 0), 200);
	for (int i = 0; i < FEED_POLLS_PER_NODE; i++) {
		r[i] = poll(c, &a, 0);
		assert_int_equal(r[i]->status, 0);
	}
	fake_request_refused(poll(c, &a, 0), "too_many", "10 times a second");
	answered(poll(c, &b, 0), 200); /* others do not wait for it */
	feed_wake(c->feed);
	fake_event_pass(USEC_PER_SEC - 1);
	for (int i = 0; i < FEED_POLLS_PER_NODE; i++)
		assert_int_equal(r[i]->status, 0);
	fake_event_pass(1);
	for (int i = 0; i < FEED_POLLS_PER_NODE; i++)
		answered(r[i], 200);
	/* Ten more in a second. */
	for (int i = 0; i < 10; i++)
		answered(poll(c, &a, 0), 200);
	r[0] = poll(c, &a, 0);
	assert_int_equal(r[0]->status, 0);
	feed_end_polls(c->feed);
	answered(r[0], 200);
}

/* A removed node hears of it with the record that did it, and of none after. */
static void test_removed(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	struct board b = world_node(c, 2, "b", NODE_ROLE_WORKER);
	struct board other = world_node(c, 3, "other", NODE_ROLE_WORKER);
	struct httpd_request *r = poll(c, &a, 55), *of_b = poll(c, &b, 55), *late;
	const json_t *records;

	world_record(c, RECORD_TYPE_NODE, node_to_json(world_find(c, &other)));
	world_remove(c, other.id);
	world_remove(c, a.id);
	assert_string_equal(fake_request_code(r), "removed");
	records = json_object_get(r->reply, "records");
	assert_int_equal(json_array_size(records), 3);
	answered(r, 403);
	world_rekey(c, b.id, 9);
	feed_node_removed(c->feed, b.id);
	assert_string_equal(fake_request_code(of_b), "removed");
	answered(of_b, 403);
	/* Asked later, from before: up to the record that gave its place away, not beyond. */
	world_record(c, RECORD_TYPE_NODE, node_to_json(netmap_by_id(coord_netmap(c), b.id)));
	late = world_request(&b, "/v1/poll");
	feed_reply_removed(c->feed, late, b.id, 3, "It was.");
	records = json_object_get(late->reply, "records");
	assert_int_equal(json_array_size(records), mesh_log_head(ledger_log(c->ledger)) - 3 - 1);
	answered(late, 403);
	/* As for a tombstone; and what is about other nodes, or of another kind, ends nothing. */
	world_record(c, "later", json_pack("{s:i}", "id", (int) a.id));
	late = world_request(&a, "/v1/poll");
	feed_reply_removed(c->feed, late, a.id, 5, "It was.");
	records = json_object_get(late->reply, "records");
	assert_int_equal(json_array_size(records), 3);
	answered(late, 403);
	late = world_request(&b, "/v1/poll");
	feed_reply_removed(c->feed, late, 4711, 0, "It was.");
	records = json_object_get(late->reply, "records");
	assert_int_equal(json_array_size(records), mesh_log_head(ledger_log(c->ledger)));
	answered(late, 403);
	/* A caller without a key is told nothing. */
	late = fake_request("/v1/poll");
	feed_reply_removed(c->feed, late, b.id, 3, "It was.");
	assert_int_equal(json_array_size(json_object_get(late->reply, "records")), 0);
	answered(late, 403);
	feed_node_removed(c->feed, 4711); /* never heard of */
}

/* Its key changed while it waited, and nobody said so: its news are not for it any more. */
static void test_rekeyed(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	struct httpd_request *r = poll(c, &a, 55), *closed = poll(c, &a, 55);

	fake_request_set_key(closed, NULL); /* its connection is gone */
	world_rekey(c, a.id, 9);
	fake_event_pass(0);
	answered(closed, 200);
	assert_string_equal(fake_request_code(r), "removed");
	answered(r, 403);
}

static void test_seen(void **state)
{
	struct coord *c = *state;

	assert_int_equal(feed_last_seen(c->feed, 70), 0);
	feed_seen(c->feed, 70, 1234);
	assert_int_equal(feed_last_seen(c->feed, 70), 1234);
	assert_int_equal(feed_last_seen(c->feed, 7), 0);
	assert_false(feed_is_polling(c->feed, 70));
}

/* One reply holds so many records; the next poll brings the rest. */
static void test_many_records(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	struct feed_position position = { 0 };
	struct httpd_request *r;

	for (int i = 0; i < API_RECORDS_MAX; i++)
		world_record(c, RECORD_TYPE_NODE, node_to_json(world_find(c, &a)));
	r = world_request(&a, "/v1/poll");
	feed_poll(c->feed, r, world_find(c, &a), &position, 0);
	assert_int_equal(json_array_size(json_object_get(r->reply, "records")), API_RECORDS_MAX);
	answered(r, 200);
	position.seq = API_RECORDS_MAX;
	r = world_request(&a, "/v1/poll");
	feed_poll(c->feed, r, world_find(c, &a), &position, 55);
	assert_int_equal(json_array_size(json_object_get(r->reply, "records")), 3);
	answered(r, 200);
}

static void test_no_loop(void **state)
{
	struct coord *c = *state;
	struct feed *feed = NULL;
	struct err err = { 0 };

	fake_event_fails = -ENFILE;
	assert_int_equal(feed_new(c->event, c->ledger, &feed, &err), -ENFILE);
	assert_non_null(strstr(err.text, "event loop"));
	assert_null(feed);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_open, world_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_at_once),
		TEST(test_waits),
		TEST(test_slept),
		TEST(test_woken),
		TEST(test_pause),
		TEST(test_too_many),
		TEST(test_too_often),
		TEST(test_removed),
		TEST(test_rekeyed),
		TEST(test_seen),
		TEST(test_many_records),
		TEST(test_no_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
