/* http: against our own server on one event loop: pins, URLs in turn, bounds, errors, cancelling. */
#include <errno.h>
#include <netdb.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "fake-proxy.h"
#include "sys/http/http.h"
#include "sys/httpd/httpd.h"
#include "sys/x509/x509.h"

/* --- names --- */

static sem_t gate;
static _Atomic unsigned looked_up, answered;

int __real_getaddrinfo(
	const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **ret);
int __wrap_getaddrinfo(
	const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **ret);
/* Of our own library alone: libcurl knows none of these names. */
int __wrap_getaddrinfo(
	const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **ret)
{
	int r = EAI_NONAME;

	looked_up++;
	if (!strcmp(node, "slow.test"))
		(void) sem_wait(&gate);
	if (!strcmp(node, "here.test"))
		r = __real_getaddrinfo("127.0.0.1", service, hints, ret);
	answered++;
	return r;
}

static const uint8_t server_seed[32] = { 1 }, client_seed[32] = { 2 }, other_seed[32] = { 3 };

struct world {
	sd_event *event;
	struct httpd *server;
	struct http_client *client;
	char *server_cert, *server_key, *client_cert, *client_key;
	char pin[X509_PIN_TEXT_LEN], other_pin[X509_PIN_TEXT_LEN];
	char url[64], dead_url[64];
	int dead_fd;
	unsigned served, never;
	struct httpd_request *kept[4]; /* by /never */
	size_t n_kept;
	int done, status;
	struct err err;
	char body[256], answered[256];
};

static struct world w;

static size_t head(void *ctx, struct httpd_request *request)
{
	if (!strcmp(httpd_request_path(request), "/closed"))
		httpd_reply_error(request, 403, "forbidden", "Not for you.");
	return 65536;
}

/* Ends all connections to the server. */
static void break_off(void)
{
	uint16_t port = htons((uint16_t) strtoul(strrchr(w.url, ':') + 1, NULL, 10));

	for (int fd = 3; fd < 256; fd++) {
		struct sockaddr_in sin = { 0 };
		socklen_t len = sizeof(sin);

		if (getsockname(fd, (struct sockaddr *) &sin, &len) == 0 && sin.sin_port == port &&
			getpeername(fd, (struct sockaddr *) &sin, &len) == 0)
			(void) shutdown(fd, SHUT_RDWR);
	}
}

/* Says who asked; /big, /never, /refuse, /empty and /broken are special. */
static void serve(void *ctx, struct httpd_request *request)
{
	const char *path = httpd_request_path(request);
	const uint8_t *key = httpd_request_key(request);
	size_t len = 0;

	w.served++;
	if (!strcmp(path, "/big")) {
		char *text = malloc(100000);

		memset(text, ' ', 100000);
		httpd_reply_text(request, 200, text, 100000);
	} else if (!strcmp(path, "/never")) {
		assert_true(w.n_kept < ARRAY_LEN(w.kept));
		w.kept[w.n_kept++] = request;
	} else if (!strcmp(path, "/broken")) {
		break_off();
		httpd_reply_error(request, 503, "internal", "Nobody hears this.");
	} else if (!strcmp(path, "/refuse")) {
		httpd_reply_error(request, 403, "token_used", "It was used.");
	} else if (!strcmp(path, "/empty")) {
		httpd_reply_text(request, 200, strdup("not json"), 8);
	} else {
		(void) httpd_request_body(request, &len);
		httpd_reply(request, 200,
			json_pack("{s:s,s:i,s:i}", "method", httpd_request_method(request), "key",
				key ? key[0] : -1, "len", (int) len));
	}
}

/* @backlog 0: a port that nobody else gets, and that refuses. */
static int bound_fd(char url[static 64], int backlog)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *) &sin, sizeof(sin)), 0);
	if (backlog)
		assert_int_equal(listen(fd, backlog), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *) &sin, &len), 0);
	snprintf(url, 64, "https://127.0.0.1:%u", ntohs(sin.sin_port));
	return fd;
}

static int set_up(void **state)
{
	uint8_t key[32];

	assert_int_equal(x509_certificate_pem(server_seed, "server", &w.server_cert), 0);
	assert_int_equal(x509_key_pem(server_seed, &w.server_key), 0);
	assert_int_equal(x509_certificate_pem(client_seed, "client", &w.client_cert), 0);
	assert_int_equal(x509_key_pem(client_seed, &w.client_key), 0);
	assert_int_equal(x509_public_key(server_seed, key), 0);
	assert_int_equal(x509_pin_of_key(key, w.pin), 0);
	assert_int_equal(x509_public_key(other_seed, key), 0);
	assert_int_equal(x509_pin_of_key(key, w.other_pin), 0);
	w.dead_fd = bound_fd(w.dead_url, 0);
	assert_true(sd_event_new(&w.event) >= 0);
	struct httpd_config config = { .listen_fd = bound_fd(w.url, 16),
		.certificate = w.server_cert,
		.key = w.server_key,
		.connections_max = 64,
		.head = head,
		.handler = serve };

	assert_int_equal(httpd_new(w.event, &config, &w.server, NULL), 0);
	return 0;
}

static int tear_down(void **state)
{
	w.client = http_client_free(w.client);
	while (w.n_kept)
		httpd_reply_error(w.kept[--w.n_kept], 503, "internal", "The end.");
	httpd_free(w.server);
	(void) close(w.dead_fd);
	sd_event_unref(w.event);
	free(w.server_cert);
	free(w.client_cert);
	x509_wipe_p(&w.server_key);
	x509_wipe_p(&w.client_key);
	memset(&w, 0, sizeof(w));
	return 0;
}

static void ended(void *ctx, const struct http_reply *reply, const struct err *err)
{
	w.done++;
	w.status = reply ? reply->status : 0;
	w.err = err ? *err : (struct err){ 0 };
	snprintf(w.answered, sizeof(w.answered), "%s", reply ? reply->url : "");
	snprintf(w.body, sizeof(w.body), "%.200s", reply ? buf_str(&reply->body) : "");
}

static void open_client(const char *const *urls, size_t n_urls, const char *pin)
{
	const char *const pins[] = { pin };
	struct http_options options = { .urls = urls,
		.n_urls = n_urls,
		.pins = pins,
		.n_pins = 1,
		.cert_pem = w.client_cert,
		.key_pem = w.client_key };

	w.client = http_client_free(w.client);
	assert_int_equal(http_client_new(w.event, &options, &w.client, NULL), 0);
}

/* Runs the loop until @n requests have ended. */
static void run(int n)
{
	uint64_t end = clock_now_us() + 60 * USEC_PER_SEC;

	while (w.done < n && clock_now_us() < end)
		assert_true(sd_event_run(w.event, 100000) >= 0);
	assert_int_equal(w.done, n);
	w.done = 0;
}

static uint64_t ask(const char *method, const char *path, const char *body, size_t reply_max,
	uint64_t timeout_us)
{
	struct http_request request = { .method = method,
		.path = path,
		.body = body,
		.body_len = body ? strlen(body) : 0,
		.reply_max = reply_max,
		.timeout_us = timeout_us };
	uint64_t id = 0;

	assert_int_equal(http_client_send(w.client, &request, ended, NULL, &id, NULL), 0);
	assert_int_equal(w.done, 0);
	return id;
}

static void test_plain(void **state)
{
	const char *const urls[] = { w.url };
	uint8_t key[32];
	char wanted[64];

	open_client(urls, 1, w.pin);
	ask("PUT", "/x", "{\"a\":1}", 0, 0);
	run(1);
	assert_int_equal(w.status, 200);
	x509_public_key(client_seed, key); /* each connection shows our certificate */
	snprintf(wanted, sizeof(wanted), "\"key\":%d", key[0]);
	assert_non_null(strstr(w.body, wanted));
	assert_non_null(strstr(w.body, "\"method\":\"PUT\""));
	assert_non_null(strstr(w.body, "\"len\":7"));
	for (int i = 0; i < 5; i++)
		ask("GET", "/y", NULL, 0, 0);
	run(5);
	assert_non_null(strstr(w.body, "\"method\":\"GET\""));
}

static void test_pin(void **state)
{
	const char *const urls[] = { w.url };

	open_client(urls, 1, w.other_pin);
	ask("GET", "/x", NULL, 0, 0);
	run(1);
	assert_int_equal(w.err.code, -EKEYREJECTED);
	assert_int_equal(w.served, 0);
	assert_non_null(strstr(w.err.text, w.url));
}

/* A name that nobody knows, at a host that is told with it. */
static void test_host(void **state)
{
	char named[96], other[96];
	const char *const urls[] = { other, named };

	(void) snprintf(named, sizeof(named), "https://c-x.hearth.internal%s#127.0.0.1",
		strrchr(w.url, ':'));
	(void) snprintf(
		other, sizeof(other), "https://c-x.hearth.internal%s#::1", strrchr(w.url, ':'));
	open_client(urls + 1, 1, w.pin);
	ask("GET", "/x", NULL, 0, 0);
	run(1);
	assert_int_equal(w.status, 200);
	assert_string_equal(w.answered, named);
	open_client(urls, 1, w.pin);
	ask("GET", "/x", NULL, 0, 0);
	run(1);
	assert_int_equal(w.err.code, -ECONNREFUSED);
	open_client(urls, 2, w.pin); /* the same name twice, and one of them answers */
	ask("GET", "/x", NULL, 0, 0);
	run(1);
	assert_int_equal(w.status, 200);
}

static void test_in_turn(void **state)
{
	const char *const urls[] = { w.dead_url, w.url };

	open_client(urls, 2, w.pin);
	ask("GET", "/x", NULL, 0, 0);
	run(1);
	assert_int_equal(w.status, 200);
	open_client(urls, 1, w.pin);
	ask("GET", "/x", NULL, 0, 0);
	run(1);
	assert_int_equal(w.err.code, -ECONNREFUSED);
}

/* The first host takes the connection and says nothing until the request's time is over. */
static void test_all_get_their_turn(void **state)
{
	char silent_url[64];
	CLEANUP(close_p) int silent = bound_fd(silent_url, 8);
	const char *const urls[] = { silent_url, w.url };

	assert_true(silent >= 0);
	open_client(urls, 2, w.pin);
	ask("GET", "/x", NULL, 0, 200000);
	run(1);
	assert_int_equal(w.err.code, -ETIMEDOUT);
	ask("GET", "/x", NULL, 0, 5000000);
	run(1);
	assert_int_equal(w.status, 200);
}

static unsigned count_accepted(int listening)
{
	unsigned n = 0;

	for (int fd; (fd = accept(listening, NULL, NULL)) >= 0; n++)
		(void) close(fd);
	return n;
}

/* A router that drops what goes to the first: the second is not kept waiting for it. */
static void test_side_by_side(void **state)
{
	char silent_url[64];
	CLEANUP(close_p) int silent = bound_fd(silent_url, 8);
	const char *const urls[] = { silent_url, silent_url, w.url };
	uint64_t begun = clock_now_us();

	assert_true(silent >= 0);
	open_client(urls, 3, w.pin);
	ask("PUT", "/x", "{}", 0, 0);
	run(1);
	assert_int_equal(w.status, 200);
	assert_string_equal(w.answered, w.url);
	assert_true(clock_now_us() - begun < USEC_PER_SEC + USEC_PER_SEC / 2);
	assert_int_equal(count_accepted(silent), 2);
	ask("PUT", "/x", "{}", 0, 0); /* that one is the first now */
	run(1);
	assert_int_equal(count_accepted(silent), 0);
	assert_int_equal(w.served, 2);
}

static int accepted(int fd);

/* Two that are slow, and answer at the same time: one of them has the request, once. */
static void test_sent_once(void **state)
{
	char late_url[64], last_url[64];
	int late = bound_fd(late_url, 8);
	CLEANUP(close_p) int last = bound_fd(last_url, 8), waits = -1;
	const char *const urls[] = { late_url, w.url, last_url };
	struct httpd_config config = { .listen_fd = late,
		.certificate = w.server_cert,
		.key = w.server_key,
		.connections_max = 64,
		.head = head,
		.handler = serve };
	struct httpd *second = NULL;

	httpd_free(w.server);
	w.server = NULL;
	config.listen_fd = bound_fd(w.url, 8);
	open_client(urls, 3, w.pin);
	ask("PUT", "/never", "{}", 0, 0);
	waits = accepted(last); /* all are under way, and nobody has spoken */
	assert_true(waits >= 0);
	assert_int_equal(httpd_new(w.event, &config, &w.server, NULL), 0);
	config.listen_fd = late;
	assert_int_equal(httpd_new(w.event, &config, &second, NULL), 0);
	while (!w.n_kept)
		assert_true(sd_event_run(w.event, 100000) >= 0);
	ask("GET", "/x", NULL, 0, 0); /* by then whoever else had it would have told */
	run(1);
	assert_int_equal(w.served, 2);
	httpd_reply(w.kept[--w.n_kept], 200, json_object());
	run(1);
	assert_int_equal(w.status, 200);
	w.client = http_client_free(w.client);
	httpd_free(second);
}

/* At most so many at once, whatever there is. */
static void test_few_at_once(void **state)
{
	char silent_url[64], named[10][96];
	CLEANUP(close_p) int silent = bound_fd(silent_url, 16);
	const char *urls[10];

	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		(void) snprintf(named[i], sizeof(named[i]), "https://c-%zu%s#127.0.0.1", i,
			strrchr(silent_url, ':'));
		urls[i] = named[i];
	}
	open_client(urls, ARRAY_LEN(urls), w.pin);
	ask("GET", "/x", NULL, 0, 2500000);
	run(1);
	assert_int_equal(w.err.code, -ETIMEDOUT);
	assert_int_equal(count_accepted(silent), 6);
}

/* Whoever takes the request and breaks off, each time, does not keep the others from their turn. */
static void test_broken_off(void **state)
{
	char other_url[64];
	CLEANUP(close_p) int other = bound_fd(other_url, 8);
	const char *const urls[] = { w.url, other_url };

	open_client(urls, 2, w.pin);
	ask("GET", "/x", NULL, 0, 0);
	run(1); /* it is the one that answered last, and may begin anew */
	ask("GET", "/broken", NULL, 0, 1500000);
	run(1);
	assert_int_equal(w.err.code, -ETIMEDOUT);
	assert_non_null(strstr(w.err.text, other_url));
	assert_int_equal(count_accepted(other), 2);
	assert_in_range(w.served, 3, 4); /* libcurl's own second try is in it */
}

/* The server's port is free again; what listens there takes connections, and says nothing. */
static int silent_in_place_of_server(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t) strtoul(strrchr(w.url, ':') + 1, NULL, 10)) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

	httpd_free(w.server);
	w.server = NULL;
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *) &sin, sizeof(sin)), 0);
	return fd;
}

static void open_impatient_client(const char *const *urls, size_t n_urls)
{
	const char *const pins[] = { w.pin };
	struct http_options options = { .urls = urls,
		.n_urls = n_urls,
		.pins = pins,
		.n_pins = 1,
		.connect_timeout_us = 500000 };

	assert_int_equal(http_client_new(w.event, &options, &w.client, NULL), 0);
	ask("GET", "/x", NULL, 0, 0);
	run(1);
	assert_int_equal(w.status, 200); /* the server's URL is the first, and answered */
}

static int accepted(int fd)
{
	uint64_t end = clock_now_us() + 60 * USEC_PER_SEC;
	int got = -1;

	while (got < 0 && clock_now_us() < end) {
		assert_true(sd_event_run(w.event, 10000) >= 0);
		got = accept(fd, NULL, NULL);
	}
	assert_true(got >= 0);
	return got;
}

/* A daemon that restarts while an old URL, which leads nowhere now, costs its time. */
static void test_restart(void **state)
{
	char gone_url[64], other_url[64];
	CLEANUP(close_p) int gone = bound_fd(gone_url, 8), other = bound_fd(other_url, 8);
	const char *const urls[] = { w.url, gone_url, other_url };
	struct httpd_config config = { .certificate = w.server_cert,
		.key = w.server_key,
		.connections_max = 64,
		.head = head,
		.handler = serve };

	open_impatient_client(urls, 3);
	config.listen_fd = silent_in_place_of_server(); /* it refuses until it listens */
	ask("GET", "/x", NULL, 0, 0);
	CLEANUP(close_p) int waits = accepted(gone);

	assert_true(waits >= 0);
	assert_int_equal(w.done, 0);
	assert_int_equal(listen(config.listen_fd, 16), 0);
	assert_int_equal(httpd_new(w.event, &config, &w.server, NULL), 0);
	run(1);
	assert_int_equal(w.status, 200);
	assert_true(accept(other, NULL, NULL) < 0); /* it was asked before that one's turn came */
}

/* Who is silent now, though it answered last, has one turn, */
static void test_one_turn(void **state)
{
	char other_url[64];
	CLEANUP(close_p) int other = bound_fd(other_url, 8), silent = -1, one = -1, two = -1;
	const char *const urls[] = { w.url, other_url };

	open_impatient_client(urls, 2);
	silent = silent_in_place_of_server();
	assert_int_equal(listen(silent, 16), 0);
	ask("GET", "/x", NULL, 0, 0);
	run(1);
	assert_int_equal(w.err.code, -ETIMEDOUT);
	one = accepted(silent);
	two = accepted(other);
	assert_true(one >= 0 && two >= 0);
	assert_true(accept(silent, NULL, NULL) < 0);
	assert_true(accept(other, NULL, NULL) < 0);
}

/* and is not the first of the next request. */
static void test_silent_now(void **state)
{
	char other_url[64];
	CLEANUP(close_p) int other = bound_fd(other_url, 8), silent = -1;
	const char *const urls[] = { w.url, other_url };

	open_impatient_client(urls, 2);
	silent = silent_in_place_of_server();
	assert_int_equal(listen(silent, 16), 0);
	ask("GET", "/x", NULL, 0, 200000);
	run(1);
	assert_int_equal(w.err.code, -ETIMEDOUT);
	CLEANUP(close_p) int first = accepted(silent);

	ask("GET", "/x", NULL, 0, 0);
	CLEANUP(close_p) int second = accepted(other);

	assert_true(first >= 0 && second >= 0);
	assert_true(accept(silent, NULL, NULL) < 0);
	run(1);
}

static int on_knock(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	int got = accept(fd, NULL, NULL);

	if (got >= 0) {
		(void) close(got);
		++*(unsigned *) ctx;
	}
	return 0;
}

/* Who answered last and refuses now is asked between the others, but not again and again so. */
static void test_refuses_long(void **state)
{
	char other_url[64];
	CLEANUP(close_p) int other = bound_fd(other_url, 8), closing = -1;
	const char *const urls[] = { w.url, other_url };
	unsigned last = 0, others = 0;

	open_impatient_client(urls, 2);
	closing = silent_in_place_of_server();
	assert_int_equal(listen(closing, 16), 0);
	assert_true(sd_event_add_io(w.event, NULL, closing, EPOLLIN, on_knock, &last) >= 0);
	assert_true(sd_event_add_io(w.event, NULL, other, EPOLLIN, on_knock, &others) >= 0);
	for (unsigned i = 1; i <= 3; i++) {
		ask("GET", "/x", NULL, 0, 0);
		run(1);
		assert_int_not_equal(w.err.code, 0);
		assert_int_equal(last, i + 1);
		assert_int_equal(others, i);
	}
}

/* Refused when the head has come: what follows is not kept, and the handler never sees it. */
static void test_head(void **state)
{
	const char *const urls[] = { w.url };
	char *body = malloc(60001);

	memset(body, 'a', 60000);
	body[60000] = '\0';
	open_client(urls, 1, w.pin);
	ask("PUT", "/closed", body, 65536, 20 * USEC_PER_SEC);
	run(1);
	assert_int_equal(w.status, 403);
	assert_int_equal(w.served, 0);
	ask("GET", "/closed", NULL, 65536, 20 * USEC_PER_SEC);
	run(1);
	assert_int_equal(w.status, 403);
	assert_int_equal(w.served, 0);
	ask("PUT", "/open", body, 65536, 20 * USEC_PER_SEC);
	run(1);
	assert_int_equal(w.status, 200);
	assert_non_null(strstr(w.body, "60000"));
	/* Longer than the head handler allows. */
	free(body);
	body = malloc(65538);
	memset(body, 'a', 65537);
	body[65537] = '\0';
	ask("PUT", "/open", body, 65536, 20 * USEC_PER_SEC);
	run(1);
	assert_int_equal(w.status, 413);
	assert_int_equal(w.served, 1);
	free(body);
}

static void test_bounds(void **state)
{
	const char *const urls[] = { w.url };
	uint64_t begun = clock_now_us();

	open_client(urls, 1, w.pin);
	ask("GET", "/big", NULL, 1000, 0);
	run(1);
	assert_int_equal(w.err.code, -EFBIG);
	ask("GET", "/never", NULL, 0, 300000);
	run(1);
	assert_int_equal(w.err.code, -ETIMEDOUT);
	assert_true(clock_now_us() - begun < 30 * USEC_PER_SEC);
}

/* What was wrong at one URL is not said of the next. */
static void test_too_big_then_dead(void **state)
{
	const char *const urls[] = { w.url, w.dead_url };

	open_client(urls, 2, w.pin);
	ask("GET", "/big", NULL, 1000, 0);
	run(1);
	assert_int_equal(w.err.code, -ECONNREFUSED);
	assert_non_null(strstr(w.err.text, w.dead_url));
	assert_null(strstr(w.err.text, "larger"));
}

static void test_cancel_and_reset(void **state)
{
	const char *const urls[] = { w.url };
	uint64_t id;

	open_client(urls, 1, w.pin);
	id = ask("GET", "/never", NULL, 0, 0);
	while (!w.n_kept)
		assert_true(sd_event_run(w.event, 100000) >= 0);
	http_client_cancel(w.client, id);
	http_client_cancel(w.client, id);
	httpd_reply_error(w.kept[--w.n_kept], 503, "internal", "Too late.");
	ask("GET", "/x", NULL, 0, 0);
	http_client_reset(w.client); /* it begins again */
	run(1);
	assert_int_equal(w.status, 200);
}

static int told, refused;

/* What it was asked with is released here: it must hear of the end, too. */
static void ended_by_free(void *ctx, const struct http_reply *reply, const struct err *err)
{
	struct http_request another = { .method = "GET", .path = "/x" };

	assert_null(reply);
	assert_int_equal(err->code, -ECANCELED);
	refused += http_client_send(w.client, &another, ended, NULL, NULL, NULL) == -ECANCELED;
	told++;
	free(ctx);
}

static void test_all_end(void **state)
{
	const char *const urls[] = { w.url };
	struct http_request request = { .method = "GET", .path = "/never" };
	uint64_t id = 0;

	open_client(urls, 1, w.pin);
	told = refused = 0;
	for (int i = 0; i < 3; i++)
		assert_int_equal(
			http_client_send(w.client, &request, ended_by_free, malloc(16), NULL, NULL),
			0);
	assert_int_equal(http_client_send(w.client, &request, ended, NULL, &id, NULL), 0);
	while (!w.n_kept)
		assert_true(sd_event_run(w.event, 100000) >= 0);
	http_client_cancel(w.client, id);
	w.client = http_client_free(w.client);
	assert_int_equal(told, 3);
	assert_int_equal(refused, 3);
	assert_int_equal(w.done, 0); /* the one that was cancelled */
}

static void test_configure(void **state)
{
	const char *const dead[] = { w.dead_url }, *const live[] = { w.url };
	const char *const pins[] = { w.pin };
	struct http_options options = { .urls = live, .n_urls = 1, .pins = pins, .n_pins = 1 };

	open_client(dead, 1, w.pin);
	ask("GET", "/x", NULL, 0, 0);
	assert_int_equal(http_client_configure(w.client, &options, NULL), 0);
	run(1);
	assert_int_equal(w.status, 200);
	assert_non_null(strstr(w.body, "\"key\":-1")); /* without a certificate now */
}

/* Nor is what was wrong with pins that are no longer asked for. */
static void test_configure_forgets(void **state)
{
	char silent_url[64];
	CLEANUP(close_p) int silent = bound_fd(silent_url, 8);
	const char *const urls[] = { w.url, silent_url }, *const dead[] = { w.dead_url };
	const char *const pins[] = { w.pin };
	struct http_options options = { .urls = dead, .n_urls = 1, .pins = pins, .n_pins = 1 };
	uint64_t end = clock_now_us() + 60 * USEC_PER_SEC;
	CLEANUP(close_p) int second = -1;

	open_client(urls, 2, w.other_pin);
	ask("GET", "/x", NULL, 0, 0);
	while (second < 0 && clock_now_us() < end) { /* the first had another key */
		assert_true(sd_event_run(w.event, 10000) >= 0);
		second = accept(silent, NULL, NULL);
	}
	assert_true(second >= 0);
	assert_int_equal(w.done, 0);
	assert_int_equal(http_client_configure(w.client, &options, NULL), 0);
	run(1);
	assert_int_equal(w.err.code, -ECONNREFUSED);
}

static void url_of(const char *name, char ret[static 96])
{
	(void) snprintf(ret, 96, "https://%s%s", name, strrchr(w.url, ':'));
}

/* They are looked up here, and not again for each request. */
static void test_names(void **state)
{
	char here[96], nowhere[96];
	const char *const urls[] = { here }, *const none[] = { nowhere };

	url_of("here.test", here);
	url_of("nowhere.test", nowhere);
	looked_up = 0;
	open_client(urls, 1, w.pin);
	for (int i = 0; i < 3; i++) {
		ask("GET", "/x", NULL, 0, 0);
		run(1);
		assert_int_equal(w.status, 200);
	}
	assert_int_equal(looked_up, 1);
	http_client_reset(w.client); /* another link, other name servers */
	ask("GET", "/x", NULL, 0, 0);
	run(1);
	assert_int_equal(w.status, 200);
	assert_int_equal(looked_up, 2);
	open_client(none, 1, w.pin);
	ask("GET", "/x", NULL, 0, 0);
	run(1);
	assert_int_equal(w.err.code, -EHOSTUNREACH);
	assert_non_null(strstr(w.err.text, "nowhere.test cannot be looked up: "));
}

/* A name server that is gone keeps nobody: neither who is answered elsewhere, nor the loop. */
static void test_slow_name(void **state)
{
	char slow[96];
	const char *const urls[] = { slow, w.url };
	uint64_t begun = clock_now_us();

	url_of("slow.test", slow);
	assert_int_equal(sem_init(&gate, 0, 0), 0);
	looked_up = answered = 0;
	open_client(urls, 2, w.pin);
	ask("GET", "/x", NULL, 0, 0);
	run(1);
	assert_int_equal(w.status, 200);
	assert_string_equal(w.answered, w.url);
	open_client(urls, 1, w.pin);
	ask("GET", "/x", NULL, 0, 300000);
	run(1);
	assert_int_equal(w.err.code, -ETIMEDOUT);
	assert_non_null(strstr(w.err.text, "slow.test cannot be looked up: no answer in time"));
	(void) ask("GET", "/x", NULL, 0, 0);
	w.client = http_client_free(w.client);
	w.done = 0;
	assert_true(clock_now_us() - begun < 20 * USEC_PER_SEC);
	for (int i = 0; i < 3; i++)
		assert_int_equal(sem_post(&gate), 0);
	while (answered < 3) /* the threads end */
		(void) sched_yield();
}

/* --- by a proxy --- */

static uint16_t port_of(const char *url)
{
	return (uint16_t) strtoul(strrchr(url, ':') + 1, NULL, 10);
}

/* A client that goes by it, and asks. */
static void ask_by(struct fake_proxy *proxy, const char *user, const char *const *urls,
	const enum proxy_use *uses, size_t n_urls)
{
	const char *const pins[] = { w.pin };
	char url[128];
	struct http_options options = { .urls = urls,
		.n_urls = n_urls,
		.pins = pins,
		.n_pins = 1,
		.proxy = url,
		.uses = uses };

	(void) snprintf(url, sizeof(url), "http://%s@127.0.0.1:%u", user, fake_proxy_port(proxy));
	w.client = http_client_free(w.client);
	assert_int_equal(http_client_new(w.event, &options, &w.client, NULL), 0);
	ask("GET", "/x", NULL, 0, 0);
	run(1);
}

/* Names that nobody knows here: the proxy looks them up, and gets where they lead to. */
static void test_by_proxy(void **state)
{
	static const struct {
		const char *url, *target;
	} cases[] = {
		{ "https://coord.example:8443", "coord.example:8443" },
		{ "https://c-x.hearth.internal:443#203.0.113.9", "203.0.113.9:443" },
		{ "https://c-x.hearth.internal:3340#relay.example", "relay.example:3340" },
		{ "https://c-x.hearth.internal:3340#2001:db8::9", "[2001:db8::9]:3340" },
	};
	struct fake_proxy *proxy = fake_proxy_new(FAKE_PROXY_BASIC, port_of(w.url));

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		ask_by(proxy, FAKE_PROXY_ENCODED, &cases[i].url, NULL, 1);
		if (w.status != 200)
			fail_msg("%s: %s", cases[i].url, w.err.text);
		assert_string_equal(fake_proxy_target(proxy), cases[i].target);
		assert_string_equal(w.answered, cases[i].url);
	}
	assert_int_equal(fake_proxy_connected(proxy), ARRAY_LEN(cases));
	ask("GET", "/y", NULL, 0, 0); /* on the connection that is there */
	run(1);
	assert_int_equal(fake_proxy_connected(proxy), ARRAY_LEN(cases));
	fake_proxy_free(proxy);
}

static void test_both_ways(void **state)
{
	static const enum proxy_use never[] = { PROXY_NEVER }, also[] = { PROXY_ALSO };
	struct fake_proxy *proxy = fake_proxy_new(FAKE_PROXY_OPEN, port_of(w.url));
	struct fake_proxy *lost = fake_proxy_new(FAKE_PROXY_LOST, port_of(w.url));
	const char *const live[] = { w.url }, *const dead[] = { w.dead_url };

	ask_by(proxy, "a", live, never, 1);
	assert_int_equal(w.status, 200);
	ask_by(lost, "a", live, also, 1);
	assert_int_equal(w.status, 200);
	assert_int_equal(fake_proxy_asked(proxy) + fake_proxy_asked(lost), 0);
	ask_by(proxy, "a", dead, also, 1);
	assert_int_equal(w.status, 200);
	ask("GET", "/x", NULL, 0, 0); /* the way that answered is the first */
	run(1);
	assert_int_equal(fake_proxy_connected(proxy), 1);
	ask_by(proxy, "a", dead, never, 1);
	assert_int_equal(w.err.code, -ECONNREFUSED);
	ask_by(lost, "a", dead, also, 1);
	assert_int_equal(w.err.code, -EHOSTUNREACH);
	assert_non_null(strstr(w.err.text, "does not get there"));
	fake_proxy_free(proxy);
	fake_proxy_free(lost);
}

/* It is said, whatever else is wrong; and who says it is not asked for each URL. */
static void test_wrong_password(void **state)
{
	static const enum proxy_use uses[] = { PROXY_ALSO, PROXY_ALWAYS, PROXY_ALSO, PROXY_ALSO };
	const char *const urls[] = { w.dead_url, "https://coord.example", w.dead_url, w.dead_url };
	struct fake_proxy *proxy = fake_proxy_new(FAKE_PROXY_BASIC, port_of(w.url));

	ask_by(proxy, "ann:secret", urls, uses, ARRAY_LEN(urls));
	assert_int_equal(w.err.code, -EACCES);
	assert_non_null(strstr(w.err.text, "wants another user or password"));
	assert_null(strstr(w.err.text, "secret"));
	assert_int_equal(fake_proxy_basic(proxy), 1);
	fake_proxy_free(proxy);
}

static void test_proxy_floods(void **state)
{
	static const enum fake_proxy_mode modes[] = { FAKE_PROXY_HEADS, FAKE_PROXY_FLOOD };

	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		struct fake_proxy *proxy = fake_proxy_new(modes[i], port_of(w.url));
		const char *const urls[] = { w.url };

		ask_by(proxy, "a", urls, NULL, 1);
		assert_int_equal(w.err.code, modes[i] == FAKE_PROXY_HEADS ? -EFBIG : -EACCES);
		fake_proxy_free(proxy);
	}
}

static void test_options(void **state)
{
	const char *const urls[] = { "https://192.0.2.1", "http://192.0.2.1", "ftp://x" };
	const char *const pins[] = { w.pin, "x;sha256//y", "" };
	const struct http_options cases[] = {
		{ .urls = urls, .n_urls = 0, .pins = pins, .n_pins = 1 },
		{ .urls = urls, .n_urls = 1, .pins = pins, .n_pins = 0 },
		{ .urls = urls + 1, .n_urls = 1, .pins = pins, .n_pins = 1 },
		{ .urls = urls + 2, .n_urls = 1, .pins = pins, .n_pins = 1 },
		{ .urls = urls, .n_urls = 1, .pins = pins + 1, .n_pins = 1 },
		{ .urls = urls, .n_urls = 1, .pins = pins + 2, .n_pins = 1 },
		{ .urls = urls, .n_urls = 1, .pins = pins, .n_pins = 1, .cert_pem = "x" },
		{ .urls = urls, .n_urls = 1, .pins = pins, .n_pins = 1, .proxy = "ftp://x" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct http_client *client = NULL;
		struct err err = { 0 };

		assert_int_equal(http_client_new(w.event, &cases[i], &client, &err), -EINVAL);
		assert_true(err.text[0]);
	}
}

static void test_reply_json(void **state)
{
	static const struct {
		int status;
		const char *body;
		int result;
		const char *code;
	} cases[] = {
		{ 200, "{}", 0, "" },
		{ 200, "nonsense", -EBADMSG, "" },
		{ 200, "", -EBADMSG, "" },
		{ 403, "{\"error\":{\"code\":\"token_used\",\"message\":\"It was used.\"}}",
			-EACCES, "token_used" },
		{ 409, "{\"error\":{\"code\":\"name_taken\",\"message\":\"x\"}}", -EEXIST,
			"name_taken" },
		{ 507, "{\"error\":{\"code\":\"storage\",\"message\":\"x\"}}", -ENOSPC, "storage" },
		{ 500, "<html>", -EREMOTEIO, "" },
		{ 404, "{\"error\":7}", -ENOENT, "" },
		{ 503, "", -EAGAIN, "" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP_HTTP_REPLY struct http_reply reply = { .status = cases[i].status };
		CLEANUP_JSON json_t *json = NULL;
		struct err err = { 0 };
		char code[64];

		buf_add_str(&reply.body, cases[i].body);
		assert_int_equal(http_reply_json(&reply, &json, code, &err), cases[i].result);
		assert_string_equal(code, cases[i].code);
	}
}

/* The waiting variant in a process of its own, while the server runs here. */
static void test_blocking(void **state)
{
	const char *const urls[] = { w.dead_url, w.url };
	const char *const pins[] = { w.other_pin, w.pin };
	struct http_options options = { .urls = urls, .n_urls = 2, .pins = pins, .n_pins = 2 };
	struct http_request request = { .method = "GET", .path = "/refuse" };
	int status = -1;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct http_reply reply = { 0 };
		struct err err = { 0 };
		json_t *json = NULL;
		char code[64];
		int r = http_request_blocking(&options, &request, &reply, &err);

		if (r == 0)
			r = http_reply_json(&reply, &json, code, &err) == -EACCES &&
					    !strcmp(code, "token_used") &&
					    !strcmp(err.text, "It was used.")
				    ? 0
				    : -1;
		_exit(r == 0 ? 0 : 1);
	}
	while (waitpid(pid, &status, WNOHANG) == 0)
		assert_true(sd_event_run(w.event, 50000) >= 0);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_plain, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_pin, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_host, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_in_turn, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_all_get_their_turn, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_side_by_side, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sent_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_few_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_broken_off, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_restart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_turn, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_silent_now, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refuses_long, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_head, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bounds, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_too_big_then_dead, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cancel_and_reset, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_all_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_configure, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_configure_forgets, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_names, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_slow_name, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_by_proxy, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_both_ways, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_wrong_password, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_proxy_floods, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_options, set_up, tear_down),
		cmocka_unit_test(test_reply_json),
		cmocka_unit_test_setup_teardown(test_blocking, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
