/*
 * hearth-helper: what a hearthd that somebody took over could ask of root, and what it gets: the block
 * of names in the hosts file, a socket for `wg`, and nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "helper/act.h"
#include "helper/request.h"
#include "mesh-maker.h"

static char dir[] = "/tmp/hearth-helper.XXXXXX";

static const char *in_dir(const char *name)
{
	static char path[4][96];
	static unsigned at;

	at = (at + 1) % 4;
	(void) snprintf(path[at], sizeof(path[at]), "%s/%s", dir, name);
	return path[at];
}

static int ask(const char *call, const char *args)
{
	CLEANUP_REQUEST struct request request = { 0 };
	CLEANUP_JSON json_t *json = json_loads(args, 0, NULL);
	struct err err = { 0 };
	int r;

	assert_non_null(json);
	r = request_from_json(call, json, &request, &err);
	assert_true(r == 0 || err.text[0]);
	return r;
}

/* --- requests --- */

static void test_calls(void **state)
{
	static const char *const bad[] = { "", "hosts", "hosts.write ", "hosts.writ", "exec",
		"file.write", "KUBE.JOIN", "launch.probe" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(ask(bad[i], "{}"), -ENOSYS);
	assert_int_equal(ask("tun.open", "{}"), 0);
	assert_int_equal(ask("tun.open", "{\"path\":\"/dev/mem\"}"), -EINVAL);
	assert_int_equal(ask("kube.follow", "{}"), 0);
	assert_int_equal(ask("kube.follow", "{\"bundle\":{}}"), -EINVAL);
	assert_int_equal(ask("resolv.follow", "{}"), 0);
	assert_int_equal(ask("resolv.follow", "{\"servers\":\"192.0.2.1\"}"), -EINVAL);
}

static void test_ifname(void **state)
{
	static const char *const bad[] = { "{}", "{\"ifname\":7}", "{\"ifname\":\"\"}",
		"{\"ifname\":\".\"}", "{\"ifname\":\"..\"}", "{\"ifname\":\"../x\"}",
		"{\"ifname\":\"a/b\"}", "{\"ifname\":\"/etc/x\"}", "{\"ifname\":\"a b\"}",
		"{\"ifname\":\"a\\n\"}", "{\"ifname\":\"%n\"}", "{\"ifname\":\"0123456789012345\"}",
		"{\"ifname\":\"h\\u00e9\"}", "{\"ifname\":\"hearth0\",\"dir\":\"/etc\"}" };

	assert_int_equal(ask("uapi.open", "{\"ifname\":\"hearth0\"}"), 0);
	assert_int_equal(ask("uapi.open", "{\"ifname\":\"012345678901234\"}"), 0);
	assert_int_equal(ask("ipv6.enable", "{\"ifname\":\"hearth0\"}"), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (ask("uapi.open", bad[i]) != -EINVAL || ask("ipv6.enable", bad[i]) != -EINVAL)
			fail_msg("%s", bad[i]);
}

/* Only a TUN device: not the loopback, nor what stands for all links. */
static void test_ipv6(void **state)
{
	static const char *const names[] = { "lo", "all", "default", "hearth-none0" };
	struct err err = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (act_enable_ipv6(names[i], &err) != (i ? -ENODEV : -EINVAL))
			fail_msg("%s: %s", names[i], err.text);
}

static int ask_hosts(const char *address, const char *names)
{
	char args[1024];

	(void) snprintf(args, sizeof(args), "{\"entries\":[{\"address\":\"%s\",\"names\":%s}]}",
		address, names);
	return ask("hosts.write", args);
}

static void test_hosts_entries(void **state)
{
	static const char *const addresses[] = { "", "x", "127.0.0.1", "::1", "0.0.0.0",
		"::", "255.255.255.255", "224.0.0.1", "ff02::1", "169.254.1.1", "fe80::1",
		"10.77.0.1/32", "10.77.0.1 evil", "10.77.0.1\\n1.2.3.4", "010.77.0.1",
		"fd00::1%eth0" };
	static const char *const names[] = { "[]", "7", "[7]", "\"n100.home.internal\"", "[\"\"]",
		"[\"localhost\"]", "[\"n100\"]", "[\"example.com\"]", "[\".internal\"]",
		"[\"n100.home.internal.\"]", "[\"N100.home.internal\"]", "[\"-a.home.internal\"]",
		"[\"a-.home.internal\"]", "[\"a..internal\"]", "[\"a b.home.internal\"]",
		"[\"a\\n1.2.3.4 b.home.internal\"]", "[\"a#.home.internal\"]",
		"[\"a.home.internal\",\"b.other.internal\"]",
		"[\"a.home.internal\",\"b.home.internal\",\"c.home.internal\",\"d.home.internal\","
		"\"e.home.internal\"]",
		"[\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.home."
		"internal\"]" };

	assert_int_equal(
		ask_hosts("10.77.0.1", "[\"n100.home.internal\",\"api.home.internal\"]"), 0);
	assert_int_equal(ask_hosts("fd12::1", "[\"n100.home.internal\"]"), 0);
	for (size_t i = 0; i < ARRAY_LEN(addresses); i++)
		if (ask_hosts(addresses[i], "[\"n100.home.internal\"]") != -EINVAL)
			fail_msg("%s", addresses[i]);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (ask_hosts("10.77.0.1", names[i]) >= 0)
			fail_msg("%s", names[i]);
	assert_int_equal(ask("hosts.write", "{\"entries\":[]}"), 0);
	assert_true(ask("hosts.write", "{}") < 0);
	assert_true(ask("hosts.write", "{\"entries\":{}}") < 0);
	assert_true(ask("hosts.write", "{\"entries\":[],\"path\":\"/etc/passwd\"}") < 0);
	assert_true(ask("hosts.write", "{\"entries\":[[]]}") < 0);
}

static void test_too_many(void **state)
{
	CLEANUP_JSON json_t *list = json_array();
	CLEANUP_JSON json_t *args = json_pack("{s:O}", "entries", list);
	CLEANUP_REQUEST struct request request = { 0 };
	struct err err = { 0 };

	for (int i = 0; i <= HOSTS_ENTRIES_MAX; i++)
		(void) json_array_append_new(list, json_pack("{s:s,s:[s]}", "address", "10.77.0.1",
							   "names", "a.home.internal"));
	assert_int_equal(request_from_json("hosts.write", args, &request, &err), -E2BIG);
}

/* By the log, whoever asks. */
static void test_names(void **state)
{
	static const struct {
		const char *address, *name;
		bool fine;
	} cases[] = {
		{ "10.77.0.1", "n100.home.internal", true },
		{ "fd12:3456:789a::1", "n100.home.internal", true },
		{ "10.77.0.1", "api.home.internal", true },
		{ "10.77.255.1", "api.home.internal", true },
		{ "fd12:3456:789a::ffff:1", "api.home.internal", true },
		{ "10.77.0.2", "pi3.home.internal", true },
		{ "10.77.0.2", "api.home.internal", false },
		{ "10.77.0.2", "n100.home.internal", false },
		{ "10.77.0.9", "n100.home.internal", false },
		{ "10.244.1.7", "n100.home.internal", false },
		{ "10.244.1.7", "api.home.internal", false },
		{ "10.77.255.53", "api.home.internal", false },
		{ "203.0.113.1", "n100.home.internal", false },
		{ "10.77.0.1", "n100.work.internal", false },
		{ "10.77.0.1", "metadata.google.internal", false },
		{ "10.77.0.1", "n100.sub.home.internal", false },
		{ "10.77.0.1", "home.internal", false },
		{ "10.77.0.3", "pi4.home.internal", false },
	};
	CLEANUP_SETTINGS struct settings settings = maker_settings();
	CLEANUP_NETMAP struct netmap *map = maker_netmap(&settings), *empty = netmap_new();
	CLEANUP_NODE struct node plane = maker_node(1, 1, "n100"), worker = maker_node(2, 2, "pi3");
	struct err err = { 0 };

	plane.role = NODE_ROLE_CONTROL_PLANE;
	assert_int_equal(maker_apply(map, "node", node_to_json(&plane), NULL, &err), 1);
	assert_int_equal(maker_apply(map, "node", node_to_json(&worker), NULL, &err), 1);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct hosts_entry e = { .n_names = 2 };

		assert_int_equal(ip_addr_parse(cases[i].address, &e.addr), 0);
		(void) snprintf(e.names[0], sizeof(e.names[0]), "%s", cases[i].name);
		(void) snprintf(e.names[1], sizeof(e.names[1]), "%s", cases[i].name);
		int r = act_check_names(map, &e, 1, &err);

		if (cases[i].fine ? r : r != -EPERM && r != -EACCES)
			fail_msg("%s %s: %s", cases[i].address, cases[i].name, err.text);
		assert_int_equal(act_check_names(empty, &e, 1, &err), -EACCES);
	}
	assert_int_equal(act_check_names(empty, NULL, 0, &err), 0);
}

static void test_interface(void **state)
{
	struct paths paths = { 0 };
	struct config config;
	struct err err = { 0 };
	static const char text[] = "mesh: home\nnode: 1\nurls: [\"https://x:1\"]\n"
				   "root: AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=\n"
				   "pins: [AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=]\n"
				   "interface: mesh7\n";

	(void) snprintf(paths.etc, sizeof(paths.etc), "%s", dir);
	assert_int_equal(act_check_interface(&paths, "hearth0", &config, &err), -ENOENT);
	assert_int_equal(
		file_write_atomic(in_dir("hearthd.yaml"), text, sizeof(text) - 1, 0644), 0);
	assert_int_equal(act_check_interface(&paths, "hearth0", &config, &err), -EPERM);
	assert_int_equal(act_check_interface(&paths, "mesh7", &config, &err), 0);
	assert_string_equal(config.mesh, "home");
	(void) unlink(in_dir("hearthd.yaml"));
}

static void test_bundle(void **state)
{
	static const char good[] =
		"{\"bundle\":{\"id\":\"00112233aabbccdd\",\"cluster\":{\"payload\":\"e30=\","
		"\"sig\":"
		"\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
		"AAA"
		"AAA==\"},\"secret\":{\"token\":\"abcdef.0123456789abcdef\",\"expires\":1795000000,"
		"\"certificate_key\":null}}}";
	char text[sizeof(good)];

	assert_int_equal(ask("kube.join", good), 0);
	assert_true(ask("kube.join", "{}") < 0);
	assert_true(ask("kube.join", "{\"bundle\":[]}") < 0);
	assert_true(ask("kube.join", "{\"bundle\":{}}") < 0);
	for (size_t i = 0; i < 23; i++) { /* nothing else in the token, which kubeadm's file gets */
		memcpy(text, good, sizeof(good));
		strstr(text, "abcdef.")[i] = '/';
		assert_true(ask("kube.join", text) < 0);
	}
}

/* --- the hosts file --- */

static struct hosts_entry entry(const char *address, const char *name)
{
	struct hosts_entry e = { .n_names = 1 };

	assert_int_equal(ip_addr_parse(address, &e.addr), 0);
	(void) snprintf(e.names[0], sizeof(e.names[0]), "%s", name);
	return e;
}

static void edit(const char *old, const struct hosts_entry *entries, size_t n, struct buf *ret)
{
	ret->len = 0;
	assert_int_equal(hosts_edit(old, strlen(old), "hearth0", entries, n, ret), 0);
	assert_int_equal(hosts_is_right(old, strlen(old), "hearth0", entries, n),
		!strcmp(old, buf_str(ret)));
}

static void test_edit(void **state)
{
	static const char *const files[] = { "", "127.0.0.1 localhost\n", "127.0.0.1 localhost",
		"\n\n", "# BEGIN hearthstone\n10.0.0.1 x\n# END hearthstone\n", "\r\n", "a\tb\n#" };
	const struct hosts_entry one = entry("10.77.0.1", "n100.home.internal");
	const struct hosts_entry two[] = { one, entry("fd12::2", "pi3.home.internal") };

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		CLEANUP_BUF struct buf a = { 0 }, b = { 0 };

		edit(files[i], &one, 1, &a);
		assert_memory_equal(buf_str(&a), files[i], strlen(files[i]));
		assert_non_null(
			strstr(buf_str(&a), "\n10.77.0.1 n100.home.internal\n# END hearth\n"));
		edit(buf_str(&a), &one, 1, &b);
		assert_string_equal(buf_str(&b), buf_str(&a)); /* twice is once */
		edit(buf_str(&a), two, 2, &b);
		assert_non_null(strstr(buf_str(&b), "fd12::2 pi3.home.internal\n"));
		edit(buf_str(&b), NULL, 0, &a);
		assert_string_equal(buf_str(&a), files[i]); /* gone as if it had never been */
	}
}

/* Somebody took the end mark away, or put a second block in: nobody's line is lost. */
static void test_edit_damaged(void **state)
{
	CLEANUP_BUF struct buf out = { 0 };

	edit("# BEGIN hearth\n10.77.0.9 old.home.internal\n192.0.2.1 mine.example\n", NULL, 0,
		&out);
	assert_string_equal(buf_str(&out), "192.0.2.1 mine.example\n");
	edit("# BEGIN hearth\n10.77.0.9 old.home.internal\n# END hearth\nx\n# BEGIN hearth\n# END "
	     "hearth\ny\n",
		NULL, 0, &out);
	assert_string_equal(buf_str(&out), "x\ny\n");
	edit("x\n# BEGIN hearth\n# BEGIN hearth (after a line without an end)\nmine\n", NULL, 0,
		&out);
	assert_string_equal(buf_str(&out), "x\nmine\n");
	edit("# END hearth\nz\n", NULL, 0, &out);
	assert_string_equal(buf_str(&out), "# END hearth\nz\n");
}

/* Two meshes on one machine: each has its block, and takes it out, in any order. */
static void test_two_meshes(void **state)
{
	static const char *const files[] = { "", "127.0.0.1 localhost\n" };
	const struct hosts_entry one = entry("10.77.0.1", "a.home.internal");
	const struct hosts_entry two = entry("10.78.0.1", "b.lab.internal");

	for (size_t i = 0; i < 2 * ARRAY_LEN(files); i++) {
		CLEANUP_BUF struct buf a = { 0 }, b = { 0 }, c = { 0 };
		const char *file = files[i / 2];

		edit(file, &one, 1, &a);
		assert_int_equal(hosts_edit(buf_str(&a), a.len, "hearth1", &two, 1, &b), 0);
		assert_non_null(strstr(buf_str(&b), "# BEGIN hearth;"));
		assert_non_null(strstr(buf_str(&b), "# BEGIN hearth/hearth1;"));
		edit(buf_str(&b), &one, 1, &c); /* the other's is left alone */
		assert_string_equal(buf_str(&b), buf_str(&c));
		c.len = 0;
		assert_int_equal(hosts_edit(buf_str(&b), b.len, "hearth12", NULL, 0, &c), 0);
		assert_string_equal(buf_str(&b), buf_str(&c)); /* that is a third one */
		c.len = a.len = 0;
		assert_int_equal(
			hosts_edit(buf_str(&b), b.len, i % 2 ? "hearth1" : "hearth0", NULL, 0, &a),
			0);
		assert_int_equal(
			hosts_edit(buf_str(&a), a.len, i % 2 ? "hearth0" : "hearth1", NULL, 0, &c),
			0);
		assert_string_equal(buf_str(&c), file);
	}
}

/* Whose line comes first has the name: then ours does not work, and that is said. */
static void test_taken(void **state)
{
	static const struct {
		const char *file, *taken;
	} cases[] = {
		{ "127.0.0.1 localhost\n", NULL },
		{ "192.168.1.5 a.home.internal\n", "a.home.internal" },
		{ "1.2.3.4 x\n192.168.1.5\tx A.Home.Internal # mine", "a.home.internal" },
		{ "192.168.1.5 aa.home.internal a.home.internal.example\n", NULL },
		{ "# 192.168.1.5 a.home.internal\n", NULL },
		{ "10.77.0.1 a.home.internal\n", NULL }, /* the same address */
		{ "fd12::1 a.home.internal\n", NULL },   /* another family */
		{ "# BEGIN hearth/hearth1\n10.9.0.1 a.home.internal\n# END hearth/hearth1\n",
			"a.home.internal" },
		{ "# BEGIN hearth\n# END hearth\n10.9.0.1 a.home.internal\n", NULL }, /* after */
	};
	const struct hosts_entry one = entry("10.77.0.1", "a.home.internal");

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP_BUF struct buf text = { 0 };
		const char *taken = NULL;

		edit(cases[i].file, &one, 1, &text);
		assert_int_equal(
			hosts_find_taken(buf_str(&text), text.len, "hearth0", &one, 1, &taken),
			cases[i].taken != NULL);
		if (cases[i].taken)
			assert_string_equal(taken, cases[i].taken);
	}
}

/* A list of 20 MB against advertisements is a hosts file; one above the limit is told as that. */
static void test_large(void **state)
{
	const struct hosts_entry one = entry("10.77.0.1", "a.home.internal");
	CLEANUP_BUF struct buf text = { 0 };
	const char *taken = NULL;
	struct err err = { 0 };

	while (text.len < 20 << 20)
		buf_printf(&text, "0.0.0.0 ad%zu.example.com\n", text.len);
	assert_int_equal(file_write_atomic(in_dir("hosts"), buf_str(&text), text.len, 0644), 0);
	assert_int_equal(act_write_hosts(in_dir("hosts"), "hearth0", &one, 1, &taken, &err), 1);
	assert_int_equal(act_write_hosts(in_dir("hosts"), "hearth0", &one, 1, &taken, &err), 0);
	assert_int_equal(act_write_hosts(in_dir("hosts"), "hearth0", NULL, 0, &taken, &err), 1);
	assert_int_equal(truncate(in_dir("hosts"), HOSTS_FILE_MAX + 1), 0);
	assert_int_equal(
		act_write_hosts(in_dir("hosts"), "hearth0", &one, 1, &taken, &err), -EFBIG);
	assert_non_null(strstr(err.text, "larger than 64 MiB"));
	assert_non_null(strstr(err.text, in_dir("hosts")));
	(void) unlink(in_dir("hosts"));
}

static void test_write(void **state)
{
	const struct hosts_entry one = entry("10.77.0.1", "n100.home.internal");
	CLEANUP_BUF struct buf text = { 0 };
	const char *taken = NULL;
	struct stat st;
	struct err err = { 0 };

	assert_int_equal(file_write_atomic(in_dir("real"), "127.0.0.1 localhost\n", 20, 0640), 0);
	assert_int_equal(symlink("real", in_dir("hosts")), 0); /* as some systems have it */
	assert_int_equal(act_write_hosts(in_dir("hosts"), "hearth0", &one, 1, &taken, &err), 1);
	assert_int_equal(act_write_hosts(in_dir("hosts"), "hearth0", &one, 1, &taken, &err), 0);
	assert_int_equal(lstat(in_dir("hosts"), &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(stat(in_dir("real"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(file_read(in_dir("real"), 4096, &text), 0);
	assert_non_null(strstr(buf_str(&text), "localhost\n# BEGIN hearth"));
	(void) unlink(in_dir("hosts"));
	(void) unlink(in_dir("real"));
	assert_int_equal(
		act_write_hosts(in_dir("none"), "hearth0", &one, 1, &taken, &err), 1); /* made */
	(void) unlink(in_dir("none"));
	assert_int_equal(mkdir(in_dir("hosts"), 0700), 0);
	assert_true(act_write_hosts(in_dir("hosts"), "hearth0", &one, 1, &taken, &err) < 0);
	assert_int_equal(rmdir(in_dir("hosts")), 0);
}

/* --- the socket for `wg` --- */

static int connect_to(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	CLEANUP(close_p) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void) snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	return connect(fd, (struct sockaddr *) &sa, sizeof(sa)) < 0 ? -errno : 0;
}

static void test_uapi(void **state)
{
	CLEANUP(close_p) int fd = -1;
	CLEANUP(close_p) int again = -1;
	struct stat st;
	struct err err = { 0 };

	fd = act_open_uapi(in_dir("wg"), "hearth0", &err);
	if (fd < 0)
		fail_msg("%s", err.text);
	assert_int_equal(stat(in_dir("wg/hearth0.sock"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(connect_to(in_dir("wg/hearth0.sock")), 0);
	assert_int_equal(act_open_uapi(in_dir("wg"), "hearth0", &err), -EADDRINUSE);
	close_p(&fd);
	fd = -1;
	again = act_open_uapi(in_dir("wg"), "hearth0", &err); /* nobody answers any more */
	assert_true(again >= 0);
	assert_int_equal(connect_to(in_dir("wg/hearth0.sock")), 0);
	(void) unlink(in_dir("wg/hearth0.sock"));
	/* What is there and no socket stays. */
	assert_int_equal(file_write_atomic(in_dir("wg/x.sock"), "keep", 4, 0600), 0);
	assert_int_equal(act_open_uapi(in_dir("wg"), "x", &err), -EEXIST);
	assert_int_equal(symlink("x.sock", in_dir("wg/y.sock")), 0);
	assert_int_equal(act_open_uapi(in_dir("wg"), "y", &err), -EEXIST);
	assert_int_equal(access(in_dir("wg/x.sock"), F_OK), 0);
	(void) unlink(in_dir("wg/x.sock"));
	(void) unlink(in_dir("wg/y.sock"));
	assert_int_equal(rmdir(in_dir("wg")), 0);
}

static int clean(void **state)
{
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_ifname),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_hosts_entries),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_interface),
		cmocka_unit_test(test_bundle),
		cmocka_unit_test(test_edit),
		cmocka_unit_test(test_edit_damaged),
		cmocka_unit_test(test_two_meshes),
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_uapi),
	};

	if (!mkdtemp(dir))
		return 77;
	return cmocka_run_group_tests(tests, NULL, clean);
}
