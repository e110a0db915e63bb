/*
 * wayout: how connections leave this board: directly, or through the proxy that its configuration
 * or its environment names. Its password is in nobody's text.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "board/config.h"
#include "wire/proxy.h"
#include "wire/settings.h"

/* Zero: no proxy. */
struct wayout {
	char *url; /* of the proxy, with user and password; NULL: there is none */
	char *no_proxy;
	char text[PROXY_TEXT_MAX];  /* "HOST:PORT" of the proxy, for people */
	char from[CONFIG_FILE_MAX]; /* what names it: "https_proxy", a file */
};

/* Wipes it. */
void wayout_done(struct wayout *wayout);
#define CLEANUP_WAYOUT CLEANUP(wayout_done)

/* Whether they lead the same way. */
bool wayout_equal(const struct wayout *a, const struct wayout *b);

/*
 * What @config (NULL: none yet) names, else the environment: https_proxy, HTTPS_PROXY, all_proxy,
 * ALL_PROXY; and no_proxy, NO_PROXY, unless @config has a no_proxy of its own. 0 also if there is
 * no proxy; or -EINVAL, -EACCES (a file that others may read, or that we may not), -ENOENT ..., and
 * @err says which of them, never its content.
 */
int wayout_find(const struct config *config, struct wayout *ret, struct err *err);
/*
 * The same of a file or a pipe that a person named, which may be readable by others; exceptions are
 * the environment's.
 */
int wayout_read(const char *path, struct wayout *ret, struct err *err);

/*
 * Whether @host is reached by the proxy. Never: without one, and to what is excepted, to this
 * machine and its links, and to what is in the mesh of @settings (NULL: not known). Also: to
 * private addresses and to names that only the LAN can know, for a proxy outside knows neither, and
 * one inside may.
 */
enum proxy_use wayout_choose(const struct wayout *wayout, const struct settings *settings,
	const char *host, uint16_t port);
/* The same of each of @n URLs as sys/http takes them: "https://NAME:PORT#HOST" leads to HOST. */
void wayout_choose_urls(const struct wayout *wayout, const struct settings *settings,
	const char *const *urls, size_t n, enum proxy_use *ret);
