/*
 * feed: long polls. Holds those that are open, and answers each when there is news for its node:
 * records, or what another source has to tell. Costs nothing while nothing changes. Many changes
 * together wake the polls once: at once if it was quiet, else after a pause that grows with their
 * number.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/buf.h"
#include "base/err.h"
#include "coordinator/ledger.h"
#include "sys/httpd/httpd.h"
#include "wire/api.h"
#include "wire/kube.h"

enum { FEED_POLLS_PER_NODE = 4, FEED_REPLY_SOFT_MAX = 6 << 20, FEED_SOURCES_MAX = 4 };

struct feed;

/* What a node has already. */
struct feed_position {
	uint64_t seq;             /* its last record */
	struct api_cursor cursor; /* of its last presence; all zero: none */
	bool wants_kube;          /* it named a bundle, or none with "kube=" */
	char kube[KUBE_ID_MAX];
};

/* Something beside the records that polls tell of. */
struct feed_source {
	/*
	 * Whether there is more for @node than it has at @position. Asked for each open poll at
	 * each wake.
	 */
	bool (*has_news)(
		const void *ctx, const struct node *node, const struct feed_position *position);
	/*
	 * Adds that, or that there is none, to @out: members of a JSON object, each with a comma
	 * before it.
	 */
	void (*write)(const void *ctx, const struct node *node,
		const struct feed_position *position, struct buf *out);
	const void *ctx; /* borrowed; lives as long as the feed */
};

int feed_new(sd_event *event, struct ledger *ledger, struct feed **ret, struct err *err);
/* Ends open polls with what there is. */
struct feed *feed_free(struct feed *feed);
/* Answers all open polls now. */
void feed_end_polls(struct feed *feed);

/* In the order in which replies have them. Call feed_wake() when there is something new. */
void feed_add_source(struct feed *feed, const struct feed_source *source);

/*
 * Answers @request with news for @node after @position as soon as there are some, after @wait_s
 * seconds at the latest. The key of the request tells when the node has been given another.
 */
void feed_poll(struct feed *feed, struct httpd_request *request, const struct node *node,
	const struct feed_position *position, unsigned wait_s);

/*
 * Refuses the poll of a node that is none any more, with the records after @seq up to the one that
 * ended it: a board believes that it was removed only by a signed record.
 */
void feed_reply_removed(struct feed *feed, struct httpd_request *request, uint32_t id, uint64_t seq,
	const char *message);

/*
 * The news for @node after @position, as the members of a JSON object (without braces). Out of
 * memory is @out's to tell.
 */
void feed_write_news(struct feed *feed, const struct node *node,
	const struct feed_position *position, struct buf *out);

/* Something changed that polls wait for. */
void feed_wake(struct feed *feed);
/* The records say that node @id is gone, or has other keys: its polls end. */
void feed_node_removed(struct feed *feed, uint32_t id);

/* For people: open polls, and when (wall clock, s) @id was last heard; 0: not since we started. */
unsigned feed_polls(const struct feed *feed);
bool feed_is_polling(const struct feed *feed, uint32_t id);
uint64_t feed_last_seen(const struct feed *feed, uint32_t id);
void feed_seen(struct feed *feed, uint32_t id, uint64_t wall_s);
