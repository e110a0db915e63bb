/*
 * Opening and closing a tunnel, and the way of a call into its thread and back. All memory that packets
 * need is mapped here, once. A call holds a lock of its own only until the thread has taken it and
 * again for the answer; the packet path never takes one unless a call is waiting.
 */
#include "tunnel.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "internal.h"
#include "sys/tun/tun.h"
#include "sys/tun/rtnl.h"
#include "sys/tun/watch.h"

struct tunnel *tunnel_free_bare(struct tunnel *t)
{
	if (!t)
		return NULL;
	t->device = wg_device_free(t->device); /* may still call ops */
	t->aead = aead_free(t->aead);
	t->batch = sock_batch_free(t->batch);
	sock_close(&t->sock);
	if (t->area)
		(void) munmap(t->area, t->area_len);
	close_p(&t->tun_fd);
	close_p(&t->watch_fd);
	close_p(&t->place.watch_fd);
	t->place.rtnl = nl_close(t->place.rtnl);
	close_p(&t->timer_fd);
	close_p(&t->call_fd);
	close_p(&t->closed_fd);
	(void) pthread_mutex_destroy(&t->caller);
	(void) pthread_mutex_destroy(&t->lock);
	(void) pthread_cond_destroy(&t->answered);
	free(t);
	return NULL;
}

static void free_tunnel_p(struct tunnel **t)
{
	*t = tunnel_free_bare(*t);
}

struct tunnel *tunnel_new_bare(const struct tunnel_io *io)
{
	struct tunnel *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->io = io;
	t->tun_fd = t->watch_fd = t->timer_fd = t->call_fd = t->closed_fd = -1;
	t->place = (struct place){ .watch_fd = -1 };
	t->routes = 1;
	t->sock.fd4 = t->sock.fd6 = -1;
	t->intake4.want = t->intake6.want = SUPER_SLOTS;
	t->timer_us = WG_NO_DEADLINE;
	shed_init(&t->shed);
	(void) pthread_mutex_init(&t->caller, NULL);
	(void) pthread_mutex_init(&t->lock, NULL);
	(void) pthread_cond_init(&t->answered, NULL);
	return t;
}

static int map_area(struct tunnel *t)
{
	uint8_t *at;

	t->area_len = (size_t) BATCH * SLOT_LEN + 2 * OUTBOX_LEN + READ_AREA;
	at = mmap(NULL, t->area_len, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED)
		return -errno;
	t->area = at;
	t->outbox.data = at;
	t->late.data = at + OUTBOX_LEN;
	at += (size_t) 2 * OUTBOX_LEN;
	for (size_t i = 0; i < BATCH; i++, at += SLOT_LEN)
		t->in_slots[i] = at;
	t->read_area = at;
	return 0;
}

/* $HEARTH_OFFLOAD: off, tun or udp; else both. */
struct offload_wish {
	bool tun, udp;
};

static struct offload_wish wished_offload(void)
{
	const char *text = getenv("HEARTH_OFFLOAD");

	if (!text || !*text)
		text = "on";
	return (struct offload_wish){
		.tun = strcmp(text, "off") != 0 && strcmp(text, "udp") != 0,
		.udp = strcmp(text, "off") != 0 && strcmp(text, "tun") != 0,
	};
}

/* What can be slow for reasons outside is said once. */
static void tell_offload(const struct tunnel *t)
{
	if (t->sock.small_buffers)
		log_warning(
			"%s: the kernel grants UDP buffers below %d MB: bursts may be lost (root, "
			"or sysctl net.core.rmem_max and wmem_max)",
			t->ifname, SOCK_BUFFER_BYTES >> 20);
	log_info("%s: %s cipher; TUN offload %s%s%s; UDP offload %s%s", t->ifname,
		aead_name(t->aead),
		t->tun.tso    ? "TCP"
		: t->tun.csum ? "checksums"
			      : "off",
		t->tun.uso ? " UDP" : "", t->tun.header ? "" : " (no virtio-net header)",
		t->sock.gso4 || t->sock.gso6 ? "send" : "off", t->sock.gro ? " receive" : "");
}

static int open_device(
	struct tunnel *t, const struct tunnel_config *config, bool offload, struct err *err)
{
	uint32_t mtu = config->mtu;
	int r;

	if (t->tun_fd >= 0) {
		r = tun_adopt(t->tun_fd, offload, t->ifname, &t->tun, err);
		if (r < 0)
			return r;
	} else {
		t->tun_fd = tun_open(
			config->ifname, config->persistent, offload, t->ifname, &t->tun, err);
		if (t->tun_fd < 0)
			return t->tun_fd;
		if (mtu == 0 && !config->persistent)
			mtu = TUNNEL_MTU_DEFAULT;
	}
	if (mtu) {
		r = tun_set_mtu(t->tun_fd, mtu);
		errno = -r;
		if (r < 0)
			return err_set(err, r, "interface %s: set MTU %u: %m", t->ifname, mtu);
	}
	r = nl_open(&t->place.rtnl, err);
	if (r < 0) {
		(void) err_prefix(err, "ask for routes");
		return r;
	}
	worker_note_mtu(t);
	return 0;
}

static int open_parts(struct tunnel *t, struct err *err)
{
	t->watch_fd = watch_open();
	if (t->watch_fd < 0) {
		errno = -t->watch_fd;
		return err_set(err, t->watch_fd, "listen to link changes: %m");
	}
	t->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	t->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	t->closed_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->timer_fd < 0 || t->call_fd < 0 || t->closed_fd < 0)
		return err_set(err, -errno, "open timer and event descriptors: %m");
	return 0;
}

static int open_memory(struct tunnel *t, struct err *err)
{
	int r = map_area(t);

	errno = -r;
	if (r < 0)
		return err_set(err, r, "map %zu bytes for packets: %m", t->area_len);
	t->batch = sock_batch_new();
	if (!t->batch)
		return err_set(err, -ENOMEM, "out of memory");
	t->aead = aead_new();
	if (!t->aead)
		return err_set(err, -ENOSYS, "libcrypto does not offer ChaCha20-Poly1305");
	coalesce_init(&t->coalesce, t->tun.tso, t->tun.uso, inbound_write, t);
	return 0;
}

static int open_engine(struct tunnel *t, const struct tunnel_config *config, struct err *err)
{
	struct wg_config wg = { .ops = *worker_ops(),
		.ctx = t,
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

	return r < 0 ? r : open_engine(t, config, err);
}

/* Signals are the program's business: its own thread gets them. */
static int start_thread(struct tunnel *t, struct err *err)
{
	sigset_t all, old;
	int r;

	(void) sigfillset(&all);
	(void) pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&t->thread, NULL, worker_main, t);
	(void) pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = r;
	return r ? err_set(err, -r, "start a thread: %m") : 0;
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
	t->tun_fd = fd;
	t->fwmark = config->fwmark;
	t->sock_offload = wish.udp;
	r = open_device(t, config, wish.tun, err);
	if (r == 0)
		r = sock_open(config->port, config->fwmark, wish.udp, &t->sock, err);
	if (r == 0)
		r = open_parts(t, err);
	if (r == 0)
		r = tunnel_open_bare(t, config, err);
	if (r < 0)
		return r;
	tell_offload(t);
	r = start_thread(t, err);
	if (r < 0)
		return r;
	*ret = TAKE(t);
	return 0;
}

static int stop_fn(struct tunnel *t, void *arg)
{
	t->stop = true;
	return 0;
}

struct tunnel *tunnel_close(struct tunnel *t)
{
	if (!t)
		return NULL;
	(void) tunnel_call(t, stop_fn, NULL); /* -ENODEV: it has ended already */
	(void) pthread_join(t->thread, NULL);
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

int tunnel_call(struct tunnel *t, int (*fn)(struct tunnel *t, void *arg), void *arg)
{
	struct call call = { .fn = fn, .arg = arg, .result = -ENODEV };

	(void) pthread_mutex_lock(&t->caller);
	(void) pthread_mutex_lock(&t->lock);
	if (!t->ended) {
		t->call = &call;
		(void) eventfd_write(t->call_fd, 1); /* fails only at 2^64-1 */
		while (!call.done && !t->ended)
			(void) pthread_cond_wait(&t->answered, &t->lock);
		t->call = NULL;
	}
	(void) pthread_mutex_unlock(&t->lock);
	(void) pthread_mutex_unlock(&t->caller);
	return call.result;
}
