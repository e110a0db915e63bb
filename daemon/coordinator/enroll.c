/* enroll: see enroll.h. */
#include "coordinator/enroll.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/json.h"
#include "base/limiter.h"
#include "base/log.h"
#include "board/keys.h"
#include "coordinator/reply.h"
#include "coordinator/schema.h"
#include "mesh/alloc.h"
#include "wire/node-label.h"
#include "wire/node-name.h"

#define BOARD_LABEL     "hearth.internal/board"
#define ENROLL_EVERY_US (2 * USEC_PER_SEC)

enum { SOURCES_MAX = 8192 };

struct enroll {
	struct limiter *limiter; /* of failed ones */
};

struct enrolment {
	struct change change; /* first: the ledger hands it back */
	struct coord *coord;
	struct httpd_request *request;
	struct api_enroll_request asked;
	uint8_t identity[NODE_KEY_LEN];
	struct ip_addr address, source;
	uint32_t node;
	struct grant_use use;
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

/* A reply was lost, or enroll-node runs again: the same answer as before. */
static int decide_again(struct enrolment *e, const struct grant_use *use)
{
	const struct netmap *netmap = coord_netmap(e->coord);
	const struct node *node = netmap_by_id(netmap, use->node);

	if (!node || memcmp(node->identity, e->identity, NODE_KEY_LEN) != 0)
		return change_refuse(&e->change, API_REMOVED,
			"This board was enrolled with this token and removed since. Run "
			"`enroll-node --leave` on it and enrol it with a new token.");
	if (memcmp(node->wg, e->asked.wg, NODE_KEY_LEN) != 0)
		return change_refuse(&e->change, API_KEY_TAKEN,
			"This board is enrolled as %s with another WireGuard key. Put that key "
			"back, or create a token with `hearth token create --replace %s`.",
			node->name, node->name);
	e->node = node->id;
	return 0;
}

/* What the board asked for must be what the token grants. */
static int check_confirmation(struct enrolment *e, const struct grant *g)
{
	const struct api_enroll_request *a = &e->asked;

	if (a->has_role && a->role != g->role)
		return change_refuse(&e->change, API_ROLE_MISMATCH,
			"The token is for a %s, not for a %s.", node_role_name(g->role),
			node_role_name(a->role));
	const struct node *old = grant_replaced(g, coord_netmap(e->coord));

	if (a->replace[0] && (!old || strcmp(a->replace, old->name) != 0))
		return change_refuse(&e->change, API_REPLACE_MISMATCH,
			"The token does not allow to replace %s. Create one with `hearth token "
			"create --replace %s`.",
			a->replace, a->replace);
	if (g->name[0] && a->name[0] && strcmp(a->name, g->name) != 0)
		return change_refuse(&e->change, API_NAME_MISMATCH,
			"The token is for the name %s, not for %s. Enrol with --name %s.", g->name,
			a->name, g->name);
	return 0;
}

/* A token that an older coordinator made may grant what kubelet will refuse. */
static int check_labels(struct enrolment *e, const struct grant *g)
{
	struct err why = { 0 };

	if (node_labels_check(g->labels, &why) < 0)
		return change_refuse(&e->change, API_BAD_REQUEST,
			"The token gives a label that no board can have: %s. Create another token.",
			why.text);
	return 0;
}

/* Whom others trust with whom they talk to and when, an administrator says. */
static int check_relay(struct enrolment *e, const struct grant *g)
{
	struct err why = { 0 };

	if (!e->asked.relay.n_hosts)
		return 0;
	if (!g->relay)
		return change_refuse(&e->change, API_FORBIDDEN,
			"The token lets no board be a relay. Create one with `hearth token create "
			"--relay`; or enrol without, let it ask with `hearth relay enable`, and "
			"say yes with `hearth relay allow`.");
	if (coord_check_relay(e->coord, &e->asked.relay, &why) < 0)
		return change_refuse(
			&e->change, API_BAD_REQUEST, "The board can be no relay: %s.", why.text);
	return 0;
}

/* Keys are unique in the mesh, now and ever; @replaced may keep its own. */
static int check_keys(struct enrolment *e, const struct node *replaced)
{
	const struct netmap *netmap = coord_netmap(e->coord);
	const struct node *other;
	uint32_t id = 0;

	switch (netmap_identity(netmap, e->identity, &id)) {
	case NETMAP_IDENTITY_UNKNOWN:
		break;
	case NETMAP_IDENTITY_CURRENT:
		if (replaced && replaced->id == id)
			break;
		other = netmap_by_id(netmap, id);
		return change_refuse(&e->change, API_KEY_TAKEN,
			"This board is enrolled already, as %s. There is nothing to do; to start "
			"over use a token made with `hearth token create --replace %s`.",
			other->name, other->name);
	case NETMAP_IDENTITY_REVOKED:
	case NETMAP_IDENTITY_REMOVED:
		return change_refuse(&e->change, API_KEY_TAKEN,
			"This board's identity key belonged to a node that was removed or replaced "
			"and is never accepted again. Run `enroll-node --leave`, then enrol: that "
			"makes new keys.");
	}
	if (netmap_wg_was_used(netmap, e->asked.wg, &id) &&
		!(replaced && !memcmp(replaced->wg, e->asked.wg, NODE_KEY_LEN)))
		return change_refuse(&e->change, API_KEY_TAKEN,
			"This WireGuard key belongs, or belonged, to another node of the mesh. "
			"Make a new one: `enroll-node --leave`, then enrol.");
	return 0;
}

/* The token's name, else the one asked for, else the board's host name as it sent it. */
static int choose_name(struct enrolment *e, const struct grant *g, struct node *node)
{
	struct err why = { 0 };
	const json_t *host = json_object_get(e->asked.board, "hostname");
	const char *name = g->name[0]             ? g->name
			   : e->asked.name[0]     ? e->asked.name
			   : json_is_string(host) ? json_string_value(host)
						  : "";
	const struct node *other;

	if (node_name_choose(name, node->name, &why) < 0)
		return change_refuse(
			&e->change, API_BAD_REQUEST, "%s. Choose one with --name.", why.text);
	other = netmap_by_name(coord_netmap(e->coord), node->name);
	if (other)
		return change_refuse(&e->change, API_NAME_TAKEN,
			"The name %s is taken, by node %u. Choose another with --name; or, if this "
			"is that board set up anew, create a token with `hearth token create "
			"--replace %s`.",
			node->name, (unsigned) other->id, node->name);
	return 0;
}

/* What the board says it is ("pi3") is kept as a label, for people and for Kubernetes. */
static int set_labels(const struct enrolment *e, const struct grant *g, struct node *node)
{
	const json_t *board = json_object_get(e->asked.board, "board");

	json_decref(node->tags);
	json_decref(node->labels);
	node->tags = json_incref(g->tags);
	node->labels = json_copy(g->labels);
	if (!node->labels)
		return -ENOMEM;
	if (json_is_string(board) && field_name_is_valid(json_string_value(board)) &&
		!json_object_get(node->labels, BOARD_LABEL) &&
		json_object_size(node->labels) < NODE_LABELS_MAX)
		return json_object_set_new(
			node->labels, BOARD_LABEL, json_string(json_string_value(board)));
	return 0;
}

static int make_new(struct enrolment *e, const struct grant *g, struct node *node)
{
	struct err why = { 0 };
	int r = choose_name(e, g, node);

	if (r < 0)
		return r;
	r = alloc_node(coord_netmap(e->coord), g->role, node, &why);
	if (r == -ENOSPC)
		return change_refuse(&e->change, API_RANGE_FULL, "%s", why.text);
	if (r < 0)
		return change_refuse(&e->change, API_INTERNAL, "%s", why.text);
	return 0;
}

/*
 * The same node with new keys: name, addresses and pods stay, whatever the board is called now. It
 * is no relay unless it says where: the old one's keys are not its own, and who was trusted with
 * them was another machine.
 */
static int make_replacement(struct enrolment *e, const struct node *old, struct node *node)
{
	if (node_copy(old, node) < 0)
		return change_refuse(&e->change, API_INTERNAL, "Out of memory.");
	if (memcmp(old->identity, e->identity, NODE_KEY_LEN) != 0) {
		int r = node_revoke_identity(node);

		if (r == -E2BIG)
			return change_refuse(&e->change, API_REPLACE_MISMATCH,
				"%s was replaced %d times, the most that is possible. Remove it "
				"with `hearth node remove %s` and enrol the board as a new one.",
				old->name, NODE_REVOKED_MAX, old->name);
		if (r < 0)
			return change_refuse(&e->change, API_INTERNAL, "Out of memory.");
		node_relay_done(&node->relay);
	}
	return 0;
}

static int write_record(
	struct enrolment *e, const struct grant *g, struct node *node, struct store_batch *batch)
{
	char key[GRANT_USE_KEY_MAX], value[64];

	memcpy(node->wg, e->asked.wg, NODE_KEY_LEN);
	memcpy(node->identity, e->identity, NODE_KEY_LEN);
	if (e->asked.relay.n_hosts) {
		node_relay_done(&node->relay);
		node_relay_copy(&e->asked.relay, &node->relay);
		added_apply(&e->coord->added, &node->relay);
	}
	if (set_labels(e, g, node) < 0)
		return change_refuse(&e->change, API_INTERNAL, "Out of memory.");
	CLEANUP_JSON json_t *payload = node_to_json(node);
	int r = ledger_set_record(&e->change, RECORD_TYPE_NODE, payload);

	if (r < 0)
		return r;
	e->node = node->id;
	memcpy(e->use.identity, e->identity, NODE_KEY_LEN);
	e->use.node = node->id;
	e->use.at = coord_now_s();
	grant_use_key(g->id, e->identity, key);
	snprintf(value, sizeof(value), "{\"at\":%llu,\"node\":%u}", (unsigned long long) e->use.at,
		(unsigned) node->id);
	store_batch_insert(batch, TABLE_USES, key, value, strlen(value));
	return 1;
}

/*
 * What this enrolment comes to now: 1 and @node, to be written; 0 if it is e->node already; or it
 * is refused. Changes nothing but @e.
 */
static int plan(struct enrolment *e, const struct grant **ret_grant, struct node *node)
{
	struct change *change = &e->change;
	const struct node *old = NULL;
	const struct grant *g =
		tokens_authenticate(e->coord->tokens, e->asked.token_id, e->asked.secret);

	if (!g)
		return change_refuse(change, API_TOKEN_UNKNOWN,
			"The coordinator does not know this token. Was it copied whole, and made "
			"on this coordinator? Create another with `hearth token create`.");
	const struct grant_use *use = grant_use_by(g, e->identity);

	if (use)
		return decide_again(e, use);
	int r = grant_check(g, coord_now_s(), &change->code, &change->err);

	if (r == 0)
		r = check_confirmation(e, g);
	if (r == 0)
		r = check_labels(e, g);
	if (r == 0)
		r = check_relay(e, g);
	if (r < 0)
		return r;
	if (g->replace && !(old = grant_replaced(g, coord_netmap(e->coord))))
		return change_refuse(change, API_REPLACE_MISMATCH,
			"Node %u, which the token was made to replace, was removed or replaced "
			"since. Create another with `hearth token create --replace NAME`.",
			(unsigned) g->replace);
	r = check_keys(e, old);
	if (r == 0)
		r = old ? make_replacement(e, old, node) : make_new(e, g, node);
	*ret_grant = g;
	return r < 0 ? r : 1;
}

static int decide(struct change *change, struct store_batch *batch)
{
	struct enrolment *e = of(change);
	CLEANUP_NODE struct node node = { 0 };
	const struct grant *g = NULL;
	int r = plan(e, &g, &node);

	return r <= 0 ? r : write_record(e, g, &node, batch);
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
	int r = plan(e, &g, &made);
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
