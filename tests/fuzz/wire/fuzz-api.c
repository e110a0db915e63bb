/* Every body of the coordinator's API, and the join bundle. */
#include "round-trip.h"

#include "wire/api.h"

static void api_enroll_check_done(struct api_enroll_check *check)
{
}

static void api_relay_request_done(struct node_relay *relay)
{
	node_relay_done(relay);
}

static void read_small(const json_t *json)
{
	struct err err = { 0 };
	struct api_health health;
	struct api_enroll_check check, check_again;
	struct api_cursor cursor, again;
	enum api_relay_state state, state_again;
	char text[API_CURSOR_MAX];

	(void) api_health_from_json(json, &health, &err);
	if (api_enroll_check_from_json(json, &check, &err) == 0) {
		CLEANUP_JSON json_t *printed = api_enroll_check_to_json(&check);

		if (!printed || api_enroll_check_from_json(printed, &check_again, &err) ||
			strcmp(check.name, check_again.name) || check.role != check_again.role)
			abort();
	}
	if (api_relay_state_from_json(json, &state, &err) == 0) {
		CLEANUP_JSON json_t *printed = api_relay_state_to_json(state);

		if (!printed || api_relay_state_from_json(printed, &state_again, &err) ||
			state != state_again)
			abort();
	}
	if (api_cursor_from_json(json, &cursor, &err) == 0 &&
		(api_cursor_parse(api_cursor_format(&cursor, text), &again) ||
			again.number != cursor.number))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_JSON json_t *json = json_parse((const char *) data, size, NULL);

	if (!json)
		return 0;
	ROUND_TRIP(struct api_enroll_request, api_enroll_request, json);
	ROUND_TRIP(struct api_enroll_reply, api_enroll_reply, json);
	ROUND_TRIP(struct api_enroll_check, api_enroll_check, json);
	ROUND_TRIP(struct api_news, api_news, json);
	ROUND_TRIP(struct node_relay, api_relay_request, json);
	ROUND_TRIP(struct kube_bundle, kube_bundle, json);
	read_small(json);
	return 0;
}
