/* rule: see rule.h. */
#include "sys/net/rule.h"

#include <errno.h>
#include <linux/fib_rules.h>

static const uint8_t families[] = { AF_INET, AF_INET6 };

static int ask(struct nl *nl, uint16_t type, uint16_t flags, uint8_t family, const char *ifname,
	struct err *err)
{
	void *header;
	struct nlmsghdr *nlh = nl_start(nl, type, flags, sizeof(struct fib_rule_hdr), &header);
	struct fib_rule_hdr *rule = header;

	rule->family = family;
	rule->action = FR_ACT_PROHIBIT;
	nl_put_u32(nl, nlh, FRA_PRIORITY, RULE_PRIORITY);
	nl_put_u8(nl, nlh, FRA_PROTOCOL, RULE_PROTOCOL);
	nl_put_str(nl, nlh, FRA_IIFNAME, ifname);
	return nl_ask(nl, nlh, NULL, NULL, err);
}

static bool is_no_family(int r)
{
	return r == -EAFNOSUPPORT || r == -EOPNOTSUPP;
}

int rule_prohibit(struct nl *nl, const char *ifname, struct err *err)
{
	int first = 0;

	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		struct err why = { 0 };
		int r = ask(nl, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, families[i], ifname, &why);

		if (r < 0 && r != -EEXIST && !is_no_family(r) && !first)
			first = err_set(err, r,
				"a routing rule that nothing from %s is passed on: %s", ifname,
				why.text);
	}
	return first;
}

int rule_permit(struct nl *nl, const char *ifname, struct err *err)
{
	int first = 0;

	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		struct err why = { 0 };
		int r = ask(nl, RTM_DELRULE, 0, families[i], ifname, &why);

		if (r < 0 && r != -ENOENT && !is_no_family(r) && !first)
			first = err_set(err, r,
				"remove the routing rule that nothing from %s is passed on: %s",
				ifname, why.text);
	}
	return first;
}
