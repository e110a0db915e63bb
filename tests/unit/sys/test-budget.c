/* Whose time it is: root's, one user's, many users'. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sys/ipc/budget.h"

#define SECOND UINT64_C(1000000)

/* A user who asks as fast as it may, a call of @work_us each time, until @end_us: what it had. */
static uint64_t greedy(
	struct budget *b, uid_t uid, uint64_t work_us, uint64_t *now_us, uint64_t end_us)
{
	uint64_t had = 0;

	while (*now_us < end_us) {
		uint64_t wait = budget_wait(b, uid, *now_us);

		*now_us += wait;
		if (wait)
			continue;
		budget_charge(b, uid, work_us, *now_us);
		*now_us += work_us;
		had += work_us;
	}
	return had;
}

static void test_share(void **state)
{
	static const uint64_t works[] = { 1, 100, 5000, 500000 };

	for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++) {
		struct budget b = { 0 };
		uint64_t now = 5, had = greedy(&b, 1000, works[i], &now, 100 * SECOND);

		assert_true(had <= 100 * SECOND / BUDGET_SHARE_USER + BUDGET_BURST_US + works[i]);
		if (works[i] >= 100) /* less for tiny ones: the kernel's part is theirs, too */
			assert_true(had >= 80 * SECOND / BUDGET_SHARE_USER);
		assert_int_equal(budget_wait(&b, 0, now), 0);
		assert_int_equal(budget_wait(&b, 1001, now), 0); /* others do not wait for it */
	}
}

static void test_root_and_rest(void **state)
{
	struct budget b = { 0 };

	budget_charge(&b, 0, 1000 * SECOND, 0);
	assert_int_equal(budget_wait(&b, 0, 0), 0);
	assert_int_equal(budget_wait(&b, 1000, 0), 0);
	for (int i = 0; i < 100; i++) /* a person's calls */
		budget_charge(&b, 1000, 1000, 0);
	assert_int_equal(budget_wait(&b, 1000, 0), 0);
	budget_charge(&b, 1000, SECOND, 0);
	uint64_t wait = budget_wait(&b, 1000, 0);

	assert_true(wait > 17 * SECOND && wait < 20 * SECOND);
	assert_true(budget_wait(&b, 1000, wait - 1000) > 0);
	assert_int_equal(budget_wait(&b, 1000, wait), 0);
	assert_int_equal(budget_wait(&b, 1000, 1000 * SECOND),
		0); /* and is not richer for having been quiet */
	budget_charge(&b, 1000, BUDGET_BURST_US + 1000, 1000 * SECOND);
	assert_true(budget_wait(&b, 1000, 1000 * SECOND) > 0);
}

/* One person may have 65,536 user ids (subuid(5)): all of them together have the tenth. */
static void test_many(void **state)
{
	struct budget b = { 0 };
	uint64_t now = 5, had = 0;
	uid_t uid = 1;

	while (now < 100 * SECOND) {
		uint64_t wait = budget_wait(&b, uid, now);

		now += wait;
		if (!wait) {
			budget_charge(&b, uid, 5000, now);
			now += 5000;
			had += 5000;
		}
		uid = uid % 65536 + 1;
	}
	assert_true(had <= 100 * SECOND / BUDGET_SHARE_ALL + BUDGET_BURST_US + 5000);
	assert_int_equal(budget_wait(&b, 0, now), 0);
}

/* Boards, of which nobody can be many: who has had his share does not keep the others waiting. */
static void each_alone(void **state)
{
	struct budget budget = { .each_alone = true };

	budget_charge(&budget, 3, 10 * BUDGET_BURST_US, 1000000);
	assert_true(budget_wait(&budget, 3, 1000000) > 0);
	assert_int_equal(budget_wait(&budget, 4, 1000000), 0);
	budget = (struct budget){ 0 };
	budget_charge(&budget, 3, 10 * BUDGET_BURST_US, 1000000);
	assert_true(budget_wait(&budget, 4, 1000000) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_alone),
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_root_and_rest),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
