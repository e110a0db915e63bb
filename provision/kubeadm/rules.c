/*
 * rules: what `kubeadm config validate` of 1.35 to 1.37 lets pass and a cluster then stumbles over:
 * malformed CA hashes, a node-ip that is none, an unknown kubelet flag, labels that the API server
 * takes from no kubelet, a socket without scheme, an endpoint of the wrong family.
 */
#include "kubeadm/rules.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/number.h"

const char *rule_text(const json_t *obj, const char *key)
{
	const char *s = json_string_value(json_object_get(obj, key));
	return s ? s : "";
}

bool rule_one_of(const char *text, const char *const list[])
{
	for (size_t i = 0; list[i]; i++)
		if (!strcmp(text, list[i]))
			return true;
	return false;
}

bool rule_hex(const char *text, size_t len)
{
	return strlen(text) == len && strspn(text, "0123456789abcdef") == len;
}

bool rule_dns_name(const char *text, bool wildcard)
{
	if (wildcard && !strncmp(text, "*.", 2))
		text += 2;
	size_t all = strlen(text);
	if (!all || all > 253)
		return false;
	for (const char *p = text;; p++) {
		size_t n = strspn(p, "abcdefghijklmnopqrstuvwxyz0123456789-");
		if (!n || n > 63 || p[0] == '-' || p[n - 1] == '-')
			return false;
		p += n;
		if (!*p)
			return true;
		if (*p != '.')
			return false;
	}
}

int64_t rule_duration(const char *text)
{
	static const struct {
		const char *unit;
		double us;
	} units[] = { { "ns", 1e-3 }, { "us", 1 }, { "\xc2\xb5s", 1 }, { "ms", 1e3 }, { "s", 1e6 },
		{ "m", 60e6 }, { "h", 3600e6 } };
	double sum = 0;
	if (!strcmp(text, "0"))
		return 0;
	if (!*text)
		return -1;
	while (*text) {
		size_t n = strspn(text, "0123456789."), u = 0;
		if (!n || n > 20 || (n == 1 && *text == '.'))
			return -1;
		char number[24], *end;
		memcpy(number, text, n);
		number[n] = 0;
		double value = strtod(number, &end);
		if (*end)
			return -1;
		text += n;
		/* "ms" must not be read as "m" */
		while (u < ARRAY_LEN(units) &&
			(strncmp(text, units[u].unit, strlen(units[u].unit)) ||
				isalpha((unsigned char) text[strlen(units[u].unit)])))
			u++;
		if (u == ARRAY_LEN(units))
			return -1;
		sum += value * units[u].us;
		text += strlen(units[u].unit);
	}
	return sum < 9e15 ? (int64_t) sum : -1;
}

int64_t rule_memory(const char *text)
{
	static const struct {
		const char *suffix;
		double factor;
	} suffixes[] = { { "", 1 }, { "k", 1e3 }, { "M", 1e6 }, { "G", 1e9 }, { "T", 1e12 },
		{ "Ki", 1024 }, { "Mi", 1048576 }, { "Gi", 1073741824 }, { "Ti", 1099511627776 } };
	size_t n = strspn(text, "0123456789.");
	if (!n || n > 20 || !isdigit((unsigned char) *text))
		return -1;
	char *end;
	double value = strtod(text, &end);
	if (end != text + n)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
		if (!strcmp(end, suffixes[i].suffix) && value * suffixes[i].factor < 9e18)
			return (int64_t) (value * suffixes[i].factor);
	return -1;
}

/* The flags of kubelet 1.31 to 1.37, those of its configuration file included. */
static const char *const kubelet_flags[] = { "address", "allowed-unsafe-sysctls", "anonymous-auth",
	"authentication-token-webhook", "authentication-token-webhook-cache-ttl",
	"authorization-mode", "authorization-webhook-cache-authorized-ttl",
	"authorization-webhook-cache-unauthorized-ttl", "bootstrap-kubeconfig", "cert-dir",
	"cgroup-driver", "cgroup-root", "cgroups-per-qos", "client-ca-file", "cloud-provider",
	"cluster-dns", "cluster-domain", "config", "config-dir", "container-log-max-files",
	"container-log-max-size", "container-runtime-endpoint", "contention-profiling",
	"cpu-cfs-quota", "cpu-cfs-quota-period", "cpu-manager-policy", "cpu-manager-policy-options",
	"cpu-manager-reconcile-period", "enable-controller-attach-detach",
	"enable-debugging-handlers", "enable-server", "enforce-node-allocatable", "event-burst",
	"event-qps", "eviction-hard", "eviction-max-pod-grace-period", "eviction-minimum-reclaim",
	"eviction-pressure-transition-period", "eviction-soft", "eviction-soft-grace-period",
	"exit-on-lock-contention", "experimental-allocatable-ignore-eviction",
	"experimental-mounter-path", "fail-cgroupv1", "fail-swap-on", "feature-gates",
	"file-check-frequency", "hairpin-mode", "healthz-bind-address", "healthz-port",
	"hostname-override", "housekeeping-interval", "http-check-frequency",
	"image-credential-provider-bin-dir", "image-credential-provider-config",
	"image-gc-high-threshold", "image-gc-low-threshold", "image-service-endpoint",
	"keep-terminated-pod-volumes", "kernel-memcg-notification", "kube-api-burst",
	"kube-api-content-type", "kube-api-qps", "kube-reserved", "kube-reserved-cgroup",
	"kubeconfig", "kubelet-cgroups", "local-storage-capacity-isolation", "lock-file",
	"log-flush-frequency", "log-json-info-buffer-size", "log-json-split-stream",
	"log-text-info-buffer-size", "log-text-split-stream", "logging-format",
	"make-iptables-util-chains", "manifest-url", "manifest-url-header", "max-open-files",
	"max-pods", "maximum-dead-containers", "maximum-dead-containers-per-container",
	"memory-manager-policy", "minimum-container-ttl-duration", "minimum-image-ttl-duration",
	"node-ip", "node-labels", "node-status-max-images", "node-status-update-frequency",
	"oom-score-adj", "pod-cidr", "pod-infra-container-image", "pod-manifest-path",
	"pod-max-pids", "pods-per-core", "port", "protect-kernel-defaults", "provider-id",
	"qos-reserved", "read-only-port", "register-node", "register-with-taints", "registry-burst",
	"registry-qps", "reserved-cpus", "reserved-memory", "resolv-conf", "root-dir",
	"rotate-certificates", "rotate-server-certificates", "runonce", "runtime-cgroups",
	"runtime-request-timeout", "seccomp-default", "serialize-image-pulls",
	"streaming-connection-idle-timeout", "sync-frequency", "system-cgroups", "system-reserved",
	"system-reserved-cgroup", "tls-cert-file", "tls-cipher-suites", "tls-min-version",
	"tls-private-key-file", "topology-manager-policy", "topology-manager-policy-options",
	"topology-manager-scope", "v", "vmodule", "volume-plugin-dir", "volume-stats-agg-period",
	NULL };

static bool usable_address(const char *text, struct ip_addr *ret)
{
	return ip_addr_parse(text, ret) == 0 && !ip_addr_is_loopback(ret) &&
	       !ip_addr_is_link_local(ret) && !ip_addr_is_multicast(ret) &&
	       !ip_addr_is_unspecified(ret);
}

static int check_node_ip(const char *value, const char *kind, struct err *err)
{
	char copy[2 * IP_TEXT_MAX + 1];
	struct ip_addr a, b = { 0 };
	(void) snprintf(copy, sizeof(copy), "%s", value);
	char *comma = strchr(copy, ',');
	if (comma)
		*comma++ = 0;
	if (strlen(value) < sizeof(copy) && usable_address(copy, &a) &&
		(!comma ||
			(usable_address(comma, &b) && a.family == AF_INET && b.family == AF_INET6)))
		return 0;
	return err_set(err, -EINVAL,
		"%s: kubelet's node-ip \"%.90s\" must be an address of this board, or an IPv4 and "
		"an "
		"IPv6 address in this order with a comma between, neither of them loopback, "
		"link-local "
		"or multicast",
		kind, value);
}

static bool label_value(const char *p)
{
	size_t n = strlen(p);
	static const char inner[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	return !n || (n <= 63 && strspn(p, inner) == n && isalnum((unsigned char) p[0]) &&
			     isalnum((unsigned char) p[n - 1]));
}

/* What the admission plugin NodeRestriction lets a kubelet say about itself. */
static bool label_allowed(const char *prefix, const char *whole)
{
	static const char *const known[] = { "kubernetes.io/hostname", "kubernetes.io/arch",
		"kubernetes.io/os", "beta.kubernetes.io/arch", "beta.kubernetes.io/os",
		"beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type",
		"topology.kubernetes.io/region", "topology.kubernetes.io/zone",
		"failure-domain.beta.kubernetes.io/region",
		"failure-domain.beta.kubernetes.io/zone", NULL };
	static const char *const trees[] = { "kubelet.kubernetes.io", "node.kubernetes.io", NULL };
	static const char *const closed[] = { "kubernetes.io", "k8s.io", NULL };
	if (rule_one_of(whole, known))
		return true;
	for (size_t i = 0; trees[i]; i++) {
		size_t n = strlen(prefix), t = strlen(trees[i]);
		if (n >= t && !strcmp(prefix + n - t, trees[i]) &&
			(n == t || prefix[n - t - 1] == '.'))
			return true;
	}
	for (size_t i = 0; closed[i]; i++) {
		size_t n = strlen(prefix), t = strlen(closed[i]);
		if (n >= t && !strcmp(prefix + n - t, closed[i]) &&
			(n == t || prefix[n - t - 1] == '.'))
			return false;
	}
	return true;
}

static bool label_ok(char *label, bool *ret_allowed)
{
	char *value = strchr(label, '=');
	*ret_allowed = true;
	if (!value)
		return false;
	*value++ = 0;
	char whole[400];
	(void) snprintf(whole, sizeof(whole), "%s", label);
	char *name = strchr(label, '/');
	if (name) {
		*name++ = 0;
		if (!rule_dns_name(label, false))
			return false;
		*ret_allowed = label_allowed(label, whole);
	} else {
		name = label;
	}
	return *name && label_value(name) && label_value(value);
}

static int check_node_labels(const char *value, const char *kind, struct err *err)
{
	CLEANUP(free_p) char *copy = strdup(value);
	if (!copy)
		return err_set(err, -ENOMEM, "out of memory");
	char *rest = copy;
	for (char *label; (label = strsep(&rest, ","));) {
		bool allowed;
		CLEANUP(free_p) char *shown = strdup(label);
		if (!label_ok(label, &allowed))
			return err_set(err, -EINVAL,
				"%s: \"%.90s\" in kubelet's node-labels is no label (name=value)",
				kind, shown ? shown : "");
		if (!allowed)
			return err_set(err, -EINVAL,
				"%s: a kubelet may not give itself the label \"%.90s\"; set it "
				"with "
				"kubectl label, or use a name outside kubernetes.io",
				kind, shown ? shown : "");
	}
	return 0;
}

static int check_arguments(const json_t *registration, const char *kind, struct err *err)
{
	size_t i;
	json_t *arg;
	json_array_foreach(json_object_get(registration, "kubeletExtraArgs"), i, arg)
	{
		const char *name = rule_text(arg, "name"), *value = rule_text(arg, "value");
		int r = 0;
		if (!rule_one_of(name, kubelet_flags))
			return err_set(err, -EINVAL,
				"%s.nodeRegistration.kubeletExtraArgs[%zu]: kubelet has no flag "
				"\"%.60s\" (names are written without dashes in front)",
				kind, i, name);
		if (!json_object_get(arg, "value"))
			return err_set(err, -EINVAL,
				"%s.nodeRegistration.kubeletExtraArgs[%zu] has no value", kind, i);
		if (!strcmp(name, "node-ip"))
			r = check_node_ip(value, kind, err);
		else if (!strcmp(name, "node-labels") && *value)
			r = check_node_labels(value, kind, err);
		if (r)
			return r;
	}
	return 0;
}

static int check_taints(const json_t *registration, const char *kind, struct err *err)
{
	static const char *const effects[] = { "NoSchedule", "PreferNoSchedule", "NoExecute",
		NULL };
	size_t i;
	json_t *taint;
	json_array_foreach(json_object_get(registration, "taints"), i, taint)
	{
		if (!*rule_text(taint, "key") || !label_value(rule_text(taint, "value")) ||
			!rule_one_of(rule_text(taint, "effect"), effects))
			return err_set(err, -EINVAL,
				"%s.nodeRegistration.taints[%zu] needs a key and an effect of "
				"NoSchedule, PreferNoSchedule or NoExecute",
				kind, i);
	}
	return 0;
}

int rules_registration(const json_t *doc, const char *kind, struct err *err)
{
	static const char *const pulls[] = { "", "Always", "IfNotPresent", "Never", NULL };
	const json_t *reg = json_object_get(doc, "nodeRegistration");
	const char *socket = rule_text(reg, "criSocket"), *name = rule_text(reg, "name");
	if (*name && !rule_dns_name(name, false))
		return err_set(err, -EINVAL,
			"%s.nodeRegistration.name \"%.60s\" must be a lower-case host name", kind,
			name);
	if (*socket && strncmp(socket, "unix:///", 8))
		return err_set(err, -EINVAL,
			"%s.nodeRegistration.criSocket \"%.90s\" must begin with unix:///", kind,
			socket);
	if (!rule_one_of(rule_text(reg, "imagePullPolicy"), pulls))
		return err_set(err, -EINVAL,
			"%s.nodeRegistration.imagePullPolicy must be Always, IfNotPresent or Never",
			kind);
	const char *dir = rule_text(json_object_get(doc, "patches"), "directory");
	if (*dir && *dir != '/')
		return err_set(err, -EINVAL, "%s.patches.directory must be an absolute path", kind);
	int r = check_taints(reg, kind, err);
	return r ? r : check_arguments(reg, kind, err);
}

/* advertiseAddress goes into certificates and etcd's membership; IPv4, as the first service range. */
int rules_endpoint(const json_t *owner, const char *where, struct err *err)
{
	const json_t *endpoint = json_object_get(owner, "localAPIEndpoint");
	const char *text = rule_text(endpoint, "advertiseAddress");
	struct ip_addr addr;
	if (!*text)
		return err_set(err, -EINVAL,
			"%s.localAPIEndpoint.advertiseAddress is missing: kubeadm would take the "
			"address of the default route instead of the mesh's",
			where);
	if (!usable_address(text, &addr) || addr.family != AF_INET)
		return err_set(err, -EINVAL,
			"%s.localAPIEndpoint.advertiseAddress \"%.60s\" must be this board's IPv4 "
			"address in the mesh",
			where, text);
	json_int_t port = json_integer_value(json_object_get(endpoint, "bindPort"));
	if (port < 0 || port > 65535)
		return err_set(err, -EINVAL, "%s.localAPIEndpoint.bindPort must be a port", where);
	const char *key = rule_text(owner, "certificateKey");
	if (*key && !rule_hex(key, 64))
		return err_set(err, -EINVAL, "%s.certificateKey must be 64 hex digits", where);
	return 0;
}

static bool token_ok(const char *token)
{
	return strlen(token) == 23 && token[6] == '.' &&
	       strspn(token, "abcdefghijklmnopqrstuvwxyz0123456789") == 6 &&
	       strspn(token + 7, "abcdefghijklmnopqrstuvwxyz0123456789") == 16;
}

bool rule_host_port(const char *text)
{
	char host[300];
	const char *colon = strrchr(text, ':');
	if (!colon || (size_t) (colon - text) >= sizeof(host))
		return false;
	memcpy(host, text, (size_t) (colon - text));
	host[colon - text] = 0;
	uint64_t port;
	if (number_parse(colon + 1, 1, UINT16_MAX, &port) < 0)
		return false;
	struct endpoint e;
	return rule_dns_name(host, false) || endpoint_parse(text, &e) == 0;
}

static int check_hashes(const json_t *boot, struct err *err)
{
	const json_t *hashes = json_object_get(boot, "caCertHashes");
	size_t i;
	json_t *hash;
	json_array_foreach(hashes, i, hash)
	{
		const char *s = json_string_value(hash);
		if (strncmp(s, "sha256:", 7) || !rule_hex(s + 7, 64))
			return err_set(err, -EINVAL,
				"JoinConfiguration.discovery.bootstrapToken.caCertHashes[%zu] must "
				"be "
				"sha256: and 64 lower-case hex digits",
				i);
	}
	if (json_array_size(hashes) ||
		json_is_true(json_object_get(boot, "unsafeSkipCAVerification")))
		return 0;
	return err_set(err, -EINVAL,
		"JoinConfiguration.discovery.bootstrapToken.caCertHashes is empty: the board could "
		"not "
		"tell the cluster from an impostor");
}

int rules_join(const json_t *doc, struct err *err)
{
	int r = rules_registration(doc, "JoinConfiguration", err);
	if (r)
		return r;
	const json_t *discovery = json_object_get(doc, "discovery");
	const json_t *boot = json_object_get(discovery, "bootstrapToken");
	bool file = json_object_get(discovery, "file") != NULL;
	if (!boot == !file)
		return err_set(err, -EINVAL,
			"JoinConfiguration.discovery needs either bootstrapToken or file");
	if (boot && !token_ok(rule_text(boot, "token")))
		return err_set(err, -EINVAL,
			"JoinConfiguration.discovery.bootstrapToken.token must look like "
			"abcdef.0123456789abcdef");
	if (boot && !rule_host_port(rule_text(boot, "apiServerEndpoint")))
		return err_set(err, -EINVAL,
			"JoinConfiguration.discovery.bootstrapToken.apiServerEndpoint must be "
			"host:port, without https://");
	const char *tls = rule_text(discovery, "tlsBootstrapToken");
	if (*tls && !token_ok(tls))
		return err_set(err, -EINVAL,
			"JoinConfiguration.discovery.tlsBootstrapToken must look like "
			"abcdef.0123456789abcdef");
	r = boot ? check_hashes(boot, err) : 0;
	const json_t *plane = json_object_get(doc, "controlPlane");
	if (!r && plane)
		r = rules_endpoint(plane, "JoinConfiguration.controlPlane", err);
	return r;
}
