/*
 * RFC 792, RFC 4443 section 3.1. Reads nothing behind @len, and follows extension headers only so
 * far.
 */
#include "packet/icmp.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

#include "packet/bytes.h"
#include "packet/checksum.h"
#include "packet/inet.h"

enum {
	ICMP_HEAD = 8,
	V4_ERROR_MAX = 576,
	HOPS = 64,
	TOS_CONTROL = 0xc0, /* RFC 1812 section 4.3.2.5 */
	EXTENSIONS_MAX = 8,

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

	if (!is_single4(packet + INET_V4_SOURCE) || !is_single4(packet + INET_V4_DESTINATION) ||
		(be16_read(packet + INET_V4_FRAGMENT) & INET_V4_OFFSET))
		return false;
	return packet[INET_V4_PROTOCOL] != IPPROTO_ICMP || (len > head && !is_error4(packet[head]));
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
	return kind == IPPROTO_FRAGMENT ? 8 : 8 + (size_t) extension[1] * 8;
}

/* Is there something behind the extension headers that may be answered? */
static bool may_answer_payload6(const uint8_t *packet, size_t len)
{
	uint8_t next = packet[INET_V6_NEXT];
	size_t at = INET_V6_HEAD;

	for (int i = 0; i < EXTENSIONS_MAX; i++) {
		if (next == IPPROTO_ICMPV6) /* errors are below 128; 137 is a redirect */
			return len > at && packet[at] >= 128 && packet[at] != 137;
		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING &&
			next != IPPROTO_FRAGMENT && next != IPPROTO_DSTOPTS)
			return true;
		if (len < at + 8)
			return false;
		if (next == IPPROTO_FRAGMENT && (be16_read(packet + at + 2) & 0xfff8))
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
	uint8_t *icmp = ret + INET_V4_HEAD;
	size_t n = quote(icmp + ICMP_HEAD, packet, len, V4_ERROR_MAX - INET_V4_HEAD - ICMP_HEAD);

	memset(ret, 0, INET_V4_HEAD + ICMP_HEAD);
	ret[0] = 0x45;
	ret[INET_V4_TOS] = TOS_CONTROL;
	be16_write(ret + INET_V4_LEN, (uint16_t) (INET_V4_HEAD + ICMP_HEAD + n));
	be16_write(ret + INET_V4_FRAGMENT, INET_V4_DF);
	ret[INET_V4_TTL] = HOPS;
	ret[INET_V4_PROTOCOL] = IPPROTO_ICMP;
	memcpy(ret + INET_V4_SOURCE, packet + INET_V4_DESTINATION, 4);
	memcpy(ret + INET_V4_DESTINATION, packet + INET_V4_SOURCE, 4);
	raw16_write(ret + INET_V4_SUM, checksum_field(checksum_add(0, ret, INET_V4_HEAD)));
	icmp[0] = UNREACHABLE4;
	icmp[1] = UNREACHABLE4_HOST;
	raw16_write(icmp + 2, checksum_field(checksum_add(0, icmp, ICMP_HEAD + n)));
	return INET_V4_HEAD + ICMP_HEAD + n;
}

static size_t unreachable6(const uint8_t *packet, size_t len, uint8_t *ret)
{
	uint8_t *icmp = ret + INET_V6_HEAD;
	size_t n = quote(icmp + ICMP_HEAD, packet, len, ICMP_ERROR_MAX - INET_V6_HEAD - ICMP_HEAD);
	uint64_t sum;

	memset(ret, 0, INET_V6_HEAD + ICMP_HEAD);
	ret[0] = 0x60;
	be16_write(ret + INET_V6_LEN, (uint16_t) (ICMP_HEAD + n));
	ret[INET_V6_NEXT] = IPPROTO_ICMPV6;
	ret[INET_V6_HOPS] = HOPS;
	memcpy(ret + INET_V6_SOURCE, packet + INET_V6_DESTINATION, 16);
	memcpy(ret + INET_V6_DESTINATION, packet + INET_V6_SOURCE, 16);
	icmp[0] = UNREACHABLE6;
	icmp[1] = UNREACHABLE6_ADDRESS;
	sum = checksum_pseudo(ret + INET_V6_ADDRESSES, INET_V6_ADDRESSES_LEN, IPPROTO_ICMPV6) +
	      htobe16((uint16_t) (ICMP_HEAD + n));
	raw16_write(icmp + 2, checksum_field(checksum_add(sum, icmp, ICMP_HEAD + n)));
	return INET_V6_HEAD + ICMP_HEAD + n;
}

size_t icmp_unreachable(const uint8_t *packet, size_t len, uint8_t ret[static ICMP_ERROR_MAX])
{
	if (len >= INET_V4_HEAD && packet[0] >> 4 == 4)
		return may_answer4(packet, len) ? unreachable4(packet, len, ret) : 0;
	if (len < INET_V6_HEAD || packet[0] >> 4 != 6 || !is_single6(packet + INET_V6_SOURCE) ||
		!is_single6(packet + INET_V6_DESTINATION) || !may_answer_payload6(packet, len))
		return 0;
	return unreachable6(packet, len, ret);
}
