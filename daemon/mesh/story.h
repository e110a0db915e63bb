/*
 * story: a log as a person reads it: what each record did to the mesh, in words. What a person must
 * be able to see is told apart: that a board which was there was given other keys, for whoever
 * holds a signing key can do that.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "mesh/netmap.h"
#include "wire/record.h"

enum { STORY_TEXT_MAX = 512 };

struct story {
	uint32_t id; /* of the node it is about, 0: none */
	char name[NODE_NAME_MAX];
	bool rekeys; /* the node is there, and has other keys than before */
	char text[STORY_TEXT_MAX];
};

/* What @record says beside what @before knows, whether or not that would take it in. */
void story_tell(const struct netmap *before, const struct record *record, struct story *ret);

/* A key in short, for people to compare: the first characters of its base64. */
enum { STORY_KEY_LEN = 13 };
const char *story_key(const uint8_t key[static NODE_KEY_LEN], char ret[static STORY_KEY_LEN]);
