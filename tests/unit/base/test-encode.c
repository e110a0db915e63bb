/* encode: keys and blobs as text, canonical form only. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/encode.h"

static void test_keys(void **state)
{
	uint8_t key[KEY_LEN], back[KEY_LEN];
	char b64[KEY_BASE64_LEN], hex[KEY_HEX_LEN];

	for (size_t i = 0; i < KEY_LEN; i++)
		key[i] = (uint8_t) (i * 37 + 5);
	key_to_base64(key, b64);
	key_to_hex(key, hex);
	assert_int_equal(key_from_base64(b64, back), 0);
	assert_memory_equal(key, back, KEY_LEN);
	assert_int_equal(key_from_hex(hex, 64, back), 0);
	assert_memory_equal(key, back, KEY_LEN);
	assert_int_equal(key_from_hex(hex, 63, back), -EINVAL);
	static const char *const bad[] = {
		"",
		"AAAA",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", /* 33 bytes */
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=", /* stray bits */
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA-A=",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(key_from_base64(bad[i], back), -EINVAL);
	/* No byte but the 64 digits is taken for one, those above 127 included. */
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (int c = 1; c < 256; c++)
		for (size_t at = 0; at < 4; at++) {
			CLEANUP(free_p) uint8_t *data = NULL;
			size_t n;
			char text[] = "AAAA";
			int expected = strchr(digits, c) ? 0 : -EINVAL;

			memcpy(b64, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 45);
			b64[at] = text[at] = (char) c;
			assert_int_equal(key_from_base64(b64, back), expected);
			if (c != '=')
				assert_int_equal(base64_decode(text, 4, 9, &data, &n), expected);
		}
}

static void test_blobs(void **state)
{
	for (size_t len = 0; len < 70; len++) {
		uint8_t data[70];

		memset(data, (int) len * 3 + 1, sizeof(data));
		for (int url = 0; url < 2; url++) {
			CLEANUP(free_p)
			char *text = url ? base64url_encode(data, len) : base64_encode(data, len);
			CLEANUP(free_p) uint8_t *back = NULL;
			size_t n = 99;

			assert_non_null(text);
			assert_int_equal((url ? base64url_decode : base64_decode)(
						 text, strlen(text), len, &back, &n),
				0);
			assert_int_equal(n, len);
			assert_memory_equal(back, data, len);
		}
	}
	CLEANUP(free_p) uint8_t *data = NULL;
	size_t n = 0;

	assert_int_equal(base64_decode("AAAA", 4, 2, &data, &n), -EFBIG);
	assert_int_equal(base64_decode("AA=", 3, 9, &data, &n), -EINVAL);
	assert_int_equal(base64_decode("AAAA ", 5, 9, &data, &n), -EINVAL);
	assert_int_equal(base64url_decode("AA==", 4, 9, &data, &n), -EINVAL);
	assert_int_equal(base64url_decode("A+AA", 4, 9, &data, &n), -EINVAL);
	assert_null(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_keys),
		cmocka_unit_test(test_blobs) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
