/* virtio 1.2 section 5.1.6, struct virtio_net_hdr up to csum_offset. Unknown flags are ignored. */
#include "packet/vnet.h"

#include <errno.h>

enum { FLAG_RSC_INFO = 4, GSO_ECN = 0x80 };

static uint16_t le16_read(const uint8_t *p)
{
	return (uint16_t) (p[0] | p[1] << 8);
}

static void le16_write(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t) v;
	p[1] = (uint8_t) (v >> 8);
}

static bool gso_is_known(uint8_t type)
{
	return type == VNET_GSO_NONE || type == VNET_GSO_TCPV4 || type == VNET_GSO_TCPV6 ||
	       type == VNET_GSO_UDP_L4;
}

int vnet_parse(const uint8_t bytes[static VNET_HEAD_LEN], struct vnet_head *ret)
{
	uint8_t type = bytes[1] & (uint8_t) ~GSO_ECN;

	if (!gso_is_known(type) || (bytes[0] & FLAG_RSC_INFO))
		return -EBADMSG;
	*ret = (struct vnet_head){ .flags = bytes[0] & (VNET_NEEDS_CSUM | VNET_DATA_VALID),
		.gso = (enum vnet_gso) type,
		.ecn = bytes[1] & GSO_ECN,
		.hdr_len = le16_read(bytes + 2),
		.gso_size = le16_read(bytes + 4),
		.csum_start = le16_read(bytes + 6),
		.csum_offset = le16_read(bytes + 8) };
	return 0;
}

void vnet_format(const struct vnet_head *head, uint8_t ret_bytes[static VNET_HEAD_LEN])
{
	ret_bytes[0] = head->flags;
	ret_bytes[1] = (uint8_t) (head->gso | (head->ecn ? GSO_ECN : 0));
	le16_write(ret_bytes + 2, head->hdr_len);
	le16_write(ret_bytes + 4, head->gso_size);
	le16_write(ret_bytes + 6, head->csum_start);
	le16_write(ret_bytes + 8, head->csum_offset);
}
