/*
 * ipkt: the head of an inner packet, IPv4 or IPv6: what a tunnel must know of it. Only the fixed
 * header is looked at; checksums, options and extension headers are the receiver's business.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
	IPKT_V4_HEAD_LEN = 20,
	IPKT_V6_HEAD_LEN = 40,
	IPKT_PADDING = 16, /* of what is sealed: a multiple of this, but not above the MTU */
};

struct ipkt {
	int family; /* AF_INET or AF_INET6 */
	size_t len; /* the whole packet, at most the bytes there are; padding follows */
	const uint8_t *src, *dst; /* 4 or 16 bytes, inside the packet */
};

/*
 * 0, or -EBADMSG: neither version, a header that is cut or shorter than it may be, or a length that
 * is shorter than the header or longer than @len.
 */
int ipkt_parse(const uint8_t *data, size_t len, struct ipkt *ret);

/* How many zero bytes to put behind a packet of @len bytes. @mtu 0: unknown, pad freely. */
static inline size_t ipkt_padding(size_t len, size_t mtu)
{
	size_t unit = len, padded;

	/* A packet above the MTU (it was lowered meanwhile) is padded as its last part would be. */
	if (mtu && unit > mtu)
		unit %= mtu;
	padded = (unit + IPKT_PADDING - 1) & ~(size_t) (IPKT_PADDING - 1);
	if (mtu && padded > mtu)
		padded = mtu;
	return padded - unit;
}
