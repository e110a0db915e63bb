/*
 * daemon: in which order hearthd is made and ended, what keeps it from beginning, and what `hearthd
 * --down` takes away. The subjects are the test's.
 */
#include "fake-ipc.h"
#include "fake-net.h"
#include "fake-subjects.h"

#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>

#include "base/descriptors.h"
#include "sys/nft/nft.h"

/* --- instead of what it reads and opens --- */

static struct {
	struct config config;
	const char *fails; /* this one, */
	int with;          /* with this errno */
	unsigned open;     /* descriptors and the like */
	char done[512];    /* in order */
	/* --down */
	char nft[4096];
	json_t *hosts;
} t;

static int result(const char *call, struct err *err)
{
	assert_true(strlen(t.done) + strlen(call) + 2 < sizeof(t.done));
	(void) strcat(strcat(t.done, *t.done ? " " : ""), call);
	return t.fails && !strcmp(t.fails, call) ? err_set(err, t.with, "%s: no", call) : 0;
}

int __wrap_config_read(const char *path, struct config *ret, struct err *err);
int __wrap_config_read(const char *path, struct config *ret, struct err *err)
{
	assert_string_equal(path, "/etc/hearth/hearthd.yaml");
	*ret = t.config;
	return result("config_read", err);
}

unsigned descriptors_allow(unsigned wanted)
{
	assert_int_equal(wanted, 16384);
	return wanted;
}

int state_lock(const char *dir, struct err *err)
{
	assert_string_equal(dir, "/var/lib/hearth");
	return result("state_lock", err) < 0 ? t.with : dup(2);
}

int state_read_key(const char *path, uint8_t ret_key[static FIELD_KEY_LEN], struct err *err)
{
	bool is_wg = !strcmp(path, "/var/lib/hearth/wireguard.key");

	if (!is_wg)
		assert_string_equal(path, "/var/lib/hearth/identity.key");
	memset(ret_key, is_wg ? 2 : 1, FIELD_KEY_LEN);
	return result(is_wg ? "wireguard_key" : "identity_key", err);
}

int book_open(const char *dir, const uint8_t root_hash[static RECORD_HASH_LEN], struct book **ret,
	struct err *err)
{
	assert_string_equal(dir, "/var/lib/hearth");
	assert_memory_equal(root_hash, t.config.root, RECORD_HASH_LEN);
	*ret = (struct book *) &t;
	return result("book_open", err);
}

struct book *book_close(struct book *book)
{
	if (book)
		(void) result("book_close", NULL);
	return NULL;
}

const struct err *book_damage(const struct book *book)
{
	static struct err damage;

	err_set(&damage, -EBADMSG, "log was damaged");
	return &damage;
}

int disk_new(sd_event *event, struct disk **ret, struct err *err)
{
	int r = result("disk_new", err);

	if (r == 0)
		*ret = (struct disk *) &t;
	return r;
}

struct disk *disk_free(struct disk *disk)
{
	if (disk)
		(void) result("disk_free", NULL);
	return NULL;
}

int nl_open(struct nl **ret, struct err *err)
{
	int r = result("nl_open", err);

	if (r == 0)
		*ret = (struct nl *) &t;
	return r;
}

struct nl *nl_close(struct nl *nl)
{
	if (nl)
		(void) result("nl_close", NULL);
	return NULL;
}

int sd_watchdog_enabled(int unset_environment, uint64_t *usec)
{
	return 0;
}

int nft_run(const char *text, struct err *err)
{
	(void) snprintf(t.nft, sizeof(t.nft), "%s", text);
	return result("nft_run", err);
}

int ipc_call(const char *path, const char *call, const json_t *args, uint64_t timeout_us,
	struct ipc_reply *ret, struct err *err)
{
	assert_string_equal(path, "/run/hearth/helper.sock");
	assert_string_equal(call, "hosts.write");
	json_decref(t.hosts);
	t.hosts = json_deep_copy(args);
	return result("hosts_write", err);
}

void ipc_reply_done(struct ipc_reply *reply)
{
}

int __wrap_sodium_init(void);
int __wrap_sodium_init(void)
{
	return result("sodium_init", NULL);
}

/* --- a board --- */

static struct hearthd *kept; /* for what is borrowed of it: the mesh, systemd ... */
static struct err err;
static const struct hearthd_options options = { 0 };

static void put_ourselves(void)
{
	CLEANUP_NODE struct node node = maker_node(1, 1, NULL);
	uint8_t seed[FIELD_KEY_LEN], wg[FIELD_KEY_LEN];

	memset(seed, 1, sizeof(seed));
	memset(wg, 2, sizeof(wg));
	assert_int_equal(node_revoke_identity(&node), 0);
	record_public_key(seed, node.identity);
	assert_int_equal(crypto_scalarmult_base(node.wg, wg), 0);
	fake_core_put_node(&node);
}

static int set_up(void **state)
{
	memset(&t, 0, sizeof(t));
	err = (struct err){ 0 };
	kept = fake_hearthd_new();
	fake_net_reset();
	fake_ipc_fails = 0;
	fake_event_on_loop = NULL;
	put_ourselves();
	t.config = kept->core.config;
	t.config.port = 41741;
	return 0;
}

static int tear_down(void **state)
{
	json_decref(t.hosts);
	assert_null(fake_ipc);
	fake_net_reset();
	kept = fake_hearthd_free(kept);
	return 0;
}

static int run(void)
{
	t.done[0] = 0;
	return hearthd_run(&options, &err);
}

static int down(void)
{
	t.done[0] = 0;
	return hearthd_down(&options, &err);
}

/* --- its life --- */

static char begun[4096]; /* what was asked until the loop began */

static int note_begin(void)
{
	(void) snprintf(begun, sizeof(begun), "%s", fake_asked());
	return 0;
}

static void test_life(void **state)
{
	fake_event_on_loop = note_begin;
	(void) strcpy(fake.state.kube_done, "00112233aabbccdd");
	fake.state.counter = 12;
	assert_int_equal(run(), 0);
	assert_string_equal(t.done,
		"sodium_init config_read state_lock identity_key wireguard_key book_open disk_new "
		"nl_open "
		"nl_close disk_free book_close");
	assert_string_equal(begun,
		"keep_load uplink_look cluster_load-00112233aabbccdd wall_begin device_reclaim "
		"overlay_open-41741 keep_save_state uplink_set-41741 uapi_open relays_use-1 mapped_use-1 holes_use-1 finder_use-1 uplink_look "
		"announce_check-1 peers_apply finder_own finder_follow relays_follow mapped_follow device_apply mtus_set_top-1420 wall_apply-1 names_write-0 "
		"cluster_follow_record-1 cluster_look_at_boards-1 exchange_follow-1 offer_look-1 "
		"beacon_follow-0 portmap_follow announce_look roster_follow-1 notify_status "
		"sync_start cluster_join");
	/* Numbers are settled before all is saved, while the tunnel still carries packets. */
	fake_assert_asked(
		"sync_stop peers_look-1 waits_free keep_settle_number-12 announce_free "
		"keep_all ipv6_free portmap_remove uapi_close finder_use-0 relays_use-0 mapped_use-0 holes_use-0 overlay_close peers_forget portmap_free overlay_free exchange_free holes_free mapped_free why_free relays_free finder_free "
		"mtus_free roster_free beacon_free peers_free device_free ground_free wall_free sync_free offer_free ping_free "
		"uplink_free cluster_free names_free resolv_free uapi_free pods_free "
		"news_free keep_free");
	assert_int_equal(fake_core_logged("log was damaged"), 1);
	assert_string_equal(fake.notes, "READY=1;");
	assert_string_equal(fake.cert, "-----BEGIN CERT");
	assert_string_equal(fake.key, "-----BEGIN PRIV");
}

/* Somebody should know that nobody starts it again. */
static void test_without_systemd(void **state)
{
	assert_int_equal(run(), 0);
	assert_int_equal(fake_core_logged("PID 1 is not systemd"), 1);
	fake.booted = 1;
	assert_int_equal(run(), 0);
	assert_int_equal(fake_core_logged("PID 1 is not systemd"), 0);
}

static int loop_fails(void)
{
	return -EIO;
}

static int loop_is_told(void)
{
	return 1;
}

static void test_loop_ends(void **state)
{
	fake_event_on_loop = loop_fails;
	assert_int_equal(run(), -EIO);
	assert_string_equal(err.text, "the event loop ended: see the lines above");
	fake_event_on_loop = loop_is_told; /* what only a start can mend */
	assert_int_equal(run(), -EIO);
	assert_int_equal(err.code, -EIO);
}

/* --- what keeps it from beginning --- */

static void test_cannot_begin(void **state)
{
	static const struct {
		const char *call;
		int with, r;
	} cases[] = { { "config_read", -EINVAL, -ENOTRECOVERABLE },
		{ "config_read", -EBADMSG, -ENOTRECOVERABLE },
		{ "config_read", -EFBIG, -ENOTRECOVERABLE },
		{ "config_read", -EISDIR, -ENOTRECOVERABLE },
		{ "config_read", -EACCES, -ENOTRECOVERABLE },
		{ "config_read", -EPERM, -ENOTRECOVERABLE },
		{ "config_read", -ENOENT, -ENOENT }, /* it may come yet */
		{ "state_lock", -EBUSY, -EBUSY }, { "identity_key", -EPERM, -ENOTRECOVERABLE },
		{ "wireguard_key", -ENOENT, -ENOENT }, { "book_open", -EIO, -EIO },
		{ "disk_new", -EAGAIN, -EAGAIN }, { "nl_open", -EMFILE, -EMFILE } };

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char words[64];

		t.fails = cases[i].call;
		t.with = cases[i].with;
		assert_int_equal(run(), cases[i].r);
		(void) snprintf(words, sizeof(words), "%s: no", cases[i].call);
		assert_string_equal(err.text, words);
		assert_int_equal(fake_event_sources(), 0);
		assert_null(strstr(fake_asked(), "sync_start"));
	}
}

static void test_subject_cannot_begin(void **state)
{
	static const char *const calls[] = { "uplink_new", "uplink_look", "ping_new", "wall_new",
		"sync_new", "waits_new", "overlay_open" };

	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		fake.fails = calls[i];
		fake.with = -EMFILE;
		assert_int_equal(run(), -EMFILE);
		assert_int_equal(fake_event_sources(), 0);
		assert_null(fake_ipc);
		assert_null(strstr(fake_asked(), "sync_start"));
	}
	fake.fails = "keep_load";
	assert_int_equal(run(), -ENOMEM);
	fake.fails = NULL;
	fake_ipc_fails = -EADDRINUSE;
	assert_int_equal(run(), -EADDRINUSE);
	fake_ipc_fails = 0;
	fake_event_fails = -EMFILE;
	assert_int_equal(run(), -EMFILE);
	assert_string_equal(err.text, "cannot set up the event loop: Too many open files");
}

static void test_no_memory(void **state)
{
	static const char *const each[] = { "keep", "news", "pods", "cluster", "names",
		"announce" };

	t.fails = "sodium_init";
	t.with = -1;
	assert_int_equal(run(), -ENOMEM);
	assert_string_equal(t.done, "sodium_init");
	t.fails = NULL;
	for (size_t i = 0; i < ARRAY_LEN(each); i++) {
		fake.missing = each[i];
		assert_int_equal(run(), -ENOMEM);
		assert_int_equal(fake_event_sources(), 0);
	}
}

/* --- while it runs --- */

static int in_loop(void)
{
	struct hearthd *h = fake.ctx;

	(void) fake_asked();
	/* What the network does. */
	fake.uplink->changed(h, false);
	fake_assert_asked(
		"device_hold-7 wall_begin announce_check-1 peers_apply finder_own finder_follow wall_apply-1 "
		"offer_look-1 beacon_follow-0 portmap_follow announce_look peers_look-1");
	fake.uplink->changed(h, true);
	fake_assert_asked(
		"device_hold-7 wall_begin announce_check-1 peers_apply finder_own finder_follow wall_apply-1 "
		"offer_look-1 beacon_follow-0 portmap_follow announce_look peers_look-1 portmap_hurry finder_moved relays_moved mapped_moved peers_initiate sync_link_changed");
	fake.uplink->touched(h);
	assert_non_null(strstr(fake_asked(), "device_look ground_look-1-7 wall_retry-1"));
	/* What the disk says. */
	fake.keep->log_settled(h, true);
	fake_assert_asked("names_log_settled-1 cluster_log_settled-1");
	fake.keep->state_settled(h);
	fake_assert_asked("announce_go_on");
	return 0;
}

static void test_hooks(void **state)
{
	fake_event_on_loop = in_loop;
	assert_int_equal(run(), 0);
}

/* This board was removed: its links move on. */
static int in_loop_without_tunnel(void)
{
	struct hearthd *h = fake.ctx;

	h->mesh_state = MESH_REMOVED;
	h->core.config.node = 5;
	overlay_close(h->overlay);
	(void) fake_asked();
	fake.uplink->changed(h, true);
	assert_non_null(strstr(fake_asked(), "peers_clear portmap_hurry sync_link_changed"));
	return 0;
}

static void test_moved_without_tunnel(void **state)
{
	fake_event_on_loop = in_loop_without_tunnel;
	assert_int_equal(run(), 0);
}

static int in_loop_tunnel_fails(void)
{
	struct hearthd *h = fake.ctx;

	overlay_close(h->overlay);
	fake.fails = "overlay_open";
	fake.with = -EBUSY;
	(void) fake_asked();
	fake.uplink->changed(h, true);
	fake_assert_asked("wall_begin device_reclaim overlay_open-41741");
	assert_int_equal(fake_core_logged("overlay_open: it fails"), 1);
	assert_true(fake_event_is_ending(h->core.event));
	return 1;
}

static void test_tunnel_fails(void **state)
{
	fake_event_on_loop = in_loop_tunnel_fails;
	assert_int_equal(run(), -EIO);
}

static int in_loop_signals(void)
{
	struct hearthd *h = fake.ctx;

	fake.notes[0] = 0;
	assert_false(fake_event_signal(SIGHUP));
	assert_non_null(strstr(fake_asked(), "pods_hurry uapi_keep keep_look overlay_look"));
	assert_int_equal(fake_core_logged("configuration read again"), 1);
	t.fails = "config_read";
	t.with = -EINVAL;
	assert_false(fake_event_signal(SIGHUP));
	assert_int_equal(fake_core_logged("config_read: no; going on as before"), 1);
	t.fails = NULL;
	assert_ptr_equal(h, fake.ctx);
	fake.notes[0] = 0;
	assert_true(fake_event_signal(SIGTERM));
	assert_non_null(strstr(fake.notes, "STOPPING=1"));
	return 0;
}

static int in_loop_interrupt(void)
{
	return fake_event_signal(SIGINT) ? 0 : -EIO;
}

static void test_signals(void **state)
{
	fake_event_on_loop = in_loop_signals;
	assert_int_equal(run(), 0);
	fake_event_on_loop = in_loop_interrupt;
	assert_int_equal(run(), 0);
}

/* At the end nobody hears of a state that was saved: there is no presence to go on with. */
static int in_loop_end(void)
{
	struct hearthd *h = fake.ctx;
	struct announce *announce = h->announce;

	(void) fake_asked();
	h->announce = NULL;
	fake.keep->state_settled(h);
	fake_assert_asked("");
	h->announce = announce;
	return 0;
}

static void test_state_settled_at_the_end(void **state)
{
	fake_event_on_loop = in_loop_end;
	assert_int_equal(run(), 0);
}

/* --- --down --- */

/* What a hearthd left. */
static void leave(const char *name)
{
	struct link *link = fake_net_link(name, "tun");

	(void) iface_alias("home", 1, link->alias);
	(void) strcpy(fake_net.prohibited, t.config.interface);
}

static void test_down(void **state)
{
	(void) strcpy(t.config.interface, "hearth1");
	leave("wg7"); /* renamed, but ours */
	assert_int_equal(down(), 0);
	assert_string_equal(t.done, "config_read state_lock nl_open nft_run hosts_write nl_close");
	assert_int_equal(fake_net.n_links, 0);
	assert_string_equal(fake_net.prohibited, "");
	assert_non_null(strstr(t.nft, "delete table inet "));
	assert_string_equal(json_string_value(json_object_get(t.hosts, "ifname")), "hearth1");
	assert_int_equal(json_array_size(json_object_get(t.hosts, "entries")), 0);
	assert_non_null(json_object_get(t.hosts, "entries"));
}

/* Nothing to take down is as good; nor does it need a directory of the state. */
static void test_down_nothing(void **state)
{
	t.fails = "state_lock";
	t.with = -ENOENT;
	assert_int_equal(down(), 0);
}

static void test_down_may_not(void **state)
{
	static const char *const calls[] = { "config_read", "state_lock", "nl_open" };

	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		t.fails = calls[i];
		t.with = -EBUSY;
		assert_int_equal(down(), -EBUSY);
		assert_null(strstr(t.done, "nft_run"));
		assert_null(strstr(t.done, "hosts_write"));
	}
}

/* The first reason is told, and all the rest is done. */
static void test_down_fails(void **state)
{
	leave("hearth0");
	fake_net.refuses = "link_delete";
	fake_net.with = -EPERM;
	t.fails = "nft_run";
	t.with = -EIO;
	assert_int_equal(down(), -EPERM);
	assert_string_equal(err.text, "link_delete: Operation not permitted");
	assert_string_equal(fake_net.prohibited, "");
	assert_non_null(strstr(t.done, "nft_run hosts_write"));
	fake_net.refuses = "rule_permit";
	assert_int_equal(down(), -EIO);
	assert_string_equal(err.text, "nft_run: no");
	t.fails = "hosts_write";
	assert_int_equal(down(), -EPERM);
	assert_string_equal(err.text, "rule_permit: Operation not permitted");
	fake_net.refuses = NULL;
	assert_int_equal(down(), -EIO);
	assert_non_null(strstr(err.text, "the names stay in the hosts file: hearth-helper: "));
	assert_non_null(strstr(err.text, "hosts_write: no; start it and do this again"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	static const char *const names[] = { "HEARTH_ETC", "HEARTH_STATE", "HEARTH_RUN",
		"HEARTH_HOST_ETC", "NOTIFY_SOCKET" };
	const struct CMUnitTest tests[] = {
		TEST(life),
		TEST(without_systemd),
		TEST(loop_ends),
		TEST(cannot_begin),
		TEST(subject_cannot_begin),
		TEST(no_memory),
		TEST(hooks),
		TEST(moved_without_tunnel),
		TEST(tunnel_fails),
		TEST(signals),
		TEST(state_settled_at_the_end),
		TEST(down),
		TEST(down_nothing),
		TEST(down_may_not),
		TEST(down_fails),
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		(void) unsetenv(names[i]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
