/*
 * internal: the parts of one tunnel, for the files of this folder only.
 *
 *   tunnel.c    opens, closes, carries calls over to the threads
 *   lane.c      what one thread has, and how it meets the others
 *   worker.c    the threads: wait, tick, hand batches to the two below; the engine's actions
 *   outbound.c  TUN -> peers
 *   outbox.c    sealed -> UDP
 *   path.c      which way that leaves
 *   inbound.c   UDP -> opened -> TUN
 *   events.c    what the threads have for the control thread, in a ring (ring.c)
 *   mailbox.c   how a call comes into a thread
 *   io.c        the four system calls of the packet path
 *   control.c   the calls themselves, in lane 0
 *   control-uapi.c  the same for the userspace API
 */
#pragma once

#include <net/if.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "tunnel/aead.h"
#include "tunnel/events.h"
#include "tunnel/mailbox.h"
#include "base/pace.h"
#include "wg/wg.h"
#include "tunnel/shed.h"
#include "sys/sock/sock.h"
#include "sys/tun/place.h"
#include "sys/tun/tun.h"
#include "tunnel/tunnel.h"
#include "packet/coalesce.h"

enum {
	BATCH = SOCK_BATCH_MAX, /* datagrams received at once; small packets sealed at once */
	GATHERED_MAX = 256,     /* datagrams, also those of super-frames, opened at once */
	SUPER_SLOTS = 4,        /* messages received at once while they are super-frames */
	MIXED_SLOTS = 16,       /* while there are super-frames among them */
	CALM_ENOUGH = 256,
	GROUP_MAX = 64, /* packets of one peer sealed at once */

	PACKET_MAX = 65535, /* an inner packet, and a datagram */
	READ_MAX = VNET_HEAD_LEN + PACKET_MAX,
	/* A super-packet and a batch of small ones before it. */
	READ_AREA = READ_MAX + BATCH * 1600,
	/*
	 * One datagram or super-frame; no multiple of a page, so that slots do not share cache
	 * sets.
	 */
	SLOT_LEN = 65536 + 4096 + 192,
	/* One super-packet of 64 KB at any MTU from 128 on, and what was sealed before it. */
	OUTBOX_LEN = 192 * 1024,
	OUTBOX_MESSAGES = 2 * BATCH,
	OUTBOX_ENOUGH = 48 * 1024, /* sent then, even if the device has more */
};

struct lane;

/* A call from the control thread. */
struct call {
	struct mail mail;
	int (*fn)(struct tunnel *t, void *arg);
	void *arg;
};

/* What a peer's wg_peer_user() points to: heap, freed when the engine says that the peer leaves. */
struct peer_user {
	struct endpoint configured; /* the endpoint given last */
	struct endpoint heard;      /* told last, and when */
	uint64_t heard_us;
	uint16_t fragment; /* tunnel_peer's */
};

/* An inner packet on its way out, in the read area. */
struct outgoing {
	struct wg_peer *peer; /* NULL: taken care of */
	const uint8_t *data;
	size_t len;
	uint8_t hops; /* of the datagram, 0: as usual */
};

/* Sealed datagrams, one behind the other, and the messages they form. */
struct outbox {
	uint8_t *data;           /* OUTBOX_LEN bytes */
	size_t used;             /* of them */
	size_t first, n;         /* messages not yet sent: [first, n) */
	size_t told;             /* the engine knows of those before; their sessions may be gone */
	uint64_t waits_since_us; /* nothing has left since, 0: it does not wait */
	bool closed;             /* nothing joins the last message any more */
	struct sock_msg msgs[OUTBOX_MESSAGES];
	struct wg_session *sessions[OUTBOX_MESSAGES]; /* which each belongs to */
};

/* How many messages to ask a socket for. */
struct intake {
	size_t want;
	unsigned calm; /* calls since a super-frame came in, up to CALM_ENOUGH */
};

/* An encrypted packet that came in. */
struct incoming {
	struct wg_session *session; /* NULL: taken care of */
	const struct sock_msg *msg;
	uint8_t *data; /* the message, head included */
	size_t len;
};

/* What the packet path asks of the kernel. A test puts something else in its place. */
struct tunnel_io {
	/* One packet, virtio-net header first if the device has one; bytes, or -errno. */
	ssize_t (*tun_read)(struct lane *l, void *ret_data, size_t len);
	ssize_t (*tun_write)(struct lane *l, const struct iovec *iov, int n);
	int (*udp_receive)(struct lane *l, int fd, struct sock_msg *msgs, size_t n);
	size_t (*udp_send)(struct lane *l, struct sock_msg *msgs, size_t n);
};

/* Where the last packet of a batch went: the next one goes there, too, nearly always. */
struct last_route {
	int family; /* 0: there was none */
	uint8_t dst[16];
	struct wg_peer *peer;
};

/*
 * A queue of the device, sockets, and the thread that carries packets between them. All of it is
 * that thread's, but for what is said to be shared.
 */
struct lane {
	struct tunnel *tunnel;
	unsigned number; /* 0: also runs calls and timers */
	bool shares;     /* the engine with others; else there is no lock */
	pthread_t thread;
	bool started;
	bool stop;
	int wake_fd; /* eventfd: a call, or something below to be looked at */
	int tun_fd;
	uint32_t mtu;    /* of the device, as far as this lane knows. 0: unknown */
	uint32_t routes; /* the tunnel's, likewise */
	struct sock sock;
	struct aead *aead;
	struct sock_batch *batch;
	struct tunnel_counters counters;
	struct ring events;

	/* shared: */
	struct sock fresh;              /* to take the place of @sock */
	bool moving;                    /* and has not yet */
	bool ended;                     /* the thread does nothing any more */
	struct tunnel_counters counted; /* as of its last round */
	bool holding;                   /* the engine's memory */
	unsigned hold;

	uint8_t *area; /* one mapping for all packets; only touched pages count */
	size_t area_len;

	/* out */
	uint8_t *read_area;
	size_t read_at; /* where the next packet goes */
	struct outgoing outgoing[BATCH];
	size_t n_outgoing;
	struct last_route last;
	struct aead_packet out_packets[GROUP_MAX];
	struct outbox
		outbox;     /* of packets from the device; not empty between rounds: socket full */
	struct outbox late; /* of packets that waited for a session */

	/* in */
	uint8_t *in_slots[BATCH];
	struct intake intake4, intake6;
	struct sock_msg in_msgs[BATCH];
	struct incoming gathered[GATHERED_MAX];
	size_t n_gathered;
	struct aead_packet in_packets[GATHERED_MAX];
	const struct sock_msg *in_origins[GATHERED_MAX];
	struct coalesce coalesce;
	int tun_error; /* of the last batch: -errno when the device is gone */
};

struct tunnel {
	char ifname[IF_NAMESIZE];
	int closed_fd; /* eventfd */
	int event_fd;  /* eventfd; -1: not managed */
	struct mailbox mailbox;

	/* What does not change while threads run. */
	const struct tunnel_io *io;
	bool sock_offload; /* asked for */
	struct tun_offload tun;
	int watch_fd, timer_fd;
	struct pace watch_pace;
	uint64_t watch_rest_us; /* lane 0's: until then it does not listen to watch_fd */
	int (*reserve_timestamp)(void *ctx, uint64_t until_s);
	void *reserve_ctx;
	struct lane *lanes[TUNNEL_QUEUES_MAX]; /* owned */
	unsigned n_lanes;

	/*
	 * Everything below is used under @engine, which is not there with one lane: lane_lock(). It
	 * is held to decide, for a batch at a time, and never while packets of a session are read,
	 * sealed, opened, sent or written. What the engine itself sends goes out with it held:
	 * handshakes, keepalives and what has waited for a session.
	 */
	pthread_mutex_t engine; /* recursive: the engine's callbacks come back to us */
	struct lane *at_work;   /* who has it */
	bool halt;              /* all lanes shall end */
	unsigned n_moving;      /* lanes that have not taken their fresh sockets */
	pthread_cond_t moved;
	uint64_t timer_us;  /* what timer_fd is armed for, WG_NO_DEADLINE: nothing */
	uint32_t mtu;       /* of the device, 0: unknown */
	struct place place; /* where the device is */
	uint32_t routes;    /* counts changes of the routing tables, never 0 */
	uint32_t fwmark;
	_Atomic uint16_t port; /* lane 0 changes it, others read it without a call */
	bool gso_loss_told;    /* in the log */
	struct wg_device *device;
	uint64_t errors_us, errors_left; /* ICMP: so many may be written, as of then */
	struct shed shed;
	uint64_t flood_us; /* the last time that it was on, 0: never */
};

/* tunnel.c: the parts of a tunnel that need neither device nor sockets nor a thread: one lane. */
struct tunnel *tunnel_new_bare(const struct tunnel_io *io);
int tunnel_open_bare(struct tunnel *t, const struct tunnel_config *config, struct err *err);
struct tunnel *tunnel_free_bare(struct tunnel *t);

/* io.c */
const struct tunnel_io *tunnel_kernel_io(void);

/* lane.c */
struct lane *lane_new(struct tunnel *t, unsigned number);
int lane_open_memory(struct lane *l, struct err *err);
struct lane *lane_free(struct lane *l);
/*
 * @sock, which is taken over, takes the place of the lane's at its next meeting. By lane 0, with
 * the lock.
 */
void lane_give_sock(struct lane *l, const struct sock *sock);
/* Until all lanes have the sockets that they were given. As before. */
void lane_await_moves(struct lane *l);
void lane_wake(struct lane *l);
void lane_meet_others(struct lane *l);
/* The sockets that it has or will have. With the lock. */
static inline struct sock *lane_newest_sock(struct lane *l)
{
	return l->moving ? &l->fresh : &l->sock;
}

static inline void lane_lock(struct lane *l)
{
	struct tunnel *t = l->tunnel;

	if (!l->shares)
		return;
	(void) pthread_mutex_lock(&t->engine);
	t->at_work = l;
}

static inline void lane_unlock(struct lane *l)
{
	if (l->shares)
		(void) pthread_mutex_unlock(&l->tunnel->engine);
}

/* Is this @l's thread? In a test, which has none, it is. */
static inline bool lane_runs_here(const struct lane *l)
{
	return !l->started || pthread_equal(pthread_self(), l->thread);
}

/* In its own thread with the lock: what others have left for it, and what it shows them. */
static inline void lane_meet(struct lane *l)
{
	if (l->shares)
		lane_meet_others(l);
}

/*
 * Between meetings, what the engine finds stays in memory. Lane 0, which alone ticks, need not say
 * so. With the lock.
 */
static inline void lane_hold(struct lane *l)
{
	if (l->number == 0 || l->holding)
		return;
	l->hold = wg_device_hold(l->tunnel->device);
	l->holding = true;
}

static inline void lane_let_go(struct lane *l)
{
	if (!l->holding)
		return;
	wg_device_release(l->tunnel->device, l->hold);
	l->holding = false;
}

/* worker.c */
/* Starts all lanes. On failure none runs. */
int worker_start(struct tunnel *t, struct err *err);
const struct wg_ops *worker_ops(void);
/* The MTU of the device has changed, perhaps: what depends on it. */
void worker_note_mtu(struct tunnel *t);
/*
 * Once per wakeup: a send buffer that takes nothing for 100 ms must not stop the others for ever,
 * so what waits for it is given up.
 */
void worker_limit_waiting(struct lane *l, uint64_t now_us);

/* outbound.c. Return 1 if there may be more at once, 0 if not, -errno if the device is gone. */
int outbound_run(struct lane *l);
/* Sends what is staged for @peer. With the lock, as the next one. */
void outbound_flush_staged(struct lane *l, struct wg_peer *peer);
/* Tells the senders of what is staged for @peer that it does not answer. */
void outbound_refuse_staged(struct lane *l, struct wg_peer *peer);
/* Sends one handshake message or keepalive. */
void outbound_send_one(struct lane *l, struct wg_peer *peer, const struct wg_endpoint *to,
	const uint8_t *data, size_t len);

/* outbox.c */

/* Packets of one session on their way into an outbox: begin, add each, seal. */
struct group {
	struct wg_session *session;
	struct endpoint remote; /* where the peer was when it began, and where to send from */
	struct ip_addr local;
	uint32_t ifindex;
	uint64_t counter;  /* of the first */
	size_t at;         /* where the first lies in the box */
	uint8_t hops;      /* hop limit of the datagrams, 0: as usual */
	uint16_t fragment; /* tunnel_peer's */
	size_t n;
};

/* Would @n packets of @bytes in all still fit? */
bool outbox_has_room(const struct outbox *box, size_t n, size_t bytes);
/*
 * Reserves counters for @n packets. False: there is no session for them, stage them. All of the @n
 * must be added then. With the lock; what follows needs none.
 */
bool outbox_begin(struct wg_peer *peer, size_t n, struct group *ret);
/* Room and head for the next packet of @len bytes; the caller sets in and front of it. */
struct aead_packet *outbox_add(struct lane *l, struct outbox *box, struct group *g, size_t len);
/* Seals the group and joins what can be joined to messages. */
void outbox_seal(struct lane *l, struct outbox *box, const struct group *g);
/*
 * Sends all, counts and tells the engine. False: a send buffer is full, and the rest waits in the
 * box for the next call (after POLLOUT of outbox_fd()).
 */
bool outbox_send(struct lane *l, struct outbox *box);
/* Was the last outbox_send() false? */
static inline bool outbox_waits(const struct outbox *box)
{
	return box->told > box->first;
}
int outbox_fd(const struct lane *l, const struct outbox *box);
/* Gives up what waits, and counts it. */
void outbox_drop(struct lane *l, struct outbox *box);

/* path.c */

/* All with the lock. Finds out which way datagrams to @peer leave. It has an endpoint. */
void path_look(struct tunnel *t, struct wg_peer *peer);
/* Once for each state of the routing tables. */
static inline void path_check(struct tunnel *t, struct wg_peer *peer)
{
	const struct wg_endpoint *to = wg_peer_endpoint(peer);

	if (to && to->path.seen != t->routes)
		path_look(t, peer);
}
/* The routing tables, the mark or the port may be others than before. */
void path_note_change(struct tunnel *t);
/* Where to send from: as sock_msg.local. */
static inline struct ip_addr path_source(const struct wg_endpoint *to)
{
	return to->path.astray ? (struct ip_addr){ 0 } : to->local;
}
/*
 * The hop limit for what carries @packet (a whole IP packet) through another tunnel. 0: as usual,
 * -1: it went through too many already and must be dropped.
 */
int path_nested_hops(const uint8_t *packet, size_t len);

/* inbound.c, as outbound_run(). */
int inbound_run(struct lane *l, int fd);
/* The first @n of in_msgs, received. 0, or -errno if the device is gone. */
int inbound_take(struct lane *l, size_t n);
/* For coalesce_init(). */
void inbound_write(void *lane, const struct vnet_head *head, struct iovec *iov, int n);

/* control.c: used by both interfaces, in lane 0 with the lock. */
int control_move_port(struct tunnel *t, uint16_t port);
int control_set_fwmark(struct tunnel *t, uint32_t fwmark);
void control_set_endpoint(struct tunnel *t, struct wg_peer *peer, const struct endpoint *endpoint);
int control_add_peer(
	struct tunnel *t, const uint8_t key[static TUNNEL_KEY_LEN], struct wg_peer **ret);

/* tunnel.c: runs @fn in lane 0 with the lock and waits. -ENODEV after the thread has ended. */
int tunnel_call(struct tunnel *t, int (*fn)(struct tunnel *t, void *arg), void *arg);
