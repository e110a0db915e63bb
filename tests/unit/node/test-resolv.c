/* resolv: when hearth-helper is asked to look at name servers, and what is said of its answer. */
#include "fake-core.h"
#include "fake-helper.h"

#include <sys/stat.h>

#include "node/resolv.h"

static const char ours[] = "/etc/hearth/kubeadm/resolv.conf"; /* what kubelet gives to pods */
static const char uplinks[] = "/run/systemd/resolve/resolv.conf";
static const char boards[] = "/etc/resolv.conf";

static struct core *core;
static struct resolv *resolv;

/* --- instead of a file system; tests are linked so --- */

int __wrap_stat(const char *path, struct stat *ret);

static struct {
	const char *path;
	struct stat st; /* without a number: there is none */
} files[] = { { ours, { 0 } }, { uplinks, { 0 } }, { boards, { 0 } } };

int __wrap_stat(const char *path, struct stat *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		if (strcmp(path, files[i].path) != 0 || !files[i].st.st_ino)
			continue;
		*ret = files[i].st;
		return 0;
	}
	errno = ENOENT;
	return -1;
}

static struct stat *file(const char *path)
{
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		if (!strcmp(path, files[i].path))
			return &files[i].st;
	return NULL;
}

/* --- */

static int set_up(void **state)
{
	core = fake_core_new();
	fake_helper_reset();
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		files[i].st = (struct stat){ .st_ino = 1 + i, .st_size = 10 };
	resolv = resolv_new(core);
	assert_non_null(resolv);
	return 0;
}

static int tear_down(void **state)
{
	resolv = resolv_free(resolv);
	core = fake_core_free(core);
	assert_int_equal(fake_helper_waiting(), 0); /* nobody would hear the answer */
	return 0;
}

/* Looks; whether the helper was asked, and answered @servers. */
static bool asks(const char *servers)
{
	size_t before = fake_helper_calls();

	resolv_look(resolv);
	if (fake_helper_calls() == before)
		return false;
	assert_string_equal(fake_helper_call(), "resolv.follow");
	fake_helper_answer(servers ? json_pack("{s:s}", "servers", servers) : NULL);
	return true;
}

static void test_changes(void **state)
{
	assert_true(asks(NULL)); /* nobody knows what was before the start */
	assert_false(asks(NULL));
	file(uplinks)->st_mtim.tv_nsec = 5;
	assert_true(asks(NULL));
	assert_false(asks(NULL));
	file(uplinks)->st_size = 11;
	assert_true(asks(NULL));
	file(boards)->st_ino = 9;
	assert_true(asks(NULL));
	assert_false(asks(NULL));
	file(boards)->st_ino = 0; /* gone */
	assert_true(asks(NULL));
	assert_false(asks(NULL));
	file(ours)->st_size = 99; /* the helper writes that one */
	assert_false(asks(NULL));
}

/* No file of pods, nothing to follow: a board without Kubernetes. */
static void test_no_pods(void **state)
{
	file(ours)->st_ino = 0;
	assert_false(asks(NULL));
	file(ours)->st_ino = 1;
	resolv_look(resolv);
	fake_helper_fail(-EIO, "the disk is gone");
	fake_core_wrong(core, "resolv", "the disk is gone");
	file(ours)->st_ino = 0; /* it left the cluster */
	resolv_look(resolv);
	fake_core_wrong(core, "resolv", NULL);
}

static void test_said(void **state)
{
	assert_true(asks(NULL));
	file(boards)->st_size++;
	assert_true(asks(""));
	assert_int_equal(fake_core_logged("new pods ask"), 0);
	file(boards)->st_size++;
	assert_true(asks("192.0.2.1"));
	assert_int_equal(fake_core_logged("new pods ask the name server 192.0.2.1 now"), 1);
	file(boards)->st_size++;
	assert_true(asks("192.0.2.1, 192.0.2.2"));
	assert_int_equal(fake_core_logged("the name servers 192.0.2.1, 192.0.2.2 now"), 1);
}

static void test_under_way(void **state)
{
	resolv_look(resolv);
	file(boards)->st_size++;
	resolv_look(resolv);
	resolv_retry(resolv);
	assert_int_equal(fake_helper_calls(), 1);
	fake_helper_answer(NULL);
	assert_true(asks(NULL)); /* what changed meanwhile */
	file(boards)->st_size++;
	resolv_look(resolv); /* and is under way at the end */
}

static void test_failed(void **state)
{
	fake_helper_refuses = -ENOENT;
	resolv_look(resolv);
	fake_core_wrong(core, "resolv", "No such file");
	assert_int_equal(fake_helper_calls(), 1);
	fake_event_pass(5 * USEC_PER_SEC - 1);
	file(boards)->st_size++;
	resolv_look(resolv); /* by that pause alone */
	resolv_retry(resolv);
	assert_int_equal(fake_helper_calls(), 1);
	fake_event_pass(1);
	resolv_retry(resolv);
	assert_int_equal(fake_helper_calls(), 2);
	resolv_hurry(resolv);
	fake_helper_refuses = 0;
	resolv_retry(resolv);
	fake_core_wrong(core, "resolv", "No such file"); /* until it has worked */
	fake_helper_answer(NULL);
	fake_core_wrong(core, "resolv", NULL);
	resolv_retry(resolv); /* nothing failed any more */
	assert_int_equal(fake_helper_calls(), 3);
	assert_false(asks(NULL));
	file(boards)->st_size++;
	resolv_look(resolv);
	fake_helper_fail(-EIO, "no");
	fake_event_pass(5 * USEC_PER_SEC); /* from the beginning */
	resolv_retry(resolv);
	assert_int_equal(fake_helper_calls(), 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_changes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_pods, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_said, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_under_way, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_failed, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
