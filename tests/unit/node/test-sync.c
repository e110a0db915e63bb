/*
 * sync: hearthd against a coordinator that is not what it should be: garbage, too much, nested, the
 * wrong key, answers without end. Nothing of it is news, and nobody is asked in a loop.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "node/sync.h"
#include "sys/httpd/httpd.h"
#include "sys/listen/listen.h"
#include "sys/x509/x509.h"

#define NOTHING                                                                                  \
	"{\"records\":[],\"presence\":[],\"cursor\":\"0123456789abcdef-1\",\"head\":{\"seq\":1," \
	"\"hash\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"},\"kube\":null}"

static const uint8_t server_seed[32] = { 1 }, board_seed[32] = { 2 };

struct world {
	sd_event *event;
	struct httpd *httpd;
	struct sync *sync;
	char *cert, *key, *board_cert, *board_key;
	char pin[X509_PIN_TEXT_LEN], url[64];
	const char *reply;
	size_t reply_len;
	unsigned status;
	int polls, news, changes, said, verdict;
	struct trouble_end away;
	uint64_t seq;
};

static size_t head(void *ctx, struct httpd_request *request)
{
	return 65536;
}

static void handle(void *ctx, struct httpd_request *request)
{
	struct world *w = ctx;
	char *text = malloc(w->reply_len + 1);

	assert_non_null(text);
	memcpy(text, w->reply, w->reply_len);
	w->polls++;
	assert_non_null(httpd_request_key(request)); /* the board showed who it is */
	httpd_reply_text(request, w->status, text, w->reply_len);
}

static int on_news(void *ctx, const struct api_news *news)
{
	((struct world *) ctx)->news++;
	return ((struct world *) ctx)->verdict;
}

static void on_position(void *ctx, uint64_t *ret_seq, const char **ret_kube)
{
	*ret_seq = ((struct world *) ctx)->seq;
	*ret_kube = "";
}

static void on_changed(void *ctx, bool say, const struct trouble_end *away)
{
	struct world *w = ctx;

	w->changes++;
	w->said += say;
	if (away)
		w->away = *away;
}

static const struct sync_hooks hooks = { on_news, on_position, on_changed };

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct httpd_config config = { .connections_max = 32, .head = head, .handler = handle };
	struct err err = { 0 };
	uint8_t key[32];
	int port;

	assert_non_null(w);
	assert_true(sd_event_new(&w->event) >= 0);
	assert_int_equal(x509_certificate_pem(server_seed, "server", &w->cert), 0);
	assert_int_equal(x509_key_pem(server_seed, &w->key), 0);
	assert_int_equal(x509_certificate_pem(board_seed, "board", &w->board_cert), 0);
	assert_int_equal(x509_key_pem(board_seed, &w->board_key), 0);
	assert_int_equal(x509_public_key(server_seed, key), 0);
	assert_int_equal(x509_pin_of_key(key, w->pin), 0);
	config.ctx = w;
	config.certificate = w->cert;
	config.key = w->key;
	for (port = 20000 + getpid() % 20000;; port++) {
		char where[32];
		(void) snprintf(where, sizeof(where), "127.0.0.1:%d", port);
		if (listen_open(where, &config.listen_fd, &err) == 0)
			break;
		assert_true(port < 60000);
	}
	(void) snprintf(w->url, sizeof(w->url), "https://127.0.0.1:%d", port);
	if (httpd_new(w->event, &config, &w->httpd, &err) < 0)
		fail_msg("%s", err.text);
	w->status = 200;
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	w->sync = sync_free(w->sync);
	w->httpd = httpd_free(w->httpd);
	sd_event_unref(w->event);
	x509_wipe_p(&w->key);
	x509_wipe_p(&w->board_key);
	free(w->cert);
	free(w->board_cert);
	free(w);
	return 0;
}

static void begin(struct world *w, const char *pin)
{
	const char *urls[] = { w->url }, *pins[] = { pin };
	struct sync_options options = { urls, 1, pins, 1, w->board_cert, w->board_key, NULL, NULL };
	struct err err = { 0 };

	w->polls = w->news = w->changes = 0;
	if (sync_new(w->event, &options, &hooks, w, &w->sync, &err) < 0)
		fail_msg("%s", err.text);
	sync_start(w->sync);
}

/* Until @n polls have been answered. Returns when that was. */
static uint64_t run_until_news(struct world *w, int n)
{
	uint64_t end = clock_now_us() + 60 * USEC_PER_SEC;

	while (w->news < n && clock_now_us() < end)
		assert_true(sd_event_run(w->event, 10 * USEC_PER_MSEC) >= 0);
	assert_true(w->news >= n);
	return clock_now_us();
}

static void run_until_changed(struct world *w)
{
	uint64_t end = clock_now_us() + 60 * USEC_PER_SEC;

	while (!w->changes && clock_now_us() < end)
		assert_true(sd_event_run(w->event, 100 * USEC_PER_MSEC) >= 0);
	assert_true(w->changes > 0);
}

static void refused(struct world *w, const char *reply, size_t len, unsigned status)
{
	w->reply = reply;
	w->reply_len = len;
	w->status = status;
	begin(w, w->pin);
	run_until_changed(w);
	assert_false(sync_state(w->sync)->connected);
	assert_true(sync_state(w->sync)->error[0]);
	assert_int_equal(w->news, 0);
	w->sync = sync_free(w->sync);
}

static void test_garbage(void **state)
{
	static const char twice[] = "{\"records\":[],\"records\":[],\"presence\":[],"
				    "\"cursor\":\"0123456789abcdef-1\",\"kube\":null}";
	static const char *const bad[] = { "", "x", "{", "[]", "null", "7", "{}", "\xff\xfe",
		"{\"records\":{},\"presence\":[],\"cursor\":\"0123456789abcdef-1\",\"kube\":null}",
		"{\"records\":[],\"presence\":[],\"cursor\":\"x\",\"kube\":null}",
		"{\"records\":[7],\"presence\":[],\"cursor\":\"0123456789abcdef-1\",\"kube\":null}",
		"{\"records\":[],\"presence\":[],\"cursor\":\"0123456789abcdef-1\",\"kube\":7}",
		twice };
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		refused(w, bad[i], strlen(bad[i]), 200);
	refused(w, "oops", 4, 500);
	refused(w, NOTHING, strlen(NOTHING), 503);
	refused(w, "{\"error\":{\"code\":\"removed\",\"message\":7}}", 41, 403);
}

static void test_too_much(void **state)
{
	struct world *w = *state;
	size_t len = (size_t) API_REPLY_MAX + 1;
	char *text = malloc(len);

	assert_non_null(text);
	memset(text, '[', len);
	refused(w, text, 200000, 200); /* nested */
	memset(text, ' ', len);
	refused(w, text, len, 200); /* huge */
	free(text);
}

static void test_wrong_key(void **state)
{
	struct world *w = *state;

	w->reply = NOTHING;
	w->reply_len = strlen(NOTHING);
	begin(w, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
	run_until_changed(w);
	assert_false(sync_state(w->sync)->connected);
	assert_non_null(strstr(sync_state(w->sync)->error, "pinned"));
	assert_int_equal(w->polls, 0); /* it was told nothing */
}

/* It answers long polls at once and with nothing: it is asked once a second, not without end. */
static void test_no_loop(void **state)
{
	struct world *w = *state;
	uint64_t first;

	w->reply = NOTHING;
	w->reply_len = strlen(NOTHING);
	begin(w, w->pin);
	first = run_until_news(w, 1);
	assert_true(sync_state(w->sync)->connected);
	/* The second is the first that is to wait; a second after it comes the third. */
	assert_true(run_until_news(w, 3) - first > 900 * USEC_PER_MSEC);
	assert_true(run_until_news(w, 4) - first > 1900 * USEC_PER_MSEC);
	assert_in_range(w->polls, w->news, w->news + 1);
}

/*
 * What it says is not believed (a fork, an older log): it is asked again after a while, then after a
 * longer one. Once it is mended it is believed without a link change or a restart.
 */
static void test_not_believed(void **state)
{
	struct world *w = *state;
	uint64_t first, second;

	w->reply = NOTHING;
	w->reply_len = strlen(NOTHING);
	w->verdict = -ENOTUNIQ;
	begin(w, w->pin);
	first = run_until_news(w, 1);
	second = run_until_news(w, 2); /* 1 to 2 s after the first, the third 2 to 4 s after that */
	assert_true(second - first > 900 * USEC_PER_MSEC);
	w->verdict = 0;
	assert_true(run_until_news(w, 3) - second > 1900 * USEC_PER_MSEC);
	assert_true(sync_state(w->sync)->connected);
}

/*
 * Nobody answers, and each time with another text (libcurl's holds milliseconds): one line, and one when
 * it is over. The text in the state is the newest.
 */
static void test_away(void **state)
{
	struct world *w = *state;
	uint64_t end = clock_now_us() + 60 * USEC_PER_SEC;
	char url[64];
	int tries = 0;

	w->reply = NOTHING;
	w->reply_len = strlen(NOTHING);
	memcpy(url, w->url, sizeof(url));
	(void) snprintf(w->url, sizeof(w->url), "https://127.0.0.1:1");
	begin(w, w->pin);
	w->said = 0;
	while (tries < 4 && clock_now_us() < end) {
		bool failed = sync_state(w->sync)->error[0] != 0;

		assert_true(sd_event_run(w->event, 10 * USEC_PER_MSEC) >= 0);
		if (failed) /* at once again, else it would wait longer and longer */
			sync_link_changed(w->sync);
		tries += failed;
	}
	assert_int_equal(w->said, 1);
	assert_int_equal(w->changes, 1);
	memcpy(w->url, url, sizeof(url));
	const char *urls[] = { w->url }, *pins[] = { w->pin };
	struct sync_options options = { urls, 1, pins, 1, w->board_cert, w->board_key, NULL, NULL };
	assert_int_equal(sync_configure(w->sync, &options, NULL), 0);
	sync_link_changed(w->sync);
	run_until_news(w, 1);
	assert_int_equal(w->said, 2);
	assert_true(w->away.times >= 1 && w->away.lasted_us > 0);
}

static void on_put(void *ctx, int r, const struct err *err)
{
	assert_int_equal(r, -ECANCELED);
	assert_true(err->text[0]);
	++*(int *) ctx;
}

/* Who waits for the end of a put has a call open until then; a poll's end is no news any more. */
static void test_all_end(void **state)
{
	struct world *w = *state;
	CLEANUP_JSON json_t *bundle = json_object();
	int told = 0;

	w->reply = NOTHING;
	w->reply_len = strlen(NOTHING);
	begin(w, w->pin);
	run_until_news(w, 1);
	w->changes = 0;
	assert_int_equal(sync_put(w->sync, "/v1/kube", bundle, on_put, &told, NULL), 0);
	assert_int_equal(sync_put(w->sync, "/v1/kube", bundle, on_put, &told, NULL), 0);
	assert_int_equal(told, 0);
	w->sync = sync_free(w->sync);
	assert_int_equal(told, 2);
	assert_int_equal(w->changes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_garbage, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_too_much, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_wrong_key, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_loop, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_not_believed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_away, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_all_end, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
