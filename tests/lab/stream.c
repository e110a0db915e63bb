/*
 * stream: bytes that are known at every position, over TCP and UDP, and a receiver that compares
 * every one of them.
 *
 *   stream serve ADDRESS PORT CONNECTIONS BYTES    accepts, and does on each what connect does
 *   stream connect ADDRESS PORT CONNECTIONS BYTES  sends BYTES on each of CONNECTIONS, in writes of 1
 *                                                  byte to 200 KB, and receives as many, at once
 *   stream send ADDRESS PORT COUNT MAX PER_SECOND [GSO]
 *                                                  UDP: COUNT datagrams of 0 to MAX bytes; with GSO,
 *                                                  up to 60000 bytes a call are cut by the kernel
 *   stream receive ADDRESS PORT COUNT              ends when all have come, or none for 3 s
 *
 * BYTES takes K, M, G. serve and receive print "ready" first. Status 1, and a line that begins with
 * FAIL, if one byte differs, is missing or too many. A UDP datagram that is lost, seen twice or out
 * of order is counted only; one that differs from what was sent is a failure.
 * A stream that does not move for $STREAM_PATIENCE seconds (60) is a failure too.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 64, WRITE_MAX = 200 * 1000, BLOCK = 64 * 1024, DATAGRAM_MAX = 65507 };

struct flow {
	int fd;
	uint64_t send_key, receive_key; /* of the pattern */
	uint64_t sent, received, write_left;
	uint64_t dice;
	bool closed; /* nothing more to send */
	bool ended;  /* nothing more to receive */
};

static uint64_t now_us(void)
{
	struct timespec t;

	(void) clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static uint64_t roll(uint64_t *dice)
{
	*dice += UINT64_C(0x9e3779b97f4a7c15);
	return mix(*dice);
}

/* Bytes @at .. @at + len of the pattern @key into @ret, which has room for 8 more. */
static const unsigned char *pattern(unsigned char *ret, uint64_t key, uint64_t at, size_t len)
{
	uint64_t word = at / 8;
	size_t skip = at % 8, words = (skip + len + 7) / 8;

	for (size_t i = 0; i < words; i++) {
		uint64_t v = (word + i + key) * UINT64_C(0x9e3779b97f4a7c15);

		v ^= v >> 29;
		memcpy(ret + 8 * i, &v, 8);
	}
	return ret + skip;
}

static __attribute__((noreturn)) void die(const char *what)
{
	(void) printf("FAIL: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t number(const char *text)
{
	char *end = NULL;
	uint64_t n = strtoull(text, &end, 10);

	switch (*end) {
	case 'K':
		return n << 10;
	case 'M':
		return n << 20;
	case 'G':
		return n << 30;
	case '\0':
		return n;
	}
	(void) fprintf(stderr, "stream: no number: %s\n", text);
	exit(2);
}

static socklen_t address(const char *text, const char *port, struct sockaddr_storage *ret)
{
	struct sockaddr_in6 *six = (struct sockaddr_in6 *) ret;
	struct sockaddr_in *four = (struct sockaddr_in *) ret;

	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
		six->sin6_family = AF_INET6;
		six->sin6_port = htons((uint16_t) number(port));
		return sizeof(*six);
	}
	if (inet_pton(AF_INET, text, &four->sin_addr) != 1)
		die(text);
	four->sin_family = AF_INET;
	four->sin_port = htons((uint16_t) number(port));
	return sizeof(*four);
}

static int open_socket(const char *text, const char *port, int type, struct sockaddr_storage *ret,
	socklen_t *ret_len)
{
	int one = 1, fd;

	*ret_len = address(text, port, ret);
	fd = socket(ret->ss_family, type, 0);
	if (fd < 0)
		die("socket");
	(void) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	return fd;
}

/* TCP */

static void flow_init(struct flow *f, int fd, unsigned id, bool server)
{
	int one = 1;

	*f = (struct flow){ .fd = fd,
		.send_key = mix(2 * id + server),
		.receive_key = mix(2 * id + !server),
		.dice = mix(1000 + 2 * id + server) };
	(void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void) fcntl(fd, F_SETFL, O_NONBLOCK);
}

/* A third tiny, a third about a packet or two, a third up to the maximum. */
static uint64_t next_write(struct flow *f)
{
	static const unsigned most[] = { 64, 3000, WRITE_MAX };
	uint64_t r = roll(&f->dice);

	return 1 + (r >> 8) % most[r % 3];
}

static bool flow_send(struct flow *f, uint64_t bytes)
{
	static unsigned char buffer[WRITE_MAX + 16];
	const unsigned char *data;
	ssize_t n;

	if (f->write_left == 0)
		f->write_left = next_write(f);
	if (f->write_left > bytes - f->sent)
		f->write_left = bytes - f->sent;
	data = pattern(buffer, f->send_key, f->sent, f->write_left);
	n = send(f->fd, data, f->write_left, MSG_NOSIGNAL);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n < 0)
		die("send");
	f->sent += (uint64_t) n;
	f->write_left -= (uint64_t) n;
	if (f->sent == bytes) {
		f->closed = true;
		if (shutdown(f->fd, SHUT_WR) < 0)
			die("shutdown");
	}
	return true;
}

static bool flow_receive(struct flow *f, uint64_t bytes)
{
	static unsigned char buffer[BLOCK], expected[BLOCK + 16];
	ssize_t n = recv(f->fd, buffer, 1 + roll(&f->dice) % BLOCK, 0);
	const unsigned char *wanted;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n < 0)
		die("recv");
	if (n == 0) {
		f->ended = true;
		if (f->received == bytes)
			return true;
		(void) printf(
			"FAIL: ended after %" PRIu64 " of %" PRIu64 " bytes\n", f->received, bytes);
		exit(1);
	}
	wanted = pattern(expected, f->receive_key, f->received, (size_t) n);
	if (memcmp(buffer, wanted, (size_t) n) != 0) {
		size_t i = 0;

		while (buffer[i] == wanted[i])
			i++;
		(void) printf("FAIL: byte %" PRIu64 " is %02x, not %02x\n", f->received + i,
			buffer[i], wanted[i]);
		exit(1);
	}
	f->received += (uint64_t) n;
	if (f->received > bytes) {
		(void) printf("FAIL: more than %" PRIu64 " bytes\n", bytes);
		exit(1);
	}
	return true;
}

static int patience_s(void)
{
	const char *text = getenv("STREAM_PATIENCE");

	return text ? atoi(text) : 60;
}

static int run_flows(struct flow *flows, unsigned n, uint64_t bytes)
{
	int patience_ms = 1000 * patience_s();
	uint64_t start = now_us(), total = 0;
	double s;

	for (;;) {
		struct pollfd fds[CONNECTIONS_MAX];
		unsigned open = 0;

		for (unsigned i = 0; i < n; i++) {
			struct flow *f = &flows[i];

			fds[i] = (struct pollfd){ .fd = f->closed && f->ended ? -1 : f->fd,
				.events = (short) ((f->closed ? 0 : POLLOUT) |
						   (f->ended ? 0 : POLLIN)) };
			open += fds[i].fd >= 0;
		}
		if (open == 0)
			break;
		if (poll(fds, n, patience_ms) == 0) {
			(void) printf("FAIL: %u of %u streams stand still\n", open, n);
			for (unsigned i = 0; i < n; i++)
				(void) printf("  sent %" PRIu64 " received %" PRIu64 "\n",
					flows[i].sent, flows[i].received);
			return 1;
		}
		for (unsigned i = 0; i < n; i++) {
			if (fds[i].revents & POLLOUT && !flows[i].closed)
				(void) flow_send(&flows[i], bytes);
			if (fds[i].revents & (POLLIN | POLLHUP | POLLERR) && !flows[i].ended)
				(void) flow_receive(&flows[i], bytes);
		}
	}
	for (unsigned i = 0; i < n; i++)
		total += flows[i].received;
	s = (double) (now_us() - start) / 1e6;
	(void) printf("%u connections, %" PRIu64 " bytes each way, %.1f s, %.2f Gbit/s in all\n", n,
		total, s, 16.0 * (double) total / s / 1e9);
	return 0;
}

static int tcp(bool server, char **argv)
{
	static struct flow flows[CONNECTIONS_MAX];
	unsigned n = (unsigned) number(argv[4]);
	uint64_t bytes = number(argv[5]);
	struct sockaddr_storage sa;
	socklen_t len;
	int fd = -1;

	if (n > CONNECTIONS_MAX || bytes == 0)
		return 2;
	if (server) {
		struct timeval patience = { .tv_sec = patience_s() };

		fd = open_socket(argv[2], argv[3], SOCK_STREAM, &sa, &len);
		/* Also of accept(), and of what is accepted. */
		(void) setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		if (bind(fd, (struct sockaddr *) &sa, len) < 0 || listen(fd, CONNECTIONS_MAX) < 0)
			die("listen");
		(void) puts("ready");
		(void) fflush(stdout);
	}
	for (unsigned i = 0; i < n; i++) {
		uint32_t id = htonl(i);
		int one;

		if (server) {
			one = accept(fd, NULL, NULL);
			/* Connections may be accepted in another order than they were made. */
			if (one < 0 || recv(one, &id, sizeof(id), MSG_WAITALL) != sizeof(id))
				die("accept");
		} else {
			one = open_socket(argv[2], argv[3], SOCK_STREAM, &sa, &len);
			if (connect(one, (struct sockaddr *) &sa, len) < 0 ||
				send(one, &id, sizeof(id), 0) != sizeof(id))
				die("connect");
		}
		flow_init(&flows[i], one, ntohl(id), server);
	}
	return run_flows(flows, n, bytes);
}

/* UDP */

static size_t datagram_len(uint64_t id, uint64_t max)
{
	uint64_t r = mix(id * 3 + 1);

	/* the edges more often than by chance */
	if (r % 64 == 0)
		return 0;
	if (r % 64 == 1)
		return (size_t) max;
	return (size_t) ((r >> 8) % (max + 1));
}

/* The datagram @id: number and length, as much as fits, and a filling that both decide. */
static size_t make_datagram(unsigned char *ret, uint64_t id, size_t len)
{
	unsigned char head[16];
	uint64_t wide = len;

	(void) pattern(ret, mix(id) ^ wide, 0, len);
	memcpy(head, &id, 8);
	memcpy(head + 8, &wide, 8);
	if (len >= sizeof(head))
		memcpy(ret, head, sizeof(head));
	else
		memset(ret, (int) len, len);
	return len;
}

static void send_all(int fd, const void *data, size_t len, int gso)
{
	while (send(fd, data, len, 0) < 0) {
		if (errno == EINVAL && gso > 0)
			die("UDP_SEGMENT");
		/* ECONNREFUSED: the last one was refused, this one was not sent. */
		if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR &&
			errno != ECONNREFUSED && errno != EPERM && errno != ENETUNREACH &&
			errno != EHOSTUNREACH && errno != ENETDOWN)
			die("send");
		(void) usleep(1000);
	}
}

/* With GSO: datagrams @id and on, all of one length, in one call. Returns how many. */
static uint64_t send_train(int fd, uint64_t id, uint64_t count, uint64_t max)
{
	static unsigned char train[DATAGRAM_MAX + 64];
	int size = (int) (16 + mix(id) % (max - 15));
	uint64_t n = 1 + mix(id * 7) % 60, i;
	size_t len = 0;

	for (i = 0; i < n && i < count && len + (size_t) size <= 60000; i++)
		len += make_datagram(train + len, id + i, (size_t) size);
	if (setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)) < 0)
		die("UDP_SEGMENT");
	send_all(fd, train, len, size);
	return i;
}

static int udp_send(int argc, char **argv)
{
	static unsigned char data[DATAGRAM_MAX + 64];
	uint64_t count = number(argv[4]), max = number(argv[5]), rate = number(argv[6]);
	uint64_t start = now_us(), bytes = 0;
	struct sockaddr_storage sa;
	int big = 4 << 20;
	socklen_t len;
	int fd = open_socket(argv[2], argv[3], SOCK_DGRAM, &sa, &len);

	if (max > DATAGRAM_MAX || max < 16 || connect(fd, (struct sockaddr *) &sa, len) < 0)
		die("connect");
	(void) setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof(big));
	for (uint64_t id = 0; id < count;) {
		uint64_t due = start + id * 1000000 / rate, now = now_us();

		if (due > now + 1000)
			(void) usleep((useconds_t) (due - now));
		else if (now > due + 20000)
			start += now - due; /* a sender that had to wait does not hurry after it */
		if (argc > 7) {
			id += send_train(fd, id, count - id, max);
			continue;
		}
		send_all(fd, data, make_datagram(data, id, datagram_len(id, max)), 0);
		bytes += datagram_len(id, max);
		id++;
	}
	(void) printf("sent %" PRIu64 " bytes %" PRIu64 "\n", count, bytes);
	return 0;
}

static int udp_receive(char **argv)
{
	static unsigned char data[DATAGRAM_MAX + 64], wanted[DATAGRAM_MAX + 64];
	uint64_t count = number(argv[4]), got = 0, again = 0, reordered = 0, tiny = 0, next = 0;
	unsigned char *seen = calloc(count + 1, 1);
	struct timeval patience = { .tv_sec = 20 };
	struct sockaddr_storage sa;
	int big = 64 << 20;
	socklen_t len;
	int fd = open_socket(argv[2], argv[3], SOCK_DGRAM, &sa, &len);

	if (!seen || bind(fd, (struct sockaddr *) &sa, len) < 0)
		die("bind");
	(void) setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big));
	(void) puts("ready");
	(void) fflush(stdout);
	while (got + tiny < count) {
		uint64_t id = 0;
		ssize_t n;

		(void) setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		n = recv(fd, data, sizeof(data), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		patience.tv_sec = 3;
		if (n >= 16)
			memcpy(&id, data, sizeof(id));
		(void) make_datagram(wanted, id, (size_t) n);
		if (id >= count || memcmp(data, wanted, (size_t) n) != 0) {
			(void) printf(
				"FAIL: a datagram of %zd bytes differs from what was sent\n", n);
			return 1;
		}
		if (n < 16) {
			tiny++; /* cannot be told apart */
			continue;
		}
		if (seen[id])
			again++;
		else
			got++;
		seen[id] = 1;
		if (id < next)
			reordered++;
		else
			next = id + 1;
	}
	(void) printf("received %" PRIu64 " tiny %" PRIu64 " duplicates %" PRIu64
		      " reordered %" PRIu64 "\n",
		got, tiny, again, reordered);
	free(seen);
	return 0;
}

int main(int argc, char **argv)
{
	(void) signal(SIGPIPE, SIG_IGN);
	if (argc == 6 && strcmp(argv[1], "serve") == 0)
		return tcp(true, argv);
	if (argc == 6 && strcmp(argv[1], "connect") == 0)
		return tcp(false, argv);
	if (argc >= 7 && strcmp(argv[1], "send") == 0)
		return udp_send(argc, argv);
	if (argc == 5 && strcmp(argv[1], "receive") == 0)
		return udp_receive(argv);
	(void) fprintf(stderr, "usage: see the head of stream.c\n");
	return 2;
}
