/* hostsfile: what it says of a file that others replace, write, remove, and make unreadable. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "node/hostsfile.h"

static const char entries[] = "[{\"address\":\"10.77.0.1\",\"names\":[\"a.home.internal\"]}]";
static const char with[] = "127.0.0.1 localhost\n"
			   "# BEGIN hearth; hearthd writes these lines, changes to them are lost\n"
			   "10.77.0.1 a.home.internal\n# END hearth\n";
static const char without[] = "127.0.0.1 localhost\n";

/* --- the file system, when it is not as this machine's is --- */

static struct {
	int refuses;         /* writing, with this errno */
	bool is_fake, fails; /* statvfs(2): what follows, or nothing */
	struct statvfs fs;
} fake;

int __real_access(const char *path, int mode);
int __wrap_access(const char *path, int mode);
int __wrap_access(const char *path, int mode)
{
	if (!fake.refuses)
		return __real_access(path, mode);
	errno = fake.refuses;
	return -1;
}

int __real_statvfs(const char *path, struct statvfs *ret);
int __wrap_statvfs(const char *path, struct statvfs *ret);
int __wrap_statvfs(const char *path, struct statvfs *ret)
{
	if (!fake.is_fake)
		return __real_statvfs(path, ret);
	*ret = fake.fs;
	return fake.fails ? -1 : 0;
}

/* --- */

struct fixture {
	char dir[64], path[128];
	sd_event *event;
	struct hostsfile *file;
	unsigned touched;
};

static void touched(void *ctx)
{
	((struct fixture *) ctx)->touched++;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	memset(&fake, 0, sizeof(fake));
	strcpy(f->dir, "/tmp/hearth-hostsfile.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	(void) snprintf(f->path, sizeof(f->path), "%s/hosts", f->dir);
	assert_true(sd_event_new(&f->event) >= 0);
	assert_int_equal(hostsfile_new(f->event, touched, f, &f->file), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	hostsfile_free(f->file);
	sd_event_unref(f->event);
	(void) rmdir(f->path);
	(void) unlink(f->path);
	(void) rmdir(f->dir);
	free(f);
	return 0;
}

static void write_file(struct fixture *f, const char *text)
{
	assert_int_equal(file_write_atomic(f->path, text, strlen(text), 0644), 0);
}

/* Until it was called back, or not within @us. */
static bool is_called_back_within(struct fixture *f, uint64_t us)
{
	uint64_t end = clock_now_us() + us;

	for (f->touched = 0; !f->touched && clock_now_us() < end;)
		assert_true(sd_event_run(f->event, 100 * USEC_PER_MSEC) >= 0);
	return f->touched > 0;
}

static bool is_called_back(struct fixture *f)
{
	return is_called_back_within(f, 2 * USEC_PER_SEC);
}

static void test_look(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(hostsfile_look(f->file, "hearth0", entries), -ENODATA);
	write_file(f, with);
	hostsfile_watch(f->file, f->path);
	assert_int_equal(hostsfile_look(f->file, "hearth0", entries), 1);
	assert_int_equal(hostsfile_look(f->file, "hearth0", entries), 1);
	write_file(f, without);
	assert_int_equal(hostsfile_look(f->file, "hearth0", entries), 0);
	assert_int_equal(hostsfile_look(f->file, "hearth0", "[]"), 1);
	assert_int_equal(unlink(f->path), 0);
	assert_int_equal(hostsfile_look(f->file, "hearth0", entries), 0);
	write_file(f, with);
	assert_int_equal(hostsfile_look(f->file, "hearth0", entries), 1);
	/* Other names: it says so after it was told that the file was written. */
	hostsfile_watch(f->file, f->path);
	assert_int_equal(hostsfile_look(f->file, "hearth0", "[]"), 0);
	assert_int_equal(unlink(f->path), 0);
	assert_int_equal(mkdir(f->path, 0755), 0);
	assert_int_equal(hostsfile_look(f->file, "hearth0", entries), -EISDIR);
	assert_true(hostsfile_look(f->file, "hearth0", "[{") < 0);
}

static void test_watch(void **state)
{
	struct fixture *f = *state;
	FILE *in_place;

	write_file(f, with);
	hostsfile_watch(f->file, f->path);
	write_file(f, without); /* renamed over it */
	assert_true(is_called_back(f));
	in_place = fopen(f->path, "we");
	assert_non_null(in_place);
	assert_true(fputs(with, in_place) >= 0);
	assert_int_equal(fclose(in_place), 0);
	assert_true(is_called_back(f));
	assert_int_equal(unlink(f->path), 0);
	assert_true(is_called_back(f));
}

static void write_beside(struct fixture *f, const char *name, const char *text)
{
	char path[128];

	(void) snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	assert_int_equal(file_write_atomic(path, text, strlen(text), 0644), 0);
}

static void remove_beside(struct fixture *f, const char *name)
{
	char path[128];

	(void) snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	assert_int_equal(remove(path), 0);
}

/* Other files of its directory are nobody's concern. */
static void test_beside_it(void **state)
{
	struct fixture *f = *state;

	write_file(f, with);
	hostsfile_watch(f->file, f->path);
	write_beside(f, "other", "x");
	assert_false(is_called_back_within(f, 300 * USEC_PER_MSEC));
	remove_beside(f, "other");
}

/* A link to a file elsewhere: that one counts, and that the link leads to it. */
static void test_link(void **state)
{
	struct fixture *f = *state;

	write_beside(f, "real", with);
	assert_int_equal(symlink("real", f->path), 0);
	hostsfile_watch(f->file, f->path);
	assert_string_equal(hostsfile_path(f->file), f->path);
	write_beside(f, "real", without);
	assert_true(is_called_back(f));
	assert_int_equal(hostsfile_look(f->file, "hearth0", "[]"), 1);
	write_file(f, with); /* no link any more */
	assert_true(is_called_back(f));
	assert_int_equal(hostsfile_look(f->file, "hearth0", entries), 1);
	remove_beside(f, "real");
}

/* What no file can be called is not watched. */
static void test_bad_path(void **state)
{
	struct fixture *f = *state;
	char *path = malloc(8192);

	assert_non_null(path);
	memset(path, '/', 8191);
	path[8191] = 0;
	hostsfile_watch(f->file, path);
	hostsfile_watch(f->file, "hosts");
	assert_string_equal(hostsfile_path(f->file), "");
	free(path);
}

static void test_failed(void **state)
{
	struct fixture *f = *state;

	write_file(f, with);
	hostsfile_watch(f->file, f->path);
	assert_true(hostsfile_has_changed(f->file));
	hostsfile_failed(f->file);
	assert_false(hostsfile_has_changed(f->file));
	assert_int_equal(hostsfile_look(f->file, "hearth0", entries), 1);
	assert_false(hostsfile_has_changed(f->file));
	assert_int_equal(chmod(f->path, 0600), 0);
	assert_true(is_called_back(f));
	assert_true(hostsfile_has_changed(f->file));
	hostsfile_failed(f->file);
	assert_int_equal(unlink(f->path), 0);
	assert_true(hostsfile_has_changed(f->file));
	hostsfile_failed(f->file);
	assert_false(hostsfile_has_changed(f->file));
}

/* What failed with it may do now: its file system can be written again, or has room. */
static void test_file_system(void **state)
{
	struct fixture *f = *state;

	write_file(f, with);
	hostsfile_watch(f->file, f->path);
	fake.refuses = EROFS;
	hostsfile_failed(f->file);
	assert_false(hostsfile_has_changed(f->file));
	fake.refuses = EACCES;
	assert_true(hostsfile_has_changed(f->file));
	fake.refuses = 0;
	assert_true(hostsfile_has_changed(f->file));
	fake.is_fake = true;
	fake.fs = (struct statvfs){ .f_blocks = 9 };
	hostsfile_failed(f->file);
	assert_false(hostsfile_has_changed(f->file));
	fake.fs.f_bfree = 1;
	assert_true(hostsfile_has_changed(f->file));
	hostsfile_failed(f->file);
	/* One of no size is not full, nor is one that does not say. */
	fake.fs = (struct statvfs){ 0 };
	assert_false(hostsfile_has_changed(f->file));
	fake.fs.f_blocks = 9;
	fake.fails = true;
	assert_false(hostsfile_has_changed(f->file));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_look, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_watch, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_beside_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_link, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bad_path, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_failed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_file_system, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
