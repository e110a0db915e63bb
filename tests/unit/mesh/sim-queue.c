#include "sim-queue.h"

#include <stdlib.h>

static bool is_before(const struct sim_event *a, const struct sim_event *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

void sim_queue_put(struct sim_queue *q, const struct sim_event *event)
{
	struct sim_event e = *event;
	size_t i = q->n;

	if (q->n == q->room) {
		q->room = q->room ? q->room * 2 : 64;
		q->list = reallocarray(q->list, q->room, sizeof(*q->list));
		if (!q->list)
			abort();
	}
	e.order = q->order++;
	q->n++;
	for (; i && is_before(&e, &q->list[(i - 1) / 2]); i = (i - 1) / 2)
		q->list[i] = q->list[(i - 1) / 2];
	q->list[i] = e;
}

bool sim_queue_take(struct sim_queue *q, uint64_t end_us, struct sim_event *ret)
{
	struct sim_event last;
	size_t i = 0;

	if (!q->n || q->list[0].at_us > end_us)
		return false;
	*ret = q->list[0];
	last = q->list[--q->n];
	for (;;) {
		size_t child = 2 * i + 1;

		if (child + 1 < q->n && is_before(&q->list[child + 1], &q->list[child]))
			child++;
		if (child >= q->n || !is_before(&q->list[child], &last))
			break;
		q->list[i] = q->list[child];
		i = child;
	}
	if (q->n)
		q->list[i] = last;
	return true;
}

void sim_queue_done(struct sim_queue *q)
{
	free(q->list);
	*q = (struct sim_queue){ 0 };
}
