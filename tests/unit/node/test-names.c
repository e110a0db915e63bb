/*
 * names: when hearth-helper is asked to write them, what waits for what, and what others do to the
 * hosts file.
 */
#include "fake-core.h"
#include "fake-helper.h"

#include <stdio.h>

#include "node/hostsfile.h"
#include "node/names.h"

#define MINUTE_US (60 * USEC_PER_SEC)
#define NO_WAIT   UINT64_MAX

static struct core *core;
static struct names *names;

static struct {
	bool down;
	uint32_t no_ipv6; /* node to which it does not lead */
} mesh;

static bool is_up(const void *ctx)
{
	assert_ptr_equal(ctx, &mesh);
	return !mesh.down;
}

static bool has_ipv6(const void *ctx, uint32_t id)
{
	assert_ptr_equal(ctx, &mesh);
	return id != mesh.no_ipv6;
}

static const struct names_hooks hooks = { .is_up = is_up, .has_ipv6 = has_ipv6 };

/* --- instead of the hosts file --- */

static struct hostsfile {
	hostsfile_touched_fn touched;
	void *ctx;
	char path[64];
	uint64_t wait_us; /* touched() after that time */
	int looks;        /* what hostsfile_look() says */
	bool changed;     /* since it failed */
	unsigned n_looks, n_failed, n_freed;
	char ifname[16], entries[2048]; /* it was compared with */
} file;

int hostsfile_new(sd_event *event, hostsfile_touched_fn touched, void *ctx, struct hostsfile **ret)
{
	file = (struct hostsfile){ .touched = touched, .ctx = ctx, .wait_us = NO_WAIT, .looks = 1 };
	*ret = &file;
	return 0;
}

struct hostsfile *hostsfile_free(struct hostsfile *f)
{
	f->n_freed++;
	return NULL;
}

void hostsfile_watch(struct hostsfile *f, const char *path)
{
	(void) snprintf(f->path, sizeof(f->path), "%s", path);
}

const char *hostsfile_path(const struct hostsfile *f)
{
	return f->path;
}

int hostsfile_look(struct hostsfile *f, const char *ifname, const char *entries)
{
	f->n_looks++;
	(void) snprintf(f->ifname, sizeof(f->ifname), "%s", ifname);
	(void) snprintf(f->entries, sizeof(f->entries), "%s", entries);
	return f->looks;
}

void hostsfile_failed(struct hostsfile *f)
{
	f->n_failed++;
	f->changed = false;
}

bool hostsfile_has_changed(const struct hostsfile *f)
{
	return f->changed;
}

void hostsfile_wait(struct hostsfile *f, uint64_t wait_us)
{
	f->wait_us = wait_us;
}

/* Somebody wrote it: it @looks so now. */
static void touch(int looks)
{
	file.looks = looks;
	file.wait_us = NO_WAIT;
	file.touched(file.ctx);
}

/* --- */

static int set_up(void **state)
{
	core = fake_core_new();
	fake_helper_reset();
	memset(&mesh, 0, sizeof(mesh));
	names = names_new(core, &hooks, &mesh);
	assert_non_null(names);
	return 0;
}

static int tear_down(void **state)
{
	names = names_free(names);
	assert_int_equal(file.n_freed, 1);
	assert_int_equal(fake_helper_waiting(), 0);
	core = fake_core_free(core);
	return 0;
}

/* Whether what is under way says @words. */
static bool asks_for(const char *words)
{
	CLEANUP(free_p) char *text = json_text(fake_helper_args());

	assert_int_equal(fake_helper_waiting(), 1);
	assert_string_equal(fake_helper_call(), "hosts.write");
	return strstr(text, words);
}

static void answer(bool changed)
{
	fake_helper_answer(json_pack("{s:s,s:b}", "path", "/etc/hosts.d/real", "changed", changed));
}

static void write_all(void)
{
	names_write(names, true);
	answer(true);
}

static void test_written(void **state)
{
	(void) strcpy(core->config.interface, "hearth7");
	names_write(names, false);
	assert_true(asks_for("\"ifname\":\"hearth7\""));
	assert_int_equal(fake_helper_timeout_us(), MINUTE_US);
	assert_true(asks_for("node-1.home.internal"));
	assert_true(asks_for("\"10.77.0.3\""));
	assert_true(asks_for("\"fd12:3456:789a::2\""));
	fake_helper_answer(json_pack("{s:s,s:b}", "path", "/etc/elsewhere", "changed", 1));
	assert_string_equal(file.path, "/etc/elsewhere");
	assert_int_equal(file.wait_us, 0); /* it may have been changed before it was watched */
	assert_int_equal(fake_core_logged(""), 0);
	fake_core_wrong(core, "helper", NULL);
	fake_core_wrong(core, "names", NULL);
	names_write(names, false);
	assert_int_equal(fake_helper_calls(), 1); /* they are there */
	names_write(names, true);
	assert_int_equal(fake_helper_calls(), 2);
	fake_helper_answer(NULL); /* of an older helper */
	assert_string_equal(file.path, "/etc/hosts");
	fake_core_put(4, 0, "laptop");
	names_write(names, false);
	assert_true(asks_for("laptop.home.internal"));
	answer(true);
	file.wait_us = NO_WAIT;
	names_look(names);
	assert_int_equal(file.wait_us, 0);
}

/* Where IPv6 leads nowhere, and where there is no mesh. */
static void test_fewer(void **state)
{
	mesh.no_ipv6 = 2;
	names_write(names, false);
	assert_true(asks_for("\"10.77.0.2\""));
	assert_false(asks_for("\"fd12:3456:789a::2\""));
	assert_true(asks_for("\"fd12:3456:789a::3\""));
	answer(true);
	mesh.down = true;
	names_write(names, false);
	assert_true(asks_for("{\"entries\":[]}"));
}

static void test_newer_meanwhile(void **state)
{
	names_write(names, false);
	fake_core_put(4, 0, "laptop");
	names_write(names, false);
	fake_core_put(5, 0, "phone");
	names_write(names, false);
	assert_int_equal(fake_helper_calls(), 1);
	fake_helper_answer(json_pack("{s:s}", "taken", "x"));
	fake_core_wrong(core, "names", NULL); /* that may be over already */
	assert_true(asks_for("laptop"));
	assert_true(asks_for("phone"));
	names_write(names, true);
	fake_helper_fail(-EIO, "the disk is gone");
	fake_core_wrong(core, "helper", NULL); /* once more first */
	fake_helper_fail(-EIO, "the disk is gone");
	fake_core_wrong(core, "helper", "the disk is gone");
	assert_int_equal(fake_helper_calls(), 3);
	assert_int_equal(fake_helper_waiting(), 0);
}

/* Root reads our log on the disk. */
static void test_waits_for_the_log(void **state)
{
	fake_core_log_is_on_its_way = true;
	names_write(names, false);
	assert_int_equal(fake_helper_calls(), 0);
	touch(0);
	assert_int_equal(fake_helper_calls(), 0); /* nothing was written that could be missing */
	fake_core_log_is_on_its_way = false;
	fake_core_unsaved.code = -ENOSPC;
	names_log_settled(names, false);
	assert_int_equal(fake_helper_calls(), 1); /* what is there is better than nothing */
	answer(true);
	names_log_settled(names, false);
	assert_int_equal(fake_helper_calls(), 1);
	fake_core_unsaved.code = 0;
	names_log_settled(names, true);
	assert_int_equal(fake_helper_calls(), 2); /* it would not take all of them before */
	answer(true);
	names_log_settled(names, true);
	names_log_settled(names, false);
	assert_int_equal(fake_helper_calls(), 2);
	fake_core_log_is_on_its_way = true;
	names_write(names, true);
	fake_core_log_is_on_its_way = false;
	names_log_settled(names, true);
	assert_int_equal(fake_helper_calls(), 3);
	answer(true);
}

/* A disk that was full when nothing was asked has cost no name. */
static void test_log_failed_before(void **state)
{
	names_write(names, false);
	answer(true);
	names_log_settled(names, false);
	names_log_settled(names, true);
	assert_int_equal(fake_helper_calls(), 1);
}

static void test_failed(void **state)
{
	fake_helper_refuses = -ENOENT;
	names_write(names, false);
	fake_core_wrong(core, "helper", "No such file");
	assert_string_equal(file.path, "/etc/hosts");
	assert_int_equal(file.n_failed, 1);
	fake_event_pass(5 * USEC_PER_SEC - 1);
	names_retry(names);
	assert_int_equal(fake_helper_calls(), 1);
	fake_event_pass(1);
	fake_helper_refuses = 0;
	names_retry(names);
	names_retry(names); /* it is under way */
	assert_int_equal(fake_helper_calls(), 2);
	fake_core_wrong(core, "helper", "No such file"); /* until it has worked */
	answer(true);
	fake_core_wrong(core, "helper", NULL);
	fake_event_pass(MINUTE_US);
	names_retry(names);
	assert_int_equal(fake_helper_calls(), 2);
	names_write(names, true);
	fake_helper_fail(-EROFS, "read-only");
	assert_string_equal(file.path, "/etc/hosts.d/real"); /* as was said before */
	assert_int_equal(file.n_failed, 2);
	names_retry(names);
	assert_int_equal(fake_helper_calls(), 3);
	names_hurry(names);
	names_retry(names);
	assert_int_equal(fake_helper_calls(), 4);
	assert_int_equal(file.n_looks, 0); /* what could not be written is not compared */
}

/* What may have been mended is tried at once, three times; then with pauses. */
static void test_mended(void **state)
{
	fake_helper_refuses = -EROFS;
	names_write(names, false);
	for (unsigned i = 0; i < 4; i++) {
		touch(0);
		assert_int_equal(fake_helper_calls(), 1 + i);
		file.changed = true;
		if (i < 2)
			touch(0);
		else
			names_retry(names); /* mounts and file systems send no events */
	}
	assert_int_equal(fake_helper_calls(), 4);
	assert_int_equal(file.wait_us, 2 * USEC_PER_SEC);
	fake_event_pass(2 * USEC_PER_SEC);
	touch(0);
	assert_int_equal(fake_helper_calls(), 5);
	assert_int_equal(file.wait_us, NO_WAIT);
}

static void test_touched(void **state)
{
	static const int fine[] = { 1, -EACCES, -ENODATA }; /* root may read what we may not */

	touch(0);
	assert_int_equal(fake_helper_calls(), 0); /* nothing is there yet */
	names_write(names, true);
	touch(0);
	assert_int_equal(fake_helper_calls(), 1); /* it is being written */
	answer(true);
	assert_int_equal(file.n_looks, 0);
	for (size_t i = 0; i < ARRAY_LEN(fine); i++)
		touch(fine[i]);
	assert_int_equal(fake_helper_calls(), 1);
	assert_int_equal(file.n_looks, 3);
	assert_string_equal(file.ifname, "hearth0");
	assert_non_null(strstr(file.entries, "node-2.home.internal"));
	touch(0);
	assert_true(asks_for("node-2"));
	answer(true);
	assert_int_equal(fake_core_logged("/etc/hosts.d/real was changed by another program"), 1);
	write_all();
	assert_int_equal(fake_core_logged(""), 0); /* nobody took them out */
	touch(-EIO);
	assert_int_equal(fake_helper_calls(), 4);
	answer(false);
	assert_int_equal(fake_core_logged(""), 0); /* they had not been taken out */
	fake_core_wrong(core, "hosts", NULL);
}

/* Two programs that disagree do not fight without end, and a person is told. */
static void test_fight(void **state)
{
	write_all();
	for (unsigned i = 0; i < 3; i++) {
		touch(0);
		assert_int_equal(fake_helper_calls(), 2 + i);
		answer(true);
		fake_core_wrong(core, "hosts", NULL);
	}
	assert_int_equal(fake_core_logged("Hearth's names are back"), 3);
	touch(0);
	assert_int_equal(fake_helper_calls(), 4);
	assert_int_equal(file.wait_us, 2 * USEC_PER_SEC);
	fake_event_pass(2 * USEC_PER_SEC);
	touch(0);
	assert_int_equal(fake_helper_calls(), 5);
	fake_core_wrong(core, "hosts", "/etc/hosts.d/real");
	answer(true);
	assert_int_equal(fake_core_logged("Hearth's names are back"), 0); /* for how long? */
	touch(1);
	fake_core_wrong(core, "hosts", "keeps removing");
	fake_event_pass(10 * MINUTE_US + 1);
	touch(1);
	fake_core_wrong(core, "hosts", NULL);
	touch(0);
	assert_int_equal(fake_helper_calls(), 6);
}

static void test_taken(void **state)
{
	names_write(names, true);
	fake_helper_answer(json_pack("{s:s}", "taken", "api.home.internal"));
	fake_core_wrong(core, "names", "api.home.internal has another address");
	fake_core_wrong(core, "helper", NULL);
	write_all();
	fake_core_wrong(core, "names", NULL);
	names_write(names, true); /* and at the end it is under way */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_written, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_fewer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_newer_meanwhile, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_waits_for_the_log, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_log_failed_before, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_failed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_mended, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_touched, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_fight, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_taken, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
