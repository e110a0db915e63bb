/*
 * hello: the name of the server that a TLS client asks for (server_name, RFC 6066 section 3), read
 * from the first bytes of its connection while they come. Nothing is taken from them and nothing
 * answered: the caller keeps them, and passes them on to whoever has that name.
 *
 *     record:    content type 1 (22: handshake), version 2, length 2, fragment     (RFC 8446 5.1)
 *     message:   type 1 (1: ClientHello), length 3, body; in one fragment or more  (RFC 8446 4)
 *     body:      version 2, random 32, session <1>, cipher suites <2>, compression methods <1>,
 *                extensions <2>; where <n> is a length of n bytes and that much    (RFC 8446 4.1.2)
 *     extension: type 2 (0: server_name), data <2>                                 (RFC 8446 4.2)
 *     data:      <2> of names: type 1 (0: host_name), name <2>                     (RFC 6066 3)
 *
 * By the widths of its fields a ClientHello might have 128 KiB, and by RFC 8446 5.1 a fragment has
 * 16 KiB (2^14 bytes) at most. Clients with one post-quantum key share send 1.5 KiB; two would make
 * it 3. We take what fits in one record, 16 KiB, and so many heads that it may come in 64 records.
 *
 * The cost is linear in the bytes, however few come at a time: a call goes on where the last one
 * stopped, only steps over fragments, and when the last byte of the ClientHello is there it is
 * looked into, once.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
	HELLO_RECORD_HEAD_LEN = 5,
	HELLO_FRAGMENT_MAX = 1 << 14,
	/* What the caller has to keep at most: -EAGAIN means that fewer have come. */
	HELLO_MAX_LEN = HELLO_FRAGMENT_MAX + 64 * HELLO_RECORD_HEAD_LEN,
	HELLO_MESSAGE_HEAD_LEN = 4,
	HELLO_NAME_MAX = 253 + 1, /* of a DNS name in text (RFC 1035 3.1, 255 bytes on the wire) */
};

/* All zero before the first call. Nothing to release. */
struct hello {
	char name[HELLO_NAME_MAX]; /* the answer */

	/* Where the last call stopped. */
	size_t at;       /* bytes that it has walked */
	size_t fragment; /* of these bytes' last record, not yet there */
	size_t have;     /* of the message */
	uint8_t head[HELLO_MESSAGE_HEAD_LEN];
};

/*
 * @data, @len: all that has come since the connection began, of which the beginning is the same in
 * each call. What lies behind the ClientHello is not looked at. Until there is an answer -EAGAIN;
 * then
 *   0           @hello->name: a host name in lower case, of one label or more, without a dot at
 *               its end, no literal address. Or it is empty: the client names no host;
 *   -EBADMSG    this is no ClientHello (SSLv2's neither), or it is broken, or its name is none;
 *   -EMSGSIZE   its end would lie behind HELLO_MAX_LEN.
 */
int hello_read(struct hello *hello, const uint8_t *data, size_t len);
