/* settings: see settings.h. */
#include "settings.h"

#define KUBEADM "apiVersion: kubeadm.k8s.io/v1beta4\nkind: "
#define INIT    KUBEADM "InitConfiguration\n"
#define CLUSTER KUBEADM "ClusterConfiguration\n"
#define JOIN    KUBEADM "JoinConfiguration\n"
#define UPGRADE KUBEADM "UpgradeConfiguration\n"
#define KUBELET "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"
#define PROXY   "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"

enum { N100 = 0, PI4_8G = 1, PI4_4G = 2, PI3 = 4, CP2 = 5 };

#define TAKEN   SETTING_TAKEN
#define REFUSED SETTING_REFUSED

const struct setting settings[] = {
	/* --- arguments: merged by name --- */
	{ "grace-period", N100,
		CLUSTER "controllerManager: {extraArgs: [{name: node-monitor-grace-period, value: "
			"40s}]}\n",
		TAKEN, NULL,
		{ { "controllerManager", "node-monitor-grace-period", "40s" },
			{ "controllerManager", "allocate-node-cidrs", "false" } } },
	{ "grace-period-removed", N100,
		CLUSTER "controllerManager: {extraArgs: [{name: node-monitor-grace-period, value: "
			"null}]}\n",
		TAKEN, NULL,
		{ { "controllerManager", "node-monitor-grace-period", NULL },
			{ "controllerManager", "allocate-node-cidrs", "false" } } },
	{ "etcd-heartbeat", CP2 + 1,
		CLUSTER "etcd: {local: {extraArgs: [{name: heartbeat-interval, value: '200'}]}}\n",
		TAKEN, NULL,
		{ { "etcd", "heartbeat-interval", "200" },
			{ "etcd", "election-timeout", "3000" } } },
	{ "etcd-quota", N100,
		CLUSTER "etcd: {local: {extraArgs: [{name: quota-backend-bytes, value: "
			"'4294967296'}]}}\n",
		TAKEN, NULL, { { "etcd", "quota-backend-bytes", "4294967296" } } },
	{ "apiserver-arguments", N100,
		CLUSTER
		"apiServer: {extraArgs: [{name: default-not-ready-toleration-seconds, value: "
		"'900'}, {name: v, value: '4'}]}\n",
		TAKEN, NULL,
		{ { "apiServer", "default-not-ready-toleration-seconds", "900" },
			{ "apiServer", "v", "4" } } },
	{ "scheduler-arguments", N100, CLUSTER "scheduler: {extraArgs: [{name: v, value: '3'}]}\n",
		TAKEN, NULL, { { "scheduler", "v", "3" } } },
	{ "two-files", N100,
		CLUSTER "apiServer: {extraArgs: [{name: v, value: '4'}]}\n---\n" CLUSTER
			"apiServer: {extraArgs: [{name: v, value: '2'}]}\n",
		TAKEN, NULL, { { "apiServer", "v", "2" } } },
	{ "said-twice", N100,
		CLUSTER "apiServer: {extraArgs: [{name: v, value: '4'}, {name: v, value: '2'}]}\n",
		REFUSED, "twice", { { 0 } } },
	{ "two-issuers", N100,
		CLUSTER "apiServer: {extraArgs: [{name: service-account-issuer, value: "
			"'https://a.example'}, {name: service-account-issuer, value: "
			"'https://b.example'}]}\n",
		TAKEN, NULL,
		{ { "apiServer", "service-account-issuer",
			"https://a.example https://b.example" } } },
	/* the first signs */
	{ "two-issuers-unsorted", N100,
		CLUSTER "apiServer: {extraArgs: [{name: service-account-issuer, value: "
			"'https://b.example'}, {name: service-account-issuer, value: "
			"'https://a.example'}]}\n",
		SETTING_ORDERED, "sorts the values of service-account-issuer",
		{ { "apiServer", "service-account-issuer",
			"https://b.example https://a.example" } } },
	{ "feature-gates", N100,
		CLUSTER "apiServer: {extraArgs: [{name: feature-gates, value: 'AllAlpha=false'}]}\n"
			"---\n" CLUSTER
			"apiServer: {extraArgs: [{name: feature-gates, value: 'AllBeta=true'}]}\n",
		TAKEN, NULL, { { "apiServer", "feature-gates", "AllAlpha=false,AllBeta=true" } } },
	{ "dashes", N100, CLUSTER "apiServer: {extraArgs: [{name: --v, value: '2'}]}\n", REFUSED,
		"dashes", { { 0 } } },
	{ "number-as-argument", N100, CLUSTER "apiServer: {extraArgs: [{name: v, value: 2}]}\n",
		SETTING_KUBEADM, NULL, { { 0 } } },
	{ "argument-without-value", N100, CLUSTER "apiServer: {extraArgs: [{name: v}]}\n", REFUSED,
		"needs a value", { { 0 } } },
	{ "arguments-as-map", N100, CLUSTER "apiServer: {extraArgs: {v: '2'}}\n", REFUSED,
		"kubeadm config migrate", { { 0 } } },
	{ "allocator", N100,
		CLUSTER
		"controllerManager: {extraArgs: [{name: allocate-node-cidrs, value: 'true'}]}\n",
		REFUSED, "the mesh has given each board", { { 0 } } },
	{ "arguments-emptied", N100, CLUSTER "controllerManager: {extraArgs: []}\n", REFUSED,
		"allocate-node-cidrs", { { 0 } } },

	/* --- kubelet's arguments --- */
	{ "node-ip-v4-only", PI4_8G,
		JOIN "nodeRegistration: {kubeletExtraArgs: [{name: node-ip, value: 10.77.0.2}]}\n",
		TAKEN, NULL,
		{ { "kubelet", "node-ip", "10.77.0.2" },
			{ "kubelet", "node-labels",
				"hearth.internal/board=pi4-8g,hearth.internal/class=medium,"
				"hearth.internal/storage=usb-ssd,topology.kubernetes.io/zone=house-"
				"a" } } },
	{ "node-ip-lan", PI4_8G,
		JOIN
		"nodeRegistration: {kubeletExtraArgs: [{name: node-ip, value: 192.168.1.7}]}\n",
		REFUSED, "hearth kube approve", { { 0 } } },
	{ "node-ip-half-lan", PI4_8G,
		JOIN "nodeRegistration: {kubeletExtraArgs: [{name: node-ip, value: "
		     "'10.77.0.2,fd50:1::7'}]}\n",
		REFUSED, "10.77.0.2 and fd12:3456:789a::2", { { 0 } } },
	{ "node-ip-removed", PI4_8G,
		JOIN "nodeRegistration: {kubeletExtraArgs: [{name: node-ip, value: null}]}\n",
		REFUSED, "the default route's", { { 0 } } },
	{ "kubelet-arguments-emptied", N100, INIT "nodeRegistration: {kubeletExtraArgs: []}\n",
		REFUSED, "node-ip", { { 0 } } },
	{ "node-ip-of-another", PI4_8G,
		JOIN "nodeRegistration: {kubeletExtraArgs: [{name: node-ip, value: 10.77.0.3}]}\n",
		REFUSED, "not what the mesh gave this board", { { 0 } } },
	{ "node-ip-nonsense", PI4_8G,
		JOIN "nodeRegistration: {kubeletExtraArgs: [{name: node-ip, value: eth0}]}\n",
		REFUSED, "node-ip", { { 0 } } },
	{ "node-ip-v6-first", PI4_8G,
		JOIN "nodeRegistration: {kubeletExtraArgs: [{name: node-ip, value: "
		     "'fd12:3456:789a::2,10.77.0.2'}]}\n",
		REFUSED, "in this order", { { 0 } } },
	{ "node-ip-loopback", PI4_8G,
		JOIN "nodeRegistration: {kubeletExtraArgs: [{name: node-ip, value: 127.0.0.1}]}\n",
		REFUSED, "127.0.0.1 is not", { { 0 } } },
	{ "node-labels", PI3,
		JOIN "nodeRegistration: {kubeletExtraArgs: [{name: node-labels, value: "
		     "'example.org/room=attic,hearth.internal/class=guest'}]}\n",
		TAKEN, NULL,
		{ { "kubelet", "node-labels",
			"hearth.internal/board=pi3,hearth.internal/class=guest,"
			"hearth.internal/storage=sd,example.org/room=attic" } } },
	{ "role-label", PI3,
		JOIN "nodeRegistration: {kubeletExtraArgs: [{name: node-labels, value: "
		     "'node-role.kubernetes.io/worker='}]}\n",
		REFUSED, "may not give itself", { { 0 } } },
	{ "kubelet-verbosity", N100,
		INIT "nodeRegistration: {kubeletExtraArgs: [{name: v, value: '4'}]}\n", TAKEN, NULL,
		{ { "kubelet", "v", "4" },
			{ "kubelet", "node-ip", "10.77.0.1,fd12:3456:789a::1" } } },
	{ "kubelet-flag-misspelt", PI3,
		JOIN "nodeRegistration: {kubeletExtraArgs: [{name: max-podz, value: '5'}]}\n",
		SETTING_KUBELET, "max-podz", { { "kubelet", "max-podz", "5" } } },
	{ "hostname-override", PI3,
		JOIN
		"nodeRegistration: {kubeletExtraArgs: [{name: hostname-override, value: x}]}\n",
		REFUSED, "hearth node rename", { { 0 } } },
	{ "cluster-domain-flag", PI3,
		JOIN "nodeRegistration: {kubeletExtraArgs: [{name: cluster-domain, value: x.y}]}\n",
		REFUSED, "dnsDomain", { { 0 } } },

	/* --- what is the mesh's --- */
	{ "services-are-the-mesh", N100,
		CLUSTER "networking: {serviceSubnet: '10.77.0.0/16,fd12:3456:789a::/112'}\n",
		REFUSED, "--services4", { { 0 } } },
	{ "services-are-the-lan", N100,
		CLUSTER "networking: {serviceSubnet: '192.168.1.0/24,fd12:3456:789a:f000::/112'}\n",
		REFUSED, "hearth-coord init", { { 0 } } },
	{ "services-elsewhere", N100, CLUSTER "networking: {serviceSubnet: 10.100.0.0/16}\n",
		REFUSED, "--services6", { { 0 } } },
	{ "services-again", N100,
		CLUSTER "networking: {serviceSubnet: "
			"'10.96.0.0/16,fd12:3456:789a:f000:0:0:0:0/112'}\n",
		TAKEN, NULL,
		{ { "ClusterConfiguration", "apiServer.certSANs.10", "fd12:3456:789a:f000::1" } } },
	{ "pods-of-flannel", N100, CLUSTER "networking: {podSubnet: 10.42.0.0/16}\n", REFUSED,
		"--pods4", { { 0 } } },
	{ "pods-removed", N100, CLUSTER "networking: {podSubnet: null}\n", REFUSED, "--pods6",
		{ { 0 } } },
	{ "services-flag", N100,
		CLUSTER "apiServer: {extraArgs: [{name: service-cluster-ip-range, value: "
			"10.100.0.0/16}]}\n",
		REFUSED, "--services4", { { 0 } } },
	{ "pods-flag", N100,
		CLUSTER
		"controllerManager: {extraArgs: [{name: cluster-cidr, value: 10.42.0.0/16}]}\n",
		REFUSED, "--pods4", { { 0 } } },
	{ "proxy-range", N100, PROXY "clusterCIDR: 10.42.0.0/16\n", REFUSED, "leave it out",
		{ { 0 } } },
	{ "domain-of-the-mesh", N100, CLUSTER "networking: {dnsDomain: home.internal}\n", REFUSED,
		"overlaps the mesh's own home.internal", { { 0 } } },
	{ "domain-above-the-mesh", N100, CLUSTER "networking: {dnsDomain: internal}\n", REFUSED,
		"overlaps", { { 0 } } },
	{ "domain-in-the-mesh", N100, CLUSTER "networking: {dnsDomain: k8s.home.internal}\n",
		REFUSED, "overlaps", { { 0 } } },
	{ "domain-own", N100, CLUSTER "networking: {dnsDomain: castle.local}\n", TAKEN, NULL,
		{ { "ClusterConfiguration", "networking.dnsDomain", "castle.local" } } },
	{ "domain-of-kubelet-alone", N100, KUBELET "clusterDomain: castle.local\n", REFUSED,
		"networking.dnsDomain", { { 0 } } },
	{ "domain-of-both", N100,
		CLUSTER "networking: {dnsDomain: castle.local}\n---\n" KUBELET
			"clusterDomain: castle.local\n",
		TAKEN, NULL, { { "KubeletConfiguration", "clusterDomain", "castle.local" } } },
	{ "node-name", PI3, JOIN "nodeRegistration: {name: attic}\n", REFUSED, "hearth node rename",
		{ { 0 } } },
	{ "advertise-lan", N100, INIT "localAPIEndpoint: {advertiseAddress: 192.168.1.2}\n",
		REFUSED, "certSANs", { { 0 } } },
	{ "advertise-flag", N100,
		CLUSTER "apiServer: {extraArgs: [{name: advertise-address, value: 192.168.1.2}]}\n",
		REFUSED, "localAPIEndpoint", { { 0 } } },
	{ "patches-elsewhere", PI3, JOIN "patches: {directory: /root/patches}\n", REFUSED,
		"beside them", { { 0 } } },

	/* --- what follows from a value --- */
	{ "bind-port", N100, INIT "localAPIEndpoint: {bindPort: 7443}\n", TAKEN, NULL,
		{ { "ClusterConfiguration", "controlPlaneEndpoint", "api.home.internal:7443" },
			{ "InitConfiguration", "localAPIEndpoint.bindPort", "7443" },
			{ "InitConfiguration", "localAPIEndpoint.advertiseAddress",
				"10.77.0.1" } } },
	{ "bind-port-and-endpoint", N100,
		INIT "localAPIEndpoint: {bindPort: 7443}\n---\n" CLUSTER
		     "controlPlaneEndpoint: api.home.internal:7443\n",
		TAKEN, NULL,
		{ { "ClusterConfiguration", "controlPlaneEndpoint", "api.home.internal:7443" } } },
	{ "endpoint-alone", N100, CLUSTER "controlPlaneEndpoint: api.home.internal:7443\n", REFUSED,
		"bindPort 6443", { { 0 } } },
	{ "endpoint-without-port", N100,
		INIT "localAPIEndpoint: {bindPort: 7443}\n---\n" CLUSTER
		     "controlPlaneEndpoint: api.home.internal\n",
		TAKEN, NULL,
		{ { "ClusterConfiguration", "controlPlaneEndpoint", "api.home.internal:7443" } } },
	{ "endpoint-own-balancer", N100, CLUSTER "controlPlaneEndpoint: k8s.example.org:443\n",
		TAKEN, NULL,
		{ { "ClusterConfiguration", "controlPlaneEndpoint", "k8s.example.org:443" } } },
	{ "endpoint-with-scheme", N100,
		CLUSTER "controlPlaneEndpoint: https://api.home.internal:6443\n", SETTING_KUBEADM,
		NULL, { { 0 } } },
	{ "secure-port", N100,
		CLUSTER "apiServer: {extraArgs: [{name: secure-port, value: '7443'}]}\n", REFUSED,
		"localAPIEndpoint.bindPort", { { 0 } } },
	{ "joining-port", CP2, JOIN "controlPlane: {localAPIEndpoint: {bindPort: 7443}}\n", REFUSED,
		"must be 6443", { { 0 } } },
	{ "cert-names", N100, CLUSTER "apiServer: {certSANs: [kubernetes.example.org]}\n", TAKEN,
		NULL,
		{ { "ClusterConfiguration", "apiServer.certSANs.0", "api.home.internal" },
			{ "ClusterConfiguration", "apiServer.certSANs.10",
				"fd12:3456:789a:f000::1" },
			{ "ClusterConfiguration", "apiServer.certSANs.11",
				"kubernetes.example.org" } } },
	{ "cert-names-emptied", N100, CLUSTER "apiServer: {certSANs: []}\n", TAKEN, NULL,
		{ { "ClusterConfiguration", "apiServer.certSANs.0", "api.home.internal" },
			{ "ClusterConfiguration", "apiServer.certSANs.11", NULL } } },
	{ "cert-name-of-nothing", N100, CLUSTER "apiServer: {certSANs: ['exa mple']}\n",
		SETTING_KUBEADM, NULL, { { 0 } } },

	/* --- other lists --- */
	{ "node-ports-narrowed", N100, PROXY "nodePortAddresses: [10.77.0.0/16]\n", TAKEN, NULL,
		{ { "KubeProxyConfiguration", "nodePortAddresses.0", "10.77.0.0/16" },
			{ "KubeProxyConfiguration", "nodePortAddresses.1", NULL } } },
	{ "node-ports-to-all", N100, PROXY "nodePortAddresses: [0.0.0.0/0]\n", TAKEN,
		"every NodePort",
		{ { "KubeProxyConfiguration", "nodePortAddresses.0", "0.0.0.0/0" } } },
	{ "node-ports-address", N100, PROXY "nodePortAddresses: [192.168.1.2]\n", REFUSED,
		"must be a prefix", { { 0 } } },
	{ "taint-more", PI3,
		JOIN "nodeRegistration: {taints: [{key: example.org/slow, effect: NoSchedule}]}\n",
		TAKEN, NULL,
		{ { "JoinConfiguration", "nodeRegistration.taints.0.key", "hearth.internal/tiny" },
			{ "JoinConfiguration", "nodeRegistration.taints.1.key",
				"example.org/slow" } } },
	{ "taint-none", PI3, JOIN "nodeRegistration: {taints: []}\n", TAKEN, NULL,
		{ { "JoinConfiguration", "nodeRegistration.taints.0", NULL } } },
	{ "taint-nonsense", PI3, JOIN "nodeRegistration: {taints: [{key: a, effect: Never}]}\n",
		REFUSED, "effect", { { 0 } } },
	{ "environment", N100,
		CLUSTER
		"apiServer: {extraEnvs: [{name: HTTPS_PROXY, value: 'http://a:1'}]}\n---\n" CLUSTER
		"apiServer: {extraEnvs: [{name: HTTPS_PROXY, value: 'http://b:2'}]}\n",
		TAKEN, NULL,
		{ { "ClusterConfiguration", "apiServer.extraEnvs.0.value", "http://b:2" },
			{ "ClusterConfiguration", "apiServer.extraEnvs.1", NULL } } },
	{ "volumes", N100,
		CLUSTER "apiServer: {extraVolumes: [{name: audit, hostPath: /a, mountPath: "
			"/m}]}\n---\n" CLUSTER
			"apiServer: {extraVolumes: [{name: audit, hostPath: /b, mountPath: /m}]}\n",
		TAKEN, NULL,
		{ { "ClusterConfiguration", "apiServer.extraVolumes.0.hostPath", "/b" },
			{ "ClusterConfiguration", "apiServer.extraVolumes.1", NULL } } },

	/* --- sizes --- */
	{ "quantities-without-quotes", PI4_4G,
		KUBELET "systemReserved: {cpu: 0.25, memory: 512e6, pid: 1000}\n", TAKEN, NULL,
		{ { "(patch)", "systemReserved.cpu", "0.25" },
			{ "(patch)", "systemReserved.memory", "512000000" },
			{ "(patch)", "systemReserved.pid", "1000" } } },
	{ "quantities-with-exponent", PI4_4G, KUBELET "kubeReserved: {memory: '3E8'}\n", TAKEN,
		NULL, { { "(patch)", "kubeReserved.memory", "3E8" } } },
	{ "quantity-nonsense", PI4_4G, KUBELET "kubeReserved: {memory: lots}\n", REFUSED,
		"must be a quantity", { { 0 } } },
	{ "hugepages-reserved", N100, KUBELET "systemReserved: {hugepages-2Mi: 64Mi}\n", REFUSED,
		"kubelet does not start", { { 0 } } },
	{ "hugepages-of-numa", N100,
		KUBELET
		"reservedMemory: [{numaNode: 0, limits: {memory: 1Gi, hugepages-2Mi: 64Mi}}]\n",
		TAKEN, NULL,
		{ { "KubeletConfiguration", "reservedMemory.0.limits.hugepages-2Mi", "64Mi" } } },
	{ "too-much-reserved", PI3, KUBELET "systemReserved: {memory: 1Gi}\n", REFUSED,
		"nothing would be left", { { 0 } } },
	{ "max-pods", PI3, KUBELET "maxPods: 20\n", TAKEN, NULL,
		{ { "(patch)", "maxPods", "20" },
			{ "(patch)", "systemReserved.memory", "200Mi" } } },
	{ "max-pods-of-the-cluster", PI3, KUBELET "maxPods: null\n", TAKEN, NULL,
		{ { "(patch)", "maxPods", "null" } } },
	{ "max-pods-too-many", PI4_8G, KUBELET "maxPods: 500\n", REFUSED, "/24", { { 0 } } },
	{ "eviction-percent", PI4_8G, KUBELET "evictionHard: {memory.available: 5%}\n", TAKEN, NULL,
		{ { "(patch)", "evictionHard.memory\\.available", "5%" },
			{ "(patch)", "evictionHard.nodefs\\.available", "10%" } } },
	{ "eviction-signal", PI4_8G, KUBELET "evictionHard: {memory.free: 5%}\n", REFUSED,
		"memory.free", { { 0 } } },
	{ "eviction-without-grace", PI4_8G, KUBELET "evictionSoft: {memory.available: 300Mi}\n",
		REFUSED, "evictionSoftGracePeriod", { { 0 } } },

	/* --- kubelet --- */
	{ "shutdown-by-priority", N100,
		KUBELET
		"shutdownGracePeriodByPodPriority: [{priority: 0, shutdownGracePeriodSeconds: "
		"60}]\n",
		TAKEN, NULL,
		{ { "KubeletConfiguration", "shutdownGracePeriod", NULL },
			{ "KubeletConfiguration", "shutdownGracePeriodCriticalPods", NULL } } },
	{ "shutdown-by-priority-here", PI3,
		KUBELET
		"shutdownGracePeriodByPodPriority: [{priority: 0, shutdownGracePeriodSeconds: "
		"60}]\n",
		TAKEN, NULL, { { "(patch)", "shutdownGracePeriod", "null" } } },
	{ "shutdown-both", N100,
		KUBELET
		"shutdownGracePeriod: 60s\nshutdownGracePeriodByPodPriority: [{priority: 0, "
		"shutdownGracePeriodSeconds: 60}]\n",
		REFUSED, "not both", { { 0 } } },
	{ "shutdown-critical", N100, KUBELET "shutdownGracePeriodCriticalPods: 40s\n", REFUSED,
		"must not be longer", { { 0 } } },
	{ "swap-word", N100, KUBELET "memorySwap: {swapBehavior: Some}\n", REFUSED, "LimitedSwap",
		{ { 0 } } },
	{ "kubelet-open", N100,
		KUBELET "authentication: {anonymous: {enabled: true}}\nauthorization: {mode: "
			"AlwaysAllow}\n",
		TAKEN, "without a certificate", { { 0 } } },
	{ "kubelet-read-only-port", N100, KUBELET "readOnlyPort: 10255\n", TAKEN, "tells everybody",
		{ { "KubeletConfiguration", "readOnlyPort", "10255" } } },
	{ "kubelet-field-misspelt", N100, KUBELET "maxPodz: 20\n", SETTING_KUBEADM, NULL,
		{ { 0 } } },
	{ "kubelet-field-misspelt-here", PI3, KUBELET "maxPodz: 20\n", SETTING_KUBEADM, NULL,
		{ { 0 } } },
	{ "kubelet-wrong-type", N100, KUBELET "failSwapOn: 'true'\n", SETTING_KUBEADM, NULL,
		{ { 0 } } },
	{ "static-pods", N100, KUBELET "staticPodPath: /srv/pods\n", REFUSED, "must stay",
		{ { 0 } } },

	/* --- kube-proxy --- */
	{ "proxy-iptables", N100, PROXY "mode: iptables\n", TAKEN, NULL,
		{ { "KubeProxyConfiguration", "mode", "iptables" } } },
	{ "proxy-ebpf", N100, PROXY "mode: ebpf\n", REFUSED, "nftables", { { 0 } } },
	{ "proxy-by-range", N100, PROXY "detectLocalMode: ClusterCIDR\n", TAKEN, NULL,
		{ { "KubeProxyConfiguration", "detectLocalMode", "ClusterCIDR" } } },
	{ "proxy-bridge", N100,
		PROXY "detectLocalMode: BridgeInterface\ndetectLocal: {bridgeInterface: cni0}\n",
		REFUSED, "no bridge", { { 0 } } },
	{ "proxy-prefix", N100, PROXY "detectLocal: {interfaceNamePrefix: cali}\n", REFUSED, "hth",
		{ { 0 } } },
	{ "proxy-conntrack", N100, PROXY "conntrack: {maxPerCore: 0}\n", TAKEN, NULL,
		{ { "KubeProxyConfiguration", "conntrack.maxPerCore", "0" },
			{ "KubeProxyConfiguration", "conntrack.min", "32768" } } },

	/* --- the rest --- */
	{ "field-misspelt", N100, CLUSTER "clusterNames: castle\n", SETTING_KUBEADM, NULL,
		{ { 0 } } },
	{ "bad-duration", N100, INIT "timeouts: {discovery: 5 minutes}\n", SETTING_KUBEADM, NULL,
		{ { 0 } } },
	{ "algorithm", N100, CLUSTER "encryptionAlgorithm: ED25519\n", SETTING_KUBEADM, NULL,
		{ { 0 } } },
	{ "algorithm-none", N100, CLUSTER "encryptionAlgorithm: null\n", TAKEN, NULL,
		{ { "ClusterConfiguration", "encryptionAlgorithm", NULL } } },
	{ "version-of-the-future", N100, CLUSTER "kubernetesVersion: v1.99.0\n", REFUSED,
		"one before", { { 0 } } },
	{ "certificates-elsewhere", N100, CLUSTER "certificatesDir: /etc/pki\n", REFUSED,
		"must stay /etc/kubernetes/pki", { { 0 } } },
	{ "etcd-data-flag", N100,
		CLUSTER "etcd: {local: {extraArgs: [{name: data-dir, value: /srv/etcd}]}}\n",
		REFUSED, "etcd.local.dataDir", { { 0 } } },
	{ "etcd-data", N100, CLUSTER "etcd: {local: {dataDir: /srv/etcd}}\n", TAKEN, NULL,
		{ { "ClusterConfiguration", "etcd.local.dataDir", "/srv/etcd" } } },
	{ "etcd-external", CP2 + 1,
		CLUSTER
		"etcd: {external: {endpoints: ['https://10.77.0.2:2379'], caFile: /a, certFile: "
		"/b, keyFile: /c}}\n",
		TAKEN, NULL, { { "ClusterConfiguration", "etcd.local", NULL } } },
	{ "authorization-open", N100,
		CLUSTER
		"apiServer: {extraArgs: [{name: authorization-mode, value: AlwaysAllow}]}\n",
		TAKEN, "everybody", { { "apiServer", "authorization-mode", "AlwaysAllow" } } },
	{ "join-pin-malformed", PI3,
		JOIN "discovery: {bootstrapToken: {caCertHashes: ['sha256:12']}}\n", REFUSED,
		"64 lower-case hex", { { 0 } } },
	{ "join-without-pins", PI3,
		JOIN "discovery: {bootstrapToken: {unsafeSkipCAVerification: true}}\n", TAKEN,
		"impostor", { { 0 } } },
	{ "join-by-file", PI3,
		JOIN "discovery: {file: {kubeConfigPath: https://10.77.0.1/cluster.conf}, "
		     "tlsBootstrapToken: "
		     "abcdef.0123456789abcdef}\n",
		TAKEN, NULL, { { "JoinConfiguration", "discovery.bootstrapToken", NULL } } },
	{ "preflight", N100,
		INIT "nodeRegistration: {ignorePreflightErrors: [SystemVerification, Mem]}\n",
		TAKEN, NULL,
		{ { "InitConfiguration", "nodeRegistration.ignorePreflightErrors.1", "Mem" } } },
	{ "upgrade", PI3, UPGRADE "node: {certificateRenewal: false}\n", TAKEN, NULL,
		{ { "UpgradeConfiguration", "node.certificateRenewal", "false" },
			{ "UpgradeConfiguration", "node.patches.directory",
				"/etc/hearth/kubeadm/patches" } } },
	{ "upgrade-without-patches", N100, UPGRADE "apply: {patches: null}\n", REFUSED,
		"UpgradeConfiguration.apply.patches", { { 0 } } },
};

const size_t n_settings = sizeof(settings) / sizeof(settings[0]);
