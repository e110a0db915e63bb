/* udprelay: see udprelay.h. */
#include "wire/udprelay.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "base/cleanup.h"
#include "packet/bytes.h"

/* No message of WireGuard's (1 to 4), of STUN's (0 to 3) and of disco's (0xf0) begins so. */
static const uint8_t magic[3] = { 0xf1, 'H', 1 };

enum {
	AT_TYPE = sizeof(magic),
	AT_BODY,
	TAG_LEN = 16,
	AT_HINT = AT_BODY,
	AT_BIND_COOKIE = AT_HINT + UDPRELAY_HINT_LEN,
	AT_BIND_NONCE = AT_BIND_COOKIE + UDPRELAY_COOKIE_LEN,
	AT_BIND_SEALED = AT_BIND_NONCE + UDPRELAY_NONCE_LEN,
	BIND_BODY_LEN = 40,
	AT_COOKIE = AT_BODY + UDPRELAY_ECHO_LEN,
	AT_BOUND_NONCE = AT_HINT + UDPRELAY_HINT_LEN,
	AT_BOUND_SEALED = AT_BOUND_NONCE + UDPRELAY_NONCE_LEN,
	BOUND_BODY_LEN = 56,
	AT_SESSION = AT_BODY,
	AT_NODE = AT_SESSION + 4,
};

_Static_assert(AT_BIND_SEALED + BIND_BODY_LEN + TAG_LEN == UDPRELAY_BIND_LEN, "BIND");
_Static_assert(AT_COOKIE + UDPRELAY_COOKIE_LEN == UDPRELAY_COOKIE_MSG_LEN, "COOKIE");
_Static_assert(AT_BOUND_SEALED + BOUND_BODY_LEN + TAG_LEN == UDPRELAY_BOUND_LEN, "BOUND");
_Static_assert(AT_NODE + 4 == UDPRELAY_DATA_HEAD_LEN, "DATA");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES == UDPRELAY_NONCE_LEN, "nonce");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_ABYTES == TAG_LEN, "tag");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == PAIR_KEY_LEN, "key");

/* How long each may be. */
static const struct {
	size_t min, max;
} lens[] = {
	[UDPRELAY_NONE] = { SIZE_MAX, 0 },
	[UDPRELAY_BIND] = { UDPRELAY_BIND_LEN, UDPRELAY_BIND_LEN },
	[UDPRELAY_COOKIE] = { UDPRELAY_COOKIE_MSG_LEN, UDPRELAY_COOKIE_MSG_LEN },
	[UDPRELAY_BOUND] = { UDPRELAY_BOUND_LEN, UDPRELAY_BOUND_LEN },
	[UDPRELAY_DATA] = { UDPRELAY_DATA_HEAD_LEN + 1,
		UDPRELAY_DATA_HEAD_LEN + UDPRELAY_PAYLOAD_MAX },
	[UDPRELAY_UNKNOWN] = { UDPRELAY_UNKNOWN_LEN, UDPRELAY_UNKNOWN_LEN },
	[UDPRELAY_ABSENT] = { UDPRELAY_ABSENT_LEN, UDPRELAY_ABSENT_LEN },
};

uint32_t udprelay_head(enum udprelay_type type)
{
	const uint8_t head[] = { magic[0], magic[1], magic[2], (uint8_t) type };

	return be32_read(head);
}

enum udprelay_type udprelay_type(const uint8_t *data, size_t len)
{
	if (len < AT_BODY || memcmp(data, magic, sizeof(magic)) != 0)
		return UDPRELAY_NONE;
	if (data[AT_TYPE] >= ARRAY_LEN(lens) || len < lens[data[AT_TYPE]].min ||
		len > lens[data[AT_TYPE]].max)
		return UDPRELAY_NONE;
	return data[AT_TYPE];
}

static void put_head(uint8_t *data, enum udprelay_type type)
{
	memcpy(data, magic, sizeof(magic));
	data[AT_TYPE] = (uint8_t) type;
}

void udprelay_hint(const uint8_t key[static PAIR_KEY_LEN],
	const uint8_t sender[static PAIR_KEY_LEN], uint8_t ret_hint[static UDPRELAY_HINT_LEN])
{
	uint8_t hash[crypto_generichash_BYTES_MIN];

	(void) crypto_generichash(hash, sizeof(hash), sender, PAIR_KEY_LEN, key, PAIR_KEY_LEN);
	memcpy(ret_hint, hash, UDPRELAY_HINT_LEN);
}

/* What lies before the nonce at @at_nonce is the additional data; the body follows behind it. */
static int open_sealed(const uint8_t key[static PAIR_KEY_LEN], const uint8_t *data, size_t len,
	size_t at_nonce, uint8_t *ret_body)
{
	size_t at = at_nonce + UDPRELAY_NONCE_LEN;

	return crypto_aead_xchacha20poly1305_ietf_decrypt(ret_body, NULL, NULL, data + at, len - at,
		       data, at_nonce, data + at_nonce, key) == 0
		       ? 0
		       : -EBADMSG;
}

static void seal(const uint8_t key[static PAIR_KEY_LEN], const uint8_t *body, size_t body_len,
	size_t at_nonce, uint8_t *data)
{
	(void) crypto_aead_xchacha20poly1305_ietf_encrypt(data + at_nonce + UDPRELAY_NONCE_LEN,
		NULL, body, body_len, data, at_nonce, NULL, data + at_nonce, key);
}

struct udprelay_bind_head udprelay_bind_head(const uint8_t data[static UDPRELAY_BIND_LEN])
{
	return (struct udprelay_bind_head){ .hint = data + AT_HINT,
		.cookie = data + AT_BIND_COOKIE,
		.nonce = data + AT_BIND_NONCE };
}

int udprelay_bind_open(const uint8_t key[static PAIR_KEY_LEN], const uint8_t *data, size_t len,
	struct udprelay_bind *ret)
{
	uint8_t body[BIND_BODY_LEN];

	if (udprelay_type(data, len) != UDPRELAY_BIND ||
		open_sealed(key, data, len, AT_BIND_NONCE, body) < 0)
		return -EBADMSG;
	*ret = (struct udprelay_bind){ .tx = be64_read(body), .node = be32_read(body + 8) };
	return 0;
}

void udprelay_bind_seal(const uint8_t key[static PAIR_KEY_LEN],
	const uint8_t hint[static UDPRELAY_HINT_LEN],
	const uint8_t cookie[static UDPRELAY_COOKIE_LEN],
	const uint8_t nonce[static UDPRELAY_NONCE_LEN], const struct udprelay_bind *bind,
	uint8_t ret_data[static UDPRELAY_BIND_LEN])
{
	uint8_t body[BIND_BODY_LEN] = { 0 };

	be64_write(body, bind->tx);
	be32_write(body + 8, bind->node);
	put_head(ret_data, UDPRELAY_BIND);
	memcpy(ret_data + AT_HINT, hint, UDPRELAY_HINT_LEN);
	memcpy(ret_data + AT_BIND_COOKIE, cookie, UDPRELAY_COOKIE_LEN);
	memcpy(ret_data + AT_BIND_NONCE, nonce, UDPRELAY_NONCE_LEN);
	seal(key, body, sizeof(body), AT_BIND_NONCE, ret_data);
}

int udprelay_cookie_parse(const uint8_t *data, size_t len, struct udprelay_cookie *ret)
{
	if (udprelay_type(data, len) != UDPRELAY_COOKIE)
		return -EBADMSG;
	memcpy(ret->echo, data + AT_BODY, sizeof(ret->echo));
	memcpy(ret->cookie, data + AT_COOKIE, sizeof(ret->cookie));
	return 0;
}

void udprelay_cookie_format(
	const struct udprelay_cookie *cookie, uint8_t ret_data[static UDPRELAY_COOKIE_MSG_LEN])
{
	put_head(ret_data, UDPRELAY_COOKIE);
	memcpy(ret_data + AT_BODY, cookie->echo, sizeof(cookie->echo));
	memcpy(ret_data + AT_COOKIE, cookie->cookie, sizeof(cookie->cookie));
}

/* An IPv4 address is ::ffff:a.b.c.d. */
static void put_address(const struct ip_addr *from, uint8_t ret[static 16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	memcpy(ret, from->bytes, 16);
	if (from->family == AF_INET) {
		memcpy(ret, mapped, sizeof(mapped));
		memcpy(ret + sizeof(mapped), from->bytes, 4);
	}
}

static struct endpoint get_address(const uint8_t bytes[static 16], uint16_t port)
{
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct endpoint ret = { 0 };

	memcpy(&sa.sin6_addr, bytes, 16);
	(void) endpoint_from_sockaddr((const struct sockaddr *) &sa, &ret); /* makes IPv4 of it */
	return ret;
}

int udprelay_bound_open(const uint8_t key[static PAIR_KEY_LEN], const uint8_t *data, size_t len,
	struct udprelay_bound *ret)
{
	uint8_t body[BOUND_BODY_LEN];

	if (udprelay_type(data, len) != UDPRELAY_BOUND ||
		open_sealed(key, data, len, AT_BOUND_NONCE, body) < 0)
		return -EBADMSG;
	if (be32_read(body + 8) == 0)
		return -EBADMSG;
	*ret = (struct udprelay_bound){ .tx = be64_read(body),
		.session = be32_read(body + 8),
		.lifetime_s = be16_read(body + 12),
		.seen = get_address(body + 16, be16_read(body + 14)) };
	memcpy(ret->cookie, body + 32, sizeof(ret->cookie));
	return 0;
}

void udprelay_bound_seal(const uint8_t key[static PAIR_KEY_LEN],
	const uint8_t hint[static UDPRELAY_HINT_LEN],
	const uint8_t nonce[static UDPRELAY_NONCE_LEN], const struct udprelay_bound *bound,
	uint8_t ret_data[static UDPRELAY_BOUND_LEN])
{
	uint8_t body[BOUND_BODY_LEN] = { 0 };

	assert(bound->session != 0);
	be64_write(body, bound->tx);
	be32_write(body + 8, bound->session);
	be16_write(body + 12, bound->lifetime_s);
	be16_write(body + 14, bound->seen.port);
	put_address(&bound->seen.addr, body + 16);
	memcpy(body + 32, bound->cookie, sizeof(bound->cookie));
	put_head(ret_data, UDPRELAY_BOUND);
	memcpy(ret_data + AT_HINT, hint, UDPRELAY_HINT_LEN);
	memcpy(ret_data + AT_BOUND_NONCE, nonce, UDPRELAY_NONCE_LEN);
	seal(key, body, sizeof(body), AT_BOUND_NONCE, ret_data);
}

void udprelay_data_head(uint8_t ret[static UDPRELAY_DATA_HEAD_LEN], uint32_t session, uint32_t node)
{
	put_head(ret, UDPRELAY_DATA);
	be32_write(ret + AT_SESSION, session);
	be32_write(ret + AT_NODE, node);
}

bool udprelay_data_parse(const uint8_t *data, size_t len, uint32_t *ret_session, uint32_t *ret_node)
{
	if (udprelay_type(data, len) != UDPRELAY_DATA)
		return false;
	*ret_session = be32_read(data + AT_SESSION);
	*ret_node = be32_read(data + AT_NODE);
	return true;
}

int udprelay_unknown_parse(const uint8_t *data, size_t len, uint32_t *ret_session)
{
	if (udprelay_type(data, len) != UDPRELAY_UNKNOWN)
		return -EBADMSG;
	*ret_session = be32_read(data + AT_SESSION);
	return 0;
}

void udprelay_unknown_format(uint32_t session, uint8_t ret_data[static UDPRELAY_UNKNOWN_LEN])
{
	put_head(ret_data, UDPRELAY_UNKNOWN);
	be32_write(ret_data + AT_SESSION, session);
}

int udprelay_absent_parse(
	const uint8_t *data, size_t len, uint32_t *ret_session, uint32_t *ret_node)
{
	if (udprelay_type(data, len) != UDPRELAY_ABSENT)
		return -EBADMSG;
	*ret_session = be32_read(data + AT_SESSION);
	*ret_node = be32_read(data + AT_NODE);
	return 0;
}

void udprelay_absent_format(
	uint32_t session, uint32_t node, uint8_t ret_data[static UDPRELAY_ABSENT_LEN])
{
	put_head(ret_data, UDPRELAY_ABSENT);
	be32_write(ret_data + AT_SESSION, session);
	be32_write(ret_data + AT_NODE, node);
}
