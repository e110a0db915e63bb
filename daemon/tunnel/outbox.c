/*
 * Sealed packets on their way out. They lie one behind the other as they go over the wire; those in
 * a row that go to one peer and are equally long (the last may be shorter) form one message, which
 * the kernel cuts up again (UDP_SEGMENT). Counters of a session are taken in the order of the
 * packets, and datagrams leave in that order.
 */
#include <errno.h>

#include "base/log.h"
#include "tunnel/internal.h"
#include "packet/ipkt.h"

enum { WIRE_EXTRA = WG_DATA_HEAD_LEN + AEAD_PAD_MAX + AEAD_TAG_LEN };

bool outbox_has_room(const struct outbox *box, size_t n, size_t bytes)
{
	return box->n + n <= OUTBOX_MESSAGES && box->used + bytes + n * WIRE_EXTRA <= OUTBOX_LEN;
}

bool outbox_begin(struct wg_peer *peer, size_t n, struct group *ret)
{
	const struct wg_endpoint *to = wg_peer_endpoint(peer);
	const struct peer_user *user = wg_peer_user(peer);
	struct wg_session *session = wg_peer_sending(peer);

	if (!session || !to)
		return false;
	*ret = (struct group){ .session = session,
		.remote = to->remote,
		.local = path_source(to),
		.ifindex = to->ifindex,
		.fragment = user ? user->fragment : 0 };
	return wg_session_reserve(session, (unsigned) n, &ret->counter);
}

struct aead_packet *outbox_add(struct lane *l, struct outbox *box, struct group *g, size_t len)
{
	struct aead_packet *p = &l->out_packets[g->n];
	uint8_t *head = box->data + box->used;
	size_t pad = ipkt_padding(len, l->mtu);

	if (g->n == 0)
		g->at = box->used;
	p->counter = g->counter + g->n;
	p->out = head + WG_DATA_HEAD_LEN;
	p->front = 0;
	p->len = len;
	p->pad = pad;
	wg_data_head_format(head, g->session->remote_index, p->counter);
	box->used += WG_DATA_HEAD_LEN + len + pad + AEAD_TAG_LEN;
	g->n++;
	return p;
}

static bool may_join(const struct lane *l, const struct outbox *box, const struct group *g,
	const uint8_t *wire, size_t len)
{
	const struct sock_msg *last;

	if (box->n == 0 || box->closed || box->sessions[box->n - 1] != g->session)
		return false;
	last = &box->msgs[box->n - 1];
	if (!(last->remote.addr.family == AF_INET ? l->sock.gso4 : l->sock.gso6))
		return false;
	if (last->hops != g->hops)
		return false;
	return last->data + last->len == wire && len <= last->segment &&
	       last->len + len <= SOCK_MESSAGE_MAX &&
	       last->len <= (SOCK_SEGMENTS_MAX - 1) * last->segment;
}

static void enlist(
	const struct lane *l, struct outbox *box, const struct group *g, uint8_t *wire, size_t len)
{
	if (may_join(l, box, g, wire, len)) {
		struct sock_msg *last = &box->msgs[box->n - 1];

		last->len += len;
		box->closed = len < last->segment;
		return;
	}
	box->sessions[box->n] = g->session;
	box->msgs[box->n++] = (struct sock_msg){ .data = wire,
		.len = len,
		.segment = len,
		.remote = g->remote,
		.local = g->local,
		.ifindex = g->ifindex,
		.hops = g->hops,
		.fragment = g->fragment };
	box->closed = false;
}

void outbox_seal(struct lane *l, struct outbox *box, const struct group *g)
{
	if (g->n == 0)
		return;
	if (aead_seal(l->aead, g->session->send_key, l->out_packets, g->n) < 0) {
		l->counters.tx_errors += g->n; /* the text may not leave */
		box->used = g->at;
		return;
	}
	for (size_t i = 0; i < g->n; i++) {
		const struct aead_packet *p = &l->out_packets[i];

		enlist(l, box, g, p->out - WG_DATA_HEAD_LEN,
			WG_DATA_HEAD_LEN + p->len + p->pad + AEAD_TAG_LEN);
	}
}

static void count_message(struct lane *l, const struct sock_msg *msg)
{
	unsigned n = sock_msg_datagrams(msg);

	l->counters.tx_datagrams += n - msg->failed;
	l->counters.tx_errors += msg->failed;
	if (n > 1 && msg->failed == 0)
		l->counters.tx_super++;
}

/* Tells the engine what has become of messages [from, to), session by session. */
static void report_sent(const struct outbox *box, size_t from, size_t to)
{
	while (from < to) {
		struct wg_session *s = box->sessions[from];
		bool source_gone = false;
		uint64_t bytes = 0;

		for (; from < to && box->sessions[from] == s; from++) {
			source_gone = source_gone || box->msgs[from].source_gone;
			bytes += box->msgs[from].sent;
		}
		if (source_gone)
			wg_peer_clear_source(s->peer);
		/* Also if none got out: then the missing answer leads to a new handshake, on all
		 * paths. */
		wg_peer_data_sent(s, bytes);
	}
}

static void tell_gso_loss(struct lane *l)
{
	struct tunnel *t = l->tunnel;

	if (!l->sock.gso_lost || t->gso_loss_told)
		return;
	t->gso_loss_told = true;
	log_warning("%s: the network card under it cannot send several datagrams at once (EIO): "
		    "UDP segmentation offload is off now",
		t->ifname);
}

static void empty(struct outbox *box)
{
	box->used = box->first = box->told = box->n = 0;
	box->waits_since_us = 0;
	box->closed = false;
}

/* What was not sent counts as sent: when it is, or is given up, its session may be gone. */
static void settle(struct outbox *box)
{
	for (size_t i = box->first > box->told ? box->first : box->told; i < box->n; i++) {
		box->msgs[i].sent = box->msgs[i].len;
		box->msgs[i].source_gone = false;
	}
	box->closed = true;
}

bool outbox_send(struct lane *l, struct outbox *box)
{
	size_t from = box->first;

	if (box->n == from)
		return true;
	box->first += l->tunnel->io->udp_send(l, box->msgs + from, box->n - from);
	if (box->first > from)
		box->waits_since_us = 0;
	for (size_t i = from; i < box->first; i++)
		count_message(l, &box->msgs[i]);
	settle(box);
	lane_lock(l);
	report_sent(box, box->told, box->n);
	tell_gso_loss(l);
	lane_unlock(l);
	box->told = box->n;
	if (box->first < box->n)
		return false;
	empty(box);
	return true;
}

int outbox_fd(const struct lane *l, const struct outbox *box)
{
	return outbox_waits(box) ? sock_fd_for(&l->sock, &box->msgs[box->first]) : -1;
}

void outbox_drop(struct lane *l, struct outbox *box)
{
	for (size_t i = box->first; i < box->n; i++)
		l->counters.tx_errors += sock_msg_datagrams(&box->msgs[i]);
	empty(box);
}
