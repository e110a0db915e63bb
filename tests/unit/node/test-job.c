/* job: one call at a time; when what failed is tried again. */
#include "fake-core.h"
#include "fake-helper.h"

#include "node/job.h"

static struct {
	struct job job;
	int r; /* of the last time; 1: not told */
	bool had_reply;
} t;

static struct core *core;

static void done(void *ctx, int r, struct ipc_reply *reply, const struct err *err)
{
	job_ended(ctx);
	t.r = r;
	t.had_reply = reply;
	if (r < 0)
		job_failed(ctx);
	else
		job_clear(ctx);
}

static void ask(void)
{
	t.r = 1;
	job_ask(&t.job, core, "hosts.write", NULL, 7, done, &t.job);
}

static int set_up(void **state)
{
	core = fake_core_new();
	fake_helper_reset();
	t.job = (struct job){ 0 };
	return 0;
}

static int tear_down(void **state)
{
	core = fake_core_free(core);
	return 0;
}

static void test_one(void **state)
{
	assert_false(job_is_under_way(&t.job));
	assert_false(job_is_due(&t.job)); /* nothing failed */
	ask();
	assert_true(job_is_under_way(&t.job));
	assert_string_equal(fake_helper_call(), "hosts.write");
	assert_int_equal(fake_helper_timeout_us(), 7);
	assert_int_equal(t.r, 1);
	fake_helper_answer(NULL);
	assert_int_equal(t.r, 0);
	assert_true(t.had_reply);
	assert_false(job_is_under_way(&t.job));
	assert_false(job_has_failed(&t.job));
	ask();
	job_cancel(&t.job);
	assert_false(job_is_under_way(&t.job));
	assert_int_equal(fake_helper_waiting(), 0);
	assert_int_equal(t.r, 1);
	job_cancel(&t.job);
}

/* At once, and later. */
static void test_failed(void **state)
{
	fake_helper_refuses = -ENOENT;
	ask();
	assert_int_equal(t.r, -ENOENT);
	assert_false(t.had_reply);
	assert_false(job_is_under_way(&t.job));
	assert_true(job_has_failed(&t.job));
	fake_helper_refuses = 0;
	ask();
	assert_true(job_has_failed(&t.job)); /* until it worked */
	fake_helper_fail(-EIO, "no");
	assert_int_equal(t.r, -EIO);
	assert_true(job_has_failed(&t.job));
}

/* Twice as long each time, four hours at most. */
static void test_pauses(void **state)
{
	uint64_t pause = 5 * USEC_PER_SEC, most = 4 * 3600 * USEC_PER_SEC;

	fake_helper_refuses = -ENOENT;
	for (int i = 0; i < 20; i++) {
		ask();
		fake_event_pass(pause - 1);
		assert_false(job_is_due(&t.job));
		fake_event_pass(1);
		assert_true(job_is_due(&t.job));
		pause = 2 * pause < most ? 2 * pause : most;
	}
	ask();
	assert_false(job_is_due(&t.job));
	job_hurry(&t.job);
	assert_true(job_is_due(&t.job));
	fake_helper_refuses = 0;
	ask();
	assert_false(job_is_due(&t.job)); /* it is being tried */
	fake_helper_fail(-EIO, "no");
	job_clear(&t.job);
	fake_event_pass(most);
	assert_false(job_is_due(&t.job));
	fake_helper_refuses = -ENOENT;
	ask();
	fake_event_pass(5 * USEC_PER_SEC); /* from the beginning */
	assert_true(job_is_due(&t.job));
	job_clear(&t.job);
	job_hurry(&t.job);
	assert_false(job_is_due(&t.job));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_failed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_pauses, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
