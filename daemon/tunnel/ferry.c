/*
 * A ferry's life and its thread: a batch of every source that is ready, then a call if there is
 * one, then all over again.
 */
#include "tunnel/ferry.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "tunnel/ferry-internal.h"

enum { TURN = 64 }; /* sources in one, a batch of each */

static const struct endpoint loopback = { .addr = { AF_INET, { 127, 0, 0, 1 } } };

/* --- the thread --- */

/* A call, in the thread. */
struct call {
	struct mail mail;
	int (*fn)(struct ferry *f, void *arg);
	void *arg;
};

/* Last in a turn: what it removes is not looked at any more. */
static void run_call(struct ferry *f)
{
	struct mail *mail = mailbox_take(&f->mailbox);
	const struct call *call = (const struct call *) mail;

	if (mail)
		mailbox_answer(&f->mailbox, mail, call->fn(f, call->arg));
}

static void on_wake(struct ferry *f, struct source *s)
{
	eventfd_t n;

	(void) eventfd_read(s->sock.fd, &n);
}

/* Sources that have more come again, after all others that are ready. */
static void turn(struct ferry *f)
{
	struct epoll_event ready[TURN];
	bool called = false, go_on = f->wait_ms >= 0;
	int n = epoll_wait(f->epoll_fd, ready, TURN, f->wait_ms);

	f->wait_ms = -1;
	f->now_us = clock_now_us();
	for (int i = 0; i < n; i++) {
		struct source *s = ready[i].data.ptr;

		called = called || s == &f->wake;
		s->ready(f, s);
	}
	if (go_on)
		ferry_derp_go_on(f);
	if (called)
		run_call(f);
}

static void *thread_main(void *ctx)
{
	struct ferry *f = ctx;

	while (!f->stop)
		turn(f);
	mailbox_end(&f->mailbox);
	return NULL;
}

int ferry_call(struct ferry *f, int (*fn)(struct ferry *f, void *arg), void *arg)
{
	struct call call = { .fn = fn, .arg = arg };

	return mailbox_call(&f->mailbox, f->wake.sock.fd, &call.mail);
}

int ferry_listen_to(struct ferry *f, struct source *s)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = s };

	return epoll_ctl(f->epoll_fd, EPOLL_CTL_ADD, s->sock.fd, &event) < 0 ? -errno : 0;
}

void ferry_listen_no_more(struct ferry *f, const struct source *s)
{
	(void) epoll_ctl(f->epoll_fd, EPOLL_CTL_DEL, s->sock.fd, NULL);
}

/* --- what it has to tell --- */

int ferry_event_fd(const struct ferry *f)
{
	return f->event_fd;
}

static bool take_event(struct ferry *f, struct ferry_event *ret)
{
	const uint8_t *at;
	size_t len;

	if (!ring_take(&f->events, &at, &len))
		return false;
	memcpy(ret, at, sizeof(*ret));
	ret->data = at + sizeof(*ret);
	return true;
}

bool ferry_next_event(struct ferry *f, struct ferry_event *ret)
{
	eventfd_t n;

	if (take_event(f, ret))
		return true;
	(void) eventfd_read(f->event_fd, &n); /* and what came since the look above: */
	if (!take_event(f, ret))
		return false;
	(void) eventfd_write(f->event_fd, 1); /* there may be more, of which nobody tells */
	return true;
}

/* --- its life --- */

static int open_memory(struct ferry *f)
{
	void *at = mmap(NULL, (size_t) FERRY_SLOTS * FERRY_SLOT_LEN, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return -errno;
	f->area = at;
	f->batch = sock_batch_new();
	f->train = train_new();
	return f->batch && f->train ? ring_open(&f->events) : -ENOMEM;
}

static int open_descriptors(struct ferry *f)
{
	f->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	f->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	f->wake.sock.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	f->wake.ready = on_wake;
	if (f->epoll_fd < 0 || f->event_fd < 0 || f->wake.sock.fd < 0)
		return -errno;
	return ferry_listen_to(f, &f->wake);
}

/* Signals are the program's business: its own thread gets them. */
static int start(struct ferry *f)
{
	sigset_t all, old;
	int r;

	(void) sigfillset(&all);
	(void) pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&f->thread, NULL, thread_main, f);
	(void) pthread_sigmask(SIG_SETMASK, &old, NULL);
	f->started = r == 0;
	if (f->started)
		(void) pthread_setname_np(f->thread, "ferry"); /* only for people */
	return -r;
}

int ferry_new(uint16_t tunnel_port, struct ferry **ret, struct err *err)
{
	struct ferry *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return err_set(err, -ENOMEM, "out of memory");
	f->tunnel = loopback;
	f->tunnel.port = tunnel_port;
	f->epoll_fd = f->event_fd = f->wake.sock.fd = -1;
	f->wait_ms = -1;
	mailbox_init(&f->mailbox);
	r = open_memory(f);
	if (r == 0)
		r = open_descriptors(f);
	if (r == 0)
		r = start(f);
	if (r < 0) {
		ferry_free(f);
		return err_set(err, r, "start the way by relays: %s", strerror(-r));
	}
	*ret = f;
	return 0;
}

static int stop_fn(struct ferry *f, void *arg)
{
	f->stop = true;
	return 0;
}

static void free_lists(struct ferry *f)
{
	for (size_t i = 0; i < FERRY_BUCKETS; i++)
		while (f->buckets[i]) {
			struct passenger *p = f->buckets[i];

			f->buckets[i] = p->next;
			ferry_passenger_free(p);
		}
	while (f->carriers) {
		struct carrier *c = f->carriers;

		f->carriers = c->next;
		c->free(c);
	}
}

struct ferry *ferry_free(struct ferry *f)
{
	if (!f)
		return NULL;
	if (f->started) {
		(void) ferry_call(f, stop_fn, NULL);
		(void) pthread_join(f->thread, NULL);
	}
	free_lists(f);
	close_p(&f->wake.sock.fd);
	close_p(&f->event_fd);
	close_p(&f->epoll_fd);
	ring_close(&f->events);
	f->train = train_free(f->train);
	f->batch = sock_batch_free(f->batch);
	if (f->area)
		(void) munmap(f->area, (size_t) FERRY_SLOTS * FERRY_SLOT_LEN);
	mailbox_done(&f->mailbox);
	free(f);
	return NULL;
}
