/* budget: see budget.h. A leaky bucket each, and one for all. */
#include "sys/ipc/budget.h"

#include <stddef.h>

static void pay_off(struct budget_user *user, uint64_t share, uint64_t now_us)
{
	uint64_t paid = now_us > user->at_us ? (now_us - user->at_us) / share : 0;

	if (!paid)
		return;
	user->debt_us = user->debt_us > paid ? user->debt_us - paid : 0;
	user->at_us += paid * share;
}

static struct budget_user *find(struct budget *b, uid_t uid, uint64_t now_us)
{
	for (size_t i = 0; i < BUDGET_USERS; i++)
		if (b->users[i].debt_us && b->users[i].uid == uid) {
			pay_off(&b->users[i], BUDGET_SHARE_USER, now_us);
			return &b->users[i];
		}
	return NULL;
}

/* A place for one more. */
static struct budget_user *place(struct budget *b, uint64_t now_us)
{
	struct budget_user *least = &b->users[0];

	for (size_t i = 0; i < BUDGET_USERS; i++) {
		pay_off(&b->users[i], BUDGET_SHARE_USER, now_us);
		if (b->users[i].debt_us < least->debt_us)
			least = &b->users[i];
	}
	return least;
}

void budget_charge(struct budget *b, uid_t uid, uint64_t work_us, uint64_t now_us)
{
	struct budget_user *user;

	if (uid == 0)
		return;
	user = find(b, uid, now_us);
	if (!user || !user->debt_us) {
		user = place(b, now_us);
		*user = (struct budget_user){ .uid = uid, .at_us = now_us };
	}
	if (!b->all.debt_us)
		b->all.at_us = now_us;
	pay_off(&b->all, BUDGET_SHARE_ALL, now_us);
	user->debt_us += work_us + BUDGET_FLOOR_US;
	b->all.debt_us += work_us + BUDGET_FLOOR_US;
}

static uint64_t wait_of(const struct budget_user *user, uint64_t share)
{
	return user->debt_us > BUDGET_BURST_US ? (user->debt_us - BUDGET_BURST_US) * share : 0;
}

uint64_t budget_wait(struct budget *b, uid_t uid, uint64_t now_us)
{
	const struct budget_user *user = uid ? find(b, uid, now_us) : NULL;
	uint64_t own = user ? wait_of(user, BUDGET_SHARE_USER) : 0, all;

	if (uid == 0)
		return 0;
	if (b->each_alone)
		return own;
	pay_off(&b->all, BUDGET_SHARE_ALL, now_us);
	all = wait_of(&b->all, BUDGET_SHARE_ALL);
	return own > all ? own : all;
}
