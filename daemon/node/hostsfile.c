/*
 * A file that programs replace by renaming is seen by watching its directory; one that they write
 * in place, or that is a mount of its own as in a container, by watching the file. Where inotify
 * gives nothing (another machine writes on a network's file system, no instances left) the minute's
 * round looks.
 */
#include "node/hostsfile.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "wire/hosts.h"

#define QUIET_US (200 * USEC_PER_MSEC) /* a program may remove it before it writes it anew */
enum { WATCHES = 3 };

/*
 * What decides whether root can write a file, as far as others can see it. Of one type: without
 * gaps.
 */
struct looks {
	uint64_t ino, mount, size, attributes, changed_s, changed_ns;
	uint64_t refused; /* EROFS: its file system is read-only */
	uint64_t full;
};

struct hostsfile {
	sd_event *event;
	sd_event_source *timer, *watches[WATCHES];
	hostsfile_touched_fn touched;
	void *ctx;
	char path[PATH_MAX], real[PATH_MAX]; /* real: where its links lead */
	struct stat right; /* of the file when it was right; all zero: it was not */
	struct looks failed;
};

static bool is_base_of(const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');

	return slash && !strcmp(slash + 1, name);
}

static int on_event(sd_event_source *source, const struct inotify_event *event, void *ctx)
{
	struct hostsfile *file = ctx;

	if (event->len && !is_base_of(file->path, event->name) &&
		!is_base_of(file->real, event->name))
		return 0;
	hostsfile_wait(file, QUIET_US);
	return 0;
}

static void watch(struct hostsfile *file, size_t i, const char *path, uint32_t mask)
{
	file->watches[i] = sd_event_source_disable_unref(file->watches[i]);
	(void) sd_event_add_inotify(
		file->event, &file->watches[i], path, mask, on_event, file); /* see above */
}

/* Anew each time, for what was watched may have been replaced. */
static void watch_all(struct hostsfile *file)
{
	static const uint32_t names = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;
	char dir[PATH_MAX];

	if (!realpath(file->path, file->real))
		(void) snprintf(file->real, sizeof(file->real), "%s", file->path);
	(void) snprintf(dir, sizeof(dir), "%s", file->path);
	watch(file, 0, dirname(dir), names);
	(void) snprintf(dir, sizeof(dir), "%s", file->real);
	watch(file, 1, dirname(dir), names);
	watch(file, 2, file->real, IN_CLOSE_WRITE | IN_ATTRIB);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct hostsfile *file = ctx;

	watch_all(file);
	file->touched(file->ctx);
	return 0;
}

int hostsfile_new(sd_event *event, hostsfile_touched_fn touched, void *ctx, struct hostsfile **ret)
{
	struct hostsfile *file = calloc(1, sizeof(*file));
	int r;

	if (!file)
		return -ENOMEM;
	file->event = sd_event_ref(event);
	file->touched = touched;
	file->ctx = ctx;
	r = sd_event_add_time(event, &file->timer, CLOCK_MONOTONIC, 0, 0, on_timer, file);
	if (r >= 0)
		r = sd_event_source_set_enabled(file->timer, SD_EVENT_OFF);
	if (r < 0) {
		hostsfile_free(file);
		return r;
	}
	*ret = file;
	return 0;
}

struct hostsfile *hostsfile_free(struct hostsfile *file)
{
	if (!file)
		return NULL;
	for (size_t i = 0; i < WATCHES; i++)
		sd_event_source_disable_unref(file->watches[i]);
	sd_event_source_disable_unref(file->timer);
	sd_event_unref(file->event);
	free(file);
	return NULL;
}

void hostsfile_watch(struct hostsfile *file, const char *path)
{
	file->right = (struct stat){ 0 };
	if (path[0] != '/' || strlen(path) >= sizeof(file->path) || !strcmp(path, file->path))
		return;
	(void) snprintf(file->path, sizeof(file->path), "%s", path);
	watch_all(file);
}

const char *hostsfile_path(const struct hostsfile *file)
{
	return file->path;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Whether writing would change nothing. */
static int compare(const struct buf *have, const char *ifname, const char *entries)
{
	CLEANUP_JSON json_t *list = json_parse(entries, strlen(entries), NULL);
	CLEANUP(free_p) struct hosts_entry *parsed = NULL;
	size_t n = 0;
	int r = list ? hosts_entries_from_json(list, &parsed, &n, NULL) : -EINVAL;

	return r < 0 ? r : hosts_is_right(buf_str(have), have->len, ifname, parsed, n);
}

int hostsfile_look(struct hostsfile *file, const char *ifname, const char *entries)
{
	CLEANUP_BUF struct buf text = { 0 };
	struct stat now = { 0 };
	int r;

	if (!file->path[0])
		return -ENODATA;
	if (stat(file->path, &now) == 0 && file->right.st_ino && same_file(&now, &file->right))
		return 1;
	file->right = (struct stat){ 0 };
	r = file_read(file->path, HOSTS_FILE_MAX, &text);
	if (r < 0 && r != -ENOENT)
		return r;
	r = compare(&text, ifname, entries);
	if (r == 1)
		file->right = now; /* older than what was read, if anything */
	return r;
}

static void take_looks(const char *path, struct looks *ret)
{
	struct statx st = { 0 };
	struct statvfs fs = { 0 };

	(void) statx(AT_FDCWD, path, 0, STATX_BASIC_STATS | STATX_MNT_ID, &st); /* none: zero */
	ret->ino = st.stx_ino;
	ret->mount = st.stx_mask & STATX_MNT_ID ? st.stx_mnt_id : 0;
	ret->size = st.stx_size;
	ret->attributes = st.stx_attributes;
	ret->changed_s = (uint64_t) st.stx_ctime.tv_sec;
	ret->changed_ns = st.stx_ctime.tv_nsec;
	/* Of those without the right to write it, too, EROFS is said first. */
	ret->refused = access(path, W_OK) < 0 ? (uint64_t) errno : 0;
	ret->full = statvfs(path, &fs) == 0 && fs.f_blocks && !fs.f_bfree;
}

void hostsfile_failed(struct hostsfile *file)
{
	take_looks(file->path, &file->failed);
}

bool hostsfile_has_changed(const struct hostsfile *file)
{
	struct looks now;

	take_looks(file->path, &now);
	return memcmp(&now, &file->failed, sizeof(now)) != 0;
}

void hostsfile_wait(struct hostsfile *file, uint64_t wait_us)
{
	(void) sd_event_source_set_time_relative(file->timer, wait_us);
	(void) sd_event_source_set_enabled(file->timer, SD_EVENT_ONESHOT);
}
