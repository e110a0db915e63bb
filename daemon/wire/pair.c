/* pair: see pair.h. */
#include "wire/pair.h"

#include <errno.h>
#include <stdbool.h>
#include <sodium.h>
#include <string.h>

_Static_assert(sizeof(PAIR_LABEL_DISCO) == PAIR_LABEL_LEN, "labels have one length");

void pair_self_init(struct pair_self *self, const uint8_t seed[static PAIR_KEY_LEN])
{
	uint8_t private[crypto_sign_SECRETKEYBYTES];

	(void) crypto_sign_seed_keypair(self->identity, private, seed);     /* always 0 */
	(void) crypto_sign_ed25519_sk_to_curve25519(self->secret, private); /* always 0 */
	sodium_memzero(private, sizeof(private));
}

void pair_self_done(struct pair_self *self)
{
	sodium_memzero(self, sizeof(*self));
}

int pair_key(const struct pair_self *self, const uint8_t other[static PAIR_KEY_LEN],
	const char label[static PAIR_LABEL_LEN], uint8_t ret_key[static PAIR_KEY_LEN])
{
	bool first = memcmp(self->identity, other, PAIR_KEY_LEN) < 0;
	uint8_t point[PAIR_KEY_LEN], shared[PAIR_KEY_LEN];
	crypto_generichash_state hash;
	int r = -EBADMSG;

	memset(ret_key, 0, PAIR_KEY_LEN);
	if (crypto_sign_ed25519_pk_to_curve25519(point, other) == 0 &&
		crypto_scalarmult(shared, self->secret, point) == 0) {
		(void) crypto_generichash_init(&hash, NULL, 0, PAIR_KEY_LEN);
		(void) crypto_generichash_update(&hash, (const uint8_t *) label, PAIR_LABEL_LEN);
		(void) crypto_generichash_update(&hash, shared, sizeof(shared));
		(void) crypto_generichash_update(
			&hash, first ? self->identity : other, PAIR_KEY_LEN);
		(void) crypto_generichash_update(
			&hash, first ? other : self->identity, PAIR_KEY_LEN);
		(void) crypto_generichash_final(&hash, ret_key, PAIR_KEY_LEN);
		sodium_memzero(&hash, sizeof(hash));
		r = 0;
	}
	sodium_memzero(shared, sizeof(shared));
	return r;
}
