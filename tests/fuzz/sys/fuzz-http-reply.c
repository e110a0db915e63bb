/* A coordinator's reply: the first two bytes are the status, the rest the body. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "sys/http/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_HTTP_REPLY struct http_reply reply = { .url = "https://192.0.2.1:8443" };
	CLEANUP_JSON json_t *json = NULL;
	struct err err = { 0 };
	char code[64] = "?";
	int r;

	if (size < 2)
		return 0;
	reply.status = 200 + (data[0] | data[1] << 8) % 400;
	buf_add(&reply.body, data + 2, size - 2);
	r = http_reply_json(&reply, &json, code, &err);
	if ((r == 0) != (json != NULL) || (r < 0 && !err.text[0]) || !memchr(code, 0, sizeof(code)))
		abort();
	if (r == 0 && reply.status >= 300)
		abort();
	return 0;
}
