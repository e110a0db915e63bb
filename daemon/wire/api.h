/*
 * api: the bodies of the coordinator's API (PROTOCOL.md section 7), for both ends.
 * Readers return 0, -EINVAL or -ENOMEM with @err and write *@ret on success only. Writers return a
 * new document, or NULL when out of memory. All structs are zero-initialised and released by their
 * *_done(), which wipes what is secret.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "wire/kube.h"
#include "wire/node.h"
#include "wire/reached.h"
#include "wire/record.h"
#include "wire/token.h"

enum {
	API_PORT = 8443,
	API_REQUEST_MAX = 65536,          /* bytes of a request's body */
	API_ENROLL_MAX = 16384,           /* of one that anybody may send */
	API_RELAY_MAX = 4096,             /* of what a record takes in as it is */
	API_REPLY_MAX = 16 * 1024 * 1024, /* bytes of a reply a client reads */
	API_RECORDS_MAX = 512,            /* records in one reply */
	API_PRESENCES_MAX = 1024,         /* presences in one reply */
	API_WAIT_MAX_S = 55,
	API_CURSOR_MAX = 40,
	API_VERSION_MAX = 32,
};

/* Error codes, each with the HTTP status it travels with. */
enum api_code {
	API_BAD_REQUEST,
	API_UNAUTHORIZED,
	API_UNKNOWN_NODE,
	API_REMOVED,
	API_FORBIDDEN,
	API_TOKEN_UNKNOWN,
	API_TOKEN_EXPIRED,
	API_TOKEN_REVOKED,
	API_TOKEN_USED,
	API_ROLE_MISMATCH,
	API_NAME_MISMATCH,
	API_NAME_TAKEN,
	API_KEY_TAKEN,
	API_REPLACE_MISMATCH,
	API_RANGE_FULL,
	API_NOT_FOUND,
	API_BAD_METHOD,
	API_TOO_LARGE,
	API_TOO_MANY,
	API_INTERNAL,
	API_STORAGE,
	API_CODES /* how many */
};
const char *api_code_name(enum api_code code);
unsigned api_code_status(enum api_code code);

struct api_health {
	char mesh[FIELD_NAME_MAX];
	char version[API_VERSION_MAX];
};
int api_health_from_json(const json_t *json, struct api_health *ret, struct err *err);
json_t *api_health_to_json(const struct api_health *health);

/* "<instance>-<number>". Instance: 16 hex digits the coordinator draws when it starts. */
struct api_cursor {
	char instance[FIELD_ID_MAX];
	uint64_t number;
};
/* 0 or -EINVAL. */
int api_cursor_parse(const char *text, struct api_cursor *ret);
const char *api_cursor_format(
	const struct api_cursor *cursor, char ret_text[static API_CURSOR_MAX]);

/* POST /v1/enroll */
struct api_enroll_request {
	char token_id[FIELD_ID_MAX];
	uint8_t secret[TOKEN_SECRET_LEN];
	uint8_t wg[NODE_KEY_LEN];
	char name[NODE_NAME_MAX]; /* by grammar; whether it may be had the coordinator says */
	bool has_role;
	enum node_role role;
	char replace[NODE_NAME_MAX]; /* "" if not asked */
	struct node_relay relay;     /* what it wants to be found at as a relay */
	json_t *board;               /* owned object, facts for people; NULL: none */
};
void api_enroll_request_done(struct api_enroll_request *request);
#define CLEANUP_API_ENROLL_REQUEST CLEANUP(api_enroll_request_done)
int api_enroll_request_from_json(
	const json_t *json, struct api_enroll_request *ret, struct err *err);
json_t *api_enroll_request_to_json(const struct api_enroll_request *request);

/* POST /v1/enroll/check: what the same request to /v1/enroll would make of the board. */
struct api_enroll_check {
	char mesh[FIELD_NAME_MAX];
	char name[NODE_NAME_MAX];
	enum node_role role;
};
int api_enroll_check_from_json(const json_t *json, struct api_enroll_check *ret, struct err *err);
json_t *api_enroll_check_to_json(const struct api_enroll_check *check);

/*
 * What a board learns from the coordinator: a poll's reply, and all but `node` of an enrolment's.
 * Presences stay documents, because each can be opened only with its node's key and one that is
 * not acceptable must not hold up the others: presence_from_json(), presence_verify().
 */
struct api_news {
	struct record *records; /* owned */
	size_t n_records;
	json_t *presence; /* owned list of presence documents; NULL: none */
	struct api_cursor cursor;
	uint64_t head_seq; /* the coordinator's last record, 0 if not told */
	uint8_t head_hash[RECORD_HASH_LEN];
	bool has_kube;
	struct kube_bundle kube;
};
void api_news_done(struct api_news *news);
#define CLEANUP_API_NEWS CLEANUP(api_news_done)
int api_news_from_json(const json_t *json, struct api_news *ret, struct err *err);
json_t *api_news_to_json(const struct api_news *news);

struct api_enroll_reply {
	struct node node;
	struct api_news news; /* the first records; a poll brings the rest */
};
void api_enroll_reply_done(struct api_enroll_reply *reply);
#define CLEANUP_API_ENROLL_REPLY CLEANUP(api_enroll_reply_done)
int api_enroll_reply_from_json(const json_t *json, struct api_enroll_reply *ret, struct err *err);
json_t *api_enroll_reply_to_json(const struct api_enroll_reply *reply);

/* {"cursor":...}, the reply to PUT /v1/presence. */
int api_cursor_from_json(const json_t *json, struct api_cursor *ret, struct err *err);
json_t *api_cursor_to_json(const struct api_cursor *cursor);

/*
 * PUT /v1/relay: {"relay":{...}|null, "reached":{...}}, what the caller wants its record to say of
 * it, null, never absent, for no relay; and, if it tells, by whom it was reached.
 */
struct api_relay_request {
	struct node_relay relay;
	bool has_reached;
	struct reached reached;
};
void api_relay_request_done(struct api_relay_request *request);
#define CLEANUP_API_RELAY_REQUEST CLEANUP(api_relay_request_done)
int api_relay_request_from_json(
	const json_t *json, uint64_t now_us, struct api_relay_request *ret, struct err *err);
json_t *api_relay_request_to_json(const struct api_relay_request *request, uint64_t now_us);

/* {"state":...}, its reply: what became of that. */
enum api_relay_state {
	API_RELAY_NONE,   /* the record names no relay, as was asked for */
	API_RELAY_ASKED,  /* the record names none until an administrator says yes */
	API_RELAY_LISTED, /* the record says what was asked for */
};
int api_relay_state_from_json(const json_t *json, enum api_relay_state *ret, struct err *err);
json_t *api_relay_state_to_json(enum api_relay_state state);
