/*
 * mesh: a mesh of many boards that are none, for test-hearthd: their keys, the signed log that
 * names them, their presences, and what lies on the disk of the one (node 1) that hearthd runs on.
 * Keys follow from the numbers, so each run has the same mesh. What fails ends the program.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "mesh/log.h"
#include "wire/node.h"
#include "wire/presence.h"
#include "wire/settings.h"

enum { MESH_BOARDS_MAX = 5000, MESH_PORT = 41741 };
/* Board @id answers at this address + @id, and, after its presence changed, at the other one. */
#define MESH_ADDRESS       UINT32_C(0xc6120000) /* 198.18.0.0 */
#define MESH_OTHER_ADDRESS UINT32_C(0xc6130000) /* 198.19.0.0 */

struct mesh_board {
	uint8_t identity_seed[FIELD_KEY_LEN], wg_private[FIELD_KEY_LEN];
	struct node node;
	struct presence presence; /* counter 0: none yet */
	json_t *doc;              /* the presence, NULL: none yet */
	uint64_t number;          /* of the last change of it, as cursors count */
	unsigned renames;
};

struct mesh {
	struct settings settings;
	uint8_t tls_seed[FIELD_KEY_LEN];
	struct mesh_log *log;
	struct mesh_board *boards; /* number i has id i + 1; room for MESH_BOARDS_MAX */
	size_t n;
	uint64_t number; /* of the last change of a presence */
};

/* Says what could not be done, and ends the program. */
__attribute__((noreturn)) void mesh_die(const char *what, int r);

/* A mesh of the board that hearthd runs on and @n others, whose coordinator is at @url. */
void mesh_make(const char *url, size_t n, struct mesh *ret);
/* DIR/etc and DIR/state, as enrolment leaves them. */
void mesh_write(const struct mesh *mesh, const char *dir);

/* Another address of board @id; a record with another name of it; a record of a new board. */
void mesh_move(struct mesh *mesh, uint32_t id);
void mesh_rename(struct mesh *mesh, uint32_t id);
void mesh_add(struct mesh *mesh);
