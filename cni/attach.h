/*
 * attach: the pod's link: a veth pair, its host end here, its other end in the pod's namespace.
 *
 *   pod   eth0      10.244.1.7/32, fd..::7/128; default via 169.254.1.1 (on the link)
 *                   and fe80::1, both permanent neighbours with the host end's MAC
 *   host  hth...    169.254.1.1/32, fe80::1/64; routes 10.244.1.7/32 and fd..::7/128 dev hth...
 *                   src MESH ADDRESS; the pod's MAC is asked for when it is needed
 *
 * No bridge, no proxy ARP, no duplicate address detection: the addresses work at once.
 *
 * Others may give the pod another MAC (plugins chained behind this one, the pod itself). Its kernel
 * then forgets all neighbours, permanent ones, too, and asks; the host has the gateways' addresses
 * on the link and answers, and believes the new MAC. Who can lie about it is the pod alone, about
 * itself: nobody else is on the link, and no route leads there but its own. No neighbour of ours
 * counts when the table that the whole machine shares is full.
 */
#pragma once

#include "cni/codes.h"
#include "cni/conf.h"
#include "sys/lease/leases.h"
#include "sys/net/link.h"

enum { ATTACH_NAME_MAX = LEASES_NAME_MAX };

#define ATTACH_GATEWAY4 "169.254.1.1"
#define ATTACH_GATEWAY6 "fe80::1"

/* What identifies an attachment; filled by attach_name(). */
struct attachment {
	const char *network, *container, *ifname; /* borrowed */
	char link[ATTACH_NAME_MAX];               /* name of the host end */
	char alias[LINK_ALIAS_MAX];               /* of the host end: the full id */
	uint8_t host_mac[LINK_MAC_LEN], pod_mac[LINK_MAC_LEN];
};

/* -ENAMETOOLONG: the container id does not fit into an alias. */
int attach_name(struct attachment *ret, const char *network, const char *container,
	const char *ifname, struct err *err);

/* Opens CNI_NETNS. @own: the plugin's own namespace is allowed. */
enum cni_code attach_open_netns(const char *path, bool own, int *ret_fd, struct err *err);

/*
 * Makes it, from here (@nl) into @netns_fd. On failure nothing is left (a link that an earlier,
 * killed call left half-made is replaced). CNI_EXISTS: a name is taken. Single-threaded callers
 * only: the process visits the pod's namespace.
 */
enum cni_code attach_make(struct nl *nl, const struct attachment *at, int netns_fd, unsigned mtu,
	const struct conf *conf, const struct lease *lease, struct err *err);

/* Removes the host end (and with it the rest) if it is this attachment's. 1 removed, 0 was none. */
int attach_remove(struct nl *nl, const struct attachment *at, struct err *err);

/* The link carries this attachment's alias, or was left half-made by a killed ADD. */
bool attach_owns(const struct attachment *at, const struct link *link);

/* The container and interface in an alias of @network. False if it is not one of ours. */
bool attach_parse_alias(const char *alias, const char *network,
	char ret_container[static LEASES_CONTAINER_MAX + 1], char ret_ifname[static IFNAMSIZ]);
