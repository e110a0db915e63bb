/*
 * fake-helper: hearth-helper as a test plays it, linked instead of sys/ipc's calls from the loop.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "sys/ipc/ipc.h"

/* Calls fail at once with this errno; 0: they do not. */
extern int fake_helper_refuses;

/* Nobody may be waiting any more. */
void fake_helper_reset(void);
/* How many calls are under way. */
size_t fake_helper_waiting(void);
/* How many were made since the last reset. */
size_t fake_helper_calls(void);

/* Of the oldest that is under way: its name and its arguments (borrowed until it is answered). */
const char *fake_helper_call(void);
const json_t *fake_helper_args(void);
uint64_t fake_helper_timeout_us(void);
/* It has its answer: @ok (taken; NULL: an empty one). */
void fake_helper_answer(json_t *ok);
/* With a descriptor, which is closed unless who asked takes it. */
void fake_helper_answer_fd(json_t *ok, int fd);
/* It fails with the errno @r. */
void fake_helper_fail(int r, const char *text);
