/* Every body of the coordinator's API, and the join bundle. */
#include "round-trip.h"

#include "wire/api.h"

static void api_enroll_check_done(struct api_enroll_check *check)
{
}

/* Once it was read, it says the same as long as no time passes. */
static void read_relay(const json_t *json)
{
	enum { NOW_US = 1000000000 };
	CLEANUP_API_RELAY_REQUEST struct api_relay_request a = { 0 };
	CLEANUP_API_RELAY_REQUEST struct api_relay_request b = { 0 };
	CLEANUP_JSON json_t *printed = NULL;
	struct err err = { 0 };

	if (api_relay_request_from_json(json, NOW_US, &a, &err) < 0)
		return;
	printed = api_relay_request_to_json(&a, NOW_US);
	if (!printed || api_relay_request_from_json(printed, NOW_US, &b, &err) < 0 ||
		!node_relay_equal(&a.relay, &b.relay) || a.has_reached != b.has_reached ||
		!reached_same_ways(&a.reached, &b.reached))
		abort();
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
	ROUND_TRIP(struct kube_bundle, kube_bundle, json);
	read_relay(json);
	read_small(json);
	return 0;
}
