/*
 * Everything about a packet is read from its own headers and checked against its length; of the
 * virtio-net header only the type, the segment size and the place of a checksum are used, the last
 * two after checks. Nothing outside the packet is read, and nothing is written but a checksum
 * behind its IP header.
 *
 * Per segment only what differs is added to sums made once: the rest of the headers costs nothing.
 */
#include "packet/segment.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "packet/bytes.h"
#include "packet/checksum.h"
#include "packet/inet.h"

/* What the IP headers say. */
struct ip {
	bool v6, fragment,
		routed; /* routed: the pseudo header has another destination, RFC 8200 8.1 */
	size_t len, transport;
	uint8_t protocol;
};

static int parse_v4(const uint8_t *p, size_t len, struct ip *ret)
{
	size_t head, total;

	if (len < INET_V4_HEAD)
		return -EBADMSG;
	head = (size_t) (p[0] & 0x0f) * 4;
	total = be16_read(p + INET_V4_LEN);
	if (head < INET_V4_HEAD || total < head || total > len)
		return -EBADMSG;
	*ret = (struct ip){ .len = total,
		.transport = head,
		.protocol = p[INET_V4_PROTOCOL],
		.fragment = be16_read(p + INET_V4_FRAGMENT) & INET_V4_FRAGMENTED };
	return 0;
}

static int parse_v6(const uint8_t *p, size_t len, struct ip *ret)
{
	if (len < INET_V6_HEAD)
		return -EBADMSG;
	*ret = (struct ip){ .v6 = true,
		.len = INET_V6_HEAD + be16_read(p + INET_V6_LEN),
		.transport = INET_V6_HEAD,
		.protocol = p[INET_V6_NEXT] };
	return ret->len > len ? -EBADMSG : 0;
}

static int parse_ip(const uint8_t *p, size_t len, struct ip *ret)
{
	if (len == 0)
		return -EBADMSG;
	switch (p[0] >> 4) {
	case 4:
		return parse_v4(p, len, ret);
	case 6:
		return parse_v6(p, len, ret);
	default:
		return -EBADMSG;
	}
}

/* Walks over the headers that may stand in front of a whole TCP or UDP packet (RFC 8200 4.1). */
static int skip_extensions(const uint8_t *p, struct ip *ip)
{
	while (ip->protocol == IPPROTO_HOPOPTS || ip->protocol == IPPROTO_ROUTING ||
		ip->protocol == IPPROTO_DSTOPTS) {
		size_t head;

		if (ip->len - ip->transport < 8)
			return -EBADMSG;
		head = ((size_t) p[ip->transport + 1] + 1) * 8;
		if (head > ip->len - ip->transport)
			return -EBADMSG;
		if (ip->protocol == IPPROTO_ROUTING)
			ip->routed = true;
		ip->protocol = p[ip->transport];
		ip->transport += head;
	}
	return 0;
}

static bool gso_fits(enum vnet_gso gso, const struct ip *ip)
{
	switch (gso) {
	case VNET_GSO_TCPV4:
		return !ip->v6 && ip->protocol == IPPROTO_TCP;
	case VNET_GSO_TCPV6:
		return ip->v6 && ip->protocol == IPPROTO_TCP;
	case VNET_GSO_UDP_L4:
		return ip->protocol == IPPROTO_UDP;
	case VNET_GSO_NONE:
		break;
	}
	return false;
}

/* The length of the TCP or UDP header, 0 if there is none that could be split. */
static size_t transport_head_len(const uint8_t *p, const struct ip *ip)
{
	size_t left = ip->len - ip->transport, len;

	if (ip->protocol == IPPROTO_UDP)
		return left < INET_UDP_HEAD ? 0 : INET_UDP_HEAD;
	if (left < INET_TCP_HEAD)
		return 0;
	len = (size_t) (p[ip->transport + INET_TCP_OFFSET] >> 4) * 4;
	if (len < INET_TCP_HEAD || len > left ||
		(p[ip->transport + INET_TCP_FLAGS] & (INET_TCP_SYN | INET_TCP_RST)))
		return 0;
	return len;
}

static size_t sum_offset(uint8_t protocol)
{
	return protocol == IPPROTO_TCP ? INET_TCP_SUM : INET_UDP_SUM;
}

/* One packet: its missing checksum is made where it lies. */
static int complete(const struct vnet_head *head, uint8_t *p, const struct ip *ip)
{
	size_t start = head->csum_start, field = start + head->csum_offset;

	if (!(head->flags & VNET_NEEDS_CSUM))
		return 0;
	if (start < ip->transport || field + 2 > ip->len)
		return -EBADMSG;
	raw16_write(p + field, checksum_field(checksum_add(0, p + start, ip->len - start)));
	return 0;
}

static uint64_t pseudo_sum(const uint8_t *p, const struct ip *ip)
{
	/*
	 * The sum in the field was made with the address that is right; out goes the whole length.
	 */
	if (ip->routed)
		return checksum_sub(raw16_read(p + ip->transport + sum_offset(ip->protocol)),
			htobe16((uint16_t) (ip->len - ip->transport)));
	if (ip->v6)
		return checksum_pseudo(p + INET_V6_ADDRESSES, INET_V6_ADDRESSES_LEN, ip->protocol);
	return checksum_pseudo(p + INET_V4_ADDRESSES, INET_V4_ADDRESSES_LEN, ip->protocol);
}

static void prepare_transport(struct segment_plan *plan)
{
	uint8_t *t = plan->head + plan->transport;

	if (plan->protocol == IPPROTO_TCP) {
		plan->seq = be32_read(t + INET_TCP_SEQ);
		plan->tcp_flags = t[INET_TCP_FLAGS];
		memset(t + INET_TCP_SEQ, 0, 4);
		t[INET_TCP_FLAGS] = 0;
	} else {
		raw16_write(t + INET_UDP_LEN, 0);
	}
	raw16_write(t + sum_offset(plan->protocol), 0);
	plan->transport_sum =
		checksum_add(plan->transport_sum, t, plan->head_len - plan->transport);
}

static void prepare_ip(struct segment_plan *plan)
{
	uint8_t *p = plan->head;

	if (plan->family == AF_INET6) {
		raw16_write(p + INET_V6_LEN, 0);
		return;
	}
	plan->id = be16_read(p + INET_V4_ID);
	raw16_write(p + INET_V4_LEN, 0);
	raw16_write(p + INET_V4_ID, 0);
	raw16_write(p + INET_V4_SUM, 0);
	plan->ip_sum = checksum_add(0, p, plan->transport);
}

/* A super-packet: 0, or -EBADMSG. */
static int plan_split(const struct vnet_head *head, const uint8_t *p, const struct ip *ip,
	struct segment_plan *ret)
{
	size_t transport_len = transport_head_len(p, ip);
	bool sums = head->flags & VNET_NEEDS_CSUM;

	if (transport_len == 0 || ip->transport + transport_len > SEGMENT_HEAD_MAX ||
		head->gso_size == 0)
		return -EBADMSG;
	if (sums ? head->csum_start != ip->transport ||
				head->csum_offset != sum_offset(ip->protocol)
		 : ip->routed)
		return -EBADMSG;
	ret->payload_len = ip->len - ip->transport - transport_len;
	if (ret->payload_len <= head->gso_size)
		return 0;
	ret->head_len = ip->transport + transport_len;
	ret->payload = p + ret->head_len;
	ret->step = head->gso_size;
	ret->n = (ret->payload_len + ret->step - 1) / ret->step;
	ret->transport = ip->transport;
	ret->protocol = ip->protocol;
	ret->transport_sum = pseudo_sum(p, ip);
	memcpy(ret->head, p, ret->head_len);
	prepare_transport(ret);
	prepare_ip(ret);
	return 0;
}

int segment_plan(
	const struct vnet_head *head, uint8_t *packet, size_t len, struct segment_plan *ret)
{
	struct ip ip;

	if (parse_ip(packet, len, &ip) < 0)
		return -EBADMSG;
	ret->family = ip.v6 ? AF_INET6 : AF_INET;
	ret->src = packet + (ip.v6 ? INET_V6_ADDRESSES : INET_V4_ADDRESSES);
	ret->dst = ret->src + (ip.v6 ? INET_V6_ADDRESSES_LEN : INET_V4_ADDRESSES_LEN) / 2;
	ret->n = 1;
	ret->head_len = 0;
	if (head->gso != VNET_GSO_NONE) {
		if (ip.fragment || (ip.v6 && skip_extensions(packet, &ip) < 0) ||
			!gso_fits(head->gso, &ip) || plan_split(head, packet, &ip, ret) < 0)
			return -EBADMSG;
		if (ret->n > 1)
			return 0;
	}
	ret->payload = packet;
	ret->payload_len = ret->step = ip.len;
	return complete(head, packet, &ip);
}

static void finish_tcp(
	const struct segment_plan *plan, size_t i, uint8_t *t, size_t len, uint64_t sum)
{
	uint32_t seq = htobe32(plan->seq + (uint32_t) (i * plan->step));
	uint8_t flags = plan->tcp_flags;

	if (i != 0)
		flags &= (uint8_t) ~INET_TCP_CWR;
	if (i + 1 != plan->n)
		flags &= (uint8_t) ~(INET_TCP_FIN | INET_TCP_PSH);
	memcpy(t + INET_TCP_SEQ, &seq, sizeof(seq));
	t[INET_TCP_FLAGS] = flags;
	sum += (uint64_t) seq + htobe16(flags) + htobe16((uint16_t) len);
	raw16_write(t + INET_TCP_SUM, checksum_field(sum));
}

static void finish_udp(uint8_t *t, size_t len, uint64_t sum)
{
	be16_write(t + INET_UDP_LEN, (uint16_t) len);
	/* Once for the pseudo header, once for the header. */
	raw16_write(t + INET_UDP_SUM, checksum_field(sum + 2 * htobe16((uint16_t) len)));
}

static void finish_v4(const struct segment_plan *plan, size_t i, uint8_t *p, size_t len)
{
	uint16_t total = htobe16((uint16_t) len);
	uint16_t id = htobe16((uint16_t) (plan->id + i));

	raw16_write(p + INET_V4_LEN, total);
	raw16_write(p + INET_V4_ID, id);
	raw16_write(p + INET_V4_SUM, (uint16_t) ~checksum_fold(plan->ip_sum + total + id));
}

void segment_head(const struct segment_plan *plan, size_t i, uint8_t *ret_head,
	const uint8_t **ret_payload, size_t *ret_payload_len)
{
	size_t len = segment_len(plan, i), payload_len = len - plan->head_len;
	const uint8_t *payload = plan->payload + i * plan->step;
	uint64_t sum;

	*ret_payload = payload;
	*ret_payload_len = payload_len;
	if (plan->head_len == 0)
		return;
	memcpy(ret_head, plan->head, plan->head_len);
	if (plan->family == AF_INET6)
		be16_write(ret_head + INET_V6_LEN, (uint16_t) (len - INET_V6_HEAD));
	else
		finish_v4(plan, i, ret_head, len);
	sum = checksum_add(plan->transport_sum, payload, payload_len);
	if (plan->protocol == IPPROTO_TCP)
		finish_tcp(plan, i, ret_head + plan->transport, len - plan->transport, sum);
	else
		finish_udp(ret_head + plan->transport, len - plan->transport, sum);
}
