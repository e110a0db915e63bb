/*
 * firewall: the text of nftables table `inet hearth`, static for a board (of another mesh on the
 * same machine: `inet hearth_IFNAME`, where the interface is not called hearth0):
 *
 *   guard       what may come in where, before anybody translates addresses (so that NodePorts and
 *               host ports live): by the tunnel only what is for this board's mesh address or its
 *               pods; from a pod only its own addresses; from strangers nothing that is from or for
 *               the mesh and the pods, and nothing for services. Links are strangers until they are
 *               known to be none, so that a new one is guarded from its first packet on
 *   to_board,   containers of others may send to the board, its pods and the mesh, but not as the
 *   to_mesh     mesh or a pod
 *   hairpin     marks a pod's packet to a service that is the pod itself (the mark's one bit)
 *   masquerade  pods of this board on their way out of the mesh; and what hairpin marked
 *   leave       drops what would leave with a pod's address all the same, and what came by the
 *               tunnel for an address of ours that no pod has
 *   clamp       TCP's segment size to what the route carries, in both directions of the interface
 *
 * No drop policy, and no rule about what is none of the mesh's: whether others' packets are
 * forwarded is a question for those who own it (Docker, ufw, the administrator). Only addresses and
 * links decide, so a fragment or an extension header is treated as its packet; ports that
 * are for boards alone are the exception.
 */
#pragma once

#include <net/if.h>

#include "base/buf.h"
#include "base/ip.h"

enum {
	FIREWALL_TABLE_MAX = 64,
	FIREWALL_CLOSED_MAX = 2,
	FIREWALL_MARK = 0x2000, /* outside the bits of kube-proxy, Calico, Cilium and Tailscale */
};

struct firewall {
	const char *interface;
	struct ip_addr own4, own6;             /* our mesh addresses */
	struct ip_prefix own_pods4, own_pods6; /* family 0: this board runs no pods */
	struct ip_prefix mesh4, mesh6, pods4, pods6, services4, services6;
	/* At our mesh addresses, closed to pods: what is there for boards alone. */
	uint16_t closed[FIREWALL_CLOSED_MAX];
	size_t n_closed;
	/* Links of containers, beside links_inside_patterns; and exceptions of those. */
	const char (*inside)[IFNAMSIZ];
	size_t n_inside;
	const char (*outside)[IFNAMSIZ];
	size_t n_outside;
};

/* Sets that packets fill: addresses of boards whose packets strayed, links of pods that lied. */
#define FIREWALL_SENDERS4 "senders4"
#define FIREWALL_SENDERS6 "senders6"
#define FIREWALL_LIARS    "liars"

/*
 * Append the transaction that puts the table in place of any older one, without links; and the one
 * that brings the links in it up to date, which leaves in place what the rules have counted and
 * whom they remember. The second may follow the first in the same text.
 */
void firewall_add_rules(const struct firewall *firewall, struct buf *ret);
void firewall_add_links(const struct firewall *firewall, struct buf *ret);

/* Appends the transaction that removes the table of @ifname's mesh, also if it is not there. */
void firewall_add_removal(const char *ifname, struct buf *ret);

/* The name of the table of the mesh with the interface @ifname, in @ret. Returns @ret. */
const char *firewall_table(const char *ifname, char ret[static FIREWALL_TABLE_MAX]);
