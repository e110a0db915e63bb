/*
 * hosts: the marked block of names in a hosts file. Pure: text in, text out. Everything outside the
 * block stays as it is, byte for byte; taking the block out gives back the file as it was before.
 * Each mesh on a machine has a block of its own, known by the mesh's interface; that of hearth0 has
 * no name.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/ip.h"
#include "base/json.h"

enum {
	HOSTS_ENTRIES_MAX = 16384,
	HOSTS_NAMES_MAX = 4,  /* of one address */
	HOSTS_NAME_MAX = 254, /* with the NUL */
	/* Lists against advertisements have 10 to 60 MB. Twice as much memory for a moment. */
	HOSTS_FILE_MAX = 64 * 1024 * 1024,
};

struct hosts_entry {
	struct ip_addr addr;
	char names[HOSTS_NAMES_MAX][HOSTS_NAME_MAX];
	size_t n_names; /* 1 to HOSTS_NAMES_MAX */
};

/*
 * Appends to @ret the text @old with @entries as the block of interface @ifname, at the place where
 * that was, else at the end. No entries: without a block. 0, -EFBIG (result above HOSTS_FILE_MAX),
 * -ENOMEM.
 */
int hosts_edit(const char *old, size_t old_len, const char *ifname,
	const struct hosts_entry *entries, size_t n, struct buf *ret);

/* Whether hosts_edit() would change nothing. */
bool hosts_is_right(const char *text, size_t len, const char *ifname,
	const struct hosts_entry *entries, size_t n);

/*
 * Whether a line before the block of @ifname gives one of its names another address, so that
 * resolvers find that one: another mesh of the same name, or somebody's own line. Then *ret is the
 * name.
 */
bool hosts_find_taken(const char *text, size_t len, const char *ifname,
	const struct hosts_entry *entries, size_t n, const char **ret);

/*
 * Reads [{"address":"10.77.0.1","names":["n100.home.internal"]}], trusting nothing: addresses are
 * unicast and not loopback, names lie in one domain LABEL.internal. The caller frees *ret.
 * 0, -EINVAL, -E2BIG, -ENOMEM.
 */
int hosts_entries_from_json(
	const json_t *list, struct hosts_entry **ret, size_t *ret_n, struct err *err);
