/*
 * coordinator-hostile HOSTS SLOTS PORT: so many hosts (addresses of 127.2.0.0/16) that each open connections as fast
 * as they are taken, and hold up to SLOTS of them: a quarter say nothing, a quarter send half a handshake, a
 * quarter announce a body of 64 KiB and trickle it, a quarter make up tokens. Until SIGTERM; then prints what it
 * reached.
 */
#include <errno.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "sys/x509/x509.h"

enum kind { SILENT, HALF, BODY, TOKENS, KINDS };

struct slot {
	int fd;
	enum kind kind;
	unsigned host;
	SSL *ssl;
	bool connected, shaken, asked;
	uint64_t opened_us;
};

#define TRICKLE_US (500 * USEC_PER_MSEC)
#define AGAIN_US   (20 * USEC_PER_MSEC)

static volatile sig_atomic_t ended;
static unsigned long long opened, shaken, closed;

static void on_term(int sig)
{
	ended = 1;
}

static void die(const char *what)
{
	fprintf(stderr, "coordinator-hostile: %s: %s\n", what, strerror(errno));
	exit(1);
}

static SSL_CTX *stranger(void)
{
	uint8_t seed[X509_SEED_LEN];
	char *cert = NULL, *key = NULL;
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	randombytes_buf(seed, sizeof(seed));
	if (!ctx || x509_certificate_pem(seed, "nobody", &cert) < 0 || x509_key_pem(seed, &key) < 0)
		die("make a certificate");
	BIO *c = BIO_new_mem_buf(cert, -1), *k = BIO_new_mem_buf(key, -1);
	X509 *x = PEM_read_bio_X509(c, NULL, NULL, NULL);
	EVP_PKEY *p = PEM_read_bio_PrivateKey(k, NULL, NULL, NULL);

	if (SSL_CTX_use_certificate(ctx, x) != 1 || SSL_CTX_use_PrivateKey(ctx, p) != 1)
		die("use a certificate");
	X509_free(x);
	EVP_PKEY_free(p);
	BIO_free(c);
	BIO_free(k);
	free(cert);
	x509_wipe_p(&key);
	return ctx;
}

static void open_slot(struct slot *s, unsigned short port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in from = { .sin_family = AF_INET };

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	from.sin_addr.s_addr = htonl(0x7f020001 + s->host);
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	s->opened_us = clock_now_us();
	if (s->fd < 0 || bind(s->fd, (struct sockaddr *) &from, sizeof(from)) < 0 ||
		(connect(s->fd, (struct sockaddr *) &to, sizeof(to)) < 0 && errno != EINPROGRESS)) {
		if (s->fd >= 0)
			close(s->fd);
		s->fd = -1;
		return;
	}
	opened++;
}

static void close_slot(struct slot *s)
{
	SSL_free(s->ssl);
	close(s->fd);
	closed++;
	*s = (struct slot){ .fd = -1, .kind = s->kind, .host = s->host };
}

static void ask(struct slot *s)
{
	char body[256], text[640];

	if (s->kind == TOKENS) {
		int n = snprintf(body, sizeof(body),
			"{\"token\":{\"id\":\"%016llx\",\"secret\":\"%043d=\"},\"wg\":\"%043d=\","
			"\"name\":\"x\"}",
			opened, 0, 1);

		n = snprintf(text, sizeof(text),
			"POST /v1/enroll HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", n,
			body);
		(void) SSL_write(s->ssl, text, n);
	} else {
		int n = snprintf(text, sizeof(text),
			"PUT /v1/presence HTTP/1.1\r\nHost: x\r\nContent-Length: 65536\r\n\r\n{");

		(void) SSL_write(s->ssl, text, n);
	}
	s->asked = true;
}

/* False: it is over. */
static bool go_on(struct slot *s, SSL_CTX *ctx, short revents)
{
	char junk[4096];

	if (!s->connected) {
		s->connected = true;
		if (s->kind == HALF)
			return send(s->fd, "\x16\x03\x01\x02\x00\x01", 6, MSG_NOSIGNAL) == 6;
	}
	if (s->kind < BODY)
		return !(revents & (POLLIN | POLLHUP | POLLERR));
	if (!s->ssl) {
		s->ssl = SSL_new(ctx);
		if (!s->ssl || SSL_set_fd(s->ssl, s->fd) != 1)
			die("TLS");
		SSL_set_connect_state(s->ssl);
	}
	if (!s->shaken) {
		int r = SSL_do_handshake(s->ssl);

		if (r != 1)
			return SSL_get_error(s->ssl, r) == SSL_ERROR_WANT_READ;
		s->shaken = true;
		shaken++;
		ask(s);
	}
	int n = SSL_read(s->ssl, junk, sizeof(junk));

	return n <= 0 && SSL_get_error(s->ssl, n) == SSL_ERROR_WANT_READ;
}

int main(int argc, char **argv)
{
	if (argc != 4 || sodium_init() < 0)
		return 2;
	unsigned hosts = (unsigned) strtoul(argv[1], NULL, 10),
		 n = hosts * (unsigned) strtoul(argv[2], NULL, 10);
	unsigned short port = (unsigned short) atoi(argv[3]);
	struct rlimit limit = { n + 64, n + 64 };
	struct slot *slots = calloc(n, sizeof(*slots));
	struct pollfd *fds = calloc(n, sizeof(*fds));
	SSL_CTX *ctx = stranger();

	if (!slots || !fds)
		die("memory");
	(void) setrlimit(RLIMIT_NOFILE, &limit);
	(void) signal(SIGPIPE, SIG_IGN);
	(void) sigaction(SIGTERM, &(struct sigaction){ .sa_handler = on_term }, NULL);
	for (unsigned i = 0; i < n; i++)
		slots[i] = (struct slot){
			.fd = -1, .host = i % hosts, .kind = (enum kind)(i % hosts % KINDS)
		};
	uint64_t began = clock_now_us(), trickled = began;

	while (!ended) {
		uint64_t now = clock_now_us();
		bool trickle = now - trickled > TRICKLE_US;

		trickled = trickle ? now : trickled;
		for (unsigned i = 0; i < n; i++) {
			struct slot *s = &slots[i];

			if (s->fd < 0 && now - s->opened_us > AGAIN_US)
				open_slot(s, port);
			if (trickle && s->asked && s->kind == BODY)
				(void) SSL_write(s->ssl, "a", 1);
			fds[i] = (struct pollfd){ s->fd, s->connected ? POLLIN : POLLOUT, 0 };
		}
		if (poll(fds, n, 10) < 0 && errno != EINTR)
			die("poll");
		for (unsigned i = 0; i < n; i++)
			if (slots[i].fd >= 0 && fds[i].revents &&
				!go_on(&slots[i], ctx, fds[i].revents))
				close_slot(&slots[i]);
	}
	double s = (double) (clock_now_us() - began) / 1e6;

	printf("%u hostile hosts, %u connections at a time wanted: %.0f opened, %.0f handshakes "
	       "and %.0f closed a second, for %.1f s\n",
		hosts, n, (double) opened / s, (double) shaken / s, (double) closed / s, s);
	return 0;
}
