/* store: what is committed survives kill -9; what cannot be read or written is told, and nothing is lost. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/clock.h"
#include "base/cleanup.h"
#include "sys/store/store.h"

static const char *const migrations[] = {
	"CREATE TABLE items(key TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE log(key INTEGER PRIMARY KEY, value BLOB NOT NULL);",
	"CREATE TABLE more(key TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL) WITHOUT ROWID;"
	"INSERT INTO more SELECT key, value FROM items;",
};
static const char *const tables[] = { "items", "log", "more" };
enum { ITEMS, LOG, MORE };
static const struct store_schema old = { 0x54455354, "the test's database", migrations, 1, tables,
	2 };
static const struct store_schema new = { 0x54455354, "the test's database", migrations, 2, tables,
	3 };
static const struct store_schema foreign = { 0x11111111, "another program's", migrations, 1, tables,
	2 };

static char dir[] = "/tmp/hearth-store.XXXXXX", path[80];

static void clean(void)
{
	static const char *const tails[] = { "", "-wal", "-shm", "-journal" };
	char name[96];

	for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
		(void) snprintf(name, sizeof(name), "%s%s", path, tails[i]);
		(void) unlink(name);
	}
}

static struct store *open_store(const struct store_schema *schema)
{
	struct store *s = NULL;
	struct err e = { 0 };

	if (store_open(path, schema, true, &s, &e) < 0)
		fail_msg("%s", e.text);
	return s;
}

static int put_now(struct store *s, size_t table, const char *key, const char *value)
{
	struct store_batch *b = store_batch_new();

	store_batch_put(b, table, key, value, strlen(value));
	return store_commit_now(s, b, NULL);
}

struct rows {
	int n;
	char text[256];
};

static int add_row(void *ctx, const char *key, const void *value, size_t len)
{
	struct rows *r = ctx;
	size_t used = strlen(r->text);

	r->n++;
	(void) snprintf(r->text + used, sizeof(r->text) - used, "%s=%.*s;", key, (int) len,
		(const char *) value);
	return 0;
}

static struct rows rows_of(struct store *s, size_t table)
{
	struct rows r = { 0 };

	assert_int_equal(store_each(s, table, add_row, &r, NULL), 0);
	return r;
}

static void test_batches(void **state)
{
	clean();
	struct store *s = open_store(&old), *second = NULL;
	struct err e = { 0 };
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(store_open(path, &old, false, &second, &e), -EBUSY);
	assert_int_equal(put_now(s, ITEMS, "b", "2"), 0);
	assert_int_equal(put_now(s, ITEMS, "a", "1"), 0);
	assert_int_equal(put_now(s, LOG, "10", "x"), 0);
	assert_int_equal(put_now(s, LOG, "9", "y"), 0);
	assert_string_equal(rows_of(s, ITEMS).text, "a=1;b=2;");
	assert_string_equal(rows_of(s, LOG).text, "9=y;10=x;");
	/* Whole or not at all: the row that is there already takes the other back. */
	struct store_batch *b = store_batch_new();

	store_batch_put(b, ITEMS, "c", "3", 1);
	store_batch_delete(b, ITEMS, "a");
	store_batch_insert(b, LOG, "10", "z", 1);
	assert_int_equal(store_commit_now(s, b, &e), -EEXIST);
	assert_string_equal(rows_of(s, ITEMS).text, "a=1;b=2;");
	b = store_batch_new();
	store_batch_delete(b, ITEMS, "a");
	store_batch_insert(b, LOG, "11", "z", 1);
	assert_int_equal(store_commit_now(s, b, &e), 0);
	assert_string_equal(rows_of(s, ITEMS).text, "b=2;");
	b = store_batch_new(); /* too long */
	store_batch_put(b, ITEMS, "long", "", STORE_VALUE_MAX + 1);
	assert_true(store_commit_now(s, b, &e) < 0);
	assert_null(store_close(s));
}

static void test_versions(void **state)
{
	clean();
	struct err e = { 0 };
	struct store *s = open_store(&old);

	assert_int_equal(put_now(s, ITEMS, "k", "v"), 0);
	store_close(s);
	s = open_store(&new);
	assert_string_equal(rows_of(s, MORE).text, "k=v;");
	store_close(s);
	/* A newer format is left alone. */
	assert_int_equal(store_open(path, &old, false, &s, &e), -EPROTONOSUPPORT);
	assert_non_null(strstr(e.text, "newer"));
	assert_int_equal(store_open(path, &foreign, false, &s, &e), -EBADMSG);
	clean();
	assert_int_equal(store_open(path, &old, false, &s, &e), -ENOENT);
}

static void damage(const char *file, long at, const char *bytes, size_t len)
{
	int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_int_equal(pwrite(fd, bytes, len, at), len);
	close(fd);
}

static void test_damaged(void **state)
{
	struct store *s = NULL;
	struct err e = { 0 };
	char junk[4096];

	clean();
	damage(path, 0, "this is no database, but long enough to look at", 47);
	assert_int_equal(store_open(path, &old, true, &s, &e), -EBADMSG);
	assert_non_null(strstr(e.text, "damaged"));
	clean();
	s = open_store(&old);
	for (int i = 0; i < 500; i++) {
		char key[16];

		(void) snprintf(key, sizeof(key), "%d", i);
		memset(junk, 'v', sizeof(junk));
		junk[200] = '\0';
		assert_int_equal(put_now(s, ITEMS, key, junk), 0);
	}
	store_close(s);
	memset(junk, 0xa5, sizeof(junk));
	for (long at = 4096; at < 12 * 4096; at += 4096)
		damage(path, at, junk, sizeof(junk));
	assert_int_equal(store_open(path, &old, false, &s, &e), -EBADMSG);
	assert_non_null(strstr(e.text, path));
	assert_int_equal(truncate(path, 100), 0);
	assert_true(store_open(path, &old, false, &s, &e) < 0);
}

struct waiter {
	sd_event *event;
	int done, good, wanted, last_error, last_seen;
	bool ordered;
};

struct one {
	struct waiter *w;
	int number;
};

static void on_done(void *ctx, int r, const struct err *err)
{
	struct one *o = ctx;
	struct waiter *w = o->w;

	w->ordered = w->ordered && o->number == w->last_seen + 1;
	w->last_seen = o->number;
	w->good += r == 0;
	if (r < 0) {
		w->last_error = r;
		assert_true(err->text[0]);
	}
	if (++w->done == w->wanted)
		(void) sd_event_exit(w->event, 0);
	free(o);
}

static int queue(struct store *s, struct waiter *w, int number, const char *key, size_t len)
{
	static char value[65536];
	struct store_batch *b = store_batch_new();
	struct one *o = malloc(sizeof(*o));

	*o = (struct one){ w, number };
	memset(value, 'x', sizeof(value));
	store_batch_insert(b, ITEMS, key, value, len);
	int r = store_commit(s, b, on_done, o);

	if (r < 0)
		free(o);
	return r;
}

static void test_worker(void **state)
{
	struct waiter w = { .wanted = 400, .ordered = true };
	struct err e = { 0 };
	char key[16];

	clean();
	assert_true(sd_event_new(&w.event) >= 0);
	struct store *s = open_store(&old);

	assert_int_equal(store_start(s, w.event, &e), 0);
	for (int i = 0; i < 400; i++) { /* every tenth is refused, alone */
		(void) snprintf(key, sizeof(key), "%d", i % 10 == 9 ? i - 1 : i);
		assert_int_equal(queue(s, &w, i + 1, key, 10), 0);
	}
	assert_true(sd_event_loop(w.event) >= 0);
	assert_int_equal(w.good, 360);
	assert_int_equal(w.last_error, -EEXIST);
	assert_true(w.ordered);
	store_close(s);
	sd_event_unref(w.event);
	/* Closing carries out what waits and reports it. */
	assert_true(sd_event_new(&w.event) >= 0);
	s = open_store(&old);
	assert_int_equal(store_start(s, w.event, &e), 0);
	w = (struct waiter){ .event = w.event, .wanted = -1, .ordered = true };
	for (int i = 0; i < 50; i++) {
		(void) snprintf(key, sizeof(key), "late-%d", i);
		assert_int_equal(queue(s, &w, i + 1, key, 10), 0);
	}
	store_close(s);
	assert_int_equal(w.good, 50);
	s = open_store(&old);
	assert_int_equal(rows_of(s, ITEMS).n, 410);
	store_close(s);
	/* The queue has an end. */
	s = open_store(&old);
	assert_int_equal(store_start(s, w.event, &e), 0);
	w = (struct waiter){ .event = w.event, .wanted = -1, .ordered = true };
	int r = 0, n = 0;

	for (; n < STORE_QUEUE_MAX + 10 && r == 0; n++) {
		(void) snprintf(key, sizeof(key), "many-%d", n);
		r = queue(s, &w, n + 1, key, 10);
	}
	assert_int_equal(r, -EBUSY);
	store_close(s);
	assert_int_equal(w.good, n - 1);
	sd_event_unref(w.event);
}

/* Prints each key once it is durable; killed at some moment. */
static void writer(int out)
{
	sd_event *event = NULL;
	struct store *s = NULL;

	(void) event;
	if (store_open(path, &old, true, &s, NULL) < 0)
		_exit(9);
	for (uint32_t i = (uint32_t) rows_of(s, LOG).n;; i++) {
		char key[16], value[400];

		memset(value, 'v', sizeof(value));
		(void) snprintf(key, sizeof(key), "%u", i);
		struct store_batch *b = store_batch_new();

		store_batch_insert(b, LOG, key, value, sizeof(value));
		store_batch_put(b, ITEMS, "last", key, strlen(key));
		if (store_commit_now(s, b, NULL) < 0 || write(out, &i, sizeof(i)) != sizeof(i))
			_exit(8);
	}
}

static void test_kill(void **state)
{
	clean();
	uint32_t told = 0;
	unsigned seed = 12345;

	for (int round = 0; round < 20; round++) {
		int pipes[2];

		assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
		pid_t pid = fork();

		if (pid == 0)
			writer(pipes[1]);
		close(pipes[1]);
		/* Kill it after a random number of records: somewhere in the write of the next. */
		int stop_after = 1 + rand_r(&seed) % 12;
		uint32_t i;

		for (int n = 0; n < stop_after && read(pipes[0], &i, sizeof(i)) == sizeof(i); n++)
			told = i + 1;
		struct timespec pause = { 0, rand_r(&seed) % 3000000 };

		(void) nanosleep(&pause, NULL);
		kill(pid, SIGKILL);
		while (read(pipes[0], &i, sizeof(i)) == sizeof(i))
			told = i + 1;
		int status;

		waitpid(pid, &status, 0);
		assert_true(WIFSIGNALED(status));
		close(pipes[0]);
		struct store *s = open_store(&old);
		struct rows log = rows_of(s, LOG), items = rows_of(s, ITEMS);
		char expected[64];

		assert_true((uint32_t) log.n == told || (uint32_t) log.n == told + 1);
		(void) snprintf(expected, sizeof(expected), "last=%d;", log.n - 1);
		assert_string_equal(items.text, expected); /* both tables or none */
		told = (uint32_t) log.n;
		store_close(s);
	}
}

/* In a mount namespace of its own: a file system of 300 kB. */
static int full_disk(void)
{
	struct waiter w = { .wanted = 40, .ordered = true };
	struct err e = { 0 };
	struct store *s = NULL;
	char key[16];

	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount("tmpfs", dir, "tmpfs", 0, "size=1m") < 0)
		return 77;
	if (sd_event_new(&w.event) < 0 || store_open(path, &old, true, &s, &e) < 0 ||
		store_start(s, w.event, &e) < 0)
		return 2;
	for (int i = 0; i < 40; i++) {
		(void) snprintf(key, sizeof(key), "%d", i);
		if (queue(s, &w, i + 1, key, 60000) < 0)
			return 3;
	}
	(void) sd_event_loop(w.event);
	if (w.last_error != -ENOSPC || w.good == 0 || w.good == 40) {
		fprintf(stderr, "full disk: %d good, error %d\n", w.good, w.last_error);
		return 4;
	}
	/* Room again: it goes on as if nothing had been. */
	int good = w.good;

	if (mount("tmpfs", dir, "tmpfs", MS_REMOUNT, "size=3m") < 0)
		return 5;
	w = (struct waiter){ .event = w.event, .wanted = -1, .ordered = true };
	if (queue(s, &w, 1, "again", 20000) < 0)
		return 6;
	store_close(s);
	if (w.good != 1 || store_open(path, &old, false, &s, &e) < 0) {
		fprintf(stderr, "after: %d good, %s\n", w.good, e.text);
		return 7;
	}
	struct rows rows = { 0 };

	(void) store_each(s, ITEMS, add_row, &rows, &e);
	store_close(s);
	return rows.n == good + 1 ? 0 : 8;
}

static void test_full_disk(void **state)
{
	int status = 0;

	clean();
	pid_t pid = fork();

	if (pid == 0)
		_exit(unshare(CLONE_NEWNS) < 0 ? 77 : full_disk());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_batches),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_worker),
		cmocka_unit_test(test_kill),
		cmocka_unit_test(test_full_disk),
	};

	if (!mkdtemp(dir))
		return 77;
	(void) snprintf(path, sizeof(path), "%s/db", dir);
	int r = cmocka_run_group_tests(tests, NULL, NULL);

	clean();
	(void) rmdir(dir);
	return r;
}
