/*
 * fields: what several of our JSON documents share: keys, lists of keys and URLs, canonical
 * addresses, names. Every refusal names the field, never its content.
 *
 * Errors as in base/json.h: -ENOENT absent or null, -EINVAL of another type or not acceptable.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ip.h"
#include "base/json.h"

enum {
	FIELD_KEY_LEN = 32,
	FIELD_NAME_MAX = 64,  /* a DNS label with its NUL */
	FIELD_URL_MAX = 256,  /* with the NUL */
	FIELD_HOST_MAX = 254, /* likewise */
	FIELD_URLS_MAX = 16,
	FIELD_PINS_MAX = 4,
	FIELD_ID_MAX = 17, /* 16 lower-case hex digits and a NUL */
};

/* `[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?`: a mesh, a node, a tag. */
bool field_name_is_valid(const char *name);
/* Exactly @digits lower-case hexadecimal digits. */
bool field_hex_is_valid(const char *text, size_t digits);
/*
 * "https://HOST[:PORT]": a name, an IPv4 address or an IPv6 address in brackets; no path, no user.
 */
bool field_url_is_valid(const char *url);
/* An IPv4 or IPv6 address, without brackets or scope, or a DNS name. */
bool field_host_is_valid(const char *host);
/*
 * Whether @url is one as above, and then its parts: the host without brackets, and the port in
 * @url, "" if it names none.
 */
bool field_url_split(const char *url, char ret_host[static FIELD_URL_MAX], const char **ret_port);

/* A whole document is refused with -EINVAL where a field of it is missing: maps -ENOENT to that. */
int field_refuse_missing(int r, struct err *err);

/* 32 bytes in base64. */
int field_get_key(
	const json_t *obj, const char *key, uint8_t ret[static FIELD_KEY_LEN], struct err *err);
/* As above and not all zero. */
int field_get_nonzero_key(
	const json_t *obj, const char *key, uint8_t ret[static FIELD_KEY_LEN], struct err *err);
/* A list of @min to @max keys, all different. */
int field_get_keys(const json_t *obj, const char *key, size_t min, size_t max,
	uint8_t (*ret)[FIELD_KEY_LEN], size_t *ret_n, struct err *err);
/* A string of 1 to @size - 1 bytes without control characters. */
int field_get_text(const json_t *obj, const char *key, size_t size, char *ret, struct err *err);
int field_get_name(
	const json_t *obj, const char *key, char ret[static FIELD_NAME_MAX], struct err *err);
/* @digits lower-case hex digits; @ret has room for them and a NUL. */
int field_get_hex(const json_t *obj, const char *key, size_t digits, char *ret, struct err *err);
int field_get_urls(const json_t *obj, const char *key, size_t min, char (*ret)[FIELD_URL_MAX],
	size_t *ret_n, struct err *err);
/* An address or prefix of @family in the form ip_addr_format() and ip_prefix_format() print. */
int field_get_addr(
	const json_t *obj, const char *key, int family, struct ip_addr *ret, struct err *err);
int field_get_prefix(
	const json_t *obj, const char *key, int family, struct ip_prefix *ret, struct err *err);

/* New values, NULL when out of memory (json_object_set_new() then fails and says so). */
json_t *field_key(const uint8_t key[static FIELD_KEY_LEN]);
json_t *field_keys(const uint8_t (*keys)[FIELD_KEY_LEN], size_t n);
json_t *field_urls(const char (*urls)[FIELD_URL_MAX], size_t n);
json_t *field_addr(const struct ip_addr *addr);
json_t *field_prefix(const struct ip_prefix *prefix);
/* A shallow copy of @origin, which may be NULL: what to_json() writes its fields over. */
json_t *field_copy_origin(const json_t *origin);
