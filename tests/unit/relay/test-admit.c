/* admit: what is believed of hearthd, and what goes on while it is away. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "fake-event.h"
#include "relay/admit.h"
#include "sys/ipc/ipc.h"

#define SECOND USEC_PER_SEC
#define KEY_1  "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
#define KEY_2  "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="
#define ONE    "{\"id\":1,\"name\":\"n100\",\"wg\":\"" KEY_1 "\",\"identity\":\"" KEY_2 "\"}"
#define TWO    "{\"id\":2,\"name\":\"pi4\",\"wg\":\"" KEY_2 "\",\"identity\":\"" KEY_1 "\"}"

/* --- below it --- */

static struct {
	bool open;
	json_int_t seq; /* -1: none was said */
	bool reached;
	ipc_done_fn done;
	void *ctx;
	unsigned n;
	int fails;
} call;

int ipc_call_async(sd_event *event, const char *path, const char *name, const json_t *args,
	uint64_t timeout_us, ipc_done_fn done, void *ctx, struct ipc_async **ret, struct err *err)
{
	assert_false(call.open);
	assert_string_equal(path, "/run/hearth/hearthd.sock");
	assert_string_equal(name, "members");
	assert_true(timeout_us > 30 * SECOND);
	call.n++;
	if (call.fails < 0)
		return err_set(err, call.fails, "nobody listens");
	call.open = true;
	call.seq = json_has(args, "seq") ? json_integer_value(json_object_get(args, "seq")) : -1;
	call.reached = json_has(args, "reached");
	call.done = done;
	call.ctx = ctx;
	*ret = (struct ipc_async *) &call;
	return 0;
}

struct ipc_async *__wrap_ipc_async_cancel(struct ipc_async *async);
struct ipc_async *__wrap_ipc_async_cancel(struct ipc_async *async)
{
	if (async)
		call.open = false;
	return NULL;
}

/* hearthd answers @text, NULL: it does not (@r). */
static void answer(const char *text, int r)
{
	struct err err = { 0 };
	struct ipc_reply reply = { .fd = -1 };

	assert_true(call.open);
	call.open = false;
	if (text)
		reply.ok = json_parse(text, strlen(text), NULL);
	else
		err_set(&err, r, "it went away");
	call.done(call.ctx, text ? 0 : r, &reply, &err);
	json_decref(reply.ok);
}

/* --- */

static struct relay_core core;
static struct admit *admit;
static unsigned changes;

static void on_changed(void *ctx)
{
	changes++;
}

static const struct admit_hooks hooks = { .changed = on_changed };

static int set_up(void **state)
{
	fake_event_reset();
	memset(&call, 0, sizeof(call));
	changes = 0;
	core = (struct relay_core){ .members = members_new() };
	assert_true(sd_event_new(&core.event) >= 0);
	assert_int_equal(
		admit_new(&core, "/run/hearth/hearthd.sock", &hooks, NULL, &admit, NULL), 0);
	fake_event_pass(0);
	return 0;
}

static int tear_down(void **state)
{
	admit = admit_free(admit);
	members_free(core.members);
	sd_event_unref(core.event);
	assert_int_equal(fake_event_sources(), 0);
	assert_false(call.open);
	return 0;
}

static size_t count(void)
{
	size_t n;

	(void) members_list(core.members, &n);
	return n;
}

static void test_answers(void **state)
{
	static const struct {
		const char *text;
		bool taken;
	} cases[] = {
		{ "{\"seq\":7,\"members\":[" ONE "],\"ranges\":[\"10.77.0.0/16\"]}", true },
		{ "{\"seq\":7,\"members\":[],\"ranges\":[]}", true },
		{ "{\"seq\":7,\"members\":[],\"ranges\":[],\"later\":1}", true },
		{ "{\"seq\":-1,\"members\":[],\"ranges\":[]}", false },
		{ "{\"members\":[],\"ranges\":[]}", false },
		{ "{\"seq\":7,\"ranges\":[]}", false },
		{ "{\"seq\":7,\"members\":[]}", false },
		{ "{\"seq\":7,\"members\":{},\"ranges\":[]}", false },
		{ "{\"seq\":7,\"members\":[1],\"ranges\":[]}", false },
		{ "{\"seq\":7,\"members\":[{}],\"ranges\":[]}", false },
		{ "{\"seq\":7,\"members\":[{\"id\":0,\"name\":\"a\",\"wg\":\"" KEY_1
		  "\",\"identity\":\"" KEY_2 "\"}],\"ranges\":[]}",
			false },
		{ "{\"seq\":7,\"members\":[{\"id\":1,\"name\":\"a b\",\"wg\":\"" KEY_1
		  "\",\"identity\":\"" KEY_2 "\"}],\"ranges\":[]}",
			false },
		{ "{\"seq\":7,\"members\":[{\"id\":1,\"name\":\"a\",\"wg\":\"\",\"identity\":\"" KEY_2
		  "\"}],\"ranges\":[]}",
			false },
		{ "{\"seq\":7,\"members\":[{\"id\":1,\"name\":\"a\",\"wg\":\"" KEY_1
		  "\"}],\"ranges\":[]}",
			false },
		{ "{\"seq\":7,\"members\":[],\"ranges\":[\"10.77.0.1/16\"]}", false },
		{ "{\"seq\":7,\"members\":[],\"ranges\":[7]}", false },
		{ "{\"seq\":7,\"members\":[],\"ranges\":[],\"pins\":[\"" KEY_1 "\"]}", true },
		{ "{\"seq\":7,\"members\":[],\"ranges\":[],\"pins\":[\"x\"]}", false },
		{ "{\"seq\":7,\"members\":[],\"ranges\":[],\"pins\":7}", false },
		{ "{\"seq\":7,\"members\":[],\"ranges\":[],\"hosts\":[\"vps.example.org\"]}",
			true },
		{ "{\"seq\":7,\"members\":[],\"ranges\":[],\"hosts\":[\"a b\"]}", false },
		{ "{\"seq\":7,\"members\":[],\"ranges\":[],"
		  "\"hosts\":[\"a\",\"b\",\"c\",\"d\",\"e\"]}",
			false },
		{ "{\"seq\":7,\"members\":[],\"ranges\":[],\"hosts\":7}", false },
		{ "{\"seq\":7,\"members\":[],\"ranges\":[\"::/1\",\"::/2\",\"::/3\",\"::/4\","
		  "\"::/5\",\"::/6\",\"::/7\"]}",
			false },
		{ "[]", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP_ADMIT_ANSWER struct admit_answer got = { 0 };
		CLEANUP_JSON json_t *json = json_parse(cases[i].text, strlen(cases[i].text), NULL);
		struct err err = { 0 };
		int r = admit_answer_read(json, &got, &err);

		if ((r == 0) != cases[i].taken)
			fail_msg("%s: %d, %s", cases[i].text, r, err.text);
		if (r < 0)
			assert_true(err.text[0] && !got.members);
	}
}

static void test_goes_on(void **state)
{
	size_t n;

	assert_int_equal(call.n, 1);
	assert_int_equal(call.seq, -1);
	answer("{\"seq\":7,\"members\":[" ONE "],\"ranges\":[\"10.77.0.0/16\",\"fd00::/64\"],"
	       "\"pins\":[\"" KEY_2 "\"],\"hosts\":[\"vps.example.org\"]}",
		0);
	assert_int_equal(changes, 1);
	assert_int_equal(count(), 1);
	assert_string_equal(members_by_id(core.members, 1)->name, "n100");
	(void) admit_pins(admit, &n);
	assert_int_equal(n, 1);
	(void) admit_ranges(admit, &n);
	assert_int_equal(n, 2);
	assert_string_equal(admit_hosts(admit, &n)[0], "vps.example.org");
	assert_int_equal(n, 1);
	assert_string_equal(admit_problem(admit), "");
	assert_int_equal(call.n, 2); /* at once */
	assert_int_equal(call.seq, 7);
	/* its time was over: nothing has changed */
	answer("{\"seq\":7,\"members\":[" ONE "],\"ranges\":[]}", 0);
	assert_int_equal(changes, 1);
	answer("{\"seq\":9,\"members\":[" ONE "," TWO "],\"ranges\":[]}", 0);
	assert_int_equal(changes, 2);
	assert_int_equal(count(), 2);
	assert_int_equal(call.seq, 9);
}

/* Those of before are served; asked is at least every four seconds, never without end at once. */
static void test_away(void **state)
{
	answer("{\"seq\":7,\"members\":[" ONE "],\"ranges\":[]}", 0);
	answer(NULL, -ECONNRESET);
	assert_int_equal(count(), 1);
	assert_string_equal(admit_problem(admit), "it went away");
	assert_int_equal(call.n, 2);
	call.fails = -ENOENT;
	fake_event_pass(60 * SECOND);
	assert_in_range(call.n, 2 + 60 / 4, 2 + 60 / 4 + 5);
	assert_int_equal(count(), 1);
	assert_int_equal(changes, 1);
	assert_string_equal(admit_problem(admit), "nobody listens");
	call.fails = 0;
	fake_event_pass(4 * SECOND);
	assert_true(call.open);
	answer("{\"seq\":8,\"members\":[" TWO "],\"ranges\":[]}", 0);
	assert_string_equal(admit_problem(admit), "");
	assert_null(members_by_id(core.members, 1));
}

static void test_nonsense(void **state)
{
	answer("{\"seq\":7,\"members\":[" ONE "],\"ranges\":[]}", 0);
	answer("{\"seq\":8,\"members\":[7],\"ranges\":[]}", 0);
	assert_int_equal(count(), 1);
	assert_true(admit_problem(admit)[0]);
	assert_false(call.open);
	fake_event_pass(SECOND);
	answer("{\"seq\":8,\"members\":[" ONE "," ONE "],\"ranges\":[]}", 0); /* twice */
	assert_int_equal(count(), 1);
	assert_int_equal(changes, 1);
	assert_true(admit_problem(admit)[0]);
}

/* A board that was removed serves nobody; it is asked again now and then. */
static void test_outside(void **state)
{
	static const char outside[] = "{\"seq\":8,\"members\":[],\"ranges\":[]}";

	answer("{\"seq\":7,\"members\":[" ONE "],\"ranges\":[]}", 0);
	answer(outside, 0);
	assert_int_equal(count(), 0);
	assert_int_equal(changes, 2);
	assert_string_equal(admit_problem(admit), "this board is in no mesh");
	assert_false(call.open);
	fake_event_pass(SECOND);
	assert_int_equal(call.seq, -1); /* so that hearthd does not hold it */
	answer(outside, 0);
	assert_int_equal(changes, 2);
	fake_event_pass(4 * SECOND);
	answer("{\"seq\":8,\"members\":[" ONE "],\"ranges\":[]}", 0);
	assert_int_equal(count(), 1);
	assert_int_equal(changes, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test_setup_teardown(test_goes_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_away, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nonsense, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_outside, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
