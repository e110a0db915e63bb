/* pods: when their leases are looked at, and what is said of a board that has no address left. */
#include "fake-core.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/pods.h"
#include "sys/lease/leases.h"

static struct {
	struct core *core;
	struct pods *pods;
	char run[64];
	/* the store's */
	struct leases_census census;
	int open_fails, reclaim_fails;
	unsigned looked, closed; /* how often */
	const struct nl *nl;
	unsigned flags;
	char names[64];
} t;

/* --- instead of sys/lease --- */

int leases_open_existing(const char *network, struct leases **ret, struct err *err)
{
	static char store;

	(void) strcat(strcat(t.names, network), " ");
	if (t.open_fails && !strcmp(network, "bad"))
		return err_set(err, t.open_fails, "no");
	*ret = (struct leases *) &store;
	return 0;
}

struct leases *leases_close(struct leases *store)
{
	t.closed += store != NULL;
	return NULL;
}

int leases_reclaim(struct leases *store, struct nl *nl, unsigned flags, struct leases_census *ret,
	struct err *err)
{
	t.looked++;
	t.nl = nl;
	t.flags = flags;
	if (t.reclaim_fails < 0)
		return err_set(err, t.reclaim_fails, "no");
	*ret = t.census;
	return 0;
}

uint64_t leases_capacity(const struct ip_prefix *subnet)
{
	return subnet->len == 24 ? 10 : 0;
}

/* --- */

static void network(const char *name)
{
	char path[96];

	(void) snprintf(path, sizeof(path), "%s/cni/%s", t.run, name);
	assert_int_equal(mkdir(path, 0700), 0);
}

static int set_up(void **state)
{
	char path[96];

	memset(&t, 0, sizeof(t));
	(void) strcpy(t.run, "/tmp/hearth-pods.XXXXXX");
	assert_non_null(mkdtemp(t.run));
	(void) snprintf(path, sizeof(path), "%s/cni", t.run);
	assert_int_equal(mkdir(path, 0700), 0);
	t.core = fake_core_new();
	t.core->nl = (struct nl *) &t; /* only handed on */
	(void) strcpy(t.core->paths.run, t.run);
	t.pods = pods_new(t.core);
	assert_non_null(t.pods);
	return 0;
}

static int tear_down(void **state)
{
	static const char *const made[] = { "cni/bad", "cni/hearth", "cni/.old", "cni", "" };

	assert_int_equal(t.looked, t.closed);
	t.pods = pods_free(t.pods);
	t.core = fake_core_free(t.core);
	for (size_t i = 0; i < ARRAY_LEN(made); i++) {
		char path[96];

		(void) snprintf(path, sizeof(path), "%s/%s", t.run, made[i]);
		(void) rmdir(path);
	}
	return 0;
}

static void test_when(void **state)
{
	uint64_t now = clock_now_us();

	network("hearth");
	network(".old");
	pods_look(t.pods, now);
	assert_string_equal(t.names, "hearth ");
	assert_int_equal(t.looked, 1);
	assert_ptr_equal(t.nl, t.core->nl);
	assert_int_equal(
		t.flags, 0); /* nobody waits for the lock, and only root knows who is forgotten */
	pods_look(t.pods, now + 30 * USEC_PER_SEC - 1);
	assert_int_equal(t.looked, 1);
	now += 30 * USEC_PER_SEC;
	pods_look(t.pods, now);
	assert_int_equal(t.looked, 2);
	pods_look(t.pods, now);
	assert_int_equal(t.looked, 2);
	pods_hurry(t.pods);
	pods_look(t.pods, now);
	assert_int_equal(t.looked, 3);
	pods_look(t.pods, now + 1);
	assert_int_equal(t.looked, 3);
}

static void look(void)
{
	pods_hurry(t.pods);
	pods_look(t.pods, clock_now_us());
}

/* Whatever has an address, nobody else can have it. */
static void test_full(void **state)
{
	network("hearth");
	t.census = (struct leases_census){ .living = 1, .held = 2, .elsewhere = 3, .damaged = 3 };
	look();
	fake_core_wrong(t.core, "pods", NULL);
	t.census.living++;
	look();
	fake_core_wrong(t.core, "pods", "10.244.1.0/24");
	t.census.damaged--;
	look();
	fake_core_wrong(t.core, "pods", NULL);
	t.census.held++;
	look();
	fake_core_wrong(t.core, "pods", "maxPods");
	t.census.elsewhere--;
	look();
	fake_core_wrong(t.core, "pods", NULL);
	t.census = (struct leases_census){ .dead = 100 }; /* they are given back */
	look();
	fake_core_wrong(t.core, "pods", NULL);
	t.census = (struct leases_census){ .living = 11 };
	look();
	fake_core_wrong(t.core, "pods", "no address");
	fake_core_put(1, 0, "member"); /* it has no range any more */
	look();
	fake_core_wrong(t.core, "pods", NULL);
	t.core->config.node = 7; /* not in the log */
	look();
	fake_core_wrong(t.core, "pods", NULL);
}

/* No mesh, no pods of it. */
static void test_forgotten(void **state)
{
	network("hearth");
	t.census = (struct leases_census){ .living = 11 };
	look();
	fake_core_wrong(t.core, "pods", "no address");
	pods_forget(t.pods);
	fake_core_wrong(t.core, "pods", NULL);
}

static void test_given_back(void **state)
{
	network("hearth");
	look();
	assert_int_equal(fake_core_logged("given back"), 0);
	t.census.dead = 3;
	look();
	assert_int_equal(fake_core_logged("3 leases of pods"), 1);
}

/* One that cannot be looked at is no reason not to look at the others. */
static void test_failed(void **state)
{
	network("bad");
	network("hearth");
	t.census.living = 10;
	t.open_fails = -ENOENT;
	look();
	assert_int_equal(strlen(t.names), strlen("bad hearth "));
	assert_int_equal(t.looked, 1);
	fake_core_wrong(t.core, "pods", "no address");
	t.reclaim_fails = -EAGAIN;
	look();
	assert_int_equal(t.looked, 2);
	fake_core_wrong(t.core, "pods", NULL); /* nothing is known */
}

static void test_none(void **state)
{
	char path[96];

	(void) snprintf(path, sizeof(path), "%s/cni", t.run);
	assert_int_equal(rmdir(path), 0);
	t.census.living = 10;
	look();
	assert_string_equal(t.names, "");
	fake_core_wrong(t.core, "pods", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_when, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_full, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_forgotten, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_given_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_failed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_none, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
