/*
 * record: one record of the log (PROTOCOL.md section 3), its bytes, signature and hash. Whether a
 * record may be appended is decided in mesh/log.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "wire/fields.h"

enum {
	RECORD_KEY_LEN = 32,
	RECORD_HASH_LEN = 32,
	RECORD_SIG_LEN = 64,
	RECORD_TYPE_MAX = 33, /* with the NUL */
	RECORD_PAYLOAD_MAX = 16384,
	RECORD_SEED_LEN = 32,
};
#define RECORD_SEQ_MAX ((UINT64_C(1) << 53) - 1)

#define RECORD_TYPE_KEY       "key"
#define RECORD_TYPE_SETTINGS  "settings"
#define RECORD_TYPE_NODE      "node"
#define RECORD_TYPE_TOMBSTONE "tombstone"

/* Zero-initialise. */
struct record {
	uint64_t seq; /* from 1 on */
	uint8_t prev[RECORD_HASH_LEN];
	uint8_t by[RECORD_KEY_LEN]; /* Ed25519 public key */
	uint8_t sig[RECORD_SIG_LEN];
	char type[RECORD_TYPE_MAX];
	uint8_t *payload; /* owned, as sent; not NUL-terminated */
	size_t payload_len;
};

void record_done(struct record *record);
#define CLEANUP_RECORD CLEANUP(record_done)

/* Frees @n records and their array (NULL is fine). Returns NULL. */
struct record *record_list_free(struct record *records, size_t n);

/* `[a-z][a-z-]{0,31}` */
bool record_type_is_valid(const char *type);

/*
 * Makes the unsigned record @seq of @type with json_text(@payload) after a record of hash @prev
 * (NULL: zero, for record 1). 0, -EINVAL (type, seq), -EFBIG (payload), -ENOMEM.
 */
int record_make(uint64_t seq, const uint8_t *prev, const char *type, const json_t *payload,
	struct record *ret);

/* Sets `by` and `sig`. @seed: the 32 bytes of a key file. -ENOMEM, -EINVAL if not well formed. */
int record_sign(struct record *record, const uint8_t seed[static RECORD_SEED_LEN]);

/* 0, -EBADMSG if the signature by `by` does not hold, -ENOMEM. */
int record_verify_signature(const struct record *record);

/* BLAKE2b-256 of the signed bytes and the signature: what the next record's `prev` holds. */
int record_hash(const struct record *record, uint8_t ret_hash[static RECORD_HASH_LEN]);

/* Copies with a payload of its own. */
int record_copy(const struct record *record, struct record *ret);

/* The envelope alone is checked (types, lengths): 0, -EINVAL, -ENOMEM. */
int record_from_json(const json_t *json, struct record *ret, struct err *err);
/* A new document, or NULL when out of memory. */
json_t *record_to_json(const struct record *record);
/* As the two above for a list of at most @max records. */
int record_list_from_json(const json_t *obj, const char *key, size_t max, struct record **ret,
	size_t *ret_n, struct err *err);
json_t *record_list_to_json(const struct record *records, size_t n);

/* The payload as an object, a new reference; NULL and @err if it is none. */
json_t *record_payload_json(const struct record *record, struct err *err);

/* The payload of a `key` record. */
struct record_key {
	uint8_t key[RECORD_KEY_LEN];  /* the signing key it certifies */
	uint8_t root[RECORD_KEY_LEN]; /* the root public key */
};
int record_key_from_json(const json_t *json, struct record_key *ret, struct err *err);
json_t *record_key_to_json(const struct record_key *key);

/* The payload of a `tombstone` record. */
enum { TOMBSTONE_REASON_MAX = 128 };
struct tombstone {
	uint32_t id;
	char reason[TOMBSTONE_REASON_MAX];
};
int tombstone_from_json(const json_t *json, struct tombstone *ret, struct err *err);
json_t *tombstone_to_json(const struct tombstone *tombstone);

/* BLAKE2b-256 of the root public key, as tokens carry it. */
void record_root_hash(
	const uint8_t root[static RECORD_KEY_LEN], uint8_t ret_hash[static RECORD_HASH_LEN]);
/* The public key of an Ed25519 seed. */
void record_public_key(
	const uint8_t seed[static RECORD_SEED_LEN], uint8_t ret_key[static RECORD_KEY_LEN]);
