/*
 * ipc listen: see listen.h and ipc_make_place(). Whoever may write to a directory may take any name
 * in it, so the directory of all the sockets is root's, and each daemon has one of its own below
 * it.
 */
#include "sys/ipc/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "sys/ipc/ipc.h"

/* Removes what a dead process left; -EADDRINUSE if somebody answers. */
static int clear_path(const struct sockaddr_un *sa)
{
	struct stat st;

	if (lstat(sa->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	CLEANUP(close_p) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *) sa, sizeof(*sa)) == 0 || errno == EAGAIN)
		return -EADDRINUSE;
	return unlink(sa->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

/* Where the link at @path points, once; @path itself if it is none of root's or our own. */
static char *follow(const char *path)
{
	char to[PATH_MAX], *whole = NULL;
	const char *slash = strrchr(path, '/');
	struct stat st;

	if (lstat(path, &st) < 0 || !S_ISLNK(st.st_mode) ||
		(st.st_uid != 0 && st.st_uid != geteuid()))
		return strdup(path);
	ssize_t n = readlink(path, to, sizeof(to) - 1);

	if (n < 0)
		return strdup(path);
	to[n] = 0;
	if (*to == '/' || !slash)
		return strdup(to);
	return asprintf(&whole, "%.*s/%s", (int) (slash - path), path, to) < 0 ? NULL : whole;
}

int ipc_listen(const char *path, mode_t mode, gid_t gid, int *ret_fd, char **ret_path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	CLEANUP(free_p) char *place = follow(path);

	if (!place)
		return -ENOMEM;
	if (strlen(place) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	(void) snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", place);
	int r = clear_path(&sa);

	if (r < 0)
		return r;
	CLEANUP(close_p) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	/* The socket is born with the mode of its descriptor: nobody gets in before chmod(). */
	if (fd < 0 || fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *) &sa, sizeof(sa)) < 0)
		return -errno;
	if ((gid != (gid_t) -1 && chown(place, (uid_t) -1, gid) < 0) || chmod(place, mode) < 0 ||
		listen(fd, IPC_CLIENTS_MAX) < 0) {
		r = -errno;
		(void) unlink(place);
		return r;
	}
	*ret_fd = take_fd(&fd);
	*ret_path = TAKE(place);
	return 0;
}

/* A directory of @uid's; never somebody's link to another one. */
static int own_dir(const char *path, uid_t uid, gid_t gid)
{
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return -errno;
	CLEANUP(close_p) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 || fchown(fd, uid, gid) < 0 || fchmod(fd, 0755) < 0)
		return -errno;
	return 0;
}

/* @link points to @to afterwards. A socket in its place was made by a version without places. */
static int make_link(const char *to, const char *link)
{
	char seen[PATH_MAX];
	struct stat st;

	if (lstat(link, &st) == 0 && !S_ISLNK(st.st_mode) && !S_ISSOCK(st.st_mode))
		return -EEXIST;
	ssize_t n = readlink(link, seen, sizeof(seen));

	if (n == (ssize_t) strlen(to) && !memcmp(seen, to, (size_t) n))
		return 0;
	if (unlink(link) < 0 && errno != ENOENT)
		return -errno;
	return symlink(to, link) < 0 ? -errno : 0;
}

int ipc_make_place(const char *run, const char *name, uid_t uid, gid_t gid, struct err *err)
{
	char dir[PATH_MAX], to[PATH_MAX], link[PATH_MAX];

	if (snprintf(link, sizeof(link), "%s/%s.sock", run, name) >= (int) sizeof(link))
		return err_set(err, -ENAMETOOLONG, "%s is too long", run);
	(void) snprintf(dir, sizeof(dir), "%s/%s", run, name);
	(void) snprintf(to, sizeof(to), "%s/%s.sock", name, name);
	int r = file_mkdirs(run, 0755);

	if (r == 0)
		r = own_dir(run, 0, 0);
	if (r < 0)
		return err_set(err, r, "make %s root's: %s", run, strerror(-r));
	r = own_dir(dir, uid, gid);
	if (r < 0)
		return err_set(err, r, "give %s to its user: %s", dir, strerror(-r));
	r = make_link(to, link);
	return r < 0 ? err_set(err, r, "make the link %s: %s", link, strerror(-r)) : 0;
}
