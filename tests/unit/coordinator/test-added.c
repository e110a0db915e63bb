/* added: the list of added relays, as stored, and what comes of it in a record. Pure. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "coordinator/added.h"

static const uint8_t vps[FIELD_KEY_LEN] = { 1 }, other[FIELD_KEY_LEN] = { 2 };
static struct added_list added;

static int set_up(void **state)
{
	memset(&added, 0, sizeof(added));
	return 0;
}

static void add(const char *host)
{
	assert_int_equal(added_push(&added, host, 3340, 1000), 0);
}

/* @gone: with blanks between them. */
static void record(const char *host, const uint8_t *pin, const char *gone)
{
	char list[NODE_RELAY_HOSTS_MAX][FIELD_HOST_MAX] = { "" };
	size_t n = 0;

	for (int len; sscanf(gone, "%253s%n", list[n], &len) == 1; gone += len)
		n++;
	added_record(&added, host, pin, (const char(*)[FIELD_HOST_MAX]) list, n);
}

static struct node_relay relay_at(const char *hosts)
{
	struct node_relay relay = { .tcp = 3340, .pin = { 1 } };

	for (int len; relay.n_hosts < NODE_RELAY_HOSTS_MAX &&
		      sscanf(hosts, "%253s%n", relay.hosts[relay.n_hosts], &len) == 1;
		hosts += len)
		relay.n_hosts++;
	return relay;
}

static void is_at(const struct node_relay *relay, const char *expected)
{
	char text[512] = "";

	for (size_t i = 0; i < relay->n_hosts; i++) {
		size_t len = strlen(text);

		(void) snprintf(
			text + len, sizeof(text) - len, "%s%s", i ? " " : "", relay->hosts[i]);
	}
	assert_string_equal(text, expected);
}

static void says(const char *own, const char *expected)
{
	struct node_relay relay = relay_at(own);

	added_apply(&added, &relay);
	is_at(&relay, expected);
	added_apply(&added, &relay); /* again is the same */
	is_at(&relay, expected);
}

static void test_list(void **state)
{
	char host[32];

	assert_null(added_find(&added, "a.example"));
	for (unsigned i = 0; i < ADDED_MAX; i++) {
		(void) snprintf(host, sizeof(host), "h%u.example", i);
		add(host);
	}
	assert_int_equal(added_push(&added, "more.example", 1, 1), -ENOSPC);
	added_drop(&added, "h2.example");
	added_drop(&added, "h2.example");
	assert_int_equal(added.n, ADDED_MAX - 1);
	assert_null(added_find(&added, "h2.example"));
	assert_string_equal(added.list[2].host, "h3.example");
	assert_string_equal(added.list[ADDED_MAX - 2].host, "h7.example");
}

static void test_record(void **state)
{
	add("203.0.113.5");
	says("10.0.0.5 vps.example.org", "10.0.0.5 vps.example.org"); /* whose it is nobody knows */
	record("203.0.113.5", other, "");
	says("10.0.0.5", "10.0.0.5"); /* another relay's */
	record("203.0.113.5", vps, "10.0.0.5");
	says("10.0.0.5 vps.example.org", "203.0.113.5 vps.example.org");
	says("203.0.113.5 10.0.0.6", "203.0.113.5 10.0.0.6"); /* it has moved at home */
	says("10.0.0.5", "203.0.113.5");
	says("a b c d", "203.0.113.5 a b c");
	says("", ""); /* no relay is none */
	add("new.example.org");
	record("new.example.org", vps, "203.0.113.5 10.0.0.5");
	assert_null(added_find(&added, "203.0.113.5")); /* the old one is not there any more */
	says("10.0.0.5 203.0.113.5 vps.example.org", "new.example.org vps.example.org");
	add("2001:db8::5");
	record("2001:db8::5", vps, "");
	says("10.0.0.5", "2001:db8::5 new.example.org"); /* the newest first */
	record("nobody.example.org", vps, "new.example.org");
	assert_null(added_find(&added, "new.example.org"));
}

static void unapplied(const char *host, const char *own, const char *expected)
{
	struct added dropped = *added_find(&added, host);
	struct node_relay relay = relay_at(own);

	added_drop(&added, host);
	added_unapply(&added, &dropped, &relay);
	is_at(&relay, expected);
}

static void test_unapply(void **state)
{
	add("203.0.113.5");
	record("203.0.113.5", vps, "10.0.0.5");
	unapplied("203.0.113.5", "203.0.113.5 vps.example.org", "vps.example.org 10.0.0.5");
	add("203.0.113.5");
	record("203.0.113.5", vps, "");
	unapplied("203.0.113.5", "203.0.113.5", ""); /* which is for the caller to refuse */
	add("a.example.org");
	add("b.example.org");
	record("a.example.org", vps, "10.0.0.5");
	record("b.example.org", vps, "10.0.0.5");
	unapplied("b.example.org", "b.example.org a.example.org", "a.example.org");
}

static void test_stored(void **state)
{
	static struct added_list again;
	CLEANUP_JSON json_t *json = NULL, *more = NULL;
	struct err err = { 0 };

	add("203.0.113.5");
	add("vps.example.org");
	record("vps.example.org", vps, "10.0.0.5 10.0.0.6");
	added.list[0].met = true; /* that is not for the disk */
	json = added_to_json(&added);
	assert_int_equal(added_from_json(json, &again, &err), 0);
	more = added_to_json(&again);
	assert_true(json_equal(json, more));
	assert_int_equal(again.n, 2);
	assert_false(again.list[0].recorded);
	assert_false(again.list[0].met);
	assert_int_equal(again.list[0].since, 1000);
	assert_true(again.list[1].recorded);
	assert_memory_equal(again.list[1].pin, vps, sizeof(vps));
	assert_int_equal(again.list[1].n_gone, 2);
	assert_string_equal(again.list[1].gone[1], "10.0.0.6");
}

static void test_refused(void **state)
{
	static const char *const cases[][2] = {
		{ "{}", "added" },
		{ "{\"added\":{}}", "added" },
		{ "{\"added\":[{\"host\":\"127.0.0.1\",\"port\":1,\"since\":1}]}", "host" },
		{ "{\"added\":[{\"host\":\"a.example\",\"port\":0,\"since\":1}]}", "port" },
		{ "{\"added\":[{\"host\":\"a.example\",\"port\":1}]}", "since" },
		{ "{\"added\":[{\"host\":\"a.example\",\"port\":1,\"since\":1,\"pin\":\"x\"}]}",
			"pin" },
		{ "{\"added\":[{\"host\":\"a.example\",\"port\":1,\"since\":1},"
		  "{\"host\":\"a.example\",\"port\":2,\"since\":1}]}",
			"twice" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP_JSON json_t *json = json_parse(cases[i][0], strlen(cases[i][0]), NULL);
		struct err err = { 0 };

		assert_int_equal(added_from_json(json, &added, &err), -EINVAL);
		if (!strstr(err.text, cases[i][1]))
			fail_msg("%s: %s", cases[i][0], err.text);
		assert_int_equal(added.n, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_list, set_up),
		cmocka_unit_test_setup(test_record, set_up),
		cmocka_unit_test_setup(test_unapply, set_up),
		cmocka_unit_test_setup(test_stored, set_up),
		cmocka_unit_test_setup(test_refused, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
