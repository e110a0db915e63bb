/*
 * Asks STUN servers, by wire/stun: stun-ask PORT SERVER:PORT... binds UDP port PORT (0: any) and
 * prints for each server the address under which it sees that port. A request is sent again as RFC
 * 8489 section 6.2.1 says, for some seconds. 1: somebody gave no answer, or a wrong one.
 */
#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/ip.h"
#include "wire/stun.h"

enum { FIRST_MS = 500, TRIES = 4 };

/* Of the server's family: an answer says what the packet's family was. */
static int open_socket(int family, uint16_t port)
{
	struct endpoint any = { .addr.family = (sa_family_t) family, .port = port };
	struct sockaddr_storage sa;
	socklen_t len = endpoint_to_sockaddr(&any, &sa);
	CLEANUP(close_p) int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *) &sa, len) < 0)
		return -errno;
	return take_fd(&fd);
}

/* 0 and *ret if this is the answer to @tx, -EAGAIN for what is not. */
static int receive(int fd, const uint8_t tx[static STUN_TX_LEN], struct stun_answer *ret)
{
	uint8_t data[STUN_MAX_LEN + 1];
	ssize_t n = recv(fd, data, sizeof(data), 0);
	int r;

	if (n < 0)
		return -errno;
	r = stun_answer_parse(data, (size_t) n, ret);
	if (r < 0)
		return r;
	return sodium_memcmp(ret->tx, tx, STUN_TX_LEN) ? -EAGAIN : 0;
}

static int ask(int fd, struct stun_answer *ret)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	uint8_t tx[STUN_TX_LEN], request[STUN_REQUEST_LEN];
	int r = -ETIMEDOUT;

	randombytes_buf(tx, sizeof(tx));
	stun_request_format(tx, request);
	for (int i = 0; i < TRIES; i++) {
		if (send(fd, request, sizeof(request), 0) < 0)
			return -errno;
		while (poll(&wait, 1, FIRST_MS << i) > 0) {
			r = receive(fd, tx, ret);
			if (r != -EAGAIN)
				return r;
		}
	}
	return r;
}

static int tell(const char *server, uint16_t port)
{
	char text[ENDPOINT_TEXT_MAX];
	struct stun_answer answer;
	struct sockaddr_storage sa;
	struct endpoint at = { 0 };
	int r = endpoint_parse(server, &at);
	socklen_t len = r < 0 ? 0 : endpoint_to_sockaddr(&at, &sa);
	CLEANUP(close_p) int fd = r < 0 ? r : open_socket(at.addr.family, port);

	if (fd < 0)
		return fd;
	if (connect(fd, (struct sockaddr *) &sa, len) < 0)
		return -errno;
	r = ask(fd, &answer);
	if (r < 0)
		return r;
	if (answer.error)
		printf("%s error %u\n", server, answer.error);
	else
		printf("%s %s\n", server, endpoint_format(&answer.mapped, text));
	return 0;
}

int main(int argc, char **argv)
{
	int bad = argc < 3 || sodium_init() < 0;

	for (int i = 2; i < argc; i++) {
		int r = tell(argv[i], (uint16_t) atoi(argv[1]));

		if (r < 0)
			fprintf(stderr, "stun-ask: %s: %s\n", argv[i], strerror(-r));
		bad |= r < 0;
	}
	return bad;
}
