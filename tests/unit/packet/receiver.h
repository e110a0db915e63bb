/*
 * receiver: stands in for the kernel behind a TUN device. It takes what coalesce writes, checks it as
 * virtio-net asks, splits super-packets again in its own slow way and holds the result against what was
 * put in: each packet once, in the order of its flow, byte for byte. Only the IPv4 id of packets that may
 * not be fragmented may differ. What was not right when it was put in must come out alone and with
 * no word about its checksum.
 */
#pragma once

#include "packets.h"
#include "packet/coalesce.h"

enum { RECEIVER_PACKETS = 512 };

struct sent_packet {
	uint8_t *original; /* owned: as it was put in */
	uint8_t *data;     /* owned: what coalesce works on */
	size_t len;
	bool seen;
};

struct receiver {
	struct coalesce c;
	struct sent_packet sent[RECEIVER_PACKETS];
	size_t n_sent, n_seen, writes, segments_last, segments_most;
	struct vnet_head last; /* of the last write */
	uint8_t flat[PACKET_ROOM + 64],
		segment[PACKET_ROOM + 64]; /* of the last write, of its last packet */
	size_t flat_len;
};

/* How far two packets are of one flow: by addresses, and by ports where both have them in plain sight. */
static inline bool same_addresses(const struct sent_packet *a, const struct sent_packet *b)
{
	const uint8_t *p = a->original, *q = b->original;

	if (a->len == 0 || b->len == 0 || p[0] >> 4 != q[0] >> 4)
		return false;
	if (p[0] >> 4 == 4)
		return a->len >= 20 && b->len >= 20 && memcmp(p + 12, q + 12, 8) == 0;
	return p[0] >> 4 == 6 && a->len >= 40 && b->len >= 40 && memcmp(p + 8, q + 8, 32) == 0;
}

/* Where the ports are: 0 if the packet hides them. */
static inline size_t ports_at(const struct sent_packet *a)
{
	const uint8_t *p = a->original;
	int protocol = p[0] >> 4 == 4 ? p[9] : p[6];
	size_t at = p[0] >> 4 == 4 ? 20 : 40;

	if (protocol != TCP && protocol != UDP)
		return 0;
	if (p[0] >> 4 == 4 && (p[0] != 0x45 || get16(p + 6) & 0xbfff || get16(p + 2) != a->len))
		return 0;
	if (p[0] >> 4 == 6 && get16(p + 4) + 40 != a->len)
		return 0;
	return a->len - at < (protocol == TCP ? 20 : 8) ? 0 : at;
}

static inline bool must_keep_order(const struct sent_packet *a, const struct sent_packet *b)
{
	size_t at;

	if (!same_addresses(a, b))
		return false;
	at = ports_at(a);
	if (at == 0 || ports_at(b) == 0)
		return true;
	return memcmp(a->original + at, b->original + at, 4) == 0 &&
	       a->original[at == 20 ? 9 : 6] == b->original[at == 20 ? 9 : 6];
}

/* Whether @p is @sent, but for the id where it does not matter. */
static inline bool is_packet(
	const struct sent_packet *sent, const uint8_t *p, size_t len, bool joined)
{
	uint8_t head[20];

	if (sent->len != len)
		return false;
	if (!joined || p[0] != 0x45 || !(p[6] & 0x40))
		return memcmp(sent->original, p, len) == 0;
	memcpy(head, p, sizeof(head));
	memcpy(head + 4, sent->original + 4, 2);
	fix_v4_sum(head);
	return memcmp(sent->original, head, sizeof(head)) == 0 &&
	       memcmp(sent->original + 20, p + 20, len - 20) == 0;
}

static inline void take_packet(
	struct receiver *r, const uint8_t *p, size_t len, bool valid, bool joined)
{
	for (size_t i = 0; i < r->n_sent; i++) {
		struct sent_packet *sent = &r->sent[i];

		if (sent->seen || !is_packet(sent, p, len, joined))
			continue;
		for (size_t k = 0; k < i; k++)
			CHECK(r->sent[k].seen || !must_keep_order(&r->sent[k], sent));
		if (valid)
			CHECK(!packet_fault(sent->original, len));
		sent->seen = true;
		r->n_seen++;
		return;
	}
	CHECK(!"a packet came out that was never put in");
}

/* What include/linux/virtio_net.h and the segmentation behind it ask of a super-packet. */
static inline void check_super(const struct vnet_head *h, const uint8_t *p, size_t len)
{
	bool v6 = p[0] >> 4 == 6, udp = h->gso == VNET_GSO_UDP_L4;
	size_t at = v6 ? 40 : 20, field = (size_t) h->csum_start + h->csum_offset;

	CHECK(h->flags == VNET_NEEDS_CSUM && !h->ecn);
	CHECK(h->gso == (udp ? VNET_GSO_UDP_L4 : v6 ? VNET_GSO_TCPV6 : VNET_GSO_TCPV4));
	CHECK(h->csum_start == at && h->csum_offset == (udp ? 6 : 16));
	CHECK(h->hdr_len == at + (udp ? 8 : (size_t) (p[at + 12] >> 4) * 4));
	CHECK(h->gso_size > 0 && len > (size_t) h->hdr_len + h->gso_size && len <= 65535);
	CHECK((v6 ? get16(p + 4) + 40 : get16(p + 2)) == len);
	CHECK(v6 || slow_sum(0, p, 20) == 0xffff);
	CHECK(!udp || get16(p + at + 4) == len - at);
	CHECK(get16(p + field) == slow_pseudo(p, udp ? UDP : TCP, len - at));
}

static inline void split_super(struct receiver *r, const struct vnet_head *h)
{
	size_t payload = r->flat_len - h->hdr_len, n = (payload + h->gso_size - 1) / h->gso_size;
	size_t at = h->csum_start;
	uint8_t *p = r->segment;

	CHECK(n <= COALESCE_SEGMENTS);
	r->segments_last = n;
	for (size_t i = 0; i < n; i++) {
		size_t part = i + 1 < n ? h->gso_size : payload - i * h->gso_size;
		size_t len = h->hdr_len + part;

		memcpy(p, r->flat, h->hdr_len);
		memcpy(p + h->hdr_len, r->flat + h->hdr_len + i * h->gso_size, part);
		if (at == 20) {
			put16(p + 2, len);
			put16(p + 4, get16(p + 4) + i);
			fix_v4_sum(p);
		} else {
			put16(p + 4, len - 40);
		}
		if (h->gso == VNET_GSO_UDP_L4) {
			put16(p + at + 4, len - at);
		} else {
			put32(p + at + 4, get32(p + at + 4) + (uint32_t) (i * h->gso_size));
			if (i + 1 < n)
				p[at + 13] &= (uint8_t) ~(PSH | FIN);
		}
		fix_transport_sum(p, len, at, h->gso == VNET_GSO_UDP_L4 ? UDP : TCP);
		take_packet(r, p, len, true, true);
	}
}

/* A super-packet that is taken apart again is the packets that were put in, byte for byte. */
static inline void check_undo(
	const struct receiver *r, const struct vnet_head *h, struct iovec *iov, int n)
{
	coalesce_undo(h, iov, n);
	for (int i = 1; i < n; i++) {
		size_t k = 0;

		while (k < r->n_sent &&
			!is_packet(&r->sent[k], iov[i].iov_base, iov[i].iov_len, false))
			k++;
		CHECK(k < r->n_sent);
	}
}

static inline void receive(void *ctx, const struct vnet_head *head, struct iovec *iov, int n)
{
	struct receiver *r = ctx;
	struct vnet_head again;

	CHECK(n >= 2 && n <= COALESCE_SEGMENTS + 1);
	CHECK(iov[0].iov_len == VNET_HEAD_LEN && vnet_parse(iov[0].iov_base, &again) == 0);
	CHECK(again.flags == head->flags && again.gso == head->gso &&
		again.gso_size == head->gso_size && again.hdr_len == head->hdr_len &&
		again.csum_start == head->csum_start && again.csum_offset == head->csum_offset);
	r->flat_len = 0;
	for (int i = 1; i < n; i++) {
		CHECK(r->flat_len + iov[i].iov_len <= sizeof(r->flat));
		memcpy(r->flat + r->flat_len, iov[i].iov_base, iov[i].iov_len);
		r->flat_len += iov[i].iov_len;
	}
	r->writes++;
	r->last = *head;
	r->segments_last = 1;
	if (head->gso == VNET_GSO_NONE) {
		CHECK(n == 2 && (head->flags & ~VNET_DATA_VALID) == 0);
		take_packet(r, r->flat, r->flat_len, head->flags & VNET_DATA_VALID, false);
	} else {
		check_super(head, r->flat, r->flat_len);
		split_super(r, head);
		check_undo(r, head, iov, n);
	}
	if (r->segments_last > r->segments_most)
		r->segments_most = r->segments_last;
}

static inline struct receiver *receiver_new(bool tcp, bool udp)
{
	struct receiver *r = calloc(1, sizeof(*r));

	CHECK(r);
	coalesce_init(&r->c, tcp, udp, receive, r);
	return r;
}

static inline void receiver_put(struct receiver *r, const uint8_t *p, size_t len)
{
	struct sent_packet *sent = &r->sent[r->n_sent];

	CHECK(r->n_sent < RECEIVER_PACKETS);
	*sent = (struct sent_packet){
		.original = malloc(len ? len : 1), .data = malloc(len ? len : 1), .len = len
	};
	CHECK(sent->original && sent->data);
	if (len) {
		memcpy(sent->original, p, len);
		memcpy(sent->data, p, len);
	}
	r->n_sent++;
	coalesce_add(&r->c, sent->data, len);
}

/* All that was put in must have come out. Ready for the next batch. */
static inline void receiver_flush(struct receiver *r)
{
	coalesce_flush(&r->c);
	CHECK(r->n_seen == r->n_sent);
	for (size_t i = 0; i < r->n_sent; i++) {
		free(r->sent[i].original);
		free(r->sent[i].data);
	}
	r->n_sent = r->n_seen = 0;
}

static inline void receiver_free(struct receiver *r)
{
	receiver_flush(r);
	free(r);
}
