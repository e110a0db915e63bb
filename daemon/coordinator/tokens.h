/*
 * tokens: what the coordinator knows of the enrolment tokens it gave out (design.md section 5): a
 * hash of the secret and what the token grants, fixed when it was made. Pure: the caller stores
 * documents and passes the time. Times are seconds since 1970.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/encode.h"
#include "base/err.h"
#include "mesh/netmap.h"
#include "wire/api.h"
#include "wire/node.h"
#include "wire/token.h"

enum {
	TOKENS_MAX = 10000,             /* known at once */
	TOKENS_KEEP_S = 30 * 24 * 3600, /* an expired one is forgotten after that */
	TOKENS_TTL_DEFAULT_S = 3600,
	TOKENS_TTL_MAX_S = 366 * 24 * 3600,
	TOKENS_USES_MAX = 4096, /* boards that one reusable token enrols */
};

/* A board that redeemed a token. */
struct grant_use {
	uint8_t identity[NODE_KEY_LEN];
	uint32_t node;
	uint64_t at;
};

/* One token as the coordinator knows it. */
struct grant {
	char id[FIELD_ID_MAX];
	uint8_t hash[TOKEN_HASH_LEN];
	enum node_role role;
	json_t *tags;             /* owned list, never NULL */
	json_t *labels;           /* owned object, never NULL */
	char name[NODE_NAME_MAX]; /* the only name it allows; "" for any */
	/* The node whose keys it renews, as it was: another may be called so by now. 0 for none. */
	uint32_t replace;
	uint8_t replace_identity[NODE_KEY_LEN];
	bool reusable;
	bool relay; /* a board that enrols with it may be a relay at once */
	bool revoked;
	uint64_t created, expires;
	struct grant_use *uses; /* owned */
	size_t n_uses;
};

void grant_done(struct grant *grant);
#define CLEANUP_GRANT CLEANUP(grant_done)

/*
 * As stored, without the uses. @ret zero-initialised. One of an older coordinator that says by name
 * alone what it replaces is read as revoked; one that does not say so makes no relay.
 */
int grant_from_json(const json_t *json, struct grant *ret, struct err *err);
json_t *grant_to_json(const struct grant *grant);

/* "<token id> <identity key>", the key under which a use is stored. */
enum { GRANT_USE_KEY_MAX = FIELD_ID_MAX + KEY_BASE64_LEN };
void grant_use_key(const char *id, const uint8_t identity[static NODE_KEY_LEN],
	char ret_key[static GRANT_USE_KEY_MAX]);
/* As stored: whose use of which token. -EINVAL if key or value are not such. */
int grant_use_from_json(const char *key, const json_t *json, char ret_id[static FIELD_ID_MAX],
	struct grant_use *ret);

/*
 * The node that it replaces, as long as it is the one with the key of then; else, or if it replaces
 * none, NULL.
 */
const struct node *grant_replaced(const struct grant *grant, const struct netmap *netmap);

/* "valid", "used", "expired" or "revoked". */
const char *grant_state(const struct grant *grant, uint64_t now);

/* The use of @identity, or NULL. */
const struct grant_use *grant_use_by(
	const struct grant *grant, const uint8_t identity[static NODE_KEY_LEN]);

/*
 * Whether @grant may enrol one more board now: 0, or -EACCES with the error code and a sentence for
 * the board (revoked, expired, used).
 */
int grant_check(const struct grant *grant, uint64_t now, enum api_code *ret_code, struct err *err);

struct tokens;

struct tokens *tokens_new(void);
struct tokens *tokens_free(struct tokens *tokens);

/* Takes what @grant owns on success. -EEXIST, -ENOSPC (TOKENS_MAX), -ENOMEM. */
int tokens_add(struct tokens *tokens, struct grant *grant);
void tokens_remove(struct tokens *tokens, const char *id);
int tokens_add_use(struct tokens *tokens, const char *id, const struct grant_use *use);

size_t tokens_count(const struct tokens *tokens);
/* In order of id. Borrowed until the next change. */
struct grant *tokens_at(const struct tokens *tokens, size_t index);
struct grant *tokens_by_id(const struct tokens *tokens, const char *id);
/* By the first digits of its id. -ENOENT, -ENOTUNIQ. */
int tokens_by_prefix(const struct tokens *tokens, const char *prefix, struct grant **ret);

/*
 * The grant whose id and secret these are, or NULL; the secret is compared in constant time, and an
 * unknown id costs as much as a wrong secret.
 */
struct grant *tokens_authenticate(
	const struct tokens *tokens, const char *id, const uint8_t secret[static TOKEN_SECRET_LEN]);
