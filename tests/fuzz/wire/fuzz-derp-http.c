/* The HTTP request before DERP: however it comes in pieces, it means the same. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wire/derp-http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t key[DERP_KEY_LEN];
	char answer[DERP_HTTP_ANSWER_MAX];
	struct derp_http got, early;
	int r = derp_http_parse((const char *) data, size, &got);

	if (r < 0 && r != -EBADMSG && r != -EMSGSIZE)
		abort();
	if (r <= 0)
		return 0;
	if ((size_t) r > size || r > DERP_HTTP_MAX || data[r - 1] != '\n')
		abort();
	for (int cut = 0; cut < r; cut++)
		if (derp_http_parse((const char *) data, (size_t) cut, &early) != 0)
			abort();
	size_t len = derp_http_answer(&got, key, answer);

	if (len >= sizeof(answer) || (len && strlen(answer) != len) ||
		(!len && !(derp_http_upgrades(&got) && got.fast_start)))
		abort();
	return 0;
}
