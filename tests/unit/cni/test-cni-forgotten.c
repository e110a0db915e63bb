/* Pods that containerd lost: whose lease is given back, whose is kept, and when it is looked. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sys/lease/leases.h"
#include "sys/net/netns.h"

enum { HERE = 7, ELSEWHERE = 8 }; /* ids of namespaces */

/* Each differs from what is given back in one thing. */
static const struct pod {
	const char *name, *netns;
	int peer;          /* the namespace of the link's other end */
	bool same_run;     /* added after containerd was started anew */
	bool known;        /* containerd keeps a sandbox of that name */
	bool process;      /* one is in the namespace */
	bool replaced;     /* another namespace is pinned at that path now */
	bool foreign_link; /* one of the same name, of somebody else */
	bool given_back;
} pods[] = {
	{ .name = "lost", .netns = "cni-1", .peer = HERE, .given_back = true },
	{ .name = "lost2", .netns = "cni-2", .peer = HERE, .given_back = true },
	{ .name = "new", .netns = "cni-3", .peer = HERE, .same_run = true },
	{ .name = "known", .netns = "cni-4", .peer = HERE, .known = true },
	{ .name = "running", .netns = "cni-5", .peer = HERE, .process = true },
	{ .name = "replaced", .netns = "cni-6", .peer = HERE, .replaced = true },
	{ .name = "moved", .netns = "cni-7", .peer = ELSEWHERE },
	{ .name = "nowhere", .netns = "cni-8", .peer = -1 },
	{ .name = "by-hand", .netns = "mine", .peer = HERE },
	{ .name = "foreign", .netns = "cni-9", .peer = HERE, .foreign_link = true },
};

static char run[64];
static struct link links[ARRAY_LEN(pods)];
static bool deleted[ARRAY_LEN(pods)], processes_end, proc_is_hidden;

/* --- the kernel --- */

int __wrap_link_list(struct nl *nl, struct link **ret, size_t *ret_n, struct err *err);
int __wrap_link_list(struct nl *nl, struct link **ret, size_t *ret_n, struct err *err)
{
	*ret = calloc(ARRAY_LEN(links), sizeof(**ret));
	assert_non_null(*ret);
	*ret_n = 0;
	for (size_t i = 0; i < ARRAY_LEN(links); i++)
		if (!deleted[i])
			(*ret)[(*ret_n)++] = links[i];
	return 0;
}

int __wrap_link_delete(struct nl *nl, int index, struct err *err);
int __wrap_link_delete(struct nl *nl, int index, struct err *err)
{
	deleted[index - 1] = true;
	return 0;
}

static const char *netns_path(const char *name, char ret[static 128])
{
	snprintf(ret, 128, "%s/netns/%s", run, name);
	return ret;
}

static uint64_t inode(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

int __wrap_netns_open(const char *path, uint64_t ino);
int __wrap_netns_open(const char *path, uint64_t ino)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	if (inode(path) == ino)
		return fd;
	close(fd);
	return -ESTALE;
}

int __wrap_netns_id(struct nl *nl, int fd);
int __wrap_netns_id(struct nl *nl, int fd)
{
	return HERE;
}

int __wrap_netns_mark_used(struct netns_use *list, size_t n);
int __wrap_netns_mark_used(struct netns_use *list, size_t n)
{
	char path[128];

	for (size_t i = 0; i < n; i++)
		for (size_t p = 0; p < ARRAY_LEN(pods); p++)
			list[i].used |=
				proc_is_hidden ||
				(pods[p].process && !processes_end &&
					inode(netns_path(pods[p].netns, path)) == list[i].ino);
	return proc_is_hidden ? -EACCES : 0;
}

/* --- the board --- */

static void touch(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
}

/* Its socket is another one afterwards; in its place for a moment, so that the inode is another, too. */
static void start_containerd(void)
{
	char path[128], other[128];

	snprintf(path, sizeof(path), "%s/containerd.sock", run);
	snprintf(other, sizeof(other), "%s/other", run);
	touch(other);
	assert_int_equal(rename(other, path), 0);
}

static struct lease_owner owner_of(size_t i, char path[static 128])
{
	return (struct lease_owner){ links[i].name, pods[i].name, "eth0",
		netns_path(pods[i].netns, path) };
}

/* As an ADD that has ended. */
static void add(size_t i)
{
	CLEANUP_LEASES struct leases *store = NULL;
	struct ip_prefix ranges[2];
	struct lease lease;
	struct err err = { 0 };
	char path[128];
	struct lease_owner owner = owner_of(i, path);

	touch(owner.pod);
	assert_int_equal(ip_prefix_parse("10.1.0.0/24", &ranges[0]), 0);
	assert_int_equal(ip_prefix_parse("fd00::/64", &ranges[1]), 0);
	assert_int_equal(leases_open("net", &store, &err), 0);
	assert_int_equal(leases_take(store, &owner, ranges, 2, NULL, 0, &lease, &err), 1);
	assert_string_equal(lease.pod, owner.pod);
	assert_int_equal(lease.pod_netns, inode(owner.pod));
}

static void add_all(bool same_run)
{
	for (size_t i = 0; i < ARRAY_LEN(pods); i++)
		if (pods[i].same_run == same_run)
			add(i);
}

static int setup(void **state)
{
	char path[320];

	strcpy(run, "/tmp/hearth-test-lost.XXXXXX");
	if (!mkdtemp(run))
		return -1;
	setenv("HEARTH_RUN", run, 1);
	setenv("HEARTH_CONTAINERD", run, 1);
	setenv("HEARTH_BOOT_ID", "boot-one", 1);
	snprintf(path, sizeof(path), "mkdir -p %s/netns %s/io.containerd.grpc.v1.cri/sandboxes",
		run, run);
	assert_int_equal(system(path), 0);
	processes_end = proc_is_hidden = false;
	for (size_t i = 0; i < ARRAY_LEN(pods); i++) {
		deleted[i] = false;
		links[i] = (struct link){ .index = (int) i + 1, .peer_netnsid = pods[i].peer };
		snprintf(links[i].name, sizeof(links[i].name), "hth%010zx", i);
		snprintf(links[i].alias, sizeof(links[i].alias), LEASES_ALIAS, "net",
			pods[i].foreign_link ? "somebody" : pods[i].name, "eth0");
		if (!pods[i].known)
			continue;
		snprintf(path, sizeof(path), "%s/io.containerd.grpc.v1.cri/sandboxes/%s", run,
			pods[i].name);
		assert_int_equal(mkdir(path, 0755), 0);
	}
	start_containerd();
	add_all(false);
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", run);
	return system(command);
}

static void replace_netns(void)
{
	char path[128], other[136];

	for (size_t i = 0; i < ARRAY_LEN(pods); i++) {
		if (!pods[i].replaced)
			continue;
		netns_path(pods[i].netns, path);
		snprintf(other, sizeof(other), "%s.new", path);
		touch(other);
		assert_int_equal(rename(other, path), 0);
	}
}

static struct leases_census reclaim(struct leases *store, unsigned flags)
{
	struct leases_census census;
	struct err err = { 0 };

	assert_int_equal(leases_reclaim(store, NULL, flags, &census, &err), 0);
	assert_int_equal(census.dead, 0);
	return census;
}

static bool has_lease(struct leases *store, size_t i)
{
	struct lease lease;
	char path[128];
	struct lease_owner owner = owner_of(i, path);

	return leases_find(store, &owner, &lease, NULL) == 0;
}

static void only_what_nobody_can_use_is_given_back(void **state)
{
	CLEANUP_LEASES struct leases *store = NULL;
	struct err err = { 0 };

	assert_int_equal(leases_open_existing("net", &store, &err), 0);
	start_containerd();
	add_all(true);
	replace_netns();
	/* hearthd, which does not see processes */
	assert_int_equal(reclaim(store, 0).living, ARRAY_LEN(pods));
	struct leases_census census = reclaim(store, LEASES_FORGOTTEN);

	assert_int_equal(census.forgotten, 2);
	assert_int_equal(census.orphans, 1);
	assert_int_equal(census.living, ARRAY_LEN(pods) - 2);
	for (size_t i = 0; i < ARRAY_LEN(pods); i++) {
		assert_int_equal(deleted[i], pods[i].given_back);
		assert_int_equal(has_lease(store, i), !pods[i].given_back);
	}
}

static void who_does_not_see_all_processes_takes_nothing(void **state)
{
	CLEANUP_LEASES struct leases *store = NULL;
	struct err err = { 0 };

	assert_int_equal(leases_open_existing("net", &store, &err), 0);
	start_containerd();
	proc_is_hidden = true;
	assert_int_equal(reclaim(store, LEASES_FORGOTTEN).forgotten, 0);
}

/* Once for each run of containerd, and again as long as a pod that it lost has a process. */
static void it_is_looked_when_containerd_is_new(void **state)
{
	CLEANUP_LEASES struct leases *store = NULL;
	struct err err = { 0 };
	char path[128];

	assert_int_equal(leases_open_existing("net", &store, &err), 0);
	assert_true(leases_runtime_is_new(store));
	assert_int_equal(reclaim(store, LEASES_FORGOTTEN).forgotten, 0);
	assert_false(leases_runtime_is_new(store));
	start_containerd();
	assert_true(leases_runtime_is_new(store));
	(void) reclaim(store, 0);
	assert_true(leases_runtime_is_new(store));
	assert_int_equal(reclaim(store, LEASES_FORGOTTEN).orphans, 1);
	assert_true(leases_runtime_is_new(store));
	processes_end = true;
	assert_int_equal(reclaim(store, LEASES_FORGOTTEN).forgotten, 1);
	assert_false(leases_runtime_is_new(store));
	/* Another group may use it: it is the same one. */
	snprintf(path, sizeof(path), "%s/containerd.sock", run);
	assert_int_equal(chmod(path, 0666), 0);
	assert_false(leases_runtime_is_new(store));
	/* Without one nothing is known of it. */
	assert_int_equal(unlink(path), 0);
	assert_false(leases_runtime_is_new(store));
	assert_int_equal(reclaim(store, LEASES_FORGOTTEN).forgotten, 0);
}

/* The other end may be anywhere, or a process there. */
static void a_namespace_is_used_unless_that_is_known(void **state)
{
	CLEANUP_LEASES struct leases *store = NULL;
	struct err err = { 0 };
	struct lease lease;
	char path[128];

	assert_int_equal(leases_open_existing("net", &store, &err), 0);
	replace_netns();
	for (size_t i = 0; i < ARRAY_LEN(pods); i++) {
		struct lease_owner owner = owner_of(i, path);

		if (pods[i].same_run)
			continue;
		assert_int_equal(leases_find(store, &owner, &lease, &err), 0);
		assert_int_equal(leases_is_used(NULL, &lease, &links[i]),
			pods[i].process || pods[i].replaced || pods[i].peer != HERE);
	}
	lease.pod_netns = 0;
	assert_true(leases_is_used(NULL, &lease, &links[0]));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(only_what_nobody_can_use_is_given_back),
		TEST(who_does_not_see_all_processes_takes_nothing),
		TEST(it_is_looked_when_containerd_is_new),
		TEST(a_namespace_is_used_unless_that_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
