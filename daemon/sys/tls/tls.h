/*
 * tls: TLS 1.3 on sockets that never wait, either side of it. A connection that is idle keeps no
 * buffers; what the kernel does not take at once is kept here, so that whoever writes never has to
 * write the same again.
 *
 * Certificates are self-signed ones of an Ed25519 key: the other side knows it by its pin
 * (PROTOCOL.md section 1). Neither side refuses a certificate: whoever cares about the other's
 * key asks for its pin, when the connection is open.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

enum {
	TLS_SEED_LEN = 32,
	TLS_PIN_LEN = 32,
	TLS_RECORD_MAX = 16384, /* what one write takes */
	TLS_FIRST_MAX = 65536,  /* bytes that somebody else has read before us */
};

struct tls_party;
struct tls_stream;

struct tls_options {
	bool client;         /* the side that connects */
	bool asks;           /* the other side: who connects must have a certificate */
	const uint8_t *seed; /* the Ed25519 private key, TLS_SEED_LEN */
	const char *name;    /* the certificate's */
	const char *behind;  /* PEM of one that goes behind it; NULL: none */
};

/* What all connections of one side have in common. 0, or -errno and @err. */
int tls_party_new(const struct tls_options *options, struct tls_party **ret, struct err *err);
struct tls_party *tls_party_free(struct tls_party *party);

/*
 * A connection that has come in on @fd, a socket that does not wait; it is closed by
 * tls_stream_free(). @first are bytes that were already read from it, at most TLS_FIRST_MAX.
 * NULL: out of memory, and @fd is still the caller's.
 */
struct tls_stream *tls_stream_new(
	struct tls_party *party, int fd, const void *first, size_t first_len);
/*
 * A client's on @fd, a socket that does not wait and is connected, to the server called @name; the
 * first tls_stream_read() begins it. @fd is closed by tls_stream_free(). NULL as above.
 */
struct tls_stream *tls_stream_connect(struct tls_party *party, int fd, const char *name);
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
/*
 * The other side's pin, once it is open: it holds that key. -ENOENT: it has shown none, or none of
 * Ed25519.
 */
int tls_stream_peer_pin(const struct tls_stream *stream, uint8_t ret[static TLS_PIN_LEN]);

/* Sends @len bytes, at most TLS_RECORD_MAX, or keeps them; only if nothing is kept. 0 or -errno. */
int tls_stream_write(struct tls_stream *stream, const void *data, size_t len);
/* Sends what is kept. 0: all has gone, -EAGAIN: wait until the socket is writable; or -errno. */
int tls_stream_flush(struct tls_stream *stream);
bool tls_stream_keeps(const struct tls_stream *stream);
