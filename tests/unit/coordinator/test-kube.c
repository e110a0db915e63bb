/* kube: which bundles are taken, who gets them, and for how long. */
#include "world.h"

#include <errno.h>

#include "base/json.h"
#include "coordinator/kube.h"
#include "coordinator/poll.h"

enum { HOUR_S = 3600 };

static const char first[] = "1111111111111111", second[] = "2222222222222222";

static json_t *bundle(const char *id, uint64_t expires)
{
	struct kube_bundle b = { .cluster = { .payload = "{}", .len = 2 }, .expires = expires };

	(void) snprintf(b.id, sizeof(b.id), "%s", id);
	strcpy(b.token, "abcdef.0123456789abcdef");
	b.has_certificate_key = true;
	memset(b.certificate_key, 'a', sizeof(b.certificate_key) - 1);
	return kube_bundle_to_json(&b);
}

static struct httpd_request *put(struct coord *c, const struct board *plane, json_t *body)
{
	struct httpd_request *r = world_request(plane, "/v1/kube");

	kube_handle(c, r, netmap_by_id(coord_netmap(c), plane->id), body);
	json_decref(body);
	return r;
}

static void put_good(struct coord *c, const struct board *plane, const char *id, uint64_t expires)
{
	struct httpd_request *r = put(c, plane, bundle(id, expires));

	assert_int_equal(r->status, 0); /* not before it is on the disk */
	(void) fake_store_flush();
	assert_int_equal(r->status, 200);
	fake_request_free(r);
}

/* A poll by @b that has all records and bundle @kube (NULL: it does not ask for one). */
static struct httpd_request *poll(
	struct coord *c, const struct board *b, const char *kube, const char *wait)
{
	struct httpd_request *r = world_request(b, "/v1/poll");
	static char seq[24];

	(void) snprintf(seq, sizeof(seq), "%llu",
		(unsigned long long) mesh_log_head(ledger_log(c->ledger)));
	fake_request_query(r, "seq", seq);
	fake_request_query(r, "wait", wait);
	if (kube)
		fake_request_query(r, "kube", kube);
	poll_handle(c, r, netmap_by_id(coord_netmap(c), b->id), NULL);
	return r;
}

/*
 * The id of the bundle that @r was answered with, and whether the certificate key is in it;
 * releases @r.
 */
static const char *got(struct httpd_request *r, bool *ret_key)
{
	static struct kube_bundle b;
	json_t *json = json_object_get(r->reply, "kube");

	assert_int_equal(r->status, 200);
	memset(&b, 0, sizeof(b));
	assert_non_null(json);
	if (!json_is_null(json))
		assert_int_equal(kube_bundle_from_json(json, &b, NULL), 0);
	if (ret_key)
		*ret_key = b.has_certificate_key;
	fake_request_free(r);
	return b.id;
}

static void test_handed_out(void **state)
{
	struct coord *c = *state;
	struct board plane = world_node(c, 1, "n100", NODE_ROLE_CONTROL_PLANE);
	struct board worker = world_node(c, 2, "pi4", NODE_ROLE_WORKER);
	struct board member = world_node(c, 3, "laptop", NODE_ROLE_MEMBER);
	struct httpd_request *waits = poll(c, &worker, "", "55"), *of_member, *asks_not;
	bool key = false;

	asks_not = poll(c, &worker, NULL, "55");
	of_member = poll(c, &member, "", "55");
	assert_int_equal(waits->status, 0);
	put_good(c, &plane, first, FAKE_WALL_S + HOUR_S);
	assert_string_equal(kube_id(c->kube), first);
	assert_int_equal(
		fake_log_says("join bundle 1111111111111111 from n100, valid for 3600 s"), 1);
	assert_int_equal(kube_expires(c->kube), FAKE_WALL_S + HOUR_S);
	fake_event_pass(USEC_PER_SEC);
	assert_string_equal(got(waits, &key), first);
	assert_false(key); /* a worker has no use for it */
	assert_int_equal(of_member->status, 0);
	assert_int_equal(asks_not->status, 0);
	assert_string_equal(got(poll(c, &plane, "", "55"), &key), first);
	assert_true(key);
	/* Who has it waits for another. */
	waits = poll(c, &worker, first, "55");
	assert_int_equal(waits->status, 0);
	put_good(c, &plane, second, FAKE_WALL_S + HOUR_S);
	fake_event_pass(USEC_PER_SEC);
	assert_string_equal(got(waits, NULL), second);
	assert_string_equal(got(poll(c, &worker, first, "0"), NULL), second);
	assert_string_equal(got(poll(c, &worker, second, "0"), NULL), "");
	assert_string_equal(got(poll(c, &worker, NULL, "0"), NULL), second);
	assert_string_equal(got(poll(c, &member, "", "0"), NULL), "");
	feed_end_polls(c->feed);
	assert_string_equal(got(of_member, NULL), "");
	assert_string_equal(got(asks_not, NULL), second);
}

static void test_refused(void **state)
{
	struct coord *c = *state;
	struct board plane = world_node(c, 1, "n100", NODE_ROLE_CONTROL_PLANE);
	const uint64_t week = 7 * 24 * HOUR_S;

	fake_request_refused(put(c, &plane, json_object()), "bad_request", "not accepted");
	fake_request_refused(put(c, &plane, bundle(first, FAKE_WALL_S)), "bad_request", "expired");
	fake_request_refused(
		put(c, &plane, bundle(first, FAKE_WALL_S + week + 1)), "bad_request", "a week");
	fake_store_refuses = -EBUSY;
	fake_request_refused(
		put(c, &plane, bundle(first, FAKE_WALL_S + HOUR_S)), "too_many", "too busy");
	fake_store_refuses = -ENOMEM;
	fake_request_refused(
		put(c, &plane, bundle(first, FAKE_WALL_S + HOUR_S)), "internal", "too busy");
	fake_store_refuses = 0;
	fake_store_fails = -ENOSPC;
	struct httpd_request *r = put(c, &plane, bundle(first, FAKE_WALL_S + HOUR_S));

	(void) fake_store_flush();
	fake_request_refused(r, "storage", "the disk says no");
	fake_store_fails = 0;
	assert_string_equal(kube_id(c->kube), "");
	put_good(c, &plane, first, FAKE_WALL_S + 1);
	put_good(c, &plane, second, FAKE_WALL_S + week);
}

/* By the wall clock, as the token in it. */
static void test_expires(void **state)
{
	struct coord *c = *state;
	struct board plane = world_node(c, 1, "n100", NODE_ROLE_CONTROL_PLANE);

	put_good(c, &plane, first, FAKE_WALL_S + HOUR_S);
	put_good(c, &plane, second, FAKE_WALL_S + 2 * HOUR_S);
	fake_event_pass(HOUR_S * USEC_PER_SEC);
	assert_string_equal(kube_id(c->kube), second);
	assert_non_null(fake_store_get(TABLE_META, "kube"));
	fake_event_set_wall(FAKE_WALL_S + 2 * HOUR_S); /* the clock was set: no timer has run yet */
	assert_string_equal(got(poll(c, &plane, "", "0"), NULL), "");
	fake_event_pass(0);
	(void) fake_store_flush();
	assert_string_equal(kube_id(c->kube), "");
	assert_int_equal(kube_expires(c->kube), 0);
	assert_null(fake_store_get(TABLE_META, "kube"));
	/* And the next one expires, too. */
	put_good(c, &plane, first, FAKE_WALL_S + 3 * HOUR_S);
	fake_event_pass(HOUR_S * USEC_PER_SEC);
	assert_string_equal(kube_id(c->kube), "");
}

static void test_restart(void **state)
{
	struct coord *c = *state;
	struct board plane = world_node(c, 1, "n100", NODE_ROLE_CONTROL_PLANE);
	bool key = false;

	put_good(c, &plane, first, FAKE_WALL_S + HOUR_S);
	fake_store_put(TABLE_META, "mesh", "home");
	world_restart(c);
	assert_string_equal(got(poll(c, &plane, "", "0"), &key), first);
	assert_true(key);
	fake_event_set_wall(FAKE_WALL_S + HOUR_S);
	world_restart(c);
	assert_string_equal(got(poll(c, &plane, "", "0"), NULL), "");
	fake_event_pass(0);
	(void) fake_store_flush();
	assert_null(fake_store_get(TABLE_META, "kube"));
	fake_store_put(TABLE_META, "kube", "{");
	world_restart(c);
	assert_string_equal(kube_id(c->kube), "");
	fake_store_put(TABLE_META, "kube", "{}");
	world_restart(c);
	assert_string_equal(kube_id(c->kube), "");
	fake_event_set_wall(FAKE_WALL_S);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_open, world_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_handed_out),
		TEST(test_refused),
		TEST(test_expires),
		TEST(test_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
