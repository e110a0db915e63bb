/* wait: who is answered when, and who pays for the looking. The calls are the test's. */
#include "fake-core.h"

#include "node/wait.h"

#define CHECK_US (100 * USEC_PER_MSEC)

/* --- below it --- */

struct ipc_request {
	json_t *answer; /* NULL: not yet */
	const char *failed;
	uint64_t charged;
	void (*gone)(void *ctx);
	void *ctx;
};

void ipc_request_charge(const struct ipc_request *request, uint64_t work_us)
{
	((struct ipc_request *) request)->charged += work_us + 1; /* also if it took no time */
}

void ipc_request_on_gone(struct ipc_request *request, void (*gone)(void *ctx), void *ctx)
{
	request->gone = gone;
	request->ctx = ctx;
}

void ipc_request_reply(struct ipc_request *request, json_t *ok)
{
	assert_null(request->answer);
	request->answer = ok;
}

void ipc_request_fail(struct ipc_request *request, const char *code, const char *format, ...)
{
	request->failed = code;
}

/* --- what is waited for --- */

static size_t reachable;
static unsigned looks;
static bool no_memory;

static void look(void *ctx)
{
	looks++;
}

static bool has_come(void *ctx, const struct wait_for *what)
{
	return reachable >= what->peers;
}

static json_t *answer(void *ctx, const struct wait_for *what, bool done)
{
	return no_memory ? NULL : json_pack("{s:b,s:i}", "done", done, "peers", (int) what->peers);
}

static const struct waits_hooks hooks = { .look = look, .has_come = has_come, .answer = answer };
static struct core *core;
static struct waits *waits;

static int set_up(void **state)
{
	reachable = looks = 0;
	no_memory = false;
	core = fake_core_new();
	assert_int_equal(waits_new(core, &hooks, NULL, &waits, NULL), 0);
	return 0;
}

static int tear_down(void **state)
{
	waits = waits_free(waits);
	core = fake_core_free(core);
	return 0;
}

static void add(struct ipc_request *request, size_t peers, uint64_t timeout_us)
{
	waits_add(waits, request, &(struct wait_for){ .peers = peers }, timeout_us);
}

static void assert_done(struct ipc_request *request, bool done, int peers)
{
	assert_int_equal(json_is_true(json_object_get(request->answer, "done")), done);
	assert_int_equal(json_integer_value(json_object_get(request->answer, "peers")), peers);
	json_decref(request->answer);
}

/* At once what is so already; later what comes about; each gets the answer to his own question. */
static void test_come(void **state)
{
	struct ipc_request one = { 0 }, two = { 0 };

	reachable = 1;
	add(&two, 2, 3600 * USEC_PER_SEC);
	add(&one, 1, 3600 * USEC_PER_SEC);
	fake_event_pass(0);
	assert_non_null(one.answer);
	assert_null(two.answer);
	assert_int_equal(looks, 1); /* once for both */
	assert_true(one.charged && two.charged);
	reachable = 2;
	fake_event_pass(CHECK_US - 1);
	assert_null(two.answer);
	fake_event_pass(1);
	assert_int_equal(looks, 2);
	assert_done(&one, true, 1);
	assert_done(&two, true, 2);
	/* Nobody waits: nothing wakes up. */
	assert_int_equal(fake_event_next_us(), UINT64_MAX);
}

static void test_timeout(void **state)
{
	struct ipc_request late = { 0 };

	add(&late, 9, 4 * CHECK_US);
	fake_event_pass(4 * CHECK_US - 1);
	assert_null(late.answer);
	fake_event_pass(1);
	assert_done(&late, false, 9);
}

/* Who hung up pays no more, and must still be answered (ipc.h). */
static void test_gone(void **state)
{
	struct ipc_request gone = { 0 };

	add(&gone, 9, 3600 * USEC_PER_SEC);
	gone.gone(gone.ctx);
	fake_event_pass(0);
	assert_int_equal(gone.charged, 0);
	assert_done(&gone, false, 9);
}

static void test_end(void **state)
{
	struct ipc_request waiting = { 0 };

	add(&waiting, 9, 3600 * USEC_PER_SEC);
	waits = waits_free(waits);
	assert_done(&waiting, false, 9);
}

/* Nobody has asked yet: nobody is looked at. */
static void test_begin(void **state)
{
	struct waits *other = NULL;
	struct err err = { 0 };

	assert_int_equal(fake_event_next_us(), UINT64_MAX);
	fake_event_fails = -ENOMEM;
	assert_int_equal(waits_new(core, &hooks, NULL, &other, &err), -ENOMEM);
	assert_string_equal(err.text, "cannot set up a timer: Cannot allocate memory");
	assert_null(other);
	assert_null(waits_free(NULL));
}

static void test_memory(void **state)
{
	struct ipc_request request = { 0 };

	no_memory = true;
	add(&request, 0, 0);
	fake_event_pass(0);
	assert_string_equal(request.failed, "internal");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(test_come), TEST(test_timeout), TEST(test_gone),
		TEST(test_end), TEST(test_begin), TEST(test_memory) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
