/*
 * A relay by UDP. Every datagram to it gets its head in front (a piece of its own, the same for all
 * of a batch); of what comes, only DATA with our session carries something. The socket is
 * connected: what does not come from the relay's address, the kernel drops.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "tunnel/ferry-internal.h"
#include "wire/disco.h"
#include "wire/udprelay.h"

struct udp {
	struct carrier carrier;
	uint32_t session; /* 0: not bound */
	int family;
};

/* --- to the relay --- */

static void send_train(struct ferry *f, struct carrier *c)
{
	struct train_counters n = { 0 };
	int r = train_send(f->train, &c->source.sock, &n);

	f->counters.to_relay += n.sent;
	f->counters.to_relay_super += n.super;
	f->counters.to_relay_full += n.full;
	f->counters.to_relay_refused += n.refused;
	if (r < 0)
		ferry_tell_refused(f, c, r);
}

static size_t head_len(const uint8_t *head)
{
	return head ? UDPRELAY_DATA_HEAD_LEN : 0;
}

/* By itself. What is too long for this machine's own link is lost, as it would be further on. */
static void send_whole(struct ferry *f, struct carrier *c, int family, const uint8_t *head,
	const uint8_t *data, size_t len)
{
	struct train_sock *sock = &c->source.sock;
	struct train_counters n = { 0 };

	send_train(f, c);
	(void) train_add(f->train, sock, head, head_len(head), data, len);
	sock_set_whole(sock->fd, family, true);
	(void) train_send(f->train, sock, &n);
	sock_set_whole(sock->fd, family, false);
	f->counters.to_relay += n.sent;
	f->counters.to_relay_full += n.full;
	f->counters.to_relay_refused += n.refused;
}

static void add_message(struct ferry *f, struct carrier *c, int family, const uint8_t *head,
	const struct sock_msg *msg)
{
	unsigned n = sock_msg_datagrams(msg);
	size_t size = n > 1 ? msg->segment : msg->len;
	const struct train_sock *sock = &c->source.sock;

	for (size_t at = 0; at < msg->len; at += size) {
		const uint8_t *data = msg->data + at;
		size_t len = msg->len - at < size ? msg->len - at : size;

		if (len > UDPRELAY_PAYLOAD_MAX) {
			f->counters.too_long++;
			continue;
		}
		if (disco_is_padded(data, len)) {
			send_whole(f, c, family, head, data, len);
			continue;
		}
		if (train_add(f->train, sock, head, head_len(head), data, len))
			continue;
		send_train(f, c);
		(void) train_add(f->train, sock, head, head_len(head), data, len);
	}
}

void ferry_udp_send(struct ferry *f, struct carrier *c, int family, const uint8_t *head,
	const struct sock_msg *msgs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		add_message(f, c, family, head, &msgs[i]);
	send_train(f, c);
}

static void to_relay(struct ferry *f, struct carrier *c, const struct passenger *to,
	const struct sock_msg *msgs, size_t n)
{
	const struct udp *u = (const struct udp *) c;
	uint8_t head[UDPRELAY_DATA_HEAD_LEN];

	udprelay_data_head(head, u->session, to->node);
	ferry_udp_send(f, c, u->family, head, msgs, n);
}

/* --- from the relay --- */

static void take_control(struct ferry *f, struct carrier *c, const uint8_t *data, size_t len)
{
	switch (udprelay_type(data, len)) {
	case UDPRELAY_COOKIE:
	case UDPRELAY_BOUND:
	case UDPRELAY_UNKNOWN:
	case UDPRELAY_ABSENT:
		*(ferry_tell_control(f, c, data, len) ? &f->counters.control
						      : &f->counters.control_lost) += 1;
		break;
	case UDPRELAY_NONE:
	case UDPRELAY_BIND:
	case UDPRELAY_DATA:
		f->counters.malformed++;
		break;
	}
}

static void take_data(
	struct ferry *f, struct carrier *c, uint32_t node, const uint8_t *data, size_t len)
{
	struct passenger *p = f->last;

	if (!p || p->node != node)
		p = ferry_passenger_find(f, node);
	if (!p) {
		f->counters.unknown_node++;
		ferry_tell_stranger(f, c, node, NULL);
		return;
	}
	f->last = p;
	ferry_arrived(f, c, p, data, len);
}

static void take(struct ferry *f, struct carrier *c, const uint8_t *data, size_t len)
{
	const struct udp *u = (const struct udp *) c;
	uint32_t session, node;

	if (!udprelay_data_parse(data, len, &session, &node))
		take_control(f, c, data, len);
	else if (session == 0 || session != u->session)
		f->counters.bad_session++;
	else if (node == 0)
		f->counters.malformed++;
	else
		take_data(f, c, node, data + UDPRELAY_DATA_HEAD_LEN, len - UDPRELAY_DATA_HEAD_LEN);
}

static void take_message(struct ferry *f, struct carrier *c, const struct sock_msg *msg)
{
	unsigned n = sock_msg_datagrams(msg);
	size_t size = n > 1 ? msg->segment : msg->len;

	f->counters.from_relay_super += n > 1;
	for (unsigned i = 0; i < n; i++)
		take(f, c, msg->data + i * size, i + 1 < n ? size : msg->len - i * size);
}

static void from_relay(struct ferry *f, struct source *s)
{
	struct carrier *c = (struct carrier *) s;
	int n = ferry_receive(f, s);

	if (n < 0)
		ferry_tell_refused(f, c, n);
	for (int i = 0; i < n; i++)
		take_message(f, c, &f->msgs[i]);
	ferry_deliver(f);
}

/* --- one of them --- */

static int open_socket(struct carrier *c, const struct endpoint *to, uint32_t fwmark)
{
	struct train_sock *sock = &c->source.sock;
	struct sockaddr_storage sa;
	socklen_t len = endpoint_to_sockaddr(to, &sa);
	int r = train_open(to->addr.family, SOCK_BUFFER_BYTES, sock);

	if (r < 0)
		return r;
	if (fwmark && setsockopt(sock->fd, SOL_SOCKET, SO_MARK, &fwmark, sizeof(fwmark)) < 0)
		return -errno;
	return connect(sock->fd, (struct sockaddr *) &sa, len) < 0 ? -errno : 0;
}

static void free_udp(struct carrier *c)
{
	close_p(&c->source.sock.fd);
	free(c);
}

int ferry_udp_new(uint32_t relay, const struct endpoint *to, uint32_t fwmark, struct carrier **ret,
	struct err *err)
{
	struct udp *u = calloc(1, sizeof(*u));
	char text[ENDPOINT_TEXT_MAX];
	int r;

	if (!u)
		return err_set(err, -ENOMEM, "out of memory");
	u->family = to->addr.family;
	u->carrier.relay = relay;
	u->carrier.source.sock.fd = -1;
	u->carrier.source.ready = from_relay;
	u->carrier.send = to_relay;
	u->carrier.free = free_udp;
	r = open_socket(&u->carrier, to, fwmark);
	if (r < 0) {
		free_udp(&u->carrier);
		errno = -r;
		return err_set(err, r, "connect to the relay at %s: %m", endpoint_format(to, text));
	}
	*ret = &u->carrier;
	return 0;
}

void ferry_udp_set_session(struct carrier *c, uint32_t session)
{
	((struct udp *) c)->session = session;
	c->up = session != 0;
	train_gso_again(&c->source.sock);
}
