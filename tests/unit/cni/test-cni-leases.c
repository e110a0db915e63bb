/* The address store: round robin, no early reuse, reboot, and a kill -9 at each change of a file. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sys/lease/leases-internal.h"
#include "sys/net/link.h"

static int calls_left; /* 0: never dies; else dies before the n-th call */

static void maybe_die(void)
{
	if (calls_left && --calls_left == 0)
		(void) kill(getpid(), SIGKILL);
}

/* Half of the bytes, then the end: the worst moment of a write. */
ssize_t __real_write(int fd, const void *data, size_t len);
ssize_t __wrap_write(int fd, const void *data, size_t len);
ssize_t __wrap_write(int fd, const void *data, size_t len)
{
	if (calls_left == 1)
		(void) !__real_write(fd, data, len / 2);
	maybe_die();
	return __real_write(fd, data, len);
}

int __real_openat(int dir, const char *path, int flags, ...);
int __wrap_openat(int dir, const char *path, int flags, ...);
int __wrap_openat(int dir, const char *path, int flags, ...)
{
	va_list ap;

	va_start(ap, flags);
	mode_t mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;

	va_end(ap);
	maybe_die();
	return __real_openat(dir, path, flags, mode);
}

int __real_linkat(int a, const char *from, int b, const char *to, int flags);
int __wrap_linkat(int a, const char *from, int b, const char *to, int flags);
int __wrap_linkat(int a, const char *from, int b, const char *to, int flags)
{
	maybe_die();
	return __real_linkat(a, from, b, to, flags);
}

int __real_renameat(int a, const char *from, int b, const char *to);
int __wrap_renameat(int a, const char *from, int b, const char *to);
int __wrap_renameat(int a, const char *from, int b, const char *to)
{
	maybe_die();
	return __real_renameat(a, from, b, to);
}

int __real_unlinkat(int dir, const char *path, int flags);
int __wrap_unlinkat(int dir, const char *path, int flags);
int __wrap_unlinkat(int dir, const char *path, int flags)
{
	maybe_die();
	return __real_unlinkat(dir, path, flags);
}

static char run[64];

static int setup(void **state)
{
	strcpy(run, "/tmp/hearth-test-cni.XXXXXX");
	if (!mkdtemp(run))
		return -1;
	setenv("HEARTH_RUN", run, 1);
	setenv("HEARTH_BOOT_ID", "boot-one", 1);
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", run);
	return system(command);
}

static struct leases *open_store(void)
{
	struct leases *store = NULL;
	struct err err = { 0 };

	if (leases_open("net", &store, &err) < 0)
		fail_msg("%s", err.text);
	return store;
}

static struct ip_prefix ranges[2];

static void set_ranges(const char *four, const char *six)
{
	assert_int_equal(ip_prefix_parse(four, &ranges[0]), 0);
	assert_int_equal(ip_prefix_parse(six, &ranges[1]), 0);
}

static int take(struct leases *store, const char *container, struct lease *lease, struct err *err)
{
	char key[16];
	unsigned n = 0;

	for (const char *p = container; *p; p++)
		n = n * 31 + (unsigned char) *p;
	snprintf(key, sizeof(key), "hth%010x", n);
	struct lease_owner owner = { key, container, "eth0", NULL };

	return leases_take(store, &owner, ranges, 2, NULL, 0, lease, err);
}

static int release(struct leases *store, const char *container)
{
	char key[16];
	struct err err = { 0 };
	unsigned n = 0;

	for (const char *p = container; *p; p++)
		n = n * 31 + (unsigned char) *p;
	snprintf(key, sizeof(key), "hth%010x", n);
	struct lease_owner owner = { key, container, "eth0", NULL };

	return leases_release(store, &owner, &err);
}

static const char *text_of(const struct ip_addr *addr)
{
	static char text[4][IP_TEXT_MAX];
	static unsigned i;

	return ip_addr_format(addr, text[i++ % 4]);
}

/* Files that a lease left: addresses and keys. */
static size_t left(void)
{
	char path[128];
	size_t n = 0;

	snprintf(path, sizeof(path), "%s/cni/net", run);
	DIR *dir = opendir(path);

	for (struct dirent *e; dir && (e = readdir(dir));)
		n += e->d_name[0] != '.' &&
		     (strpbrk(e->d_name, ".:") || !strncmp(e->d_name, "hth", 3));
	if (dir)
		closedir(dir);
	return n;
}

static void addresses_go_round(void **state)
{
	CLEANUP_LEASES struct leases *store = open_store();
	struct lease a, b, again;
	struct err err = { 0 };

	set_ranges("10.1.0.0/29", "fd00::/64");
	assert_int_equal(leases_capacity(&ranges[0]), 5);
	assert_int_equal(take(store, "a", &a, &err), 1);
	assert_string_equal(text_of(&a.addrs[0]), "10.1.0.2"); /* not .0, not .1 */
	assert_string_equal(text_of(&a.addrs[1]), "fd00::2");
	assert_int_equal(take(store, "a", &again, &err), 0); /* asked twice: the same */
	assert_true(ip_addr_equal(&a.addrs[0], &again.addrs[0]));
	assert_int_equal(release(store, "a"), 1);
	assert_int_equal(release(store, "a"), 0);
	assert_int_equal(left(), 0);
	assert_int_equal(take(store, "b", &b, &err), 1);
	assert_string_equal(text_of(&b.addrs[0]), "10.1.0.3");
	assert_string_equal(text_of(&b.addrs[1]), "fd00::3");
	/* A new process goes on where this one stopped. */
	CLEANUP_LEASES struct leases *other = open_store();

	assert_int_equal(take(other, "c", &b, &err), 1);
	assert_string_equal(text_of(&b.addrs[0]), "10.1.0.4");
}

static void a_full_pool_says_so(void **state)
{
	CLEANUP_LEASES struct leases *store = open_store();
	struct lease lease;
	struct err err = { 0 };
	char name[2] = "a";

	set_ranges("10.1.0.0/29", "fd00::/64");
	for (; *name < 'f'; (*name)++) {
		assert_int_equal(take(store, name, &lease, &err), 1);
		assert_string_not_equal(text_of(&lease.addrs[0]), "10.1.0.7"); /* broadcast */
	}
	assert_int_equal(take(store, "f", &lease, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "no IPv4 address"));
	assert_int_equal(left(), 15); /* nothing half-made */
	/* One comes back: it is given out, but not at once. */
	struct timespec before, after;

	clock_gettime(CLOCK_MONOTONIC, &before);
	assert_int_equal(release(store, "b"), 1);
	assert_int_equal(take(store, "f", &lease, &err), 1);
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_string_equal(text_of(&lease.addrs[0]), "10.1.0.3");
	double waited = (double) (after.tv_sec - before.tv_sec) +
			(double) (after.tv_nsec - before.tv_nsec) / 1e9;

	assert_true(waited > 1.8 && waited < 30);
}

static void wanted_addresses_are_given(void **state)
{
	CLEANUP_LEASES struct leases *store = open_store();
	struct lease lease;
	struct err err = { 0 };
	struct ip_addr want;
	struct lease_owner a = { "hth1", "a", "eth0", NULL }, b = { "hth2", "b", "eth0", NULL };
	static const char *const wrong[] = { "10.1.0.0", "10.1.0.1", "10.1.0.7", "10.1.0.8",
		"10.1.0.5", "fd00::", "fd00::1", "fd01::5" };

	set_ranges("10.1.0.0/29", "fd00::/64");
	assert_int_equal(ip_addr_parse("10.1.0.5", &want), 0);
	assert_int_equal(leases_take(store, &a, ranges, 2, &want, 1, &lease, &err), 1);
	assert_int_equal(lease.n_addrs, 2);
	assert_string_equal(text_of(&lease.addrs[0]), "10.1.0.5");
	assert_string_equal(text_of(&lease.addrs[1]), "fd00::2");
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		assert_int_equal(ip_addr_parse(wrong[i], &want), 0);
		assert_int_equal(
			leases_take(store, &b, ranges, 2, &want, 1, &lease, &err), -EADDRINUSE);
		assert_non_null(strstr(err.text, wrong[i]));
	}
	/* The same key for another container: a clash of names, not a lease. */
	struct lease_owner clash = { "hth1", "c", "eth0", NULL };

	assert_int_equal(leases_take(store, &clash, ranges, 2, NULL, 0, &lease, &err), -EEXIST);
	assert_int_equal(leases_release(store, &clash, &err), 0);
	assert_int_equal(leases_find(store, &clash, &lease, &err), -ENOENT);
	assert_int_equal(leases_find(store, &a, &lease, &err), 0);
}

static void a_reboot_frees_everything(void **state)
{
	struct lease lease;
	struct err err = { 0 };

	set_ranges("10.1.0.0/29", "fd00::/64");
	struct leases *store = open_store();

	for (char name[2] = "a"; *name < 'f'; (*name)++)
		assert_int_equal(take(store, name, &lease, &err), 1);
	leases_close(store);
	setenv("HEARTH_BOOT_ID", "boot-two", 1);
	CLEANUP_LEASES struct leases *readonly = NULL;

	assert_int_equal(leases_open_existing("net", &readonly, &err), -ENOENT);
	CLEANUP_LEASES struct leases *next = open_store();

	assert_int_equal(left(), 0);
	for (char name[2] = "g"; *name < 'l'; (*name)++)
		assert_int_equal(take(next, name, &lease, &err), 1);
}

static void put(const char *name, const char *text)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/cni/net/%s", run, name);
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

#define LEASE_WITH_FIVE                          \
	"boot x\nkey k\ncontainer c\nifname e\n" \
	"address ::1\naddress ::2\naddress ::3\naddress ::4\naddress ::5\n"

/* A line without a number is none: it does not take the next line's. */
static void lines_keep_to_themselves(void **state)
{
	CLEANUP_BUF struct buf young = { 0 };

	leases_lines_released(
		"10.1.0.5 \n999000\n10.1.0.6 999000\n10.1.0.7 1x\n10.1.0.8 9", 1000000, &young);
	assert_string_equal(buf_str(&young), "10.1.0.6 999000\n");
	assert_int_equal(leases_lines_rest_us("10.1.0.6 999000\n", "10.1.0.6", 1000000),
		LEASES_REUSE_DELAY_MS * UINT64_C(1000) - 1000);
	assert_int_equal(leases_lines_rest_us("10.1.0.6 999000\n", "10.1.0.5", 1000000), 0);
	assert_int_equal(leases_lines_next("10.1.0.0/24 \n9\n", "10.1.0.0/24", 2, 254), 2);
	assert_int_equal(leases_lines_next("10.1.0.0/24 9\n", "10.1.0.0/24", 2, 254), 9);
	assert_int_equal(leases_lines_next("10.1.0.0/24 255\n", "10.1.0.0/24", 2, 254), 2);
}

static void damage_is_survived(void **state)
{
	struct lease lease, *list = NULL;
	struct err err = { 0 };
	size_t n = 0, empty = 0;
	char path[160];

	set_ranges("10.1.0.0/29", "fd00::/64");
	CLEANUP_LEASES struct leases *store = open_store();

	assert_int_equal(take(store, "a", &lease, &err), 1);
	put("10.1.0.3", "");
	put("10.1.0.4", "boot boot-one\nkey x\ncontainer");
	put("hth0000000bad", "nonsense\n");
	put("next", "10.1.0.0/29 99999999999999999999\ngarbage");
	put("released", "\n\n10.1.0.5 x\n10.1.0.5");
	snprintf(path, sizeof(path), "%s/cni/net/10.1.0.5", run);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	snprintf(path, sizeof(path), "%s/cni/net/fd00::3", run);
	assert_int_equal(mkfifo(path, 0600), 0); /* must not be waited for */
	assert_int_equal(take(store, "b", &lease, &err), 1);
	assert_string_equal(text_of(&lease.addrs[0]), "10.1.0.6");
	assert_string_equal(text_of(&lease.addrs[1]), "fd00::4");
	assert_int_equal(leases_list(store, &list, &n, &err), 0);
	for (size_t i = 0; i < n; i++)
		empty += !*list[i].container;
	free(list);
	assert_true(empty > 0);
	assert_int_equal(n - empty, 2);
	assert_int_equal(leases_remove_damaged(store, &err), 0);
	assert_int_equal(access("/etc/passwd", F_OK), 0);
	assert_int_equal(take(store, "c", &lease, &err), 1);
	assert_int_equal(release(store, "a"), 1);
	assert_int_equal(release(store, "b"), 1);
	assert_int_equal(release(store, "c"), 1);
	assert_int_equal(left(), 0);
	static const char *const bad[] = { "", "boot", "boot x\n",
		"boot x\nkey k\ncontainer c\nifname e\nnetns 0x7\n",
		"boot x\nkey k\ncontainer c\nifname e",
		"boot x\nkey k\ncontainer c\nifname e\naddress\n",
		"boot x\nkey k\ncontainer c\nifname e\naddress 1.2.3\n",
		"boot x\nkey k\ncontainer c\nifname sixteen-letters-\n", (LEASE_WITH_FIVE) };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(lease_parse(bad[i], "x", &lease), -EBADMSG);
	assert_int_equal(
		lease_parse("boot y\nkey k\ncontainer c\nifname e\n", "x", &lease), -ESTALE);
	assert_int_equal(lease_parse("boot x\nkey k\ncontainer c\nifname e\n", "x", &lease), 0);
}

/* In a child that dies before its @n-th change. True if it got to the end. */
static bool dies_at(int n, bool taking, const char *container)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct leases *store = NULL;
		struct lease lease;
		struct err err;

		calls_left = n;
		if (leases_open("net", &store, &err) < 0)
			_exit(1);
		int r = taking ? take(store, container, &lease, &err) : release(store, container);

		calls_left = 0;
		_exit(r < 0);
	}
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status))
		assert_int_equal(WEXITSTATUS(status), 0);
	return WIFEXITED(status);
}

static void no_moment_to_die_loses_a_lease(void **state)
{
	struct lease other, mine;
	struct err err = { 0 };
	int moments = 0;

	set_ranges("10.1.0.0/24", "fd00::/64");
	for (bool done = false; !done; moments++) {
		done = dies_at(moments + 1, true, "victim");
		CLEANUP_LEASES struct leases *store = open_store();

		/* Somebody else comes between: never gets what the victim may have. */
		assert_int_equal(take(store, "other", &other, &err), 1);
		assert_int_equal(release(store, "victim") >= 0, 1);
		assert_int_equal(left(), 3); /* the other's */
		assert_int_equal(release(store, "other"), 1);
		assert_int_equal(left(), 0);
	}
	assert_in_range(moments, 10, 100);
	int more = 0;

	for (bool done = false; !done; more++) {
		CLEANUP_LEASES struct leases *store = open_store();

		assert_int_equal(take(store, "victim", &mine, &err), 1);
		done = dies_at(more + 1, false, "victim");
		assert_int_equal(take(store, "other", &other, &err), 1);
		assert_false(ip_addr_equal(&mine.addrs[0], &other.addrs[0]));
		assert_int_equal(release(store, "victim") >= 0, 1);
		assert_int_equal(left(), 3); /* the other's */
		assert_int_equal(release(store, "other"), 1);
		assert_int_equal(left(), 0);
	}
	assert_in_range(more, 5, 100);
	/* A repeated ADD after a death in the first one works, too. */
	for (int i = 1; i < moments; i++) {
		(void) dies_at(i, true, "again");
		CLEANUP_LEASES struct leases *store = open_store();

		assert_true(take(store, "again", &mine, &err) >= 0);
		assert_int_equal(left(), 3);
		assert_int_equal(release(store, "again"), 1);
		assert_int_equal(left(), 0);
	}
}

/* The links there are, by name and alias; what the kernel would list. */
static struct link links_there[3];

int __wrap_link_list(struct nl *nl, struct link **ret, size_t *ret_n, struct err *err);
int __wrap_link_list(struct nl *nl, struct link **ret, size_t *ret_n, struct err *err)
{
	*ret = malloc(sizeof(links_there));
	assert_non_null(*ret);
	memcpy(*ret, links_there, sizeof(links_there));
	*ret_n = ARRAY_LEN(links_there);
	return 0;
}

/* As an ADD that ends: the lease is held no more. */
static struct lease add(const char *container)
{
	CLEANUP_LEASES struct leases *store = open_store();
	struct lease lease;
	struct err err = { 0 };

	assert_int_equal(take(store, container, &lease, &err), 1);
	return lease;
}

static void what_has_no_link_is_given_back(void **state)
{
	struct err err = { 0 };
	struct leases_census census;
	struct lease later, none;

	set_ranges("10.1.0.0/29", "fd00::/64"); /* five, all of which are taken */
	memset(links_there, 0, sizeof(links_there));
	struct lease living = add("living"), dead = add("dead"), deader = add("deader");

	(void) add("renamed");
	CLEANUP_LEASES struct leases *making = open_store();

	assert_int_equal(take(making, "making", &later, &err), 1);
	put("hth0000000bad", "nonsense\n");
	put("10.1.0.9", "boot boot-one\nkey hth000000cafe\ncontainer far\nifname eth0\nnetns "
			"1\naddress 10.1.0.9\n");
	char from[160], to[160];

	snprintf(from, sizeof(from), "%s/cni/net/10.1.0.9", run);
	snprintf(to, sizeof(to), "%s/cni/net/hth000000cafe", run);
	assert_int_equal(link(from, to), 0);
	strcpy(links_there[0].name, living.key);
	strcpy(links_there[0].alias, "hearth/net/another/eth0");
	strcpy(links_there[1].name, "renamed0");
	strcpy(links_there[1].alias, "hearth/net/renamed/eth0");
	strcpy(links_there[2].name, "hth9999999999");
	strcpy(links_there[2].alias, "hearth/net2/dead/eth0");

	CLEANUP_LEASES struct leases *store = NULL;

	assert_int_equal(leases_open_existing("net", &store, &err), 0);
	assert_int_equal(leases_reclaim(store, NULL, LEASES_WAIT, &census, &err), 0);
	assert_int_equal(census.dead, 2);
	assert_int_equal(census.living, 2);
	assert_true(!strcmp(census.example.container, "living") ||
		    !strcmp(census.example.container, "renamed"));
	assert_int_equal(census.held, 1);
	assert_int_equal(census.elsewhere, 1);
	assert_int_equal(census.damaged, 1);
	struct lease_owner owners[] = { { dead.key, "dead", "eth0", NULL },
		{ deader.key, "deader", "eth0", NULL }, { living.key, "living", "eth0", NULL },
		{ later.key, "making", "eth0", NULL } };

	for (size_t i = 0; i < ARRAY_LEN(owners); i++)
		assert_int_equal(leases_find(store, &owners[i], &none, &err), i < 2 ? -ENOENT : 0);
	/* What is free now is free for others, though not at once. */
	char next[2] = "x";

	assert_int_equal(take(store, next, &none, &err), 1);
	assert_true(ip_addr_equal(&none.addrs[0], &dead.addrs[0]) ||
		    ip_addr_equal(&none.addrs[0], &deader.addrs[0]));
	/* The ADD at work has ended, its link is there or it is not. */
	assert_true(leases_is_held(store, &owners[3]));
	making = leases_close(making);
	assert_false(leases_is_held(store, &owners[3]));
	assert_int_equal(leases_reclaim(store, NULL, LEASES_WAIT, &census, &err), 0);
	assert_int_equal(census.dead, 1);
	assert_int_equal(census.held, 1); /* our own */
}

/* Whoever is killed holds nothing; whoever adds again what it had, holds it. */
static void who_holds_what(void **state)
{
	struct err err = { 0 };
	struct lease lease;
	struct leases_census census;

	set_ranges("10.1.0.0/29", "fd00::/64");
	memset(links_there, 0, sizeof(links_there));
	CLEANUP_LEASES struct leases *store = open_store();

	(void) add("a");
	CLEANUP_LEASES struct leases *again = open_store();

	assert_int_equal(take(again, "a", &lease, &err), 0);
	assert_int_equal(leases_reclaim(store, NULL, LEASES_WAIT, &census, &err), 0);
	assert_int_equal(census.held, 1);
	pid_t pid = fork();

	if (pid == 0) {
		struct leases *theirs = NULL;

		if (leases_open("net", &theirs, &err) == 0 && take(theirs, "b", &lease, &err) == 1)
			(void) kill(getpid(), SIGKILL);
		_exit(1);
	}
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(leases_reclaim(store, NULL, LEASES_WAIT, &census, &err), 0);
	assert_int_equal(census.dead, 1);
	assert_int_equal(left(), 3);
	/* hearthd does not wait for the lock. */
	assert_int_equal(leases_lock(again, &err), 0);
	assert_int_equal(leases_reclaim(store, NULL, 0, &census, &err), -EAGAIN);
	leases_unlock(again);
	assert_int_equal(leases_reclaim(store, NULL, 0, &census, &err), 0);
}

static void many_at_once_get_different_addresses(void **state)
{
	enum { MANY = 40 };
	pid_t pids[MANY];

	set_ranges("10.1.0.0/24", "fd00::/64");
	for (int i = 0; i < MANY; i++) {
		char name[16];

		snprintf(name, sizeof(name), "c%d", i);
		pids[i] = fork();
		if (pids[i] == 0) {
			struct lease lease;
			struct err err;
			struct leases *store = NULL;

			_exit(leases_open("net", &store, &err) < 0 ||
				take(store, name, &lease, &err) != 1);
		}
	}
	for (int i = 0; i < MANY; i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	assert_int_equal(left(), 3 * MANY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(addresses_go_round),
		TEST(a_full_pool_says_so),
		TEST(wanted_addresses_are_given),
		TEST(a_reboot_frees_everything),
		TEST(lines_keep_to_themselves),
		TEST(damage_is_survived),
		TEST(no_moment_to_die_loses_a_lease),
		TEST(what_has_no_link_is_given_back),
		TEST(who_holds_what),
		TEST(many_at_once_get_different_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
