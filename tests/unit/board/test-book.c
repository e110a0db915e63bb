/*
 * book: what a board keeps through torn files, cards that cannot be read or are full, hostile records
 * and memory that runs out at any allocation.
 */
#include "../mesh/mesh-maker.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "board/book.h"

enum { NODES = 3, RECORDS = 2 + NODES };

static const uint8_t board_seed[32] = { 7 };

/* --- allocations that fail: of ours by the linker's --wrap; jansson's are base/json.c's --- */

static long fails_at = -1; /* this many allocations succeed, then one fails; -1: all succeed */

static bool fails_now(void)
{
	return fails_at >= 0 && fails_at-- == 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t n, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t n, size_t size);
char *__wrap_strdup(const char *text);

void *__wrap_malloc(size_t size)
{
	return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails_now() ? NULL : __real_realloc(old, size);
}

void *__wrap_reallocarray(void *old, size_t n, size_t size)
{
	return fails_now() ? NULL : __real_reallocarray(old, n, size);
}

char *__wrap_strdup(const char *text)
{
	return fails_now() ? NULL : __real_strdup(text);
}

/* --- a mesh and a directory --- */

struct fixture {
	char dir[64], log_path[80];
	uint8_t root[32];
	struct mesh_log *log;
	struct record records[RECORDS]; /* borrowed of the log */
};

/* Node @id whose identity key we have the seed of, so that it can announce itself. */
static struct node board(uint32_t id)
{
	struct node node = maker_node(id, id, NULL);
	uint8_t seed[32];

	memcpy(seed, board_seed, sizeof(seed));
	seed[31] = (uint8_t) id;
	record_public_key(seed, node.identity);
	return node;
}

static json_t *node_json(struct node *node)
{
	json_t *json = node_to_json(node);

	node_done(node);
	return json;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct settings settings = maker_settings();

	assert_non_null(f);
	(void) snprintf(f->dir, sizeof(f->dir), "/tmp/hearth-book.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	(void) snprintf(f->log_path, sizeof(f->log_path), "%s/log", f->dir);
	maker_root_hash(f->root);
	f->log = maker_log();
	maker_append(f->log, RECORD_TYPE_SETTINGS, settings_to_json(&settings));
	settings_done(&settings);
	for (uint32_t id = 1; id <= NODES; id++) {
		struct node node = board(id);

		maker_append(f->log, RECORD_TYPE_NODE, node_json(&node));
	}
	for (size_t i = 0; i < RECORDS; i++)
		f->records[i] = *mesh_log_get(f->log, i + 1);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = { "log", "log.damaged", "presence", "presence.damaged" };
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char path[96];

		(void) snprintf(path, sizeof(path), "%s/%s", f->dir, names[i]);
		(void) remove(path);
	}
	assert_int_equal(rmdir(f->dir), 0); /* and no temporary file was left behind */
	mesh_log_free(f->log);
	free(f);
	return 0;
}

static struct book *open_book(const struct fixture *f)
{
	struct book *book = NULL;
	struct err err = { 0 };

	if (book_open(f->dir, f->root, &book, &err) < 0)
		fail_msg("%s", err.text);
	return book;
}

static void fill(const struct fixture *f)
{
	struct book *book = open_book(f);
	bool changed = false;
	struct err err = { 0 };

	if (book_add_records(book, f->records, RECORDS, &changed, &err) != RECORDS)
		fail_msg("%s", err.text);
	assert_true(changed);
	book_save(book, USEC_PER_SEC);
	assert_int_equal(book_unsaved(book)->code, 0);
	book_close(book);
}

static void read_log(const struct fixture *f, struct buf *ret)
{
	assert_int_equal(file_read(f->log_path, 1 << 20, ret), 0);
}

static void put_log(const struct fixture *f, const char *text, size_t len)
{
	int fd = open(f->log_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0 && write(fd, text, len) == (ssize_t) len);
	close(fd);
}

static bool exists(const struct fixture *f, const char *name)
{
	char path[96];

	(void) snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	return access(path, F_OK) == 0;
}

/* --- the log --- */

static void test_kept(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	struct book *book;

	fill(f);
	assert_int_equal(stat(f->log_path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	book = open_book(f);
	assert_int_equal(mesh_log_head(book_log(book)), RECORDS);
	assert_int_equal(netmap_count(book_netmap(book)), NODES);
	assert_int_equal(book_damage(book)->code, 0);
	assert_int_equal(book_add_records(book, f->records, RECORDS, NULL, NULL), 0); /* known */
	book_close(book);
}

/* Power lost while a line was written, at any byte of the file. */
static void test_torn(void **state)
{
	struct fixture *f = *state;
	CLEANUP_BUF struct buf whole = { 0 };

	fill(f);
	read_log(f, &whole);
	for (size_t len = 0; len < whole.len; len += 61) {
		CLEANUP_BUF struct buf again = { 0 };
		struct book *book;
		size_t lines = 0, head;

		for (size_t i = 0; i < len; i++)
			lines += whole.data[i] == '\n';
		put_log(f, whole.data, len);
		book = open_book(f);
		head = mesh_log_head(book_log(book));
		assert_int_equal(head, lines);
		assert_int_equal(book_damage(book)->code != 0, len && whole.data[len - 1] != '\n');
		/* The coordinator sends what is missing; the file is as if nothing had been. */
		assert_int_equal(
			book_add_records(book, f->records + head, RECORDS - head, NULL, NULL),
			RECORDS - head);
		book_close(book);
		read_log(f, &again);
		assert_int_equal(again.len, whole.len);
		assert_memory_equal(again.data, whole.data, whole.len);
	}
}

/* An empty log instead would let somebody hand the board an older one. */
static void test_unreadable(void **state)
{
	struct fixture *f = *state;
	struct book *book = NULL;
	struct err err = { 0 };

	assert_int_equal(mkdir(f->log_path, 0700), 0); /* as a bad sector: opens, does not read */
	assert_int_equal(book_open(f->dir, f->root, &book, &err), -EISDIR);
	assert_null(book);
	assert_non_null(strstr(err.text, f->log_path));
	assert_non_null(strstr(err.text, "move it away"));
	assert_false(exists(f, "log.damaged"));
}

static void refuse(struct book *book, const struct record *record, int code)
{
	uint64_t head = mesh_log_head(book_log(book));
	struct err err = { 0 };
	bool changed = true;

	assert_int_equal(book_add_records(book, record, 1, &changed, &err), code);
	assert_int_equal(mesh_log_head(book_log(book)), head);
	assert_false(changed);
	assert_true(err.text[0]);
}

static void test_refused(void **state)
{
	struct fixture *f = *state;
	CLEANUP_BUF struct buf before = { 0 }, after = { 0 };
	struct book *book;
	struct node other = board(9);
	struct record forged = f->records[RECORDS - 1], gap, fork, alien;

	fill(f);
	read_log(f, &before);
	book = open_book(f);
	forged.seq++;
	memcpy(forged.prev, mesh_log_head_hash(book_log(book)), sizeof(forged.prev));
	refuse(book, &forged, -EBADMSG); /* the signature was for another place */
	gap = maker_record(RECORDS + 2, mesh_log_head_hash(book_log(book)), RECORD_TYPE_NODE,
		node_json(&other), maker_sign_seed);
	refuse(book, &gap, -ERANGE);
	other = board(9);
	fork = maker_record(RECORDS, f->records[RECORDS - 1].prev, RECORD_TYPE_NODE,
		node_json(&other), maker_sign_seed);
	refuse(book, &fork, -ENOTUNIQ); /* another record of a number it holds */
	other = board(9);
	alien = maker_record(RECORDS + 1, mesh_log_head_hash(book_log(book)), RECORD_TYPE_NODE,
		node_json(&other), board_seed);
	refuse(book, &alien, -EKEYREJECTED);
	assert_int_equal(mesh_log_check_head(book_log(book), 2, f->records[2].prev, NULL), -ESTALE);
	book_close(book);
	record_done(&gap);
	record_done(&fork);
	record_done(&alien);
	read_log(f, &after);
	assert_int_equal(after.len, before.len);
	assert_memory_equal(after.data, before.data, before.len);
}

/* The disk takes the first half of a line and no more; later there is room again. */
static void test_full(void **state)
{
	struct fixture *f = *state;
	struct rlimit limit, small;
	CLEANUP_BUF struct buf whole = { 0 }, now = { 0 };
	struct book *book;

	(void) signal(SIGXFSZ, SIG_IGN);
	fill(f);
	read_log(f, &whole);
	(void) unlink(f->log_path);
	book = open_book(f);
	assert_int_equal(book_add_records(book, f->records, 2, NULL, NULL), 2);
	book_save(book, USEC_PER_SEC);
	read_log(f, &now);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	small = limit;
	small.rlim_cur = now.len + 100;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(book_add_records(book, f->records + 2, RECORDS - 2, NULL, NULL), NODES);
	book_save(book, USEC_PER_SEC);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	/* The mesh works with them all the same, and a person is told. */
	assert_int_equal(netmap_count(book_netmap(book)), NODES);
	assert_non_null(strstr(book_unsaved(book)->text, f->log_path));
	book_save(book, USEC_PER_SEC);
	assert_int_equal(book_unsaved(book)->code, 0);
	now.len = 0;
	read_log(f, &now);
	assert_int_equal(now.len, whole.len);
	assert_memory_equal(now.data, whole.data, whole.len);
	book_close(book);
}

/*
 * A write that takes long: meanwhile there is no second one of the log, records go on coming, and what comes goes out
 * with the next. A file that somebody removed is written again as a whole.
 */
static void test_slow(void **state)
{
	struct fixture *f = *state;
	CLEANUP_BUF struct buf whole = { 0 }, now = { 0 };
	struct book *book;
	struct write *w;

	fill(f);
	read_log(f, &whole);
	(void) unlink(f->log_path);
	book = open_book(f);
	assert_null(book_write_log(book));
	assert_int_equal(book_add_records(book, f->records, 2, NULL, NULL), 2);
	assert_true(book_has_changes(book));
	w = book_write_log(book);
	assert_non_null(w);
	assert_int_equal(w->at, 0);
	assert_null(book_write_log(book));
	assert_true(book_log_is_on_its_way(book));
	assert_int_equal(book_add_records(book, f->records + 2, 1, NULL, NULL), 1);
	assert_false(book_lost_files(book));
	write_run(w);
	assert_false(book_written(book, w)); /* not all of it */
	assert_false(book_log_is_on_its_way(book));
	w = book_write_log(book);
	assert_true(w->at > 0);
	(void) unlink(f->log_path);
	write_run(w);
	assert_int_equal(w->result, -ENOENT);
	assert_false(book_written(book, w));
	assert_int_equal(book_unsaved(book)->code, -ENOENT);
	assert_int_equal(
		book_add_records(book, f->records + 3, RECORDS - 3, NULL, NULL), RECORDS - 3);
	w = book_write_log(book);
	assert_int_equal(w->at, 0);
	write_run(w);
	assert_true(book_written(book, w));
	assert_int_equal(book_unsaved(book)->code, 0);
	assert_false(book_has_changes(book));
	read_log(f, &now);
	assert_int_equal(now.len, whole.len);
	assert_memory_equal(now.data, whole.data, whole.len);
	book_close(book);
}

/* Out of memory at the first, second, ... allocation: nothing stays behind for good. */
static void test_memory(void **state)
{
	struct fixture *f = *state;
	bool failed = true;
	long at = 0;

	for (; failed; at++) {
		struct book *book = open_book(f);
		int r;

		assert_true(at < 100000);
		assert_int_equal(book_add_records(book, f->records, 2, NULL, NULL), 2);
		fails_at = at;
		r = book_add_records(book, f->records + 2, RECORDS - 2, NULL, NULL);
		failed = fails_at < 0;
		fails_at = -1;
		assert_true(r == -ENOMEM || r == RECORDS - 2);
		r = book_add_records(book, f->records, RECORDS, NULL, NULL);
		assert_true(r >= 0);
		assert_int_equal(mesh_log_head(book_log(book)), RECORDS);
		assert_int_equal(netmap_count(book_netmap(book)), NODES);

		book_close(book);
		(void) unlink(f->log_path);
	}
	assert_in_range(at, 100, 100000);
}

/* --- presences --- */

static json_t *presence(uint32_t node, uint32_t signer, uint64_t counter)
{
	struct presence p = { .node = node, .counter = counter, .n_endpoints = 1 };
	uint8_t seed[32];
	json_t *doc;

	memcpy(seed, board_seed, sizeof(seed));
	seed[31] = (uint8_t) signer;
	assert_int_equal(endpoint_parse("192.0.2.7:41741", &p.endpoints[0]), 0);
	assert_int_equal(presence_sign(&p, seed), 0);
	doc = presence_to_json(&p);
	presence_done(&p);
	return doc;
}

static uint64_t heard_us = USEC_PER_SEC;

static int announce(struct book *book, uint32_t node, uint32_t signer, uint64_t counter)
{
	CLEANUP_JSON json_t *doc = presence(node, signer, counter);
	struct book_heard heard = { 0 };
	int r = book_add_presence(book, doc, heard_us, &heard, NULL);

	assert_true(r != 1 || heard.id == node);
	assert_false(heard.ipv6_changed);
	return r;
}

static void test_presences(void **state)
{
	struct fixture *f = *state;
	struct book *book;
	struct node wiped = board(2);
	uint8_t seed[32];

	fill(f);
	book = open_book(f);
	assert_int_equal(announce(book, 2, 3, 5), -EBADMSG);
	assert_int_equal(announce(book, 9, 9, 5), -ENOENT);
	assert_int_equal(announce(book, 2, 2, 5), 1);
	assert_int_equal(announce(book, 2, 2, 5), 0);
	assert_int_equal(announce(book, 2, 2, 4), 0); /* replayed */
	assert_int_equal(announce(book, 3, 3, 1), 1);
	book_close(book);
	book = open_book(f);
	assert_int_equal(book_presence(book, 2)->counter, 5);
	/* Another board takes node 2's place: what the old one said is worth nothing any more. */
	memcpy(seed, board_seed, sizeof(seed));
	seed[31] = 44;
	assert_int_equal(node_revoke_identity(&wiped), 0);
	record_public_key(seed, wiped.identity);
	memset(wiped.wg, 0x44, sizeof(wiped.wg));
	maker_append(f->log, RECORD_TYPE_NODE, node_json(&wiped));
	assert_int_equal(
		book_add_records(book, mesh_log_get(f->log, RECORDS + 1), 1, NULL, NULL), 1);
	assert_null(book_presence(book, 2));
	assert_non_null(book_presence(book, 3));
	assert_int_equal(announce(book, 2, 2, 6), -EBADMSG);
	assert_int_equal(announce(book, 2, 44, 1), 1); /* it counts from 1 */
	book_close(book);
}

static void test_presence_file(void **state)
{
	static const char *const bad[] = { "", "{", "{}", "[1,", "[{},7,null]", "[[[[[]]]]]",
		"[{\"payload\":\"\",\"sig\":\"\"}]" };
	struct fixture *f = *state;
	char path[96];

	fill(f);
	(void) snprintf(path, sizeof(path), "%s/presence", f->dir);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct book *book;

		assert_int_equal(file_write_atomic(path, bad[i], strlen(bad[i]), 0600), 0);
		book = open_book(f);
		assert_int_equal(mesh_log_head(book_log(book)), RECORDS);
		assert_null(book_presence(book, 2));
		assert_int_equal(announce(book, 2, 2, 1), 1);
		book_save(book, USEC_PER_SEC);
		book_close(book);
		book = open_book(f);
		assert_int_equal(book_presence(book, 2)->counter, 1);
		book_close(book);
	}
}

/* A board that announces itself each second for an hour is heard and written seldom, and its last word counts. */
static void test_announced_without_end(void **state)
{
	struct fixture *f = *state;
	struct book *book;
	struct stat st;
	char path[96];
	unsigned heard = 0, written = 0;
	ino_t last = 0;
	uint64_t counter = 0;

	fill(f);
	(void) snprintf(path, sizeof(path), "%s/presence", f->dir);
	book = open_book(f);
	for (unsigned s = 0; s < 3600; s++) {
		heard_us = (1000 + s) * USEC_PER_SEC;
		heard += announce(book, 2, 2, ++counter) == 1;
		if (s % 60 == 0)
			heard += book_take_held_back(book, heard_us);
		book_save(book, heard_us);
		if (stat(path, &st) == 0 && st.st_ino != last) {
			last = st.st_ino;
			written++;
		}
	}
	assert_in_range(heard, 60, 80);
	assert_in_range(written, 5, 9);
	/* Another board is heard at once meanwhile. */
	assert_int_equal(announce(book, 3, 3, 1), 1);
	assert_false(book_presence(book, 2)->counter == counter);
	/* One that waited is not lost, and an older one does not take its place. */
	assert_int_equal(announce(book, 2, 2, counter - 1), 0);
	assert_true(book_take_held_back(book, heard_us + 60 * USEC_PER_SEC));
	assert_int_equal(book_presence(book, 2)->counter, counter);
	assert_false(book_take_held_back(book, heard_us + 120 * USEC_PER_SEC));
	heard_us = USEC_PER_SEC;
	book_close(book);
}

/* A disk that was full for an hour: with space again they are written at the next round. */
static void test_presences_after_full_disk(void **state)
{
	struct fixture *f = *state;
	struct book *book;
	struct write *w;

	fill(f);
	book = open_book(f);
	assert_int_equal(announce(book, 2, 2, 5), 1);
	for (uint64_t s = 1; s <= 3600; s++) {
		w = book_write_presences(book, s * USEC_PER_SEC);
		assert_non_null(w);
		w->result = -ENOSPC;
		assert_false(book_written(book, w));
		assert_int_equal(book_unsaved(book)->code, -ENOSPC);
	}
	w = book_write_presences(book, 3601 * USEC_PER_SEC);
	assert_non_null(w);
	write_run(w);
	(void) book_written(book, w);
	assert_int_equal(book_unsaved(book)->code, 0);
	book_close(book);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_torn, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_unreadable, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_full, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_slow, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_memory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_presences, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_presence_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_announced_without_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_presences_after_full_disk, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
