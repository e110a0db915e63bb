/* trust: what root believes of a log that somebody else wrote, and never less than before. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "board/trust.h"
#include "mesh-maker.h"

#define HASH "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="

static char top[] = "/tmp/hearth-trust.XXXXXX";
static struct paths paths;
static uint8_t root[32];
static const char *path_of(const char *name, char ret[static PATH_TEXT_MAX])
{
	return paths_join(top, name, ret);
}

static struct mesh_log *log_of(int nodes)
{
	struct mesh_log *log = maker_log();
	CLEANUP_SETTINGS struct settings settings = maker_settings();

	maker_append(log, "settings", settings_to_json(&settings));
	for (int i = 1; i <= nodes; i++) {
		char name[NODE_NAME_MAX];

		(void) snprintf(name, sizeof(name), "n%d", i);
		CLEANUP_NODE struct node node = maker_node((uint32_t) i, (uint32_t) i, name);

		maker_append(log, "node", node_to_json(&node));
	}
	return log;
}

static void put_log(const struct mesh_log *log)
{
	CLEANUP_BUF struct buf text = { 0 };
	char path[PATH_TEXT_MAX];

	assert_int_equal(mesh_log_save(log, 1, &text), 0);
	assert_int_equal(
		file_write_atomic(path_of("state/log", path), text.data, text.len, 0600), 0);
}

static int believe(bool keep, size_t *ret_nodes, struct err *err)
{
	CLEANUP_TRUST struct trust *trust = NULL;
	int r = trust_open(&paths, root, keep, &trust, err);

	*ret_nodes = r ? 0 : netmap_count(trust_netmap(trust));
	return r;
}

static int set_up(void **state)
{
	char path[PATH_TEXT_MAX];

	strcpy(top, "/tmp/hearth-trust.XXXXXX");
	if (!mkdtemp(top) || mkdir(path_of("etc", path), 0755) < 0 ||
		mkdir(path_of("state", path), 0700) < 0)
		return -1;
	(void) snprintf(paths.etc, sizeof(paths.etc), "%s/etc", top);
	(void) snprintf(paths.state, sizeof(paths.state), "%s/state", top);
	maker_root_hash(root);
	return 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = { "state/log", "etc/trust.json", "state", "etc", "" };
	char path[PATH_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		(void) remove(path_of(names[i], path));
	return 0;
}

static void test_grows(void **state)
{
	CLEANUP_MESH_LOG struct mesh_log *two = log_of(2), *three = log_of(3);
	struct err err = { 0 };
	size_t nodes;

	/* Nothing is there yet: nothing is believed, and nothing written. */
	assert_int_equal(believe(true, &nodes, &err), 0);
	assert_int_equal(nodes, 0);
	put_log(three);
	assert_int_equal(believe(false, &nodes, &err), 0);
	assert_int_equal(nodes, 3);
	put_log(two);
	assert_int_equal(believe(true, &nodes, &err), 0); /* the dry run kept nothing */
	assert_int_equal(nodes, 2);
	put_log(three);
	assert_int_equal(believe(true, &nodes, &err), 0);
	put_log(two);
	assert_int_equal(believe(false, &nodes, &err), -ESTALE);
	assert_non_null(strstr(err.text, "up to record 4"));
	assert_non_null(strstr(err.text, "has believed 5 records"));
	char path[PATH_TEXT_MAX];

	assert_int_equal(unlink(path_of("state/log", path)), 0);
	assert_int_equal(believe(true, &nodes, &err), -ESTALE);
	put_log(three);
	assert_int_equal(believe(true, &nodes, &err), 0);
	/* In another mesh the board begins anew. */
	root[0] ^= 1;
	assert_int_equal(believe(true, &nodes, &err), 0);
	assert_int_equal(nodes, 0);
}

static void test_other_branch(void **state)
{
	CLEANUP_MESH_LOG struct mesh_log *log = log_of(2), *fork = log_of(1);
	CLEANUP_NODE struct node other = maker_node(7, 7, "other");
	struct err err = { 0 };
	size_t nodes;

	put_log(log);
	assert_int_equal(believe(true, &nodes, &err), 0);
	maker_append(fork, "node", node_to_json(&other));
	put_log(fork);
	assert_int_equal(believe(true, &nodes, &err), -ENOTUNIQ);
	other = maker_node(8, 8, "more");
	maker_append(fork, "node", node_to_json(&other));
	put_log(fork);
	assert_int_equal(believe(true, &nodes, &err), -ENOTUNIQ);
}

static void test_cluster(void **state)
{
	CLEANUP_MESH_LOG struct mesh_log *two = log_of(2), *three = log_of(3);
	CLEANUP_TRUST struct trust *early = NULL, *late = NULL, *again = NULL;
	struct err err = { 0 };

	put_log(two);
	assert_int_equal(trust_open(&paths, root, true, &early, &err), 0);
	assert_int_equal(trust_cluster(early), 0);
	put_log(three);
	assert_int_equal(trust_open(&paths, root, true, &late, &err), 0);
	/* Neither takes back what the other wrote. */
	assert_int_equal(trust_keep_cluster(early, 1000, &err), 0);
	assert_int_equal(trust_keep_cluster(late, 900, &err), 0);
	assert_int_equal(trust_keep_cluster(late, 800, &err), 0);
	assert_int_equal(trust_open(&paths, root, false, &again, &err), 0);
	assert_int_equal(trust_cluster(again), 1000);
	put_log(two);
	size_t nodes;

	assert_int_equal(believe(false, &nodes, &err), -ESTALE);
}

static void test_strange_files(void **state)
{
	static const char *const texts[] = { "", "{", "[]", "{}", "{\"root\":7}",
		"{\"root\":\"" HASH "\",\"seq\":-1,\"hash\":\"" HASH "\",\"cluster\":0}" };
	CLEANUP_MESH_LOG struct mesh_log *log = log_of(1);
	char path[PATH_TEXT_MAX], own[PATH_TEXT_MAX];
	struct err err = { 0 };
	size_t nodes;

	put_log(log);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		assert_int_equal(file_write_atomic(path_of("etc/trust.json", path), texts[i],
					 strlen(texts[i]), 0644),
			0);
		if (believe(true, &nodes, &err) != -EBADMSG || !strstr(err.text, "trust.json"))
			fail_msg("%s: %s", texts[i], err.text);
	}
	assert_int_equal(unlink(path), 0);
	path_of("state/log", path);
	path_of("state/other", own);
	assert_int_equal(rename(path, own), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(believe(true, &nodes, &err), -EMEDIUMTYPE);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("other", path), 0);
	assert_int_equal(believe(true, &nodes, &err), -ELOOP);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(believe(true, &nodes, &err), -EISDIR);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rename(own, path), 0);
	assert_int_equal(believe(true, &nodes, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_grows, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_other_branch, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cluster, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_strange_files, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
