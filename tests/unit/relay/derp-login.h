/* What a client of DERP sends to come in, for tests: with keys that are made of a number. */
#pragma once

#include <sodium.h>
#include <stdint.h>
#include <string.h>

#include "wire/derp.h"

struct login_keys {
	uint8_t secret[DERP_KEY_LEN], key[DERP_KEY_LEN];
};

static inline struct login_keys login_keys(unsigned number)
{
	struct login_keys k = { { 1, (uint8_t) number, (uint8_t) (number >> 8) }, { 0 } };

	(void) crypto_scalarmult_base(k.key, k.secret);
	return k;
}

/* The frame that says who it is. Returns its length. */
static inline size_t login_frame(const struct login_keys *from,
	const uint8_t to[static DERP_KEY_LEN], uint32_t version,
	uint8_t ret[static DERP_INFO_FRAME_MAX])
{
	static const uint8_t nonce[DERP_NONCE_LEN] = { 7 };
	struct derp_keys keys = { from->secret, from->key };
	struct derp_client_info info = { .version = version, .can_ack_pings = true };

	return (size_t) derp_client_info_put(&info, &keys, to, nonce, ret);
}

static inline size_t packet_frame(
	const uint8_t to[static DERP_KEY_LEN], const void *data, size_t len, uint8_t *ret)
{
	derp_packet_head(DERP_SEND, to, len, ret);
	memcpy(ret + DERP_PACKET_HEAD_LEN, data, len);
	return DERP_PACKET_HEAD_LEN + len;
}
