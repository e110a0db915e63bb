/*
 * ferry-internal: the parts of a ferry, for its files only.
 *
 *   ferry-control.c  the calls of the control thread
 *   ferry.c          opens, closes, the thread
 *   ferry-hole.c     a carrier: a UDP socket connected to a peer itself
 *   ferry-udp.c      a carrier: a UDP socket connected to a relay
 *   ferry-derp.c     a carrier: a stream to a relay
 *   ferry-peers.c    the loopback sockets: from the tunnel to a carrier, and the other way
 *   ferry-tell.c     events for the control thread
 *   ferry-source.c   receiving in batches
 */
#pragma once

#include <pthread.h>

#include "base/pace.h"
#include "sys/sock/sock.h"
#include "sys/sock/train.h"
#include "tunnel/ferry.h"
#include "tunnel/mailbox.h"
#include "tunnel/ring.h"

enum {
	/* As of the tunnel (internal.h): a super-frame, and no multiple of a page. */
	FERRY_SLOT_LEN = 65536 + 4096 + 192,
	FERRY_CAPACITY = 65535,
	FERRY_SLOTS = SOCK_BATCH_MAX,
	FERRY_ARRIVALS = TRAIN_DATAGRAMS, /* delivered at once */
	FERRY_BUCKETS = 1024,
	FERRY_TOLD = 16, /* of whom it was told last */
	/* A train of 64 KB takes 70 KB of it, and hundreds of peers have one each. */
	FERRY_PEER_BUFFER = 1024 * 1024,
};

/* What the thread waits for. */
struct source {
	void (*ready)(struct ferry *f, struct source *s);
	struct train_sock sock; /* owned; the descriptor of a source that is none is in sock.fd */
	size_t want;            /* messages to ask for, see ferry-source.c */
};

/* A relayed peer. */
struct passenger {
	struct source source;
	struct passenger *next;   /* in its bucket */
	struct passenger *by_key; /* in its bucket of keys */
	uint32_t node;
	uint8_t key[FERRY_KEY_LEN];
	uint32_t relay;          /* to send by, or FERRY_NO_RELAY */
	struct carrier *carrier; /* the way to it, borrowed; NULL: there is none that is up */
	struct endpoint at;
	uint64_t told_us; /* that it is heard by another carrier */
};

/* A way to a relay. */
struct carrier {
	struct source source;
	struct carrier *next;
	uint32_t relay;
	bool is_stream;
	bool up;                      /* it may carry */
	struct pace control, refused; /* what it may make us tell */
	/*
	 * Sends what the tunnel has for @to, each message a train, or drops and counts it. @msgs
	 * are in order; nothing of them is used afterwards.
	 */
	void (*send)(struct ferry *f, struct carrier *c, const struct passenger *to,
		const struct sock_msg *msgs, size_t n);
	void (*free)(struct carrier *c);
};

/* A datagram on its way to the tunnel. */
struct arrival {
	struct passenger *to; /* NULL: taken care of */
	const uint8_t *data;
	size_t len;
};

struct ferry {
	struct mailbox mailbox;
	pthread_t thread;
	bool started;
	int epoll_fd, event_fd;
	struct source wake; /* an eventfd: a call */

	/* The thread's; the control thread reads the lists, which change only by its calls. */
	bool stop;
	uint64_t now_us; /* when this turn began */
	struct endpoint tunnel;
	int wait_ms; /* for the next turn at most, -1: until something is ready */
	struct passenger *buckets[FERRY_BUCKETS]; /* owned */
	struct passenger *keys[FERRY_BUCKETS];    /* the same ones */
	struct passenger *last;                   /* whom something came from last */
	unsigned n_peers;
	struct carrier *carriers; /* owned; those by UDP first */
	struct ferry_counters counters;

	struct ring events;
	struct pace heard; /* of those who are no peers, in all */
	struct {
		uint32_t node, relay;
		uint64_t us;
	} told[FERRY_TOLD];
	unsigned next_told;

	struct sock_batch *batch;
	struct train *train;
	uint8_t *area; /* FERRY_SLOTS slots; only touched pages count */
	struct sock_msg msgs[FERRY_SLOTS];
	struct arrival arrivals[FERRY_ARRIVALS];
	size_t n_arrivals;
};

/* --- ferry.c --- */

/* Runs @fn in the thread, and waits. -ENODEV after it has ended. */
int ferry_call(struct ferry *f, int (*fn)(struct ferry *f, void *arg), void *arg);
/* In the thread, as all below. */
int ferry_listen_to(struct ferry *f, struct source *s);
void ferry_listen_no_more(struct ferry *f, const struct source *s);

/* --- ferry-source.c --- */

/* A batch of what came to @s in f->msgs. How many, 0, or -errno (which is over then). */
int ferry_receive(struct ferry *f, struct source *s);
/* How many datagrams the kernel has dropped because we did not come to it. */
uint64_t ferry_source_lost(const struct source *s);

/* --- ferry-tell.c --- */

/* False: it is lost. */
bool ferry_tell_control(struct ferry *f, struct carrier *c, const uint8_t *data, size_t len);
void ferry_tell_refused(struct ferry *f, struct carrier *c, int error);
void ferry_tell_heard(struct ferry *f, const struct carrier *c, struct passenger *p);
/* Who is no peer: by his number, or by his key if that is all that is known (@node is 0). */
void ferry_tell_stranger(
	struct ferry *f, const struct carrier *c, uint32_t node, const uint8_t *key);
bool ferry_tell_frame(
	struct ferry *f, struct carrier *c, uint8_t type, const uint8_t *data, size_t len);
bool ferry_tell_ended(struct ferry *f, const struct carrier *c, int error);

/* --- ferry-peers.c --- */

/* With nothing in it but a socket. 0 or -errno. */
int ferry_passenger_new(uint32_t node, const uint8_t key[static FERRY_KEY_LEN],
	const struct endpoint *tunnel, struct passenger **ret);
struct passenger *ferry_passenger_free(struct passenger *p);
struct passenger *ferry_passenger_find(const struct ferry *f, uint32_t node);
struct passenger *ferry_passenger_by_key(
	const struct ferry *f, const uint8_t key[static FERRY_KEY_LEN]);
void ferry_passenger_enter(struct ferry *f, struct passenger *p);
void ferry_passenger_leave(struct ferry *f, struct passenger *p);
/* Chooses the carrier of @p, or of all, again: one has come, gone or changed. */
void ferry_passenger_choose(const struct ferry *f, struct passenger *p);
void ferry_passengers_choose(struct ferry *f);
/* Connects it to where the tunnel is. */
int ferry_passenger_connect(const struct passenger *p, const struct endpoint *tunnel);

/*
 * @data came from @p by @c. It is delivered by ferry_deliver() at the latest, and stays where it
 * is until then.
 */
void ferry_arrived(
	struct ferry *f, struct carrier *c, struct passenger *p, const uint8_t *data, size_t len);
void ferry_deliver(struct ferry *f);

/* --- ferry-udp.c --- */

int ferry_udp_new(uint32_t relay, const struct endpoint *to, uint32_t fwmark, struct carrier **ret,
	struct err *err);
void ferry_udp_set_session(struct carrier *c, uint32_t session);
/* Sends datagrams of @msgs by the UDP socket of @c, of @family, each behind @head (NULL: none). */
void ferry_udp_send(struct ferry *f, struct carrier *c, int family, const uint8_t *head,
	const struct sock_msg *msgs, size_t n);

/* --- ferry-hole.c --- */

/* To the peer @node; @fd is closed, also on failure. -ENOMEM */
int ferry_hole_new(uint32_t node, int fd, int family, struct carrier **ret);

/* --- ferry-derp.c --- */

int ferry_derp_new(uint32_t relay, const struct ferry_stream *stream, struct carrier **ret);
uint64_t ferry_derp_heard_us(const struct carrier *c);
/* Between packets. False: no room. */
bool ferry_derp_put(struct ferry *f, struct carrier *c, const uint8_t *frame, size_t len);
/* What streams have left undone: after a turn that had f->wait_ms. */
void ferry_derp_go_on(struct ferry *f);
