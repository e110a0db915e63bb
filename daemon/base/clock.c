/* clock: see clock.h. */
#include "base/clock.h"

#include <stdlib.h>
#include <time.h>

static uint64_t read_us(clockid_t id)
{
	struct timespec ts;

	(void) clock_gettime(id, &ts); /* cannot fail for the clocks below */
	return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000;
}

uint64_t clock_now_us(void)
{
	return read_us(CLOCK_BOOTTIME);
}

uint64_t clock_cpu_us(void)
{
	return read_us(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t clock_wall_us(void)
{
	static int64_t offset_us;
	static int known;

	if (!__atomic_load_n(&known, __ATOMIC_ACQUIRE)) {
		const char *s = getenv("HEARTH_CLOCK_OFFSET");

		__atomic_store_n(&offset_us, s ? strtoll(s, NULL, 10) * (int64_t) USEC_PER_SEC : 0,
			__ATOMIC_RELAXED);
		__atomic_store_n(&known, 1, __ATOMIC_RELEASE);
	}
	int64_t now =
		(int64_t) read_us(CLOCK_REALTIME) + __atomic_load_n(&offset_us, __ATOMIC_RELAXED);

	return now > 0 ? (uint64_t) now : 0;
}
