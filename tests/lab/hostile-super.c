/*
 * hostile-super: a peer with keys of its own that sends what no honest peer would, and compares what
 * comes out of the other end's TUN device, packet by packet and byte by byte.
 *
 *   hostile-super NETNS IF KEY1 KEY2 PUBLIC ADDRESS PORT super|single ROUNDS [SEED]
 *
 * The tunnel under test has the interface IF in the namespace /run/netns/NETNS, the public key in
 * the file PUBLIC and its port at ADDRESS; the private keys in KEY1 and KEY2 are its peers, which
 * may be 10.20.1.2, fd20:1::2 and 10.20.2.2, fd20:2::2. It is 10.20.0.1 and fd20::1 itself.
 *
 * Sealed packets, good and bad, leave in trains cut by the kernel (UDP_SEGMENT: "super") or one by
 * one. What the device shows is read with its virtio header; a super-packet is cut again as the
 * kernel would cut it, and every part must be one packet that was sent: once, unchanged, in the
 * order of its flow, and never marked as verified if its checksum is wrong. Nothing else may appear.
 * Status 1 and a line with FAIL if not.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "base/ip.h"
#include "hostile-packet.h"
#include "key-file.h"
#include "wg/crypto.h"
#include "wg/wg.h"

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

enum { PACKETS_MAX = 700, TRAIN_MAX = 60, TRAIN_BYTES = 60000, FLOWS = 6 };

struct peer_end {
	struct wg_device *device;
	struct wg_peer *peer;
	int fd;
};

static struct peer_end ends[2];
static struct packet packets[PACKETS_MAX];
static size_t n_packets;
static struct flow flows[FLOWS];
static int capture_fd;
static bool super;
static const char *case_name = "";
static uint64_t n_sent, n_shown, n_joined, n_largest, n_cases, n_dropped;
static struct sockaddr_storage target;
static socklen_t target_len;

static uint64_t now_us(void)
{
	struct timespec t;

	(void) clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}

static __attribute__((noreturn)) void die(const char *what)
{
	(void) printf("FAIL: %s: %s: %s\n", case_name, what, strerror(errno));
	exit(1);
}

static void dump(const char *title, const uint8_t *data, size_t len)
{
	(void) printf("  %s (%zu):", title, len);
	for (size_t i = 0; i < len && i < 96; i++)
		(void) printf(" %02x", data[i]);
	(void) puts("");
}

static __attribute__((noreturn)) void wrong(
	const char *why, const struct packet *p, const uint8_t *data, size_t len)
{
	(void) printf("FAIL: %s: %s%s%s\n", case_name, why, p ? ": " : "", p ? p->what : "");
	if (p)
		dump("sent", p->inner, p->ip_len);
	if (data)
		dump("shown", data, len);
	exit(1);
}

static void seal(struct packet *p, int peer)
{
	struct wg_session *s = wg_peer_sending(ends[peer].peer);
	uint64_t counter;

	if (!s || !wg_session_reserve(s, 1, &counter)) {
		(void) printf("FAIL: no session\n");
		exit(1);
	}
	wg_data_head_format(p->datagram, s->remote_index, counter);
	wg_seal(p->datagram + 16, p->inner, p->inner_len, NULL, 0, s->send_key, counter);
	p->datagram_len = 16 + p->inner_len + 16;
}

static struct packet *new_packet(unsigned flow, enum mutation m)
{
	struct packet *p = &packets[n_packets++];

	p->expect = EXACT;
	p->flow = flow;
	p->seen = 0;
	p->what = hostile_name(m);
	return p;
}

/* The next packet of flow @i, with @m done to it. */
static void add(unsigned i, enum mutation m)
{
	struct flow *f = &flows[i];
	struct packet *p;
	struct spec s;
	size_t at;

	if (!hostile_applies(f, m))
		m = MUTATE_NONE;
	p = new_packet(i, m);
	s = (struct spec){ .f = *f, .flags = 0x10, .payload = f->payload };
	hostile_mutate_spec(&s, m);
	at = hostile_build(p, &s);
	hostile_mutate_inner(p, at, m);
	if (m == MUTATE_CANCELLING) { /* one word up here, the same word down in the next */
		struct packet *next;
		size_t word = p->ip_len - 20 - (p->ip_len - 20 - at) % 2;
		unsigned up = get16(p->inner + word), delta = (unsigned) (2 + hostile_dice(200));

		put16(p->inner + word, up + delta);
		p->expect = ALONE;
		seal(p, f->peer);
		f->seq += (uint32_t) s.payload;
		f->id++;
		next = new_packet(i, m);
		s = (struct spec){ .f = *f, .flags = 0x10, .payload = f->payload };
		(void) hostile_build(next, &s);
		up = get16(next->inner + word);
		put16(next->inner + word, up - delta);
		next->expect = ALONE;
		p = next;
	}
	seal(p, f->peer);
	hostile_mutate_wire(p, m);
	if (p->expect != EXACT)
		p->any_id = false;
	/* What follows goes on from here, but for headers that only this one has. */
	if (m != MUTATE_AGAIN_SEQ && m != MUTATE_OVERLAP)
		f->seq = s.f.seq + (uint32_t) s.payload;
	if (m == MUTATE_ACK || m == MUTATE_PURE_ACK)
		f->ack = s.f.ack;
	f->id = (uint16_t) (s.f.id + (f->fixed_id ? 0 : 1));
	if (m == MUTATE_TWICE) {
		struct packet *copy = new_packet(i, m);

		memcpy(copy->datagram, p->datagram, p->datagram_len);
		copy->datagram_len = p->datagram_len;
		copy->inner_len = copy->ip_len = 0;
		copy->expect = NEVER;
	}
}

/* --- sending -------------------------------------------------------------------------------- */

static void send_train(int fd, const uint8_t *data, size_t len, size_t size)
{
	char control[CMSG_SPACE(sizeof(uint16_t))] = { 0 };
	struct iovec iov = { (void *) data, len };
	struct msghdr msg = {
		.msg_name = &target, .msg_namelen = target_len, .msg_iov = &iov, .msg_iovlen = 1
	};
	uint16_t gso = (uint16_t) size;

	if (size > 0 && size < len) {
		struct cmsghdr *c;

		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = IPPROTO_UDP;
		c->cmsg_type = UDP_SEGMENT;
		c->cmsg_len = CMSG_LEN(sizeof(gso));
		memcpy(CMSG_DATA(c), &gso, sizeof(gso));
	}
	while (sendmsg(fd, &msg, 0) < 0)
		if (errno != ECONNREFUSED && errno != EINTR && errno != ENOBUFS)
			die("sendmsg");
}

/* Sends all packets in order, equal lengths in trains. @off: cut so many bytes too late. */
static void send_packets(int off)
{
	static uint8_t train[TRAIN_BYTES + DATAGRAM_MAX];

	for (size_t i = 0; i < n_packets;) {
		int peer = flows[packets[i].flow].peer;
		size_t size = packets[i].datagram_len, len = 0,
		       most = super ? 1 + hostile_dice(TRAIN_MAX) : 1;

		if (off)
			most = TRAIN_MAX;
		for (size_t n = 0; i < n_packets && n < most && len + size <= TRAIN_BYTES; n++) {
			const struct packet *p = &packets[i];

			if (flows[p->flow].peer != peer || p->datagram_len > size)
				break;
			memcpy(train + len, p->datagram, p->datagram_len);
			len += p->datagram_len;
			i++;
			if (p->datagram_len < size)
				break; /* the last of a train may be shorter */
		}
		send_train(ends[peer].fd, train, len, (size_t) ((int) size + off));
	}
	n_sent += n_packets;
}

/* --- what the device shows ------------------------------------------------------------------ */

static bool same(const struct packet *p, const uint8_t *data, size_t len)
{
	if (p->ip_len != len)
		return false;
	if (!p->any_id)
		return memcmp(p->inner, data, len) == 0;
	return memcmp(p->inner, data, 4) == 0 && memcmp(p->inner + 6, data + 6, 4) == 0 &&
	       memcmp(p->inner + 12, data + 12, len - 12) == 0;
}

static void shown(const uint8_t *data, size_t len, bool alone, bool vouched)
{
	static size_t last[FLOWS];
	struct packet *p = NULL;

	if (!data) { /* a new case */
		memset(last, 0, sizeof(last));
		return;
	}
	for (size_t i = 0; i < n_packets && !p; i++)
		if (same(&packets[i], data, len))
			p = &packets[i];
	if (!p)
		wrong("nobody sent this", NULL, data, len);
	if (p->expect == NEVER)
		wrong("must not come out", p, data, len);
	if (p->seen++)
		wrong("came out twice", p, data, len);
	if ((size_t) (p - packets) < last[p->flow])
		wrong("came out after what was sent later", p, data, len);
	last[p->flow] = (size_t) (p - packets);
	if (!alone && p->expect != EXACT)
		wrong("was joined with others", p, data, len);
	if (vouched && (p->expect == ALONE || p->expect == UNMARKED))
		wrong("was vouched for", p, data, len);
	n_shown++;
}

/* Cuts a super-packet as the kernel would, and completes its checksums. */
static void shown_joined(uint8_t *data, size_t len, const struct virtio_net_hdr *v)
{
	uint8_t one[INNER_MAX + 64];
	uint8_t proto = v->gso_type == VIRTIO_NET_HDR_GSO_UDP_L4 ? IPPROTO_UDP : IPPROTO_TCP;
	bool four = data[0] >> 4 == 4;
	size_t at = v->csum_start, head, size = v->gso_size, n;

	if (!(v->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || size == 0 || at + 20 > len ||
		v->csum_offset != (proto == IPPROTO_TCP ? 16 : 6) ||
		at != (four ? (size_t) (data[0] & 15) * 4 : 40) || data[four ? 9 : 6] != proto)
		wrong("a super-packet with a wrong header", NULL, data, len);
	if (get16(data + (four ? 2 : 4)) != len - (four ? 0 : 40))
		wrong("a super-packet with a wrong length", NULL, data, len);
	head = at + (proto == IPPROTO_TCP ? (size_t) (data[at + 12] >> 4) * 4 : 8);
	if (get16(data + at + v->csum_offset) !=
		hostile_sum_fold(hostile_pseudo_sum(data, proto, len - at)))
		wrong("a super-packet with a wrong pseudo checksum", NULL, data, len);
	if (proto == IPPROTO_UDP && get16(data + at + 4) != len - at)
		wrong("a super-packet with a wrong UDP length", NULL, data, len);
	n = (len - head + size - 1) / size;
	n_joined++;
	if (n > n_largest)
		n_largest = n;
	for (size_t i = 0; i < n; i++) {
		size_t part = i + 1 < n ? size : len - head - i * size;

		if (head + part > sizeof(one))
			wrong("a super-packet of large parts", NULL, data, len);
		memcpy(one, data, head);
		memcpy(one + head, data + head + i * size, part);
		if (proto == IPPROTO_TCP) {
			put32(one + at + 4, get32(data + at + 4) + (uint32_t) (i * size));
			if (i + 1 < n)
				one[at + 13] &= (uint8_t) ~0x09;
			if (i > 0)
				one[at + 13] &= (uint8_t) ~0x80;
		}
		if (four) {
			put16(one + 4, (get16(data + 4) + (unsigned) i) & 0xffff);
			hostile_finish_ip4(one, head + part);
		} else {
			put16(one + 4, (unsigned) (head + part - 40));
		}
		hostile_finish_l4(one, at, proto, head + part - at);
		shown(one, head + part, false, true);
	}
}

/* Reads one packet. False: there was none for @wait_ms. True through @ret_mark: the end mark @mark. */
static bool read_shown(int wait_ms, uint32_t mark, bool *ret_mark)
{
	static uint8_t buffer[sizeof(struct virtio_net_hdr) + 66000];
	struct pollfd fd = { .fd = capture_fd, .events = POLLIN };
	struct virtio_net_hdr v;
	uint8_t *data = buffer + sizeof(v);
	ssize_t n;
	size_t len;

	if (poll(&fd, 1, wait_ms) <= 0)
		return false;
	n = recv(capture_fd, buffer, sizeof(buffer), 0);
	if (n < (ssize_t) sizeof(v))
		die("read the device");
	memcpy(&v, buffer, sizeof(v));
	len = (size_t) n - sizeof(v);
	if (len == 36 && data[0] == 0x45 && data[9] == 254 && data[14] == 1) {
		if (get32(data + 20) == mark)
			*ret_mark = true;
		return true;
	}
	if ((v.gso_type & ~VIRTIO_NET_HDR_GSO_ECN) != VIRTIO_NET_HDR_GSO_NONE) {
		shown_joined(data, len, &v);
		return true;
	}
	if (v.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) { /* one packet whose sum is to be made */
		uint16_t sum = (uint16_t) ~hostile_sum_fold(
			hostile_sum(0, data + v.csum_start, len - v.csum_start));

		if ((size_t) v.csum_start + v.csum_offset + 2 > len)
			wrong("a checksum outside", NULL, data, len);
		put16(data + v.csum_start + v.csum_offset,
			sum || v.csum_offset != 6 ? sum : 0xffff);
	}
	shown(data, len, true,
		v.flags & (VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID));
	return true;
}

/* --- the engine ----------------------------------------------------------------------------- */

static void op_send(void *ctx, struct wg_peer *peer, const struct wg_endpoint *to,
	const uint8_t *data, size_t len)
{
	const struct peer_end *e = ctx;

	(void) !sendto(e->fd, data, len, 0, (struct sockaddr *) &target, target_len);
}

/* Answers to us: handshakes count, what the kernel behind the device sends is nobody's. */
static void serve(struct peer_end *e)
{
	uint8_t data[2048];
	ssize_t n;

	wg_device_set_time(e->device, now_us(), now_us());
	while ((n = recv(e->fd, data, sizeof(data), MSG_DONTWAIT)) > 0) {
		const struct wg_endpoint *to = wg_peer_endpoint(e->peer);

		if (data[0] != WG_TYPE_DATA)
			(void) wg_device_receive(e->device, data, (size_t) n, to);
	}
	wg_peer_initiate(e->peer); /* if the session gets old */
	wg_device_tick(e->device);
}

static void send_mark(uint32_t number)
{
	struct packet *p = &packets[n_packets];
	uint8_t *ip = p->inner;

	memset(ip, 0, 48);
	memcpy(ip,
		(uint8_t[]){
			0x45, 0, 0, 36, 0, 0, 0, 0, 64, 254, 0, 0, 10, 20, 1, 2, 10, 20, 0, 1 },
		20);
	hostile_finish_ip4(ip, 36);
	put32(ip + 20, number);
	p->inner_len = 48;
	seal(p, 0);
	send_train(ends[0].fd, p->datagram, p->datagram_len, 0);
}

/* Two marks: before the first is seen, what was sent may still wait to be joined. */
static void await_mark(void)
{
	static uint32_t number;
	uint64_t start = now_us();
	bool found = false;

	number++;
	while (!found) {
		send_mark(number);
		while (!found && read_shown(300, number, &found))
			;
		if (now_us() - start > 20000000) {
			errno = ETIMEDOUT;
			die("the end mark did not come out");
		}
	}
}

static void run_case(const char *name, int off)
{
	case_name = name;
	shown(NULL, 0, false, false);
	serve(&ends[0]);
	serve(&ends[1]);
	if (off)
		for (size_t i = 0; i < n_packets; i++)
			packets[i].expect = NEVER;
	send_packets(off);
	await_mark();
	await_mark();
	for (size_t i = 0; i < n_packets; i++) {
		const struct packet *p = &packets[i];

		if (!p->seen && (p->expect == EXACT || p->expect == UNMARKED))
			wrong("did not come out", p, NULL, 0);
		n_dropped += !p->seen;
	}
	n_cases++;
	n_packets = 0;
}

static void open_end(struct peer_end *e, const char *key_path, const uint8_t public[static 32])
{
	struct wg_config config = { .ops = { .send = op_send },
		.ctx = e,
		.now_us = now_us(),
		.wall_us = (uint64_t) time(NULL) * 1000000 };
	struct endpoint to;
	uint8_t key[32];
	int big = 8 << 20;

	if (key_file_read(key_path, key) < 0)
		die(key_path);
	e->fd = socket(target.ss_family, SOCK_DGRAM, 0);
	(void) setsockopt(e->fd, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof(big));
	if (wg_device_new(&config, &e->device) < 0)
		die("wg_device_new");
	wg_device_set_private_key(e->device, key);
	if (wg_device_add_peer(e->device, public, &e->peer) < 0 ||
		endpoint_from_sockaddr((struct sockaddr *) &target, &to) < 0)
		die("peer");
	wg_peer_set_endpoint(e->peer, &to);
	for (int i = 0; i < 1000 && !wg_peer_sending(e->peer); i++) {
		struct pollfd fd = { .fd = e->fd, .events = POLLIN };

		wg_device_set_time(e->device, now_us(), (uint64_t) time(NULL) * 1000000);
		wg_peer_initiate(e->peer);
		(void) poll(&fd, 1, 20);
		serve(e);
	}
	if (!wg_peer_sending(e->peer)) {
		errno = ETIMEDOUT;
		die("handshake");
	}
}

/* The device seen from inside, in its own namespace. */
static void open_capture(const char *netns, const char *ifname)
{
	int one = 1, big = 64 << 20, home, there;
	struct sockaddr_ll addr = { .sll_family = AF_PACKET, .sll_protocol = htons(3) };
	char path[256];

	(void) snprintf(path, sizeof(path), "/run/netns/%s", netns);
	home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	there = open(path, O_RDONLY | O_CLOEXEC);
	if (home < 0 || there < 0 || setns(there, CLONE_NEWNET) < 0)
		die(path);
	capture_fd = socket(AF_PACKET, SOCK_RAW, 0); /* without link header all the same */
	addr.sll_ifindex = (int) if_nametoindex(ifname);
	(void) setsockopt(capture_fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one));
	(void) setsockopt(capture_fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big));
	if (capture_fd < 0 ||
		setsockopt(capture_fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) < 0 ||
		addr.sll_ifindex == 0 ||
		bind(capture_fd, (struct sockaddr *) &addr, sizeof(addr)) < 0)
		die(ifname);
	if (setns(home, CLONE_NEWNET) < 0)
		die("setns");
	(void) close(home);
	(void) close(there);
}

/* --- cases ---------------------------------------------------------------------------------- */

static void every_mutation(int family, uint8_t proto)
{
	static const size_t sizes[] = { 1208, 64, 1000 };

	for (int m = MUTATE_NONE; m < MUTATION_COUNT; m++) {
		for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
			char name[96];

			hostile_flow_init(&flows[0], 0, (int) (k & 1), family, proto, sizes[k]);
			flows[0].df = k != 1;
			if (!hostile_applies(&flows[0], (enum mutation) m))
				break;
			for (int i = 0; i < 24; i++)
				add(0, i == 9 || i == 15 || (k == 2 && i == 23) ? (enum mutation) m
										: MUTATE_NONE);
			(void) snprintf(name, sizeof(name), "%s over IPv%d, %zu bytes: %s",
				proto == IPPROTO_TCP ? "TCP" : "UDP", family, sizes[k],
				hostile_name(m));
			run_case(name, 0);
		}
	}
}

static void wrong_cuts(void)
{
	static const int offs[] = { -1, 1, -16, 16, -500, 40 };

	if (!super)
		return;
	for (size_t k = 0; k < sizeof(offs) / sizeof(offs[0]); k++) {
		hostile_flow_init(&flows[0], 0, 0, k & 1 ? 4 : 6, IPPROTO_TCP, 1208);
		for (int i = 0; i < 30; i++)
			add(0, MUTATE_NONE);
		run_case("trains cut at the wrong places", offs[k]);
	}
}

/* Flows of all kinds and both peers, mixed. */
static void mixture(unsigned round)
{
	static char name[64];
	unsigned n = 1 + (unsigned) hostile_dice(FLOWS), rate = (unsigned) hostile_dice(4) * 8;

	for (unsigned i = 0; i < n; i++) {
		hostile_flow_init(&flows[i], i, hostile_dice(4) == 0, hostile_dice(2) ? 4 : 6,
			hostile_dice(4) ? IPPROTO_TCP : IPPROTO_UDP,
			hostile_dice(3) ? 1208 : 16 + hostile_dice(1200));
		flows[i].fixed_id = hostile_dice(4) == 0;
	}
	for (unsigned i = 0, left = 0, flow = 0; i < 300; i++) {
		if (left == 0) {
			flow = (unsigned) hostile_dice(n);
			left = (unsigned) (hostile_dice(3) ? 1 + hostile_dice(60) : 1);
		}
		left--;
		add(flow, hostile_dice(100) < rate ? (enum mutation) hostile_dice(MUTATION_COUNT)
						   : MUTATE_NONE);
	}
	if (hostile_dice(3) == 0) /* the counters are then out of order */
		for (int i = 0; i < 20; i++) {
			size_t a = hostile_dice(n_packets), b = hostile_dice(n_packets);
			struct packet t = packets[a];

			if (packets[a].what == hostile_name(MUTATE_TWICE) ||
				packets[b].what == hostile_name(MUTATE_TWICE))
				continue; /* whichever comes first counts */
			packets[a] = packets[b];
			packets[b] = t;
		}
	(void) snprintf(name, sizeof(name), "mixture %u", round);
	run_case(name, 0);
}

int main(int argc, char **argv)
{
	uint8_t public[32];
	cpu_set_t cpus;
	int rounds;

	if (argc < 10) {
		(void) fprintf(stderr, "usage: see the head of hostile-super.c\n");
		return 2;
	}
	(void) setvbuf(stdout, NULL, _IOLBF, 0);
	/* One CPU, so that the packets of one sender stay in order on their way. */
	CPU_ZERO(&cpus);
	CPU_SET(sched_getcpu(), &cpus);
	(void) sched_setaffinity(0, sizeof(cpus), &cpus);
	super = strcmp(argv[8], "super") == 0;
	rounds = atoi(argv[9]);
	hostile_dice_state = argc > 10 ? strtoull(argv[10], NULL, 10) : (uint64_t) time(NULL);
	(void) printf("seed %" PRIu64 "\n", hostile_dice_state);
	if (sodium_init() < 0)
		return 1;
	open_capture(argv[1], argv[2]);
	if (key_file_read(argv[5], public) < 0)
		die(argv[5]);
	{
		struct sockaddr_in6 *six = (struct sockaddr_in6 *) &target;
		struct sockaddr_in *four = (struct sockaddr_in *) &target;

		if (inet_pton(AF_INET, argv[6], &four->sin_addr) == 1) {
			four->sin_family = AF_INET;
			four->sin_port = htons((uint16_t) atoi(argv[7]));
			target_len = sizeof(*four);
		} else if (inet_pton(AF_INET6, argv[6], &six->sin6_addr) == 1) {
			six->sin6_family = AF_INET6;
			six->sin6_port = htons((uint16_t) atoi(argv[7]));
			target_len = sizeof(*six);
		} else {
			return 2;
		}
	}
	open_end(&ends[0], argv[3], public);
	open_end(&ends[1], argv[4], public);
	case_name = "first packet";
	await_mark();
	for (int family = 4; family <= 6; family += 2) {
		every_mutation(family, IPPROTO_TCP);
		every_mutation(family, IPPROTO_UDP);
	}
	wrong_cuts();
	for (int i = 0; i < rounds; i++)
		mixture((unsigned) i);
	(void) printf("%" PRIu64 " cases, sent %" PRIu64 ", came out %" PRIu64 ", withheld %" PRIu64
		      ", joined %" PRIu64 " times, up to %" PRIu64 "\n",
		n_cases, n_sent, n_shown, n_dropped, n_joined, n_largest);
	for (int i = 0; i < 2; i++)
		ends[i].device = wg_device_free(ends[i].device);
	return 0;
}
