/*
 * keys: see keys.h. Whatever held the text is wiped.
 */
#include "board/keys.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/owned.h"

int keys_read(const char *path, uint8_t ret_seed[static KEYS_SEED_LEN], struct err *err)
{
	struct buf text = { 0 };
	struct stat st;
	int r = owned_read(path, KEYS_FILE_MAX, &text, &st);

	if (r == -ELOOP || r == -EMLINK || r == -EMEDIUMTYPE || r == -EISDIR)
		return err_set(err, r,
			"%s is no file of its own (a link, a pipe, a directory): no key is read "
			"from it",
			path);
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
	if (st.st_mode & 077)
		return err_set(err, -EPERM,
			"%s may be read by others than its owner: chmod 600 it (and ask yourself "
			"who has read it)",
			path);
	return 0;
}

int keys_write(const char *path, const uint8_t seed[static KEYS_SEED_LEN], struct err *err)
{
	char text[KEY_BASE64_LEN + 1];

	key_to_base64(seed, text);
	text[KEY_BASE64_LEN - 1] = '\n';
	int r = file_write_atomic(path, text, KEY_BASE64_LEN, 0600);

	sodium_memzero(text, sizeof(text));
	return r < 0 ? err_set(err, r, "write the key %s: %s", path, strerror(-r)) : 0;
}

int keys_make(const char *path, uint8_t ret_seed[static KEYS_SEED_LEN], struct err *err)
{
	randombytes_buf(ret_seed, KEYS_SEED_LEN);
	return keys_write(path, ret_seed, err);
}

bool keys_is_low_order(const uint8_t key[static KEYS_SEED_LEN])
{
	uint8_t scalar[crypto_scalarmult_SCALARBYTES] = { 8 }, out[crypto_scalarmult_BYTES];

	return crypto_scalarmult(out, scalar, key) != 0;
}
