/*
 * netmap: see netmap.h. Every check is made and all memory is had before anything changes, so a
 * refused record leaves no trace but its number, and the id and pods it named stay used up.
 *
 * The tables remember for ever whose a key was; names point to the last node that had them and are
 * looked at again when asked for. Mesh addresses need no table: they follow from the id.
 */
#include "mesh/netmap.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "mesh/numbers.h"
#include "mesh/ranges.h"
#include "mesh/table.h"

struct entry {
	struct node node;
	uint32_t pods; /* the range number it has for life, 0: never had one */
	bool removed;
};

struct netmap {
	uint64_t seq;
	bool has_settings;
	struct settings settings;
	struct entry **entries; /* by id, ascending */
	size_t n, cap;
	size_t count; /* not removed */
	uint32_t highest_id;
	uint32_t *pods; /* number -> id that has it */
	size_t n_pods;
	struct table names, wg, identity;
};

struct netmap *netmap_new(void)
{
	struct netmap *netmap = calloc(1, sizeof(*netmap));

	if (!netmap)
		return NULL;
	netmap->names.key_len = NODE_NAME_MAX;
	netmap->wg.key_len = netmap->identity.key_len = NODE_KEY_LEN;
	return netmap;
}

struct netmap *netmap_free(struct netmap *netmap)
{
	if (!netmap)
		return NULL;
	for (size_t i = 0; i < netmap->n; i++) {
		node_done(&netmap->entries[i]->node);
		free(netmap->entries[i]);
	}
	free(netmap->entries);
	free(netmap->pods);
	table_done(&netmap->names);
	table_done(&netmap->wg);
	table_done(&netmap->identity);
	settings_done(&netmap->settings);
	free(netmap);
	return NULL;
}

uint64_t netmap_seq(const struct netmap *netmap)
{
	return netmap->seq;
}

const struct settings *netmap_settings(const struct netmap *netmap)
{
	return netmap->has_settings ? &netmap->settings : NULL;
}

size_t netmap_count(const struct netmap *netmap)
{
	return netmap->count;
}

uint32_t netmap_highest_id(const struct netmap *netmap)
{
	return netmap->highest_id;
}

uint32_t netmap_free_pods(const struct netmap *netmap)
{
	for (size_t i = 1; i < netmap->n_pods; i++)
		if (!netmap->pods[i])
			return (uint32_t) i;
	return netmap->n_pods ? (uint32_t) netmap->n_pods : 1;
}

/* The index of the first entry whose id is at least @id. */
static size_t position_of(const struct netmap *netmap, uint32_t id)
{
	size_t low = 0, high = netmap->n, likely = (size_t) id - 1;

	/* Numbers are given one after the other, and who was removed stays in the list. */
	if (id > 0 && likely < netmap->n && netmap->entries[likely]->node.id == id)
		return likely;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (netmap->entries[middle]->node.id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct entry *entry_of(const struct netmap *netmap, uint32_t id)
{
	size_t i = position_of(netmap, id);

	return i < netmap->n && netmap->entries[i]->node.id == id ? netmap->entries[i] : NULL;
}

uint32_t netmap_pods_of(const struct netmap *netmap, uint32_t id)
{
	const struct entry *entry = entry_of(netmap, id);

	return entry ? entry->pods : 0;
}

const struct node *netmap_by_id(const struct netmap *netmap, uint32_t id)
{
	const struct entry *entry = entry_of(netmap, id);

	return entry && !entry->removed ? &entry->node : NULL;
}

const struct node *netmap_next(const struct netmap *netmap, const struct node *after)
{
	size_t i = after ? position_of(netmap, after->id + 1) : 0;

	for (; i < netmap->n; i++)
		if (!netmap->entries[i]->removed)
			return &netmap->entries[i]->node;
	return NULL;
}

/* A name as a table's key: padded with zeros. */
static void name_key(const char *name, char ret[static NODE_NAME_MAX])
{
	memset(ret, 0, NODE_NAME_MAX);
	memcpy(ret, name, strnlen(name, NODE_NAME_MAX - 1));
}

const struct node *netmap_by_name(const struct netmap *netmap, const char *name)
{
	char key[NODE_NAME_MAX];

	name_key(name, key);
	const struct node *node = netmap_by_id(netmap, table_get(&netmap->names, key));

	return node && !strcmp(node->name, name) ? node : NULL;
}

const struct node *netmap_by_wg(const struct netmap *netmap, const uint8_t key[static NODE_KEY_LEN])
{
	const struct node *node = netmap_by_id(netmap, table_get(&netmap->wg, key));

	return node && !memcmp(node->wg, key, NODE_KEY_LEN) ? node : NULL;
}

bool netmap_wg_was_used(
	const struct netmap *netmap, const uint8_t key[static NODE_KEY_LEN], uint32_t *ret_id)
{
	uint32_t id = table_get(&netmap->wg, key);

	if (id && ret_id)
		*ret_id = id;
	return id != 0;
}

enum netmap_identity netmap_identity(
	const struct netmap *netmap, const uint8_t key[static NODE_KEY_LEN], uint32_t *ret_id)
{
	uint32_t id = table_get(&netmap->identity, key);
	const struct entry *entry = id ? entry_of(netmap, id) : NULL;

	if (!entry)
		return NETMAP_IDENTITY_UNKNOWN;
	if (ret_id)
		*ret_id = id;
	if (entry->removed)
		return NETMAP_IDENTITY_REMOVED;
	if (memcmp(entry->node.identity, key, NODE_KEY_LEN))
		return NETMAP_IDENTITY_REVOKED;
	return NETMAP_IDENTITY_CURRENT;
}

bool netmap_was_removed(const struct netmap *netmap, uint32_t id, const struct node **ret)
{
	const struct entry *entry = entry_of(netmap, id);

	if (!entry || !entry->removed)
		return false;
	if (ret)
		*ret = &entry->node;
	return true;
}

/* The id whose mesh address @addr would be, 0 if none. */
static uint32_t id_of_addr(const struct settings *settings, const struct ip_addr *addr)
{
	uint64_t index = 0;

	if (ip_prefix_contains(&settings->mesh4, addr)) {
		uint32_t base, value;

		memcpy(&base, settings->mesh4.addr.bytes, sizeof(base));
		memcpy(&value, addr->bytes, sizeof(value));
		index = be32toh(value) - be32toh(base);
	} else if (ip_prefix_contains(&settings->mesh6, addr)) {
		memcpy(&index, addr->bytes + 8, sizeof(index)); /* it is a /64 */
		index = be64toh(index);
	}
	return index <= numbers_nodes_max(settings) ? (uint32_t) index : 0;
}

const struct node *netmap_by_addr(const struct netmap *netmap, const struct ip_addr *addr)
{
	const struct settings *settings = netmap_settings(netmap);

	if (!settings)
		return NULL;
	uint32_t id = id_of_addr(settings, addr);

	if (id)
		return netmap_by_id(netmap, id);
	uint32_t number = 0;

	if (addr->family == AF_INET) {
		struct ip_prefix pods = ip_prefix_of(addr, NODE_PODS4_LEN);

		number = numbers_of_pods4(settings, &pods);
	} else if (addr->family == AF_INET6) {
		struct ip_prefix pods = ip_prefix_of(addr, NODE_PODS6_LEN);

		number = numbers_of_pods6(settings, &pods);
	}
	if (!number || number >= netmap->n_pods)
		return NULL;
	const struct node *node = netmap_by_id(netmap, netmap->pods[number]);

	return node && node_has_pods(node) ? node : NULL;
}

int netmap_check_settings(
	const struct netmap *netmap, const struct settings *settings, struct err *err)
{
	int r = ranges_check(settings, NULL, 0, 0, err);

	if (r)
		return r;
	if (netmap->has_settings && (!settings_same_ranges(settings, &netmap->settings) ||
					    strcmp(settings->mesh, netmap->settings.mesh)))
		return err_set(err, -EPERM,
			"the name and the address ranges of a mesh never change once it is made");
	return 0;
}

static int check_addresses(
	const struct settings *settings, const struct node *node, struct err *err)
{
	struct ip_addr four, six;

	if (numbers_mesh4(settings, node->id, &four) < 0 ||
		numbers_mesh6(settings, node->id, &six) < 0)
		return err_set(err, -EINVAL, "node %u: the mesh range holds %u nodes", node->id,
			numbers_nodes_max(settings));
	if (!ip_addr_equal(&four, &node->mesh4) || !ip_addr_equal(&six, &node->mesh6))
		return err_set(err, -EINVAL, "node %u: its mesh addresses are not those of its id",
			node->id);
	if (node_has_pods(node)) {
		uint32_t number = numbers_of_pods4(settings, &node->pods4);

		if (!number || number != numbers_of_pods6(settings, &node->pods6))
			return err_set(err, -EINVAL,
				"node %u: its pods are no pair of ranges of this mesh", node->id);
	}
	return 0;
}

static uint32_t pods_number(const struct settings *settings, const struct node *node)
{
	return node_has_pods(node) ? numbers_of_pods4(settings, &node->pods4) : 0;
}

static int check_pods(const struct netmap *netmap, const struct node *node, struct err *err)
{
	const struct entry *old = entry_of(netmap, node->id);
	uint32_t number = pods_number(&netmap->settings, node);

	if (!number)
		return 0;
	uint32_t owner = number < netmap->n_pods ? netmap->pods[number] : 0;

	if (owner && owner != node->id)
		return err_set(err, -EEXIST, "node %u: its pod range %u belongs to node %u",
			node->id, number, owner);
	if (old && old->pods && old->pods != number)
		return err_set(err, -EPERM, "node %u: it has pod range %u for life, not %u",
			node->id, old->pods, number);
	return 0;
}

static bool revokes(const struct node *node, const uint8_t key[static NODE_KEY_LEN])
{
	for (size_t i = 0; i < node->n_revoked; i++)
		if (!memcmp(node->revoked[i], key, NODE_KEY_LEN))
			return true;
	return false;
}

static int check_keys(const struct netmap *netmap, const struct node *node, struct err *err)
{
	const struct entry *old = entry_of(netmap, node->id);
	uint32_t owner = table_get(&netmap->wg, node->wg);

	if (owner && owner != node->id)
		return err_set(err, -EEXIST, "node %u: its WireGuard key is or was node %u's",
			node->id, owner);
	owner = table_get(&netmap->identity, node->identity);
	if (owner && owner != node->id)
		return err_set(err, -EEXIST, "node %u: its identity key is or was node %u's",
			node->id, owner);
	if (owner && (!old || memcmp(old->node.identity, node->identity, NODE_KEY_LEN)))
		return err_set(
			err, -EKEYREVOKED, "node %u: its identity key was revoked", node->id);
	if (old && memcmp(old->node.identity, node->identity, NODE_KEY_LEN) != 0 &&
		!revokes(node, old->node.identity))
		return err_set(err, -EINVAL,
			"node %u: it gets another identity key, and the one it had is not revoked",
			node->id);
	for (size_t i = 0; i < node->n_revoked; i++) {
		owner = table_get(&netmap->identity, node->revoked[i]);
		if (owner && owner != node->id)
			return err_set(err, -EEXIST,
				"node %u: it revokes an identity key of node %u", node->id, owner);
	}
	return 0;
}

int netmap_check_node(const struct netmap *netmap, const struct node *node, struct err *err)
{
	int r;

	if (!netmap->has_settings)
		return err_set(err, -ENOENT, "node %u came before any settings", node->id);
	if (netmap_was_removed(netmap, node->id, NULL))
		return err_set(
			err, -EPERM, "node %u was removed; its id is never used again", node->id);
	if ((r = check_addresses(&netmap->settings, node, err)) ||
		(r = check_pods(netmap, node, err)) || (r = check_keys(netmap, node, err)))
		return r;
	const struct node *other = netmap_by_name(netmap, node->name);

	if (other && other->id != node->id)
		return err_set(err, -EEXIST, "node %u: its name %s is node %u's", node->id,
			node->name, other->id);
	return 0;
}

static int reserve_pods(struct netmap *netmap, uint32_t number)
{
	if (number < netmap->n_pods)
		return 0;
	size_t n = number + 1 > netmap->n_pods * 2 ? (size_t) number + 1 : netmap->n_pods * 2;
	uint32_t *grown = reallocarray(netmap->pods, n, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	memset(grown + netmap->n_pods, 0, (n - netmap->n_pods) * sizeof(*grown));
	netmap->pods = grown;
	netmap->n_pods = n;
	return 0;
}

/* A refused record's id and pods stay used up, if the ranges hold them: "never again" is cheap. */
static int use_up(struct netmap *netmap, const struct node *node)
{
	if (!netmap->has_settings || node->id > numbers_nodes_max(&netmap->settings))
		return 0;
	uint32_t number = pods_number(&netmap->settings, node);

	if (number && reserve_pods(netmap, number) < 0)
		return -ENOMEM;
	if (number && !netmap->pods[number])
		netmap->pods[number] = node->id;
	if (node->id > netmap->highest_id)
		netmap->highest_id = node->id;
	return 0;
}

/* The entry of @id, made if it is not there. */
static struct entry *make_entry(struct netmap *netmap, uint32_t id)
{
	struct entry *entry = entry_of(netmap, id);

	if (entry)
		return entry;
	if (netmap->n == netmap->cap) {
		size_t cap = netmap->cap ? netmap->cap * 2 : 16;
		void *grown = reallocarray(netmap->entries, cap, sizeof(struct entry *));

		if (!grown)
			return NULL;
		netmap->entries = grown;
		netmap->cap = cap;
	}
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	entry->node.id = id;
	size_t at = position_of(netmap, id);

	memmove(netmap->entries + at + 1, netmap->entries + at,
		(netmap->n - at) * sizeof(struct entry *));
	netmap->entries[at] = entry;
	netmap->n++;
	netmap->count++;
	return entry;
}

/* Puts a checked node in; it is taken over. -ENOMEM before anything changed. */
static int put_node(struct netmap *netmap, struct node *node)
{
	char key[NODE_NAME_MAX];
	uint32_t number = pods_number(&netmap->settings, node);

	if (table_reserve(&netmap->names, 1) < 0 || table_reserve(&netmap->wg, 1) < 0 ||
		table_reserve(&netmap->identity, 1 + node->n_revoked) < 0 ||
		(number && reserve_pods(netmap, number) < 0))
		return -ENOMEM;
	struct entry *entry = make_entry(netmap, node->id);

	if (!entry)
		return -ENOMEM;
	name_key(node->name, key);
	table_set(&netmap->names, key, node->id);
	table_set(&netmap->wg, node->wg, node->id);
	table_set(&netmap->identity, node->identity, node->id);
	for (size_t i = 0; i < node->n_revoked; i++)
		table_set(&netmap->identity, node->revoked[i], node->id);
	if (number) {
		netmap->pods[number] = node->id;
		entry->pods = number;
	}
	if (node->id > netmap->highest_id)
		netmap->highest_id = node->id;
	node_done(&entry->node);
	entry->node = *node;
	*node = (struct node){ 0 };
	return 0;
}

static int apply_node(
	struct netmap *netmap, const json_t *json, struct netmap_change *change, struct err *err)
{
	CLEANUP_NODE struct node node = { 0 };
	int r = node_from_json(json, &node, err);

	if (r)
		return r;
	r = netmap_check_node(netmap, &node, err);
	if (r)
		return use_up(netmap, &node) < 0 ? -ENOMEM : r;
	const struct node *old = netmap_by_id(netmap, node.id);

	if (old && json_equal(old->origin, node.origin))
		return 0;
	*change = (struct netmap_change){ NETMAP_CHANGE_NODE, node.id };
	return put_node(netmap, &node);
}

static int apply_settings(
	struct netmap *netmap, const json_t *json, struct netmap_change *change, struct err *err)
{
	CLEANUP_SETTINGS struct settings settings = { 0 };
	int r = settings_from_json(json, &settings, err);

	if (r == 0)
		r = netmap_check_settings(netmap, &settings, err);
	if (r)
		return r;
	if (netmap->has_settings && json_equal(netmap->settings.origin, settings.origin))
		return 0;
	*change = (struct netmap_change){ NETMAP_CHANGE_SETTINGS, 0 };
	settings_done(&netmap->settings);
	netmap->settings = settings;
	netmap->has_settings = true;
	settings = (struct settings){ 0 };
	return 0;
}

static int apply_tombstone(
	struct netmap *netmap, const json_t *json, struct netmap_change *change, struct err *err)
{
	struct tombstone tombstone;
	int r = tombstone_from_json(json, &tombstone, err);

	if (r)
		return r;
	struct entry *entry = entry_of(netmap, tombstone.id);

	if (!entry)
		return err_set(err, -ENOENT, "there is no node %u to remove", tombstone.id);
	if (entry->removed)
		return 0;
	entry->removed = true;
	netmap->count--;
	*change = (struct netmap_change){ NETMAP_CHANGE_REMOVED, tombstone.id };
	return 0;
}

static const struct {
	const char *type;
	int (*apply)(struct netmap *netmap, const json_t *json, struct netmap_change *change,
		struct err *err);
} appliers[] = {
	{ RECORD_TYPE_SETTINGS, apply_settings },
	{ RECORD_TYPE_NODE, apply_node },
	{ RECORD_TYPE_TOMBSTONE, apply_tombstone },
};

static int apply(struct netmap *netmap, const struct record *record, struct netmap_change *change,
	struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(appliers); i++) {
		if (strcmp(record->type, appliers[i].type))
			continue;
		struct err why = { 0 };
		CLEANUP_JSON json_t *json = record_payload_json(record, &why);

		return json ? appliers[i].apply(netmap, json, change, err)
			    : err_set(err, why.code, "%s", why.text);
	}
	return 0;
}

int netmap_apply(struct netmap *netmap, const struct record *record,
	struct netmap_change *ret_change, struct err *err)
{
	struct netmap_change change = { NETMAP_CHANGE_NONE, 0 };

	if (record->seq != netmap->seq + 1)
		return err_set(err, -ERANGE, "record %" PRIu64 " came where %" PRIu64 " is next",
			record->seq, netmap->seq + 1);
	int r = apply(netmap, record, &change, err);

	if (r == -ENOMEM)
		return err_set(err, r, "out of memory");
	netmap->seq = record->seq;
	if (r < 0) {
		err_prefix(err, "record %" PRIu64 " (%s)", record->seq, record->type);
		return r;
	}
	if (ret_change)
		*ret_change = change;
	return change.kind != NETMAP_CHANGE_NONE;
}

int netmap_follow(
	struct netmap *netmap, const struct mesh_log *log, size_t *ret_refused, struct err *err)
{
	size_t refused = 0;
	const struct record *record;

	while ((record = mesh_log_get(log, netmap->seq + 1))) {
		int r = netmap_apply(netmap, record, NULL, err);

		if (r == -ENOMEM)
			return r;
		refused += r < 0;
	}
	if (ret_refused)
		*ret_refused = refused;
	return 0;
}
