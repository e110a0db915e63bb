/* serve: options, sockets, who it runs as, and what it says while it runs. */
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <signal.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "base/guard.h"
#include "base/usage.h"
#include "coordinator/names.h"
#include "coordinator/open.h"
#include "coordinator/place.h"
#include "coordinator/serve.h"
#include "sys/notify/notify.h"
#include "sys/priv/priv.h"

static struct {
	/* what the machine is */
	uid_t me, user_uid, run_owner;
	bool no_user, no_group, no_run;
	int sockets; /* from systemd */
	bool is_socket, locks;
	unsigned descriptors; /* that may be had */
	int opens, loop;      /* what coord_open() and the loop return */
	bool full;            /* the loop takes no more sources after that */
	uint64_t watchdog_us;

	/* what was done */
	char dropped[64];
	struct open_config config;
	char said[4096]; /* to systemd */
	unsigned looked;
	struct coord *coord;
	bool closed, ended;
} it;

/* --- the machine --- */

uid_t geteuid(void)
{
	return it.me;
}

struct group *getgrnam(const char *name)
{
	static struct group group = { .gr_gid = 4711 };

	return it.no_group ? NULL : &group;
}

int stat(const char *restrict path, struct stat *restrict ret)
{
	if (it.no_run)
		return -1;
	ret->st_uid = it.run_owner;
	return 0;
}

int priv_find_user(const char *name, uid_t *ret_uid, gid_t *ret_gid, struct err *err)
{
	if (it.no_user)
		return err_set(err, -ENOENT, "there is no user %s", name);
	*ret_uid = it.user_uid;
	*ret_gid = 1;
	return 0;
}

int priv_drop(const char *name, struct err *err)
{
	(void) snprintf(it.dropped, sizeof(it.dropped), "%s", name);
	return it.no_user ? err_set(err, -ENOENT, "there is no user %s", name) : 0;
}

bool guard_memory(bool keeps_rights)
{
	assert_true(keeps_rights);
	return it.locks;
}

unsigned descriptors_allow(unsigned wanted)
{
	return wanted < it.descriptors ? wanted : it.descriptors;
}

int sd_listen_fds(int unset)
{
	return it.sockets;
}

int sd_is_socket(int fd, int family, int type, int listening)
{
	assert_int_equal(fd, SD_LISTEN_FDS_START);
	return it.is_socket;
}

int sd_watchdog_enabled(int unset, uint64_t *ret_us)
{
	*ret_us = it.watchdog_us;
	return it.watchdog_us > 0;
}

static void say(const char *format, va_list args) __attribute__((format(printf, 1, 0)));
static void say(const char *format, va_list args)
{
	char text[1024];

	(void) vsnprintf(text, sizeof(text), format, args);
	strncat(it.said, text, sizeof(it.said) - strlen(it.said) - 2);
	strcat(it.said, "\n");
}

int notify_send(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
	return 0;
}

int notify_status(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
	return 0;
}

/* --- the coordinator --- */

int coord_open(
	sd_event *event, const struct open_config *config, struct coord **ret, struct err *err)
{
	it.config = *config;
	if (it.opens < 0) {
		(void) close(config->listen_fd);
		return err_set(err, it.opens, "the state says no");
	}
	*ret = it.coord;
	struct httpd_config https = { .listen_fd = config->listen_fd };

	assert_int_equal(httpd_new(event, &https, &it.coord->httpd, err), 0);
	fake_event_fails = it.full ? -ENFILE : 0;
	return 0;
}

struct coord *coord_close(struct coord *coord)
{
	it.closed |= coord != NULL;
	if (coord)
		coord->httpd = httpd_free(coord->httpd);
	return NULL;
}

void place_refresh(struct coord *c)
{
	it.looked++;
}

int place_open(struct coord *coord, struct place **ret, struct err *err)
{
	*ret = NULL;
	return 0;
}

struct place *place_close(struct place *place)
{
	return NULL;
}

static int run_loop(void)
{
	it.ended |= fake_event_signal(SIGTERM) && fake_event_signal(SIGINT);
	return it.loop;
}

static int begin(void **state)
{
	int r = world_open(state);

	memset(&it, 0, sizeof(it));
	it.me = 1000;
	it.user_uid = 1001;
	it.descriptors = 1000000;
	it.coord = *state;
	fake_event_on_loop = run_loop;
	fake_listen_fails = fake_place_fails = 0;
	fake_place[0] = '\0';
	return r;
}

static int run(const char *a, const char *b, const char *c, const char *d)
{
	char *argv[] = { (char *) (uintptr_t) "serve", (char *) (uintptr_t) a,
		(char *) (uintptr_t) b, (char *) (uintptr_t) c, (char *) (uintptr_t) d, NULL };
	int argc = 1;

	while (argv[argc])
		argc++;
	return serve_run(argc, argv);
}

static bool says(const char *text)
{
	return strstr(it.said, text) != NULL;
}

static void test_defaults(void **state)
{
	assert_int_equal(run(NULL, NULL, NULL, NULL), 0);
	assert_string_equal(it.config.state_dir, "/var/lib/hearth-coord");
	assert_string_equal(it.config.run_dir, "/run/hearth");
	assert_int_equal(it.config.admins, (gid_t) -1);
	assert_int_equal(it.config.connections_max, 8192);
	assert_int_equal(it.config.per_source_max, 512);
	assert_int_equal(it.config.port, API_PORT); /* /dev/null has none */
	assert_true(says("READY=1"));
	assert_true(says("Mesh home: 0 nodes, 0 open polls, 2 records, port 8443"));
	assert_true(says("STOPPING=1"));
	assert_false(says("ERRNO"));
	assert_true(it.closed);
	assert_true(it.ended); /* SIGTERM ends it */
	assert_int_equal(fake_log_says("serving the mesh home on port 8443"), 1);
	assert_int_equal(fake_log_says("RLIMIT_MEMLOCK"), 1);
	it.locks = true;
	fake_log_forget();
	assert_int_equal(run(NULL, NULL, NULL, NULL), 0);
	assert_int_equal(fake_log_says("RLIMIT_MEMLOCK"), 0);
}

static void test_options(void **state)
{
	assert_int_equal(run("--state=/s", "--run=/r", "--group=g", "--connections=12"), 0);
	assert_string_equal(it.config.state_dir, "/s");
	assert_string_equal(it.config.run_dir, "/r");
	assert_int_equal(it.config.admins, 4711);
	assert_int_equal(it.config.connections_max, 12);
	assert_int_equal(run("--per-address=7", "--listen=[::1]:9", "--user=u", NULL), 0);
	assert_int_equal(it.config.per_source_max, 7);
	assert_string_equal(it.dropped, "u");
	memset(&it.config, 0, sizeof(it.config));
	assert_int_equal(run("--help", NULL, NULL, NULL), 0);
	assert_int_equal(run("--connections=0", NULL, NULL, NULL), USAGE_STATUS);
	assert_int_equal(run("--connections=1000001", NULL, NULL, NULL), USAGE_STATUS);
	assert_int_equal(run("--per-address=x", NULL, NULL, NULL), USAGE_STATUS);
	assert_int_equal(run("--nonsense", NULL, NULL, NULL), USAGE_STATUS);
	assert_int_equal(run("extra", NULL, NULL, NULL), USAGE_STATUS);
	assert_int_equal(run("--per-address=x", "--help", NULL, NULL), USAGE_STATUS);
	assert_int_equal(it.config.connections_max, 0); /* nothing was opened for these */
}

static void test_port(void **state)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(sa);
	int local[2];

	fake_listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fake_listen_fd, (struct sockaddr *) &sa, sizeof(sa)), 0);
	assert_int_equal(getsockname(fake_listen_fd, (struct sockaddr *) &sa, &len), 0);
	assert_int_equal(run(NULL, NULL, NULL, NULL), 0);
	assert_int_equal(it.config.port, ntohs(sa.sin_port));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, local), 0);
	fake_listen_fd = local[0];
	assert_int_equal(run(NULL, NULL, NULL, NULL), 0);
	assert_int_equal(it.config.port, API_PORT); /* it has none */
	(void) close(local[1]);
	fake_listen_fd = -1;
}

static void test_sockets(void **state)
{
	int kept = dup(SD_LISTEN_FDS_START);

	/* One of its own. */
	fake_listen_fails = -EINVAL;
	assert_int_equal(run("--listen=x", NULL, NULL, NULL), USAGE_STATUS);
	fake_listen_fails = -EADDRINUSE;
	assert_int_equal(run(NULL, NULL, NULL, NULL), 1);
	assert_true(says("the kernel says no"));
	assert_false(it.closed);
	fake_listen_fails = 0;
	/* systemd's. */
	it.sockets = 2;
	it.is_socket = true;
	assert_int_equal(run(NULL, NULL, NULL, NULL), 1);
	assert_true(says("passed 2 sockets"));
	it.sockets = 1;
	it.is_socket = false;
	assert_int_equal(run(NULL, NULL, NULL, NULL), 1);
	assert_true(says("no listening stream socket"));
	it.is_socket = true;
	int null = open("/dev/null", O_RDONLY);

	if (null != SD_LISTEN_FDS_START) {
		assert_int_equal(dup2(null, SD_LISTEN_FDS_START), SD_LISTEN_FDS_START);
		(void) close(null);
	}
	assert_int_equal(run(NULL, NULL, NULL, NULL), 0);
	assert_int_equal(it.config.listen_fd, SD_LISTEN_FDS_START);
	if (kept >= 0) {
		(void) dup2(kept, SD_LISTEN_FDS_START);
		(void) close(kept);
	}
}

/*
 * Whoever it is, it gives up what it can; where there is no user for it, it does not go on as root.
 */
static void test_rights(void **state)
{
	assert_int_equal(run("--user=u", "--run=/r", NULL, NULL), 0);
	assert_string_equal(it.dropped, "u");
	assert_string_equal(fake_place, "");
	it.me = 0;
	assert_int_equal(run("--user=u", "--run=/r", NULL, NULL), 0);
	assert_string_equal(it.dropped, "u");
	assert_string_equal(fake_place, "/r coord 1001"); /* the directory is root's */
	fake_place[0] = '\0';
	it.run_owner = 5;
	assert_int_equal(run("--user=u", "--run=/r", NULL, NULL), 0);
	assert_string_equal(fake_place, "");
	it.no_run = true;
	assert_int_equal(run("--user=u", "--run=/r", NULL, NULL), 0);
	assert_string_equal(fake_place, "/r coord 1001");
	fake_place_fails = -EACCES;
	it.dropped[0] = '\0';
	assert_int_equal(run("--user=u", "--run=/r", NULL, NULL), 1);
	assert_string_equal(it.dropped, "");
	fake_place[0] = '\0';
	it.user_uid = 0; /* --user root: there is nothing to make */
	assert_int_equal(run("--user=root", "--run=/r", NULL, NULL), 0);
	assert_string_equal(fake_place, "");
	memset(&it.config, 0, sizeof(it.config));
	it.no_user = true;
	assert_int_equal(run(NULL, NULL, NULL, NULL), 1);
	assert_true(says("there is no user hearth-coord"));
	assert_null(it.config.state_dir); /* and nothing was read */
	it.me = 1000;
	it.no_user = false;
	it.no_group = true;
	assert_int_equal(run("--group=g", NULL, NULL, NULL), 1);
	assert_true(says("there is no group g"));
}

/* As many connections as descriptors are left for. */
static void test_descriptors(void **state)
{
	const unsigned reserve = 64 + IPC_CLIENTS_MAX;

	it.descriptors = 1000 + reserve;
	assert_int_equal(run("--connections=1000", NULL, NULL, NULL), 0);
	assert_int_equal(it.config.connections_max, 1000);
	assert_int_equal(fake_log_says("descriptors are allowed"), 0);
	it.descriptors = 999 + reserve;
	assert_int_equal(run("--connections=1000", NULL, NULL, NULL), 0);
	assert_int_equal(it.config.connections_max, 999);
	assert_int_equal(fake_log_says("999 connections at a time, not 1000"), 1);
	it.descriptors = 2 * reserve;
	assert_int_equal(run("--connections=1000", NULL, NULL, NULL), 0);
	assert_int_equal(it.config.connections_max, reserve);
	it.descriptors = 100;
	assert_int_equal(run("--connections=1000", NULL, NULL, NULL), 0);
	assert_int_equal(it.config.connections_max, 50);
}

static void test_fails(void **state)
{
	it.opens = -EKEYREJECTED;
	assert_int_equal(run(NULL, NULL, NULL, NULL), 1);
	assert_true(says("the state says no"));
	assert_true(says("ERRNO=129") || says("ERRNO="));
	assert_false(says("READY=1"));
	it.opens = 0;
	it.loop = -EIO;
	it.said[0] = '\0';
	assert_int_equal(run(NULL, NULL, NULL, NULL), 1);
	assert_true(says("READY=1"));
	assert_true(says("event loop: "));
	assert_true(it.closed);
	it.closed = false;
	fake_event_fails = -ENFILE;
	assert_int_equal(run(NULL, NULL, NULL, NULL), 1);
	assert_false(it.closed);
	fake_event_fails = 0;
	it.loop = 0;
	it.full = true;
	it.said[0] = '\0';
	assert_int_equal(run(NULL, NULL, NULL, NULL), 1);
	assert_true(says("event loop: "));
	assert_false(says("READY=1"));
	assert_true(it.closed);
	fake_event_fails = 0;
}

static int pass_two_minutes(void)
{
	it.said[0] = '\0';
	fake_event_pass(10 * USEC_PER_SEC - 1);
	assert_string_equal(it.said, "");
	fake_event_pass(1);
	assert_string_equal(it.said, ""); /* nothing has changed */
	(void) world_node(it.coord, 1, "a", NODE_ROLE_WORKER);
	fake_event_pass(10 * USEC_PER_SEC);
	assert_true(says("1 node, 0 open polls, 3 records"));
	assert_int_equal(it.looked, 1); /* the first time it looks, then each minute */
	fake_event_pass(100 * USEC_PER_SEC);
	assert_int_equal(it.looked, 2);
	assert_false(says("WATCHDOG"));
	return 0;
}

static void test_status(void **state)
{
	fake_event_on_loop = pass_two_minutes;
	assert_int_equal(run(NULL, NULL, NULL, NULL), 0);
}

static int pass_watched(void)
{
	it.said[0] = '\0';
	fake_event_pass(it.watchdog_us / 3 - 1);
	assert_false(says("WATCHDOG=1"));
	fake_event_pass(1);
	assert_true(says("WATCHDOG=1"));
	return 0;
}

static int pass_watched_seldom(void)
{
	it.said[0] = '\0';
	fake_event_pass(10 * USEC_PER_SEC);
	assert_true(says("WATCHDOG=1"));
	return 0;
}

static void test_watchdog(void **state)
{
	it.watchdog_us = 6 * USEC_PER_SEC;
	fake_event_on_loop = pass_watched;
	assert_int_equal(run(NULL, NULL, NULL, NULL), 0);
	it.watchdog_us = 600 * USEC_PER_SEC;
	fake_event_on_loop = pass_watched_seldom;
	assert_int_equal(run(NULL, NULL, NULL, NULL), 0);
}

/* --- what is said of a crowd --- */

static int crowded(void)
{
	struct httpd *httpd = it.coord->httpd;

	fake_event_pass(10 * USEC_PER_SEC);
	assert_int_equal(fake_log_says("connections"), 0);
	httpd->put_out = 3;
	fake_event_pass(10 * USEC_PER_SEC);
	assert_int_equal(fake_log_says("more connections come"), 1);
	httpd->turned_away = 4;
	fake_event_pass(10 * USEC_PER_SEC);
	assert_int_equal(fake_log_says("more connections come"), 1); /* once */
	fake_event_pass(60 * USEC_PER_SEC);
	assert_int_equal(fake_log_says("let in again"), 0); /* a minute without any */
	fake_event_pass(10 * USEC_PER_SEC);
	assert_int_equal(fake_log_says("let in again, after 80 s; 7 were"), 1);
	fake_event_pass(600 * USEC_PER_SEC);
	assert_int_equal(fake_log_says("let in again"), 1);
	return 0;
}

static void test_crowd(void **state)
{
	fake_event_on_loop = crowded;
	assert_int_equal(run(NULL, NULL, NULL, NULL), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, world_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_defaults),
		TEST(test_options),
		TEST(test_port),
		TEST(test_sockets),
		TEST(test_rights),
		TEST(test_descriptors),
		TEST(test_fails),
		TEST(test_status),
		TEST(test_watchdog),
		TEST(test_crowd),
	};

	(void) unsetenv("HEARTH_COORD_STATE");
	(void) unsetenv("HEARTH_RUN");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
