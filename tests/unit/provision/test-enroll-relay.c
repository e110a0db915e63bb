/*
 * enroll-node --relay: whom a board asks and in which order, what it says and does while nobody
 * answers, and what its relay waits for. No relay is started, nobody is asked, no time passes.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "provision/relay.h"
#include "tree.h"

static struct {
	bool on; /* it is so already */
	unsigned started;
	unsigned silent; /* so many requests go unanswered */
	int with;        /* with this errno */
	int status;      /* of the answer then */
	const char *answers;
	unsigned asked;
	size_t n_urls; /* of the last request */
	size_t most_urls;
	char first[256];
	uint64_t now_us;
} t;

bool __wrap_relayunit_is_on(const struct relayunit *unit);
bool __wrap_relayunit_is_on(const struct relayunit *unit)
{
	return t.on;
}

int __wrap_relayunit_check(
	const struct relayunit *unit, const char *const names[RELAYUNIT_OPTIONS], struct err *err);
int __wrap_relayunit_check(
	const struct relayunit *unit, const char *const names[RELAYUNIT_OPTIONS], struct err *err)
{
	assert_ptr_equal(names, relay_options);
	return 0;
}

int __wrap_relayunit_turn_on(struct relayunit *unit, struct err *err);
int __wrap_relayunit_turn_on(struct relayunit *unit, struct err *err)
{
	t.started++;
	memset(unit->file.relay.pin, 1, sizeof(unit->file.relay.pin));
	memset(unit->file.relay.key, 2, sizeof(unit->file.relay.key));
	return relayfile_write(unit->path, &unit->file, err);
}

int __wrap_http_request_blocking(const struct http_options *options,
	const struct http_request *request, struct http_reply *ret, struct err *err);
int __wrap_http_request_blocking(const struct http_options *options,
	const struct http_request *request, struct http_reply *ret, struct err *err)
{
	t.asked++;
	t.n_urls = options->n_urls;
	t.most_urls = t.n_urls > t.most_urls ? t.n_urls : t.most_urls;
	(void) snprintf(t.first, sizeof(t.first), "%s", options->urls[0]);
	if (t.asked <= t.silent)
		return err_set(err, t.with, "nobody answers");
	ret->status = t.status;
	buf_add_str(&ret->body, t.answers);
	(void) snprintf(ret->url, sizeof(ret->url), "%s", options->urls[options->n_urls - 1]);
	return 0;
}

uint64_t __wrap_clock_now_us(void);
uint64_t __wrap_clock_now_us(void)
{
	return t.now_us;
}

int __wrap_nanosleep(const struct timespec *wanted, struct timespec *left);
int __wrap_nanosleep(const struct timespec *wanted, struct timespec *left)
{
	assert_true(wanted->tv_sec >= 1);
	t.now_us += (uint64_t) wanted->tv_sec * USEC_PER_SEC;
	return 0;
}

static struct enroll *new_relay(void)
{
	struct enroll *e = new_enroll();

	t.with = -ETIMEDOUT;
	t.status = 200;
	t.answers = "{\"ok\":true}";
	t.now_us = USEC_PER_SEC;
	e->relay = true;
	e->wait_s = 15;
	memset(e->identity_seed, 7, sizeof(e->identity_seed));
	(void) snprintf(e->token.mesh, sizeof(e->token.mesh), "home");
	for (e->token.n_urls = 0; e->token.n_urls < 6; e->token.n_urls++)
		(void) snprintf(e->token.urls[e->token.n_urls], FIELD_URL_MAX,
			"https://192.168.50.%zu:8443", e->token.n_urls + 1);
	e->token.n_pins = 2;
	memset(e->token.pins[0], 0xff, sizeof(e->token.pins[0]));
	memset(e->token.pins[1], 1, sizeof(e->token.pins[1]));
	return e;
}

static int set_up(void **state)
{
	memset(&t, 0, sizeof(t));
	return tree_setup(state);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tree_teardown)

/* --- what there is to type --- */

static void test_place(void **state)
{
	static const struct {
		const char *host; /* NULL: none is known */
		uint16_t port;
		const char *place;
		bool chosen;
	} cases[] = {
		{ NULL, 3340, "HOST", false },
		{ "10.0.0.7", 443, "HOST:443", false },
		{ "fd00::1", 3340, "HOST", false },
		{ "10.0.0.7", 443, "10.0.0.7:443", true },
		{ NULL, 443, "HOST:443", true },
		{ "203.0.113.5", 3340, "203.0.113.5", false },
		{ "203.0.113.5", 443, "203.0.113.5:443", false },
		{ "2001:db8::5", 3340, "2001:db8::5", false },
		{ "2001:db8::5", 443, "[2001:db8::5]:443", false },
		{ "vps.example.org", 443, "vps.example.org:443", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct node_relay relay = { .tcp = cases[i].port,
			.n_hosts = cases[i].host != NULL };
		char place[RELAY_PLACE_MAX];

		if (cases[i].host)
			(void) snprintf(
				relay.hosts[0], sizeof(relay.hosts[0]), "%s", cases[i].host);
		relay_place(&relay, cases[i].chosen, place);
		assert_string_equal(place, cases[i].place);
	}
}

/* --- whom it asks --- */

#define LAST "https://c-777777777777777777777777777777777777777777777777777q.hearth.internal"
#define ONE  "https://c-aeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaq.hearth.internal"

static void test_order(void **state)
{
	static const char *const urls[] = { "https://192.168.50.1:8443",
		"https://192.168.50.2:8443", "https://192.168.50.3:8443",
		"https://192.168.50.4:8443", LAST ":443#203.0.113.5", ONE ":443#203.0.113.5",
		LAST ":3340#vps.example.org", ONE ":3340#vps.example.org",
		"https://192.168.50.5:8443", "https://192.168.50.6:8443", LAST ":3341#127.0.0.1",
		ONE ":3341#127.0.0.1" };
	CLEANUP_ENROLL struct enroll *e = new_relay();
	CLEANUP(caller_done) struct caller caller = { 0 };
	CLEANUP_JSON json_t *reply = NULL;
	struct err err = { 0 };
	char code[64];

	e->token.n_relays = 2;
	e->token.relays[0] = (struct outside){ "203.0.113.5", 443 };
	e->token.relays[1] = (struct outside){ "vps.example.org", 3340 };
	e->own_relay = 3341;
	assert_int_equal(caller_init(e, &caller, &err), 0);
	assert_int_equal(caller.options.n_urls, ARRAY_LEN(urls) - 2);
	caller_choose(&caller, CALLER_OWN);
	assert_int_equal(caller.options.n_urls, 2);
	assert_string_equal(caller.options.urls[0], urls[ARRAY_LEN(urls) - 2]);
	caller_choose(&caller, CALLER_OTHERS);
	assert_int_equal(caller.n_urls, ARRAY_LEN(urls));
	for (size_t i = 0; i < ARRAY_LEN(urls); i++)
		assert_string_equal(caller.urls[i], urls[i]);
	/* Whoever answered is asked first. */
	caller_choose(&caller, CALLER_OWN);
	assert_int_equal(caller_ask(&caller, "GET", "/", NULL, &reply, code, &err), 0);
	assert_string_equal(caller.options.urls[0], urls[ARRAY_LEN(urls) - 1]);
	assert_string_equal(caller.options.urls[1], urls[0]);
	assert_int_equal(caller.options.n_urls, ARRAY_LEN(urls));
}

/* --- waiting --- */

static int await(struct enroll *e, struct err *err)
{
	CLEANUP(caller_done) struct caller caller = { 0 };
	CLEANUP_JSON json_t *body = json_object(), *reply = NULL;
	char code[64];

	e->own_relay = 443;
	assert_int_equal(caller_init(e, &caller, err), 0);
	return relay_await(e, &caller, body, &reply, code, err);
}

static unsigned count_told(const struct enroll *e, const char *text)
{
	unsigned n = 0;
	size_t i;
	json_t *step;

	json_array_foreach(e->talk.steps, i, step)
	{
		n += strstr(json_string_value(json_object_get(step, "text")), text) != NULL;
	}
	return n;
}

/* The own relay is asked again and again, all others now and then; a person is told once. */
static void test_waits(void **state)
{
	CLEANUP_ENROLL struct enroll *e = new_relay();
	struct err err = { 0 };

	e->offered.n_hosts = 1;
	e->offered.tcp = 443;
	(void) snprintf(e->offered.hosts[0], sizeof(e->offered.hosts[0]), "vps.example.org");
	t.silent = 5;
	assert_int_equal(await(e, &err), 0);
	assert_int_equal(t.asked, 6);
	assert_int_equal(t.n_urls, 6); /* the fifth after the first: all others */
	assert_int_equal(count_told(e, "sudo hearth relay add vps.example.org:443"), 1);
	t.asked = 0;
	t.silent = 3;
	assert_int_equal(await(e, &err), 0);
	assert_int_equal(t.n_urls, 2);
	assert_string_equal(t.first, LAST ":443#127.0.0.1");
}

/* A person who has typed it before is not told again. */
static void test_has_come(void **state)
{
	CLEANUP_ENROLL struct enroll *e = new_relay();
	struct err err = { 0 };

	assert_int_equal(await(e, &err), 0);
	assert_int_equal(t.asked, 1);
	assert_int_equal(count_told(e, "hearth relay add"), 0);
}

/* Another coordinator at the token's address is not the last word either: ours may come yet. */
static void test_waits_on(void **state)
{
	static const int with[] = { -EKEYREJECTED, -ECONNREFUSED, -EIO, -EPROTO };
	CLEANUP_ENROLL struct enroll *e = new_relay();
	struct err err = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(with); i++) {
		t.asked = 0;
		t.silent = 3;
		t.with = with[i];
		assert_int_equal(await(e, &err), 0);
	}
}

/* A proxy that wants another password is told of, and asked no more. */
static void test_proxy_refuses(void **state)
{
	CLEANUP_ENROLL struct enroll *e = new_relay();
	struct err err = { 0 };

	err_set(&err, -EACCES, "the proxy p:3128 wants another user or password");
	t.silent = 11;
	assert_int_equal(await(e, &err), 0);
	assert_int_equal(t.most_urls, 2);
	assert_int_equal(count_told(e, "the proxy p:3128 wants another user or password"), 1);
	t.asked = t.most_urls = 0;
	err = (struct err){ 0 };
	t.with = -EACCES;
	t.silent = 16; /* also if it says so later */
	assert_int_equal(await(e, &err), 0);
	assert_int_equal(t.most_urls, 2);
}

/* A coordinator that says no is an answer. */
static void test_refused(void **state)
{
	CLEANUP_ENROLL struct enroll *e = new_relay();
	struct err err = { 0 };

	t.silent = 1;
	t.status = 403;
	t.answers = "{\"error\":{\"code\":\"token_expired\",\"message\":\"The token expired.\"}}";
	assert_int_equal(await(e, &err), -EACCES);
	assert_int_equal(t.asked, 2);
}

static void test_not_for_ever(void **state)
{
	CLEANUP_ENROLL struct enroll *e = new_relay();
	struct err err = { 0 };

	e->has_wait = true;
	e->wait_s = 20;
	t.silent = 1000;
	assert_int_equal(await(e, &err), -ETIMEDOUT);
	assert_non_null(strstr(err.text, "has not come within 20 s"));
	assert_int_equal(t.asked, 1 + 20);
	e->wait_s = 0;
	t.asked = 0;
	assert_int_equal(await(e, &err), -ETIMEDOUT);
	assert_int_equal(t.asked, 1);
}

/* --- the relay --- */

static struct relayfile read_file(struct enroll *e)
{
	struct relayfile file = { 0 };
	char path[PATH_TEXT_MAX];
	struct err err = { 0 };

	if (relayfile_read(paths_join(e->paths.etc, RELAYFILE_NAME, path), &file, &err) < 0)
		fail_msg("%s", err.text);
	return file;
}

/* It waits for the token's coordinators until the board is enrolled. */
static void test_life(void **state)
{
	CLEANUP_ENROLL struct enroll *e = new_relay();
	CLEANUP_RELAYFILE struct relayfile before = { 0 }, after = { 0 };
	struct err err = { 0 };

	assert_int_equal(file_mkdirs(e->paths.etc, 0755), 0);
	e->relay_wish.has_tcp = true;
	e->relay_wish.tcp = 443;
	e->relay_wish.n_hosts = 1;
	(void) snprintf(e->relay_wish.hosts[0], sizeof(e->relay_wish.hosts[0]), "vps.example.org");
	if (relay_set_up(e, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(t.started, 1);
	assert_int_equal(e->own_relay, 443);
	assert_int_equal(e->offered.n_hosts, 1);
	assert_string_equal(e->offered.hosts[0], "vps.example.org");
	assert_true(told(e, "this board serves as a relay on TCP port 443 and UDP port 3478"));
	before = read_file(e);
	assert_int_equal(before.n_waits_for, 2);
	assert_memory_equal(before.waits_for, e->token.pins, 2 * FIELD_KEY_LEN);
	assert_int_equal(relay_settle(e, &err), 0); /* not enrolled yet */
	t.on = true;
	assert_int_equal(relay_set_up(e, &err), 0);
	assert_int_equal(t.started, 1);
	e->enrolled = true;
	e->relay = false; /* another run, without the option */
	assert_int_equal(relay_set_up(e, &err), 0);
	assert_int_equal(relay_settle(e, &err), 0);
	after = read_file(e);
	assert_int_equal(after.n_waits_for, 0);
	assert_int_equal(after.relay.tcp, 443);
	assert_int_equal(t.started, 1);
}

static void test_dry_run(void **state)
{
	CLEANUP_ENROLL struct enroll *e = new_relay();
	struct err err = { 0 };
	char path[PATH_TEXT_MAX];

	e->dry_run = true;
	assert_int_equal(relay_set_up(e, &err), 0);
	assert_int_equal(relay_settle(e, &err), 0);
	assert_int_equal(t.started, 0);
	assert_true(told(e, "make this board a relay on TCP port 3340"));
	assert_int_equal(access(paths_join(e->paths.etc, RELAYFILE_NAME, path), F_OK), -1);
}

static void test_not_asked(void **state)
{
	CLEANUP_ENROLL struct enroll *e = new_relay();
	struct err err = { 0 };

	e->relay = false;
	assert_int_equal(relay_set_up(e, &err), 0);
	assert_int_equal(relay_settle(e, &err), 0);
	assert_int_equal(t.started, 0);
	assert_int_equal(e->own_relay, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_place),
		TEST(test_order),
		TEST(test_waits),
		TEST(test_waits_on),
		TEST(test_has_come),
		TEST(test_proxy_refuses),
		TEST(test_refused),
		TEST(test_not_for_ever),
		TEST(test_life),
		TEST(test_dry_run),
		TEST(test_not_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
