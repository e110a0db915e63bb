/* config: what is accepted, what is refused, and that each refusal names what it is about. */
#include "mesh-maker.h"

#include "base/yaml.h"
#include "board/config.h"

#define KEY "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="

static int read_text(const char *text, struct config *ret, struct err *err)
{
	CLEANUP_JSON json_t *json = yaml_parse(text, strlen(text), err);

	return json ? config_from_json(json, ret, err) : err->code;
}

static void test_whole(void **state)
{
	struct config config;
	struct err err = { 0 };

	assert_int_equal(
		read_text("mesh: home\nnode: 3\nroot: " KEY "\nurls: ['https://192.0.2.1:8443']\n"
			  "pins: [" KEY "]\ninterface: mesh1\nport: 5000\n",
			&config, &err),
		0);
	assert_string_equal(config.mesh, "home");
	assert_int_equal(config.node, 3);
	assert_string_equal(config.urls[0], "https://192.0.2.1:8443");
	assert_string_equal(config.interface, "mesh1");
	assert_int_equal(config.port, 5000);
	assert_true(config.beacon);
	assert_int_equal(
		read_text("mesh: home\nnode: 3\nroot: " KEY "\nurls: ['https://192.0.2.1:8443']\n"
			  "pins: [" KEY "]\n",
			&config, &err),
		0);
	assert_string_equal(config.interface, "hearth0");
	assert_int_equal(config.port, 41741);
	assert_true(config.port_mapping);
	assert_int_equal(
		read_text("mesh: home\nnode: 3\nroot: " KEY "\nurls: ['https://192.0.2.1:8443']\n"
			  "pins: [" KEY "]\nport_mapping: false\n",
			&config, &err),
		0);
	assert_false(config.port_mapping);
}

static void test_beacon(void **state)
{
	static const char must[] = "mesh: home\nnode: 3\nroot: " KEY
				   "\nurls: ['https://192.0.2.1:8443']\npins: [" KEY "]\n";
	struct config config;
	struct err err = { 0 };
	char text[1024];

	(void) snprintf(text, sizeof(text), "%sbeacon: false\n", must);
	assert_int_equal(read_text(text, &config, &err), 0);
	assert_false(config.beacon);
	assert_true(config.guessing);
	(void) snprintf(text, sizeof(text), "%sguessing: false\n", must);
	assert_int_equal(read_text(text, &config, &err), 0);
	assert_false(config.guessing);
	assert_true(config.beacon);
	(void) snprintf(text, sizeof(text), "%sbeacon: true\n", must);
	assert_int_equal(read_text(text, &config, &err), 0);
	assert_true(config.beacon);
}

static void test_refused(void **state)
{
	static const struct {
		const char *instead, *of, *says;
	} cases[] = {
		{ "node: 0", "node: 3", "node" },
		{ "node: -1", "node: 3", "node" },
		{ "node: three", "node: 3", "node" },
		{ "node: 16777216", "node: 3", "node" },
		{ "mesh: Home", "mesh: home", "mesh" },
		{ "mesh: ''", "mesh: home", "mesh" },
		{ "root: AAAA", "root: " KEY, "root" },
		{ "urls: []", "urls: ['https://192.0.2.1:8443']", "urls" },
		{ "urls: ['http://192.0.2.1:8443']", "urls: ['https://192.0.2.1:8443']", "urls" },
		{ "pins: []", "pins: [" KEY "]", "pins" },
		{ "port: 0", "port: 5000", "port" },
		{ "port: 65536", "port: 5000", "port" },
		{ "prot: 5000", "port: 5000", "prot" },
		{ "beacon: 1", "port: 5000", "beacon" },
		{ "guessing: often", "port: 5000", "guessing" },
		{ "port_mapping: maybe", "port: 5000", "port_mapping" },
		{ "interface: hth0", "interface: mesh1", "hth" },
		{ "interface: 'a/b'", "interface: mesh1", "interface" },
		{ "interface: '..'", "interface: mesh1", "interface" },
		{ "interface: a-name-that-is-long", "interface: mesh1", "interface" },
		{ "interface: ''", "interface: mesh1", "interface" },
		{ "proxy: 'http://ann:secret@proxy:3128'", "port: 5000", "proxy_file" },
		{ "proxy: 'http://ann@proxy:3128'", "port: 5000", "proxy_file" },
		{ "proxy: 'ftp://proxy'", "port: 5000", "proxy: it is none of" },
		{ "proxy: ''", "port: 5000", "proxy" },
		{ "proxy: 3128", "port: 5000", "proxy" },
		{ "proxy_file: proxy", "port: 5000", "proxy_file: an absolute path" },
		{ "proxy_file: ''", "port: 5000", "proxy_file" },
		{ "proxy_file: /a\nproxy: 'http://b'", "port: 5000", "only one" },
		{ "no_proxy: example.com", "port: 5000", "no_proxy: a list" },
		{ "no_proxy: [1]", "port: 5000", "no_proxy" },
		{ "no_proxy: ['']", "port: 5000", "no_proxy" },
		{ "no_proxy: ['a,b']", "port: 5000", "no_proxy" },
		{ "no_proxy: ['a b']", "port: 5000", "no_proxy" },
	};
	static const char whole[] =
		"mesh: home\nnode: 3\nroot: " KEY "\nurls: ['https://192.0.2.1:8443']\npins: [" KEY
		"]\ninterface: mesh1\nport: 5000\n";

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config config;
		struct err err = { 0 };
		const char *at = strstr(whole, cases[i].of);
		char text[1024];

		snprintf(text, sizeof(text), "%.*s%s%s", (int) (at - whole), whole,
			cases[i].instead, at + strlen(cases[i].of));
		assert_int_equal(read_text(text, &config, &err), -EINVAL);
		if (!strstr(err.text, cases[i].says))
			fail_msg("\"%s\" does not tell of %s", err.text, cases[i].says);
		if (strstr(err.text, "secret"))
			fail_msg("\"%s\" tells of the password", err.text);
	}
}

static void test_way_out(void **state)
{
	static const char must[] = "mesh: home\nnode: 3\nroot: " KEY
				   "\nurls: ['https://192.0.2.1:8443']\npins: [" KEY "]\n";
	struct config config;
	struct err err = { 0 };
	char text[4096];
	size_t len;

	assert_int_equal(read_text(must, &config, &err), 0);
	assert_string_equal(config.proxy, "");
	assert_string_equal(config.proxy_file, "");
	assert_false(config.has_no_proxy);
	(void) snprintf(text, sizeof(text), "%sproxy: http://proxy:3128\nno_proxy: []\n", must);
	assert_int_equal(read_text(text, &config, &err), 0);
	assert_string_equal(config.proxy, "http://proxy:3128");
	assert_true(config.has_no_proxy);
	assert_string_equal(config.no_proxy, "");
	(void) snprintf(text, sizeof(text),
		"%sproxy_file: /etc/hearth/proxy\nno_proxy: [a.example, 10.0.0.0/8]\n", must);
	assert_int_equal(read_text(text, &config, &err), 0);
	assert_string_equal(config.proxy_file, "/etc/hearth/proxy");
	assert_string_equal(config.no_proxy, "a.example,10.0.0.0/8");
	len = (size_t) snprintf(text, sizeof(text), "%sno_proxy: [", must);
	for (int i = 0; i < 400; i++)
		len += (size_t) snprintf(text + len, sizeof(text) - len, "%03d.x, ", i);
	(void) snprintf(text + len, sizeof(text) - len, "x]\n");
	assert_int_equal(read_text(text, &config, &err), -EINVAL);
	assert_non_null(strstr(err.text, "no_proxy: it is too long"));
}

static void test_absent(void **state)
{
	struct config config;
	struct err err = { 0 };

	assert_int_equal(config_read("/nonexistent/hearthd.yaml", &config, &err), -ENOENT);
	assert_non_null(strstr(err.text, "enroll-node"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_beacon),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_way_out),
		cmocka_unit_test(test_absent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
