/* links: asking rtnetlink, see links.h. */
#include <stdlib.h>

#include "board/links.h"

void links_facts_done(struct links_facts *facts)
{
	free(facts->links);
	free(facts->addrs);
	free(facts->defaults);
	*facts = (struct links_facts){ 0 };
}

int links_facts_read(struct nl *nl, struct links_facts *ret, struct err *err)
{
	struct route_filter filter = { .table = RT_TABLE_MAIN, .only_default = true };
	CLEANUP_LINKS_FACTS struct links_facts facts = { 0 };
	int r;

	r = link_list(nl, &facts.links, &facts.n_links, err);
	if (r == 0)
		r = addr_list(nl, 0, AF_UNSPEC, &facts.addrs, &facts.n_addrs, err);
	if (r == 0)
		r = route_list(nl, &filter, &facts.defaults, &facts.n_defaults, err);
	if (r < 0)
		return r;
	*ret = facts;
	facts = (struct links_facts){ 0 };
	return 0;
}
