/* poll: which arguments are accepted, what a board is told of the others, and what they mean. */
#include "world.h"

#include <errno.h>

#include "base/cleanup.h"
#include "coordinator/poll.h"

struct arguments {
	const char *seq, *wait, *cursor, *kube;
};

static const char *get(void *ctx, const char *name)
{
	const struct arguments *a = ctx;

	if (!strcmp(name, "seq"))
		return a->seq;
	if (!strcmp(name, "wait"))
		return a->wait;
	return !strcmp(name, "cursor") ? a->cursor : a->kube;
}

static void test_accepted(void **state)
{
	struct arguments all = { "17", "55", "00112233aabbccdd-42", "00112233aabbccdd" };
	struct arguments none = { 0 }, wants = { .kube = "" };
	struct poll_query q;
	struct err err = { 0 };

	assert_int_equal(poll_query_read(get, &all, &q, &err), 0);
	assert_int_equal(q.seq, 17);
	assert_int_equal(q.wait_s, 55);
	assert_string_equal(q.cursor, "00112233aabbccdd-42");
	assert_string_equal(q.kube, "00112233aabbccdd");
	assert_true(q.wants_kube);
	assert_int_equal(poll_query_read(get, &none, &q, &err), 0);
	assert_int_equal(q.seq, 0);
	assert_int_equal(q.wait_s, 0);
	assert_false(q.wants_kube);
	assert_string_equal(q.cursor, "");
	assert_int_equal(poll_query_read(get, &wants, &q, &err), 0);
	assert_true(q.wants_kube);
	assert_string_equal(q.kube, "");
}

static void test_refused(void **state)
{
	static const struct {
		struct arguments arguments;
		const char *names;
	} cases[] = {
		{ { .seq = "-1" }, "seq" },
		{ { .seq = "" }, "seq" },
		{ { .seq = "18446744073709551616" }, "seq" },
		{ { .wait = "56" }, "wait" },
		{ { .wait = " 5" }, "wait" },
		{ { .cursor = "0123456789012345678901234567890123456789" }, "cursor" },
		{ { .kube = "0011" }, "kube" },
		{ { .kube = "00112233AABBCCDD" }, "kube" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct arguments a = cases[i].arguments;
		struct poll_query q = { .seq = 99 };
		struct err err = { 0 };

		assert_int_equal(poll_query_read(get, &a, &q, &err), -EINVAL);
		assert_non_null(strstr(err.text, cases[i].names));
		assert_int_equal(q.seq, 99);
	}
}

/* What GET /v1/poll gets with these arguments (NULL: absent); it waits if it is not answered. */
static struct httpd_request *poll(
	struct coord *c, const struct board *b, const struct arguments *arguments)
{
	struct httpd_request *r = world_request(b, "/v1/poll");
	static const char *const names[] = { "seq", "wait", "cursor", "kube" };
	const char *values[] = { arguments->seq, arguments->wait, arguments->cursor,
		arguments->kube };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (values[i])
			fake_request_query(r, names[i], values[i]);
	poll_handle(c, r, netmap_by_id(coord_netmap(c), b->id), NULL);
	return r;
}

static size_t records(const struct httpd_request *r)
{
	return json_array_size(json_object_get(r->reply, "records"));
}

static void test_handled(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	struct httpd_request *r;

	fake_request_refused(
		poll(c, &a, &(struct arguments){ .wait = "56" }), "bad_request", "0 to 55");
	r = poll(c, &a, &(struct arguments){ 0 });
	assert_int_equal(records(r), 3);
	fake_request_free(r);
	r = poll(c, &a, &(struct arguments){ .seq = "2", .wait = "55" });
	assert_int_equal(records(r), 1);
	fake_request_free(r);
	r = poll(c, &a, &(struct arguments){ .seq = "3" });
	assert_int_equal(r->status, 200); /* it does not want to wait */
	assert_int_equal(records(r), 0);
	fake_request_free(r);
	r = poll(c, &a, &(struct arguments){ .seq = "3", .wait = "7" });
	fake_event_pass(6 * USEC_PER_SEC);
	assert_int_equal(r->status, 0);
	fake_event_pass(1 * USEC_PER_SEC);
	assert_int_equal(r->status, 200);
	fake_request_free(r);
}

#define WORLD(f) cmocka_unit_test_setup_teardown(f, world_open, world_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_refused),
		WORLD(test_handled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
