/*
 * tls: the server's side of TLS 1.3 on sockets that never wait. A connection that is idle keeps no
 * buffers; what the kernel does not take at once is kept here, so that whoever writes never has to
 * write the same again.
 *
 * The certificate is a self-signed one of our Ed25519 key: clients know it by its pin. Behind it
 * goes another, whose name is the DERP key ("derpkey" and hex): whoever knows DERP saves two round
 * trips by it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

enum {
	TLS_SEED_LEN = 32,
	TLS_RECORD_MAX = 16384, /* what one write takes */
	TLS_FIRST_MAX = 65536,  /* bytes that somebody else has read before us */
};

struct tls_server;
struct tls_stream;

/*
 * @seed: the Ed25519 private key, @name: the certificate's, @derp_key: 32 bytes. 0, or -errno and
 * @err.
 */
int tls_server_new(const uint8_t seed[static TLS_SEED_LEN], const char *name,
	const uint8_t derp_key[static 32], struct tls_server **ret, struct err *err);
struct tls_server *tls_server_free(struct tls_server *server);

/*
 * A connection that has come in on @fd, a socket that does not wait; it is closed by
 * tls_stream_free(). @first are bytes that were already read from it, at most TLS_FIRST_MAX.
 * NULL: out of memory, and @fd is still the caller's.
 */
struct tls_stream *tls_stream_new(
	struct tls_server *server, int fd, const void *first, size_t first_len);
/* Says good-bye if it can. */
struct tls_stream *tls_stream_free(struct tls_stream *stream);

/*
 * What has come, decrypted: its length; 0: there is no more and never will be; -EAGAIN: wait for
 * the socket (only then is nothing kept that it does not tell of); -EPROTO: no TLS that we speak;
 * or what the network says. The handshake goes on by this, too.
 */
ssize_t tls_stream_read(struct tls_stream *stream, void *ret, size_t max);
/* Whether the handshake is done. Before that nothing may be written. */
bool tls_stream_is_open(const struct tls_stream *stream);

/* Sends @len bytes, at most TLS_RECORD_MAX, or keeps them; only if nothing is kept. 0 or -errno. */
int tls_stream_write(struct tls_stream *stream, const void *data, size_t len);
/* Sends what is kept. 0: all has gone, -EAGAIN: wait until the socket is writable; or -errno. */
int tls_stream_flush(struct tls_stream *stream);
bool tls_stream_keeps(const struct tls_stream *stream);
