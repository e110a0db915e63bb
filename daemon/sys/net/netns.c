/* netns: see netns.h. */
#include "sys/net/netns.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/net_namespace.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"

static void close_dir(DIR **dir)
{
	if (*dir)
		(void) closedir(*dir);
}

int netns_open(const char *path, uint64_t ino)
{
	char self[40];
	struct stat st;
	struct statfs fs;
	CLEANUP(close_p) int there = open(path, O_PATH | O_CLOEXEC);
	int fd;

	if (there < 0 || fstat(there, &st) < 0 || fstatfs(there, &fs) < 0)
		return -errno;
	if (fs.f_type != NSFS_MAGIC)
		return -EINVAL;
	if (st.st_ino != ino)
		return -ESTALE;
	(void) snprintf(self, sizeof(self), "/proc/self/fd/%d", there);
	fd = open(self, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int take_id(void *ctx, const struct nlmsghdr *nlh)
{
	const struct nlattr *a[NETNSA_NSID + 1] = { 0 };

	if (nlh->nlmsg_type != RTM_NEWNSID)
		return 0;
	if (nl_attrs(nlh, NLMSG_ALIGN(sizeof(struct rtgenmsg)), a, NETNSA_NSID) < 0)
		return -EBADMSG;
	*(int *) ctx = (int) nl_get_u32(a[NETNSA_NSID], (uint32_t) NETNSA_NSID_NOT_ASSIGNED);
	return 0;
}

int netns_id(struct nl *nl, int fd)
{
	void *head;
	int id = NETNSA_NSID_NOT_ASSIGNED, r;
	struct nlmsghdr *nlh =
		nl_start(nl, RTM_GETNSID, 0, NLMSG_ALIGN(sizeof(struct rtgenmsg)), &head);

	nl_put_u32(nl, nlh, NETNSA_FD, (uint32_t) fd);
	r = nl_ask(nl, nlh, take_id, &id, NULL);
	return r < 0 ? r : id < 0 ? -ENOENT : id;
}

int netns_id_make(struct nl *nl, int fd)
{
	void *unused;
	struct nlmsghdr *nlh =
		nl_start(nl, RTM_NEWNSID, 0, NLMSG_ALIGN(sizeof(struct rtgenmsg)), &unused);
	int r;

	/* NETNSA_FD is of this process: the kernel looks it up while it reads the question. */
	nl_put_u32(nl, nlh, NETNSA_FD, (uint32_t) fd);
	nl_put_u32(nl, nlh, NETNSA_NSID, (uint32_t) NETNSA_NSID_NOT_ASSIGNED); /* any */
	r = nl_ask(nl, nlh, NULL, NULL, NULL);
	return r < 0 && r != -EEXIST ? r : netns_id(nl, fd);
}

static bool is_number(const char *name)
{
	return *name >= '0' && *name <= '9';
}

static void mark(struct netns_use *list, size_t n, uint64_t ino)
{
	for (size_t i = 0; i < n; i++)
		list[i].used = list[i].used || list[i].ino == ino;
}

/* What ends meanwhile is nowhere. */
static bool has_gone(int error)
{
	return error == ENOENT || error == ESRCH;
}

static int look_at_threads(const char *pid, struct netns_use *list, size_t n)
{
	char path[64];
	struct stat st;
	CLEANUP(close_dir) DIR *dir = NULL;

	(void) snprintf(path, sizeof(path), "/proc/%.16s/task", pid);
	dir = opendir(path);
	if (!dir)
		return has_gone(errno) ? 0 : -errno;
	for (struct dirent *e; (e = readdir(dir));) {
		if (!is_number(e->d_name))
			continue;
		(void) snprintf(
			path, sizeof(path), "/proc/%.16s/task/%.16s/ns/net", pid, e->d_name);
		if (stat(path, &st) == 0)
			mark(list, n, st.st_ino);
		else if (!has_gone(errno))
			return -errno;
	}
	return 0;
}

int netns_mark_used(struct netns_use *list, size_t n)
{
	CLEANUP(close_dir) DIR *dir = opendir("/proc");
	int r = dir ? 0 : -errno;

	/*
	 * Process 1 may have more rights than whoever started us, and is where the machine is, in
	 * no pod.
	 */
	for (struct dirent *e; r == 0 && (e = readdir(dir));)
		if (is_number(e->d_name) && strcmp(e->d_name, "1") != 0)
			r = look_at_threads(e->d_name, list, n);
	for (size_t i = 0; i < n && r < 0; i++)
		list[i].used = true;
	return r;
}
