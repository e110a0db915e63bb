/* derp-queue: see derp-queue.h. */
#include "relay/derp-queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* CoDel leaves alone what is no more than one packet: there is no queue. */
enum { ALONE_BYTES = 2048, RECENTLY = 16 /* intervals */ };

/* RFC 8289, section 5: its state for one queue. */
struct codel {
	uint64_t first_above_us; /* packets wait too long: from then on they may be dropped; or 0 */
	uint64_t drop_next_us;
	uint32_t count, last_count; /* drops since it began to; and when it did so last */
	bool dropping;
};

struct derp_flow {
	struct derp_flow *next;
	struct derp_packet *first, *last;
	uint64_t sender, idle_us;
	size_t bytes;
	int64_t deficit;
	struct codel codel;
};

/* --- lists of flows --- */

static void append(struct derp_flows *list, struct derp_flow *flow)
{
	flow->next = NULL;
	if (list->last)
		list->last->next = flow;
	else
		list->first = flow;
	list->last = flow;
}

/* Takes out the one behind @before; NULL: the first. */
static struct derp_flow *take_after(struct derp_flows *list, struct derp_flow *before)
{
	struct derp_flow **at = before ? &before->next : &list->first;
	struct derp_flow *flow = *at;

	*at = flow->next;
	if (list->last == flow)
		list->last = before;
	return flow;
}

static struct derp_flow *find_in(
	const struct derp_flows *list, uint64_t sender, struct derp_flow **ret_before)
{
	*ret_before = NULL;
	for (struct derp_flow *f = list->first; f; f = f->next) {
		if (f->sender == sender)
			return f;
		*ret_before = f;
	}
	return NULL;
}

/* --- packets --- */

struct derp_packet *derp_packet_free(struct derp_packet *packet)
{
	free(packet);
	return NULL;
}

static size_t cost(const struct derp_packet *p)
{
	return sizeof(*p) + p->len;
}

static void push(struct derp_queue *q, struct derp_flow *f, struct derp_packet *p)
{
	p->next = NULL;
	if (f->last)
		f->last->next = p;
	else
		f->first = p;
	f->last = p;
	f->bytes += cost(p);
	q->bytes += cost(p);
	q->pool->used += cost(p);
}

static struct derp_packet *pop(struct derp_queue *q, struct derp_flow *f)
{
	struct derp_packet *p = f->first;

	if (!p)
		return NULL;
	f->first = p->next;
	if (!f->first)
		f->last = NULL;
	f->bytes -= cost(p);
	q->bytes -= cost(p);
	q->pool->used -= cost(p);
	return p;
}

static void drop(struct derp_queue *q, struct derp_packet *p, enum derp_drop why)
{
	q->pool->drops[why]++;
	(void) derp_packet_free(p);
}

/* --- putting --- */

/* A flow for @sender, in no list; from those that are idle, if it may be. */
static struct derp_flow *make_flow(struct derp_queue *q, uint64_t sender)
{
	struct derp_flow *before, *flow = find_in(&q->idle, sender, &before);

	if (flow)
		return take_after(&q->idle, before);
	if (q->n_flows >= DERP_QUEUE_FLOWS_MAX) {
		if (!q->idle.first)
			return NULL;
		flow = take_after(&q->idle, NULL);
		memset(flow, 0, sizeof(*flow));
	} else {
		flow = calloc(1, sizeof(*flow));
		if (!flow)
			return NULL;
		q->n_flows++;
	}
	flow->sender = sender;
	return flow;
}

/* The one of @sender, in whose turn it will be. NULL: there is no room for another. */
static struct derp_flow *flow_of(struct derp_queue *q, uint64_t sender)
{
	struct derp_flow *before, *flow = find_in(&q->old, sender, &before);

	if (!flow)
		flow = find_in(&q->fresh, sender, &before);
	if (flow)
		return flow;
	flow = make_flow(q, sender);
	if (!flow)
		return NULL;
	flow->deficit = DERP_QUEUE_QUANTUM;
	append(&q->fresh, flow);
	return flow;
}

static struct derp_flow *larger(struct derp_flow *a, const struct derp_flows *list)
{
	for (struct derp_flow *f = list->first; f; f = f->next)
		if (!a || f->bytes > a->bytes)
			a = f;
	return a;
}

/* How much this client may hold now: the more of the pool is in use, the less. */
static size_t allowance(const struct derp_queue *q)
{
	size_t left = q->pool->max > q->pool->used ? q->pool->max - q->pool->used : 0;

	return left < DERP_QUEUE_BYTES_MAX ? left : DERP_QUEUE_BYTES_MAX;
}

/* Room for @n bytes more. False: not even without all that waits. */
static bool make_room(struct derp_queue *q, size_t n)
{
	while (q->bytes + n > allowance(q)) {
		struct derp_flow *fat = larger(larger(NULL, &q->old), &q->fresh);

		if (!fat || !fat->first)
			return false;
		drop(q, pop(q, fat), DERP_DROP_FULL);
	}
	return true;
}

bool derp_queue_put(struct derp_queue *q, uint64_t sender, const uint8_t *head, size_t head_len,
	const uint8_t *data, size_t len, uint64_t now_us)
{
	size_t total = head_len + len;
	struct derp_packet *p = NULL;
	struct derp_flow *f = NULL;

	if (make_room(q, sizeof(*p) + total))
		f = flow_of(q, sender);
	if (f)
		p = malloc(sizeof(*p) + total);
	if (!p) {
		q->pool->drops[f ? DERP_DROP_MEMORY : DERP_DROP_FULL]++;
		return false;
	}
	p->since_us = now_us;
	p->len = total;
	memcpy(p->data, head, head_len);
	if (len)
		memcpy(p->data + head_len, data, len);
	push(q, f, p);
	return true;
}

/* --- taking --- */

static uint64_t square_root(uint64_t n)
{
	uint64_t root = 0;

	for (uint64_t bit = UINT64_C(1) << 20; bit; bit >>= 1)
		if ((root + bit) * (root + bit) <= n)
			root += bit;
	return root;
}

/* When to drop next: ever sooner, by the square root of how often that was needed. */
static uint64_t control_law(uint64_t at_us, uint32_t count)
{
	return at_us + square_root(DERP_QUEUE_INTERVAL_US * DERP_QUEUE_INTERVAL_US / count);
}

/* The oldest that is still of use; whether CoDel may drop it. */
static struct derp_packet *oldest(
	struct derp_queue *q, struct derp_flow *f, uint64_t now_us, bool *ret_may_drop)
{
	struct codel *c = &f->codel;
	struct derp_packet *p;

	*ret_may_drop = false;
	while ((p = pop(q, f)) && now_us - p->since_us > DERP_QUEUE_STALE_US)
		drop(q, p, DERP_DROP_STALE);
	if (!p || now_us - p->since_us < DERP_QUEUE_TARGET_US || f->bytes <= ALONE_BYTES)
		c->first_above_us = 0;
	else if (c->first_above_us == 0)
		c->first_above_us = now_us + DERP_QUEUE_INTERVAL_US;
	else
		*ret_may_drop = now_us >= c->first_above_us;
	return p;
}

/* RFC 8289, section 5.5. */
static struct derp_packet *codel_take(struct derp_queue *q, struct derp_flow *f, uint64_t now_us)
{
	struct codel *c = &f->codel;
	bool may_drop;
	struct derp_packet *p = oldest(q, f, now_us, &may_drop);

	if (!may_drop) {
		c->dropping = false;
		return p;
	}
	if (!c->dropping) {
		uint32_t delta = c->count - c->last_count;

		drop(q, p, DERP_DROP_SLOW);
		p = oldest(q, f, now_us, &may_drop);
		c->dropping = true;
		c->count = delta > 1 && now_us - c->drop_next_us < RECENTLY * DERP_QUEUE_INTERVAL_US
				   ? delta
				   : 1;
		c->last_count = c->count;
		c->drop_next_us = control_law(now_us, c->count);
		return p;
	}
	while (c->dropping && now_us >= c->drop_next_us) {
		drop(q, p, DERP_DROP_SLOW);
		c->count++;
		p = oldest(q, f, now_us, &may_drop);
		c->dropping = may_drop;
		if (may_drop)
			c->drop_next_us = control_law(c->drop_next_us, c->count);
	}
	return p;
}

/* The flow whose turn it is has nothing: one that was new waits for the others once. */
static void retire(struct derp_queue *q, struct derp_flows *list, uint64_t now_us)
{
	struct derp_flow *f = take_after(list, NULL);

	if (list == &q->fresh && q->old.first) {
		append(&q->old, f);
		return;
	}
	f->idle_us = now_us;
	append(&q->idle, f);
}

static void told(struct derp_pool *pool, const struct derp_packet *p, uint64_t now_us)
{
	uint64_t delay = now_us - p->since_us;

	pool->taken++;
	pool->delay_us += delay;
	if (delay > pool->delay_max_us)
		pool->delay_max_us = delay;
}

struct derp_packet *derp_queue_take(struct derp_queue *q, uint64_t now_us)
{
	while (q->fresh.first || q->old.first) {
		struct derp_flows *list = q->fresh.first ? &q->fresh : &q->old;
		struct derp_flow *f = list->first;
		struct derp_packet *p;

		if (f->deficit <= 0) {
			f->deficit += DERP_QUEUE_QUANTUM;
			append(&q->old, take_after(list, NULL));
			continue;
		}
		p = codel_take(q, f, now_us);
		if (!p) {
			retire(q, list, now_us);
			continue;
		}
		f->deficit -= (int64_t) p->len;
		told(q->pool, p, now_us);
		return p;
	}
	return NULL;
}

/* --- its life --- */

static void free_first(struct derp_queue *q, struct derp_flows *list)
{
	struct derp_flow *f = take_after(list, NULL);
	struct derp_packet *p;

	while ((p = pop(q, f)))
		drop(q, p, DERP_DROP_GONE);
	free(f);
	q->n_flows--;
}

bool derp_queue_tidy(struct derp_queue *q, uint64_t now_us)
{
	while (q->idle.first && now_us - q->idle.first->idle_us >= DERP_QUEUE_IDLE_US)
		free_first(q, &q->idle);
	return q->idle.first != NULL;
}

void derp_queue_init(struct derp_queue *q, struct derp_pool *pool)
{
	*q = (struct derp_queue){ .pool = pool };
}

void derp_queue_done(struct derp_queue *q)
{
	while (q->fresh.first)
		free_first(q, &q->fresh);
	while (q->old.first)
		free_first(q, &q->old);
	while (q->idle.first)
		free_first(q, &q->idle);
	assert(q->n_flows == 0 && q->bytes == 0);
}
