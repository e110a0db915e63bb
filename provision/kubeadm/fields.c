/*
 * fields: the shape of kubeadm's documents (v1beta4), of KubeletConfiguration (v1beta1) and of
 * KubeProxyConfiguration (v1alpha1). A newer Kubernetes than KUBEADM_MINOR_KNOWN may have more: then
 * check.c lets unknown fields pass.
 */
#include "kubeadm/fields.h"

#include <stddef.h>
#include <string.h>

#define END                           \
	{                             \
		NULL, FIELD_ANY, NULL \
	}
#define DOCUMENT                              \
	{ "apiVersion", FIELD_STRING, NULL }, \
	{                                     \
		"kind", FIELD_STRING, NULL    \
	}

static const struct field argument[] = {
	{ "name", FIELD_STRING, NULL },
	{ "value", FIELD_STRING, NULL },
	END,
};

static const struct field taint[] = {
	{ "key", FIELD_STRING, NULL },
	{ "value", FIELD_STRING, NULL },
	{ "effect", FIELD_STRING, NULL },
	{ "timeAdded", FIELD_STRING, NULL },
	END,
};

static const struct field bootstrap_token[] = {
	{ "token", FIELD_STRING, NULL },
	{ "description", FIELD_STRING, NULL },
	{ "ttl", FIELD_DURATION, NULL },
	{ "expires", FIELD_STRING, NULL },
	{ "usages", FIELD_STRINGS, NULL },
	{ "groups", FIELD_STRINGS, NULL },
	END,
};

static const struct field api_endpoint[] = {
	{ "advertiseAddress", FIELD_STRING, NULL },
	{ "bindPort", FIELD_INT, NULL },
	END,
};

static const struct field registration[] = {
	{ "name", FIELD_STRING, NULL },
	{ "criSocket", FIELD_STRING, NULL },
	{ "taints", FIELD_LIST, taint },
	{ "kubeletExtraArgs", FIELD_LIST, argument },
	{ "ignorePreflightErrors", FIELD_STRINGS, NULL },
	{ "imagePullPolicy", FIELD_STRING, NULL },
	{ "imagePullSerial", FIELD_BOOL, NULL },
	END,
};

static const struct field patches[] = {
	{ "directory", FIELD_STRING, NULL },
	END,
};

static const struct field timeouts[] = {
	{ "controlPlaneComponentHealthCheck", FIELD_DURATION, NULL },
	{ "kubeletHealthCheck", FIELD_DURATION, NULL },
	{ "kubernetesAPICall", FIELD_DURATION, NULL },
	{ "etcdAPICall", FIELD_DURATION, NULL },
	{ "tlsBootstrap", FIELD_DURATION, NULL },
	{ "discovery", FIELD_DURATION, NULL },
	{ "upgradeManifests", FIELD_DURATION, NULL },
	END,
};

static const struct field init_configuration[] = {
	DOCUMENT,
	{ "bootstrapTokens", FIELD_LIST, bootstrap_token },
	{ "dryRun", FIELD_BOOL, NULL },
	{ "nodeRegistration", FIELD_OBJECT, registration },
	{ "localAPIEndpoint", FIELD_OBJECT, api_endpoint },
	{ "certificateKey", FIELD_STRING, NULL },
	{ "skipPhases", FIELD_STRINGS, NULL },
	{ "patches", FIELD_OBJECT, patches },
	{ "timeouts", FIELD_OBJECT, timeouts },
	END,
};

static const struct field bootstrap_discovery[] = {
	{ "token", FIELD_STRING, NULL },
	{ "apiServerEndpoint", FIELD_STRING, NULL },
	{ "caCertHashes", FIELD_STRINGS, NULL },
	{ "unsafeSkipCAVerification", FIELD_BOOL, NULL },
	END,
};

static const struct field file_discovery[] = {
	{ "kubeConfigPath", FIELD_STRING, NULL },
	END,
};

static const struct field discovery[] = {
	{ "bootstrapToken", FIELD_OBJECT, bootstrap_discovery },
	{ "file", FIELD_OBJECT, file_discovery },
	{ "tlsBootstrapToken", FIELD_STRING, NULL },
	END,
};

static const struct field join_control_plane[] = {
	{ "localAPIEndpoint", FIELD_OBJECT, api_endpoint },
	{ "certificateKey", FIELD_STRING, NULL },
	END,
};

static const struct field join_configuration[] = {
	DOCUMENT,
	{ "dryRun", FIELD_BOOL, NULL },
	{ "nodeRegistration", FIELD_OBJECT, registration },
	{ "caCertPath", FIELD_STRING, NULL },
	{ "discovery", FIELD_OBJECT, discovery },
	{ "controlPlane", FIELD_OBJECT, join_control_plane },
	{ "skipPhases", FIELD_STRINGS, NULL },
	{ "patches", FIELD_OBJECT, patches },
	{ "timeouts", FIELD_OBJECT, timeouts },
	END,
};

static const struct field host_path[] = {
	{ "name", FIELD_STRING, NULL },
	{ "hostPath", FIELD_STRING, NULL },
	{ "mountPath", FIELD_STRING, NULL },
	{ "readOnly", FIELD_BOOL, NULL },
	{ "pathType", FIELD_STRING, NULL },
	END,
};

static const struct field env_var[] = {
	{ "name", FIELD_STRING, NULL },
	{ "value", FIELD_STRING, NULL },
	{ "valueFrom", FIELD_ANY, NULL },
	END,
};

static const struct field component[] = {
	{ "extraArgs", FIELD_LIST, argument },
	{ "extraVolumes", FIELD_LIST, host_path },
	{ "extraEnvs", FIELD_LIST, env_var },
	END,
};

static const struct field api_server[] = {
	{ "certSANs", FIELD_STRINGS, NULL },
	{ "extraArgs", FIELD_LIST, argument },
	{ "extraVolumes", FIELD_LIST, host_path },
	{ "extraEnvs", FIELD_LIST, env_var },
	END,
};

static const struct field etcd_local[] = {
	{ "imageRepository", FIELD_STRING, NULL },
	{ "imageTag", FIELD_STRING, NULL },
	{ "dataDir", FIELD_STRING, NULL },
	{ "extraArgs", FIELD_LIST, argument },
	{ "extraEnvs", FIELD_LIST, env_var },
	{ "serverCertSANs", FIELD_STRINGS, NULL },
	{ "peerCertSANs", FIELD_STRINGS, NULL },
	END,
};

static const struct field etcd_external[] = {
	{ "endpoints", FIELD_STRINGS, NULL },
	{ "httpEndpoints", FIELD_STRINGS, NULL },
	{ "caFile", FIELD_STRING, NULL },
	{ "certFile", FIELD_STRING, NULL },
	{ "keyFile", FIELD_STRING, NULL },
	END,
};

static const struct field etcd[] = {
	{ "local", FIELD_OBJECT, etcd_local },
	{ "external", FIELD_OBJECT, etcd_external },
	END,
};

static const struct field networking[] = {
	{ "serviceSubnet", FIELD_STRING, NULL },
	{ "podSubnet", FIELD_STRING, NULL },
	{ "dnsDomain", FIELD_STRING, NULL },
	END,
};

static const struct field dns[] = {
	{ "imageRepository", FIELD_STRING, NULL },
	{ "imageTag", FIELD_STRING, NULL },
	{ "disabled", FIELD_BOOL, NULL },
	END,
};

static const struct field proxy[] = {
	{ "disabled", FIELD_BOOL, NULL },
	END,
};

static const struct field cluster_configuration[] = {
	DOCUMENT,
	{ "etcd", FIELD_OBJECT, etcd },
	{ "networking", FIELD_OBJECT, networking },
	{ "kubernetesVersion", FIELD_STRING, NULL },
	{ "controlPlaneEndpoint", FIELD_STRING, NULL },
	{ "apiServer", FIELD_OBJECT, api_server },
	{ "controllerManager", FIELD_OBJECT, component },
	{ "scheduler", FIELD_OBJECT, component },
	{ "dns", FIELD_OBJECT, dns },
	{ "proxy", FIELD_OBJECT, proxy },
	{ "certificatesDir", FIELD_STRING, NULL },
	{ "imageRepository", FIELD_STRING, NULL },
	{ "featureGates", FIELD_BOOL_MAP, NULL },
	{ "clusterName", FIELD_STRING, NULL },
	{ "encryptionAlgorithm", FIELD_STRING, NULL },
	{ "certificateValidityPeriod", FIELD_DURATION, NULL },
	{ "caCertificateValidityPeriod", FIELD_DURATION, NULL },
	END,
};

static const struct field x509_authentication[] = {
	{ "clientCAFile", FIELD_STRING, NULL },
	END,
};

static const struct field webhook_authentication[] = {
	{ "enabled", FIELD_BOOL, NULL },
	{ "cacheTTL", FIELD_DURATION, NULL },
	END,
};

static const struct field anonymous_authentication[] = {
	{ "enabled", FIELD_BOOL, NULL },
	END,
};

static const struct field authentication[] = {
	{ "x509", FIELD_OBJECT, x509_authentication },
	{ "webhook", FIELD_OBJECT, webhook_authentication },
	{ "anonymous", FIELD_OBJECT, anonymous_authentication },
	END,
};

static const struct field webhook_authorization[] = {
	{ "cacheAuthorizedTTL", FIELD_DURATION, NULL },
	{ "cacheUnauthorizedTTL", FIELD_DURATION, NULL },
	END,
};

static const struct field authorization[] = {
	{ "mode", FIELD_STRING, NULL },
	{ "webhook", FIELD_OBJECT, webhook_authorization },
	END,
};

static const struct field memory_swap_configuration[] = {
	{ "swapBehavior", FIELD_STRING, NULL },
	END,
};

static const struct field shutdown_grace_period_by_pod_priority[] = {
	{ "priority", FIELD_INT, NULL },
	{ "shutdownGracePeriodSeconds", FIELD_INT, NULL },
	END,
};

static const struct field crash_loop_back_off_config[] = {
	{ "maxContainerRestartPeriod", FIELD_DURATION, NULL },
	END,
};

static const struct field memory_reservation[] = {
	{ "numaNode", FIELD_INT, NULL },
	{ "limits", FIELD_ANY, NULL },
	END,
};

static const struct field user_namespaces[] = {
	{ "idsPerPod", FIELD_INT, NULL },
	END,
};

static const struct field kubelet_configuration[] = {
	DOCUMENT,
	{ "enableServer", FIELD_BOOL, NULL },
	{ "staticPodPath", FIELD_STRING, NULL },
	{ "podLogsDir", FIELD_STRING, NULL },
	{ "syncFrequency", FIELD_DURATION, NULL },
	{ "fileCheckFrequency", FIELD_DURATION, NULL },
	{ "httpCheckFrequency", FIELD_DURATION, NULL },
	{ "staticPodURL", FIELD_STRING, NULL },
	{ "staticPodURLHeader", FIELD_ANY, NULL },
	{ "address", FIELD_STRING, NULL },
	{ "port", FIELD_INT, NULL },
	{ "readOnlyPort", FIELD_INT, NULL },
	{ "tlsCertFile", FIELD_STRING, NULL },
	{ "tlsPrivateKeyFile", FIELD_STRING, NULL },
	{ "tlsCipherSuites", FIELD_STRINGS, NULL },
	{ "tlsCurvePreferences", FIELD_INTS, NULL },
	{ "tlsMinVersion", FIELD_STRING, NULL },
	{ "rotateCertificates", FIELD_BOOL, NULL },
	{ "serverTLSBootstrap", FIELD_BOOL, NULL },
	{ "authentication", FIELD_OBJECT, authentication },
	{ "authorization", FIELD_OBJECT, authorization },
	{ "registryPullQPS", FIELD_INT, NULL },
	{ "registryBurst", FIELD_INT, NULL },
	{ "imagePullCredentialsVerificationPolicy", FIELD_STRING, NULL },
	{ "preloadedImagesVerificationAllowlist", FIELD_STRINGS, NULL },
	{ "eventRecordQPS", FIELD_INT, NULL },
	{ "eventBurst", FIELD_INT, NULL },
	{ "enableDebuggingHandlers", FIELD_BOOL, NULL },
	{ "enableContentionProfiling", FIELD_BOOL, NULL },
	{ "healthzPort", FIELD_INT, NULL },
	{ "healthzBindAddress", FIELD_STRING, NULL },
	{ "oomScoreAdj", FIELD_INT, NULL },
	{ "clusterDomain", FIELD_STRING, NULL },
	{ "clusterDNS", FIELD_STRINGS, NULL },
	{ "streamingConnectionIdleTimeout", FIELD_DURATION, NULL },
	{ "nodeStatusUpdateFrequency", FIELD_DURATION, NULL },
	{ "nodeStatusReportFrequency", FIELD_DURATION, NULL },
	{ "nodeLeaseDurationSeconds", FIELD_INT, NULL },
	{ "imageMinimumGCAge", FIELD_DURATION, NULL },
	{ "imageMaximumGCAge", FIELD_DURATION, NULL },
	{ "imageGCHighThresholdPercent", FIELD_INT, NULL },
	{ "imageGCLowThresholdPercent", FIELD_INT, NULL },
	{ "volumeStatsAggPeriod", FIELD_DURATION, NULL },
	{ "kubeletCgroups", FIELD_STRING, NULL },
	{ "systemCgroups", FIELD_STRING, NULL },
	{ "cgroupRoot", FIELD_STRING, NULL },
	{ "cgroupsPerQOS", FIELD_BOOL, NULL },
	{ "cgroupDriver", FIELD_STRING, NULL },
	{ "cpuManagerPolicy", FIELD_STRING, NULL },
	{ "singleProcessOOMKill", FIELD_BOOL, NULL },
	{ "cpuManagerPolicyOptions", FIELD_MAP, NULL },
	{ "cpuManagerReconcilePeriod", FIELD_DURATION, NULL },
	{ "memoryManagerPolicy", FIELD_STRING, NULL },
	{ "topologyManagerPolicy", FIELD_STRING, NULL },
	{ "topologyManagerScope", FIELD_STRING, NULL },
	{ "topologyManagerPolicyOptions", FIELD_MAP, NULL },
	{ "qosReserved", FIELD_MAP, NULL },
	{ "runtimeRequestTimeout", FIELD_DURATION, NULL },
	{ "hairpinMode", FIELD_STRING, NULL },
	{ "maxPods", FIELD_INT, NULL },
	{ "podCIDR", FIELD_STRING, NULL },
	{ "podPidsLimit", FIELD_INT, NULL },
	{ "resolvConf", FIELD_STRING, NULL },
	{ "runOnce", FIELD_BOOL, NULL },
	{ "cpuCFSQuota", FIELD_BOOL, NULL },
	{ "cpuCFSQuotaPeriod", FIELD_DURATION, NULL },
	{ "nodeStatusMaxImages", FIELD_INT, NULL },
	{ "maxOpenFiles", FIELD_INT, NULL },
	{ "contentType", FIELD_STRING, NULL },
	{ "kubeAPIQPS", FIELD_INT, NULL },
	{ "kubeAPIBurst", FIELD_INT, NULL },
	{ "serializeImagePulls", FIELD_BOOL, NULL },
	{ "maxParallelImagePulls", FIELD_INT, NULL },
	{ "evictionHard", FIELD_MAP, NULL },
	{ "evictionSoft", FIELD_MAP, NULL },
	{ "evictionSoftGracePeriod", FIELD_MAP, NULL },
	{ "evictionPressureTransitionPeriod", FIELD_DURATION, NULL },
	{ "evictionMaxPodGracePeriod", FIELD_INT, NULL },
	{ "evictionMinimumReclaim", FIELD_MAP, NULL },
	{ "mergeDefaultEvictionSettings", FIELD_BOOL, NULL },
	{ "podsPerCore", FIELD_INT, NULL },
	{ "enableControllerAttachDetach", FIELD_BOOL, NULL },
	{ "protectKernelDefaults", FIELD_BOOL, NULL },
	{ "makeIPTablesUtilChains", FIELD_BOOL, NULL },
	{ "iptablesMasqueradeBit", FIELD_INT, NULL },
	{ "iptablesDropBit", FIELD_INT, NULL },
	{ "featureGates", FIELD_BOOL_MAP, NULL },
	{ "failSwapOn", FIELD_BOOL, NULL },
	{ "memorySwap", FIELD_OBJECT, memory_swap_configuration },
	{ "containerLogMaxSize", FIELD_STRING, NULL },
	{ "containerLogMaxFiles", FIELD_INT, NULL },
	{ "containerLogMaxWorkers", FIELD_INT, NULL },
	{ "containerLogMonitorInterval", FIELD_DURATION, NULL },
	{ "configMapAndSecretChangeDetectionStrategy", FIELD_STRING, NULL },
	{ "systemReserved", FIELD_MAP, NULL },
	{ "kubeReserved", FIELD_MAP, NULL },
	{ "reservedSystemCPUs", FIELD_STRING, NULL },
	{ "showHiddenMetricsForVersion", FIELD_STRING, NULL },
	{ "systemReservedCgroup", FIELD_STRING, NULL },
	{ "kubeReservedCgroup", FIELD_STRING, NULL },
	{ "enforceNodeAllocatable", FIELD_STRINGS, NULL },
	{ "allowedUnsafeSysctls", FIELD_STRINGS, NULL },
	{ "defaultPodSysctls", FIELD_MAP, NULL },
	{ "volumePluginDir", FIELD_STRING, NULL },
	{ "providerID", FIELD_STRING, NULL },
	{ "kernelMemcgNotification", FIELD_BOOL, NULL },
	{ "logging", FIELD_ANY, NULL },
	{ "enableSystemLogHandler", FIELD_BOOL, NULL },
	{ "enableSystemLogQuery", FIELD_BOOL, NULL },
	{ "shutdownGracePeriod", FIELD_DURATION, NULL },
	{ "shutdownGracePeriodCriticalPods", FIELD_DURATION, NULL },
	{ "shutdownGracePeriodByPodPriority", FIELD_LIST, shutdown_grace_period_by_pod_priority },
	{ "crashLoopBackOff", FIELD_OBJECT, crash_loop_back_off_config },
	{ "reservedMemory", FIELD_LIST, memory_reservation },
	{ "enableProfilingHandler", FIELD_BOOL, NULL },
	{ "enableDebugFlagsHandler", FIELD_BOOL, NULL },
	{ "seccompDefault", FIELD_BOOL, NULL },
	{ "memoryThrottlingFactor", FIELD_NUMBER, NULL },
	{ "memoryReservationPolicy", FIELD_STRING, NULL },
	{ "registerWithTaints", FIELD_LIST, taint },
	{ "registerNode", FIELD_BOOL, NULL },
	{ "tracing", FIELD_ANY, NULL },
	{ "localStorageCapacityIsolation", FIELD_BOOL, NULL },
	{ "containerRuntimeEndpoint", FIELD_STRING, NULL },
	{ "imageServiceEndpoint", FIELD_STRING, NULL },
	{ "failCgroupV1", FIELD_BOOL, NULL },
	{ "userNamespaces", FIELD_OBJECT, user_namespaces },
	END,
};

static const struct field client_connection[] = {
	{ "kubeconfig", FIELD_STRING, NULL },
	{ "acceptContentTypes", FIELD_STRING, NULL },
	{ "contentType", FIELD_STRING, NULL },
	{ "qps", FIELD_NUMBER, NULL },
	{ "burst", FIELD_INT, NULL },
	END,
};

static const struct field proxy_iptables_configuration[] = {
	{ "masqueradeBit", FIELD_INT, NULL },
	{ "masqueradeAll", FIELD_BOOL, NULL },
	{ "localhostNodePorts", FIELD_BOOL, NULL },
	{ "syncPeriod", FIELD_DURATION, NULL },
	{ "minSyncPeriod", FIELD_DURATION, NULL },
	END,
};

static const struct field proxy_ipvs_configuration[] = {
	{ "syncPeriod", FIELD_DURATION, NULL },
	{ "minSyncPeriod", FIELD_DURATION, NULL },
	{ "scheduler", FIELD_STRING, NULL },
	{ "excludeCIDRs", FIELD_STRINGS, NULL },
	{ "strictARP", FIELD_BOOL, NULL },
	{ "tcpTimeout", FIELD_DURATION, NULL },
	{ "tcpFinTimeout", FIELD_DURATION, NULL },
	{ "udpTimeout", FIELD_DURATION, NULL },
	END,
};

static const struct field proxy_nftables_configuration[] = {
	{ "masqueradeBit", FIELD_INT, NULL },
	{ "masqueradeAll", FIELD_BOOL, NULL },
	{ "syncPeriod", FIELD_DURATION, NULL },
	{ "minSyncPeriod", FIELD_DURATION, NULL },
	END,
};

static const struct field proxy_winkernel_configuration[] = {
	{ "networkName", FIELD_STRING, NULL },
	{ "sourceVip", FIELD_STRING, NULL },
	{ "enableDSR", FIELD_BOOL, NULL },
	{ "rootHnsEndpointName", FIELD_STRING, NULL },
	{ "forwardHealthCheckVip", FIELD_BOOL, NULL },
	END,
};

static const struct field detect_local_configuration[] = {
	{ "bridgeInterface", FIELD_STRING, NULL },
	{ "interfaceNamePrefix", FIELD_STRING, NULL },
	END,
};

static const struct field proxy_conntrack_configuration[] = {
	{ "maxPerCore", FIELD_INT, NULL },
	{ "min", FIELD_INT, NULL },
	{ "tcpEstablishedTimeout", FIELD_DURATION, NULL },
	{ "tcpCloseWaitTimeout", FIELD_DURATION, NULL },
	{ "tcpBeLiberal", FIELD_BOOL, NULL },
	{ "udpTimeout", FIELD_DURATION, NULL },
	{ "udpStreamTimeout", FIELD_DURATION, NULL },
	END,
};

static const struct field proxy_configuration[] = {
	DOCUMENT,
	{ "featureGates", FIELD_BOOL_MAP, NULL },
	{ "clientConnection", FIELD_OBJECT, client_connection },
	{ "logging", FIELD_ANY, NULL },
	{ "hostnameOverride", FIELD_STRING, NULL },
	{ "bindAddress", FIELD_STRING, NULL },
	{ "healthzBindAddress", FIELD_STRING, NULL },
	{ "metricsBindAddress", FIELD_STRING, NULL },
	{ "bindAddressHardFail", FIELD_BOOL, NULL },
	{ "enableProfiling", FIELD_BOOL, NULL },
	{ "showHiddenMetricsForVersion", FIELD_STRING, NULL },
	{ "mode", FIELD_STRING, NULL },
	{ "iptables", FIELD_OBJECT, proxy_iptables_configuration },
	{ "ipvs", FIELD_OBJECT, proxy_ipvs_configuration },
	{ "nftables", FIELD_OBJECT, proxy_nftables_configuration },
	{ "winkernel", FIELD_OBJECT, proxy_winkernel_configuration },
	{ "detectLocalMode", FIELD_STRING, NULL },
	{ "detectLocal", FIELD_OBJECT, detect_local_configuration },
	{ "clusterCIDR", FIELD_STRING, NULL },
	{ "nodePortAddresses", FIELD_STRINGS, NULL },
	{ "oomScoreAdj", FIELD_INT, NULL },
	{ "conntrack", FIELD_OBJECT, proxy_conntrack_configuration },
	{ "configSyncPeriod", FIELD_DURATION, NULL },
	{ "portRange", FIELD_STRING, NULL },
	{ "windowsRunAsService", FIELD_BOOL, NULL },
	END,
};

const struct field *kubeadm_fields(const char *api_version, const char *kind)
{
	static const struct {
		const char *api_version, *kind;
		const struct field *fields;
	} kinds[] = {
		{ "kubeadm.k8s.io/v1beta4", "InitConfiguration", init_configuration },
		{ "kubeadm.k8s.io/v1beta4", "ClusterConfiguration", cluster_configuration },
		{ "kubeadm.k8s.io/v1beta4", "JoinConfiguration", join_configuration },
		{ "kubelet.config.k8s.io/v1beta1", "KubeletConfiguration", kubelet_configuration },
		{ "kubeproxy.config.k8s.io/v1alpha1", "KubeProxyConfiguration",
			proxy_configuration },
	};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kinds[i].kind, kind) && !strcmp(kinds[i].api_version, api_version))
			return kinds[i].fields;
	return NULL;
}
