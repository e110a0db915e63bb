/*
 * coalesce: joins packets from a tunnel to super-packets for a TUN device with virtio-net header,
 * as the kernel's GRO would: one write instead of up to 64. Pure: writing is the caller's callback.
 * Memory is fixed: payload stays in the packets, and is told of as an iovec.
 *
 * Promises: packets of one flow (addresses, protocol, ports) are written in the order in which they
 * were added; what is joined is only what the kernel's segmentation would make again, byte for byte
 * but for the IPv4 id of packets that may not be fragmented; a checksum is declared valid only
 * after it was verified, and a packet whose checksum is wrong is written alone with no such word.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "packet/vnet.h"

enum {
	COALESCE_FLOWS = 8,     /* joined at the same time; one more writes out another */
	COALESCE_SEGMENTS = 64, /* of one super-packet */
	COALESCE_BYTES = 65535, /* of one super-packet, IP header included */
};

/*
 * One packet or super-packet is complete. @iov[0] is @head formatted (VNET_HEAD_LEN bytes), @iov[1]
 * up to @iov[@n - 1] are the packet, so that a device takes writev(fd, iov, n), or (fd, iov + 1, n
 * - 1) if it has no virtio-net header. Valid during the call; the array may be written to. @n <=
 * COALESCE_SEGMENTS + 1.
 */
typedef void (*coalesce_write)(void *ctx, const struct vnet_head *head, struct iovec *iov, int n);

/*
 * For a device that refuses a super-packet: undoes what was joined. Takes what coalesce_write got,
 * with @head->gso other than VNET_GSO_NONE; then each of @iov[1] up to @iov[@n - 1] is one whole
 * packet as it was added, with verified checksums (VNET_DATA_VALID).
 */
void coalesce_undo(const struct vnet_head *head, struct iovec *iov, int n);

struct coalesce_flow {
	uint64_t key[5];            /* addresses, then ports, protocol and IP version */
	uint64_t pseudo;            /* sum of the pseudo header without the length */
	size_t transport, head_len; /* of the first packet, in iov[1] */
	size_t payload_len;         /* of all segments */
	uint16_t size;              /* payload of each segment but the last */
	uint16_t next_id;
	uint32_t next_seq;
	uint8_t protocol, tcp_flags; /* PSH and FIN of the last segment */
	int n;                       /* segments, 0: free */
	struct iovec iov[COALESCE_SEGMENTS + 1];
};

struct coalesce {
	coalesce_write write;
	void *ctx;
	bool tcp, udp; /* joined at all */
	unsigned last,
		victim; /* indices into flows: used last, written out next when all are in use */
	uint32_t hashes[COALESCE_FLOWS];
	struct coalesce_flow flows[COALESCE_FLOWS];
};

/*
 * @tcp, @udp: whether the device takes super-packets of these (TUN_F_TSO4 and TUN_F_TSO6;
 * TUN_F_USO4 and TUN_F_USO6, since Linux 6.2). What is switched off is passed on packet by packet.
 */
void coalesce_init(struct coalesce *c, bool tcp, bool udp, coalesce_write write, void *ctx);

/*
 * Takes an authentic IP packet of @len bytes, exactly its IP length (otherwise it is passed on
 * alone). It is written now or by a later call; its memory stays valid and untouched by the caller
 * until coalesce_flush(), and its headers may be changed.
 */
void coalesce_add(struct coalesce *c, uint8_t *packet, size_t len);

/*
 * Writes all that is pending. Called at the end of each batch: nothing waits for packets to come.
 */
void coalesce_flush(struct coalesce *c);
