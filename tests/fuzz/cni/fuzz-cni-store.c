/*
 * The files "released" and "next" of the lease store, one after the other behind a zero byte: no time
 * to wait is longer than the delay, no index outside its range, and both stay files of whole lines.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "sys/lease/leases-internal.h"

static void check_lines(const struct buf *lines)
{
	if (lines->len &&
		(lines->data[lines->len - 1] != '\n' || strlen(lines->data) != lines->len))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char subnet[] = "10.244.1.0/24";
	static const uint64_t now_us = UINT64_C(1000000000);
	CLEANUP(free_p) char *released = strndup((const char *) data, size);
	size_t n = released ? strlen(released) + 1 : size;
	CLEANUP(free_p)
	char *next = strndup((const char *) data + (n < size ? n : size), n < size ? size - n : 0);
	CLEANUP_BUF struct buf young = { 0 }, again = { 0 }, lines = { 0 };
	uint64_t index;

	if (!released || !next)
		return 0;
	leases_lines_released(released, now_us, &young);
	leases_lines_released(buf_str(&young), now_us, &again);
	check_lines(&young);
	if (strcmp(buf_str(&young), buf_str(&again)))
		abort();
	if (leases_lines_rest_us(buf_str(&young), "10.244.1.7", now_us) >
		LEASES_REUSE_DELAY_MS * USEC_PER_MSEC)
		abort();
	index = leases_lines_next(next, subnet, 2, 254);
	if (index < 2 || index > 254)
		abort();
	buf_printf(&lines, "%s 17\n", subnet);
	leases_lines_merge(next, &lines);
	check_lines(&lines);
	if (leases_lines_next(buf_str(&lines), subnet, 2, 254) != 17)
		abort();
	return 0;
}
