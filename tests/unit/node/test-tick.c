/* tick: what is done every five seconds and every minute, in which order. */
#include "fake-subjects.h"
#include "fake-ipc.h"

#include <stdio.h>
#include <systemd/sd-daemon.h>

static struct hearthd *h;

/* --- instead of libsystemd and the configuration --- */

static uint64_t watchdog_us; /* 0: nobody asks */
static int config_says;

int sd_watchdog_enabled(int unset_environment, uint64_t *usec)
{
	*usec = watchdog_us;
	return watchdog_us > 0;
}

int __wrap_config_read(const char *path, struct config *ret, struct err *err);
int __wrap_config_read(const char *path, struct config *ret, struct err *err)
{
	assert_string_equal(path, "/etc/hearth/hearthd.yaml");
	return config_says < 0 ? err_set(err, config_says, "line 3 is wrong") : 0;
}

/* --- */

static int set_up(void **state)
{
	struct err err = { 0 };

	watchdog_us = 0;
	config_says = 0;
	h = fake_hearthd_new();
	(void) strcpy(h->config_path, "/etc/hearth/hearthd.yaml");
	fake_hearthd_is_in(h);
	fake_hearthd_open(h);
	assert_int_equal(mesh_update(h, CHANGE_ALL, &err), 0);
	assert_int_equal(control_open(h, &err), 0);
	(void) fake_asked();
	fake.notes[0] = 0;
	return 0;
}

static int tear_down(void **state)
{
	tick_end(h);
	control_end_waits(h);
	control_close(h);
	fake_hearthd_close(h);
	h = fake_hearthd_free(h);
	return 0;
}

static void begin(void)
{
	struct err err = { 0 };

	assert_int_equal(tick_begin(h, &err), 0);
}

#define HELPER "names_retry uapi_retry cluster_retry resolv_retry"
#define TICK                                                        \
	"peers_look-1 finder_look mtus_look keep_save_seen " HELPER \
	" relays_look beacon_look mapped_look holes_look exchange_look-0 announce_check-1 pods_look"
#define FILES "pods_hurry uapi_keep keep_look overlay_look"
#define MEND                                                                                                            \
	"device_hold-7 device_look ground_look-1-7 wall_retry-1 exchange_follow-1 beacon_follow-0 offer_look-1 " HELPER \
	" names_look resolv_look cluster_look keep_book keep_save_state"

static void test_when(void **state)
{
	begin();
	assert_int_equal(fake_event_next_us(), USEC_PER_SEC);
	fake_event_pass(USEC_PER_SEC);
	fake_assert_asked(TICK);
	for (unsigned i = 0; i < 11; i++) {
		assert_int_equal(fake_event_next_us(), 5 * USEC_PER_SEC);
		fake_event_pass(5 * USEC_PER_SEC);
		fake_assert_asked(TICK);
	}
	fake_event_pass(5 * USEC_PER_SEC);
	fake_assert_asked(TICK " " FILES " " MEND);
	fake_event_pass(55 * USEC_PER_SEC);
	assert_null(strstr(fake_asked(), "keep_look"));
	fake_event_pass(5 * USEC_PER_SEC);
	fake_assert_asked(TICK " " FILES " " MEND);
	assert_string_equal(fake.notes, "");
	h->mesh_state = MESH_REMOVED;
	fake_event_pass(5 * USEC_PER_SEC);
	assert_non_null(strstr(fake_asked(), "announce_check-0"));
}

/* systemd hears of us thrice in its time, sooner than each tick if need be. */
static void test_watchdog(void **state)
{
	watchdog_us = 6 * USEC_PER_SEC;
	begin();
	fake_event_pass(USEC_PER_SEC);
	assert_string_equal(fake.notes, "WATCHDOG=1;");
	assert_int_equal(fake_event_next_us(), 2 * USEC_PER_SEC);
	tick_end(h);
	watchdog_us = 60 * USEC_PER_SEC;
	begin();
	fake_event_pass(USEC_PER_SEC);
	assert_int_equal(fake_event_next_us(), 5 * USEC_PER_SEC);
}

/* Soon while it is young, then with a minute between. */
static void test_book(void **state)
{
	begin();
	fake.has_changes = true;
	fake_event_pass(USEC_PER_SEC);
	assert_non_null(strstr(fake_asked(), "pods_look keep_book"));
	fake_event_pass(5 * USEC_PER_SEC);
	assert_non_null(strstr(fake_asked(), "pods_look keep_book"));
	fake_event_pass(55 * USEC_PER_SEC); /* the minute's round, which saves, too */
	(void) fake_asked();
	fake_event_pass(5 * USEC_PER_SEC);
	assert_non_null(strstr(fake_asked(), "pods_look keep_book"));
	fake_event_pass(5 * USEC_PER_SEC);
	assert_null(strstr(fake_asked(), "keep_book"));
	fake_event_pass(45 * USEC_PER_SEC);
	(void) fake_asked();
	fake_event_pass(10 * USEC_PER_SEC);
	assert_non_null(strstr(fake_asked(), "pods_look keep_book"));
}

static void test_no_timers(void **state)
{
	struct err err = { 0 };

	fake_event_fails = -ENOMEM;
	assert_int_equal(tick_begin(h, &err), -ENOMEM);
	assert_string_equal(err.text, "cannot set up a timer: Cannot allocate memory");
}

/* --- files --- */

static void test_config(void **state)
{
	tick_keep_files(h);
	fake_core_wrong(&h->core, "config", NULL);
	config_says = -EINVAL;
	tick_keep_files(h);
	fake_core_wrong(&h->core, "config",
		"hearthd goes on as before, but will not start again: line 3 is wrong");
	config_says = 0;
	tick_keep_files(h);
	fake_core_wrong(&h->core, "config", NULL);
}

/* --- the end --- */

static void test_end(void **state)
{
	begin();
	tick_end(h);
	fake_assert_asked("peers_look-1"); /* where they answered last */
	assert_int_equal(fake_event_sources(), 0);
	/* One that could not begin has no peers to look at. */
	fake_hearthd_close(h);
	(void) fake_asked();
	tick_end(h);
	fake_assert_asked("");
	fake_hearthd_open(h);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(when),
		TEST(watchdog),
		TEST(book),
		TEST(no_timers),
		TEST(config),
		TEST(end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
