/*
 * frame: the bytes of PROTOCOL.md section 9, without sockets: four bytes of length, then JSON.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "sys/ipc/ipc.h"

enum { IPC_HEAD_LEN = 4 };

/* Collects one message. Zero-initialised with @max set. Memory grows with what really arrived. */
struct ipc_reader {
	size_t max;
	uint8_t head[IPC_HEAD_LEN];
	size_t head_len;
	size_t body_len; /* announced; valid once head_len is IPC_HEAD_LEN */
	struct buf body;
};

void ipc_reader_done(struct ipc_reader *reader);
/* Ready for the next message. */
void ipc_reader_reset(struct ipc_reader *reader);
/* Bytes that may be read now without reading past the message: at least 1. */
size_t ipc_reader_wants(const struct ipc_reader *reader);
/*
 * Adds @len <= ipc_reader_wants() bytes. 1: the message is whole, 0: more is needed, -EMSGSIZE:
 * longer than max, -EPROTO: empty, -ENOMEM.
 */
int ipc_reader_add(struct ipc_reader *reader, const void *data, size_t len);

/* A framed message, heap. -ENOMEM, -EMSGSIZE for more than IPC_MESSAGE_MAX. */
int ipc_frame(const json_t *message, uint8_t **ret, size_t *ret_len);

/* A request's parts, borrowed from @doc; *ret_args is NULL if there are none. -EINVAL and @err. */
int ipc_request_parse(
	const json_t *doc, const char **ret_call, const json_t **ret_args, struct err *err);

/* A reply: 0 and ret->ok (a new reference), or -EREMOTEIO with ret->code and @err, or -EPROTO. */
int ipc_reply_parse(const json_t *doc, struct ipc_reply *ret, struct err *err);
