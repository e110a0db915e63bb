/*
 * leases-dir: see leases-internal.h. The directory is also writable by hearthd's user: nothing in
 * it is followed, waited for or trusted to be a file.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/env.h"
#include "base/file.h"
#include "base/names.h"
#include "sys/lease/leases-internal.h"

enum { LOCK_TRIES = 20000, LOCK_PAUSE_US = 500 };

/* --- files --- */

int leases_read(const struct leases *store, const char *name, size_t max, struct buf *ret)
{
	struct stat st;
	CLEANUP(close_p)
	int fd =
		openat(store->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size > (off_t) max)
		return -EBADMSG;
	for (;;) {
		char chunk[1024];
		ssize_t n = read(fd, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0 || ret->len > max)
			break;
		buf_add(ret, chunk, (size_t) n);
	}
	return buf_failed(ret) ? -ENOMEM : 0;
}

int leases_write_new(const struct leases *store, const char *text, size_t len)
{
	if (unlinkat(store->dir, ".new", 0) < 0 && errno != ENOENT)
		return -errno;
	CLEANUP(close_p)
	int fd = openat(
		store->dir, ".new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd < 0)
		return -errno;
	return file_write_all(fd, text, len);
}

int leases_replace(const struct leases *store, const char *name, const char *text, size_t len)
{
	int r = leases_write_new(store, text, len);

	if (r == 0 && renameat(store->dir, ".new", store->dir, name) < 0)
		r = -errno;
	return r;
}

int leases_remove(const struct leases *store, const char *name)
{
	return unlinkat(store->dir, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

bool leases_is_same_file(const struct leases *store, const char *a, const char *b)
{
	struct stat x, y;

	return fstatat(store->dir, a, &x, AT_SYMLINK_NOFOLLOW) == 0 &&
	       fstatat(store->dir, b, &y, AT_SYMLINK_NOFOLLOW) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

/* --- lock and boot --- */

void leases_pause_us(uint64_t us)
{
	struct timespec t = { .tv_sec = (time_t) (us / USEC_PER_SEC),
		.tv_nsec = (long) (us % USEC_PER_SEC) * 1000 };

	(void) nanosleep(&t, NULL); /* woken early: the caller looks again */
}

int leases_try_lock(struct leases *store, struct err *err)
{
	if (flock(store->lock, LOCK_EX | LOCK_NB) == 0)
		return 0;
	return err_set(err, errno == EINTR ? -EAGAIN : -errno, "lock %s/lock: %m", store->path);
}

int leases_lock(struct leases *store, struct err *err)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		int r = leases_try_lock(store, err);

		if (r != -EAGAIN)
			return r;
		leases_pause_us(LOCK_PAUSE_US);
	}
	return err_set(err, -ETIMEDOUT, "%s/lock is held by another process", store->path);
}

void leases_unlock(struct leases *store)
{
	(void) flock(store->lock, LOCK_UN); /* cannot fail on a descriptor that was locked */
}

static int read_boot_id(char ret[static BOOT_ID_MAX])
{
	CLEANUP_BUF struct buf text = { 0 };
	/* Tests reboot by naming another one. */
	const char *fake = getenv("HEARTH_BOOT_ID");
	int r = fake && *fake ? 0 : file_read("/proc/sys/kernel/random/boot_id", 64, &text);

	if (r < 0)
		return r;
	(void) snprintf(ret, BOOT_ID_MAX, "%s", fake && *fake ? fake : buf_str(&text));
	ret[strcspn(ret, "\n ")] = 0;
	return *ret ? 0 : -EBADMSG;
}

static uint64_t read_netns(void)
{
	struct stat st;

	return stat("/proc/self/ns/net", &st) == 0 ? (uint64_t) st.st_ino : 0;
}

int leases_each(struct leases *store, bool (*wanted)(const char *name),
	int (*each)(struct leases *store, void *ctx, const char *name), void *ctx)
{
	CLEANUP(close_p) int fd = openat(store->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	int r = 0;

	if (!dir)
		return -errno;
	(void) take_fd(&fd);
	for (struct dirent *e; r == 0 && (e = readdir(dir));)
		if (wanted(e->d_name))
			r = each(store, ctx, e->d_name);
	(void) closedir(dir);
	return r;
}

static bool is_of_a_boot(const char *name)
{
	return strcmp(name, ".") && strcmp(name, "..") && strcmp(name, "lock");
}

static int drop_file(struct leases *store, void *ctx, const char *name)
{
	return leases_remove(store, name);
}

static bool is_this_boot(const struct leases *store)
{
	CLEANUP_BUF struct buf text = { 0 };

	return leases_read(store, "boot", BOOT_ID_MAX, &text) == 0 &&
	       !strcmp(buf_str(&text), store->boot);
}

/*
 * hearthd does not see /proc/sys. What is on a tmpfs is of this boot; and if not, no link of it is
 * left.
 */
static void take_boot(struct leases *store)
{
	CLEANUP_BUF struct buf text = { 0 };

	if (leases_read(store, "boot", BOOT_ID_MAX - 1, &text) == 0)
		(void) snprintf(store->boot, sizeof(store->boot), "%s", buf_str(&text));
}

static int check_boot(struct leases *store, struct err *err)
{
	if (is_this_boot(store))
		return 0;
	int r = leases_each(store, is_of_a_boot, drop_file, NULL);

	if (r == 0)
		r = leases_replace(store, "boot", store->boot, strlen(store->boot));
	return r < 0 ? err_set(err, r, "%s: drop the leases of an earlier boot: %s", store->path,
			       strerror(-r))
		     : 0;
}

/*
 * Our own directory gets the group of the one above, and so do the files in it, so that hearthd can
 * tidy up.
 */
static int make_dir(const char *path, struct err *err)
{
	char up[PATH_MAX];
	struct stat st;

	(void) snprintf(up, sizeof(up), "%s", path);
	*strrchr(up, '/') = 0;
	int r = file_mkdirs(up, 0755);

	if (r < 0)
		return err_set(err, r, "create %s: %s", up, strerror(-r));
	if (mkdir(path, 0770) < 0)
		return errno == EEXIST ? 0 : err_set(err, -errno, "create %s: %m", path);
	/*
	 * By descriptor: hearthd's user could put a link to somewhere else in its place meanwhile.
	 */
	CLEANUP(close_p) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return err_set(err, -errno, "open %s: %m", path);
	if (stat(up, &st) == 0)
		(void) !fchown(fd, (uid_t) -1, st.st_gid); /* then only root tidies up */
	(void) fchmod(fd, 02770);
	return 0;
}

static int open_store(const char *network, int lock_flags, struct leases **ret, struct err *err)
{
	CLEANUP_LEASES struct leases *store = calloc(1, sizeof(*store));

	if (!store)
		return err_set(err, -ENOMEM, "out of memory");
	store->dir = store->lock = store->held = -1;
	int n = snprintf(store->path, sizeof(store->path), "%s/cni/%s",
		env_dir("HEARTH_RUN", NAMES_RUN), network);

	if (n < 0 || (size_t) n >= sizeof(store->path))
		return err_set(err, -ENAMETOOLONG, "$HEARTH_RUN is too long");
	store->netns = read_netns();
	int r = read_boot_id(store->boot);

	if (r < 0 && lock_flags & O_CREAT)
		return err_set(err, r, "read the boot id: %s", strerror(-r));
	r = lock_flags & O_CREAT ? make_dir(store->path, err) : 0;
	if (r < 0)
		return r;
	store->dir = open(store->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (store->dir < 0)
		return err_set(err, -errno, "open %s: %m", store->path);
	store->lock = openat(store->dir, "lock",
		lock_flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0660);
	if (store->lock < 0)
		return err_set(err, -errno, "open %s/lock: %m", store->path);
	*ret = TAKE(store);
	return 0;
}

int leases_open(const char *network, struct leases **ret, struct err *err)
{
	CLEANUP_LEASES struct leases *store = NULL;
	int r = open_store(network, O_RDWR | O_CREAT, &store, err);

	if (r == 0)
		r = leases_lock(store, err);
	if (r < 0)
		return r;
	r = check_boot(store, err);
	leases_unlock(store);
	if (r == 0)
		*ret = TAKE(store);
	return r;
}

int leases_open_existing(const char *network, struct leases **ret, struct err *err)
{
	CLEANUP_LEASES struct leases *store = NULL;
	int r = open_store(network, O_RDONLY, &store, err);

	if (r < 0)
		return r;
	if (!*store->boot)
		take_boot(store);
	if (!is_this_boot(store))
		return err_set(err, -ENOENT, "%s: of an earlier boot", store->path);
	*ret = TAKE(store);
	return 0;
}

struct leases *leases_close(struct leases *store)
{
	if (!store)
		return NULL;
	if (store->dir >= 0)
		(void) close(store->dir);
	if (store->lock >= 0)
		(void) close(store->lock);
	close_p(&store->held);
	free(store);
	return NULL;
}

const char *leases_path(const struct leases *store)
{
	return store->path;
}
