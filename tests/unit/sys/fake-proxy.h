/*
 * fake-proxy: an HTTP proxy on the loopback, with threads of its own, that behaves as it is told.
 * Wherever CONNECT asks for, it leads to one port of the loopback.
 */
#pragma once

#include <stdint.h>

enum fake_proxy_mode {
	FAKE_PROXY_OPEN,    /* asks for no user */
	FAKE_PROXY_BASIC,   /* wants FAKE_PROXY_USER and _PASSWORD */
	FAKE_PROXY_DIGEST,  /* the same, offers Basic, too, and closes after a refusal */
	FAKE_PROXY_DENIES,  /* 403 */
	FAKE_PROXY_LOST,    /* 502 */
	FAKE_PROXY_GARBAGE, /* what is no HTTP */
	FAKE_PROXY_HEADS,   /* 200, and 10 MB of header lines */
	FAKE_PROXY_LINE,    /* one line without an end */
	FAKE_PROXY_FLOOD,   /* a refusal with a page without an end */
	FAKE_PROXY_SILENT,
	FAKE_PROXY_CLOSES,
	FAKE_PROXY_HALF, /* stops within its answer */
};

#define FAKE_PROXY_USER     "us er"
#define FAKE_PROXY_PASSWORD "p@ss:/w%rd"
#define FAKE_PROXY_ENCODED  "us%20er:p%40ss%3A%2Fw%25rd"

struct fake_proxy;

struct fake_proxy *fake_proxy_new(enum fake_proxy_mode mode, uint16_t to_port);
void fake_proxy_free(struct fake_proxy *proxy);
uint16_t fake_proxy_port(const struct fake_proxy *proxy);
/* How often it was asked to CONNECT, and how often it did. */
unsigned fake_proxy_asked(const struct fake_proxy *proxy);
unsigned fake_proxy_connected(const struct fake_proxy *proxy);
/* "HOST:PORT" of the last CONNECT; and how often a password came by Basic. */
const char *fake_proxy_target(const struct fake_proxy *proxy);
unsigned fake_proxy_basic(const struct fake_proxy *proxy);

/* A socket that listens on the loopback. */
int fake_listen(uint16_t *ret_port);
