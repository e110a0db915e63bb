/* Environment, configuration, results: what is refused with which code, what comes out per version. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/cleanup.h"
#include "cni/attach.h"
#include "cni/conf.h"
#include "cni/env.h"
#include "cni/result.h"

/* "A=1\0B=2\0" as an environment. */
static const char *get(void *ctx, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = ctx; *p; p += strlen(p) + 1)
		if (!strncmp(p, name, len) && p[len] == '=')
			return p + len + 1;
	return NULL;
}

static enum cni_code env_of(const char *vars, struct env *ret, struct err *err)
{
	return env_read(get, (void *) vars, ret, err);
}

#define FULL(cmd) \
	"CNI_COMMAND=" cmd "\0CNI_CONTAINERID=c1\0CNI_NETNS=/n\0CNI_IFNAME=eth0\0CNI_PATH=/p\0"

static void missing_variables_are_all_named(void **state)
{
	static const struct {
		const char *vars, *missing; /* NULL: fine */
	} cases[] = {
		{ FULL("ADD"), NULL },
		{ FULL("CHECK"), NULL },
		{ FULL("DEL"), NULL },
		{ "CNI_COMMAND=GC\0", NULL },
		{ "CNI_COMMAND=STATUS\0", NULL },
		{ "CNI_COMMAND=VERSION\0", NULL },
		{ "CNI_COMMAND=DEL\0CNI_CONTAINERID=c\0CNI_IFNAME=e\0", NULL },
		{ "CNI_COMMAND=DEL\0CNI_CONTAINERID=c\0CNI_IFNAME=e\0CNI_NETNS=\0", NULL },
		{ "CNI_COMMAND=ADD\0", "missing: CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME" },
		{ "CNI_COMMAND=CHECK\0", "missing: CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME" },
		{ "CNI_COMMAND=DEL\0", "missing: CNI_CONTAINERID, CNI_IFNAME" },
		{ "CNI_CONTAINERID=c\0", "missing: CNI_COMMAND, CNI_NETNS, CNI_IFNAME" },
		{ "CNI_COMMAND=ADD\0CNI_CONTAINERID=c\0CNI_IFNAME=e\0", "missing: CNI_NETNS" },
		{ "CNI_COMMAND=ADD\0CNI_CONTAINERID=\0CNI_NETNS=n\0CNI_IFNAME=e\0",
			"missing: CNI_CONTAINERID" },
		{ "CNI_COMMAND=add\0CNI_CONTAINERID=c\0CNI_NETNS=n\0CNI_IFNAME=e\0", "\"add\"" },
		{ "CNI_COMMAND=FROB\0", "\"FROB\"" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct env env;
		struct err err = { 0 };
		enum cni_code code = env_of(cases[i].vars, &env, &err);

		assert_int_equal(code, cases[i].missing ? CNI_ENVIRONMENT : CNI_OK);
		if (cases[i].missing && !strstr(err.text, cases[i].missing))
			fail_msg("case %zu: %s", i, err.text);
	}
	assert_true(env_is_empty(get, (void *) "PATH=/bin\0"));
	assert_false(env_is_empty(get, (void *) "CNI_IFNAME=x\0"));
}

static void malformed_variables_are_refused(void **state)
{
	static const char *const ids[] = { "../x", "-x", ".x", "_x", "a b", "a/b", "a\nb",
		"\xc3\xa4" };
	static const char *const links[] = { ".", "..", "a/b", "a:b", "a b", "a\tb",
		"sixteen-letters-", "a\x01" };
	static const char *const args[] = { "x", "=y", "IP=nonsense", "A=b;;IP=1.2.3",
		"K=v;broken" };
	char vars[256];
	struct env env;
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		int n = snprintf(vars, sizeof(vars),
			"CNI_COMMAND=DEL%cCNI_IFNAME=e%cCNI_CONTAINERID=%s%c", 0, 0, ids[i], 0);

		vars[n] = 0;
		assert_int_equal(env_of(vars, &env, &err), CNI_ENVIRONMENT);
		assert_non_null(strstr(err.text, "CNI_CONTAINERID"));
	}
	for (size_t i = 0; i < ARRAY_LEN(links); i++) {
		int n = snprintf(vars, sizeof(vars),
			"CNI_COMMAND=DEL%cCNI_IFNAME=%s%cCNI_CONTAINERID=c%c", 0, links[i], 0, 0);

		vars[n] = 0;
		assert_int_equal(env_of(vars, &env, &err), CNI_ENVIRONMENT);
		assert_non_null(strstr(err.text, "CNI_IFNAME"));
	}
	for (size_t i = 0; i < ARRAY_LEN(args); i++) {
		int n = snprintf(vars, sizeof(vars),
			"CNI_COMMAND=ADD%cCNI_IFNAME=e%cCNI_CONTAINERID=c%cCNI_NETNS=n%cCNI_ARGS=%"
			"s%c",
			0, 0, 0, 0, args[i], 0);

		vars[n] = 0;
		assert_int_equal(env_of(vars, &env, &err), CNI_ENVIRONMENT);
		assert_non_null(strstr(err.text, "CNI_ARGS"));
		memcpy(vars + 12, "DEL", 3); /* must work all the same */
		assert_int_equal(env_of(vars, &env, &err), CNI_OK);
	}
	assert_int_equal(
		env_of(FULL("ADD") "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAME=web;IP=10.1.2.3/24;\0"
				   "CNI_NETNS_OVERRIDE=TRUE\0",
			&env, &err),
		CNI_OK);
	assert_int_equal(env.n_want, 1);
	assert_int_equal(env.want[0].bytes[3], 3);
	assert_true(env.netns_override);
}

static enum cni_code conf_of(const char *text, enum verb verb, struct conf *conf, struct err *err)
{
	memset(conf, 0, sizeof(*conf));
	return conf_parse(text, strlen(text), verb, conf, err);
}

#define CONF(version, more) \
	"{\"cniVersion\":\"" version "\",\"name\":\"hearth\",\"type\":\"hearth\"" more "}"

static void configurations_are_read(void **state)
{
	static const struct {
		const char *text;
		enum verb verb;
		enum cni_code code;
	} cases[] = {
		{ CONF("1.1.0", ""), VERB_ADD, CNI_OK },
		{ CONF("0.4.0", ""), VERB_CHECK, CNI_OK },
		{ "", VERB_ADD, CNI_DECODE },
		{ "{", VERB_ADD, CNI_DECODE },
		{ "[]", VERB_ADD, CNI_DECODE },
		{ "\"x\"", VERB_DEL, CNI_DECODE },
		{ "{\"name\":\"hearth\"}", VERB_ADD, CNI_VERSION },
		{ CONF("", ""), VERB_ADD, CNI_VERSION },
		{ CONF("0.3.1", ""), VERB_ADD, CNI_VERSION },
		{ CONF("2.0.0", ""), VERB_ADD, CNI_VERSION },
		{ CONF("1.1", ""), VERB_ADD, CNI_VERSION },
		{ CONF("abc", ""), VERB_ADD, CNI_DECODE },
		{ CONF("1.1.0.0", ""), VERB_ADD, CNI_DECODE },
		{ CONF("1..0", ""), VERB_ADD, CNI_DECODE },
		{ CONF("1.0.0-rc1", ""), VERB_ADD, CNI_DECODE },
		{ "{\"cniVersion\":1,\"name\":\"hearth\"}", VERB_ADD, CNI_DECODE },
		{ "{\"cniVersion\":\"1.0.0\"}", VERB_ADD, CNI_CONFIG },
		{ "{\"cniVersion\":\"1.0.0\",\"name\":\"\"}", VERB_ADD, CNI_CONFIG },
		{ "{\"cniVersion\":\"1.0.0\",\"name\":\"a/b\"}", VERB_DEL, CNI_CONFIG },
		{ "{\"cniVersion\":\"1.0.0\",\"name\":\"..\"}", VERB_DEL, CNI_CONFIG },
		{ "{\"cniVersion\":\"1.0.0\",\"name\":7}", VERB_ADD, CNI_CONFIG },
		{ CONF("1.0.0", ""), VERB_GC, CNI_VERSION },
		{ CONF("1.0.0", ""), VERB_STATUS, CNI_VERSION },
		{ CONF("1.1.0", ""), VERB_GC, CNI_OK },
		{ CONF("1.1.0", ""), VERB_STATUS, CNI_OK },
		{ CONF("1.0.0", ",\"device\":\"a/b\""), VERB_ADD, CNI_CONFIG },
		{ CONF("1.0.0", ",\"device\":7"), VERB_ADD, CNI_CONFIG },
		{ CONF("1.0.0", ",\"device\":\"a-name-too-long-for-it\""), VERB_ADD, CNI_CONFIG },
		{ CONF("1.0.0", ",\"subnets\":[\"10.0.0.1/24\"]"), VERB_ADD, CNI_CONFIG },
		{ CONF("1.0.0", ",\"subnets\":\"10.0.0.0/24\""), VERB_ADD, CNI_CONFIG },
		{ CONF("1.0.0", ",\"subnets\":[\"10.0.0.0/31\"]"), VERB_ADD, CNI_CONFIG },
		{ CONF("1.0.0", ",\"subnets\":[\"0.0.0.0/0\"]"), VERB_ADD, CNI_CONFIG },
		{ CONF("1.0.0", ",\"subnets\":[\"127.0.0.0/8\"]"), VERB_ADD, CNI_CONFIG },
		{ CONF("1.0.0", ",\"subnets\":[\"fe80::/64\"]"), VERB_ADD, CNI_CONFIG },
		{ CONF("1.0.0", ",\"subnets\":[\"224.0.0.0/8\"]"), VERB_ADD, CNI_CONFIG },
		{ CONF("1.0.0", ",\"subnets\":[7]"), VERB_ADD, CNI_CONFIG },
		{ CONF("1.0.0", ",\"subnets\":[\"10.0.0.0/8\",\"10.1.0.0/16\"]"), VERB_ADD,
			CNI_CONFIG },
		{ CONF("1.0.0", ",\"subnets\":[\"nonsense\"]"), VERB_DEL, CNI_OK },
		{ CONF("1.0.0", ",\"nodeAddresses\":[\"10.0.0.0/24\"]"), VERB_ADD, CNI_CONFIG },
		{ CONF("1.0.0", ",\"nodeAddresses\":{}"), VERB_ADD, CNI_CONFIG },
		{ CONF("1.0.0", ",\"prevResult\":[]"), VERB_ADD, CNI_DECODE },
		{ CONF("1.0.0", ",\"prevResult\":[]"), VERB_DEL, CNI_OK },
		{ CONF("1.0.0", ",\"dns\":[]"), VERB_ADD, CNI_CONFIG },
		{ CONF("1.0.0", ",\"runtimeConfig\":[]"), VERB_ADD, CNI_CONFIG },
		{ CONF("1.0.0", ",\"runtimeConfig\":{\"what\":1},\"frob\":{}"), VERB_ADD, CNI_OK },
		{ CONF("1.0.0", ",\"runtimeConfig\":{\"portMappings\":[{\"HostPort\":0,"
				"\"ContainerPort\":80}]}"),
			VERB_ADD, CNI_OK },
		{ CONF("1.0.0", ",\"runtimeConfig\":{\"portMappings\":[{\"HostPort\":8080}]}"),
			VERB_ADD, CNI_UNSUPPORTED_FIELD },
		{ CONF("1.0.0", ",\"runtimeConfig\":{\"PortMappings\":[{\"hostPort\":8080}]}"),
			VERB_ADD, CNI_UNSUPPORTED_FIELD },
		{ CONF("1.0.0", ",\"runtimeConfig\":{\"bandwidth\":{\"IngressRate\":1000}}"),
			VERB_ADD, CNI_UNSUPPORTED_FIELD },
		{ CONF("1.0.0", ",\"runtimeConfig\":{\"ips\":[\"nonsense\"]}"), VERB_ADD,
			CNI_CONFIG },
		{ CONF("1.0.0", ",\"runtimeConfig\":{\"ips\":7}"), VERB_ADD, CNI_CONFIG },
		{ CONF("1.1.0", ",\"cni.dev/valid-attachments\":{}"), VERB_GC, CNI_CONFIG },
		{ CONF("1.1.0", ",\"cni.dev/valid-attachments\":[{}]"), VERB_GC, CNI_CONFIG },
		{ CONF("1.1.0", ",\"cni.dev/valid-attachments\":[7]"), VERB_GC, CNI_CONFIG },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP_CONF struct conf conf;
		struct err err = { 0 };
		enum cni_code code = conf_of(cases[i].text, cases[i].verb, &conf, &err);

		if (code != cases[i].code)
			fail_msg("%s: code %d, want %d (%s)", cases[i].text, code, cases[i].code,
				err.text);
		assert_true(code == CNI_OK || *err.text);
	}
}

static void fields_arrive(void **state)
{
	CLEANUP_CONF struct conf conf, gc, old;
	struct err err = { 0 };

	assert_int_equal(
		conf_of(CONF("1.1.0", ",\"device\":\"mesh7\",\"nodeAddresses\":[\"10.77.0.1\","
				      "\"fd00::1\"],"
				      "\"subnets\":[\"10.244.1.0/24\",\"fd00:1::/"
				      "64\"],\"dns\":{\"nameservers\":[]},"
				      "\"runtimeConfig\":{\"IPs\":[\"10.244.1.9/"
				      "24\"]},\"args\":{\"cni\":{\"ips\":[\"fd00:1::9\"]}}"),
			VERB_ADD, &conf, &err),
		CNI_OK);
	assert_string_equal(conf.device, "mesh7");
	assert_int_equal(conf.version, CONF_1_1_0);
	assert_int_equal(conf.n_subnets, 2);
	assert_int_equal(conf.n_want, 2);
	assert_int_equal(conf.node4.bytes[1], 77);
	assert_int_equal(conf.node6.bytes[0], 0xfd);
	assert_non_null(conf.dns);
	assert_int_equal(
		conf_of(CONF("1.1.0", ",\"cni.dev/valid-attachments\":[]"), VERB_GC, &gc, &err), 0);
	assert_non_null(gc.valid);
	assert_int_equal(
		conf_of(CONF("1.1.0", ",\"cni.dev/"
				      "attachments\":[{\"containerID\":\"a\",\"ifname\":\"b\"}]"),
			VERB_GC, &old, &err),
		0);
	assert_int_equal(json_array_size(old.valid), 1);
}

static void identity(struct attachment *at, struct lease *lease)
{
	struct err err;

	assert_int_equal(attach_name(at, "hearth", "c1", "eth0", &err), 0);
	memset(lease, 0, sizeof(*lease));
	assert_int_equal(ip_addr_parse("10.244.1.7", &lease->addrs[0]), 0);
	assert_int_equal(ip_addr_parse("fd00:1::7", &lease->addrs[1]), 0);
	lease->n_addrs = 2;
}

static void names_are_as_designed(void **state)
{
	struct attachment at, other;
	struct err err = { 0 };
	char container[LEASES_CONTAINER_MAX + 1], ifname[IFNAMSIZ], id[300];

	assert_int_equal(attach_name(&at, "hearth", "c1", "eth0", &err), 0);
	/* FNV-1a 64 of "c1eth0" is e85c39c9d8......: computed apart. */
	assert_string_equal(at.link, "hthe85c39c9d8");
	assert_string_equal(at.alias, "hearth/hearth/c1/eth0");
	assert_int_equal(at.host_mac[0] & 3, 2);
	assert_memory_not_equal(at.host_mac, at.pod_mac, 6);
	assert_int_equal(attach_name(&other, "hearth", "c1", "eth1", &err), 0);
	assert_string_not_equal(at.link, other.link);
	assert_true(attach_parse_alias(at.alias, "hearth", container, ifname));
	assert_string_equal(container, "c1");
	assert_string_equal(ifname, "eth0");
	assert_false(attach_parse_alias(at.alias, "hear", container, ifname));
	assert_false(attach_parse_alias("hearth/hearth/c1", "hearth", container, ifname));
	assert_false(attach_parse_alias("hearth/hearth//eth0", "hearth", container, ifname));
	assert_false(attach_parse_alias("", "hearth", container, ifname));
	memset(id, 'a', sizeof(id));
	id[190] = 0;
	assert_int_equal(attach_name(&at, "hearth", id, "fifteen-letters", &err), 0);
	assert_true(attach_parse_alias(at.alias, "hearth", container, ifname));
	assert_string_equal(container, id);
	id[190] = 'a';
	id[191] = 0;
	assert_true(attach_name(&at, "hearth", id, "eth0", &err) < 0);

	struct link link = { .kind = "veth", .flags = IFF_UP };

	assert_int_equal(attach_name(&at, "hearth", "c1", "eth0", &err), 0);
	strcpy(link.name, at.link);
	assert_false(attach_owns(&at, &link)); /* up without an alias: not ours */
	link.flags = 0;
	assert_true(attach_owns(&at, &link));
	strcpy(link.alias, "something else");
	assert_false(attach_owns(&at, &link));
	strcpy(link.alias, at.alias);
	assert_true(attach_owns(&at, &link));
	strcpy(link.kind, "bridge");
	assert_false(attach_owns(&at, &link));
}

static void results_have_their_version_s_form(void **state)
{
	static const char *const want[] = {
		[CONF_0_4_0] =
			"{\"cniVersion\":\"0.4.0\",\"dns\":{},\"interfaces\":[{\"mac\":\"%h\","
			"\"name\":\"%l\"},"
			"{\"mac\":\"%p\",\"name\":\"eth0\",\"sandbox\":\"/n\"}],"
			"\"ips\":[{\"address\":\"10.244.1.7/"
			"32\",\"gateway\":\"169.254.1.1\",\"interface\":1,\"version\":\"4\"},"
			"{\"address\":\"fd00:1::7/"
			"128\",\"gateway\":\"fe80::1\",\"interface\":1,\"version\":\"6\"}],"
			"\"routes\":[{\"dst\":\"0.0.0.0/0\",\"gw\":\"169.254.1.1\"},{\"dst\":\"::/"
			"0\",\"gw\":\"fe80::1\"}]}",
		[CONF_1_0_0] =
			"{\"cniVersion\":\"1.0.0\",\"dns\":{},\"interfaces\":[{\"mac\":\"%h\","
			"\"name\":\"%l\"},"
			"{\"mac\":\"%p\",\"name\":\"eth0\",\"sandbox\":\"/n\"}],"
			"\"ips\":[{\"address\":\"10.244.1.7/"
			"32\",\"gateway\":\"169.254.1.1\",\"interface\":1},"
			"{\"address\":\"fd00:1::7/128\",\"gateway\":\"fe80::1\",\"interface\":1}],"
			"\"routes\":[{\"dst\":\"0.0.0.0/0\",\"gw\":\"169.254.1.1\"},{\"dst\":\"::/"
			"0\",\"gw\":\"fe80::1\"}]}",
		[CONF_1_1_0] =
			"{\"cniVersion\":\"1.1.0\",\"dns\":{},\"interfaces\":[{\"mac\":\"%h\","
			"\"mtu\":1420,\"name\":\"%l\"},"
			"{\"mac\":\"%p\",\"mtu\":1420,\"name\":\"eth0\",\"sandbox\":\"/n\"}],"
			"\"ips\":[{\"address\":\"10.244.1.7/"
			"32\",\"gateway\":\"169.254.1.1\",\"interface\":1},"
			"{\"address\":\"fd00:1::7/128\",\"gateway\":\"fe80::1\",\"interface\":1}],"
			"\"routes\":[{\"dst\":\"0.0.0.0/0\",\"gw\":\"169.254.1.1\"},{\"dst\":\"::/"
			"0\",\"gw\":\"fe80::1\"}]}",
	};
	struct attachment at;
	struct lease lease;
	struct err err = { 0 };

	identity(&at, &lease);
	for (int v = 0; v < CONF_VERSIONS; v++) {
		struct conf conf = { .version = (enum conf_version) v };
		CLEANUP_JSON json_t *result = result_add(&conf, &at, "/n", 1420, &lease, &err);
		CLEANUP(free_p) char *text = json_text(result);
		char expect[1024], mac[LINK_MAC_TEXT_MAX];
		size_t n = 0;

		for (const char *p = want[v]; *p; p++) {
			const char *piece = NULL;

			if (*p == '%')
				switch (*++p) {
				case 'h':
					piece = link_mac_format(at.host_mac, mac);
					break;
				case 'p':
					piece = link_mac_format(at.pod_mac, mac);
					break;
				default:
					piece = at.link;
				}
			n += (size_t) snprintf(expect + n, sizeof(expect) - n, "%.*s",
				piece ? 99 : 1, piece ? piece : p);
		}
		assert_string_equal(text, expect);
		struct result back;

		assert_int_equal(result_read(result, at.link, "eth0", &back, &err), 0);
		assert_true(back.has_host && back.has_pod);
		assert_string_equal(back.sandbox, "/n");
		assert_int_equal(back.n_addrs, 2);
		assert_int_equal(back.n_routes, 2);
	}
}

static void a_previous_result_is_passed_on(void **state)
{
	struct attachment at;
	struct lease lease;
	struct err err = { 0 };

	identity(&at, &lease);
	CLEANUP_JSON json_t *prev =
		json_loads("{\"cniVersion\":\"1.0.0\",\"interfaces\":[{\"name\":\"other\"}],"
			   "\"ips\":[{\"address\":\"192.0.2.2/"
			   "24\",\"interface\":0}],\"dns\":{\"domain\":\"x\"}}",
			0, NULL);
	struct conf conf = { .version = CONF_1_0_0, .prev = prev };
	CLEANUP_JSON json_t *result = result_add(&conf, &at, "/n", 1420, &lease, &err);

	assert_int_equal(json_array_size(json_object_get(result, "interfaces")), 3);
	assert_int_equal(json_array_size(json_object_get(result, "ips")), 3);
	assert_int_equal(json_integer_value(json_object_get(
				 json_array_get(json_object_get(result, "ips"), 1), "interface")),
		2);
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(result, "dns"), "domain")), "x");
	assert_int_equal(json_array_size(json_object_get(prev, "ips")), 1); /* left as it was */
	struct result back;

	assert_int_equal(result_read(result, at.link, "eth0", &back, &err), 0);
	assert_int_equal(back.n_addrs, 2); /* the other plugin's is not ours */
	json_object_set_new(prev, "ips", json_string("x"));
	assert_null(result_add(&conf, &at, "/n", 1420, &lease, &err));
}

static void malformed_previous_results_are_refused(void **state)
{
	static const char *const texts[] = {
		"{}",
		"{\"interfaces\":7}",
		"{\"interfaces\":[7]}",
		"{\"interfaces\":[],\"ips\":7}",
		"{\"interfaces\":[],\"ips\":[{}]}",
		"{\"interfaces\":[],\"ips\":[{\"address\":\"10.0.0.1\"}]}",
		"{\"interfaces\":[],\"ips\":[{\"address\":\"10.0.0.1/33\"}]}",
		"{\"interfaces\":[],\"ips\":[{\"address\":\"10.0.0.1/-1\"}]}",
		"{\"interfaces\":[],\"ips\":[{\"address\":\"10.0.0.1/24\",\"gateway\":\"x\"}]}",
		"{\"interfaces\":[],\"routes\":{}}",
		"{\"interfaces\":[],\"routes\":[{\"dst\":\"x\"}]}",
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct result back;
		struct err err = { 0 };
		CLEANUP_JSON json_t *prev = json_loads(texts[i], 0, NULL);

		assert_non_null(prev);
		if (result_read(prev, "hth0", "eth0", &back, &err) == 0)
			fail_msg("accepted: %s", texts[i]);
		assert_non_null(strstr(err.text, "prevResult"));
	}
}

static void errors_are_printable(void **state)
{
	CLEANUP_JSON json_t *e = result_error(CONF_0_4_0, CNI_CONFIG, "a\xff\n\"b\"");

	assert_string_equal(json_string_value(json_object_get(e, "msg")), "a??\"b\"");
	assert_int_equal(json_integer_value(json_object_get(e, "code")), 7);
	assert_string_equal(json_string_value(json_object_get(e, "cniVersion")), "0.4.0");
	CLEANUP_JSON json_t *v = result_version("1.0.0");
	CLEANUP(free_p) char *text = json_text(v);

	assert_string_equal(text,
		"{\"cniVersion\":\"1.0.0\",\"supportedVersions\":[\"0.4.0\",\"1.0.0\",\"1.1.0\"]}");
}

/* For an error that is told before the configuration is read. */
static void the_version_is_seen_in_what_is_wrong_otherwise(void **state)
{
	static const struct {
		const char *text;
		enum conf_version version;
	} cases[] = {
		{ "{\"cniVersion\":\"0.4.0\"}", CONF_0_4_0 },
		{ "{\"cniVersion\":\"1.1.0\",\"name\":7}", CONF_1_1_0 },
		{ "{\"cniVersion\":\"0.3.1\",\"name\":\"n\"}", CONF_1_0_0 },
		{ "{\"cniVersion\":7}", CONF_1_0_0 },
		{ "{\"cniVersion\":\"1.1.0\"", CONF_1_0_0 },
		{ "[\"1.1.0\"]", CONF_1_0_0 },
		{ "", CONF_1_0_0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		enum conf_version version = CONF_1_0_0;

		conf_peek_version(cases[i].text, strlen(cases[i].text), &version);
		assert_int_equal(version, cases[i].version);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_version_is_seen_in_what_is_wrong_otherwise),
		cmocka_unit_test(missing_variables_are_all_named),
		cmocka_unit_test(malformed_variables_are_refused),
		cmocka_unit_test(configurations_are_read),
		cmocka_unit_test(fields_arrive),
		cmocka_unit_test(names_are_as_designed),
		cmocka_unit_test(results_have_their_version_s_form),
		cmocka_unit_test(a_previous_result_is_passed_on),
		cmocka_unit_test(malformed_previous_results_are_refused),
		cmocka_unit_test(errors_are_printable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
