/*
 * icmp: the error that tells a sender that its packet's destination cannot be reached. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
	ICMP_ERROR_MAX = 1280
}; /* RFC 4443 section 2.4 (c); over IPv4 576, RFC 1812 section 4.3.2.3 */

/*
 * Makes "host unreachable" (ICMP) or "address unreachable" (ICMPv6) about @packet, which
 * ipkt_parse() or segment_plan() has taken; it may be cut, or a super-packet. Returns the length of
 * what was written to @ret, or 0: nobody is to be told (multicast, not a first fragment, an ICMP
 * error itself, no single sender: RFC 1122 section 3.2.2, RFC 4443 section 2.4 (e)).
 *
 * It comes from the destination itself: of an address of this machine the kernel would not take it.
 */
size_t icmp_unreachable(const uint8_t *packet, size_t len, uint8_t ret[static ICMP_ERROR_MAX]);
