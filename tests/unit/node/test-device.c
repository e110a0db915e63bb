/* device: who gets the name back, when, and what is said if it cannot be had. */
#include "fake-core.h"
#include "fake-net.h"

#include "node/device.h"
#include "node/iface.h"

/* --- instead of the tunnel --- */

static bool removed, forgotten;

int tunnel_device_name(const struct tunnel *tunnel, char ret_name[static IF_NAMESIZE])
{
	(void) strcpy(ret_name, "whatever");
	return removed ? -EBADFD : 0;
}

void tunnel_forget_device(struct tunnel *tunnel)
{
	forgotten = true;
}

/* --- */

static struct core *core;
static struct device *device;

static void on_ipv6(void *ctx, enum iface_ipv6 found)
{
}

static const struct device_hooks hooks = { .ipv6 = on_ipv6 };

static int set_up(void **state)
{
	fake_net_reset();
	removed = forgotten = false;
	core = fake_core_new();
	device = device_new(core, &hooks, NULL);
	assert_non_null(device);
	return 0;
}

static int tear_down(void **state)
{
	device = device_free(device);
	core = fake_core_free(core);
	return 0;
}

/* The tunnel's device, which is called @name. */
static int add_ours(const char *name)
{
	struct link *link = fake_net_link(name, "tun");

	(void) iface_alias("home", 1, link->alias);
	return link->index;
}

static int hold(int index)
{
	return device_hold(device, NULL, index);
}

static void test_has_its_name(void **state)
{
	assert_int_equal(hold(add_ours("hearth0")), 0);
	assert_int_equal(fake_net.changes, 0);
	fake_core_wrong(core, "device", NULL);
	assert_int_equal(fake_core_logged(""), 0);
}

static void test_renamed(void **state)
{
	int index = add_ours("wg7");

	assert_int_equal(hold(index), 0);
	assert_int_equal(fake_net_get("hearth0")->index, index);
	assert_true(fake_net_get("hearth0")->flags & IFF_UP);
	fake_core_wrong(core, "device", NULL);
	assert_int_equal(
		fake_core_logged("hearth0 was renamed to wg7 by another program; it has its"), 1);
	assert_false(forgotten);
}

/* Before Linux 6.2 it is taken down for that. */
static void test_busy_while_up(void **state)
{
	int index = add_ours("wg7");

	fake_net.busy_while_up = true;
	assert_int_equal(hold(index), 0);
	assert_int_equal(fake_net_get("hearth0")->index, index);
	fake_core_wrong(core, "device", NULL);
}

static void test_name_is_taken(void **state)
{
	int index = add_ours("wg7");

	(void) fake_net_link("hearth0", "dummy");
	assert_int_equal(hold(index), 0);
	assert_int_equal(fake_net_get("wg7")->index, index);
	fake_core_wrong(core, "device", "its interface hearth0 was renamed to wg7");
	fake_core_wrong(core, "device", "the name of another link now (number 2, a dummy)");
	/* No try that failed counts as one more fight: as soon as it can be had it is. */
	for (int i = 0; i < 10; i++)
		assert_int_equal(hold(index), 0);
	fake_net_get("hearth0")->name[0] = 'x';
	assert_int_equal(hold(index), 0);
	assert_int_equal(fake_net_get("hearth0")->index, index);
	fake_core_wrong(core, "device", NULL);
}

/* Whoever put it right himself ends the problem, too. */
static void test_mended(void **state)
{
	int index = add_ours("wg7");

	fake_net.refuses = "link_set_name";
	fake_net.with = -EPERM;
	assert_int_equal(hold(index), 0);
	fake_core_wrong(core, "device", "link_set_name: Operation not permitted");
	(void) strcpy(fake_net_get("wg7")->name, "hearth0");
	assert_int_equal(hold(index), 0);
	fake_core_wrong(core, "device", NULL);
}

/* Three times at once, then there is a pause; nothing is renamed in it. */
static void test_fight(void **state)
{
	int index = add_ours("wg7");

	for (int i = 0; i < 3; i++) {
		assert_int_equal(hold(index), 0);
		(void) strcpy(fake_net_get("hearth0")->name, "wg7");
	}
	fake_core_wrong(core, "device", NULL);
	assert_int_equal(hold(index), 0);
	assert_int_equal(fake_net_get("wg7")->index, index);
	fake_core_wrong(core, "device", "renamed again and again");
	fake_event_pass(2 * USEC_PER_SEC);
	assert_int_equal(hold(index), 0);
	assert_int_equal(fake_net_get("hearth0")->index, index);
	fake_core_wrong(core, "device", NULL);
}

static void test_moved_away(void **state)
{
	assert_int_equal(hold(7), -ENODEV);
	assert_true(forgotten);
	assert_int_equal(fake_core_logged("moved to another network namespace"), 1);
}

/* The tunnel tells of that itself. */
static void test_removed(void **state)
{
	removed = true;
	assert_int_equal(hold(7), 0);
	assert_false(forgotten);
	assert_int_equal(fake_core_logged(""), 0);
}

/* The kernel does not answer: that says nothing of the name. */
static void test_unknown(void **state)
{
	int index = add_ours("wg7");

	fake_net.refuses = "link_get";
	fake_net.with = -ENOBUFS;
	assert_int_equal(hold(index), 0);
	assert_false(forgotten);
	assert_int_equal(fake_net.changes, 0);
}

/* --- what a hearthd that ended left behind --- */

static void test_reclaim(void **state)
{
	int index = add_ours("wg7");

	(void) strcpy(fake_net_link("wg8", "tun")->alias, "somebody else's");
	device_reclaim(device);
	assert_int_equal(fake_net_get("hearth0")->index, index);
	assert_int_equal(fake_net.changes, 1);
	assert_int_equal(fake_core_logged("renamed to wg7 while hearthd did not run; it has"), 1);
}

static void test_reclaim_another(void **state)
{
	(void) add_ours("wg7");
	(void) fake_net_link("hearth0", "tun");
	device_reclaim(device);
	assert_int_equal(fake_net.n_links, 1);
	assert_int_equal(fake_net_get("hearth0")->index, 2);
	assert_int_equal(fake_core_logged("while hearthd did not run; it is removed"), 1);
}

/* Another mesh's of this machine, and one that is no TUN device, are not touched. */
static void test_reclaim_nothing(void **state)
{
	struct link *other = fake_net_link("wg7", "tun");

	(void) iface_alias("home", 2, other->alias);
	other = fake_net_link("wg8", "dummy");
	(void) iface_alias("home", 1, other->alias);
	device_reclaim(device);
	assert_int_equal(fake_net.changes, 0);
	assert_int_equal(fake_core_logged(""), 0);
}

static void test_reclaim_fails(void **state)
{
	(void) add_ours("wg7");
	fake_net.refuses = "link_set_name";
	fake_net.with = -EPERM;
	device_reclaim(device);
	assert_int_equal(fake_core_logged("Operation not permitted, ignoring"), 1);
	fake_core_wrong(core, "device", NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(has_its_name),
		TEST(renamed),
		TEST(busy_while_up),
		TEST(name_is_taken),
		TEST(mended),
		TEST(fight),
		TEST(moved_away),
		TEST(removed),
		TEST(unknown),
		TEST(reclaim),
		TEST(reclaim_another),
		TEST(reclaim_nothing),
		TEST(reclaim_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
