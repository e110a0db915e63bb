/*
 * device: who gets the name back, when, and what is said if it cannot be had; what is made of it,
 * and what is said of those who change it.
 */
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

static unsigned n_found;
static enum iface_ipv6 ipv6; /* found last */

static void on_ipv6(void *ctx, enum iface_ipv6 found)
{
	assert_ptr_equal(ctx, &device);
	n_found++;
	ipv6 = found;
}

static unsigned mtu_of(void *ctx, uint32_t id)
{
	assert_ptr_equal(ctx, &device);
	return 1300 + id;
}

static const struct device_hooks hooks = { .ipv6 = on_ipv6, .mtu = mtu_of };

static int set_up(void **state)
{
	fake_net_reset();
	removed = forgotten = false;
	n_found = 0;
	core = fake_core_new();
	device = device_new(core, &hooks, &device);
	assert_non_null(device);
	return 0;
}

static int tear_down(void **state)
{
	device = device_free(device);
	core = fake_core_free(core);
	fake_net_reset();
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

/* --- what is on it --- */

/* What the mesh wants: this board and two others, on the link that is called hearth0. */
static struct view view(void)
{
	const struct netmap *map = book_netmap(core->book);

	return (struct view){
		.map = map,
		.settings = netmap_settings(map),
		.self = core_self(core),
		.mtu = 1420,
		.ifindex = fake_net_get("hearth0")->index,
	};
}

static int apply(void)
{
	struct view v = view();
	struct err err = { 0 };
	int r = device_apply(device, &v, &err);

	assert_int_equal(err.code, r);
	return r;
}

static void look(void)
{
	struct view v = view();

	device_look(device, &v);
}

/* The tunnel's device as it should be. */
static struct link *make(void)
{
	(void) add_ours("hearth0");
	assert_int_equal(apply(), 0);
	(void) fake_core_logged("");
	return fake_net_get("hearth0");
}

static bool has_addr(const struct ip_addr *addr)
{
	for (size_t i = 0; i < fake_net.n_addrs; i++)
		if (ip_addr_equal(&fake_net.addrs[i].addr, addr))
			return true;
	return false;
}

static void test_apply(void **state)
{
	const struct node *self = core_self(core);
	struct ip_addr link_local = iface_link_local(core->identity_seed, "home", "hearth0");
	struct link *link;

	(void) fake_net_link("eth0", "");
	add_ours("hearth0");
	link = fake_net_get("hearth0");
	link->flags = 0;
	link->alias[0] = 0;
	assert_int_equal(apply(), 0);
	assert_string_equal(link->alias, "Hearth mesh home, node 1");
	assert_true(link->flags & IFF_UP);
	assert_int_equal(link->mtu, 1420);
	assert_int_equal(fake_net.n_addrs, 3);
	assert_true(has_addr(&self->mesh4));
	assert_true(has_addr(&self->mesh6));
	assert_true(has_addr(&link_local));
	/* Of nodes 2 and 3: themselves and their pods, each in both families; none of our own. */
	assert_int_equal(fake_net.n_routes, 8);
	for (size_t i = 0; i < fake_net.n_routes; i++) {
		assert_int_equal(fake_net.routes[i].oif, link->index);
		assert_false(ip_prefix_contains(&fake_net.routes[i].dst, &self->mesh4));
		assert_false(ip_prefix_overlaps(&fake_net.routes[i].dst, &self->pods4));
	}
	assert_int_equal(n_found, 1);
	assert_int_equal(ipv6, IFACE_IPV6_UP);
	assert_true(device_is_whole(device));
	assert_int_equal(fake_core_logged(""), 0); /* what we do ourselves is nobody else's doing */
}

static void test_apply_fails(void **state)
{
	(void) make();
	n_found = 0;
	fake_net_get("hearth0")->mtu = 1500;
	fake_net.refuses = "link_set_mtu";
	fake_net.with = -EPERM;
	assert_int_equal(apply(), -EPERM);
	fake_core_wrong(core, "interface", "link_set_mtu: Operation not permitted");
	assert_false(device_is_whole(device));
	assert_int_equal(n_found, 0); /* what was looked at is not known */
	fake_net.refuses = NULL;
	assert_int_equal(apply(), 0);
	fake_core_wrong(core, "interface", NULL);
	assert_true(device_is_whole(device));
	assert_int_equal(n_found, 1);
}

/* That there is no IPv6 is known also where something else fails. */
static void test_no_ipv6(void **state)
{
	add_ours("hearth0");
	fake_net.refuses = "addr_add6";
	fake_net.with = -EACCES;
	assert_int_equal(apply(), 0);
	assert_int_equal(n_found, 1);
	assert_int_equal(ipv6, IFACE_IPV6_DISABLED);
	fake_core_wrong(core, "interface", NULL);
	fake_net_route("10.77.0.2/32", 99); /* another mesh's */
	assert_int_equal(apply(), -EEXIST);
	assert_int_equal(n_found, 2);
	assert_int_equal(ipv6, IFACE_IPV6_DISABLED);
}

static void test_look(void **state)
{
	(void) make();
	n_found = 0;
	look();
	assert_int_equal(n_found, 1);
	assert_int_equal(fake_core_logged(""), 0);
	fake_core_wrong(core, "interface", NULL);
}

static void test_others_changed_it(void **state)
{
	struct link *link = make();

	link->mtu = 1500;
	look();
	assert_int_equal(link->mtu, 1420);
	assert_int_equal(
		fake_core_logged("another program changed interface hearth0: MTU; it is"), 1);
	link->flags = 0;
	look();
	assert_int_equal(fake_core_logged("hearth0: taken down; it is as it was again"), 1);
	fake_net.n_addrs--;
	look();
	assert_int_equal(
		fake_core_logged(""), 0); /* the link-local one comes back without a word */
	fake_net.n_addrs = 0;
	look();
	assert_int_equal(fake_core_logged("hearth0: addresses; it is as it was again"), 1);
	fake_net.n_routes--;
	look();
	assert_int_equal(fake_core_logged("hearth0: routes; it is as it was again"), 1);
	link->flags = 0;
	link->mtu = 1500;
	fake_net.n_addrs = fake_net.n_routes = 0;
	look();
	assert_int_equal(
		fake_core_logged("hearth0: taken down MTU addresses routes; it is as it was"), 1);
}

/* Then nobody is told that it is as it was. */
static void test_look_fails(void **state)
{
	struct link *link = make();

	link->mtu = 1500;
	fake_net.refuses = "link_set_mtu";
	fake_net.with = -EPERM;
	look();
	fake_core_wrong(core, "interface", "link_set_mtu: Operation not permitted");
	assert_int_equal(fake_core_logged("another program"), 0);
	fake_net.refuses = NULL;
	look();
	fake_core_wrong(core, "interface", NULL);
}

static void test_whole(void **state)
{
	int index;

	assert_true(device_is_whole(device));
	index = add_ours("wg7");
	fake_net.refuses = "link_set_name";
	fake_net.with = -EPERM;
	assert_int_equal(hold(index), 0);
	fake_core_wrong(core, "interface", NULL);
	assert_false(device_is_whole(device));
}

/* --- this board is in no mesh any more --- */

static void test_clear(void **state)
{
	struct link *link = make();

	fake_net.refuses = "link_set_mtu";
	fake_net.with = -EPERM;
	link->mtu = 1500;
	assert_int_equal(apply(), -EPERM);
	link->name[0] = 'x';
	fake_net.refuses = "link_set_name";
	assert_int_equal(hold(link->index), 0);
	link->name[0] = 'h';
	fake_net.refuses = NULL;
	(void) fake_core_logged("");
	device_clear(device);
	fake_core_wrong(core, "interface", NULL);
	fake_core_wrong(core, "device", NULL);
	assert_false(link->flags & IFF_UP);
	assert_int_equal(fake_net.n_addrs, 0);
	assert_int_equal(fake_net.n_routes, 0);
	assert_int_equal(fake_net.n_links, 1);
	assert_int_equal(fake_core_logged("ignoring"), 0);
}

static void test_clear_nothing(void **state)
{
	device_clear(device);
	assert_int_equal(fake_core_logged(""), 0);
}

static void test_clear_fails(void **state)
{
	(void) make();
	fake_net.refuses = "link_set_up";
	fake_net.with = -EPERM;
	device_clear(device);
	assert_int_equal(fake_core_logged("link_set_up: Operation not permitted, ignoring"), 1);
	fake_core_wrong(core, "interface", NULL);
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
		TEST(apply),
		TEST(apply_fails),
		TEST(no_ipv6),
		TEST(look),
		TEST(others_changed_it),
		TEST(look_fails),
		TEST(whole),
		TEST(clear),
		TEST(clear_nothing),
		TEST(clear_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
