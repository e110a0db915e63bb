/* mesh-maker: see mesh-maker.h. */
#include "mesh-maker.h"

#include <endian.h>
#include <stdio.h>

#define REPEAT8(x)  x, x, x, x, x, x, x, x
#define REPEAT32(x) REPEAT8(x), REPEAT8(x), REPEAT8(x), REPEAT8(x)

const uint8_t maker_root_seed[32] = { REPEAT32(1) };
const uint8_t maker_sign_seed[32] = { REPEAT32(2) };

void maker_root_hash(uint8_t ret[static 32])
{
	uint8_t root[32];

	record_public_key(maker_root_seed, root);
	record_root_hash(root, ret);
}

struct settings maker_settings(void)
{
	static const uint8_t random[RANGES_RANDOM_LEN] = { 0x12, 0x34, 0x56, 0x78, 0x9a };
	struct settings settings = { .mesh = "home", .n_urls = 1, .n_pins = 1 };

	memcpy(settings.urls[0], "https://192.168.50.11:8443", 27);
	memset(settings.pins[0], 9, sizeof(settings.pins[0]));
	ranges_set_defaults(&settings, random);
	return settings;
}

struct node maker_node(uint32_t id, uint32_t number, const char *name)
{
	struct settings settings = maker_settings();
	struct node node = { .id = id, .role = number ? NODE_ROLE_WORKER : NODE_ROLE_MEMBER };
	uint32_t be = htobe32(id);

	if (name)
		(void) snprintf(node.name, sizeof(node.name), "%s", name);
	else
		(void) snprintf(node.name, sizeof(node.name), "node-%u", id);
	memset(node.wg, 0xaa, sizeof(node.wg));
	memcpy(node.wg, &be, sizeof(be));
	memset(node.identity, 0xbb, sizeof(node.identity));
	memcpy(node.identity, &be, sizeof(be));
	(void) numbers_mesh4(&settings, id, &node.mesh4);
	(void) numbers_mesh6(&settings, id, &node.mesh6);
	if (number) {
		(void) numbers_pods4(&settings, number, &node.pods4);
		(void) numbers_pods6(&settings, number, &node.pods6);
	}
	return node;
}

struct mesh_log *maker_empty_log(void)
{
	uint8_t hash[32];

	maker_root_hash(hash);
	struct mesh_log *log = mesh_log_new(hash);

	assert_non_null(log);
	return log;
}

struct mesh_log *maker_log(void)
{
	struct mesh_log *log = maker_empty_log();
	struct record_key key;
	CLEANUP_RECORD struct record record = { 0 };

	record_public_key(maker_root_seed, key.root);
	record_public_key(maker_sign_seed, key.key);
	record = maker_record(1, NULL, RECORD_TYPE_KEY, record_key_to_json(&key), maker_root_seed);
	assert_int_equal(mesh_log_append(log, &record, NULL), 0);
	return log;
}

struct record maker_record(uint64_t seq, const uint8_t *prev, const char *type, json_t *payload,
	const uint8_t seed[static 32])
{
	struct record record = { 0 };

	assert_non_null(payload);
	assert_int_equal(record_make(seq, prev, type, payload, &record), 0);
	assert_int_equal(record_sign(&record, seed), 0);
	json_decref(payload);
	return record;
}

void maker_append(struct mesh_log *log, const char *type, json_t *payload)
{
	CLEANUP_RECORD struct record record = { 0 };
	struct err err = { 0 };

	assert_int_equal(mesh_log_make_next(log, type, payload, maker_sign_seed, &record), 0);
	json_decref(payload);
	if (mesh_log_append(log, &record, &err))
		fail_msg("%s", err.text);
}

int maker_apply(struct netmap *netmap, const char *type, json_t *payload,
	struct netmap_change *change, struct err *err)
{
	CLEANUP_RECORD struct record record = { 0 };

	assert_non_null(payload);
	assert_int_equal(record_make(netmap_seq(netmap) + 1, NULL, type, payload, &record), 0);
	json_decref(payload);
	return netmap_apply(netmap, &record, change, err);
}

struct netmap *maker_netmap(const struct settings *settings)
{
	struct netmap *netmap = netmap_new();
	struct err err = { 0 };

	assert_non_null(netmap);
	if (maker_apply(netmap, RECORD_TYPE_SETTINGS, settings_to_json(settings), NULL, &err) != 1)
		fail_msg("%s", err.text);
	return netmap;
}
