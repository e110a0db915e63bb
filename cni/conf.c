/* conf: see conf.h. */
#include "cni/conf.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/names.h"

static const char *const versions[] = {
	[CONF_0_4_0] = "0.4.0", [CONF_1_0_0] = "1.0.0", [CONF_1_1_0] = "1.1.0"
};

const char *conf_version_name(enum conf_version version)
{
	return versions[version];
}

void conf_done(struct conf *conf)
{
	json_decref(conf->json);
	conf->json = NULL;
}

static json_t *conf_get_nocase(const json_t *obj, const char *key)
{
	const char *k;
	json_t *v;

	json_object_foreach((json_t *) obj, k, v) if (!strcasecmp(k, key)) return v;
	return NULL;
}

static enum cni_code fail(struct err *err, enum cni_code code, const char *text)
{
	(void) err_set(err, -EINVAL, "%s", text);
	return code;
}

/* 1 to 3 numbers with dots between. */
static bool is_version(const char *text)
{
	for (unsigned parts = 1; parts <= 3; parts++) {
		size_t digits = strspn(text, "0123456789");

		if (!digits || digits > 6)
			return false;
		text += digits;
		if (!*text)
			return true;
		if (*text++ != '.')
			return false;
	}
	return false;
}

static enum cni_code read_version(struct conf *conf, struct err *err)
{
	const json_t *v = json_object_get(conf->json, "cniVersion");
	const char *text = v && !json_is_null(v) ? json_string_value(v) : "0.1.0";

	if (text && !*text)
		text = "0.1.0"; /* what the specification says about a missing one */
	if (!text || !is_version(text))
		return fail(err, CNI_DECODE, "cniVersion is not a version");
	for (size_t i = 0; i < ARRAY_LEN(versions); i++)
		if (!strcmp(text, versions[i])) {
			conf->version = (enum conf_version) i;
			return CNI_OK;
		}
	(void) err_set(err, -EINVAL,
		"CNI version %s is not supported (0.4.0, 1.0.0 and 1.1.0 are)%s", text,
		json_object_get(conf->json, "cniVersion")
			? ""
			: "; the configuration has no cniVersion");
	return CNI_VERSION;
}

static enum cni_code read_name(struct conf *conf, struct err *err)
{
	const char *name = json_string_value(json_object_get(conf->json, "name"));

	if (!name || !env_is_identifier(name) || strlen(name) > CONF_NAME_MAX)
		return fail(err, CNI_CONFIG,
			"the network's \"name\" must be 1 to 63 letters, digits and _.- beginning "
			"with a letter or digit");
	conf->name = name;
	return CNI_OK;
}

static enum cni_code read_device(struct conf *conf, struct err *err)
{
	const json_t *v = json_object_get(conf->json, "device");
	const char *name = v && !json_is_null(v) ? json_string_value(v) : NAMES_LINK_DEFAULT;

	if (!name || !*name || strlen(name) >= IFNAMSIZ || strpbrk(name, "/: \t\n"))
		return fail(err, CNI_CONFIG, "\"device\" is not the name of an interface");
	memcpy(conf->device, name, strlen(name) + 1);
	return CNI_OK;
}

static bool is_pod_range(const struct ip_prefix *p)
{
	const struct ip_addr *a = &p->addr;

	return p->len > 0 && ip_bits(a->family) - p->len >= 2 && !ip_addr_is_loopback(a) &&
	       !ip_addr_is_multicast(a) && !ip_addr_is_link_local(a) && !ip_addr_is_unspecified(a);
}

static enum cni_code read_subnets(struct conf *conf, struct err *err)
{
	const json_t *list = json_object_get(conf->json, "subnets"), *v;
	size_t i;

	if (!list || json_is_null(list))
		return CNI_OK;
	if (!json_is_array(list) || json_array_size(list) > CONF_SUBNETS_MAX)
		return fail(err, CNI_CONFIG, "\"subnets\" must be a list of at most 16 prefixes");
	json_array_foreach(list, i, v)
	{
		struct ip_prefix p;

		if (!json_is_string(v) || ip_prefix_parse(json_string_value(v), &p) < 0 ||
			!is_pod_range(&p))
			return fail(err, CNI_CONFIG,
				"\"subnets\" holds something that is no range for pods "
				"(such as 10.244.1.0/24)");
		for (size_t j = 0; j < conf->n_subnets; j++)
			if (ip_prefix_overlaps(&conf->subnets[j], &p))
				return fail(err, CNI_CONFIG, "\"subnets\" overlap");
		conf->subnets[conf->n_subnets++] = p;
	}
	return CNI_OK;
}

static enum cni_code read_node_addresses(struct conf *conf, struct err *err)
{
	const json_t *list = json_object_get(conf->json, "nodeAddresses"), *v;
	size_t i;

	if (!list || json_is_null(list))
		return CNI_OK;
	if (!json_is_array(list))
		return fail(err, CNI_CONFIG, "\"nodeAddresses\" must be a list of addresses");
	json_array_foreach(list, i, v)
	{
		struct ip_addr a;

		if (!json_is_string(v) || ip_addr_parse(json_string_value(v), &a) < 0)
			return fail(err, CNI_CONFIG,
				"\"nodeAddresses\" holds something that is no address");
		struct ip_addr *to = a.family == AF_INET ? &conf->node4 : &conf->node6;

		if (!to->family)
			*to = a;
	}
	return CNI_OK;
}

/* "10.244.1.9", or with a prefix length, as different runtimes write it. */
static enum cni_code read_wanted(struct conf *conf, const json_t *list, struct err *err)
{
	const json_t *v;
	size_t i;

	if (!list || json_is_null(list))
		return CNI_OK;
	if (!json_is_array(list))
		return fail(err, CNI_CONFIG, "the requested \"ips\" must be a list");
	json_array_foreach(list, i, v)
	{
		char text[PREFIX_TEXT_MAX];
		const char *s = json_string_value(v);

		if (!s || strlen(s) >= sizeof(text) || conf->n_want == CONF_SUBNETS_MAX)
			return fail(err, CNI_CONFIG, "the requested \"ips\" hold no addresses");
		memcpy(text, s, strlen(s) + 1);
		text[strcspn(text, "/")] = 0;
		if (ip_addr_parse(text, &conf->want[conf->n_want]) < 0)
			return fail(err, CNI_CONFIG, "the requested \"ips\" hold no addresses");
		conf->n_want++;
	}
	return CNI_OK;
}

static enum cni_code unsupported(struct err *err, const char *key, const json_t *value)
{
	CLEANUP(free_p) char *text = json_text(value);

	(void) err_set(err, -EOPNOTSUPP,
		"runtimeConfig.%s %.400s: not supported by this plugin; chain the plugin that does",
		key, text ? text : "");
	return CNI_UNSUPPORTED_FIELD;
}

/* Mappings without a host port ask for nothing. */
static bool maps_a_port(const json_t *list)
{
	const json_t *v;
	size_t i;

	json_array_foreach(list, i,
		v) if (json_integer_value(conf_get_nocase(v, "hostPort")) != 0) return true;
	return false;
}

static bool limits_rate(const json_t *obj)
{
	return json_integer_value(conf_get_nocase(obj, "ingressRate")) != 0 ||
	       json_integer_value(conf_get_nocase(obj, "egressRate")) != 0;
}

static enum cni_code read_runtime(struct conf *conf, struct err *err)
{
	const json_t *runtime = json_object_get(conf->json, "runtimeConfig");
	const json_t *cni = json_object_get(json_object_get(conf->json, "args"), "cni");
	enum cni_code code = read_wanted(conf, conf_get_nocase(cni, "ips"), err);

	if (code || !runtime || json_is_null(runtime))
		return code;
	if (!json_is_object(runtime))
		return fail(err, CNI_CONFIG, "\"runtimeConfig\" must be an object");
	const json_t *ports = conf_get_nocase(runtime, "portMappings");
	const json_t *bandwidth = conf_get_nocase(runtime, "bandwidth");

	if (maps_a_port(ports))
		return unsupported(err, "portMappings", ports);
	if (limits_rate(bandwidth))
		return unsupported(err, "bandwidth", bandwidth);
	return read_wanted(conf, conf_get_nocase(runtime, "ips"), err);
}

static enum cni_code read_valid(struct conf *conf, struct err *err)
{
	const json_t *list = json_object_get(conf->json, "cni.dev/valid-attachments"), *v;
	size_t i;

	if (!list)
		list = json_object_get(conf->json, "cni.dev/attachments"); /* its older name */
	if (!list || json_is_null(list))
		return CNI_OK;
	if (!json_is_array(list))
		return fail(err, CNI_CONFIG, "\"cni.dev/valid-attachments\" must be a list");
	json_array_foreach(list, i,
		v) if (!json_is_string(json_object_get(v, "containerID")) ||
		       !json_is_string(json_object_get(v, "ifname"))) return fail(err, CNI_CONFIG,
		"\"cni.dev/valid-attachments\" must hold objects with containerID and ifname");
	conf->valid = list;
	return CNI_OK;
}

static enum cni_code read_prev(struct conf *conf, struct err *err)
{
	const json_t *prev = json_object_get(conf->json, "prevResult");

	if (!prev || json_is_null(prev))
		return CNI_OK;
	if (!json_is_object(prev))
		return fail(err, CNI_DECODE, "\"prevResult\" must be an object");
	conf->prev = prev;
	return CNI_OK;
}

static enum cni_code read_for_add(struct conf *conf, struct err *err)
{
	const json_t *dns = json_object_get(conf->json, "dns");
	enum cni_code code = read_subnets(conf, err);

	if (!code)
		code = read_node_addresses(conf, err);
	if (!code)
		code = read_runtime(conf, err);
	if (!code && dns && !json_is_null(dns) && !json_is_object(dns))
		code = fail(err, CNI_CONFIG, "\"dns\" must be an object");
	conf->dns = json_is_object(dns) ? dns : NULL;
	return code;
}

static enum cni_code read_for(struct conf *conf, enum verb verb, struct err *err)
{
	enum cni_code code = read_version(conf, err);

	if (code || verb == VERB_VERSION)
		return code;
	if ((verb == VERB_GC || verb == VERB_STATUS) && conf->version < CONF_1_1_0) {
		(void) err_set(err, -EINVAL,
			"%s needs CNI version 1.1.0, the configuration says %s",
			verb == VERB_GC ? "GC" : "STATUS", versions[conf->version]);
		return CNI_VERSION;
	}
	code = read_name(conf, err);
	if (code || verb == VERB_DEL)
		return code;
	if (verb == VERB_GC)
		return read_valid(conf, err);
	code = read_device(conf, err);
	if (!code && verb == VERB_STATUS)
		return read_subnets(conf, err);
	if (!code)
		code = read_prev(conf, err);
	return code ? code : read_for_add(conf, err);
}

enum cni_code conf_parse(
	const char *text, size_t len, enum verb verb, struct conf *ret, struct err *err)
{
	CLEANUP_CONF struct conf conf = { .version = CONF_1_0_0 };

	conf.json = json_parse(text, len, err);
	if (!conf.json) {
		(void) err_prefix(err, "network configuration");
		return CNI_DECODE;
	}
	if (!json_is_object(conf.json))
		return fail(err, CNI_DECODE, "the network configuration must be a JSON object");
	enum cni_code code = read_for(&conf, verb, err);

	ret->version = conf.version;
	if (code)
		return code;
	*ret = conf;
	conf.json = NULL;
	return CNI_OK;
}

void conf_peek_version(const char *text, size_t len, enum conf_version *version)
{
	CLEANUP_CONF struct conf conf = { .json = json_parse(text, len, NULL) };

	if (json_is_object(conf.json) && read_version(&conf, NULL) == CNI_OK)
		*version = conf.version;
}
