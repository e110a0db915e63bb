/* main: which verb is run, and what is said of one that is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/guard.h"
#include "base/usage.h"
#include "coordinator/init.h"
#include "coordinator/serve.h"

int coord_main(int argc, char **argv); /* main() of the program */

static char ran[64];

static int run_verb(int argc, char **argv)
{
	(void) snprintf(ran, sizeof(ran), "%s %d", argv[0], argc);
	return 42;
}

int init_run(int argc, char **argv)
{
	return run_verb(argc, argv);
}

int serve_run(int argc, char **argv)
{
	return run_verb(argc, argv);
}

bool guard_memory(bool keeps_rights)
{
	assert_false(keeps_rights);
	return true;
}

/* What is said, to stdout and stderr. */
static char said[2][8192];

static int run(const char *a, const char *b)
{
	char *argv[] = { (char *) (uintptr_t) "hearth-coord", (char *) (uintptr_t) a,
		(char *) (uintptr_t) b, NULL };
	FILE *files[2] = { tmpfile(), tmpfile() };
	int kept[2] = { dup(1), dup(2) }, argc = 1, r;

	while (argv[argc])
		argc++;
	(void) fflush(NULL);
	for (int i = 0; i < 2; i++)
		assert_true(dup2(fileno(files[i]), i + 1) >= 0);
	ran[0] = '\0';
	r = coord_main(argc, argv);
	(void) fflush(NULL);
	for (int i = 0; i < 2; i++) {
		size_t n;

		(void) dup2(kept[i], i + 1);
		(void) close(kept[i]);
		rewind(files[i]);
		n = fread(said[i], 1, sizeof(said[i]) - 1, files[i]);
		said[i][n] = '\0';
		(void) fclose(files[i]);
	}
	return r;
}

static void test_verbs(void **state)
{
	assert_int_equal(run("serve", "--user=x"), 42);
	assert_string_equal(ran, "serve 2");
	assert_int_equal(run("init", NULL), 42);
	assert_string_equal(ran, "init 1");
}

static void test_help(void **state)
{
	static const char *const ways[] = { "--help", "-h", "help" };

	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		assert_int_equal(run(ways[i], NULL), 0);
		assert_non_null(strstr(said[0], "serve    run the coordinator"));
		assert_string_equal(said[1], "");
	}
	assert_int_equal(run("--version", NULL), 0);
	assert_string_equal(said[0], "hearth-coord " HEARTH_VERSION "\n");
	assert_int_equal(run("init", "--version"), 0); /* wherever it stands */
	assert_string_equal(ran, "");
	assert_int_equal(run(NULL, NULL), USAGE_STATUS);
	assert_non_null(strstr(said[1], "usage: hearth-coord VERB"));
}

static void test_no_verb(void **state)
{
	assert_int_equal(run("srve", NULL), USAGE_STATUS);
	assert_non_null(strstr(said[1], "did you mean \"serve\"?"));
	assert_null(strstr(said[1], "usage"));
	assert_int_equal(run("zzzzzzzz", NULL), USAGE_STATUS);
	assert_non_null(strstr(said[1], "there is no verb \"zzzzzzzz\"; see hearth-coord --help"));
	assert_string_equal(ran, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verbs),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_no_verb),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
