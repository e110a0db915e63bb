/* presence: which are taken, who hears of them, when they are written, and whom they outlive. */
#include "world.h"

#include "base/json.h"
#include "coordinator/poll.h"
#include "coordinator/presence.h"

static struct httpd_request *put(struct coord *c, const struct board *b, json_t *doc)
{
	struct httpd_request *r = world_request(b, "/v1/presence");
	CLEANUP_JSON json_t *body = doc;

	presences_handle(c, r, netmap_by_id(coord_netmap(c), b->id), body);
	return r;
}

/* Puts it; it must be taken. Returns the cursor's number. */
static uint64_t put_good(struct coord *c, const struct board *b, uint64_t counter, uint16_t port)
{
	struct httpd_request *r = put(c, b, world_presence(b, counter, port));
	struct api_cursor cursor = { 0 };

	assert_int_equal(r->status, 200);
	assert_int_equal(api_cursor_from_json(r->reply, &cursor, NULL), 0);
	fake_request_free(r);
	return cursor.number;
}

/* What @b hears that has @cursor (NULL: none); the cursor of the reply in @ret. */
static json_t *poll_presences(
	struct coord *c, const struct board *b, const char *cursor, char ret[static API_CURSOR_MAX])
{
	struct httpd_request *r = world_request(b, "/v1/poll");
	json_t *list;

	fake_request_query(r, "seq", "999999"); /* of records it has enough */
	if (cursor)
		fake_request_query(r, "cursor", cursor);
	poll_handle(c, r, netmap_by_id(coord_netmap(c), b->id), NULL);
	assert_int_equal(r->status, 200);
	list = json_incref(json_object_get(r->reply, "presence"));
	(void) snprintf(
		ret, API_CURSOR_MAX, "%s", json_string_value(json_object_get(r->reply, "cursor")));
	fake_request_free(r);
	assert_true(json_is_array(list));
	return list;
}

/* The nodes that @b hears of: "2 3". */
static const char *heard(
	struct coord *c, const struct board *b, const char *cursor, char ret[static API_CURSOR_MAX])
{
	static char text[256];
	CLEANUP_JSON json_t *list = poll_presences(c, b, cursor, ret);
	size_t i;
	json_t *doc;

	text[0] = '\0';
	json_array_foreach(list, i, doc)
	{
		CLEANUP_PRESENCE struct presence p = { 0 };

		assert_int_equal(presence_from_json(doc, &p, NULL), 0);
		(void) snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%u:%u",
			i ? " " : "", (unsigned) p.node, (unsigned) p.endpoints[0].port);
	}
	return text;
}

static void test_taken(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	struct board b = world_node(c, 2, "b", NODE_ROLE_WORKER);
	char cursor[API_CURSOR_MAX], again[API_CURSOR_MAX];

	assert_int_equal(put_good(c, &a, 5, 1000), 1);
	assert_int_equal(put_good(c, &b, 1, 2000), 2);
	assert_string_equal(heard(c, &a, NULL, cursor), "1:1000 2:2000");
	assert_string_equal(heard(c, &a, cursor, again), "");
	assert_string_equal(again, cursor);
	/* The same counter, and an older one: nothing new, and no error. */
	assert_int_equal(put_good(c, &a, 5, 1001), 2);
	assert_int_equal(put_good(c, &a, 4, 1002), 2);
	assert_string_equal(heard(c, &b, cursor, again), "");
	assert_int_equal(put_good(c, &a, 6, 1003), 3);
	assert_string_equal(heard(c, &b, cursor, again), "1:1003");
	/* Its own is news to nobody but to who begins. */
	assert_string_equal(heard(c, &a, cursor, again), "");
	assert_string_equal(heard(c, &a, NULL, again), "2:2000 1:1003");
}

static void test_refused(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	struct board b = world_node(c, 2, "b", NODE_ROLE_WORKER), stolen = a;
	char cursor[API_CURSOR_MAX];

	memcpy(stolen.seed, b.seed, sizeof(stolen.seed));
	fake_request_refused(put(c, &a, json_object()), "bad_request", "presence");
	fake_request_refused(put(c, &a, world_presence(&b, 1, 1)), "bad_request", "not accepted");
	fake_request_refused(
		put(c, &a, world_presence(&stolen, 1, 1)), "bad_request", "not accepted");
	assert_string_equal(heard(c, &a, NULL, cursor), "");
	assert_int_equal(fake_event_next_us(), UINT64_MAX); /* nothing is to be written */
}

/* A burst, then one in half a minute: for each node by itself, whatever its id. */
static void test_too_often(void **state)
{
	struct coord *c = *state;
	struct board boards[80];
	struct board *a = &boards[0], *last = &boards[79];

	for (uint32_t i = 0; i < 80; i++) {
		char name[8];

		(void) snprintf(name, sizeof(name), "n%u", i);
		boards[i] = world_node(c, i + 1, name, NODE_ROLE_MEMBER);
	}
	for (int i = 0; i < PRESENCES_BURST; i++)
		(void) put_good(c, a, 1, 1);
	fake_request_refused(put(c, a, world_presence(a, 2, 1)), "too_many", a->name);
	for (int i = 0; i < PRESENCES_BURST; i++)
		(void) put_good(c, last, 1, 1);
	fake_request_refused(put(c, last, world_presence(last, 2, 1)), "too_many", last->name);
	fake_event_pass(30 * USEC_PER_SEC - 1);
	fake_request_refused(put(c, a, world_presence(a, 2, 1)), "too_many", "too often");
	fake_event_pass(1);
	(void) put_good(c, a, 2, 1);
	fake_request_refused(put(c, a, world_presence(a, 3, 1)), "too_many", "too often");
}

/* Lazily, all together, and only what moved. */
static void test_written(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	struct board b = world_node(c, 2, "b", NODE_ROLE_WORKER);

	(void) put_good(c, &a, 1, 1000);
	fake_event_pass(20 * USEC_PER_SEC);
	(void) put_good(c, &b, 1, 2000);
	(void) put_good(c, &a, 2, 1001);
	assert_int_equal(fake_store_waiting(), 0);
	fake_event_pass(10 * USEC_PER_SEC - 1);
	assert_int_equal(fake_store_waiting(), 0);
	fake_event_pass(1);
	assert_int_equal(fake_store_flush(), 1);
	assert_int_equal(fake_store_rows(TABLE_PRESENCE), 2);
	assert_string_equal(fake_store_get(TABLE_PRESENCE, "1"), presences_text(c->presences, 1));
	/* The same endpoints again are not worth a write. */
	(void) put_good(c, &a, 3, 1001);
	fake_event_pass(3600 * USEC_PER_SEC);
	assert_int_equal(fake_store_waiting(), 0);
	(void) put_good(c, &a, 4, 1002);
	fake_event_pass(30 * USEC_PER_SEC);
	assert_int_equal(fake_store_flush(), 1);
	assert_non_null(strstr(fake_store_get(TABLE_PRESENCE, "1"), "payload"));
	assert_string_equal(fake_store_get(TABLE_PRESENCE, "1"), presences_text(c->presences, 1));
	/* Another home relay is. */
	fake_request_free(put(c, &a, world_presence_by(&a, 5, 1002, 2)));
	fake_event_pass(30 * USEC_PER_SEC);
	assert_int_equal(fake_store_flush(), 1);
	assert_string_equal(fake_store_get(TABLE_PRESENCE, "1"), presences_text(c->presences, 1));
	fake_request_free(put(c, &a, world_presence_by(&a, 6, 1002, 2)));
	fake_event_pass(3600 * USEC_PER_SEC);
	assert_int_equal(fake_store_waiting(), 0);
}

/*
 * Who changes without end is written ever more rarely, and as before when it has been quiet for
 * long.
 */
static void test_damped(void **state)
{
	static const unsigned waits_s[] = { 30, 30, 30, 30, 60, 120, 240, 480, 960, 1800, 1800 };
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	uint64_t counter = 0;

	for (size_t i = 0; i < ARRAY_LEN(waits_s); i++) {
		counter++;
		(void) put_good(c, &a, counter, (uint16_t) (1000 + counter));
		fake_event_pass(waits_s[i] * USEC_PER_SEC - 1);
		assert_int_equal(fake_store_waiting(), 0);
		fake_event_pass(1);
		assert_int_equal(fake_store_flush(), 1);
	}
	fake_event_pass(3 * 3600 * USEC_PER_SEC + 1);
	(void) put_good(c, &a, counter + 1, 1);
	fake_event_pass(30 * USEC_PER_SEC);
	assert_int_equal(fake_store_flush(), 1);
}

/*
 * An end in the middle writes what waits; what was written is there at the next start, if it still
 * fits.
 */
static void test_restart(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	struct board b = world_node(c, 2, "b", NODE_ROLE_WORKER);
	struct board gone = world_node(c, 3, "gone", NODE_ROLE_WORKER);
	char cursor[API_CURSOR_MAX], old[API_CURSOR_MAX];
	CLEANUP_JSON json_t *foreign = world_presence(&b, 9, 9);
	CLEANUP(free_p) char *text = json_text(foreign);

	(void) put_good(c, &a, 1, 1000);
	(void) put_good(c, &b, 1, 2000);
	(void) put_good(c, &gone, 1, 3000);
	(void) heard(c, &a, NULL, old);
	world_restart(c);
	assert_int_equal(fake_store_rows(TABLE_PRESENCE), 3);
	assert_string_equal(heard(c, &a, NULL, cursor), "1:1000 2:2000 3:3000");
	/* A cursor of before counts for nothing, though its number is the same. */
	assert_string_equal(strchr(cursor, '-'), strchr(old, '-'));
	assert_string_equal(heard(c, &a, old, cursor), "1:1000 2:2000 3:3000");
	/* Rows that no node signed. */
	world_remove(c, gone.id);
	(void) fake_store_flush();
	fake_store_put(TABLE_PRESENCE, "3", text);
	fake_store_put(TABLE_PRESENCE, "1", text);
	fake_store_put(TABLE_PRESENCE, "4", "{");
	world_restart(c);
	assert_string_equal(heard(c, &a, NULL, cursor), "2:2000");
}

static void test_removed(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	struct board b = world_node(c, 2, "b", NODE_ROLE_WORKER);
	char cursor[API_CURSOR_MAX];

	(void) put_good(c, &a, 1, 1000);
	(void) put_good(c, &b, 7, 2000);
	fake_event_pass(30 * USEC_PER_SEC);
	(void) fake_store_flush();
	world_remove(c, b.id);
	assert_string_equal(heard(c, &a, NULL, cursor), "1:1000");
	assert_null(presences_text(c->presences, b.id));
	fake_event_pass(30 * USEC_PER_SEC);
	assert_int_equal(fake_store_flush(), 1);
	assert_null(fake_store_get(TABLE_PRESENCE, "2"));
	assert_non_null(fake_store_get(TABLE_PRESENCE, "1"));
}

/* A wiped board counts from 1 again. */
static void test_rekeyed(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	struct board b = world_node(c, 2, "b", NODE_ROLE_WORKER), again = world_board(9);
	char cursor[API_CURSOR_MAX];

	again.id = b.id;
	(void) put_good(c, &b, 7, 2000);
	world_record(c, RECORD_TYPE_NODE, node_to_json(world_find(c, &b)));
	assert_string_equal(
		heard(c, &a, NULL, cursor), "2:2000"); /* another record, the same key */
	world_rekey(c, b.id, 9);
	assert_string_equal(heard(c, &a, NULL, cursor), "");
	(void) put_good(c, &again, 1, 2001);
	assert_string_equal(heard(c, &a, NULL, cursor), "2:2001");
	world_rekey(c, a.id, 10); /* it never said anything */
	assert_string_equal(heard(c, &again, NULL, cursor), "2:2001");
}

/* More than one reply holds come in several, none twice. */
static void test_many(void **state)
{
	enum { MANY = API_PRESENCES_MAX + 3 };
	struct coord *c = *state;
	struct board asks = world_node(c, 1, "asks", NODE_ROLE_MEMBER), b;
	char cursor[API_CURSOR_MAX], again[API_CURSOR_MAX];

	for (unsigned i = 0; i < MANY; i++) {
		char name[16];

		(void) snprintf(name, sizeof(name), "n%u", i);
		b = world_node(c, 2 + i, name, NODE_ROLE_MEMBER);
		(void) put_good(c, &b, 1, 1);
	}
	CLEANUP_JSON json_t *first = poll_presences(c, &asks, NULL, cursor);
	CLEANUP_JSON json_t *second = poll_presences(c, &asks, cursor, again);

	assert_int_equal(json_array_size(first), API_PRESENCES_MAX);
	assert_int_equal(json_array_size(second), 3);
	assert_string_equal(heard(c, &asks, again, cursor), "");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_open, world_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_taken),
		TEST(test_refused),
		TEST(test_too_often),
		TEST(test_written),
		TEST(test_damped),
		TEST(test_restart),
		TEST(test_removed),
		TEST(test_rekeyed),
		TEST(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
