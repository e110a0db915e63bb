/* offer: when the coordinator is told, what, and what people are told of it. */
#include "fake-core.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "board/relayfile.h"
#include "node/offer.h"

#define SECOND USEC_PER_SEC

static struct core *core;
static struct offer *offer;
static struct candidates own;
static const struct reached *said; /* by the relay; NULL: nothing */
static char dir[] = "/tmp/hearth-offer-XXXXXX", path[64];

static struct {
	unsigned n;
	json_t *doc;
	int fails;
} put;

static int on_put(void *ctx, const json_t *doc, struct err *err)
{
	assert_ptr_equal(ctx, &put);
	put.n++;
	json_decref(put.doc);
	put.doc = json_deep_copy(doc);
	return put.fails < 0 ? err_set(err, put.fails, "no way") : 0;
}

static const struct offer_hooks hooks = { .put = on_put };

static int set_up(void **state)
{
	memcpy(dir, "/tmp/hearth-offer-XXXXXX", sizeof(dir));
	memset(&put, 0, sizeof(put));
	memset(&own, 0, sizeof(own));
	said = NULL;
	core = fake_core_new();
	assert_non_null(mkdtemp(dir));
	(void) snprintf(core->paths.etc, sizeof(core->paths.etc), "%s", dir);
	(void) snprintf(path, sizeof(path), "%s/relay.json", dir);
	offer = offer_new(core, &hooks, &put);
	assert_non_null(offer);
	return 0;
}

static int tear_down(void **state)
{
	offer = offer_free(offer);
	core = fake_core_free(core);
	json_decref(put.doc);
	(void) unlink(path);
	assert_int_equal(rmdir(dir), 0);
	return 0;
}

static void have(const char *address)
{
	assert_int_equal(endpoint_parse(address, &own.endpoints[own.n_endpoints++]), 0);
}

static struct relayfile named(const char *host)
{
	struct relayfile file = {
		.relay = { .n_hosts = 1, .tcp = 443, .udp = 3478, .pin = { 1 }, .key = { 2 } }
	};

	(void) snprintf(file.relay.hosts[0], sizeof(file.relay.hosts[0]), "%s", host);
	return file;
}

static void write_file(const struct relayfile *file)
{
	assert_int_equal(relayfile_write(path, file, NULL), 0);
}

static void look(void)
{
	offer_look(offer, core_self(core), &own, said);
}

/* The record says what was put. */
static void follow(const struct node_relay *relay)
{
	CLEANUP_NODE struct node node = { 0 };

	assert_int_equal(node_copy(core_self(core), &node), 0);
	node_relay_done(&node.relay);
	node.relay = *relay;
	fake_core_put_node(&node);
}

static const char *host_put(size_t i)
{
	const json_t *relay = json_object_get(put.doc, "relay");

	return json_string_value(json_array_get(json_object_get(relay, "hosts"), i));
}

static void test_no_relay(void **state)
{
	look();
	fake_event_pass(3600 * SECOND);
	look();
	assert_int_equal(put.n, 0);
	fake_core_wrong(core, "relay-offer", NULL);
	fake_core_wrong(core, "relay-file", NULL);
	offer_look(offer, NULL, &own, said); /* not in the mesh */
}

static void test_until_it_follows(void **state)
{
	struct relayfile file = named("vps.example.org");

	write_file(&file);
	look();
	assert_int_equal(put.n, 1);
	assert_string_equal(host_put(0), "vps.example.org");
	look(); /* it is under way */
	assert_int_equal(put.n, 1);
	offer_put_ended(offer, 0, NULL);
	look();
	fake_core_wrong(core, "relay-offer", NULL); /* it has had no time yet */
	fake_event_pass(6 * SECOND);
	look();
	fake_core_wrong(
		core, "relay-offer", "`hearth relay allow node-1` on the coordinator's board");
	assert_int_equal(put.n, 1);
	fake_event_pass(OFFER_AGAIN_US); /* the coordinator may have forgotten it */
	look();
	assert_int_equal(put.n, 2);
	offer_put_ended(offer, 0, NULL);
	follow(&file.relay);
	look();
	fake_core_wrong(core, "relay-offer", NULL);
	fake_event_pass(OFFER_AGAIN_US);
	look();
	assert_int_equal(put.n, 2);
}

/* An administrator said where it is: that stands, though it goes on saying what it knows itself. */
static void test_other_hosts(void **state)
{
	struct relayfile file = named("vps.example.org"), other = named("203.0.113.9");

	write_file(&file);
	follow(&other.relay);
	look();
	assert_int_equal(put.n, 1); /* it has not been told */
	offer_put_ended(offer, 0, NULL);
	fake_event_pass(6 * SECOND);
	look();
	fake_core_wrong(core, "relay-offer", NULL);
	assert_int_equal(put.n, 1);
	fake_event_pass(OFFER_AGAIN_US);
	look();
	assert_int_equal(put.n, 2);
	offer_put_ended(offer, 0, NULL);
	other.relay.tcp = 8443; /* that is another relay */
	follow(&other.relay);
	fake_event_pass(6 * SECOND);
	look();
	fake_core_wrong(core, "relay-offer", "`hearth relay allow");
}

static void test_refused(void **state)
{
	struct relayfile file = named("vps.example.org");
	struct err why = { 0 };

	err_set(&why, -EPERM, "not you");
	write_file(&file);
	look();
	offer_put_ended(offer, -EPERM, &why);
	fake_core_wrong(
		core, "relay-offer", "is to be a relay, but the coordinator was not told: not you");
	look();
	assert_int_equal(put.n, 1);
	fake_event_pass(2 * SECOND);
	look();
	assert_int_equal(put.n, 2);
	offer_put_ended(offer, -EPERM, &why);
	fake_event_pass(2 * SECOND);
	look();
	assert_int_equal(put.n, 2); /* ever more seldom */
	fake_event_pass(2 * SECOND);
	look();
	assert_int_equal(put.n, 3);
	offer_put_ended(offer, -EPERM, &why);
	/* ... unless it is something else that is wanted */
	file = named("other.example.org");
	write_file(&file);
	look();
	assert_int_equal(put.n, 4);
	assert_string_equal(host_put(0), "other.example.org");
}

static void test_cannot_be_sent(void **state)
{
	struct relayfile file = named("vps.example.org");

	put.fails = -ENOMEM;
	write_file(&file);
	look();
	assert_int_equal(put.n, 1);
	fake_core_wrong(core, "relay-offer", "no way");
	put.fails = 0;
	fake_event_pass(2 * SECOND);
	look();
	assert_int_equal(put.n, 2);
}

static void test_no_more(void **state)
{
	struct relayfile file = named("vps.example.org");

	follow(&file.relay);
	look();
	assert_int_equal(put.n, 1);
	assert_true(json_is_null(json_object_get(put.doc, "relay")));
	offer_put_ended(offer, 0, NULL);
	fake_event_pass(6 * SECOND);
	look();
	fake_core_wrong(core, "relay-offer", "still lists this board as a relay");
	follow(&(struct node_relay){ 0 });
	look();
	fake_core_wrong(core, "relay-offer", NULL);
}

/* A file that is wrong changes nothing: the record stays as it is. */
static void test_damaged(void **state)
{
	struct relayfile file = named("vps.example.org");

	follow(&file.relay);
	assert_int_equal(file_write_atomic(path, "{", 1, 0644), 0);
	look();
	assert_int_equal(put.n, 0);
	fake_core_wrong(core, "relay-file", path);
	write_file(&file);
	look();
	assert_int_equal(put.n, 0);
	fake_core_wrong(core, "relay-file", NULL);
}

static void test_own_addresses(void **state)
{
	struct relayfile file = named("");

	file.automatic = true;
	file.relay.n_hosts = 0;
	write_file(&file);
	look();
	assert_int_equal(put.n, 0); /* there is none yet, and what the record says may be right */
	have("192.168.1.5:41741");
	have("[fd12::5]:41741");
	look();
	assert_int_equal(put.n, 1);
	assert_string_equal(host_put(0), "192.168.1.5");
	assert_string_equal(host_put(1), "fd12::5");
	offer_put_ended(offer, 0, NULL);
	have("203.0.113.5:41741");
	have("203.0.113.5:41742");
	have("[2001:db8::5]:41741");
	have("[fe80::5%3]:41741");
	look();
	assert_int_equal(put.n, 2);
	assert_string_equal(host_put(0), "203.0.113.5");
	assert_string_equal(host_put(1), "2001:db8::5");
	assert_null(host_put(2));
}

static const json_t *reached_put(const char *way, const char *key)
{
	return json_object_get(json_object_get(json_object_get(put.doc, "reached"), way), key);
}

/* By whom it was reached from outside: once it is in use, and not without end. */
static void test_reached(void **state)
{
	struct relayfile file = named("vps.example.org");
	struct reached reached = { 0 };
	struct err why = { 0 };

	write_file(&file);
	follow(&file.relay);
	look();
	assert_int_equal(put.n, 0); /* the relay does not run */
	said = &reached;
	look();
	assert_int_equal(put.n, 1);
	assert_string_equal(host_put(0), "vps.example.org");
	assert_true(json_is_null(json_object_get(json_object_get(put.doc, "reached"), "udp")));
	look(); /* it is under way */
	offer_put_ended(offer, 0, NULL);
	look();
	assert_int_equal(put.n, 1);
	fake_event_pass(OFFER_TELL_US);
	look();
	assert_int_equal(put.n, 1); /* nothing new */
	reached.ways[REACHED_UDP].node = 3;
	reached.ways[REACHED_UDP].at_us = clock_now_us() - 5 * SECOND;
	look();
	assert_int_equal(put.n, 2);
	assert_int_equal(json_integer_value(reached_put("udp", "node")), 3);
	assert_int_equal(json_integer_value(reached_put("udp", "ago")), 5);
	err_set(&why, -EPERM, "not you");
	offer_put_ended(offer, -EPERM, &why);
	fake_core_wrong(core, "relay-offer", NULL); /* nobody misses anything */
	reached.ways[REACHED_TCP].node = 2;
	look();
	assert_int_equal(put.n, 2); /* another way, but so soon */
	fake_event_pass(OFFER_TELL_US);
	look();
	assert_int_equal(put.n, 3);
	offer_put_ended(offer, 0, NULL);
	fake_event_pass(OFFER_AGAIN_US - SECOND);
	look();
	assert_int_equal(put.n, 3);
	fake_event_pass(SECOND); /* the coordinator may have forgotten it */
	look();
	assert_int_equal(put.n, 4);
	offer_put_ended(offer, 0, NULL);
	file = named("other.example.org"); /* where it is goes on as ever */
	write_file(&file);
	look();
	assert_int_equal(put.n, 5);
	assert_string_equal(host_put(0), "other.example.org");
	offer_put_ended(offer, -EPERM, &why);
	fake_core_wrong(core, "relay-offer", "not told");
}

static void test_many_addresses(void **state)
{
	struct node_relay relay = { 0 };

	for (unsigned i = 1; i <= NODE_RELAY_HOSTS_MAX + 2; i++) {
		char text[32];

		(void) snprintf(text, sizeof(text), "203.0.113.%u:41741", i);
		have(text);
	}
	offer_choose_hosts(&own, &relay);
	assert_int_equal(relay.n_hosts, NODE_RELAY_HOSTS_MAX);
}

/* What is wrong with the relays that this board uses is theirs to say (relays.h), and to take back. */
static void test_others(void **state)
{
	struct relayfile file = named("relay.example.org");
	struct err err = { 0 };

	err_set(&err, -EHOSTUNREACH, "no relay answers");
	problem_set(&core->problems, "relay", &err);
	look(); /* no relay, as the record says */
	fake_core_wrong(core, "relay", "no relay answers");
	write_file(&file);
	look();
	offer_put_ended(offer, 0, NULL);
	follow(&file.relay);
	look();
	fake_core_wrong(core, "relay-offer", NULL);
	fake_core_wrong(core, "relay", "no relay answers");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_relay, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_until_it_follows, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_other_hosts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cannot_be_sent, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_more, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_damaged, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_own_addresses, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reached, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many_addresses, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_others, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
