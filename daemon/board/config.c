/*
 * The configuration is checked as a whole before anything of it is used.
 */
#include "board/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/names.h"
#include "base/yaml.h"

static const char *const known[] = { "mesh", "node", "root", "urls", "pins", "interface", "port",
	"port_mapping", "public_ranges", "beacon", "guessing", "proxy", "proxy_file", "no_proxy",
	NULL };

/* What the kernel accepts, without characters that need quoting somewhere. */
static int check_interface(const char *name, struct err *err)
{
	size_t len = strlen(name);

	if (!len || len >= IFNAMSIZ || name[0] == '.' ||
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") !=
			len)
		return err_set(err, -EINVAL,
			"interface: 1 to %d letters, digits, '-', '_' and '.' are needed",
			IFNAMSIZ - 1);
	if (names_is_pod_link(name))
		return err_set(err, -EINVAL, "interface: names that begin with hth belong to pods");
	return 0;
}

static int read_optional(const json_t *json, struct config *config, struct err *err)
{
	const char *name = NAMES_LINK_DEFAULT;
	uint64_t port = CONFIG_PORT_DEFAULT;
	int r = 0;

	if (json_has(json, "interface"))
		r = json_get_str(json, "interface", &name, err);
	if (r == 0)
		r = check_interface(name, err);
	if (r == 0 && json_has(json, "port"))
		r = json_get_u64(json, "port", UINT16_MAX, &port, err);
	config->port_mapping = true;
	if (r == 0 && json_has(json, "port_mapping"))
		r = json_get_bool(json, "port_mapping", &config->port_mapping, err);
	if (r == 0 && json_has(json, "public_ranges"))
		r = json_get_bool(json, "public_ranges", &config->public_ranges, err);
	config->beacon = true;
	if (r == 0 && json_has(json, "beacon"))
		r = json_get_bool(json, "beacon", &config->beacon, err);
	config->guessing = true;
	if (r == 0 && json_has(json, "guessing"))
		r = json_get_bool(json, "guessing", &config->guessing, err);
	if (r < 0)
		return r;
	if (!port)
		return err_set(err, -EINVAL, "port: 1 to 65535 is needed");
	(void) snprintf(config->interface, sizeof(config->interface), "%s", name);
	config->port = (uint16_t) port;
	return 0;
}

static int read_proxy(const json_t *json, struct config *config, struct err *err)
{
	CLEANUP_PROXY struct proxy proxy = { 0 };
	const char *url = "";
	int r = json_get_str(json, "proxy", &url, err);

	if (r == 0 && proxy_parse(url, &proxy, err) < 0)
		r = err_prefix(err, "proxy");
	if (r < 0)
		return r;
	if (proxy.has_user)
		return err_set(err, -EINVAL,
			"proxy: everybody may read this file, so no user and password belong here. "
			"Put the whole URL into a file (install -m 640 -g hearth FILE "
			"/etc/hearth/proxy), and say proxy_file: /etc/hearth/proxy");
	if (strlen(url) >= sizeof(config->proxy))
		return err_set(err, -EINVAL, "proxy: it is too long");
	(void) snprintf(config->proxy, sizeof(config->proxy), "%s", url);
	return 0;
}

static int read_proxy_file(const json_t *json, struct config *config, struct err *err)
{
	int r = field_get_text(
		json, "proxy_file", sizeof(config->proxy_file), config->proxy_file, err);

	if (r < 0)
		return r;
	return config->proxy_file[0] == '/'
		       ? 0
		       : err_set(err, -EINVAL, "proxy_file: an absolute path is needed");
}

/* A list, for the comma between the entries is no part of any. */
static int read_no_proxy(const json_t *json, struct config *config, struct err *err)
{
	const json_t *list = json_object_get(json, "no_proxy"), *entry;
	size_t i, len = 0;

	if (!json_is_array(list))
		return err_set(err, -EINVAL, "no_proxy: a list of names, addresses and ranges");
	json_array_foreach(list, i, entry)
	{
		const char *text = json_string_value(entry);

		if (!text || !*text || strpbrk(text, ",; \t\r\n"))
			return err_set(err, -EINVAL,
				"no_proxy: each is one name, address or range, without blanks");
		if (strlen(text) + 2 > sizeof(config->no_proxy) - len)
			return err_set(err, -EINVAL, "no_proxy: it is too long");
		len += (size_t) snprintf(config->no_proxy + len, sizeof(config->no_proxy) - len,
			"%s%s", len ? "," : "", text);
	}
	config->has_no_proxy = true;
	return 0;
}

static int read_way_out(const json_t *json, struct config *config, struct err *err)
{
	int r = 0;

	if (json_has(json, "proxy"))
		r = read_proxy(json, config, err);
	if (r == 0 && json_has(json, "proxy_file"))
		r = read_proxy_file(json, config, err);
	if (r == 0 && json_has(json, "no_proxy"))
		r = read_no_proxy(json, config, err);
	if (r == 0 && *config->proxy && *config->proxy_file)
		r = err_set(err, -EINVAL, "proxy and proxy_file: only one of them can be");
	return r;
}

int config_from_json(const json_t *json, struct config *ret, struct err *err)
{
	struct config config = { 0 };
	uint64_t id = 0;
	int r;

	r = json_only(json, known, err);
	if (r == 0)
		r = field_get_name(json, "mesh", config.mesh, err);
	if (r == 0)
		r = json_get_u64(json, "node", NODE_ID_MAX, &id, err);
	if (r == 0 && !id)
		r = err_set(err, -EINVAL, "node: 1 to %d is needed", NODE_ID_MAX);
	if (r == 0)
		r = field_get_nonzero_key(json, "root", config.root, err);
	if (r == 0)
		r = field_get_urls(json, "urls", 1, config.urls, &config.n_urls, err);
	if (r == 0)
		r = field_get_keys(
			json, "pins", 1, FIELD_PINS_MAX, config.pins, &config.n_pins, err);
	if (r == 0)
		r = read_optional(json, &config, err);
	if (r == 0)
		r = read_way_out(json, &config, err);
	if (r < 0)
		return r;
	config.node = (uint32_t) id;
	*ret = config;
	return 0;
}

int config_read(const char *path, struct config *ret, struct err *err)
{
	CLEANUP_JSON json_t *json = yaml_read_file(path, err);
	int r;

	if (!json) {
		if (err->code == -ENOENT)
			return err_set(err, -ENOENT,
				"there is no %s: "
				"this board is in no mesh yet; enrol it with `enroll-node`",
				path);
		return err->code;
	}
	r = config_from_json(json, ret, err);
	return r < 0 ? err_prefix(err, "%s", path) : 0;
}

static void set_path(const char *variable, const char *fallback, char *ret, size_t size)
{
	(void) snprintf(ret, size, "%s", env_dir(variable, fallback));
}

void paths_init(struct paths *ret)
{
	set_path("HEARTH_ETC", NAMES_ETC, ret->etc, sizeof(ret->etc));
	set_path("HEARTH_STATE", NAMES_STATE, ret->state, sizeof(ret->state));
	set_path("HEARTH_RUN", NAMES_RUN, ret->run, sizeof(ret->run));
}

const char *paths_join(const char *dir, const char *name, char ret[static PATH_TEXT_MAX])
{
	(void) snprintf(ret, PATH_TEXT_MAX, "%s/%s", dir, name);
	return ret;
}
