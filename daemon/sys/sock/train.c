/* train: see train.h. Nothing is allocated per message, and nothing is copied but by the kernel. */
#include "sys/sock/train.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"

enum { PIECES_MAX = 2 };

struct message {
	size_t first, n; /* datagrams */
	size_t segment, len;
	bool closed; /* nothing joins it any more */
};

union control {
	struct cmsghdr align;
	uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
};

struct train {
	struct iovec pieces[TRAIN_DATAGRAMS * PIECES_MAX];
	size_t at[TRAIN_DATAGRAMS + 1]; /* where the pieces of each begin */
	size_t n;
	struct message messages[TRAIN_MESSAGES];
	size_t n_messages;
	struct mmsghdr hdrs[TRAIN_MESSAGES];
	union control controls[TRAIN_MESSAGES];
	struct mmsghdr singles[SOCK_SEGMENTS_MAX];
	int error; /* the last one of this train_send() */
};

struct train *train_new(void)
{
	return calloc(1, sizeof(struct train));
}

struct train *train_free(struct train *train)
{
	free(train);
	return NULL;
}

/* The plain option is capped by rmem_max and wmem_max; the forced one needs CAP_NET_ADMIN. */
static void grow_buffer(int fd, int force, int plain, int bytes)
{
	if (setsockopt(fd, SOL_SOCKET, force, &bytes, sizeof(bytes)) < 0)
		(void) setsockopt(fd, SOL_SOCKET, plain, &bytes, sizeof(bytes));
}

void train_take(int fd, int family, int buffer_bytes, struct train_sock *ret)
{
	static const int on = 1, fragment = IP_PMTUDISC_DONT;

	/* As the tunnel's: outer IPv4 packets may be fragmented on their way; IPv6 is by us. */
	if (family == AF_INET)
		(void) setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &fragment, sizeof(fragment));
	(void) setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof(on)); /* else one by one */
	grow_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, buffer_bytes);
	grow_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, buffer_bytes);
	*ret = (struct train_sock){ .fd = fd };
	train_gso_again(ret);
}

int train_open(int family, int buffer_bytes, struct train_sock *ret)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	train_take(fd, family, buffer_bytes, ret);
	return 0;
}

void train_gso_again(struct train_sock *sock)
{
	static const int off = 0;
	bool can = setsockopt(sock->fd, IPPROTO_UDP, UDP_SEGMENT, &off, sizeof(off)) == 0;

	sock->gso_max = can ? SIZE_MAX : 0; /* Linux 4.18; before, every datagram is a message */
}

/* --- what leaves together --- */

static bool may_join(const struct train *t, const struct train_sock *sock, size_t len)
{
	const struct message *last;

	if (t->n_messages == 0)
		return false;
	last = &t->messages[t->n_messages - 1];
	return !last->closed && len <= last->segment && last->segment <= sock->gso_max &&
	       last->n < SOCK_SEGMENTS_MAX && last->len + len <= SOCK_MESSAGE_MAX;
}

bool train_add(struct train *t, const struct train_sock *sock, const void *head, size_t head_len,
	const void *data, size_t len)
{
	struct iovec *piece = &t->pieces[t->at[t->n]];
	size_t whole = head_len + len;
	bool joins = may_join(t, sock, whole);
	struct message *m;

	if (t->n == TRAIN_DATAGRAMS || (!joins && t->n_messages == TRAIN_MESSAGES))
		return false;
	if (head)
		*piece++ = (struct iovec){ (void *) head, head_len }; /* only read */
	*piece++ = (struct iovec){ (void *) data, len };
	if (!joins)
		t->messages[t->n_messages++] = (struct message){ .first = t->n, .segment = whole };
	m = &t->messages[t->n_messages - 1];
	m->n++;
	m->len += whole;
	m->closed = whole < m->segment;
	t->n++;
	t->at[t->n] = (size_t) (piece - t->pieces);
	return true;
}

/* --- sending --- */

static struct msghdr header(struct train *t, size_t first, size_t n)
{
	return (struct msghdr){ .msg_iov = &t->pieces[t->at[first]],
		.msg_iovlen = t->at[first + n] - t->at[first] };
}

static void put_segment(struct msghdr *hdr, union control *control, size_t segment)
{
	uint16_t size = (uint16_t) segment;

	hdr->msg_control = control;
	hdr->msg_controllen = sizeof(*control);
	control->align = (struct cmsghdr){ .cmsg_level = IPPROTO_UDP,
		.cmsg_type = UDP_SEGMENT,
		.cmsg_len = CMSG_LEN(sizeof(size)) };
	memcpy(CMSG_DATA(&control->align), &size, sizeof(size));
}

static void prepare(struct train *t)
{
	for (size_t i = 0; i < t->n_messages; i++) {
		const struct message *m = &t->messages[i];

		t->hdrs[i].msg_hdr = header(t, m->first, m->n);
		if (m->n > 1)
			put_segment(&t->hdrs[i].msg_hdr, &t->controls[i], m->segment);
	}
}

/* How many have gone: at least one, or -errno. */
static int send_some(struct train *t, int fd, struct mmsghdr *hdrs, size_t n)
{
	int r, told = 0;

	do {
		r = sendmmsg(fd, hdrs, (unsigned) n, MSG_DONTWAIT);
		/* What is told of an earlier datagram is told once: the same again. */
		if (r < 0 && errno == ECONNREFUSED)
			t->error = -ECONNREFUSED;
	} while (r < 0 && (errno == EINTR || (errno == ECONNREFUSED && told++ == 0)));
	if (r > 0)
		return r;
	return r < 0 ? -errno : -ENOBUFS;
}

/* A message that no card or no path takes whole: its datagrams one by one. */
static void send_singly(struct train *t, const struct train_sock *sock, const struct message *m,
	struct train_counters *c)
{
	size_t done = 0;

	for (size_t i = 0; i < m->n; i++)
		t->singles[i].msg_hdr = header(t, m->first + i, 1);
	while (done < m->n) {
		int r = send_some(t, sock->fd, t->singles + done, m->n - done);

		if (r > 0) {
			c->sent += (size_t) r;
			done += (size_t) r;
		} else if (r == -EAGAIN) {
			c->full += m->n - done;
			return;
		} else {
			t->error = r;
			c->refused++;
			done++;
		}
	}
}

/*
 * A card without checksums for us (EIO), or a path whose MTU is too small for one datagram whole.
 * So long ones are not tried together any more until train_gso_again().
 */
static bool is_too_super(struct train_sock *sock, const struct message *m, int error)
{
	if (m->n == 1 || (error != -EIO && error != -EMSGSIZE && error != -EINVAL))
		return false;
	sock->gso_max = error == -EIO ? 0 : m->segment - 1;
	return true;
}

/* The first message of a call was refused. */
static void refuse(struct train *t, struct train_sock *sock, const struct message *m, int error,
	struct train_counters *c)
{
	if (is_too_super(sock, m, error)) {
		send_singly(t, sock, m, c);
		return;
	}
	c->refused += m->n;
	t->error = error;
}

static void count_sent(
	const struct train *t, size_t from, size_t to, struct train_counters *counters)
{
	for (size_t i = from; i < to; i++) {
		counters->sent += t->messages[i].n;
		counters->super += t->messages[i].n > 1;
	}
}

int train_send(struct train *t, struct train_sock *sock, struct train_counters *c)
{
	size_t done = 0;

	t->error = 0;
	prepare(t);
	while (done < t->n_messages) {
		int r = send_some(t, sock->fd, t->hdrs + done, t->n_messages - done);

		if (r > 0) {
			count_sent(t, done, done + (size_t) r, c);
			done += (size_t) r;
		} else if (r == -EAGAIN) {
			c->full += t->n - t->messages[done].first;
			break;
		} else {
			refuse(t, sock, &t->messages[done++], r, c);
		}
	}
	t->n = t->n_messages = 0;
	return t->error;
}
