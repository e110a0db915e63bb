/* leave: forwarding goes back to what it was, unless others changed or need it. */
#include <errno.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/names.h"
#include "board/sysctls.h"
#include "tree.h"

static const char ip_forward[] = "sys/net/ipv4/ip_forward";

static void put_switches(const char *value)
{
	static const char *const names[] = { ip_forward, "sys/net/ipv6/conf/all/forwarding",
		"sys/net/ipv6/conf/default/forwarding", "sys/net/ipv4/conf/eth0/forwarding" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		put_text(names[i], value, 0644);
}

static void assert_holds(const char *name, const char *value)
{
	CLEANUP(free_p) char *now = get_text(name);

	assert_non_null(now);
	now[strcspn(now, "\n")] = 0;
	assert_string_equal(now, value);
}

static void turn_on(void)
{
	struct err err = { 0 };
	CLEANUP_ENROLL struct enroll *e = new_enroll();

	become(e, NODE_ROLE_WORKER, false);
	if (forwarding_on(e, &err) < 0 || pods_cni(e, &err) < 0)
		fail_msg("%s", err.text);
	assert_holds(ip_forward, "1");
}

/* What it said, all steps in one line. */
static char *leave(bool dry_run)
{
	struct err err = { 0 };
	CLEANUP_ENROLL struct enroll *e = new_enroll();

	e->dry_run = e->talk.dry_run = dry_run;
	if (forwarding_back(e, &err) < 0 || leave_files(e, &err) < 0)
		fail_msg("%s", err.text);
	return json_dumps(e->talk.steps, JSON_COMPACT);
}

static void test_back(void **state)
{
	char path[PATH_TEXT_MAX];

	put_switches("0\n");
	put_text("sys/net/ipv4/conf/eth1/forwarding", "1\n", 0644);
	put_text("sys/net/ipv4/conf/all/accept_redirects", "1\n", 0644);
	turn_on();
	/* What the kernel does along with it; another run, which sees only that; a reboot changes nothing more. */
	put_text("sys/net/ipv4/conf/all/accept_redirects", "0\n", 0644);
	turn_on();
	CLEANUP(free_p) char *dry = leave(true);

	assert_non_null(strstr(dry, "would"));
	assert_holds(ip_forward, "1");
	/* What it does when forwarding goes off. */
	put_text("sys/net/ipv4/conf/eth1/forwarding", "0\n", 0644);
	CLEANUP(free_p) char *said = leave(false);

	assert_holds(ip_forward, "0");
	assert_holds("sys/net/ipv6/conf/all/forwarding", "0");
	assert_holds("sys/net/ipv6/conf/default/forwarding", "0");
	assert_holds("sys/net/ipv4/conf/eth1/forwarding", "1");
	assert_holds("sys/net/ipv4/conf/all/accept_redirects", "1");
	assert_non_null(strstr(said, "is as before: net/ipv4/ip_forward 0"));
	assert_int_equal(access(below("etc/before.json", path), F_OK), -1);
	assert_int_equal(access(below("host/sysctl.d", path), F_OK), -1);
	assert_int_equal(access(below("host/cni", path), F_OK), -1);
	CLEANUP(free_p) char *again = leave(false);

	assert_null(strstr(again, "forwarding"));
	assert_null(strstr(again, "done"));
}

/* A relay's file goes, and its keys, with their directory. */
static void test_relay(void **state)
{
	char dir[PATH_TEXT_MAX], path[PATH_TEXT_MAX];

	put_text("etc/relay.json", "{}", 0644);
	put_text("relay/tls.key", "x", 0600);
	put_text("relay/relay.key", "x", 0600);
	put_text("host/" NAMES_RELAY_DROP_IN "/port.conf", "[Socket]\n", 0644);
	assert_int_equal(setenv("HEARTH_RELAY_STATE", below("relay", dir), 1), 0);
	CLEANUP(free_p) char *dry = leave(true);

	assert_non_null(strstr(dry, "would"));
	assert_int_equal(access(below("relay/tls.key", path), F_OK), 0);
	CLEANUP(free_p) char *said = leave(false);

	assert_non_null(strstr(said, "done"));
	assert_int_equal(access(below("etc/relay.json", path), F_OK), -1);
	assert_int_equal(access(below("host/" NAMES_RELAY_DROP_IN, path), F_OK), -1);
	assert_int_equal(access(dir, F_OK), -1);
	assert_int_equal(unsetenv("HEARTH_RELAY_STATE"), 0);
}

static void test_back_where_it_was_on(void **state)
{
	char path[PATH_TEXT_MAX];

	put_switches("1\n");
	put_text("host/cni/net.d/10-other.conflist", "{}", 0644);
	turn_on();
	CLEANUP(free_p) char *said = leave(false);

	assert_holds(ip_forward, "1");
	assert_null(strstr(said, "\"forwarding\""));
	assert_int_equal(access(below("host/cni/net.d/10-other.conflist", path), F_OK), 0);
}

static void test_back_changed_by_others(void **state)
{
	put_switches("0\n");
	turn_on();
	put_text("sys/net/ipv6/conf/all/forwarding", "2\n", 0644);
	put_text("host/sysctl.d/99-router.conf", "# mine\n-net.ipv4.conf.all.forwarding=1\n", 0644);
	CLEANUP(free_p) char *said = leave(false);

	assert_holds(ip_forward, "1");
	assert_non_null(strstr(said, "net/ipv4/ip_forward stays 1"));
	assert_non_null(strstr(said, "99-router.conf sets it"));
	assert_holds("sys/net/ipv6/conf/all/forwarding", "2");
	assert_non_null(strstr(said, "all/forwarding is 2: somebody changed it"));
}

/* A board that a Hearth without before.json enrolled; and one whose before.json is damaged or hostile. */
static void test_back_unknown(void **state)
{
	static const char *const bad[] = { NULL, "{\"sysctls\":", "[]",
		"{\"sysctls\":[{\"name\":\"net/../../etc/shadow\",\"was\":\"x\",\"set\":\"y\"},7],"
		"\"dirs\":[\"/nonexistent/..\",7],\"links\":{}}" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char path[PATH_TEXT_MAX];

		put_switches("0\n");
		turn_on();
		assert_int_equal(unlink(below("etc/before.json", path)), 0);
		put_text("etc/shadow", "y", 0644);
		if (bad[i])
			put_text("etc/before.json", bad[i], 0644);
		free(leave(false));
		assert_holds(ip_forward, "0");
		assert_holds("etc/shadow", "y");
	}
}

static void test_sysctl_files(void **state)
{
	static const char name[] = "net/ipv4/ip_forward", eth[] = "net/ipv6/conf/eth0.5/accept_ra";
	static const struct {
		const char *file, *text, *name, *value;
		bool sets;
	} cases[] = {
		{ "sysctl.conf", "net.ipv4.ip_forward=1", name, "1", true },
		{ "sysctl.conf", "#net.ipv4.ip_forward=1\n;net.ipv4.ip_forward=1\n", name, "1",
			false },
		{ "sysctl.d/a.conf", " net/ipv4/ip_forward = 1 \n", name, "1", true },
		{ "sysctl.d/a.conf", "net.ipv4.ip_forward=1\nnet.ipv4.ip_forward=0\n", name, "1",
			false },
		{ "sysctl.d/a.conf", "net.ipv4.ip_forward\n=1\n= 1\n\n", name, "1", false },
		{ "sysctl.d/a.bak", "net.ipv4.ip_forward=1\n", name, "1", false },
		{ "sysctl.d/60-hearth.conf", "net.ipv4.ip_forward=1\n", name, "1", false },
		{ "sysctl.d/a.conf", "net.ipv6.conf.eth0/5.accept_ra=2\n", eth, "2", true },
		{ "sysctl.d/a.conf", "net.ipv6.conf.*.accept_ra=2\n", eth, "2", true },
		{ "sysctl.d/a.conf", "net.ipv6.conf.eth0.accept_ra=2\n", eth, "2", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char etc[PATH_TEXT_MAX], file[PATH_TEXT_MAX], path[SYSCTLS_PATH_MAX];

		put_text(paths_join("host", cases[i].file, file), cases[i].text, 0644);
		if (sysctls_set_by_others(below("host", etc), "60-hearth.conf", cases[i].name,
			    cases[i].value, path) != cases[i].sets)
			fail_msg("%zu: %s", i, cases[i].text);
		if (cases[i].sets)
			assert_string_equal(path, below(file, etc));
		assert_int_equal(unlink(below(file, etc)), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TREE_TEST(test_back),
		TREE_TEST(test_relay),
		TREE_TEST(test_back_where_it_was_on),
		TREE_TEST(test_back_changed_by_others),
		TREE_TEST(test_back_unknown),
		TREE_TEST(test_sysctl_files),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
