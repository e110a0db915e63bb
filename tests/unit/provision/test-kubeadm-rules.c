/* kubeadm rules: what `kubeadm config validate` overlooks is found, with the field's name. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/yaml.h"
#include "boards.h"

/* A value put at a path ("kind:a.b.0.c") of a board's documents. "null" removes. */
static void put(json_t *docs, const char *path, const char *yaml)
{
	char copy[256];
	(void) snprintf(copy, sizeof(copy), "%s", path);
	char *rest = strchr(copy, ':');
	*rest++ = 0;
	json_t *at = NULL, *doc;
	size_t i;
	json_array_foreach(docs, i, doc)
	{
		if (!strcmp(json_string_value(json_object_get(doc, "kind")), copy))
			at = doc;
	}
	assert_non_null(at);
	struct err e = { 0 };
	json_t *value = yaml_parse(yaml, strlen(yaml), &e);
	if (!value)
		value = json_null();
	for (char *part; (part = strsep(&rest, "."));) {
		bool index = strspn(part, "0123456789") == strlen(part);
		if (rest) {
			json_t *next = index ? json_array_get(at, strtoul(part, NULL, 10))
					     : json_object_get(at, part);
			if (!next)
				json_object_set_new(at, part, next = json_object());
			at = next;
		} else if (json_is_null(value)) {
			json_decref(value);
			assert_int_equal(json_object_del(at, part), 0);
		} else if (index) {
			assert_int_equal(json_array_set_new(at, strtoul(part, NULL, 10), value), 0);
		} else {
			assert_int_equal(json_object_set_new(at, part, value), 0);
		}
	}
}

static const struct {
	size_t board; /* 0: init of n100; 1: join of a worker; 5: join of a control plane */
	const char *path, *yaml, *why;
} bad[] = {
	/* what the reference found to be overlooked */
	{ 1, "JoinConfiguration:discovery.bootstrapToken.caCertHashes", "[sha256:12]",
		"caCertHashes" },
	{ 1, "JoinConfiguration:discovery.bootstrapToken.caCertHashes", "[]", "impostor" },
	{ 1, "JoinConfiguration:discovery.bootstrapToken.caCertHashes",
		"[md5:aabbccddeeff00112233445566778899aabbccddeeff00112233445566778899]",
		"caCertHashes" },
	{ 1, "JoinConfiguration:nodeRegistration.kubeletExtraArgs.0.value", "'nonsense'",
		"node-ip" },
	{ 1, "JoinConfiguration:nodeRegistration.kubeletExtraArgs.0.value", "'fd00::1,10.77.0.2'",
		"node-ip" },
	{ 1, "JoinConfiguration:nodeRegistration.kubeletExtraArgs.0.value", "'127.0.0.1'",
		"node-ip" },
	{ 1, "JoinConfiguration:nodeRegistration.kubeletExtraArgs.0.value", "'10.77.0.2,fe80::1'",
		"node-ip" },
	{ 1, "JoinConfiguration:nodeRegistration.kubeletExtraArgs.0.value", "'10.77.0.2,'",
		"node-ip" },
	{ 1, "JoinConfiguration:nodeRegistration.kubeletExtraArgs.0.name", "node-ips",
		"no flag \"node-ips\"" },
	{ 1, "JoinConfiguration:nodeRegistration.kubeletExtraArgs.0.name", "--node-ip", "dashes" },
	{ 0, "KubeletConfiguration:memorySwap.swapBehavior", "SomeSwap", "swapBehavior" },
	{ 0, "KubeProxyConfiguration:detectLocalMode", "Interface", "detectLocalMode" },
	{ 0, "ClusterConfiguration:networking.podSubnet", "'fd00:1::/56,10.244.0.0/16'",
		"podSubnet" },
	{ 0, "ClusterConfiguration:networking.podSubnet", "'10.244.0.0/16,fd00:1::/40'", "/48" },
	{ 0, "ClusterConfiguration:kubernetesVersion", "v1.39.0", "v1.37.2" },
	{ 0, "ClusterConfiguration:kubernetesVersion", "v1.35.0", "one before" },
	{ 0, "InitConfiguration:nodeRegistration.criSocket", "/run/containerd/containerd.sock",
		"unix:///" },
	/* what breaks a cluster later */
	{ 0, "ClusterConfiguration:certificatesDir", "/etc/pki", "certificatesDir" },
	{ 0, "ClusterConfiguration:controlPlaneEndpoint", "null", "controlPlaneEndpoint" },
	{ 0, "ClusterConfiguration:controlPlaneEndpoint", "https://api.home.internal:6443",
		"controlPlaneEndpoint" },
	{ 0, "ClusterConfiguration:controlPlaneEndpoint", "api.home.internal",
		"controlPlaneEndpoint" },
	{ 0, "ClusterConfiguration:controlPlaneEndpoint", "api.home.internal:65536",
		"controlPlaneEndpoint" },
	{ 0, "ClusterConfiguration:controllerManager.extraArgs", "[]", "allocate-node-cidrs" },
	{ 0, "ClusterConfiguration:controllerManager.extraArgs.0.value", "'true'",
		"allocate-node-cidrs" },
	{ 0, "ClusterConfiguration:apiServer.extraArgs", "[{name: --v, value: '2'}]", "dashes" },
	{ 0, "ClusterConfiguration:apiServer.certSANs", "['exa mple']", "certSANs" },
	{ 0, "ClusterConfiguration:encryptionAlgorithm", "ED25519", "encryptionAlgorithm" },
	{ 0, "ClusterConfiguration:networking.serviceSubnet", "'10.96.0.0/8'", "serviceSubnet" },
	{ 0, "ClusterConfiguration:networking.serviceSubnet", "'10.96.0.0/16'", "same families" },
	{ 0, "ClusterConfiguration:networking.serviceSubnet",
		"'10.244.0.0/16,fd12:3456:789a:f000::/112'", "overlap" },
	{ 0, "ClusterConfiguration:networking.dnsDomain", "Cluster.Local", "dnsDomain" },
	{ 0, "KubeletConfiguration:cgroupDriver", "openrc", "cgroupDriver" },
	{ 0, "KubeletConfiguration:resolvConf", "resolv.conf", "absolute" },
	{ 0, "KubeletConfiguration:maxPods", "500", "maxPods" },
	{ 0, "KubeletConfiguration:systemReserved", "{memory: 20Gi}", "nothing would be left" },
	{ 0, "KubeletConfiguration:systemReserved", "{memory: lots}", "systemReserved" },
	{ 0, "KubeletConfiguration:systemReserved", "{ram: 1Gi}", "ram" },
	{ 0, "KubeletConfiguration:evictionHard", "{memory.free: 1Gi}", "memory.free" },
	{ 0, "KubeletConfiguration:shutdownGracePeriodCriticalPods", "31s", "shutdownGracePeriod" },
	{ 0, "KubeletConfiguration:shutdownGracePeriod", "30", "shutdownGracePeriod" },
	{ 0, "KubeletConfiguration:shutdownGracePeriod", "30 s", "duration" },
	{ 0, "KubeletConfiguration:imageGCLowThresholdPercent", "90", NULL },
	{ 0, "KubeProxyConfiguration:mode", "ebpf", "mode" },
	{ 0, "KubeProxyConfiguration:detectLocal", "{}", "interfaceNamePrefix" },
	{ 0, "KubeProxyConfiguration:clusterCIDR", "'10.245.0.0/16'", "podSubnet" },
	{ 0, "KubeProxyConfiguration:nodePortAddresses", "[192.168.0.1]", "nodePortAddresses" },
	{ 0, "KubeProxyConfiguration:nodePortAddresses", "[lan]", "nodePortAddresses" },
	{ 0, "InitConfiguration:localAPIEndpoint", "{}", "advertiseAddress" },
	{ 0, "InitConfiguration:localAPIEndpoint.advertiseAddress", "'fd00::1'", "IPv4" },
	{ 0, "InitConfiguration:localAPIEndpoint.bindPort", "66000", "port" },
	{ 0, "InitConfiguration:certificateKey", "abc", "certificateKey" },
	{ 0, "InitConfiguration:nodeRegistration.name", "N100", "lower-case" },
	{ 0, "InitConfiguration:nodeRegistration.imagePullPolicy", "Maybe", "imagePullPolicy" },
	{ 0, "InitConfiguration:patches.directory", "patches", "absolute" },
	{ 0, "InitConfiguration:timeouts.discovery", "5 minutes", "duration" },
	{ 0, "InitConfiguration:apiVersion", "kubeadm.k8s.io/v1beta3", "v1beta3" },
	{ 0, "ClusterConfiguration:apiServer.timeoutForControlPlane", "4m0s",
		"timeoutForControlPlane" },
	{ 0, "ClusterConfiguration:controllerManager.extraArgs", "{allocate-node-cidrs: 'false'}",
		"list of maps" },
	{ 1, "JoinConfiguration:nodeRegistration.taints", "[{key: a, effect: Never}]", "taints" },
	{ 1, "JoinConfiguration:nodeRegistration.taints", "[{effect: NoSchedule}]", "taints" },
	{ 1, "JoinConfiguration:nodeRegistration.kubeletExtraArgs.1.value",
		"node-role.kubernetes.io/worker=x", "may not give itself" },
	{ 1, "JoinConfiguration:nodeRegistration.kubeletExtraArgs.1.value", "a.k8s.io/x=y",
		"may not give itself" },
	{ 1, "JoinConfiguration:nodeRegistration.kubeletExtraArgs.1.value", "a", "no label" },
	{ 1, "JoinConfiguration:nodeRegistration.kubeletExtraArgs.1.value", "a=b c", "no label" },
	{ 1, "JoinConfiguration:nodeRegistration.kubeletExtraArgs.1.value", "a=b,,c=d",
		"no label" },
	{ 1, "JoinConfiguration:discovery.bootstrapToken.token", "abcdef.0123", "token" },
	{ 1, "JoinConfiguration:discovery.bootstrapToken.apiServerEndpoint", "https://x:6443",
		"apiServerEndpoint" },
	{ 1, "JoinConfiguration:discovery.tlsBootstrapToken", "x", "tlsBootstrapToken" },
	{ 1, "JoinConfiguration:discovery.file", "{kubeConfigPath: /x}", "either" },
	{ 1, "JoinConfiguration:discovery", "{}", "either" },
	{ 5, "JoinConfiguration:controlPlane.localAPIEndpoint.advertiseAddress", "'127.0.0.1'",
		"advertiseAddress" },
	{ 5, "JoinConfiguration:controlPlane.certificateKey", "'0011'", "64 hex" },
};

static void test_overlooked(void **state)
{
	struct kubeadm_version version;
	assert_int_equal(kubeadm_version_parse("v1.37.2", &version, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const struct board *b = &boards[bad[i].board];
		CLEANUP_JSON json_t *docs = board_documents(b);
		struct err e = { 0 };
		put(docs, bad[i].path, bad[i].yaml);
		int r = kubeadm_check(docs, &version, b->node.memory_bytes, &e);
		if (!bad[i].why) {
			if (r < 0)
				fail_msg("%s: %s", bad[i].path, e.text);
			continue;
		}
		if (r != -EINVAL)
			fail_msg("%s = %s was not noticed", bad[i].path, bad[i].yaml);
		if (!strstr(e.text, bad[i].why))
			fail_msg("%s = %s: %s", bad[i].path, bad[i].yaml, e.text);
	}
	CLEANUP_JSON json_t *twice = board_documents(&boards[0]);
	struct err e = { 0 };
	json_array_append_new(twice, json_deep_copy(json_array_get(twice, 2)));
	assert_int_equal(kubeadm_check(twice, &version, 0, &e), -EINVAL);
	assert_non_null(strstr(e.text, "two documents"));
}

/* What people may write all the same. */
static void test_allowed(void **state)
{
	static const struct {
		size_t board;
		const char *path, *yaml;
	} good[] = {
		{ 0, "ClusterConfiguration:kubernetesVersion", "v1.36.3" },
		{ 0, "ClusterConfiguration:apiServer.certSANs",
			"['*.example.org', fd00::1, 1.2.3.4]" },
		{ 0, "ClusterConfiguration:networking.podSubnet", "10.244.0.0/16,fd00:9::/56" },
		{ 0, "ClusterConfiguration:featureGates", "{ControlPlaneKubeletLocalMode: true}" },
		{ 0, "KubeletConfiguration:shutdownGracePeriod", "1h30m0.5s" },
		{ 0, "KubeletConfiguration:failCgroupV1", "false" },
		{ 0, "KubeletConfiguration:evictionHard", "{memory.available: 5%}" },
		{ 0, "KubeletConfiguration:memoryThrottlingFactor", "0.9" },
		{ 0, "KubeProxyConfiguration:conntrack", "{maxPerCore: 0, min: 0}" },
		{ 0, "KubeProxyConfiguration:nodePortAddresses", "[primary]" },
		{ 1, "JoinConfiguration:nodeRegistration.ignorePreflightErrors",
			"[SystemVerification]" },
		{ 1, "JoinConfiguration:discovery.bootstrapToken.apiServerEndpoint",
			"'[fd00::1]:6443'" },
		{ 1, "JoinConfiguration:nodeRegistration.kubeletExtraArgs.1.value",
			"topology.kubernetes.io/zone=house-b,x.node.kubernetes.io/a=b,empty=" },
	};
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		CLEANUP_JSON json_t *docs = board_documents(&boards[good[i].board]);
		struct err e = { 0 };
		put(docs, good[i].path, good[i].yaml);
		if (!strcmp(good[i].path, "ClusterConfiguration:networking.podSubnet"))
			put(docs, "KubeProxyConfiguration:clusterCIDR", good[i].yaml);
		if (kubeadm_check(docs, NULL, 0, &e) < 0)
			fail_msg("%s = %s: %s", good[i].path, good[i].yaml, e.text);
	}
	/* A newer Kubernetes may have fields that our tables lack. */
	struct kubeadm_version newer;
	struct err e = { 0 };
	assert_int_equal(kubeadm_version_parse("v1.38.0", &newer, &e), 0);
	CLEANUP_JSON json_t *docs = board_documents(&boards[0]);
	put(docs, "KubeletConfiguration:brandNewField", "true");
	assert_int_equal(kubeadm_check(docs, &newer, 0, &e), 0);
	assert_int_equal(kubeadm_check(docs, NULL, 0, &e), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_overlooked),
		cmocka_unit_test(test_allowed),
	};
	return cmocka_run_group_tests(tests, boards_setup, boards_teardown);
}
