/*
 * rtt: idle round trips. `rtt ADDRESS COUNT PAUSE_US SIZE` sends COUNT ICMP echo requests (IPv4, SIZE bytes)
 * one after another with a pause between them, and prints median and 5th percentile in microseconds,
 * and how many were answered within 200 ms. The other end answers in its kernel: what is measured is
 * the way, not a program at its end.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { PAYLOAD_MAX = 1472, COUNT_MAX = 100000 };

struct echo {
	struct icmphdr head;
	uint8_t payload[PAYLOAD_MAX];
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t) t.tv_sec * 1000000000 + (uint64_t) t.tv_nsec;
}

static uint16_t checksum(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t) p[i] | (uint32_t) p[i + 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~sum;
}

/* One request and its answer; false if none came. */
static bool ping(int fd, size_t payload, uint16_t id, uint16_t sequence, uint64_t *ret_ns)
{
	struct echo echo = { .head = { .type = ICMP_ECHO } };
	const size_t len = sizeof(echo.head) + payload;
	uint8_t answer[2048];
	uint64_t start;

	echo.head.un.echo.id = htons(id);
	echo.head.un.echo.sequence = htons(sequence);
	echo.head.checksum = checksum(&echo, len);
	start = now_ns();
	if (send(fd, &echo, len, 0) != (ssize_t) len)
		return false;
	for (;;) {
		ssize_t n = recv(fd, answer, sizeof(answer), 0);
		uint64_t end = now_ns();
		struct icmphdr head;
		size_t skip;

		if (n < (ssize_t) sizeof(struct iphdr))
			return false;
		skip = (size_t) (answer[0] & 15) * 4;
		if ((size_t) n < skip + sizeof(head))
			continue;
		memcpy(&head, answer + skip, sizeof(head));
		if (head.type != ICMP_ECHOREPLY || head.un.echo.id != echo.head.un.echo.id ||
			head.un.echo.sequence != echo.head.un.echo.sequence)
			continue;
		*ret_ns = end - start;
		return true;
	}
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	const struct timeval patience = { .tv_usec = 200000 };
	unsigned long count, pause_us, size;
	uint64_t *times;
	size_t answered = 0;
	int fd;

	if (argc != 5 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) {
		fprintf(stderr, "usage: rtt ADDRESS COUNT PAUSE_US SIZE\n");
		return 2;
	}
	count = strtoul(argv[2], NULL, 10);
	pause_us = strtoul(argv[3], NULL, 10);
	size = strtoul(argv[4], NULL, 10);
	if (size % 2 || size > PAYLOAD_MAX || count < 1 || count > COUNT_MAX || pause_us >= 1000000)
		return 2;
	times = calloc(count, sizeof(*times));
	fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
	if (!times || fd < 0 || connect(fd, (struct sockaddr *) &to, sizeof(to)) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0) {
		fprintf(stderr, "rtt: %s\n", strerror(errno));
		return 1;
	}
	for (unsigned long i = 0; i < count; i++) {
		const struct timespec pause = { .tv_nsec = (long) pause_us * 1000 };

		nanosleep(&pause, NULL);
		answered += ping(fd, size, (uint16_t) getpid(), (uint16_t) i, &times[answered]);
	}
	qsort(times, answered, sizeof(*times), compare);
	printf("%.1f %.1f %zu\n", answered ? (double) times[answered / 2] / 1e3 : 0.0,
		answered ? (double) times[answered / 20] / 1e3 : 0.0, answered);
	free(times);
	close(fd);
	return 0;
}
