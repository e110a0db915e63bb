/*
 * Two numbers go between the threads: what the tunnel wants, and what is stored. The tunnel asks
 * five minutes ahead, and only right after the start does a handshake wait (20 ms) for the first
 * write.
 */
#include "node/stamps.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/pace.h"
#include "board/state.h"

struct stamps {
	char *path;
	int fd; /* eventfd: something is wanted */
	sd_event_source *source;
	struct disk *disk; /* borrowed */
	_Atomic uint64_t wanted_s, stored_s;
	uint64_t writing_s; /* on its way, 0: nothing */
	struct trouble trouble;
};

static void look(struct stamps *s);

static void written(void *ctx, struct write *w)
{
	struct stamps *s = ctx;
	struct trouble_end end;

	/*
	 * With a full disk a handshake now is worth more than one after the next restart with a
	 * clock that went back: the mesh stays up.
	 */
	if (w->result == 0)
		(void) trouble_over(&s->trouble, clock_now_us(), &end);
	else if (trouble_is(&s->trouble, w->result, clock_now_us()))
		log_warning("write %s: %s, going on without", s->path, strerror(-w->result));
	write_free(w);
	atomic_store(&s->stored_s, s->writing_s);
	s->writing_s = 0;
	look(s);
}

static void look(struct stamps *s)
{
	uint64_t until_s = atomic_load(&s->wanted_s);
	struct write *w;

	if (s->writing_s || until_s <= atomic_load(&s->stored_s))
		return;
	w = state_write_timestamp(s->path, until_s);
	if (!w) { /* out of memory: as a full disk */
		atomic_store(&s->stored_s, until_s);
		return;
	}
	s->writing_s = until_s;
	disk_write(s->disk, w, written, s);
}

static int on_wanted(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	eventfd_t n;

	(void) eventfd_read(fd, &n); /* only to make it quiet */
	look(ctx);
	return 0;
}

int stamps_new(sd_event *event, struct disk *disk, const char *path, struct stamps **ret)
{
	struct stamps *s = calloc(1, sizeof(*s));
	int r = 0;

	if (!s)
		return -ENOMEM;
	s->disk = disk;
	s->path = strdup(path);
	s->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!s->path)
		r = -ENOMEM;
	else if (s->fd < 0)
		r = -errno;
	if (r == 0)
		r = sd_event_add_io(event, &s->source, s->fd, EPOLLIN, on_wanted, s);
	if (r < 0) {
		(void) stamps_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

struct stamps *stamps_free(struct stamps *s)
{
	if (!s)
		return NULL;
	(void) sd_event_source_disable_unref(s->source);
	close_p(&s->fd);
	free(s->path);
	free(s);
	return NULL;
}

struct write *stamps_keep(struct stamps *s, bool *ret_was_removed)
{
	uint64_t until_s = atomic_load(&s->stored_s);

	*ret_was_removed = access(s->path, F_OK) < 0;
	if (s->writing_s || state_read_timestamp(s->path) >= until_s)
		return NULL;
	return state_write_timestamp(s->path, until_s);
}

int stamps_reserve(void *stamps, uint64_t until_s)
{
	struct stamps *s = stamps;

	if (until_s <= atomic_load(&s->stored_s))
		return 0;
	atomic_store(&s->wanted_s, until_s);
	(void) eventfd_write(s->fd, 1); /* fails only at 2^64-1 */
	return -EAGAIN;
}
