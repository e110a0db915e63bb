/* Beacons of a LAN: what is sealed is what the document says, and nothing else opens. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "beacon-vectors.h"
#include "wire/beacon.h"

static struct beacon_mesh mesh;
static uint8_t body[BEACON_BODY_MAX], data[BEACON_MAX_LEN];

static int set_up(void **state)
{
	beacon_mesh_init(&mesh, root_hash);
	return 0;
}

static void test_vector(void **state)
{
	struct beacon_message out = { .type = BEACON_ASK,
		.payload = (uint8_t *) payload_a,
		.payload_len = sizeof(payload_a) };
	struct beacon_message in;

	assert_memory_equal(mesh.key, beacon_key, sizeof(beacon_key));
	assert_memory_equal(mesh.hint, beacon_hint, sizeof(beacon_hint));
	memcpy(out.sig, sig_a, sizeof(sig_a));
	assert_int_equal(beacon_seal(&mesh, nonce_a, &out, data), sizeof(ask_a));
	assert_memory_equal(data, ask_a, sizeof(ask_a));
	assert_int_equal(beacon_open(&mesh, ask_a, sizeof(ask_a), body, &in), 0);
	assert_int_equal(in.type, BEACON_ASK);
	assert_memory_equal(in.sig, sig_a, sizeof(sig_a));
	assert_int_equal(in.payload_len, sizeof(payload_a));
	assert_memory_equal(in.payload, payload_a, sizeof(payload_a));
}

static void test_lengths(void **state)
{
	static const size_t lens[] = { 1, 2, 700, BEACON_PAYLOAD_MAX };
	static uint8_t payload[BEACON_PAYLOAD_MAX];

	memset(payload, 7, sizeof(payload));
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		struct beacon_message out = {
			.type = BEACON_ANNOUNCE, .payload = payload, .payload_len = lens[i]
		};
		struct beacon_message in;
		size_t len = beacon_seal(&mesh, nonce_a, &out, data);

		assert_int_equal(len, BEACON_MIN_LEN - 1 + lens[i]);
		assert_int_equal(beacon_open(&mesh, data, len, body, &in), 0);
		assert_int_equal(in.type, BEACON_ANNOUNCE);
		assert_int_equal(in.payload_len, lens[i]);
		assert_memory_equal(in.payload, payload, lens[i]);
	}
}

/* One bit is another, or it is cut: nothing of it is believed. */
static void test_spoilt(void **state)
{
	struct beacon_message in;

	memcpy(data, ask_a, sizeof(ask_a));
	for (size_t bit = 0; bit < 8 * sizeof(ask_a); bit++) {
		data[bit / 8] ^= (uint8_t) (1 << bit % 8);
		assert_int_equal(beacon_open(&mesh, data, sizeof(ask_a), body, &in), -EBADMSG);
		data[bit / 8] ^= (uint8_t) (1 << bit % 8);
	}
	for (size_t len = 0; len < sizeof(ask_a); len++)
		assert_int_equal(beacon_open(&mesh, data, len, body, &in), -EBADMSG);
	data[sizeof(ask_a)] = 0;
	assert_int_equal(beacon_open(&mesh, data, sizeof(ask_a) + 1, body, &in), -EBADMSG);
	assert_false(beacon_looks(&mesh, data, BEACON_MIN_LEN - 1));
	assert_true(beacon_looks(&mesh, data, BEACON_MAX_LEN));
	assert_false(beacon_looks(&mesh, data, BEACON_MAX_LEN + 1));
}

/* Two meshes on one LAN: told apart by the head alone. */
static void test_other_mesh(void **state)
{
	struct beacon_mesh other;
	struct beacon_message in;
	uint8_t root[sizeof(root_hash)];

	memcpy(root, root_hash, sizeof(root));
	root[31] ^= 1;
	beacon_mesh_init(&other, root);
	assert_memory_not_equal(other.key, mesh.key, sizeof(mesh.key));
	assert_false(beacon_looks(&other, ask_a, sizeof(ask_a)));
	memcpy(other.hint, mesh.hint, sizeof(mesh.hint));
	assert_true(beacon_looks(&other, ask_a, sizeof(ask_a)));
	assert_int_equal(beacon_open(&other, ask_a, sizeof(ask_a), body, &in), -EBADMSG);
}

/* Of a later version: sealed, and not understood. */
static void test_unknown_type(void **state)
{
	static const int types[] = { 0, 3, 255 };
	uint8_t payload[1] = { 0 };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct beacon_message out = {
			.type = (enum beacon_type) types[i], .payload = payload, .payload_len = 1
		};
		struct beacon_message in;
		size_t len = beacon_seal(&mesh, nonce_a, &out, data);

		assert_int_equal(beacon_open(&mesh, data, len, body, &in), -ENOMSG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_vector, set_up),
		cmocka_unit_test_setup(test_lengths, set_up),
		cmocka_unit_test_setup(test_spoilt, set_up),
		cmocka_unit_test_setup(test_other_mesh, set_up),
		cmocka_unit_test_setup(test_unknown_type, set_up),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
