/* routes: what a peer needs, and that only differences are told to the kernel. */
#include "mesh-maker.h"

#include "node/routes.h"

static struct routes wanted(void)
{
	CLEANUP_NODE struct node self = maker_node(1, 1, NULL);
	CLEANUP_NODE struct node worker = maker_node(2, 2, NULL);
	CLEANUP_NODE struct node member = maker_node(3, 0, NULL);
	struct routes routes = { 0 };

	assert_int_equal(routes_add_peer(&routes, &self, &worker, 7, 1408), 0);
	assert_int_equal(routes_add_peer(&routes, &self, &member, 7, 1056), 0);
	return routes;
}

static void test_peer(void **state)
{
	static const char *const dst[] = { "10.77.0.2/32", "fd12:3456:789a::2/128", "10.244.2.0/24",
		"fd12:3456:789a:1002::/64", "10.77.0.3/32", "fd12:3456:789a::3/128" };
	CLEANUP_ROUTES struct routes routes = wanted();
	char text[PREFIX_TEXT_MAX];

	assert_int_equal(routes.n, 6);
	for (size_t i = 0; i < routes.n; i++) {
		const struct route *route = &routes.list[i];
		bool v4 = route->dst.addr.family == AF_INET;

		assert_string_equal(ip_prefix_format(&route->dst, text), dst[i]);
		assert_string_equal(
			ip_addr_format(&route->src, text), v4 ? "10.77.0.1" : "fd12:3456:789a::1");
		/* IPv6 has no less than 1280 anywhere. */
		assert_int_equal(route->mtu, i < 4 ? 1408 : v4 ? 1056 : 1280);
		assert_int_equal(route->oif, 7);
	}
}

static void test_drop_ipv6(void **state)
{
	CLEANUP_ROUTES struct routes routes = wanted();

	routes_drop_ipv6(&routes);
	assert_int_equal(routes.n, 3);
	for (size_t i = 0; i < routes.n; i++)
		assert_int_equal(routes.list[i].dst.addr.family, AF_INET);
}

static void test_same(void **state)
{
	CLEANUP_ROUTES struct routes want = wanted(), set = { 0 }, delete = { 0 };
	ssize_t taken = 7;

	assert_int_equal(routes_compare(&want, 7, want.list, want.n, &set, &delete, &taken), 0);
	assert_int_equal(set.n, 0);
	assert_int_equal(delete.n, 0);
}

static void test_differences(void **state)
{
	CLEANUP_ROUTES struct routes want = wanted(), have = wanted(), set = { 0 }, delete = { 0 };
	ssize_t taken = 7;
	struct route foreign = have.list[0];

	have.list[0].mtu = 1420; /* another MTU: set again */
	have.list[1].oif = 6;    /* a link that was there before and is down: set */
	have.list[1].flags = RTNH_F_LINKDOWN;
	have.list[2].src = (struct ip_addr){ 0 }; /* no source: set again */
	have.list[3] = have.list[--have.n];       /* missing */
	assert_int_equal(ip_prefix_parse("10.77.0.9/32", &foreign.dst), 0);
	have.list[4] = foreign; /* of a node that is gone, in the place of one that is missing */
	assert_int_equal(routes_compare(&want, 7, have.list, have.n, &set, &delete, &taken), 0);
	assert_int_equal(set.n, 5);
	assert_int_equal(delete.n, 1);
	assert_true(ip_prefix_equal(&delete.list[0].dst, &foreign.dst));
	assert_int_equal(taken, -1);
}

/* Another mesh of the machine: its routes stay, and one that it has is not fought over. */
static void test_other_mesh(void **state)
{
	CLEANUP_ROUTES struct routes want = wanted(), have = wanted(), set = { 0 }, delete = { 0 };
	ssize_t taken = -1;

	have.list[2].oif = 8; /* the same addresses as we want */
	have.list[3].oif = 8; /* its own */
	assert_int_equal(ip_prefix_parse("10.78.0.9/32", &have.list[3].dst), 0);
	assert_int_equal(routes_compare(&want, 7, have.list, have.n, &set, &delete, &taken), 0);
	assert_int_equal(taken, 2);
	assert_int_equal(delete.n, 0);
	assert_int_equal(set.n, 1);
	assert_true(ip_prefix_equal(&set.list[0].dst, &want.list[3].dst));
}

static void test_nothing_wanted(void **state)
{
	CLEANUP_ROUTES struct routes want = { 0 }, have = wanted(), set = { 0 }, delete = { 0 };
	ssize_t taken = 7;

	assert_int_equal(routes_compare(&want, 7, have.list, have.n, &set, &delete, &taken), 0);
	assert_int_equal(set.n, 0);
	assert_int_equal(delete.n, have.n);
}

/* --- a thousand peers --- */

enum { MANY = 3000 };
static size_t n_compared;

int __real_ip_prefix_compare(const struct ip_prefix *a, const struct ip_prefix *b);
int __wrap_ip_prefix_compare(const struct ip_prefix *a, const struct ip_prefix *b);
int __wrap_ip_prefix_compare(const struct ip_prefix *a, const struct ip_prefix *b)
{
	n_compared++;
	return __real_ip_prefix_compare(a, b);
}

bool __real_ip_prefix_equal(const struct ip_prefix *a, const struct ip_prefix *b);
bool __wrap_ip_prefix_equal(const struct ip_prefix *a, const struct ip_prefix *b);
bool __wrap_ip_prefix_equal(const struct ip_prefix *a, const struct ip_prefix *b)
{
	n_compared++;
	return __real_ip_prefix_equal(a, b);
}

/* Networks of a mesh's two ranges, in no order: the @i-th of MANY. */
static struct route many(size_t i)
{
	struct route route = { .oif = 7, .mtu = 1280 };
	struct ip_prefix base;
	uint64_t nth = i * 7919 % MANY;

	assert_int_equal(ip_prefix_parse(nth % 3 ? "10.0.0.0/8" : "fd00::/48", &base), 0);
	assert_int_equal(ip_prefix_subnet(&base, nth % 3 ? 24 : 64, nth, &route.dst), 0);
	return route;
}

/*
 * Sorting and searching both lists is some 20 comparisons a route; each with each is nine million.
 */
static void test_many(void **state)
{
	CLEANUP_ROUTES struct routes set = { 0 }, delete = { 0 };
	struct route *want = calloc(MANY, sizeof(*want)), *have = calloc(MANY, sizeof(*have));
	struct routes wanted_list = { .list = want, .n = MANY };
	ssize_t taken = -1;

	for (size_t i = 0; i < MANY; i++) {
		want[i] = many(i);
		have[i] = many(MANY - 1 - i);
	}
	assert_int_equal(ip_prefix_parse("10.255.0.0/16", &have[100].dst), 0); /* nobody's */
	have[200].mtu = 1420;
	have[300].oif = 8;
	n_compared = 0;
	assert_int_equal(routes_compare(&wanted_list, 7, have, MANY, &set, &delete, &taken), 0);
	assert_true(n_compared < MANY * 80);
	assert_int_equal(set.n, 2);
	assert_true(ip_prefix_equal(&set.list[0].dst, &want[MANY - 1 - 200].dst));
	assert_true(ip_prefix_equal(&set.list[1].dst, &want[MANY - 1 - 100].dst));
	assert_int_equal(delete.n, 1);
	assert_true(ip_prefix_equal(&delete.list[0].dst, &have[100].dst));
	assert_int_equal(taken, 300);
	free(want);
	free(have);
}

/*
 * Two to the same destination, as two meshes leave them: the working one of another mesh decides,
 * wherever it is listed; one that is down does not.
 */
static void test_two_to_one(void **state)
{
	for (int other = 0; other < 2; other++)
		for (int down = 0; down < 2; down++) {
			CLEANUP_ROUTES struct routes want = wanted(), set = { 0 }, delete = { 0 };
			struct route have[2] = { want.list[0], want.list[0] };
			ssize_t taken = -1;

			want.n = 1;
			have[other].oif = 8;
			have[other].flags = down ? RTNH_F_LINKDOWN : 0;
			assert_int_equal(
				routes_compare(&want, 7, have, 2, &set, &delete, &taken), 0);
			assert_int_equal(taken, down ? -1 : other);
			assert_int_equal(set.n, 0);
			assert_int_equal(delete.n, 0);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_peer),
		cmocka_unit_test(test_drop_ipv6),
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_differences),
		cmocka_unit_test(test_other_mesh),
		cmocka_unit_test(test_nothing_wanted),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_two_to_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
