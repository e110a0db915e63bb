/* encode: see encode.h. libsodium's decoders are constant time; canonical form is checked here. */
#include "base/encode.h"

#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"

enum { STD = sodium_base64_VARIANT_ORIGINAL, URL = sodium_base64_VARIANT_URLSAFE_NO_PADDING };

/*
 * sodium_base642bin() (1.0.18) takes some bytes above 127 for digits where char is signed, so that
 * one key had several texts. All bytes are looked at, whatever they are.
 */
static bool is_ascii(const char *text, size_t len)
{
	unsigned char all = 0;

	for (size_t i = 0; i < len; i++)
		all |= (unsigned char) text[i];
	return all < 0x80;
}

void key_to_base64(const uint8_t key[static KEY_LEN], char ret_text[static KEY_BASE64_LEN])
{
	(void) sodium_bin2base64(ret_text, KEY_BASE64_LEN, key, KEY_LEN, STD);
}

void key_to_hex(const uint8_t key[static KEY_LEN], char ret_text[static KEY_HEX_LEN])
{
	(void) sodium_bin2hex(ret_text, KEY_HEX_LEN, key, KEY_LEN);
}

int key_from_base64(const char *text, uint8_t ret_key[static KEY_LEN])
{
	uint8_t key[KEY_LEN + 1]; /* room for one too many, so that it is noticed */
	size_t len = 0;
	int r = -EINVAL;

	if (strlen(text) == KEY_BASE64_LEN - 1 && is_ascii(text, KEY_BASE64_LEN - 1) &&
		sodium_base642bin(
			key, sizeof(key), text, KEY_BASE64_LEN - 1, NULL, &len, NULL, STD) == 0 &&
		len == KEY_LEN) {
		memcpy(ret_key, key, KEY_LEN);
		r = 0;
	}
	sodium_memzero(key, sizeof(key));
	return r;
}

int key_from_hex(const char *text, size_t text_len, uint8_t ret_key[static KEY_LEN])
{
	uint8_t key[KEY_LEN];
	size_t len = 0;
	int r = -EINVAL;

	if (text_len == KEY_HEX_LEN - 1 &&
		sodium_hex2bin(key, sizeof(key), text, text_len, NULL, &len, NULL) == 0 &&
		len == KEY_LEN) {
		memcpy(ret_key, key, KEY_LEN);
		r = 0;
	}
	sodium_memzero(key, sizeof(key));
	return r;
}

static char *encode(const void *data, size_t len, int variant)
{
	size_t size = sodium_base64_encoded_len(len, variant);
	char *text = malloc(size);

	if (text)
		(void) sodium_bin2base64(text, size, data, len, variant);
	return text;
}

static int decode(const char *text, size_t text_len, size_t max, int variant, uint8_t **ret_data,
	size_t *ret_len)
{
	size_t size = text_len / 4 * 3 + 3, len = 0;

	if (text_len > SIZE_MAX / 4)
		return -EFBIG;
	CLEANUP(free_p) uint8_t *data = malloc(size);

	if (!data)
		return -ENOMEM;
	const char *end = NULL;

	if (!is_ascii(text, text_len) ||
		sodium_base642bin(data, size, text, text_len, NULL, &len, &end, variant) != 0 ||
		end != text + text_len)
		return -EINVAL;
	if (len > max)
		return -EFBIG;
	*ret_data = TAKE(data);
	*ret_len = len;
	return 0;
}

char *base64_encode(const void *data, size_t len)
{
	return encode(data, len, STD);
}

char *base64url_encode(const void *data, size_t len)
{
	return encode(data, len, URL);
}

int base64_decode(
	const char *text, size_t text_len, size_t max, uint8_t **ret_data, size_t *ret_len)
{
	return decode(text, text_len, max, STD, ret_data, ret_len);
}

int base64url_decode(
	const char *text, size_t text_len, size_t max, uint8_t **ret_data, size_t *ret_len)
{
	return decode(text, text_len, max, URL, ret_data, ret_len);
}
