/*
 * resolve: see resolve.h. The thread cannot be ended while it waits for a name server. So it is
 * nobody's: it and the loop each hold the question, and the last of them frees it.
 */
#include "sys/resolve/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "base/cleanup.h"

struct resolve {
	_Atomic unsigned holders;
	char *name;
	int fd; /* eventfd: there is an answer */

	struct ip_addr list[RESOLVE_MAX]; /* the thread's until then, as what follows */
	size_t n;
	int code;  /* of getaddrinfo(), 0: it found some */
	int error; /* errno, with EAI_SYSTEM */

	sd_event_source *source; /* the loop's, as what follows */
	resolve_fn done;
	void *ctx;
};

static void let_go(struct resolve *r)
{
	if (atomic_fetch_sub(&r->holders, 1) > 1)
		return;
	close_p(&r->fd);
	free(r->name);
	free(r);
}

static bool is_known(const struct resolve *r, const struct ip_addr *addr)
{
	for (size_t i = 0; i < r->n; i++)
		if (ip_addr_equal(&r->list[i], addr))
			return true;
	return false;
}

static void take(struct resolve *r, const struct addrinfo *found)
{
	struct endpoint at;

	for (; found && r->n < RESOLVE_MAX; found = found->ai_next)
		if (endpoint_from_sockaddr(found->ai_addr, &at) == 0 && !is_known(r, &at.addr))
			r->list[r->n++] = at.addr;
	if (!r->n)
		r->code = EAI_NONAME;
}

static void *thread_main(void *arg)
{
	/* AI_ADDRCONFIG: no addresses of a family that this machine has none of. */
	static const struct addrinfo hints = { .ai_socktype = SOCK_DGRAM,
		.ai_flags = AI_ADDRCONFIG };
	struct resolve *r = arg;
	struct addrinfo *found = NULL;

	r->code = getaddrinfo(r->name, NULL, &hints, &found);
	r->error = errno;
	if (r->code == 0) {
		take(r, found);
		freeaddrinfo(found);
	}
	(void) eventfd_write(r->fd, 1); /* fails only at 2^64-1 */
	let_go(r);
	return NULL;
}

static int on_answer(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct resolve *r = ctx;
	struct err err = { 0 };
	eventfd_t n;

	(void) eventfd_read(fd, &n); /* what the thread wrote is seen from here on */
	if (r->code)
		err_set(&err, -EHOSTUNREACH, "%s cannot be looked up: %s", r->name,
			r->code == EAI_SYSTEM ? strerror(r->error) : gai_strerror(r->code));
	r->source = sd_event_source_disable_unref(r->source);
	r->done(r->ctx, r->list, r->code ? 0 : r->n, &err);
	let_go(r);
	return 0;
}

/* Signals are the loop's. */
static int start_thread(struct resolve *r)
{
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t thread;
	int e;

	(void) sigfillset(&all);
	(void) pthread_attr_init(&attr);
	(void) pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void) pthread_sigmask(SIG_SETMASK, &all, &before);
	atomic_fetch_add(&r->holders, 1);
	e = pthread_create(&thread, &attr, thread_main, r);
	if (e)
		atomic_fetch_sub(&r->holders, 1);
	(void) pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void) pthread_attr_destroy(&attr);
	return -e;
}

int resolve_start(sd_event *event, const char *name, resolve_fn done, void *ctx,
	struct resolve **ret, struct err *err)
{
	struct resolve *r = calloc(1, sizeof(*r));
	int e;

	if (!r)
		return err_set(err, -ENOMEM, "out of memory");
	r->holders = 1;
	r->done = done;
	r->ctx = ctx;
	r->name = strdup(name);
	r->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	e = !r->name ? -ENOMEM : r->fd < 0 ? -errno : 0;
	if (e == 0)
		e = sd_event_add_io(event, &r->source, r->fd, EPOLLIN, on_answer, r);
	if (e >= 0)
		e = start_thread(r);
	if (e < 0) {
		(void) resolve_cancel(r);
		return err_set(err, e, "look up %s: %s", name, strerror(-e));
	}
	*ret = r;
	return 0;
}

struct resolve *resolve_cancel(struct resolve *r)
{
	if (!r)
		return NULL;
	r->source = sd_event_source_disable_unref(r->source);
	let_go(r);
	return NULL;
}
