/*
 * forward: whether firewalls of others pass on what pods send and get: the chains of iptables
 * (filter FORWARD of ip and ip6, as Docker, ufw and libvirt use them through nf_tables) and of
 * nft's own samples (inet filter forward), where they drop what no rule accepts. Beside that ufw's
 * INPUT, which drops what other boards and their pods send to this one: kubectl logs and exec, and
 * the API of a control plane. It looks only. Tables of iptables-legacy are not seen.
 */
#pragma once

#include <stdbool.h>

#include "base/ip.h"
#include "sys/net/nl.h"

enum nft_forward_owner { NFT_FORWARD_OTHER, NFT_FORWARD_DOCKER, NFT_FORWARD_UFW };

/* Whom to look for: links whose names begin so, and addresses. */
struct nft_forward_pods {
	const char *links;
	struct ip_prefix pods4, pods6;
	const char *mesh; /* the mesh's interface; NULL: what comes in there is not looked at */
	struct ip_prefix mesh4, mesh6;
};

struct nft_forward {
	bool drops4, drops6; /* by policy, and no rule that is for people to add accepts pods */
	bool input4, input6; /* ufw: likewise what comes in by the mesh's interface */
	enum nft_forward_owner owner; /* of the chains that drop; of input ufw alone */
};

/* @nl is a socket of NETLINK_NETFILTER. 0, or -errno: then nothing is known. */
int nft_forward_look(struct nl *nl, const struct nft_forward_pods *pods, struct nft_forward *ret);

/*
 * Which packets of pods a rule accepts, as one message of the kernel tells: some of those two.
 * Pure.
 */
struct nft_forward_accepts {
	bool from, to;
};
void nft_forward_add_rule(const struct nlmsghdr *nlh, const struct nft_forward_pods *pods,
	struct nft_forward_accepts *accepts);
