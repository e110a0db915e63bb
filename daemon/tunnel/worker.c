/*
 * A lane's thread: run to completion, both directions. It sleeps only when its queue, its sockets
 * and the calls are all empty, and reads the clock once per round. A batch of every source that is
 * ready is done before any is done again, so that none starves another; calls, timers and sources
 * that were empty are looked at every few rounds. Errors of single packets are counted; only the
 * end of the device (or a stop) ends the thread.
 *
 * Lane 0 alone waits for calls, for the timer and for news of links and routes, and ends the
 * others. Any lane may make a deadline come earlier; it arms the timer that wakes lane 0.
 */
#include <errno.h>
#include <stdlib.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/log.h"
#include "tunnel/internal.h"
#include "sys/net/monitor.h"
#include "sys/tun/tun.h"

enum {
	WAIT_WAKE,
	WAIT_TIMER,
	WAIT_WATCH,
	WAIT_AWAY,
	WAIT_TUN,
	WAIT_SOCK4,
	WAIT_SOCK6,
	WAIT_ROOM,
	WAIT_N
};

/*
 * A table of routes comes in 200,000 pieces of news: after some, there is a rest before the next.
 */
#define WATCH_REST_US (200 * USEC_PER_MSEC)
enum { WATCH_BURST = 32 };

#define HEARD_US USEC_PER_SEC
/* A flood that pauses for less is one. */
#define FLOOD_PAUSE_US (60 * USEC_PER_SEC)

/* Sources of packets that may have more. */
enum { READY_TUN = 1, READY_SOCK4 = 2, READY_SOCK6 = 4 };

enum {
	ROUNDS_MAX = 8,     /* before calls, timers and empty sources are looked at again */
	ROOM_WAIT_MS = 100, /* a send buffer full for so long: what waits for it is given up */
};

static void op_send(void *ctx, struct wg_peer *peer, const struct wg_endpoint *to,
	const uint8_t *data, size_t len)
{
	struct tunnel *t = ctx;

	outbound_send_one(t->at_work, peer, to, data, len);
}

static void op_ready(void *ctx, struct wg_peer *peer)
{
	struct tunnel *t = ctx;

	outbound_flush_staged(t->at_work, peer);
}

static void op_peer_removed(void *ctx, struct wg_peer *peer)
{
	free(wg_peer_user(peer));
	wg_peer_set_user(peer, NULL);
}

static bool tell_of(struct tunnel *t, struct wg_peer *peer, enum tunnel_event_kind kind,
	const struct wg_endpoint *from)
{
	const struct tunnel_event event = { .kind = kind,
		.from = from->remote,
		.to = from->local,
		.ifindex = from->ifindex,
		.data = wg_peer_key(peer),
		.len = TUNNEL_KEY_LEN,
		.sent = kind == TUNNEL_HEARD ? 0 : wg_peer_unanswered(peer) };

	return events_tell(&t->at_work->events, t->event_fd, &event);
}

/* Every packet of such a peer is one; the control thread need not hear of each. */
static void op_heard(void *ctx, struct wg_peer *peer, const struct wg_endpoint *from)
{
	struct tunnel *t = ctx;
	struct peer_user *user = wg_peer_user(peer);
	uint64_t now_us = clock_now_us();

	if (endpoint_equal(&user->heard, &from->remote) && now_us - user->heard_us < HEARD_US)
		return;
	if (!tell_of(t, peer, TUNNEL_HEARD, from))
		return;
	user->heard = from->remote;
	user->heard_us = now_us;
}

static int op_reserve_timestamp(void *ctx, uint64_t until_s)
{
	struct tunnel *t = ctx;

	return t->reserve_timestamp(t->reserve_ctx, until_s);
}

static const char *event_text(enum wg_event event)
{
	switch (event) {
	case WG_EVENT_INITIATION_SENT:
		return "sent a handshake initiation";
	case WG_EVENT_INITIATION_RECEIVED:
		return "received a handshake initiation";
	case WG_EVENT_RESPONSE_RECEIVED:
		return "received a handshake response";
	case WG_EVENT_COOKIE_RECEIVED:
		return "received a cookie";
	case WG_EVENT_SESSION:
		return "new session";
	case WG_EVENT_ENDPOINT:
		return "new endpoint";
	case WG_EVENT_QUIET:
		return "no answer for a moment";
	case WG_EVENT_UNANSWERED:
		return "no answer for 15 s, trying a new handshake";
	case WG_EVENT_GAVE_UP:
		return "no answer to handshakes for 90 s, waiting for traffic";
	case WG_EVENT_KEYS_ZEROED:
		return "keys were not used for long and are wiped";
	}
	return "?";
}

static void tell_of_silence(struct tunnel *t, struct wg_peer *peer, enum wg_event event)
{
	static const struct wg_endpoint none;

	if (t->event_fd >= 0)
		(void) tell_of(
			t, peer, event == WG_EVENT_QUIET ? TUNNEL_QUIET : TUNNEL_UNANSWERED, &none);
}

static void op_event(void *ctx, struct wg_peer *peer, enum wg_event event)
{
	struct tunnel *t = ctx;
	char key[KEY_BASE64_LEN], where[ENDPOINT_TEXT_MAX] = "no endpoint";
	const struct wg_endpoint *endpoint;

	if (event == WG_EVENT_GAVE_UP)
		outbound_refuse_staged(t->at_work, peer);
	if (event == WG_EVENT_QUIET || event == WG_EVENT_UNANSWERED)
		tell_of_silence(t, peer, event);
	if (!log_enabled(LOG_LEVEL_DEBUG))
		return;
	endpoint = wg_peer_endpoint(peer);
	key_to_base64(wg_peer_key(peer), key);
	if (endpoint)
		(void) endpoint_format(&endpoint->remote, where);
	log_debug("%s: peer %.8s...: %s (%s)", t->ifname, key, event_text(event), where);
}

const struct wg_ops *worker_ops(void)
{
	static const struct wg_ops ops = { .send = op_send,
		.ready = op_ready,
		.peer_removed = op_peer_removed,
		.heard = op_heard,
		.reserve_timestamp = op_reserve_timestamp,
		.event = op_event };

	return &ops;
}

/*
 * Arms the timer if it would wake too late. Waking early is harmless and rare, arming is not free.
 */
static void arm_timer(struct tunnel *t)
{
	uint64_t shed_us = shed_deadline(&t->shed);
	uint64_t engine_us = wg_device_next_deadline(t->device);
	uint64_t deadline_us = engine_us < shed_us ? engine_us : shed_us;
	struct itimerspec spec = { .it_value = { .tv_sec = (time_t) (deadline_us / USEC_PER_SEC),
					   .tv_nsec =
						   (long) (deadline_us % USEC_PER_SEC * 1000) } };

	if (deadline_us >= t->timer_us)
		return;
	if (deadline_us == 0)
		spec.it_value.tv_nsec = 1; /* zero would disarm it */
	(void) timerfd_settime(t->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
	t->timer_us = deadline_us;
}

static void run_timer(struct lane *l)
{
	struct tunnel *t = l->tunnel;
	uint64_t n;

	lane_lock(l);
	(void) !read(t->timer_fd, &n, sizeof(n)); /* only to make it quiet */
	t->timer_us = WG_NO_DEADLINE;
	lane_unlock(l);
}

static void run_call(struct lane *l)
{
	struct tunnel *t = l->tunnel;
	struct mail *mail = mailbox_take(&t->mailbox);
	const struct call *call = (const struct call *) mail;
	int result;

	if (!mail)
		return;
	lane_lock(l);
	result = call->fn(t, call->arg);
	lane_await_moves(l);
	lane_unlock(l);
	mailbox_answer(&t->mailbox, mail, result);
}

/* The others only had to wake. */
static void run_wake(struct lane *l)
{
	eventfd_t n;

	(void) eventfd_read(l->wake_fd, &n);
	if (l->number == 0)
		run_call(l);
}

/*
 * What the kernel puts into one super-packet shall go out as one message: so many segments at most,
 * and full groups for the AEAD.
 */
static void limit_super_packets(struct tunnel *t)
{
	uint32_t n = wg_super_segments(t->mtu);
	uint32_t bytes = n * t->mtu < 65536 ? n * t->mtu : 65536;

	if (!t->tun.tso)
		return;
	(void) tun_set_super_max(
		t->lanes[0]->tun_fd, n, bytes); /* refused: more messages, the same packets */
}

void worker_note_mtu(struct tunnel *t)
{
	uint32_t mtu = place_mtu(&t->place, t->lanes[0]->tun_fd);

	/* If it cannot be asked for, it is most likely what it was. */
	if (mtu == 0 || mtu == t->mtu)
		return;
	t->mtu = t->lanes[0]->mtu = mtu;
	limit_super_packets(t);
}

static void run_watch(struct tunnel *t)
{
	int kinds = monitor_drain(t->watch_fd);
	uint64_t now_us = clock_now_us();

	if (!pace_may(&t->watch_pace, WATCH_BURST, WATCH_REST_US, now_us, NULL))
		t->watch_rest_us = now_us + WATCH_REST_US;
	if (kinds < 0)
		return;
	if (kinds & MONITOR_LINKS)
		worker_note_mtu(t);
	if (kinds & MONITOR_WAYS)
		path_note_change(t);
}

/* The same for a device in another namespace. */
static void run_away(struct tunnel *t)
{
	if (monitor_drain(t->place.watch_fd) >= 0)
		worker_note_mtu(t);
}

static bool device_is_gone(const struct lane *l)
{
	char name[IF_NAMESIZE];

	return tun_name(l->tun_fd, name) < 0;
}

/* Before it sleeps: nothing is kept from others. */
static void rest(struct lane *l)
{
	lane_lock(l);
	lane_let_go(l);
	lane_meet(l);
	arm_timer(l->tunnel);
	lane_unlock(l);
}

/* How long lane 0 does not listen to news any more, in ms; 0: it listens. */
static int watch_rest_ms(struct tunnel *t)
{
	uint64_t now_us = t->watch_rest_us ? clock_now_us() : 0;

	if (now_us >= t->watch_rest_us)
		t->watch_rest_us = 0;
	return t->watch_rest_us ? (int) ((t->watch_rest_us - now_us) / USEC_PER_MSEC) + 1 : 0;
}

static int wait_ms(bool busy, bool room, int rest_ms)
{
	if (busy)
		return 0;
	if (room)
		return ROOM_WAIT_MS;
	return rest_ms ? rest_ms : -1;
}

/* Sleeps until something is ready, or looks only (@busy). False: not at this moment. */
static bool wait_ready(struct lane *l, bool busy, struct pollfd fds[static WAIT_N])
{
	struct tunnel *t = l->tunnel;
	bool first = l->number == 0, room = outbox_waits(&l->outbox);
	int rest_ms = first ? watch_rest_ms(t) : 0;

	if (!busy)
		rest(l);
	fds[WAIT_WAKE] = (struct pollfd){ .fd = l->wake_fd, .events = POLLIN };
	fds[WAIT_TIMER] = (struct pollfd){ .fd = first ? t->timer_fd : -1, .events = POLLIN };
	fds[WAIT_WATCH] =
		(struct pollfd){ .fd = first && !rest_ms ? t->watch_fd : -1, .events = POLLIN };
	fds[WAIT_AWAY] = (struct pollfd){ .fd = first ? t->place.watch_fd : -1, .events = POLLIN };
	/* While it waits for room, what is in its queue has no place to go to. */
	fds[WAIT_TUN] = (struct pollfd){ .fd = l->tun_fd, .events = room ? 0 : POLLIN };
	fds[WAIT_SOCK4] = (struct pollfd){ .fd = l->sock.fd4, .events = POLLIN };
	fds[WAIT_SOCK6] = (struct pollfd){ .fd = l->sock.fd6, .events = POLLIN };
	fds[WAIT_ROOM] =
		(struct pollfd){ .fd = room ? outbox_fd(l, &l->outbox) : -1, .events = POLLOUT };
	return poll(fds, WAIT_N, wait_ms(busy, room, rest_ms)) >= 0;
}

/* What is no packet. -errno: the device is gone. */
static int run_control(struct lane *l, const struct pollfd fds[static WAIT_N])
{
	if (fds[WAIT_TIMER].revents)
		run_timer(l);
	if (fds[WAIT_WAKE].revents)
		run_wake(l);
	if (fds[WAIT_WATCH].revents || fds[WAIT_AWAY].revents) {
		lane_lock(l);
		if (fds[WAIT_WATCH].revents)
			run_watch(l->tunnel);
		if (fds[WAIT_AWAY].revents)
			run_away(l->tunnel);
		lane_unlock(l);
	}
	if ((fds[WAIT_TUN].revents & (POLLERR | POLLHUP | POLLNVAL)) && device_is_gone(l))
		return -ENODEV;
	return 0;
}

static unsigned ready_sources(const struct pollfd fds[static WAIT_N])
{
	return (fds[WAIT_TUN].revents || fds[WAIT_ROOM].revents ? READY_TUN : 0) |
	       (fds[WAIT_SOCK4].revents ? READY_SOCK4 : 0) |
	       (fds[WAIT_SOCK6].revents ? READY_SOCK6 : 0);
}

/* Keeps @bit in *@ready if the source may have more. */
static int note_ready(unsigned *ready, unsigned bit, int r)
{
	if (r <= 0)
		*ready &= ~bit;
	return r < 0 ? r : 0;
}

/* One batch of every source in *@ready. -errno: the device is gone. */
static int run_round(struct lane *l, unsigned *ready)
{
	int r = 0;

	if (*ready & READY_TUN)
		r = note_ready(ready, READY_TUN, outbound_run(l));
	/* A call may have moved the port: descriptors are asked for again. */
	if (r == 0 && (*ready & READY_SOCK4))
		r = note_ready(ready, READY_SOCK4, inbound_run(l, l->sock.fd4));
	if (r == 0 && (*ready & READY_SOCK6))
		r = note_ready(ready, READY_SOCK6, inbound_run(l, l->sock.fd6));
	return r;
}

void worker_limit_waiting(struct lane *l, uint64_t now_us)
{
	struct outbox *box = &l->outbox;

	if (!outbox_waits(box))
		return;
	if (box->waits_since_us == 0)
		box->waits_since_us = now_us;
	if (now_us - box->waits_since_us < ROOM_WAIT_MS * UINT64_C(1000))
		return;
	/* POLLOUT waits for half of the buffer: on a slow line there is room long before. */
	if (!outbox_send(l, box) && box->waits_since_us != 0)
		outbox_drop(l, box);
}

static void tell_of_flood(struct tunnel *t, uint64_t now_us)
{
	bool same = t->flood_us && now_us - t->flood_us < FLOOD_PAUSE_US;

	t->flood_us = now_us;
	if (same)
		return;
	log_seldom(LOG_LEVEL_NOTICE,
		"%s: a flood of %s: most are dropped, sessions that are up go on", t->ifname,
		t->shed.keep[SOCK_SHED_ASIDE] < SOCK_SHED_ALL ? "datagrams that are not WireGuard's"
							      : "handshakes");
}

/* Lets the sockets take part in what shed.h says. */
static void update_shed(struct tunnel *t, uint64_t now_us)
{
	bool changed;

	if (!shed_is_due(&t->shed, now_us))
		return;
	changed = shed_update(&t->shed, now_us);
	if (shed_is_on(&t->shed))
		tell_of_flood(t, now_us);
	for (unsigned i = 0; changed && i < t->n_lanes; i++)
		(void) sock_set_shed(lane_newest_sock(t->lanes[i]), t->shed.keep);
}

/*
 * Before a round, with a clock that was just read: nothing that was found before is used any more.
 */
static void begin_round(struct lane *l, uint64_t now_us)
{
	struct tunnel *t = l->tunnel;

	lane_lock(l);
	lane_let_go(l);
	lane_meet(l);
	wg_device_set_time(t->device, now_us, clock_wall_us());
	if (l->number == 0)
		wg_device_tick(t->device);
	update_shed(t, now_us);
	if (l->number > 0)
		arm_timer(t);
	lane_hold(l);
	lane_unlock(l);
}

static void loop(struct lane *l)
{
	unsigned ready = 0;
	int r = 0;

	while (!l->stop && r == 0) {
		struct pollfd fds[WAIT_N];
		uint64_t now_us;

		if (!wait_ready(l, ready != 0, fds))
			continue; /* EINTR or no memory at this moment */
		now_us = clock_now_us();
		begin_round(l, now_us);
		worker_limit_waiting(l, now_us);
		r = run_control(l, fds);
		ready |= ready_sources(fds);
		for (int i = 0; r == 0 && ready && !l->stop && i < ROUNDS_MAX; i++) {
			r = run_round(l, &ready);
			begin_round(l, clock_now_us());
		}
	}
	rest(l);
}

/* Ends all lanes but the first. */
static void end_others(struct tunnel *t)
{
	lane_lock(t->lanes[0]);
	t->halt = true;
	lane_unlock(t->lanes[0]);
	for (unsigned i = 1; i < t->n_lanes; i++) {
		struct lane *l = t->lanes[i];

		if (!l->started)
			continue;
		lane_wake(l);
		(void) pthread_join(l->thread, NULL);
		l->started = false;
	}
}

static void *other_main(void *lane)
{
	struct lane *l = lane;

	loop(l);
	lane_lock(l);
	lane_meet(l);
	l->ended = true;
	lane_unlock(l);
	return NULL;
}

static void *first_main(void *lane)
{
	struct lane *l = lane;
	struct tunnel *t = l->tunnel;

	loop(l);
	end_others(t);
	mailbox_end(&t->mailbox);
	if (!l->stop) {
		t->port = 0;
		(void) eventfd_write(t->closed_fd, 1);
	}
	return NULL;
}

static int start_thread(struct lane *l)
{
	char name[16]; /* as long as the kernel takes */
	int r = pthread_create(&l->thread, NULL, l->number == 0 ? first_main : other_main, l);

	if (r)
		return -r;
	l->started = true;
	if (l->tunnel->n_lanes > 1) {
		(void) snprintf(name, sizeof(name), "queue %u", l->number);
		(void) pthread_setname_np(l->thread, name); /* only for people */
	}
	return 0;
}

/* Signals are the program's business: its own thread gets them. */
int worker_start(struct tunnel *t, struct err *err)
{
	sigset_t all, old;
	int r = 0;

	(void) sigfillset(&all);
	(void) pthread_sigmask(SIG_SETMASK, &all, &old);
	for (unsigned i = t->n_lanes; r == 0 && i-- > 0;)
		r = start_thread(t->lanes[i]);
	if (r < 0)
		end_others(t);
	(void) pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = -r;
	return r < 0 ? err_set(err, r, "start a thread: %m") : 0;
}
