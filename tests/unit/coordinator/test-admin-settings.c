/* admin-settings: what a person can set for all boards, and what becomes of it. */
#include "world.h"

#include <errno.h>
#include <stdio.h>

#include "base/json.h"
#include "coordinator/admin.h"
#include "coordinator/schema.h"
#include "coordinator/urls.h"
#include "fake-machine.h"

static int begin(void **state)
{
	struct err err = { 0 };
	struct coord *c;

	memset(&fake_machine, 0, sizeof(fake_machine));
	assert_int_equal(world_open(state), 0);
	c = *state;
	c->urls_found = true;
	assert_int_equal(urls_open(c, &c->urls, &err), 0);
	fake_store_put(TABLE_META, "urls", "found");
	return 0;
}

static int end(void **state)
{
	struct coord *c = *state;

	c->urls = urls_close(c->urls);
	return world_close(state);
}

static json_t *args_of(const char *text)
{
	struct err err = { 0 };
	json_t *args = json_parse(text, strlen(text), &err);

	if (!args)
		fail_msg("%s: %s", text, err.text);
	return args;
}

static struct ipc_request *submit(struct coord *c, const char *call, const char *args)
{
	struct ipc_request *r = fake_call(call, args ? args_of(args) : NULL);

	admin_handle(c, r);
	return r;
}

static uint64_t head(const struct coord *c)
{
	return mesh_log_head(ledger_log(c->ledger));
}

/* @args is set; @records came of it. Returns what was answered. */
static json_t *set(struct coord *c, const char *args, uint64_t records)
{
	uint64_t before = head(c);
	struct ipc_request *r = submit(c, "settings.set", args);

	(void) fake_store_flush();
	json_t *ok = fake_call_taken(r);

	assert_int_equal(head(c) - before, records);
	return ok;
}

static void refused(struct coord *c, const char *args, const char *code, const char *says)
{
	uint64_t before = head(c);
	struct ipc_request *r = submit(c, "settings.set", args);

	(void) fake_store_flush();
	fake_call_refused(r, code, says);
	assert_int_equal(head(c), before);
}

static void field_is(const json_t *json, const char *key, const char *text)
{
	CLEANUP(free_p) char *is = json_text(json_object_get(json, key));

	assert_string_equal(is, text);
}

/* The signed settings' list @key. */
static void signed_is(struct coord *c, const char *key, const char *text)
{
	CLEANUP_JSON json_t *json = settings_to_json(coord_settings(c));

	field_is(json, key, text);
}

static void test_get(void **state)
{
	struct coord *c = *state;
	CLEANUP_SETTINGS struct settings s = { 0 };

	(void) world_node(c, 1, "n100", NODE_ROLE_CONTROL_PLANE);
	settings_copy(coord_settings(c), &s);
	s.n_coordinators = 2;
	s.coordinators[0] = (struct settings_coordinator){ .node = 1, .port = 8443 };
	s.coordinators[1] = (struct settings_coordinator){ .node = 9, .port = 1 }; /* is gone */
	world_record(c, RECORD_TYPE_SETTINGS, settings_to_json(&s));
	CLEANUP_JSON json_t *ok = fake_call_taken(submit(c, "settings.get", NULL));
	CLEANUP_JSON json_t *is = settings_to_json(coord_settings(c));

	assert_true(json_equal(json_object_get(ok, "settings"), is));
	field_is(ok, "by_hand", "[]");
	field_is(ok, "coordinators",
		"[{\"name\":\"n100\",\"node\":1,\"port\":8443},{\"name\":null,\"node\":9,"
		"\"port\":1}]");
	assert_true(json_is_true(json_object_get(ok, "automatic")));
	/* A mesh that init was given URLs for, before there was a word for that. */
	c->urls_found = false;
	CLEANUP_JSON json_t *given = fake_call_taken(submit(c, "settings.get", NULL));
	CLEANUP_JSON json_t *urls = field_urls(s.urls, s.n_urls);

	assert_true(json_equal(json_object_get(given, "by_hand"), urls));
	assert_true(json_is_false(json_object_get(given, "automatic")));
	c->urls_found = true;
}

static void test_urls(void **state)
{
	struct coord *c = *state;
	CLEANUP_JSON json_t *ok =
		set(c, "{\"urls\":[\"https://Home.Example.org:8443/\",\"https://192.0.2.1\"]}", 1);

	assert_true(json_is_true(json_object_get(ok, "changed")));
	assert_true(json_is_false(json_object_get(ok, "automatic")));
	field_is(ok, "by_hand", "[\"https://home.example.org:8443\",\"https://192.0.2.1\"]");
	signed_is(c, "urls", "[\"https://home.example.org:8443\",\"https://192.0.2.1\"]");
	signed_is(c, "urls_by_hand", "[\"https://home.example.org:8443\",\"https://192.0.2.1\"]");
	assert_string_equal(fake_store_get(TABLE_META, "urls"), "given");
	assert_false(c->urls_found);
	assert_int_equal(fake_log_says("settings.set by uid 0 (pid 0): urls "
				       "https://home.example.org:8443 https://192.0.2.1"),
		1);
	/* Whatever the machine's addresses are then, they stay. */
	fake_machine.urls[0] = "https://198.51.100.1:8443";
	urls_refresh(c);
	fake_event_pass(3600 * USEC_PER_SEC);
	(void) fake_store_flush();
	signed_is(c, "urls", "[\"https://home.example.org:8443\",\"https://192.0.2.1\"]");
	/* The same again is no change. */
	json_decref(ok);
	ok = set(c, "{\"urls\":[\"https://home.example.org:8443\",\"https://192.0.2.1\"]}", 0);
	assert_true(json_is_false(json_object_get(ok, "changed")));
}

static void test_automatic(void **state)
{
	struct coord *c = *state;

	json_decref(set(c, "{\"urls\":[\"https://a\"]}", 1));
	refused(c, "{\"urls\":[\"automatic\"]}", "bad_request", "https://HOST:8443");
	fake_machine.urls_fail = EPERM;
	refused(c, "{\"urls\":[\"automatic\"]}", "internal", "the kernel says no");
	fake_machine.urls_fail = 0;
	assert_false(c->urls_found);
	/* Beside one that is set, before there is any. */
	json_decref(set(c, "{\"urls\":[\"automatic\",\"https://a\"]}", 0));
	assert_true(c->urls_found);
	assert_string_equal(fake_store_get(TABLE_META, "urls"), "found");
	fake_machine.urls[0] = "https://198.51.100.1:8443";
	fake_monitor_addr("198.51.100.1", 0);
	fake_event_ready(FAKE_MONITOR_FD); /* it is watched */
	fake_event_pass(USEC_PER_SEC);
	(void) fake_store_flush();
	signed_is(c, "urls", "[\"https://a\",\"https://198.51.100.1:8443\"]");
	signed_is(c, "urls_by_hand", "[\"https://a\"]");
	/* Alone: those that are there now, and no others. */
	fake_machine.urls[0] = "https://198.51.100.2:8443";
	fake_machine.urls[1] = "https://[2001:db8::1]:8443";
	CLEANUP_JSON json_t *ok = set(c, "{\"urls\":[\"automatic\"]}", 1);

	assert_true(json_is_true(json_object_get(ok, "automatic")));
	field_is(ok, "by_hand", "[]");
	signed_is(c, "urls", "[\"https://198.51.100.2:8443\",\"https://[2001:db8::1]:8443\"]");
	CLEANUP_JSON json_t *json = settings_to_json(coord_settings(c));

	assert_null(json_object_get(json, "urls_by_hand"));
}

static void test_servers(void **state)
{
	static const char relay[] =
		"{\"host\":\"derp.example.org\",\"name\":\"fra\",\"pin\":\"web\","
		"\"stun\":3478,\"tcp\":443}";
	struct coord *c = *state;
	char args[512];
	json_t *urls = field_urls(coord_settings(c)->urls, coord_settings(c)->n_urls);

	(void) snprintf(
		args, sizeof(args), "{\"stun\":[\"a:1\",\"192.0.2.1:2\"],\"relays\":[%s]}", relay);
	json_decref(set(c, args, 1)); /* one record for all */
	signed_is(c, "stun", "[\"a:1\",\"192.0.2.1:2\"]");
	(void) snprintf(args, sizeof(args), "[%s]", relay);
	signed_is(c, "relays", args);
	assert_int_equal(fake_log_says("settings.set by uid 0 (pid 0): stun a:1 192.0.2.1:2 relays "
				       "fra=derp.example.org:443"),
		1);
	/* Each is set alone, and the URLs stayed as they were. */
	json_decref(set(c, "{\"stun\":[]}", 1));
	signed_is(c, "stun", "[]");
	signed_is(c, "relays", args);
	json_decref(set(c, "{\"relays\":[]}", 1));
	signed_is(c, "relays", "[]");
	assert_int_equal(fake_log_says("relays none"), 1);
	assert_int_equal(fake_log_says("stun none"), 1);
	CLEANUP(free_p) char *text = json_text(urls);

	signed_is(c, "urls", text);
	assert_true(c->urls_found);
	json_decref(urls);
}

static void test_refused(void **state)
{
	static const struct {
		const char *args, *says;
	} cases[] = {
		{ "{}", "nothing is to be set" },
		{ "{\"urls\":null}", "nothing is to be set" },
		{ "{\"urls\":[]}", "name a URL, or automatic" },
		{ "{\"urls\":{}}", "\"urls\"" },
		{ "{\"urls\":[7]}", "\"urls\" must be a list" },
		{ "{\"urls\":[\"http://a\"]}", "write https://a" },
		{ "{\"urls\":[\"https://u:p@a\"]}", "a user or a password" },
		{ "{\"urls\":[\"https://10.77.0.1:8443\"]}", "10.77.0.0/16" },
		{ "{\"urls\":[\"https://[::ffff:10.77.0.1]:8443\"]}", "10.77.0.0/16" },
		{ "{\"urls\":[\"https://N100.home.internal\"]}", "a name of this mesh" },
		{ "{\"urls\":[\"https://a\",\"https://A\"]}", "https://a is there twice" },
		{ "{\"urls\":[\"automatic\",\"automatic\"]}", "automatic is there twice" },
		{ "{\"urls\":[\"automatic\",\"https://1\",\"https://2\",\"https://3\",\"https://4\","
		  "\"https://5\",\"https://6\",\"https://7\",\"https://8\",\"https://9\","
		  "\"https://10\",\"https://11\",\"https://12\",\"https://13\",\"https://14\","
		  "\"https://15\",\"https://16\"]}",
			"\"urls\"" },
		{ "{\"stun\":\"a:1\"}", "\"stun\"" },
		{ "{\"stun\":[\"a\"]}", "HOST:PORT" },
		{ "{\"stun\":[\"a:1\",\"a:1\"]}", "a:1 is there twice" },
		{ "{\"stun\":[\"10.244.1.1:1\"]}", "10.244.0.0/16" },
		{ "{\"relays\":[{}]}", "\"relays\"" },
		{ "{\"relays\":[{\"name\":\"a\",\"host\":\"10.96.0.1\",\"tcp\":1,\"pin\":\"web\"}]}",
			"10.96.0.0/16" },
		{ "{\"stun\":[\"a:1\"],\"relays\":7}", "\"relays\"" },
	};
	struct coord *c = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		refused(c, cases[i].args, "bad_request", cases[i].says);
	signed_is(c, "stun", "[]");
}

/* All that can be set at once, each as long as can be, still fits into a record. */
static void test_most(void **state)
{
	struct coord *c = *state;
	json_t *urls = json_array(), *stun = json_array(), *relays = json_array();
	char host[FIELD_HOST_MAX], text[OUTSIDE_TEXT_MAX], url[FIELD_URL_MAX];
	char name[FIELD_NAME_MAX];

	for (size_t i = 0; i < sizeof(host) - 1; i++)
		host[i] = i % 50 == 49 ? '.' : 'a';
	host[sizeof(host) - 1] = '\0';
	for (unsigned i = 0; i < FIELD_URLS_MAX; i++) {
		host[0] = (char) ('a' + i);
		(void) snprintf(url, sizeof(url), "https://%.241s:65535", host);
		(void) json_array_append_new(urls, json_string(url));
	}
	for (unsigned i = 0; i < SETTINGS_STUN_MAX; i++) {
		host[0] = (char) ('a' + i);
		(void) snprintf(text, sizeof(text), "%s:65535", host);
		(void) json_array_append_new(stun, json_string(text));
		(void) snprintf(name, sizeof(name), "%.*s%c", FIELD_NAME_MAX - 2,
			"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
			host[0]);
		(void) json_array_append_new(
			relays, json_pack("{s:s, s:s, s:i, s:i, s:s}", "name", name, "host", host,
					"tcp", 65535, "stun", 65535, "pin",
					"ERERERERERERERERERERERERERERERERERERERERERE="));
	}
	json_t *args = json_pack("{s:o, s:o, s:o}", "urls", urls, "stun", stun, "relays", relays);
	CLEANUP(free_p) char *all = json_text(args);

	json_decref(args);
	json_decref(set(c, all, 1));
	assert_int_equal(coord_settings(c)->n_by_hand, FIELD_URLS_MAX);
	assert_int_equal(coord_settings(c)->n_relays, SETTINGS_RELAYS_MAX);
}

/* Two at once: each changes what is its own. */
static void test_meanwhile(void **state)
{
	struct coord *c = *state;
	struct ipc_request *one = submit(c, "settings.set", "{\"stun\":[\"a:1\"]}");
	struct ipc_request *two = submit(c, "settings.set", "{\"urls\":[\"https://a\"]}");

	(void) fake_store_flush();
	json_decref(fake_call_taken(one));
	json_decref(fake_call_taken(two));
	signed_is(c, "stun", "[\"a:1\"]");
	signed_is(c, "urls", "[\"https://a\"]");
}

/* What is not on the disk has not happened. */
static void test_disk(void **state)
{
	struct coord *c = *state;
	struct ipc_request *r[LEDGER_QUEUE_MAX + 1];

	fake_store_fails = -ENOSPC;
	refused(c, "{\"urls\":[\"https://a\"]}", "storage", "the disk says no");
	assert_true(c->urls_found);
	assert_string_equal(fake_store_get(TABLE_META, "urls"), "found");
	assert_int_equal(fake_log_says("settings.set by uid"), 0);
	fake_store_fails = 0;
	for (size_t i = 0; i < ARRAY_LEN(r); i++)
		r[i] = submit(c, "settings.set", i % 2 ? "{\"stun\":[]}" : "{\"stun\":[\"a:1\"]}");
	fake_call_refused(submit(c, "settings.set", "{\"stun\":[]}"), "too_many", "too busy");
	(void) fake_store_flush();
	for (size_t i = 0; i < ARRAY_LEN(r); i++)
		json_decref(fake_call_taken(r[i]));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_get),
		TEST(test_urls),
		TEST(test_automatic),
		TEST(test_servers),
		TEST(test_refused),
		TEST(test_most),
		TEST(test_meanwhile),
		TEST(test_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
