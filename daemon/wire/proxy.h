/*
 * proxy: the address of a proxy as people write it ("http://user:password@proxy:3128"), and lists
 * of what is reached without one (NO_PROXY). Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

enum {
	PROXY_URL_MAX = 1024, /* with the NUL */
	PROXY_HOST_MAX = 254, /* likewise, as what follows */
	PROXY_USER_MAX = 256,
	PROXY_TEXT_MAX = PROXY_HOST_MAX + 8, /* "[HOST]:PORT" */
};

enum proxy_kind {
	PROXY_HTTP,
	PROXY_HTTPS,  /* TLS to the proxy */
	PROXY_SOCKS5, /* which looks names up, whether it says socks5 or socks5h */
};

/* Whether something is reached by a proxy. */
enum proxy_use {
	PROXY_NEVER,
	PROXY_ALWAYS,
	PROXY_ALSO, /* directly, and by the proxy: whichever answers first */
};

struct proxy {
	enum proxy_kind kind;
	char host[PROXY_HOST_MAX]; /* lower case; a name, or an address without brackets */
	uint16_t port;
	bool has_user;
	char user[PROXY_USER_MAX], password[PROXY_USER_MAX];
};

/*
 * "[SCHEME://][USER[:PASSWORD]@]HOST[:PORT][/]". User and password are percent-encoded. Without a
 * scheme it is http. Ports where none is named: 80, 443, 1080. 0, or -EINVAL: @err never holds
 * anything of @url, for there may be a password in it.
 */
int proxy_parse(const char *url, struct proxy *ret, struct err *err);
/* Wipes it. */
void proxy_done(struct proxy *proxy);
#define CLEANUP_PROXY CLEANUP(proxy_done)

/* "HOST:PORT", for people: without user and password. Returns @ret. */
const char *proxy_text(const struct proxy *proxy, char ret[static PROXY_TEXT_MAX]);

/*
 * Whether @list (NO_PROXY: entries between commas or blanks) names @host, an address without
 * brackets or a name. An entry is "*" (all), an address, a range ("192.168.0.0/16"), or a name,
 * which stands for what is below it, too ("example.com", ".example.com", "*.example.com"). With
 * ":PORT" it counts for that port alone. What cannot be understood names nothing.
 */
bool proxy_is_excepted(const char *list, const char *host, uint16_t port);
