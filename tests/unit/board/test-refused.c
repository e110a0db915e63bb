/* refused: counted, told in plain words, and nobody's but root's. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "board/config.h"
#include "board/refused.h"

static char dir[] = "/tmp/hearth-refused.XXXXXX";

static void test_counts(void **state)
{
	struct refused refused = { 0 };
	char path[PATH_TEXT_MAX], text[2048];

	assert_int_equal(refused_read(dir, &refused, NULL), -ENOENT);
	refused_note(dir, 100, 998, "hosts.write", "\033[2Jmetadata\xff.google.internal");
	int r = refused_read(dir, &refused, NULL);

	if (geteuid() != 0) {
		assert_int_equal(r, -EPERM);
		return;
	}
	assert_int_equal(r, 0);
	assert_int_equal(refused.count, 1);
	assert_string_equal(refused.why, "?[2Jmetadata?.google.internal");
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	refused_note(dir, 200, 4294967294, text, text);
	assert_int_equal(refused_read(dir, &refused, NULL), 0);
	assert_int_equal(refused.count, 2);
	assert_int_equal(refused.at, 200);
	assert_int_equal(refused.uid, 4294967294);
	assert_int_equal(strlen(refused.why), REFUSED_WHY_MAX - 1);
	/* Damaged, or somebody else's: as if nothing had been. */
	paths_join(dir, "refused.json", path);
	assert_int_equal(file_write_atomic(path, "{\"count\":7", 10, 0644), 0);
	assert_int_equal(refused_read(dir, &refused, NULL), -EINVAL);
	refused_note(dir, 300, 1, "a", "b");
	assert_int_equal(refused_read(dir, &refused, NULL), 0);
	assert_int_equal(refused.count, 1);
	assert_int_equal(chown(path, 998, 998), 0);
	assert_int_equal(refused_read(dir, &refused, NULL), -EPERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_counts) };
	char path[PATH_TEXT_MAX];

	if (!mkdtemp(dir))
		return 77;
	int r = cmocka_run_group_tests(tests, NULL, NULL);

	(void) unlink(paths_join(dir, "refused.json", path));
	(void) rmdir(dir);
	return r;
}
