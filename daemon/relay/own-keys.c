/* own-keys: see own-keys.h. */
#include "relay/own-keys.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>

#include "base/encode.h"
#include "board/keys.h"
#include "sys/x509/x509.h"

void own_keys_done(struct own_keys *keys)
{
	sodium_memzero(keys, sizeof(*keys));
}

static int read_or_make(
	const char *dir, const char *name, bool make, uint8_t ret[FIELD_KEY_LEN], struct err *err)
{
	char path[512];
	struct err why = { 0 };
	int r;

	(void) snprintf(path, sizeof(path), "%s/%s", dir, name);
	r = keys_read(path, ret, &why);
	if (r == -ENOENT && make)
		return keys_make(path, ret, err);
	return r < 0 ? err_set(err, r, "%s", why.text) : 0;
}

static int derive(struct own_keys *keys, struct err *err)
{
	uint8_t public[X509_KEY_LEN];
	char pin[X509_PIN_TEXT_LEN];

	if (x509_public_key(keys->tls_seed, public) < 0 || x509_pin_of_key(public, pin) < 0 ||
		key_from_base64(pin, keys->pin) < 0)
		return err_set(err, -EIO, "tls.key: OpenSSL cannot use it");
	if (crypto_scalarmult_base(keys->key, keys->secret) != 0)
		return err_set(err, -EBADMSG, "relay.key is no usable key");
	return 0;
}

static int open_keys(const char *dir, bool make, struct own_keys *ret, struct err *err)
{
	struct own_keys keys = { 0 };
	int r = read_or_make(dir, "tls.key", make, keys.tls_seed, err);

	if (r == 0)
		r = read_or_make(dir, "relay.key", make, keys.secret, err);
	if (r == 0)
		r = derive(&keys, err);
	if (r == 0)
		*ret = keys;
	own_keys_done(&keys);
	return r;
}

int own_keys_read(const char *dir, struct own_keys *ret, struct err *err)
{
	return open_keys(dir, false, ret, err);
}

int own_keys_make(const char *dir, struct own_keys *ret, struct err *err)
{
	return open_keys(dir, true, ret, err);
}
