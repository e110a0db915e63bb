/* See relay-maker.h. */
#include "relay-maker.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void maker_init(struct maker *maker)
{
	memset(maker, 0, sizeof(*maker));
	memset(maker->secret, 0x55, sizeof(maker->secret));
	(void) crypto_scalarmult_base(maker->key, maker->secret);
	for (unsigned i = 0; i < MAKER_MEMBERS; i++) {
		struct relay_member *member = &maker->list[i];
		uint8_t seed[PAIR_KEY_LEN] = { [0] = (uint8_t) (i + 1) };

		pair_self_init(&maker->selves[i], seed);
		member->id = 101 + i;
		memset(member->wg, (int) i + 1, sizeof(member->wg));
		memcpy(member->identity, maker->selves[i].identity, sizeof(member->identity));
		(void) snprintf(member->name, sizeof(member->name), "member-%u", i);
		if (pair_relay_key(&maker->selves[i], maker->key, maker->keys[i]) < 0)
			abort();
		udprelay_hint(maker->keys[i], member->identity, maker->hints[i]);
	}
}

void maker_bind(const struct maker *maker, size_t i, const uint8_t *cookie, uint64_t tx,
	uint8_t ret_data[static UDPRELAY_BIND_LEN])
{
	static const uint8_t none[UDPRELAY_COOKIE_LEN];
	struct udprelay_bind bind = { .tx = tx, .node = maker->list[i].id };
	uint8_t nonce[UDPRELAY_NONCE_LEN];

	randombytes_buf(nonce, sizeof(nonce));
	udprelay_bind_seal(
		maker->keys[i], maker->hints[i], cookie ? cookie : none, nonce, &bind, ret_data);
}
