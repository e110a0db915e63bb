/* api: who may call what, before a byte of a body is kept and when all of it is there. */
#include "world.h"

#include "base/json.h"
#include "coordinator/api.h"
#include "coordinator/poll.h"
#include "coordinator/relays.h"

/* What becomes of the head of @request. Returns how long its body may be. */
static size_t head(struct coord *c, struct httpd_request *r, const char *method)
{
	r->method = method;
	return api_head(c, r);
}

static void test_heads(void **state)
{
	struct coord *c = *state;
	struct board plane = world_node(c, 1, "n100", NODE_ROLE_CONTROL_PLANE);
	struct board worker = world_node(c, 2, "pi4", NODE_ROLE_WORKER);
	struct board new = world_board(3);
	const struct {
		const char *method, *path;
		const struct board *board; /* NULL: no key */
		size_t body_max; /* 0 if it is refused, with @code and @text, or has no body */
		const char *code, *text;
		bool known;
	} cases[] = {
		{ "GET", "/v1/health", NULL, 0, "", "", false },
		{ "POST", "/v1/health", NULL, 0, "bad_method", "GET", false },
		{ "GET", "/v1/enroll", &new, 0, "bad_method", "POST", false },
		{ "GET", "/v1/nothing", &worker, 0, "not_found", "no such path", false },
		{ "GET", "/v1", &worker, 0, "not_found", "no such path", false },
		{ "POST", "/v1/enroll", NULL, 0, "unauthorized", "certificate", false },
		{ "POST", "/v1/enroll", &new, API_ENROLL_MAX, "", "", false },
		{ "POST", "/v1/enroll", &worker, API_ENROLL_MAX, "", "", false },
		{ "POST", "/v1/enroll/check", NULL, 0, "unauthorized", "certificate", false },
		{ "POST", "/v1/enroll/check", &new, API_ENROLL_MAX, "", "", false },
		{ "GET", "/v1/poll", NULL, 0, "unauthorized", "certificate", false },
		{ "GET", "/v1/poll", &new, 0, "unknown_node", "Enrol first", false },
		{ "GET", "/v1/poll", &worker, 0, "", "", true },
		{ "PUT", "/v1/presence", &new, 0, "unknown_node", "Enrol first", false },
		{ "PUT", "/v1/presence", &worker, API_REQUEST_MAX, "", "", true },
		{ "PUT", "/v1/relay", NULL, 0, "unauthorized", "certificate", false },
		{ "PUT", "/v1/relay", &new, 0, "unknown_node", "Enrol first", false },
		{ "PUT", "/v1/relay", &worker, API_RELAY_MAX, "", "", true },
		{ "GET", "/v1/relay", &worker, 0, "bad_method", "PUT", false },
		{ "PUT", "/v1/kube", &worker, 0, "forbidden", "pi4 is a worker", false },
		{ "PUT", "/v1/kube", &plane, API_REQUEST_MAX, "", "", true },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct httpd_request *r = cases[i].board
						  ? world_request(cases[i].board, cases[i].path)
						  : fake_request(cases[i].path);

		assert_int_equal(head(c, r, cases[i].method), cases[i].body_max);
		assert_int_equal(r->known, cases[i].known);
		assert_int_equal(r->status != 0, cases[i].code[0] != 0);
		if (cases[i].code[0])
			fake_request_refused(r, cases[i].code, cases[i].text);
		else {
			r->status = 200; /* nobody answers a head that is well */
			fake_request_free(r);
		}
	}
}

/* The same is asked again when the body is there: a record may have come between. */
static void test_removed_between(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	struct httpd_request *r = world_request(&a, "/v1/presence");

	r->body = "{}";
	assert_int_equal(head(c, r, "PUT"), API_REQUEST_MAX);
	world_remove(c, a.id);
	api_handle(c, r);
	assert_null(json_object_get(r->reply, "records")); /* that is a poll's */
	fake_request_refused(r, "removed", "enroll-node --leave");
}

static void test_gone(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER), b = world_board(2);
	struct httpd_request *r;

	world_rekey(c, a.id, 2);
	b.id = a.id;
	r = world_request(&a, "/v1/presence");
	assert_int_equal(head(c, r, "PUT"), 0);
	fake_request_refused(r, "removed", "--replace");
	world_remove(c, b.id);
	r = world_request(&b, "/v1/presence");
	assert_int_equal(head(c, r, "PUT"), 0);
	fake_request_refused(r, "removed", "hearth token create");
	/* Its poll is told by which record. */
	r = world_request(&b, "/v1/poll");
	fake_request_query(r, "seq", "3");
	assert_int_equal(head(c, r, "GET"), 0);
	assert_int_equal(json_array_size(json_object_get(r->reply, "records")), 2);
	fake_request_refused(r, "removed", "hearth token create");
	r = world_request(&b, "/v1/poll");
	fake_request_query(r, "seq", "4");
	assert_int_equal(head(c, r, "GET"), 0);
	assert_int_equal(json_array_size(json_object_get(r->reply, "records")), 1);
	fake_request_refused(r, "removed", "hearth token create");
	r = world_request(&b, "/v1/poll");
	fake_request_query(r, "seq", "four");
	assert_int_equal(head(c, r, "GET"), 0);
	assert_null(json_object_get(r->reply, "records"));
	fake_request_refused(r, "removed", "hearth token create");
}

static struct httpd_request *enroll(struct coord *c, const struct board *b, const char *body)
{
	struct httpd_request *r = world_request(b, "/v1/enroll");

	r->method = "POST";
	r->body = body;
	api_handle(c, r);
	return r;
}

static void test_bodies(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	struct httpd_request *r;

	fake_request_refused(enroll(c, &a, ""), "bad_request", "cannot be read");
	fake_request_refused(enroll(c, &a, "{"), "bad_request", "cannot be read");
	fake_request_refused(enroll(c, &a, "[]"), "bad_request", "not a JSON object");
	fake_request_refused(enroll(c, &a, "{}"), "bad_request", "The request is not accepted");
	/* What has none is not read. */
	r = world_request(&a, "/v1/poll");
	r->body = "{";
	api_handle(c, r);
	assert_int_equal(r->status, 200);
	fake_request_free(r);
}

static void test_health(void **state)
{
	struct coord *c = *state;
	struct httpd_request *r = fake_request("/v1/health");
	struct api_health health = { 0 };

	api_handle(c, r);
	assert_int_equal(r->status, 200);
	assert_int_equal(api_health_from_json(r->reply, &health, NULL), 0);
	assert_string_equal(health.mesh, "home");
	assert_string_equal(health.version, HEARTH_VERSION);
	fake_request_free(r);
}

/* Who called is remembered; who was refused is not. */
static void test_seen(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	struct httpd_request *r = world_request(&a, "/v1/kube");

	r->method = "PUT";
	api_handle(c, r);
	fake_request_refused(r, "forbidden", "control-plane");
	assert_int_equal(feed_last_seen(c->feed, a.id), 0);
	r = world_request(&a, "/v1/poll");
	api_handle(c, r);
	fake_request_free(r);
	assert_int_equal(feed_last_seen(c->feed, a.id), FAKE_WALL_S);
}

/* By its way through the table, too: the node that asks is the one with the key. */
static void test_relay(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	struct board b = world_node(c, 2, "b", NODE_ROLE_WORKER);
	CLEANUP_JSON json_t *body = json_pack("{s:o}", "relay", world_relay("203.0.113.5", 443));
	CLEANUP(free_p) char *text = json_text(body);
	struct httpd_request *r = world_request(&b, "/v1/relay");

	r->method = "PUT";
	r->body = text;
	api_handle(c, r);
	assert_int_equal(r->status, 200);
	fake_request_free(r);
	assert_non_null(relays_asked(c->relays, b.id));
	assert_null(relays_asked(c->relays, a.id));
}

/* Replies go out after the store was closed, and more requests come in. */
static void test_ending(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	struct store *store = c->store;
	struct httpd_request *r = world_request(&a, "/v1/presence");

	c->store = NULL;
	assert_int_equal(head(c, r, "PUT"), 0);
	fake_request_refused(r, "too_many", "ending");
	fake_request_refused(enroll(c, &a, "{}"), "too_many", "ending");
	c->store = store;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_open, world_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_heads),
		TEST(test_removed_between),
		TEST(test_gone),
		TEST(test_bodies),
		TEST(test_health),
		TEST(test_seen),
		TEST(test_relay),
		TEST(test_ending),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
