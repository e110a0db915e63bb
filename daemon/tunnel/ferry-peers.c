/*
 * The loopback sockets of relayed peers. What comes there is the tunnel's (the socket is connected,
 * and who sent it is looked at: something may have come before that), and goes to the peer's
 * carrier as it is. The other way, datagrams of all messages of a batch are gathered and leave peer
 * by peer, in order, as trains.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "tunnel/ferry-internal.h"

/* --- the table --- */

/* Ids count up, so neighbours lie beside each other. */
static struct passenger **bucket(const struct ferry *f, uint32_t node)
{
	return (struct passenger **) &f->buckets[node % FERRY_BUCKETS];
}

struct passenger *ferry_passenger_find(const struct ferry *f, uint32_t node)
{
	struct passenger *p = *bucket(f, node);

	while (p && p->node != node)
		p = p->next;
	return p;
}

/* Keys are as good as drawn by chance. */
static struct passenger **bucket_of_key(const struct ferry *f, const uint8_t *key)
{
	return (struct passenger **) &f->keys[(key[0] | key[1] << 8) % FERRY_BUCKETS];
}

struct passenger *ferry_passenger_by_key(
	const struct ferry *f, const uint8_t key[static FERRY_KEY_LEN])
{
	struct passenger *p = *bucket_of_key(f, key);

	while (p && memcmp(p->key, key, FERRY_KEY_LEN) != 0)
		p = p->by_key;
	return p;
}

void ferry_passenger_enter(struct ferry *f, struct passenger *p)
{
	struct passenger **at = bucket(f, p->node), **at_key = bucket_of_key(f, p->key);

	p->next = *at;
	*at = p;
	p->by_key = *at_key;
	*at_key = p;
	f->n_peers++;
}

void ferry_passenger_leave(struct ferry *f, struct passenger *p)
{
	struct passenger **at = bucket(f, p->node), **at_key = bucket_of_key(f, p->key);

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	while (*at_key != p)
		at_key = &(*at_key)->by_key;
	*at_key = p->by_key;
	f->n_peers--;
	if (f->last == p)
		f->last = NULL;
}

void ferry_passenger_choose(const struct ferry *f, struct passenger *p)
{
	p->carrier = NULL;
	for (struct carrier *c = f->carriers; c && !p->carrier; c = c->next)
		if (c->relay == p->relay && c->up)
			p->carrier = c;
}

void ferry_passengers_choose(struct ferry *f)
{
	for (size_t i = 0; i < FERRY_BUCKETS; i++)
		for (struct passenger *p = f->buckets[i]; p; p = p->next)
			ferry_passenger_choose(f, p);
}

/* --- from the tunnel --- */

/* Whole messages of the tunnel's, moved together. How many are left. */
static size_t keep_own(struct ferry *f, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		const struct sock_msg *msg = &f->msgs[i];

		if (!endpoint_equal(&msg->remote, &f->tunnel)) {
			f->counters.foreign += sock_msg_datagrams(msg);
			continue;
		}
		if (msg->len == 0)
			continue;
		f->counters.from_tunnel += sock_msg_datagrams(msg);
		f->counters.from_tunnel_super += sock_msg_datagrams(msg) > 1;
		f->msgs[kept++] = *msg;
	}
	return kept;
}

static void from_tunnel(struct ferry *f, struct source *s)
{
	const struct passenger *p = (const struct passenger *) s;
	int got = ferry_receive(f, s);
	size_t n;

	if (got <= 0)
		return; /* nobody had the tunnel's port; that was counted when it was sent */
	n = keep_own(f, (size_t) got);
	if (p->carrier) {
		p->carrier->send(f, p->carrier, p, f->msgs, n);
		return;
	}
	for (size_t i = 0; i < n; i++)
		f->counters.no_relay += sock_msg_datagrams(&f->msgs[i]);
}

/* --- to the tunnel --- */

static void count_train(struct ferry *f, const struct train_counters *c)
{
	f->counters.to_tunnel += c->sent;
	f->counters.to_tunnel_super += c->super;
	f->counters.to_tunnel_full += c->full;
	f->counters.to_tunnel_refused += c->refused;
}

/* All that is gathered for @p, the first of which is arrivals[first]. */
static void deliver_to(struct ferry *f, struct passenger *p, size_t first)
{
	struct train_counters c = { 0 };

	for (size_t i = first; i < f->n_arrivals; i++) {
		struct arrival *a = &f->arrivals[i];

		if (a->to != p)
			continue;
		a->to = NULL;
		if (train_add(f->train, &p->source.sock, NULL, 0, a->data, a->len))
			continue;
		(void) train_send(f->train, &p->source.sock, &c);
		(void) train_add(f->train, &p->source.sock, NULL, 0, a->data, a->len);
	}
	(void) train_send(f->train, &p->source.sock, &c);
	count_train(f, &c);
}

void ferry_deliver(struct ferry *f)
{
	for (size_t i = 0; i < f->n_arrivals; i++)
		if (f->arrivals[i].to)
			deliver_to(f, f->arrivals[i].to, i);
	f->n_arrivals = 0;
}

void ferry_arrived(
	struct ferry *f, struct carrier *c, struct passenger *p, const uint8_t *data, size_t len)
{
	if (p->relay != c->relay)
		ferry_tell_heard(f, c, p);
	f->counters.from_relay++;
	if (f->n_arrivals == FERRY_ARRIVALS)
		ferry_deliver(f);
	f->arrivals[f->n_arrivals++] = (struct arrival){ .to = p, .data = data, .len = len };
}

/* --- one of them --- */

static int address_of(int fd, struct endpoint *ret)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (getsockname(fd, (struct sockaddr *) &sa, &len) < 0)
		return -errno;
	return endpoint_from_sockaddr((struct sockaddr *) &sa, ret);
}

int ferry_passenger_connect(const struct passenger *p, const struct endpoint *tunnel)
{
	struct sockaddr_storage sa;
	socklen_t len = endpoint_to_sockaddr(tunnel, &sa);

	return connect(p->source.sock.fd, (struct sockaddr *) &sa, len) < 0 ? -errno : 0;
}

static int open_socket(struct passenger *p, const struct endpoint *tunnel)
{
	const struct endpoint any_port = { .addr = tunnel->addr };
	struct train_sock *sock = &p->source.sock;
	struct sockaddr_storage sa;
	socklen_t len = endpoint_to_sockaddr(&any_port, &sa);
	int r = train_open(AF_INET, FERRY_PEER_BUFFER, sock);

	if (r < 0)
		return r;
	if (bind(sock->fd, (struct sockaddr *) &sa, len) < 0)
		return -errno;
	r = ferry_passenger_connect(p, tunnel);
	return r < 0 ? r : address_of(sock->fd, &p->at);
}

int ferry_passenger_new(uint32_t node, const uint8_t key[static FERRY_KEY_LEN],
	const struct endpoint *tunnel, struct passenger **ret)
{
	struct passenger *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->node = node;
	memcpy(p->key, key, FERRY_KEY_LEN);
	p->source.sock.fd = -1;
	p->source.ready = from_tunnel;
	r = open_socket(p, tunnel);
	if (r < 0) {
		ferry_passenger_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

struct passenger *ferry_passenger_free(struct passenger *p)
{
	if (!p)
		return NULL;
	close_p(&p->source.sock.fd);
	free(p);
	return NULL;
}
