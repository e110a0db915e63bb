/*
 * A ferry's life, its thread, and the calls of the control thread. What a call needs (sockets,
 * memory) is made, and what it leaves is freed, by the caller; the thread only puts it in or takes
 * it out, between two turns.
 */
#include "tunnel/ferry.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

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

static int ferry_call(struct ferry *f, int (*fn)(struct ferry *f, void *arg), void *arg)
{
	struct call call = { .fn = fn, .arg = arg };

	return mailbox_call(&f->mailbox, f->wake.sock.fd, &call.mail);
}

static int listen_to(struct ferry *f, struct source *s)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = s };

	return epoll_ctl(f->epoll_fd, EPOLL_CTL_ADD, s->sock.fd, &event) < 0 ? -errno : 0;
}

static void listen_no_more(struct ferry *f, const struct source *s)
{
	(void) epoll_ctl(f->epoll_fd, EPOLL_CTL_DEL, s->sock.fd, NULL);
}

/* --- peers --- */

static int enter_peer(struct ferry *f, void *arg)
{
	struct passenger *p = arg;
	int r = listen_to(f, &p->source);

	if (r == 0)
		ferry_passenger_enter(f, p);
	return r;
}

int ferry_peer_add(struct ferry *f, uint32_t node, const uint8_t key[static FERRY_KEY_LEN],
	struct endpoint *ret)
{
	struct passenger *p = ferry_passenger_find(f, node);
	int r;

	if (p) {
		*ret = p->at;
		return 0;
	}
	if (node == 0)
		return -EINVAL;
	if (f->n_peers == FERRY_PEERS_MAX)
		return -ENOSPC;
	r = ferry_passenger_new(node, key, &f->tunnel, &p);
	if (r < 0)
		return r;
	r = ferry_call(f, enter_peer, p);
	if (r < 0) {
		ferry_passenger_free(p);
		return r;
	}
	*ret = p->at;
	return 0;
}

static int leave_peer(struct ferry *f, void *arg)
{
	struct passenger *p = arg;

	listen_no_more(f, &p->source);
	f->counters.to_relay_full += ferry_source_lost(&p->source);
	ferry_passenger_leave(f, p);
	return 0;
}

void ferry_peer_remove(struct ferry *f, uint32_t node)
{
	struct passenger *p = ferry_passenger_find(f, node);

	if (!p)
		return;
	(void) ferry_call(f, leave_peer, p);
	ferry_passenger_free(p);
}

struct choice {
	struct passenger *peer;
	uint32_t relay;
};

static int choose_relay(struct ferry *f, void *arg)
{
	const struct choice *choice = arg;

	choice->peer->relay = choice->relay;
	ferry_passenger_choose(f, choice->peer);
	return 0;
}

static struct carrier *find_carrier(const struct ferry *f, uint32_t relay, bool is_stream)
{
	struct carrier *c = f->carriers;

	while (c && (c->relay != relay || c->is_stream != is_stream))
		c = c->next;
	return c;
}

static bool is_full(const struct ferry *f, bool is_stream)
{
	unsigned n = 0;

	for (const struct carrier *c = f->carriers; c; c = c->next)
		n += c->is_stream == is_stream;
	return n == FERRY_RELAYS_MAX;
}

int ferry_peer_carrier(struct ferry *f, uint32_t node, uint32_t relay)
{
	struct choice choice = { .peer = ferry_passenger_find(f, node), .relay = relay };

	if (!choice.peer)
		return -ENOENT;
	if (relay != FERRY_NO_RELAY && !find_carrier(f, relay, false) &&
		!find_carrier(f, relay, true))
		return -ENOENT;
	return ferry_call(f, choose_relay, &choice);
}

static int move_tunnel(struct ferry *f, void *arg)
{
	f->tunnel.port = *(const uint16_t *) arg;
	for (size_t i = 0; i < FERRY_BUCKETS; i++)
		for (const struct passenger *p = f->buckets[i]; p; p = p->next)
			(void) ferry_passenger_connect(p, &f->tunnel); /* no reason to fail */
	return 0;
}

void ferry_set_tunnel_port(struct ferry *f, uint16_t port)
{
	if (port != f->tunnel.port)
		(void) ferry_call(f, move_tunnel, &port);
}

/* --- relays --- */

static void take_out(struct ferry *f, struct carrier *c)
{
	struct carrier **at = &f->carriers;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	listen_no_more(f, &c->source);
	if (!c->is_stream)
		f->counters.from_relay_full += ferry_source_lost(&c->source);
}

/* Those by UDP before those by a stream, so that they are chosen first. */
static void put_in(struct ferry *f, struct carrier *c)
{
	struct carrier **at = &f->carriers;

	while (c->is_stream && *at && !(*at)->is_stream)
		at = &(*at)->next;
	c->next = *at;
	*at = c;
	if (c->is_stream)
		f->wait_ms = 0; /* something may have come with the login */
}

struct change {
	struct carrier *old, *new; /* NULL: none */
};

static int change_carrier(struct ferry *f, void *arg)
{
	const struct change *change = arg;
	int r = change->new ? listen_to(f, &change->new->source) : 0;

	if (r < 0)
		return r;
	if (change->old)
		take_out(f, change->old);
	if (change->new)
		put_in(f, change->new);
	ferry_passengers_choose(f);
	return 0;
}

static void free_carrier(struct carrier *c)
{
	if (c)
		c->free(c);
}

static void close_carrier(struct ferry *f, struct carrier *c)
{
	struct change change = { .old = c };

	if (!c)
		return;
	(void) ferry_call(f, change_carrier, &change);
	free_carrier(c);
}

int ferry_relay_open(struct ferry *f, uint32_t relay, const struct endpoint *to, uint32_t fwmark,
	struct err *err)
{
	struct change change = { .old = find_carrier(f, relay, false) };
	int r;

	if (relay == FERRY_NO_RELAY || !to->port)
		return err_set(err, -EINVAL, "a relay without number or port");
	if (!change.old && is_full(f, false))
		return err_set(err, -ENOSPC, "more than %d relays at once", FERRY_RELAYS_MAX);
	r = ferry_udp_new(relay, to, fwmark, &change.new, err);
	if (r < 0)
		return r;
	r = ferry_call(f, change_carrier, &change);
	free_carrier(r < 0 ? change.new : change.old);
	return r < 0 ? err_set(err, r, "listen to a relay: %s", strerror(-r)) : 0;
}

void ferry_relay_close(struct ferry *f, uint32_t relay)
{
	close_carrier(f, find_carrier(f, relay, false));
}

struct binding {
	struct carrier *carrier;
	uint32_t session;
};

static int bind_carrier(struct ferry *f, void *arg)
{
	const struct binding *binding = arg;

	ferry_udp_set_session(binding->carrier, binding->session);
	ferry_passengers_choose(f);
	return 0;
}

int ferry_relay_session(struct ferry *f, uint32_t relay, uint32_t session)
{
	struct binding binding = { .carrier = find_carrier(f, relay, false), .session = session };

	return binding.carrier ? ferry_call(f, bind_carrier, &binding) : -ENOENT;
}

/* The carrier changes only by calls of this thread, which waits for their end. */
int ferry_send_control(struct ferry *f, uint32_t relay, const uint8_t *data, size_t len)
{
	const struct carrier *c = find_carrier(f, relay, false);

	if (!c)
		return -ENOENT;
	return send(c->source.sock.fd, data, len, MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* --- streams --- */

int ferry_stream_open(struct ferry *f, uint32_t relay, const struct ferry_stream *stream)
{
	struct change change = { 0 };
	int r;

	if (relay == FERRY_NO_RELAY || stream->fd < 0)
		return -EINVAL;
	if (find_carrier(f, relay, true))
		return -EEXIST;
	if (is_full(f, true))
		return -ENOSPC;
	r = ferry_derp_new(relay, stream, &change.new);
	if (r < 0)
		return r;
	r = ferry_call(f, change_carrier, &change);
	if (r < 0)
		free_carrier(change.new);
	return r;
}

void ferry_stream_close(struct ferry *f, uint32_t relay)
{
	close_carrier(f, find_carrier(f, relay, true));
}

struct letter {
	struct carrier *carrier;
	const uint8_t *frame;
	size_t len;
};

static int put_frame(struct ferry *f, void *arg)
{
	const struct letter *l = arg;

	return ferry_derp_put(f, l->carrier, l->frame, l->len) ? 0 : -EAGAIN;
}

int ferry_stream_send(struct ferry *f, uint32_t relay, const uint8_t *frame, size_t len)
{
	struct letter letter = {
		.carrier = find_carrier(f, relay, true), .frame = frame, .len = len
	};

	return letter.carrier ? ferry_call(f, put_frame, &letter) : -ENOENT;
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

static int read_counters(struct ferry *f, void *arg)
{
	struct ferry_counters *ret = arg;

	*ret = f->counters;
	for (size_t i = 0; i < FERRY_BUCKETS; i++)
		for (const struct passenger *p = f->buckets[i]; p; p = p->next)
			ret->to_relay_full += ferry_source_lost(&p->source);
	for (const struct carrier *c = f->carriers; c; c = c->next)
		ret->from_relay_full += c->is_stream ? 0 : ferry_source_lost(&c->source);
	return 0;
}

int ferry_get_counters(struct ferry *f, struct ferry_counters *ret)
{
	return ferry_call(f, read_counters, ret);
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
	return listen_to(f, &f->wake);
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
