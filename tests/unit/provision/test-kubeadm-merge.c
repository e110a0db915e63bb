/* kubeadm merge: a user's documents over ours, and the files that they stand in. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/yaml.h"
#include "boards.h"

#define KUBEADM "apiVersion: kubeadm.k8s.io/v1beta4\nkind: "
#define KUBELET "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"

static json_t *yaml(const char *text)
{
	struct err e = { 0 };
	json_t *docs = yaml_parse_all(text, strlen(text), &e);

	if (!docs)
		fail_msg("%s", e.text);
	return docs;
}

static json_t *doc(json_t *docs, const char *kind)
{
	size_t i;
	json_t *d;

	json_array_foreach(docs, i, d)
	{
		if (!strcmp(json_string_value(json_object_get(d, "kind")), kind))
			return d;
	}
	return NULL;
}

static void test_merge(void **state)
{
	struct err e = { 0 };
	CLEANUP_JSON json_t *docs = board_documents(&boards[0], "v1.37.2", NULL, &e);
	CLEANUP_JSON json_t *over =
		yaml(KUBEADM "InitConfiguration\nnodeRegistration:\n"
			     "  ignorePreflightErrors: [SystemVerification]\n"
			     "  kubeletExtraArgs:\n  - {name: v, value: '2'}\n"
			     "---\n" KUBEADM "ClusterConfiguration\n"
			     "apiServer:\n  certSANs: [n100, my.example.org]\n"
			     "  extraArgs: [{name: v, value: '4'}]\n"
			     "clusterName: castle\nencryptionAlgorithm: null\n"
			     "---\n" KUBELET "failSwapOn: true\nmaxPods: 50\n"
			     "---\n" KUBEADM "JoinConfiguration\nskipPhases: [preflight]\n");

	for (int twice = 0; twice < 2; twice++) {
		if (kubeadm_merge(docs, over, &e) < 0)
			fail_msg("%s", e.text);
		json_t *init = doc(docs, "InitConfiguration"),
		       *cluster = doc(docs, "ClusterConfiguration");
		json_t *reg = json_object_get(init, "nodeRegistration");

		assert_int_equal(json_array_size(json_object_get(reg, "ignorePreflightErrors")), 1);
		assert_int_equal(json_array_size(json_object_get(reg, "kubeletExtraArgs")), 3);
		assert_string_equal(json_string_value(json_object_get(reg, "name")), "n100");
		json_t *names = json_object_get(json_object_get(cluster, "apiServer"), "certSANs");

		assert_int_equal(json_array_size(names), 12); /* n100 was there */
		assert_string_equal(json_string_value(json_array_get(names, 11)), "my.example.org");
		assert_string_equal(
			json_string_value(json_object_get(cluster, "clusterName")), "castle");
		assert_null(json_object_get(cluster, "encryptionAlgorithm"));
		assert_true(json_is_true(
			json_object_get(doc(docs, "KubeletConfiguration"), "failSwapOn")));
		assert_null(doc(docs, "JoinConfiguration"));
	}
	/* The overrides are as they were, and not part of the result. */
	json_t *first = json_array_get(over, 0);

	assert_int_equal(json_array_size(json_object_get(
				 json_object_get(first, "nodeRegistration"), "kubeletExtraArgs")),
		1);
}

static void test_refused(void **state)
{
	static const char *const bad[][2] = {
		{ KUBEADM "InitConfiguration\nnodeRegistration: []\n", "must be a map" },
		{ KUBEADM "ClusterConfiguration\napiServer: {certSANs: x}\n", "must be a list" },
		{ KUBEADM "ClusterConfiguration\nclusterName: {a: b}\n", "single value" },
		{ "apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\n", "v1beta3" },
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = { 0 };
		CLEANUP_JSON json_t *docs = board_documents(&boards[0], "v1.37.2", NULL, &e);
		CLEANUP_JSON json_t *over = yaml(bad[i][0]);

		assert_int_equal(kubeadm_merge(docs, over, &e), -EINVAL);
		if (!strstr(e.text, bad[i][1]))
			fail_msg("%s", e.text);
	}
}

static void test_patch(void **state)
{
	CLEANUP_JSON json_t *over =
		yaml(KUBELET "maxPods: 5\nfailCgroupV1: false\n"
			     "shutdownGracePeriod: null\nevictionHard: {pid.available: 3%}\n");
	struct err e = { 0 };
	CLEANUP_JSON json_t *first = kubeadm_kubelet_patch(&boards[0].node);

	assert_int_equal(kubeadm_merge_patch(first, over, true, &e), 0);
	json_t *d = json_array_get(first, 0);

	assert_int_equal(json_integer_value(json_object_get(d, "maxPods")), 5);
	assert_null(json_object_get(d, "failCgroupV1")); /* stands in init.yaml's own document */
	CLEANUP_JSON json_t *other = kubeadm_kubelet_patch(&boards[4].node);

	assert_int_equal(kubeadm_merge_patch(other, over, false, &e), 0);
	d = json_array_get(other, 0);
	assert_int_equal(json_integer_value(json_object_get(d, "maxPods")), 5);
	assert_true(json_is_false(json_object_get(d, "failCgroupV1")));
	/* As kubeadm applies it: what the cluster's document says is removed, what it does not name stays. */
	CLEANUP_JSON json_t *docs = board_documents(&boards[0], "v1.37.2", NULL, &e);

	assert_int_equal(kubeadm_apply_patch(docs, other), 0);
	d = doc(docs, "KubeletConfiguration");
	assert_null(json_object_get(d, "shutdownGracePeriod"));
	assert_int_equal(json_integer_value(json_object_get(d, "maxPods")), 5);
	assert_true(json_is_true(json_object_get(d, "serverTLSBootstrap")));
	d = json_object_get(d, "evictionHard");
	assert_string_equal(json_string_value(json_object_get(d, "pid.available")), "3%");
	assert_string_equal(json_string_value(json_object_get(d, "memory.available")), "80Mi");
}

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[128];

	(void) snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_true(file_write_atomic(path, text, strlen(text), 0644) >= 0);
}

static void test_files(void **state)
{
	char dir[] = "/tmp/hearth-merge-XXXXXX", path[128];
	struct err e = { 0 };

	assert_non_null(mkdtemp(dir));
	CLEANUP_JSON json_t *none = kubeadm_read_overrides("/nonexistent/kubeadm.d", &e);

	assert_int_equal(json_array_size(none), 0);
	write_file(dir, "20-b.yaml", KUBELET "maxPods: 2\n");
	write_file(dir, "10-a.yaml", KUBELET "maxPods: 1\n---\n" KUBEADM "InitConfiguration\n");
	write_file(dir, "README", "not yaml: [");
	write_file(dir, ".hidden.yaml", "not yaml: [");
	CLEANUP_JSON json_t *all = kubeadm_read_overrides(dir, &e);

	if (!all)
		fail_msg("%s", e.text);
	assert_int_equal(json_array_size(all), 3);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(all, 2), "maxPods")), 2);
	static const char *const bad[][2] = { { "a: [", "line" }, { "maxPods: 3\n", "apiVersion" },
		{ "apiVersion: v1\nkind: Pod\n", "not part of our files" },
		{ "apiVersion: kubeadm.k8s.io/v1beta3\nkind: InitConfiguration\n",
			"kubeadm config migrate --old-config" },
		{ "apiVersion: kubeadm.k8s.io/v1\nkind: InitConfiguration\n",
			"write it in v1beta4" },
		{ "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ResetConfiguration\n",
			"UpgradeConfiguration" },
		{ "- a\n", "apiVersion" }, { KUBELET "failSwapOn: no\n", "quotes" } };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		write_file(dir, "30-bad.yaml", bad[i][0]);
		assert_null(kubeadm_read_overrides(dir, &e));
		if (!strstr(e.text, bad[i][1]) || !strstr(e.text, "30-bad.yaml"))
			fail_msg("%s", e.text);
	}
	static const char *const names[] = { "10-a.yaml", "20-b.yaml", "30-bad.yaml", "README",
		".hidden.yaml" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		(void) snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_patch),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, boards_setup, boards_teardown);
}
