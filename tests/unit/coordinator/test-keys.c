/* keys: which files are taken for a key, and what is said of the others. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "board/keys.h"

static char dir[] = "/tmp/hearth-keys.XXXXXX", path[64];
static const uint8_t seed[KEYS_SEED_LEN] = { 1, 2, 3 };

/* What was wiped: whether it held the text of a key. */
static unsigned n_wiped;
static char key_text[48];

void __real_sodium_memzero(void *mem, size_t len);
void __wrap_sodium_memzero(void *mem, size_t len);
void __wrap_sodium_memzero(void *mem, size_t len)
{
	n_wiped +=
		key_text[0] && len >= strlen(key_text) && !memcmp(mem, key_text, strlen(key_text));
	__real_sodium_memzero(mem, len);
}

static int end(void **state)
{
	(void) unlink(path);
	return 0;
}

static void refused(int r, const char *says)
{
	uint8_t found[KEYS_SEED_LEN];
	struct err err = { 0 };

	assert_int_equal(keys_read(path, found, &err), r);
	assert_non_null(strstr(err.text, path));
	if (!strstr(err.text, says))
		fail_msg("\"%s\" does not say \"%s\"", err.text, says);
}

static void write_text(const char *text)
{
	assert_true(file_write_atomic(path, text, strlen(text), 0600) >= 0);
}

static void test_kept(void **state)
{
	uint8_t found[KEYS_SEED_LEN], made[KEYS_SEED_LEN];
	struct stat st;
	struct err err = { 0 };

	assert_int_equal(keys_write(path, seed, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_size, 45); /* a line */
	assert_int_equal(keys_read(path, found, &err), 0);
	assert_memory_equal(found, seed, sizeof(seed));
	write_text("AQIDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="); /* without its end */
	assert_int_equal(keys_read(path, found, &err), 0);
	assert_memory_equal(found, seed, sizeof(seed));
	assert_int_equal(keys_make(path, made, &err), 0);
	assert_int_equal(keys_read(path, found, &err), 0);
	assert_memory_equal(found, made, sizeof(made));
	assert_true(memcmp(made, seed, sizeof(seed)) != 0);
}

static void test_damaged(void **state)
{
	static const char *const bad[] = { "", "\n", "AQID\n",
		"AQIDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n",
		"AQIDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= \n" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		write_text(bad[i]);
		refused(-EBADMSG, "is damaged");
	}
}

static void test_others(void **state)
{
	static const mode_t modes[] = { 0601, 0610, 0604, 0640 };
	char other[80];

	refused(-ENOENT, "read the key");
	assert_int_equal(keys_write(path, seed, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		assert_int_equal(chmod(path, modes[i]), 0);
		refused(-EPERM, "chmod 600");
	}
	assert_int_equal(unlink(path), 0);
	(void) snprintf(other, sizeof(other), "%s.other", path);
	assert_int_equal(symlink(other, path), 0);
	refused(-ELOOP, "no file of its own");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	refused(-EMEDIUMTYPE, "no file of its own");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(keys_write(other, seed, NULL), 0);
	assert_int_equal(link(other, path), 0);
	refused(-EMLINK, "no file of its own");
	assert_int_equal(unlink(other), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	refused(-EISDIR, "no file of its own");
	assert_int_equal(rmdir(path), 0);
}

static void test_not_written(void **state)
{
	struct err err = { 0 };
	uint8_t made[KEYS_SEED_LEN];
	char nowhere[80];

	(void) snprintf(nowhere, sizeof(nowhere), "%s/nowhere/key", dir);
	assert_int_equal(keys_write(nowhere, seed, &err), -ENOENT);
	assert_non_null(strstr(err.text, nowhere));
	assert_int_equal(keys_make(nowhere, made, &err), -ENOENT);
}

/* Whatever held the text. */
static void test_wiped(void **state)
{
	uint8_t found[KEYS_SEED_LEN];
	struct err err = { 0 };

	(void) strcpy(key_text, "AQIDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
	n_wiped = 0;
	assert_int_equal(keys_write(path, seed, &err), 0);
	assert_int_equal(n_wiped, 1);
	assert_int_equal(keys_read(path, found, &err), 0);
	assert_int_equal(n_wiped, 2);
	key_text[0] = '\0';
	write_text(""); /* there is nothing to be wiped */
	refused(-EBADMSG, "is damaged");
}

/* Those of RFC 7748 and of curves that look alike: nobody has a secret with them. */
static void test_low_order(void **state)
{
	static const uint8_t zero[KEYS_SEED_LEN],
		one[KEYS_SEED_LEN] = { 1 }, base[KEYS_SEED_LEN] = { 9 },
		eight[KEYS_SEED_LEN] = { 0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56,
			0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32,
			0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00 };

	assert_true(keys_is_low_order(zero));
	assert_true(keys_is_low_order(one));
	assert_true(keys_is_low_order(eight));
	assert_false(keys_is_low_order(base));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_kept, end),
		cmocka_unit_test_teardown(test_wiped, end),
		cmocka_unit_test_teardown(test_damaged, end),
		cmocka_unit_test_teardown(test_others, end),
		cmocka_unit_test_teardown(test_not_written, end),
		cmocka_unit_test(test_low_order),
	};
	int r;

	if (sodium_init() < 0 || !mkdtemp(dir))
		return 1;
	(void) snprintf(path, sizeof(path), "%s/key", dir);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	(void) rmdir(dir);
	return r;
}
