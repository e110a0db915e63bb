/*
 * work: see work.h. A ring under one lock, which is never held while a job is carried out or
 * reported. Three numbers only grow: jobs handed over, carried out, reported.
 */
#include "sys/work/work.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "base/cleanup.h"

struct job {
	work_fn run, done;
	void *job;
};

struct work {
	pthread_mutex_t lock;
	pthread_cond_t more; /* jobs, or the end */
	pthread_cond_t less; /* one was carried out */
	struct job ring[WORK_MAX];
	size_t n_given, n_done; /* with the lock */
	bool stop;

	size_t n_told; /* the loop's alone, as what follows */
	bool telling;
	pthread_t thread;
	bool started;
	int fd; /* eventfd: something was carried out */
	sd_event_source *source;
};

static void *thread_main(void *arg)
{
	struct work *w = arg;

	(void) pthread_mutex_lock(&w->lock);
	for (;;) {
		struct job job;

		while (w->n_done == w->n_given && !w->stop)
			(void) pthread_cond_wait(&w->more, &w->lock);
		if (w->n_done == w->n_given)
			break;
		job = w->ring[w->n_done % WORK_MAX];
		(void) pthread_mutex_unlock(&w->lock);
		job.run(job.job);
		(void) pthread_mutex_lock(&w->lock);
		w->n_done++;
		(void) pthread_cond_signal(&w->less);
		(void) eventfd_write(w->fd, 1); /* fails only at 2^64-1 */
	}
	(void) pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* Reports what is carried out, one by one: a report may hand over more. */
static void tell(struct work *w)
{
	assert(!w->telling);
	w->telling = true;
	for (;;) {
		struct job job = { 0 };

		(void) pthread_mutex_lock(&w->lock);
		if (w->n_told < w->n_done) {
			job = w->ring[w->n_told % WORK_MAX];
			w->n_told++; /* with the lock, for it makes room */
		}
		(void) pthread_mutex_unlock(&w->lock);
		if (!job.done)
			break;
		job.done(job.job);
	}
	w->telling = false;
}

static int on_done(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	eventfd_t n;

	(void) eventfd_read(fd, &n); /* only to make it quiet */
	tell(ctx);
	return 0;
}

/* Signals are the loop's. */
static int start(struct work *w, const char *name)
{
	sigset_t all, before;
	int r;

	assert(strlen(name) <= 15);
	(void) sigfillset(&all);
	(void) pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&w->thread, NULL, thread_main, w);
	(void) pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r)
		return -r;
	w->started = true;
	(void) pthread_setname_np(w->thread, name);
	return 0;
}

int work_new(sd_event *event, const char *name, struct work **ret, struct err *err)
{
	struct work *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return err_set(err, -ENOMEM, "out of memory");
	(void) pthread_mutex_init(&w->lock, NULL);
	(void) pthread_cond_init(&w->more, NULL);
	(void) pthread_cond_init(&w->less, NULL);
	w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = w->fd < 0 ? -errno : 0;
	if (r == 0)
		r = sd_event_add_io(event, &w->source, w->fd, EPOLLIN, on_done, w);
	if (r >= 0)
		r = start(w, name);
	if (r < 0) {
		(void) work_free(w);
		return err_set(err, r, "start the thread \"%s\": %s", name, strerror(-r));
	}
	*ret = w;
	return 0;
}

struct work *work_free(struct work *w)
{
	if (!w)
		return NULL;
	if (w->started) {
		work_drain(w);
		(void) pthread_mutex_lock(&w->lock);
		w->stop = true;
		(void) pthread_cond_signal(&w->more);
		(void) pthread_mutex_unlock(&w->lock);
		(void) pthread_join(w->thread, NULL);
	}
	(void) sd_event_source_disable_unref(w->source);
	close_p(&w->fd);
	(void) pthread_cond_destroy(&w->less);
	(void) pthread_cond_destroy(&w->more);
	(void) pthread_mutex_destroy(&w->lock);
	free(w);
	return NULL;
}

int work_do(struct work *w, work_fn run, work_fn done, void *job)
{
	bool room;

	assert(run && done);
	assert(!pthread_equal(pthread_self(), w->thread));
	(void) pthread_mutex_lock(&w->lock);
	room = w->n_given - w->n_told < WORK_MAX;
	if (room) {
		w->ring[w->n_given++ % WORK_MAX] = (struct job){ run, done, job };
		(void) pthread_cond_signal(&w->more);
	}
	(void) pthread_mutex_unlock(&w->lock);
	return room ? 0 : -EBUSY;
}

void work_drain(struct work *w)
{
	bool rest;

	do {
		(void) pthread_mutex_lock(&w->lock);
		while (w->n_done < w->n_given)
			(void) pthread_cond_wait(&w->less, &w->lock);
		(void) pthread_mutex_unlock(&w->lock);
		tell(w);
		rest = w->n_told < w->n_given; /* only the loop's thread hands over */
	} while (rest);
}
