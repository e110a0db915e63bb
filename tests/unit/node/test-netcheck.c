/* netcheck: what is told of the network around, as JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mesh-maker.h"
#include "node/netcheck.h"

static struct netmap *map;

static struct endpoint at(const char *text)
{
	struct endpoint e;

	assert_int_equal(endpoint_parse(text, &e), 0);
	return e;
}

static int set_up(void **state)
{
	CLEANUP_NODE struct node node = maker_node(2, 0, "vps");
	struct settings settings = maker_settings();

	map = maker_netmap(&settings);
	settings_done(&settings);
	assert_true(maker_apply(map, RECORD_TYPE_NODE, node_to_json(&node), NULL, NULL) >= 0);
	return 0;
}

static int tear_down(void **state)
{
	map = netmap_free(map);
	return 0;
}

/* All of it, on one line. */
static void assert_json(const struct netcheck *check, const char *wanted)
{
	CLEANUP_JSON json_t *json = netcheck_json(check);
	char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);

	assert_string_equal(text, wanted);
	free(text);
}

#define NOTHING \
	"{\"addresses\":[],\"mapping\":\"unknown\",\"open\":false,\"outside\":[],\"step\":0,\"udp\":null}"
#define NO_COUNTERS \
	"{\"answers\":0,\"bad\":0,\"nonsense\":0,\"refused\":0,\"sent\":0,\"strange\":0}"

static void test_nothing(void **state)
{
	static const struct mapped_counters none;
	struct netcheck check = { .counters = &none, .map = map };

	assert_json(&check,
		"{\"announced\":[],\"counters\":" NO_COUNTERS ",\"ipv4\":" NOTHING
		",\"ipv6\":" NOTHING ",\"port_mapping\":null,\"relays\":[],\"servers\":[]}");
}

static void test_all(void **state)
{
	const struct mapped_counters counters = { 1, 2, 3, 4, 5, 6 };
	const struct endpoint own[] = { at("192.168.50.11:41741"), at("[2001:db8::11]:41741") };
	const struct endpoint announced[] = { at("203.0.113.2:41741") };
	const struct mapped_server servers[] = {
		{ at("198.51.100.2:3478"), 2, NULL, true, 12345 },
		{ at("[2001:db8::9]:3479"), 0, "stun.example.org", true, 0 },
	};
	const struct relays_report relays[] = {
		{ .id = 2, .home = true, .state = "bound", .way = "udp" },
		{ .id = 9, .state = "silent" },
	};
	struct netcheck check = {
		.nat = { .port_mapping = "pcp" },
		.own = own,
		.n_own = 2,
		.announced = announced,
		.n_announced = 1,
		.servers = servers,
		.n_servers = 2,
		.counters = &counters,
		.relays = relays,
		.n_relays = 2,
		.map = map,
	};

	check.nat.sides[NAT_IPV4] = (struct nat_side){ .has_address = true,
		.udp = NAT_UDP_WORKS,
		.mapping = NAT_MAPPING_COUNTING,
		.step = -2,
		.n_outside = 1 };
	check.nat.sides[NAT_IPV4].outside[0] = at("203.0.113.2:40002");
	check.nat.sides[NAT_IPV6].udp = NAT_UDP_NONE;
	assert_json(&check,
		"{\"announced\":[\"203.0.113.2:41741\"],"
		"\"counters\":{\"answers\":2,\"bad\":4,\"nonsense\":6,\"refused\":5,\"sent\":1,\"strange\":3},"
		"\"ipv4\":{\"addresses\":[\"192.168.50.11:41741\"],\"mapping\":\"counting\",\"open\":false,"
		"\"outside\":[\"203.0.113.2:40002\"],\"step\":-2,\"udp\":true},"
		"\"ipv6\":{\"addresses\":[\"[2001:db8::11]:41741\"],\"mapping\":\"unknown\",\"open\":false,"
		"\"outside\":[],\"step\":0,\"udp\":false},\"port_mapping\":\"pcp\","
		"\"relays\":[{\"home\":true,\"name\":\"vps\",\"state\":\"bound\",\"way\":\"udp\"},"
		"{\"home\":false,\"name\":\"?\",\"state\":\"silent\",\"way\":null}],"
		"\"servers\":[{\"asked\":true,\"endpoint\":\"198.51.100.2:3478\",\"name\":\"vps\",\"relay\":true,\"rtt_us\":12345},"
		"{\"asked\":true,\"endpoint\":\"[2001:db8::9]:3479\",\"name\":\"stun.example.org\",\"relay\":false,\"rtt_us\":null}]}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_all, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
