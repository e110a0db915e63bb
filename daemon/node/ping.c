/*
 * An answer counts if it carries our identifier, a number that waits, its address and the random
 * bytes that went out with it: a stranger cannot make one up.
 */
#include "node/ping.h"

#include <errno.h>
#include <net/if.h>

#include <linux/icmp.h> /* after net/if.h, with which it would clash */
#include <netinet/icmp6.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"

enum { HEAD = 8, IPV4_HEAD_MIN = 20 };

struct echo {
	struct echo *next;
	struct ip_addr to;
	uint16_t seq;
	uint8_t nonce[PING_NONCE];
	uint64_t sent_us, deadline_us;
	ping_done_fn done;
	void *ctx;
};

struct ping {
	sd_event *event;
	sd_event_source *io4, *io6, *timer;
	int fd4, fd6;
	char ifname[IFNAMSIZ];
	uint16_t id, seq;
	struct echo *waiting;
	size_t n_waiting;
	bool closing;
};

static void arm(struct ping *ping)
{
	uint64_t first = UINT64_MAX, now = clock_now_us();

	for (struct echo *e = ping->waiting; e; e = e->next)
		first = e->deadline_us < first ? e->deadline_us : first;
	if (first == UINT64_MAX) {
		(void) sd_event_source_set_enabled(ping->timer, SD_EVENT_OFF);
		return;
	}
	(void) sd_event_source_set_time_relative(ping->timer, first > now ? first - now : 0);
	(void) sd_event_source_set_enabled(ping->timer, SD_EVENT_ONESHOT);
}

/* Takes @echo off the list and tells its owner. */
static void finish(struct ping *ping, struct echo *echo, int64_t result)
{
	struct echo **p = &ping->waiting;

	while (*p != echo)
		p = &(*p)->next;
	*p = echo->next;
	ping->n_waiting--;
	if (echo->done)
		echo->done(echo->ctx, result);
	free(echo);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct ping *ping = ctx;
	uint64_t now = clock_now_us();
	struct echo *echo;

	do {
		for (echo = ping->waiting; echo && echo->deadline_us > now; echo = echo->next)
			;
		if (echo)
			finish(ping, echo, -ETIMEDOUT);
	} while (echo);
	arm(ping);
	return 0;
}

/* An IPv4 raw socket hands over the IP header as well, an IPv6 one does not. */
static size_t head_len(int family, const uint8_t *data, size_t len)
{
	if (family == AF_INET6)
		return 0;
	return len >= IPV4_HEAD_MIN ? (size_t) (data[0] & 15) * 4 : len;
}

bool ping_parse_reply(int family, const uint8_t *data, size_t len, struct ping_reply *ret)
{
	size_t skip = head_len(family, data, len);

	if (skip > len || len - skip < HEAD + PING_NONCE)
		return false;
	data += skip;
	if (data[0] != (family == AF_INET ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY) || data[1] != 0)
		return false;
	memcpy(&ret->id, data + 4, sizeof(ret->id));
	memcpy(&ret->seq, data + 6, sizeof(ret->seq));
	memcpy(ret->nonce, data + HEAD, PING_NONCE);
	return true;
}

static void handle(struct ping *ping, const struct ip_addr *from, const struct ping_reply *reply)
{
	if (reply->id != ping->id)
		return;
	for (struct echo *echo = ping->waiting; echo; echo = echo->next)
		if (echo->seq == reply->seq && ip_addr_equal(&echo->to, from) &&
			!memcmp(echo->nonce, reply->nonce, PING_NONCE)) {
			finish(ping, echo, (int64_t) (clock_now_us() - echo->sent_us));
			arm(ping);
			return;
		}
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct ping *ping = ctx;

	for (int i = 0; i < 64; i++) {
		struct sockaddr_storage sa = { 0 };
		socklen_t sa_len = sizeof(sa);
		struct endpoint from;
		uint8_t data[2048];
		ssize_t n = recvfrom(
			fd, data, sizeof(data), MSG_DONTWAIT, (struct sockaddr *) &sa, &sa_len);
		struct ping_reply reply;

		if (n < 0)
			return 0;
		if (endpoint_from_sockaddr((struct sockaddr *) &sa, &from) == 0 &&
			ping_parse_reply(
				fd == ping->fd4 ? AF_INET : AF_INET6, data, (size_t) n, &reply))
			handle(ping, &from.addr, &reply);
	}
	return 0;
}

static int open_socket(struct ping *ping, int family)
{
	CLEANUP(close_p) int fd = -1;
	int r;

	fd = socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
		family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	if (fd < 0)
		return -errno;
	if (*ping->ifname && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, ping->ifname,
				     (socklen_t) strlen(ping->ifname)) < 0)
		return -errno;
	if (family == AF_INET) {
		struct icmp_filter filter = { .data = ~(UINT32_C(1) << ICMP_ECHOREPLY) };

		r = setsockopt(fd, SOL_RAW, ICMP_FILTER, &filter, sizeof(filter));
	} else {
		struct icmp6_filter filter;

		ICMP6_FILTER_SETBLOCKALL(&filter);
		ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
		r = setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter));
	}
	if (r < 0)
		return -errno;
	r = sd_event_add_io(
		ping->event, family == AF_INET ? &ping->io4 : &ping->io6, fd, EPOLLIN, on_io, ping);
	return r < 0 ? r : take_fd(&fd);
}

/* The interface may have been made anew since: then the socket is bound to nothing. */
static void close_sockets(struct ping *ping)
{
	ping->io4 = sd_event_source_disable_unref(ping->io4);
	ping->io6 = sd_event_source_disable_unref(ping->io6);
	close_p(&ping->fd4);
	close_p(&ping->fd6);
	ping->fd4 = ping->fd6 = -1;
}

int ping_new(sd_event *event, const char *ifname, struct ping **ret, struct err *err)
{
	struct ping *ping = calloc(1, sizeof(*ping));
	int r;

	if (!ping)
		return err_set(err, -ENOMEM, "out of memory");
	ping->event = sd_event_ref(event);
	ping->fd4 = ping->fd6 = -1;
	(void) snprintf(ping->ifname, sizeof(ping->ifname), "%s", ifname ? ifname : "");
	randombytes_buf(&ping->id, sizeof(ping->id));
	r = sd_event_add_time(event, &ping->timer, CLOCK_MONOTONIC, 0, 0, on_timer, ping);
	if (r < 0) {
		ping_free(ping);
		return err_set(err, r, "cannot set up a timer: %s", strerror(-r));
	}
	(void) sd_event_source_set_enabled(ping->timer, SD_EVENT_OFF);
	*ret = ping;
	return 0;
}

struct ping *ping_free(struct ping *ping)
{
	if (!ping)
		return NULL;
	ping->closing = true;
	close_sockets(ping);
	while (ping->waiting)
		finish(ping, ping->waiting, -ECANCELED);
	sd_event_source_disable_unref(ping->timer);
	sd_event_unref(ping->event);
	free(ping);
	return NULL;
}

static void put_checksum(uint8_t *data, size_t len)
{
	uint32_t sum = 0;
	uint16_t word;

	for (size_t i = 0; i + 1 < len; i += 2) {
		memcpy(&word, data + i, sizeof(word));
		sum += word;
	}
	if (len & 1)
		sum += htons((uint16_t) (data[len - 1] << 8));
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	word = (uint16_t) ~sum;
	memcpy(data + 2, &word, sizeof(word));
}

static int send_echo(struct ping *ping, const struct echo *echo, size_t size)
{
	bool v4 = echo->to.family == AF_INET;
	struct endpoint to = { .addr = echo->to };
	CLEANUP(free_p) uint8_t *data = calloc(1, HEAD + size);
	struct sockaddr_storage sa;
	socklen_t sa_len = endpoint_to_sockaddr(&to, &sa);
	int *fd = v4 ? &ping->fd4 : &ping->fd6;

	if (!data)
		return -ENOMEM;
	if (*fd < 0) {
		int r = open_socket(ping, v4 ? AF_INET : AF_INET6);

		if (r < 0)
			return r;
		*fd = r;
	}
	data[0] = v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
	memcpy(data + 4, &ping->id, sizeof(ping->id));
	memcpy(data + 6, &echo->seq, sizeof(echo->seq));
	memcpy(data + HEAD, echo->nonce, PING_NONCE);
	for (size_t i = PING_NONCE; i < size; i++)
		data[HEAD + i] = (uint8_t) i;
	if (v4) /* the kernel does it for ICMPv6 */
		put_checksum(data, HEAD + size);
	return sendto(*fd, data, HEAD + size, MSG_DONTWAIT, (struct sockaddr *) &sa, sa_len) < 0
		       ? -errno
		       : 0;
}

int ping_send(struct ping *ping, const struct ip_addr *to, size_t size, uint64_t timeout_us,
	ping_done_fn done, void *ctx, struct err *err)
{
	CLEANUP(free_p) struct echo *echo = NULL;
	int r;

	if (ping->closing)
		return err_set(err, -ECANCELED, "no more are sent");
	if (size < PING_SIZE_MIN || size > PING_SIZE_MAX)
		return err_set(
			err, -EINVAL, "%d to %d bytes can be sent", PING_SIZE_MIN, PING_SIZE_MAX);
	if (ping->n_waiting >= PING_WAITING_MAX)
		return err_set(err, -EBUSY, "too many pings are under way");
	echo = calloc(1, sizeof(*echo));
	if (!echo)
		return err_set(err, -ENOMEM, "out of memory");
	*echo = (struct echo){ .to = *to, .seq = htons(++ping->seq), .done = done, .ctx = ctx };
	randombytes_buf(echo->nonce, sizeof(echo->nonce));
	echo->sent_us = clock_now_us();
	echo->deadline_us = echo->sent_us + timeout_us;
	r = send_echo(ping, echo, size);
	if (r == -ENODEV || r == -ENXIO) {
		close_sockets(ping);
		r = send_echo(ping, echo, size);
	}
	if (r < 0)
		return err_set(err, r, "send an echo request%s%s: %s",
			*ping->ifname ? " through " : "", ping->ifname, strerror(-r));
	if (!done)
		return 0;
	echo->next = ping->waiting;
	ping->waiting = TAKE(echo);
	ping->n_waiting++;
	arm(ping);
	return 0;
}
