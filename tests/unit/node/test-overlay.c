/*
 * overlay: on which port the tunnel is opened, when hearth-helper opens its device, what is left of
 * one that could not begin, and who is told that it was lost.
 */
#include "fake-core.h"
#include "fake-disk.h"
#include "fake-net.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "board/state.h"
#include "node/overlay.h"
#include "sys/ipc/ipc.h"

enum { PORT = 41741, ANY_PORT = 50000, CLOSED_FD = 1000 };

/* --- instead of the tunnel --- */

static struct {
	uint32_t busy_until;         /* ports below are in use */
	int fails;                   /* opening it fails so; 0: it does not */
	bool only_root;              /* may open the device */
	int denied, key;             /* what setting these says */
	struct tunnel_config config; /* of the last try */
	char ifname[IFNAMSIZ];
	unsigned tries, closed;
	bool open;
	uint16_t port;
	struct ip_prefix ranges[8];
	size_t n_ranges;
	uint8_t private[TUNNEL_KEY_LEN];
} tun;

int tunnel_open(const struct tunnel_config *config, struct tunnel **ret, struct err *err)
{
	int r = tun.fails;

	assert_false(tun.open);
	tun.tries++;
	tun.config = *config;
	(void) snprintf(tun.ifname, sizeof(tun.ifname), "%s", config->ifname);
	if (tun.only_root && config->tun_fd < 0)
		r = -EACCES;
	else if (config->port && config->port < tun.busy_until)
		r = -EADDRINUSE;
	if (config->tun_fd >= 0)
		assert_int_equal(close(config->tun_fd), 0);
	if (r < 0)
		return err_set(err, r, "tunnel: %s", strerror(-r));
	tun.port = config->port ? config->port : ANY_PORT;
	tun.open = true;
	*ret = (struct tunnel *) &tun;
	return 0;
}

struct tunnel *tunnel_close(struct tunnel *tunnel)
{
	tun.closed += tunnel != NULL;
	tun.open = false;
	return NULL;
}

uint16_t tunnel_port(struct tunnel *tunnel)
{
	assert_ptr_equal(tunnel, &tun);
	return tun.port;
}

int tunnel_closed_fd(const struct tunnel *tunnel)
{
	assert_ptr_equal(tunnel, &tun);
	return CLOSED_FD;
}

int tunnel_set_denied_underlay(struct tunnel *tunnel, const struct ip_prefix *prefixes, size_t n)
{
	assert_true(n <= ARRAY_LEN(tun.ranges));
	memcpy(tun.ranges, prefixes, n * sizeof(*prefixes));
	tun.n_ranges = n;
	return tun.denied;
}

int tunnel_set_private_key(struct tunnel *tunnel, const uint8_t key[static TUNNEL_KEY_LEN])
{
	memcpy(tun.private, key, sizeof(tun.private));
	return tun.key;
}

/* --- instead of hearth-helper, and of the device that it opens --- */

static struct {
	int fails;
	bool empty; /* it sends no descriptor */
	unsigned calls;
	int fd;             /* sent last */
	unsigned long not ; /* this request to the device fails */
	struct ifreq ifr;
	int persists;
} helper;

int ipc_call(const char *path, const char *call, const json_t *args, uint64_t timeout_us,
	struct ipc_reply *ret, struct err *err)
{
	helper.calls++;
	assert_string_equal(path, FAKE_RUN "/helper.sock");
	assert_string_equal(call, "tun.open");
	assert_null(args);
	assert_int_equal(timeout_us, 2 * USEC_PER_SEC);
	if (helper.fails < 0)
		return err_set(err, helper.fails, "it does not listen");
	helper.fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_true(helper.fd >= 0);
	if (helper.empty)
		assert_int_equal(close(helper.fd), 0);
	ret->fd = helper.empty ? -1 : helper.fd;
	return 0;
}

void ipc_reply_done(struct ipc_reply *reply)
{
	close_p(&reply->fd);
}

int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list args;

	assert_int_equal(fd, helper.fd);
	if (request == helper.not ) {
		errno = EBUSY;
		return -1;
	}
	va_start(args, request);
	if (request == TUNSETIFF)
		memcpy(&helper.ifr, va_arg(args, const struct ifreq *), sizeof(helper.ifr));
	else if (request == TUNSETPERSIST)
		helper.persists = va_arg(args, int);
	va_end(args);
	return 0;
}

/* --- a board --- */

static struct core *core;
static struct overlay *overlay;
static struct settings settings;
static struct err err;
static unsigned n_lost;
static char dir[64];

static void lost(void *ctx)
{
	assert_ptr_equal(ctx, &overlay);
	n_lost++;
	overlay_close(overlay);
}

static const struct overlay_hooks hooks = { .lost = lost };

static int set_up(void **state)
{
	core = fake_core_new();
	fake_net_reset();
	fake_disk_reset();
	memset(&tun, 0, sizeof(tun));
	memset(&helper, 0, sizeof(helper));
	settings = maker_settings();
	err = (struct err){ 0 };
	n_lost = 0;
	(void) strcpy(dir, "/tmp/hearth-overlay.XXXXXX");
	assert_non_null(mkdtemp(dir));
	(void) snprintf(core->paths.state, sizeof(core->paths.state), "%s", dir);
	memset(core->wg_private, 4, sizeof(core->wg_private));
	(void) fake_net_link("eth0", "");
	(void) fake_net_link("hearth0", "tun");
	overlay = overlay_new(core, &hooks, &overlay);
	assert_non_null(overlay);
	return 0;
}

static const char *timestamp(void)
{
	static char path[PATH_TEXT_MAX];

	return paths_join(dir, "timestamp", path);
}

static int tear_down(void **state)
{
	disk_drain(NULL);
	overlay = overlay_free(overlay);
	assert_false(tun.open);
	settings_done(&settings);
	fake_net_reset();
	core = fake_core_free(core);
	(void) unlink(timestamp());
	return rmdir(dir);
}

static int open_at(uint16_t port)
{
	err = (struct err){ 0 };
	return overlay_open(overlay, &settings, 1420, port, &err);
}

/* It cannot be opened, for this reason, and nothing of it is left. */
static void assert_fails(int r, const char *why)
{
	assert_int_equal(open_at(PORT), r);
	assert_int_equal(err.code, r);
	if (!strstr(err.text, why))
		fail_msg("\"%s\" does not say \"%s\"", err.text, why);
	assert_null(overlay_tunnel(overlay));
	assert_false(tun.open);
}

static void test_open(void **state)
{
	assert_null(overlay_tunnel(overlay));
	assert_int_equal(overlay_ifindex(overlay), 0);
	assert_int_equal(open_at(PORT), 0);
	assert_ptr_equal(overlay_tunnel(overlay), &tun);
	assert_int_equal(overlay_ifindex(overlay), 2);
	assert_int_equal(tun.tries, 1);
	assert_string_equal(tun.ifname, "hearth0");
	assert_int_equal(tun.config.tun_fd, -1);
	assert_int_equal(tun.config.port, PORT);
	assert_int_equal(tun.config.mtu, 1420);
	assert_true(tun.config.persistent);
	assert_int_equal(tun.config.timestamp_floor_s, 0);
	assert_int_equal(tun.n_ranges, SETTINGS_RANGES);
	assert_true(ip_prefix_equal(&tun.ranges[0], &settings.mesh4));
	assert_memory_equal(tun.private, core->wg_private, sizeof(tun.private));
	assert_int_equal(helper.calls, 0);
	assert_int_equal(fake_core_logged(""), 0);
}

/* --- its port --- */

static void test_port_in_use(void **state)
{
	tun.busy_until = PORT + 3;
	assert_int_equal(open_at(PORT), 0);
	assert_int_equal(tun.port, PORT + 3);
	assert_int_equal(tun.tries, 4);
	assert_int_equal(
		fake_core_logged("UDP port 41741 is in use by another program; using 41744"), 1);
}

/* Those that follow, then whatever there is. */
static void test_no_port_near_it(void **state)
{
	tun.busy_until = PORT + 63;
	assert_int_equal(open_at(PORT), 0);
	assert_int_equal(tun.port, PORT + 63);
	overlay_close(overlay);
	tun.tries = 0;
	tun.busy_until = PORT + 64;
	assert_int_equal(open_at(PORT), 0);
	assert_int_equal(tun.port, ANY_PORT);
	assert_int_equal(tun.tries, 65);
	assert_int_equal(fake_core_logged("in use by another program; using 50000 from now on"), 1);
}

static void test_last_ports(void **state)
{
	tun.busy_until = UINT16_MAX;
	assert_int_equal(open_at(UINT16_MAX - 2), 0);
	assert_int_equal(tun.port, UINT16_MAX);
	overlay_close(overlay);
	tun.busy_until = UINT16_MAX + 1;
	assert_int_equal(open_at(UINT16_MAX - 2), 0);
	assert_int_equal(tun.port, ANY_PORT);
}

/* What is wrong with one port only is looked for at another. */
static void test_not_for_its_port(void **state)
{
	tun.fails = -EBUSY;
	assert_fails(-EBUSY, "tunnel: Device or resource busy");
	assert_int_equal(tun.tries, 1);
	assert_int_equal(fake_core_logged(""), 0);
}

static void test_no_port_at_all(void **state)
{
	tun.fails = -EADDRINUSE;
	assert_fails(-EADDRINUSE, "tunnel: Address already in use");
	assert_int_equal(tun.tries, 65);
}

/* --- the device, which only root may open --- */

static void test_by_the_helper(void **state)
{
	tun.only_root = true;
	assert_int_equal(open_at(PORT), 0);
	assert_int_equal(helper.calls, 1);
	assert_int_equal(tun.tries, 2);
	assert_int_equal(tun.config.tun_fd, helper.fd);
	assert_string_equal(helper.ifr.ifr_name, "hearth0");
	assert_int_equal(helper.ifr.ifr_flags, IFF_TUN | IFF_NO_PI | IFF_VNET_HDR);
	assert_int_equal(helper.persists, 1);
	assert_int_equal(tun.port, PORT);
}

/* A descriptor goes with the try that it was for. */
static void test_by_the_helper_on_another_port(void **state)
{
	tun.only_root = true;
	tun.busy_until = PORT + 2;
	assert_int_equal(open_at(PORT), 0);
	assert_int_equal(tun.port, PORT + 2);
	assert_int_equal(helper.calls, 3);
	assert_int_equal(helper.persists, 1);
}

static void test_no_helper(void **state)
{
	tun.only_root = true;
	helper.fails = -ECONNREFUSED;
	assert_fails(-ECONNREFUSED,
		"only root may open /dev/net/tun here, and hearth-helper did not: it does not");
	assert_int_equal(tun.tries, 1);
}

static void test_no_descriptor(void **state)
{
	tun.only_root = true;
	helper.empty = true;
	assert_fails(-EPROTO, "hearth-helper sent no descriptor");
	assert_int_equal(tun.tries, 1);
}

static void test_no_device(void **state)
{
	tun.only_root = true;
	helper.not = TUNSETIFF;
	assert_fails(-EBUSY, "make TUN device hearth0: Device or resource busy");
	assert_int_equal(fcntl(helper.fd, F_GETFD), -1);
	helper.not = TUNSETPERSIST;
	assert_fails(-EBUSY, "keep TUN device hearth0: Device or resource busy");
	assert_int_equal(fcntl(helper.fd, F_GETFD), -1);
}

/* --- one that cannot begin is closed again --- */

static void test_no_interface(void **state)
{
	fake_net_get("hearth0")->name[0] = 'x';
	assert_fails(-ENODEV, "");
	assert_int_equal(tun.closed, 1);
	assert_int_equal(overlay_ifindex(overlay), 0);
	fake_net_get("xearth0")->name[0] = 'h';
	assert_int_equal(open_at(PORT), 0);
}

static void test_no_ranges(void **state)
{
	tun.denied = -E2BIG;
	assert_fails(-E2BIG, "start the tunnel: Argument list too long");
	assert_int_equal(tun.closed, 1);
}

static void test_no_key(void **state)
{
	tun.key = -ENODEV;
	assert_fails(-ENODEV, "start the tunnel: No such device");
	assert_int_equal(tun.closed, 1);
}

static void test_no_event(void **state)
{
	fake_event_fails = -ENOMEM;
	assert_fails(-ENOMEM, "watch over timestamps: Cannot allocate memory");
	assert_int_equal(tun.tries, 0);
	fake_event_fails = 0;
	assert_int_equal(open_at(PORT), 0);
	overlay_close(overlay);
	fake_event_fails = -ENOMEM;
	assert_fails(-ENOMEM, "start the tunnel: Cannot allocate memory");
	assert_int_equal(tun.closed, 2);
}

/* --- lost --- */

static void test_lost(void **state)
{
	assert_int_equal(open_at(PORT), 0);
	fake_event_ready(CLOSED_FD);
	assert_int_equal(n_lost, 1);
	assert_int_equal(fake_core_logged("interface hearth0 was removed; making it again"), 1);
	assert_null(overlay_tunnel(overlay));
	assert_int_equal(overlay_ifindex(overlay), 2); /* of the last one */
	fake_event_ready(CLOSED_FD);
	assert_int_equal(n_lost, 1);
	assert_int_equal(open_at(PORT), 0);
	assert_int_equal(tun.closed, 1);
}

static void test_none(void **state)
{
	assert_null(overlay_free(NULL));
	overlay_look(overlay);
	assert_int_equal(fake_disk_waiting(), 0);
}

/* --- handshake timestamps --- */

/* The tunnel wants them stored as far as this. 0: they are. */
static int reserve(uint64_t until_s)
{
	return tun.config.reserve_timestamp(tun.config.ctx, until_s);
}

/* It asked, and the loop heard it. */
static void want(uint64_t until_s)
{
	assert_int_equal(reserve(until_s), -EAGAIN);
	for (int fd = 0; fd < CLOSED_FD; fd++)
		fake_event_ready(fd);
	assert_int_equal(fake_disk_waiting(), 1);
}

static void test_floor(void **state)
{
	assert_int_equal(file_write_atomic(timestamp(), "1900000500\n", 11, 0600), 0);
	assert_int_equal(open_at(PORT), 0);
	assert_int_equal(tun.config.timestamp_floor_s, 1900000500);
}

/* They outlast the tunnel. */
static void test_stamps(void **state)
{
	assert_int_equal(open_at(PORT), 0);
	want(1900000600);
	fake_disk_end(0);
	assert_int_equal(state_read_timestamp(timestamp()), 1900000600);
	overlay_close(overlay);
	assert_int_equal(open_at(PORT), 0);
	assert_int_equal(tun.config.timestamp_floor_s, 1900000600);
	assert_int_equal(reserve(1900000600), 0);
}

static void test_removed_timestamp(void **state)
{
	assert_int_equal(open_at(PORT), 0);
	want(1900000600);
	fake_disk_end(0);
	overlay_look(overlay);
	assert_int_equal(fake_disk_waiting(), 0);
	assert_int_equal(unlink(timestamp()), 0);
	overlay_look(overlay);
	assert_int_equal(fake_disk_waiting(), 1);
	assert_true(fake_disk_restores());
	fake_disk_end(0);
	assert_int_equal(state_read_timestamp(timestamp()), 1900000600);
}

/* What the full disk did not take is nobody's doing: it is written, and nothing is said. */
static void test_disk_was_full(void **state)
{
	assert_int_equal(file_write_atomic(timestamp(), "1900000500\n", 11, 0600), 0);
	assert_int_equal(open_at(PORT), 0);
	want(1900000600);
	fake_disk_end(-ENOSPC);
	overlay_look(overlay);
	assert_int_equal(fake_disk_waiting(), 1);
	assert_false(fake_disk_restores());
	fake_disk_end(0);
	assert_int_equal(state_read_timestamp(timestamp()), 1900000600);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(open),
		TEST(port_in_use),
		TEST(no_port_near_it),
		TEST(last_ports),
		TEST(not_for_its_port),
		TEST(no_port_at_all),
		TEST(by_the_helper),
		TEST(by_the_helper_on_another_port),
		TEST(no_helper),
		TEST(no_descriptor),
		TEST(no_device),
		TEST(no_interface),
		TEST(no_ranges),
		TEST(no_key),
		TEST(no_event),
		TEST(lost),
		TEST(none),
		TEST(floor),
		TEST(stamps),
		TEST(removed_timestamp),
		TEST(disk_was_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
