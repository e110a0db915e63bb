/*
 * guard: what a program that holds keys does first. Its memory is written to no core file, read by
 * no debugger or process of the same user, and (where it may lock memory) never swapped to a disk.
 */
#pragma once

#include <stdbool.h>

/*
 * For this process; before it has keys, and again in a child that stays (locks are not inherited)
 * and after becoming another user. False if its memory could not be locked: who is given
 * LimitMEMLOCK=infinity (or can take it: root) may lock all; and with CAP_IPC_LOCK who keeps it,
 * for all the time (@keeps_rights): without it every allocation would fail.
 */
bool guard_memory(bool keeps_rights);

/* For root, before it starts a program as somebody else: that may lock its memory then. */
void guard_let_lock(void);
