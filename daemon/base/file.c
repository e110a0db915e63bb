/* file: see file.h. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* All of @fd into @ret, which is left as it was if it cannot be. */
static int read_all(int fd, size_t max, struct buf *ret)
{
	size_t start = ret->len;
	char chunk[16384];

	for (;;) {
		ssize_t n = read(fd, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		if (ret->len - start + (size_t) n > max)
			return -EFBIG;
		buf_add(ret, chunk, (size_t) n);
	}
	explicit_bzero(chunk, sizeof(chunk)); /* key files come this way, too */
	buf_add(ret, "", 0);
	return buf_failed(ret) ? -ENOMEM : 0;
}

int file_read_fd(int fd, size_t max, struct buf *ret, struct stat *ret_stat)
{
	if (fstat(fd, ret_stat) < 0)
		return -errno;
	if (S_ISDIR(ret_stat->st_mode))
		return -EISDIR;
	if (!S_ISREG(ret_stat->st_mode))
		return -EMEDIUMTYPE;
	if (ret_stat->st_size > 0 && (uint64_t) ret_stat->st_size > max)
		return -EFBIG; /* what grows meanwhile, and what has no size, shows in reading */
	return read_all(fd, max, ret);
}

int file_read(const char *path, size_t max, struct buf *ret)
{
	/* O_NONBLOCK: the open() of a FIFO would wait for somebody to write into it. */
	CLEANUP(close_p) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	return fd < 0 ? -errno : file_read_fd(fd, max, ret, &st);
}

int file_read_stream(const char *path, size_t max, struct buf *ret)
{
	CLEANUP(close_p) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	return fd < 0 ? -errno : read_all(fd, max, ret);
}

int file_write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t) n;
	}
	return 0;
}

static int sync_parent(const char *path)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');

	if (!slash)
		(void) snprintf(dir, sizeof(dir), ".");
	else
		(void) snprintf(
			dir, sizeof(dir), "%.*s", slash == path ? 1 : (int) (slash - path), path);
	CLEANUP(close_p) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}

int file_write_atomic(const char *path, const void *data, size_t len, mode_t mode)
{
	char tmp[PATH_MAX];
	int n = snprintf(tmp, sizeof(tmp), "%s.tmp.XXXXXX", path);

	if (n < 0 || (size_t) n >= sizeof(tmp))
		return -ENAMETOOLONG;
	CLEANUP(close_p) int fd = mkostemp(tmp, O_CLOEXEC);

	if (fd < 0)
		return -errno;
	int r = fchmod(fd, mode) < 0 ? -errno : 0;

	if (r == 0)
		r = file_write_all(fd, data, len);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r == 0 && rename(tmp, path) < 0)
		r = -errno;
	if (r) {
		(void) unlink(tmp); /* the first error is the one to tell */
		return r;
	}
	return sync_parent(path);
}

int file_write_if_changed(const char *path, const void *data, size_t len, mode_t mode)
{
	CLEANUP_BUF struct buf old = { 0 };
	struct stat st;

	if (stat(path, &st) == 0 && (st.st_mode & 07777) == mode &&
		file_read(path, len, &old) == 0 && old.len == len &&
		(!len || !memcmp(old.data, data, len)))
		return 0;
	int r = file_write_atomic(path, data, len, mode);

	return r < 0 ? r : 1;
}

int file_mkdirs(const char *path, mode_t mode)
{
	char part[PATH_MAX];
	size_t len = strlen(path);

	if (!len || len >= sizeof(part))
		return len ? -ENAMETOOLONG : -EINVAL;
	memcpy(part, path, len + 1);
	for (size_t i = 1; i <= len; i++) {
		if (part[i] != '/' && part[i])
			continue;
		char c = part[i];

		part[i] = 0;
		if (mkdir(part, mode) < 0 && errno != EEXIST)
			return -errno;
		part[i] = c;
	}
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}
