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

static void forget(struct coord *c)
{
	feed_set_kube(c->feed, NULL);
	c->kube_id[0] = '\0';
	c->kube_expires = 0;
}

static int on_expiry(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct coord *c = userdata;
	struct store_batch *batch = store_batch_new();
	forget(c);
	store_batch_delete(batch, TABLE_META, "kube");
	(void) store_commit(
		c->store, batch, NULL, NULL); /* a failure is made good by the next start */
	return 0;
}

/* Wall clock: the token in it expires by the cluster's wall clock too. */
static void arm_expiry(struct coord *c)
{
	int r = 0;
	uint64_t usec = c->kube_expires * USEC_PER_SEC;
	if (!c->on_kube_expiry)
		r = sd_event_add_time(c->event, &c->on_kube_expiry, CLOCK_REALTIME, usec,
			USEC_PER_SEC, on_expiry, c);
	if (r >= 0)
		r = sd_event_source_set_time(c->on_kube_expiry, usec);
	if (r >= 0)
		(void) sd_event_source_set_enabled(c->on_kube_expiry, SD_EVENT_ONESHOT);
}

static void take(struct coord *c, const struct kube_bundle *bundle)
{
	(void) snprintf(c->kube_id, sizeof(c->kube_id), "%s", bundle->id);
	c->kube_expires = bundle->expires;
	feed_set_kube(c->feed, bundle);
	arm_expiry(c);
}

struct put {
	struct coord *coord;
	struct httpd_request *request;
	struct kube_bundle bundle;
	char node[NODE_NAME_MAX];
};

static void on_stored(void *ctx, int r, const struct err *err)
{
	struct put *put = ctx;
	if (r < 0) {
		reply_refuse(put->request, API_STORAGE, "%s", err->text);
	} else {
		take(put->coord, &put->bundle);
		log_seldom(LOG_LEVEL_NOTICE, "join bundle %s from %s, valid for %lld s",
			put->bundle.id, put->node,
			(long long) (put->bundle.expires - coord_now_s()));
		httpd_reply(put->request, 200, json_object());
	}
	kube_bundle_done(&put->bundle);
	free(put);
}

void kube_handle(
	struct coord *c, struct httpd_request *request, const struct node *node, const json_t *body)
{
	struct err e = { 0 };
	struct put *put = calloc(1, sizeof(*put));
	CLEANUP(free_p) char *text = json_text(body);
	if (!put || !text) {
		free(put);
		reply_refuse(request, API_INTERNAL, "Out of memory.");
		return;
	}
	int r = kube_bundle_from_json(body, &put->bundle, &e);
	uint64_t now = coord_now_s();
	if (!r && put->bundle.expires <= now)
		r = err_set(&e, -EINVAL, "it has expired already (or the clocks differ)");
	if (!r && put->bundle.expires > now + LIFE_MAX_S)
		r = err_set(&e, -EINVAL, "it is valid for more than a week");
	if (r < 0) {
		reply_refuse(request, API_BAD_REQUEST, "The bundle is not accepted: %s.", e.text);
		kube_bundle_done(&put->bundle);
		free(put);
		return;
	}
	put->coord = c;
	put->request = request;
	(void) snprintf(put->node, sizeof(put->node), "%s", node->name);
	struct store_batch *batch = store_batch_new();
	store_batch_put(batch, TABLE_META, "kube", text, strlen(text));
	sodium_memzero(text, strlen(text));
	r = store_commit(c->store, batch, on_stored, put);
	if (r < 0) {
		reply_refuse(request, r == -EBUSY ? API_TOO_MANY : API_INTERNAL,
			"The coordinator is too busy. Try again.");
		kube_bundle_done(&put->bundle);
		free(put);
	}
}

static int load(void *ctx, const char *key, const void *value, size_t len)
{
	struct coord *c = ctx;
	CLEANUP_KUBE_BUNDLE struct kube_bundle bundle = { 0 };
	if (strcmp(key, "kube") != 0)
		return 0;
	CLEANUP_JSON json_t *json = json_parse(value, len, NULL);
	if (json && kube_bundle_from_json(json, &bundle, NULL) == 0)
		take(c, &bundle); /* an expired one is deleted as soon as the loop runs */
	return 0;
}

int kube_load(struct coord *coord, struct err *err)
{
	return store_each(coord->store, TABLE_META, load, coord, err);
}
