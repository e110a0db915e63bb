/* ends: see ends.h. Each is a device of the engine with one peer. */
#include "ends.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sodium.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "wg/crypto.h"
#include "wg/wg.h"
#include "wire/disco.h"

enum { DATAGRAM_MAX = 2048, BATCH = 256, BUFFER = 8 << 20, KEEPALIVE_S = 25 };

struct end {
	struct ends *ends;
	uint32_t id;
	struct wg_device *device;
	struct wg_peer *peer;
	uint8_t key[PAIR_KEY_LEN], hint[DISCO_HINT_LEN]; /* of disco, with hearthd */
};

struct ends {
	int fd;
	sd_event_source *io, *timer;
	struct end *list; /* of boards 2 to n */
	size_t n;
};

union control {
	struct cmsghdr head;
	uint8_t bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
};

/* A datagram of board @end's, from the address that hearthd wrote to, else its first. */
static void send_datagram(
	const struct end *end, const struct wg_endpoint *to, const uint8_t *data, size_t len)
{
	union control control = { 0 };
	struct sockaddr_storage address;
	struct iovec iov = { (void *) (uintptr_t) data, len };
	struct msghdr message = { .msg_name = &address,
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes) };
	struct in_pktinfo info = { .ipi_spec_dst.s_addr = htonl(MESH_ADDRESS + end->id) };

	if (to->local.family == AF_INET)
		memcpy(&info.ipi_spec_dst, to->local.bytes, sizeof(info.ipi_spec_dst));
	message.msg_namelen = endpoint_to_sockaddr(&to->remote, &address);
	control.head.cmsg_level = IPPROTO_IP;
	control.head.cmsg_type = IP_PKTINFO;
	control.head.cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(&control.head), &info, sizeof(info));
	(void) sendmsg(end->ends->fd, &message, 0); /* lost like any other datagram */
}

static void on_send(void *ctx, struct wg_peer *peer, const struct wg_endpoint *to,
	const uint8_t *data, size_t len)
{
	send_datagram(ctx, to, data, len);
}

/* Answers @inner, @len bytes with what pads them, if it is an IPv4 ping. */
static void answer_ping(struct end *end, uint8_t *inner, size_t len)
{
	enum { REQUEST = 8, HEADER = 20 };
	uint8_t sealed[DATAGRAM_MAX], address[4];
	struct wg_session *session = wg_peer_sending(end->peer);
	uint64_t counter;
	unsigned sum;

	if (len < HEADER + 8 || inner[0] != 0x45 || inner[9] != IPPROTO_ICMP ||
		inner[HEADER] != REQUEST || !session || !wg_session_reserve(session, 1, &counter))
		return;
	memcpy(address, inner + 12, sizeof(address)); /* a sum does not mind who stands where */
	memcpy(inner + 12, inner + 16, sizeof(address));
	memcpy(inner + 16, address, sizeof(address));
	inner[HEADER] = 0;
	sum = (unsigned) (inner[HEADER + 2] << 8 | inner[HEADER + 3]) + (REQUEST << 8);
	sum = (sum & 0xffff) + (sum >> 16);
	inner[HEADER + 2] = (uint8_t) (sum >> 8);
	inner[HEADER + 3] = (uint8_t) sum;
	wg_data_head_format(sealed, session->remote_index, counter);
	wg_seal(sealed + WG_DATA_HEAD_LEN, inner, len, NULL, 0, session->send_key, counter);
	send_datagram(end, wg_peer_endpoint(end->peer), sealed, len + WG_DATA_MIN_LEN);
	wg_peer_data_sent(session, len + WG_DATA_MIN_LEN);
}

static void take_data(struct end *end, const struct wg_data_head *head, const uint8_t *data,
	size_t len, const struct wg_endpoint *from)
{
	struct wg_session *session = wg_device_session(end->device, head->receiver);
	uint8_t inner[DATAGRAM_MAX];
	size_t inner_len = len - WG_DATA_MIN_LEN;

	if (!session ||
		wg_open(inner, data + WG_DATA_HEAD_LEN, len - WG_DATA_HEAD_LEN, NULL, 0,
			session->receive_key, head->counter) < 0 ||
		!wg_session_accept(session, head->counter))
		return;
	wg_peer_data_received(session, from, len, inner_len > 0);
	answer_ping(end, inner, inner_len);
}

/* A ping of hearthd's finder, at the address that it tries; a board's own finder follows it. */
static void answer_disco(
	struct end *end, const uint8_t *data, size_t len, const struct wg_endpoint *from)
{
	uint8_t nonce[DISCO_NONCE_LEN], pong[DISCO_MIN_LEN];
	struct disco disco;

	if (disco_open(end->key, data, len, &disco) < 0 || disco.type != DISCO_PING)
		return;
	disco.type = DISCO_PONG;
	disco.run = end->id;
	disco.seen = from->remote;
	randombytes_buf(nonce, sizeof(nonce));
	disco_seal(end->key, end->hint, nonce, &disco, sizeof(pong), pong);
	send_datagram(end, from, pong, sizeof(pong));
	wg_peer_set_endpoint(end->peer, &from->remote);
}

static struct end *end_of(struct ends *ends, const struct in_pktinfo *info)
{
	uint32_t id = ntohl(info->ipi_addr.s_addr) & ~(MESH_ADDRESS | MESH_OTHER_ADDRESS);

	return id >= 2 && id - 2 < ends->n ? &ends->list[id - 2] : NULL;
}

/* One datagram; false: there is none. */
static bool receive(struct ends *ends)
{
	uint8_t data[DATAGRAM_MAX];
	union control control;
	struct sockaddr_storage address;
	struct iovec iov = { data, sizeof(data) };
	struct msghdr message = { .msg_name = &address,
		.msg_namelen = sizeof(address),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes) };
	ssize_t n = recvmsg(ends->fd, &message, MSG_DONTWAIT);
	struct cmsghdr *cmsg = n < 0 ? NULL : CMSG_FIRSTHDR(&message);
	struct wg_endpoint from = { .local.family = AF_INET };
	struct wg_data_head head;
	struct in_pktinfo info;
	struct end *end;

	if (n < 0)
		return false;
	if (!cmsg || cmsg->cmsg_type != IP_PKTINFO ||
		endpoint_from_sockaddr((struct sockaddr *) &address, &from.remote) < 0)
		return true;
	memcpy(&info, CMSG_DATA(cmsg), sizeof(info));
	memcpy(from.local.bytes, &info.ipi_addr, sizeof(info.ipi_addr));
	end = end_of(ends, &info);
	if (!end)
		return true;
	wg_device_set_time(end->device, clock_now_us(), clock_wall_us());
	if (wg_data_head_parse(data, (size_t) n, &head))
		take_data(end, &head, data, (size_t) n, &from);
	else if (!wg_begins(data, (size_t) n))
		answer_disco(end, data, (size_t) n, &from);
	else
		(void) wg_device_receive(end->device, data, (size_t) n, &from);
	return true;
}

/* Runs what is due, and sleeps until the next. */
static void tick(struct ends *ends)
{
	uint64_t now = clock_now_us(), next = WG_NO_DEADLINE;

	for (size_t i = 0; i < ends->n; i++) {
		struct wg_device *device = ends->list[i].device;

		if (wg_device_next_deadline(device) <= now) {
			wg_device_set_time(device, now, clock_wall_us());
			wg_device_tick(device);
		}
		if (wg_device_next_deadline(device) < next)
			next = wg_device_next_deadline(device);
	}
	if (next != WG_NO_DEADLINE)
		(void) sd_event_source_set_time_relative(ends->timer, next > now ? next - now : 0);
	(void) sd_event_source_set_enabled(
		ends->timer, next == WG_NO_DEADLINE ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	for (int i = 0; i < BATCH && receive(ctx); i++)
		;
	tick(ctx);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	tick(ctx);
	return 0;
}

static void open_end(struct ends *ends, const struct mesh_board *board, const struct node *hearthd,
	struct end *end)
{
	struct pair_self self;
	struct wg_config config = { .ops.send = on_send,
		.ctx = end,
		.now_us = clock_now_us(),
		.wall_us = clock_wall_us() };
	int r;

	*end = (struct end){ .ends = ends, .id = board->node.id };
	r = wg_device_new(&config, &end->device);
	if (r < 0)
		mesh_die("make an end", r);
	wg_device_set_private_key(end->device, board->wg_private);
	pair_self_init(&self, board->identity_seed);
	if (pair_key(&self, hearthd->identity, PAIR_LABEL_DISCO, end->key) < 0)
		mesh_die("make a key with hearthd", -EBADMSG);
	disco_hint(end->key, self.identity, end->hint);
	r = wg_device_add_peer(end->device, hearthd->wg, &end->peer);
	if (r < 0)
		mesh_die("make an end", r);
	wg_peer_set_keepalive(end->peer, KEEPALIVE_S);
}

static int open_socket(void)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(MESH_PORT) };
	const int one = 1, size = BUFFER;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one)) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0 ||
		bind(fd, (struct sockaddr *) &any, sizeof(any)) < 0)
		mesh_die("open the boards' socket", -errno);
	return fd;
}

void ends_open(sd_event *event, const struct mesh *mesh, struct ends **ret)
{
	struct ends *ends = calloc(1, sizeof(*ends));
	int r;

	if (ends)
		ends->list = calloc(mesh->n, sizeof(*ends->list));
	if (!ends || !ends->list)
		mesh_die("make the ends", -ENOMEM);
	ends->fd = open_socket();
	ends->n = mesh->n - 1;
	for (size_t i = 0; i < ends->n; i++)
		open_end(ends, &mesh->boards[i + 1], &mesh->boards[0].node, &ends->list[i]);
	r = sd_event_add_io(event, &ends->io, ends->fd, EPOLLIN, on_io, ends);
	if (r >= 0)
		r = sd_event_add_time(
			event, &ends->timer, CLOCK_MONOTONIC, 0, 1000, on_timer, ends);
	if (r < 0)
		mesh_die("watch the boards' socket", r);
	*ret = ends;
}
