/*
 * What our own transaction removes (each begins by emptying the table) is told from what others
 * remove by the process that did it: somebody may take rules out of the table between our
 * transaction and the look at what it holds then, which would be taken for whole ever after.
 */
#include "sys/nft/nft.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "sys/exec/exec.h"
#include "sys/nft/monitor.h"
#include "sys/nft/table.h"

/* The first transaction after a boot loads modules, on a slow card for a quarter of a minute. */
#define NFT_TIMEOUT_US (60 * USEC_PER_SEC)
enum { NFT_OUTPUT_MAX = 4096 };

static const char *const nft_argv[] = { "nft", "-f", "-", NULL };

struct nft {
	sd_event *event;
	sd_event_source *source;
	struct exec *running;
	pid_t pid;         /* of what runs or has just ended, 0: none */
	char *text, *next; /* running and waiting */
	char *table;
	struct nl *nl;
	struct nft_table placed; /* by the last transaction; empty: not known */
	uint32_t whole;          /* the generation in which all of it was there, 0: none */
	enum nft_news news;
	bool broken; /* somebody removed something before it was known what there was */
	int fd;
	nft_done_fn done;
	nft_touched_fn touched;
	void *ctx;
};

static void tell_touched(struct nft *nft)
{
	if (nft->news == NFT_NEWS_NONE)
		return;
	nft->news = NFT_NEWS_NONE;
	nft->touched(nft->ctx);
}

static int on_news(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct nft *nft = ctx;

	nft_monitor_drain(nft->fd, nft->table, nft->pid, &nft->news);
	if (!nft->running)
		tell_touched(nft);
	return 0;
}

int nft_new(sd_event *event, const char *table, nft_done_fn done, nft_touched_fn touched, void *ctx,
	struct nft **ret, struct err *err)
{
	struct nft *nft = calloc(1, sizeof(*nft));
	int r = -ENOMEM;

	if (!nft)
		return err_set(err, -ENOMEM, "out of memory");
	nft->event = sd_event_ref(event);
	nft->fd = -1;
	nft->done = done;
	nft->touched = touched;
	nft->ctx = ctx;
	nft->table = strdup(table);
	if (nft->table)
		r = nft->fd = nft_monitor_open();
	if (r >= 0)
		r = nl_open_protocol(NETLINK_NETFILTER, &nft->nl, NULL);
	if (r >= 0)
		r = sd_event_add_io(event, &nft->source, nft->fd, EPOLLIN, on_news, nft);
	if (r < 0) {
		nft_free(nft);
		return err_set(err, r, "cannot watch nftables: %s", strerror(-r));
	}
	*ret = nft;
	return 0;
}

bool nft_is_busy(const struct nft *nft)
{
	return nft->running != NULL;
}

bool nft_is_whole(struct nft *nft)
{
	struct nft_table now = { 0 };
	uint32_t generation;
	bool holds;

	if (!nft->running && nft->broken)
		return false;
	if (nft->running || !nft->placed.n)
		return true;
	if (nft_table_generation(nft->nl, &generation) < 0)
		generation = 0;
	if (generation && generation == nft->whole)
		return true;
	if (nft_table_read(nft->nl, nft->table, &now) < 0)
		return true;
	holds = nft_table_holds(&now, &nft->placed);
	nft->whole = holds ? generation : 0;
	return holds;
}

int nft_is_there(struct nft *nft)
{
	struct nft_table now = { 0 };
	int r = nft_table_read(nft->nl, nft->table, &now);

	return r < 0 ? r : now.n > 0;
}

int nft_keys(struct nft *nft, const char *set, nft_key_fn each, void *ctx)
{
	return nft_table_keys(nft->nl, nft->table, set, each, ctx);
}

static int start(struct nft *nft, struct err *err);

static void on_done(void *ctx, struct exec_result *result)
{
	struct nft *nft = ctx;
	struct err err = { 0 };
	int r = exec_check(result, "nft -f -", &err);

	nft->running = NULL;
	nft->whole = 0;
	if (r < 0 || nft_table_read(nft->nl, nft->table, &nft->placed) < 0)
		nft->placed.n = 0;
	nft_monitor_drain(nft->fd, nft->table, nft->pid, &nft->news);
	nft->pid = 0;
	nft->broken = r == 0 && nft->news == NFT_NEWS_REMOVED;
	free(nft->text);
	nft->text = NULL;
	nft->done(nft->ctx, r, r < 0 ? &err : NULL);
	if (nft->next && !nft->running) {
		nft->text = TAKE(nft->next);
		r = start(nft, &err);
		if (r < 0)
			nft->done(nft->ctx, r, &err);
	}
	if (!nft->running)
		tell_touched(nft);
}

static int start(struct nft *nft, struct err *err)
{
	struct exec_options options = {
		.argv = nft_argv,
		.input = nft->text,
		.input_len = strlen(nft->text),
		.output_max = NFT_OUTPUT_MAX,
		.timeout_us = NFT_TIMEOUT_US,
	};

	int r = exec_spawn(nft->event, &options, on_done, nft, &nft->running, err);

	nft->pid = r < 0 ? 0 : exec_pid(nft->running);
	return r;
}

int nft_apply(struct nft *nft, const char *text, struct err *err)
{
	char *copy = strdup(text);

	if (!copy)
		return err_set(err, -ENOMEM, "out of memory");
	if (nft->running) {
		free(nft->next);
		nft->next = copy;
		return 0;
	}
	free(nft->text);
	nft->text = copy;
	return start(nft, err);
}

struct nft *nft_free(struct nft *nft)
{
	if (!nft)
		return NULL;
	exec_cancel(nft->running);
	sd_event_source_disable_unref(nft->source);
	close_p(&nft->fd);
	nl_close(nft->nl);
	free(nft->text);
	free(nft->next);
	free(nft->table);
	sd_event_unref(nft->event);
	free(nft);
	return NULL;
}

int nft_run(const char *text, struct err *err)
{
	CLEANUP_EXEC_RESULT struct exec_result result = { 0 };
	struct exec_options options = {
		.argv = nft_argv,
		.input = text,
		.input_len = strlen(text),
		.output_max = NFT_OUTPUT_MAX,
		.timeout_us = NFT_TIMEOUT_US,
	};
	int r = exec_run(&options, &result, err);

	return r < 0 ? r : exec_check(&result, "nft -f -", err);
}
