/* number: see number.h. strtoul() would take " 5", "+5", and "-1" as a large one. */
#include "base/number.h"

#include <errno.h>

int number_parse(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	uint64_t n = 0;

	if (!*text || (*text == '0' && text[1]))
		return -EINVAL;
	for (const char *p = text; *p; p++)
		if (*p < '0' || *p > '9')
			return -EINVAL;
	for (const char *p = text; *p; p++)
		if (__builtin_mul_overflow(n, UINT64_C(10), &n) ||
			__builtin_add_overflow(n, (uint64_t) (*p - '0'), &n))
			return -ERANGE;
	if (n < min || n > max)
		return -ERANGE;
	*ret = n;
	return 0;
}
