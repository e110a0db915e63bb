/* own-keys: made once, read again, and refused where somebody else may have read them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "relay/own-keys.h"

static char dir[] = "/tmp/hearth-own-keys-XXXXXX";

static const char *file(const char *name)
{
	static char path[64];

	(void) snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static int set_up(void **state)
{
	memcpy(dir, "/tmp/hearth-own-keys-XXXXXX", sizeof(dir));
	assert_non_null(mkdtemp(dir));
	return 0;
}

static int tear_down(void **state)
{
	(void) unlink(file("tls.key"));
	(void) unlink(file("relay.key"));
	assert_int_equal(rmdir(dir), 0);
	return 0;
}

static void test_made_once(void **state)
{
	struct own_keys made = { 0 }, again = { 0 };
	struct err err = { 0 };
	struct stat st;

	assert_int_equal(own_keys_read(dir, &made, &err), -ENOENT);
	assert_non_null(strstr(err.text, "tls.key"));
	assert_int_equal(own_keys_make(dir, &made, &err), 0);
	assert_memory_not_equal(made.pin, made.key, sizeof(made.pin));
	assert_memory_not_equal(made.secret, made.tls_seed, sizeof(made.secret));
	assert_int_equal(stat(file("relay.key"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(own_keys_make(dir, &again, &err), 0);
	assert_memory_equal(&made, &again, sizeof(made));
	memset(&again, 0, sizeof(again));
	assert_int_equal(own_keys_read(dir, &again, &err), 0);
	assert_memory_equal(&made, &again, sizeof(made));
	/* only what is missing is made */
	assert_int_equal(unlink(file("relay.key")), 0);
	assert_int_equal(own_keys_read(dir, &again, &err), -ENOENT);
	assert_int_equal(own_keys_make(dir, &again, &err), 0);
	assert_memory_equal(made.pin, again.pin, sizeof(made.pin));
	assert_memory_not_equal(made.key, again.key, sizeof(made.key));
	own_keys_done(&made);
	own_keys_done(&again);
}

static void test_damaged(void **state)
{
	struct own_keys keys = { 0 };
	struct err err = { 0 };

	assert_int_equal(own_keys_make(dir, &keys, &err), 0);
	assert_int_equal(chmod(file("tls.key"), 0644), 0);
	assert_int_equal(own_keys_read(dir, &keys, &err), -EPERM);
	assert_int_equal(own_keys_make(dir, &keys, &err), -EPERM);
	assert_int_equal(file_write_atomic(file("tls.key"), "AAAA\n", 5, 0600), 0);
	assert_int_equal(own_keys_make(dir, &keys, &err), -EBADMSG); /* nothing is overwritten */
	assert_non_null(strstr(err.text, "tls.key"));
	own_keys_done(&keys);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_made_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_damaged, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
