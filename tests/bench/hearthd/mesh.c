/* mesh: see mesh.h. One board in five runs pods, for there are no more than 255 ranges of them. */
#include "mesh.h"

#include <endian.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/encode.h"
#include "base/file.h"
#include "mesh/numbers.h"
#include "mesh/ranges.h"
#include "sys/x509/x509.h"

enum { PODS_EVERY = 5 };

void mesh_die(const char *what, int r)
{
	fprintf(stderr, "hearthd-mesh: %s: %s\n", what, strerror(-r));
	exit(1);
}

static void must(int r, const char *what)
{
	if (r < 0)
		mesh_die(what, r);
}

/* 32 bytes for @what of board @id; 0: of the mesh. */
static void make_key(const char *what, uint32_t id, uint8_t ret[static FIELD_KEY_LEN])
{
	crypto_generichash(ret, FIELD_KEY_LEN, (const uint8_t *) &id, sizeof(id),
		(const uint8_t *) what, strlen(what));
}

/* --- the log --- */

/* Takes @payload. */
static void append(struct mesh *mesh, const char *type, json_t *payload, const char *signer)
{
	CLEANUP_RECORD struct record record = { 0 };
	uint8_t seed[RECORD_SEED_LEN];
	struct err err = { 0 };

	make_key(signer, 0, seed);
	must(payload ? mesh_log_make_next(mesh->log, type, payload, seed, &record) : -ENOMEM,
		"make a record");
	json_decref(payload);
	if (mesh_log_append(mesh->log, &record, &err) < 0)
		mesh_die(err.text, err.code);
}

static void append_node(struct mesh *mesh, const struct mesh_board *board)
{
	append(mesh, RECORD_TYPE_NODE, node_to_json(&board->node), "mesh bench signing key");
}

static void begin_log(struct mesh *mesh)
{
	uint8_t seed[RECORD_SEED_LEN], hash[RECORD_HASH_LEN];
	struct record_key key;

	make_key("mesh bench root key", 0, seed);
	record_public_key(seed, key.root);
	record_root_hash(key.root, hash);
	make_key("mesh bench signing key", 0, seed);
	record_public_key(seed, key.key);
	mesh->log = mesh_log_new(hash);
	if (!mesh->log)
		mesh_die("begin a log", -ENOMEM);
	append(mesh, RECORD_TYPE_KEY, record_key_to_json(&key), "mesh bench root key");
	append(mesh, RECORD_TYPE_SETTINGS, settings_to_json(&mesh->settings),
		"mesh bench signing key");
}

static void make_settings(const char *url, struct mesh *mesh)
{
	static const uint8_t random[RANGES_RANDOM_LEN] = { 0x12, 0x34, 0x56, 0x78, 0x9a };
	struct settings *settings = &mesh->settings;
	uint8_t key[X509_KEY_LEN];
	char pin[X509_PIN_TEXT_LEN];

	*settings = (struct settings){ .mesh = "home", .n_urls = 1, .n_pins = 1 };
	(void) snprintf(settings->urls[0], sizeof(settings->urls[0]), "%s", url);
	make_key("mesh bench coordinator", 0, mesh->tls_seed);
	must(x509_public_key(mesh->tls_seed, key), "make the coordinator's key");
	must(x509_pin_of_key(key, pin), "make its pin");
	must(key_from_base64(pin, settings->pins[0]), "read its pin");
	ranges_set_defaults(settings, random);
}

/* --- boards --- */

static struct endpoint address_of(uint32_t id, uint32_t base)
{
	struct endpoint endpoint = { .addr.family = AF_INET, .port = MESH_PORT };
	uint32_t be = htobe32(base + id);

	memcpy(endpoint.addr.bytes, &be, sizeof(be));
	return endpoint;
}

void mesh_move(struct mesh *mesh, uint32_t id)
{
	struct mesh_board *board = &mesh->boards[id - 1];
	struct presence *presence = &board->presence;

	presence->node = id;
	presence->counter++;
	presence->n_endpoints = 1;
	presence->endpoints[0] =
		address_of(id, presence->counter % 2 ? MESH_ADDRESS : MESH_OTHER_ADDRESS);
	must(presence_sign(presence, board->identity_seed), "sign a presence");
	json_decref(board->doc);
	board->doc = presence_to_json(presence);
	if (!board->doc)
		mesh_die("make a presence", -ENOMEM);
	board->number = ++mesh->number;
}

void mesh_rename(struct mesh *mesh, uint32_t id)
{
	struct mesh_board *board = &mesh->boards[id - 1];

	(void) snprintf(
		board->node.name, sizeof(board->node.name), "node-%u-%u", id, ++board->renames);
	append_node(mesh, board);
}

/* @pods: the number of its range, 0 if it runs none. */
static struct mesh_board *make_board(struct mesh *mesh, uint32_t pods)
{
	struct mesh_board *board = &mesh->boards[mesh->n++];
	struct node *node = &board->node;

	if (mesh->n > MESH_BOARDS_MAX)
		mesh_die("make a board", -ENOSPC);
	node->id = (uint32_t) mesh->n;
	node->role = node->id == 1 ? NODE_ROLE_CONTROL_PLANE
		     : pods        ? NODE_ROLE_WORKER
				   : NODE_ROLE_MEMBER;
	(void) snprintf(node->name, sizeof(node->name), "node-%u", node->id);
	make_key("mesh bench identity", node->id, board->identity_seed);
	make_key("mesh bench wireguard", node->id, board->wg_private);
	record_public_key(board->identity_seed, node->identity);
	if (crypto_scalarmult_base(node->wg, board->wg_private) != 0)
		mesh_die("make a key", -EINVAL);
	must(numbers_mesh4(&mesh->settings, node->id, &node->mesh4), "number a board");
	must(numbers_mesh6(&mesh->settings, node->id, &node->mesh6), "number a board");
	if (pods) {
		must(numbers_pods4(&mesh->settings, pods, &node->pods4), "number its pods");
		must(numbers_pods6(&mesh->settings, pods, &node->pods6), "number its pods");
	}
	return board;
}

void mesh_add(struct mesh *mesh)
{
	append_node(mesh, make_board(mesh, 0));
}

void mesh_make(const char *url, size_t n, struct mesh *ret)
{
	struct mesh mesh = { 0 };

	mesh.boards = calloc(MESH_BOARDS_MAX, sizeof(*mesh.boards));
	if (!mesh.boards)
		mesh_die("make boards", -ENOMEM);
	make_settings(url, &mesh);
	begin_log(&mesh);
	for (size_t i = 0; i <= n; i++) {
		uint32_t pods = (uint32_t) (i % PODS_EVERY ? 0 : i / PODS_EVERY + 1);
		struct mesh_board *board = make_board(&mesh, pods);

		append_node(&mesh, board);
		if (i)
			mesh_move(&mesh, board->node.id);
	}
	*ret = mesh;
}

/* --- on the disk --- */

static void write_text(const char *dir, const char *name, const char *text, size_t len, mode_t mode)
{
	char path[512];

	(void) snprintf(path, sizeof(path), "%s/%s", dir, name);
	must(file_write_atomic(path, text, len, mode), path);
}

static void write_key(const char *dir, const char *name, const uint8_t *key)
{
	char text[KEY_BASE64_LEN];

	key_to_base64(key, text);
	text[KEY_BASE64_LEN - 1] = '\n';
	write_text(dir, name, text, sizeof(text), 0600);
}

static void write_json(const char *dir, const char *name, json_t *json, mode_t mode)
{
	char *text = json ? json_text(json) : NULL;

	if (!text)
		mesh_die(name, -ENOMEM);
	write_text(dir, name, text, strlen(text), mode);
	free(text);
	json_decref(json);
}

static void write_state(const struct mesh *mesh, const char *dir)
{
	CLEANUP_BUF struct buf log = { 0 };
	json_t *presences = json_array();

	must(file_mkdirs(dir, 0755), dir);
	write_key(dir, "identity.key", mesh->boards[0].identity_seed);
	write_key(dir, "wireguard.key", mesh->boards[0].wg_private);
	must(mesh_log_save(mesh->log, 1, &log), "write the log");
	write_text(dir, "log", buf_str(&log), log.len, 0600);
	for (size_t i = 0; i < mesh->n; i++)
		if (mesh->boards[i].doc)
			(void) json_array_append(presences, mesh->boards[i].doc);
	write_json(dir, "presence", presences, 0600);
}

void mesh_write(const struct mesh *mesh, const char *dir)
{
	char etc[256], state[256], root[KEY_BASE64_LEN], pin[KEY_BASE64_LEN];
	uint8_t seed[RECORD_SEED_LEN], key[RECORD_KEY_LEN], hash[RECORD_HASH_LEN];

	(void) snprintf(etc, sizeof(etc), "%s/etc", dir);
	(void) snprintf(state, sizeof(state), "%s/state", dir);
	make_key("mesh bench root key", 0, seed);
	record_public_key(seed, key);
	record_root_hash(key, hash);
	key_to_base64(hash, root);
	key_to_base64(mesh->settings.pins[0], pin);
	must(file_mkdirs(etc, 0755), etc);
	write_json(etc, "hearthd.yaml",
		json_pack("{s:s, s:i, s:s, s:[s], s:[s]}", "mesh", mesh->settings.mesh, "node", 1,
			"root", root, "urls", mesh->settings.urls[0], "pins", pin),
		0644);
	write_state(mesh, state);
}
