/* derp-end: see derp-end.h. */
#include "derp-end.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { READ_MAX = 1 << 20, NOT_SENT = 128 << 10, HEAD_MAX = 4096 };

static const char request[] = "GET /derp HTTP/1.1\r\nHost: relay\r\nConnection: Upgrade\r\n"
			      "Upgrade: DERP\r\n\r\n";

void end_die(const char *what, const char *why)
{
	(void) fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, why);
	exit(1);
}

void end_key(
	uint32_t number, uint8_t ret_secret[static DERP_KEY_LEN], uint8_t ret[static DERP_KEY_LEN])
{
	static const uint8_t label[] = "hearth derp-load";

	(void) crypto_generichash(ret_secret, DERP_KEY_LEN, (const uint8_t *) &number,
		sizeof(number), label, sizeof(label));
	(void) crypto_scalarmult_base(ret, ret_secret);
}

struct tls_party *end_party(void)
{
	static const uint8_t seed[TLS_SEED_LEN] = { 1 };
	const struct tls_options options = { .client = true, .seed = seed, .name = "derp-load" };
	struct tls_party *party = NULL;
	struct err err = { 0 };

	if (tls_party_new(&options, &party, &err) < 0)
		end_die("TLS", err.text);
	return party;
}

static int connect_to(const struct endpoint *to, const struct ip_addr *from)
{
	const struct endpoint own = { .addr = *from };
	const int lowat = NOT_SENT, on = 1;
	struct sockaddr_storage sa;
	socklen_t len = endpoint_to_sockaddr(&own, &sa);
	CLEANUP(close_p)
	int fd = socket(to->addr.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	(void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void) setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof(lowat));
	(void) setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	if (len && bind(fd, (struct sockaddr *) &sa, len) < 0)
		return -errno;
	len = endpoint_to_sockaddr(to, &sa);
	if (connect(fd, (struct sockaddr *) &sa, len) < 0 && errno != EINPROGRESS)
		return -errno;
	return take_fd(&fd);
}

int end_open(struct end *end, struct tls_party *party, const struct endpoint *to,
	const struct ip_addr *from, uint32_t number)
{
	int fd = connect_to(to, from);

	*end = (struct end){ .fd = -1 };
	if (fd < 0)
		return fd;
	end->tls = tls_stream_connect(party, fd, "relay");
	if (!end->tls) {
		(void) close(fd);
		return -ENOMEM;
	}
	end->fd = fd;
	end_key(number, end->secret, end->key);
	(void) end_progress(end, NULL, NULL); /* now something waits to be written */
	return 0;
}

void end_must_open(struct end *end, struct tls_party *party, const struct endpoint *to,
	const struct ip_addr *from, uint32_t number)
{
	char text[ENDPOINT_TEXT_MAX];
	int r = end_open(end, party, to, from, number);

	if (r < 0)
		end_die(endpoint_format(to, text), strerror(-r));
}

void end_close(struct end *end)
{
	end->tls = tls_stream_free(end->tls);
	end->fd = -1;
	buf_done(&end->head);
	derp_reader_done(&end->reader);
}

static void gone(struct end *end, const char *why)
{
	if (end->state != END_GONE)
		end->why = why;
	end->state = END_GONE;
}

bool end_send(struct end *end, const void *frames, size_t len)
{
	int r = tls_stream_flush(end->tls);

	if (r == 0)
		r = tls_stream_write(end->tls, frames, len);
	if (r < 0 && r != -EAGAIN)
		gone(end, strerror(-r));
	return r == 0;
}

int end_info_put(const uint8_t secret[static DERP_KEY_LEN], const uint8_t key[static DERP_KEY_LEN],
	const uint8_t server[static DERP_KEY_LEN], uint8_t ret[static DERP_INFO_FRAME_MAX])
{
	const struct derp_client_info info = { .version = DERP_VERSION };
	const struct derp_keys own = { secret, key };
	uint8_t nonce[DERP_NONCE_LEN];

	randombytes_buf(nonce, sizeof(nonce));
	return derp_client_info_put(&info, &own, server, nonce, ret);
}

static void log_in(struct end *end, const struct derp_frame *frame)
{
	uint8_t server[DERP_KEY_LEN], ret[DERP_INFO_FRAME_MAX];
	int n = derp_server_key_parse(frame, server);

	if (n == 0)
		n = end_info_put(end->secret, end->key, server, ret);
	if (n < 0 || !end_send(end, ret, (size_t) n))
		return gone(end, "no server key");
	end->state = END_LOGIN;
}

static void take_frame(
	struct end *end, const struct derp_frame *frame, end_packet_fn packet, void *ctx)
{
	const uint8_t *from, *data;
	size_t len;

	if (end->state == END_GREETED)
		return log_in(end, frame);
	if (frame->type == DERP_SERVER_INFO)
		end->state = END_IN;
	else if (frame->type == DERP_RECV && packet &&
		 derp_packet_parse(frame, &from, &data, &len) == 0)
		packet(ctx, from, data, len);
}

static void take_frames(
	struct end *end, const uint8_t *data, size_t len, end_packet_fn packet, void *ctx)
{
	struct derp_frame frame;
	int r = 1;

	while (r > 0 && end->state != END_GONE) {
		r = derp_reader_next(&end->reader,
			end->state == END_GREETED ? DERP_STAGE_CLIENT_GREETING
						  : DERP_STAGE_CLIENT_OPEN,
			&data, &len, &frame);
		if (r > 0)
			take_frame(end, &frame, packet, ctx);
	}
	if (r < 0)
		gone(end, "no frame");
}

/* The answer's head, and what of @data is behind it. */
static size_t take_head(struct end *end, const uint8_t *data, size_t len)
{
	size_t had = end->head.len, n;
	const char *at;

	buf_add(&end->head, data, len);
	at = end->head.data ? strstr(end->head.data, "\r\n\r\n") : NULL;
	if (!at) {
		if (end->head.len > HEAD_MAX)
			gone(end, "no answer that ends");
		return len;
	}
	if (strncmp(end->head.data, "HTTP/1.1 101 ", 13) != 0)
		gone(end, "no upgrade");
	else
		end->state = END_GREETED;
	n = (size_t) (at + 4 - end->head.data) - had;
	buf_done(&end->head);
	return n;
}

static void begin(struct end *end)
{
	if (tls_stream_is_open(end->tls) && end_send(end, request, strlen(request)))
		end->state = END_ASKING;
}

bool end_progress(struct end *end, end_packet_fn packet, void *ctx)
{
	static uint8_t data[65536];
	ssize_t n = 1;

	for (size_t len = 0; end->state != END_GONE && len < READ_MAX; len += (size_t) n) {
		size_t at = 0;

		n = tls_stream_read(end->tls, data, sizeof(data));
		if (end->state == END_CONNECTING)
			begin(end);
		if (n <= 0)
			break;
		if (end->state == END_ASKING)
			at = take_head(end, data, (size_t) n);
		if (at < (size_t) n)
			take_frames(end, data + at, (size_t) n - at, packet, ctx);
	}
	if (n <= 0 && n != -EAGAIN)
		gone(end, n == 0 ? "it hung up" : strerror((int) -n));
	if (end->state != END_GONE && tls_stream_keeps(end->tls))
		(void) tls_stream_flush(end->tls);
	return end->state != END_GONE && n > 0;
}

bool end_wants_to_write(const struct end *end)
{
	return tls_stream_keeps(end->tls);
}
