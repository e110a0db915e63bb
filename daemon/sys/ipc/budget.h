/*
 * budget: how much of the daemon's time a local user may have. Root has all it wants; another user
 * a twentieth of a core, all others together a tenth, and a little at once before that counts. Who
 * has had more waits his turn: nobody is refused for it. Pure: the caller passes the time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	BUDGET_USERS =
		32, /* those in debt that are told apart; the one with the smallest is forgotten */
	BUDGET_SHARE_USER = 20,   /* 1 us of work is paid off in so many us */
	BUDGET_SHARE_ALL = 10,    /* of all users but root together */
	BUDGET_BURST_US = 200000, /* of work, at once */
	BUDGET_FLOOR_US =
		20, /* what the kernel does for each wakeup, which is in no clock of ours */
};

struct budget_user {
	uid_t uid;
	uint64_t debt_us, at_us;
};

struct budget {
	struct budget_user users[BUDGET_USERS], all;
	bool each_alone; /* nobody can be many users, so none waits for others: as boards */
};

/* @uid had @work_us of ours. */
void budget_charge(struct budget *budget, uid_t uid, uint64_t work_us, uint64_t now_us);

/* How long @uid is to wait before more is done for it; 0: no time. */
uint64_t budget_wait(struct budget *budget, uid_t uid, uint64_t now_us);
