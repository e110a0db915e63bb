/* key-file: see key-file.h. What stands behind the first line is not looked at. */
#include "key-file.h"

#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

int key_file_read(const char *path, uint8_t ret[static KEY_FILE_LEN])
{
	char text[64] = "";
	size_t len = 0;
	FILE *f = fopen(path, "re");
	bool read = f && fgets(text, sizeof(text), f);
	int r = f ? 0 : -errno;

	if (f)
		(void) fclose(f);
	if (r < 0)
		return r;
	if (!read ||
		sodium_base642bin(ret, KEY_FILE_LEN, text, strcspn(text, "\n"), NULL, &len, NULL,
			sodium_base64_VARIANT_ORIGINAL) != 0 ||
		len != KEY_FILE_LEN)
		return -EBADMSG;
	return 0;
}
