/* sources: whom a board asks, in which order, and how much of it there may be. */
#include "mesh-maker.h"

#include <stdio.h>

#include "base/json.h"
#include "node/sources.h"

static struct settings settings;
static struct config config;
static struct netmap *map;
static struct sources found;
static struct node_relay relays[8]; /* of nodes 0 to 7; no hosts: none */

static int set_up(void **state)
{
	settings = maker_settings();
	settings.n_urls = settings.n_pins = 0;
	config = (struct config){ .mesh = "home", .node = 1 };
	memset(relays, 0, sizeof(relays));
	return 0;
}

static int tear_down(void **state)
{
	settings_done(&settings);
	map = netmap_free(map);
	return 0;
}

static void add_url(const char *url)
{
	(void) snprintf(settings.urls[settings.n_urls++], FIELD_URL_MAX, "%s", url);
}

static void add_config_url(const char *url)
{
	(void) snprintf(config.urls[config.n_urls++], FIELD_URL_MAX, "%s", url);
}

static void add_coordinator(uint32_t node, uint16_t port)
{
	settings.coordinators[settings.n_coordinators++] =
		(struct settings_coordinator){ node, port };
}

static void pin(uint8_t ret[static FIELD_KEY_LEN], uint8_t byte)
{
	memset(ret, byte, FIELD_KEY_LEN);
}

/* With @n nodes in the mesh. Settings have one of each at least. */
static void find(uint32_t n)
{
	if (!settings.n_urls)
		add_url("https://a.example");
	if (!settings.n_pins)
		pin(settings.pins[settings.n_pins++], 1);
	map = netmap_free(map);
	map = maker_netmap(&settings);
	for (uint32_t id = 1; id <= n; id++) {
		CLEANUP_NODE struct node node = maker_node(id, id, NULL);

		if (id < ARRAY_LEN(relays))
			node.relay = relays[id];
		assert_int_equal(
			maker_apply(map, RECORD_TYPE_NODE, node_to_json(&node), NULL, NULL), 1);
	}
	sources_find(&config, map, &found);
}

static void assert_urls(const char *urls)
{
	char all[4096] = "";

	for (size_t i = 0; i < found.n_urls; i++)
		(void) strcat(strcat(all, i ? " " : ""), found.urls[i]);
	assert_string_equal(all, urls);
}

/* The first characters of each. */
static void assert_pins(const char *pins)
{
	char all[64] = "";

	for (size_t i = 0; i < found.n_pins; i++) {
		assert_ptr_equal(found.pin_list[i], found.pins[i]);
		(void) strncat(all, found.pins[i], 2);
	}
	assert_string_equal(all, pins);
}

/* What enrolment wrote is all that there is before the first settings. */
static void test_no_settings(void **state)
{
	map = netmap_new();
	add_config_url("https://192.0.2.1:8443");
	pin(config.pins[config.n_pins++], 1);
	sources_find(&config, map, &found);
	assert_urls("https://192.0.2.1:8443");
	assert_pins("AQ");
}

static void test_order(void **state)
{
	add_config_url("https://config.example:8443");
	add_url("https://a.example");
	add_url("https://b.example");
	add_url("https://c.example");
	add_url("https://d.example");
	add_url("https://e.example");
	add_url("https://f.example");
	add_coordinator(2, 8443);
	add_coordinator(1, 9443);
	find(2);
	assert_urls("https://127.0.0.1:9443 https://[::1]:9443 "
		    "https://a.example https://b.example https://c.example https://d.example "
		    "https://10.77.0.2:8443 https://[fd12:3456:789a::2]:8443 "
		    "https://e.example https://f.example https://config.example:8443");
	assert_int_equal(found.n_made, 4);
}

static void test_no_duplicate(void **state)
{
	add_url("https://a.example");
	add_url("https://127.0.0.1:8443");
	add_config_url("https://b.example");
	add_config_url("https://a.example");
	add_coordinator(1, 8443);
	find(1);
	assert_urls("https://127.0.0.1:8443 https://[::1]:8443 https://a.example "
		    "https://b.example");
}

static void add_relay(uint32_t node, uint16_t port, const char *host)
{
	struct node_relay *relay = &relays[node];

	relay->tcp = port;
	memset(relay->pin, 1, sizeof(relay->pin));
	memset(relay->key, 2, sizeof(relay->key));
	(void) snprintf(relay->hosts[relay->n_hosts++], FIELD_HOST_MAX, "%s", host);
}

/* By way of a relay a coordinator is asked for by its pin; by our own, without leaving the board. */
static void test_relays(void **state)
{
#define ONE "https://c-aeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaq.hearth.internal"
#define TWO "https://c-aibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaiba.hearth.internal"
	add_url("https://a.example");
	pin(settings.pins[settings.n_pins++], 1);
	pin(settings.pins[settings.n_pins++], 2);
	add_relay(1, 443, "192.0.2.1");
	add_relay(3, 3340, "vps.example");
	add_relay(3, 3340, "2001:db8::3");
	add_config_url("https://config.example");
	find(3);
	assert_urls("https://a.example " ONE ":443#127.0.0.1 " TWO ":443#127.0.0.1 " ONE
		    ":3340#vps.example " ONE ":3340#2001:db8::3 " TWO ":3340#vps.example " TWO
		    ":3340#2001:db8::3 https://config.example");
	assert_int_equal(found.n_relayed, 6);
	assert_int_equal(found.n_made, 0);
	assert_false(sources_made(&found, found.relayed[0]));
	assert_int_equal(sources_relay(&config, map, found.relayed[0])->id, 1);
	assert_int_equal(sources_relay(&config, map, found.relayed[2])->id, 3);
	assert_int_equal(sources_relay(&config, map, found.relayed[3])->id, 3);
	assert_null(sources_relay(&config, map, ONE ":3340#127.0.0.1"));
	assert_null(sources_relay(&config, map, ONE ":443#vps.example"));
	assert_null(sources_relay(&config, map, "https://a.example"));
	assert_null(sources_relay(&config, map, ""));
#undef ONE
#undef TWO
}

/* So many relays, and one whose name makes no URL. */
static void test_many_relays(void **state)
{
	char host[FIELD_HOST_MAX];

	for (uint32_t id = 1; id < ARRAY_LEN(relays); id++)
		for (int k = 0; k < NODE_RELAY_HOSTS_MAX; k++) {
			(void) snprintf(host, sizeof(host), "h%d.r%u.example", k, id);
			add_relay(id, 443, host);
		}
	memset(relays[2].hosts[0], 'a', 60);
	memset(relays[2].hosts[0] + 60, '.', 1);
	memset(relays[2].hosts[0] + 61, 'b', 60);
	relays[2].hosts[0][121] = '\0';
	find(ARRAY_LEN(relays) - 1);
	assert_int_equal(found.n_relayed, SOURCES_RELAYED_MAX);
	assert_non_null(strstr(found.relayed[1], "#h1.r2.example"));
}

/* One whose node is not there (yet) cannot be asked by that node's addresses. */
static void test_unknown_node(void **state)
{
	add_coordinator(3, 8443);
	find(2);
	assert_urls("https://a.example");
	config.node = 3;
	find(2);
	assert_urls("https://a.example");
}

/* All that settings and configuration may hold has room. */
static void test_most(void **state)
{
	char url[64];

	for (uint32_t i = 1; i <= SETTINGS_COORDINATORS_MAX; i++)
		add_coordinator(i, 8443);
	for (unsigned i = 0; i < FIELD_URLS_MAX; i++) {
		(void) snprintf(url, sizeof(url), "https://s%u.example", i);
		add_url(url);
		(void) snprintf(url, sizeof(url), "https://c%u.example", i);
		add_config_url(url);
	}
	for (uint32_t id = 2; id < 2 + SOURCES_RELAYED_MAX / NODE_RELAY_HOSTS_MAX; id++)
		for (unsigned i = 0; i < NODE_RELAY_HOSTS_MAX; i++) {
			(void) snprintf(url, sizeof(url), "r%u.n%u.example", i, id);
			add_relay(id, 443, url);
		}
	find(SETTINGS_COORDINATORS_MAX);
	assert_int_equal(found.n_made, SOURCES_MADE_MAX);
	assert_int_equal(found.n_urls, HTTP_URLS_MAX);
	assert_string_equal(found.urls[HTTP_URLS_MAX - 1], "https://c15.example");
}

/* --- pins --- */

static void test_pins(void **state)
{
	pin(settings.pins[settings.n_pins++], 1);
	settings.has_next_pin = true;
	pin(settings.next_pin, 2);
	pin(config.pins[0], 1);
	pin(config.pins[1], 3);
	config.n_pins = 2;
	find(1);
	assert_pins("AQAgAw");
	settings.has_next_pin = false;
	find(1);
	assert_pins("AQAw");
}

/* The newest ones have room. */
static void test_most_pins(void **state)
{
	for (unsigned i = 0; i < FIELD_PINS_MAX; i++) {
		pin(settings.pins[settings.n_pins++], (uint8_t) (i + 1));
		pin(config.pins[config.n_pins++], (uint8_t) (i + 11));
	}
	settings.has_next_pin = true;
	pin(settings.next_pin, 9);
	find(1);
	assert_pins("AQAgAwBA");
}

/* --- what is made of them --- */

static void test_made(void **state)
{
	add_coordinator(1, 8443);
	add_coordinator(2, 8443);
	find(2);
	assert_true(sources_made(&found, "https://127.0.0.1:8443"));
	assert_true(sources_made(&found, "https://[fd12:3456:789a::2]:8443"));
	assert_false(sources_made(&found, "https://a.example"));
	assert_false(sources_made(&found, ""));
}

static void test_text(void **state)
{
	CLEANUP(free_p) char *first = NULL, *other = NULL, *text = NULL;

	find(1);
	first = sources_text(&found);
	assert_non_null(first);
	find(1);
	text = sources_text(&found);
	assert_string_equal(first, text);
	add_url("https://b.example");
	find(1);
	other = sources_text(&found);
	assert_string_not_equal(first, other);
	free(text);
	pin(settings.pins[settings.n_pins++], 2);
	find(1);
	text = sources_text(&found);
	assert_string_not_equal(other, text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(no_settings),
		TEST(order),
		TEST(relays),
		TEST(many_relays),
		TEST(no_duplicate),
		TEST(unknown_node),
		TEST(most),
		TEST(pins),
		TEST(most_pins),
		TEST(made),
		TEST(text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
