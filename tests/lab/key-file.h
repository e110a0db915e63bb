/*
 * key-file: a key as `wg genkey` and `wg pubkey` write it, for the tools of the tunnel's tests.
 */
#pragma once

#include <stdint.h>

enum { KEY_FILE_LEN = 32 };

/* 0, or -errno: -EBADMSG if the file's first line is no key. */
int key_file_read(const char *path, uint8_t ret[static KEY_FILE_LEN]);
