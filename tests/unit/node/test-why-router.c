/* why-router: of whom the link address is told, by ways and neighbours of the test's. */
#include "fake-core.h"

#include <errno.h>
#include <stdlib.h>

#include "node/portmap-way.h"
#include "node/why-router.h"
#include "sys/net/neigh.h"

static bool has_way;
static int listing_fails;
static const char *const neighbours[] = { "192.168.1.7", "192.168.1.1", "fe80::1" };

bool portmap_find_way(struct nl *nl, const struct links *links, int family, struct pmp_way *ret)
{
	assert_int_equal(family, AF_INET);
	*ret = (struct pmp_way){ .ifindex = 2 };
	assert_int_equal(ip_addr_parse("192.168.1.1", &ret->gateway), 0);
	return has_way;
}

int neigh_list(struct nl *nl, int ifindex, struct neigh **ret, size_t *ret_n, struct err *err)
{
	assert_int_equal(ifindex, 2);
	if (listing_fails)
		return listing_fails;
	*ret = calloc(ARRAY_LEN(neighbours), sizeof(**ret));
	assert_non_null(*ret);
	*ret_n = ARRAY_LEN(neighbours);
	for (size_t i = 0; i < *ret_n; i++) {
		assert_int_equal(ip_addr_parse(neighbours[i], &(*ret)[i].addr), 0);
		(*ret)[i].mac[0] = 2;
		(*ret)[i].mac[5] = (uint8_t) (0xa0 + i);
	}
	return 0;
}

static void assert_router(const char *text)
{
	char router[WHY_ROUTER_MAX] = "before";

	why_router_find(NULL, NULL, router);
	assert_string_equal(router, text);
}

static void test_find(void **state)
{
	assert_router("");
	has_way = true;
	assert_router("02:00:00:00:00:a1");
	listing_fails = -ENOBUFS;
	assert_router("");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
