/*
 * Lengths are checked by libmnl before anything is read; whatever is not understood is skipped.
 */
#include "sys/nft/monitor.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"

int nft_monitor_open(void)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK };
	CLEANUP(close_p) int fd = -1;
	int group = NFNLGRP_NFTABLES;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
		return -errno;
	if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		return -errno;
	return take_fd(&fd);
}

static int find_table(const struct nlattr *attr, void *ctx)
{
	const char **name = ctx;

	/* The table's name is attribute 1 of tables, chains and rules alike. */
	if (mnl_attr_get_type(attr) == NFTA_TABLE_NAME &&
		mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0)
		*name = mnl_attr_get_str(attr);
	return MNL_CB_OK;
}

static bool message_is_removal(const struct nlmsghdr *message, const char *table)
{
	const struct nfgenmsg *family;
	const char *name = NULL;

	if (NFNL_SUBSYS_ID(message->nlmsg_type) != NFNL_SUBSYS_NFTABLES)
		return false;
	switch (NFNL_MSG_TYPE(message->nlmsg_type)) {
	case NFT_MSG_DELTABLE:
	case NFT_MSG_DELCHAIN:
	case NFT_MSG_DELRULE:
		break;
	default:
		return false;
	}
	if (mnl_nlmsg_get_payload_len(message) < sizeof(*family))
		return false;
	family = mnl_nlmsg_get_payload(message);
	if (family->nfgen_family != NFPROTO_INET)
		return false;
	(void) mnl_attr_parse(message, sizeof(*family), find_table, &name);
	return name && !strcmp(name, table);
}

bool nft_monitor_is_removal(const void *data, size_t len, const char *table)
{
	const struct nlmsghdr *message = data;
	int left = len > INT32_MAX ? 0 : (int) len;

	for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left))
		if (message_is_removal(message, table))
			return true;
	return false;
}

bool nft_monitor_drain(int fd, const char *table)
{
	_Alignas(struct nlmsghdr) char data[32768];
	bool removed = false;

	for (;;) {
		ssize_t n = recv(fd, data, sizeof(data), 0);

		if (n < 0 && errno == ENOBUFS)
			removed = true;
		else if (n < 0 && errno != EINTR)
			return removed;
		else if (n > 0)
			removed = nft_monitor_is_removal(data, (size_t) n, table) || removed;
		else if (n == 0)
			return removed;
	}
}
