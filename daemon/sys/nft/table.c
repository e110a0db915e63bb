/*
 * A rule that is replaced has another handle, and so has a table or a chain that was removed and
 * made anew; elements of sets have none and are known by their bytes.
 */
#include "sys/nft/table.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <string.h>

#include "base/fnv.h"

enum { TRIES = 4 };

/* The attributes that the four kinds of messages have in common: their table's name. */
_Static_assert(NFTA_TABLE_NAME == 1 && NFTA_CHAIN_TABLE == 1 && NFTA_RULE_TABLE == 1 &&
		       NFTA_SET_TABLE == 1 && NFTA_SET_ELEM_LIST_TABLE == 1,
	"the table's name is the first attribute");

static uint64_t hash_attr(uint64_t hash, const struct nlattr *attr)
{
	return attr ? fnv64(hash, mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr))
		    : hash;
}

static void add(struct nft_table *table, uint64_t item)
{
	if (table->n < NFT_TABLE_ITEMS_MAX)
		table->items[table->n++] = item;
}

static void add_elements(struct nft_table *table, const struct nlattr *const *a)
{
	const struct nlattr *list = a[NFTA_SET_ELEM_LIST_ELEMENTS], *attr;
	uint64_t set = hash_attr(FNV64_START, a[NFTA_SET_ELEM_LIST_SET]);

	if (!list)
		return;
	mnl_attr_for_each_nested(attr, list)
	{
		const struct nlattr *e[NFTA_SET_ELEM_MAX + 1] = { 0 };
		uint64_t hash;

		if (nl_attrs_nested(attr, e, NFTA_SET_ELEM_MAX) < 0)
			continue;
		hash = hash_attr(set, e[NFTA_SET_ELEM_KEY]);
		hash = hash_attr(hash, e[NFTA_SET_ELEM_KEY_END]);
		add(table, hash_attr(hash, e[NFTA_SET_ELEM_FLAGS]));
	}
}

static void note_set(struct nft_table *table, const struct nlattr *const *a)
{
	if (!a[NFTA_SET_NAME] || table->n_sets == NFT_TABLE_SETS_MAX ||
		ntohl(nl_get_u32(a[NFTA_SET_FLAGS], 0)) & (NFT_SET_ANONYMOUS | NFT_SET_EVAL))
		return; /* anonymous: lives and dies with its rule; or packets add to it */
	nl_get_str(a[NFTA_SET_NAME], table->sets[table->n_sets++], NFT_TABLE_NAME_MAX);
}

static bool is_of(const struct nlmsghdr *nlh, const struct nlattr *table, const char *name)
{
	const struct nfgenmsg *head = mnl_nlmsg_get_payload(nlh);

	return head->nfgen_family == NFPROTO_INET && table &&
	       mnl_attr_validate(table, MNL_TYPE_NUL_STRING) >= 0 &&
	       !strcmp(mnl_attr_get_str(table), name);
}

void nft_table_add(struct nft_table *table, const char *name, const struct nlmsghdr *nlh)
{
	const struct nlattr *a[16] = { 0 };
	uint64_t hash = fnv64(FNV64_START, &nlh->nlmsg_type, sizeof(nlh->nlmsg_type));

	if (NFNL_SUBSYS_ID(nlh->nlmsg_type) != NFNL_SUBSYS_NFTABLES ||
		nl_attrs(nlh, sizeof(struct nfgenmsg), a, ARRAY_LEN(a) - 1) < 0 ||
		!is_of(nlh, a[1], name))
		return;
	switch (NFNL_MSG_TYPE(nlh->nlmsg_type)) {
	case NFT_MSG_NEWTABLE: /* one that sleeps (NFT_TABLE_F_DORMANT) is another */
		hash = hash_attr(hash, a[NFTA_TABLE_FLAGS]);
		add(table, hash_attr(hash, a[NFTA_TABLE_HANDLE]));
		break;
	case NFT_MSG_NEWCHAIN:
		hash = hash_attr(hash, a[NFTA_CHAIN_POLICY]);
		add(table, hash_attr(hash, a[NFTA_CHAIN_HANDLE]));
		break;
	case NFT_MSG_NEWRULE:
		add(table, hash_attr(hash, a[NFTA_RULE_HANDLE]));
		break;
	case NFT_MSG_NEWSET:
		note_set(table, a);
		break;
	case NFT_MSG_NEWSETELEM:
		add_elements(table, a);
		break;
	}
}

struct reading {
	struct nft_table *table; /* NULL: keys are read */
	const char *name;
	nft_table_key *each;
	void *ctx;
};

static void tell_keys(const struct reading *reading, const struct nlattr *list)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, list)
	{
		const struct nlattr *e[NFTA_SET_ELEM_MAX + 1] = { 0 };
		const struct nlattr *d[NFTA_DATA_MAX + 1] = { 0 };

		if (nl_attrs_nested(attr, e, NFTA_SET_ELEM_MAX) < 0 || !e[NFTA_SET_ELEM_KEY] ||
			nl_attrs_nested(e[NFTA_SET_ELEM_KEY], d, NFTA_DATA_MAX) < 0 ||
			!d[NFTA_DATA_VALUE])
			continue;
		reading->each(reading->ctx, mnl_attr_get_payload(d[NFTA_DATA_VALUE]),
			mnl_attr_get_payload_len(d[NFTA_DATA_VALUE]));
	}
}

static int on_keys(void *ctx, const struct nlmsghdr *nlh)
{
	const struct nlattr *a[NFTA_SET_ELEM_LIST_MAX + 1] = { 0 };
	const struct reading *reading = ctx;

	if (nlh->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSETELEM) &&
		nl_attrs(nlh, sizeof(struct nfgenmsg), a, NFTA_SET_ELEM_LIST_MAX) == 0 &&
		is_of(nlh, a[NFTA_SET_ELEM_LIST_TABLE], reading->name) &&
		a[NFTA_SET_ELEM_LIST_ELEMENTS])
		tell_keys(reading, a[NFTA_SET_ELEM_LIST_ELEMENTS]);
	return 0;
}

static int on_message(void *ctx, const struct nlmsghdr *nlh)
{
	struct reading *reading = ctx;

	nft_table_add(reading->table, reading->name, nlh);
	return 0;
}

/* The kernel lists only what lies in the table (chains: of the family). */
static int dump(struct nl *nl, uint16_t type, const char *set, struct reading *reading)
{
	struct nfgenmsg *head;
	struct nlmsghdr *q = nl_start(nl, (uint16_t) (NFNL_SUBSYS_NFTABLES << 8 | type),
		type == NFT_MSG_GETTABLE ? 0 : NLM_F_DUMP, sizeof(*head), (void **) &head);

	head->nfgen_family = NFPROTO_INET;
	nl_put_str(nl, q, NFTA_RULE_TABLE, reading->name);
	if (set)
		nl_put_str(nl, q, NFTA_SET_ELEM_LIST_SET, set);
	return nl_ask(nl, q, reading->table ? on_message : on_keys, reading, NULL);
}

int nft_table_keys(
	struct nl *nl, const char *table, const char *set, nft_table_key *each, void *ctx)
{
	struct reading reading = { .name = table, .each = each, .ctx = ctx };
	int r = dump(nl, NFT_MSG_GETSETELEM, set, &reading);

	return r == -ENOENT ? 0 : r;
}

static int read_once(struct nl *nl, const char *name, struct nft_table *ret)
{
	static const uint16_t types[] = { NFT_MSG_GETTABLE, NFT_MSG_GETCHAIN, NFT_MSG_GETRULE,
		NFT_MSG_GETSET };
	struct reading reading = { .table = ret, .name = name };
	int r = 0;

	ret->n = ret->n_sets = 0;
	for (size_t i = 0; i < ARRAY_LEN(types) && r == 0; i++)
		r = dump(nl, types[i], NULL, &reading);
	for (size_t i = 0; i < ret->n_sets && r == 0; i++)
		r = dump(nl, NFT_MSG_GETSETELEM, ret->sets[i], &reading);
	if (r == -ENOENT) { /* of the table, or removed while it was read */
		ret->n = 0;
		return 0;
	}
	return r;
}

static int on_generation(void *ctx, const struct nlmsghdr *nlh)
{
	const struct nlattr *a[NFTA_GEN_MAX + 1] = { 0 };

	if (nlh->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN) &&
		nl_attrs(nlh, sizeof(struct nfgenmsg), a, NFTA_GEN_MAX) == 0 && a[NFTA_GEN_ID] &&
		mnl_attr_validate(a[NFTA_GEN_ID], MNL_TYPE_U32) >= 0)
		*(uint32_t *) ctx = ntohl(mnl_attr_get_u32(a[NFTA_GEN_ID]));
	return 0;
}

int nft_table_generation(struct nl *nl, uint32_t *ret)
{
	struct nfgenmsg *head;
	struct nlmsghdr *q = nl_start(
		nl, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN, 0, sizeof(*head), (void **) &head);
	int r;

	*ret = 0; /* the kernel leaves that one out */
	r = nl_ask(nl, q, on_generation, ret, NULL);
	if (r < 0)
		return r;
	return *ret ? 0 : -EPROTO;
}

int nft_table_read(struct nl *nl, const char *name, struct nft_table *ret)
{
	int r = -EINTR;

	/* Somebody changes rules meanwhile: again, for what was read may be of two states. */
	for (int i = 0; i < TRIES && r == -EINTR; i++)
		r = read_once(nl, name, ret);
	return r;
}

bool nft_table_holds(const struct nft_table *now, const struct nft_table *before)
{
	for (size_t i = 0; i < before->n; i++) {
		bool found = false;

		for (size_t j = 0; j < now->n && !found; j++)
			found = now->items[j] == before->items[i];
		if (!found)
			return false;
	}
	return true;
}
