/*
 * mesh_log_load() and netmap_apply(): a file of anything is read, what is good of it reads back as
 * the same log, and payloads of any kind leave a netmap whole.
 */
#include <stdlib.h>
#include <string.h>

#include "mesh/log.h"
#include "mesh/netmap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The root key is the seed of 32 bytes 1, as in the unit tests and the corpus. */
static void root_hash(uint8_t ret[static 32])
{
	uint8_t seed[32], root[32];

	memset(seed, 1, sizeof(seed));
	record_public_key(seed, root);
	record_root_hash(root, ret);
}

static void load(const char *text, size_t len)
{
	CLEANUP_MESH_LOG struct mesh_log *log = NULL, *again = NULL;
	CLEANUP_BUF struct buf saved = { 0 };
	CLEANUP_NETMAP struct netmap *netmap = netmap_new();
	uint8_t hash[32];
	size_t lines, good;

	root_hash(hash);
	if (mesh_log_load(hash, text, len, &log, &lines, &good, NULL))
		abort();
	if (good > len || (lines == 0) != (good == len))
		abort();
	if (mesh_log_save(log, 1, &saved) || netmap_follow(netmap, log, NULL, NULL))
		abort();
	if (netmap_seq(netmap) != mesh_log_head(log))
		abort();
	if (mesh_log_load(hash, buf_str(&saved), saved.len, &again, &lines, &good, NULL) || lines)
		abort();
	if (memcmp(mesh_log_head_hash(log), mesh_log_head_hash(again), 32))
		abort();
}

/* Each line of the input is "TYPE PAYLOAD", applied in turn. */
static void apply(const char *text, size_t len)
{
	CLEANUP_NETMAP struct netmap *netmap = netmap_new();

	while (len) {
		const char *end = memchr(text, '\n', len);
		size_t line = end ? (size_t) (end - text) : len;
		const char *space = memchr(text, ' ', line);

		if (space && space - text < RECORD_TYPE_MAX) {
			struct record record = { .seq = netmap_seq(netmap) + 1 };
			size_t count = netmap_count(netmap);

			memcpy(record.type, text, (size_t) (space - text));
			record.payload = (uint8_t *) (uintptr_t) (space + 1);
			record.payload_len = line - (size_t) (space + 1 - text);
			struct netmap_change change = { 0 };
			int r = netmap_apply(netmap, &record, &change, NULL);
			/* Only a tombstone that was applied takes a node, and one. */
			size_t lost = change.kind == NETMAP_CHANGE_REMOVED ? 1 : 0;

			if (netmap_count(netmap) + lost < count || (lost && r != 1) ||
				(lost && strcmp(record.type, RECORD_TYPE_TOMBSTONE)))
				abort();
		}
		line += end != NULL;
		text += line;
		len -= line;
	}
	for (const struct node *n = NULL; (n = netmap_next(netmap, n));)
		if (netmap_by_name(netmap, n->name) != n || netmap_by_wg(netmap, n->wg) != n ||
			netmap_by_addr(netmap, &n->mesh6) != n)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	load((const char *) data, size);
	apply((const char *) data, size);
	return 0;
}
