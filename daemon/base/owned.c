/*
 * owned: see owned.h. A directory gets its name when it has its owner, so that an end between finds
 * none.
 */
#include "base/owned.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"

int owned_read(const char *path, size_t max, struct buf *ret, struct stat *ret_stat)
{
	CLEANUP(close_p)
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);

	if (fd < 0)
		return -errno;
	if (fstat(fd, ret_stat) < 0)
		return -errno;
	if (S_ISREG(ret_stat->st_mode) && ret_stat->st_nlink != 1)
		return -EMLINK;
	return file_read_fd(fd, max, ret, ret_stat);
}

/* Of what is there: 0 if it is a directory of @uid's. */
static int check_dir(const char *path, uid_t uid)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	return st.st_uid == uid ? 0 : -EPERM;
}

static int give(const char *path, mode_t mode, uid_t uid, gid_t gid)
{
	CLEANUP(close_p) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 || fchmod(fd, mode) < 0 || fchown(fd, uid, gid) < 0)
		return -errno;
	return 0;
}

int owned_make_dir(const char *path, mode_t mode, uid_t uid, gid_t gid)
{
	char up[PATH_MAX - sizeof(".XXXXXX")], made[PATH_MAX];
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		len--;
	if (!len || len >= sizeof(up))
		return len ? -ENAMETOOLONG : -EINVAL;
	(void) snprintf(up, sizeof(up), "%.*s", (int) len, path);
	int r = check_dir(up, uid);

	if (r != -ENOENT)
		return r;
	(void) snprintf(made, sizeof(made), "%s.XXXXXX", up);
	char *slash = strrchr(up, '/');

	if (slash && slash != up) {
		*slash = 0;
		r = file_mkdirs(up, 0755);
		*slash = '/';
		if (r < 0)
			return r;
	}
	if (!mkdtemp(made))
		return -errno;
	r = give(made, mode, uid, gid);
	if (r == 0 && rename(made, up) < 0)
		r = -errno;
	if (r == 0)
		return 1;
	(void) rmdir(made); /* the first error is the one to tell */
	return r;
}
