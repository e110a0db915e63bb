/*
 * tls: see tls.h. OpenSSL reads and writes through a BIO of ours, which begins with the bytes that
 * others have read, raises no SIGPIPE, and never refuses what is to be written.
 */
#include "sys/tls/tls.h"

#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/encode.h"
#include "sys/x509/x509.h"

/*
 * Beside one record, what OpenSSL itself says: alerts, and answers to key updates, which a client
 * that reads nothing may ask for again and again.
 */
enum { KEPT_MAX = 2 * TLS_RECORD_MAX };

struct tls_party {
	SSL_CTX *ctx;
	BIO_METHOD *method;
	bool client;
};

struct tls_stream {
	SSL *ssl;
	int fd;
	int error; /* of the socket, -errno; 0: none */
	uint8_t *first;
	size_t first_len, first_read;
	struct buf out;
	size_t out_sent;
};

/* --- the socket --- */

static int bio_read(BIO *bio, char *ret, int max)
{
	struct tls_stream *s = BIO_get_data(bio);
	size_t left = s->first_len - s->first_read;
	ssize_t n;

	BIO_clear_retry_flags(bio);
	if (left) {
		n = (ssize_t) (left < (size_t) max ? left : (size_t) max);
		memcpy(ret, s->first + s->first_read, (size_t) n);
		s->first_read += (size_t) n;
		return (int) n;
	}
	if (s->first) {
		free(s->first);
		s->first = NULL;
	}
	n = recv(s->fd, ret, (size_t) max, MSG_DONTWAIT);
	if (n >= 0)
		return (int) n;
	if (errno == EAGAIN || errno == EINTR)
		BIO_set_retry_read(bio);
	else
		s->error = -errno;
	return -1;
}

/* How much of it the socket took. */
static size_t send_some(struct tls_stream *s, const char *data, size_t len)
{
	ssize_t n = s->error ? -1 : send(s->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n >= 0)
		return (size_t) n;
	if (!s->error && errno != EAGAIN && errno != EINTR)
		s->error = -errno;
	return 0;
}

static int bio_write(BIO *bio, const char *data, int len)
{
	struct tls_stream *s = BIO_get_data(bio);
	size_t sent = s->out.len ? 0 : send_some(s, data, (size_t) len);

	BIO_clear_retry_flags(bio);
	if (s->out.len - s->out_sent + (size_t) len > KEPT_MAX)
		s->error = s->error ? s->error : -ENOBUFS;
	else if (sent < (size_t) len)
		buf_add(&s->out, data + sent, (size_t) len - sent);
	if (buf_failed(&s->out))
		s->error = -ENOMEM;
	return s->error ? -1 : len;
}

static long bio_ctrl(BIO *bio, int cmd, long arg, void *ptr)
{
	return cmd == BIO_CTRL_FLUSH;
}

static BIO_METHOD *make_method(void)
{
	int type = BIO_get_new_index();
	BIO_METHOD *m = type < 0 ? NULL : BIO_meth_new(type | BIO_TYPE_SOURCE_SINK, "socket");

	if (!m || BIO_meth_set_read(m, bio_read) != 1 || BIO_meth_set_write(m, bio_write) != 1 ||
		BIO_meth_set_ctrl(m, bio_ctrl) != 1) {
		BIO_meth_free(m);
		return NULL;
	}
	return m;
}

/* --- what is common --- */

static void bio_free_p(BIO **bio)
{
	BIO_free_all(*bio);
}

static X509 *read_certificate(const char *pem)
{
	CLEANUP(bio_free_p) BIO *bio = BIO_new_mem_buf(pem, -1);

	return bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
}

static bool use_key(SSL_CTX *ctx, const uint8_t *seed)
{
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, TLS_SEED_LEN);
	bool good = key && SSL_CTX_use_PrivateKey(ctx, key) == 1;

	EVP_PKEY_free(key);
	return good;
}

static bool use_certificate(SSL_CTX *ctx, const uint8_t *seed, const char *name)
{
	CLEANUP(free_p) char *pem = NULL;
	X509 *cert = x509_certificate_pem(seed, name, &pem) == 0 ? read_certificate(pem) : NULL;
	bool good = cert && SSL_CTX_use_certificate(ctx, cert) == 1;

	X509_free(cert);
	return good;
}

static bool add_certificate(SSL_CTX *ctx, const char *pem)
{
	X509 *cert = pem ? read_certificate(pem) : NULL;
	bool good = !pem || (cert && SSL_CTX_add1_chain_cert(ctx, cert) == 1);

	X509_free(cert);
	return good;
}

/* TLS has proved that the other side holds the key; whether it is the right one others know. */
static int take_any(X509_STORE_CTX *store, void *arg)
{
	return 1;
}

/* No tickets and no cache: whoever comes again proves itself again, and nothing is kept for it. */
static bool set_up(SSL_CTX *ctx, const struct tls_options *options)
{
	(void) SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
	(void) SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	(void) SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_cert_verify_callback(ctx, take_any, NULL);
	if (options->client || options->asks)
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	return SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1 &&
	       SSL_CTX_set_num_tickets(ctx, 0) == 1;
}

int tls_party_new(const struct tls_options *options, struct tls_party **ret, struct err *err)
{
	struct tls_party *p = calloc(1, sizeof(*p));

	if (!p)
		return err_set(err, -ENOMEM, "TLS: out of memory");
	p->client = options->client;
	p->method = make_method();
	p->ctx = SSL_CTX_new(p->client ? TLS_client_method() : TLS_server_method());
	if (!p->method || !p->ctx || !set_up(p->ctx, options) ||
		!use_certificate(p->ctx, options->seed, options->name) ||
		!use_key(p->ctx, options->seed) || !add_certificate(p->ctx, options->behind)) {
		ERR_clear_error();
		(void) tls_party_free(p);
		return err_set(err, -EIO, "TLS: OpenSSL does not take our key or certificate");
	}
	*ret = p;
	return 0;
}

struct tls_party *tls_party_free(struct tls_party *p)
{
	if (!p)
		return NULL;
	SSL_CTX_free(p->ctx);
	BIO_meth_free(p->method);
	free(p);
	return NULL;
}

/* --- a connection --- */

struct tls_stream *tls_stream_new(
	struct tls_party *party, int fd, const void *first, size_t first_len)
{
	struct tls_stream *s = calloc(1, sizeof(*s));
	BIO *bio = s ? BIO_new(party->method) : NULL;

	assert(first_len <= TLS_FIRST_MAX);
	if (s)
		s->fd = -1;
	if (bio && first_len)
		s->first = malloc(first_len);
	if (bio && (s->first || !first_len))
		s->ssl = SSL_new(party->ctx);
	if (!s || !s->ssl) {
		BIO_free(bio);
		ERR_clear_error();
		return tls_stream_free(s);
	}
	if (first_len)
		memcpy(s->first, first, first_len);
	s->first_len = first_len;
	s->fd = fd;
	BIO_set_data(bio, s);
	BIO_set_init(bio, 1);
	SSL_set_bio(s->ssl, bio, bio);
	if (party->client)
		SSL_set_connect_state(s->ssl);
	else
		SSL_set_accept_state(s->ssl);
	return s;
}

struct tls_stream *tls_stream_connect(struct tls_party *party, int fd, const char *name)
{
	struct tls_stream *s = tls_stream_new(party, fd, NULL, 0);

	assert(party->client);
	if (s && SSL_set_tlsext_host_name(s->ssl, name) != 1) {
		ERR_clear_error();
		s->fd = -1;
		return tls_stream_free(s);
	}
	return s;
}

struct tls_stream *tls_stream_free(struct tls_stream *s)
{
	if (!s)
		return NULL;
	if (s->ssl && s->fd >= 0 && SSL_is_init_finished(s->ssl) && !s->error)
		(void) SSL_shutdown(s->ssl);
	ERR_clear_error();
	SSL_free(s->ssl);
	if (s->fd >= 0)
		(void) close(s->fd);
	buf_done(&s->out);
	free(s->first);
	free(s);
	return NULL;
}

ssize_t tls_stream_read(struct tls_stream *s, void *ret, size_t max)
{
	size_t n = 0;
	int r;

	if (s->error)
		return s->error;
	r = SSL_read_ex(s->ssl, ret, max, &n);
	if (r == 1)
		return (ssize_t) n;
	r = SSL_get_error(s->ssl, r);
	ERR_clear_error();
	if (s->error)
		return s->error;
	if (r == SSL_ERROR_WANT_READ)
		return -EAGAIN;
	return r == SSL_ERROR_SSL ? -EPROTO : 0; /* without a good-bye it is as much of an end */
}

bool tls_stream_is_open(const struct tls_stream *s)
{
	return SSL_is_init_finished(s->ssl);
}

int tls_stream_peer_pin(const struct tls_stream *s, uint8_t ret[static TLS_PIN_LEN])
{
	X509 *cert = SSL_get1_peer_certificate(s->ssl);
	unsigned char *der = NULL;
	int n = cert ? i2d_X509(cert, &der) : -1;
	uint8_t key[X509_KEY_LEN];
	char pin[X509_PIN_TEXT_LEN];
	int r = n > 0 && x509_key_of_der(der, (size_t) n, key) == 0 ? 0 : -ENOENT;

	if (r == 0 && (x509_pin_of_key(key, pin) < 0 || key_from_base64(pin, ret) < 0))
		r = -ENOENT;
	OPENSSL_free(der);
	X509_free(cert);
	ERR_clear_error();
	return r;
}

int tls_stream_write(struct tls_stream *s, const void *data, size_t len)
{
	size_t n = 0;

	assert(len > 0 && len <= TLS_RECORD_MAX && !tls_stream_keeps(s));
	if (!s->error && SSL_write_ex(s->ssl, data, len, &n) == 1)
		return 0;
	ERR_clear_error();
	return s->error ? s->error : -EPROTO;
}

/* What has gone takes no room, though there be always more: the other side may read slowly. */
static void forget_sent(struct tls_stream *s)
{
	if (s->out_sent < KEPT_MAX)
		return;
	s->out.len -= s->out_sent;
	memmove(s->out.data, s->out.data + s->out_sent, s->out.len);
	s->out_sent = 0;
}

int tls_stream_flush(struct tls_stream *s)
{
	size_t left = s->out.len - s->out_sent;

	if (left)
		s->out_sent += send_some(s, s->out.data + s->out_sent, left);
	if (s->error)
		return s->error;
	if (s->out_sent < s->out.len) {
		forget_sent(s);
		return -EAGAIN;
	}
	buf_done(&s->out);
	s->out_sent = 0;
	return 0;
}

bool tls_stream_keeps(const struct tls_stream *s)
{
	return s->out.len > 0;
}
