/*
 * Beacons: the input as it is, and the input as the body of one that is sealed, so that what is
 * behind the seal is met. What is understood is sealed again to the same meaning.
 */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "wire/beacon.h"

static const uint8_t root_hash[BEACON_KEY_LEN] = { 1 }, nonce[BEACON_NONCE_LEN] = { 2 };
static uint8_t body[BEACON_BODY_MAX], again[BEACON_BODY_MAX], data[BEACON_MAX_LEN];

static void check(const struct beacon_mesh *mesh, int r, const struct beacon_message *got)
{
	struct beacon_message same;
	size_t len;

	if (r != 0 && r != -EBADMSG && r != -ENOMSG)
		abort();
	if (r != 0)
		return;
	len = beacon_seal(mesh, nonce, got, data);
	if (beacon_open(mesh, data, len, again, &same) != 0 || same.type != got->type ||
		same.payload_len != got->payload_len ||
		memcmp(same.payload, got->payload, got->payload_len) != 0 ||
		memcmp(same.sig, got->sig, sizeof(got->sig)) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static uint8_t sealed[BEACON_MAX_LEN];
	uint8_t head[BEACON_HEAD_LEN] = { 0xf0, 'H', 'B', '1' };
	struct beacon_mesh mesh;
	struct beacon_message got;
	size_t len = size < BEACON_BODY_MAX ? size : BEACON_BODY_MAX;

	beacon_mesh_init(&mesh, root_hash);
	check(&mesh, beacon_open(&mesh, input, size, body, &got), &got);
	memcpy(head + 4, mesh.hint, sizeof(mesh.hint));
	memcpy(head + 12, nonce, sizeof(nonce));
	memcpy(sealed, head, sizeof(head));
	(void) crypto_aead_xchacha20poly1305_ietf_encrypt(
		sealed + sizeof(head), NULL, input, len, sealed, 12, NULL, nonce, mesh.key);
	check(&mesh, beacon_open(&mesh, sealed, sizeof(head) + len + BEACON_TAG_LEN, body, &got),
		&got);
	return 0;
}
