/* disk: who carries a write out, who is told, and what is said of a file that somebody removed. */
#include "fake-core.h"

#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "node/disk.h"
#include "sys/work/work.h"

/* --- instead of sys/work: the thread waits for the test --- */

enum { JOBS_MAX = 4 };

static struct {
	struct {
		work_fn run, done;
		void *job;
	} jobs[JOBS_MAX];
	size_t n;
	int opens; /* 0, or the errno with which that fails */
	bool open;
} thread;

int work_new(sd_event *event, const char *name, struct work **ret, struct err *err)
{
	assert_string_equal(name, "disk");
	if (thread.opens < 0)
		return err_set(err, thread.opens, "no thread");
	thread.open = true;
	*ret = (struct work *) &thread;
	return 0;
}

int work_do(struct work *work, work_fn run, work_fn done, void *job)
{
	assert_ptr_equal(work, &thread);
	if (thread.n == JOBS_MAX)
		return -EBUSY;
	thread.jobs[thread.n].run = run;
	thread.jobs[thread.n].done = done;
	thread.jobs[thread.n++].job = job;
	return 0;
}

void work_drain(struct work *work)
{
	assert_ptr_equal(work, &thread);
	for (size_t i = 0; i < thread.n; i++)
		thread.jobs[i].run(thread.jobs[i].job);
	for (size_t i = 0; i < thread.n; i++)
		thread.jobs[i].done(thread.jobs[i].job);
	thread.n = 0;
}

struct work *work_free(struct work *work)
{
	work_drain(work);
	thread.open = false;
	return NULL;
}

/* --- a disk --- */

static struct core *core; /* its log is asked */
static struct disk *disk;
static char dir[64];
static unsigned n_done;
static int result; /* of the last one */

static void done(void *ctx, struct write *w)
{
	assert_ptr_equal(ctx, &n_done);
	n_done++;
	result = w->result;
	write_free(w);
}

static int set_up(void **state)
{
	core = fake_core_new();
	memset(&thread, 0, sizeof(thread));
	n_done = 0;
	result = 1;
	(void) strcpy(dir, "/tmp/hearth-disk.XXXXXX");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(disk_new(core->event, &disk, NULL), 0);
	return 0;
}

static const char *in_dir(const char *name)
{
	static char path[PATH_TEXT_MAX];

	return paths_join(dir, name, path);
}

static int tear_down(void **state)
{
	disk = disk_free(disk);
	assert_false(thread.open);
	core = fake_core_free(core);
	(void) unlink(in_dir("file"));
	return rmdir(dir);
}

/* One that says "text" to @name of the directory. */
static struct write *new_write(const char *name)
{
	struct write *w = write_new(in_dir(name), 0600);

	assert_non_null(w);
	buf_add_str(&w->text, "text");
	return w;
}

static bool is_there(void)
{
	return access(in_dir("file"), F_OK) == 0;
}

static void test_no_thread(void **state)
{
	struct disk *other = NULL;
	struct err err = { 0 };

	thread.opens = -EAGAIN;
	assert_int_equal(disk_new(core->event, &other, &err), -EAGAIN);
	assert_string_equal(err.text, "no thread");
	assert_null(other);
}

static void test_write(void **state)
{
	disk_write(disk, new_write("file"), done, &n_done);
	assert_false(is_there());
	assert_int_equal(n_done, 0);
	disk_drain(disk);
	assert_true(is_there());
	assert_int_equal(n_done, 1);
	assert_int_equal(result, 0);
	disk_write(disk, new_write("none/file"), done, &n_done);
	disk_drain(disk);
	assert_int_equal(n_done, 2);
	assert_int_equal(result, -ENOENT);
	disk_write(disk, NULL, done, &n_done);
	disk_drain(disk);
	assert_int_equal(n_done, 2);
}

static void test_nobody_asks(void **state)
{
	disk_write(disk, new_write("file"), NULL, NULL);
	assert_false(is_there());
	disk_drain(disk);
	assert_true(is_there());
}

/* As a failure, and at once. */
static void test_too_much(void **state)
{
	for (unsigned i = 0; i < JOBS_MAX; i++)
		disk_write(disk, new_write("none/file"), NULL, NULL);
	disk_write(disk, new_write("file"), done, &n_done);
	assert_int_equal(n_done, 1);
	assert_int_equal(result, -EBUSY);
	disk_write(disk, new_write("file"), NULL, NULL);
	disk_drain(disk);
	assert_false(is_there());
}

/* Before the loop, and after it. */
static void test_without_a_thread(void **state)
{
	disk_write(NULL, new_write("file"), done, &n_done);
	assert_true(is_there());
	assert_int_equal(n_done, 1);
	assert_int_equal(result, 0);
	assert_int_equal(unlink(in_dir("file")), 0);
	disk_write(NULL, new_write("file"), NULL, NULL);
	assert_true(is_there());
	disk_drain(NULL);
	assert_null(disk_free(NULL));
}

static void test_restore(void **state)
{
	disk_restore(disk, new_write("file"));
	assert_int_equal(fake_core_logged(""), 0);
	disk_drain(disk);
	assert_true(is_there());
	assert_int_equal(
		fake_core_logged("/file was removed by another program; written again"), 1);
	disk_restore(disk, NULL);
	disk_drain(disk);
	assert_int_equal(fake_core_logged(""), 0);
}

static void test_cannot_restore(void **state)
{
	disk_restore(disk, new_write("none/file"));
	disk_drain(disk);
	assert_int_equal(
		fake_core_logged("none/file is gone and cannot be written again: No such"), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(no_thread),
		TEST(write),
		TEST(nobody_asks),
		TEST(too_much),
		TEST(without_a_thread),
		TEST(restore),
		TEST(cannot_restore),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
