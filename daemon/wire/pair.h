/*
 * pair: keys that two nodes of a mesh derive, each for itself, from their identity keys alone, and
 * a node and a relay from the relay's key and the node's identity: nothing has to be exchanged
 * first. PROTOCOL.md sections 10 and 12. They prove who sent what to whom, and hide it; whoever
 * gets hold of an identity key can read what was recorded before.
 */
#pragma once

#include <stdint.h>

enum { PAIR_KEY_LEN = 32, PAIR_LABEL_LEN = 16 };

/* Whom a key is for; no two uses have the same. */
#define PAIR_LABEL_DISCO "hearth-disco1\0\0" /* and the string's own NUL: 16 bytes */
#define PAIR_LABEL_RELAY "hearth-relay1\0\0"

/* Our half, made once. Secret: pair_self_done() wipes it. */
struct pair_self {
	uint8_t secret[PAIR_KEY_LEN]; /* X25519 */
	uint8_t identity[PAIR_KEY_LEN];
};

/* From the 32 bytes of our Ed25519 seed. */
void pair_self_init(struct pair_self *self, const uint8_t seed[static PAIR_KEY_LEN]);
void pair_self_done(struct pair_self *self);

/*
 * The key with the node whose identity key is @other, for what @label says. The same on both sides.
 * -EBADMSG if @other is no point that can be converted or of low order (and zero bytes).
 */
int pair_key(const struct pair_self *self, const uint8_t other[static PAIR_KEY_LEN],
	const char label[static PAIR_LABEL_LEN], uint8_t ret_key[static PAIR_KEY_LEN]);

/*
 * The key of a member and a relay, whose X25519 key is @relay: for the member. -EBADMSG if @relay
 * is a point of low order (and zero bytes).
 */
int pair_relay_key(const struct pair_self *self, const uint8_t relay[static PAIR_KEY_LEN],
	uint8_t ret_key[static PAIR_KEY_LEN]);

/*
 * The same key for the relay, of whose X25519 pair @secret and @relay are, with the member whose
 * identity key is @member. -EBADMSG as pair_key().
 */
int pair_member_key(const uint8_t secret[static PAIR_KEY_LEN],
	const uint8_t relay[static PAIR_KEY_LEN], const uint8_t member[static PAIR_KEY_LEN],
	uint8_t ret_key[static PAIR_KEY_LEN]);
