/*
 * relayunit: what a person may wish, what becomes of relay.json, who is named that has a port, and
 * which programs run, with systemd and without. No program does: exec_run() and background_*() are
 * the test's, and so are the ports.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/names.h"
#include "board/background.h"
#include "board/portowner.h"
#include "board/relayunit.h"
#include "sys/exec/exec.h"

#define PIN "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
#define KEY "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="

static const char *const names[RELAYUNIT_OPTIONS] = { "--host", "--port", "--udp-port",
	"--pass-to" };

static char dir[64];
static struct paths paths;

static struct {
	bool systemd, runs;        /* hearth-relay does */
	uint16_t taken, taken_udp; /* somebody else has this port */
	const char *fails;         /* this command */
	char done[1024];
} t;

static void did(const char *word)
{
	assert_true(strlen(t.done) + strlen(word) + 2 < sizeof(t.done));
	(void) strcat(strcat(t.done, *t.done ? " " : ""), word);
}

int __wrap_sd_booted(void);
int __wrap_sd_booted(void)
{
	return t.systemd;
}

int __wrap_exec_run(const struct exec_options *options, struct exec_result *ret, struct err *err);
int __wrap_exec_run(const struct exec_options *options, struct exec_result *ret, struct err *err)
{
	char line[256] = "";

	for (size_t i = 0; options->argv[i]; i++)
		if (strcmp(options->argv[i], "-q") != 0)
			(void) strcat(strcat(line, i ? " " : ""), options->argv[i]);
	if (!strcmp(line, "systemctl is-active hearth-relay.service")) {
		ret->status = t.runs ? 0 : 3;
		return 0;
	}
	did("[");
	did(line);
	did("]");
	if (t.fails && strstr(line, t.fails))
		ret->status = 1;
	else if (!strcmp(line, "hearth-relay init"))
		buf_add_str(&ret->out, "{\"pin\":\"" PIN "\",\"key\":\"" KEY "\"}\n");
	return 0;
}

bool __wrap_portowner_find(bool tcp, uint16_t port, char ret_who[static PORTOWNER_TEXT_MAX]);
bool __wrap_portowner_find(bool tcp, uint16_t port, char ret_who[static PORTOWNER_TEXT_MAX])
{
	if (port == (tcp ? t.taken : t.taken_udp)) {
		(void) snprintf(ret_who, PORTOWNER_TEXT_MAX, "nginx (process 812)");
		return true;
	}
	(void) snprintf(ret_who, PORTOWNER_TEXT_MAX, "hearth-relay (process 9)");
	return tcp && t.runs;
}

pid_t __wrap_background_find(const char *run, const char *name);
pid_t __wrap_background_find(const char *run, const char *name)
{
	return t.runs ? 9 : 0;
}

int __wrap_background_start(const char *run, const char *const *argv, pid_t *ret, struct err *err);
int __wrap_background_start(const char *run, const char *const *argv, pid_t *ret, struct err *err)
{
	assert_string_equal(argv[0], "hearth-relay");
	assert_string_equal(argv[1], "serve");
	did("started");
	t.runs = true;
	*ret = getpid(); /* no child of ours: it has not ended */
	return 0;
}

int __wrap_background_stop(const char *run, const char *name, struct err *err);
int __wrap_background_stop(const char *run, const char *name, struct err *err)
{
	if (t.runs)
		did("stopped");
	t.runs = false;
	return 0;
}

static int set_up(void **state)
{
	(void) snprintf(dir, sizeof(dir), "/tmp/hearth-relayunit-XXXXXX");
	assert_non_null(mkdtemp(dir));
	(void) snprintf(paths.etc, sizeof(paths.etc), "%s", dir);
	(void) snprintf(paths.run, sizeof(paths.run), "%s", dir);
	assert_int_equal(setenv("HEARTH_HOST_ETC", dir, 1), 0);
	memset(&t, 0, sizeof(t));
	return 0;
}

static int tear_down(void **state)
{
	char path[128];

	(void) snprintf(path, sizeof(path), "%s/relay.json", dir);
	(void) unlink(path);
	(void) snprintf(path, sizeof(path), "%s/systemd/system", dir);
	(void) rmdir(path);
	(void) snprintf(path, sizeof(path), "%s/systemd", dir);
	(void) rmdir(path);
	return rmdir(dir);
}

/* --- wishes --- */

static void test_wishes(void **state)
{
	static const struct {
		enum relayunit_option option;
		const char *text, *says; /* says NULL: it may be wished */
	} cases[] = {
		{ RELAYUNIT_HOST, "vps.example.org", NULL },
		{ RELAYUNIT_HOST, "2001:db8::5", NULL },
		{ RELAYUNIT_HOST, "automatic", NULL },
		{ RELAYUNIT_HOST, "vps:443", "--host takes an IP address or a DNS name" },
		{ RELAYUNIT_HOST, "", "--host" },
		{ RELAYUNIT_PORT, "443", NULL },
		{ RELAYUNIT_PORT, "0", "--port takes a port, not \"0\"" },
		{ RELAYUNIT_PORT, "65536", "--port" },
		{ RELAYUNIT_UDP_PORT, "0", NULL },
		{ RELAYUNIT_UDP_PORT, "x", "--udp-port" },
		{ RELAYUNIT_PASS_TO, "none", NULL },
		{ RELAYUNIT_PASS_TO, "127.0.0.1:8443", NULL },
		{ RELAYUNIT_PASS_TO, "172.17.0.2", NULL },
		{ RELAYUNIT_PASS_TO, "fd00::5", NULL },
		{ RELAYUNIT_PASS_TO, "[fd00::5]:8443", NULL },
		{ RELAYUNIT_PASS_TO, "localhost:8443",
			"--pass-to \"localhost:8443\": it takes ADDRESS" },
		{ RELAYUNIT_PASS_TO, "127.0.0.1:0", "--pass-to" },
		{ RELAYUNIT_PASS_TO, "0.0.0.0:8443", "no address of one machine" },
		{ RELAYUNIT_PASS_TO, "fe80::1", "one link only" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct relayunit_wish wish = { 0 };
		struct err err = { 0 };
		int r = relayunit_wish_set(&wish, names, cases[i].option, cases[i].text, &err);

		if (r != (cases[i].says ? -EINVAL : 0) || (r && !strstr(err.text, cases[i].says)))
			fail_msg("%s: %d, %s", cases[i].text, r, err.text);
	}
}

static void test_few_hosts(void **state)
{
	static const char *const hosts[] = { "a", "b", "c", "d" };
	struct relayunit_wish wish = { 0 };
	struct err err = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(hosts); i++)
		assert_int_equal(
			relayunit_wish_set(&wish, names, RELAYUNIT_HOST, hosts[i], &err), 0);
	assert_int_equal(relayunit_wish_set(&wish, names, RELAYUNIT_HOST, "e", &err), -EINVAL);
	assert_string_equal(err.text, "at most 4 hosts");
}

/* --- the file --- */

static struct relayunit_wish wish_of(const char *port, const char *pass_to)
{
	struct relayunit_wish wish = { 0 };

	if (port)
		assert_int_equal(relayunit_wish_set(&wish, names, RELAYUNIT_PORT, port, NULL), 0);
	if (pass_to)
		assert_int_equal(
			relayunit_wish_set(&wish, names, RELAYUNIT_PASS_TO, pass_to, NULL), 0);
	return wish;
}

static void turn_on(struct relayunit *unit, const struct relayunit_wish *wish)
{
	struct err err = { 0 };

	if (relayunit_plan(unit, &paths, wish, &err) < 0 ||
		relayunit_check(unit, names, &err) < 0 || relayunit_turn_on(unit, &err) < 0)
		fail_msg("%s", err.text);
}

/* Without systemd: hearth-relay is started, again when something is to be otherwise, and ended. */
static void test_background(void **state)
{
	const struct relayunit_wish none = { 0 }, other = wish_of("8443", "127.0.0.1");
	CLEANUP_RELAYUNIT struct relayunit first = { 0 }, same = { 0 }, now = { 0 }, gone = { 0 };
	struct err err = { 0 };

	turn_on(&first, &none);
	assert_true(first.file.automatic);
	assert_int_equal(first.file.relay.tcp, 3340);
	assert_int_equal(first.file.relay.udp, 3478);
	assert_string_equal(t.done, "[ hearth-relay init ] started");
	assert_int_equal(relayunit_plan(&same, &paths, &none, &err), 0);
	assert_true(relayunit_is_on(&same));
	assert_int_equal(relayunit_plan(&now, &paths, &other, &err), 0);
	assert_false(relayunit_is_on(&now));
	t.done[0] = '\0';
	assert_int_equal(relayunit_turn_on(&now, &err), 0);
	assert_string_equal(t.done, "[ hearth-relay init ] stopped started");
	/* What was chosen stays. */
	assert_int_equal(relayunit_plan(&gone, &paths, &none, &err), 0);
	assert_int_equal(gone.file.relay.tcp, 8443);
	assert_int_equal(gone.file.pass_to.port, 443);
	t.runs = false;
	assert_false(relayunit_is_on(&gone)); /* it does not run */
	t.runs = true;
	t.done[0] = '\0';
	assert_int_equal(relayunit_turn_off(&paths, &err), 1);
	assert_string_equal(t.done, "stopped");
	assert_int_equal(relayunit_turn_off(&paths, &err), 0);
}

static void test_systemd(void **state)
{
	const struct relayunit_wish none = { 0 }, far = wish_of("443", NULL);
	CLEANUP_RELAYUNIT struct relayunit unit = { 0 }, other = { 0 };
	char path[256];
	struct err err = { 0 };

	t.systemd = true;
	turn_on(&unit, &none);
	assert_string_equal(t.done, "[ hearth-relay init ] [ systemctl daemon-reload ] "
				    "[ systemctl enable hearth-relay.service ] "
				    "[ systemctl stop hearth-relay.service hearth-relay.socket ] "
				    "[ systemctl start hearth-relay.service ]");
	turn_on(&other, &far);
	(void) snprintf(path, sizeof(path), "%s/" NAMES_RELAY_DROP_IN "/port.conf", dir);
	CLEANUP_BUF struct buf text = { 0 };

	assert_int_equal(file_read(path, 1024, &text), 0);
	assert_non_null(strstr(buf_str(&text), "ListenStream=443\n"));
	t.done[0] = '\0';
	assert_int_equal(relayunit_turn_off(&paths, &err), 1);
	assert_string_equal(t.done,
		"[ systemctl stop hearth-relay.service hearth-relay.socket ] "
		"[ systemctl disable hearth-relay.service hearth-relay.socket ] "
		"[ systemctl daemon-reload ]");
	assert_int_equal(access(path, F_OK), -1);
}

static void test_fails(void **state)
{
	const struct relayunit_wish none = { 0 };
	CLEANUP_RELAYUNIT struct relayunit unit = { 0 };
	struct err err = { 0 };

	t.systemd = true;
	t.fails = "start hearth-relay.service";
	assert_int_equal(relayunit_plan(&unit, &paths, &none, &err), 0);
	assert_true(relayunit_turn_on(&unit, &err) < 0);
	assert_non_null(strstr(err.text, "systemctl start hearth-relay.service"));
	t.fails = "init";
	assert_true(relayunit_turn_on(&unit, &err) < 0);
	assert_non_null(strstr(err.text, "hearth-relay init"));
}

static void test_damaged(void **state)
{
	const struct relayunit_wish none = { 0 };
	CLEANUP_RELAYUNIT struct relayunit unit = { 0 };
	char path[128];
	struct err err = { 0 };

	(void) snprintf(path, sizeof(path), "%s/relay.json", dir);
	assert_int_equal(file_write_atomic(path, "{", 1, 0644), 0);
	assert_int_equal(relayunit_plan(&unit, &paths, &none, &err), -EINVAL);
	assert_non_null(strstr(err.text, "Mend it, or remove it"));
}

/* --- ports --- */

static void check(const struct relayunit_wish *wish, int expected, const char *says)
{
	CLEANUP_RELAYUNIT struct relayunit unit = { 0 };
	struct err err = { 0 };

	assert_int_equal(relayunit_plan(&unit, &paths, wish, &err), 0);
	int r = relayunit_check(&unit, names, &err);

	if (r != expected || (r && !strstr(err.text, says)))
		fail_msg("%d, %s", r, err.text);
}

static void test_taken(void **state)
{
	const struct relayunit_wish far = wish_of("443", NULL), none = { 0 };
	const struct relayunit_wish passed = wish_of("443", "127.0.0.1:8443");

	t.taken = 443;
	check(&none, 0, NULL);
	check(&far, -EADDRINUSE,
		"TCP port 443 is taken by nginx (process 812). Choose another with --port. Or, ");
	check(&far, -EADDRINUSE, "name that with --pass-to");
	check(&passed, -EADDRINUSE, "Have it listen at 127.0.0.1:8443 instead");
	t.taken = 0;
	t.taken_udp = 3478;
	check(&none, -EADDRINUSE,
		"UDP port 3478 is taken by nginx (process 812). Choose another with --udp-port");
}

static void test_circle(void **state)
{
	const struct relayunit_wish self = wish_of("443", "127.0.0.1");
	const struct relayunit_wish other = wish_of("443", "127.0.0.9:443");
	const struct relayunit_wish elsewhere = wish_of("443", "192.0.2.77");

	check(&self, -ELOOP, "--pass-to 127.0.0.1:443 is the relay's own port");
	check(&other, -ELOOP, "127.0.0.9:443");
	check(&elsewhere, 0, NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_wishes),
		TEST(test_few_hosts),
		TEST(test_background),
		TEST(test_systemd),
		TEST(test_fails),
		TEST(test_damaged),
		TEST(test_taken),
		TEST(test_circle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
