/*
 * RFC 791 section 3.1, RFC 8200 section 3. Reads nothing behind @len, whatever the header claims. A
 * jumbogram (payload length 0 and a hop-by-hop option) counts as its bare header.
 */
#include "packet/ipkt.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "packet/inet.h"

static size_t be16(const uint8_t *p)
{
	return (size_t) p[0] << 8 | p[1];
}

static int parse_v4(const uint8_t *data, size_t len, struct ipkt *ret)
{
	size_t head, total;

	if (len < IPKT_V4_HEAD_LEN)
		return -EBADMSG;
	head = (size_t) (data[0] & 0x0f) * 4;
	total = be16(data + INET_V4_LEN);
	if (head < IPKT_V4_HEAD_LEN || total < head || total > len)
		return -EBADMSG;
	*ret = (struct ipkt){ .family = AF_INET,
		.len = total,
		.src = data + INET_V4_SOURCE,
		.dst = data + INET_V4_DESTINATION };
	return 0;
}

static int parse_v6(const uint8_t *data, size_t len, struct ipkt *ret)
{
	size_t total;

	if (len < IPKT_V6_HEAD_LEN)
		return -EBADMSG;
	total = IPKT_V6_HEAD_LEN + be16(data + INET_V6_LEN);
	if (total > len)
		return -EBADMSG;
	*ret = (struct ipkt){ .family = AF_INET6,
		.len = total,
		.src = data + INET_V6_SOURCE,
		.dst = data + INET_V6_DESTINATION };
	return 0;
}

int ipkt_parse(const uint8_t *data, size_t len, struct ipkt *ret)
{
	if (len == 0)
		return -EBADMSG;
	switch (data[0] >> 4) {
	case 4:
		return parse_v4(data, len, ret);
	case 6:
		return parse_v6(data, len, ret);
	default:
		return -EBADMSG;
	}
}
