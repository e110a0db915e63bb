/* beacon: see beacon.h. */
#include "wire/beacon.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

/* As those of disco and of a relay begin, with a letter of its own. */
static const uint8_t magic[4] = { 0xf0, 'H', 'B', '1' };
static const uint8_t label[16] = "hearth-beacon1";

enum { AT_HINT = 4, AT_NONCE = AT_HINT + BEACON_HINT_LEN, AT_SIG = 4 };

_Static_assert(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES == BEACON_NONCE_LEN, "nonce");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_ABYTES == BEACON_TAG_LEN, "tag");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == BEACON_KEY_LEN, "key");
_Static_assert(crypto_sign_BYTES == BEACON_SIG_LEN, "signature");

void beacon_mesh_init(struct beacon_mesh *mesh, const uint8_t root_hash[static BEACON_KEY_LEN])
{
	uint8_t both[BEACON_KEY_LEN + BEACON_HINT_LEN];
	crypto_generichash_state hash;

	(void) crypto_generichash_init(&hash, NULL, 0, sizeof(both));
	(void) crypto_generichash_update(&hash, label, sizeof(label));
	(void) crypto_generichash_update(&hash, root_hash, BEACON_KEY_LEN);
	(void) crypto_generichash_final(&hash, both, sizeof(both));
	memcpy(mesh->key, both, sizeof(mesh->key));
	memcpy(mesh->hint, both + sizeof(mesh->key), sizeof(mesh->hint));
}

bool beacon_looks(const struct beacon_mesh *mesh, const uint8_t *data, size_t len)
{
	return len >= BEACON_MIN_LEN && len <= BEACON_MAX_LEN &&
	       !memcmp(data, magic, sizeof(magic)) &&
	       !memcmp(data + AT_HINT, mesh->hint, BEACON_HINT_LEN);
}

int beacon_open(const struct beacon_mesh *mesh, const uint8_t *data, size_t len,
	uint8_t body[static BEACON_BODY_MAX], struct beacon_message *ret)
{
	if (!beacon_looks(mesh, data, len))
		return -EBADMSG;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(body, NULL, NULL, data + BEACON_HEAD_LEN,
		    len - BEACON_HEAD_LEN, data, AT_NONCE, data + AT_NONCE, mesh->key) != 0)
		return -EBADMSG;
	if (body[0] != BEACON_ANNOUNCE && body[0] != BEACON_ASK)
		return -ENOMSG;
	*ret = (struct beacon_message){
		.type = body[0],
		.payload = body + BEACON_BODY_HEAD_LEN,
		.payload_len = len - BEACON_HEAD_LEN - BEACON_TAG_LEN - BEACON_BODY_HEAD_LEN,
	};
	memcpy(ret->sig, body + AT_SIG, BEACON_SIG_LEN);
	return 0;
}

size_t beacon_seal(const struct beacon_mesh *mesh, const uint8_t nonce[static BEACON_NONCE_LEN],
	const struct beacon_message *message, uint8_t ret_data[static BEACON_MAX_LEN])
{
	uint8_t *body = ret_data + BEACON_HEAD_LEN;
	size_t len = BEACON_BODY_HEAD_LEN + message->payload_len;

	assert(message->payload_len >= 1 && message->payload_len <= BEACON_PAYLOAD_MAX);
	memcpy(ret_data, magic, sizeof(magic));
	memcpy(ret_data + AT_HINT, mesh->hint, BEACON_HINT_LEN);
	memcpy(ret_data + AT_NONCE, nonce, BEACON_NONCE_LEN);
	memset(body, 0, AT_SIG);
	body[0] = (uint8_t) message->type;
	memcpy(body + AT_SIG, message->sig, BEACON_SIG_LEN);
	memcpy(body + BEACON_BODY_HEAD_LEN, message->payload, message->payload_len);
	(void) crypto_aead_xchacha20poly1305_ietf_encrypt(
		body, NULL, body, len, ret_data, AT_NONCE, NULL, nonce, mesh->key);
	return BEACON_HEAD_LEN + len + BEACON_TAG_LEN;
}
