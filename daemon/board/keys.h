/*
 * keys: the key files of coordinator and relay (PROTOCOL.md section 1): one base64 line each, mode
 * 0600. And what can be told of the keys of others.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum { KEYS_SEED_LEN = 32, KEYS_FILE_MAX = 256 };

/*
 * Reads a seed. @err names the file. -EBADMSG if it does not hold just one key, -EPERM if others
 * than its owner may read it.
 */
int keys_read(const char *path, uint8_t ret_seed[static KEYS_SEED_LEN], struct err *err);

/* Writes a seed atomically, and one that it draws. */
int keys_write(const char *path, const uint8_t seed[static KEYS_SEED_LEN], struct err *err);
int keys_make(const char *path, uint8_t ret_seed[static KEYS_SEED_LEN], struct err *err);

/* An X25519 key is zero, or one of the few points that make every shared secret zero. */
bool keys_is_low_order(const uint8_t key[static KEYS_SEED_LEN]);
