/* ip: see ip.h. */
#include "base/ip.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"

unsigned ip_bits(int family)
{
	return family == AF_INET ? 32 : family == AF_INET6 ? 128 : 0;
}

size_t ip_bytes(int family)
{
	return ip_bits(family) / 8;
}

int ip_addr_parse(const char *text, struct ip_addr *ret)
{
	struct ip_addr a = { 0 };

	if (inet_pton(AF_INET, text, a.bytes) == 1)
		a.family = AF_INET;
	else if (inet_pton(AF_INET6, text, a.bytes) == 1)
		a.family = AF_INET6;
	else
		return -EINVAL;
	*ret = a;
	return 0;
}

int ip_prefix_parse(const char *text, struct ip_prefix *ret)
{
	char addr[IP_TEXT_MAX];
	struct ip_prefix p = { 0 };
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t) (slash - text) : strlen(text);

	if (n >= sizeof(addr))
		return -EINVAL;
	memcpy(addr, text, n);
	addr[n] = 0;
	if (ip_addr_parse(addr, &p.addr) < 0)
		return -EINVAL;
	uint64_t len = ip_bits(p.addr.family);

	if (slash && number_parse(slash + 1, 0, len, &len) < 0)
		return -EINVAL;
	p.len = (uint8_t) len;
	struct ip_prefix clean = ip_prefix_of(&p.addr, p.len);

	if (!ip_addr_equal(&clean.addr, &p.addr))
		return -EINVAL;
	*ret = p;
	return 0;
}

int endpoint_parse(const char *text, struct endpoint *ret)
{
	char host[IP_TEXT_MAX + 12];
	struct endpoint e = { 0 };
	const char *colon = strrchr(text, ':');

	if (!colon || colon == text)
		return -EINVAL;
	const char *start = text, *end = colon;
	bool v6 = *text == '[';

	if (v6) {
		if (colon[-1] != ']')
			return -EINVAL;
		start++;
		end--;
	}
	size_t n = (size_t) (end - start);

	if (end <= start || n >= sizeof(host))
		return -EINVAL;
	memcpy(host, start, n);
	host[n] = 0;
	char *zone = v6 ? strchr(host, '%') : NULL;
	uint64_t number;

	if (zone) {
		*zone++ = 0;
		if (number_parse(zone, 0, UINT32_MAX, &number) < 0)
			return -EINVAL;
		e.scope = (uint32_t) number;
	}
	if (ip_addr_parse(host, &e.addr) < 0 || (e.addr.family == AF_INET6) != v6)
		return -EINVAL;
	if (number_parse(colon + 1, 0, UINT16_MAX, &number) < 0)
		return -EINVAL;
	e.port = (uint16_t) number;
	*ret = e;
	return 0;
}

const char *ip_addr_format(const struct ip_addr *addr, char ret_text[static IP_TEXT_MAX])
{
	if (!inet_ntop(addr->family, addr->bytes, ret_text, IP_TEXT_MAX))
		(void) snprintf(ret_text, IP_TEXT_MAX, "none");
	return ret_text;
}

const char *ip_prefix_format(const struct ip_prefix *prefix, char ret_text[static PREFIX_TEXT_MAX])
{
	char addr[IP_TEXT_MAX];

	(void) snprintf(ret_text, PREFIX_TEXT_MAX, "%s/%u", ip_addr_format(&prefix->addr, addr),
		prefix->len);
	return ret_text;
}

const char *endpoint_format(
	const struct endpoint *endpoint, char ret_text[static ENDPOINT_TEXT_MAX])
{
	char addr[IP_TEXT_MAX];

	(void) ip_addr_format(&endpoint->addr, addr);
	if (endpoint->addr.family != AF_INET6)
		(void) snprintf(ret_text, ENDPOINT_TEXT_MAX, "%s:%u", addr, endpoint->port);
	else if (endpoint->scope)
		(void) snprintf(ret_text, ENDPOINT_TEXT_MAX, "[%s%%%u]:%u", addr, endpoint->scope,
			endpoint->port);
	else
		(void) snprintf(ret_text, ENDPOINT_TEXT_MAX, "[%s]:%u", addr, endpoint->port);
	return ret_text;
}

bool ip_addr_equal(const struct ip_addr *a, const struct ip_addr *b)
{
	return a->family == b->family && !memcmp(a->bytes, b->bytes, ip_bytes(a->family));
}

bool ip_prefix_equal(const struct ip_prefix *a, const struct ip_prefix *b)
{
	return a->len == b->len && ip_addr_equal(&a->addr, &b->addr);
}

int ip_prefix_compare(const struct ip_prefix *a, const struct ip_prefix *b)
{
	if (a->addr.family != b->addr.family)
		return a->addr.family < b->addr.family ? -1 : 1;
	if (a->len != b->len)
		return a->len < b->len ? -1 : 1;
	return memcmp(a->addr.bytes, b->addr.bytes, ip_bytes(a->addr.family));
}

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && a->scope == b->scope && ip_addr_equal(&a->addr, &b->addr);
}

static bool bits_equal(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	if (memcmp(a, b, bits / 8))
		return false;
	return bits % 8 == 0 || ((a[bits / 8] ^ b[bits / 8]) & (0xff00 >> (bits % 8))) == 0;
}

bool ip_prefix_contains(const struct ip_prefix *prefix, const struct ip_addr *addr)
{
	return prefix->addr.family == addr->family &&
	       bits_equal(prefix->addr.bytes, addr->bytes, prefix->len);
}

bool ip_prefix_overlaps(const struct ip_prefix *a, const struct ip_prefix *b)
{
	return a->len <= b->len ? ip_prefix_contains(a, &b->addr) : ip_prefix_contains(b, &a->addr);
}

bool ip_addr_is_loopback(const struct ip_addr *addr)
{
	static const uint8_t one[16] = { [15] = 1 };

	return addr->family == AF_INET ? addr->bytes[0] == 127
				       : addr->family == AF_INET6 && !memcmp(addr->bytes, one, 16);
}

bool ip_addr_is_link_local(const struct ip_addr *addr)
{
	if (addr->family == AF_INET)
		return addr->bytes[0] == 169 && addr->bytes[1] == 254;
	return addr->family == AF_INET6 && addr->bytes[0] == 0xfe &&
	       (addr->bytes[1] & 0xc0) == 0x80;
}

bool ip_addr_is_multicast(const struct ip_addr *addr)
{
	if (addr->family == AF_INET)
		return (addr->bytes[0] & 0xf0) == 0xe0;
	return addr->family == AF_INET6 && addr->bytes[0] == 0xff;
}

bool ip_addr_is_unspecified(const struct ip_addr *addr)
{
	static const uint8_t zero[16];

	return addr->family == AF_UNSPEC || !memcmp(addr->bytes, zero, ip_bytes(addr->family));
}

bool ip_addr_is_private(const struct ip_addr *addr)
{
	const uint8_t *b = addr->bytes;

	if (addr->family == AF_INET6)
		return (b[0] & 0xfe) == 0xfc;
	return addr->family == AF_INET &&
	       (b[0] == 10 || (b[0] == 172 && (b[1] & 0xf0) == 16) ||
		       (b[0] == 192 && b[1] == 168) || (b[0] == 100 && (b[1] & 0xc0) == 64));
}

/* RFC 4291, section 2.5.5.2. */
struct ip_addr ip_addr_unmapped(const struct ip_addr *addr)
{
	static const uint8_t head[12] = { [10] = 0xff, [11] = 0xff };
	struct ip_addr four = { .family = AF_INET };

	if (addr->family != AF_INET6 || memcmp(addr->bytes, head, sizeof(head)) != 0)
		return *addr;
	memcpy(four.bytes, addr->bytes + sizeof(head), 4);
	return four;
}

struct ip_prefix ip_prefix_of(const struct ip_addr *addr, uint8_t len)
{
	struct ip_prefix p = { .addr = { .family = addr->family }, .len = len };
	unsigned whole = len / 8;

	memcpy(p.addr.bytes, addr->bytes, whole);
	if (len % 8)
		p.addr.bytes[whole] = (uint8_t) (addr->bytes[whole] & (0xff00 >> (len % 8)));
	return p;
}

/* Adds @index << @shift to the address. Returns false if bits were carried out of it. */
static bool add_bits(struct ip_addr *addr, uint64_t index, unsigned shift)
{
	size_t n = ip_bytes(addr->family);
	uint8_t wide[sizeof(addr->bytes)] = { 0 };
	unsigned __int128 sum = 0;
	unsigned __int128 add = (unsigned __int128) index << shift;

	if (add >> shift != index)
		return false;
	memcpy(wide + sizeof(wide) - n, addr->bytes, n);
	for (size_t i = 0; i < sizeof(wide); i++)
		sum = sum << 8 | wide[i];
	sum += add;
	if (sum < add || (n < sizeof(wide) && sum >> (8 * n)))
		return false;
	for (size_t i = sizeof(wide); i-- > 0; sum >>= 8)
		wide[i] = (uint8_t) sum;
	memcpy(addr->bytes, wide + sizeof(wide) - n, n);
	return true;
}

int ip_prefix_nth(const struct ip_prefix *base, uint64_t index, struct ip_addr *ret)
{
	struct ip_addr a = base->addr;

	if (!add_bits(&a, index, 0) || !ip_prefix_contains(base, &a))
		return -ERANGE;
	*ret = a;
	return 0;
}

int ip_prefix_subnet(
	const struct ip_prefix *base, uint8_t len, uint64_t index, struct ip_prefix *ret)
{
	if (len < base->len || len > ip_bits(base->addr.family))
		return -EINVAL;
	struct ip_prefix p = { .addr = base->addr, .len = len };

	if (len == 0) {
		if (index)
			return -ERANGE;
	} else if (!add_bits(&p.addr, index, ip_bits(base->addr.family) - len) ||
		   !ip_prefix_contains(base, &p.addr)) {
		return -ERANGE;
	}
	*ret = p;
	return 0;
}

socklen_t endpoint_to_sockaddr(const struct endpoint *endpoint, struct sockaddr_storage *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (endpoint->addr.family == AF_INET) {
		struct sockaddr_in *in = (struct sockaddr_in *) ret;

		in->sin_family = AF_INET;
		in->sin_port = htons(endpoint->port);
		memcpy(&in->sin_addr, endpoint->addr.bytes, 4);
		return sizeof(*in);
	}
	if (endpoint->addr.family == AF_INET6) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *) ret;

		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(endpoint->port);
		in6->sin6_scope_id = endpoint->scope;
		memcpy(&in6->sin6_addr, endpoint->addr.bytes, 16);
		return sizeof(*in6);
	}
	return 0;
}

int endpoint_from_sockaddr(const struct sockaddr *sa, struct endpoint *ret)
{
	struct endpoint e = { 0 };

	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *) sa;

		e.addr.family = AF_INET;
		e.port = ntohs(in->sin_port);
		memcpy(e.addr.bytes, &in->sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *) sa;

		e.port = ntohs(in6->sin6_port);
		if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
			e.addr.family = AF_INET;
			memcpy(e.addr.bytes, in6->sin6_addr.s6_addr + 12, 4);
		} else {
			e.addr.family = AF_INET6;
			memcpy(e.addr.bytes, &in6->sin6_addr, 16);
			if (IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr))
				e.scope = in6->sin6_scope_id;
		}
	} else {
		return -EAFNOSUPPORT;
	}
	*ret = e;
	return 0;
}
