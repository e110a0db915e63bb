/*
 * cut6: a UDP datagram over IPv6, cut into fragments by us (RFC 8200 section 4.5), for ways on
 * which the kernel does not know, and cannot be told, that it must. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
	CUT6_HEAD_MAX = 40 + 8 + 8, /* IPv6, fragment, and UDP in front of the first piece */
	CUT6_PIECES_MAX = 8,
	CUT6_LEAST = 1280, /* a link of IPv6 has no less */
};

struct cut6 {
	uint8_t addresses[32]; /* source and destination */
	uint16_t source_port, port;
	uint32_t id; /* another one for each datagram */
	uint8_t hops;
};

/* A packet: @head, and @len bytes of the datagram behind it. */
struct cut6_piece {
	uint8_t head[CUT6_HEAD_MAX];
	size_t head_len;
	const uint8_t *data; /* borrowed */
	size_t len;
};

/*
 * Pieces of at most @mtu bytes (CUT6_LEAST or more) for @len bytes at @data. Returns how many, 0 if
 * it would be too many.
 */
size_t cut6(const struct cut6 *cut, const uint8_t *data, size_t len, size_t mtu,
	struct cut6_piece ret[static CUT6_PIECES_MAX]);
