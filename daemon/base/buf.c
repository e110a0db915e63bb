/* buf: see buf.h. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_done(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf){ 0 };
}

static bool reserve(struct buf *buf, size_t more)
{
	if (buf->failed || more > SIZE_MAX / 4 || buf->len > SIZE_MAX / 4) {
		buf->failed = true;
		return false;
	}
	size_t need = buf->len + more + 1;

	if (need <= buf->cap)
		return true;
	size_t cap = buf->cap ? buf->cap : 128;

	while (cap < need)
		cap *= 2;
	char *data = realloc(buf->data, cap);

	if (!data) {
		buf->failed = true;
		return false;
	}
	buf->data = data;
	buf->cap = cap;
	return true;
}

void buf_add(struct buf *buf, const void *data, size_t len)
{
	if (!reserve(buf, len))
		return;
	if (len)
		memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	buf->data[buf->len] = 0;
}

void buf_add_str(struct buf *buf, const char *text)
{
	buf_add(buf, text, strlen(text));
}

void buf_printf(struct buf *buf, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	int n = vsnprintf(NULL, 0, format, ap);

	va_end(ap);
	if (n < 0) {
		buf->failed = true;
		return;
	}
	if (!reserve(buf, (size_t) n))
		return;
	va_start(ap, format);
	(void) vsnprintf(buf->data + buf->len, (size_t) n + 1, format, ap);
	va_end(ap);
	buf->len += (size_t) n;
}

const char *buf_str(const struct buf *buf)
{
	return buf->data ? buf->data : "";
}

char *buf_take(struct buf *buf, size_t *ret_len)
{
	char *data = NULL;

	if (reserve(buf, 0)) {
		data = buf->data;
		data[buf->len] = 0;
		if (ret_len)
			*ret_len = buf->len;
		buf->data = NULL;
	}
	buf_done(buf);
	return data;
}
