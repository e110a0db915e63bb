/* base64, base64url and hex: what is accepted is the one way to write those bytes. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/encode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(free_p) char *text = malloc(size + 1);

	memcpy(text, data, size);
	text[size] = '\0';
	for (int url = 0; url < 2; url++) {
		CLEANUP(free_p) uint8_t *bytes = NULL;
		size_t len = 0;
		int r = url ? base64url_decode(text, size, 300, &bytes, &len)
			    : base64_decode(text, size, 300, &bytes, &len);

		if (r)
			continue;
		CLEANUP(free_p)
		char *again = url ? base64url_encode(bytes, len) : base64_encode(bytes, len);

		if (len > 300 || strlen(again) != size || memcmp(again, data, size))
			abort();
	}
	uint8_t key[KEY_LEN];
	char printed[KEY_HEX_LEN];

	if (key_from_base64(text, key) == 0) {
		key_to_base64(key, printed);
		if (strcmp(printed, text))
			abort();
	}
	if (key_from_hex(text, size, key) == 0) {
		key_to_hex(key, printed);
		if (size != 64 || strncasecmp(printed, text, 64))
			abort();
	}
	return 0;
}
