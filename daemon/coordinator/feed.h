/*
 * feed: what nodes wait for. Holds the latest presence of every node and the long polls, and answers
 * those when there is news: records, presences or a join bundle. Costs nothing while nothing changes.
 * Many changes together wake the polls once: at once if it was quiet, else after a pause that
 * grows with their number.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/buf.h"
#include "base/err.h"
#include "coordinator/ledger.h"
#include "sys/httpd/httpd.h"
#include "wire/kube.h"

enum { FEED_POLLS_PER_NODE = 4, FEED_REPLY_SOFT_MAX = 6 << 20 };

struct feed;

/* What a node has already. */
struct feed_position {
	uint64_t seq;    /* its last record */
	uint64_t cursor; /* presences up to this number; 0: none */
	bool wants_kube; /* it named a bundle, or none with "kube=" */
	char kube[KUBE_ID_MAX];
};

/* Draws a new instance. */
int feed_new(sd_event *event, struct ledger *ledger, struct feed **ret, struct err *err);
/* Ends open polls with what there is. */
struct feed *feed_free(struct feed *feed);
/* Answers all open polls now. */
void feed_end_polls(struct feed *feed);

const char *feed_instance(const struct feed *feed);
/* "<instance>-<number>" of the newest presence. */
const char *feed_cursor(const struct feed *feed, char ret_text[static API_CURSOR_MAX]);
/* The number in @text if it is of this instance, else 0. */
uint64_t feed_cursor_number(const struct feed *feed, const char *text);

/*
 * Answers @request with news for @node after @position as soon as there are some, after @wait_s
 * seconds at the latest. The key of the request tells when the node has been given another.
 */
void feed_poll(struct feed *feed, struct httpd_request *request, const struct node *node,
	const struct feed_position *position, unsigned wait_s);

/*
 * Refuses the poll of a node that is none any more, with the records after @seq up to the one that ended it:
 * a board believes that it was removed only by a signed record.
 */
void feed_reply_removed(struct feed *feed, struct httpd_request *request, uint32_t id, uint64_t seq,
	const char *message);

/* The news for @node after @position, as the members of a JSON object (without braces). 0, -ENOMEM. */
int feed_write_news(struct feed *feed, const struct node *node,
	const struct feed_position *position, struct buf *out);

/* Something changed that polls wait for. */
void feed_wake(struct feed *feed);
/* The records say that node @id is gone, or has other keys: its presence and its polls end. */
void feed_node_removed(struct feed *feed, uint32_t id);

/* What presence was last given for @id, 0 if none. */
uint64_t feed_presence_counter(const struct feed *feed, uint32_t id);
/* JSON text, borrowed, NULL if none. */
const char *feed_presence_text(const struct feed *feed, uint32_t id);
/*
 * A newer presence document of @id as JSON text (heap, taken). *ret_moved: its endpoints differ from
 * the last ones, so that it is worth keeping. 0 or -ENOMEM.
 */
int feed_set_presence(struct feed *feed, uint32_t id, uint64_t counter, uint64_t endpoints_hash,
	char *text, bool *ret_moved);

/* The bundle for workers and control planes; NULL takes it away. Copied. */
void feed_set_kube(struct feed *feed, const struct kube_bundle *bundle);

/* For people: open polls, and when (wall clock, s) @id was last heard; 0: not since we started. */
unsigned feed_polls(const struct feed *feed);
bool feed_is_polling(const struct feed *feed, uint32_t id);
uint64_t feed_last_seen(const struct feed *feed, uint32_t id);
void feed_seen(struct feed *feed, uint32_t id, uint64_t wall_s);
