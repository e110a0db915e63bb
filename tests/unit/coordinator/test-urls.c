/*
 * urls: which addresses of the coordinator's machine its settings name, as the machine moves about.
 */
#include "world.h"

#include <errno.h>
#include <stdio.h>

#include "coordinator/urls.h"
#include "fake-machine.h"

/* One look: @now are the machine's addresses, "a b c". Returns how many were added. */
static size_t look(struct settings *settings, const char *now)
{
	char found[FIELD_URLS_MAX][FIELD_URL_MAX], copy[1024], *word, *rest = NULL;
	size_t n = 0;

	strcpy(copy, now);
	for (word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		strcpy(found[n++], word);
	return urls_add(settings, (const char(*)[FIELD_URL_MAX]) found, n);
}

static const char *known(const struct settings *settings)
{
	static char text[FIELD_URLS_MAX * FIELD_URL_MAX];

	text[0] = 0;
	for (size_t i = 0; i < settings->n_urls; i++) {
		strcat(text, i ? " " : "");
		strcat(text, settings->urls[i]);
	}
	return text;
}

static void test_order(void **state)
{
	CLEANUP_SETTINGS struct settings s = { 0 };

	assert_int_equal(look(&s, ""), 0);
	assert_int_equal(look(&s, "a b"), 2);
	assert_string_equal(known(&s), "a b");
	assert_int_equal(look(&s, "a b"), 0);
	assert_int_equal(look(&s, "c b d"), 2);
	assert_string_equal(known(&s), "c d a b"); /* the newest first, among them the best */
	assert_int_equal(look(&s, ""), 0);
	assert_string_equal(known(&s), "c d a b");
}

/* What comes and goes costs one record for each value it ever had. */
static void test_flapping(void **state)
{
	CLEANUP_SETTINGS struct settings s = { 0 };
	unsigned records = 0;

	for (int i = 0; i < 1000; i++) {
		records += look(&s, i % 2 ? "lan dhcp1" : "lan dhcp2") > 0;
		records += look(&s, "lan") > 0;
	}
	assert_int_equal(records, 2);
	assert_string_equal(known(&s), "dhcp1 lan dhcp2");
}

/* The oldest make room, but for those that are in use, however old. */
static void test_roaming(void **state)
{
	CLEANUP_SETTINGS struct settings s = { 0 };
	char now[64];

	assert_int_equal(look(&s, "lan wan"), 2);
	for (int i = 0; i < 100; i++) {
		(void) snprintf(now, sizeof(now), "place%d lan", i);
		assert_int_equal(look(&s, now), 1);
		assert_int_equal(look(&s, now), 0);
	}
	assert_int_equal(s.n_urls, FIELD_URLS_MAX);
	assert_string_equal(s.urls[0], "place99");
	assert_non_null(strstr(known(&s), " lan"));
	assert_null(strstr(known(&s), "wan"));
}

static void test_full(void **state)
{
	CLEANUP_SETTINGS struct settings s = { 0 };

	assert_int_equal(look(&s, "a b c d e f g h i j k l m n o p"), FIELD_URLS_MAX);
	assert_int_equal(look(&s, "a b c d e f g h i j k l m n o p"), 0);
	assert_int_equal(look(&s, "A B C D E F G H I J K L M N O P"), FIELD_URLS_MAX);
	assert_string_equal(known(&s), "A B C D E F G H I J K L M N O P");
	assert_int_equal(look(&s, "P O N M L K J I H G F E D C B x"), 1);
	assert_string_equal(known(&s), "x B C D E F G H I J K L M N O P");
}

/* Those that a person set stay first, whatever comes, and are never what makes room. */
static void test_by_hand(void **state)
{
	CLEANUP_SETTINGS struct settings s = { 0 };

	assert_int_equal(look(&s, "H I"), 2);
	s.n_by_hand = 2;
	assert_int_equal(look(&s, "a b"), 2);
	assert_string_equal(known(&s), "H I a b");
	assert_int_equal(look(&s, "I c"), 1); /* one of the machine's is set by hand */
	assert_string_equal(known(&s), "H I c a b");
	assert_int_equal(look(&s, "d e f g h i j k l m n o p q"), 14);
	assert_string_equal(known(&s), "H I d e f g h i j k l m n o p q");
	assert_int_equal(look(&s, "d e f g h i j k l m n o p r"), 1);
	assert_string_equal(known(&s), "H I r d e f g h i j k l m n o p");
	/* There is no room but theirs. */
	s.n_by_hand = FIELD_URLS_MAX;
	assert_int_equal(look(&s, "z"), 0);
	assert_string_equal(known(&s), "H I r d e f g h i j k l m n o p");
}

/* --- the coordinator's --- */

static unsigned looked;

static void on_look(void *ctx)
{
	looked++;
}

static int begin(void **state)
{
	struct err err = { 0 };
	struct coord *c;

	memset(&fake_machine, 0, sizeof(fake_machine));
	looked = 0;
	assert_int_equal(world_open(state), 0);
	c = *state;
	c->urls_found = true;
	assert_int_equal(urls_open(c, &c->urls, &err), 0);
	urls_on_look(c->urls, on_look, NULL);
	return 0;
}

static int end(void **state)
{
	struct coord *c = *state;

	c->urls = urls_close(c->urls);
	return world_close(state);
}

static uint64_t head(const struct coord *c)
{
	return mesh_log_head(ledger_log(c->ledger));
}

/*
 * What is found now is @url alone; it is looked and written. Returns how many records came of it.
 */
static uint64_t find(struct coord *c, const char *url)
{
	uint64_t before = head(c);

	fake_machine.urls[0] = url;
	urls_refresh(c);
	(void) fake_store_flush();
	return head(c) - before;
}

static void test_announced(void **state)
{
	struct coord *c = *state;

	assert_int_equal(find(c, NULL), 0);
	assert_int_equal(find(c, "https://192.0.2.1:1"), 1);
	assert_string_equal(coord_settings(c)->urls[0], "https://192.0.2.1:1");
	assert_int_equal(coord_settings(c)->n_urls, 2); /* nothing is taken away */
	assert_int_equal(fake_log_says("look for the coordinator at https://192.0.2.1:1"), 1);
	assert_int_equal(find(c, "https://192.0.2.1:1"), 0);
	assert_int_equal(fake_log_says("look for the coordinator at"), 1);
	assert_int_equal(fake_log_says("addresses are not known"), 0);
	fake_machine.urls_fail = EPERM;
	assert_int_equal(find(c, "https://192.0.2.2:1"), 0);
	assert_int_equal(fake_log_says("addresses are not known"), 1);
	fake_machine.urls_fail = 0;
	c->urls_found = false;
	assert_int_equal(find(c, "https://192.0.2.2:1"), 0); /* they were given */
}

/* Once there was one, the next must have been there for a minute. */
static void test_restless(void **state)
{
	struct coord *c = *state;

	assert_int_equal(find(c, "https://192.0.2.1:1"), 1);
	assert_int_equal(find(c, "https://192.0.2.2:1"), 0);
	fake_event_pass(60 * USEC_PER_SEC - 1);
	(void) fake_store_flush();
	assert_string_equal(coord_settings(c)->urls[0], "https://192.0.2.1:1");
	fake_event_pass(1); /* it looks by itself */
	(void) fake_store_flush();
	assert_string_equal(coord_settings(c)->urls[0], "https://192.0.2.2:1");
	assert_int_equal(find(c, "https://192.0.2.3:1"), 0);
	fake_event_pass(30 * USEC_PER_SEC);
	assert_int_equal(find(c, "https://192.0.2.4:1"), 0);
	fake_event_pass(40 * USEC_PER_SEC);
	assert_int_equal(
		find(c, "https://192.0.2.3:1"), 0); /* it was away: its minute begins anew */
	fake_machine.urls[0] = NULL;
	fake_event_pass(15 * 60 * USEC_PER_SEC * 4);
	(void) fake_store_flush();
	assert_int_equal(find(c, "https://192.0.2.5:1"), 1); /* it was quiet for long */
}

/* However restless, a few records an hour; it is said once. */
static void test_paced(void **state)
{
	struct coord *c = *state;
	char url[64];
	uint64_t before = head(c);

	for (unsigned i = 0; i < 120; i++) { /* each stays for a minute and more, for two hours */
		(void) snprintf(url, sizeof(url), "https://192.0.2.%u:1", i);
		(void) find(c, url);
		fake_event_pass(61 * USEC_PER_SEC);
		(void) fake_store_flush();
	}
	assert_in_range(head(c) - before, 4 + 7, 4 + 8);
	assert_in_range(fake_log_says("change so often"), 4, head(c) - before); /* once for each */
}

/* Links and addresses that come are looked at when they have settled; others are not. */
static void test_changes(void **state)
{
	struct coord *c = *state;
	uint64_t quiet = fake_event_next_us();

	assert_int_equal(quiet, 60 * USEC_PER_SEC);
	fake_monitor_link("hth0123456789", 0); /* a pod's */
	fake_event_ready(FAKE_MONITOR_FD);
	fake_monitor_addr("fe80::1", 0);
	fake_event_ready(FAKE_MONITOR_FD);
	fake_monitor_link("eth0", 1); /* gone */
	fake_event_ready(FAKE_MONITOR_FD);
	assert_int_equal(fake_event_next_us(), quiet);
	fake_monitor_addr("192.0.2.1", 0);
	fake_event_ready(FAKE_MONITOR_FD);
	assert_int_equal(fake_event_next_us(), USEC_PER_SEC);
	fake_machine.urls[0] = "https://192.0.2.1:1";
	for (int i = 0; i < 5; i++) { /* it does not settle */
		fake_event_pass(999999);
		assert_int_equal(looked, 0);
		fake_monitor_link("eth0", 0);
		fake_event_ready(FAKE_MONITOR_FD);
	}
	fake_event_pass(5);
	assert_int_equal(looked, 1); /* at the latest */
	(void) fake_store_flush();
	assert_string_equal(coord_settings(c)->urls[0], "https://192.0.2.1:1");
	assert_int_equal(fake_event_next_us(), UINT64_MAX); /* until the next change */
	fake_monitor_lost();
	fake_event_ready(FAKE_MONITOR_FD);
	fake_event_pass(USEC_PER_SEC);
	assert_int_equal(looked, 2);
}

/* Without word of changes it looks once a minute; with --url never. */
static void test_no_monitor(void **state)
{
	struct coord *c = *state;
	struct err err = { 0 };

	c->urls = urls_close(c->urls);
	fake_machine.monitor_fails = EPERM;
	assert_int_equal(fake_log_says("once a minute"), 0);
	assert_int_equal(urls_open(c, &c->urls, &err), 0);
	assert_int_equal(
		fake_log_says("looking for new addresses of this machine once a minute"), 1);
	urls_on_look(c->urls, on_look, NULL);
	fake_event_pass(180 * USEC_PER_SEC);
	assert_int_equal(looked, 3);
	c->urls = urls_close(c->urls);
	c->urls_found = false;
	fake_log_forget();
	assert_int_equal(urls_open(c, &c->urls, &err), 0);
	assert_int_equal(fake_event_next_us(), UINT64_MAX);
	assert_int_equal(fake_log_says("once a minute"), 0);
	c->urls = urls_close(c->urls);
	fake_event_fails = -ENFILE;
	assert_int_equal(urls_open(c, &c->urls, &err), -ENFILE);
	assert_non_null(strstr(err.text, "event loop"));
	assert_null(c->urls);
}

/* It is told which are new, and those set by hand are not. */
static void test_announced_behind(void **state)
{
	struct coord *c = *state;
	CLEANUP_SETTINGS struct settings s = { 0 };

	settings_copy(coord_settings(c), &s);
	s.n_by_hand = s.n_urls;
	world_record(c, RECORD_TYPE_SETTINGS, settings_to_json(&s));
	assert_int_equal(find(c, "https://192.0.2.1:1"), 1);
	assert_string_equal(coord_settings(c)->urls[0], s.urls[0]);
	assert_string_equal(coord_settings(c)->urls[1], "https://192.0.2.1:1");
	assert_int_equal(coord_settings(c)->n_by_hand, 1);
	assert_int_equal(fake_log_says("look for the coordinator at https://192.0.2.1:1"), 1);
}

/* A person changes whether they are to be found: it is watched from then on, or no longer. */
static void test_set_found(void **state)
{
	struct coord *c = *state;
	size_t sources = fake_event_sources();

	urls_set_found(c, true); /* as it was */
	assert_int_equal(fake_event_sources(), sources);
	fake_monitor_addr("192.0.2.1", 0);
	fake_event_ready(FAKE_MONITOR_FD);
	assert_int_equal(fake_event_next_us(), USEC_PER_SEC);
	urls_set_found(c, false);
	assert_false(c->urls_found);
	assert_int_equal(fake_event_sources(), sources - 1);
	assert_int_equal(fake_event_next_us(), UINT64_MAX);
	assert_int_equal(find(c, "https://192.0.2.1:1"), 0);
	fake_machine.monitor_fails = EPERM;
	urls_set_found(c, true);
	assert_int_equal(fake_log_says("once a minute"), 1);
	fake_event_pass(60 * USEC_PER_SEC);
	(void) fake_store_flush();
	assert_string_equal(coord_settings(c)->urls[0], "https://192.0.2.1:1");
	urls_set_found(c, false);
	fake_machine.monitor_fails = 0;
	urls_set_found(c, true);
	assert_int_equal(fake_event_sources(), sources);
	fake_monitor_addr("192.0.2.1", 0);
	fake_event_ready(FAKE_MONITOR_FD);
	assert_int_equal(fake_event_next_us(), USEC_PER_SEC);
}

static void test_disk(void **state)
{
	struct coord *c = *state;
	struct board a = world_node(c, 1, "a", NODE_ROLE_WORKER);

	fake_store_fails = -ENOSPC;
	assert_int_equal(find(c, "https://192.0.2.1:1"), 0);
	assert_int_equal(fake_log_says("could not be announced, ignoring: the disk says no"), 1);
	fake_store_fails = 0;
	fake_event_pass(3600 * USEC_PER_SEC);
	/* Asked twice before it is written: once is enough. */
	urls_refresh(c);
	urls_refresh(c);
	uint64_t before = head(c);

	(void) fake_store_flush();
	assert_int_equal(head(c) - before, 1);
	/* A full queue is tried again. */
	for (int i = 0; i <= LEDGER_QUEUE_MAX; i++)
		world_submit(c, RECORD_TYPE_NODE, node_to_json(world_find(c, &a)));
	fake_event_pass(3600 * USEC_PER_SEC);
	fake_machine.urls[0] = "https://192.0.2.9:1";
	urls_refresh(c);
	assert_int_equal(fake_event_next_us(), 60 * USEC_PER_SEC);
	(void) fake_store_flush();
	fake_event_pass(60 * USEC_PER_SEC);
	(void) fake_store_flush();
	assert_string_equal(coord_settings(c)->urls[0], "https://192.0.2.9:1");
}

#define WORLD(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_flapping),
		cmocka_unit_test(test_roaming),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_by_hand),
		WORLD(test_announced),
		WORLD(test_restless),
		WORLD(test_paced),
		WORLD(test_changes),
		WORLD(test_no_monitor),
		WORLD(test_announced_behind),
		WORLD(test_set_found),
		WORLD(test_disk),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
