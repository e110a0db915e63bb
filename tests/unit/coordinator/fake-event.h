/*
 * fake-event: the clock and libsystemd's event loop, moved by hand. Linked instead of both: what a
 * subject arms is seen, and runs when the test lets time pass.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

struct sd_event;

/* Back to the beginning: FAKE_NOW_US since boot, FAKE_WALL_S since 1970. */
#define FAKE_NOW_US (1000 * USEC_PER_SEC)
#define FAKE_WALL_S UINT64_C(1900000000)
void fake_event_reset(void);

/* @us go by: what is due in them is called, in order, each at its time. */
void fake_event_pass(uint64_t us);
/* So do these, but the loop is busy: nothing is called. */
void fake_event_stall(uint64_t us);
/* The wall clock jumps. */
void fake_event_set_wall(uint64_t s);

/* How long until the next timer is due, UINT64_MAX if none is armed. */
uint64_t fake_event_next_us(void);
/* How many sources there are, armed or not: 0 when all has been released. */
size_t fake_event_sources(void);

/* Calls that make a source fail from now on; 0: they do not. */
extern int fake_event_fails;
/* Descriptors: calls what was added for @fd. */
void fake_event_ready(int fd);

/* What happens while the program is in its loop, and what sd_event_loop() returns. */
extern int (*fake_event_on_loop)(void);
/* Whether the loop was told to end. */
bool fake_event_is_ending(const struct sd_event *event);
/* A signal comes. Whether the loop was told to end. */
bool fake_event_signal(int signo);
