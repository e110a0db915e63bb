/* enroll: see enroll.h. */
#include "coordinator/enroll.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/limiter.h"
#include "base/log.h"
#include "board/keys.h"
#include "coordinator/enroll-plan.h"
#include "coordinator/reply.h"
#include "coordinator/schema.h"

#define ENROLL_EVERY_US (2 * USEC_PER_SEC)

enum { SOURCES_MAX = 8192 };

struct enroll {
	struct limiter *limiter; /* of failed ones */
};

static struct enrolment *of(struct change *change)
{
	return (struct enrolment *) change;
}

static void enrolment_free(struct enrolment *e)
{
	api_enroll_request_done(&e->asked);
	free(e);
}

static int decide(struct change *change, struct store_batch *batch)
{
	struct enrolment *e = of(change);
	CLEANUP_NODE struct node node = { 0 };
	const struct grant *g = NULL;
	int r = enroll_plan(e, &g, &node);

	return r <= 0 ? r : enroll_write(e, g, &node, batch);
}

static void reply_enrolled(struct enrolment *e)
{
	CLEANUP_BUF struct buf out = { 0 };
	struct feed_position nothing = { 0 };
	size_t len = 0;
	const struct node *node = netmap_by_id(coord_netmap(e->coord), e->node);
	CLEANUP_JSON json_t *json = node ? node_to_json(node) : NULL;
	CLEANUP(free_p) char *text = json ? json_text(json) : NULL;

	if (!text) { /* removed between the commit and now, or no memory */
		reply_refuse(e->request, node ? API_INTERNAL : API_REMOVED,
			"The enrolment cannot be answered. Try again.");
		return;
	}
	buf_printf(&out, "{\"node\":%s,", text);
	feed_write_news(e->coord->feed, node, &nothing, &out);
	buf_add_str(&out, "}");
	char *reply = buf_take(&out, &len);

	httpd_request_is_known(e->request);
	httpd_reply_text(e->request, 200, reply, len);
}

static void done(struct change *change, int r)
{
	struct enrolment *e = of(change);
	char from[IP_TEXT_MAX];

	ip_addr_format(&e->address, from);
	if (r > 0 && tokens_add_use(e->coord->tokens, e->asked.token_id, &e->use) < 0)
		abort(); /* stored, but a single-use token would be good again in memory */
	if (r < 0) {
		log_seldom(LOG_LEVEL_NOTICE, "enrolment from %s refused (%s): %s", from,
			api_code_name(change->code), change->err.text);
		reply_refuse(e->request, change->code, "%s", change->err.text);
	} else {
		const struct node *node = netmap_by_id(coord_netmap(e->coord), e->node);

		log_seldom(LOG_LEVEL_NOTICE, "enrolment from %s: %s is node %u%s", from,
			node ? node->name : "?", (unsigned) e->node, r > 0 ? "" : " (asked again)");
		limiter_return(e->coord->enroll->limiter, &e->source);
		feed_seen(e->coord->feed, e->node, coord_now_s());
		reply_enrolled(e);
	}
	enrolment_free(e);
}

/* The request, checked as far as it can be without the mesh; NULL: it has been refused. */
static struct enrolment *begin(struct coord *c, struct httpd_request *request, const json_t *body)
{
	struct err why = { 0 };
	uint64_t wait_us = 0;
	struct enrolment *e = calloc(1, sizeof(*e));

	if (!e) {
		reply_refuse(request, API_INTERNAL, "Out of memory.");
		return NULL;
	}
	e->coord = c;
	e->request = request;
	e->address = *httpd_request_address(request);
	e->source = limiter_source(&e->address);
	memcpy(e->identity, httpd_request_key(request), NODE_KEY_LEN);
	if (!limiter_take(c->enroll->limiter, &e->source, clock_now_us(), &wait_us))
		reply_refuse(request, API_TOO_MANY,
			"Too many failed enrolments from this address. Try again in %llu s.",
			(unsigned long long) wait_us / USEC_PER_SEC + 1);
	else if (api_enroll_request_from_json(body, &e->asked, &why) < 0)
		reply_refuse(
			request, API_BAD_REQUEST, "The request is not accepted: %s.", why.text);
	else if (keys_is_low_order(e->asked.wg))
		reply_refuse(request, API_BAD_REQUEST,
			"The request is not accepted: field \"wg\" is no usable key.");
	else
		return e;
	enrolment_free(e);
	return NULL;
}

void enroll_handle(
	struct coord *c, struct httpd_request *request, const struct node *node, const json_t *body)
{
	struct enrolment *e = begin(c, request, body);

	if (!e)
		return;
	e->change = (struct change){ .decide = decide, .done = done };
	if (ledger_submit(c->ledger, &e->change) == 0)
		return;
	reply_refuse(request, API_TOO_MANY, "Too many boards enrol at once. Try again.");
	enrolment_free(e);
}

void enroll_check_handle(
	struct coord *c, struct httpd_request *request, const struct node *node, const json_t *body)
{
	CLEANUP_NODE struct node made = { 0 };
	struct api_enroll_check check = { 0 };
	const struct grant *g = NULL;
	struct enrolment *e = begin(c, request, body);

	if (!e)
		return;
	int r = enroll_plan(e, &g, &made);
	const struct node *becomes = r > 0 ? &made : netmap_by_id(coord_netmap(c), e->node);

	if (r < 0) {
		reply_refuse(request, e->change.code, "%s", e->change.err.text);
	} else {
		limiter_return(c->enroll->limiter, &e->source);
		memcpy(check.mesh, coord_settings(c)->mesh, sizeof(check.mesh));
		memcpy(check.name, becomes->name, sizeof(check.name));
		check.role = becomes->role;
		httpd_reply(request, 200, api_enroll_check_to_json(&check));
	}
	enrolment_free(e);
}

static int load_token(void *ctx, const char *key, const void *value, size_t len)
{
	struct coord *c = ctx;
	CLEANUP_GRANT struct grant g = { 0 };
	struct err why = { 0 };
	CLEANUP_JSON json_t *json = json_parse(value, len, &why);

	if (why.code == -ENOMEM)
		return -ENOMEM; /* that is no damage */
	if (!json || grant_from_json(json, &g, NULL) < 0 || strcmp(g.id, key) != 0)
		return -EBADMSG;
	return tokens_add(c->tokens, &g);
}

static int load_use(void *ctx, const char *key, const void *value, size_t len)
{
	struct coord *c = ctx;
	struct grant_use use;
	char id[FIELD_ID_MAX];
	struct err why = { 0 };
	CLEANUP_JSON json_t *json = json_parse(value, len, &why);

	if (why.code == -ENOMEM)
		return -ENOMEM;
	if (!json || grant_use_from_json(key, json, id, &use) < 0)
		return -EBADMSG;
	int r = tokens_add_use(c->tokens, id, &use);

	return r == -ENOENT ? 0 : r; /* its token was forgotten meanwhile */
}

static int load(struct coord *c, struct err *err)
{
	int r = store_each(c->store, TABLE_TOKENS, load_token, c, err);

	if (r == 0)
		r = store_each(c->store, TABLE_USES, load_use, c, err);
	if (r == -EBADMSG && !err->code)
		return err_set(err, r,
			"the coordinator's list of tokens is damaged. Restore the database from a "
			"copy.");
	return r;
}

int enroll_open(struct coord *coord, struct enroll **ret, struct err *err)
{
	struct enroll *enroll = calloc(1, sizeof(*enroll));
	int r;

	if (enroll)
		enroll->limiter = limiter_new(ENROLL_BURST, ENROLL_EVERY_US, SOURCES_MAX);
	r = enroll && enroll->limiter ? load(coord, err) : err_set(err, -ENOMEM, "out of memory");
	if (r < 0) {
		(void) enroll_close(enroll);
		return r;
	}
	*ret = enroll;
	return 0;
}

struct enroll *enroll_close(struct enroll *enroll)
{
	if (!enroll)
		return NULL;
	limiter_free(enroll->limiter);
	free(enroll);
	return NULL;
}
