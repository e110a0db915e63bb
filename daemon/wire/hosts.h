/*
 * hosts: the marked block of names in a hosts file. Pure: text in, text out. Everything outside the
 * block stays as it is, byte for byte; taking the block out gives back the file as it was before.
 */
#pragma once

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/ip.h"
#include "base/json.h"

enum {
	HOSTS_ENTRIES_MAX = 16384,
	HOSTS_NAMES_MAX = 4,  /* of one address */
	HOSTS_NAME_MAX = 254, /* with the NUL */
	HOSTS_FILE_MAX = 4 * 1024 * 1024,
};

struct hosts_entry {
	struct ip_addr addr;
	char names[HOSTS_NAMES_MAX][HOSTS_NAME_MAX];
	size_t n_names; /* 1 to HOSTS_NAMES_MAX */
};

/*
 * Appends to @ret the text @old with @entries as its block, at the place where a block was, else at
 * the end. No entries: without a block. 0, -EFBIG (result above HOSTS_FILE_MAX), -ENOMEM.
 */
int hosts_edit(const char *old, size_t old_len, const struct hosts_entry *entries, size_t n,
	struct buf *ret);

/*
 * Reads [{"address":"10.77.0.1","names":["n100.home.internal"]}], trusting nothing: addresses are
 * unicast and not loopback, names lie in one domain LABEL.internal. The caller frees *ret.
 * 0, -EINVAL, -E2BIG, -ENOMEM.
 */
int hosts_entries_from_json(
	const json_t *list, struct hosts_entry **ret, size_t *ret_n, struct err *err);
