/* fake-proxy: see fake-proxy.h. */
#include <stdlib.h>

#include <netinet/in.h>
#include <openssl/evp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fake-proxy.h"

enum { CONNS_MAX = 32, HEAD_MAX = 4096 };

struct conn {
	struct fake_proxy *proxy;
	pthread_t thread;
	int fd;
};

struct fake_proxy {
	enum fake_proxy_mode mode;
	uint16_t port, to_port;
	int fd;
	pthread_t thread;
	struct conn conns[CONNS_MAX];
	_Atomic size_t n_conns;
	_Atomic unsigned asked, connected, basic;
	_Atomic bool ends;
	pthread_mutex_t lock;
	char target[300], copy[300];
};

int fake_listen(uint16_t *ret_port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *) &sin, sizeof(sin)) < 0 || listen(fd, 16) < 0 ||
		getsockname(fd, (struct sockaddr *) &sin, &len) < 0)
		abort();
	*ret_port = ntohs(sin.sin_port);
	return fd;
}

static bool say(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		text += n;
		len -= (size_t) n;
	}
	return true;
}

/* --- who may --- */

static void md5_hex(const char *text, char ret[static 33])
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (EVP_Digest(text, strlen(text), hash, &len, EVP_md5(), NULL) != 1 || len != 16)
		abort();
	for (unsigned i = 0; i < len; i++)
		(void) snprintf(ret + 2 * i, 3, "%02x", hash[i]);
}

/* The value of NAME="..." or NAME=... in a Digest header. */
static void value(const char *head, const char *name, char ret[static 256])
{
	char wanted[32];
	const char *at;

	*ret = 0;
	(void) snprintf(wanted, sizeof(wanted), "%s=", name);
	for (at = strstr(head, wanted); at; at = strstr(at + 1, wanted))
		if (at[-1] == ' ' || at[-1] == ',')
			break;
	if (!at)
		return;
	at += strlen(wanted);
	if (*at == '"')
		(void) snprintf(ret, 256, "%.*s", (int) strcspn(at + 1, "\""), at + 1);
	else
		(void) snprintf(ret, 256, "%.*s", (int) strcspn(at, ",\r\n "), at);
}

/* RFC 7616 section 3.4.1, with MD5 and qop=auth. */
static bool digest_is_right(const char *header)
{
	char uri[256], nonce[256], nc[256], cnonce[256], response[256];
	char text[1024], a1[33], a2[33], wanted[33];

	value(header, "uri", uri);
	value(header, "nonce", nonce);
	value(header, "nc", nc);
	value(header, "cnonce", cnonce);
	value(header, "response", response);
	md5_hex(FAKE_PROXY_USER ":realm:" FAKE_PROXY_PASSWORD, a1);
	(void) snprintf(text, sizeof(text), "CONNECT:%s", uri);
	md5_hex(text, a2);
	(void) snprintf(text, sizeof(text), "%s:%s:%s:%s:auth:%s", a1, nonce, nc, cnonce, a2);
	md5_hex(text, wanted);
	return !strcmp(nonce, "abc") && !strcmp(response, wanted);
}

static bool basic_is_right(const char *header)
{
	static const char text[] = FAKE_PROXY_USER ":" FAKE_PROXY_PASSWORD;
	unsigned char wanted[64];

	(void) EVP_EncodeBlock(wanted, (const unsigned char *) text, sizeof(text) - 1);
	return !strncmp(header, (const char *) wanted, strlen((const char *) wanted));
}

static bool may_pass(struct fake_proxy *p, const char *head)
{
	const char *header = strstr(head, "\r\nProxy-Authorization: ");
	bool basic = header && !strncmp(header + 23, "Basic ", 6);

	if (basic)
		p->basic++;
	switch (p->mode) {
	case FAKE_PROXY_BASIC:
		return basic && basic_is_right(header + 29);
	case FAKE_PROXY_DIGEST:
		return header && !basic && digest_is_right(header + 23);
	default:
		return true;
	}
}

/* --- a connection --- */

static bool pass_one(int from, int to)
{
	char data[16384];
	ssize_t n = recv(from, data, sizeof(data), 0);

	return n > 0 && say(to, data, (size_t) n);
}

static void carry(struct fake_proxy *p, int fd)
{
	static const char stands[] = "HTTP/1.1 200 Connection established\r\n\r\n";
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(p->to_port) };
	CLEANUP(close_p) int to = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct pollfd fds[] = { { .fd = fd, .events = POLLIN }, { .fd = to, .events = POLLIN } };

	if (to < 0 || connect(to, (struct sockaddr *) &sin, sizeof(sin)) < 0 ||
		!say(fd, stands, sizeof(stands) - 1))
		return;
	p->connected++;
	while (!p->ends && poll(fds, 2, 50) >= 0) {
		if (fds[0].revents && !pass_one(fd, to))
			return;
		if (fds[1].revents && !pass_one(to, fd))
			return;
	}
}

static void say_without_end(
	struct fake_proxy *p, int fd, const char *begin, const char *line, size_t bytes)
{
	char many[8192];
	size_t len = 0;

	while (len + strlen(line) < sizeof(many))
		len += (size_t) snprintf(many + len, sizeof(many) - len, "%s", line);
	if (!say(fd, begin, strlen(begin)))
		return;
	for (size_t sent = 0; sent < bytes && !p->ends && say(fd, many, len);)
		sent += len;
}

static void wait_for_end(struct fake_proxy *p, int fd)
{
	struct pollfd in = { .fd = fd, .events = POLLIN };
	char c;

	while (!p->ends)
		if (poll(&in, 1, 20) > 0 && recv(fd, &c, 1, 0) <= 0)
			return;
}

static void refuse(struct fake_proxy *p, int fd)
{
	static const char basic[] =
		"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=\"realm\"\r\n"
		"Content-Length: 5\r\n\r\nSorry";
	static const char digest[] =
		"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=\"realm\"\r\n"
		"Proxy-Authenticate: Digest realm=\"realm\", nonce=\"abc\", qop=\"auth\"\r\n"
		"Proxy-Connection: close\r\nContent-Length: 5\r\n\r\nSorry";

	if (p->mode == FAKE_PROXY_DIGEST)
		(void) say(fd, digest, sizeof(digest) - 1);
	else
		(void) say(fd, basic, sizeof(basic) - 1);
}

#define SAY(text) say(fd, text, sizeof(text) - 1)

/* True: the connection goes on. */
static bool answer(struct fake_proxy *p, int fd, const char *head)
{
	switch (p->mode) {
	case FAKE_PROXY_OPEN:
	case FAKE_PROXY_BASIC:
	case FAKE_PROXY_DIGEST:
		if (!may_pass(p, head)) {
			refuse(p, fd);
			return p->mode == FAKE_PROXY_BASIC;
		}
		carry(p, fd);
		return false;
	case FAKE_PROXY_DENIES:
		return SAY("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
	case FAKE_PROXY_LOST:
		return SAY("HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n");
	case FAKE_PROXY_GARBAGE:
		return SAY("\x16\x03\x01\x02\r\n\x01 SSH-2.0\r\n\r\n\r\n");
	case FAKE_PROXY_HEADS:
		say_without_end(p, fd, "HTTP/1.1 200 Yes\r\n", "X-A: bcd\r\n", 10 << 20);
		return false;
	case FAKE_PROXY_LINE:
		say_without_end(p, fd, "HTTP/1.1 200 Yes\r\nX-A: ", "abcdefgh", 10 << 20);
		return false;
	case FAKE_PROXY_FLOOD:
		say_without_end(p, fd,
			"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=\"x\"\r\n"
			"Content-Length: 100000000000\r\n\r\n",
			"abcdefgh", SIZE_MAX);
		return false;
	case FAKE_PROXY_HALF:
		(void) SAY("HTTP/1.1 200 Connec");
		wait_for_end(p, fd);
		return false;
	case FAKE_PROXY_SILENT:
		wait_for_end(p, fd);
		return false;
	case FAKE_PROXY_CLOSES:
		return false;
	}
	return false;
}

/* False: no head comes any more. */
static bool read_head(struct fake_proxy *p, int fd, char head[static HEAD_MAX])
{
	size_t len = 0;

	while (len < HEAD_MAX - 1) {
		struct pollfd in = { .fd = fd, .events = POLLIN };

		head[len] = 0;
		if (len >= 4 && !strcmp(head + len - 4, "\r\n\r\n"))
			return true;
		if (p->ends)
			return false;
		if (poll(&in, 1, 20) <= 0)
			continue;
		if (recv(fd, head + len, 1, 0) <= 0)
			return false;
		len++;
	}
	return false;
}

static void *conn_main(void *arg)
{
	struct conn *c = arg;
	struct fake_proxy *p = c->proxy;
	char head[HEAD_MAX];

	while (read_head(p, c->fd, head)) {
		(void) pthread_mutex_lock(&p->lock);
		(void) sscanf(head, "CONNECT %299s", p->target);
		(void) pthread_mutex_unlock(&p->lock);
		p->asked++;
		if (!answer(p, c->fd, head))
			break;
	}
	(void) shutdown(c->fd, SHUT_RDWR);
	(void) close(c->fd);
	return NULL;
}

static void *proxy_main(void *arg)
{
	struct fake_proxy *p = arg;
	struct pollfd in = { .fd = p->fd, .events = POLLIN };

	while (!p->ends) {
		struct conn *c = &p->conns[p->n_conns];

		if (poll(&in, 1, 20) <= 0)
			continue;
		*c = (struct conn){ .proxy = p, .fd = accept(p->fd, NULL, NULL) };
		if (c->fd < 0 || p->n_conns == CONNS_MAX - 1 ||
			pthread_create(&c->thread, NULL, conn_main, c) != 0)
			abort();
		p->n_conns++;
	}
	return NULL;
}

struct fake_proxy *fake_proxy_new(enum fake_proxy_mode mode, uint16_t to_port)
{
	struct fake_proxy *p = calloc(1, sizeof(*p));

	if (!p || pthread_mutex_init(&p->lock, NULL) != 0)
		abort();
	p->mode = mode;
	p->to_port = to_port;
	p->fd = fake_listen(&p->port);
	if (pthread_create(&p->thread, NULL, proxy_main, p) != 0)
		abort();
	return p;
}

void fake_proxy_free(struct fake_proxy *p)
{
	if (!p)
		return;
	p->ends = true;
	(void) pthread_join(p->thread, NULL);
	for (size_t i = 0; i < p->n_conns; i++)
		(void) pthread_join(p->conns[i].thread, NULL);
	(void) close(p->fd);
	(void) pthread_mutex_destroy(&p->lock);
	free(p);
}

uint16_t fake_proxy_port(const struct fake_proxy *p)
{
	return p->port;
}

unsigned fake_proxy_asked(const struct fake_proxy *p)
{
	return p->asked;
}

unsigned fake_proxy_connected(const struct fake_proxy *p)
{
	return p->connected;
}

unsigned fake_proxy_basic(const struct fake_proxy *p)
{
	return p->basic;
}

const char *fake_proxy_target(const struct fake_proxy *proxy)
{
	struct fake_proxy *p = (struct fake_proxy *) proxy;

	(void) pthread_mutex_lock(&p->lock);
	memcpy(p->copy, p->target, sizeof(p->copy));
	(void) pthread_mutex_unlock(&p->lock);
	return p->copy;
}
