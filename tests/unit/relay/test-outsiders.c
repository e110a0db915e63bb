/* outsiders: who shows that the relay is reached from outside, and who does not. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "relay/outsiders.h"

enum { BOARDS = 4 };

static struct {
	struct ip_addr local;
	int fails;
	bool bound[BOARDS + 1], connected[BOARDS + 1];
	struct ip_addr from[BOARDS + 1];
	unsigned asked; /* the kernel, for an address of ours */
} fake;

static struct ip_addr address(const char *text)
{
	struct ip_addr addr = { 0 };

	assert_int_equal(ip_addr_parse(text, &addr), 0);
	return addr;
}

int __wrap_connect(int fd, const struct sockaddr *to, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *to, socklen_t len)
{
	fake.asked++;
	errno = -fake.fails;
	return fake.fails ? -1 : 0;
}

int __wrap_getsockname(int fd, struct sockaddr *ret, socklen_t *len);
int __wrap_getsockname(int fd, struct sockaddr *ret, socklen_t *len)
{
	const struct endpoint local = { .addr = fake.local, .port = 1 };

	*len = endpoint_to_sockaddr(&local, (struct sockaddr_storage *) ret);
	return 0;
}

bool __wrap_udp_has(
	const struct udp *udp, uint32_t node, uint64_t now_us, struct ip_addr *ret_from);
bool __wrap_udp_has(const struct udp *udp, uint32_t node, uint64_t now_us, struct ip_addr *ret_from)
{
	*ret_from = fake.from[node];
	return fake.bound[node];
}

bool __wrap_derp_has(const struct derp *derp, const uint8_t key[static DERP_KEY_LEN],
	struct ip_addr *ret_from, uint64_t *ret_since_us);
bool __wrap_derp_has(const struct derp *derp, const uint8_t key[static DERP_KEY_LEN],
	struct ip_addr *ret_from, uint64_t *ret_since_us)
{
	*ret_from = fake.from[key[0]];
	return fake.connected[key[0]];
}

static void test_addresses(void **state)
{
	static const struct {
		const char *from, *local;
		bool outside;
	} cases[] = {
		{ "203.0.113.5", "192.168.1.11", true }, /* a port that is forwarded */
		{ "203.0.113.5", "203.0.113.9", true },  /* a server's neighbour is no LAN's */
		{ "203.0.113.5", "203.0.113.5", false }, /* this machine */
		{ "::ffff:203.0.113.5", "203.0.113.5", false },
		{ "192.168.1.12", "192.168.1.11", false },
		{ "10.1.2.3", "192.168.1.11", false }, /* another house, perhaps: not known */
		{ "100.64.1.2", "203.0.113.9", false },
		{ "127.0.0.1", "127.0.0.1", false },
		{ "2001:db8:1:2::5", "2001:db8:1:3::9", true },
		{ "2001:db8:1:2::5", "2001:db8:1:2::9", false }, /* the same LAN */
		{ "2001:db8:1:2::5", "fd00::9", true },
		{ "fd00:1::5", "2001:db8::9", false },
		{ "fe80::5", "2001:db8::9", false },
		{ "::1", "::1", false },
		{ "::", "::1", false },
		{ "ff02::1", "2001:db8::9", false },
	};
	struct ip_addr none = { 0 }, local = address("192.168.1.11");

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ip_addr from = address(cases[i].from), to = address(cases[i].local);

		if (outsiders_is_one(&from, &to) != cases[i].outside)
			fail_msg("%s at %s", cases[i].from, cases[i].local);
	}
	assert_false(outsiders_is_one(&none, &local));
}

static struct relay_core core;

static int set_up(void **state)
{
	struct relay_member list[BOARDS] = { 0 };

	memset(&fake, 0, sizeof(fake));
	fake.local = address("192.168.1.11");
	core.members = members_new();
	for (uint32_t id = 1; id <= BOARDS; id++) {
		list[id - 1].id = id;
		list[id - 1].wg[0] = list[id - 1].identity[0] = (uint8_t) id;
	}
	return members_set(core.members, list, BOARDS);
}

static int tear_down(void **state)
{
	core.members = members_free(core.members);
	return 0;
}

static void look(uint64_t now_us, struct reached *reached)
{
	outsiders_look(&core, (struct udp *) &fake, (struct derp *) &fake, now_us, reached);
}

/* The last one stays noted, by each way for itself. */
static void test_look(void **state)
{
	struct reached reached = { 0 };

	fake.bound[1] = fake.connected[1] = fake.bound[2] = fake.connected[3] = true;
	fake.from[1] = address("192.168.1.12");
	fake.from[2] = address("10.0.0.1");
	fake.from[3] = address("192.168.1.13");
	look(10, &reached);
	assert_int_equal(reached.ways[REACHED_UDP].node, 0);
	assert_int_equal(reached.ways[REACHED_TCP].node, 0);
	assert_int_equal(fake.asked, 0); /* none of them needs it */
	fake.from[2] = address("203.0.113.2");
	look(20, &reached);
	assert_int_equal(reached.ways[REACHED_UDP].node, 2);
	assert_int_equal(reached.ways[REACHED_UDP].at_us, 20);
	assert_int_equal(reached.ways[REACHED_TCP].node, 0);
	fake.from[3] = address("203.0.113.3");
	fake.bound[2] = false;
	look(30, &reached);
	assert_int_equal(reached.ways[REACHED_UDP].node, 2);
	assert_int_equal(reached.ways[REACHED_UDP].at_us, 20);
	assert_int_equal(reached.ways[REACHED_TCP].node, 3);
	assert_int_equal(reached.ways[REACHED_TCP].at_us, 30);
	fake.fails = -ENETUNREACH; /* where the answer would go is not known: nor who that is */
	look(40, &reached);
	assert_int_equal(reached.ways[REACHED_TCP].at_us, 30);
}

static void test_no_udp(void **state)
{
	struct reached reached = { 0 };

	fake.bound[1] = fake.connected[1] = true;
	fake.from[1] = address("203.0.113.2");
	outsiders_look(&core, NULL, (struct derp *) &fake, 10, &reached);
	assert_int_equal(reached.ways[REACHED_UDP].node, 0);
	assert_int_equal(reached.ways[REACHED_TCP].node, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test_setup_teardown(test_look, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_udp, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
