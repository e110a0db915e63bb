/*
 * beacon: the datagrams by which boards of one mesh tell each other on a LAN where they are, with
 * nobody in between. PROTOCOL.md section 15 has them to the byte. Each carries the presence of its
 * sender (wire/presence.h): the bytes that its identity key signed, and the signature.
 *
 * They are sealed with a key that is made of the hash of the mesh's root key, which every member
 * knows and a stranger in the LAN does not: he learns neither which mesh it is nor what is in them,
 * and what he makes up costs no look at a signature. Whom to believe, the signature alone says.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	BEACON_KEY_LEN = 32,
	BEACON_HINT_LEN = 8,
	BEACON_NONCE_LEN = 24,
	BEACON_TAG_LEN = 16,
	BEACON_SIG_LEN = 64,
	BEACON_HEAD_LEN = 4 + BEACON_HINT_LEN + BEACON_NONCE_LEN,
	BEACON_PAYLOAD_MAX = 4096, /* of a presence */
	BEACON_BODY_HEAD_LEN = 4 + BEACON_SIG_LEN,
	BEACON_BODY_MAX = BEACON_BODY_HEAD_LEN + BEACON_PAYLOAD_MAX,
	BEACON_MIN_LEN = BEACON_HEAD_LEN + BEACON_BODY_HEAD_LEN + 1 + BEACON_TAG_LEN,
	BEACON_MAX_LEN = BEACON_HEAD_LEN + BEACON_BODY_MAX + BEACON_TAG_LEN,
};

enum beacon_type {
	BEACON_ANNOUNCE = 1, /* here I am */
	BEACON_ASK,          /* here I am; where are you? */
};

/* What one mesh's are sealed with, and known by. */
struct beacon_mesh {
	uint8_t key[BEACON_KEY_LEN], hint[BEACON_HINT_LEN];
};
/* Of the hash of its root key. */
void beacon_mesh_init(struct beacon_mesh *mesh, const uint8_t root_hash[static BEACON_KEY_LEN]);

struct beacon_message {
	enum beacon_type type;
	uint8_t *payload;   /* borrowed, and not changed */
	size_t payload_len; /* 1 to BEACON_PAYLOAD_MAX */
	uint8_t sig[BEACON_SIG_LEN];
};

/* Does it look like one of @mesh's? Costs nothing. */
bool beacon_looks(const struct beacon_mesh *mesh, const uint8_t *data, size_t len);

/*
 * Opens and decodes; @ret->payload is in @body. -EBADMSG: not sealed by somebody who knows @mesh;
 * -ENOMSG: it is, but of a type that this version does not know. The signature is not looked at.
 */
int beacon_open(const struct beacon_mesh *mesh, const uint8_t *data, size_t len,
	uint8_t body[static BEACON_BODY_MAX], struct beacon_message *ret);

/* Encodes and seals. @nonce must be random. Returns the datagram's length. */
size_t beacon_seal(const struct beacon_mesh *mesh, const uint8_t nonce[static BEACON_NONCE_LEN],
	const struct beacon_message *message, uint8_t ret_data[static BEACON_MAX_LEN]);
