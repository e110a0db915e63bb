/*
 * news: the subject of what comes from the coordinator: records, presences and a bundle go where
 * they belong, as far as they are to be believed.
 *
 * Its problems are "log": the coordinator's log is not the one that this board has; and "others":
 * another board's is not.
 */
#pragma once

#include "node/core.h"
#include "wire/api.h"

struct news;

/* In the order in which they are called for one piece of news. */
struct news_hooks {
	/* A presence is a new one, and not all will be brought in line anyway. */
	void (*heard)(void *ctx, const struct book_heard *heard);
	/* The book may have something to be saved. */
	void (*came)(void *ctx);
	/* A join bundle. Negative: not to be had now; it is to come again. */
	int (*bundle)(void *ctx, const struct kube_bundle *bundle);
	/* Records are new, so all of it may have changed. */
	void (*records)(void *ctx);
};

/* @core and @hooks are borrowed. NULL: out of memory. */
struct news *news_new(struct core *core, const struct news_hooks *hooks, void *ctx);
struct news *news_free(struct news *news);

/*
 * Records that board @id handed over while the coordinator is away. How many were new, or a
 * negative errno: they are not believed.
 */
int news_take_records(
	struct news *news, uint32_t id, const struct record *records, size_t n_records);

/* 0, or a negative errno: it is not believed (or -EAGAIN), and the next poll is to wait. */
int news_take(struct news *news, const struct api_news *what);
