/*
 * sizing: what a board of some memory keeps for itself and how much it takes on. The values leave
 * room for the system, containerd and kubelet, and evict pods before the kernel kills something.
 */
#include <stdio.h>
#include <string.h>

#include "kubeadm/kubeadm.h"

struct size {
	const char *name;
	uint64_t below_mib;
	unsigned max_pods;
	bool tiny;
	const char *system_cpu, *system_memory, *desktop_memory, *kube_cpu, *kube_memory,
		*evict_memory;
};

/* A desktop somebody works at, with a browser, has 1.5 to 3 GB in use. */
static const struct size sizes[] = {
	{ "tiny", 1536, 12, true, "150m", "200Mi", "400Mi", "150m", "150Mi", "80Mi" },
	{ "small", 6 * 1024, 40, false, "150m", "300Mi", "1536Mi", "150m", "200Mi", "150Mi" },
	{ "medium", 12 * 1024, 60, false, "200m", "400Mi", "2Gi", "200m", "300Mi", "200Mi" },
	{ "large", UINT64_MAX, 110, false, "250m", "1Gi", "3Gi", "250m", "512Mi", "300Mi" },
};

static const struct size *size_of(uint64_t memory_bytes)
{
	size_t i = 0;
	uint64_t mib = memory_bytes ? memory_bytes >> 20 : 4096;

	while (mib >= sizes[i].below_mib)
		i++;
	return &sizes[i];
}

const char *kubeadm_class(uint64_t memory_bytes)
{
	return size_of(memory_bytes)->name;
}

/*
 * Thresholds that are not named fall to zero as soon as one is, so all of kubelet's own stand here.
 */
json_t *kubeadm_kubelet_patch(const struct kubeadm_node *node)
{
	const struct size *s = size_of(node->memory_bytes);
	json_t *patch = json_pack("{s:s, s:s, s:i, s:{s:s, s:s}, s:{s:s, s:s},"
				  " s:{s:s, s:s, s:s, s:s, s:s}}",
		"apiVersion", "kubelet.config.k8s.io/v1beta1", "kind", "KubeletConfiguration",
		"maxPods", (int) s->max_pods, "systemReserved", "cpu", s->system_cpu, "memory",
		node->desktop ? s->desktop_memory : s->system_memory, "kubeReserved", "cpu",
		s->kube_cpu, "memory", s->kube_memory, "evictionHard", "memory.available",
		s->evict_memory, "nodefs.available", "10%", "nodefs.inodesFree", "5%",
		"imagefs.available", "15%", "imagefs.inodesFree", "5%");

	/* An SD card is small and wears out: unused images go early, logs stay short. */
	if (patch && (s->tiny || (node->storage && !strcmp(node->storage, "sd")))) {
		json_object_set_new(patch, "imageGCHighThresholdPercent", json_integer(70));
		json_object_set_new(patch, "imageGCLowThresholdPercent", json_integer(60));
		json_object_set_new(patch, "containerLogMaxSize", json_string("5Mi"));
		json_object_set_new(patch, "containerLogMaxFiles", json_integer(2));
	}
	return patch ? json_pack("[o]", patch) : NULL;
}

/*
 * When `kubeadm init` makes CoreDNS there is one board, and both pods would stay on it: its reboot
 * takes the names of the whole cluster. So the second waits for another board. Pods of an upgrade's
 * new ReplicaSet are not kept off the boards of the old.
 */
static json_t *dns_patch(void)
{
	return json_pack("[{s:{s:{s:{s:{s:{s:[{s:{s:{s:s}}, s:[s], s:s}]}}}}}}]", "spec",
		"template", "spec", "affinity", "podAntiAffinity",
		"requiredDuringSchedulingIgnoredDuringExecution", "labelSelector", "matchLabels",
		"k8s-app", "kube-dns", "matchLabelKeys", "pod-template-hash", "topologyKey",
		"kubernetes.io/hostname");
}

/*
 * What a control plane of this size was measured to take; kubeadm reserves memory for etcd alone,
 * and the scheduler would give the rest away a second time.
 */
json_t *kubeadm_plane_patches(void)
{
	static const struct {
		const char *component, *memory;
	} pods[] = { { "kube-apiserver", "384Mi" }, { "kube-controller-manager", "128Mi" },
		{ "kube-scheduler", "80Mi" } };
	json_t *all = json_object();

	for (size_t i = 0; all && i < sizeof(pods) / sizeof(pods[0]); i++) {
		char file[64];

		(void) snprintf(file, sizeof(file), "%s+strategic.yaml", pods[i].component);
		json_object_set_new(all, file,
			json_pack("[{s:{s:[{s:s, s:{s:{s:s}}}]}}]", "spec", "containers", "name",
				pods[i].component, "resources", "requests", "memory",
				pods[i].memory));
	}
	if (all)
		json_object_set_new(all, "corednsdeployment+strategic.yaml", dns_patch());
	return all;
}
