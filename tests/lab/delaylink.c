/*
 * delaylink: a cable in userspace between two interfaces of one network namespace, for kernels
 * without netem: delay, jitter (which reorders), loss, duplication, corruption and a rate limit.
 *
 *   delaylink [OPTION...] IF1 IF2 [DELAY_MS [JITTER_MS [LOSS_PERMILLE [DUP_PERMILLE [KBIT]]]]]
 *
 *   -r PERMILLE  so many frames are held back by JITTER_MS (default: all, by 0 to JITTER_MS)
 *   -c PERMILLE  in so many UDP frames one bit of the payload is flipped
 *   -f PERMILLE  the same, and the UDP checksum is made to fit again
 *   -s           super-frames cross unsegmented, with their virtio header (PACKET_VNET_HDR); the
 *                far ends keep their offloads, and what -c flips gets a right checksum by itself
 *
 * Prints "ready" when frames cross in both directions (AF_PACKET), and on SIGTERM one line with what
 * it did: frames in, lost, duplicated, delivered; with options also held back, corrupted, forged
 * and the longest. Without -s, switch the offloads off at the FAR ends first, or frames arrive
 * unsegmented and without checksums: ethtool -K eth0 tx off tso off gso off gro off.
 * $DELAYLINK_SEED makes the dice repeatable.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
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

enum {
	QUEUE_MAX = 65536,
	QUEUE_BYTES_MAX = 256 << 20,
	VNET_LEN = sizeof(struct virtio_net_hdr),
	FRAME_MAX = 65600 + VNET_LEN,
	QUEUE_NS = 200000000,
	BURST = 64
};

struct frame {
	uint64_t due_ns, seq;
	int to;
	size_t len;
	unsigned char *data;
};

static struct frame heap[QUEUE_MAX];
static size_t n_heap, heap_bytes;
static uint64_t n_in, n_lost, n_dup, n_out, n_held, n_corrupt, n_forged, longest;
static volatile sig_atomic_t stop;

static double delay_ms, jitter_ms, kbit;
static long loss, dup_rate, hold_rate = -1, corrupt_rate, forge_rate;
static bool super;
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

	heap_bytes += f.len;
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

	heap_bytes -= top.len;
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
	if (super) {
		(void) setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof(big));
		if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) < 0) {
			perror("PACKET_VNET_HDR");
			exit(1);
		}
	}
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

/* Where the UDP header of an Ethernet frame begins, or 0. */
static size_t find_udp(const unsigned char *frame, size_t len)
{
	size_t at = 14;

	if (len < at + 40)
		return 0;
	if (frame[12] == 0x08 && frame[13] == 0x00) {
		if (frame[at + 9] != 17 || ((frame[at + 6] & 0x1f) | frame[at + 7]))
			return 0;
		at += (size_t) (frame[at] & 15) * 4;
	} else if (frame[12] == 0x86 && frame[13] == 0xdd && frame[at + 6] == 17) {
		at += 40;
	} else {
		return 0;
	}
	return len > at + 8 ? at : 0;
}

/* RFC 1624: the checksum at @sum after the word @old became @new. */
static void mend_checksum(unsigned char *sum, unsigned old, unsigned new)
{
	unsigned c = ~((unsigned) sum[0] << 8 | sum[1]) & 0xffff;

	c += (~old & 0xffff) + new;
	c = (c & 0xffff) + (c >> 16);
	c = (c & 0xffff) + (c >> 16);
	c = ~c & 0xffff;
	if (c == 0)
		c = 0xffff; /* zero means: none */
	sum[0] = (unsigned char) (c >> 8);
	sum[1] = (unsigned char) c;
}

static void corrupt(unsigned char *frame, size_t len)
{
	bool forge = forge_rate && dice(forge_rate);
	bool flip = forge || (corrupt_rate && dice(corrupt_rate));
	size_t udp = flip ? find_udp(frame, len) : 0, at;
	unsigned old;

	if (!udp)
		return;
	at = 8 + (size_t) random() % (len - udp - 8);
	old = (unsigned) frame[udp + (at & ~1U)] << 8;
	if ((at | 1) < len - udp)
		old |= frame[udp + (at | 1)];
	frame[udp + at] ^= (unsigned char) (1 << random() % 8);
	if (forge) {
		unsigned new = (unsigned) frame[udp + (at & ~1U)] << 8;

		if ((at | 1) < len - udp)
			new |= frame[udp + (at | 1)];
		mend_checksum(frame + udp + 6, old, new);
	}
	*(forge ? &n_forged : &n_corrupt) += 1;
}

static void enqueue(int from, const unsigned char *data, size_t len)
{
	size_t head = super ? VNET_LEN : 0;
	static uint64_t seq;
	uint64_t now = now_ns(), due = now + (uint64_t) (delay_ms * 1e6);
	struct frame f = { .seq = seq++, .to = !from, .len = len };

	if (jitter_ms > 0 && hold_rate < 0)
		due += (uint64_t) (jitter_ms * 1e6 * (double) random() / 2147483648.0);
	else if (hold_rate > 0 && dice(hold_rate)) {
		due += (uint64_t) (jitter_ms * 1e6);
		n_held++;
	}
	if (dice(loss) || n_heap == QUEUE_MAX || heap_bytes > QUEUE_BYTES_MAX ||
		!pass_wire(from, len, now, &due)) {
		n_lost++;
		return;
	}
	f.due_ns = due;
	f.data = malloc(len);
	if (!f.data)
		exit(1);
	memcpy(f.data, data, len);
	corrupt(f.data + head, len - head);
	if (len - head > longest)
		longest = len - head;
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
	int option;

	while ((option = getopt(argc, argv, "r:c:f:s")) >= 0) {
		switch (option) {
		case 'r':
			hold_rate = atol(optarg);
			break;
		case 'c':
			corrupt_rate = atol(optarg);
			break;
		case 'f':
			forge_rate = atol(optarg);
			break;
		case 's':
			super = true;
			break;
		default:
			argc = 0;
		}
	}
	if (argc > 0) {
		argc -= optind - 1;
		argv += optind - 1;
	}
	if (argc < 3) {
		(void) fprintf(stderr,
			"usage: delaylink [-r PERMILLE] [-c PERMILLE] [-f PERMILLE] [-s] "
			"IF1 IF2 [DELAY_MS [JITTER_MS [LOSS_PERMILLE "
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
	(void) printf("in %" PRIu64 " lost %" PRIu64 " duplicated %" PRIu64 " out %" PRIu64, n_in,
		n_lost, n_dup, n_out);
	if (hold_rate >= 0 || corrupt_rate || forge_rate || super)
		(void) printf(" held %" PRIu64 " corrupted %" PRIu64 " forged %" PRIu64
			      " longest %" PRIu64,
			n_held, n_corrupt, n_forged, longest);
	(void) puts("");
	return 0;
}
