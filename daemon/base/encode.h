/*
 * encode: keys and blobs as text, in constant time (libsodium). Base64 (RFC 4648 section 4, padded)
 * in all our JSON, as WireGuard users know keys; base64url without padding (section 5) in tokens;
 * hex in the userspace API of WireGuard.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { KEY_LEN = 32, KEY_BASE64_LEN = 45, KEY_HEX_LEN = 65 }; /* text lengths with the NUL */

void key_to_base64(const uint8_t key[static KEY_LEN], char ret_text[static KEY_BASE64_LEN]);
void key_to_hex(const uint8_t key[static KEY_LEN], char ret_text[static KEY_HEX_LEN]);

/* 0, or -EINVAL for anything but exactly 32 bytes in canonical form. */
int key_from_base64(const char *text, uint8_t ret_key[static KEY_LEN]);
int key_from_hex(const char *text, size_t text_len, uint8_t ret_key[static KEY_LEN]);

/* Heap text the caller frees, NULL when out of memory. */
char *base64_encode(const void *data, size_t len);
char *base64url_encode(const void *data, size_t len);

/*
 * Heap bytes the caller frees (at least one byte is allocated). -EINVAL for anything but canonical
 * text, -EFBIG for more than @max bytes, -ENOMEM.
 */
int base64_decode(
	const char *text, size_t text_len, size_t max, uint8_t **ret_data, size_t *ret_len);
int base64url_decode(
	const char *text, size_t text_len, size_t max, uint8_t **ret_data, size_t *ret_len);
