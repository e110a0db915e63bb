/*
 * trie: see trie.h. Invariants: a child's prefix is longer than its parent's and inside it; a
 * node without an owner is a fork and has two children. So there are fewer than twice as many nodes
 * as prefixes.
 */
#include "wg/trie.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* An address as one 128-bit number, its first bit on top; IPv4 fills the first 32 bits. */
struct bits {
	uint64_t high, low;
};

struct wg_trie_node {
	struct bits bits;
	struct wg_trie_node *child[2], *parent;
	struct wg_trie_list *list; /* NULL: a fork */
	struct wg_trie_node *prev, *next;
	uint8_t len, family;
};

static uint64_t be64_read(const uint8_t *p)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

static struct bits bits_of(int family, const uint8_t *addr)
{
	if (family == AF_INET6)
		return (struct bits){ be64_read(addr), be64_read(addr + 8) };
	uint32_t v4 = (uint32_t) addr[0] << 24 | (uint32_t) addr[1] << 16 |
		      (uint32_t) addr[2] << 8 | addr[3];

	return (struct bits){ (uint64_t) v4 << 32, 0 };
}

static struct ip_prefix prefix_of(const struct wg_trie_node *node)
{
	struct ip_prefix prefix = { .addr.family = node->family, .len = node->len };

	for (unsigned i = 0; i < ip_bytes(node->family); i++)
		prefix.addr.bytes[i] = (uint8_t) ((i < 8 ? node->bits.high : node->bits.low) >>
						  (56 - 8 * (i % 8)));
	return prefix;
}

/* How many leading bits @a and @b share: 0 to 128. */
static unsigned common(struct bits a, struct bits b)
{
	if (a.high != b.high)
		return (unsigned) __builtin_clzll(a.high ^ b.high);
	return a.low == b.low ? 128 : 64 + (unsigned) __builtin_clzll(a.low ^ b.low);
}

static unsigned bit_at(struct bits bits, unsigned at)
{
	return (unsigned) ((at < 64 ? bits.high >> (63 - at) : bits.low >> (127 - at)) & 1);
}

static struct wg_trie_node **root_of(struct wg_trie *trie, int family)
{
	return family == AF_INET6 ? &trie->root6 : &trie->root4;
}

/* The pointer that points at @node. */
static struct wg_trie_node **slot_of(struct wg_trie *trie, struct wg_trie_node *node)
{
	struct wg_trie_node *parent = node->parent;

	return parent ? &parent->child[parent->child[1] == node] : root_of(trie, node->family);
}

static void list_add(struct wg_trie_list *list, struct wg_trie_node *node)
{
	node->list = list;
	node->prev = list->last;
	node->next = NULL;
	*(list->last ? &list->last->next : &list->first) = node;
	list->last = node;
	list->n++;
}

static void list_del(struct wg_trie_node *node)
{
	struct wg_trie_list *list = node->list;

	*(node->prev ? &node->prev->next : &list->first) = node->next;
	*(node->next ? &node->next->prev : &list->last) = node->prev;
	list->n--;
	node->list = NULL;
}

static void free_all(struct wg_trie_node *node)
{
	while (node) { /* without recursion: down to a leaf, free it, up */
		if (node->child[0] || node->child[1]) {
			node = node->child[node->child[0] ? 0 : 1];
			continue;
		}
		struct wg_trie_node *parent = node->parent;

		if (parent)
			parent->child[parent->child[1] == node] = NULL;
		free(node);
		node = parent;
	}
}

void wg_trie_done(struct wg_trie *trie)
{
	free_all(trie->root4);
	free_all(trie->root6);
	*trie = (struct wg_trie){ 0 };
}

static bool prefix_is_valid(const struct ip_prefix *prefix)
{
	if (prefix->addr.family != AF_INET && prefix->addr.family != AF_INET6)
		return false;
	if (prefix->len > ip_bits(prefix->addr.family))
		return false;
	struct ip_prefix clean = ip_prefix_of(&prefix->addr, prefix->len);

	return ip_prefix_equal(&clean, prefix);
}

static struct wg_trie_node *node_new(int family, struct bits bits, unsigned len)
{
	struct wg_trie_node *node = calloc(1, sizeof(*node));

	if (!node)
		return NULL;
	uint64_t high = len >= 64 ? UINT64_MAX : len ? UINT64_MAX << (64 - len) : 0;
	uint64_t low = len >= 128 ? UINT64_MAX : len > 64 ? UINT64_MAX << (128 - len) : 0;

	node->bits = (struct bits){ bits.high & high, bits.low & low };
	node->len = (uint8_t) len;
	node->family = (uint8_t) family;
	return node;
}

static void adopt(struct wg_trie_node *parent, struct wg_trie_node *child)
{
	parent->child[bit_at(child->bits, parent->len)] = child;
	child->parent = parent;
}

/* Puts @fresh where @old hangs (which may be the empty place *@slot below @parent). */
static int hang_in(
	struct wg_trie_node **slot, struct wg_trie_node *parent, struct wg_trie_node *fresh)
{
	struct wg_trie_node *old = *slot, *fork = NULL;

	if (old) {
		unsigned same = common(old->bits, fresh->bits);

		if (same < fresh->len && same < old->len) {
			fork = node_new(fresh->family, fresh->bits, same);
			if (!fork)
				return -ENOMEM;
			adopt(fork, fresh);
			adopt(fork, old);
		} else {
			adopt(fresh, old);
		}
	}
	*slot = fork ? fork : fresh;
	(*slot)->parent = parent;
	return 0;
}

int wg_trie_insert(struct wg_trie *trie, const struct ip_prefix *prefix, struct wg_trie_list *list)
{
	if (!prefix_is_valid(prefix))
		return -EINVAL;
	int family = prefix->addr.family;
	struct bits bits = bits_of(family, prefix->addr.bytes);
	struct wg_trie_node **slot = root_of(trie, family), *parent = NULL;

	while (*slot && (*slot)->len <= prefix->len &&
		common((*slot)->bits, bits) >= (*slot)->len) {
		parent = *slot;
		if (parent->len == prefix->len) {
			if (parent->list == list)
				return 0;
			if (parent->list)
				list_del(parent);
			list_add(list, parent);
			return 0;
		}
		slot = &parent->child[bit_at(bits, parent->len)];
	}
	struct wg_trie_node *fresh = node_new(family, bits, prefix->len);

	if (!fresh)
		return -ENOMEM;
	int r = hang_in(slot, parent, fresh);

	if (r < 0) {
		free(fresh);
		return r;
	}
	list_add(list, fresh);
	return 0;
}

/* Takes the owner away, and the nodes that are no longer needed. */
static void node_remove(struct wg_trie *trie, struct wg_trie_node *node)
{
	list_del(node);
	while (node && !node->list && !(node->child[0] && node->child[1])) {
		struct wg_trie_node *child = node->child[node->child[0] ? 0 : 1];
		struct wg_trie_node *parent = node->parent;

		*slot_of(trie, node) = child;
		if (child)
			child->parent = parent;
		free(node);
		node = parent;
	}
}

int wg_trie_remove(struct wg_trie *trie, const struct ip_prefix *prefix, struct wg_trie_list *list)
{
	if (!prefix_is_valid(prefix))
		return -ENOENT;
	struct bits bits = bits_of(prefix->addr.family, prefix->addr.bytes);
	struct wg_trie_node *node = *root_of(trie, prefix->addr.family);

	while (node && node->len < prefix->len && common(node->bits, bits) >= node->len)
		node = node->child[bit_at(bits, node->len)];
	if (!node || node->len != prefix->len || common(node->bits, bits) < node->len ||
		node->list != list)
		return -ENOENT;
	node_remove(trie, node);
	return 0;
}

void wg_trie_remove_oldest(struct wg_trie *trie, struct wg_trie_list *list, size_t n)
{
	for (; n > 0 && list->first; n--)
		node_remove(trie, list->first);
}

void *wg_trie_lookup(const struct wg_trie *trie, int family, const uint8_t *addr)
{
	if (family != AF_INET && family != AF_INET6)
		return NULL;
	struct bits bits = bits_of(family, addr);
	unsigned end = ip_bits(family);
	const struct wg_trie_list *best = NULL;
	const struct wg_trie_node *node = family == AF_INET6 ? trie->root6 : trie->root4;

	while (node && common(node->bits, bits) >= node->len) {
		if (node->list)
			best = node->list;
		if (node->len == end)
			break;
		node = node->child[bit_at(bits, node->len)];
	}
	return best ? best->owner : NULL;
}

void wg_trie_some(const struct wg_trie_list *list, const struct wg_trie_node **at, size_t n,
	void (*fn)(void *ctx, const struct ip_prefix *prefix), void *ctx)
{
	const struct wg_trie_node *node = *at ? *at : list->first;

	for (; n > 0 && node; n--, node = node->next) {
		struct ip_prefix prefix = prefix_of(node);

		fn(ctx, &prefix);
	}
	*at = node;
}
