/*
 * udp: see udp.h. What is sent lies in the buffers it was received in, so all of it is sent before
 * the next call that receives.
 *
 * The port is shared by a few pairs of sockets, which the loop serves in turn. DATA comes in at the
 * first ones, divided by the address it comes from; BINDs at the next one, and all else at the last
 * one. So no flood of what is no DATA fills a buffer for which DATA is, and who floods the relay
 * with DATA from one address fills that of a part of the members only.
 */
#include "relay/udp.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "relay/binds.h"
#include "relay/strangers.h"
#include "relay/udp-out.h"
#include "sys/sock/sock.h"
#include "wire/stun.h"
#include "wire/udprelay.h"

enum {
	DATA_QUEUES = 4, /* a power of two */
	QUEUES = DATA_QUEUES + 2,
	MESSAGES = 32, /* received at once, of one socket */
	MESSAGE_LEN = 65535,
	TRAINS = 8,        /* the same, while they are trains; then others have the loop */
	KEYS_PER_TURN = 4, /* derived at once: a millisecond, five on a small board */
};

#define GSO_AGAIN_US (60 * USEC_PER_SEC)

/* Datagrams of one head, one behind the other in a message that came. */
struct run {
	uint8_t head[UDPRELAY_DATA_HEAD_LEN]; /* as they have it */
	uint8_t next[UDPRELAY_DATA_HEAD_LEN]; /* as they go on, if they are carried */
	enum fate fate;
	bool on;
};

struct queue {
	struct udp *udp;
	struct sock sock;
	sd_event_source *on_4, *on_6;
	uint64_t gso_lost_us;
	bool trains; /* came last */
};

struct udp {
	struct relay_core *core;
	struct strangers *strangers;
	struct binds *binds;
	struct queue queues[QUEUES];
	struct sock_batch *batch;
	sd_event_source *on_keys;
	struct udp_counters counters;

	uint64_t now_us; /* of this turn */
	struct sock_msg in[MESSAGES];
	uint8_t *data; /* of them */
	struct run run;
	struct udp_out out; /* the same data, and what is said */
	bool delivers;      /* some was, since udp_hooks.delivered was called */

	const struct udp_hooks *hooks; /* NULL: nobody is elsewhere */
	void *ctx;
	uint8_t *copies;        /* of @fetched */
	struct udp_out fetched; /* what came elsewhere: it may come in the middle of a turn */
};

/* --- what comes --- */

static void count(struct udp *udp, enum fate fate)
{
	udp->counters.fates[fate]++;
}

static void take_stun(struct udp *udp, const struct sock_msg *from, const uint8_t *data, size_t len)
{
	uint8_t answer[STUN_ANSWER_MAX_LEN];
	struct stun_request request;

	if (stun_request_parse(data, len, &request) < 0) {
		count(udp, FATE_UNREADABLE);
	} else if (strangers_denied(udp->strangers, &from->remote.addr)) {
		count(udp, FATE_DENIED);
	} else if (!strangers_may(
			   udp->strangers, STRANGERS_STUN, &from->remote.addr, udp->now_us)) {
		count(udp, FATE_PACED);
	} else {
		count(udp, FATE_STUN);
		udp_out_say(&udp->out, from, answer,
			stun_answer_format(&request, &from->remote, answer));
	}
}

static void carry(struct udp *udp, const struct binds_way *to, uint8_t *data, size_t len)
{
	struct sock_msg *msg = udp_out_add(&udp->out, UDP_OUT_CARRIED);

	memcpy(data, udp->run.next, UDPRELAY_DATA_HEAD_LEN);
	*msg = udp_out_data(to, data, len);
}

static bool deliver(
	struct udp *udp, uint32_t source, uint32_t node, const uint8_t *data, size_t len)
{
	if (!udp->hooks || !udp->hooks->deliver(udp->ctx, source, node, data, len, udp->now_us))
		return false;
	udp->delivers = true;
	return true;
}

/* @node is not bound (@to is NULL), or is rather elsewhere. */
static enum fate look_elsewhere(struct udp *udp, const struct binds_way *to, uint32_t source,
	uint32_t node, const uint8_t *data, size_t len, struct binds_reply *ret_reply)
{
	if (deliver(udp, source, node, data + UDPRELAY_DATA_HEAD_LEN, len - UDPRELAY_DATA_HEAD_LEN))
		return FATE_BRIDGED;
	if (to)
		return FATE_CARRIED;
	(void) binds_absent(udp->binds, source, node, udp->now_us, ret_reply);
	return FATE_ABSENT;
}

static void begin_run(struct udp *udp, const struct sock_msg *from, uint8_t *data, size_t len,
	uint32_t session, uint32_t node)
{
	const struct binds_way *to;
	struct binds_reply reply;
	uint32_t source;

	memcpy(udp->run.head, data, sizeof(udp->run.head));
	udp->run.fate = binds_route(
		udp->binds, session, node, &from->remote, udp->now_us, &to, &source, &reply);
	if (udp->run.fate == FATE_BRIDGED)
		udp->run.fate = look_elsewhere(udp, to, source, node, data, len, &reply);
	if (udp->run.fate == FATE_CARRIED) {
		udprelay_data_head(udp->run.next, to->session, source);
		carry(udp, to, data, len);
	} else {
		count(udp, udp->run.fate);
		udp_out_say(&udp->out, from, reply.data, reply.len);
	}
	/* Elsewhere each is a packet of its own, and so is a padded ping. */
	udp->run.on = udp->run.fate != FATE_BRIDGED && !udp_out_is_whole(data, len);
}

/* One more with the same head. A hint has been given for the first. */
static void continue_run(struct udp *udp, uint8_t *data, size_t len)
{
	if (udp->run.fate != FATE_CARRIED) {
		count(udp, udp->run.fate);
		return;
	}
	memcpy(data, udp->run.next, sizeof(udp->run.next));
	udp_out_extend(&udp->out, data, len);
}

static bool is_oversized(const uint8_t *data, size_t len)
{
	return len > UDPRELAY_DATA_HEAD_LEN + UDPRELAY_PAYLOAD_MAX &&
	       udprelay_type(data, UDPRELAY_DATA_HEAD_LEN + UDPRELAY_PAYLOAD_MAX) == UDPRELAY_DATA;
}

static void take_datagram(struct udp *udp, const struct sock_msg *from, uint8_t *data, size_t len)
{
	struct binds_reply reply;
	uint32_t session, node;

	if (udp->run.on && len > UDPRELAY_DATA_HEAD_LEN &&
		memcmp(data, udp->run.head, UDPRELAY_DATA_HEAD_LEN) == 0 &&
		!udp_out_is_whole(data, len)) {
		continue_run(udp, data, len);
		return;
	}
	udp->run.on = false;
	if (udprelay_data_parse(data, len, &session, &node)) {
		begin_run(udp, from, data, len, session, node);
	} else if (udprelay_type(data, len) == UDPRELAY_BIND) {
		count(udp, binds_bind(udp->binds, data, &from->remote, &from->local, udp->now_us,
				   &reply));
		udp_out_say(&udp->out, from, reply.data, reply.len);
	} else if (stun_looks(data, len)) {
		take_stun(udp, from, data, len);
	} else {
		count(udp, is_oversized(data, len) ? FATE_OVERSIZED : FATE_UNREADABLE);
	}
}

static void take_message(struct udp *udp, const struct sock_msg *msg)
{
	size_t size = sock_msg_datagrams(msg) > 1 ? msg->segment : msg->len;

	udp->counters.messages_in++;
	udp->counters.received_bytes += msg->len;
	udp->run.on = false;
	if (msg->len == 0) {
		udp->counters.received++;
		count(udp, FATE_UNREADABLE);
	}
	for (size_t at = 0; at < msg->len; at += size) {
		size_t left = msg->len - at;

		udp->counters.received++;
		take_datagram(udp, msg, msg->data + at, left < size ? left : size);
	}
}

/* A card that could not send super-frames may not be in use any more. */
static void look_after_gso(struct queue *queue, uint64_t now_us)
{
	if (!queue->sock.gso_lost) {
		queue->gso_lost_us = now_us;
	} else if (now_us - queue->gso_lost_us >= GSO_AGAIN_US) {
		sock_gso_again(&queue->sock);
		queue->gso_lost_us = now_us;
	}
}

static void tell_delivered(struct udp *udp)
{
	if (udp->delivers)
		udp->hooks->delivered(udp->ctx);
	udp->delivers = false;
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct queue *queue = ctx;
	struct udp *udp = queue->udp;
	uint64_t before = udp->counters.received;
	int n;

	udp->now_us = clock_now_us();
	udp->out.sock = &queue->sock;
	look_after_gso(queue, udp->now_us);
	n = sock_recv(udp->batch, fd, udp->in, queue->trains ? TRAINS : MESSAGES, MESSAGE_LEN);
	if (n < 0)
		log_seldom(LOG_LEVEL_WARNING, "receive from UDP port %u: %s, going on",
			queue->sock.port, strerror(-n));
	if (n <= 0)
		return 0;
	udp->counters.calls_in++;
	for (int k = 0; k < n; k++)
		take_message(udp, &udp->in[k]);
	udp_out_flush(&udp->out);
	tell_delivered(udp);
	queue->trains = udp->counters.received - before > TRAINS * (uint64_t) TRAINS;
	return 0;
}

/* --- what comes from elsewhere --- */

void udp_set_hooks(struct udp *udp, const struct udp_hooks *hooks, void *ctx)
{
	udp->hooks = hooks;
	udp->ctx = ctx;
}

/* It leaves by one of the sockets: all have the port by which the members know us. */
static struct udp_out *fetched(struct udp *udp, uint64_t now_us)
{
	if (!udp->fetched.n)
		look_after_gso(&udp->queues[0], now_us);
	return &udp->fetched;
}

bool udp_put(struct udp *udp, uint32_t from, uint32_t to, bool connected, const uint8_t *data,
	size_t len, uint64_t now_us)
{
	const struct binds_way *way = binds_reach(udp->binds, from, to, connected, now_us);
	bool fits = len > 0 && len <= UDPRELAY_PAYLOAD_MAX;

	if (!way || (!fits && connected))
		return false;
	if (fits)
		udp_out_copy(fetched(udp, now_us), way, from, data, len);
	else
		udp->counters.fetched_unfit++;
	return true;
}

void udp_came(struct udp *udp, uint32_t node)
{
	binds_came(udp->binds, node);
}

void udp_say_absent(struct udp *udp, uint32_t to, uint32_t node, uint64_t now_us)
{
	struct binds_reply reply;
	const struct binds_way *way = binds_absent(udp->binds, to, node, now_us, &reply);

	if (way)
		udp_out_say(fetched(udp, now_us),
			&(struct sock_msg){ .remote = way->remote, .local = way->local },
			reply.data, reply.len);
}

void udp_flush(struct udp *udp)
{
	udp_out_flush(&udp->fetched);
}

/* --- keys, life --- */

static int on_keys(sd_event_source *source, void *ctx)
{
	struct udp *udp = ctx;

	if (!binds_derive(udp->binds, KEYS_PER_TURN))
		(void) sd_event_source_set_enabled(source, SD_EVENT_OFF);
	return 0;
}

int udp_follow(struct udp *udp)
{
	int r = binds_follow(udp->binds, udp->core->members);

	(void) sd_event_source_set_enabled(udp->on_keys, SD_EVENT_ON);
	return r;
}

int udp_deny(struct udp *udp, const struct ip_prefix *prefixes, size_t n)
{
	int r = strangers_deny(udp->strangers, prefixes, n);

	if (r == 0)
		binds_drop_denied(udp->binds);
	return r;
}

static void begin_out(struct udp *udp, struct udp_out *out, uint8_t *copies)
{
	out->binds = udp->binds;
	out->batch = udp->batch;
	out->counters = &udp->counters;
	out->sock = &udp->queues[0].sock;
	out->copies = copies;
}

static int make(struct udp *udp, const struct udp_options *options)
{
	int r;

	udp->strangers = strangers_new();
	if (!udp->strangers)
		return -ENOMEM;
	r = strangers_deny(udp->strangers, options->denied, options->n_denied);
	if (r < 0)
		return r;
	udp->binds = binds_new(udp->core->secret, udp->core->key, udp->strangers);
	udp->batch = sock_batch_new();
	udp->data = malloc((size_t) MESSAGES * MESSAGE_LEN);
	udp->copies = malloc(UDP_OUT_COPIES_MAX);
	if (!udp->binds || !udp->batch || !udp->data || !udp->copies)
		return -ENOMEM;
	begin_out(udp, &udp->out, NULL);
	begin_out(udp, &udp->fetched, udp->copies);
	for (size_t i = 0; i < MESSAGES; i++)
		udp->in[i].data = udp->data + i * MESSAGE_LEN;
	return 0;
}

static int watch(struct queue *queue, int fd, sd_event_source **ret)
{
	if (fd < 0)
		return 0;
	return sd_event_add_io(queue->udp->core->event, ret, fd, EPOLLIN, on_readable, queue);
}

static int listen_to(struct udp *udp)
{
	int r = sd_event_add_defer(udp->core->event, &udp->on_keys, on_keys, udp);

	for (size_t i = 0; i < QUEUES && r >= 0; i++) {
		struct queue *queue = &udp->queues[i];

		r = watch(queue, queue->sock.fd4, &queue->on_4);
		if (r >= 0)
			r = watch(queue, queue->sock.fd6, &queue->on_6);
	}
	return r < 0 ? r : udp_follow(udp);
}

static void steer(struct udp *udp)
{
	const struct sock_steer steer = {
		.spread = udprelay_head(UDPRELAY_DATA),
		.next = udprelay_head(UDPRELAY_BIND),
		.n_spread = DATA_QUEUES,
		.odd = randombytes_random(),
	};
	int r = sock_steer(&udp->queues[0].sock, &steer);

	if (r < 0)
		log_notice("UDP port %u: the kernel divides senders as it likes (%s), going on",
			udp_port(udp), strerror(-r));
}

static int open_port(struct udp *udp, const struct udp_options *options, struct err *err)
{
	struct sock socks[QUEUES];
	int r = sock_open_group(options->port, options->mark, true, QUEUES, socks, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < QUEUES; i++)
		udp->queues[i].sock = socks[i];
	steer(udp);
	return 0;
}

static void udp_free_p(struct udp **udp)
{
	(void) udp_free(*udp);
}

int udp_new(struct relay_core *core, const struct udp_options *options, struct udp **ret,
	struct err *err)
{
	CLEANUP(udp_free_p) struct udp *udp = calloc(1, sizeof(*udp));
	int r = -ENOMEM;

	if (udp) {
		udp->core = core;
		for (size_t i = 0; i < QUEUES; i++)
			udp->queues[i] =
				(struct queue){ .udp = udp, .sock = { .fd4 = -1, .fd6 = -1 } };
		r = make(udp, options);
	}
	if (r < 0)
		return err_set(err, r, "UDP relay: %s", strerror(-r));
	r = open_port(udp, options, err);
	if (r < 0)
		return r;
	r = listen_to(udp);
	if (r < 0)
		return err_set(err, r, "UDP relay: %s", strerror(-r));
	*ret = TAKE(udp);
	return 0;
}

struct udp *udp_free(struct udp *udp)
{
	if (!udp)
		return NULL;
	for (size_t i = 0; i < QUEUES; i++) {
		sd_event_source_disable_unref(udp->queues[i].on_4);
		sd_event_source_disable_unref(udp->queues[i].on_6);
		sock_close(&udp->queues[i].sock);
	}
	sd_event_source_disable_unref(udp->on_keys);
	(void) binds_free(udp->binds);
	(void) strangers_free(udp->strangers);
	(void) sock_batch_free(udp->batch);
	free(udp->data);
	free(udp->copies);
	free(udp);
	return NULL;
}

uint16_t udp_port(const struct udp *udp)
{
	return udp->queues[0].sock.port;
}

bool udp_has_small_buffers(const struct udp *udp)
{
	return udp->queues[0].sock.small_buffers;
}

bool udp_has(const struct udp *udp, uint32_t node, uint64_t now_us, struct ip_addr *ret_from)
{
	return binds_has(udp->binds, node, now_us, ret_from);
}

size_t udp_bound(const struct udp *udp)
{
	return binds_count(udp->binds, clock_now_us());
}

/* Of what came, the messages for which the receive buffer had no room. Linux 4.12. */
static uint32_t overruns(int fd)
{
	uint32_t info[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(info);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len) < 0)
		return 0;
	return info[SK_MEMINFO_DROPS];
}

const struct udp_counters *udp_counters(struct udp *udp)
{
	udp->counters.overruns = 0;
	for (size_t i = 0; i < QUEUES; i++)
		udp->counters.overruns += (uint64_t) overruns(udp->queues[i].sock.fd4) +
					  overruns(udp->queues[i].sock.fd6);
	return &udp->counters;
}
