/*
 * Lengths are checked before anything is read; whatever is not understood is skipped.
 */
#include "sys/nft/monitor.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <netinet/in.h> /* before linux/netfilter.h, which leaves it the definitions then */
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "sys/net/nl.h"

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

/*
 * Whether it is about table @table. The table's name is attribute 1 of tables, chains and rules
 * alike.
 */
static bool is_about(const struct nlmsghdr *message, const char *table)
{
	const struct nlattr *attrs[NFTA_TABLE_NAME + 1] = { 0 };
	const struct nfgenmsg *family = mnl_nlmsg_get_payload(message);
	const struct nlattr *name;

	if (NFNL_SUBSYS_ID(message->nlmsg_type) != NFNL_SUBSYS_NFTABLES ||
		nl_attrs(message, sizeof(*family), attrs, NFTA_TABLE_NAME) < 0 ||
		family->nfgen_family != NFPROTO_INET)
		return false;
	name = attrs[NFTA_TABLE_NAME];
	return name && mnl_attr_validate(name, MNL_TYPE_NUL_STRING) >= 0 &&
	       !strcmp(mnl_attr_get_str(name), table);
}

static bool is_removal(const struct nlmsghdr *message)
{
	switch (NFNL_MSG_TYPE(message->nlmsg_type)) {
	case NFT_MSG_DELTABLE:
	case NFT_MSG_DELCHAIN:
	case NFT_MSG_DELRULE:
	case NFT_MSG_DELSET:
	case NFT_MSG_DELSETELEM:
	case NFT_MSG_NEWTABLE: /* it may have been put to sleep */
		return true;
	default:
		return false;
	}
}

/*
 * A netlink socket is called by its process's number; where that was taken, our own doing is looked
 * at once more.
 */
void nft_monitor_read(
	const void *data, size_t len, const char *table, pid_t own, enum nft_news *news)
{
	for (const struct nlmsghdr *message; (message = nl_next(&data, &len));) {
		if (!is_about(message, table))
			continue;
		if (own > 0 && message->nlmsg_pid == (uint32_t) own)
			*news = NFT_NEWS_NONE;
		else if (is_removal(message))
			*news = NFT_NEWS_REMOVED;
	}
}

void nft_monitor_drain(int fd, const char *table, pid_t own, enum nft_news *news)
{
	_Alignas(struct nlmsghdr) char data[32768];

	for (;;) {
		ssize_t n = recv(fd, data, sizeof(data), 0);

		if (n < 0 && errno == ENOBUFS)
			*news = NFT_NEWS_LOST;
		else if (n < 0 && errno != EINTR)
			return;
		else if (n > 0)
			nft_monitor_read(data, (size_t) n, table, own, news);
		else if (n == 0)
			return;
	}
}
