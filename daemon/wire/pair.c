/* pair: see pair.h. */
#include "wire/pair.h"

#include <errno.h>
#include <stdbool.h>
#include <sodium.h>
#include <string.h>

_Static_assert(sizeof(PAIR_LABEL_DISCO) == PAIR_LABEL_LEN, "labels have one length");
_Static_assert(sizeof(PAIR_LABEL_RELAY) == PAIR_LABEL_LEN, "labels have one length");

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

/*
 * The hash of @label, what both multiply to, and the keys of both in an order that they agree upon.
 * crypto_scalarmult() refuses @point where the product says nothing about @secret.
 */
static int derive(const char label[static PAIR_LABEL_LEN],
	const uint8_t secret[static PAIR_KEY_LEN], const uint8_t point[static PAIR_KEY_LEN],
	const uint8_t *first, const uint8_t *second, uint8_t ret_key[static PAIR_KEY_LEN])
{
	uint8_t shared[PAIR_KEY_LEN];
	crypto_generichash_state hash;
	int r = -EBADMSG;

	if (crypto_scalarmult(shared, secret, point) == 0) {
		(void) crypto_generichash_init(&hash, NULL, 0, PAIR_KEY_LEN);
		(void) crypto_generichash_update(&hash, (const uint8_t *) label, PAIR_LABEL_LEN);
		(void) crypto_generichash_update(&hash, shared, sizeof(shared));
		(void) crypto_generichash_update(&hash, first, PAIR_KEY_LEN);
		(void) crypto_generichash_update(&hash, second, PAIR_KEY_LEN);
		(void) crypto_generichash_final(&hash, ret_key, PAIR_KEY_LEN);
		sodium_memzero(&hash, sizeof(hash));
		r = 0;
	}
	sodium_memzero(shared, sizeof(shared));
	return r;
}

int pair_key(const struct pair_self *self, const uint8_t other[static PAIR_KEY_LEN],
	const char label[static PAIR_LABEL_LEN], uint8_t ret_key[static PAIR_KEY_LEN])
{
	bool first = memcmp(self->identity, other, PAIR_KEY_LEN) < 0;
	uint8_t point[PAIR_KEY_LEN];

	memset(ret_key, 0, PAIR_KEY_LEN);
	if (crypto_sign_ed25519_pk_to_curve25519(point, other) != 0)
		return -EBADMSG;
	return derive(label, self->secret, point, first ? self->identity : other,
		first ? other : self->identity, ret_key);
}

int pair_relay_key(const struct pair_self *self, const uint8_t relay[static PAIR_KEY_LEN],
	uint8_t ret_key[static PAIR_KEY_LEN])
{
	memset(ret_key, 0, PAIR_KEY_LEN);
	return derive(PAIR_LABEL_RELAY, self->secret, relay, self->identity, relay, ret_key);
}

int pair_member_key(const uint8_t secret[static PAIR_KEY_LEN],
	const uint8_t relay[static PAIR_KEY_LEN], const uint8_t member[static PAIR_KEY_LEN],
	uint8_t ret_key[static PAIR_KEY_LEN])
{
	uint8_t point[PAIR_KEY_LEN];

	memset(ret_key, 0, PAIR_KEY_LEN);
	if (crypto_sign_ed25519_pk_to_curve25519(point, member) != 0)
		return -EBADMSG;
	return derive(PAIR_LABEL_RELAY, secret, point, member, relay, ret_key);
}
