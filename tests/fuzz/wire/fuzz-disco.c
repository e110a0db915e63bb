/*
 * Disco datagrams: the input as it is, and the input as the body of one that is sealed, so that the
 * decoder behind the seal is met. What is understood is sealed again to the same meaning.
 */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "wire/disco.h"
#include "wire/wg.h"

static const uint8_t key[PAIR_KEY_LEN] = { 1 }, nonce[DISCO_NONCE_LEN] = { 2 };

static void check(int r, const struct disco *got)
{
	uint8_t data[DISCO_MAX_LEN];
	struct disco again;

	if (r != 0 && r != -EBADMSG && r != -ENOMSG)
		abort();
	if (r != 0)
		return;
	disco_seal(key, key, nonce, got, disco_len(got), data);
	if (disco_open(key, data, disco_len(got), &again) != 0 || again.type != got->type ||
		again.run != got->run || again.tx != got->tx ||
		!endpoint_equal(&again.seen, &got->seen) || again.mapping != got->mapping ||
		again.step != got->step || again.guess != got->guess || again.n != got->n)
		abort();
	for (size_t i = 0; i < got->n; i++)
		if (!endpoint_equal(&again.list[i], &got->list[i]))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t sealed[DISCO_MAX_LEN] = { 0xf0, 'H', 'D', '1' };
	uint8_t body[DISCO_MAX_LEN - DISCO_HEAD_LEN - DISCO_TAG_LEN] = { 0 };
	size_t len = size < sizeof(body) ? size : sizeof(body);
	const uint8_t *hint;
	struct disco got;

	if (disco_looks(data, size, &hint) && wg_begins(data, size))
		abort();
	check(disco_open(key, data, size, &got), &got);
	memcpy(body, data, len);
	if (len < DISCO_BODY_LEN)
		len = DISCO_BODY_LEN;
	memcpy(sealed + 12, nonce, sizeof(nonce));
	(void) crypto_aead_xchacha20poly1305_ietf_encrypt(
		sealed + DISCO_HEAD_LEN, NULL, body, len, sealed, 12, NULL, nonce, key);
	check(disco_open(key, sealed, DISCO_HEAD_LEN + len + DISCO_TAG_LEN, &got), &got);
	return 0;
}
