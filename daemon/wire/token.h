/*
 * token: the enrolment token (PROTOCOL.md section 2), the one string a person carries to a board.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "wire/outside.h"

enum { TOKEN_TEXT_MAX = 4096, TOKEN_SECRET_LEN = 32, TOKEN_HASH_LEN = 32, TOKEN_RELAYS_MAX = 4 };

/* Zero-initialise; token_done() wipes it. */
struct token {
	char mesh[FIELD_NAME_MAX];
	char urls[FIELD_URLS_MAX][FIELD_URL_MAX];
	size_t n_urls;
	struct outside relays[TOKEN_RELAYS_MAX]; /* at which the coordinator keeps connections */
	size_t n_relays;
	uint8_t pins[FIELD_PINS_MAX][FIELD_KEY_LEN];
	size_t n_pins;
	uint8_t root[FIELD_KEY_LEN]; /* the root hash */
	char id[FIELD_ID_MAX];
	uint8_t secret[TOKEN_SECRET_LEN];
};

void token_done(struct token *token);
#define CLEANUP_TOKEN CLEANUP(token_done)

/*
 * Reads @text (white space around it is skipped: it comes from a file, a pipe or a prompt). 0,
 * -EINVAL, -EPROTONOSUPPORT for a token of another version, -ENOMEM. @err tells a person what is
 * wrong with it and never quotes it. *@ret is written on success only.
 */
int token_parse(const char *text, struct token *ret, struct err *err);

/* Heap text for the person to copy, wiped and freed by the caller (sodium_memzero, free). 0,
 * -ENAMETOOLONG if it would exceed TOKEN_TEXT_MAX, -ENOMEM. */
int token_format(const struct token *token, char **ret_text);

/* What the coordinator stores: BLAKE2b-256 of the secret. Compare with sodium_memcmp(). */
void token_hash_secret(
	const uint8_t secret[static TOKEN_SECRET_LEN], uint8_t ret_hash[static TOKEN_HASH_LEN]);
