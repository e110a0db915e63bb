/*
 * Answers of rtnetlink to every question that Hearth asks: the first byte chooses the question, the
 * rest are datagrams.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "fake-kernel.h"
#include "sys/net/addr.h"
#include "sys/net/link.h"
#include "sys/net/neigh.h"
#include "sys/net/netns.h"
#include "sys/net/route.h"

static void ask_lists(struct nl *nl, unsigned question, struct err *err)
{
	static const struct route_filter filter = { .table = RT_TABLE_MAIN };
	CLEANUP(free_p) struct link *links = NULL;
	CLEANUP(free_p) struct link_addr *addrs = NULL;
	CLEANUP(free_p) struct route *routes = NULL;
	CLEANUP(free_p) struct neigh *neighs = NULL;
	size_t n = 0;
	int r;

	if (question == 0)
		r = link_list(nl, &links, &n, err);
	else if (question == 1)
		r = addr_list(nl, 0, AF_UNSPEC, &addrs, &n, err);
	else if (question == 2)
		r = route_list(nl, &filter, &routes, &n, err);
	else
		r = neigh_list(nl, 1, &neighs, &n, err);
	if (r < 0 && !err->text[0])
		abort();
	for (size_t i = 0; routes && i < n; i++)
		if (routes[i].dst.len > ip_bits(routes[i].dst.addr.family))
			abort();
	for (size_t i = 0; links && i < n; i++)
		if (strlen(links[i].name) >= IFNAMSIZ)
			abort();
}

static void ask_one(struct nl *nl, unsigned question, struct err *err)
{
	static const struct route_query query = {
		.dst = { .family = AF_INET, .bytes = { 192, 0, 2, 1 } }, .sport = 1, .dport = 2
	};
	struct link link = { 0 };
	struct route route = { 0 };
	bool found = false;

	switch (question) {
	case 4:
		if (route_lookup(nl, &query, &route, NULL) == 0 && !route.oif)
			abort();
		break;
	case 5:
		(void) link_get(nl, 1, &link, err);
		break;
	case 6:
		(void) link_find_in(nl, "lo", 0, &link, err);
		break;
	case 7:
		(void) netns_id_make(nl, 0);
		break;
	case 8:
		if (link_find(nl, "lo", &link, err) == 0 && strlen(link.name) >= IFNAMSIZ)
			abort();
		break;
	case 9:
		if (route_lookup(nl, &query, &route, err) == 0 && !route.dst.addr.family)
			abort();
		break;
	case 10:
		if (route_has_rule_to(nl, AF_INET, 52, &found, err) < 0 && found)
			abort();
		break;
	default:
		(void) link_set_up(nl, 1, true, err);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct nl *nl;
	struct err err = { 0 };

	if (!nl && nl_open(&nl, &err) < 0)
		abort();
	if (!size)
		return 0;
	fake_kernel_begin(data + 1, size - 1);
	if (data[0] % 12 < 4)
		ask_lists(nl, data[0] % 12, &err);
	else
		ask_one(nl, data[0] % 12, &err);
	fake_kernel_end();
	return 0;
}
