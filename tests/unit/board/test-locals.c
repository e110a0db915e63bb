/* locals: what a machine uses already, as `hearth-coord init` and enroll-node see it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "board/locals.h"

static const struct link links[] = {
	{ .index = 1, .name = "lo" },
	{ .index = 2, .name = "eth0" },
	{ .index = 3, .name = "hearth0" },
	{ .index = 4, .name = "hth0123456789" },
	{ .index = 5, .name = "docker0" },
	{ .index = 6, .name = "wg0" },
	{ .index = 7, .name = "mesh7" },
	{ .index = 8, .name = "tailscale0" },
};

static const struct {
	int ifindex;
	const char *addr;
	unsigned len;
} addrs[] = {
	{ 1, "127.0.0.1", 8 },
	{ 2, "192.168.1.20", 24 },
	{ 3, "10.77.0.1", 32 },
	{ 3, "fd12:3456:789a::1", 128 },
	{ 4, "169.254.1.1", 32 },
	{ 5, "172.17.0.1", 16 },
	{ 6, "10.8.0.2", 32 },
	{ 7, "10.99.0.1", 32 },
	{ 8, "100.100.1.1", 32 },
};

static const struct {
	int oif;
	const char *dst;
	uint8_t protocol;
} routes[] = {
	{ 2, "0.0.0.0/0", 16 }, { 2, "192.168.1.0/24", 2 },
	{ 3, "10.77.0.2/32", ROUTE_PROTOCOL_HEARTH },
	{ 4, "10.244.1.2/32", ROUTE_PROTOCOL_HEARTH_CNI }, { 6, "10.200.0.0/16", 3 },
	{ 9, "10.201.0.0/16", 3 }, /* its link is gone already */
};

/* "PREFIX@LINK ...", of a machine with the first @n links. */
static const char *found(const struct locals_own *own, size_t n, bool *ret_tailscale)
{
	static char text[1024];
	struct link_addr a[ARRAY_LEN(addrs)] = { 0 };
	struct route r[ARRAY_LEN(routes)] = { 0 };
	CLEANUP_LOCALS struct locals locals = { 0 };
	size_t n_addrs = 0, len = 0;

	locals.links = calloc(n, sizeof(links[0]));
	locals.n_links = n;
	assert_non_null(locals.links);
	memcpy(locals.links, links, n * sizeof(links[0]));
	for (size_t i = 0; i < ARRAY_LEN(addrs); i++) {
		if ((size_t) addrs[i].ifindex > n)
			continue;
		a[n_addrs].ifindex = addrs[i].ifindex;
		a[n_addrs].prefix_len = (uint8_t) addrs[i].len;
		assert_int_equal(ip_addr_parse(addrs[i].addr, &a[n_addrs++].addr), 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		r[i].oif = routes[i].oif;
		r[i].protocol = routes[i].protocol;
		assert_int_equal(ip_prefix_parse(routes[i].dst, &r[i].dst), 0);
	}
	assert_int_equal(locals_find(own, a, n_addrs, r, ARRAY_LEN(routes), &locals), 0);
	*ret_tailscale = locals.tailscale;
	text[0] = 0;
	for (size_t i = 0; i < locals.n; i++) {
		char prefix[PREFIX_TEXT_MAX];

		len += (size_t) snprintf(text + len, sizeof(text) - len, "%s%s@%s", i ? " " : "",
			ip_prefix_format(&locals.list[i].prefix, prefix), locals.list[i].name);
	}
	return text;
}

#define LAN  "127.0.0.0/8@lo 192.168.1.0/24@eth0 "
#define REST "172.17.0.0/16@docker0 10.8.0.2/32@wg0"
#define WAYS " 192.168.1.0/24@eth0 10.200.0.0/16@wg0 10.201.0.0/16@?"

static void test_all(void **state)
{
	struct locals_own nothing = { 0 }, own = { .ifname = "hearth0" };
	bool tailscale = true;

	/* Before there is a mesh, another one that the machine is in is as anything else. */
	assert_string_equal(found(&nothing, 6, &tailscale),
		LAN "10.77.0.1/32@hearth0 fd12:3456:789a::1/128@hearth0 " REST WAYS);
	assert_false(tailscale);
	assert_string_equal(found(&own, 6, &tailscale), LAN REST WAYS);
	/* A second mesh, by whatever name; and Tailscale, which is told apart. */
	assert_string_equal(found(&own, 8, &tailscale), LAN REST " 10.99.0.1/32@mesh7" WAYS);
	assert_true(tailscale);
	own.ifname = "mesh7";
	assert_string_equal(found(&own, 8, &tailscale),
		LAN "10.77.0.1/32@hearth0 fd12:3456:789a::1/128@hearth0 " REST WAYS);
	/* The interface had another name when the board got these addresses. */
	assert_int_equal(ip_addr_parse("10.77.0.1", &own.mesh4), 0);
	assert_int_equal(ip_addr_parse("fd12:3456:789a::1", &own.mesh6), 0);
	assert_string_equal(found(&own, 8, &tailscale), LAN REST WAYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_all) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
