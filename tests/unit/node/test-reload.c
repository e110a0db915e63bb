/* reload: which configuration is taken, and who looks again. */
#include "fake-subjects.h"

static struct hearthd *h;

/* --- instead of reading it --- */

static struct config config;
static int config_says;

int __wrap_config_read(const char *path, struct config *ret, struct err *err);
int __wrap_config_read(const char *path, struct config *ret, struct err *err)
{
	assert_string_equal(path, "/etc/hearth/hearthd.yaml");
	if (config_says < 0)
		return err_set(err, config_says, "line 3 is wrong");
	*ret = config;
	return 0;
}

/* --- */

static int set_up(void **state)
{
	struct err err = { 0 };

	h = fake_hearthd_new();
	(void) strcpy(h->config_path, "/etc/hearth/hearthd.yaml");
	fake_hearthd_is_in(h);
	fake_hearthd_open(h);
	assert_int_equal(mesh_update(h, CHANGE_ALL, &err), 0);
	config = h->core.config;
	config_says = 0;
	fake.notes[0] = 0;
	(void) fake_asked();
	(void) fake_core_logged("");
	return 0;
}

static int tear_down(void **state)
{
	fake_hearthd_close(h);
	h = fake_hearthd_free(h);
	return 0;
}

/* It is not taken, for this reason; all goes on as before. */
static void assert_refused(int r, const char *why)
{
	struct config before = h->core.config;
	struct err err = { 0 };

	fake.notes[0] = 0;
	assert_int_equal(hearthd_reload(h, &err), r);
	assert_non_null(strstr(err.text, why));
	assert_memory_equal(&h->core.config, &before, sizeof(before));
	fake_assert_asked("");
	assert_non_null(strstr(fake.notes, "RELOADING=1\nMONOTONIC_USEC="));
	assert_non_null(strstr(fake.notes, ";READY=1;"));
}

static void test_reload(void **state)
{
	struct err err = { 0 };
	const char *asked;

	config.public_ranges = true;
	assert_int_equal(hearthd_reload(h, &err), 0);
	assert_true(h->core.config.public_ranges);
	asked = fake_asked();
	assert_non_null(strstr(asked, "device_apply mtus_set_top-1420 wall_apply-1 names_write-0"));
	assert_non_null(strstr(
		asked, "announce_look roster_follow-1 names_write-1 device_hold-7 device_look"));
	assert_non_null(strstr(asked,
		"keep_save_state names_hurry uapi_hurry cluster_hurry resolv_hurry names_retry "
		"uapi_retry cluster_retry resolv_retry relays_hurry pods_hurry pods_look sync_link_changed"));
	assert_int_equal(fake_core_logged("configuration read again"), 1);
	assert_non_null(strstr(fake.notes, "RELOADING=1\nMONOTONIC_USEC="));
	assert_non_null(strstr(fake.notes, ";READY=1;"));
	assert_int_equal(fake_core_logged(""), 0);
}

static void test_wrong(void **state)
{
	config_says = -EINVAL;
	assert_refused(-EINVAL, "line 3 is wrong");
}

static void test_of_another(void **state)
{
	config.node++;
	assert_refused(-EINVAL, "is about another board or mesh; restart hearthd");
	config.node--;
	config.mesh[0] = 'x';
	assert_refused(-EINVAL, "is about another board or mesh");
	config.mesh[0] = 'h';
	config.root[9]++;
	assert_refused(-EINVAL, "is about another board or mesh");
}

/* What only a restart can change. */
static void test_later(void **state)
{
	struct err err = { 0 };

	config.port++;
	assert_int_equal(hearthd_reload(h, &err), 0);
	assert_int_equal(h->core.config.port, config.port - 1);
	assert_int_equal(fake_core_logged("interface and port change with the next restart"), 1);
	config.port--;
	(void) strcpy(config.interface, "hearth1");
	assert_int_equal(hearthd_reload(h, &err), 0);
	assert_string_equal(h->core.config.interface, "hearth0");
	assert_int_equal(fake_core_logged("interface and port change with the next restart"), 1);
}

/* The mesh cannot be brought in line with it: nobody else is asked. */
static void test_tunnel_fails(void **state)
{
	struct err err = { 0 };

	overlay_close(h->overlay);
	fake.fails = "overlay_open";
	fake.with = -EBUSY;
	(void) fake_asked();
	assert_int_equal(hearthd_reload(h, &err), -EBUSY);
	assert_string_equal(err.text, "overlay_open: it fails");
	fake_assert_asked("wall_begin device_reclaim overlay_open-41741");
	assert_non_null(strstr(fake.notes, ";READY=1;"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reload),
		TEST(wrong),
		TEST(of_another),
		TEST(later),
		TEST(tunnel_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
