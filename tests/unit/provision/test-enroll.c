/*
 * enroll: the steps that need neither coordinator nor network: keys made and found again, the CNI
 * configuration, tokens; what is refused.
 */
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
#include "tree.h"

/* --- keys --- */

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

/* --- pods --- */

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

/* --- tokens --- */

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
	const struct CMUnitTest tests[] = {
		TREE_TEST(test_keys),
		TREE_TEST(test_keys_refused),
		TREE_TEST(test_keys_gone),
		TREE_TEST(test_dry_run),
		TREE_TEST(test_pods),
		TREE_TEST(test_pods_chained),
		TREE_TEST(test_pods_refused),
		TREE_TEST(test_token_input),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
