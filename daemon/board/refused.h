/*
 * refused: what root refused on this board and nobody of ours would ask, since it booted. Written
 * by root's helper, shown by `hearth status` to anybody, past a hearthd that may be the one who
 * asked:
 *
 *	RUN/refused.json	{"count":3, "at":1795000000, "uid":998, "call":"hosts.write",
 *				 "why":"..."}
 *
 * at, uid, call and why are the last one's.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

enum { REFUSED_CALL_MAX = 64, REFUSED_WHY_MAX = 512 };

struct refused {
	uint64_t count, at; /* seconds since 1970 */
	uid_t uid;
	char call[REFUSED_CALL_MAX], why[REFUSED_WHY_MAX]; /* printable ASCII */
};

/* Counts one more. What cannot be written is lost: it is logged all the same. */
void refused_note(const char *run, uint64_t now_s, uid_t uid, const char *call, const char *why);
/* 0; -ENOENT: nothing was refused; -EPERM: the file is not root's; -EINVAL. */
int refused_read(const char *run, struct refused *ret, struct err *err);
