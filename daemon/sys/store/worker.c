/*
 * store worker: the thread that writes, see store.h. The loop's side and the thread share two lists
 * under one lock; the database belongs to the thread from store_start() until it has ended.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sys/store/store-internal.h"

static void *worker(void *arg)
{
	struct store *s = arg;
	pthread_mutex_lock(&s->lock);
	while (s->queue || !s->stop) {
		if (!s->queue) {
			pthread_cond_wait(&s->work, &s->lock);
			continue;
		}
		struct store_batch *list = s->queue;
		struct store_batch **end = s->queue_end;
		s->queue = NULL;
		s->queue_end = &s->queue;
		pthread_mutex_unlock(&s->lock);
		store_run(s, list);
		pthread_mutex_lock(&s->lock);
		*s->finished_end = list;
		s->finished_end = end;
		uint64_t one = 1;
		(void) !write(s->event_fd, &one, sizeof(one)); /* full counter: it is readable */
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* Calls back for what is finished, one by one: a callback may queue more. */
static void report(struct store *s)
{
	pthread_mutex_lock(&s->lock);
	struct store_batch *list = s->finished;
	s->finished = NULL;
	s->finished_end = &s->finished;
	for (struct store_batch *b = list; b; b = b->next)
		s->n_waiting--;
	pthread_mutex_unlock(&s->lock);
	while (list) {
		struct store_batch *b = list;
		list = b->next;
		if (b->done)
			b->done(b->ctx, b->result, b->result < 0 ? &b->err : NULL);
		(void) store_batch_free(b);
	}
}

static int on_finished(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	uint64_t count;
	(void) !read(fd, &count, sizeof(count)); /* only resets it */
	report(userdata);
	return 0;
}

int store_start(struct store *s, sd_event *event, struct err *err)
{
	sigset_t all, before;
	s->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->event_fd < 0)
		return err_set(err, -errno, "%s: eventfd: %m", s->path);
	int r = sd_event_add_io(event, &s->on_finished, s->event_fd, EPOLLIN, on_finished, s);
	if (r < 0)
		return err_set(err, r, "%s: event loop: %s", s->path, strerror(-r));
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&s->thread, NULL, worker, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r) {
		s->on_finished = sd_event_source_disable_unref(s->on_finished);
		return err_set(err, -r, "%s: start its thread: %s", s->path, strerror(r));
	}
	(void) pthread_setname_np(s->thread, "store");
	s->started = true;
	return 0;
}

int store_commit(struct store *s, struct store_batch *batch, store_done_fn done, void *ctx)
{
	if (!batch)
		return -ENOMEM;
	batch->done = done;
	batch->ctx = ctx;
	batch->next = NULL;
	pthread_mutex_lock(&s->lock);
	bool full = s->n_waiting >= STORE_QUEUE_MAX;
	if (!full) {
		*s->queue_end = batch;
		s->queue_end = &batch->next;
		s->n_waiting++;
		pthread_cond_signal(&s->work);
	}
	pthread_mutex_unlock(&s->lock);
	if (full) {
		(void) store_batch_free(batch);
		return -EBUSY;
	}
	return 0;
}

void store_worker_stop(struct store *s)
{
	if (!s->started)
		return;
	/* Callbacks may queue more: go on until nothing is left. */
	do {
		pthread_mutex_lock(&s->lock);
		s->stop = true;
		pthread_cond_signal(&s->work);
		pthread_mutex_unlock(&s->lock);
		pthread_join(s->thread, NULL);
		report(s);
		s->stop = false;
	} while (s->queue && pthread_create(&s->thread, NULL, worker, s) == 0);
	s->started = false;
	s->on_finished = sd_event_source_disable_unref(s->on_finished);
	while (s->queue) { /* no thread to be had: carry it out here */
		struct store_batch *list = s->queue;
		s->queue = NULL;
		s->queue_end = &s->queue;
		store_run(s, list);
		s->finished = list;
		report(s);
	}
}
