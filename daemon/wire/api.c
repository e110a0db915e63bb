/* api: see api.h. */
#include "wire/api.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#include "base/number.h"

/* Of a cursor. */
#define CURSOR_NUMBER_MAX UINT64_C(999999999999999999)

static const struct {
	const char *name;
	unsigned status;
} codes[API_CODES] = {
	[API_BAD_REQUEST] = { "bad_request", 400 },
	[API_UNAUTHORIZED] = { "unauthorized", 401 },
	[API_UNKNOWN_NODE] = { "unknown_node", 403 },
	[API_REMOVED] = { "removed", 403 },
	[API_FORBIDDEN] = { "forbidden", 403 },
	[API_TOKEN_UNKNOWN] = { "token_unknown", 403 },
	[API_TOKEN_EXPIRED] = { "token_expired", 403 },
	[API_TOKEN_REVOKED] = { "token_revoked", 403 },
	[API_TOKEN_USED] = { "token_used", 403 },
	[API_ROLE_MISMATCH] = { "role_mismatch", 403 },
	[API_NAME_MISMATCH] = { "name_mismatch", 403 },
	[API_NAME_TAKEN] = { "name_taken", 409 },
	[API_KEY_TAKEN] = { "key_taken", 409 },
	[API_REPLACE_MISMATCH] = { "replace_mismatch", 403 },
	[API_RANGE_FULL] = { "range_full", 507 },
	[API_NOT_FOUND] = { "not_found", 404 },
	[API_BAD_METHOD] = { "bad_method", 405 },
	[API_TOO_LARGE] = { "too_large", 413 },
	[API_TOO_MANY] = { "too_many", 429 },
	[API_INTERNAL] = { "internal", 500 },
	[API_STORAGE] = { "storage", 507 },
};

const char *api_code_name(enum api_code code)
{
	return codes[code].name;
}

unsigned api_code_status(enum api_code code)
{
	return codes[code].status;
}

int api_health_from_json(const json_t *json, struct api_health *ret, struct err *err)
{
	struct api_health health;
	const char *status;
	int r;

	if ((r = json_get_str(json, "status", &status, err)) ||
		(r = field_get_name(json, "mesh", health.mesh, err)) ||
		(r = field_get_text(json, "version", sizeof(health.version), health.version, err)))
		return field_refuse_missing(r, err);
	if (strcmp(status, "ok"))
		return err_set(err, -EINVAL, "field \"status\" must be \"ok\"");
	*ret = health;
	return 0;
}

json_t *api_health_to_json(const struct api_health *health)
{
	CLEANUP_JSON json_t *json = json_object();
	int bad = json_object_set_new(json, "status", json_string("ok"));

	bad |= json_object_set_new(json, "mesh", json_string(health->mesh));
	bad |= json_object_set_new(json, "version", json_string(health->version));
	return bad ? NULL : TAKE(json);
}

int api_cursor_parse(const char *text, struct api_cursor *ret)
{
	struct api_cursor cursor = { 0 };
	const size_t at = FIELD_ID_MAX - 1;

	if (strnlen(text, API_CURSOR_MAX) >= API_CURSOR_MAX || strlen(text) < at + 2 ||
		text[at] != '-')
		return -EINVAL;
	memcpy(cursor.instance, text, at);
	const char *number = text + at + 1;

	if (!field_hex_is_valid(cursor.instance, at) ||
		number_parse(number, 0, CURSOR_NUMBER_MAX, &cursor.number) < 0)
		return -EINVAL;
	*ret = cursor;
	return 0;
}

const char *api_cursor_format(const struct api_cursor *cursor, char ret_text[static API_CURSOR_MAX])
{
	snprintf(ret_text, API_CURSOR_MAX, "%.16s-%" PRIu64, cursor->instance, cursor->number);
	return ret_text;
}

int api_cursor_from_json(const json_t *json, struct api_cursor *ret, struct err *err)
{
	const char *text;
	int r = field_refuse_missing(json_get_str(json, "cursor", &text, err), err);

	if (r == 0 && api_cursor_parse(text, ret) < 0)
		r = err_set(err, -EINVAL, "field \"cursor\" is not well formed");
	return r;
}

json_t *api_cursor_to_json(const struct api_cursor *cursor)
{
	CLEANUP_JSON json_t *json = json_object();
	char text[API_CURSOR_MAX];
	int bad = json_object_set_new(json, "cursor", json_string(api_cursor_format(cursor, text)));

	return bad ? NULL : TAKE(json);
}

void api_enroll_request_done(struct api_enroll_request *request)
{
	node_relay_done(&request->relay);
	json_decref(request->board);
	sodium_memzero(request, sizeof(*request));
}

static int read_role(const json_t *json, struct api_enroll_request *request, struct err *err)
{
	const char *role;
	int r;

	request->has_role = json_has(json, "role");
	if (!request->has_role)
		return 0;
	if ((r = json_get_str(json, "role", &role, err)))
		return r;
	if (node_role_parse(role, &request->role) < 0)
		return err_set(
			err, -EINVAL, "field \"role\" must be control-plane, worker or member");
	return 0;
}

static int read_enroll_request(
	const json_t *json, struct api_enroll_request *request, struct err *err)
{
	json_t *token, *board;
	int r;

	if ((r = json_get_object(json, "token", &token, err)) ||
		(r = field_get_hex(token, "id", FIELD_ID_MAX - 1, request->token_id, err)) ||
		(r = field_get_key(token, "secret", request->secret, err)) ||
		(r = field_get_nonzero_key(json, "wg", request->wg, err)))
		return r;
	if (json_has(json, "name") && (r = field_get_name(json, "name", request->name, err)))
		return r;
	if (json_has(json, "replace") &&
		(r = field_get_name(json, "replace", request->replace, err)))
		return r;
	if ((r = read_role(json, request, err)))
		return r;
	if (json_has(json, "relay") &&
		(r = node_relay_from_json(json_object_get(json, "relay"), &request->relay, err)))
		return r;
	if (!json_has(json, "board"))
		return 0;
	if ((r = json_get_object(json, "board", &board, err)))
		return r;
	request->board = json_incref(board);
	return 0;
}

int api_enroll_request_from_json(
	const json_t *json, struct api_enroll_request *ret, struct err *err)
{
	CLEANUP_API_ENROLL_REQUEST struct api_enroll_request request = { 0 };
	int r = field_refuse_missing(read_enroll_request(json, &request, err), err);

	if (r)
		return r;
	*ret = request;
	sodium_memzero(&request, sizeof(request)); /* what it owned belongs to *ret now */
	return 0;
}

json_t *api_enroll_request_to_json(const struct api_enroll_request *request)
{
	CLEANUP_JSON json_t *json = json_object(), *token = json_object();
	int bad = json_object_set_new(token, "id", json_string(request->token_id));

	bad |= json_object_set_new(token, "secret", field_key(request->secret));
	bad |= json_object_set(json, "token", token);
	bad |= json_object_set_new(json, "wg", field_key(request->wg));
	if (request->name[0])
		bad |= json_object_set_new(json, "name", json_string(request->name));
	if (request->has_role)
		bad |= json_object_set_new(
			json, "role", json_string(node_role_name(request->role)));
	if (request->replace[0])
		bad |= json_object_set_new(json, "replace", json_string(request->replace));
	if (request->relay.n_hosts)
		bad |= json_object_set_new(json, "relay", node_relay_to_json(&request->relay));
	bad |= json_object_set_new(
		json, "board", request->board ? json_incref(request->board) : json_object());
	return bad ? NULL : TAKE(json);
}

int api_enroll_check_from_json(const json_t *json, struct api_enroll_check *ret, struct err *err)
{
	struct api_enroll_check check = { 0 };
	const char *role;
	int r;

	if ((r = field_get_name(json, "mesh", check.mesh, err)) ||
		(r = field_get_name(json, "name", check.name, err)) ||
		(r = json_get_str(json, "role", &role, err)))
		return field_refuse_missing(r, err);
	if (node_role_parse(role, &check.role) < 0)
		return err_set(
			err, -EINVAL, "field \"role\" must be control-plane, worker or member");
	*ret = check;
	return 0;
}

json_t *api_enroll_check_to_json(const struct api_enroll_check *check)
{
	CLEANUP_JSON json_t *json = json_object();
	int bad = json_object_set_new(json, "mesh", json_string(check->mesh));

	bad |= json_object_set_new(json, "name", json_string(check->name));
	bad |= json_object_set_new(json, "role", json_string(node_role_name(check->role)));
	return bad ? NULL : TAKE(json);
}

void api_news_done(struct api_news *news)
{
	record_list_free(news->records, news->n_records);
	json_decref(news->presence);
	sodium_memzero(news, sizeof(*news));
}

static int read_news(const json_t *json, struct api_news *news, struct err *err)
{
	json_t *presence, *head, *kube;
	int r;

	if ((r = record_list_from_json(
		     json, "records", API_RECORDS_MAX, &news->records, &news->n_records, err)) ||
		(r = json_get_array(json, "presence", API_PRESENCES_MAX, &presence, err)) ||
		(r = api_cursor_from_json(json, &news->cursor, err)))
		return r;
	news->presence = json_incref(presence);
	if (json_has(json, "head")) {
		if ((r = json_get_object(json, "head", &head, err)) ||
			(r = json_get_u64(head, "seq", RECORD_SEQ_MAX, &news->head_seq, err)) ||
			(r = field_get_key(head, "hash", news->head_hash, err)))
			return r;
	}
	news->has_kube = json_has(json, "kube");
	if (!news->has_kube)
		return 0;
	if ((r = json_get_object(json, "kube", &kube, err)))
		return r;
	return kube_bundle_from_json(kube, &news->kube, err);
}

int api_news_from_json(const json_t *json, struct api_news *ret, struct err *err)
{
	CLEANUP_API_NEWS struct api_news news = { 0 };
	int r = field_refuse_missing(read_news(json, &news, err), err);

	if (r)
		return r;
	*ret = news;
	sodium_memzero(&news, sizeof(news)); /* what it owned belongs to *ret now */
	return 0;
}

json_t *api_news_to_json(const struct api_news *news)
{
	CLEANUP_JSON json_t *json = api_cursor_to_json(&news->cursor);
	int bad = json_object_set_new(
		json, "records", record_list_to_json(news->records, news->n_records));

	bad |= json_object_set_new(
		json, "presence", news->presence ? json_incref(news->presence) : json_array());
	if (news->head_seq) {
		CLEANUP_JSON json_t *head = json_object();

		bad |= json_object_set_new(head, "seq", json_integer((json_int_t) news->head_seq));
		bad |= json_object_set_new(head, "hash", field_key(news->head_hash));
		bad |= json_object_set(json, "head", head);
	}
	bad |= json_object_set_new(
		json, "kube", news->has_kube ? kube_bundle_to_json(&news->kube) : json_null());
	return bad ? NULL : TAKE(json);
}

void api_enroll_reply_done(struct api_enroll_reply *reply)
{
	node_done(&reply->node);
	api_news_done(&reply->news);
}

int api_enroll_reply_from_json(const json_t *json, struct api_enroll_reply *ret, struct err *err)
{
	CLEANUP_API_ENROLL_REPLY struct api_enroll_reply reply = { 0 };
	json_t *node;
	int r;

	if ((r = json_get_object(json, "node", &node, err)) ||
		(r = node_from_json(node, &reply.node, err)) ||
		(r = api_news_from_json(json, &reply.news, err)))
		return field_refuse_missing(r, err);
	*ret = reply;
	sodium_memzero(&reply, sizeof(reply));
	return 0;
}

json_t *api_enroll_reply_to_json(const struct api_enroll_reply *reply)
{
	CLEANUP_JSON json_t *json = api_news_to_json(&reply->news);
	int bad = json_object_set_new(json, "node", node_to_json(&reply->node));

	return bad ? NULL : TAKE(json);
}

void api_relay_request_done(struct api_relay_request *request)
{
	node_relay_done(&request->relay);
}

int api_relay_request_from_json(
	const json_t *json, uint64_t now_us, struct api_relay_request *ret, struct err *err)
{
	CLEANUP_API_RELAY_REQUEST struct api_relay_request request = { 0 };
	const json_t *relay = json_object_get(json, "relay");
	int r = relay ? node_relay_from_json(relay, &request.relay, err)
		      : err_set(err, -EINVAL, "field \"relay\" is missing");

	request.has_reached = json_has(json, "reached");
	if (r == 0 && request.has_reached) {
		r = reached_from_json(
			json_object_get(json, "reached"), now_us, &request.reached, err);
		if (r < 0)
			err_prefix(err, "reached");
	}
	if (r < 0)
		return r;
	*ret = request;
	request = (struct api_relay_request){ 0 };
	return 0;
}

json_t *api_relay_request_to_json(const struct api_relay_request *request, uint64_t now_us)
{
	CLEANUP_JSON json_t *json = json_object();
	int bad = json_object_set_new(json, "relay", node_relay_to_json(&request->relay));

	if (request->has_reached)
		bad |= json_object_set_new(
			json, "reached", reached_to_json(&request->reached, now_us));
	return bad ? NULL : TAKE(json);
}

static const char *const relay_states[] = {
	[API_RELAY_NONE] = "none",
	[API_RELAY_ASKED] = "asked",
	[API_RELAY_LISTED] = "listed",
};

int api_relay_state_from_json(const json_t *json, enum api_relay_state *ret, struct err *err)
{
	const char *text;
	int r = field_refuse_missing(json_get_str(json, "state", &text, err), err);

	if (r)
		return r;
	for (size_t i = 0; i < ARRAY_LEN(relay_states); i++)
		if (!strcmp(text, relay_states[i])) {
			*ret = (enum api_relay_state) i;
			return 0;
		}
	return err_set(err, -EINVAL, "field \"state\" must be none, asked or listed");
}

json_t *api_relay_state_to_json(enum api_relay_state state)
{
	CLEANUP_JSON json_t *json = json_object();
	int bad = json_object_set_new(json, "state", json_string(relay_states[state]));

	return bad ? NULL : TAKE(json);
}
