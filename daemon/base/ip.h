/*
 * ip: addresses, prefixes and UDP endpoints of both families, as plain values.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* Addresses: network byte order, IPv4 in the first four bytes, the rest zero. */
struct ip_addr {
	uint8_t family; /* AF_INET, AF_INET6 or AF_UNSPEC (0: none) */
	uint8_t bytes[16];
};

struct ip_prefix {
	struct ip_addr addr; /* bits behind @len are zero */
	uint8_t len;         /* 0..32 or 0..128 */
};

/* A UDP address. @scope is the interface index of a link-local IPv6 address, else 0. */
struct endpoint {
	struct ip_addr addr;
	uint16_t port;
	uint32_t scope;
};

enum { IP_TEXT_MAX = 46, PREFIX_TEXT_MAX = 50, ENDPOINT_TEXT_MAX = 72 };

/* Text without brackets, without a zone. 0 or -EINVAL. */
int ip_addr_parse(const char *text, struct ip_addr *ret);
/* "10.0.0.0/8", "fd00::/48"; without a slash the full length. Host bits set: -EINVAL. */
int ip_prefix_parse(const char *text, struct ip_prefix *ret);
/* "192.0.2.1:41741" or "[2001:db8::1]:41741" (numeric zone allowed: "[fe80::1%2]:1"). */
int endpoint_parse(const char *text, struct endpoint *ret);

const char *ip_addr_format(const struct ip_addr *addr, char ret_text[static IP_TEXT_MAX]);
const char *ip_prefix_format(const struct ip_prefix *prefix, char ret_text[static PREFIX_TEXT_MAX]);
const char *endpoint_format(
	const struct endpoint *endpoint, char ret_text[static ENDPOINT_TEXT_MAX]);

/* Bits of an address of @family: 32, 128, or 0. */
unsigned ip_bits(int family);
size_t ip_bytes(int family);

bool ip_addr_equal(const struct ip_addr *a, const struct ip_addr *b);
bool ip_prefix_equal(const struct ip_prefix *a, const struct ip_prefix *b);
/* An order of them all, for tables: less than 0, 0 where ip_prefix_equal(), or more. */
int ip_prefix_compare(const struct ip_prefix *a, const struct ip_prefix *b);
bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);
bool ip_prefix_contains(const struct ip_prefix *prefix, const struct ip_addr *addr);
bool ip_prefix_overlaps(const struct ip_prefix *a, const struct ip_prefix *b);

/* Loopback, multicast, link-local and the unspecified address. */
bool ip_addr_is_loopback(const struct ip_addr *addr);
bool ip_addr_is_link_local(const struct ip_addr *addr);
bool ip_addr_is_multicast(const struct ip_addr *addr);
bool ip_addr_is_unspecified(const struct ip_addr *addr);
/* One of a house or a carrier: RFC 1918, 100.64.0.0/10 (RFC 6598), fc00::/7 (RFC 4193). */
bool ip_addr_is_private(const struct ip_addr *addr);
/* An IPv4 address in IPv6 form (::ffff:192.0.2.1) as what it is, others as they are. */
struct ip_addr ip_addr_unmapped(const struct ip_addr *addr);

/* The full-length prefix of one address, and the prefix with host bits cleared. */
struct ip_prefix ip_prefix_of(const struct ip_addr *addr, uint8_t len);
/* @base + @index within the family's bits (index of addresses). -ERANGE when it leaves @base. */
int ip_prefix_nth(const struct ip_prefix *base, uint64_t index, struct ip_addr *ret);
/*
 * The @index-th sub-prefix of length @len. -ERANGE when it leaves @base, -EINVAL if @len is
 * shorter.
 */
int ip_prefix_subnet(
	const struct ip_prefix *base, uint8_t len, uint64_t index, struct ip_prefix *ret);

/* sockaddr_in or sockaddr_in6; returns its length, 0 for AF_UNSPEC. */
socklen_t endpoint_to_sockaddr(const struct endpoint *endpoint, struct sockaddr_storage *ret);
/* -EAFNOSUPPORT for another family; an IPv4-mapped IPv6 address becomes IPv4. */
int endpoint_from_sockaddr(const struct sockaddr *sa, struct endpoint *ret);
