/*
 * RFC 792, RFC 4443 section 3.1. Reads nothing behind @len, and follows extension headers only so far.
 */
#include "icmp.h"

#include <stdbool.h>
#include <string.h>

#include "bytes.h"
#include "checksum.h"

enum {
	V4_HEAD = 20,
	V6_HEAD = 40,
	ICMP_HEAD = 8,
	V4_ERROR_MAX = 576,
	HOPS = 64,
	TOS_CONTROL = 0xc0, /* RFC 1812 section 4.3.2.5 */
	DONT_FRAGMENT = 0x40,
	EXTENSIONS_MAX = 8,

	NEXT_HOP_BY_HOP = 0,
	NEXT_ICMP = 1,
	NEXT_ROUTING = 43,
	NEXT_FRAGMENT = 44,
	NEXT_ICMP6 = 58,
	NEXT_OPTIONS = 60,

	UNREACHABLE4 = 3,
	UNREACHABLE4_HOST = 1,
	UNREACHABLE6 = 1,
	UNREACHABLE6_ADDRESS = 3,
};

static bool is_error4(uint8_t type)
{
	return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

static bool is_single4(const uint8_t *addr)
{
	return addr[0] != 0 && addr[0] != 127 && addr[0] < 224;
}

static bool may_answer4(const uint8_t *packet, size_t len)
{
	size_t head = (size_t) (packet[0] & 15) * 4;

	if (!is_single4(packet + 12) || !is_single4(packet + 16) ||
		(be16_read(packet + 6) & 0x1fff))
		return false;
	return packet[9] != NEXT_ICMP || (len > head && !is_error4(packet[head]));
}

static bool is_single6(const uint8_t *addr)
{
	static const uint8_t unspecified[16];

	return addr[0] != 0xff && memcmp(addr, unspecified, 16) != 0;
}

/* RFC 8200 section 4. @ret_next: what follows. */
static size_t extension_len(uint8_t kind, const uint8_t *extension, uint8_t *ret_next)
{
	*ret_next = extension[0];
	return kind == NEXT_FRAGMENT ? 8 : 8 + (size_t) extension[1] * 8;
}

/* Is there something behind the extension headers that may be answered? */
static bool may_answer_payload6(const uint8_t *packet, size_t len)
{
	uint8_t next = packet[6];
	size_t at = V6_HEAD;

	for (int i = 0; i < EXTENSIONS_MAX; i++) {
		if (next == NEXT_ICMP6) /* errors are below 128; 137 is a redirect */
			return len > at && packet[at] >= 128 && packet[at] != 137;
		if (next != NEXT_HOP_BY_HOP && next != NEXT_ROUTING && next != NEXT_FRAGMENT &&
			next != NEXT_OPTIONS)
			return true;
		if (len < at + 8)
			return false;
		if (next == NEXT_FRAGMENT && (be16_read(packet + at + 2) & 0xfff8))
			return false;
		at += extension_len(next, packet + at, &next);
	}
	return false;
}

static size_t quote(uint8_t *to, const uint8_t *packet, size_t len, size_t room)
{
	size_t n = len < room ? len : room;

	memcpy(to, packet, n);
	return n;
}

static size_t unreachable4(const uint8_t *packet, size_t len, uint8_t *ret)
{
	uint8_t *icmp = ret + V4_HEAD;
	size_t n = quote(icmp + ICMP_HEAD, packet, len, V4_ERROR_MAX - V4_HEAD - ICMP_HEAD);

	memset(ret, 0, V4_HEAD + ICMP_HEAD);
	ret[0] = 0x45;
	ret[1] = TOS_CONTROL;
	be16_write(ret + 2, (uint16_t) (V4_HEAD + ICMP_HEAD + n));
	ret[6] = DONT_FRAGMENT;
	ret[8] = HOPS;
	ret[9] = NEXT_ICMP;
	memcpy(ret + 12, packet + 16, 4);
	memcpy(ret + 16, packet + 12, 4);
	raw16_write(ret + 10, checksum_field(checksum_add(0, ret, V4_HEAD)));
	icmp[0] = UNREACHABLE4;
	icmp[1] = UNREACHABLE4_HOST;
	raw16_write(icmp + 2, checksum_field(checksum_add(0, icmp, ICMP_HEAD + n)));
	return V4_HEAD + ICMP_HEAD + n;
}

static size_t unreachable6(const uint8_t *packet, size_t len, uint8_t *ret)
{
	uint8_t *icmp = ret + V6_HEAD;
	size_t n = quote(icmp + ICMP_HEAD, packet, len, ICMP_ERROR_MAX - V6_HEAD - ICMP_HEAD);
	uint64_t sum;

	memset(ret, 0, V6_HEAD + ICMP_HEAD);
	ret[0] = 0x60;
	be16_write(ret + 4, (uint16_t) (ICMP_HEAD + n));
	ret[6] = NEXT_ICMP6;
	ret[7] = HOPS;
	memcpy(ret + 8, packet + 24, 16);
	memcpy(ret + 24, packet + 8, 16);
	icmp[0] = UNREACHABLE6;
	icmp[1] = UNREACHABLE6_ADDRESS;
	sum = checksum_pseudo(ret + 8, 32, NEXT_ICMP6) + htobe16((uint16_t) (ICMP_HEAD + n));
	raw16_write(icmp + 2, checksum_field(checksum_add(sum, icmp, ICMP_HEAD + n)));
	return V6_HEAD + ICMP_HEAD + n;
}

size_t icmp_unreachable(const uint8_t *packet, size_t len, uint8_t ret[static ICMP_ERROR_MAX])
{
	if (len >= V4_HEAD && packet[0] >> 4 == 4)
		return may_answer4(packet, len) ? unreachable4(packet, len, ret) : 0;
	if (len < V6_HEAD || packet[0] >> 4 != 6 || !is_single6(packet + 8) ||
		!is_single6(packet + 24) || !may_answer_payload6(packet, len))
		return 0;
	return unreachable6(packet, len, ret);
}
