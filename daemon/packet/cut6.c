/*
 * cut6: see cut6.h. Every piece but the last carries a multiple of 8 bytes; the UDP header lies in
 * the first and counts as a part of what is cut.
 */
#include "packet/cut6.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

#include "packet/bytes.h"
#include "packet/checksum.h"
#include "packet/inet.h"

enum {
	FRAGMENT_HEAD = 8,
	AROUND = INET_V6_HEAD + FRAGMENT_HEAD,
	MORE = 1, /* fragments follow */
};

static void write_ip(const struct cut6 *cut, uint8_t *head, size_t payload)
{
	memset(head, 0, INET_V6_HEAD);
	head[0] = 0x60;
	be16_write(head + INET_V6_LEN, (uint16_t) payload);
	head[INET_V6_NEXT] = IPPROTO_FRAGMENT;
	head[INET_V6_HOPS] = cut->hops;
	memcpy(head + INET_V6_ADDRESSES, cut->addresses, sizeof(cut->addresses));
}

static void write_fragment(const struct cut6 *cut, uint8_t *head, size_t offset, bool more)
{
	head[0] = IPPROTO_UDP;
	head[1] = 0;
	be16_write(head + 2, (uint16_t) (offset | (more ? MORE : 0)));
	be32_write(head + 4, cut->id);
}

static void write_udp(const struct cut6 *cut, uint8_t *head, const uint8_t *data, size_t len)
{
	uint64_t sum = checksum_pseudo(cut->addresses, sizeof(cut->addresses), IPPROTO_UDP);

	be16_write(head, cut->source_port);
	be16_write(head + 2, cut->port);
	be16_write(head + INET_UDP_LEN, (uint16_t) (INET_UDP_HEAD + len));
	raw16_write(head + INET_UDP_SUM, 0);
	sum += htobe16((uint16_t) (INET_UDP_HEAD + len));
	sum = checksum_add(sum, head, INET_UDP_HEAD);
	sum = checksum_add(sum, data, len);
	raw16_write(head + INET_UDP_SUM, checksum_field(sum));
}

size_t cut6(const struct cut6 *cut, const uint8_t *data, size_t len, size_t mtu,
	struct cut6_piece ret[static CUT6_PIECES_MAX])
{
	size_t whole = INET_UDP_HEAD + len, step = (mtu - AROUND) / 8 * 8, n = 0;

	assert(mtu >= CUT6_LEAST);
	for (size_t at = 0; at < whole; at += step, n++) {
		size_t part = whole - at < step ? whole - at : step;
		size_t udp = at == 0 ? INET_UDP_HEAD : 0;
		struct cut6_piece *piece = &ret[n];

		if (n == CUT6_PIECES_MAX)
			return 0;
		write_ip(cut, piece->head, FRAGMENT_HEAD + part);
		write_fragment(cut, piece->head + INET_V6_HEAD, at, at + part < whole);
		if (udp)
			write_udp(cut, piece->head + AROUND, data, len);
		piece->head_len = AROUND + udp;
		piece->data = data + (at ? at - INET_UDP_HEAD : 0);
		piece->len = part - udp;
	}
	return n;
}
