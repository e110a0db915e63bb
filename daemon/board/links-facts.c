/* links: asking rtnetlink, see links.h. */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>

#include "board/links.h"

void links_facts_done(struct links_facts *facts)
{
	free(facts->links);
	free(facts->addrs);
	free(facts->defaults);
	*facts = (struct links_facts){ 0 };
}

/*
 * So many links are asked one by one; else all routes are listed, of which there are hardly as
 * many.
 */
enum { ASKED_MAX = 128 };

static size_t count_up(const struct links_facts *facts)
{
	size_t n = 0;

	for (size_t i = 0; i < facts->n_links; i++)
		n += (facts->links[i].flags & (IFF_UP | IFF_LOOPBACK)) == IFF_UP;
	return n;
}

/*
 * A router's table may hold 200,000 routes: the kernel is asked for each link's default routes
 * only.
 */
static int ask_defaults(struct nl *nl, size_t n_up, struct links_facts *facts, struct err *err)
{
	static const int families[] = { AF_INET, AF_INET6 };
	int r = 0;

	facts->defaults = calloc(n_up ? 2 * n_up : 1, sizeof(*facts->defaults));
	if (!facts->defaults)
		return err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < facts->n_links && r >= 0; i++) {
		const struct link *link = &facts->links[i];

		for (size_t k = 0; k < ARRAY_LEN(families) && r >= 0; k++) {
			if ((link->flags & (IFF_UP | IFF_LOOPBACK)) != IFF_UP)
				continue;
			r = route_default_of(nl, families[k], link->index,
				&facts->defaults[facts->n_defaults], err);
			facts->n_defaults += r > 0;
		}
	}
	return r < 0 ? r : 0;
}

int links_facts_read(struct nl *nl, struct links_facts *ret, struct err *err)
{
	struct route_filter filter = { .table = RT_TABLE_MAIN, .only_default = true };
	CLEANUP_LINKS_FACTS struct links_facts facts = { 0 };
	int r;

	r = link_list(nl, &facts.links, &facts.n_links, err);
	if (r == 0)
		r = addr_list(nl, 0, AF_UNSPEC, &facts.addrs, &facts.n_addrs, err);
	if (r == 0 && count_up(&facts) <= ASKED_MAX)
		r = ask_defaults(nl, count_up(&facts), &facts, err);
	else if (r == 0)
		r = route_list(nl, &filter, &facts.defaults, &facts.n_defaults, err);
	if (r < 0)
		return r;
	*ret = facts;
	facts = (struct links_facts){ 0 };
	return 0;
}
