/* wg: see wg.h. Every parse function checks type and exact length before it reads a field. */
#include "wire/wg.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "packet/bytes.h"
#include "packet/inet.h"
#include "packet/ipkt.h"

int wg_message_type(const uint8_t *data, size_t len)
{
	if (len < 4)
		return -EBADMSG;
	switch (wg_le32_read(data)) {
	case WG_TYPE_INITIATION:
		return len == WG_INITIATION_LEN ? WG_TYPE_INITIATION : -EBADMSG;
	case WG_TYPE_RESPONSE:
		return len == WG_RESPONSE_LEN ? WG_TYPE_RESPONSE : -EBADMSG;
	case WG_TYPE_COOKIE_REPLY:
		return len == WG_COOKIE_REPLY_LEN ? WG_TYPE_COOKIE_REPLY : -EBADMSG;
	case WG_TYPE_DATA:
		return len >= WG_DATA_MIN_LEN ? WG_TYPE_DATA : -EBADMSG;
	default:
		return -EBADMSG;
	}
}

/* Copies @len bytes out of *@p and moves on. */
static void take(const uint8_t **p, void *field, size_t len)
{
	memcpy(field, *p, len);
	*p += len;
}

static void put(uint8_t **p, const void *field, size_t len)
{
	memcpy(*p, field, len);
	*p += len;
}

int wg_initiation_parse(const uint8_t *data, size_t len, struct wg_initiation *ret)
{
	if (wg_message_type(data, len) != WG_TYPE_INITIATION)
		return -EBADMSG;
	const uint8_t *p = data + 8;

	ret->sender = wg_le32_read(data + 4);
	take(&p, ret->ephemeral, sizeof(ret->ephemeral));
	take(&p, ret->sealed_static, sizeof(ret->sealed_static));
	take(&p, ret->sealed_timestamp, sizeof(ret->sealed_timestamp));
	return 0;
}

int wg_response_parse(const uint8_t *data, size_t len, struct wg_response *ret)
{
	if (wg_message_type(data, len) != WG_TYPE_RESPONSE)
		return -EBADMSG;
	const uint8_t *p = data + 12;

	ret->sender = wg_le32_read(data + 4);
	ret->receiver = wg_le32_read(data + 8);
	take(&p, ret->ephemeral, sizeof(ret->ephemeral));
	take(&p, ret->sealed_nothing, sizeof(ret->sealed_nothing));
	return 0;
}

int wg_cookie_reply_parse(const uint8_t *data, size_t len, struct wg_cookie_reply *ret)
{
	if (wg_message_type(data, len) != WG_TYPE_COOKIE_REPLY)
		return -EBADMSG;
	const uint8_t *p = data + 8;

	ret->receiver = wg_le32_read(data + 4);
	take(&p, ret->nonce, sizeof(ret->nonce));
	take(&p, ret->sealed_cookie, sizeof(ret->sealed_cookie));
	return 0;
}

void wg_initiation_format(const struct wg_initiation *m, uint8_t ret_data[static WG_INITIATION_LEN])
{
	uint8_t *p = ret_data + 8;

	memset(ret_data, 0, WG_INITIATION_LEN);
	wg_le32_write(ret_data, WG_TYPE_INITIATION);
	wg_le32_write(ret_data + 4, m->sender);
	put(&p, m->ephemeral, sizeof(m->ephemeral));
	put(&p, m->sealed_static, sizeof(m->sealed_static));
	put(&p, m->sealed_timestamp, sizeof(m->sealed_timestamp));
}

void wg_response_format(const struct wg_response *m, uint8_t ret_data[static WG_RESPONSE_LEN])
{
	uint8_t *p = ret_data + 12;

	memset(ret_data, 0, WG_RESPONSE_LEN);
	wg_le32_write(ret_data, WG_TYPE_RESPONSE);
	wg_le32_write(ret_data + 4, m->sender);
	wg_le32_write(ret_data + 8, m->receiver);
	put(&p, m->ephemeral, sizeof(m->ephemeral));
	put(&p, m->sealed_nothing, sizeof(m->sealed_nothing));
}

void wg_cookie_reply_format(
	const struct wg_cookie_reply *m, uint8_t ret_data[static WG_COOKIE_REPLY_LEN])
{
	uint8_t *p = ret_data + 8;

	wg_le32_write(ret_data, WG_TYPE_COOKIE_REPLY);
	wg_le32_write(ret_data + 4, m->receiver);
	put(&p, m->nonce, sizeof(m->nonce));
	put(&p, m->sealed_cookie, sizeof(m->sealed_cookie));
}

static bool is_data(const uint8_t *udp, size_t len)
{
	static const uint8_t type[4] = { WG_TYPE_DATA };

	return len >= INET_UDP_HEAD + WG_DATA_MIN_LEN &&
	       memcmp(udp + INET_UDP_HEAD, type, sizeof(type)) == 0;
}

bool wg_seems_sealed(const uint8_t *packet, size_t len, uint8_t *ret_hops)
{
	bool v4 = packet[0] >> 4 == 4;
	size_t head = v4 ? (size_t) (packet[0] & 0x0f) * 4 : IPKT_V6_HEAD_LEN;
	uint8_t protocol = packet[v4 ? INET_V4_PROTOCOL : INET_V6_NEXT];

	*ret_hops = packet[v4 ? INET_V4_TTL : INET_V6_HOPS];
	if (!v4 && protocol == IPPROTO_FRAGMENT)
		return len > head && packet[head] == IPPROTO_UDP;
	if (protocol != IPPROTO_UDP || head > len)
		return false;
	if (v4 && (be16_read(packet + INET_V4_FRAGMENT) & INET_V4_FRAGMENTED))
		return true;
	return is_data(packet + head, len - head);
}
