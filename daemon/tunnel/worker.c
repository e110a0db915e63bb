/*
 * The tunnel's thread: run to completion, both directions. It sleeps only when the device, the
 * sockets and the calls are all empty, and reads the clock once per round. A batch of every source
 * that is ready is done before any is done again, so that none starves another; calls, timers and
 * sources that were empty are looked at every few rounds. Errors of single packets are counted; only
 * the end of the device (or a stop) ends the thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/log.h"
#include "internal.h"
#include "sys/tun/tun.h"
#include "sys/tun/watch.h"

enum {
	WAIT_CALL,
	WAIT_TIMER,
	WAIT_WATCH,
	WAIT_AWAY,
	WAIT_TUN,
	WAIT_SOCK4,
	WAIT_SOCK6,
	WAIT_ROOM,
	WAIT_N
};

/* A flood is told of so often at most. */
#define SHED_TELL_US (60 * USEC_PER_SEC)

/* Sources of packets that may have more. */
enum { READY_TUN = 1, READY_SOCK4 = 2, READY_SOCK6 = 4 };

enum {
	ROUNDS_MAX = 8,     /* before calls, timers and empty sources are looked at again */
	ROOM_WAIT_MS = 100, /* a send buffer full for so long: what waits for it is given up */
};

static void op_send(void *ctx, struct wg_peer *peer, const struct wg_endpoint *to,
	const uint8_t *data, size_t len)
{
	outbound_send_one(ctx, peer, to, data, len);
}

static void op_ready(void *ctx, struct wg_peer *peer)
{
	outbound_flush_staged(ctx, peer);
}

static void op_peer_removed(void *ctx, struct wg_peer *peer)
{
	free(wg_peer_user(peer));
	wg_peer_set_user(peer, NULL);
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
	case WG_EVENT_UNANSWERED:
		return "no answer for 15 s, trying a new handshake";
	case WG_EVENT_GAVE_UP:
		return "no answer to handshakes for 90 s, waiting for traffic";
	case WG_EVENT_KEYS_ZEROED:
		return "keys were not used for long and are wiped";
	}
	return "?";
}

static void op_event(void *ctx, struct wg_peer *peer, enum wg_event event)
{
	struct tunnel *t = ctx;
	char key[KEY_BASE64_LEN], where[ENDPOINT_TEXT_MAX] = "no endpoint";
	const struct wg_endpoint *endpoint;

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
		.reserve_timestamp = op_reserve_timestamp,
		.event = op_event };

	return &ops;
}

/* Arms the timer if it would wake too late. Waking early is harmless and rare, arming is not free. */
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

static void run_timer(struct tunnel *t)
{
	uint64_t n;

	(void) !read(t->timer_fd, &n, sizeof(n)); /* only to make it quiet */
	t->timer_us = WG_NO_DEADLINE;
}

static void run_call(struct tunnel *t)
{
	struct call *call;
	eventfd_t n;

	(void) eventfd_read(t->call_fd, &n);
	(void) pthread_mutex_lock(&t->lock);
	call = t->call;
	(void) pthread_mutex_unlock(&t->lock);
	if (!call || call->done)
		return;
	call->result = call->fn(t, call->arg); /* the caller sleeps until it is done */
	(void) pthread_mutex_lock(&t->lock);
	call->done = true;
	(void) pthread_cond_signal(&t->answered);
	(void) pthread_mutex_unlock(&t->lock);
}

/*
 * What the kernel puts into one super-packet shall go out as one message: so many segments at most, and
 * full groups for the AEAD.
 */
static void limit_super_packets(struct tunnel *t)
{
	uint32_t n = wg_super_segments(t->mtu);
	uint32_t bytes = n * t->mtu < 65536 ? n * t->mtu : 65536;

	if (!t->tun.tso)
		return;
	(void) tun_set_super_max(
		t->tun_fd, n, bytes); /* refused: more messages, the same packets */
}

void worker_note_mtu(struct tunnel *t)
{
	uint32_t mtu = place_mtu(&t->place, t->tun_fd);

	/* If it cannot be asked for, it is most likely what it was. */
	if (mtu == 0 || mtu == t->mtu)
		return;
	t->mtu = mtu;
	limit_super_packets(t);
}

static void run_watch(struct tunnel *t)
{
	int mask = watch_read(t->watch_fd);

	if (mask < 0)
		return;
	if (mask & WATCH_LINK)
		worker_note_mtu(t);
	if (mask & WATCH_ROUTES)
		path_note_change(t);
}

/* The same for a device in another namespace. */
static void run_away(struct tunnel *t)
{
	if (watch_read(t->place.watch_fd) >= 0)
		worker_note_mtu(t);
}

static bool device_is_gone(struct tunnel *t)
{
	char name[IF_NAMESIZE];

	return tun_name(t->tun_fd, name) < 0;
}

/* Sleeps until something is ready, or looks only (@busy). False: not at this moment. */
static bool wait_ready(struct tunnel *t, bool busy, struct pollfd fds[static WAIT_N])
{
	bool room = outbox_waits(&t->outbox);
	const struct pollfd wanted[WAIT_N] = {
		[WAIT_CALL] = { .fd = t->call_fd, .events = POLLIN },
		[WAIT_TIMER] = { .fd = t->timer_fd, .events = POLLIN },
		[WAIT_WATCH] = { .fd = t->watch_fd, .events = POLLIN },
		[WAIT_AWAY] = { .fd = t->place.watch_fd, .events = POLLIN },
		/* What is in its queue has no place to go to meanwhile. */
		[WAIT_TUN] = { .fd = t->tun_fd, .events = room ? 0 : POLLIN },
		[WAIT_SOCK4] = { .fd = t->sock.fd4, .events = POLLIN },
		[WAIT_SOCK6] = { .fd = t->sock.fd6, .events = POLLIN },
		[WAIT_ROOM] = { .fd = room ? outbox_fd(t, &t->outbox) : -1, .events = POLLOUT },
	};

	memcpy(fds, wanted, sizeof(wanted));
	if (!busy)
		arm_timer(t);
	return poll(fds, WAIT_N, busy ? 0 : room ? ROOM_WAIT_MS : -1) >= 0;
}

/* What is no packet. -errno: the device is gone. */
static int run_control(struct tunnel *t, const struct pollfd fds[static WAIT_N])
{
	if (fds[WAIT_TIMER].revents)
		run_timer(t);
	if (fds[WAIT_CALL].revents)
		run_call(t);
	if (fds[WAIT_WATCH].revents)
		run_watch(t);
	if (fds[WAIT_AWAY].revents)
		run_away(t);
	if ((fds[WAIT_TUN].revents & (POLLERR | POLLHUP | POLLNVAL)) && device_is_gone(t))
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
static int run_round(struct tunnel *t, unsigned *ready)
{
	int r = 0;

	if (*ready & READY_TUN)
		r = note_ready(ready, READY_TUN, outbound_run(t));
	/* A call may have moved the port: descriptors are asked for again. */
	if (r == 0 && (*ready & READY_SOCK4))
		r = note_ready(ready, READY_SOCK4, inbound_run(t, t->sock.fd4));
	if (r == 0 && (*ready & READY_SOCK6))
		r = note_ready(ready, READY_SOCK6, inbound_run(t, t->sock.fd6));
	return r;
}

void worker_limit_waiting(struct tunnel *t, uint64_t now_us)
{
	struct outbox *box = &t->outbox;

	if (!outbox_waits(box))
		return;
	if (box->waits_since_us == 0)
		box->waits_since_us = now_us;
	if (now_us - box->waits_since_us < ROOM_WAIT_MS * UINT64_C(1000))
		return;
	/* POLLOUT waits for half of the buffer: on a slow line there is room long before. */
	if (!outbox_send(t, box) && box->waits_since_us != 0)
		outbox_drop(t, box);
}

/* Lets the sockets take part in what shed.h says. */
static void update_shed(struct tunnel *t, uint64_t now_us)
{
	bool was_on = shed_is_on(&t->shed);

	if (!shed_update(&t->shed, now_us))
		return;
	(void) sock_set_shed(
		&t->sock, t->shed.keep); /* without it, the engine sees no more either */
	if (was_on || (t->shed_told_us && now_us - t->shed_told_us < SHED_TELL_US))
		return;
	t->shed_told_us = now_us;
	log_notice("%s: a flood of handshakes: most are dropped, sessions that are up go on",
		t->ifname);
}

/* Once per round, with a clock that was just read. */
static void run_time(struct tunnel *t)
{
	uint64_t now_us = clock_now_us();

	wg_device_set_time(t->device, now_us, clock_wall_us());
	wg_device_tick(t->device);
	update_shed(t, now_us);
}

static void loop(struct tunnel *t)
{
	unsigned ready = 0;
	int r = 0;

	while (!t->stop && r == 0) {
		struct pollfd fds[WAIT_N];
		uint64_t now_us;

		if (!wait_ready(t, ready != 0, fds))
			continue; /* EINTR or no memory at this moment */
		now_us = clock_now_us();
		wg_device_set_time(t->device, now_us, clock_wall_us());
		worker_limit_waiting(t, now_us);
		r = run_control(t, fds);
		ready |= ready_sources(fds);
		wg_device_tick(t->device);
		update_shed(t, now_us);
		for (int i = 0; r == 0 && ready && i < ROUNDS_MAX; i++) {
			r = run_round(t, &ready);
			run_time(t);
		}
	}
}

void *worker_main(void *tunnel)
{
	struct tunnel *t = tunnel;

	loop(t);
	(void) pthread_mutex_lock(&t->lock);
	t->ended = true;
	(void) pthread_cond_broadcast(&t->answered);
	(void) pthread_mutex_unlock(&t->lock);
	if (!t->stop)
		(void) eventfd_write(t->closed_fd, 1);
	return NULL;
}
