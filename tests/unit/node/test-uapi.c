/* uapi: when hearth-helper is asked for the socket of `wg`, and what becomes of what it sends. */
#include "fake-core.h"
#include "fake-helper.h"

#include <fcntl.h>
#include <unistd.h>

#include "node/uapi.h"
#include "tunnel/uapi-server.h"

static struct core *core;
static struct uapi *uapi;

/* --- instead of the tunnel --- */

struct tunnel {
	int number;
};

struct uapi_server {
	const struct tunnel *tunnel;
	int fd; /* -1: there is none */
	unsigned runs;
	bool removed;
};

static struct tunnel tunnel = { 1 }, other = { 2 };
static struct uapi_server server;
static int fails;

int uapi_server_new(struct tunnel *of, int fd, struct uapi_server **ret)
{
	assert_int_equal(server.fd, -1); /* one at a time */
	if (fails < 0) {
		(void) close(fd);
		return fails;
	}
	server = (struct uapi_server){ .tunnel = of, .fd = fd };
	*ret = &server;
	return 0;
}

struct uapi_server *uapi_server_free(struct uapi_server *s)
{
	if (s) {
		assert_int_equal(close(s->fd), 0);
		s->fd = -1;
	}
	return NULL;
}

bool uapi_server_has_path(const struct uapi_server *s)
{
	return !s->removed;
}

int uapi_server_fd(const struct uapi_server *s)
{
	return s->fd;
}

void uapi_server_run(struct uapi_server *s)
{
	s->runs++;
}

/* --- */

static int set_up(void **state)
{
	core = fake_core_new();
	fake_helper_reset();
	server = (struct uapi_server){ .fd = -1 };
	fails = 0;
	uapi = uapi_new(core);
	assert_non_null(uapi);
	return 0;
}

static int tear_down(void **state)
{
	uapi = uapi_free(uapi);
	assert_int_equal(server.fd, -1);
	core = fake_core_free(core);
	assert_int_equal(fake_helper_waiting(), 0);
	return 0;
}

static int socket_of_helper(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void open_all(void)
{
	uapi_open(uapi, &tunnel);
	fake_helper_answer_fd(NULL, socket_of_helper());
	assert_true(server.fd >= 0);
}

static void test_opened(void **state)
{
	int fd;

	(void) strcpy(core->config.interface, "hearth7");
	uapi_open(uapi, &tunnel);
	assert_string_equal(fake_helper_call(), "uapi.open");
	assert_string_equal(
		json_string_value(json_object_get(fake_helper_args(), "ifname")), "hearth7");
	assert_int_equal(fake_helper_timeout_us(), 5 * USEC_PER_SEC);
	fd = socket_of_helper();
	fake_helper_answer_fd(NULL, fd);
	assert_int_equal(server.fd, fd);
	assert_ptr_equal(server.tunnel, &tunnel);
	fake_event_ready(fd);
	assert_int_equal(server.runs, 1);
	fake_event_pass(3600 * USEC_PER_SEC);
	uapi_retry(uapi);
	assert_int_equal(fake_helper_calls(), 1);
	uapi_close(uapi);
	assert_int_equal(server.fd, -1);
	assert_int_equal(fake_event_sources(), 0);
	uapi_keep(uapi);
	uapi_retry(uapi);
	assert_int_equal(fake_helper_calls(), 1);
	assert_int_equal(fake_core_logged(""), 0);
}

/* The tunnel is closed, and opened again, before the helper has answered. */
static void test_closed_meanwhile(void **state)
{
	uapi_open(uapi, &tunnel);
	uapi_close(uapi);
	assert_int_equal(fake_helper_waiting(), 0);
	uapi_open(uapi, &tunnel);
	uapi_open(uapi, &other);
	fake_helper_answer_fd(NULL, socket_of_helper());
	assert_ptr_equal(server.tunnel, &other);
	uapi_open(uapi, &tunnel); /* and at the end one is under way */
	assert_int_equal(server.fd, -1);
}

static void test_failed(void **state)
{
	uapi_open(uapi, &tunnel);
	fake_helper_fail(-EREMOTEIO, "not today");
	assert_int_equal(fake_core_logged("`wg show hearth0` does not work yet"), 1);
	fake_event_pass(5 * USEC_PER_SEC - 1);
	uapi_retry(uapi);
	assert_int_equal(fake_helper_calls(), 1);
	fake_event_pass(1);
	uapi_retry(uapi);
	assert_int_equal(fake_helper_calls(), 2);
	uapi_retry(uapi); /* it is under way */
	fake_helper_fail(-EREMOTEIO, "not today");
	assert_int_equal(fake_core_logged(""), 0); /* for the same reason */
	uapi_hurry(uapi);
	uapi_close(uapi);
	uapi_retry(uapi); /* there is nothing to open it for */
	assert_int_equal(fake_helper_calls(), 2);
	fake_helper_refuses = -ENOENT;
	uapi_open(uapi, &tunnel); /* a new one is not made to wait */
	assert_int_equal(fake_helper_calls(), 3);
	assert_int_equal(fake_core_logged("No such file"), 1);
	uapi_hurry(uapi);
	fake_helper_refuses = 0;
	uapi_retry(uapi);
	fake_helper_answer_fd(NULL, socket_of_helper());
	assert_true(server.fd >= 0);
	uapi_retry(uapi);
	assert_int_equal(fake_helper_calls(), 4);
	uapi_open(uapi, &tunnel);
	fake_helper_fail(-EREMOTEIO, "not today");
	assert_int_equal(fake_core_logged("does not work yet"), 1); /* once more */
}

/* What cannot be mended by asking again is not asked for again. */
static void test_useless(void **state)
{
	uapi_open(uapi, &tunnel);
	fake_helper_answer(NULL);
	assert_int_equal(fake_core_logged("sent no socket"), 1);
	fails = -ENOMEM;
	uapi_open(uapi, &tunnel);
	fake_helper_answer_fd(NULL, socket_of_helper());
	assert_int_equal(fake_core_logged("will not work: Cannot allocate"), 1);
	fails = 0;
	fake_event_fails = -EMFILE;
	uapi_open(uapi, &tunnel);
	fake_helper_answer_fd(NULL, socket_of_helper());
	assert_int_equal(fake_core_logged("will not work: Too many"), 1);
	fake_event_fails = 0;
	fake_event_pass(3600 * USEC_PER_SEC);
	uapi_retry(uapi);
	assert_int_equal(fake_helper_calls(), 3);
}

static void test_removed(void **state)
{
	uapi_keep(uapi); /* none yet */
	open_all();
	uapi_keep(uapi);
	assert_true(server.fd >= 0);
	assert_int_equal(fake_helper_calls(), 1);
	server.removed = true;
	uapi_keep(uapi);
	assert_int_equal(fake_core_logged("removed by another program"), 1);
	assert_int_equal(server.fd, -1);
	uapi_keep(uapi);
	assert_int_equal(fake_helper_calls(), 2);
	fake_helper_answer_fd(NULL, socket_of_helper());
	assert_ptr_equal(server.tunnel, &tunnel);
	fake_event_ready(server.fd);
	assert_int_equal(server.runs, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_opened, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_closed_meanwhile, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_failed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_useless, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_removed, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
