/*
 * uapi: the text of WireGuard's cross-platform userspace interface, which `wg` speaks with a
 * program through /var/run/wireguard/IFNAME.sock: requests in, replies out. Pure.
 *
 * A request is "get=1" or "set=1" and lines of key=value up to an empty line. A set is read as a
 * whole before anything of it is done.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/ip.h"

enum {
	UAPI_KEY_LEN = 32,
	UAPI_ZONE_MAX = 16, /* interface name of a link-local endpoint, with the NUL */
	UAPI_REQUEST_MAX =
		64 * 1024 * 1024, /* bytes of one request: 65,536 peers with 10 prefixes */
	UAPI_LINE_MAX = 256,      /* bytes of one line */
};

enum uapi_operation { UAPI_GET, UAPI_SET };

struct uapi_allowed {
	struct ip_prefix prefix;
	bool remove; /* "allowed_ip=-10.0.0.0/8" */
};

struct uapi_set_peer {
	uint8_t key[UAPI_KEY_LEN];
	uint8_t psk[UAPI_KEY_LEN]; /* zero takes it away */
	struct endpoint endpoint;
	char zone[UAPI_ZONE_MAX]; /* of the endpoint if it was named, to be looked up; else "" */
	size_t first_allowed, n_allowed; /* part of uapi_set's list, in order */
	uint16_t keepalive_s;
	bool remove, update_only, replace_allowed_ips;
	bool has_psk, has_endpoint, has_keepalive;
};

/* A set. Secrets in it: uapi_set_done() wipes them. Embedded, zero-initialised. */
struct uapi_set {
	uint8_t private_key[UAPI_KEY_LEN]; /* zero takes it away */
	uint32_t fwmark;
	uint16_t listen_port;
	bool has_private_key, has_fwmark, has_listen_port, replace_peers;
	struct uapi_set_peer *peers; /* in the order of the request; a key may come twice */
	size_t n_peers, cap_peers;
	struct uapi_allowed *allowed;
	size_t n_allowed, cap_allowed;
};

/*
 * Where the first request in @data ends (its empty line included), 0 if it is not complete yet, or
 * -E2BIG: longer than UAPI_REQUEST_MAX. The first @seen bytes were found without an end before.
 */
long uapi_request_len(const char *data, size_t len, size_t seen);

/* Which operation a complete request asks for, or -EPROTO. */
int uapi_request_operation(const char *data, size_t len);

/*
 * Reads a complete set request. -EINVAL a bad value, -EPROTO an unknown key or no such form,
 * -ENOMEM; @ret is to be given to uapi_set_done() in any case.
 */
int uapi_set_parse(const char *data, size_t len, struct uapi_set *ret);
void uapi_set_done(struct uapi_set *set);
#define CLEANUP_UAPI_SET CLEANUP(uapi_set_done)

struct uapi_get_peer {
	uint8_t key[UAPI_KEY_LEN], psk[UAPI_KEY_LEN];
	struct endpoint endpoint;        /* family 0: none */
	uint64_t last_handshake_wall_us; /* 0: never */
	uint64_t rx_bytes, tx_bytes;
	uint16_t keepalive_s;
	struct ip_prefix *allowed; /* owned */
	size_t n_allowed, cap_allowed;
};

/* What a get tells. Embedded, zero-initialised. */
struct uapi_get {
	uint8_t private_key[UAPI_KEY_LEN]; /* zero: none */
	uint32_t fwmark;
	uint16_t listen_port;
	struct uapi_get_peer *peers; /* owned */
	size_t n_peers;
};
void uapi_get_done(struct uapi_get *get);
#define CLEANUP_UAPI_GET CLEANUP(uapi_get_done)

/* Appends the lines of @get, without the closing errno= line. Zones of addresses are numbers. */
void uapi_get_format(const struct uapi_get *get, struct buf *ret);

/* Appends "errno=R" (0 or a negative errno) and the empty line that ends every reply. */
void uapi_reply_end(struct buf *ret, int r);
