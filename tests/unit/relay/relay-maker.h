/* Members with real keys, and what they send to a relay with a real one. */
#pragma once

#include "relay/binds.h"
#include "relay/members.h"
#include "wire/pair.h"
#include "wire/udprelay.h"

enum { MAKER_MEMBERS = 8 };

struct maker {
	uint8_t secret[PAIR_KEY_LEN], key[PAIR_KEY_LEN]; /* the relay's */
	struct relay_member list[MAKER_MEMBERS];         /* numbers 101, 102 ... */
	struct pair_self selves[MAKER_MEMBERS];
	uint8_t keys[MAKER_MEMBERS][PAIR_KEY_LEN];
	uint8_t hints[MAKER_MEMBERS][UDPRELAY_HINT_LEN];
};

void maker_init(struct maker *maker);
/* A BIND of member @i; @cookie may be NULL: none yet. */
void maker_bind(const struct maker *maker, size_t i, const uint8_t *cookie, uint64_t tx,
	uint8_t ret_data[static UDPRELAY_BIND_LEN]);
