/* err: see err.h. Never allocates, so that running out of memory can be reported. */
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *err, int code, const char *format, ...)
{
	if (!err)
		return code;
	int saved = errno; /* %m in @format means the caller's errno */
	va_list ap;

	va_start(ap, format);
	errno = saved;
	(void) vsnprintf(err->text, sizeof(err->text), format, ap);
	va_end(ap);
	err->code = code;
	return code;
}

int err_prefix(struct err *err, const char *format, ...)
{
	if (!err)
		return -EINVAL;
	char old[ERR_TEXT_MAX];

	memcpy(old, err->text, sizeof(old));
	va_list ap;

	va_start(ap, format);
	int n = vsnprintf(err->text, sizeof(err->text), format, ap);

	va_end(ap);
	if (n >= 0 && (size_t) n < sizeof(err->text) - 2) {
		char *p = stpcpy(err->text + n, ": ");
		size_t len = strnlen(old, (size_t) (err->text + sizeof(err->text) - p) - 1);

		memcpy(p, old, len);
		p[len] = 0;
	}
	return err->code;
}
