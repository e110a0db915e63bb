/*
 * vnet: the virtio-net header in front of each packet of a TUN device opened with IFF_VNET_HDR
 * (virtio 1.2 section 5.1.6), in its form of 10 bytes and little endian: TUNSETVNETHDRSZ 10 and
 * TUNSETVNETLE. Offsets count from the first byte of the IP packet that follows.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { VNET_HEAD_LEN = 10 };

enum vnet_flag {
	/*
	 * The sum from csum_start to the end is missing; its field holds that of the pseudo header.
	 */
	VNET_NEEDS_CSUM = 1,
	VNET_DATA_VALID = 2, /* checksums were verified */
};

enum vnet_gso {
	VNET_GSO_NONE = 0,
	VNET_GSO_TCPV4 = 1,
	VNET_GSO_TCPV6 = 4,
	VNET_GSO_UDP_L4 = 5, /* one datagram per gso_size bytes, IPv4 or IPv6 */
};

struct vnet_head {
	uint8_t flags; /* of enum vnet_flag */
	enum vnet_gso gso;
	bool ecn;          /* CWR is set, and counts for the first segment only */
	uint16_t hdr_len;  /* all headers together: a hint that readers must not trust */
	uint16_t gso_size; /* payload of each segment but the last */
	uint16_t csum_start, csum_offset; /* the field lies at their sum */
};

/*
 * 0, or -EBADMSG for another gso type (UFO is never asked for) or the flag of section 5.1.6.4.1
 * that gives csum_start another meaning. Nothing else is checked: see segment_plan().
 */
int vnet_parse(const uint8_t bytes[static VNET_HEAD_LEN], struct vnet_head *ret);
void vnet_format(const struct vnet_head *head, uint8_t ret_bytes[static VNET_HEAD_LEN]);
