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

#include "sys/nft/forward.h"
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

/* What a datagram says, of process @own and others. */
static enum nft_news news_of(const void *data, size_t len, pid_t own)
{
	enum nft_news news = NFT_NEWS_NONE;

	nft_monitor_read(data, len, "hearth", own, &news);
	return news;
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
		assert_int_equal(
			news_of(data, len, 0), cases[i].removal ? NFT_NEWS_REMOVED : NFT_NEWS_NONE);
		for (size_t cut = 0; cut < len; cut++) /* no reading beyond what is there */
			assert_int_equal(news_of(data, cut, 0), NFT_NEWS_NONE);
	}
}

static void test_several(void **state)
{
	_Alignas(8) char data[4096] = { 0 };
	size_t len = make(data, NFT_MSG_NEWRULE, NFPROTO_INET, "hearth");

	len += make(data + len, NFT_MSG_DELRULE, NFPROTO_INET, "other");
	len += make(data + len, NFT_MSG_DELRULE, NFPROTO_INET, "hearth");
	assert_int_equal(news_of(data, len, 0), NFT_NEWS_REMOVED);
}

static size_t make_of(void *data, uint16_t type, const char *table, uint32_t pid)
{
	size_t len = make(data, type, NFPROTO_INET, table);

	((struct nlmsghdr *) data)->nlmsg_pid = pid;
	return len;
}

/* Our own transaction empties the table first. What others removed before it is there again, after it not. */
static void test_own(void **state)
{
	_Alignas(8) char data[4096] = { 0 };
	enum nft_news news = NFT_NEWS_LOST;
	size_t len;

	len = make_of(data, NFT_MSG_DELRULE, "hearth", 99);
	len += make_of(data + len, NFT_MSG_DELTABLE, "hearth", 77);
	len += make_of(data + len, NFT_MSG_NEWTABLE, "hearth", 77);
	len += make_of(data + len, NFT_MSG_DELRULE, "other", 99);
	assert_int_equal(news_of(data, len, 77), NFT_NEWS_NONE);
	assert_int_equal(news_of(data, len, 0), NFT_NEWS_REMOVED);
	nft_monitor_read(data, 0, "hearth", 77, &news);
	assert_int_equal(news, NFT_NEWS_LOST);
	nft_monitor_read(data, len, "hearth", 77, &news);
	assert_int_equal(news, NFT_NEWS_NONE);
	len += make_of(data + len, NFT_MSG_DELRULE, "hearth", 99);
	assert_int_equal(news_of(data, len, 77), NFT_NEWS_REMOVED);
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
		assert_int_equal(news_of(data, len, 0), NFT_NEWS_NONE);
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

/* What packets add to a set comes and goes: such a set is not looked at. */
static void test_sets(void **state)
{
	static const struct {
		const char *name;
		uint32_t flags;
		bool noted;
	} cases[] = {
		{ "inside", 0, true },
		{ "__set0", NFT_SET_ANONYMOUS, false },
		{ "liars", NFT_SET_EVAL | NFT_SET_TIMEOUT, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_Alignas(8) char data[4096] = { 0 };
		struct nft_table table = { 0 };
		struct nlmsghdr *message = (struct nlmsghdr *) data;

		(void) make(data, NFT_MSG_NEWSET, NFPROTO_INET, "hearth");
		mnl_attr_put_strz(message, NFTA_SET_NAME, cases[i].name);
		mnl_attr_put_u32(message, NFTA_SET_FLAGS, htonl(cases[i].flags));
		nft_table_add(&table, "hearth", message);
		assert_int_equal(table.n_sets, cases[i].noted);
	}
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

/* A rule of expressions in short: i, o: the name of the link in or out; s: the source address; t: a protocol; a: accept; d: drop. */
static void put_expression(struct nlmsghdr *rule, char what)
{
	static const char *const names[] = { ['i'] = "meta",
		['o'] = "meta",
		['s'] = "payload",
		['t'] = "meta",
		['h'] = "cmp",
		['e'] = "cmp",
		['p'] = "cmp",
		['c'] = "counter",
		['a'] = "immediate",
		['d'] = "immediate" };
	struct nlattr *element = mnl_attr_nest_start(rule, NFTA_LIST_ELEM), *data, *inner, *verdict;

	mnl_attr_put_strz(rule, NFTA_EXPR_NAME, names[(unsigned char) what]);
	data = mnl_attr_nest_start(rule, NFTA_EXPR_DATA);
	if (strchr("iot", what))
		mnl_attr_put_u32(rule, NFTA_META_KEY,
			htonl(what == 'i'     ? NFT_META_IIFNAME
				: what == 'o' ? NFT_META_OIFNAME
					      : NFT_META_L4PROTO));
	if (strchr("hep", what)) {
		mnl_attr_put_u32(rule, NFTA_CMP_OP, htonl(NFT_CMP_EQ));
		inner = mnl_attr_nest_start(rule, NFTA_CMP_DATA);
		if (what == 'p')
			mnl_attr_put(rule, NFTA_DATA_VALUE, 2, "\x0a\xf4");
		else
			mnl_attr_put(rule, NFTA_DATA_VALUE, 3, what == 'h' ? "hth" : "eth");
		mnl_attr_nest_end(rule, inner);
	}
	if (strchr("ad", what)) {
		inner = mnl_attr_nest_start(rule, NFTA_IMMEDIATE_DATA);
		verdict = mnl_attr_nest_start(rule, NFTA_DATA_VERDICT);
		mnl_attr_put_u32(rule, NFTA_VERDICT_CODE, htonl(what == 'a' ? NF_ACCEPT : NF_DROP));
		mnl_attr_nest_end(rule, verdict);
		mnl_attr_nest_end(rule, inner);
	}
	mnl_attr_nest_end(rule, data);
	mnl_attr_nest_end(rule, element);
}

static void test_forward(void **state)
{
	static const struct {
		const char *rule;
		bool from, to;
	} cases[] = {
		{ "iha", true, false },
		{ "ohca", false, true },
		{ "ihoha", true, true },
		{ "iea", false, false },
		{ "ihd", false, false },
		{ "ih", false, false },
		{ "tha", false, false }, /* "hth" is what else was loaded */
		{ "spa", true, true },
		{ "ipa", false, false },
		{ "spd", false, false },
		{ "ca", true, true },
		{ "a", true, true },
		{ "ta", false, false },
		{ "d", false, false },
		{ "", false, false },
	};
	_Alignas(8) char data[4096];
	struct nft_forward_pods pods = { .links = "hth" };

	assert_int_equal(ip_prefix_parse("10.244.0.0/16", &pods.pods4), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct nft_forward_accepts accepts = { 0 };
		struct nlmsghdr *rule = (struct nlmsghdr *) data;
		struct nlattr *list;

		memset(data, 0, sizeof(data));
		(void) make(data, NFT_MSG_NEWRULE, NFPROTO_IPV4, "filter");
		list = mnl_attr_nest_start(rule, NFTA_RULE_EXPRESSIONS);
		for (const char *p = cases[i].rule; *p; p++)
			put_expression(rule, *p);
		mnl_attr_nest_end(rule, list);
		nft_forward_add_rule(rule, &pods, &accepts);
		if (accepts.from != cases[i].from || accepts.to != cases[i].to)
			fail_msg("%s: %d %d", cases[i].rule, accepts.from, accepts.to);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_forward),
		cmocka_unit_test(test_news), cmocka_unit_test(test_several),
		cmocka_unit_test(test_own), cmocka_unit_test(test_sets),
		cmocka_unit_test(test_lengths), cmocka_unit_test(test_table) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
