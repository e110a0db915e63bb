/* Who may use the relay: found by number and by key, and nobody twice. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "relay/members.h"

static struct relay_member member_of(uint32_t id, uint8_t wg, uint8_t identity)
{
	struct relay_member member = { .id = id };

	memset(member.wg, wg, sizeof(member.wg));
	memset(member.identity, identity, sizeof(member.identity));
	return member;
}

static void test_found(void **state)
{
	const struct relay_member list[] = { member_of(30, 1, 9), member_of(10, 3, 8),
		member_of(20, 2, 7) };
	const struct relay_member *sorted;
	struct members *members = members_new();
	uint8_t key[NODE_KEY_LEN];
	size_t n = 99;

	assert_non_null(members);
	assert_null(members_by_id(members, 10));
	assert_null(members_by_wg(members, list[0].wg));
	(void) members_list(members, &n);
	assert_int_equal(n, 0);
	assert_int_equal(members_set(members, list, 3), 0);
	sorted = members_list(members, &n);
	assert_int_equal(n, 3);
	assert_true(sorted[0].id == 10 && sorted[1].id == 20 && sorted[2].id == 30);
	for (uint32_t id = 0; id < 40; id++) {
		const struct relay_member *found = members_by_id(members, id);

		memset(key, (int) id, sizeof(key));
		if (id == 10 || id == 20 || id == 30)
			assert_int_equal(found->id, id);
		else
			assert_null(found);
		found = members_by_wg(members, key);
		if (id >= 1 && id <= 3)
			assert_int_equal(found->id, 10 * (4 - id));
		else
			assert_null(found);
	}
	assert_int_equal(members_set(members, list, 1), 0);
	assert_non_null(members_by_id(members, 30));
	assert_null(members_by_id(members, 10));
	assert_int_equal(members_set(members, NULL, 0), 0);
	assert_null(members_by_id(members, 30));
	(void) members_free(members);
	(void) members_free(NULL);
}

/* A list that is refused changes nothing. */
static void test_refused(void **state)
{
	const struct relay_member good = member_of(1, 1, 1);
	const struct relay_member bad[][2] = {
		{ member_of(5, 2, 3), member_of(5, 4, 5) },
		{ member_of(5, 2, 3), member_of(6, 2, 5) },
		{ member_of(5, 2, 3), member_of(6, 4, 3) },
	};
	struct members *members = members_new();

	assert_int_equal(members_set(members, &good, 1), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(members_set(members, bad[i], 2), -EINVAL);
		assert_null(members_by_id(members, 5));
		assert_non_null(members_by_id(members, 1));
		assert_non_null(members_by_wg(members, good.wg));
	}
	assert_int_equal(members_set(members, &good, MEMBERS_MAX + 1), -EINVAL);
	assert_non_null(members_by_id(members, 1));
	(void) members_free(members);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
