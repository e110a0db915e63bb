/*
 * Words of others: what comes out is clean, fits, stays as it is when it is cleaned again, and is the same however the
 * input was cut into pieces.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

static void fail_unless(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	enum text_form form = data[0] & 1 ? TEXT_LINES : TEXT_LINE;
	size_t piece = (size_t) (data[0] >> 1) + 1, small = data[1], room = TEXT_GROWTH * size + 1;
	const char *in = (const char *) data + 2;

	size -= 2;
	CLEANUP(free_p) char *out = malloc(room), *again = malloc(room), *cut = malloc(small + 1);

	if (!out || !again || !cut)
		return 0;
	size_t len = text_clean(in, size, form, out, room);

	fail_unless(
		len < room && out[len] == 0 && strlen(out) == len && text_is_clean(out, len, form));
	fail_unless(text_is_clean(in, size, form) == (len == size && !memcmp(in, out, len)));
	fail_unless(text_clean(out, len, form, again, room) == len && !memcmp(out, again, len));
	size_t n = text_clean(in, size, form, cut, small);

	fail_unless(!small || (n < small && !memcmp(cut, out, n) && text_is_clean(cut, n, form)));

	size_t at = 0, done = 0;

	for (size_t end = piece; done < size; end += piece) {
		bool last = end >= size;
		size_t whole = last ? size - done : text_whole(in + done, end - done);

		fail_unless(last || end - done - whole <= 3);
		at += text_clean(in + done, whole, form, again + at, room - at);
		done += whole;
	}
	fail_unless(at == len && !memcmp(again, out, len));
	return 0;
}
