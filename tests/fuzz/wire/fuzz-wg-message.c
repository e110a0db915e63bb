/* WireGuard messages: what one parser takes no other does, and formatting gives the bytes back. */
#include <stdlib.h>
#include <string.h>

#include "wire/wg.h"

static void same(const uint8_t *a, const uint8_t *b, size_t len)
{
	if (memcmp(a, b, len))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wg_initiation initiation;
	struct wg_response response;
	struct wg_cookie_reply reply;
	struct wg_data_head head;
	uint8_t back[WG_HANDSHAKE_MAX_LEN];
	int type = wg_message_type(data, size);

	if ((wg_initiation_parse(data, size, &initiation) == 0) != (type == WG_TYPE_INITIATION) ||
		(wg_response_parse(data, size, &response) == 0) != (type == WG_TYPE_RESPONSE) ||
		(wg_cookie_reply_parse(data, size, &reply) == 0) !=
			(type == WG_TYPE_COOKIE_REPLY) ||
		wg_data_head_parse(data, size, &head) != (type == WG_TYPE_DATA))
		abort();
	if (type == WG_TYPE_INITIATION) {
		wg_initiation_format(&initiation, back);
		same(back, data, wg_mac1_offset(size));
	} else if (type == WG_TYPE_RESPONSE) {
		wg_response_format(&response, back);
		same(back, data, wg_mac1_offset(size));
	} else if (type == WG_TYPE_COOKIE_REPLY) {
		wg_cookie_reply_format(&reply, back);
		same(back, data, size);
	} else if (type == WG_TYPE_DATA) {
		wg_data_head_format(back, head.receiver, head.counter);
		same(back, data, WG_DATA_HEAD_LEN);
	}
	return 0;
}
