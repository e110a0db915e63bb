/*
 * segment: splits what a TUN device hands over with a virtio-net header into IP packets for the
 * wire: TCP (TSO) and UDP (USO) super-packets, and single packets whose checksum is missing. Pure,
 * nothing is allocated; payload is never copied, only summed where it lies.
 *
 *	segment_plan(&head, packet, len, &plan);
 *	for (size_t i = 0; i < plan.n; i++) {
 *		segment_head(&plan, i, room, &payload, &payload_len);
 *		... the packet is plan.head_len bytes of room, then payload ...
 *	}
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "packet/vnet.h"

enum { SEGMENT_HEAD_MAX = 192 }; /* IP and transport header, with options and extension headers */

struct segment_plan {
	int family;               /* AF_INET or AF_INET6 */
	const uint8_t *src, *dst; /* 4 or 16 bytes, inside the packet */
	size_t n; /* segments: at least 1, at most 65,507 (one byte each): take them in steps */
	size_t head_len; /* of every segment; 0 if n is 1: the packet leaves as it lies */
	/* The segmenter's own. */
	const uint8_t *payload;         /* borrowed from the packet */
	size_t payload_len, step;       /* of payload per segment */
	size_t transport;               /* where the TCP or UDP header begins */
	uint64_t ip_sum, transport_sum; /* of all that is the same in every segment */
	uint32_t seq;
	uint16_t id;
	uint8_t protocol, tcp_flags;
	uint8_t head[SEGMENT_HEAD_MAX]; /* with zeros for what differs */
};

/*
 * Checks @packet of @len bytes against @head (of which nothing is believed) and prepares its split.
 * A missing checksum of a packet that stays one is completed in @packet; bytes behind the length
 * that its IP header gives are cut off. @packet must stay as it is until the last segment_head().
 * Returns 0, or -EBADMSG for what is no whole IP packet, or no TCP or UDP packet where segments
 * were announced.
 */
int segment_plan(
	const struct vnet_head *head, uint8_t *packet, size_t len, struct segment_plan *ret);

/*
 * The length of segment @i, head and payload. All but the last are equal, the last is not longer.
 */
static inline size_t segment_len(const struct segment_plan *plan, size_t i)
{
	size_t left = plan->payload_len - i * plan->step;

	return plan->head_len + (left < plan->step ? left : plan->step);
}

/*
 * Writes plan->head_len bytes of segment @i < plan->n to @ret_head, complete with lengths, IP id,
 * TCP sequence number and flags and all checksums, and tells where its payload lies in the packet.
 */
void segment_head(const struct segment_plan *plan, size_t i, uint8_t *ret_head,
	const uint8_t **ret_payload, size_t *ret_payload_len);
