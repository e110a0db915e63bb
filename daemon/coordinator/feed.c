/* feed: see feed.h. Open polls hang in one bucket per second of their deadline. */
#include "coordinator/feed.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"

enum { BUCKETS = 64 }; /* more than API_WAIT_MAX_S */
#define WAKE_PAUSE_MIN_US (50 * USEC_PER_MSEC)
#define WAKE_PAUSE_MAX_US (1000 * USEC_PER_MSEC)
#define WAKE_PER_POLL_US  200 /* what one answer may cost of the pause */

/*
 * Polls of one node: so many at once, then as many as come in time; who asks more often waits for
 * the answer.
 */
enum { POLLS_AT_ONCE = 100 };
#define POLL_EVERY_US (100 * USEC_PER_MSEC)

struct poll {
	struct poll *next, **pprev;           /* in the bucket */
	struct poll *seat_next, **seat_pprev; /* of the same node, newest first */
	struct httpd_request *request;
	uint32_t node;
	struct feed_position position;
	bool waits; /* for its deadline, whatever there is to tell */
};

/* What is known of one node. */
struct seat {
	struct poll *polls;
	unsigned n_polls;
	uint64_t paid_us; /* its polls are within what it may ask up to here */
	uint64_t seen_s;
};

struct feed {
	sd_event *event;
	struct ledger *ledger;
	struct feed_source sources[FEED_SOURCES_MAX];
	size_t n_sources;
	struct seat **seats; /* by node id */
	size_t n_seats;
	struct poll *buckets[BUCKETS];
	unsigned n_polls;
	uint64_t tick; /* the second up to which buckets have been emptied */
	sd_event_source *on_tick, *on_wake;
	bool waking;
	uint64_t woken_us;
};

static struct seat *seat_find(const struct feed *f, uint32_t id)
{
	return id < f->n_seats ? f->seats[id] : NULL;
}

static struct seat *seat_make(struct feed *f, uint32_t id)
{
	if (id >= f->n_seats) {
		size_t n = f->n_seats ? f->n_seats : 64;

		while (n <= id)
			n *= 2;
		struct seat **seats = reallocarray(f->seats, n, sizeof(struct seat *));

		if (!seats)
			return NULL;
		memset(seats + f->n_seats, 0, (n - f->n_seats) * sizeof(struct seat *));
		f->seats = seats;
		f->n_seats = n;
	}
	if (!f->seats[id])
		f->seats[id] = calloc(1, sizeof(struct seat));
	return f->seats[id];
}

void feed_add_source(struct feed *f, const struct feed_source *source)
{
	assert(f->n_sources < FEED_SOURCES_MAX);
	f->sources[f->n_sources++] = *source;
}

static bool has_news(const struct feed *f, const struct node *node, const struct feed_position *p)
{
	if (mesh_log_head(ledger_log(f->ledger)) > p->seq)
		return true;
	for (size_t i = 0; i < f->n_sources; i++)
		if (f->sources[i].has_news(f->sources[i].ctx, node, p))
			return true;
	return false;
}

static void write_records(struct feed *f, uint64_t seq, struct buf *out)
{
	uint64_t head = mesh_log_head(ledger_log(f->ledger));

	buf_add_str(out, "\"records\":[");
	for (unsigned n = 0; seq < head && n < API_RECORDS_MAX && out->len < FEED_REPLY_SOFT_MAX;
		n++) {
		if (n)
			buf_add_str(out, ",");
		buf_add_str(out, ledger_record_text(f->ledger, ++seq));
	}
	buf_add_str(out, "]");
}

void feed_write_news(struct feed *f, const struct node *node, const struct feed_position *position,
	struct buf *out)
{
	const struct mesh_log *log = ledger_log(f->ledger);
	char hash[KEY_BASE64_LEN];

	write_records(f, position->seq, out);
	key_to_base64(mesh_log_head_hash(log), hash);
	buf_printf(
		out, ",\"head\":{\"seq\":%" PRIu64 ",\"hash\":\"%s\"}", mesh_log_head(log), hash);
	for (size_t i = 0; i < f->n_sources; i++)
		f->sources[i].write(f->sources[i].ctx, node, position, out);
}

static void poll_free(struct feed *f, struct poll *p)
{
	*p->pprev = p->next;
	if (p->next)
		p->next->pprev = p->pprev;
	*p->seat_pprev = p->seat_next;
	if (p->seat_next)
		p->seat_next->seat_pprev = p->seat_pprev;
	struct seat *seat = seat_find(f, p->node);

	if (seat)
		seat->n_polls--;
	f->n_polls--;
	free(p);
}

/*
 * Whether @record took node @id away from the identity @key: a tombstone, or another key's record.
 */
static bool record_ends(const struct record *record, uint32_t id, const uint8_t *key)
{
	CLEANUP_JSON json_t *payload = NULL;
	uint8_t identity[NODE_KEY_LEN];
	uint64_t which = 0;
	bool tombstone = !strcmp(record->type, RECORD_TYPE_TOMBSTONE);

	if (!tombstone && strcmp(record->type, RECORD_TYPE_NODE) != 0)
		return false;
	payload = record_payload_json(record, NULL);
	if (!payload || json_get_u64(payload, "id", NODE_ID_MAX, &which, NULL) < 0 || which != id)
		return false;
	return tombstone || (field_get_key(payload, "identity", identity, NULL) == 0 &&
				    memcmp(identity, key, NODE_KEY_LEN) != 0);
}

void feed_reply_removed(struct feed *f, struct httpd_request *request, uint32_t id, uint64_t seq,
	const char *message)
{
	const struct mesh_log *log = ledger_log(f->ledger);
	const uint8_t *key = httpd_request_key(request);
	json_t *records = json_array();

	for (size_t n = 0; key && n < API_RECORDS_MAX; n++) {
		const struct record *record = mesh_log_get(log, ++seq);

		if (!record)
			break;
		(void) json_array_append_new(records, record_to_json(record));
		if (record_ends(record, id, key))
			break;
	}
	httpd_reply(request, api_code_status(API_REMOVED),
		json_pack("{s:{s:s, s:s}, s:o}", "error", "code", api_code_name(API_REMOVED),
			"message", message, "records", records));
}

static void reply_news(struct feed *f, struct httpd_request *request, const struct node *node,
	const struct feed_position *position)
{
	CLEANUP_BUF struct buf out = { 0 };
	size_t len = 0;

	buf_add_str(&out, "{");
	feed_write_news(f, node, position, &out);
	buf_add_str(&out, "}");
	char *text = buf_take(&out, &len);

	httpd_reply_text(request, 200, text, len); /* NULL: the buffer has failed, and says so */
}

/* Answers and frees an open poll. */
static void poll_end(struct feed *f, struct poll *p)
{
	const struct node *node = netmap_by_id(ledger_netmap(f->ledger), p->node);
	const uint8_t *key = httpd_request_key(p->request);

	if (!node || (key && memcmp(node->identity, key, NODE_KEY_LEN) != 0))
		feed_reply_removed(f, p->request, p->node, p->position.seq,
			"This board was removed from the mesh, or its place was given to another.");
	else
		reply_news(f, p->request, node, &p->position);
	poll_free(f, p);
}

static void arm_tick(struct feed *f)
{
	for (uint64_t s = f->tick; f->n_polls && s < f->tick + BUCKETS; s++)
		if (f->buckets[s % BUCKETS]) {
			(void) sd_event_source_set_time(f->on_tick, s * USEC_PER_SEC);
			(void) sd_event_source_set_enabled(f->on_tick, SD_EVENT_ONESHOT);
			return;
		}
	(void) sd_event_source_set_enabled(f->on_tick, SD_EVENT_OFF);
}

/*
 * Answers what is due by second @now, so that afterwards every deadline lies in the next BUCKETS.
 */
static void expire(struct feed *f, uint64_t now)
{
	/* After a long sleep of the machine each bucket is due, once. */
	uint64_t first = now - f->tick >= BUCKETS && now > f->tick ? now - BUCKETS + 1 : f->tick;

	for (uint64_t s = first; s <= now; s++)
		while (f->buckets[s % BUCKETS])
			poll_end(f, f->buckets[s % BUCKETS]);
	f->tick = now + 1;
}

static int on_tick(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct feed *f = ctx;

	expire(f, clock_now_us() / USEC_PER_SEC);
	arm_tick(f);
	return 0;
}

static void answer_all(struct feed *f, bool news_only)
{
	const struct netmap *netmap = ledger_netmap(f->ledger);

	for (size_t i = 0; i < BUCKETS; i++)
		for (struct poll *p = f->buckets[i], *next; p; p = next) {
			next = p->next;
			const struct node *node = netmap_by_id(netmap, p->node);

			if (!news_only || !node || (!p->waits && has_news(f, node, &p->position)))
				poll_end(f, p);
		}
	f->woken_us = clock_now_us();
}

static int on_wake(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct feed *f = ctx;

	f->waking = false;
	answer_all(f, true);
	return 0;
}

void feed_wake(struct feed *f)
{
	uint64_t pause = f->n_polls * (uint64_t) WAKE_PER_POLL_US;
	uint64_t now = clock_now_us();

	if (f->waking || !f->n_polls)
		return;
	pause = pause < WAKE_PAUSE_MIN_US ? WAKE_PAUSE_MIN_US : pause;
	pause = pause > WAKE_PAUSE_MAX_US ? WAKE_PAUSE_MAX_US : pause;
	uint64_t due = f->woken_us + pause;

	(void) sd_event_source_set_time(f->on_wake, due > now ? due : now);
	(void) sd_event_source_set_enabled(f->on_wake, SD_EVENT_ONESHOT);
	f->waking = true;
}

/* The generic cell rate algorithm, as in base/limiter. */
static bool asks_too_often(struct seat *s, uint64_t now_us)
{
	uint64_t start = s->paid_us > now_us ? s->paid_us : now_us;

	if (start + POLL_EVERY_US > now_us + POLLS_AT_ONCE * POLL_EVERY_US)
		return true;
	s->paid_us = start + POLL_EVERY_US;
	return false;
}

static void evict_oldest(struct feed *f, struct seat *seat)
{
	struct poll *oldest = seat->polls;

	while (oldest->seat_next)
		oldest = oldest->seat_next;
	poll_end(f, oldest);
}

/* @p is answered in @wait_s, or when there is news for it. */
static void hang(struct feed *f, struct seat *seat, struct poll *p, unsigned wait_s)
{
	uint64_t now_s = clock_now_us() / USEC_PER_SEC;

	expire(f, now_s);
	struct poll **bucket = &f->buckets[(now_s + wait_s) % BUCKETS];

	p->next = *bucket;
	p->pprev = bucket;
	if (p->next)
		p->next->pprev = &p->next;
	*bucket = p;
	p->seat_next = seat->polls;
	p->seat_pprev = &seat->polls;
	if (p->seat_next)
		p->seat_next->seat_pprev = &p->seat_next;
	seat->polls = p;
	seat->n_polls++;
	f->n_polls++;
	arm_tick(f);
}

void feed_poll(struct feed *f, struct httpd_request *request, const struct node *node,
	const struct feed_position *position, unsigned wait_s)
{
	struct seat *seat = seat_make(f, node->id);
	bool often = seat && asks_too_often(seat, clock_now_us());
	bool ahead = position->seq > mesh_log_head(ledger_log(f->ledger)); /* let it see that */
	bool at_once = !often && (wait_s == 0 || ahead || has_news(f, node, position));
	struct poll *p = seat && !at_once ? calloc(1, sizeof(*p)) : NULL;

	if (often && seat->n_polls >= FEED_POLLS_PER_NODE) {
		httpd_reply_error(request, api_code_status(API_TOO_MANY),
			api_code_name(API_TOO_MANY),
			"This board asks more often than %d times a second.",
			(int) (USEC_PER_SEC / POLL_EVERY_US));
		free(p);
		return;
	}
	if (!p) {
		reply_news(f, request, node, position);
		return;
	}
	if (seat->n_polls >= FEED_POLLS_PER_NODE)
		evict_oldest(f, seat);
	*p = (struct poll){
		.request = request, .node = node->id, .position = *position, .waits = often
	};
	hang(f, seat, p, often ? 1 : wait_s);
}

void feed_node_removed(struct feed *f, uint32_t id)
{
	struct seat *s = seat_find(f, id);

	while (s && s->polls)
		poll_end(f, s->polls);
}

int feed_new(sd_event *event, struct ledger *ledger, struct feed **ret, struct err *err)
{
	struct feed *f = calloc(1, sizeof(*f));

	if (!f)
		return err_set(err, -ENOMEM, "out of memory");
	f->event = sd_event_ref(event);
	f->ledger = ledger;
	int r = sd_event_add_time(
		event, &f->on_tick, CLOCK_BOOTTIME, 0, USEC_PER_SEC / 4, on_tick, f);

	if (r >= 0)
		r = sd_event_source_set_enabled(f->on_tick, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time(
			event, &f->on_wake, CLOCK_BOOTTIME, 0, USEC_PER_MSEC, on_wake, f);
	if (r >= 0)
		r = sd_event_source_set_enabled(f->on_wake, SD_EVENT_OFF);
	if (r < 0) {
		(void) feed_free(f);
		return err_set(err, r, "event loop: %s", strerror(-r));
	}
	*ret = f;
	return 0;
}

void feed_end_polls(struct feed *f)
{
	answer_all(f, false);
}

struct feed *feed_free(struct feed *f)
{
	if (!f)
		return NULL;
	answer_all(f, false);
	for (size_t i = 0; i < f->n_seats; i++)
		free(f->seats[i]);
	free(f->seats);
	sd_event_source_disable_unref(f->on_tick);
	sd_event_source_disable_unref(f->on_wake);
	sd_event_unref(f->event);
	free(f);
	return NULL;
}

unsigned feed_polls(const struct feed *f)
{
	return f->n_polls;
}

bool feed_is_polling(const struct feed *f, uint32_t id)
{
	const struct seat *s = seat_find(f, id);

	return s && s->polls;
}

uint64_t feed_last_seen(const struct feed *f, uint32_t id)
{
	const struct seat *s = seat_find(f, id);

	return s ? s->seen_s : 0;
}

void feed_seen(struct feed *f, uint32_t id, uint64_t wall_s)
{
	struct seat *s = seat_make(f, id);

	if (s)
		s->seen_s = wall_s;
}
