/* admin-settings: see admin-settings.h. */
#include "coordinator/admin-settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "coordinator/addrs.h"
#include "coordinator/admin-change.h"
#include "coordinator/schema.h"
#include "coordinator/urls.h"

/* Stands in a list of URLs for those of this machine's addresses. */
static const char automatic[] = "automatic";

struct settings_change {
	struct admin_change admin; /* first */
	struct settings wanted;    /* the lists that are asked for; the ranges are the mesh's */
	bool sets_urls, sets_stun, sets_relays;
	bool found; /* of the URLs: this machine's, too */
};

static void settings_change_free(struct settings_change *s)
{
	settings_done(&s->wanted);
	free(s);
}

/* --- what is told --- */

static json_t *describe_coordinators(const struct coord *c, const struct settings *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->n_coordinators; i++) {
		const struct node *node = netmap_by_id(coord_netmap(c), s->coordinators[i].node);

		(void) json_array_append_new(list,
			json_pack("{s:I, s:s?, s:i}", "node", (json_int_t) s->coordinators[i].node,
				"name", node ? node->name : NULL, "port",
				(int) s->coordinators[i].port));
	}
	return list;
}

/* A mesh that was made with --url before there was a word for it has nothing but such. */
static size_t count_by_hand(const struct coord *c, const struct settings *s)
{
	return c->urls_found ? s->n_by_hand : s->n_urls;
}

static json_t *describe(const struct coord *c)
{
	const struct settings *s = coord_settings(c);

	return json_pack("{s:o, s:b, s:o, s:o}", "settings", settings_to_json(s), automatic,
		c->urls_found, "by_hand", field_urls(s->urls, count_by_hand(c, s)), "coordinators",
		describe_coordinators(c, s));
}

void admin_settings_get(struct coord *c, struct ipc_request *request)
{
	ipc_request_reply(request, describe(c));
}

/* --- what is asked for --- */

/* The next of the list: a URL, or the word. */
static int read_url(struct settings_change *s, const char *text, struct err *err)
{
	struct settings *w = &s->wanted;
	char *url = w->urls[w->n_urls], host[FIELD_URL_MAX];
	const char *port;

	if (!strcmp(text, automatic)) {
		if (s->found)
			return err_set(err, -EINVAL, "%s is there twice", automatic);
		s->found = true;
		return 0;
	}
	if (outside_choose_url(text, url, err) < 0)
		return -EINVAL;
	for (size_t i = 0; i < w->n_urls; i++)
		if (!strcmp(w->urls[i], url))
			return err_set(err, -EINVAL, "%s is there twice", url);
	w->n_urls++;
	return field_url_split(url, host, &port) ? settings_check_outside(w, host, err) : -EINVAL;
}

static int read_urls(const json_t *args, struct settings_change *s, struct err *err)
{
	json_t *list;
	int r = json_get_array(args, "urls", FIELD_URLS_MAX, &list, err);

	s->wanted.n_urls = 0;
	for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i));

		r = text ? read_url(s, text, err)
			 : err_set(err, -EINVAL,
				   "field \"urls\" must be a list of https://HOST:PORT and of the "
				   "word %s",
				   automatic);
	}
	if (r == 0 && !s->wanted.n_urls && !s->found)
		r = err_set(err, -EINVAL,
			"boards must find the coordinator somewhere: name a URL, or %s for this "
			"machine's addresses",
			automatic);
	s->wanted.n_by_hand = s->wanted.n_urls;
	return r;
}

static int read_args(const json_t *args, struct settings_change *s, struct err *err)
{
	int r = 0;

	s->sets_urls = json_has(args, "urls");
	s->sets_stun = json_has(args, "stun");
	s->sets_relays = json_has(args, "relays");
	if (!s->sets_urls && !s->sets_stun && !s->sets_relays)
		return err_set(err, -EINVAL, "nothing is to be set: name urls, stun or relays");
	if (s->sets_urls)
		r = read_urls(args, s, err);
	if (r == 0 && s->sets_stun)
		r = settings_read_stun(args, &s->wanted, err);
	if (r == 0 && s->sets_relays)
		r = settings_read_relays(args, &s->wanted, err);
	return r;
}

/* --- the change --- */

/* This machine's addresses as they are now; those that come later urls.c adds. */
static int find_urls(struct settings_change *s, struct settings *now)
{
	const struct coord *c = s->admin.coord;
	char found[FIELD_URLS_MAX][FIELD_URL_MAX];
	struct err why = { 0 };
	int n = addrs_urls(now, c->port, found, &why);

	if (n < 0)
		return change_refuse(&s->admin.change, API_INTERNAL,
			"This machine's addresses are not known: %s. Name its URLs instead.",
			why.text);
	(void) urls_add(now, (const char(*)[FIELD_URL_MAX]) found, (size_t) n);
	if (!now->n_urls)
		return change_refuse(&s->admin.change, API_BAD_REQUEST,
			"This machine has no address that boards could use: no link that is up has "
			"one but loopback, containers and VPNs (`ip address`). Connect it, or name "
			"one: https://HOST:%u",
			(unsigned) c->port);
	return 0;
}

static int apply(struct settings_change *s, struct settings *now)
{
	const struct settings *w = &s->wanted;

	if (s->sets_stun) {
		memcpy(now->stun, w->stun, sizeof(now->stun));
		now->n_stun = w->n_stun;
	}
	if (s->sets_relays) {
		memcpy(now->relays, w->relays, sizeof(now->relays));
		now->n_relays = w->n_relays;
	}
	if (!s->sets_urls)
		return 0;
	memcpy(now->urls, w->urls, sizeof(now->urls));
	now->n_urls = now->n_by_hand = w->n_urls;
	return s->found ? find_urls(s, now) : 0;
}

static int decide(struct change *change, struct store_batch *batch)
{
	struct settings_change *s = (struct settings_change *) change;
	const struct coord *c = s->admin.coord;
	bool turns = s->sets_urls && s->found != c->urls_found;
	const char *word = s->found ? "found" : "given";
	CLEANUP_SETTINGS struct settings now = { 0 };
	CLEANUP_JSON json_t *was = settings_to_json(coord_settings(c)), *is = NULL;
	int r;

	settings_copy(coord_settings(c), &now);
	r = apply(s, &now);
	if (r < 0)
		return r;
	is = settings_to_json(&now);
	if (!was || !is)
		return change_refuse(change, API_INTERNAL, "Out of memory.");
	if (!json_equal(was, is))
		r = ledger_set_record(change, RECORD_TYPE_SETTINGS, is);
	if (r < 0)
		return r;
	if (turns)
		store_batch_put(batch, TABLE_META, "urls", word, strlen(word));
	return turns || change->has_record;
}

static void audit(const struct settings_change *s)
{
	const struct settings *w = &s->wanted;
	CLEANUP_BUF struct buf text = { 0 };
	char at[OUTSIDE_TEXT_MAX];

	if (s->sets_urls)
		buf_printf(&text, " urls");
	for (size_t i = 0; s->sets_urls && i < w->n_urls; i++)
		buf_printf(&text, " %s", w->urls[i]);
	if (s->found)
		buf_printf(&text, " %s", automatic);
	if (s->sets_stun)
		buf_printf(&text, " stun%s", w->n_stun ? "" : " none");
	for (size_t i = 0; s->sets_stun && i < w->n_stun; i++)
		buf_printf(&text, " %s", outside_format(&w->stun[i], at));
	if (s->sets_relays)
		buf_printf(&text, " relays%s", w->n_relays ? "" : " none");
	for (size_t i = 0; s->sets_relays && i < w->n_relays; i++)
		buf_printf(
			&text, " %s=%s", w->relays[i].name, outside_format(&w->relays[i].at, at));
	admin_audit(s->admin.request, "%s", text.len ? buf_str(&text) + 1 : "");
}

static void done(struct change *change, int r)
{
	struct settings_change *s = (struct settings_change *) change;
	struct coord *c = s->admin.coord;
	json_t *reply;

	if (r < 0) {
		admin_refuse(&s->admin);
	} else {
		if (s->sets_urls)
			urls_set_found(c, s->found);
		audit(s);
		reply = describe(c);
		(void) json_object_set_new(reply, "changed", json_boolean(r > 0));
		ipc_request_reply(s->admin.request, reply);
	}
	settings_change_free(s);
}

void admin_settings_set(struct coord *c, struct ipc_request *request)
{
	struct settings_change *s = calloc(1, sizeof(*s));
	struct err why = { 0 };

	if (!s) {
		ipc_request_fail(request, "internal", "Out of memory.");
		return;
	}
	s->admin = (struct admin_change){
		.change = { .decide = decide, .done = done }, .coord = c, .request = request
	};
	settings_copy(coord_settings(c), &s->wanted);
	if (read_args(ipc_request_args(request), s, &why) < 0) {
		ipc_request_fail(request, "bad_request", "%s", why.text);
		settings_change_free(s);
		return;
	}
	if (!admin_submit(&s->admin))
		settings_change_free(s);
}
