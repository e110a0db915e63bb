/*
 * own-keys: the relay's two keys (PROTOCOL.md section 1), and no other lies on its disk: tls.key,
 * the Ed25519 seed of its TLS certificate, and relay.key, X25519.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "wire/fields.h"

struct own_keys {
	uint8_t tls_seed[FIELD_KEY_LEN], secret[FIELD_KEY_LEN];
	/* What others know: SHA-256 of the TLS public key, and the X25519 public key. */
	uint8_t pin[FIELD_KEY_LEN], key[FIELD_KEY_LEN];
};
/* Wipes it. */
void own_keys_done(struct own_keys *keys);
#define CLEANUP_OWN_KEYS CLEANUP(own_keys_done)

/* Reads them in @dir. -ENOENT: at least one is missing; ... with @err. */
int own_keys_read(const char *dir, struct own_keys *ret, struct err *err);
/* The same, and makes what is missing. */
int own_keys_make(const char *dir, struct own_keys *ret, struct err *err);
