/*
 * poll: GET /v1/poll. Reads the arguments strictly; waiting and answering is the feed's.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "coordinator/coord.h"

/* Decimal digits only. An absent argument leaves *@ret alone. */
static bool read_number(
	struct httpd_request *request, const char *name, uint64_t max, uint64_t *ret)
{
	const char *text = httpd_request_query(request, name);
	return !text || number_parse(text, 0, max, ret) == 0;
}

void poll_refuse_removed(
	struct coord *c, struct httpd_request *request, uint32_t id, const char *message)
{
	uint64_t seq = 0;
	if (!read_number(request, "seq", RECORD_SEQ_MAX, &seq))
		api_refuse(request, API_REMOVED, "%s", message);
	else
		feed_reply_removed(c->feed, request, id, seq, message);
}

void poll_handle(
	struct coord *c, struct httpd_request *request, const struct node *node, const json_t *body)
{
	struct feed_position position = { 0 };
	uint64_t wait_s = 0;
	if (!read_number(request, "seq", RECORD_SEQ_MAX, &position.seq)) {
		api_refuse(request, API_BAD_REQUEST, "seq must be a number.");
		return;
	}
	if (!read_number(request, "wait", API_WAIT_MAX_S, &wait_s)) {
		api_refuse(request, API_BAD_REQUEST, "wait must be 0 to %d.", API_WAIT_MAX_S);
		return;
	}
	const char *cursor = httpd_request_query(request, "cursor");
	if (cursor && strlen(cursor) >= API_CURSOR_MAX) {
		api_refuse(request, API_BAD_REQUEST, "cursor is too long.");
		return;
	}
	position.cursor = cursor ? feed_cursor_number(c->feed, cursor) : 0;
	const char *kube = httpd_request_query(request, "kube");
	if (kube && *kube && !field_hex_is_valid(kube, KUBE_ID_MAX - 1)) {
		api_refuse(request, API_BAD_REQUEST, "kube must be a bundle's id.");
		return;
	}
	position.wants_kube = kube != NULL;
	if (kube)
		(void) snprintf(
			position.kube, sizeof(position.kube), "%s", kube); /* 16 digits or none */
	feed_poll(c->feed, request, node, &position, (unsigned) wait_s);
}
