/* stamps: what the tunnel is answered, what is written when, and what a removed file costs. */
#include "fake-core.h"
#include "fake-disk.h"

#include <stdio.h>
#include <unistd.h>

#include "board/state.h"
#include "node/stamps.h"

#define NOW UINT64_C(1900000000)

static struct core *core;
static struct stamps *stamps;
static char dir[64], path[80];

static int set_up(void **state)
{
	core = fake_core_new();
	fake_disk_reset();
	(void) strcpy(dir, "/tmp/hearth-stamps.XXXXXX");
	assert_non_null(mkdtemp(dir));
	(void) snprintf(path, sizeof(path), "%s/timestamp", dir);
	assert_int_equal(stamps_new(core->event, NULL, path, &stamps), 0);
	return 0;
}

static int tear_down(void **state)
{
	disk_drain(NULL);
	stamps = stamps_free(stamps);
	core = fake_core_free(core);
	(void) unlink(path);
	return rmdir(dir);
}

/* What the tunnel says comes to the loop by a descriptor that nobody else knows. */
static void loop(void)
{
	for (int fd = 3; fd < 64; fd++)
		fake_event_ready(fd);
}

/* The tunnel's thread asks. */
static int ask(uint64_t until_s)
{
	return stamps_reserve(stamps, until_s);
}

/* It gets it, in the end. */
static void reserve(uint64_t until_s)
{
	assert_int_equal(ask(until_s), -EAGAIN);
	loop();
	fake_disk_end(0);
	assert_int_equal(ask(until_s), 0);
}

static void test_reserve(void **state)
{
	assert_int_equal(ask(NOW), -EAGAIN);
	assert_int_equal(fake_disk_waiting(), 0); /* it is not the loop's thread */
	loop();
	assert_int_equal(fake_disk_waiting(), 1);
	assert_int_equal(ask(NOW), -EAGAIN);
	fake_disk_end(0);
	assert_int_equal(state_read_timestamp(path), NOW);
	assert_int_equal(ask(NOW), 0);
	assert_int_equal(ask(NOW - 1), 0);
	assert_int_equal(ask(NOW + 1), -EAGAIN);
	assert_int_equal(fake_disk_waiting(), 0);
}

/* One write at a time; what is wanted meanwhile follows. */
static void test_meanwhile(void **state)
{
	assert_int_equal(ask(NOW), -EAGAIN);
	loop();
	assert_int_equal(ask(NOW + 100), -EAGAIN);
	loop();
	assert_int_equal(fake_disk_waiting(), 1);
	fake_disk_end(0);
	assert_int_equal(ask(NOW), 0);
	assert_int_equal(fake_disk_waiting(), 1);
	fake_disk_end(0);
	assert_int_equal(ask(NOW + 100), 0);
	assert_int_equal(fake_disk_waiting(), 0);
	loop(); /* what was said twice */
	assert_int_equal(fake_disk_waiting(), 0);
}

/* The mesh stays up with a full disk: said once, and until it is over. */
static void test_full_disk(void **state)
{
	assert_int_equal(ask(NOW), -EAGAIN);
	loop();
	fake_disk_end(-ENOSPC);
	assert_int_equal(ask(NOW), 0);
	assert_int_equal(
		fake_core_logged("timestamp: No space left on device, going on without"), 1);
	assert_int_equal(ask(NOW + 1), -EAGAIN);
	loop();
	fake_disk_end(-ENOSPC);
	assert_int_equal(fake_core_logged(""), 0);
	reserve(NOW + 2);
	assert_int_equal(ask(NOW + 3), -EAGAIN);
	loop();
	fake_disk_end(-ENOSPC);
	assert_int_equal(fake_core_logged("going on without"), 1);
}

/* --- what is to be written again --- */

/* It is, or not; and whether somebody removed the file. */
static void assert_kept(bool again, bool was_removed)
{
	bool removed = !was_removed;
	struct write *w = stamps_keep(stamps, &removed);

	assert_int_equal(w != NULL, again);
	assert_int_equal(removed, was_removed);
	if (w)
		write_run(w);
	write_free(w);
}

static void test_keep(void **state)
{
	assert_kept(false, true); /* none yet, and none is wanted */
	reserve(NOW);
	assert_kept(false, false);
	assert_int_equal(unlink(path), 0);
	assert_kept(true, true);
	assert_int_equal(state_read_timestamp(path), NOW);
	assert_kept(false, false);
}

/* What is on its way will be there. */
static void test_keep_meanwhile(void **state)
{
	reserve(NOW);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(ask(NOW + 1), -EAGAIN);
	loop();
	assert_kept(false, true);
	fake_disk_end(0);
	assert_kept(false, false);
}

static void test_keep_what_was_not_written(void **state)
{
	reserve(NOW);
	assert_int_equal(ask(NOW + 1), -EAGAIN);
	loop();
	fake_disk_end(-ENOSPC);
	assert_kept(true, false);
	assert_int_equal(state_read_timestamp(path), NOW + 1);
	assert_kept(false, false);
}

static void test_cannot_begin(void **state)
{
	struct stamps *other = NULL;

	fake_event_fails = -ENOMEM;
	assert_int_equal(stamps_new(core->event, NULL, path, &other), -ENOMEM);
	assert_null(other);
	assert_null(stamps_free(NULL));
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reserve),
		TEST(meanwhile),
		TEST(full_disk),
		TEST(keep),
		TEST(keep_meanwhile),
		TEST(keep_what_was_not_written),
		TEST(cannot_begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
