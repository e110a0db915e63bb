/* Who is asked for news: the client of the coordinator, and where it looks for one. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/pace.h"
#include "node/hearthd.h"
#include "node/sources.h"
#include "wire/pass.h"

static int on_news(void *ctx, const struct api_news *news)
{
	return news_take(((struct hearthd *) ctx)->news, news);
}

static void on_position(void *ctx, uint64_t *ret_seq, const char **ret_kube)
{
	struct hearthd *h = ctx;

	*ret_seq = mesh_log_head(book_log(h->core.book));
	*ret_kube = cluster_position(h->cluster);
}

static void on_changed(void *ctx, bool say, const struct trouble_end *away)
{
	struct hearthd *h = ctx;
	const struct sync_state *state = sync_state(h->sync);
	char span[PACE_SPAN_MAX], told[PASS_TOLD_MAX];
	const char *url = pass_url_tell(state->url, told);
	const char *what = url == state->url ? "coordinator " : "";

	if (say && !away)
		log_notice("coordinator: %s; trying on", state->error);
	else if (say && away->times)
		log_info("%s%s: connected, after %s and %u tr%s", what, url,
			pace_span_format(away->lasted_us, span), away->times,
			away->times == 1 ? "y" : "ies");
	else if (say)
		log_info("%s%s: connected", what, url);
	status_tell(h);
}

static const struct sync_hooks sync_hooks = {
	.news = on_news,
	.position = on_position,
	.changed = on_changed,
};

static struct sync_options to_options(
	const struct hearthd *h, const struct sources *s, enum proxy_use uses[static HTTP_URLS_MAX])
{
	wayout_choose_urls(&h->core.wayout, netmap_settings(book_netmap(h->core.book)), s->urls,
		s->n_urls, uses);
	return (struct sync_options){
		.urls = s->urls,
		.n_urls = s->n_urls,
		.pins = s->pin_list,
		.n_pins = s->n_pins,
		.cert_pem = h->cert_pem,
		.key_pem = h->key_pem,
		.proxy = h->core.wayout.url,
		.uses = uses,
	};
}

void ask_find_way(struct hearthd *h)
{
	struct wayout found = { 0 };
	struct err err = { 0 };
	int r = wayout_find(&h->core.config, &found, &err);

	problem_set(&h->core.problems, "proxy", r < 0 ? &err : NULL);
	if (r < 0 || wayout_equal(&found, &h->core.wayout)) /* the old one is better than none */
		return wayout_done(&found);
	if (found.url)
		log_info("what is outside of the mesh is reached by the proxy %s (%s)", found.text,
			found.from);
	wayout_done(&h->core.wayout);
	h->core.wayout = found;
	free(h->asked); /* so the coordinator is asked anew */
	h->asked = NULL;
}

int ask_open(struct hearthd *h, struct err *err)
{
	enum proxy_use uses[HTTP_URLS_MAX];
	struct sync_options options;
	struct sources sources;
	int r;

	sources_find(&h->core.config, book_netmap(h->core.book), &sources);
	options = to_options(h, &sources, uses);
	r = sync_new(h->core.event, &options, &sync_hooks, h, &h->sync, err);
	if (r == 0)
		h->asked = sources_text(&sources);
	return r;
}

void ask_configure(struct hearthd *h)
{
	CLEANUP(free_p) char *text = NULL;
	enum proxy_use uses[HTTP_URLS_MAX];
	struct sync_options options;
	struct sources sources;
	struct err err = { 0 };

	sources_find(&h->core.config, book_netmap(h->core.book), &sources);
	text = sources_text(&sources);
	if (!text || (h->asked && !strcmp(text, h->asked)))
		return;
	options = to_options(h, &sources, uses);
	if (sync_configure(h->sync, &options, &err) < 0) {
		log_warning("%s; the coordinator's old addresses stay", err.text);
		return;
	}
	free(h->asked);
	h->asked = TAKE(text);
}

/* One through the tunnel moves with it. */
static bool is_through_tunnel(const struct hearthd *h)
{
	const struct sync_state *state = sync_state(h->sync);
	struct sources sources;

	sources_find(&h->core.config, book_netmap(h->core.book), &sources);
	return state->connected && sources_made(&sources, state->url);
}

/* Without it the connection would hang until TCP gives it up, half a minute later. */
void ask_peer_moved(struct hearthd *h, uint32_t id)
{
	const struct settings *settings = netmap_settings(book_netmap(h->core.book));

	for (size_t i = 0; settings && i < settings->n_coordinators; i++)
		if (settings->coordinators[i].node == id && !is_through_tunnel(h))
			sync_link_changed(h->sync);
}
