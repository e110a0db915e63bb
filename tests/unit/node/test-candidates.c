/* candidates: what hearthd makes of verdicts. Which verdicts there are is test-links' business. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "node/candidates.h"

enum { MAX = 256 };
static struct link_verdict verdicts[MAX];

static struct links links_of(size_t n)
{
	memset(verdicts, 0, sizeof(verdicts));
	return (struct links){ .list = verdicts, .n = n };
}

static struct link_verdict *verdict(
	struct links *links, const char *name, enum link_class class, const char *addr)
{
	struct link_verdict *v = &links->list[links->n++];

	strcpy(v->name, name);
	v->class = class;
	v->inside = class == LINK_CLASS_CONTAINER;
	v->mtu = 1500;
	if (addr) {
		links->addrs[links->n_addrs].link = links->n - 1;
		assert_int_equal(ip_addr_parse(addr, &links->addrs[links->n_addrs++].addr), 0);
	}
	return v;
}

static void test_endpoints(void **state)
{
	struct links links = links_of(0);
	struct candidates found;
	char text[ENDPOINT_TEXT_MAX], all[1024] = "";

	verdict(&links, "eth0", LINK_CLASS_UPLINK, "2001:db8::11")->has_default = true;
	verdict(&links, "wlan0", LINK_CLASS_UPLINK, "192.168.60.11");
	verdict(&links, "eth1", LINK_CLASS_UPLINK, "192.168.50.11");
	candidates_find(&links, 41741, &found);
	for (size_t i = 0; i < found.n_endpoints; i++) {
		strcat(all, " ");
		strcat(all, endpoint_format(&found.endpoints[i], text));
	}
	assert_string_equal(all, " 192.168.50.11:41741 192.168.60.11:41741 [2001:db8::11]:41741");
}

static void test_names(void **state)
{
	struct links links = links_of(0);
	struct candidates found;

	verdict(&links, "virbr0", LINK_CLASS_CONTAINER, NULL);
	verdict(&links, "docker0", LINK_CLASS_CONTAINER, NULL);
	verdict(&links, "veth1a2b3c4", LINK_CLASS_CONTAINER, NULL); /* by pattern */
	verdict(&links, "veth5a6b7c8", LINK_CLASS_PORT, NULL);
	verdict(&links, "hth0123456789", LINK_CLASS_POD, NULL);
	verdict(&links, "veth0", LINK_CLASS_UPLINK, NULL); /* against it */
	verdict(&links, "eth0", LINK_CLASS_UPLINK, NULL);
	verdict(&links, "new0", LINK_CLASS_UNKNOWN, NULL);
	verdict(&links, "wg0", LINK_CLASS_OVERLAY, NULL);
	candidates_find(&links, 1, &found);
	assert_int_equal(found.n_inside, 2);
	assert_string_equal(found.inside[0], "docker0");
	assert_string_equal(found.inside[1], "virbr0");
	assert_int_equal(found.n_outside, 1);
	assert_string_equal(found.outside[0], "veth0");
}

static void test_many_names(void **state)
{
	struct links links = links_of(0);
	struct candidates found;
	char name[IFNAMSIZ];

	for (int i = 0; i < MAX; i++) {
		snprintf(name, sizeof(name), "docker%d", i);
		verdict(&links, name, LINK_CLASS_CONTAINER, NULL);
	}
	candidates_find(&links, 1, &found);
	assert_int_equal(found.n_inside, CANDIDATES_LINKS_MAX);
}

static void test_equal(void **state)
{
	struct links links = links_of(0);
	struct candidates before, after;

	verdict(&links, "eth0", LINK_CLASS_UPLINK, "192.168.50.11")->has_default = true;
	candidates_find(&links, 1, &before);
	verdict(&links, "veth1a2b3c4", LINK_CLASS_CONTAINER, NULL);
	verdict(&links, "veth5a6b7c8", LINK_CLASS_PORT, NULL);
	links.list[0].has_default = false;
	candidates_find(&links, 1, &after);
	assert_true(
		candidates_equal(&before, &after)); /* containers, and a default route that went */
	verdict(&links, "docker0", LINK_CLASS_CONTAINER, NULL);
	candidates_find(&links, 1, &after);
	assert_false(candidates_equal(&before, &after));
	before = after;
	verdict(&links, "veth0", LINK_CLASS_UNKNOWN, NULL);
	candidates_find(&links, 1, &after);
	assert_false(candidates_equal(&before, &after));
	before = after;
	verdict(&links, "eth1", LINK_CLASS_UPLINK, "192.168.60.11");
	candidates_find(&links, 1, &after);
	assert_false(candidates_equal(&before, &after));
	candidates_find(&links, 2, &before);
	assert_false(candidates_equal(&before, &after));
}

static void test_mtu(void **state)
{
	struct links links = links_of(0);
	struct candidates found;

	verdict(&links, "lo", LINK_CLASS_LOOPBACK, "198.51.100.7")->mtu = 65536;
	candidates_find(&links, 1, &found);
	assert_int_equal(found.mtu, 0);
	verdict(&links, "eth1", LINK_CLASS_UPLINK, "192.168.60.11")->mtu = 9000;
	verdict(&links, "eth2", LINK_CLASS_UPLINK, NULL)->mtu = 9100; /* without an address */
	candidates_find(&links, 1, &found);
	assert_int_equal(found.mtu, 9000);
	verdict(&links, "eth0", LINK_CLASS_UPLINK, "192.168.50.11")->has_default = true;
	candidates_find(&links, 1, &found);
	assert_int_equal(found.mtu, 1500);
}

static void test_interface_mtu(void **state)
{
	assert_int_equal(candidates_interface_mtu(0), 1420);
	assert_int_equal(candidates_interface_mtu(1500), 1420);
	assert_int_equal(candidates_interface_mtu(1492), 1412);
	assert_int_equal(candidates_interface_mtu(9000), 8920);
	assert_int_equal(candidates_interface_mtu(1280), 1280);
	assert_int_equal(candidates_interface_mtu(576), 1280);
	assert_int_equal(candidates_interface_mtu(4000000), 65455);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_endpoints),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_many_names),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_mtu),
		cmocka_unit_test(test_interface_mtu),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
