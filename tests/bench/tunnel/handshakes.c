/*
 * handshakes: many initiators in one process, to see what answering them costs a responder.
 *
 *     handshakes keys COUNT                  public keys of the initiators, base64, one a line
 *     handshakes run ADDRESS PORT KEY COUNT RATE SECONDS ALL
 *
 * Initiator i has its own key and sends from 10.128.0.0 + i, which the caller has made local (so that
 * no limit per address is met). They take turns: RATE valid initiations a second in all (0: as fast as
 * they are answered), at most 48 unanswered at a time. A cookie is taken and used. One answer in 16,
 * or with ALL = 1 every one, is verified to the end, and the session confirmed with a keepalive.
 * SECONDS 0: every initiator once. Prints: sent answered verified wrong cookies seconds
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "wg/cookie.h"
#include "wg/crypto.h"
#include "wg/noise.h"
#include "wg/stamp.h"
#include "wire/wg.h"

enum { COUNT_MAX = 60000, OUTSTANDING_MAX = 48, VERIFY_EVERY = 16, BUFFER = 4 << 20 };
#define FIRST_ADDRESS UINT32_C(0x0a800000)
#define PATIENCE_US   UINT64_C(300000)

struct initiator {
	struct wg_identity identity;
	struct wg_remote remote;
	struct wg_handshake handshake;
	struct wg_cookie_jar jar;
	uint64_t sent_us; /* 0: nothing is unanswered */
};

struct bench {
	struct wg_crypto crypto;
	struct initiator *initiators;
	struct sockaddr_in to;
	uint32_t count, next;
	int fd;
	bool all;
	uint64_t now_us, stamp_s;
	unsigned long outstanding, sent, answered, verified, wrong, cookies;
};

/* Private keys are the same in every run: the caller configures their public ones beforehand. */
static void private_key(uint32_t i, uint8_t ret[static WG_KEY_LEN])
{
	static const char name[] = "tunnel bench initiator";

	crypto_generichash(ret, WG_KEY_LEN, (const uint8_t *) &i, sizeof(i), (const uint8_t *) name,
		sizeof(name));
	wg_private_key_clamp(ret);
}

static int print_keys(uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint8_t private[WG_KEY_LEN], public[WG_KEY_LEN];
		char text[KEY_BASE64_LEN];

		private_key(i, private);
		if (crypto_scalarmult_base(public, private))
			return 1;
		key_to_base64(public, text);
		puts(text);
	}
	return 0;
}

static int send_from(struct bench *b, uint32_t i, const uint8_t *data, size_t len)
{
	union {
		struct cmsghdr head;
		uint8_t bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *) (uintptr_t) data, .iov_len = len };
	struct msghdr message = { .msg_name = &b->to,
		.msg_namelen = sizeof(b->to),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes) };
	struct in_pktinfo info = { .ipi_spec_dst.s_addr = htonl(FIRST_ADDRESS + i) };

	control.head.cmsg_level = IPPROTO_IP;
	control.head.cmsg_type = IP_PKTINFO;
	control.head.cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(&control.head), &info, sizeof(info));
	return sendmsg(b->fd, &message, 0) < 0 ? -errno : 0;
}

static int initiate(struct bench *b, uint32_t i)
{
	struct initiator *who = &b->initiators[i];
	/* later than any before, in this run and in runs before it */
	const struct wg_stamp stamp = { .s = b->stamp_s, .ns = (uint32_t) (b->sent % 1000000000) };
	uint8_t timestamp[WG_TIMESTAMP_LEN], data[WG_INITIATION_LEN];
	struct wg_initiation message;
	int r;

	wg_stamp_format(&stamp, timestamp);
	r = wg_noise_initiate(&b->crypto, &who->identity, &who->remote, timestamp, i + 1,
		&who->handshake, &message);
	if (r < 0)
		return r;
	wg_initiation_format(&message, data);
	wg_macs_add(&b->crypto, &who->jar, &who->remote, data, sizeof(data), b->now_us);
	if (who->sent_us == 0)
		b->outstanding++;
	who->sent_us = b->now_us;
	b->sent++;
	return send_from(b, i, data, sizeof(data));
}

static void settle(struct bench *b, struct initiator *who)
{
	b->outstanding -= who->sent_us != 0;
	who->sent_us = 0;
}

static void take_response(struct bench *b, uint32_t i, const struct wg_response *response)
{
	struct initiator *who = &b->initiators[i];
	struct wg_transport_keys keys;
	uint8_t keepalive[WG_DATA_MIN_LEN];

	if (who->sent_us == 0 || response->receiver != i + 1) {
		b->wrong++;
		return;
	}
	settle(b, who);
	b->answered++;
	if (!b->all && b->answered % VERIFY_EVERY)
		return;
	if (wg_noise_complete(
		    &b->crypto, &who->identity, &who->remote, &who->handshake, response, &keys)) {
		b->wrong++;
		return;
	}
	b->verified++;
	wg_data_head_format(keepalive, response->sender, 0);
	wg_seal(keepalive + WG_DATA_HEAD_LEN, NULL, 0, NULL, 0, keys.send, 0);
	(void) send_from(b, i, keepalive, sizeof(keepalive)); /* lost like any other datagram */
}

static void take(struct bench *b, uint32_t i, const uint8_t *data, size_t len)
{
	struct wg_response response;
	struct wg_cookie_reply cookie;

	if (wg_response_parse(data, len, &response) == 0) {
		take_response(b, i, &response);
	} else if (wg_cookie_reply_parse(data, len, &cookie) == 0) {
		struct initiator *who = &b->initiators[i];

		b->cookies++;
		if (wg_cookie_reply_take(&who->jar, &who->remote, &cookie, b->now_us) == 0)
			(void) initiate(b, i);
		else
			b->wrong++;
	} else if (len != WG_DATA_MIN_LEN) {
		b->wrong++;
	}
}

/* Everything that lies in the socket. */
static void receive(struct bench *b)
{
	for (;;) {
		union {
			struct cmsghdr head;
			uint8_t bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
		} control;
		uint8_t data[2048];
		struct iovec iov = { .iov_base = data, .iov_len = sizeof(data) };
		struct msghdr message = { .msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control.bytes,
			.msg_controllen = sizeof(control.bytes) };
		ssize_t n = recvmsg(b->fd, &message, MSG_DONTWAIT);
		struct cmsghdr *head;
		struct in_pktinfo info;
		uint32_t i;

		if (n < 0)
			return;
		head = CMSG_FIRSTHDR(&message);
		if (!head || head->cmsg_type != IP_PKTINFO)
			continue;
		memcpy(&info, CMSG_DATA(head), sizeof(info));
		i = ntohl(info.ipi_addr.s_addr) - FIRST_ADDRESS;
		if (i < b->count)
			take(b, i, data, (size_t) n);
	}
}

static void give_up_lost(struct bench *b)
{
	for (uint32_t i = 0; i < b->count; i++) {
		struct initiator *who = &b->initiators[i];

		if (who->sent_us && b->now_us - who->sent_us > PATIENCE_US)
			settle(b, who);
	}
}

static int run(struct bench *b, uint64_t rate, uint64_t seconds)
{
	const uint64_t start_us = clock_now_us();
	uint64_t swept_us = start_us, begun = 0, end_us = start_us + seconds * USEC_PER_SEC;

	for (;;) {
		struct pollfd wait = { .fd = b->fd, .events = POLLIN };
		bool may;

		b->now_us = clock_now_us();
		receive(b);
		if (b->now_us - swept_us > PATIENCE_US / 3) {
			give_up_lost(b);
			swept_us = b->now_us;
		}
		if (seconds ? b->now_us >= end_us : begun == b->count && b->outstanding == 0)
			break;
		may = b->outstanding < OUTSTANDING_MAX && (seconds || begun < b->count) &&
		      (!rate || begun * USEC_PER_SEC <= (b->now_us - start_us) * rate);
		if (may && b->initiators[b->next].sent_us == 0) {
			int r = initiate(b, b->next);

			if (r < 0 && r != -EAGAIN && r != -ENOBUFS) {
				fprintf(stderr, "handshakes: %s\n", strerror(-r));
				return 1;
			}
			begun++;
			b->next = (b->next + 1) % b->count;
		} else {
			(void) poll(&wait, 1, 1);
		}
	}
	printf("%lu %lu %lu %lu %lu %.3f\n", b->sent, b->answered, b->verified, b->wrong,
		b->cookies, (double) (clock_now_us() - start_us) / 1e6);
	return 0;
}

static int open_socket(void)
{
	const int one = 1, size = BUFFER;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one)) < 0)
		return -errno;
	/* best effort: without the right to it the default must do */
	(void) setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	return fd;
}

static int prepare(struct bench *b, const uint8_t target[static WG_KEY_LEN])
{
	b->initiators = calloc(b->count, sizeof(*b->initiators));
	b->fd = open_socket();
	if (!b->initiators || b->fd < 0 || wg_crypto_init(&b->crypto))
		return -EIO;
	for (uint32_t i = 0; i < b->count; i++) {
		struct initiator *who = &b->initiators[i];
		uint8_t key[WG_KEY_LEN];

		private_key(i, key);
		if (wg_identity_init(&b->crypto, &who->identity, key) ||
			wg_remote_init(&b->crypto, &who->remote, target))
			return -EIO;
	}
	b->stamp_s = clock_wall_us() / USEC_PER_SEC;
	return 0;
}

static uint32_t number(const char *text, uint32_t max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end || n > max) {
		fprintf(stderr, "handshakes: not a number up to %u: %s\n", max, text);
		exit(2);
	}
	return (uint32_t) n;
}

int main(int argc, char **argv)
{
	struct bench b = { .to.sin_family = AF_INET, .fd = -1 };
	uint8_t target[WG_KEY_LEN];
	int r;

	if (sodium_init() < 0)
		return 1;
	if (argc == 3 && strcmp(argv[1], "keys") == 0)
		return print_keys(number(argv[2], COUNT_MAX));
	if (argc != 9 || strcmp(argv[1], "run") != 0 ||
		inet_pton(AF_INET, argv[2], &b.to.sin_addr) != 1 ||
		key_from_base64(argv[4], target)) {
		fprintf(stderr, "usage: handshakes keys COUNT\n"
				"       handshakes run ADDRESS PORT KEY COUNT RATE SECONDS ALL\n");
		return 2;
	}
	b.to.sin_port = htons((uint16_t) number(argv[3], UINT16_MAX));
	b.count = number(argv[5], COUNT_MAX);
	b.all = number(argv[8], 1);
	r = b.count ? prepare(&b, target) : -EINVAL;
	if (r < 0) {
		fprintf(stderr, "handshakes: %s\n", strerror(-r));
		return 1;
	}
	r = run(&b, number(argv[6], UINT32_MAX), number(argv[7], 3600));
	wg_crypto_done(&b.crypto);
	free(b.initiators);
	close(b.fd);
	return r;
}
