/* ranges: the defaults, every overlap, and the words for it. */
#include "mesh-maker.h"

static void set(struct ip_prefix *range, const char *text)
{
	assert_int_equal(ip_prefix_parse(text, range), 0);
}

static void test_defaults(void **state)
{
	struct settings settings = maker_settings();
	struct err err = { 0 };
	static const struct {
		size_t offset;
		const char *expected;
	} cases[] = {
		{ offsetof(struct settings, mesh4), "10.77.0.0/16" },
		{ offsetof(struct settings, ula), "fd12:3456:789a::/48" },
		{ offsetof(struct settings, mesh6), "fd12:3456:789a::/64" },
		{ offsetof(struct settings, pods4), "10.244.0.0/16" },
		{ offsetof(struct settings, pods6), "fd12:3456:789a:1000::/56" },
		{ offsetof(struct settings, services4), "10.96.0.0/16" },
		{ offsetof(struct settings, services6), "fd12:3456:789a:f000::/112" },
	};
	char text[PREFIX_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_string_equal(
			ip_prefix_format(
				(struct ip_prefix *) ((char *) &settings + cases[i].offset), text),
			cases[i].expected);
	assert_string_equal(ip_addr_format(&settings.api4, text), "10.77.255.1");
	assert_string_equal(ip_addr_format(&settings.dns6, text), "fd12:3456:789a::ffff:53");
	assert_int_equal(ranges_check(&settings, NULL, 0, 0, &err), 0);
	assert_int_equal(ranges_check(&settings, NULL, 0, RANGES_TAILSCALE, &err), 0);
	struct ip_prefix bad;

	set(&bad, "fd12:3456:789a::/56");
	assert_int_equal(ranges_set_ula(&settings, &bad), -EINVAL);
	set(&bad, "fc12:3456:789a::/48");
	assert_int_equal(ranges_set_ula(&settings, &bad), -EINVAL);
	set(&bad, "10.0.0.0/8");
	assert_int_equal(ranges_set_ula(&settings, &bad), -EINVAL);
}

static void test_each_other(void **state)
{
	static const struct {
		size_t offset;
		const char *value;
		int code;
		const char *says, *flag;
	} cases[] = {
		{ offsetof(struct settings, pods4), "10.77.0.0/16", -EADDRINUSE,
			"pod range 10.77.0.0/16 overlaps the mesh range 10.77.0.0/16",
			"--pods4 10." },
		{ offsetof(struct settings, pods4), "10.77.128.0/20", -EADDRINUSE, "mesh range",
			"--pods4" },
		{ offsetof(struct settings, pods4), "10.0.0.0/8", -EADDRINUSE, "mesh range",
			"--pods4 PREFIX" },
		{ offsetof(struct settings, services4), "10.244.3.0/24", -EADDRINUSE, "pod range",
			"--services4 10." },
		{ offsetof(struct settings, services4), "10.77.3.0/24", -EADDRINUSE, "mesh range",
			"--services4" },
		{ offsetof(struct settings, pods6), "fd12:3456:789a::/56", -EADDRINUSE,
			"mesh range", "--pods6" },
		{ offsetof(struct settings, pods6), "fd12:3456:789a:f000::/56", -EADDRINUSE,
			"service range", "--services6" },
		{ offsetof(struct settings, pods6), "fd12:3456:789a::/48", -EADDRINUSE,
			"mesh range", "--pods6" },
		{ offsetof(struct settings, pods6), "2001:db8:1::/56", 0, "", "" },
		{ offsetof(struct settings, services6), "fd12:3456:789a::/112", -EADDRINUSE,
			"mesh range", "--services6" },
		{ offsetof(struct settings, services6), "fd12:3456:789a:1001::/112", -EADDRINUSE,
			"pod range", "--services6" },
		{ offsetof(struct settings, mesh4), "127.0.0.0/16", -EINVAL, "loopback",
			"--mesh4" },
		{ offsetof(struct settings, mesh4), "224.0.0.0/16", -EINVAL, "multicast",
			"--mesh4" },
		{ offsetof(struct settings, pods4), "169.254.0.0/16", -EINVAL, "link-local",
			"--pods4" },
		{ offsetof(struct settings, pods4), "0.0.0.0/8", -EINVAL, "this network",
			"--pods4" },
		{ offsetof(struct settings, pods6), "fe80::/56", -EINVAL, "link-local", "--pods6" },
		{ offsetof(struct settings, services6), "ff00::/112", -EINVAL, "multicast",
			"--services6" },
		{ offsetof(struct settings, mesh4), "10.78.0.0/25", -EINVAL, "mesh4", "" },
		{ offsetof(struct settings, mesh4), "100.64.0.0/16", 0, "", "" },
		{ offsetof(struct settings, mesh4), "192.168.7.0/24", 0, "", "" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct settings settings = maker_settings();
		struct err err = { 0 };

		set((struct ip_prefix *) ((char *) &settings + cases[i].offset), cases[i].value);
		int r = ranges_check(&settings, NULL, 0, 0, &err);

		if (r != cases[i].code || !strstr(err.text, cases[i].says) ||
			!strstr(err.text, cases[i].flag))
			fail_msg("%s: %d, %s", cases[i].value, r, err.text);
	}
}

static void test_private(void **state)
{
	static const struct {
		size_t offset;
		const char *value, *says;
	} cases[] = {
		{ offsetof(struct settings, mesh4), "8.8.8.0/24", "--mesh4 10." },
		{ offsetof(struct settings, pods4), "140.82.0.0/16", "--pods4 10.78" },
		{ offsetof(struct settings, services4), "11.96.0.0/16", "--services4 10." },
		{ offsetof(struct settings, mesh4), "172.32.0.0/16", "--mesh4 10." },
		{ offsetof(struct settings, mesh4), "192.169.0.0/16", "--mesh4 10." },
		{ offsetof(struct settings, mesh4), "100.0.0.0/8", "--mesh4 PREFIX" },
		{ offsetof(struct settings, mesh4), "172.0.0.0/8", "--mesh4 PREFIX" },
		{ offsetof(struct settings, mesh4), "100.128.0.0/16", "--mesh4 10." },
		{ offsetof(struct settings, pods6), "2001:db8:1::/56", "not in the ULA" },
		{ offsetof(struct settings, pods6), "fd12:3456:789b::/56", "--pods6" },
		{ offsetof(struct settings, services6), "2606:4700::/112", "--services6" },
		{ offsetof(struct settings, mesh4), "10.1.0.0/16", NULL },
		{ offsetof(struct settings, mesh4), "172.31.255.0/24", NULL },
		{ offsetof(struct settings, mesh4), "192.168.7.0/24", NULL },
		{ offsetof(struct settings, mesh4), "100.127.0.0/16", NULL },
		{ offsetof(struct settings, pods6), "fd12:3456:789a:4000::/56", NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct settings settings = maker_settings();
		struct err err = { 0 };

		set((struct ip_prefix *) ((char *) &settings + cases[i].offset), cases[i].value);
		int r = ranges_check(&settings, NULL, 0, RANGES_ONLY_PRIVATE, &err);

		if (r != (cases[i].says ? -EPERM : 0) ||
			(r && (!strstr(err.text, cases[i].says) ||
				      !strstr(err.text, "--allow-public-ranges"))))
			fail_msg("%s: %d, %s", cases[i].value, r, err.text);
		assert_int_equal(ranges_check(&settings, NULL, 0, 0, &err), 0);
	}
}

static void test_locals(void **state)
{
	static const struct {
		const char *local, *says;
		int code;
	} cases[] = {
		{ "192.168.50.0/24", "", 0 },
		{ "0.0.0.0/0", "", 0 },
		{ "::/0", "", 0 },
		{ "127.0.0.0/8", "", 0 },
		{ "169.254.0.0/16", "", 0 },
		{ "fe80::/64", "", 0 },
		{ "224.0.0.0/4", "", 0 },
		{ "2001:db8::/64", "", 0 },
		{ "10.0.0.0/24", "", 0 },
		{ "10.77.3.0/24", "--mesh4 10.78.0.0/16", -EADDRINUSE },
		{ "10.77.3.9/32", "--mesh4", -EADDRINUSE },
		{ "10.0.0.0/8", "--mesh4 172.16.0.0/16", -EADDRINUSE },
		{ "10.244.0.0/16", "--pods4 10.78.0.0/16", -EADDRINUSE },
		{ "10.96.0.0/12", "--services4", -EADDRINUSE },
		{ "fd12:3456:789a::/64", "--ula PREFIX`, or leave the flag out", -EADDRINUSE },
		{ "fd12:3456:789a:77::/64", "--ula", -EADDRINUSE },
		{ "fd00::/8", "--ula", -EADDRINUSE },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct settings settings = maker_settings();
		struct ranges_local locals[2] = { { .name = "wlan0" }, { .name = "eth0" } };
		struct err err = { 0 };

		set(&locals[0].prefix, "192.168.1.0/24");
		set(&locals[1].prefix, cases[i].local);
		int r = ranges_check(&settings, locals, 2, 0, &err);

		if (r != cases[i].code || !strstr(err.text, cases[i].says) ||
			(r && (!strstr(err.text, "eth0") || !strstr(err.text, cases[i].local))))
			fail_msg("%s: %d, %s", cases[i].local, r, err.text);
	}
}

static void test_tailscale(void **state)
{
	struct settings settings = maker_settings();
	struct err err = { 0 };
	struct ip_prefix ula;

	set(&settings.mesh4, "100.100.0.0/16");
	assert_int_equal(ranges_check(&settings, NULL, 0, 0, &err), 0);
	assert_int_equal(ranges_check(&settings, NULL, 0, RANGES_TAILSCALE, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, "100.64.0.0/10"));
	assert_non_null(strstr(err.text, "Tailscale"));
	assert_non_null(strstr(err.text, "--mesh4 10.77.0.0/16"));
	settings = maker_settings();
	set(&settings.pods4, "100.64.0.0/16");
	assert_int_equal(ranges_check(&settings, NULL, 0, RANGES_TAILSCALE, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, "--pods4"));
	settings = maker_settings();
	set(&settings.mesh4, "100.128.0.0/16"); /* just behind */
	assert_int_equal(ranges_check(&settings, NULL, 0, RANGES_TAILSCALE, &err), 0);
	settings = maker_settings();
	set(&ula, "fd7a:115c:a1e0::/48");
	assert_int_equal(ranges_set_ula(&settings, &ula), 0);
	assert_int_equal(ranges_check(&settings, NULL, 0, 0, &err), 0);
	assert_int_equal(ranges_check(&settings, NULL, 0, RANGES_TAILSCALE, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, "--ula"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_each_other),
		cmocka_unit_test(test_private),
		cmocka_unit_test(test_locals),
		cmocka_unit_test(test_tailscale),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
