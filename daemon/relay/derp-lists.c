/* derp-lists: see derp-internal.h. */
#include "relay/derp-internal.h"

void derp_link(struct derp_conn *c, struct derp_conn **list)
{
	c->next = *list;
	c->pprev = list;
	if (c->next)
		c->next->pprev = &c->next;
	*list = c;
}

void derp_unlink(struct derp_conn *c)
{
	*c->pprev = c->next;
	if (c->next)
		c->next->pprev = c->pprev;
}

struct derp_conn *derp_next_conn(const struct derp *d, const struct derp_conn *c)
{
	if (!c && d->strangers)
		return d->strangers;
	if (c && c->next)
		return c->next;
	return !c || !c->proved ? d->known : NULL;
}

void derp_touch(struct derp_conn *c)
{
	if (c->touched)
		return;
	c->touched = true;
	c->next_touched = c->derp->touched;
	c->derp->touched = c;
}

static struct turns *turns_of(struct derp_conn *c)
{
	return c->proved ? &c->derp->more : &c->derp->strange;
}

void derp_want_turn(struct derp_conn *c)
{
	struct turns *t = turns_of(c);

	if (c->waits)
		return;
	c->waits = true;
	c->next_turn = NULL;
	if (t->first)
		t->last->next_turn = c;
	else
		t->first = c;
	t->last = c;
	(void) sd_event_source_set_enabled(c->derp->on_turn, SD_EVENT_ON);
}

void derp_want_no_turn(struct derp_conn *c)
{
	struct derp *d = c->derp;
	struct turns *t = turns_of(c);
	struct derp_conn **at = &t->first, *before = NULL;

	if (!c->waits)
		return;
	for (; *at != c; at = &(*at)->next_turn)
		before = *at;
	*at = c->next_turn;
	if (t->last == c)
		t->last = before;
	c->waits = false;
	if (!d->more.first && !d->strange.first)
		(void) sd_event_source_set_enabled(d->on_turn, SD_EVENT_OFF);
}
