/*
 * yaml: YAML written by people <-> json_t, on libyaml. Only the part of YAML that every reader
 * agrees about: what YAML 1.1 (kubeadm, older tools) and 1.2 read differently is refused with the
 * line and the advice to quote it (yes, on, 0123, 1_000, 1:30, 2026-01-31 ...). Refused as well:
 * anchors, aliases, merge keys, tags, duplicate keys, keys that are no strings, .inf and .nan, NUL
 * in strings, integers beyond 64 bits, more than YAML_SIZE_MAX bytes, nesting beyond
 * JSON_DEPTH_MAX.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

enum { YAML_SIZE_MAX = 1 << 20, YAML_DOCUMENTS_MAX = 256 };

/*
 * Exactly one document, which may be any value. NULL and @err on failure; the text is not echoed.
 */
json_t *yaml_parse(const char *text, size_t len, struct err *err);

/*
 * All documents of a stream as a JSON array, without the empty ones ("---" twice, only comments).
 */
json_t *yaml_parse_all(const char *text, size_t len, struct err *err);

/*
 * As above, of a file of at most YAML_SIZE_MAX bytes. @err says the path; err->code is the errno.
 */
json_t *yaml_read_file(const char *path, struct err *err);
json_t *yaml_read_file_all(const char *path, struct err *err);

/*
 * Appends @doc as block YAML with its keys in their order. A string is quoted whenever some reader
 * could take it for something else. yaml_parse() of the result is equal to @doc. 0, or -ENOMEM, or
 * -EINVAL for a tree deeper than JSON_DEPTH_MAX; @ret is then of no use.
 */
int yaml_add(struct buf *ret, const json_t *doc);

/* The same for every element of the array @docs, with "---" between them. */
int yaml_add_all(struct buf *ret, const json_t *docs);
