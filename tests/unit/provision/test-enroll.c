/*
 * enroll: the steps that need neither coordinator nor network: keys made and found again, files
 * written once, what is refused.
 */
#include <errno.h>
#include <ftw.h>
#include <pwd.h>
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
#include "base/encode.h"
#include "base/file.h"
#include "base/json.h"
#include "base/yaml.h"
#include "board/sysctls.h"
#include "mesh/ranges.h"
#include "provision/enroll.h"

static char top[64];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void remove_tree(const char *path)
{
	(void) nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static const char *below(const char *name, char ret[static PATH_TEXT_MAX])
{
	return paths_join(top, name, ret);
}

static void put_text(const char *name, const char *text, mode_t mode)
{
	char path[PATH_TEXT_MAX], dir[PATH_TEXT_MAX];
	below(name, path);
	(void) snprintf(dir, sizeof(dir), "%s", path);
	*strrchr(dir, '/') = 0;
	assert_int_equal(file_mkdirs(dir, 0755), 0);
	assert_true(file_write_atomic(path, text, strlen(text), mode) >= 0);
}

static char *get_text(const char *name)
{
	char path[PATH_TEXT_MAX];
	struct buf text = { 0 };
	if (file_read(below(name, path), 1 << 20, &text) < 0) {
		buf_done(&text);
		return NULL;
	}
	return buf_take(&text, NULL);
}

static mode_t mode_of(const char *name)
{
	char path[PATH_TEXT_MAX];
	struct stat st;
	assert_int_equal(stat(below(name, path), &st), 0);
	return st.st_mode & 07777;
}

static struct enroll *new_enroll(void)
{
	struct enroll *e = calloc(1, sizeof(*e));
	struct passwd *pw = getpwuid(getuid());
	assert_non_null(e);
	(void) snprintf(e->paths.etc, sizeof(e->paths.etc), "%s/etc", top);
	(void) snprintf(e->paths.state, sizeof(e->paths.state), "%s/state", top);
	(void) snprintf(e->paths.run, sizeof(e->paths.run), "%s/run", top);
	(void) snprintf(e->host, sizeof(e->host), "%s/host", top);
	(void) snprintf(e->proc_sys, sizeof(e->proc_sys), "%s/sys", top);
	e->user = pw ? pw->pw_name : "root";
	e->talk.quiet = true;
	return e;
}

static void free_enroll(struct enroll *e)
{
	enroll_done(e);
	free(e);
}

static void free_enroll_p(struct enroll **e)
{
	free_enroll(*e);
}
#define CLEANUP_ENROLL CLEANUP(free_enroll_p)

/* A board of the mesh as if it had enrolled. */
static void become(struct enroll *e, enum node_role role, bool first)
{
	static const uint8_t random[RANGES_RANDOM_LEN] = { 0x12, 0x34, 0x56, 0x78, 0x9a };
	(void) snprintf(e->settings.mesh, sizeof(e->settings.mesh), "home");
	ranges_set_defaults(&e->settings, random);
	e->node.id = 5;
	(void) snprintf(e->node.name, sizeof(e->node.name), "pi3");
	e->node.role = role;
	assert_int_equal(ip_addr_parse("10.77.0.5", &e->node.mesh4), 0);
	assert_int_equal(ip_addr_parse("fd12:3456:789a::5", &e->node.mesh6), 0);
	assert_int_equal(ip_prefix_parse("10.244.5.0/24", &e->node.pods4), 0);
	assert_int_equal(ip_prefix_parse("fd12:3456:789a:1005::/64", &e->node.pods6), 0);
	e->first_control_plane = first;
	e->enrolled = true;
	(void) snprintf(e->config.interface, sizeof(e->config.interface), "hearth0");
	(void) snprintf(e->facts.board, sizeof(e->facts.board), "pi3");
	(void) snprintf(e->facts.storage, sizeof(e->facts.storage), "sd");
	e->facts.memory_bytes = 929224 * 1024;
}

static void give_bundle(struct enroll *e)
{
	CLEANUP_JSON json_t *json = json_pack("{s:s,s:s,s:s,s:I,s:[s],s:s,s:n}", "id",
		"0011223344556677", "endpoint", "api.home.internal:6443", "token",
		"abcdef.0123456789abcdef", "expires", (json_int_t) 4102444800, "ca",
		"sha256:aabbccddeeff00112233445566778899aabbccddeeff00112233445566778899",
		"version", "v1.37.2", "certificate_key");
	struct err err = { 0 };
	if (kube_bundle_from_json(json, &e->bundle, &err) < 0)
		fail_msg("%s", err.text);
	e->has_bundle = true;
}

static int setup(void **state)
{
	(void) strcpy(top, "/tmp/hearth-enroll-XXXXXX");
	char path[PATH_TEXT_MAX];
	if (!mkdtemp(top) || file_mkdirs(below("bin", path), 0755) < 0)
		return -1;
	/* No kubeadm but those that a test puts there. */
	return setenv("PATH", path, 1);
}

static int teardown(void **state)
{
	remove_tree(top);
	return 0;
}

/* A kubeadm that reads what it is to validate, knows one misspelling, and warns. */
static void put_kubeadm(const char *version, int validate_status)
{
	char text[1024];
	(void) snprintf(text, sizeof(text),
		"#!/bin/sh\n"
		"case $1 in version) echo %s; exit ;; esac\n"
		"[ \"$*\" = 'config validate --config /dev/stdin' ] || exit 9\n"
		"while read -r line; do seen=1\n"
		"case $line in *clusterNamez:*) echo 'unknown field \"clusterNamez\"' >&2; exit 1 "
		";; "
		"esac; done\n"
		"[ \"$seen\" ] || exit 9\n"
		"[ %d = 0 ] || { echo 'error: no good' >&2; exit %d; }\n"
		"echo 'W1129 22:04:05.000000       7 f.go:99] a warning of kubeadm' >&2\n",
		version, validate_status, validate_status);
	put_text("bin/kubeadm", text, 0755);
}

static bool told(const struct enroll *e, const char *text)
{
	size_t i;
	json_t *step;
	json_array_foreach(e->talk.steps, i, step)
	{
		if (strstr(json_string_value(json_object_get(step, "text")), text))
			return true;
	}
	return false;
}

/* ---- keys ---- */

static void test_keys(void **state)
{
	struct err err = { 0 };
	CLEANUP_ENROLL struct enroll *e = new_enroll();
	assert_int_equal(local_load(e, &err), 0);
	assert_false(e->enrolled);
	assert_true(e->new_keys);
	assert_int_equal(local_keys(e, &err), 0);
	assert_false(e->new_keys);
	assert_int_equal(mode_of("state"), 0700);
	assert_int_equal(mode_of("state/identity.key"), 0600);
	assert_int_equal(mode_of("state/wireguard.key"), 0600);
	assert_true((e->wg_private[0] & 7) == 0 && (e->wg_private[31] & 0xc0) == 0x40);
	CLEANUP(free_p) char *line = get_text("state/wireguard.key");
	assert_int_equal(strlen(line), 45);

	/* Found again, not made again. */
	CLEANUP_ENROLL struct enroll *again = new_enroll();
	assert_int_equal(local_load(again, &err), 0);
	assert_false(again->new_keys);
	assert_memory_equal(again->identity, e->identity, 32);
	assert_memory_equal(again->wg, e->wg, 32);

	/* Cut between the two: the first one stays. */
	char path[PATH_TEXT_MAX];
	assert_int_equal(unlink(below("state/wireguard.key", path)), 0);
	CLEANUP_ENROLL struct enroll *half = new_enroll();
	assert_int_equal(local_load(half, &err), 0);
	assert_true(half->new_keys);
	assert_int_equal(local_keys(half, &err), 0);
	assert_memory_equal(half->identity, e->identity, 32);
	assert_memory_not_equal(half->wg, e->wg, 32);
}

static void test_keys_refused(void **state)
{
	static const struct {
		const char *name, *text, *why;
		mode_t mode;
	} bad[] = {
		{ "state/identity.key", "nonsense\n", "holds no key", 0600 },
		{ "state/identity.key", "", "holds no key", 0600 },
		{ "state/identity.key", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", "others",
			0644 },
		{ "etc/hearthd.yaml", "mesh: home\nnode: yes\n", "hearthd.yaml", 0644 },
		{ "etc/hearthd.yaml", "mesh: [", "hearthd.yaml", 0644 },
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = { 0 };
		char path[PATH_TEXT_MAX];
		CLEANUP_ENROLL struct enroll *e = new_enroll();
		put_text(bad[i].name, bad[i].text, bad[i].mode);
		assert_true(local_load(e, &err) < 0);
		if (!strstr(err.text, bad[i].why))
			fail_msg("%s: %s", bad[i].name, err.text);
		assert_int_equal(unlink(below(bad[i].name, path)), 0);
	}
}

static void test_keys_gone(void **state)
{
	struct err err = { 0 };
	CLEANUP_ENROLL struct enroll *e = new_enroll();
	put_text("etc/hearthd.yaml",
		"mesh: home\nnode: 5\nroot: AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n"
		"urls: ['https://192.168.50.11:8443']\n"
		"pins: [AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=]\n",
		0644);
	assert_int_equal(local_load(e, &err), -ENOKEY);
	assert_non_null(strstr(err.text, "--replace"));

	/* Keys, but a log that does not know them: said, and nothing is overwritten. */
	CLEANUP_ENROLL struct enroll *other = new_enroll();
	other->new_keys = true;
	assert_int_equal(local_keys(other, &err), 0);
	CLEANUP_ENROLL struct enroll *third = new_enroll();
	assert_int_equal(local_load(third, &err), -EUCLEAN);
	assert_non_null(strstr(err.text, "does not know its key"));

	/* A removed board's things are put away, and the next keys are others. */
	assert_int_equal(local_put_away(third, &err), 0);
	assert_true(third->new_keys);
	char path[PATH_TEXT_MAX];
	assert_int_equal(access(below("state/identity.key.removed", path), F_OK), 0);
	assert_int_equal(access(below("etc/hearthd.yaml.removed", path), F_OK), 0);
	CLEANUP_ENROLL struct enroll *fresh = new_enroll();
	assert_int_equal(local_load(fresh, &err), 0);
	assert_true(fresh->new_keys && !fresh->enrolled);
}

static void test_dry_run(void **state)
{
	struct err err = { 0 };
	char path[PATH_TEXT_MAX];
	CLEANUP_ENROLL struct enroll *e = new_enroll();
	e->dry_run = true;
	become(e, NODE_ROLE_WORKER, false);
	put_text("sys/net/ipv4/ip_forward", "0\n", 0644);
	put_text("sys/net/ipv6/conf/all/forwarding", "0\n", 0644);
	put_text("sys/net/ipv6/conf/default/forwarding", "0\n", 0644);
	e->new_keys = true;
	assert_int_equal(local_keys(e, &err), 0);
	assert_int_equal(forwarding_on(e, &err), 0);
	assert_int_equal(pods_cni(e, &err), 0);
	assert_int_equal(pods_kubelet_order(e, &err), 0);
	assert_int_equal(kubefiles_write(e, &err), 0);
	assert_int_equal(e->talk.done, 5);
	assert_int_equal(access(below("state", path), F_OK), -1);
	assert_int_equal(access(below("host", path), F_OK), -1);
	assert_int_equal(access(below("etc", path), F_OK), -1);
	CLEANUP(free_p) char *now = get_text("sys/net/ipv4/ip_forward");
	assert_string_equal(now, "0\n");
}

/* ---- pods ---- */

static void test_pods(void **state)
{
	struct err err = { 0 };
	CLEANUP_ENROLL struct enroll *e = new_enroll();
	become(e, NODE_ROLE_WORKER, false);
	put_text("sys/net/ipv4/ip_forward", "0\n", 0644);
	put_text("sys/net/ipv6/conf/all/forwarding", "0\n", 0644);
	put_text("sys/net/ipv6/conf/default/forwarding", "1\n", 0644);
	for (unsigned run = 0; run < 2; run++) {
		e->talk.done = 0;
		assert_int_equal(forwarding_on(e, &err), 0);
		assert_int_equal(pods_cni(e, &err), 0);
		assert_int_equal(pods_kubelet_order(e, &err), 0);
		assert_int_equal(e->talk.done, run ? 0 : 3);
	}
	CLEANUP(free_p) char *now = get_text("sys/net/ipv6/conf/all/forwarding");
	assert_int_equal(now[0], '1');
	CLEANUP(free_p) char *sysctl = get_text("host/sysctl.d/60-hearth.conf");
	assert_non_null(strstr(sysctl, "net/ipv4/ip_forward = 1\n"));
	CLEANUP(free_p)
	char *unit = get_text("host/systemd/system/kubelet.service.d/10-hearth.conf");
	assert_non_null(strstr(unit, "After=hearthd.service"));
	CLEANUP(free_p) char *text = get_text("host/cni/net.d/05-hearth.conflist");
	CLEANUP_JSON json_t *conflist = json_parse(text, strlen(text), &err);
	static const char want[] =
		"{\"cniVersion\":\"1.0.0\",\"cniVersions\":[\"0.4.0\",\"1.0.0\",\"1.1.0\"],"
		"\"name\":\"hearth\",\"plugins\":[{\"type\":\"hearth\",\"device\":\"hearth0\","
		"\"nodeAddresses\":[\"10.77.0.5\",\"fd12:3456:789a::5\"],"
		"\"subnets\":[\"10.244.5.0/24\",\"fd12:3456:789a:1005::/64\"]}]}";
	CLEANUP_JSON json_t *wanted = json_parse(want, strlen(want), &err);
	assert_true(json_equal(conflist, wanted));
}

/* A user's plugins, and words for ours, stay; what the mesh says of this board is set right. */
static void test_pods_chained(void **state)
{
	static const struct {
		const char *now, *want;
	} cases[] = {
		{ "{\"cniVersion\":\"0.4.0\",\"name\":\"x\",\"disableCheck\":true,\"plugins\":["
		  "{\"type\":\"hearth\",\"subnets\":[\"10.1.0.0/24\"],\"dns\":{}},"
		  "{\"type\":\"portmap\",\"capabilities\":{\"portMappings\":true}}]}",
			"{\"cniVersion\":\"1.0.0\",\"cniVersions\":[\"0.4.0\",\"1.0.0\",\"1.1.0\"],"
			"\"name\":\"hearth\",\"disableCheck\":true,\"plugins\":[{\"type\":"
			"\"hearth\","
			"\"device\":\"hearth0\",\"dns\":{},"
			"\"nodeAddresses\":[\"10.77.0.5\",\"fd12:3456:789a::5\"],"
			"\"subnets\":[\"10.244.5.0/24\",\"fd12:3456:789a:1005::/64\"]},"
			"{\"type\":\"portmap\",\"capabilities\":{\"portMappings\":true}}]}" },
		/* Nothing of ours in it. */
		{ "{\"plugins\":[{\"type\":\"bridge\"},7]}", NULL },
		{ "{\"plugins\":7}", NULL },
		{ "[]", NULL },
		{ "nonsense", NULL },
		{ "", NULL },
	};
	struct err err = { 0 };
	CLEANUP_ENROLL struct enroll *e = new_enroll();
	become(e, NODE_ROLE_WORKER, false);
	CLEANUP_JSON json_t *ours = pods_conflist(&e->node, "hearth0");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *want = cases[i].want;
		CLEANUP_JSON json_t *wanted =
			want ? json_parse(want, strlen(want), &err) : json_incref(ours);
		put_text("host/cni/net.d/05-hearth.conflist", cases[i].now, 0644);
		for (unsigned run = 0; run < 2; run++) {
			e->talk.done = 0;
			assert_int_equal(pods_cni(e, &err), 0);
			assert_int_equal(e->talk.done, run ? 0 : 1);
			CLEANUP(free_p) char *text = get_text("host/cni/net.d/05-hearth.conflist");
			CLEANUP_JSON json_t *list = json_parse(text, strlen(text), &err);
			assert_true(json_equal(list, wanted));
		}
	}
}

static void test_pods_refused(void **state)
{
	struct err err = { 0 };
	CLEANUP_ENROLL struct enroll *e = new_enroll();
	become(e, NODE_ROLE_WORKER, false);
	/* /proc/sys of a container that may not be written: here, that is not there. */
	assert_true(forwarding_on(e, &err) < 0);
	assert_non_null(strstr(err.text, "ip_forward"));
	put_text("host/cni/net.d", "a file where a directory should be", 0644);
	assert_true(pods_cni(e, &err) < 0);
	assert_non_null(strstr(err.text, "cni/net.d"));
}

/* ---- forwarding, and back as it was ---- */

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

/* ---- kubeadm files ---- */

static void test_init(void **state)
{
	struct err err = { 0 };
	CLEANUP_ENROLL struct enroll *e = new_enroll();
	become(e, NODE_ROLE_CONTROL_PLANE, true);
	put_text("host/resolv.conf", "nameserver 192.168.50.1\n", 0644);
	put_text("etc/kubeadm.d/10-own.yaml",
		"apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\n"
		"nodeRegistration:\n  ignorePreflightErrors: [SystemVerification]\n",
		0644);
	put_kubeadm("v1.36.3", 0);
	for (unsigned run = 0; run < 2; run++) {
		e->talk.done = 0;
		if (kubefiles_write(e, &err) < 0)
			fail_msg("%s", err.text);
		assert_int_equal(e->talk.done, run ? 0 : 1);
	}
	assert_int_equal(mode_of("etc/kubeadm/init.yaml"), 0600);
	CLEANUP(free_p) char *init = get_text("etc/kubeadm/init.yaml");
	assert_non_null(strstr(init, "kubernetesVersion: v1.36.3"));
	assert_non_null(strstr(init, "SystemVerification"));
	assert_non_null(strstr(init, "controlPlaneEndpoint: api.home.internal:6443"));
	char want[PATH_TEXT_MAX + 64];
	(void) snprintf(want, sizeof(want), "resolvConf: %s/etc/kubeadm/resolv.conf", top);
	assert_non_null(strstr(init, want));
	CLEANUP(free_p) char *patch = get_text("etc/kubeadm/patches/" KUBEADM_PATCH_FILE);
	assert_non_null(strstr(patch, "maxPods: 12"));
	CLEANUP(free_p)
	char *server = get_text("etc/kubeadm/patches/kube-apiserver+strategic.yaml");
	assert_non_null(strstr(server, "name: kube-apiserver"));
	CLEANUP(free_p) char *resolv = get_text("etc/kubeadm/resolv.conf");
	assert_non_null(strstr(resolv, "nameserver 192.168.50.1\n"));

	/* Another kubeadm is found the next time: written anew. --kubeadm-version wins over it. */
	put_kubeadm("v1.37.2", 0);
	assert_int_equal(kubefiles_write(e, &err), 0);
	CLEANUP(free_p) char *newer = get_text("etc/kubeadm/init.yaml");
	assert_non_null(strstr(newer, "kubernetesVersion: v1.37.2"));
	e->kubeadm_version = "1.35.4";
	assert_int_equal(kubefiles_write(e, &err), 0);
	CLEANUP(free_p) char *named = get_text("etc/kubeadm/init.yaml");
	assert_non_null(strstr(named, "kubernetesVersion: v1.35.4"));
}

/* kubeadm comes later and is an older one: what is to be done is said, and does it. */
static void test_kubeadm_comes_later(void **state)
{
	struct err err = { 0 };
	CLEANUP_ENROLL struct enroll *e = new_enroll();
	become(e, NODE_ROLE_CONTROL_PLANE, true);
	assert_int_equal(kubefiles_write(e, &err), 0);
	CLEANUP(free_p) char *init = get_text("etc/kubeadm/init.yaml");
	assert_non_null(strstr(init, "kubernetesVersion: " KUBEADM_VERSION_DEFAULT));
	const char *next = json_string_value(json_array_get(e->talk.next, 0));
	assert_non_null(next);
	assert_non_null(strstr(next, "run enroll-node again"));
	assert_non_null(strstr(next, "the files are for " KUBEADM_VERSION_DEFAULT));

	put_kubeadm("v1.34.9", 0);
	CLEANUP_ENROLL struct enroll *again = new_enroll();
	become(again, NODE_ROLE_CONTROL_PLANE, true);
	assert_int_equal(kubefiles_write(again, &err), 0);
	assert_int_equal(again->talk.done, 1);
	CLEANUP(free_p) char *older = get_text("etc/kubeadm/init.yaml");
	assert_non_null(strstr(older, "kubernetesVersion: v1.34.9"));
	next = json_string_value(json_array_get(again->talk.next, 0));
	assert_true(next && !strncmp(next, "kubeadm init", 12));
}

static void test_join(void **state)
{
	struct err err = { 0 };
	char path[PATH_TEXT_MAX];
	CLEANUP_ENROLL struct enroll *e = new_enroll();
	become(e, NODE_ROLE_WORKER, false);
	assert_int_equal(kubefiles_write(e, &err), 0);
	assert_int_equal(access(below("etc/kubeadm/join.yaml", path), F_OK), -1);
	assert_int_equal(access(below("etc/kubeadm/init.yaml", path), F_OK), -1);
	assert_non_null(json_array_get(e->talk.next, 0));

	/* What would fail with the first bundle fails before it. */
	put_text("etc/kubeadm.d/50-own.yaml",
		"apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\nnodeRegistration:\n"
		"  kubeletExtraArgs: [{name: node-labels, value: node-role.kubernetes.io/x=}]\n",
		0644);
	assert_int_equal(kubefiles_write(e, &err), -EINVAL);
	assert_non_null(strstr(err.text, "node-role.kubernetes.io/x"));
	assert_int_equal(unlink(below("etc/kubeadm.d/50-own.yaml", path)), 0);

	give_bundle(e);
	assert_int_equal(kubefiles_write(e, &err), 0);
	assert_int_equal(mode_of("etc/kubeadm/join.yaml"), 0600);
	assert_int_equal(mode_of("etc/kubeadm/bundle.json"), 0600);
	CLEANUP(free_p) char *join = get_text("etc/kubeadm/join.yaml");
	assert_non_null(strstr(join, "token: abcdef.0123456789abcdef"));
	assert_non_null(strstr(join, "10.77.0.5,fd12:3456:789a::5"));

	/* A later run has no bundle from the coordinator, and keeps what there is. */
	CLEANUP_ENROLL struct enroll *again = new_enroll();
	become(again, NODE_ROLE_WORKER, false);
	assert_int_equal(kubefiles_write(again, &err), 0);
	assert_int_equal(again->talk.done, 0);

	/* A readable token file is made private again. */
	assert_int_equal(chmod(below("etc/kubeadm/join.yaml", path), 0644), 0);
	assert_int_equal(kubefiles_write(again, &err), 0);
	assert_int_equal(mode_of("etc/kubeadm/join.yaml"), 0600);

	/* One whose token is over is dropped, with what was made of it. */
	CLEANUP_BUF struct buf bundle = { 0 };
	char *until;
	assert_int_equal(file_read(below("etc/kubeadm/bundle.json", path), 65536, &bundle), 0);
	until = strstr(buf_str(&bundle), "4102444800");
	assert_non_null(until);
	memcpy(until, "1000000000", 10);
	put_text("etc/kubeadm/bundle.json", buf_str(&bundle), 0600);
	CLEANUP_ENROLL struct enroll *late = new_enroll();
	become(late, NODE_ROLE_WORKER, false);
	assert_int_equal(kubefiles_write(late, &err), 0);
	assert_false(late->has_bundle);
	assert_int_equal(access(below("etc/kubeadm/join.yaml", path), F_OK), -1);
	assert_int_equal(access(below("etc/kubeadm/bundle.json", path), F_OK), -1);
	/* A damaged bundle is as good as none. */
	put_text("etc/kubeadm/bundle.json", "{\"id\":", 0600);
	CLEANUP_ENROLL struct enroll *damaged = new_enroll();
	become(damaged, NODE_ROLE_WORKER, false);
	assert_int_equal(kubefiles_write(damaged, &err), 0);
	assert_false(damaged->has_bundle);

	/* A further control plane advertises itself. */
	CLEANUP_ENROLL struct enroll *second = new_enroll();
	become(second, NODE_ROLE_CONTROL_PLANE, false);
	give_bundle(second);
	assert_int_equal(kubefiles_write(second, &err), 0);
	CLEANUP(free_p) char *plane = get_text("etc/kubeadm/join.yaml");
	assert_non_null(strstr(plane, "advertiseAddress: \"10.77.0.5\""));
}

static void test_kubeadm_refused(void **state)
{
	struct err err = { 0 };
	char path[PATH_TEXT_MAX];
	CLEANUP_ENROLL struct enroll *e = new_enroll();
	become(e, NODE_ROLE_CONTROL_PLANE, true);
	put_kubeadm("v1.30.9", 0);
	assert_int_equal(kubefiles_write(e, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "too old"));
	assert_int_equal(access(below("etc/kubeadm/init.yaml", path), F_OK), -1);

	put_kubeadm("garbage", 0);
	assert_int_equal(kubefiles_write(e, &err), -EINVAL);

	/* The user's own documents: an error names the file, and nothing is written. */
	put_kubeadm("v1.37.2", 0);
	static const char *const bad[][2] = {
		{ "kubernetesVersion: 1.5\n", "kubernetesVersion" },
		{ "certificatesDir: /etc/pki\n", "certificatesDir" },
		{ "clusterNamez: a\n", "unknown field \"clusterNamez\"" },
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char text[256];
		(void) snprintf(text, sizeof(text),
			"apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n%s",
			bad[i][0]);
		put_text("etc/kubeadm.d/50-bad.yaml", text, 0644);
		assert_int_equal(kubefiles_write(e, &err), -EINVAL);
		if (!strstr(err.text, bad[i][1]) || !strstr(err.text, "kubeadm.d"))
			fail_msg("%s", err.text);
		assert_int_equal(access(below("etc/kubeadm/init.yaml", path), F_OK), -1);
	}
	assert_int_equal(unlink(below("etc/kubeadm.d/50-bad.yaml", path)), 0);

	/* kubeadm's own refusal comes through in its words. */
	put_kubeadm("v1.37.2", 1);
	assert_true(kubefiles_write(e, &err) < 0);
	assert_non_null(strstr(err.text, "no good"));
}

/* What stands already is not replaced by what kubeadm refuses; what it warns of is told. */
static void test_judged(void **state)
{
	struct err err = { 0 };
	char path[PATH_TEXT_MAX];
	CLEANUP_ENROLL struct enroll *e = new_enroll();
	become(e, NODE_ROLE_CONTROL_PLANE, true);
	put_kubeadm("v1.37.2", 0);
	assert_int_equal(kubefiles_write(e, &err), 0);
	assert_true(told(e, "a warning of kubeadm"));
	assert_true(told(e, "kubeadm config validate accepts them"));
	CLEANUP(free_p) char *before = get_text("etc/kubeadm/init.yaml");
	CLEANUP(free_p) char *upgrade = get_text("etc/kubeadm/upgrade.yaml");
	assert_non_null(strstr(upgrade, "/etc/kubeadm/patches"));
	assert_int_equal(mode_of("etc/kubeadm/upgrade.yaml"), 0644);

	put_text("etc/kubeadm.d/50-own.yaml",
		"apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nclusterNamez: a\n",
		0644);
	assert_int_equal(kubefiles_write(e, &err), -EINVAL);
	assert_non_null(strstr(err.text, "does not accept init.yaml"));
	CLEANUP(free_p) char *after = get_text("etc/kubeadm/init.yaml");
	assert_string_equal(after, before);

	/* Nobody here to ask: written, and said. */
	assert_int_equal(unlink(below("bin/kubeadm", path)), 0);
	CLEANUP_ENROLL struct enroll *alone = new_enroll();
	become(alone, NODE_ROLE_CONTROL_PLANE, true);
	assert_int_equal(kubefiles_write(alone, &err), 0);
	assert_true(told(alone, "not looked at for misspelt fields"));
	assert_false(told(alone, "accepts them"));
	assert_int_equal(unlink(below("etc/kubeadm.d/50-own.yaml", path)), 0);

	/* A kubelet that does not know a flag. */
	put_kubeadm("v1.37.2", 0);
	put_text("bin/kubelet",
		"#!/bin/sh\nfor a; do last=$a; case $a in --max-podz=*) echo \"unknown flag: $a\" "
		">&2; "
		"exit 1 ;; esac; done\n[ $last = --version ] || exit 9\n",
		0755);
	CLEANUP_ENROLL struct enroll *last = new_enroll();
	become(last, NODE_ROLE_CONTROL_PLANE, true);
	assert_int_equal(kubefiles_write(last, &err), 0);
	put_text("etc/kubeadm.d/50-own.yaml",
		"apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nnodeRegistration:\n"
		"  kubeletExtraArgs: [{name: max-podz, value: '5'}]\n",
		0644);
	assert_int_equal(kubefiles_write(last, &err), -EINVAL);
	assert_non_null(strstr(err.text, "unknown flag: --max-podz=5"));
}

/* A cluster does not read again what it was made from. */
static void test_too_late(void **state)
{
	struct err err = { 0 };
	CLEANUP_ENROLL struct enroll *e = new_enroll();
	become(e, NODE_ROLE_CONTROL_PLANE, true);
	assert_int_equal(kubefiles_write(e, &err), 0);
	put_text("host/kubernetes/kubelet.conf", "", 0600);
	CLEANUP_ENROLL struct enroll *same = new_enroll();
	become(same, NODE_ROLE_CONTROL_PLANE, true);
	assert_int_equal(kubefiles_write(same, &err), 0);
	assert_false(told(same, "already"));
	put_text("etc/kubeadm.d/50-own.yaml",
		"apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nmaxPods: "
		"9\n",
		0644);
	assert_int_equal(kubefiles_write(same, &err), 0);
	assert_true(told(same, "the next `kubeadm upgrade`"));
	assert_true(told(same, "does not read init.yaml again"));
}

/* Somebody works at a board with a display manager. */
static void test_desktop(void **state)
{
	struct err err = { 0 };
	char path[PATH_TEXT_MAX];
	CLEANUP_ENROLL struct enroll *e = new_enroll();
	become(e, NODE_ROLE_WORKER, false);
	assert_int_equal(file_mkdirs(below("host/systemd/system", path), 0755), 0);
	assert_int_equal(
		symlink("/nonexistent", below("host/systemd/system/display-manager.service", path)),
		0);
	assert_int_equal(kubefiles_write(e, &err), 0);
	CLEANUP(free_p) char *patch = get_text("etc/kubeadm/patches/" KUBEADM_PATCH_FILE);
	assert_non_null(strstr(patch, "systemReserved:\n  cpu: \"150m\"\n  memory: \"400Mi\""));
}

static void test_resolv(void **state)
{
	static const struct {
		const char *text, *want;
		unsigned n;
	} cases[] = {
		{ "", "", 0 },
		{ "nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch lan\n", "", 0 },
		{ "# x\nnameserver 192.168.1.1\nnameserver 10.77.255.53\nnameserver 192.168.1.1\n"
		  "nameserver fd12:3456:789a::ffff:53\nnameserver fd00::1\nsearch fritz.box\n",
			"nameserver 192.168.1.1\nnameserver fd00::1\n", 2 },
		{ "nameserver 1.1.1.1\nnameserver 8.8.8.8\nnameserver 9.9.9.9\nnameserver "
		  "4.4.4.4\n",
			"nameserver 1.1.1.1\nnameserver 8.8.8.8\nnameserver 9.9.9.9\n", 3 },
		{ "nameserver ::1\nnameserver fe80::1%eth0\nnameserver fe80::1\nnameserver x\n"
		  "nameserver\nnameserver 0.0.0.0\n  nameserver 1.1.1.1",
			"nameserver 1.1.1.1\n", 1 },
	};
	CLEANUP_ENROLL struct enroll *e = new_enroll();
	become(e, NODE_ROLE_WORKER, false);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP_BUF struct buf out = { 0 };
		assert_int_equal(resolv_servers(cases[i].text, &e->settings, &out), cases[i].n);
		assert_string_equal(buf_str(&out), cases[i].want);
	}
}

static void test_token_input(void **state)
{
	static const char *const bad[][2] = { { "", "no token" }, { " \n\n", "no token" },
		{ "hello", "no enrolment token" }, { "hearth1.@@@", "token" } };
	struct err err = { 0 };
	char path[PATH_TEXT_MAX];
	CLEANUP_ENROLL struct enroll *e = new_enroll();
	e->token_file = below("token", path);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		put_text("token", bad[i][0], 0600);
		assert_true(join_read_token(e, &err) < 0);
		if (!strstr(err.text, bad[i][1]))
			fail_msg("%s", err.text);
	}
	CLEANUP(free_p) char *big = malloc(20000);
	memset(big, 'a', 19999);
	big[19999] = 0;
	put_text("token", big, 0600);
	assert_int_equal(join_read_token(e, &err), -EFBIG);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(join_read_token(e, &err), -ENOENT);
	assert_non_null(strstr(err.text, path));
}

int main(void)
{
	if (sodium_init() < 0)
		return 1;
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_keys),
		TEST(test_keys_refused),
		TEST(test_keys_gone),
		TEST(test_dry_run),
		TEST(test_pods),
		TEST(test_pods_chained),
		TEST(test_pods_refused),
		TEST(test_back),
		TEST(test_back_where_it_was_on),
		TEST(test_back_changed_by_others),
		TEST(test_back_unknown),
		TEST(test_sysctl_files),
		TEST(test_init),
		TEST(test_kubeadm_comes_later),
		TEST(test_join),
		TEST(test_kubeadm_refused),
		TEST(test_judged),
		TEST(test_desktop),
		TEST(test_too_late),
		TEST(test_resolv),
		TEST(test_token_input),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
