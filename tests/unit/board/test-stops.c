/* stops and sysctls_at_boot: directories as people have them, and what pods of such a board come to. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "board/stops.h"
#include "board/sysctls.h"

static char etc[64];

static void put(const char *name, const char *text)
{
	char path[256], dir[256];

	(void) snprintf(path, sizeof(path), "%s/%s", etc, name);
	(void) snprintf(dir, sizeof(dir), "%.*s", (int) (strrchr(path, '/') - path), path);
	assert_int_equal(file_mkdirs(dir, 0755), 0);
	assert_true(file_write_if_changed(path, text, strlen(text), 0644) >= 0);
}

static void drop(const char *name)
{
	char path[256];

	(void) snprintf(path, sizeof(path), "%s/%s", etc, name);
	assert_int_equal(unlink(path), 0);
}

static int set_up(void **state)
{
	strcpy(etc, "/tmp/hearth-stops.XXXXXX");
	return mkdtemp(etc) ? 0 : -1;
}

static int tear_down(void **state)
{
	char command[128];

	(void) snprintf(command, sizeof(command), "rm -r %s", etc);
	return system(command);
}

#define OWN "net/ipv4/ip_forward = 1\nnet/ipv6/conf/all/forwarding = 1\n"

static void test_at_boot(void **state)
{
	static const struct {
		const char *file, *text;
		const char *value, *from; /* NULL: as our own file says */
	} cases[] = {
		{ "sysctl.d/10-early.conf", "net.ipv4.ip_forward=0\n", "1", NULL },
		{ "sysctl.d/99-hardening.conf", "net.ipv4.ip_forward=0\n", "0",
			"sysctl.d/99-hardening.conf" },
		{ "sysctl.d/99-hardening.conf", "net.ipv4.conf.all.forwarding = 0\n", "0",
			"sysctl.d/99-hardening.conf" },
		{ "sysctl.d/99-hardening.conf", "#net.ipv4.ip_forward=0\n", "1", NULL },
		{ "sysctl.d/99-hardening.conf", "net.ipv4.ip_forward=0\nnet.ipv4.ip_forward=1\n",
			"1", "sysctl.d/99-hardening.conf" },
		{ "sysctl.d/99-hardening.conf.bak", "net.ipv4.ip_forward=0\n", "1", NULL },
		{ "sysctl.d/99-pattern.conf", "net.ipv4.conf.*.forwarding=0\n", "1", NULL },
		{ "sysctl.conf", "net.ipv4.ip_forward=0\n", "0", "sysctl.conf" },
		{ "ufw/sysctl.conf", "net/ipv4/ip_forward=0\n", "1", NULL },
	};
	char value[SYSCTLS_VALUE_MAX], path[SYSCTLS_PATH_MAX], want[256];

	assert_false(sysctls_at_boot(etc, "net/ipv4/ip_forward", value, path));
	put("sysctl.d/60-hearth.conf", OWN);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *from = cases[i].from ? cases[i].from : "sysctl.d/60-hearth.conf";

		put(cases[i].file, cases[i].text);
		assert_true(sysctls_at_boot(etc, "net/ipv4/ip_forward", value, path));
		(void) snprintf(want, sizeof(want), "%s/%s", etc, from);
		if (strcmp(value, cases[i].value) != 0 || strcmp(path, want) != 0)
			fail_msg("%zu: %s by %s", i, value, path);
		drop(cases[i].file);
	}
	put("ufw/sysctl.conf", "net/ipv4/ip_forward=0\n");
	put("ufw/ufw.conf", "# on\nENABLED=yes\n");
	assert_true(sysctls_at_boot(etc, "net/ipv4/ip_forward", value, path));
	assert_string_equal(value, "0");
}

static void test_boot(void **state)
{
	struct err err = { 0 };

	assert_int_equal(stops_look_at_boot(etc, &err), 0);
	put("sysctl.d/60-hearth.conf", OWN);
	assert_int_equal(stops_look_at_boot(etc, &err), 0);
	put("sysctl.d/99-hardening.conf", "net.ipv6.conf.all.forwarding=0\n");
	assert_int_equal(stops_look_at_boot(etc, &err), -ENETUNREACH);
	assert_non_null(
		strstr(err.text, "99-hardening.conf sets net.ipv6.conf.all.forwarding to 0"));
	put("sysctl.d/99-hardening.conf", "net.ipv4.ip_forward=0\n");
	assert_int_equal(stops_look_at_boot(etc, &err), -ENETDOWN);
}

static void test_files(void **state)
{
	CLEANUP_NL struct nl *nl = NULL;
	struct err found[STOPS];
	char own[128], lists[128];
	struct stops s = { .etc = etc, .own = own, .cni = { .dir = lists, .plugin = "/nowhere" } };

	(void) snprintf(own, sizeof(own), "%s/hearth", etc);
	(void) snprintf(lists, sizeof(lists), "%s/cni/net.d", etc);
	assert_int_equal(ip_addr_parse("10.77.0.2", &s.mesh4), 0);
	if (nl_open(&nl, NULL) < 0)
		skip();
	stops_look(&s, nl, found);
	for (int i = STOP_BOOT; i < STOPS; i++)
		if (i != STOP_IPV6) /* is the machine's */
			assert_int_equal(found[i].code, 0);
	put("hearth/kubeadm/resolv.conf", "# none\nnameserver 10.77.0.2\n");
	put("cni/net.d/00-bridge.conflist", "{}");
	put("cni/net.d/05-hearth.conflist", "{}");
	put("sysctl.d/99.conf", "net.ipv4.ip_forward=0\n");
	stops_look(&s, nl, found);
	assert_non_null(strstr(found[STOP_DNS].text, "no name server"));
	assert_non_null(strstr(found[STOP_CNI].text, "00-bridge.conflist"));
	assert_non_null(strstr(found[STOP_BOOT].text, "99.conf"));
	put("hearth/kubeadm/resolv.conf", "nameserver 10.77.0.2\nnameserver 192.168.1.1\n");
	drop("cni/net.d/00-bridge.conflist");
	drop("sysctl.d/99.conf");
	stops_look(&s, nl, found);
	for (int i = STOP_BOOT; i < STOPS; i++)
		if (i != STOP_IPV6)
			assert_int_equal(found[i].code, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_at_boot),
		TEST(test_boot),
		TEST(test_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
