/*
 * leave: undoes what enroll-node did. It works without a coordinator and with damaged files, because it
 * reads none; a second run finds nothing left. What others made stays: packages, kubeadm.d, facts.json.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "kubeadm/kubeadm.h"
#include "provision/enroll.h"

static const char patch_file[] = "kubeadm/patches/" KUBEADM_PATCH_FILE;

/* A kubelet without its mesh addresses would lose its node; kubeadm undoes what kubeadm did. */
int leave_check(struct enroll *e, struct err *err)
{
	char path[PATH_TEXT_MAX];
	if (geteuid() != 0)
		return err_set(err, -EPERM, "enroll-node must be root; run it with sudo");
	if (access(paths_join(e->host, "kubernetes/kubelet.conf", path), F_OK) == 0)
		return err_set(err, -EBUSY,
			"this board is part of a Kubernetes cluster (%s). On the control plane: "
			"kubectl "
			"drain it with --ignore-daemonsets, and kubectl delete node; here: kubeadm "
			"reset. "
			"Then leave",
			path);
	return 0;
}

int leave_service(struct enroll *e, struct err *err)
{
	return e->dry_run ? 0 : service_down(e, err);
}

/* 1 removed (or would be), 0 was not there. */
static int remove_path(struct enroll *e, const char *dir, const char *name, struct err *err)
{
	char path[PATH_TEXT_MAX];
	struct stat st;
	if (lstat(paths_join(dir, name, path), &st) < 0)
		return 0;
	if (!e->dry_run && (S_ISDIR(st.st_mode) ? rmdir(path) : unlink(path)) < 0 &&
		errno != ENOENT && errno != ENOTEMPTY)
		return err_set(err, -errno, "remove %s: %s", path, strerror(errno));
	return 1;
}

static void closedir_p(DIR **dir)
{
	if (*dir)
		(void) closedir(*dir);
}

/* Keys, log, presence and whatever else hearthd kept: all files of its directory, as its user. */
static int remove_state(struct enroll *e, struct err *err)
{
	CLEANUP(closedir_p) DIR *dir = opendir(e->paths.state);
	int found = 0;
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		if (entry->d_type != DT_REG)
			continue;
		int r = remove_path(e, e->paths.state, entry->d_name, err);
		if (r < 0)
			return r;
		found += r;
	}
	return found;
}

static int remove_list(struct enroll *e, const char *dir, const char *const list[], struct err *err)
{
	int found = 0;
	for (size_t i = 0; list[i]; i++) {
		int r = remove_path(e, dir, list[i], err);
		if (r < 0)
			return r;
		found += r;
	}
	return found;
}

int leave_files(struct enroll *e, struct err *err)
{
	/* hearthd.yaml first: without it nobody takes this board for an enrolled one. */
	static const char *const own[] = { "hearthd.yaml", "hearthd.yaml.removed",
		"kubeadm/init.yaml", "kubeadm/join.yaml", "kubeadm/bundle.json",
		"kubeadm/resolv.conf", patch_file, "kubeadm/patches", "kubeadm",
		".enroll-node.lock", NULL };
	static const char *const host[] = { "cni/net.d/05-hearth.conflist",
		"sysctl.d/60-hearth.conf", "systemd/system/kubelet.service.d/10-hearth.conf",
		NULL };
	char config[PATH_TEXT_MAX];
	bool enrolled = access(paths_join(e->paths.etc, "hearthd.yaml", config), F_OK) == 0;
	int a = remove_list(e, e->paths.etc, own, err);
	int b = a < 0 ? a : remove_list(e, e->host, host, err);
	int r = b < 0 ? b : local_as_user(e, !e->dry_run, err);
	if (r < 0)
		return r;
	int c = remove_state(e, err);
	r = local_as_user(e, false, err);
	if (c < 0 || r < 0)
		return c < 0 ? c : r;
	if (enrolled || a > 1 || b + c) /* 1: the lock of this very run */
		talk_step(&e->talk, e->dry_run ? TALK_WOULD : TALK_DONE, "files",
			"%s keys, log, configuration and kubeadm files",
			e->dry_run ? "remove" : "removed");
	else
		talk_step(&e->talk, TALK_KEPT, "files", "none of Hearth's are here");
	return 0;
}
