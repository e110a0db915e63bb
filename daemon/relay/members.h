/*
 * members: who may use the relay, by number, by WireGuard key and as a list. Pure. Whoever changes
 * it calls the X_follow() of each subject, which drops what belongs to nobody any more.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "wire/node.h"

enum { MEMBERS_MAX = 16384 };

struct relay_member {
	uint32_t id;              /* the node's number */
	uint8_t wg[NODE_KEY_LEN]; /* WireGuard public key: DERP knows a member by it */
	uint8_t identity[NODE_KEY_LEN];
	char name[NODE_NAME_MAX];
};

struct members;
/* With nobody in it. NULL: out of memory. */
struct members *members_new(void);
struct members *members_free(struct members *members);

/*
 * From now on they are @list, in any order; copied. -EINVAL: more than MEMBERS_MAX, or two have a
 * number or a key in common; -ENOMEM. On failure they are who they were. What the functions below
 * have returned is gone.
 */
int members_set(struct members *members, const struct relay_member *list, size_t n);

/* NULL: there is none. Borrowed until members_set(). */
const struct relay_member *members_by_id(const struct members *members, uint32_t id);
const struct relay_member *members_by_wg(
	const struct members *members, const uint8_t key[static NODE_KEY_LEN]);

/* All, sorted by number. Borrowed until members_set(). */
const struct relay_member *members_list(const struct members *members, size_t *ret_n);
