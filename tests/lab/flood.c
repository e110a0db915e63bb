/*
 * flood: messages of one kind, as many as can be sent, against a WireGuard port.
 *
 *   flood KIND PUBLIC ADDRESS PORT PER_SECOND SECONDS own|single
 *   flood KIND PUBLIC ADDRESS PORT PER_SECOND SECONDS IF MAC     from addresses drawn at random
 *
 * KIND: bad-mac, good-mac (initiations; the MAC1 made with the public key in the file PUBLIC), response
 * (MAC1 good), cookie, unknown (data for indices nobody has), junk (lengths and types at random),
 * replay (data messages that go to ADDRESS:PORT now, captured on the interface $FLOOD_CAPTURE).
 * "own" sends trains (UDP_SEGMENT) from this host's address, "single" one datagram each. With an
 * interface, whole IPv4 frames are made, from 10.66.0.0/16, to the hardware address MAC.
 * Prints "ready", then how many were sent and how many that is a second.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "key-file.h"
#include "wg/crypto.h"

enum { POOL = 2048, MESSAGE_MAX = 1500, FRAME_HEAD = 42, BATCH = 64 };

struct message {
	size_t len;
	uint8_t head[FRAME_HEAD + 2]; /* 2 unused, so that @data is aligned */
	uint8_t data[MESSAGE_MAX];
};

static struct message pool[POOL];
static struct sockaddr_in target;
static uint64_t dice_state = 88172645463325252;

static uint64_t dice(void)
{
	dice_state ^= dice_state << 13;
	dice_state ^= dice_state >> 7;
	dice_state ^= dice_state << 17;
	return dice_state;
}

static double now_s(void)
{
	struct timespec t;

	(void) clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static __attribute__((noreturn)) void die(const char *what)
{
	(void) fprintf(stderr, "flood: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void add_mac1(struct wg_crypto *crypto, const uint8_t public[static 32], struct message *m)
{
	uint8_t key[WG_HASH_LEN];

	wg_hash(crypto, key, "mac1----", 8, public, 32);
	wg_mac(crypto, m->data + wg_mac1_offset(m->len), key, sizeof(key), m->data,
		wg_mac1_offset(m->len));
	memset(m->data + wg_mac2_offset(m->len), 0, WG_MAC_LEN);
}

static void make_pool(const char *kind, const uint8_t public[static 32])
{
	struct wg_crypto crypto;
	bool good = strcmp(kind, "good-mac") == 0, junk = strcmp(kind, "junk") == 0;

	if (wg_crypto_init(&crypto) < 0)
		die("wg_crypto_init");
	for (int i = 0; i < POOL; i++) {
		struct message *m = &pool[i];
		uint32_t type = WG_TYPE_INITIATION;

		m->len = WG_INITIATION_LEN;
		if (strcmp(kind, "response") == 0) {
			type = WG_TYPE_RESPONSE;
			m->len = WG_RESPONSE_LEN;
			good = true;
		} else if (strcmp(kind, "cookie") == 0) {
			type = WG_TYPE_COOKIE_REPLY;
			m->len = WG_COOKIE_REPLY_LEN;
		} else if (strcmp(kind, "unknown") == 0) {
			type = WG_TYPE_DATA;
			m->len = 128;
		} else if (junk) {
			type = (uint32_t) (dice() % 7);
			m->len = 1 + dice() % 200;
		}
		randombytes_buf(m->data, m->len);
		if (m->len >= 4)
			wg_le32_write(m->data, type);
		if (good)
			add_mac1(&crypto, public, m);
	}
	wg_crypto_done(&crypto);
}

/* Fills the pool with what really goes to the target. */
static void capture_pool(const char *ifname)
{
	struct sockaddr_ll addr = { .sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int) if_nametoindex(ifname) };
	int fd = socket(AF_PACKET, SOCK_DGRAM, 0), n = 0;
	uint8_t data[2048];

	if (fd < 0 || bind(fd, (struct sockaddr *) &addr, sizeof(addr)) < 0)
		die(ifname);
	while (n < 20) {
		ssize_t len = recv(fd, data, sizeof(data), 0);

		if (len < 28 + WG_DATA_MIN_LEN || data[0] != 0x45 || data[9] != IPPROTO_UDP ||
			memcmp(data + 16, &target.sin_addr, 4) != 0 ||
			memcmp(data + 22, &target.sin_port, 2) != 0 || data[28] != WG_TYPE_DATA)
			continue;
		pool[n].len = (size_t) len - 28;
		memcpy(pool[n++].data, data + 28, (size_t) len - 28);
	}
	for (int i = n; i < POOL; i++)
		pool[i] = pool[i % n];
	(void) close(fd);
}

/* Ethernet, IPv4 and UDP (without checksum) in front of a message. */
static void frame_message(struct message *m, const uint8_t mac[static 6])
{
	uint8_t *f = m->head + 2, *ip = f + 14;
	uint32_t sum = 0;

	memcpy(f, mac, 6);
	memcpy(f + 6, "\x02\x66\x66\x66\x66\x66\x08\x00", 8);
	memset(ip, 0, 28);
	ip[0] = 0x45;
	ip[2] = (uint8_t) ((m->len + 28) >> 8);
	ip[3] = (uint8_t) (m->len + 28);
	ip[8] = 64;
	ip[9] = IPPROTO_UDP;
	ip[12] = 10;
	ip[13] = 66;
	ip[14] = (uint8_t) dice();
	ip[15] = (uint8_t) dice();
	memcpy(ip + 16, &target.sin_addr, 4);
	for (int i = 0; i < 20; i += 2)
		sum += (uint32_t) ip[i] << 8 | ip[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	ip[10] = (uint8_t) (sum >> 8);
	ip[11] = (uint8_t) sum;
	ip[20] = (uint8_t) (0x80 | dice());
	ip[21] = (uint8_t) dice();
	memcpy(ip + 22, &target.sin_port, 2);
	ip[24] = (uint8_t) ((m->len + 8) >> 8);
	ip[25] = (uint8_t) (m->len + 8);
}

static int open_frames(const char *ifname, const char *mac_text)
{
	struct sockaddr_ll addr = { .sll_family = AF_PACKET,
		.sll_ifindex = (int) if_nametoindex(ifname) };
	int fd = socket(AF_PACKET, SOCK_RAW, 0), on = 1;
	unsigned m[6];
	uint8_t mac[6];

	if (fd < 0 || bind(fd, (struct sockaddr *) &addr, sizeof(addr)) < 0)
		die(ifname);
	(void) setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on));
	if (sscanf(mac_text, "%x:%x:%x:%x:%x:%x", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5]) != 6)
		die(mac_text);
	for (int i = 0; i < 6; i++)
		mac[i] = (uint8_t) m[i];
	for (int i = 0; i < POOL; i++)
		frame_message(&pool[i], mac);
	return fd;
}

static int open_udp(bool train)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0), size = (int) pool[0].len;

	if (fd < 0 || connect(fd, (struct sockaddr *) &target, sizeof(target)) < 0)
		die("connect");
	if (train && setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)) < 0)
		die("UDP_SEGMENT");
	return fd;
}

/* One call's worth, from place @at of the pool. Returns how many went out. */
static unsigned send_train(int fd, unsigned at)
{
	static uint8_t train[BATCH * MESSAGE_MAX];
	size_t len = 0;

	for (unsigned i = 0; i < BATCH; i++) {
		const struct message *m = &pool[(at + i) % POOL];

		memcpy(train + len, m->data, m->len);
		len += m->len;
	}
	return send(fd, train, len, 0) > 0 ? BATCH : 0;
}

static unsigned send_batch(int fd, unsigned at, bool frames)
{
	struct mmsghdr msgs[BATCH] = { 0 };
	struct iovec iovs[BATCH][2];
	int n;

	for (unsigned i = 0; i < BATCH; i++) {
		struct message *m = &pool[(at + i) % POOL];

		iovs[i][0] = (struct iovec){ m->head + 2, frames ? FRAME_HEAD : 0 };
		iovs[i][1] = (struct iovec){ m->data, m->len };
		msgs[i].msg_hdr.msg_iov = frames ? iovs[i] : &iovs[i][1];
		msgs[i].msg_hdr.msg_iovlen = frames ? 2 : 1;
	}
	n = sendmmsg(fd, msgs, BATCH, 0);
	return n > 0 ? (unsigned) n : 0;
}

int main(int argc, char **argv)
{
	bool frames = argc == 9, train;
	uint8_t public[32];
	uint64_t sent = 0;
	double rate, seconds, start, passed;
	int fd;

	if (argc != 8 && argc != 9) {
		(void) fprintf(stderr, "usage: see the head of flood.c\n");
		return 2;
	}
	target = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_port = htons((uint16_t) atoi(argv[4])) };
	if (sodium_init() < 0 || inet_pton(AF_INET, argv[3], &target.sin_addr) != 1)
		die(argv[3]);
	rate = atof(argv[5]);
	seconds = atof(argv[6]);
	if (key_file_read(argv[2], public) < 0)
		die(argv[2]);
	train = strcmp(argv[7], "own") == 0;
	if (strcmp(argv[1], "replay") == 0)
		capture_pool(getenv("FLOOD_CAPTURE") ? getenv("FLOOD_CAPTURE") : argv[7]);
	else
		make_pool(argv[1], public);
	fd = frames ? open_frames(argv[7], argv[8]) : open_udp(train);
	(void) puts("ready");
	(void) fflush(stdout);
	start = now_s();
	while ((passed = now_s() - start) < seconds) {
		unsigned at = (unsigned) (sent % POOL);

		if ((double) sent > passed * rate) {
			(void) usleep(100);
			continue;
		}
		sent += train ? send_train(fd, at) : send_batch(fd, at, frames);
	}
	(void) printf("sent %" PRIu64 ", %.0f a second\n", sent, (double) sent / passed);
	return 0;
}
