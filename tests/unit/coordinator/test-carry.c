/*
 * The whole way in one loop: a client on loopback, the relay's port, connections that the
 * coordinator keeps there, its HTTPS server. Client and server speak TLS with each other.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/encode.h"
#include "coordinator/carry.h"
#include "mesh/relay-hosts.h"
#include "relay/front.h"
#include "relay/pass.h"
#include "sys/httpd/httpd.h"
#include "sys/listen/listen.h"
#include "sys/tls/tls.h"
#include "sys/x509/x509.h"

enum { PER_SOURCE = 4, CARRIED_MAX = 12 };

static const uint8_t relay_seed[32] = { 9 }, coord_seed[32] = { 1 }, other_seed[32] = { 2 };

static struct {
	struct relay_core core;
	struct front *front;
	struct pass *pass;
	struct httpd *httpd;
	struct carry *carry;
	struct tls_party *clients;
	char *cert, *key, name[PASS_NAME_MAX];
	uint8_t pin[PASS_PIN_LEN];
	uint16_t port;
	struct node_relay relay;
	bool dumb; /* the server takes nobody */
	bool loopback_is_good;
	unsigned refusals;
	unsigned served;
	struct ip_addr last;
	/* What was heard of watch 5. */
	unsigned met, missed;
	uint8_t met_pin[PASS_PIN_LEN];
	char why[ERR_TEXT_MAX];
} w;

/* There is no other address in a unit test. */
const char *__real_relay_host_refused(const struct settings *settings, const struct ip_addr *addr);
const char *__wrap_relay_host_refused(const struct settings *settings, const struct ip_addr *addr);
const char *__wrap_relay_host_refused(const struct settings *settings, const struct ip_addr *addr)
{
	if (w.loopback_is_good)
		return NULL;
	w.refusals++;
	return __real_relay_host_refused(settings, addr);
}

static void pin_of(const uint8_t *seed, uint8_t ret[static PASS_PIN_LEN])
{
	uint8_t key[X509_KEY_LEN];
	char text[X509_PIN_TEXT_LEN];

	assert_int_equal(x509_public_key(seed, key), 0);
	assert_int_equal(x509_pin_of_key(key, text), 0);
	assert_int_equal(key_from_base64(text, ret), 0);
}

/* --- the relay --- */

static void arrived(void *ctx, int fd, const struct endpoint *peer, const char *name,
	const void *first, size_t first_len)
{
	if (pass_serves(name))
		pass_take(w.pass, fd, peer, name, first, first_len);
	else
		(void) close(fd);
}

static void relay_up(void)
{
	static const struct front_hooks hooks = { .arrived = arrived };
	const struct pass_config config = {
		.tls_seed = relay_seed, .name = "relay", .clients_max = 64, .per_source_max = 64
	};
	struct front_config front = { .places = 64, .per_source = 64 };
	struct err err = { 0 };
	char where[32];

	(void) snprintf(where, sizeof(where), "127.0.0.1:%u", w.port);
	if (listen_open(where, &front.listen_fd, &err) < 0 ||
		pass_new(&w.core, &config, &w.pass, &err) < 0 ||
		front_new(&w.core, &front, &hooks, NULL, &w.front, &err) < 0)
		fail_msg("%s", err.text);
	w.port = listen_port(front.listen_fd);
	pass_follow(w.pass, &w.pin, 1);
}

static void relay_down(void)
{
	w.front = front_free(w.front);
	w.pass = pass_free(w.pass);
}

static struct pass_counters at_relay(void)
{
	struct pass_counters c;

	pass_counters(w.pass, &c);
	return c;
}

/* --- the coordinator --- */

static size_t head(void *ctx, struct httpd_request *request)
{
	return 4096;
}

static void serve(void *ctx, struct httpd_request *request)
{
	w.served++;
	w.last = *httpd_request_address(request);
	httpd_reply(request, 200, json_pack("{s:s}", "hello", httpd_request_path(request)));
}

static int take(void *ctx, int fd, const struct endpoint *client)
{
	if (!w.dumb)
		return httpd_add(w.httpd, fd, client);
	(void) close(fd);
	return -EAGAIN;
}

static void heard(void *ctx, uint32_t watch, const uint8_t *pin, const struct err *why)
{
	assert_int_equal(watch, 5);
	w.met += pin != NULL;
	w.missed += why != NULL;
	if (pin)
		memcpy(w.met_pin, pin, sizeof(w.met_pin));
	if (why)
		(void) snprintf(w.why, sizeof(w.why), "%s", why->text);
}

static struct carry_counters at_coord(void)
{
	struct carry_counters c;

	carry_counters(w.carry, &c);
	return c;
}

static void follow_one(struct carry_relay relay, const char *host, const uint8_t *pin)
{
	struct settings settings = { 0 };

	assert_int_equal(ip_prefix_parse("127.0.0.64/26", &settings.mesh4), 0);
	w.relay.tcp = w.port;
	w.relay.n_hosts = 1;
	(void) snprintf(w.relay.hosts[0], sizeof(w.relay.hosts[0]), "%s", host);
	memcpy(w.relay.pin, pin, sizeof(w.relay.pin));
	relay.relay = &w.relay;
	carry_follow(w.carry, &relay, 1, &settings);
}

static void follow(const char *host, const uint8_t *pin)
{
	follow_one((struct carry_relay){ .node = 7, .name = "vps" }, host, pin);
}

static void coord_up(void)
{
	const struct carry_config config = {
		.seed = coord_seed, .carried_max = CARRIED_MAX, .take = take, .heard = heard
	};
	struct httpd_config https = { .certificate = w.cert,
		.key = w.key,
		.connections_max = 64,
		.per_source_max = PER_SOURCE,
		.head = head,
		.handler = serve };
	struct err err = { 0 };

	if (listen_open("127.0.0.1:0", &https.listen_fd, &err) < 0 ||
		httpd_new(w.core.event, &https, &w.httpd, &err) < 0 ||
		carry_new(w.core.event, &config, &w.carry, &err) < 0)
		fail_msg("%s", err.text);
}

/* --- a client --- */

struct user {
	struct tls_stream *tls;
	char in[4096];
	size_t len;
	bool closed;
};

static struct user users[64];
static size_t n_users;

static void step(struct user *u)
{
	ssize_t n = tls_stream_read(u->tls, u->in + u->len, sizeof(u->in) - 1 - u->len);

	if (u->closed)
		return;
	u->len += n > 0 ? (size_t) n : 0;
	u->closed = n <= 0 && n != -EAGAIN;
}

static void run_once(void)
{
	assert_true(sd_event_run(w.core.event, 1000) >= 0);
	for (size_t i = 0; i < n_users; i++)
		step(&users[i]);
}

#define UNTIL(condition)                                                                        \
	do {                                                                                    \
		uint64_t end_ = clock_now_us() + 20 * USEC_PER_SEC;                             \
		while (!(condition)) {                                                          \
			if (clock_now_us() > end_)                                              \
				fail_msg("line %d: not within 20 s: %s", __LINE__, #condition); \
			run_once();                                                             \
		}                                                                               \
	} while (0)

/* From 127.0.0.@host; TLS begins. */
static struct user *come(uint8_t host)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(0x7f000000u + host) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct user *u = &users[n_users++];

	assert_int_equal(bind(fd, (struct sockaddr *) &sa, sizeof(sa)), 0);
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sa.sin_port = htons(w.port);
	assert_int_equal(connect(fd, (struct sockaddr *) &sa, sizeof(sa)), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	*u = (struct user){ .tls = tls_stream_connect(w.clients, fd, w.name) };
	assert_non_null(u->tls);
	step(u);
	return u;
}

static void ask(struct user *u, const char *path)
{
	char text[128];
	int n = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);

	u->len = 0;
	memset(u->in, 0, sizeof(u->in));
	assert_int_equal(tls_stream_write(u->tls, text, (size_t) n), 0);
}

static void leave(struct user *u)
{
	u->tls = tls_stream_free(u->tls);
	*u = users[--n_users];
	users[n_users] = (struct user){ 0 };
}

/* A client is answered, by the server whose key is pinned. */
static void talks(struct user *u, const char *path)
{
	uint8_t pin[TLS_PIN_LEN];

	UNTIL(tls_stream_is_open(u->tls) || u->closed);
	assert_false(u->closed);
	assert_int_equal(tls_stream_peer_pin(u->tls, pin), 0);
	assert_memory_equal(pin, w.pin, sizeof(pin));
	ask(u, path);
	UNTIL(strstr(u->in, path) || u->closed);
	assert_non_null(strstr(u->in, "200 OK"));
}

/* --- the tests --- */

static int start(void **state)
{
	const struct tls_options client = { .client = true, .seed = other_seed, .name = "user" };
	struct err err = { 0 };

	memset(&w, 0, sizeof(w));
	n_users = 0;
	assert_true(sd_event_new(&w.core.event) >= 0);
	assert_int_equal(x509_certificate_pem(coord_seed, "coord", &w.cert), 0);
	assert_int_equal(x509_key_pem(coord_seed, &w.key), 0);
	assert_int_equal(tls_party_new(&client, &w.clients, &err), 0);
	pin_of(coord_seed, w.pin);
	pin_of(relay_seed, w.relay.pin);
	pass_name_of_pin(w.pin, w.name);
	relay_up();
	coord_up();
	return 0;
}

static int stop(void **state)
{
	while (n_users)
		leave(&users[0]);
	w.carry = carry_free(w.carry);
	w.httpd = httpd_free(w.httpd);
	relay_down();
	tls_party_free(w.clients);
	w.core.event = sd_event_unref(w.core.event);
	free(w.cert);
	x509_wipe_p(&w.key);
	return 0;
}

static void test_whole_way(void **state)
{
	uint8_t pin[32];
	struct user *u;

	memcpy(pin, w.relay.pin, sizeof(pin));
	follow("127.0.0.1", pin);
	UNTIL(at_relay().parked == CARRY_PARKED);
	u = come(5);
	talks(u, "/one");
	assert_true(ip_addr_equal(&w.last, &(struct ip_addr){ AF_INET, { 127, 0, 0, 5 } }));
	talks(u, "/two"); /* the same connection */
	assert_int_equal(w.served, 2);
	assert_int_equal(at_coord().carried, 1);
	UNTIL(at_relay().parked == CARRY_PARKED); /* another one for the one that is in use */
	leave(u);
	UNTIL(at_coord().carried == 0 && at_relay().carried == 0 &&
		httpd_connections(w.httpd) == 0);
}

/* The same by a name, which a thread looks up. */
static void test_name(void **state)
{
	uint8_t pin[32];

	memcpy(pin, w.relay.pin, sizeof(pin));
	w.loopback_is_good = true;
	follow("localhost", pin);
	UNTIL(at_relay().parked == CARRY_PARKED);
}

/* What DNS says is not believed if it leads nowhere outside. */
static void test_bad_name(void **state)
{
	uint8_t pin[32];

	memcpy(pin, w.relay.pin, sizeof(pin));
	follow("localhost", pin);
	UNTIL(w.refusals > 0);
	run_once();
	assert_int_equal(at_relay().joining + at_relay().parked, 0);
	assert_int_equal(at_coord().parked, 0);
}

/* Limits per address are those of the stated one: a crowd from one does not keep out another. */
static void test_limits(void **state)
{
	struct user *crowd[2 * PER_SOURCE], *other;
	uint8_t pin[32];

	memcpy(pin, w.relay.pin, sizeof(pin));
	follow("127.0.0.1", pin);
	for (size_t i = 0; i < 2 * PER_SOURCE; i++)
		crowd[i] = come(5);
	UNTIL(at_coord().taken + at_coord().refused == 2 * PER_SOURCE);
	UNTIL(httpd_turned_away(w.httpd) == PER_SOURCE);
	assert_int_equal(httpd_connections(w.httpd), PER_SOURCE);
	other = come(6);
	talks(other, "/other");
	for (size_t i = 0; i < 2 * PER_SOURCE; i++)
		if (!crowd[i]->closed && tls_stream_is_open(crowd[i]->tls))
			talks(crowd[i], "/crowd");
	UNTIL(at_coord().carried == PER_SOURCE + 1);
}

/* Nobody comes from an address of the mesh itself, nor more than may. */
static void test_refused(void **state)
{
	uint8_t pin[32];
	struct user *u;

	memcpy(pin, w.relay.pin, sizeof(pin));
	follow("127.0.0.1", pin);
	u = come(70);
	UNTIL(u->closed);
	assert_int_equal(at_relay().full, 1);
	assert_int_equal(w.served, 0);
	w.dumb = true;
	u = come(5);
	UNTIL(u->closed);
	w.dumb = false;
	for (uint8_t i = 0; i < CARRIED_MAX + 3; i++)
		(void) come((uint8_t) (10 + i));
	UNTIL(at_relay().full == 5);
	assert_int_equal(at_coord().carried, CARRIED_MAX);
	UNTIL(at_relay().parked >= CARRY_PARKED);
}

/* A relay that goes and comes back: who comes meanwhile is served then. */
static void test_restart(void **state)
{
	uint8_t pin[32];
	struct user *u;

	memcpy(pin, w.relay.pin, sizeof(pin));
	follow("127.0.0.1", pin);
	u = come(5);
	talks(u, "/before");
	relay_down();
	UNTIL(u->closed);
	UNTIL(at_coord().parked == 0 && at_coord().carried == 0);
	relay_up();
	u = come(5);
	talks(u, "/after");
}

/* A relay with another key than the record's is told nothing; nor one that does not know ours. */
static void test_keys(void **state)
{
	uint8_t pin[32], wrong[PASS_PIN_LEN] = { 1 };

	memcpy(pin, w.relay.pin, sizeof(pin));
	follow("127.0.0.1", wrong);
	UNTIL(at_relay().strangers + at_relay().dead > 0);
	assert_int_equal(at_relay().parks, 0);
	follow("127.0.0.1", pin);
	UNTIL(at_relay().parked == CARRY_PARKED);
	pass_follow(w.pass, &wrong, 1);
	UNTIL(at_coord().parked == 0);
	assert_int_equal(at_relay().parked, 0);
	pass_follow(w.pass, &w.pin, 1);
	UNTIL(at_relay().parked == CARRY_PARKED);
}

/* One of which nobody knows the key: it is told, and what the relay states is not believed. */
static void test_any_key(void **state)
{
	static const struct carry_relay added = { .name = "added", .any_key = true, .watch = 5 };
	static const uint8_t none[PASS_PIN_LEN];
	uint8_t pin[PASS_PIN_LEN];
	struct user *u;

	memcpy(pin, w.relay.pin, sizeof(pin));
	follow_one(added, "127.0.0.1", none);
	UNTIL(at_relay().parked == CARRY_PARKED && w.met >= CARRY_PARKED);
	assert_memory_equal(w.met_pin, pin, sizeof(pin));
	assert_int_equal(w.missed, 0);
	u = come(5);
	talks(u, "/one");
	assert_true(ip_addr_equal(&w.last, &(struct ip_addr){ AF_INET, { 127, 0, 0, 1 } }));
	w.met = 0;
	pass_follow(w.pass, &pin, 1); /* it does not know us any more */
	UNTIL(w.missed > 0 && strstr(w.why, "no coordinator of this key"));
	assert_int_equal(w.met, 0);
}

/* A key that is another one is told as that, too, and the relay hears nothing of us. */
static void test_watch(void **state)
{
	static const struct carry_relay one = { .name = "one", .watch = 5 };
	uint8_t pin[PASS_PIN_LEN], wrong[PASS_PIN_LEN] = { 1 };

	memcpy(pin, w.relay.pin, sizeof(pin));
	follow_one(one, "127.0.0.1", wrong);
	UNTIL(w.missed > 0);
	assert_non_null(strstr(w.why, "another key"));
	assert_int_equal(w.met + at_relay().parks, 0);
	follow_one(one, "127.0.0.1", pin);
	UNTIL(w.met > 0);
}

/* Who waits for a relay that says nothing, or for the next try, sleeps. */
static void test_sleeps(void **state)
{
	uint16_t port = w.port;
	uint8_t pin[32];
	struct err err = { 0 };
	int silent, turns = 0;

	memcpy(pin, w.relay.pin, sizeof(pin));
	assert_int_equal(listen_open("127.0.0.1:0", &silent, &err), 0);
	w.port = listen_port(silent);
	follow("127.0.0.1", pin);
	while (sd_event_run(w.core.event, 50000) > 0)
		assert_true(turns++ < 8);
	(void) close(silent); /* which resets what it has not accepted */
	turns = 0;
	while (sd_event_run(w.core.event, 50000) > 0)
		assert_true(turns++ < 8);
	w.port = port;
}

/* Other relays, and none. */
static void test_follow(void **state)
{
	const struct settings none = { 0 };
	uint8_t pin[32];
	struct user *u;

	memcpy(pin, w.relay.pin, sizeof(pin));
	follow("127.0.0.1", pin);
	u = come(5);
	talks(u, "/one");
	follow("127.0.0.1", pin); /* the same one stays */
	talks(u, "/two");
	carry_follow(w.carry, NULL, 0, &none);
	UNTIL(u->closed && at_relay().parked == 0);
	assert_int_equal(at_coord().carried, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_whole_way, start, stop),
		cmocka_unit_test_setup_teardown(test_name, start, stop),
		cmocka_unit_test_setup_teardown(test_bad_name, start, stop),
		cmocka_unit_test_setup_teardown(test_limits, start, stop),
		cmocka_unit_test_setup_teardown(test_refused, start, stop),
		cmocka_unit_test_setup_teardown(test_restart, start, stop),
		cmocka_unit_test_setup_teardown(test_keys, start, stop),
		cmocka_unit_test_setup_teardown(test_any_key, start, stop),
		cmocka_unit_test_setup_teardown(test_watch, start, stop),
		cmocka_unit_test_setup_teardown(test_sleeps, start, stop),
		cmocka_unit_test_setup_teardown(test_follow, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
