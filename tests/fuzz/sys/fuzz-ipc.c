/* ipc: a stream of bytes, cut at odd places, as a server and as a client read it. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "sys/ipc/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_document(const struct buf *body)
{
	struct err e = { 0 };
	const char *call = NULL;
	const json_t *args = NULL;
	CLEANUP_IPC_REPLY struct ipc_reply reply = { .fd = -1 };
	CLEANUP_JSON json_t *doc = json_parse(buf_str(body), body->len, &e);

	if (!doc)
		return;
	if (ipc_request_parse(doc, &call, &args, &e) == 0 && (!call || strlen(call) > 64))
		abort();
	int r = ipc_reply_parse(doc, &reply, &e);

	if ((r == 0) != (reply.ok != NULL) ||
		(r == -EREMOTEIO && strlen(reply.code) >= IPC_CODE_MAX))
		abort();
	uint8_t *frame = NULL;
	size_t len = 0;

	if (ipc_frame(doc, &frame, &len) == 0 && len < IPC_HEAD_LEN + 1)
		abort();
	free(frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ipc_reader reader = { .max = 65536 };
	size_t step = size ? 1 + data[0] % 37 : 1;

	while (size) {
		size_t n = ipc_reader_wants(&reader);

		n = n > size ? size : n;
		n = n > step ? step : n;
		if (!n)
			abort();
		int r = ipc_reader_add(&reader, data, n);

		data += n;
		size -= n;
		if (r < 0)
			break;
		if (r > 0) {
			if (reader.body.len != reader.body_len || reader.body.len > reader.max)
				abort();
			read_document(&reader.body);
			ipc_reader_reset(&reader);
		}
	}
	ipc_reader_done(&reader);
	return 0;
}
