/* node-label: the labels that people give boards, and what kubelet and the API server would say of each. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "wire/node-label.h"

#define A63 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz01234567890"
#define A253                    \
	A63 "." A63 "." A63 "." \
	    "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz012345678"

static const struct {
	const char *key, *value;
	const char *why; /* a word of the reason, NULL: accepted */
} table[] = {
	/* names of one's own */
	{ "zone", "attic", NULL },
	{ "disk", "", NULL },
	{ "Disk_type.2", "SSD_fast-1.0", NULL },
	{ "7", "7", NULL },
	{ "hearth.internal/board", "pi3", NULL },
	{ "example.com/gpu", "true", NULL },
	{ "a-b.c-d/x", "1", NULL },
	{ "mykubernetes.io/x", "1", NULL },
	{ "kubernetes.io.example/x", "1", NULL },
	{ A63, A63, NULL },
	{ A253 "/x", "1", NULL },
	/* those of Kubernetes that a kubelet may set */
	{ "node.kubernetes.io/instance-type", "pi3", NULL },
	{ "node.kubernetes.io/worker", "", NULL },
	{ "gpu.node.kubernetes.io/count", "1", NULL },
	{ "kubelet.kubernetes.io/x", "1", NULL },
	{ "x.kubelet.kubernetes.io/x", "1", NULL },
	{ "topology.kubernetes.io/zone", "house-2", NULL },
	{ "topology.kubernetes.io/region", "north", NULL },
	{ "failure-domain.beta.kubernetes.io/zone", "a", NULL },
	{ "failure-domain.beta.kubernetes.io/region", "a", NULL },
	{ "beta.kubernetes.io/instance-type", "a", NULL },
	{ "beta.kubernetes.io/arch", "arm64", NULL },
	{ "beta.kubernetes.io/os", "linux", NULL },
	{ "kubernetes.io/arch", "arm64", NULL },
	{ "kubernetes.io/os", "linux", NULL },
	{ "kubernetes.io/hostname", "pi3", NULL },
	/* and those it may not */
	{ "node-role.kubernetes.io/worker", "",
		"kubectl label node NAME node-role.kubernetes.io/worker=" },
	{ "node-role.kubernetes.io/control-plane", "", "node.kubernetes.io/control-plane" },
	{ "node-restriction.kubernetes.io/secure", "yes", "(secure)" },
	{ "x.node-restriction.kubernetes.io/secure", "yes", "may not" },
	{ "kubernetes.io/role", "worker", "may not" },
	{ "kubernetes.io/hostname2", "x", "may not" },
	{ "topology.kubernetes.io/rack", "1", "may not" },
	{ "app.kubernetes.io/name", "x", "may not" },
	{ "mynode.kubernetes.io/x", "1", "may not" },
	{ "k8s.io/x", "1", "may not" },
	{ "autoscaler.k8s.io/x", "1", "may not" },
	{ "node.k8s.io/x", "1", "may not" },
	/* no labels */
	{ "", "x", "name must be" },
	{ "-x", "1", "name must be" },
	{ "x.", "1", "name must be" },
	{ "a b", "1", "name must be" },
	{ "k\xc3\xbc"
	  "che",
		"1", "name must be" },
	{ A63 "x", "1", "name must be" },
	{ "example.com/", "1", "name must be" },
	{ "a/b/c", "1", "name must be" },
	{ "/x", "1", "before the slash" },
	{ "Example.com/x", "1", "before the slash" },
	{ "exa_mple.com/x", "1", "before the slash" },
	{ "example..com/x", "1", "before the slash" },
	{ ".example.com/x", "1", "before the slash" },
	{ "example.com./x", "1", "before the slash" },
	{ "-example.com/x", "1", "before the slash" },
	{ "example-.com/x", "1", "before the slash" },
	{ "example.com-/x", "1", "before the slash" },
	{ A253 "a/x", "1", "before the slash" },
	{ "\x1b[2J/x", "1", "\"?[2J/x\"" },
	/* no values */
	{ "zone", "the attic", "a value is" },
	{ "zone", "-", "a value is" },
	{ "zone", "x-", "a value is" },
	{ "zone", "a,b=c", "a value is" },
	{ "zone", "\x1b[2J", "\"?[2J\"" },
	{ "zone", A63 "x", "a value is" },
};

static void test_table(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct err err = { 0 };
		int r = node_label_check(table[i].key, table[i].value, &err);

		assert_int_equal(node_label_check(table[i].key, table[i].value, NULL), r);
		if (r != (table[i].why ? -EINVAL : 0))
			fail_msg("%s=%s: %d %s", table[i].key, table[i].value, r, err.text);
		if (table[i].why && !strstr(err.text, table[i].why))
			fail_msg("%s=%s: %s", table[i].key, table[i].value, err.text);
		assert_true(!*err.text || err.text[strlen(err.text) - 1] != '.');
	}
}

static void test_all(void **state)
{
	CLEANUP_JSON json_t *good = json_pack("{s:s, s:s}", "zone", "attic", "disk", "");
	CLEANUP_JSON json_t *bad =
		json_pack("{s:s, s:s}", "zone", "attic", "node-role.kubernetes.io/worker", "");
	CLEANUP_JSON json_t *number = json_pack("{s:i}", "zone", 1);
	struct err err = { 0 };

	assert_int_equal(node_labels_check(NULL, NULL), 0);
	assert_int_equal(node_labels_check(good, NULL), 0);
	assert_int_equal(node_labels_check(bad, &err), -EINVAL);
	assert_non_null(strstr(err.text, "node-role.kubernetes.io/worker"));
	assert_int_equal(node_labels_check(number, &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
