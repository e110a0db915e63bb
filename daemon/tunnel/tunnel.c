/* Opening and closing a tunnel, and the way of a call into its first thread and back. */
#include "tunnel/tunnel.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/env.h"
#include "base/log.h"
#include "tunnel/internal.h"
#include "sys/net/monitor.h"
#include "sys/tun/tun.h"

struct tunnel *tunnel_free_bare(struct tunnel *t)
{
	if (!t)
		return NULL;
	t->device = wg_device_free(t->device); /* may still call ops */
	for (size_t i = 0; i < ARRAY_LEN(t->lanes); i++)
		t->lanes[i] = lane_free(t->lanes[i]);
	close_p(&t->watch_fd);
	close_p(&t->place.watch_fd);
	t->place.nl = nl_close(t->place.nl);
	close_p(&t->timer_fd);
	close_p(&t->closed_fd);
	close_p(&t->event_fd);
	mailbox_done(&t->mailbox);
	(void) pthread_mutex_destroy(&t->engine);
	(void) pthread_cond_destroy(&t->moved);
	free(t);
	return NULL;
}

static void free_tunnel_p(struct tunnel **t)
{
	*t = tunnel_free_bare(*t);
}

static void init_locks(struct tunnel *t)
{
	pthread_mutexattr_t recursive;

	(void) pthread_mutexattr_init(&recursive);
	(void) pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
	mailbox_init(&t->mailbox);
	(void) pthread_mutex_init(&t->engine, &recursive);
	(void) pthread_cond_init(&t->moved, NULL);
	(void) pthread_mutexattr_destroy(&recursive);
}

static int add_lanes(struct tunnel *t, unsigned n)
{
	for (; t->n_lanes < n; t->n_lanes++) {
		t->lanes[t->n_lanes] = lane_new(t, t->n_lanes);
		if (!t->lanes[t->n_lanes])
			return -ENOMEM;
		t->lanes[0]->shares = t->lanes[t->n_lanes]->shares = t->n_lanes > 0;
	}
	return 0;
}

struct tunnel *tunnel_new_bare(const struct tunnel_io *io)
{
	struct tunnel *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->io = io;
	t->watch_fd = t->timer_fd = t->closed_fd = t->event_fd = -1;
	t->place = (struct place){ .watch_fd = -1 };
	t->routes = 1;
	t->timer_us = WG_NO_DEADLINE;
	shed_init(&t->shed);
	init_locks(t);
	if (add_lanes(t, 1) < 0)
		return tunnel_free_bare(t);
	t->at_work = t->lanes[0];
	return t;
}

/* $HEARTH_OFFLOAD: off, tun or udp; else both. */
struct offload_wish {
	bool tun, udp;
};

static struct offload_wish wished_offload(void)
{
	enum { ON, OFF, TUN, UDP };
	static const char *const names[] = { "on", "off", "tun", "udp", NULL };
	int wish = env_choice("HEARTH_OFFLOAD", names, ON);

	return (struct offload_wish){
		.tun = wish == ON || wish == TUN,
		.udp = wish == ON || wish == UDP,
	};
}

/* What can be slow for reasons outside is said once. */
static void tell_how(const struct tunnel *t)
{
	const struct sock *sock = &t->lanes[0]->sock;

	if (sock->small_buffers)
		log_warning(
			"%s: the kernel grants UDP buffers below %d MB: bursts may be lost (root, "
			"or sysctl net.core.rmem_max and wmem_max)",
			t->ifname, SOCK_BUFFER_BYTES >> 20);
	log_info("%s: %u queue%s; %s cipher; TUN offload %s%s%s; UDP offload %s%s", t->ifname,
		t->n_lanes, t->n_lanes == 1 ? "" : "s", aead_name(t->lanes[0]->aead),
		t->tun.tso    ? "TCP"
		: t->tun.csum ? "checksums"
			      : "off",
		t->tun.uso ? " UDP" : "", t->tun.header ? "" : " (no virtio-net header)",
		sock->gso4 || sock->gso6 ? "send" : "off", sock->gro ? " receive" : "");
}

static int make_device(
	struct tunnel *t, const struct tunnel_config *config, bool offload, struct err *err)
{
	t->lanes[0]->tun_fd =
		tun_open(config->ifname, config->persistent, offload, t->ifname, &t->tun, err);
	return t->lanes[0]->tun_fd < 0 ? t->lanes[0]->tun_fd : 0;
}

static int make_queues(struct tunnel *t, const struct tunnel_config *config, bool offload,
	unsigned n, struct err *err)
{
	int fds[TUNNEL_QUEUES_MAX];
	int got = tun_open_queues(config->ifname, offload, n, fds, t->ifname, &t->tun, err);
	int r;

	if (got < 0)
		return got;
	r = add_lanes(t, (unsigned) got);
	for (unsigned i = 0; i < (unsigned) got; i++)
		if (i < t->n_lanes)
			t->lanes[i]->tun_fd = fds[i];
		else
			close_p(&fds[i]);
	if ((unsigned) got < n)
		log_warning("%s: the kernel grants %d queues, not %u", t->ifname, got, n);
	return r < 0 ? err_set(err, r, "out of memory") : 0;
}

/* The device that was handed over, or a new one, with all of its queues. */
static int get_device(
	struct tunnel *t, const struct tunnel_config *config, bool offload, struct err *err)
{
	bool handed_over = t->lanes[0]->tun_fd >= 0;
	unsigned n = (unsigned) env_number("HEARTH_QUEUES", 1, TUNNEL_QUEUES_MAX, 1);
	int r;

	if (handed_over)
		r = tun_adopt(t->lanes[0]->tun_fd, offload, t->ifname, &t->tun, err);
	else if (config->persistent || n == 1) /* who opens it next may want one */
		r = make_device(t, config, offload, err);
	else
		return make_queues(t, config, offload, n, err);
	if (r == 0 && n > 1)
		log_notice("%s: the device %s: one queue, not %u", t->ifname,
			handed_over ? "was made by another program" : "outlives this one", n);
	return r;
}

static int open_device(
	struct tunnel *t, const struct tunnel_config *config, bool offload, struct err *err)
{
	bool fresh = t->lanes[0]->tun_fd < 0 && !config->persistent;
	uint32_t mtu = config->mtu || !fresh ? config->mtu : TUNNEL_MTU_DEFAULT;
	int r = get_device(t, config, offload, err);

	if (r < 0)
		return r;
	if (mtu) {
		r = tun_set_mtu(t->lanes[0]->tun_fd, mtu);
		errno = -r;
		if (r < 0)
			return err_set(err, r, "interface %s: set MTU %u: %m", t->ifname, mtu);
	}
	r = nl_open(&t->place.nl, err);
	if (r < 0) {
		(void) err_prefix(err, "ask for routes");
		return r;
	}
	worker_note_mtu(t);
	return 0;
}

static int open_sockets(struct tunnel *t, const struct tunnel_config *config, struct err *err)
{
	struct sock socks[TUNNEL_QUEUES_MAX];
	int r = sock_open_group(
		config->port, config->fwmark, t->sock_offload, t->n_lanes, socks, err);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < t->n_lanes; i++)
		t->lanes[i]->sock = socks[i];
	t->fwmark = config->fwmark;
	t->port = socks[0].port;
	return 0;
}

static int open_parts(struct tunnel *t, struct err *err)
{
	bool ok;

	t->watch_fd = monitor_open(MONITOR_LINKS | MONITOR_WAYS, err);
	if (t->watch_fd < 0) {
		(void) err_prefix(err, "listen to link changes");
		return t->watch_fd;
	}
	t->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	t->closed_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ok = t->timer_fd >= 0 && t->closed_fd >= 0;
	for (unsigned i = 0; ok && i < t->n_lanes; i++) {
		t->lanes[i]->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		ok = t->lanes[i]->wake_fd >= 0;
	}
	return ok ? 0 : err_set(err, -errno, "open timer and event descriptors: %m");
}

static int open_events(struct tunnel *t, struct err *err)
{
	int r = 0;

	t->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->event_fd < 0)
		return err_set(err, -errno, "open an event descriptor: %m");
	for (unsigned i = 0; r == 0 && i < t->n_lanes; i++)
		r = ring_open(&t->lanes[i]->events);
	return r < 0 ? err_set(err, r, "out of memory") : 0;
}

static int open_memory(struct tunnel *t, struct err *err)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < t->n_lanes; i++)
		r = lane_open_memory(t->lanes[i], err);
	return r;
}

static int open_engine(struct tunnel *t, const struct tunnel_config *config, struct err *err)
{
	struct wg_config wg = { .ops = *worker_ops(),
		.ctx = t,
		.managed = config->managed,
		.timestamp_floor_s = config->timestamp_floor_s,
		.now_us = clock_now_us(),
		.wall_us = clock_wall_us() };
	int r;

	t->reserve_timestamp = config->reserve_timestamp;
	t->reserve_ctx = config->ctx;
	if (!t->reserve_timestamp)
		wg.ops.reserve_timestamp = NULL;
	r = wg_device_new(&wg, &t->device);
	if (r == -ENOSYS)
		return err_set(err, r, "the crypto libraries lack a primitive of WireGuard");
	errno = -r;
	return r < 0 ? err_set(err, r, "start the tunnel: %m") : 0;
}

int tunnel_open_bare(struct tunnel *t, const struct tunnel_config *config, struct err *err)
{
	int r = open_memory(t, err);

	if (r == 0 && config->managed)
		r = open_events(t, err);
	return r < 0 ? r : open_engine(t, config, err);
}

int tunnel_open(const struct tunnel_config *config, struct tunnel **ret, struct err *err)
{
	CLEANUP(free_tunnel_p) struct tunnel *t = tunnel_new_bare(tunnel_kernel_io());
	const struct offload_wish wish = wished_offload();
	int fd = config->tun_fd, r;

	if (!t) {
		close_p(&fd);
		return err_set(err, -ENOMEM, "out of memory");
	}
	t->lanes[0]->tun_fd = fd;
	t->sock_offload = wish.udp;
	r = open_device(t, config, wish.tun, err);
	if (r == 0)
		r = open_sockets(t, config, err);
	if (r == 0)
		r = open_parts(t, err);
	if (r == 0)
		r = tunnel_open_bare(t, config, err);
	if (r < 0)
		return r;
	tell_how(t);
	r = worker_start(t, err);
	if (r < 0)
		return r;
	*ret = TAKE(t);
	return 0;
}

int tunnel_device_name(const struct tunnel *t, char ret_name[static IF_NAMESIZE])
{
	return tun_name(t->lanes[0]->tun_fd, ret_name);
}

void tunnel_forget_device(struct tunnel *t)
{
	(void) tun_set_persistent(t->lanes[0]->tun_fd, false); /* else it stays where it is */
}

static int stop_fn(struct tunnel *t, void *arg)
{
	t->lanes[0]->stop = true;
	return 0;
}

struct tunnel *tunnel_close(struct tunnel *t)
{
	if (!t)
		return NULL;
	(void) tunnel_call(t, stop_fn, NULL); /* -ENODEV: it has ended already */
	(void) pthread_join(t->lanes[0]->thread, NULL);
	return tunnel_free_bare(t);
}

const char *tunnel_ifname(const struct tunnel *t)
{
	return t->ifname;
}

int tunnel_closed_fd(const struct tunnel *t)
{
	return t->closed_fd;
}

int tunnel_event_fd(const struct tunnel *t)
{
	return t->event_fd;
}

static bool take_of_any(struct tunnel *t, struct tunnel_event *ret)
{
	for (unsigned i = 0; i < t->n_lanes; i++)
		if (events_take(&t->lanes[i]->events, ret))
			return true;
	return false;
}

bool tunnel_next_event(struct tunnel *t, struct tunnel_event *ret)
{
	eventfd_t n;

	if (t->event_fd < 0)
		return false;
	if (take_of_any(t, ret))
		return true;
	(void) eventfd_read(t->event_fd, &n); /* and what came since the look above: */
	if (!take_of_any(t, ret))
		return false;
	(void) eventfd_write(t->event_fd, 1); /* there may be more, of which nobody tells */
	return true;
}

/*
 * The first lane's sockets change only by calls of the control thread, which waits for their end:
 * that thread may use them. So may it the list of what is denied.
 */
int tunnel_send_aside(struct tunnel *t, const struct endpoint *to, const struct ip_addr *from,
	const uint8_t *data, size_t len)
{
	struct sock_msg msg = { .data = (uint8_t *) data, /* only read */
		.len = len,
		.remote = *to,
		.local = *from };

	if (wg_device_denies(t->device, to))
		return -EACCES;
	return sock_send_one(&t->lanes[0]->sock, &msg);
}

static int send_whole(struct tunnel *t, void *arg)
{
	const struct sock_msg *msg = arg;

	return sock_send_one(&t->lanes[0]->sock, msg);
}

int tunnel_send_whole(struct tunnel *t, const struct endpoint *to, const uint8_t *data, size_t len)
{
	struct sock_msg msg = { .data = (uint8_t *) data, /* only read */
		.len = len,
		.remote = *to,
		.whole = true };

	if (wg_device_denies(t->device, to))
		return -EACCES;
	return tunnel_call(t, send_whole, &msg);
}

int tunnel_call(struct tunnel *t, int (*fn)(struct tunnel *t, void *arg), void *arg)
{
	struct call call = { .fn = fn, .arg = arg };

	assert(!pthread_equal(pthread_self(), t->lanes[0]->thread)); /* it would wait for itself */
	return mailbox_call(&t->mailbox, t->lanes[0]->wake_fd, &call.mail);
}
