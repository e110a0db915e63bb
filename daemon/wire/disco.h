/*
 * disco: the datagrams by which two boards find out whether a path between them works, and how
 * fast. PROTOCOL.md section 10 has them to the byte. They share the tunnel's UDP port with
 * WireGuard and STUN: the first byte tells them apart.
 *
 * A ping asks, a pong answers it with the address that the ping came from. Both are at least
 * DISCO_MIN_LEN long, so that no answer is longer than what it answers. A call says where its
 * sender may be reached at this moment, and that it pings now ("call me maybe").
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "wire/pair.h"

enum {
	DISCO_HINT_LEN = 8,
	DISCO_NONCE_LEN = 24,
	DISCO_HEAD_LEN = 4 + DISCO_HINT_LEN + DISCO_NONCE_LEN,
	DISCO_TAG_LEN = 16,
	DISCO_BODY_LEN = 40,
	DISCO_MIN_LEN = DISCO_HEAD_LEN + DISCO_BODY_LEN + DISCO_TAG_LEN, /* 92 */
	DISCO_MAX_LEN = 9216,
};

enum {
	DISCO_CALL_MAX = 32, /* addresses of one */
	DISCO_CALL_ENTRY_LEN = 18,
	DISCO_CALL_LEN_MAX = DISCO_MIN_LEN + DISCO_CALL_MAX * DISCO_CALL_ENTRY_LEN,
};

enum disco_type { DISCO_PING = 1, DISCO_PONG, DISCO_CALL };

/* How the NAT before a board chooses outside ports, as far as the board knows. */
enum disco_mapping {
	DISCO_MAPPING_UNKNOWN,
	DISCO_MAPPING_INDEPENDENT, /* one for all destinations */
	DISCO_MAPPING_COUNTING,    /* another for each, at a regular distance */
	DISCO_MAPPING_RANDOM,      /* another for each */
};

struct disco {
	enum disco_type type;
	uint64_t run; /* of the sender: another number each time hearthd starts */
	uint64_t tx;  /* of a ping or call, by chance; of a pong, the ping's */
	/*
	 * Without scope. Of a pong: where the ping came from. Of a call: where the sender was seen
	 * last from outside, family 0: it does not know.
	 */
	struct endpoint seen;
	/* -- of a call -- */
	enum disco_mapping mapping;
	int16_t step; /* between outside ports of a counting NAT */
	bool guess;   /* it has many ports open to us now: see mesh/guess.h */
	struct endpoint list[DISCO_CALL_MAX];
	size_t n;
};

/* Of what @sender sends under @key: the receiver finds the key by it. */
void disco_hint(const uint8_t key[static PAIR_KEY_LEN], const uint8_t sender[static PAIR_KEY_LEN],
	uint8_t ret_hint[static DISCO_HINT_LEN]);

/* Does it look like one? Then @ret_hint (borrowed) is its hint. */
bool disco_looks(const uint8_t *data, size_t len, const uint8_t **ret_hint);

/* The least that @disco needs: what a call is sealed to, and pings and pongs that carry nothing. */
size_t disco_len(const struct disco *disco);

/*
 * Is it longer than it has to be? Then it may be a ping that finds out how much its way carries:
 * whoever hands it on lets nobody fragment it.
 */
bool disco_is_padded(const uint8_t *data, size_t len);

/*
 * Opens and decodes. -EBADMSG: not sealed with @key, or no such message; -ENOMSG: it is authentic,
 * but of a type that this version does not know. At most DISCO_MAX_LEN bytes.
 */
int disco_open(
	const uint8_t key[static PAIR_KEY_LEN], const uint8_t *data, size_t len, struct disco *ret);

/*
 * Encodes and seals into @ret_data, @len bytes in all (disco_len() to DISCO_MAX_LEN: the rest is
 * padding). @nonce must be random.
 */
void disco_seal(const uint8_t key[static PAIR_KEY_LEN], const uint8_t hint[static DISCO_HINT_LEN],
	const uint8_t nonce[static DISCO_NONCE_LEN], const struct disco *disco, size_t len,
	uint8_t *ret_data);
