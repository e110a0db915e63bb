/*
 * runtime: whether containerd and kubelet of this board are set up as the files of enroll-node
 * assume. Only what their configuration says: no program is asked. What is not there, or not
 * readable, says nothing.
 */
#pragma once

#include "base/err.h"

struct runtime_where {
	const char *etc;    /* "/etc" */
	const char *bin;    /* "/usr/bin", where a package has containerd's shims */
	const char *plugin; /* "/opt/cni/bin/hearth" */
};

/* Each: 0, or a negative errno and what is wrong with its remedy. */

/*
 * containerd's config.toml: the CRI plugin is on, at the usual socket, reads @etc/cni/net.d, finds
 * plugins where Hearth's is, and (1.x, which kubelet cannot ask for it) keeps cgroups as kubelet
 * does.
 */
int runtime_look_at_containerd(const struct runtime_where *where, struct err *err);
/* The same of @text, that of file @path; it is cut into pieces. */
int runtime_check_containerd(
	char *text, const char *path, const struct runtime_where *where, struct err *err);

/*
 * kubelet's arguments of administrators (default/kubelet, sysconfig/kubelet), which count more than
 * kubeadm's; and that the drop-ins of its unit are there, kubeadm's and enroll-node's.
 */
int runtime_look_at_kubelet(const char *etc, struct err *err);
