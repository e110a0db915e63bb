/* ask and assist: what connects hearthd's subjects with the coordinator and with hearth-helper. */
#include "fake-subjects.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static struct hearthd *h;
static char dir[64];

static int set_up(void **state)
{
	(void) strcpy(dir, "/tmp/hearth-ask.XXXXXX");
	assert_non_null(mkdtemp(dir));
	h = fake_hearthd_new();
	(void) snprintf(h->core.helper_path, sizeof(h->core.helper_path), "%s/helper", dir);
	fake_hearthd_open(h);
	return 0;
}

static int tear_down(void **state)
{
	(void) unlink(h->core.helper_path);
	fake_hearthd_close(h);
	h = fake_hearthd_free(h);
	return rmdir(dir);
}

/* --- the coordinator --- */

static void test_cannot_ask(void **state)
{
	struct err err = { 0 };

	free(h->asked);
	h->asked = NULL;
	h->sync = NULL;
	fake.fails = "sync_new";
	fake.with = -ENOMEM;
	assert_int_equal(ask_open(h, &err), -ENOMEM);
	assert_null(h->asked);
}

static void add_config_url(const char *url)
{
	(void) snprintf(h->core.config.urls[h->core.config.n_urls++], FIELD_URL_MAX, "%s", url);
}

static void test_configure(void **state)
{
	assert_string_equal(fake.urls, "https://192.168.50.11:8443");
	assert_string_equal(fake.cert, "certificate");
	assert_string_equal(fake.key, "key");
	ask_configure(h);
	fake_assert_asked("");
	add_config_url("https://other.example");
	ask_configure(h);
	fake_assert_asked("sync_configure");
	assert_string_equal(fake.urls, "https://192.168.50.11:8443 https://other.example");
	ask_configure(h);
	fake_assert_asked("");
	/* What failed is tried again with the next occasion. */
	add_config_url("https://third.example");
	fake.fails = "sync_configure";
	fake.with = -EINVAL;
	ask_configure(h);
	fake_assert_asked("sync_configure");
	assert_int_equal(fake_core_logged("it fails; the coordinator's old addresses stay"), 1);
	fake.fails = NULL;
	ask_configure(h);
	fake_assert_asked("sync_configure");
	assert_int_equal(fake_core_logged(""), 0);
	/* Without memory at the start. */
	free(h->asked);
	h->asked = NULL;
	ask_configure(h);
	fake_assert_asked("sync_configure");
}

/* A proxy is used from the next configuration on, and said; one that cannot be is a problem. */
static void test_proxy(void **state)
{
	assert_string_equal(fake.proxy, "");
	(void) strcpy(h->core.config.proxy, "http://proxy.example:3128");
	(void) strcpy(h->core.config.no_proxy, "other.example");
	h->core.config.has_no_proxy = true;
	add_config_url("https://other.example");
	add_config_url("https://third.example");
	ask_find_way(h);
	assert_int_equal(fake_core_logged("reached by the proxy proxy.example:3128"), 1);
	ask_configure(h);
	fake_assert_asked("sync_configure");
	assert_string_equal(fake.proxy, "http://proxy.example:3128");
	assert_int_equal(fake.uses[0], PROXY_ALSO); /* 192.168.50.11 */
	assert_int_equal(fake.uses[1], PROXY_NEVER);
	assert_int_equal(fake.uses[2], PROXY_ALWAYS);
	(void) strcpy(h->core.config.proxy_file, "/nonexistent/proxy");
	ask_find_way(h);
	assert_non_null(strstr(problem_text(&h->core.problems, "proxy"), "/nonexistent/proxy"));
	ask_configure(h);
	fake_assert_asked("");
	assert_string_equal(h->core.wayout.url, "http://proxy.example:3128"); /* as before */
	h->core.config.proxy_file[0] = h->core.config.proxy[0] = 0;
	ask_find_way(h);
	assert_false(problem_is(&h->core.problems, "proxy"));
	ask_configure(h);
	fake_assert_asked("sync_configure");
	assert_string_equal(fake.proxy, "");
	wayout_done(&h->core.wayout);
}

/* Settings name the node @id as one with a coordinator. */
static void put_coordinator(uint32_t id)
{
	struct netmap *map = (struct netmap *) book_netmap(NULL);
	struct settings settings = maker_settings();

	settings.coordinators[0] = (struct settings_coordinator){ id, 8443 };
	settings.n_coordinators = 1;
	assert_int_equal(
		maker_apply(map, RECORD_TYPE_SETTINGS, settings_to_json(&settings), NULL, NULL), 1);
	settings_done(&settings);
}

/* A connection through the tunnel moves with it; others would hang. */
static void test_peer_moved(void **state)
{
	ask_peer_moved(h, 2);
	fake_assert_asked("");
	put_coordinator(2);
	ask_peer_moved(h, 3);
	fake_assert_asked("");
	ask_peer_moved(h, 2);
	fake_assert_asked("sync_link_changed");
	(void) strcpy(fake.sync.url, "https://10.77.0.2:8443");
	ask_peer_moved(h, 2); /* it was there last, but is no more */
	fake_assert_asked("sync_link_changed");
	fake.sync.connected = true;
	ask_peer_moved(h, 2);
	fake_assert_asked("");
	(void) strcpy(fake.sync.url, "https://192.168.50.11:8443");
	fake.peers_hooks->moved(fake.ctx, 2);
	fake_assert_asked("sync_link_changed");
	fake.peers_hooks->lost(fake.ctx, 3);
	fake_assert_asked("finder_doubt-3");
}

static void test_position(void **state)
{
	struct api_news news = { 0 };
	uint64_t seq = 0;
	const char *kube = NULL;

	fake.sync_hooks->position(fake.ctx, &seq, &kube);
	assert_int_equal(seq, 1);
	assert_string_equal(kube, "position");
	assert_int_equal(fake.sync_hooks->news(fake.ctx, &news), 0);
	fake_assert_asked("news_take");
	fake.fails = "news_take";
	fake.with = -ENOTUNIQ;
	assert_int_equal(fake.sync_hooks->news(fake.ctx, &news), -ENOTUNIQ);
}

static void test_connection(void **state)
{
	struct trouble_end first = { 0 }, away = { .lasted_us = 12 * USEC_PER_SEC, .times = 1 };

	h->begun = true;
	(void) strcpy(fake.sync.url, "URL");
	(void) strcpy(fake.sync.error, "no answer");
	fake.sync_hooks->changed(fake.ctx, true, NULL);
	assert_int_equal(fake_core_logged("coordinator: no answer; trying on"), 1);
	fake_assert_asked("notify_status");
	fake.sync_hooks->changed(fake.ctx, true, &first);
	assert_int_equal(fake_core_logged("coordinator URL: connected"), 1);
	fake.sync_hooks->changed(fake.ctx, true, &away);
	assert_int_equal(fake_core_logged("coordinator URL: connected, after 12 s and 1 try"), 1);
	away.times = 2;
	fake.sync_hooks->changed(fake.ctx, true, &away);
	assert_int_equal(fake_core_logged("after 12 s and 2 tries"), 1);
	(void) strcpy(fake.sync.url,
		"https://c-aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq.hearth.internal"
		":3340#vps.example.org");
	fake.sync_hooks->changed(fake.ctx, true, &first);
	assert_int_equal(
		fake_core_logged("the coordinator by relay vps.example.org:3340: connected"), 1);
	fake.sync_hooks->changed(fake.ctx, false, NULL);
	fake.sync_hooks->changed(fake.ctx, false, &away);
	assert_int_equal(fake_core_logged(""), 0);
}

/* --- hearth-helper --- */

static void test_no_memory(void **state)
{
	static const char *const each[] = { "cluster", "names", "resolv", "uapi" };

	for (size_t i = 0; i < ARRAY_LEN(each); i++) {
		assist_close(h);
		fake.missing = each[i];
		assert_int_equal(assist_open(h), -ENOMEM);
	}
	assist_close(h);
	fake.missing = NULL;
	assert_int_equal(assist_open(h), 0);
}

static void test_hooks(void **state)
{
	assert_false(fake.names->is_up(fake.ctx));
	h->mesh_state = MESH_UP;
	assert_true(fake.names->is_up(fake.ctx));
	assert_true(fake.names->has_ipv6(fake.ctx, 2));
	assert_false(fake.names->has_ipv6(fake.ctx, 3));
	fake.cluster->told(fake.ctx);
	fake_assert_asked("announce_look");
	fake.cluster->done(fake.ctx, "00112233aabbccdd");
	fake_assert_asked("keep_save_state");
	assert_string_equal(fake.state.kube_done, "00112233aabbccdd");
	fake.n_peers = 2;
	fake.peers[0] = (struct peer){ .id = 2, .reachable = true };
	fake.peers[1] = (struct peer){ .id = 3 };
	assert_true(fake.cluster->is_reachable(fake.ctx, 2));
	assert_false(fake.cluster->is_reachable(fake.ctx, 3));
	assert_false(fake.cluster->is_reachable(fake.ctx, 4));
	assist_log_settled(h, true);
	fake_assert_asked("names_log_settled-1 cluster_log_settled-1");
	assist_log_settled(h, false);
	fake_assert_asked("names_log_settled-0 cluster_log_settled-0");
}

/* At the end there is no presence to be told any more. */
static void test_told_at_the_end(void **state)
{
	h->announce = announce_free(h->announce);
	(void) fake_asked();
	fake.cluster->told(fake.ctx);
	fake_assert_asked("");
}

#define HURRY "names_hurry uapi_hurry cluster_hurry resolv_hurry"
#define RETRY "names_retry uapi_retry cluster_retry resolv_retry"

/* Its socket: another one is another helper. */
static void start_helper(void)
{
	char other[PATH_TEXT_MAX];

	(void) snprintf(other, sizeof(other), "%s/other", dir);
	assert_int_equal(close(open(other, O_CREAT | O_WRONLY, 0600)), 0);
	assert_int_equal(rename(other, h->core.helper_path), 0); /* never of the same number */
}

static void test_retry(void **state)
{
	assist_retry(h);
	fake_assert_asked(RETRY);
	start_helper();
	assist_retry(h);
	fake_assert_asked(HURRY " " RETRY);
	assist_retry(h);
	fake_assert_asked(RETRY);
	start_helper();
	assist_retry(h);
	fake_assert_asked(HURRY " " RETRY);
	assert_int_equal(unlink(h->core.helper_path), 0);
	assist_retry(h);
	fake_assert_asked(RETRY);
	assist_retry_now(h);
	fake_assert_asked(HURRY " " RETRY);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(cannot_ask),
		TEST(configure),
		TEST(proxy),
		TEST(peer_moved),
		TEST(position),
		TEST(connection),
		TEST(no_memory),
		TEST(hooks),
		TEST(told_at_the_end),
		TEST(retry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
