/*
 * roster: who the mesh's members are, for hearth-relay on this board (PROTOCOL.md section 9, the
 * call `members`). Whoever asks names the log's head of which he knows, and is answered when there
 * is another.
 */
#pragma once

#include "node/core.h"
#include "sys/ipc/ipc.h"
#include "wire/reached.h"

enum { ROSTER_HOLD_S = 25 };

struct roster;

int roster_new(struct core *core, struct roster **ret, struct err *err);
/* Answers those who still wait, as of now. NULL is fine. Returns NULL. */
struct roster *roster_free(struct roster *roster);

/* The call: ends @request, now or later. */
void roster_answer(struct roster *roster, struct ipc_request *request);
/*
 * By whom the relay on this board was reached from outside, as it said last, by clock_now_us();
 * NULL: it has said nothing yet. Borrowed.
 */
const struct reached *roster_reached(const struct roster *roster);

/* Records have come, or this board is in the mesh (@inside) or not: outside it knows no members. */
void roster_follow(struct roster *roster, bool inside);
