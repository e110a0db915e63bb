/*
 * The beginning of a TLS connection: at once, byte by byte and in reads whose lengths the bytes
 * themselves give there is the same answer; a name is one; who is asked to wait need not keep more
 * than the bound.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wire/hello.h"

static void check(int r, const struct hello *h, size_t len)
{
	const char *last = strrchr(h->name, '.');
	size_t n = strnlen(h->name, sizeof(h->name));

	if (r != 0 && r != -EAGAIN && r != -EBADMSG && r != -EMSGSIZE)
		abort();
	if (r == -EAGAIN && (len >= HELLO_MAX_LEN || len - h->at >= HELLO_RECORD_HEAD_LEN))
		abort();
	if (n == sizeof(h->name) || (r != 0 && n > 0))
		abort();
	if (strspn(h->name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != n)
		abort();
	if (h->name[0] == '.' || (last && !last[1]) || strstr(h->name, ".."))
		abort();
}

/* Reads of up to @most bytes; 0: of what the bytes say. */
static int read_parts(const uint8_t *data, size_t size, size_t most, struct hello *ret)
{
	size_t len = 0;
	int r = -EAGAIN;

	*ret = (struct hello){ 0 };
	while (r == -EAGAIN && len < size) {
		size_t n = most ? most : (size_t) data[len] + 1;

		len = n < size - len ? len + n : size;
		r = hello_read(ret, data, len);
		check(r, ret, len);
	}
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hello whole = { 0 }, parts;
	int r = hello_read(&whole, data, size);

	check(r, &whole, size);
	for (size_t most = 0; most < 2; most++)
		if (read_parts(data, size, most, &parts) != r || strcmp(parts.name, whole.name))
			abort();
	return 0;
}
