/*
 * frame: see frame.h. Pure; nothing a peer sends makes it allocate more than twice what arrived.
 */
#include "sys/ipc/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

enum { CALL_MAX = 64, READ_MAX = 65536 };

static void wipe(struct buf *buf)
{
	if (buf->data)
		explicit_bzero(buf->data, buf->len);
	buf_done(buf);
	*buf = (struct buf){ 0 };
}

void ipc_reader_done(struct ipc_reader *reader)
{
	wipe(&reader->body);
}

void ipc_reader_reset(struct ipc_reader *reader)
{
	wipe(&reader->body);
	reader->head_len = reader->body_len = 0;
}

size_t ipc_reader_wants(const struct ipc_reader *reader)
{
	if (reader->head_len < IPC_HEAD_LEN)
		return IPC_HEAD_LEN - reader->head_len;
	size_t left = reader->body_len - reader->body.len;

	return left < READ_MAX ? left : READ_MAX;
}

int ipc_reader_add(struct ipc_reader *reader, const void *data, size_t len)
{
	if (reader->head_len < IPC_HEAD_LEN) {
		memcpy(reader->head + reader->head_len, data, len);
		reader->head_len += len;
		if (reader->head_len < IPC_HEAD_LEN)
			return 0;
		reader->body_len = (size_t) reader->head[0] << 24 | (size_t) reader->head[1] << 16 |
				   (size_t) reader->head[2] << 8 | reader->head[3];
		if (reader->body_len > reader->max)
			return -EMSGSIZE;
		return reader->body_len ? 0 : -EPROTO;
	}
	buf_add(&reader->body, data, len);
	if (buf_failed(&reader->body))
		return -ENOMEM;
	return reader->body.len == reader->body_len;
}

int ipc_frame(const json_t *message, uint8_t **ret, size_t *ret_len)
{
	size_t len = json_dumpb(message, NULL, 0, JSON_COMPACT);

	if (!len)
		return -ENOMEM;
	if (len > IPC_MESSAGE_MAX)
		return -EMSGSIZE;
	uint8_t *frame = malloc(IPC_HEAD_LEN + len);

	if (!frame)
		return -ENOMEM;
	frame[0] = (uint8_t) (len >> 24);
	frame[1] = (uint8_t) (len >> 16);
	frame[2] = (uint8_t) (len >> 8);
	frame[3] = (uint8_t) len;
	if (json_dumpb(message, (char *) frame + IPC_HEAD_LEN, len, JSON_COMPACT) != len) {
		free(frame);
		return -ENOMEM;
	}
	*ret = frame;
	*ret_len = IPC_HEAD_LEN + len;
	return 0;
}

int ipc_request_parse(
	const json_t *doc, const char **ret_call, const json_t **ret_args, struct err *err)
{
	const char *call = NULL;
	json_t *args = NULL;
	int r = json_is_object(doc) ? 0 : err_set(err, -EINVAL, "the request is not an object");

	if (r == 0)
		r = json_get_str(doc, "call", &call, err);
	if (r == 0 && strlen(call) > CALL_MAX)
		r = err_set(err, -EINVAL, "field \"call\" is too long");
	if (r == 0 && json_has(doc, "args"))
		r = json_get_object(doc, "args", &args, err);
	if (r < 0)
		return r;
	*ret_call = call;
	*ret_args = args;
	return 0;
}

int ipc_reply_parse(const json_t *doc, struct ipc_reply *ret, struct err *err)
{
	json_t *refusal = NULL;
	const char *code = NULL, *message = NULL;
	json_t *ok = json_is_object(doc) ? json_object_get(doc, "ok") : NULL;

	if (ok) {
		ret->ok = json_incref(ok);
		return 0;
	}
	if (!json_is_object(doc) || json_get_object(doc, "error", &refusal, err) < 0 ||
		json_get_str(refusal, "code", &code, err) < 0 ||
		json_get_str(refusal, "message", &message, err) < 0)
		return err_set(err, -EPROTO, "the daemon's answer cannot be understood");
	strncpy(ret->code, code, sizeof(ret->code) - 1);
	ret->code[sizeof(ret->code) - 1] = '\0';
	return err_set(err, -EREMOTEIO, "%s", message);
}
