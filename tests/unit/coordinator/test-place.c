/* place: when the mesh is told on which of its nodes the coordinator runs. */
#include "world.h"

#include <errno.h>

#include "coordinator/place.h"
#include "fake-machine.h"

static int begin(void **state)
{
	memset(&fake_machine, 0, sizeof(fake_machine));
	return world_open(state);
}

static int end(void **state)
{
	assert_int_equal(fake_machine.lists, 0);
	return world_close(state);
}

/* The node and port that the settings name; 0: none. */
static uint32_t told(const struct coord *c, uint16_t *ret_port)
{
	const struct settings *s = coord_settings(c);

	assert_true(s->n_coordinators <= 1);
	*ret_port = s->n_coordinators ? s->coordinators[0].port : 0;
	return s->n_coordinators ? s->coordinators[0].node : 0;
}

/* Looks, and the disk writes. Returns how many records came of it. */
static unsigned look(struct coord *c)
{
	uint64_t head = mesh_log_head(ledger_log(c->ledger));

	place_refresh(c);
	(void) fake_store_flush();
	return (unsigned) (mesh_log_head(ledger_log(c->ledger)) - head);
}

static void test_found(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	struct board b = world_node(c, 2, "b", NODE_ROLE_WORKER);
	uint16_t port;

	fake_machine.addrs[1] = "192.0.2.7"; /* none of the mesh's */
	fake_machine.addrs[2] = "10.77.0.9"; /* of nobody */
	assert_int_equal(look(c), 0);
	assert_int_equal(told(c, &port), 0);
	fake_machine.addrs[0] = "10.77.0.1";
	assert_int_equal(look(c), 1);
	assert_int_equal(told(c, &port), a.id);
	assert_int_equal(port, API_PORT);
	assert_int_equal(look(c), 0);
	/* It went elsewhere: its old place is no more. By IPv6, too. */
	char text[IP_TEXT_MAX];

	ip_addr_format(&world_find(c, &b)->mesh6, text);
	fake_machine.addrs[0] = text;
	assert_int_equal(look(c), 1);
	assert_int_equal(told(c, &port), b.id);
	c->port = 9443;
	assert_int_equal(look(c), 1);
	assert_int_equal(told(c, &port), b.id);
	assert_int_equal(port, 9443);
	/* The interface is away for a while: it is still there. */
	fake_machine.addrs[0] = NULL;
	assert_int_equal(look(c), 0);
	fake_machine.addrs_fail = EMFILE;
	assert_int_equal(look(c), 0);
	assert_int_equal(told(c, &port), b.id);
}

/* Asked twice, or the node goes before its turn comes. */
static void test_meanwhile(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);
	uint64_t head = mesh_log_head(ledger_log(c->ledger));
	struct settings copy = { 0 };
	struct tombstone gone = { .id = a.id, .reason = "removed" };
	uint16_t port;

	fake_machine.addrs[0] = "10.77.0.1";
	place_refresh(c);
	place_refresh(c);
	(void) fake_store_flush();
	assert_int_equal(mesh_log_head(ledger_log(c->ledger)), head + 1);
	settings_copy(coord_settings(c), &copy);
	copy.n_coordinators = 0;
	world_record(c, RECORD_TYPE_SETTINGS, settings_to_json(&copy));
	settings_done(&copy);
	world_submit(c, RECORD_TYPE_NODE, node_to_json(world_find(c, &a)));
	world_submit(c, RECORD_TYPE_TOMBSTONE, tombstone_to_json(&gone));
	place_refresh(c); /* its turn is after these */
	fake_log_forget();
	(void) fake_store_flush();
	assert_null(world_find(c, &a));
	assert_int_equal(told(c, &port), 0);
	assert_int_equal(fake_log_says("this machine is"), 0);
}

/*
 * A board that announces itself may be this machine's own: as long as none is known, it is looked.
 */
static void test_board_came(void **state)
{
	struct coord *c = *state;
	uint16_t port;

	(void) world_node(c, 1, "a", NODE_ROLE_WORKER);
	place_board_came(c);
	assert_int_equal(fake_machine.asked, 1);
	fake_machine.addrs[0] = "10.77.0.1";
	place_board_came(c);
	(void) fake_store_flush();
	assert_int_equal(told(c, &port), 1);
	assert_int_equal(fake_machine.asked, 2);
	place_board_came(c);
	assert_int_equal(fake_machine.asked, 2);
}

/* What fails is tried again at the next look. */
static void test_disk(void **state)
{
	struct coord *c = *state;
	uint16_t port;

	(void) world_node(c, 1, "a", NODE_ROLE_WORKER);
	fake_machine.addrs[0] = "10.77.0.1";
	fake_store_fails = -ENOSPC;
	assert_int_equal(look(c), 0);
	assert_int_equal(look(c), 0);
	assert_int_equal(fake_log_says("cannot be announced"), 1); /* once */
	assert_int_equal(fake_log_says("this machine is"), 0);
	fake_store_fails = 0;
	assert_int_equal(look(c), 1);
	assert_int_equal(fake_log_says("this machine is a:"), 1);
	assert_int_equal(fake_log_says("cannot be announced"), 1);
	assert_int_equal(told(c, &port), 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_found),
		TEST(test_meanwhile),
		TEST(test_board_came),
		TEST(test_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
