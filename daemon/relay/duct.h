/*
 * duct: carries bytes between two stream sockets, both ways and unread. A side that has said its
 * last word is told to the other, which may go on (half-close); it is over when both have. Never
 * keeps more than one read's worth of either: who takes nothing is sent nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#define DUCT_IDLE_US   UINT64_C(600000000) /* no byte either way: over */
#define DUCT_ENDING_US UINT64_C(60000000)  /* the same, when one side has said its last word */

struct duct;

/* @duct is over: the callback frees it. Not from within duct_new(). */
typedef void (*duct_over_fn)(void *ctx, struct duct *duct);

/*
 * @a and @b are connected and do not wait; both are taken on success. @first (copied) goes to @b
 * before all else. 0, -ENOMEM or what the loop says. It begins in the loop.
 */
int duct_new(sd_event *event, int a, int b, const void *first, size_t first_len, duct_over_fn over,
	void *ctx, struct duct **ret);
/* Closes both. NULL is fine. Returns NULL. */
struct duct *duct_free(struct duct *duct);

/* When the last byte moved. */
uint64_t duct_moved_us(const struct duct *duct);
/* Whether it has been idle for too long: to be asked now and then, and freed then. */
bool duct_is_stuck(const struct duct *duct, uint64_t now_us);
/* Bytes so far, from @a to @b and back. */
void duct_bytes(const struct duct *duct, uint64_t *ret_there, uint64_t *ret_back);
