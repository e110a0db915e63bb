/*
 * Batches of messages in and out. The source address of a reply is pinned with IP_PKTINFO /
 * IPV6_PKTINFO; the interface is not (but for link-local addresses): routing may change while the
 * address stays. Nothing blocks and nothing is allocated per message.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "sys/sock/sock-cut.h"
#include "sys/sock/sock.h"

/* One address of ours, one size, one hop limit. */
union control {
	struct cmsghdr align;
	uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) + 2 * CMSG_SPACE(sizeof(int))];
};

union name {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

struct half {
	struct mmsghdr msgs[SOCK_BATCH_MAX];
	struct iovec iovs[SOCK_BATCH_MAX];
	union name names[SOCK_BATCH_MAX];
	union control controls[SOCK_BATCH_MAX];
};

struct sock_batch {
	struct half in, out;
	struct mmsghdr singles[SOCK_SEGMENTS_MAX]; /* the datagrams of one message of @out */
	struct iovec single_iovs[SOCK_SEGMENTS_MAX];
	struct sock_cutter cutter;
};

struct sock_batch *sock_batch_new(void)
{
	struct sock_batch *batch = calloc(1, sizeof(*batch));

	for (size_t i = 0; batch && i < SOCK_BATCH_MAX; i++)
		batch->in.msgs[i].msg_hdr = (struct msghdr){ .msg_iov = &batch->in.iovs[i],
			.msg_iovlen = 1,
			.msg_name = &batch->in.names[i],
			.msg_namelen = sizeof(batch->in.names[i]),
			.msg_control = &batch->in.controls[i],
			.msg_controllen = sizeof(batch->in.controls[i]) };
	return batch;
}

struct sock_batch *sock_batch_free(struct sock_batch *batch)
{
	free(batch);
	return NULL;
}

/* --- receiving --- */

static void read_address4(const struct cmsghdr *c, struct sock_msg *msg)
{
	struct in_pktinfo info;

	memcpy(&info, CMSG_DATA(c), sizeof(info));
	msg->local.family = AF_INET;
	/* ipi_spec_dst, not ipi_addr: for a broadcast it is what can be sent from. */
	memcpy(msg->local.bytes, &info.ipi_spec_dst, 4);
	msg->ifindex = (uint32_t) info.ipi_ifindex;
}

static void read_address6(const struct cmsghdr *c, struct sock_msg *msg)
{
	struct in6_pktinfo info;

	memcpy(&info, CMSG_DATA(c), sizeof(info));
	msg->local.family = AF_INET6;
	memcpy(msg->local.bytes, &info.ipi6_addr, 16);
	msg->ifindex = info.ipi6_ifindex;
}

static void read_segment(const struct cmsghdr *c, struct sock_msg *msg)
{
	int size;

	memcpy(&size, CMSG_DATA(c), sizeof(size));
	if (size > 0)
		msg->segment = (size_t) size;
}

static void read_control(struct msghdr *hdr, struct sock_msg *msg)
{
	msg->local = (struct ip_addr){ 0 };
	msg->ifindex = 0;
	msg->segment = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(hdr); c; c = CMSG_NXTHDR(hdr, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
			read_address4(c, msg);
		else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
			read_address6(c, msg);
		else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO)
			read_segment(c, msg);
	}
	if (ip_addr_is_multicast(&msg->local))
		msg->local = (struct ip_addr){ 0 };
}

/* From the same sender to the same address as the message before it, and cut alike? */
static bool same_as_before(const struct half *in, size_t i)
{
	const struct msghdr *a = &in->msgs[i - 1].msg_hdr, *b = &in->msgs[i].msg_hdr;

	return a->msg_namelen == b->msg_namelen && a->msg_controllen == b->msg_controllen &&
	       memcmp(&in->names[i - 1], &in->names[i], b->msg_namelen) == 0 &&
	       memcmp(&in->controls[i - 1], &in->controls[i], b->msg_controllen) == 0;
}

static void read_one(struct half *in, size_t i, struct sock_msg *msgs)
{
	struct msghdr *hdr = &in->msgs[i].msg_hdr;
	struct sock_msg *msg = &msgs[i];
	bool known = true;

	if (i > 0 && same_as_before(in, i)) {
		msg->remote = msg[-1].remote;
		msg->local = msg[-1].local;
		msg->ifindex = msg[-1].ifindex;
		msg->segment = msg[-1].segment;
		known = msg->remote.addr.family != 0;
	} else {
		msg->remote = (struct endpoint){ 0 };
		known = endpoint_from_sockaddr(hdr->msg_name, &msg->remote) == 0;
		read_control(hdr, msg);
	}
	msg->hops = 0;
	msg->whole = false;
	msg->fragment = 0;
	msg->len = in->msgs[i].msg_len;
	if ((hdr->msg_flags & MSG_TRUNC) || !known)
		msg->len = 0;
}

int sock_recv(struct sock_batch *batch, int fd, struct sock_msg *msgs, size_t n, size_t capacity)
{
	struct half *in = &batch->in;
	int got;

	if (n > SOCK_BATCH_MAX)
		n = SOCK_BATCH_MAX;
	for (size_t i = 0; i < n; i++)
		in->iovs[i] = (struct iovec){ .iov_base = msgs[i].data, .iov_len = capacity };
	do
		got = recvmmsg(fd, in->msgs, (unsigned) n, MSG_DONTWAIT, NULL);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EAGAIN ? 0 : -errno;
	for (size_t i = 0; i < (size_t) got; i++)
		read_one(in, i, msgs);
	for (size_t i = 0; i < (size_t) got; i++) { /* what the call has overwritten */
		in->msgs[i].msg_hdr.msg_namelen = sizeof(in->names[i]);
		in->msgs[i].msg_hdr.msg_controllen = sizeof(in->controls[i]);
	}
	return got;
}

/* --- sending --- */

/* Appends one control message. */
static void put_control(
	struct msghdr *hdr, union control *control, int level, int type, const void *data, size_t n)
{
	struct cmsghdr *c = (struct cmsghdr *) (control->bytes + hdr->msg_controllen);

	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(n);
	memcpy(CMSG_DATA(c), data, n);
	hdr->msg_control = control;
	hdr->msg_controllen += CMSG_SPACE(n);
}

static void put_source(struct msghdr *hdr, union control *control, const struct sock_msg *msg)
{
	if (msg->local.family == 0 || msg->local.family != msg->remote.addr.family)
		return;
	if (msg->local.family == AF_INET) {
		struct in_pktinfo info = { 0 };

		memcpy(&info.ipi_spec_dst, msg->local.bytes, 4);
		put_control(hdr, control, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	} else {
		struct in6_pktinfo info = { 0 };

		memcpy(&info.ipi6_addr, msg->local.bytes, 16);
		if (ip_addr_is_link_local(&msg->local))
			info.ipi6_ifindex = msg->remote.scope ? msg->remote.scope : msg->ifindex;
		put_control(hdr, control, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
	}
}

static void put_hops(struct msghdr *hdr, union control *control, const struct sock_msg *msg)
{
	bool v4 = msg->remote.addr.family == AF_INET;
	int hops = msg->hops;

	if (hops)
		put_control(hdr, control, v4 ? IPPROTO_IP : IPPROTO_IPV6,
			v4 ? IP_TTL : IPV6_HOPLIMIT, &hops, sizeof(hops));
}

static socklen_t write_name(const struct endpoint *remote, union name *ret)
{
	struct sockaddr_storage sa;
	socklen_t len = endpoint_to_sockaddr(remote, &sa);

	memcpy(ret, &sa, len);
	return len;
}

static void prepare(struct half *out, size_t i, struct sock_msg *msg)
{
	struct msghdr *hdr = &out->msgs[i].msg_hdr;
	uint16_t size = (uint16_t) msg->segment;

	out->iovs[i] = (struct iovec){ .iov_base = msg->data, .iov_len = msg->len };
	*hdr = (struct msghdr){ .msg_iov = &out->iovs[i],
		.msg_iovlen = 1,
		.msg_name = &out->names[i],
		.msg_namelen = write_name(&msg->remote, &out->names[i]) };
	put_source(hdr, &out->controls[i], msg);
	put_hops(hdr, &out->controls[i], msg);
	if (sock_msg_datagrams(msg) > 1)
		put_control(hdr, &out->controls[i], IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size));
	msg->sent = 0;
	msg->failed = 0;
	msg->error = 0;
	msg->source_gone = false;
}

static bool source_is_gone(int error)
{
	return error == EINVAL || error == EADDRNOTAVAIL || error == ENODEV ||
	       error == ENETUNREACH || error == EHOSTUNREACH || error == ENETDOWN;
}

/*
 * A card without checksums for us, an MTU that is too small; a message above all limits looks the
 * same as the latter.
 */
static bool is_too_super(int error)
{
	return error == EIO || error == EMSGSIZE || error == EINVAL;
}

static void lay_out_singles(
	struct sock_batch *batch, size_t slot, const struct sock_msg *msg, size_t from, size_t n)
{
	struct msghdr hdr = batch->out.msgs[slot].msg_hdr;
	size_t size = sock_msg_datagrams(msg) > 1 ? msg->segment : msg->len;

	hdr.msg_control = NULL;
	hdr.msg_controllen = 0;
	if (!msg->source_gone)
		put_source(&hdr, &batch->out.controls[slot], msg);
	put_hops(&hdr, &batch->out.controls[slot], msg);
	for (size_t i = 0; i < n; i++) {
		size_t at = (from + i) * size;

		batch->single_iovs[i] = (struct iovec){ .iov_base = msg->data + at,
			.iov_len = msg->len - at < size ? msg->len - at : size };
		hdr.msg_iov = &batch->single_iovs[i];
		batch->singles[i].msg_hdr = hdr;
	}
}

/* Sends the datagrams of message @slot one by one. A full send buffer ends it, the rest is lost. */
static void send_singly(struct sock_batch *batch, int fd, size_t slot, struct sock_msg *msg)
{
	size_t total = sock_msg_datagrams(msg), done = 0;
	bool pinned = msg->local.family != 0;

	while (done < total) {
		size_t n = total - done < SOCK_SEGMENTS_MAX ? total - done : SOCK_SEGMENTS_MAX;
		int r;

		lay_out_singles(batch, slot, msg, done, n);
		r = sendmmsg(fd, batch->singles, (unsigned) n, MSG_DONTWAIT);
		if (r < 0 && errno == EINTR)
			continue;
		for (int i = 0; i < r; i++)
			msg->sent += batch->single_iovs[i].iov_len;
		if (r > 0) {
			done += (size_t) r;
			continue;
		}
		if (pinned && !msg->source_gone && source_is_gone(errno)) {
			msg->source_gone = true;
			continue;
		}
		msg->error = -errno;
		n = errno == EAGAIN ? total - done : 1;
		msg->failed += (unsigned) n;
		done += n;
	}
}

/* The first message of the call was refused with @error. */
static void refuse(struct sock_batch *batch, struct sock *sock, int fd, size_t slot,
	struct sock_msg *msg, int error)
{
	unsigned n = sock_msg_datagrams(msg);

	if (n > 1 && error == EIO) {
		*(fd == sock->fd4 ? &sock->gso4 : &sock->gso6) = false;
		sock->gso_lost = true;
	}
	if ((n > 1 && is_too_super(error)) || (msg->local.family && source_is_gone(error))) {
		send_singly(batch, fd, slot, msg);
		return;
	}
	msg->error = -error;
	msg->failed = n;
}

/* @n messages of one family, at most SOCK_BATCH_MAX. Returns how many are done with. */
static size_t send_run(
	struct sock_batch *batch, struct sock *sock, int fd, struct sock_msg *msgs, size_t n)
{
	size_t done = 0;

	for (size_t i = 0; i < n; i++)
		prepare(&batch->out, i, &msgs[i]);
	while (done < n) {
		int r = sendmmsg(fd, &batch->out.msgs[done], (unsigned) (n - done), MSG_DONTWAIT);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0 && errno == EAGAIN)
			break;
		for (int i = 0; i < r; i++)
			msgs[done + (size_t) i].sent = msgs[done + (size_t) i].len;
		if (r > 0) {
			done += (size_t) r;
			continue;
		}
		refuse(batch, sock, fd, done, &msgs[done], r < 0 ? errno : ENOBUFS);
		done++;
	}
	return done;
}

int sock_send_one(const struct sock *sock, const struct sock_msg *msg)
{
	struct iovec iov = { .iov_base = msg->data, .iov_len = msg->len };
	union name name;
	union control control = { 0 };
	struct msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1, .msg_name = &name };
	int fd = sock_fd_for(sock, msg);
	ssize_t r;

	if (fd < 0)
		return -EAFNOSUPPORT;
	hdr.msg_namelen = write_name(&msg->remote, &name);
	put_source(&hdr, &control, msg);
	put_hops(&hdr, &control, msg);
	if (msg->whole)
		sock_set_whole(fd, msg->remote.addr.family, true);
	do
		r = sendmsg(fd, &hdr, MSG_DONTWAIT);
	while (r < 0 && errno == EINTR);
	r = r < 0 ? -errno : 0;
	if (msg->whole)
		sock_set_whole(fd, msg->remote.addr.family, false);
	return (int) r;
}

static void refuse_family(struct sock_msg *msg)
{
	msg->sent = 0;
	msg->source_gone = false;
	msg->error = -EAFNOSUPPORT;
	msg->failed = sock_msg_datagrams(msg);
}

static bool is_alone(const struct sock_batch *batch, const struct sock_msg *msg)
{
	return msg->whole || sock_is_cut(&batch->cutter, msg);
}

/* How many messages from here on go by one call: of one family, and nothing odd. */
static size_t run_length(const struct sock_batch *batch, const struct sock *sock,
	const struct sock_msg *msgs, size_t n, int fd)
{
	size_t run = 1;

	while (!is_alone(batch, &msgs[0]) && run < n && run < SOCK_BATCH_MAX &&
		!is_alone(batch, &msgs[run]) && sock_fd_for(sock, &msgs[run]) == fd)
		run++;
	return run;
}

/* As send_run(), but for what is odd about the first. */
static size_t send_next(
	struct sock_batch *batch, struct sock *sock, int fd, struct sock_msg *msgs, size_t n)
{
	int family = msgs[0].remote.addr.family;
	size_t done;

	if (sock_is_cut(&batch->cutter, msgs) && sock_cut(&batch->cutter, sock, msgs))
		return 1;
	if (msgs[0].whole)
		sock_set_whole(fd, family, true);
	done = send_run(batch, sock, fd, msgs, n);
	if (msgs[0].whole)
		sock_set_whole(fd, family, false);
	return done;
}

size_t sock_send(struct sock_batch *batch, struct sock *sock, struct sock_msg *msgs, size_t n)
{
	size_t i = 0;

	while (i < n) {
		int fd = sock_fd_for(sock, &msgs[i]);
		size_t run, done;

		if (fd < 0) {
			refuse_family(&msgs[i++]);
			continue;
		}
		run = run_length(batch, sock, msgs + i, n - i, fd);
		done = send_next(batch, sock, fd, msgs + i, run);
		i += done;
		if (done < run)
			break;
	}
	return i;
}
