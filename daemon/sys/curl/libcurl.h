/*
 * libcurl: what all our connections by libcurl have in common: how it starts, what a socket is set
 * to, the way through a proxy, and what its errors mean.
 */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/ip.h"
#include "wire/proxy.h"

/* curl_global_init() once per process. 0 or -ENOMEM. */
int libcurl_start(void);

/* The base64 of a SHA-256 hash, and nothing else: libcurl splits lists of pins at ';'. */
bool libcurl_pin_is_valid(const char *pin);

/*
 * By which proxy a handle goes, and what it has read from it, which nobody bounds otherwise. Lies
 * as long as the handle.
 */
struct libcurl_way {
	const struct proxy *proxy; /* borrowed; NULL: directly */
	size_t head_bytes, rounds;
};

/*
 * Through @proxy (NULL: directly), whatever the environment says. Passwords go to it by Digest or
 * NTLM, by Basic only if it knows nothing else. What it answers is bounded.
 */
CURLcode libcurl_set_way(CURL *easy, const struct proxy *proxy, struct libcurl_way *way);
/* Whether that bound ended it: with CURLE_ABORTED_BY_CALLBACK or CURLE_WRITE_ERROR. */
bool libcurl_way_floods(const struct libcurl_way *way);

/*
 * Where @easy finds the name @host, so that libcurl looks up nothing: that cannot be ended, whoever
 * closes a handle waits for it. *@ret is freed after the handle. 0 or -ENOMEM.
 */
int libcurl_set_place(CURL *easy, const char *host, uint16_t port, const struct ip_addr *addrs,
	size_t n, struct curl_slist **ret);

/* A peer that is gone is noticed: by TCP's keepalive, */
CURLcode libcurl_set_keepalive(CURL *easy);
/* and by bytes that nobody acknowledges; once @fd is connected, else it bounds connecting. */
void libcurl_set_user_timeout(int fd);

/* -errno for what a call of libcurl returned, 0 for CURLE_OK. */
int libcurl_errno(CURLcode code);

/*
 * Why @easy failed with @code: its errno and a sentence that does not name the server. @said is
 * what it wrote to its CURLOPT_ERRORBUFFER. -EKEYREJECTED: another key than the pinned ones;
 * -EACCES: the proxy wants another user or password; -EPERM: it does not let us through; -EFBIG: it
 * answers without end. Returns the code.
 */
int libcurl_explain(CURL *easy, CURLcode code, const char *said, const struct libcurl_way *way,
	struct err *ret);
