/*
 * config: what hearthd is told by /etc/hearth/hearthd.yaml (written by enroll-node, read by
 * people):
 *
 *	mesh: home                  # its name
 *	node: 3                     # this board's number in it
 *	root: <base64>              # hash of the root key, from the token
 *	urls: [https://192.168.50.11:8443]
 *	pins: [<base64>]            # of the coordinator's TLS key
 *	interface: hearth0          # optional
 *	port: 41741                 # optional, UDP
 *	port_mapping: false         # optional: ask no gateway for the port
 *	public_ranges: true         # optional: the owner takes a mesh of public ranges
 *	beacon: false               # optional: nothing is said or heard on the LAN
 *	guessing: false             # optional: no ports of routers are guessed
 *	proxy: http://proxy:3128    # optional: without user and password, for all may read it
 *	proxy_file: /etc/hearth/proxy   # or this: a file with the URL (board/wayout.h)
 *	no_proxy: [example.com]     # optional: what is reached without it
 */
#pragma once

#include <net/if.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "base/names.h"
#include "wire/fields.h"
#include "wire/node.h"
#include "wire/proxy.h"

enum {
	CONFIG_PORT_DEFAULT = 41741,
	CONFIG_PROXY_MAX = PROXY_TEXT_MAX + 16,
	CONFIG_FILE_MAX = 256,
	CONFIG_EXCEPT_MAX = 2048,
};

struct config {
	char mesh[FIELD_NAME_MAX];
	uint32_t node;
	uint8_t root[FIELD_KEY_LEN];
	char urls[FIELD_URLS_MAX][FIELD_URL_MAX];
	size_t n_urls;
	uint8_t pins[FIELD_PINS_MAX][FIELD_KEY_LEN];
	size_t n_pins;
	char interface[IFNAMSIZ];
	uint16_t port;
	bool port_mapping; /* true unless it says false */
	bool public_ranges;
	bool beacon, guessing;                                     /* true unless it says false */
	char proxy[CONFIG_PROXY_MAX], proxy_file[CONFIG_FILE_MAX]; /* at most one; "": none */
	char no_proxy[CONFIG_EXCEPT_MAX]; /* between commas, as proxy_is_excepted() takes it */
	bool has_no_proxy;
};

/*
 * Unknown keys are refused, because a misspelt one would be a wish not heard. 0, -EINVAL, -ENOENT.
 */
int config_from_json(const json_t *json, struct config *ret, struct err *err);

/* Reads the YAML file @path. @err says the path and, where nothing is there yet, what to do. */
int config_read(const char *path, struct config *ret, struct err *err);

/*
 * Where things are; each from the environment (HEARTH_ETC, HEARTH_STATE, HEARTH_RUN) or the
 * default.
 */
struct paths {
	char etc[256], state[256], run[256];
};
void paths_init(struct paths *ret);

enum { PATH_TEXT_MAX = 512 };
/* "DIR/NAME" in @ret. Returns @ret. */
const char *paths_join(const char *dir, const char *name, char ret[static PATH_TEXT_MAX]);
