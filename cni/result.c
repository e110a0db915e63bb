/* result: see result.h. */
#include "cni/result.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"

static json_t *interface(const struct conf *conf, const char *name, const uint8_t *mac,
	unsigned mtu, const char *sandbox)
{
	char text[LINK_MAC_TEXT_MAX];
	json_t *o = json_pack("{s:s, s:s}", "name", name, "mac", link_mac_format(mac, text));

	if (o && sandbox)
		json_object_set_new(o, "sandbox", json_string(sandbox));
	if (o && conf->version >= CONF_1_1_0)
		json_object_set_new(o, "mtu", json_integer(mtu));
	return o;
}

static json_t *ip_entry(const struct conf *conf, const struct ip_addr *addr, size_t interface_at)
{
	char text[PREFIX_TEXT_MAX];
	bool four = addr->family == AF_INET;
	struct ip_prefix p = { .addr = *addr, .len = (uint8_t) ip_bits(addr->family) };
	json_t *o = json_pack("{s:s, s:s, s:I}", "address", ip_prefix_format(&p, text), "gateway",
		four ? ATTACH_GATEWAY4 : ATTACH_GATEWAY6, "interface", (json_int_t) interface_at);

	if (o && conf->version < CONF_1_0_0)
		json_object_set_new(o, "version", json_string(four ? "4" : "6"));
	return o;
}

/* The list @key of @result, made if there is none. NULL if it is something else. */
static json_t *list_of(json_t *result, const char *key)
{
	json_t *list = json_object_get(result, key);

	if (!list || json_is_null(list)) {
		json_object_set_new(result, key, json_array());
		list = json_object_get(result, key);
	}
	return json_is_array(list) ? list : NULL;
}

json_t *result_add(const struct conf *conf, const struct attachment *at, const char *netns,
	unsigned mtu, const struct lease *lease, struct err *err)
{
	CLEANUP_JSON json_t *out = conf->prev ? json_deep_copy(conf->prev) : json_object();

	json_object_set_new(out, "cniVersion", json_string(conf_version_name(conf->version)));
	json_t *links = list_of(out, "interfaces"), *ips = list_of(out, "ips");
	json_t *routes = list_of(out, "routes");
	bool seen[2] = { false, false };

	if (!links || !ips || !routes) {
		(void) err_set(
			err, -EINVAL, "prevResult: interfaces, ips and routes must be lists");
		return NULL;
	}
	json_object_set_new(out, "cniVersion", json_string(conf_version_name(conf->version)));
	json_array_append_new(links, interface(conf, at->link, at->host_mac, mtu, NULL));
	json_array_append_new(links, interface(conf, at->ifname, at->pod_mac, mtu, netns));
	for (size_t i = 0; i < lease->n_addrs; i++) {
		bool six = lease->addrs[i].family == AF_INET6;

		json_array_append_new(
			ips, ip_entry(conf, &lease->addrs[i], json_array_size(links) - 1));
		if (!seen[six])
			json_array_append_new(
				routes, json_pack("{s:s, s:s}", "dst", six ? "::/0" : "0.0.0.0/0",
						"gw", six ? ATTACH_GATEWAY6 : ATTACH_GATEWAY4));
		seen[six] = true;
	}
	if (conf->dns)
		json_object_set(out, "dns", (json_t *) conf->dns);
	else if (!json_object_get(out, "dns"))
		json_object_set_new(out, "dns", json_object());
	return TAKE(out);
}

json_t *result_error(enum conf_version version, enum cni_code code, const char *message)
{
	char text[ERR_TEXT_MAX];
	size_t i = 0;

	for (; message[i] && i < sizeof(text) - 1; i++)
		text[i] = message[i] >= ' ' && message[i] <= '~' ? message[i] : '?';
	text[i] = 0;
	return json_pack("{s:s, s:i, s:s}", "cniVersion", conf_version_name(version), "code",
		(int) code, "msg", text);
}

json_t *result_version(const char *asked)
{
	json_t *list = json_array();

	for (int v = 0; v < CONF_VERSIONS; v++)
		json_array_append_new(list, json_string(conf_version_name((enum conf_version) v)));
	return json_pack("{s:s, s:o}", "cniVersion", asked ? asked : conf_version_name(CONF_1_1_0),
		"supportedVersions", list);
}

/* --- prevResult --- */

static int bad(struct err *err, const char *what)
{
	return err_set(err, -EINVAL, "prevResult: %s", what);
}

static int read_interfaces(const json_t *prev, const char *host_link, const char *ifname,
	struct result *ret, size_t *ret_pod_at, struct err *err)
{
	const json_t *list = json_object_get(prev, "interfaces"), *v;
	size_t i;

	if (!json_is_array(list))
		return bad(err, "no list of interfaces");
	json_array_foreach(list, i, v)
	{
		const char *name = json_string_value(json_object_get(v, "name"));
		const char *mac = json_string_value(json_object_get(v, "mac"));
		const char *sandbox = json_string_value(json_object_get(v, "sandbox"));

		if (!name)
			return bad(err, "an interface has no name");
		bool pod = sandbox && *sandbox && !strcmp(name, ifname);
		bool host = !pod && !strcmp(name, host_link);

		if (pod) {
			ret->has_pod = true;
			*ret_pod_at = i;
			(void) snprintf(ret->pod_mac, sizeof(ret->pod_mac), "%s", mac ? mac : "");
			(void) snprintf(ret->sandbox, sizeof(ret->sandbox), "%s", sandbox);
		} else if (host) {
			ret->has_host = true;
			(void) snprintf(ret->host_mac, sizeof(ret->host_mac), "%s", mac ? mac : "");
		}
	}
	return 0;
}

/* An address with its length, host bits kept: "10.244.1.7/24". */
static int read_address(const char *text, struct ip_prefix *ret)
{
	char addr[PREFIX_TEXT_MAX];

	if (!text || strlen(text) >= sizeof(addr))
		return -EINVAL;
	memcpy(addr, text, strlen(text) + 1);
	char *slash = strchr(addr, '/');

	if (!slash)
		return -EINVAL;
	*slash = 0;
	if (ip_addr_parse(addr, &ret->addr) < 0)
		return -EINVAL;
	uint64_t len;

	if (number_parse(slash + 1, 0, ip_bits(ret->addr.family), &len) < 0)
		return -EINVAL;
	ret->len = (uint8_t) len;
	return 0;
}

static int read_optional_addr(const json_t *v, struct ip_addr *ret)
{
	const char *text = json_string_value(v);

	*ret = (struct ip_addr){ 0 };
	return !text || !*text ? 0 : ip_addr_parse(text, ret);
}

static int read_ips(const json_t *prev, size_t pod_at, struct result *ret, struct err *err)
{
	const json_t *list = json_object_get(prev, "ips"), *v;
	size_t i;

	if (list && !json_is_null(list) && !json_is_array(list))
		return bad(err, "ips must be a list");
	json_array_foreach(list, i, v)
	{
		const json_t *at = json_object_get(v, "interface");

		if (json_is_integer(at) && (size_t) json_integer_value(at) != pod_at)
			continue; /* of another plugin's interface */
		if (ret->n_addrs == RESULT_ADDRS_MAX)
			return bad(err, "too many addresses");
		if (read_address(json_string_value(json_object_get(v, "address")),
			    &ret->addrs[ret->n_addrs]) < 0 ||
			read_optional_addr(
				json_object_get(v, "gateway"), &ret->gateways[ret->n_addrs]) < 0)
			return bad(err, "an entry of ips is no address");
		ret->n_addrs++;
	}
	return 0;
}

static int read_routes(const json_t *prev, struct result *ret, struct err *err)
{
	const json_t *list = json_object_get(prev, "routes"), *v;
	size_t i;

	if (list && !json_is_null(list) && !json_is_array(list))
		return bad(err, "routes must be a list");
	json_array_foreach(list, i, v)
	{
		struct ip_prefix dst;

		if (ret->n_routes == RESULT_ROUTES_MAX)
			return bad(err, "too many routes");
		if (read_address(json_string_value(json_object_get(v, "dst")), &dst) < 0 ||
			read_optional_addr(json_object_get(v, "gw"), &ret->vias[ret->n_routes]) < 0)
			return bad(err, "an entry of routes is no route");
		ret->routes[ret->n_routes++] = ip_prefix_of(&dst.addr, dst.len);
	}
	return 0;
}

int result_read(const json_t *prev, const char *host_link, const char *ifname, struct result *ret,
	struct err *err)
{
	struct result result = { 0 };
	size_t pod_at = SIZE_MAX;
	int r = read_interfaces(prev, host_link, ifname, &result, &pod_at, err);

	if (r == 0)
		r = read_ips(prev, pod_at, &result, err);
	if (r == 0)
		r = read_routes(prev, &result, err);
	if (r == 0)
		*ret = result;
	return r;
}
