/* runtime: the configurations of containerd and kubelet that packages and guides leave. */
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
#include "board/runtime.h"

#define CNI2 "[plugins.\"io.containerd.grpc.v1.cri\".cni]\n"
#define CNI3 "[plugins.'io.containerd.cri.v1.runtime'.cni]\n"

static char root[64];

static void put(const char *name, const char *text, mode_t mode)
{
	char path[256], dir[256];

	(void) snprintf(path, sizeof(path), "%s/%s", root, name);
	(void) snprintf(dir, sizeof(dir), "%.*s", (int) (strrchr(path, '/') - path), path);
	assert_int_equal(file_mkdirs(dir, 0755), 0);
	assert_true(file_write_if_changed(path, text, strlen(text), mode) >= 0);
}

static int set_up(void **state)
{
	strcpy(root, "/tmp/hearth-runtime.XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int tear_down(void **state)
{
	char command[128];

	(void) snprintf(command, sizeof(command), "rm -r %s", root);
	return system(command);
}

/* R stands for the directory of the test. */
static void put_with_root(const char *name, const char *text)
{
	char made[1024] = "";

	for (; *text; text++) {
		size_t len = strlen(made);

		(void) snprintf(made + len, sizeof(made) - len, *text == '@' ? "%s" : "%.1s",
			*text == '@' ? root : text);
	}
	put(name, made, 0644);
}

static void test_containerd(void **state)
{
	static const struct {
		const char *text;
		int code;
		const char *word;
	} cases[] = {
		{ "", 0, NULL },
		{ "version = 2\n", 0, NULL },
		/* Docker's package */
		{ "disabled_plugins = [\"cri\"]\n", -ENOPROTOOPT, "disabled_plugins" },
		{ "disabled_plugins = [\"restart\", 'io.containerd.grpc.v1.cri']\n", -ENOPROTOOPT,
			"systemctl restart containerd" },
		{ "version = 3\ndisabled_plugins = [\n  'a', # b\n  "
		  "'io.containerd.cri.v1.runtime',\n]\n",
			-ENOPROTOOPT, "io.containerd.cri.v1.runtime" },
		{ "#disabled_plugins = [\"cri\"]\n", 0, NULL },
		{ "disabled_plugins = [] # \"cri\"\n", 0, NULL },
		{ "[other]\ndisabled_plugins = [\"cri\"]\n", 0, NULL },
		/* Debian's package */
		{ CNI2 "bin_dir = \"@/lib/cni\"\n", -ENOEXEC, "/lib/cni" },
		{ CNI2 "bin_dir = \"@/opt/cni/bin\"\n", 0, NULL },
		{ CNI3 "bin_dirs = ['@/lib/cni', '@/opt/cni/bin']\n", 0, NULL },
		{ CNI3 "bin_dirs = [\n'@/lib/cni',\n'@/lib/cni2',\n]\n", -ENOEXEC, "bin_dirs" },
		{ CNI3 "bin_dirs = []\n", 0, NULL },
		{ CNI2 "conf_dir = \"@/etc/cni/net.d\"\n", 0, NULL },
		{ CNI2 "conf_dir = \"/var/lib/rancher/net.d\"\n", -ENOTDIR, "conf_dir" },
		{ "[plugins.cri.cni]\n  conf_dir = '/x'\n", -ENOTDIR, "/x" },
		{ "[grpc]\naddress = \"/run/containerd/containerd.sock\"\n", 0, NULL },
		{ "[grpc]\naddress = '/run/k3s/containerd/containerd.sock'\n", -ENOTSOCK,
			"criSocket" },
		{ "[ttrpc]\naddress = '/run/x'\n", 0, NULL },
		/* odd ones */
		{ "bin_dirs = [\n", 0, NULL },
		{ "= \n[\n]\n[[x]]\n'\n\"=\"\n", 0, NULL },
	};
	char etc[96], bin[96], plugin[96];
	const struct runtime_where where = { .etc = etc, .bin = bin, .plugin = plugin };

	(void) snprintf(etc, sizeof(etc), "%s/etc", root);
	(void) snprintf(bin, sizeof(bin), "%s/bin", root);
	(void) snprintf(plugin, sizeof(plugin), "%s/opt/cni/bin/hearth", root);
	assert_int_equal(runtime_look_at_containerd(&where, NULL), 0);
	put("opt/cni/bin/hearth", "", 0755);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = { 0 };

		put_with_root("etc/containerd/config.toml", cases[i].text);
		if (runtime_look_at_containerd(&where, &err) != cases[i].code)
			fail_msg("%zu: %d %s", i, err.code, err.text);
		if (cases[i].word && !strstr(err.text, cases[i].word))
			fail_msg("%zu: %s", i, err.text);
	}
}

static void test_cgroups(void **state)
{
	static const struct {
		const char *text;
		int code;
	} cases[] = {
		{ "version = 2\n", -EBADE },
		{ "disabled_plugins = []\n[plugins.cri]\nSystemdCgroup = false\n", -EBADE },
		{ "version = 2\n[a.runc.options]\n  SystemdCgroup = true # so\n", 0 },
		{ "version = 3\n", 0 },
		{ "imports = [\"/etc/containerd/conf.d/*.toml\"]\n", 0 },
		{ "imports = []\n", -EBADE },
	};
	char bin[96];
	const struct runtime_where where = { .etc = root, .bin = bin, .plugin = "/nowhere/hearth" };

	(void) snprintf(bin, sizeof(bin), "%s/bin", root);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = { 0 };

		put("containerd/config.toml", cases[i].text, 0644);
		assert_int_equal(runtime_look_at_containerd(&where, &err), 0); /* containerd 2 */
		put("bin/containerd-shim-runc-v1", "", 0755);
		if (runtime_look_at_containerd(&where, &err) != cases[i].code)
			fail_msg("%zu: %d %s", i, err.code, err.text);
		(void) strcat(bin, "/containerd-shim-runc-v1");
		assert_int_equal(unlink(bin), 0);
		*strrchr(bin, '/') = 0;
	}
}

static void test_kubelet(void **state)
{
	static const struct {
		const char *text;
		bool fine;
	} cases[] = {
		{ "KUBELET_EXTRA_ARGS=\n", true },
		{ "KUBELET_EXTRA_ARGS=--config-dir=/etc/kubernetes/kubelet.conf.d\n", true },
		{ "#KUBELET_EXTRA_ARGS=--node-ip=192.168.1.5\n", true },
		{ "KUBELET_EXTRA_ARGS=--node-ip=192.168.1.5\n", false },
		{ "X=1\n KUBELET_EXTRA_ARGS=\"--v=2 --node-ip 192.168.1.5\"", false },
		{ "KUBELET_EXTRA_ARGS=--node-ips=1\n", true },
		{ "KUBELET_EXTRA_ARGS=--hostname-override=x\n", false },
	};

	assert_int_equal(runtime_look_at_kubelet(root, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = { 0 };

		put(i % 2 ? "default/kubelet" : "sysconfig/kubelet", cases[i].text, 0644);
		put(i % 2 ? "sysconfig/kubelet" : "default/kubelet", "", 0644);
		if ((runtime_look_at_kubelet(root, &err) == 0) != cases[i].fine)
			fail_msg("%zu: %s", i, err.text);
	}
}

static void test_units(void **state)
{
	struct err err = { 0 };
	char path[128];

	put("systemd/system/kubelet.service", "[Service]\nExecStart=/usr/bin/kubelet\n", 0644);
	assert_int_equal(runtime_look_at_kubelet(root, &err), -ENOEXEC);
	put("systemd/system/kubelet.service.d/10-kubeadm.conf.bak",
		"EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env\n", 0644);
	assert_int_equal(runtime_look_at_kubelet(root, &err), -ENOEXEC);
	put("systemd/system/kubelet.service.d/20-own.conf",
		"EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env\n", 0644);
	assert_int_equal(runtime_look_at_kubelet(root, &err), -ENOLINK);
	assert_non_null(strstr(err.text, "10-hearth.conf is not there"));
	put("systemd/system/kubelet.service.d/10-hearth.conf", "[Unit]\n", 0644);
	assert_int_equal(runtime_look_at_kubelet(root, &err), 0);
	(void) snprintf(path, sizeof(path), "%s/systemd/system/kubelet.service", root);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(runtime_look_at_kubelet(root, &err), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_containerd),
		TEST(test_cgroups),
		TEST(test_kubelet),
		TEST(test_units),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
