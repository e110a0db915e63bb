/*
 * A rule counts as an exception for pods if it accepts and names their links or addresses, or
 * accepts without any condition. What else it asks for (a protocol, a mark) is not looked at:
 * somebody has thought of pods, and knows better. Chains that tools keep for themselves are not
 * read: no tool of others knows of pods.
 */
#include "sys/nft/forward.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

/* --- one rule --- */

/* Attributes of a nest, none where there is no nest or a broken one. */
#define NEST(name, nest, max)                                    \
	const struct nlattr *name[(max) + 1] = { 0 };            \
	if (!(nest) || nl_attrs_nested((nest), name, (max)) < 0) \
	memset(name, 0, sizeof(name))

struct rule {
	const struct nft_forward_pods *pods;
	uint32_t meta; /* what was loaded last: NFT_META_*, or UINT32_MAX */
	bool accepts, has_condition;
	bool from_link, to_link, address;
};

static bool begins_with_pods(const void *data, size_t len, const struct ip_prefix *pods)
{
	size_t n = pods->len / 8;

	return pods->addr.family && n && len >= n && !memcmp(data, pods->addr.bytes, n);
}

static void read_compared(struct rule *rule, const struct nlattr *data)
{
	NEST(d, data, NFTA_DATA_MAX);
	const struct nlattr *value = d[NFTA_DATA_VALUE];
	size_t len = value ? mnl_attr_get_payload_len(value) : 0, links = strlen(rule->pods->links);
	const void *bytes = value ? mnl_attr_get_payload(value) : NULL;
	bool is_link = len >= links && !memcmp(bytes, rule->pods->links, links);

	if (!value)
		return;
	rule->from_link |= is_link && rule->meta == NFT_META_IIFNAME;
	rule->to_link |= is_link && rule->meta == NFT_META_OIFNAME;
	rule->address |= rule->meta == UINT32_MAX &&
			 (begins_with_pods(bytes, len, &rule->pods->pods4) ||
				 begins_with_pods(bytes, len, &rule->pods->pods6));
}

static void read_immediate(struct rule *rule, const struct nlattr *data)
{
	NEST(i, data, NFTA_IMMEDIATE_MAX);
	NEST(d, i[NFTA_IMMEDIATE_DATA], NFTA_DATA_MAX);
	NEST(v, d[NFTA_DATA_VERDICT], NFTA_VERDICT_MAX);
	if (v[NFTA_VERDICT_CODE])
		rule->accepts = ntohl(nl_get_u32(v[NFTA_VERDICT_CODE], 0)) == NF_ACCEPT;
}

static void read_expression(struct rule *rule, const struct nlattr *element)
{
	char name[32], match[32];
	NEST(e, element, NFTA_EXPR_MAX);
	const struct nlattr *data = e[NFTA_EXPR_DATA];

	nl_get_str(e[NFTA_EXPR_NAME], name, sizeof(name));
	if (!strcmp(name, "immediate")) {
		read_immediate(rule, data);
	} else if (!strcmp(name, "meta")) {
		NEST(m, data, NFTA_META_MAX);
		rule->meta = ntohl(nl_get_u32(m[NFTA_META_KEY], UINT32_MAX));
		rule->has_condition = true;
	} else if (!strcmp(name, "cmp")) {
		NEST(c, data, NFTA_CMP_MAX);
		if (ntohl(nl_get_u32(c[NFTA_CMP_OP], UINT32_MAX)) == NFT_CMP_EQ)
			read_compared(rule, c[NFTA_CMP_DATA]);
		rule->has_condition = true;
	} else if (!strcmp(name, "match")) {
		NEST(m, data, NFTA_MATCH_MAX);
		nl_get_str(m[NFTA_MATCH_NAME], match, sizeof(match));
		rule->has_condition |= strcmp(match, "comment") != 0;
	} else if (strcmp(name, "counter") != 0) {
		rule->meta = UINT32_MAX;
		rule->has_condition = true;
	}
}

void nft_forward_add_rule(const struct nlmsghdr *nlh, const struct nft_forward_pods *pods,
	struct nft_forward_accepts *accepts)
{
	struct rule rule = { .pods = pods, .meta = UINT32_MAX };
	const struct nlattr *a[NFTA_RULE_MAX + 1] = { 0 }, *element;

	if (nlh->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWRULE) ||
		nl_attrs(nlh, sizeof(struct nfgenmsg), a, NFTA_RULE_MAX) < 0 ||
		!a[NFTA_RULE_EXPRESSIONS])
		return;
	mnl_attr_for_each_nested(element, a[NFTA_RULE_EXPRESSIONS]) read_expression(&rule, element);
	if (!rule.accepts)
		return;
	accepts->from |= rule.from_link || rule.address || !rule.has_condition;
	accepts->to |= rule.to_link || rule.address || !rule.has_condition;
}

/* --- chains --- */

struct chain {
	const char *name;
	bool found, drops;
};

/* The kernel answers with that one chain. */
static int take_chain(void *ctx, const struct nlmsghdr *nlh)
{
	struct chain *chain = ctx;
	const struct nlattr *a[NFTA_CHAIN_MAX + 1] = { 0 };

	if (nlh->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWCHAIN) ||
		nl_attrs(nlh, sizeof(struct nfgenmsg), a, NFTA_CHAIN_MAX) < 0)
		return 0;
	chain->found = true;
	chain->drops = a[NFTA_CHAIN_POLICY] &&
		       ntohl(nl_get_u32(a[NFTA_CHAIN_POLICY], htonl(NF_ACCEPT))) == NF_DROP;
	return 0;
}

struct rules {
	const struct nft_forward_pods *pods;
	struct nft_forward_accepts accepts;
};

static int take_rule(void *ctx, const struct nlmsghdr *nlh)
{
	struct rules *rules = ctx;

	nft_forward_add_rule(nlh, rules->pods, &rules->accepts);
	return 0;
}

/* 0 also where there is no such chain. */
static int ask(struct nl *nl, uint16_t type, uint16_t flags, uint8_t family, const char *chain,
	nl_each *each, void *ctx)
{
	struct nfgenmsg *head;
	struct nlmsghdr *q = nl_start(nl, (uint16_t) (NFNL_SUBSYS_NFTABLES << 8 | type), flags,
		sizeof(*head), (void **) &head);
	bool rule = type == NFT_MSG_GETRULE;

	head->nfgen_family = family;
	nl_put_str(nl, q, rule ? NFTA_RULE_TABLE : NFTA_CHAIN_TABLE, "filter");
	nl_put_str(nl, q, rule ? NFTA_RULE_CHAIN : NFTA_CHAIN_NAME, chain);
	int r = nl_ask(nl, q, each, ctx, NULL);

	return r == -ENOENT ? 0 : r;
}

static const struct {
	uint8_t family;
	const char *base, *docker, *ufw; /* chains; NULL: none */
	bool ipv4, ipv6;
} hooks[] = {
	{ NFPROTO_IPV4, "FORWARD", "DOCKER-USER", "ufw-user-forward", true, false },
	{ NFPROTO_IPV6, "FORWARD", "DOCKER-USER", "ufw6-user-forward", false, true },
	{ NFPROTO_INET, "forward", NULL, NULL, true, true },
};

/* The chain of a tool in which people write; its rules count as well. */
static int add_tool(
	struct nl *nl, uint8_t family, const char *name, bool *ret_found, struct rules *rules)
{
	struct chain chain = { 0 };
	int r = name ? ask(nl, NFT_MSG_GETCHAIN, 0, family, name, take_chain, &chain) : 0;

	if (r == 0 && chain.found)
		r = ask(nl, NFT_MSG_GETRULE, NLM_F_DUMP, family, name, take_rule, rules);
	*ret_found = chain.found;
	return r;
}

static int look_at_hook(
	struct nl *nl, size_t hook, const struct nft_forward_pods *pods, struct nft_forward *ret)
{
	uint8_t family = hooks[hook].family;
	const char *base = hooks[hook].base;
	struct chain chain = { 0 };
	struct rules rules = { .pods = pods };
	bool docker = false, ufw = false;
	int r = ask(nl, NFT_MSG_GETCHAIN, 0, family, base, take_chain, &chain);

	if (r < 0 || !chain.drops)
		return r;
	r = ask(nl, NFT_MSG_GETRULE, NLM_F_DUMP, family, base, take_rule, &rules);
	if (r == 0)
		r = add_tool(nl, family, hooks[hook].docker, &docker, &rules);
	if (r == 0)
		r = add_tool(nl, family, hooks[hook].ufw, &ufw, &rules);
	if (r < 0 || (rules.accepts.from && rules.accepts.to))
		return r;
	ret->drops4 |= hooks[hook].ipv4;
	ret->drops6 |= hooks[hook].ipv6;
	/* ufw sets the policy by its own word, Docker only where nobody has. */
	ret->owner = ufw ? NFT_FORWARD_UFW : docker ? NFT_FORWARD_DOCKER : NFT_FORWARD_OTHER;
	return 0;
}

/*
 * Of others nothing is said: who writes such rules by hand may have let in by port what he wants.
 */
static int look_at_input(struct nl *nl, uint8_t family, const char *name,
	const struct nft_forward_pods *pods, bool *ret_drops)
{
	struct chain chain = { 0 };
	struct nft_forward_pods mesh = {
		.links = pods->mesh, .pods4 = pods->mesh4, .pods6 = pods->mesh6
	};
	struct rules rules = { .pods = &mesh };
	bool ufw = false;
	int r = ask(nl, NFT_MSG_GETCHAIN, 0, family, "INPUT", take_chain, &chain);

	if (r < 0 || !chain.drops)
		return r;
	r = ask(nl, NFT_MSG_GETRULE, NLM_F_DUMP, family, "INPUT", take_rule, &rules);
	if (r == 0)
		r = add_tool(nl, family, name, &ufw, &rules);
	if (r == 0)
		*ret_drops = ufw && !rules.accepts.from;
	return r;
}

int nft_forward_look(struct nl *nl, const struct nft_forward_pods *pods, struct nft_forward *ret)
{
	struct nft_forward found = { 0 };
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(hooks) && r == 0; i++)
		r = look_at_hook(nl, i, pods, &found);
	if (r == 0 && pods->mesh)
		r = look_at_input(nl, NFPROTO_IPV4, "ufw-user-input", pods, &found.input4);
	if (r == 0 && pods->mesh)
		r = look_at_input(nl, NFPROTO_IPV6, "ufw6-user-input", pods, &found.input6);
	if ((found.input4 || found.input6) && !found.drops4 && !found.drops6)
		found.owner = NFT_FORWARD_UFW;
	if (r == 0)
		*ret = found;
	return r;
}
