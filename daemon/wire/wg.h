/*
 * wg: the four messages of WireGuard (whitepaper section 5.4), bytes <-> structs. Lengths, types
 * and the reserved bytes are checked here; nothing here knows a key. All integers are little endian
 * on the wire.
 *
 *     initiation 148   type 1, 0 0 0, sender 4, ephemeral 32, static 32+16, timestamp 12+16,
 *                      mac1 16, mac2 16
 *     response    92   type 2, 0 0 0, sender 4, receiver 4, ephemeral 32, nothing 0+16,
 *                      mac1 16, mac2 16
 *     cookie      64   type 3, 0 0 0, receiver 4, nonce 24, cookie 16+16
 *     data      >=32   type 4, 0 0 0, receiver 4, counter 8, packet n+16
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	WG_KEY_LEN = 32,
	WG_TAG_LEN = 16,
	WG_MAC_LEN = 16,
	WG_COOKIE_LEN = 16,
	WG_COOKIE_NONCE_LEN = 24,
	WG_TIMESTAMP_LEN = 12,

	WG_INITIATION_LEN = 148,
	WG_RESPONSE_LEN = 92,
	WG_COOKIE_REPLY_LEN = 64,
	WG_DATA_HEAD_LEN = 16,
	WG_DATA_MIN_LEN = WG_DATA_HEAD_LEN + WG_TAG_LEN, /* a keepalive */
	WG_HANDSHAKE_MAX_LEN = WG_INITIATION_LEN,
	WG_PADDING =
		16 /* inner packets are padded with zeros to a multiple, but not above the MTU */
};

enum wg_type { WG_TYPE_INITIATION = 1, WG_TYPE_RESPONSE, WG_TYPE_COOKIE_REPLY, WG_TYPE_DATA };

struct wg_initiation {
	uint32_t sender;
	uint8_t ephemeral[WG_KEY_LEN];
	uint8_t sealed_static[WG_KEY_LEN + WG_TAG_LEN];
	uint8_t sealed_timestamp[WG_TIMESTAMP_LEN + WG_TAG_LEN];
};

struct wg_response {
	uint32_t sender, receiver;
	uint8_t ephemeral[WG_KEY_LEN];
	uint8_t sealed_nothing[WG_TAG_LEN];
};

struct wg_cookie_reply {
	uint32_t receiver;
	uint8_t nonce[WG_COOKIE_NONCE_LEN];
	uint8_t sealed_cookie[WG_COOKIE_LEN + WG_TAG_LEN];
};

struct wg_data_head {
	uint32_t receiver;
	uint64_t counter;
};

/* The type of a message whose type, reserved bytes and length fit each other, else -EBADMSG. */
int wg_message_type(const uint8_t *data, size_t len);

/* Does @data begin as a message does, with one of the types and three zero bytes? */
static inline bool wg_begins(const uint8_t *data, size_t len)
{
	return len >= 4 && data[0] >= WG_TYPE_INITIATION && data[0] <= WG_TYPE_DATA &&
	       !(data[1] | data[2] | data[3]);
}

/*
 * -EBADMSG unless @data is exactly that message. The MACs are not part of the structs, see below.
 */
int wg_initiation_parse(const uint8_t *data, size_t len, struct wg_initiation *ret);
int wg_response_parse(const uint8_t *data, size_t len, struct wg_response *ret);
int wg_cookie_reply_parse(const uint8_t *data, size_t len, struct wg_cookie_reply *ret);

/* The whole message, the two MACs zero. */
void wg_initiation_format(
	const struct wg_initiation *m, uint8_t ret_data[static WG_INITIATION_LEN]);
void wg_response_format(const struct wg_response *m, uint8_t ret_data[static WG_RESPONSE_LEN]);
void wg_cookie_reply_format(
	const struct wg_cookie_reply *m, uint8_t ret_data[static WG_COOKIE_REPLY_LEN]);

/*
 * So many packets of at most @mtu bytes, sealed, are one UDP message of the kernel's (65,507
 * bytes): how large the super-packets shall be that come to a tunnel. Not above 48: full groups for
 * the cipher.
 */
static inline unsigned wg_super_segments(unsigned mtu)
{
	unsigned n = 65507 / (mtu + WG_DATA_MIN_LEN); /* padding never goes above the MTU */

	return n < 1 ? 1 : n > 48 ? 48 : n;
}

/*
 * Might @packet (that ipkt_parse() or segment_plan() has taken) hold a datagram of WireGuard, or a
 * part of one? Data messages and fragments of anything in UDP do. @ret_hops: its TTL or hop limit.
 */
bool wg_seems_sealed(const uint8_t *packet, size_t len, uint8_t *ret_hops);

/* Where mac1 and mac2 lie in an initiation or response of @len bytes: mac1 covers all before it. */
static inline size_t wg_mac1_offset(size_t len)
{
	return len - 2 * WG_MAC_LEN;
}

static inline size_t wg_mac2_offset(size_t len)
{
	return len - WG_MAC_LEN;
}

/* The hot path's two, inline and without a branch but the checks. */
static inline uint32_t wg_le32_read(const uint8_t *p)
{
	return (uint32_t) p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16 |
	       (uint32_t) p[3] << 24;
}

static inline uint64_t wg_le64_read(const uint8_t *p)
{
	return (uint64_t) wg_le32_read(p) | (uint64_t) wg_le32_read(p + 4) << 32;
}

static inline void wg_le32_write(uint8_t *p, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = (uint8_t) (v >> 8 * i);
}

static inline void wg_le64_write(uint8_t *p, uint64_t v)
{
	wg_le32_write(p, (uint32_t) v);
	wg_le32_write(p + 4, (uint32_t) (v >> 32));
}

/* False if @data is no data message. The sealed packet is data[16] .. data[len - 1], tag last. */
static inline bool wg_data_head_parse(const uint8_t *data, size_t len, struct wg_data_head *ret)
{
	if (len < WG_DATA_MIN_LEN || wg_le32_read(data) != WG_TYPE_DATA)
		return false;
	ret->receiver = wg_le32_read(data + 4);
	ret->counter = wg_le64_read(data + 8);
	return true;
}

static inline void wg_data_head_format(
	uint8_t ret_data[static WG_DATA_HEAD_LEN], uint32_t receiver, uint64_t counter)
{
	wg_le32_write(ret_data, WG_TYPE_DATA);
	wg_le32_write(ret_data + 4, receiver);
	wg_le64_write(ret_data + 8, counter);
}
