/* cnilist_look: lists and the plugin that others remove, and lists that come before ours. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "board/cnilist.h"

struct fixture {
	char dir[64], plugin[128];
};

static void make(struct fixture *f, const char *name)
{
	char path[256];
	FILE *file;

	(void) snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_int_equal(fclose(file), 0);
}

static void drop(struct fixture *f, const char *name)
{
	char path[256];

	(void) snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	assert_int_equal(unlink(path), 0);
}

static void test_look(void **state)
{
	struct fixture f = { .dir = "/tmp/hearth-cni-look.XXXXXX" };
	struct cnilist cni = { .dir = f.dir, .plugin = f.plugin };
	struct err err = { 0 };

	assert_non_null(mkdtemp(f.dir));
	(void) snprintf(f.plugin, sizeof(f.plugin), "%s/hearth", f.dir);
	make(&f, "00-other.conflist");
	assert_int_equal(cnilist_look(&cni, &err), 0); /* never ours */
	make(&f, "05-hearth.conflist");
	assert_int_equal(cnilist_look(&cni, &err), -EEXIST);
	assert_non_null(strstr(err.text, "00-other.conflist comes before 05-hearth.conflist"));
	drop(&f, "00-other.conflist");
	make(&f, "00-other.conflist.bak");
	make(&f, "10-later.conf");
	assert_int_equal(cnilist_look(&cni, &err), 0);
	make(&f, "01-other.conf");
	assert_int_equal(cnilist_look(&cni, &err), -EEXIST);
	drop(&f, "01-other.conf");
	make(&f, "hearth");
	assert_int_equal(cnilist_look(&cni, &err), 0);
	drop(&f, "hearth");
	assert_int_equal(cnilist_look(&cni, &err), -ENOEXEC);
	make(&f, "hearth");
	drop(&f, "05-hearth.conflist");
	assert_int_equal(cnilist_look(&cni, &err), -ENOENT);
	drop(&f, "hearth");
	drop(&f, "00-other.conflist.bak");
	drop(&f, "10-later.conf");
	assert_int_equal(rmdir(f.dir), 0);
	assert_int_equal(cnilist_look(&cni, &err), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_look) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
