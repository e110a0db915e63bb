/*
 * delaylink: a cable in userspace between two interfaces of one network namespace, for kernels
 * without netem: delay, jitter (which reorders), loss, duplication and a rate limit.
 *
 *   delaylink IF1 IF2 [DELAY_MS [JITTER_MS [LOSS_PERMILLE [DUP_PERMILLE [KBIT]]]]]
 *
 * Prints "ready" when frames cross in both directions (AF_PACKET), and on SIGTERM one line with what
 * it did: frames in, lost, duplicated, delivered. Switch the offloads off at the FAR ends first, or
 * frames arrive unsegmented and without checksums: ethtool -K eth0 tx off tso off gso off gro off.
 * $DELAYLINK_SEED makes the dice repeatable.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
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

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

enum { QUEUE_MAX = 65536, FRAME_MAX = 65600, QUEUE_NS = 200000000, BURST = 64 };

struct frame {
	uint64_t due_ns, seq;
	int to;
	size_t len;
	unsigned char *data;
};

static struct frame heap[QUEUE_MAX];
static size_t n_heap;
static uint64_t n_in, n_lost, n_dup, n_out;
static volatile sig_atomic_t stop;

static double delay_ms, jitter_ms, kbit;
static long loss, dup_rate;
static uint64_t wire_ns[2]; /* when each direction's wire is free again */

static uint64_t now_ns(void)
{
	struct timespec t;

	(void) clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t) t.tv_sec * 1000000000U + (uint64_t) t.tv_nsec;
}

static bool before(const struct frame *a, const struct frame *b)
{
	return a->due_ns < b->due_ns || (a->due_ns == b->due_ns && a->seq < b->seq);
}

static void push(struct frame f)
{
	size_t i = n_heap++;

	while (i > 0 && before(&f, &heap[(i - 1) / 2])) {
		heap[i] = heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	heap[i] = f;
}

static struct frame pop(void)
{
	struct frame top = heap[0], f = heap[--n_heap];
	size_t i = 0, c;

	while ((c = 2 * i + 1) < n_heap) {
		if (c + 1 < n_heap && before(&heap[c + 1], &heap[c]))
			c++;
		if (!before(&heap[c], &f))
			break;
		heap[i] = heap[c];
		i = c;
	}
	heap[i] = f;
	return top;
}

static int open_interface(const char *name)
{
	int one = 1, big = 16 << 20, fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0);
	int index = (int) if_nametoindex(name);
	struct sockaddr_ll addr = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = index
	};
	struct packet_mreq all = { .mr_type = PACKET_MR_PROMISC, .mr_ifindex = index };

	(void) setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one));
	(void) setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big));
	(void) setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all));
	if (fd < 0 || index == 0 || bind(fd, (struct sockaddr *) &addr, sizeof(addr)) < 0) {
		perror(name);
		exit(1);
	}
	return fd;
}

static bool dice(long permille)
{
	return random() % 1000 < permille;
}

/* When the rate limit lets @len more bytes through, or false: the queue is full. */
static bool pass_wire(int from, size_t len, uint64_t now, uint64_t *due)
{
	uint64_t *wire = &wire_ns[from];

	if (kbit <= 0)
		return true;
	if (*wire < now)
		*wire = now;
	if (*wire - now > QUEUE_NS)
		return false;
	*wire += (uint64_t) ((double) len * 8e6 / kbit);
	*due += *wire - now;
	return true;
}

static void enqueue(int from, const unsigned char *data, size_t len)
{
	static uint64_t seq;
	uint64_t now = now_ns(), due = now + (uint64_t) (delay_ms * 1e6);
	struct frame f = { .seq = seq++, .to = !from, .len = len };

	if (jitter_ms > 0)
		due += (uint64_t) (jitter_ms * 1e6 * (double) random() / 2147483648.0);
	if (dice(loss) || n_heap == QUEUE_MAX || !pass_wire(from, len, now, &due)) {
		n_lost++;
		return;
	}
	f.due_ns = due;
	f.data = malloc(len);
	if (!f.data)
		exit(1);
	memcpy(f.data, data, len);
	push(f);
}

static void receive(int from, int fd)
{
	static unsigned char data[FRAME_MAX];

	for (int i = 0; i < BURST; i++) {
		ssize_t n = recv(fd, data, sizeof(data), 0);

		if (n <= 0)
			return;
		n_in++;
		enqueue(from, data, (size_t) n);
		if (dice(dup_rate)) {
			n_dup++;
			enqueue(from, data, (size_t) n);
		}
	}
}

static void deliver(const struct pollfd fds[static 2])
{
	for (uint64_t now = now_ns(); n_heap > 0 && heap[0].due_ns <= now; now = now_ns()) {
		struct frame f = pop();

		if (send(fds[f.to].fd, f.data, f.len, 0) >= 0)
			n_out++;
		else if (errno == ENETDOWN)
			(void) usleep(1000);
		free(f.data);
	}
}

static void on_signal(int number)
{
	(void) number;
	stop = 1;
}

int main(int argc, char **argv)
{
	const char *seed = getenv("DELAYLINK_SEED");
	struct pollfd fds[2];

	if (argc < 3) {
		(void) fprintf(stderr,
			"usage: delaylink IF1 IF2 [DELAY_MS [JITTER_MS [LOSS_PERMILLE "
			"[DUP_PERMILLE [KBIT]]]]]\n");
		return 2;
	}
	delay_ms = argc > 3 ? atof(argv[3]) : 0;
	jitter_ms = argc > 4 ? atof(argv[4]) : 0;
	loss = argc > 5 ? atol(argv[5]) : 0;
	dup_rate = argc > 6 ? atol(argv[6]) : 0;
	kbit = argc > 7 ? atof(argv[7]) : 0;
	srandom(seed ? (unsigned) atol(seed) : (unsigned) now_ns());
	for (int i = 0; i < 2; i++)
		fds[i] = (struct pollfd){ .fd = open_interface(argv[1 + i]), .events = POLLIN };
	(void) signal(SIGTERM, on_signal);
	(void) signal(SIGINT, on_signal);
	(void) puts("ready");
	(void) fflush(stdout);
	while (!stop) {
		struct timespec wait = { .tv_sec = 1 };

		if (n_heap > 0) {
			int64_t left = (int64_t) (heap[0].due_ns - now_ns());

			wait.tv_sec = left > 0 ? left / 1000000000 : 0;
			wait.tv_nsec = left > 0 ? left % 1000000000 : 0;
		}
		(void) ppoll(fds, 2, &wait, NULL);
		for (int i = 0; i < 2; i++)
			receive(i, fds[i].fd);
		deliver(fds);
	}
	(void) printf("in %" PRIu64 " lost %" PRIu64 " duplicated %" PRIu64 " out %" PRIu64 "\n",
		n_in, n_lost, n_dup, n_out);
	return 0;
}
