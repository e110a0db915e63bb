/*
 * inet: where the fields of IPv4 (RFC 791), IPv6 (RFC 8200), TCP (RFC 9293) and UDP (RFC 768)
 * headers lie, for code that rewrites packets in place.
 */
#pragma once

enum {
	INET_V4_TOS = 1,
	INET_V4_LEN = 2, /* 16 bits, of the packet */
	INET_V4_ID = 4,
	INET_V4_FRAGMENT = 6, /* 16 bits: flags and offset */
	INET_V4_TTL = 8,
	INET_V4_PROTOCOL = 9,
	INET_V4_SUM = 10,
	INET_V4_ADDRESSES = 12,
	INET_V4_ADDRESSES_LEN = 8,
	INET_V4_SOURCE = 12,
	INET_V4_DESTINATION = 16,
	INET_V4_HEAD = 20,   /* without options */
	INET_V4_DF = 0x4000, /* in the fragment field */
	INET_V4_OFFSET = 0x1fff,
	INET_V4_FRAGMENTED = 0x3fff, /* more fragments, or an offset */

	INET_V6_LEN = 4, /* 16 bits, of what follows the header */
	INET_V6_NEXT = 6,
	INET_V6_HOPS = 7,
	INET_V6_ADDRESSES = 8,
	INET_V6_ADDRESSES_LEN = 32,
	INET_V6_SOURCE = 8,
	INET_V6_DESTINATION = 24,
	INET_V6_HEAD = 40,

	INET_TCP_SEQ = 4,
	INET_TCP_ACK = 8,
	INET_TCP_OFFSET = 12, /* upper 4 bits: length of the header in 32-bit words */
	INET_TCP_FLAGS = 13,
	INET_TCP_SUM = 16,
	INET_TCP_URGENT = 18,
	INET_TCP_HEAD = 20,

	INET_UDP_LEN = 4,
	INET_UDP_SUM = 6,
	INET_UDP_HEAD = 8,
};

enum inet_tcp_flag {
	INET_TCP_FIN = 0x01,
	INET_TCP_SYN = 0x02,
	INET_TCP_RST = 0x04,
	INET_TCP_PSH = 0x08,
	INET_TCP_ACK_FLAG = 0x10,
	INET_TCP_URG = 0x20,
	INET_TCP_ECE = 0x40,
	INET_TCP_CWR = 0x80,
};
