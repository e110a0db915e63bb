/* place: see place.h. */
#include "coordinator/place.h"

#include <errno.h>
#include <ifaddrs.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/pace.h"

struct place {
	struct trouble trouble; /* that it is not announced */
};

static void freeifaddrs_p(struct ifaddrs **list)
{
	if (*list)
		freeifaddrs(*list);
}

static const struct node *node_at(const struct netmap *netmap, const struct ip_addr *addr)
{
	const struct node *node = NULL;

	while ((node = netmap_next(netmap, node)))
		if (ip_addr_equal(&node->mesh4, addr) || ip_addr_equal(&node->mesh6, addr))
			return node;
	return NULL;
}

/* NULL if it is none of them, now: its interface may not be there yet. */
static const struct node *find(const struct coord *c)
{
	CLEANUP(freeifaddrs_p) struct ifaddrs *list = NULL;
	const struct settings *settings = coord_settings(c);
	const struct node *found = NULL;

	if (getifaddrs(&list) < 0)
		return NULL;
	for (const struct ifaddrs *i = list; i && !found; i = i->ifa_next) {
		struct endpoint e;

		if (i->ifa_addr && endpoint_from_sockaddr(i->ifa_addr, &e) == 0 &&
			(ip_prefix_contains(&settings->mesh4, &e.addr) ||
				ip_prefix_contains(&settings->mesh6, &e.addr)))
			found = node_at(coord_netmap(c), &e.addr);
	}
	return found;
}

/* There is one coordinator yet: where it was before, it is no more. */
static bool is_new(const struct coord *c, const struct node *node)
{
	const struct settings *s = coord_settings(c);

	return node && (s->n_coordinators != 1 || s->coordinators[0].node != node->id ||
			       s->coordinators[0].port != c->port);
}

struct refresh {
	struct change change;
	struct coord *coord;
	uint32_t node;
};

static int decide(struct change *change, struct store_batch *batch)
{
	struct refresh *refresh = (struct refresh *) change;
	struct coord *c = refresh->coord;
	CLEANUP_SETTINGS struct settings s = { 0 };
	CLEANUP_JSON json_t *payload = NULL;
	int r;

	if (!is_new(c, netmap_by_id(coord_netmap(c), refresh->node)))
		return 0; /* asked twice, or the node was removed meanwhile */
	settings_copy(coord_settings(c), &s);
	s.coordinators[0] = (struct settings_coordinator){ refresh->node, c->port };
	s.n_coordinators = 1;
	payload = settings_to_json(&s);
	r = ledger_set_record(change, RECORD_TYPE_SETTINGS, payload);
	return r < 0 ? r : 1;
}

static void done(struct change *change, int r)
{
	struct refresh *refresh = (struct refresh *) change;
	struct coord *c = refresh->coord;
	const struct node *node = netmap_by_id(coord_netmap(c), refresh->node);
	struct trouble_end end;

	if (r >= 0)
		(void) trouble_over(&c->place->trouble, clock_now_us(), &end);
	else if (trouble_is(&c->place->trouble, r, clock_now_us()))
		log_warning("that this machine's mesh addresses lead to the coordinator cannot be "
			    "announced, trying again: %s",
			change->err.text);
	if (r > 0 && node)
		log_notice("this machine is %s: boards now also look for the coordinator at its "
			   "mesh addresses",
			node->name);
	free(refresh);
}

void place_refresh(struct coord *c)
{
	const struct node *node = find(c);
	struct refresh *refresh = is_new(c, node) ? calloc(1, sizeof(*refresh)) : NULL;

	if (!refresh)
		return;
	refresh->change = (struct change){ .decide = decide, .done = done };
	refresh->coord = c;
	refresh->node = node->id;
	if (ledger_submit(c->ledger, &refresh->change) < 0)
		free(refresh); /* next time */
}

void place_board_came(struct coord *c)
{
	if (!coord_settings(c)->n_coordinators)
		place_refresh(c);
}

int place_open(struct coord *coord, struct place **ret, struct err *err)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : err_set(err, -ENOMEM, "out of memory");
}

struct place *place_close(struct place *place)
{
	free(place);
	return NULL;
}
