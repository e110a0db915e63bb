/*
 * A hole: a UDP socket that is connected to a peer itself, by a port that was guessed. Datagrams go
 * and come as they are, and all that comes is the peer's, as far as an address can say: the tunnel
 * looks at the rest, as it does at its own port.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "tunnel/ferry-internal.h"

struct hole {
	struct carrier carrier; /* its number is the peer's */
	int family;
};

static void to_peer(struct ferry *f, struct carrier *c, const struct passenger *to,
	const struct sock_msg *msgs, size_t n)
{
	ferry_udp_send(f, c, ((const struct hole *) c)->family, NULL, msgs, n);
}

static void take_message(
	struct ferry *f, struct carrier *c, struct passenger *p, const struct sock_msg *msg)
{
	unsigned n = sock_msg_datagrams(msg);
	size_t size = n > 1 ? msg->segment : msg->len;

	if (!p) {
		f->counters.unknown_node += n;
		return;
	}
	f->counters.from_relay_super += n > 1;
	for (size_t at = 0; at < msg->len; at += size)
		ferry_arrived(f, c, p, msg->data + at, msg->len - at < size ? msg->len - at : size);
}

/* An error is one of the way's, by which the peer is pinged if it does not answer. */
static void from_peer(struct ferry *f, struct source *s)
{
	struct carrier *c = (struct carrier *) s;
	int n = ferry_receive(f, s);

	for (int i = 0; i < n; i++)
		take_message(f, c, ferry_passenger_find(f, c->relay), &f->msgs[i]);
	ferry_deliver(f);
}

static void free_hole(struct carrier *c)
{
	close_p(&c->source.sock.fd);
	free(c);
}

int ferry_hole_new(uint32_t node, int fd, int family, struct carrier **ret)
{
	struct hole *h = calloc(1, sizeof(*h));

	if (!h) {
		close_p(&fd);
		return -ENOMEM;
	}
	h->family = family;
	h->carrier.relay = node;
	h->carrier.up = true;
	h->carrier.source.ready = from_peer;
	h->carrier.send = to_peer;
	h->carrier.free = free_hole;
	train_take(fd, family, SOCK_BUFFER_BYTES, &h->carrier.source.sock);
	*ret = &h->carrier;
	return 0;
}
