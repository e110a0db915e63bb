/* nft: which of the kernel's news mean that something of ours was removed. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "sys/nft/monitor.h"
#include "sys/nft/table.h"

static size_t make(void *data, uint16_t type, uint8_t family, const char *table)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(data);
	struct nfgenmsg *head;

	message->nlmsg_type = (uint16_t) (NFNL_SUBSYS_NFTABLES << 8 | type);
	head = mnl_nlmsg_put_extra_header(message, sizeof(*head));
	head->nfgen_family = family;
	mnl_attr_put_strz(message, NFTA_TABLE_NAME, table);
	return message->nlmsg_len;
}

static void test_news(void **state)
{
	static const struct {
		uint16_t type;
		uint8_t family;
		const char *table;
		bool removal;
	} cases[] = {
		{ NFT_MSG_DELTABLE, NFPROTO_INET, "hearth", true },
		{ NFT_MSG_DELCHAIN, NFPROTO_INET, "hearth", true },
		{ NFT_MSG_DELRULE, NFPROTO_INET, "hearth", true },
		{ NFT_MSG_NEWRULE, NFPROTO_INET, "hearth", false },
		{ NFT_MSG_DELSETELEM, NFPROTO_INET, "hearth", true },
		{ NFT_MSG_NEWSETELEM, NFPROTO_INET, "hearth", false },
		{ NFT_MSG_DELRULE, NFPROTO_INET, "hearth_cni", false },
		{ NFT_MSG_DELTABLE, NFPROTO_IPV4, "hearth", false },
		{ NFT_MSG_DELTABLE, NFPROTO_INET, "kube-proxy", false },
	};
	_Alignas(8) char data[4096];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len;

		memset(data, 0, sizeof(data));
		len = make(data, cases[i].type, cases[i].family, cases[i].table);
		assert_int_equal(nft_monitor_is_removal(data, len, "hearth"), cases[i].removal);
		for (size_t cut = 0; cut < len; cut++) /* no reading beyond what is there */
			assert_false(nft_monitor_is_removal(data, cut, "hearth"));
	}
}

static void test_several(void **state)
{
	_Alignas(8) char data[4096] = { 0 };
	size_t len = make(data, NFT_MSG_NEWRULE, NFPROTO_INET, "hearth");

	len += make(data + len, NFT_MSG_DELRULE, NFPROTO_INET, "other");
	len += make(data + len, NFT_MSG_DELRULE, NFPROTO_INET, "hearth");
	assert_true(nft_monitor_is_removal(data, len, "hearth"));
}

/* libmnl takes such a length for a negative one and walks gigabytes away. */
static void test_lengths(void **state)
{
	static const uint32_t lengths[] = { 0, 15, 0x7fffffff, 0x80000014, 0xfffffff0, 0xffffffff };
	_Alignas(8) char data[4096] = { 0 };
	struct nlmsghdr *first = (struct nlmsghdr *) data;
	size_t len = make(data, NFT_MSG_DELRULE, NFPROTO_INET, "hearth");

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		first->nlmsg_len = lengths[i];
		assert_false(nft_monitor_is_removal(data, len, "hearth"));
	}
}

/* A rule, or with @type a chain, of table @name with a handle. */
static const struct nlmsghdr *make_rule(
	void *data, uint16_t type, const char *name, uint64_t handle)
{
	struct nlmsghdr *message = data;

	(void) make(data, type, NFPROTO_INET, name);
	mnl_attr_put(message, type == NFT_MSG_NEWRULE ? NFTA_RULE_HANDLE : NFTA_CHAIN_HANDLE,
		sizeof(handle), &handle);
	return message;
}

static const struct nlmsghdr *make_element(void *data, const char *name, const char *key)
{
	struct nlmsghdr *message = data;
	struct nlattr *list, *element, *value;

	(void) make(data, NFT_MSG_NEWSETELEM, NFPROTO_INET, name);
	mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, "inside");
	list = mnl_attr_nest_start(message, NFTA_SET_ELEM_LIST_ELEMENTS);
	element = mnl_attr_nest_start(message, NFTA_LIST_ELEM);
	value = mnl_attr_nest_start(message, NFTA_SET_ELEM_KEY);
	mnl_attr_put_strz(message, NFTA_DATA_VALUE, key);
	mnl_attr_nest_end(message, value);
	mnl_attr_nest_end(message, element);
	mnl_attr_nest_end(message, list);
	return message;
}

static void fill(struct nft_table *table, uint64_t rule, const char *key)
{
	static _Alignas(8) char data[4096];

	*table = (struct nft_table){ 0 };
	memset(data, 0, sizeof(data));
	nft_table_add(table, "hearth", make_rule(data, NFT_MSG_NEWCHAIN, "hearth", 1));
	nft_table_add(table, "hearth", make_rule(data, NFT_MSG_NEWRULE, "hearth", rule));
	nft_table_add(table, "hearth", make_rule(data, NFT_MSG_NEWRULE, "other", 9));
	if (key)
		nft_table_add(table, "hearth", make_element(data, "hearth", key));
}

/* What was removed or replaced is missing; what was added, and what is others', changes nothing. */
static void test_table(void **state)
{
	static _Alignas(8) char data[4096];
	struct nft_table before, now;

	fill(&before, 7, "hth*");
	assert_int_equal(before.n, 3);
	fill(&now, 7, "hth*");
	assert_true(nft_table_holds(&now, &before));
	nft_table_add(&now, "hearth", make_rule(data, NFT_MSG_NEWRULE, "hearth", 70));
	assert_true(nft_table_holds(&now, &before));
	fill(&now, 8, "hth*"); /* a rule that was removed and made anew */
	assert_false(nft_table_holds(&now, &before));
	fill(&now, 7, "lo");
	assert_false(nft_table_holds(&now, &before));
	fill(&now, 7, NULL);
	assert_false(nft_table_holds(&now, &before));
	now.n = 0; /* flushed */
	assert_false(nft_table_holds(&now, &before));
	for (int i = 0; i < 2 * NFT_TABLE_ITEMS_MAX; i++) /* somebody filled it */
		nft_table_add(&now, "hearth", make_rule(data, NFT_MSG_NEWRULE, "hearth", i));
	assert_int_equal(now.n, NFT_TABLE_ITEMS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_news),
		cmocka_unit_test(test_several), cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_table) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
