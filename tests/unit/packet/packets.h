/*
 * packets: what the tests of segment and coalesce know about IP, TCP and UDP by themselves: packets are
 * built, checked and split here byte by byte with a slow checksum, without any of the code under test.
 * A broken promise aborts: the fuzz entries use the same.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "packet/vnet.h"

#define CHECK(condition)                                                                          \
	((condition) ? (void) 0                                                                   \
		     : (fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition), \
			       abort()))

enum { TCP = 6, UDP = 17, PACKET_ROOM = 65536, HOP_BY_HOP = 0, ROUTING = 43, DST_OPTIONS = 60 };
enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16, URG = 32, ECE = 64, CWR = 128 };

static inline void put16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t) (v >> 8);
	p[1] = (uint8_t) v;
}

static inline void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static inline unsigned get16(const uint8_t *p)
{
	return (unsigned) p[0] << 8 | p[1];
}

static inline uint32_t get32(const uint8_t *p)
{
	return (uint32_t) get16(p) << 16 | get16(p + 2);
}

/* RFC 1071 as it is written there, on big-endian words; not complemented. At most 64 KB. */
static inline unsigned slow_sum(unsigned sum, const uint8_t *p, size_t len)
{
	for (; len > 1; p += 2, len -= 2)
		sum += get16(p);
	if (len)
		sum += (unsigned) p[0] << 8;
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

static inline unsigned slow_pseudo(const uint8_t *p, int protocol, size_t len)
{
	bool v6 = p[0] >> 4 == 6;
	uint8_t tail[4] = { 0, (uint8_t) protocol, (uint8_t) (len >> 8), (uint8_t) len };

	return slow_sum(slow_sum(0, p + (v6 ? 8 : 12), v6 ? 32 : 8), tail, sizeof(tail));
}

struct packet_spec {
	bool v6, df;
	int protocol;                      /* TCP or UDP */
	uint8_t tos, ttl, flags, reserved; /* reserved: lower 4 bits of the TCP offset byte */
	uint16_t id, sport, dport, window, urgent;
	uint32_t label, seq, ack;
	uint8_t host;            /* last byte of the source address */
	const uint8_t *ip_extra; /* IPv4 options, or an IPv6 extension header of type @extra_type */
	size_t ip_extra_len;
	uint8_t extra_type;
	const uint8_t *options; /* of TCP */
	size_t options_len;
	const uint8_t *payload;
	size_t payload_len;
};

static inline size_t packet_transport(const struct packet_spec *s)
{
	return (s->v6 ? 40 : 20) + s->ip_extra_len;
}

static inline size_t packet_head(const struct packet_spec *s)
{
	return packet_transport(s) + (s->protocol == TCP ? 20 + s->options_len : 8);
}

static inline void fix_v4_sum(uint8_t *p)
{
	put16(p + 10, 0);
	put16(p + 10, 0xffff & ~slow_sum(0, p, (size_t) (p[0] & 15) * 4));
}

/* The checksum of the transport header at @at; the field must be the last word of nothing else. */
static inline void fix_transport_sum(uint8_t *p, size_t len, size_t at, int protocol)
{
	uint8_t *field = p + at + (protocol == TCP ? 16 : 6);
	unsigned sum;

	put16(field, 0);
	sum = 0xffff & ~slow_sum(slow_pseudo(p, protocol, len - at), p + at, len - at);
	put16(field, sum ? sum : 0xffff);
}

static inline void build_v4(uint8_t *p, const struct packet_spec *s, size_t total)
{
	p[0] = (uint8_t) (0x45 + s->ip_extra_len / 4);
	p[1] = s->tos;
	put16(p + 2, total);
	put16(p + 4, s->id);
	put16(p + 6, s->df ? 0x4000 : 0);
	p[8] = s->ttl;
	p[9] = (uint8_t) s->protocol;
	memcpy(p + 12, (const uint8_t[]){ 10, 1, 2, s->host, 10, 9, 8, 7 }, 8);
	if (s->ip_extra_len)
		memcpy(p + 20, s->ip_extra, s->ip_extra_len);
	fix_v4_sum(p);
}

static inline void build_v6(uint8_t *p, const struct packet_spec *s, size_t total)
{
	put32(p, 0x60000000u | (uint32_t) s->tos << 20 | (s->label & 0xfffff));
	put16(p + 4, total - 40);
	p[6] = (uint8_t) s->protocol;
	p[7] = s->ttl;
	memcpy(p + 8, (const uint8_t[32]){ 0xfd, [15] = s->host, [16] = 0xfd, [31] = 9 }, 32);
	if (s->ip_extra_len) {
		p[6] = s->extra_type;
		memcpy(p + 40, s->ip_extra, s->ip_extra_len);
		p[40] = (uint8_t) s->protocol;
	}
}

/* Whole and right, with all checksums. Returns its length. */
static inline size_t packet_build(const struct packet_spec *s, uint8_t *p)
{
	size_t at = packet_transport(s), head = packet_head(s), total = head + s->payload_len;
	uint8_t *t = p + at;

	memset(p, 0, head);
	if (s->v6)
		build_v6(p, s, total);
	else
		build_v4(p, s, total);
	put16(t, s->sport);
	put16(t + 2, s->dport);
	if (s->protocol == TCP) {
		put32(t + 4, s->seq);
		put32(t + 8, s->ack);
		t[12] = (uint8_t) ((5 + s->options_len / 4) << 4 | s->reserved);
		t[13] = s->flags;
		put16(t + 14, s->window);
		put16(t + 18, s->urgent);
		if (s->options_len)
			memcpy(t + 20, s->options, s->options_len);
	} else {
		put16(t + 4, total - at);
	}
	if (s->payload_len)
		memcpy(p + head, s->payload, s->payload_len);
	fix_transport_sum(p, total, at, s->protocol);
	return total;
}

/* The pseudo header's sum in place of the checksum, as the kernel hands it to a device. */
static inline void packet_unsum(uint8_t *p, size_t len, size_t at, int protocol)
{
	put16(p + at + (protocol == TCP ? 16 : 6), slow_pseudo(p, protocol, len - at));
}

/* NULL, or what is wrong with a packet of exactly @len bytes without extension headers. */
static inline const char *packet_fault(const uint8_t *p, size_t len)
{
	size_t at, left;
	int protocol;

	if (len < 20 || (p[0] >> 4 != 4 && (p[0] >> 4 != 6 || len < 40)))
		return "no IP packet";
	at = p[0] >> 4 == 6 ? 40 : (size_t) (p[0] & 15) * 4;
	protocol = p[0] >> 4 == 6 ? p[6] : p[9];
	if (at < 20 || at > len || (p[0] >> 4 == 6 ? get16(p + 4) + 40 : get16(p + 2)) != len)
		return "wrong IP length";
	if (p[0] >> 4 == 4 && slow_sum(0, p, at) != 0xffff)
		return "wrong IP checksum";
	left = len - at;
	if (left < (protocol == TCP ? 20 : 8))
		return "cut";
	if (protocol == TCP && ((p[at + 12] >> 4) < 5 || (size_t) (p[at + 12] >> 4) * 4 > left))
		return "wrong TCP offset";
	if (protocol == UDP && get16(p + at + 4) != left)
		return "wrong UDP length";
	if (protocol == UDP && get16(p + at + 6) == 0)
		return "no UDP checksum";
	if (slow_sum(slow_pseudo(p, protocol, left), p + at, left) != 0xffff)
		return "wrong checksum";
	return NULL;
}

/* xorshift64*: the same on every run. */
static inline uint32_t next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (uint32_t) (*state * UINT64_C(0x2545f4914f6cdd1d) >> 32);
}
