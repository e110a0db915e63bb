/* See derp-peer.h. */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "derp-peer.h"

#define PATIENCE_US UINT64_C(20000000)

static SSL_CTX *client_ctx;
static sd_event *event;

int peers_init(void)
{
	client_ctx = SSL_CTX_new(TLS_client_method());
	return client_ctx ? 0 : -1;
}

void peers_done(void)
{
	SSL_CTX_free(client_ctx);
}

void peers_use(sd_event *loop)
{
	event = loop;
}

SSL *peers_ssl(void)
{
	SSL *ssl = SSL_new(client_ctx);

	assert_non_null(ssl);
	return ssl;
}

static int on_listen(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct derp **derp = ctx;
	struct sockaddr_storage sa = { 0 };
	struct endpoint peer = { 0 };
	socklen_t len = sizeof(sa);
	int conn;

	while ((conn = accept4(fd, (struct sockaddr *) &sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC)) >=
		0) {
		assert_int_equal(endpoint_from_sockaddr((struct sockaddr *) &sa, &peer), 0);
		if (*derp)
			derp_take(*derp, conn, &peer, NULL, 0);
		else
			(void) close(conn);
	}
	return 0;
}

void peers_listen(struct derp **derp, struct endpoint *ret)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	sd_event_source *source = NULL;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *) &sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 1024), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *) &sa, &len), 0);
	assert_int_equal(endpoint_from_sockaddr((struct sockaddr *) &sa, ret), 0);
	assert_true(sd_event_add_io(event, &source, fd, EPOLLIN, on_listen, derp) >= 0);
	assert_true(sd_event_source_set_io_fd_own(source, 1) >= 0);
	assert_true(sd_event_source_set_floating(source, 1) >= 0);
	(void) sd_event_source_unref(source);
}

uint64_t peers_real_us(void)
{
	struct timespec ts;

	(void) clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t) ts.tv_sec * 1000000 + (uint64_t) ts.tv_nsec / 1000;
}

int peer_connect(const struct endpoint *at)
{
	struct sockaddr_storage sa;
	socklen_t len = endpoint_to_sockaddr(at, &sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *) &sa, len), 0);
	return fd;
}

struct peer *peer_on(int fd)
{
	struct peer *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	p->fd = fd;
	p->reads = true;
	p->ssl = peers_ssl();
	SSL_set_fd(p->ssl, fd);
	SSL_set_connect_state(p->ssl);
	return p;
}

struct peer *peer_free(struct peer *p)
{
	SSL_free(p->ssl);
	(void) close(p->fd);
	derp_reader_done(&p->reader);
	free(p);
	return NULL;
}

static void take_packet(struct peer *p, const struct derp_frame *f)
{
	const uint8_t *from, *data;
	size_t len;

	assert_int_equal(derp_packet_parse(f, &from, &data, &len), 0);
	p->packets++;
	p->bytes += len;
	p->last_len = len;
	memcpy(p->last, data, len < PEER_KEPT ? len : PEER_KEPT);
	memcpy(p->from, from, DERP_KEY_LEN);
}

static void take(struct peer *p, const struct derp_frame *f)
{
	p->n_types[f->type]++;
	if (f->type == DERP_RECV)
		take_packet(p, f);
	else if (f->type == DERP_PEER_GONE)
		assert_int_equal(derp_peer_gone_parse(f, p->gone, &p->reason), 0);
	else if (f->type == DERP_HEALTH)
		derp_health_parse(f, p->health);
}

void peer_step(struct peer *p)
{
	static uint8_t in[65536];
	struct derp_frame frame;
	const uint8_t *data;
	size_t len;

	while (!p->closed && p->reads) {
		int r = SSL_read_ex(p->ssl, in, sizeof(in), &len);

		if (r != 1) {
			p->closed = SSL_get_error(p->ssl, r) != SSL_ERROR_WANT_READ;
			return;
		}
		data = in;
		while ((r = derp_reader_next(
				&p->reader, DERP_STAGE_CLIENT_OPEN, &data, &len, &frame)) > 0)
			take(p, &frame);
		assert_int_equal(r, 0);
	}
}

void peers_turn(struct peer *p, struct peer *q)
{
	assert_true(sd_event_run(event, 1000) >= 0);
	if (p)
		peer_step(p);
	if (q)
		peer_step(q);
}

size_t peer_try_write(struct peer *p, const void *data, size_t len)
{
	size_t n = 0;

	(void) SSL_write_ex(p->ssl, data, len, &n);
	return n;
}

void peer_write(struct peer *p, const void *data, size_t len)
{
	uint64_t end = peers_real_us() + PATIENCE_US;

	while (len) {
		size_t n = peer_try_write(p, data, len);

		data = (const uint8_t *) data + n;
		len -= n;
		if (n)
			continue;
		if (peers_real_us() > end)
			fail_msg("nothing more can be written");
		peers_turn(p, NULL);
	}
}

void peer_send(struct peer *p, const uint8_t to[static DERP_KEY_LEN], const void *data, size_t len)
{
	uint8_t *frame = malloc(DERP_PACKET_HEAD_LEN + len);

	assert_non_null(frame);
	peer_write(p, frame, packet_frame(to, data, len, frame));
	free(frame);
}

struct peer *peer_log_in(const struct endpoint *at, const struct login_keys *k,
	const uint8_t relay[static DERP_KEY_LEN])
{
	struct peer *p = peer_on(peer_connect(at));
	uint8_t frame[DERP_INFO_FRAME_MAX];
	size_t len = login_frame(k, relay, 2, frame);

	peer_write(p, FAST, strlen(FAST));
	peer_write(p, frame, len);
	UNTIL(p, NULL, p->n_types[DERP_SERVER_INFO] || p->closed);
	return p;
}
