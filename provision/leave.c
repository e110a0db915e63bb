/*
 * leave: undoes what enroll-node did. It works without a coordinator and with damaged files: it
 * reads only before.json, and does without. A second run finds nothing left. What others made
 * stays: packages, programs, users, the directories of their installation, kubeadm.d, facts.json;
 * and the coordinator.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/names.h"
#include "board/relayfile.h"
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
			"kubectl drain it with --ignore-daemonsets, and kubectl delete node; here: "
			"kubeadm reset. Then leave",
			path);
	return 0;
}

int leave_service(struct enroll *e, struct err *err)
{
	int r = e->dry_run ? 0 : service_relay_down(e, err);

	return r < 0 || e->dry_run ? r : service_down(e, err);
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

/* Others than root may write to where @path lies: a link in its place is not followed. */
static int remove_files_in(struct enroll *e, const char *path, struct err *err)
{
	CLEANUP(close_p)
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	CLEANUP(closedir_p) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	int found = 0;

	if (dir)
		(void) take_fd(&fd); /* closedir() closes it */
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		if (entry->d_type != DT_REG)
			continue;
		if (!e->dry_run && unlinkat(dirfd(dir), entry->d_name, 0) < 0 && errno != ENOENT)
			return err_set(err, -errno, "remove %s/%s: %s", path, entry->d_name,
				strerror(errno));
		found++;
	}
	return found;
}

/* Keys, log, presence and whatever else hearthd kept, as its user. */
static int remove_state(struct enroll *e, struct err *err)
{
	int r = local_as_user(e, !e->dry_run, err);

	if (r < 0)
		return r;
	int found = remove_files_in(e, e->paths.state, err);

	r = local_as_user(e, false, err);
	return r < 0 ? r : found;
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

/* A board may carry the coordinator, too, and the others still want it. */
static void note_coordinator(struct enroll *e)
{
	char path[PATH_TEXT_MAX];

	if (access(paths_join(e->paths.run, NAMES_COORD_SOCK, path), F_OK) == 0)
		talk_step(&e->talk, TALK_NOTE, "files",
			"the coordinator on this board stays and goes on; "
			"to end it: systemctl disable --now hearth-coord");
}

/* What lies in /etc, outside of our own directory. */
static int remove_host_files(struct enroll *e, struct err *err)
{
	static const char drop_in[] = "systemd/system/kubelet.service.d/10-hearth.conf";
	static const char relay_in[] = NAMES_RELAY_DROP_IN "/port.conf";
	static const char *const host[] = { "cni/net.d/05-hearth.conflist",
		"sysctl.d/60-hearth.conf", drop_in, relay_in, NAMES_RELAY_DROP_IN, NULL };
	char path[PATH_TEXT_MAX];
	bool unit = access(paths_join(e->host, drop_in, path), F_OK) == 0 ||
		    access(paths_join(e->host, relay_in, path), F_OK) == 0;
	int found = remove_list(e, e->host, host, err);
	int alone = found < 0 ? found : leftalone_remove(e, err);

	if (alone < 0)
		return alone;
	found += alone;
	if (e->dry_run)
		return found;
	before_remove_dirs(e);
	int r = unit ? service_reload_units(e, err) : 0;

	return r < 0 ? r : found;
}

/* Leases of pods; and what a hearthd without systemd leaves, where tmpfiles.d has no say. */
static int remove_run(struct enroll *e, struct err *err)
{
	static const char *const always[] = { "refused.json", NULL };
	static const char *const background[] = { "hearthd.pid", "hearth-helper.pid", "hearthd.log",
		"hearth-relay.pid", "hearth-relay.log", NAMES_HEARTHD_SOCK, "hearthd", NULL };
	char leases[PATH_TEXT_MAX];
	int a = remove_files_in(e, paths_join(e->paths.run, "cni/hearth", leases), err);

	if (a >= 0 && !e->dry_run)
		(void) rmdir(leases);
	int b = a < 0 || e->systemd ? 0 : remove_list(e, e->paths.run, background, err);
	int c = a < 0 || b < 0 ? 0 : remove_list(e, e->paths.run, always, err);

	return a < 0 ? a : b < 0 ? b : c < 0 ? c : a + b + c;
}

/* The keys by which others knew it as a relay; its record has ended with the board's. */
static int remove_relay(struct enroll *e, struct err *err)
{
	const char *dir = env_dir("HEARTH_RELAY_STATE", NAMES_RELAY_STATE);
	int found = remove_files_in(e, dir, err);

	if (found > 0 && !e->dry_run)
		(void) rmdir(dir);
	return found;
}

int leave_files(struct enroll *e, struct err *err)
{
	/* hearthd.yaml first: without it nobody takes this board for an enrolled one. */
	static const char *const own[] = { "hearthd.yaml", "hearthd.yaml.removed", PROXIED_FILE,
		RELAYFILE_NAME, "kubeadm/init.yaml", "kubeadm/join.yaml", "kubeadm/bundle.json",
		"kubeadm/upgrade.yaml", "kubeadm/resolv.conf", patch_file,
		"kubeadm/patches/kube-apiserver+strategic.yaml",
		"kubeadm/patches/kube-controller-manager+strategic.yaml",
		"kubeadm/patches/kube-scheduler+strategic.yaml",
		"kubeadm/patches/corednsdeployment+strategic.yaml", "kubeadm/patches", "kubeadm",
		"trust.json", ".enroll-node.lock", NULL };
	static const char *const last[] = { "before.json", NULL };
	char config[PATH_TEXT_MAX];
	bool enrolled = access(paths_join(e->paths.etc, "hearthd.yaml", config), F_OK) == 0;
	int a = remove_list(e, e->paths.etc, own, err);
	int b = a < 0 ? a : remove_host_files(e, err);
	int c = b < 0 ? b : remove_run(e, err);
	int d = c < 0 ? c : remove_state(e, err);
	int f = d < 0 ? d : remove_relay(e, err);
	int g = f < 0 ? f : remove_list(e, e->paths.etc, last, err);

	if (g < 0)
		return g;
	if (enrolled || a > 1 || b + c + d + f + g) /* 1: the lock of this very run */
		talk_step(&e->talk, e->dry_run ? TALK_WOULD : TALK_DONE, "files",
			"%s keys, log, configuration and kubeadm files",
			e->dry_run ? "remove" : "removed");
	else
		talk_step(&e->talk, TALK_KEPT, "files", "none of Hearth's are here");
	note_coordinator(e);
	return 0;
}
