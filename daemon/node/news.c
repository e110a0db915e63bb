/*
 * What comes from the coordinator is believed only as far as it is signed; what it says beyond that
 * (its head) is shown to people and changes nothing.
 */
#include "node/news.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "mesh/story.h"

struct news {
	struct core *core;
	const struct news_hooks *hooks;
	void *ctx;
};

struct news *news_new(struct core *core, const struct news_hooks *hooks, void *ctx)
{
	struct news *news = calloc(1, sizeof(*news));

	if (news)
		*news = (struct news){ .core = core, .hooks = hooks, .ctx = ctx };
	return news;
}

struct news *news_free(struct news *news)
{
	free(news);
	return NULL;
}

/* @all: everything will be brought in line anyway. */
static void take_presences(struct news *news, const json_t *list, bool all)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		struct book_heard heard = { 0 };
		struct err err = { 0 };
		int r = book_add_presence(
			news->core->book, json_array_get(list, i), clock_now_us(), &heard, &err);

		if (r < 0)
			log_debug("%s, ignoring", err.text);
		if (r > 0 && !all)
			news->hooks->heard(news->ctx, &heard);
	}
}

/* Whether the coordinator's log is ours, longer, or something to tell a person about. */
static int judge(
	struct news *news, const struct api_news *what, int added, const struct err *refused)
{
	struct err err = { 0 };
	int r = added;

	if (added >= 0 && what->head_seq)
		r = mesh_log_check_head(
			book_log(news->core->book), what->head_seq, what->head_hash, &err);
	else if (added < 0)
		err = *refused;
	if (r < 0 && err.code) {
		err_prefix(&err,
			"the coordinator's log is not believed, this board keeps what it has");
		problem_set(&news->core->problems, "log", &err);
		return r;
	}
	problem_set(&news->core->problems, "log", NULL);
	return 0;
}

/*
 * A board that got other keys is another machine, which whoever holds the coordinator's signing key
 * can make of any. So each board's own log of events says so, before anything is done with it.
 * `hearth log` has them all.
 */
static void tell_rekeys(const struct news *news, const struct record *records, size_t n)
{
	const struct netmap *map = book_netmap(news->core->book);
	struct story story;

	for (size_t i = 0; i < n; i++) {
		if (records[i].seq <= netmap_seq(map))
			continue;
		story_tell(map, &records[i], &story);
		if (story.rekeys)
			log_warning(
				"record %llu: %s; if nobody of you did that (hearth token create "
				"--replace), the coordinator was taken over",
				(unsigned long long) records[i].seq, story.text);
	}
}

static int take_bundle(struct news *news, const struct api_news *what, int added)
{
	if (!what->has_kube)
		return 0;
	/*
	 * A long log comes in parts: who signed may be in one to come, and the bundle comes with
	 * that one again.
	 */
	if (what->head_seq > mesh_log_head(book_log(news->core->book)))
		return added > 0 ? 0 : -EAGAIN;
	return news->hooks->bundle(news->ctx, &what->kube) < 0 ? -EAGAIN : 0;
}

/* How many were new, or a negative errno. @from: "", or whom they are of. */
static int add_records(struct news *news, const struct record *records, size_t n, const char *from,
	bool *ret_changed, struct err *err)
{
	int added;

	tell_rekeys(news, records, n);
	added = book_add_records(news->core->book, records, n, ret_changed, err);
	if (added > 0)
		log_info("%d new record%s%s, the log is at %llu", added, added > 1 ? "s" : "", from,
			(unsigned long long) mesh_log_head(book_log(news->core->book)));
	return added;
}

/* They are as good as the coordinator's: what counts is who signed them. */
int news_take_records(
	struct news *news, uint32_t id, const struct record *records, size_t n_records)
{
	const struct node *node = netmap_by_id(book_netmap(news->core->book), id);
	char name[NODE_NAME_MAX] = "?", from[NODE_NAME_MAX + 16];
	struct err err = { 0 };
	bool changed = false;
	int added;

	if (node)
		(void) strcpy(name, node->name);
	(void) snprintf(from, sizeof(from), " from board %s", name);
	added = add_records(news, records, n_records, from, &changed, &err);
	if (added < 0)
		(void) err_prefix(&err,
			"the log of board %s is not believed, this board keeps what it has", name);
	problem_set(&news->core->problems, "others", &err);
	news->hooks->came(news->ctx);
	if (changed || added < 0)
		news->hooks->records(news->ctx);
	return added;
}

int news_take(struct news *news, const struct api_news *what)
{
	struct err refused = { 0 };
	bool changed = false;
	int added, judged, r;

	added = add_records(news, what->records, what->n_records, "", &changed, &refused);
	take_presences(news, what->presence, changed || added < 0);
	news->hooks->came(news->ctx);
	judged = judge(news, what, added, &refused);
	r = take_bundle(news, what, added);
	/* `changed` does not tell of a refused batch whose first records were taken. */
	if (changed || added < 0)
		news->hooks->records(news->ctx);
	return judged < 0 ? judged : r;
}
