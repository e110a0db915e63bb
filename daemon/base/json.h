/*
 * json: strict reading of JSON that came from outside, on jansson. Every getter names the field it
 * misses or refuses, so that the error can be shown to the person who wrote the document.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/ip.h"

static inline void json_decref_p(json_t **json)
{
	json_decref(*json);
}
#define CLEANUP_JSON CLEANUP(json_decref_p)

enum { JSON_DEPTH_MAX = 32 };

/*
 * Parses one document: duplicate keys, trailing bytes, NUL in strings, invalid UTF-8 and nesting
 * deeper than JSON_DEPTH_MAX are refused. NULL and @err on failure (never echoes the input);
 * -ENOMEM says nothing about the document. The caller has bounded @len.
 */
json_t *json_parse(const char *text, size_t len, struct err *err);

/* As above, of a file of at most @max bytes. @err says the path. */
json_t *json_read_file(const char *path, size_t max, struct err *err);

/* Compact text with sorted keys: the same document gives the same bytes. Heap, or NULL. */
char *json_text(const json_t *json);

/* Writes json_text() and a newline with file_write_atomic() if it changed. 0/1 or -errno. */
int json_write_file(const char *path, const json_t *json, mode_t mode);

/*
 * Fields of an object. 0 and *ret, or a negative errno and @err: -ENOENT absent (or null),
 * -EINVAL of another type or out of range. Strings are borrowed from @obj.
 */
int json_get_str(const json_t *obj, const char *key, const char **ret, struct err *err);
int json_get_u64(const json_t *obj, const char *key, uint64_t max, uint64_t *ret, struct err *err);
int json_get_bool(const json_t *obj, const char *key, bool *ret, struct err *err);
int json_get_array(const json_t *obj, const char *key, size_t max, json_t **ret, struct err *err);
int json_get_object(const json_t *obj, const char *key, json_t **ret, struct err *err);
int json_get_addr(
	const json_t *obj, const char *key, int family, struct ip_addr *ret, struct err *err);
int json_get_prefix(
	const json_t *obj, const char *key, int family, struct ip_prefix *ret, struct err *err);

/* Absent or null is success and leaves *ret alone. */
bool json_has(const json_t *obj, const char *key);

/* -EINVAL if @obj is no object or has a key that is not in @known (NULL at the end). */
int json_only(const json_t *obj, const char *const known[], struct err *err);
