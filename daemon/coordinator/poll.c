/* poll: see poll.h. Waiting and answering is the feed's. */
#include "coordinator/poll.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "coordinator/reply.h"

/* Decimal digits only. An absent argument leaves *@ret alone. */
static bool read_number(
	poll_argument_fn *get, void *ctx, const char *name, uint64_t max, uint64_t *ret)
{
	const char *text = get(ctx, name);

	return !text || number_parse(text, 0, max, ret) == 0;
}

int poll_query_read(poll_argument_fn *get, void *ctx, struct poll_query *ret, struct err *err)
{
	struct poll_query query = { 0 };
	uint64_t wait_s = 0;

	if (!read_number(get, ctx, "seq", RECORD_SEQ_MAX, &query.seq))
		return err_set(err, -EINVAL, "seq must be a number.");
	if (!read_number(get, ctx, "wait", API_WAIT_MAX_S, &wait_s))
		return err_set(err, -EINVAL, "wait must be 0 to %d.", API_WAIT_MAX_S);
	query.wait_s = (unsigned) wait_s;
	const char *cursor = get(ctx, "cursor"), *kube = get(ctx, "kube");

	if (cursor && strlen(cursor) >= API_CURSOR_MAX)
		return err_set(err, -EINVAL, "cursor is too long.");
	if (kube && *kube && !field_hex_is_valid(kube, KUBE_ID_MAX - 1))
		return err_set(err, -EINVAL, "kube must be a bundle's id.");
	(void) snprintf(query.cursor, sizeof(query.cursor), "%s", cursor ? cursor : "");
	query.wants_kube = kube != NULL;
	(void) snprintf(query.kube, sizeof(query.kube), "%s", kube ? kube : "");
	*ret = query;
	return 0;
}

static const char *argument(void *ctx, const char *name)
{
	return httpd_request_query(ctx, name);
}

void poll_refuse_removed(
	struct coord *c, struct httpd_request *request, uint32_t id, const char *message)
{
	uint64_t seq = 0;

	if (!read_number(argument, request, "seq", RECORD_SEQ_MAX, &seq))
		reply_refuse(request, API_REMOVED, "%s", message);
	else
		feed_reply_removed(c->feed, request, id, seq, message);
}

void poll_handle(
	struct coord *c, struct httpd_request *request, const struct node *node, const json_t *body)
{
	struct poll_query query = { 0 };
	struct err why = { 0 };

	if (poll_query_read(argument, request, &query, &why) < 0) {
		reply_refuse(request, API_BAD_REQUEST, "%s", why.text);
		return;
	}
	struct feed_position position = { .seq = query.seq, .wants_kube = query.wants_kube };

	(void) api_cursor_parse(query.cursor, &position.cursor); /* of another kind: none */
	memcpy(position.kube, query.kube, sizeof(position.kube));
	feed_poll(c->feed, request, node, &position, query.wait_s);
}
