/* kube: see kube.h. */
#include "coordinator/kube.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "coordinator/reply.h"
#include "coordinator/schema.h"

enum { LIFE_MAX_S = 7 * 24 * 3600 };

struct kube {
	struct coord *coord;
	struct kube_bundle bundle; /* id "": none */
	char *text, *worker_text;  /* as JSON; workers get no certificate key */
	sd_event_source *on_expiry;
};

static void wipe_text(char **text)
{
	if (*text)
		sodium_memzero(*text, strlen(*text));
	free(*text);
	*text = NULL;
}

static void forget(struct kube *k)
{
	wipe_text(&k->text);
	wipe_text(&k->worker_text);
	kube_bundle_done(&k->bundle);
}

static char *bundle_text(const struct kube_bundle *bundle)
{
	CLEANUP_JSON json_t *json = kube_bundle_to_json(bundle);

	return json ? json_text(json) : NULL;
}

static int on_expiry(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct kube *k = ctx;
	struct store_batch *batch = store_batch_new();

	forget(k);
	store_batch_delete(batch, TABLE_META, "kube");
	/* A failure is made good by the next start. */
	(void) store_commit(k->coord->store, batch, NULL, NULL);
	return 0;
}

/* Wall clock: the token in it expires by the cluster's wall clock too. */
static void arm_expiry(struct kube *k)
{
	uint64_t usec = k->bundle.expires * USEC_PER_SEC;
	int r = 0;

	if (!k->on_expiry)
		r = sd_event_add_time(k->coord->event, &k->on_expiry, CLOCK_REALTIME, usec,
			USEC_PER_SEC, on_expiry, k);
	if (r >= 0)
		r = sd_event_source_set_time(k->on_expiry, usec);
	if (r >= 0)
		(void) sd_event_source_set_enabled(k->on_expiry, SD_EVENT_ONESHOT);
}

static void take(struct kube *k, const struct kube_bundle *bundle)
{
	CLEANUP_KUBE_BUNDLE struct kube_bundle worker = *bundle;

	worker.has_certificate_key = false;
	sodium_memzero(worker.certificate_key, sizeof(worker.certificate_key));
	forget(k);
	k->bundle = *bundle;
	k->text = bundle_text(bundle);
	k->worker_text = bundle_text(&worker);
	arm_expiry(k);
	feed_wake(k->coord->feed);
}

const char *kube_id(const struct kube *k)
{
	return k->bundle.id;
}

uint64_t kube_expires(const struct kube *k)
{
	return k->bundle.expires;
}

/* --- who hears of it --- */

static const char *text_for(const struct kube *k, const struct node *node)
{
	if (coord_now_s() >= k->bundle.expires)
		return NULL; /* none expired in 1970 */
	switch (node->role) {
	case NODE_ROLE_CONTROL_PLANE:
		return k->text;
	case NODE_ROLE_WORKER:
		return k->worker_text;
	case NODE_ROLE_MEMBER:
		break;
	}
	return NULL;
}

static bool has_news(const void *ctx, const struct node *node, const struct feed_position *position)
{
	const struct kube *k = ctx;

	return position->wants_kube && text_for(k, node) &&
	       strcmp(position->kube, k->bundle.id) != 0;
}

static void write_news(const void *ctx, const struct node *node,
	const struct feed_position *position, struct buf *out)
{
	const struct kube *k = ctx;
	const char *text = text_for(k, node);

	if (text && strcmp(position->kube, k->bundle.id) == 0)
		text = NULL; /* it has that one */
	buf_add_str(out, ",\"kube\":");
	buf_add_str(out, text ? text : "null");
}

/* --- what comes --- */

struct put {
	struct coord *coord;
	struct httpd_request *request;
	struct kube_bundle bundle;
	char node[NODE_NAME_MAX];
};

static void put_free(struct put *put)
{
	kube_bundle_done(&put->bundle);
	free(put);
}

static void on_stored(void *ctx, int r, const struct err *err)
{
	struct put *put = ctx;

	if (r < 0) {
		reply_refuse(put->request, API_STORAGE, "%s", err->text);
	} else {
		take(put->coord->kube, &put->bundle);
		log_seldom(LOG_LEVEL_NOTICE, "join bundle %s from %s, valid for %lld s",
			put->bundle.id, put->node,
			(long long) (put->bundle.expires - coord_now_s()));
		httpd_reply(put->request, 200, json_object());
	}
	put_free(put);
}

static int read_bundle(const json_t *body, struct kube_bundle *ret, struct err *err)
{
	uint64_t now = coord_now_s();
	int r = kube_bundle_from_json(body, ret, err);

	if (r == 0 && ret->expires <= now)
		r = err_set(err, -EINVAL, "it has expired already (or the clocks differ)");
	if (r == 0 && ret->expires > now + LIFE_MAX_S)
		r = err_set(err, -EINVAL, "it is valid for more than a week");
	return r;
}

void kube_handle(
	struct coord *c, struct httpd_request *request, const struct node *node, const json_t *body)
{
	CLEANUP(wipe_text) char *text = json_text(body);
	struct put *put = calloc(1, sizeof(*put));
	struct store_batch *batch;
	struct err err = { 0 };
	int r;

	if (!put || !text) {
		free(put);
		reply_refuse(request, API_INTERNAL, "Out of memory.");
		return;
	}
	if (read_bundle(body, &put->bundle, &err) < 0) {
		reply_refuse(request, API_BAD_REQUEST, "The bundle is not accepted: %s.", err.text);
		put_free(put);
		return;
	}
	put->coord = c;
	put->request = request;
	(void) snprintf(put->node, sizeof(put->node), "%s", node->name);
	batch = store_batch_new();
	store_batch_put(batch, TABLE_META, "kube", text, strlen(text));
	r = store_commit(c->store, batch, on_stored, put);
	if (r < 0) {
		reply_refuse(request, r == -EBUSY ? API_TOO_MANY : API_INTERNAL,
			"The coordinator is too busy. Try again.");
		put_free(put);
	}
}

static int load(void *ctx, const char *key, const void *value, size_t len)
{
	struct kube *k = ctx;
	CLEANUP_KUBE_BUNDLE struct kube_bundle bundle = { 0 };
	CLEANUP_JSON json_t *json = strcmp(key, "kube") == 0 ? json_parse(value, len, NULL) : NULL;

	if (json && kube_bundle_from_json(json, &bundle, NULL) == 0)
		take(k, &bundle); /* an expired one is deleted as soon as the loop runs */
	return 0;
}

int kube_open(struct coord *coord, struct kube **ret, struct err *err)
{
	struct kube *k = calloc(1, sizeof(*k));
	struct feed_source source = { .has_news = has_news, .write = write_news, .ctx = k };
	int r;

	if (!k)
		return err_set(err, -ENOMEM, "out of memory");
	k->coord = coord;
	r = store_each(coord->store, TABLE_META, load, k, err);
	if (r < 0) {
		(void) kube_close(k);
		return r;
	}
	feed_add_source(coord->feed, &source);
	*ret = k;
	return 0;
}

struct kube *kube_close(struct kube *k)
{
	if (!k)
		return NULL;
	sd_event_source_disable_unref(k->on_expiry);
	forget(k);
	free(k);
	return NULL;
}
