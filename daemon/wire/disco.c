/* disco: see disco.h. */
#include "wire/disco.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "packet/bytes.h"

/* No message of WireGuard's (1 to 4), of STUN's (0 to 3) and of a relay's begins so. */
static const uint8_t magic[4] = { 0xf0, 'H', 'D', '1' };

enum { AT_HINT = 4, AT_NONCE = AT_HINT + DISCO_HINT_LEN };
enum { FLAG_GUESS = 1 }; /* of a call */

_Static_assert(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES == DISCO_NONCE_LEN, "nonce");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_ABYTES == DISCO_TAG_LEN, "tag");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == PAIR_KEY_LEN, "key");

void disco_hint(const uint8_t key[static PAIR_KEY_LEN], const uint8_t sender[static PAIR_KEY_LEN],
	uint8_t ret_hint[static DISCO_HINT_LEN])
{
	uint8_t hash[crypto_generichash_BYTES_MIN];

	(void) crypto_generichash(hash, sizeof(hash), sender, PAIR_KEY_LEN, key, PAIR_KEY_LEN);
	memcpy(ret_hint, hash, DISCO_HINT_LEN);
}

bool disco_looks(const uint8_t *data, size_t len, const uint8_t **ret_hint)
{
	if (len < DISCO_MIN_LEN || len > DISCO_MAX_LEN || memcmp(data, magic, sizeof(magic)) != 0)
		return false;
	*ret_hint = data + AT_HINT;
	return true;
}

bool disco_is_padded(const uint8_t *data, size_t len)
{
	const uint8_t *hint;

	return len > DISCO_MIN_LEN && disco_looks(data, len, &hint);
}

/* An IPv4 address is ::ffff:a.b.c.d, and none is ::. */
static void put_address(const struct endpoint *from, uint8_t ret[static 16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	memset(ret, 0, 16);
	if (from->addr.family == AF_INET) {
		memcpy(ret, mapped, sizeof(mapped));
		memcpy(ret + sizeof(mapped), from->addr.bytes, 4);
	} else if (from->addr.family == AF_INET6) {
		memcpy(ret, from->addr.bytes, 16);
	}
}

static struct endpoint get_address(const uint8_t bytes[static 16], uint16_t port)
{
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct endpoint ret = { 0 };

	memcpy(&sa.sin6_addr, bytes, 16);
	(void) endpoint_from_sockaddr(
		(const struct sockaddr *) &sa, &ret); /* a mapped one is IPv4 */
	return ret;
}

size_t disco_len(const struct disco *disco)
{
	return DISCO_MIN_LEN + (disco->type == DISCO_CALL ? disco->n * DISCO_CALL_ENTRY_LEN : 0);
}

static int decode_call(const uint8_t *body, size_t len, struct disco *ret)
{
	size_t n = body[6];

	if (n > DISCO_CALL_MAX || DISCO_BODY_LEN + n * DISCO_CALL_ENTRY_LEN > len)
		return -EBADMSG;
	if (body[1] <= DISCO_MAPPING_RANDOM)
		ret->mapping = body[1]; /* what a later version may know is unknown */
	ret->step = (int16_t) be16_read(body + 4);
	ret->guess = body[7] & FLAG_GUESS;
	if (ip_addr_is_unspecified(&ret->seen.addr))
		ret->seen.addr = (struct ip_addr){ 0 };
	ret->n = n;
	for (size_t i = 0; i < n; i++) {
		const uint8_t *at = body + DISCO_BODY_LEN + i * DISCO_CALL_ENTRY_LEN;

		ret->list[i] = get_address(at + 2, be16_read(at));
	}
	return 0;
}

static int decode(const uint8_t *body, size_t len, struct disco *ret)
{
	*ret = (struct disco){ .type = body[0],
		.run = be64_read(body + 8),
		.tx = be64_read(body + 16),
		.seen = get_address(body + 24, be16_read(body + 2)) };
	if (body[0] == DISCO_CALL)
		return decode_call(body, len, ret);
	return body[0] == DISCO_PING || body[0] == DISCO_PONG ? 0 : -ENOMSG;
}

int disco_open(
	const uint8_t key[static PAIR_KEY_LEN], const uint8_t *data, size_t len, struct disco *ret)
{
	uint8_t body[DISCO_MAX_LEN];
	const uint8_t *hint;

	if (!disco_looks(data, len, &hint))
		return -EBADMSG;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(body, NULL, NULL, data + DISCO_HEAD_LEN,
		    len - DISCO_HEAD_LEN, data, AT_NONCE, data + AT_NONCE, key) != 0)
		return -EBADMSG;
	return decode(body, len - DISCO_HEAD_LEN - DISCO_TAG_LEN, ret);
}

static void encode_call(const struct disco *disco, uint8_t *body)
{
	body[1] = (uint8_t) disco->mapping;
	be16_write(body + 4, (uint16_t) disco->step);
	body[6] = (uint8_t) disco->n;
	body[7] = disco->guess ? FLAG_GUESS : 0;
	for (size_t i = 0; i < disco->n; i++) {
		uint8_t *at = body + DISCO_BODY_LEN + i * DISCO_CALL_ENTRY_LEN;

		be16_write(at, disco->list[i].port);
		put_address(&disco->list[i], at + 2);
	}
}

void disco_seal(const uint8_t key[static PAIR_KEY_LEN], const uint8_t hint[static DISCO_HINT_LEN],
	const uint8_t nonce[static DISCO_NONCE_LEN], const struct disco *disco, size_t len,
	uint8_t *ret_data)
{
	uint8_t *body = ret_data + DISCO_HEAD_LEN;
	size_t body_len = len - DISCO_HEAD_LEN - DISCO_TAG_LEN;

	assert(disco->type != DISCO_CALL || disco->n <= DISCO_CALL_MAX);
	assert(len >= disco_len(disco) && len <= DISCO_MAX_LEN);
	memcpy(ret_data, magic, sizeof(magic));
	memcpy(ret_data + AT_HINT, hint, DISCO_HINT_LEN);
	memcpy(ret_data + AT_NONCE, nonce, DISCO_NONCE_LEN);
	memset(body, 0, body_len);
	body[0] = (uint8_t) disco->type;
	be16_write(body + 2, disco->seen.port);
	be64_write(body + 8, disco->run);
	be64_write(body + 16, disco->tx);
	put_address(&disco->seen, body + 24);
	if (disco->type == DISCO_CALL)
		encode_call(disco, body);
	(void) crypto_aead_xchacha20poly1305_ietf_encrypt(
		body, NULL, body, body_len, ret_data, AT_NONCE, NULL, nonce, key);
}
