/*
 * keys: the key files of coordinator and relay (PROTOCOL.md section 1): one base64 line each, mode
 * 0600.
 */
#pragma once

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
