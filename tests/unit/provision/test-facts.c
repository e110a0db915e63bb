/* facts: boards are recognised from the files they show, and from recorded facts. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "provision/facts.h"

static void test_boards(void **state)
{
	static const struct {
		const char *dir, *machine, *model, *board, *arch, *storage;
		unsigned cores;
		uint64_t kib;
	} boards[] = {
		{ "pi3", "aarch64", "Raspberry Pi 3 Model B Rev 1.2", "pi3", "arm64", "sd", 4,
			929224 },
		{ "pi4-4g", "aarch64", "Raspberry Pi 4 Model B Rev 1.2", "pi4-4g", "arm64", "sd", 4,
			3880116 },
		{ "pi4-8g", "aarch64", "Raspberry Pi 4 Model B Rev 1.4", "pi4-8g", "arm64", "ssd",
			4, 7997748 },
		{ "n100", "x86_64", "ACEMAGIC, Intel(R) N100", "n100", "amd64", "nvme", 4,
			16119884 },
		{ "nowhere", "riscv64", "", "generic-riscv64", "riscv64", "", 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(boards); i++) {
		char root[4096];
		struct facts f;

		(void) snprintf(root, sizeof(root), "%s/unit/provision/boards/%s", TEST_SOURCE_DIR,
			boards[i].dir);
		facts_read(root, boards[i].machine, &f);
		assert_string_equal(f.model, boards[i].model);
		assert_string_equal(f.board, boards[i].board);
		assert_string_equal(f.arch, boards[i].arch);
		assert_string_equal(f.storage, boards[i].storage);
		assert_int_equal(f.cores, boards[i].cores);
		assert_int_equal(f.memory_bytes, boards[i].kib * 1024);

		/* Written down and read again: the same board. */
		CLEANUP_JSON json_t *json = facts_to_json(&f);
		struct facts back;
		struct err e = { 0 };

		if (facts_from_json(json, &back, &e) < 0)
			fail_msg("%s", e.text);
		assert_memory_equal(&back, &f, sizeof(f));
	}
}

static int proc_of_liars(void *ctx, const char *path, struct buf *ret)
{
	if (!strcmp(path, "/proc/meminfo"))
		buf_add_str(ret, "MemTotal:       18446744073709551615 kB\n");
	for (int i = 0; !strcmp(path, "/proc/cpuinfo") && i < 5000; i++)
		buf_add_str(ret, "processor\t: 0\n");
	if (!strcmp(path, "/proc/device-tree/model"))
		buf_add_str(ret, "\x1b[31mPi\n");
	return 0;
}

/* What no machine has is cut or left out, so that it can be recorded and read again. */
static void test_absurd(void **state)
{
	struct facts f, back;
	struct err e = { 0 };

	facts_read_from(proc_of_liars, NULL, "x86_64", &f);
	assert_int_equal(f.memory_bytes, 0);
	assert_int_equal(f.cores, 4096);
	assert_string_equal(f.model, "?[31mPi");
	CLEANUP_JSON json_t *json = facts_to_json(&f);

	assert_int_equal(facts_from_json(json, &back, &e), 0);
	assert_memory_equal(&back, &f, sizeof(f));
}

static void test_recorded(void **state)
{
	static const struct {
		const char *json, *why;
	} bad[] = {
		{ "[]", "object" },
		{ "{\"model\":1}", "model" },
		{ "{\"memory\":-1}", "memory" },
		{ "{\"memory\":\"1G\"}", "memory" },
		{ "{\"cores\":4097}", "cores" },
		{ "{\"storage\":\"floppy\"}", "storage" },
		{ "{\"colour\":\"green\"}", "colour" },
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = { 0 };
		struct facts f;
		CLEANUP_JSON json_t *json = json_parse(bad[i].json, strlen(bad[i].json), &e);

		assert_int_equal(facts_from_json(json, &f, &e), -EINVAL);
		assert_non_null(strstr(e.text, bad[i].why));
	}
	/* Control bytes never reach the terminal. */
	static const char dirty[] = "{\"model\":\"a\\u001b[2Jb\\nc\",\"cores\":2}";
	struct err e = { 0 };
	struct facts f;
	CLEANUP_JSON json_t *json = json_parse(dirty, strlen(dirty), &e);

	assert_int_equal(facts_from_json(json, &f, &e), 0);
	assert_string_equal(f.model, "a?[2Jb");
	assert_string_equal(f.board, "generic");
}

static void test_source(void **state)
{
	char dir[] = "/tmp/hearth-facts-XXXXXX", path[64];
	struct facts f;
	struct err e = { 0 };

	assert_non_null(mkdtemp(dir));
	unsetenv("HEARTH_FACTS");
	assert_int_equal(facts_get(dir, &f, &e), 0); /* this machine, whatever it is */
	assert_true(f.cores > 0 && f.memory_bytes > 0);
	(void) snprintf(path, sizeof(path), "%s/facts.json", dir);
	CLEANUP_JSON json_t *json = json_pack(
		"{s:s, s:i}", "model", "Raspberry Pi 5 Model B Rev 1.0", "memory", 2000000000);

	assert_true(json_write_file(path, json, 0644) >= 0);
	assert_int_equal(facts_get(dir, &f, &e), 0);
	assert_string_equal(f.board, "pi5-2g");
	setenv("HEARTH_FACTS", "/nonexistent/facts", 1);
	assert_int_equal(facts_get(dir, &f, &e), -ENOENT);
	assert_non_null(strstr(e.text, "/nonexistent/facts"));
	unsetenv("HEARTH_FACTS");
	unlink(path);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_boards),
		cmocka_unit_test(test_absurd),
		cmocka_unit_test(test_recorded),
		cmocka_unit_test(test_source),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
