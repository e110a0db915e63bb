/* wayout: where the proxy comes from, who may know its password, and what is reached without it. */
#include "mesh-maker.h"

#include <sys/stat.h>

#include "board/wayout.h"

static const char *const variables[] = { "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY",
	"no_proxy", "NO_PROXY" };

static char path[] = "/tmp/wayout-XXXXXX", file[64];

static int set_up(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(variables); i++)
		assert_int_equal(unsetenv(variables[i]), 0);
	(void) snprintf(path, sizeof(path), "/tmp/wayout-XXXXXX");
	assert_non_null(mkdtemp(path));
	(void) snprintf(file, sizeof(file), "%s/proxy", path);
	return 0;
}

static int tear_down(void **state)
{
	(void) unlink(file);
	return rmdir(path);
}

static void set(const char *name, const char *value)
{
	assert_int_equal(setenv(name, value, 1), 0);
}

static void write_file(const char *text, mode_t mode)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(file, mode), 0);
}

static void find(const struct config *config, struct wayout *ret)
{
	struct err err = { 0 };

	if (wayout_find(config, ret, &err) < 0)
		fail_msg("%s", err.text);
}

static void test_environment(void **state)
{
	static const struct config none;

	for (size_t i = 4; i-- > 0;) { /* each before those after it */
		CLEANUP_WAYOUT struct wayout w = { 0 };
		char url[64];

		(void) snprintf(url, sizeof(url), "http://ann:secret@proxy%zu:3128", i);
		set(variables[i], url);
		find(i % 2 ? &none : NULL, &w);
		assert_string_equal(w.url, url);
		assert_string_equal(w.from, variables[i]);
		assert_memory_equal(w.text, "proxy", 5);
		assert_null(strstr(w.text, "secret"));
		assert_null(w.no_proxy);
	}
	for (size_t i = 6; i-- > 4;) {
		CLEANUP_WAYOUT struct wayout w = { 0 };

		set(variables[i], variables[i]);
		find(NULL, &w);
		assert_string_equal(w.no_proxy, variables[i]);
	}
}

static void test_none(void **state)
{
	CLEANUP_WAYOUT struct wayout w = { 0 };
	struct err err = { 0 };

	set("https_proxy", "");
	set("http_proxy", "http://elsewhere");
	find(NULL, &w);
	assert_null(w.url);
	assert_int_equal(wayout_choose(&w, NULL, "example.com", 443), PROXY_NEVER);
	set("ALL_PROXY", "http://ann:sec/ret@proxy");
	assert_int_equal(wayout_find(NULL, &w, &err), -EINVAL);
	assert_non_null(strstr(err.text, "ALL_PROXY: "));
	assert_null(strstr(err.text, "sec/"));
}

static void test_config(void **state)
{
	CLEANUP_WAYOUT struct wayout w = { 0 }, more = { 0 };
	struct config config = { .proxy = "http://proxy:3128" };

	set("https_proxy", "http://elsewhere");
	set("NO_PROXY", "*");
	find(&config, &w);
	assert_string_equal(w.url, "http://proxy:3128");
	assert_string_equal(w.from, "hearthd.yaml");
	assert_string_equal(w.no_proxy, "*");
	config.has_no_proxy = true; /* the environment's do not count, then */
	find(&config, &more);
	assert_string_equal(more.no_proxy, "");
	assert_int_equal(wayout_choose(&more, NULL, "example.com", 443), PROXY_ALWAYS);
	assert_true(wayout_equal(&more, &more));
	assert_false(wayout_equal(&more, &w));
	assert_false(wayout_equal(&(struct wayout){ 0 }, &more));
}

static void test_file(void **state)
{
	CLEANUP_WAYOUT struct wayout w = { 0 }, same = { 0 };
	struct config config = { 0 };
	struct err err = { 0 };

	(void) snprintf(config.proxy_file, sizeof(config.proxy_file), "%s", file);
	assert_int_equal(wayout_find(&config, &w, &err), -ENOENT);
	assert_non_null(strstr(err.text, file));
	write_file("  http://ann:secret@proxy:3128 \n\n", 0640);
	find(&config, &w);
	assert_string_equal(w.url, "http://ann:secret@proxy:3128");
	assert_string_equal(w.from, file);
	assert_string_equal(w.text, "proxy:3128");
	for (unsigned mode = 1; mode < 8; mode++) {
		assert_int_equal(chmod(file, 0640 | mode), 0);
		assert_int_equal(wayout_find(&config, &w, &err), -EACCES);
		assert_non_null(strstr(err.text, "chmod o= "));
	}
	/* What a person names is read all the same. */
	assert_int_equal(wayout_read(file, &same, &err), 0);
	assert_string_equal(same.url, w.url);
	write_file("http://ann:secret@proxy:3128 more\n", 0600);
	assert_int_equal(wayout_find(&config, &w, &err), -EINVAL);
	assert_null(strstr(err.text, "secret"));
	write_file("\n", 0600);
	assert_int_equal(wayout_find(&config, &w, &err), -EINVAL);
	assert_int_equal(wayout_read(path, &w, &err), -EISDIR);
}

static void test_choose(void **state)
{
	static const struct {
		const char *host;
		enum proxy_use use;
	} cases[] = {
		{ "example.com", PROXY_ALWAYS },
		{ "relay.example.com.", PROXY_ALWAYS },
		{ "203.0.113.9", PROXY_ALWAYS },
		{ "2001:db8::9", PROXY_ALWAYS },
		{ "::ffff:203.0.113.9", PROXY_ALWAYS },
		/* excepted */
		{ "a.excepted.example", PROXY_NEVER },
		{ "198.51.100.7", PROXY_NEVER },
		{ "192.168.9.9", PROXY_NEVER },
		/* this machine and its links */
		{ "127.0.0.1", PROXY_NEVER },
		{ "127.9.9.9", PROXY_NEVER },
		{ "::1", PROXY_NEVER },
		{ "::ffff:127.0.0.1", PROXY_NEVER },
		{ "0.0.0.0", PROXY_NEVER },
		{ "::", PROXY_NEVER },
		{ "169.254.1.1", PROXY_NEVER },
		{ "fe80::1", PROXY_NEVER },
		{ "localhost", PROXY_NEVER },
		{ "LocalHost.", PROXY_NEVER },
		{ "x.localhost", PROXY_NEVER },
		/* a LAN, or a proxy's */
		{ "192.168.1.9", PROXY_ALSO },
		{ "10.99.0.1", PROXY_ALSO },
		{ "fd12:3456::1", PROXY_ALSO },
		{ "n100", PROXY_ALSO },
		{ "n100.", PROXY_ALSO },
		{ "n100.local", PROXY_ALSO },
		{ "N100.Home.ARPA.", PROXY_ALSO },
		{ "n100.notlan", PROXY_ALWAYS },
	};
	struct wayout w = { .url = (char *) "http://proxy",
		.no_proxy = (char *) "excepted.example, 198.51.100.7:443 192.168.9.0/24" };

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (wayout_choose(&w, NULL, cases[i].host, 443) != cases[i].use)
			fail_msg("%s", cases[i].host);
	assert_int_equal(wayout_choose(&w, NULL, "198.51.100.7", 80), PROXY_ALWAYS);
}

/* The mesh is never behind a proxy, whatever its ranges are. */
static void test_mesh(void **state)
{
	struct wayout w = { .url = (char *) "http://proxy" };
	struct settings settings = { 0 };
	struct ip_prefix ranges[SETTINGS_RANGES];

	assert_int_equal(ip_prefix_parse("203.0.113.0/24", &settings.mesh4), 0);
	assert_int_equal(ip_prefix_parse("10.98.0.0/16", &settings.pods4), 0);
	assert_true(settings_ranges(&settings, ranges) >= 2);
	assert_int_equal(wayout_choose(&w, &settings, "203.0.113.9", 443), PROXY_NEVER);
	assert_int_equal(wayout_choose(&w, &settings, "10.98.1.1", 443), PROXY_NEVER);
	assert_int_equal(wayout_choose(&w, &settings, "203.0.114.9", 443), PROXY_ALWAYS);
	(void) snprintf(settings.mesh, sizeof(settings.mesh), "home");
	assert_int_equal(wayout_choose(&w, &settings, "api.home.internal.", 443), PROXY_NEVER);
	assert_int_equal(wayout_choose(&w, &settings, "api.work.internal", 443), PROXY_ALSO);
}

static void test_urls(void **state)
{
	static const char *const urls[] = { "https://coord.example.com:8443", "https://192.168.1.9",
		"https://c-x.hearth.internal:443#203.0.113.9",
		"https://c-x.hearth.internal:8443#2001:db8::9",
		"https://c-x.hearth.internal:3340#127.0.0.1", "https://[fd12::1]:8443",
		"https://[::1]:8443", "https://relay.example.com", "nonsense" };
	static const enum proxy_use uses[] = { PROXY_ALWAYS, PROXY_ALSO, PROXY_ALWAYS, PROXY_NEVER,
		PROXY_NEVER, PROXY_ALSO, PROXY_NEVER, PROXY_NEVER, PROXY_NEVER };
	struct wayout w = { .url = (char *) "http://proxy",
		.no_proxy = (char *) "[2001:db8::9]:8443,relay.example.com:443" };
	enum proxy_use found[ARRAY_LEN(urls)];

	wayout_choose_urls(&w, NULL, urls, ARRAY_LEN(urls), found);
	for (size_t i = 0; i < ARRAY_LEN(urls); i++)
		if (found[i] != uses[i])
			fail_msg("%s", urls[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(environment),
		TEST(none),
		TEST(config),
		TEST(file),
		TEST(choose),
		TEST(mesh),
		TEST(urls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
