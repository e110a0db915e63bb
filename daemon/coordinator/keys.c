/*
 * keys: see keys.h. Whatever held the text is wiped.
 */
#include "coordinator/keys.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/encode.h"
#include "base/file.h"

enum { FILE_MAX = 256 };

int keys_read(const char *path, uint8_t ret_seed[static KEYS_SEED_LEN], struct err *err)
{
	struct buf text = { 0 };
	struct stat st;
	int r = file_read(path, FILE_MAX, &text);
	if (r < 0)
		return err_set(err, r, "read the key %s: %s", path, strerror(-r));
	if (text.len && text.data[text.len - 1] == '\n')
		text.data[--text.len] = '\0';
	r = key_from_base64(buf_str(&text), ret_seed);
	if (text.data)
		sodium_memzero(text.data, text.cap);
	buf_done(&text);
	if (r < 0)
		return err_set(err, -EBADMSG,
			"%s is damaged: it does not hold one key in base64. Restore it from a "
			"copy.",
			path);
	if (stat(path, &st) == 0 && (st.st_mode & 077))
		return err_set(err, -EPERM,
			"%s may be read by others than its owner: chmod 600 it (and ask yourself "
			"who "
			"has read it)",
			path);
	return 0;
}

int keys_make(const char *path, uint8_t ret_seed[static KEYS_SEED_LEN], struct err *err)
{
	char text[KEY_BASE64_LEN + 1];
	randombytes_buf(ret_seed, KEYS_SEED_LEN);
	key_to_base64(ret_seed, text);
	text[KEY_BASE64_LEN - 1] = '\n';
	int r = file_write_atomic(path, text, KEY_BASE64_LEN, 0600);
	sodium_memzero(text, sizeof(text));
	return r < 0 ? err_set(err, r, "write the key %s: %s", path, strerror(-r)) : 0;
}
