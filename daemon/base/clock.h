/*
 * clock: the only place that reads a clock. Inner code is handed the time.
 * The wall clock can be shifted by $HEARTH_CLOCK_OFFSET (seconds, may be negative): tests start a
 * board whose clock is years off. The monotonic clock counts time asleep (CLOCK_BOOTTIME), as the
 * WireGuard timers of Linux do.
 */
#pragma once

#include <stdint.h>

#define USEC_PER_SEC  UINT64_C(1000000)
#define USEC_PER_MSEC UINT64_C(1000)

/* Microseconds since boot. Never goes back. */
uint64_t clock_now_us(void);

/* Microseconds of processor time that this thread has had. */
uint64_t clock_cpu_us(void);

/* Microseconds since 1970, as the machine believes. May jump. */
uint64_t clock_wall_us(void);
