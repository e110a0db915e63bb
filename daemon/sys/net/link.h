/*
 * link: network interfaces of the namespace of a netlink socket.
 */
#pragma once

#include <net/if.h>
#include <linux/if.h> /* IFF_LOWER_UP; after net/if.h, which knows of it */
#include <stdbool.h>
#include <stdint.h>

#include "sys/net/nl.h"

enum { LINK_MAC_LEN = 6, LINK_KIND_MAX = 32, LINK_ALIAS_MAX = 256, LINK_MAC_TEXT_MAX = 18 };

struct link {
	int index;
	char name[IFNAMSIZ];
	unsigned flags; /* IFF_UP, IFF_LOWER_UP, IFF_POINTOPOINT ... */
	unsigned mtu;
	unsigned type; /* ARPHRD_* */
	uint8_t mac[LINK_MAC_LEN];
	bool has_mac;             /* of six bytes */
	char kind[LINK_KIND_MAX]; /* "veth", "tun", "bridge" ...; empty for hardware */
	char alias[LINK_ALIAS_MAX];
	int peer_index;    /* a veth's other end, in its namespace; else the lower link; 0 none */
	int peer_netnsid;  /* id of that namespace as seen from here; -1: this one */
	int master;        /* bridge or bond it is in, 0 none */
	uint8_t operstate; /* IF_OPER_* */
	bool carrier;
	int forwarding6, accept_ra; /* of IPv6, as sysctl has them; -1: no IPv6 on it */
};

/* 0, or -ENODEV (and others) with a sentence that names the link. */
int link_find(struct nl *nl, const char *name, struct link *ret, struct err *err);
int link_get(struct nl *nl, int index, struct link *ret, struct err *err);
/* In the namespace with the id @nsid (netns.h; Linux 4.20, CAP_NET_ADMIN); -1: ours. */
int link_find_in(struct nl *nl, const char *name, int nsid, struct link *ret, struct err *err);
/* All of them, heap, the caller frees. */
int link_list(struct nl *nl, struct link **ret, size_t *ret_n, struct err *err);

int link_set_up(struct nl *nl, int index, bool up, struct err *err);
int link_set_mtu(struct nl *nl, int index, unsigned mtu, struct err *err);
/* -EEXIST: another link has the name. Before Linux 6.2 -EBUSY for one that is up. */
int link_set_name(struct nl *nl, int index, const char *name, struct err *err);
int link_set_alias(struct nl *nl, int index, const char *alias, struct err *err);
/* Turns the automatic IPv6 link-local address off (before the link is brought up). */
int link_set_no_autoaddr6(struct nl *nl, int index, struct err *err);
/* -ENODEV if there is none. The other end of a veth pair goes, too. */
int link_delete(struct nl *nl, int index, struct err *err);

/*
 * A veth pair: one end here, the other straight in the namespace of @peer_netns_fd (borrowed), both
 * down. Addresses given here are never changed by udev. -EEXIST if either name is taken.
 */
struct link_veth {
	const char *name, *peer_name;
	unsigned mtu; /* both ends */
	/*
	 * The peer's end makes TCP super-packets of at most so many segments; 0: as many as it
	 * likes.
	 */
	unsigned peer_segments;
	uint8_t mac[LINK_MAC_LEN], peer_mac[LINK_MAC_LEN];
	int peer_netns_fd;
};
int link_add_veth(struct nl *nl, const struct link_veth *veth, struct err *err);

/* nl_parse: a RTM_NEWLINK or RTM_DELLINK message into struct link. */
int link_parse(void *unused, const struct nlmsghdr *nlh, void *ret_link);

const char *link_mac_format(
	const uint8_t mac[static LINK_MAC_LEN], char ret_text[static LINK_MAC_TEXT_MAX]);
