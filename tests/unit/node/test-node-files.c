/* hearthd's small files, damaged, cut off, or prepared by somebody else. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/file.h"
#include "node/launch.h"
#include "board/seen.h"
#include "board/state.h"

static char dir[] = "/tmp/hearth-files.XXXXXX";

static const char *in_dir(const char *name)
{
	static char path[4][96];
	static unsigned at;

	at = (at + 1) % 4;
	(void) snprintf(path[at], sizeof(path[at]), "%s/%s", dir, name);
	return path[at];
}

static void put(const char *name, const char *text, mode_t mode)
{
	assert_int_equal(file_write_atomic(in_dir(name), text, strlen(text), mode), 0);
}

static void carry_out(struct write *w)
{
	assert_non_null(w);
	write_run(w);
	assert_int_equal(w->result, 0);
	write_free(w);
}

/* Numbers of presences are never used twice, also when the power goes before the file is written. */
static void test_counter(void **state)
{
	struct state s = { .counter = 9 }, read = { 0 };
	uint64_t last = 9, durable = 9;

	for (unsigned i = 0; i < 1000; i++) {
		uint64_t before = last, known = i == 500 ? 5000 : 0;

		if (!state_take_counter(&s, durable, known, &last)) {
			assert_int_equal(last, before); /* it is not taken yet */
			assert_true(s.counter > last);
			carry_out(state_write(in_dir("state"), &s));
			assert_int_equal(state_load(in_dir("state"), &read, NULL), 0);
			durable = read.counter;
			assert_true(state_take_counter(&s, durable, known, &last));
		}
		assert_true(last > before && last > known && last <= durable);
	}
	assert_true(durable < last + 100);
	assert_true(state_settle(&s, last));
	assert_int_equal(s.counter, last);
	assert_false(state_settle(&s, last));
	(void) unlink(in_dir("state"));
}

/* A key file that is gone is written as it was; one that is there is left alone. */
static void test_key_kept(void **state)
{
	uint8_t key[32] = { 1, 2, 3 }, back[32];

	carry_out(state_keep_key(in_dir("key"), key));
	assert_int_equal(state_read_key(in_dir("key"), back, NULL), 0);
	assert_memory_equal(back, key, sizeof(key));
	key[0] = 9;
	assert_null(state_keep_key(in_dir("key"), key));
	(void) unlink(in_dir("key"));
}

static void test_state(void **state)
{
	static const char whole[] = "{\"port\":41742,\"port_wanted\":41741,\"counter\":9,"
				    "\"kube_done\":\"00112233aabbccdd\"}";
	static const char *const bad[] = { "[]", "null", "\xff", "{\"port\":70000}",
		"{\"counter\":-1}", "{\"port\":\"1\"}", "{\"kube_done\":\"x\"}",
		"{\"counter\":1,\"counter\":2}" };
	struct state s = { .port = 1 };
	struct err err = { 0 };

	assert_int_equal(state_load(in_dir("state"), &s, &err), 0); /* none yet */
	assert_int_equal(s.port, 0);
	put("state", whole, 0600);
	assert_int_equal(state_load(in_dir("state"), &s, &err), 0);
	assert_int_equal(s.counter, 9);
	for (size_t len = 0; len < strlen(whole); len++) {
		assert_int_equal(file_write_atomic(in_dir("state"), whole, len, 0600), 0);
		assert_int_equal(state_load(in_dir("state"), &s, &err), -EBADMSG);
		assert_int_equal(s.port, 0);
		assert_int_equal(s.counter, 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		put("state", bad[i], 0600);
		assert_int_equal(state_load(in_dir("state"), &s, &err), -EBADMSG);
		assert_int_equal(s.port, 0);
		assert_non_null(strstr(err.text, "begun anew"));
	}
	(void) unlink(in_dir("state"));
}

static void test_timestamp(void **state)
{
	static const char *const bad[] = { "", "\n", "12", "12x\n", "x\n", "-\n", "-1\n",
		"18446744073709551615\n", "99999999999999999999\n" };

	assert_int_equal(state_read_timestamp(in_dir("timestamp")), 0);
	carry_out(state_write_timestamp(in_dir("timestamp"), 1795000000));
	assert_int_equal(state_read_timestamp(in_dir("timestamp")), 1795000000);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		put("timestamp", bad[i], 0600);
		assert_int_equal(state_read_timestamp(in_dir("timestamp")), 0);
	}
	(void) unlink(in_dir("timestamp"));
}

static void test_keys(void **state)
{
	static const char good[] = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n";
	uint8_t key[32];
	struct err err = { 0 };

	assert_int_equal(state_read_key(in_dir("key"), key, &err), -ENOENT);
	put("key", good, 0600);
	assert_int_equal(state_read_key(in_dir("key"), key, &err), 0);
	assert_int_equal(key[31], 31);
	for (size_t len = 0; len + 2 < sizeof(good);
		len++) { /* cut; without the newline it holds */
		assert_int_equal(file_write_atomic(in_dir("key"), good, len, 0600), 0);
		assert_int_equal(state_read_key(in_dir("key"), key, &err), -EINVAL);
	}
	put("key", good, 0640);
	assert_int_equal(state_read_key(in_dir("key"), key, &err), -EPERM);
	assert_non_null(strstr(err.text, "chmod 0600"));
	(void) unlink(in_dir("key"));
}

/* A hint that no peer can be at must not keep the peer out of the tunnel. */
static void test_seen(void **state)
{
	static const char *const bad[] = { "", "[]", "{", "{\"3\":7}", "{\"3\":\"\"}",
		"{\"3\":\"192.0.2.1\"}", "{\"3\":\"192.0.2.1:0\"}", "{\"3\":\"0.0.0.0:1\"}",
		"{\"3\":\"127.0.0.1:41741\"}", "{\"3\":\"[ff02::1]:41741\"}" };
	struct endpoint endpoint = { 0 };
	struct seen *seen;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		put("seen", bad[i], 0600);
		seen = seen_open(in_dir("seen"));
		assert_non_null(seen);
		assert_false(seen_get(seen, 3, &endpoint));
		assert_int_equal(endpoint.addr.family, 0);
		assert_int_equal(endpoint.port, 0);
		seen_free(seen);
	}
	put("seen", "{\"3\":\"203.0.113.7:20188\"}", 0600);
	seen = seen_open(in_dir("seen"));
	assert_true(seen_get(seen, 3, &endpoint));
	assert_int_equal(endpoint.port, 20188);
	seen_free(seen);
	(void) unlink(in_dir("seen"));
}

/* Root's log lies where hearthd's user may make files: nothing that it put there is written through. */
static void test_log(void **state)
{
	CLEANUP_BUF struct buf text = { 0 };
	int fd = launch_open_log(in_dir("log"));

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "a\n", 2), 2);
	close(fd);
	fd = launch_open_log(in_dir("log"));
	assert_int_equal(write(fd, "b\n", 2), 2);
	close(fd);
	assert_int_equal(file_read(in_dir("log"), 64, &text), 0);
	assert_string_equal(buf_str(&text), "a\nb\n");
	put("shadow", "root", 0600);
	(void) unlink(in_dir("log"));
	assert_int_equal(symlink("shadow", in_dir("log")), 0);
	assert_int_equal(launch_open_log(in_dir("log")), -ELOOP);
	(void) unlink(in_dir("log"));
	assert_int_equal(symlink("new", in_dir("log")), 0);
	assert_int_equal(launch_open_log(in_dir("log")), -ELOOP);
	assert_int_equal(access(in_dir("new"), F_OK), -1);
	(void) unlink(in_dir("log"));
	assert_int_equal(link(in_dir("shadow"), in_dir("log")), 0);
	assert_int_equal(launch_open_log(in_dir("log")), -EMLINK);
	(void) unlink(in_dir("log"));
	assert_int_equal(mkfifo(in_dir("log"), 0600), 0);
	assert_true(launch_open_log(in_dir("log")) < 0); /* and does not wait for a reader */
	(void) unlink(in_dir("log"));
	(void) unlink(in_dir("shadow"));
}

static int clean(void **state)
{
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_state),
		cmocka_unit_test(test_counter),
		cmocka_unit_test(test_key_kept),
		cmocka_unit_test(test_timestamp),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_seen),
		cmocka_unit_test(test_log),
	};
	if (!mkdtemp(dir))
		return 77;
	return cmocka_run_group_tests(tests, NULL, clean);
}
