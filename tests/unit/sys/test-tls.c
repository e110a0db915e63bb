/*
 * TLS streams and the pump, over socket pairs: a client's stream, a server's, and a pump on each,
 * all in one loop. What goes in at one end comes out at the other.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/encode.h"
#include "sys/tls/pump.h"
#include "sys/x509/x509.h"

static const uint8_t client_seed[TLS_SEED_LEN] = { 1 }, server_seed[TLS_SEED_LEN] = { 2 };

static uint64_t ahead_us;

uint64_t __real_clock_now_us(void);
uint64_t __wrap_clock_now_us(void);
uint64_t __wrap_clock_now_us(void)
{
	return __real_clock_now_us() + ahead_us;
}

static struct {
	sd_event *event;
	struct tls_party *client, *server;
	struct pump *pumps[2]; /* the client's side, the server's */
	unsigned over;
	int ends[2]; /* the far ends */
} w;

static struct tls_party *make_party(bool client, bool asks)
{
	const struct tls_options options = { .client = client,
		.asks = asks,
		.seed = client ? client_seed : server_seed,
		.name = client ? "client" : "server" };
	struct tls_party *party;
	struct err err = { 0 };

	if (tls_party_new(&options, &party, &err) < 0)
		fail_msg("%s", err.text);
	return party;
}

static void make_pair(int ret[static 2])
{
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ret), 0);
}

/* The handshake, both sides in turn. */
static void shake(struct tls_stream *a, struct tls_stream *b)
{
	char c;

	for (int i = 0; i < 8 && !(tls_stream_is_open(a) && tls_stream_is_open(b)); i++) {
		assert_int_equal(tls_stream_read(a, &c, 1), -EAGAIN);
		assert_int_equal(tls_stream_read(b, &c, 1), -EAGAIN);
	}
	assert_true(tls_stream_is_open(a) && tls_stream_is_open(b));
}

static void pin_of(const uint8_t *seed, uint8_t ret[static TLS_PIN_LEN])
{
	uint8_t key[X509_KEY_LEN];
	char text[X509_PIN_TEXT_LEN];

	assert_int_equal(x509_public_key(seed, key), 0);
	assert_int_equal(x509_pin_of_key(key, text), 0);
	assert_int_equal(key_from_base64(text, ret), 0);
}

static void over(void *ctx, struct pump *pump)
{
	struct pump **at = ctx;

	assert_ptr_equal(*at, pump);
	*at = pump_free(pump);
	w.over++;
}

static int set_up(void **state)
{
	memset(&w, 0, sizeof(w));
	ahead_us = 0;
	assert_true(sd_event_new(&w.event) >= 0);
	w.client = make_party(true, false);
	w.server = make_party(false, true);
	w.ends[0] = w.ends[1] = -1;
	return 0;
}

static int tear_down(void **state)
{
	for (int i = 0; i < 2; i++) {
		w.pumps[i] = pump_free(w.pumps[i]);
		if (w.ends[i] >= 0)
			(void) close(w.ends[i]);
	}
	tls_party_free(w.client);
	tls_party_free(w.server);
	w.event = sd_event_unref(w.event);
	return 0;
}

/* far end 0 <-> pump <-> TLS <-> pump <-> far end 1 */
static void connect_ends(const char *first)
{
	int wire[2], near[2];
	struct tls_stream *streams[2];

	make_pair(wire);
	streams[0] = tls_stream_connect(w.client, wire[0], "server.example.org");
	streams[1] = tls_stream_new(w.server, wire[1], NULL, 0);
	assert_true(streams[0] && streams[1]);
	shake(streams[0], streams[1]);
	for (int i = 0; i < 2; i++) {
		int pair[2];
		struct pump_ends ends = { .tls = streams[i], .tls_fd = wire[i] };

		make_pair(pair);
		near[i] = pair[0];
		w.ends[i] = pair[1];
		ends.fd = near[i];
		if (i == 0) {
			ends.to_tls = first;
			ends.to_tls_len = strlen(first);
		}
		assert_int_equal(pump_new(w.event, &ends, over, &w.pumps[i], &w.pumps[i]), 0);
	}
}

static void run_once(void)
{
	assert_true(sd_event_run(w.event, 100000) >= 0);
}

static void test_pins(void **state)
{
	uint8_t pin[TLS_PIN_LEN], wanted[TLS_PIN_LEN];
	int wire[2];
	struct tls_stream *a, *b;

	make_pair(wire);
	a = tls_stream_connect(w.client, wire[0], "server.example.org");
	b = tls_stream_new(w.server, wire[1], NULL, 0);
	shake(a, b);
	assert_int_equal(tls_stream_peer_pin(a, pin), 0);
	pin_of(server_seed, wanted);
	assert_memory_equal(pin, wanted, sizeof(pin));
	assert_int_equal(tls_stream_peer_pin(b, pin), 0);
	pin_of(client_seed, wanted);
	assert_memory_equal(pin, wanted, sizeof(pin));
	tls_stream_free(a);
	tls_stream_free(b);
}

/* A server that does not ask learns nothing. */
static void test_not_asked(void **state)
{
	struct tls_party *server = make_party(false, false);
	uint8_t pin[TLS_PIN_LEN];
	int wire[2];
	struct tls_stream *a, *b;

	make_pair(wire);
	a = tls_stream_connect(w.client, wire[0], "server.example.org");
	b = tls_stream_new(server, wire[1], NULL, 0);
	shake(a, b);
	assert_int_equal(tls_stream_peer_pin(b, pin), -ENOENT);
	tls_stream_free(a);
	tls_stream_free(b);
	tls_party_free(server);
}

/* Both ways at once, far more than all buffers hold, and each byte is what it was. */
static void test_bulk(void **state)
{
	enum { TOTAL = 4 << 20, STEP = 50000 };
	static uint8_t sent[2][TOTAL], got[STEP];
	size_t in[2] = { 0 }, out[2] = { 0 };
	uint64_t to, from;

	connect_ends("");
	for (int i = 0; i < 2; i++)
		randombytes_buf(sent[i], TOTAL);
	while (out[0] < TOTAL || out[1] < TOTAL) {
		for (int i = 0; i < 2; i++) {
			size_t n = TOTAL - in[i] < STEP ? TOTAL - in[i] : STEP;
			ssize_t r = send(w.ends[i], sent[i] + in[i], n, MSG_NOSIGNAL);

			in[i] += r > 0 ? (size_t) r : 0;
			r = recv(w.ends[!i], got, sizeof(got), 0);
			if (r <= 0)
				continue;
			assert_memory_equal(got, sent[i] + out[i], (size_t) r);
			out[i] += (size_t) r;
		}
		assert_int_equal(w.over, 0);
		assert_true(sd_event_run(w.event, 1000) >= 0);
	}
	pump_bytes(w.pumps[0], &to, &from);
	assert_int_equal(to, TOTAL);
	assert_int_equal(from, TOTAL);
}

/* Whoever says his last word and closes is heard to the end; then the other side is closed. */
static void test_last_word(void **state)
{
	enum { TOTAL = 150000 };
	static uint8_t sent[TOTAL], got[TOTAL + 16];
	size_t out = 0;
	ssize_t n = 1;

	for (int side = 0; side < 2; side++) {
		connect_ends("first");
		out = 0;
		n = -1;
		randombytes_buf(sent, TOTAL);
		assert_int_equal(send(w.ends[side], sent, TOTAL, MSG_NOSIGNAL), TOTAL);
		(void) close(w.ends[side]);
		w.ends[side] = -1;
		while (n != 0) {
			run_once();
			n = recv(w.ends[!side], got + out, sizeof(got) - out, 0);
			assert_true(n >= 0 || errno == EAGAIN);
			out += n > 0 ? (size_t) n : 0;
		}
		if (side == 0) {
			assert_int_equal(out, TOTAL + 5);
			assert_memory_equal(got, "first", 5);
		}
		assert_memory_equal(got + (side == 0 ? 5 : 0), sent, TOTAL);
		while (w.over < 2)
			run_once();
		w.over = 0;
		(void) close(w.ends[!side]);
		w.ends[!side] = -1;
	}
}

/* Who takes nothing makes nobody spin, and is not kept for ever once the other has gone. */
static void test_stuck(void **state)
{
	static uint8_t data[1 << 20];
	int turns = 0;

	connect_ends("");
	while (send(w.ends[0], data, sizeof(data), MSG_NOSIGNAL) > 0 || turns++ < 8)
		assert_true(sd_event_run(w.event, 1000) >= 0);
	turns = 0;
	while (sd_event_run(w.event, 0) > 0)
		assert_true(turns++ < 16);
	assert_false(pump_is_stuck(w.pumps[1], clock_now_us()));
	ahead_us += PUMP_IDLE_US;
	assert_true(pump_is_stuck(w.pumps[1], clock_now_us()));
	ahead_us = 0;
	w.pumps[0] = pump_free(w.pumps[0]);
	turns = 0;
	while (sd_event_run(w.event, 0) > 0)
		assert_true(turns++ < 16);
	assert_int_equal(w.over, 0);
	ahead_us += PUMP_ENDING_US;
	assert_int_equal(pump_is_stuck(w.pumps[1], clock_now_us()), true);
}

/* --- memory --- */

/* A client of OpenSSL's own, which asks for new keys again and again and reads little. */
static SSL *open_client(SSL_CTX *ctx, int fd, struct tls_stream *server)
{
	SSL *ssl = SSL_new(ctx);
	char c;

	assert_non_null(ssl);
	assert_int_equal(SSL_set_fd(ssl, fd), 1);
	for (int i = 0; i < 8 && SSL_connect(ssl) != 1; i++)
		assert_int_equal(tls_stream_read(server, &c, 1), -EAGAIN);
	assert_int_equal(tls_stream_read(server, &c, 1), -EAGAIN);
	assert_true(tls_stream_is_open(server));
	return ssl;
}

static size_t allocated(void)
{
	struct mallinfo2 now = mallinfo2();

	return now.uordblks + now.hblkhd;
}

/* Its answers are bounded by what waits, not by all there ever were. */
static void test_slow_reader(void **state)
{
	enum { UPDATES = 20000, GROWTH_MAX = 256 << 10 };
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	struct tls_party *party = make_party(false, false);
	int wire[2], small = 1;
	size_t before, most = 0, got = 0;
	char data[4096];

	make_pair(wire);
	assert_int_equal(setsockopt(wire[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	struct tls_stream *server = tls_stream_new(party, wire[1], NULL, 0);
	SSL *client = open_client(ctx, wire[0], server);

	before = allocated();
	for (unsigned i = 0; i < UPDATES; i++) {
		size_t now;
		ssize_t n = 0;

		assert_int_equal(SSL_key_update(client, SSL_KEY_UPDATE_REQUESTED), 1);
		assert_int_equal(SSL_do_handshake(client), 1);
		assert_int_equal(tls_stream_read(server, data, sizeof(data)), -EAGAIN);
		/* It takes what there is when much waits, but never all of it. */
		while (got + 4 * sizeof(data) < (size_t) i * 27 &&
			(n = recv(wire[0], data, sizeof(data), MSG_DONTWAIT)) > 0) {
			got += (size_t) n;
			(void) tls_stream_flush(server);
		}
		now = allocated();
		most = now > most ? now : most;
	}
	assert_true(tls_stream_keeps(server));
	assert_true(got > GROWTH_MAX);
	assert_true(most < before + GROWTH_MAX);
	SSL_free(client);
	(void) close(wire[0]);
	SSL_CTX_free(ctx);
	tls_stream_free(server);
	tls_party_free(party);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_pins, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_not_asked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bulk, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_last_word, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stuck, set_up, tear_down),
		cmocka_unit_test(test_slow_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
