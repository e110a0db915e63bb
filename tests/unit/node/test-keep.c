/*
 * keep: what is written when, what is said of a disk that does not take it, and who is told that it
 * is there. What the files say is test-node-files' and the book's own business.
 */
#include "fake-core.h"
#include "fake-disk.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "node/keep.h"

static struct core *core;
static struct keep *keep;
static char dir[64];

/* --- instead of board/book: a log of so many records --- */

static struct {
	unsigned records, saved, going; /* there are; are on the disk; on their way, 0: none */
	bool presences;                 /* there are new ones */
	uint64_t now_us;                /* they were asked for last */
	struct write *presence_write;
	bool lost;
} b;

static struct write *new_write(const char *name, bool is_due)
{
	char path[PATH_TEXT_MAX];
	struct write *w = NULL;

	if (is_due) {
		w = write_new(paths_join(dir, name, path), 0600);
		assert_non_null(w);
	}
	return w;
}

struct write *book_write_log(struct book *book)
{
	struct write *w = new_write("log", !b.going && b.records != b.saved);

	if (w)
		b.going = b.records;
	return w;
}

struct write *book_write_presences(struct book *book, uint64_t now_us)
{
	b.now_us = now_us;
	b.presence_write = new_write("presence", b.presences && !b.presence_write);
	if (b.presence_write)
		b.presences = false;
	return b.presence_write;
}

bool book_written(struct book *book, struct write *w)
{
	bool is_log = w != b.presence_write;

	fake_core_unsaved = (struct err){ 0 };
	if (w->result < 0)
		err_set(&fake_core_unsaved, w->result, "write %s: %s", w->path,
			strerror(-w->result));
	if (is_log && w->result == 0)
		b.saved = b.going;
	if (is_log)
		b.going = 0;
	else
		b.presence_write = NULL;
	write_free(w);
	return is_log && b.saved == b.records;
}

bool book_lost_files(struct book *book)
{
	return b.lost;
}

/* --- its hooks --- */

static struct {
	unsigned log_saved, log_failed, state;
} settled;

static void log_settled(void *ctx, bool saved)
{
	assert_ptr_equal(ctx, &settled);
	if (saved)
		settled.log_saved++;
	else
		settled.log_failed++;
}

static void state_settled(void *ctx)
{
	assert_ptr_equal(ctx, &settled);
	settled.state++;
}

static const struct keep_hooks hooks = { .log_settled = log_settled,
	.state_settled = state_settled };

/* --- a disk --- */

static const char *in_dir(const char *name)
{
	static char path[PATH_TEXT_MAX];

	return paths_join(dir, name, path);
}

static void put(const char *name, const char *text)
{
	assert_int_equal(file_write_atomic(in_dir(name), text, strlen(text), 0600), 0);
}

/* The oldest write is of this file, and says @words. */
static void assert_next(const char *name, const char *words)
{
	const struct write *w = fake_disk_next();

	assert_string_equal(w->path, in_dir(name));
	if (!strstr(buf_str(&w->text), words))
		fail_msg("%s: \"%s\" does not say \"%s\"", name, buf_str(&w->text), words);
}

/* Of this file, and it succeeds. */
static void written(const char *name)
{
	assert_next(name, "");
	fake_disk_end(0);
}

static void load(void)
{
	assert_int_equal(keep_load(keep), 0);
}

static int set_up(void **state)
{
	core = fake_core_new();
	fake_disk_reset();
	memset(&b, 0, sizeof(b));
	memset(&settled, 0, sizeof(settled));
	(void) strcpy(dir, "/tmp/hearth-keep.XXXXXX");
	assert_non_null(mkdtemp(dir));
	(void) snprintf(core->paths.state, sizeof(core->paths.state), "%s", dir);
	core->book = (struct book *) &b; /* only handed on */
	memset(core->identity_seed, 1, sizeof(core->identity_seed));
	memset(core->wg_private, 2, sizeof(core->wg_private));
	keep = keep_new(core, &hooks, &settled);
	assert_non_null(keep);
	return 0;
}

static int tear_down(void **state)
{
	static const char *const left[] = { "state.json", "endpoints.json", "log", "presence",
		"identity.key", "wireguard.key", "" };

	disk_drain(NULL);
	keep = keep_free(keep);
	core->book = NULL;
	core = fake_core_free(core);
	for (size_t i = 0; i < ARRAY_LEN(left); i++)
		(void) remove(in_dir(left[i]));
	assert_int_equal(access(dir, F_OK), -1);
	return 0;
}

/* --- the state --- */

static void test_load(void **state)
{
	load();
	assert_int_equal(keep_state(keep)->counter, 0);
	fake_core_wrong(core, "files", NULL);
	keep = keep_free(keep);
	keep = keep_new(core, &hooks, &settled);
	put("state.json", "{\"counter\":9,\"port\":41742}");
	put("endpoints.json", "{\"3\":\"203.0.113.7:20188\"}");
	load();
	assert_int_equal(keep_state(keep)->counter, 9);
	assert_int_equal(keep_state(keep)->port, 41742);
	assert_true(seen_get(keep_seen(keep), 3, &(struct endpoint){ 0 }));
	fake_core_wrong(core, "files", NULL);
}

static void test_damaged(void **state)
{
	put("state.json", "{\"counter\":9,");
	load();
	assert_int_equal(keep_state(keep)->counter, 0);
	fake_core_wrong(core, "files", "state.json is damaged and begun anew");
}

/* One write at a time, and the newest of what changed meanwhile is written after it. */
static void test_state(void **state)
{
	load();
	keep_state(keep)->port = 1;
	keep_save_state(keep);
	assert_int_equal(fake_disk_waiting(), 1);
	assert_next("state.json", "\"port\":1,");
	keep_state(keep)->port = 2;
	keep_save_state(keep);
	keep_state(keep)->port = 3;
	keep_save_state(keep);
	assert_int_equal(fake_disk_waiting(), 1);
	fake_disk_end(0);
	assert_int_equal(settled.state, 1);
	assert_int_equal(fake_disk_waiting(), 1);
	assert_next("state.json", "\"port\":3,");
	fake_disk_end(0);
	assert_int_equal(settled.state, 2);
	assert_int_equal(fake_disk_waiting(), 0);
	keep_save_state(keep); /* nothing new */
	assert_int_equal(fake_disk_waiting(), 0);
	fake_core_wrong(core, "state", NULL);
}

/* hearthd goes on without, and tries again with its next round, not at once. */
static void test_state_cannot_be_written(void **state)
{
	load();
	keep_save_state(keep);
	fake_disk_end(-ENOSPC);
	assert_int_equal(settled.state, 1);
	fake_core_wrong(core, "state", "state.json: No space left on device");
	assert_int_equal(fake_disk_waiting(), 0);
	keep_save_state(keep);
	assert_int_equal(fake_disk_waiting(), 1);
	fake_disk_end(0);
	fake_core_wrong(core, "state", NULL);
	assert_int_equal(settled.state, 2);
}

/* --- numbers of presences --- */

static void test_number_is_reserved_first(void **state)
{
	uint64_t last = 0;

	load();
	assert_false(keep_take_number(keep, 0, &last));
	assert_int_equal(last, 0);
	assert_next("state.json", "\"counter\":64");
	assert_false(keep_take_number(keep, 0, &last)); /* it is not on the disk yet */
	fake_disk_end(0);
	assert_int_equal(settled.state, 1);
	assert_true(keep_take_number(keep, 0, &last));
	assert_int_equal(last, 1);
	assert_true(keep_take_number(keep, 63, &last));
	assert_int_equal(last, 64);
	assert_int_equal(fake_disk_waiting(), 0);
	assert_false(keep_take_number(keep, 0, &last));
	assert_next("state.json", "\"counter\":128");
}

/* A full disk does not keep a board out of the mesh. */
static void test_number_without_a_disk(void **state)
{
	uint64_t last = 0;

	load();
	assert_false(keep_take_number(keep, 0, &last));
	fake_disk_end(-ENOSPC);
	assert_int_equal(settled.state, 1);
	assert_true(keep_take_number(keep, 0, &last));
	assert_int_equal(last, 1);
}

static void test_number_is_settled(void **state)
{
	uint64_t last = 0;

	load();
	(void) keep_take_number(keep, 0, &last);
	fake_disk_end(0);
	assert_true(keep_take_number(keep, 0, &last));
	keep_settle_number(keep, last);
	assert_next("state.json", "\"counter\":1,");
	fake_disk_end(0);
	keep_state(keep)->port = 1; /* what is new, but not of it, waits for somebody who saves */
	keep_settle_number(keep, last);
	assert_int_equal(fake_disk_waiting(), 0);
}

/* --- the book --- */

static void test_log(void **state)
{
	keep_log(keep);
	assert_int_equal(fake_disk_waiting(), 0);
	b.records = 3;
	keep_log(keep);
	keep_log(keep);
	assert_int_equal(fake_disk_waiting(), 1);
	assert_int_equal(settled.log_saved, 0);
	written("log");
	assert_int_equal(settled.log_saved, 1);
	assert_int_equal(settled.log_failed, 0);
	assert_int_equal(fake_disk_waiting(), 0);
	fake_core_wrong(core, "disk", NULL);
}

/* Those that came meanwhile are written, and then all is settled. */
static void test_newer_records(void **state)
{
	b.records = 3;
	keep_log(keep);
	b.records = 4;
	written("log");
	assert_int_equal(settled.log_saved + settled.log_failed, 0);
	assert_int_equal(fake_disk_waiting(), 1);
	written("log");
	assert_int_equal(settled.log_saved, 1);
	assert_int_equal(settled.log_failed, 0);
}

/* Tried again with the next round: without a pause it would be tried without end. */
static void test_log_cannot_be_written(void **state)
{
	b.records = 3;
	keep_log(keep);
	fake_disk_end(-ENOSPC);
	fake_core_wrong(core, "disk", "log: No space left on device");
	assert_int_equal(settled.log_failed, 1);
	assert_int_equal(settled.log_saved, 0);
	assert_int_equal(fake_disk_waiting(), 0);
	keep_log(keep);
	written("log");
	fake_core_wrong(core, "disk", NULL);
	assert_int_equal(settled.log_saved, 1);
}

/* The log first: what is in it says whose presences they are. */
static void test_book(void **state)
{
	b.records = 3;
	b.presences = true;
	keep_book(keep, 12345);
	assert_int_equal(b.now_us, 12345);
	assert_int_equal(fake_disk_waiting(), 2);
	written("log");
	assert_int_equal(settled.log_saved, 1);
	written("presence");
	assert_int_equal(settled.log_saved + settled.log_failed, 1);
	b.presences = true;
	keep_book(keep, 12346);
	assert_int_equal(fake_disk_waiting(), 1);
	fake_disk_end(-EROFS);
	fake_core_wrong(core, "disk", "presence: Read-only file system");
	keep_book(keep, 12347);
	assert_int_equal(fake_disk_waiting(), 0);
	b.presences = true;
	keep_book(keep, 12348);
	written("presence");
	fake_core_wrong(core, "disk", NULL);
}

/* --- where peers answered --- */

static void test_seen(void **state)
{
	struct endpoint endpoint;

	load();
	keep_save_seen(keep, clock_now_us());
	assert_int_equal(fake_disk_waiting(), 0);
	assert_int_equal(endpoint_parse("203.0.113.7:20188", &endpoint), 0);
	seen_note(keep_seen(keep), 3, &endpoint);
	seen_note(keep_seen(keep), 9, &endpoint); /* no node of the mesh */
	keep_save_seen(keep, UINT64_MAX);
	assert_next("endpoints.json", "{\"3\":\"203.0.113.7:20188\"}");
	fake_disk_end(-ENOSPC);
	keep_save_seen(keep, UINT64_MAX); /* once more */
	written("endpoints.json");
	keep_save_seen(keep, UINT64_MAX);
	assert_int_equal(fake_disk_waiting(), 0);
}

/* --- what somebody removed --- */

static void test_removed_keys(void **state)
{
	load();
	keep_look(keep);
	assert_int_equal(fake_disk_waiting(), 2);
	assert_true(fake_disk_restores());
	assert_next("identity.key", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n");
	fake_disk_end(0);
	assert_true(fake_disk_restores());
	assert_next("wireguard.key", "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=\n");
	fake_disk_end(0);
	keep_look(keep);
	assert_int_equal(fake_disk_waiting(), 0);
	assert_int_equal(remove(in_dir("wireguard.key")), 0);
	keep_look(keep);
	assert_int_equal(fake_disk_waiting(), 1);
	assert_next("wireguard.key", "");
}

/* The next round saves the state anyway: it must only know that it is not there. */
static void test_removed_state(void **state)
{
	put("identity.key", "");
	put("wireguard.key", "");
	load();
	keep_save_state(keep);
	keep_look(keep); /* it was never there, and is on its way */
	fake_disk_end(0);
	keep_look(keep);
	keep_save_state(keep);
	assert_int_equal(fake_disk_waiting(), 0);
	assert_int_equal(remove(in_dir("state.json")), 0);
	keep_save_state(keep);
	assert_int_equal(fake_disk_waiting(), 0);
	keep_look(keep);
	keep_save_state(keep);
	assert_int_equal(fake_disk_waiting(), 1);
	keep_look(keep);
	fake_disk_end(0);
	assert_int_equal(fake_disk_waiting(), 0);
	assert_int_equal(access(in_dir("state.json"), F_OK), 0);
}

static void test_removed_log(void **state)
{
	load();
	keep_look(keep);
	assert_int_equal(fake_core_logged("files of the log"), 0);
	b.lost = true;
	keep_look(keep);
	assert_int_equal(fake_core_logged("were removed by another program; written again"), 1);
}

/* --- the end --- */

static void test_all(void **state)
{
	struct endpoint endpoint;

	load();
	assert_int_equal(endpoint_parse("203.0.113.7:20188", &endpoint), 0);
	seen_note(keep_seen(keep), 3, &endpoint);
	b.records = 3;
	b.presences = true;
	keep_state(keep)->port = 7;
	keep_all(keep);
	assert_int_equal(fake_disk_waiting(), 0);
	assert_int_equal(b.saved, 3);
	assert_false(b.presences);
	assert_int_equal(b.now_us, UINT64_MAX);
	assert_int_equal(access(in_dir("state.json"), F_OK), 0);
	assert_int_equal(access(in_dir("endpoints.json"), F_OK), 0);
	assert_int_equal(settled.state, 1);
	assert_int_equal(settled.log_saved, 1);
}

/* The book could not be opened: it says nothing of what is there. */
static void test_all_without_a_book(void **state)
{
	core->book = NULL;
	b.records = 3;
	load();
	keep_all(keep);
	assert_int_equal(b.saved, 0);
}

/* A start that fails early, as with another hearthd at work there, changes nothing. */
static void test_all_of_nothing(void **state)
{
	put("state.json", "{\"counter\":9}");
	b.records = 3;
	keep_all(keep);
	assert_int_equal(fake_disk_waiting() + settled.state + settled.log_saved, 0);
	fake_core_wrong(core, "state", NULL);
	load();
	assert_int_equal(keep_state(keep)->counter, 9);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(load),
		TEST(damaged),
		TEST(state),
		TEST(state_cannot_be_written),
		TEST(number_is_reserved_first),
		TEST(number_without_a_disk),
		TEST(number_is_settled),
		TEST(log),
		TEST(newer_records),
		TEST(log_cannot_be_written),
		TEST(book),
		TEST(seen),
		TEST(removed_keys),
		TEST(removed_state),
		TEST(removed_log),
		TEST(all),
		TEST(all_without_a_book),
		TEST(all_of_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
