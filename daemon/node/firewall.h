/*
 * firewall: the text of nftables table `inet hearth`, static for a board (of another mesh on the same
 * machine: `inet hearth_IFNAME`, where the interface is not called hearth0):
 *
 *   guard       drops packets whose source lies: of the mesh or the pods, but not in by the tunnel; of
 *               other boards' pods or the mesh, but out of a pod of this board. And what comes for our
 *               mesh address by any link but the tunnel, pods and containers. Links are strangers until
 *               they are known to be none, so that a new one is guarded from its first packet on
 *   hairpin     marks a pod's packet to a service that is the pod itself (the mark's one bit)
 *   masquerade  pods of this board on their way out of the mesh; and what hairpin marked
 *   clamp       TCP's segment size to what the route carries, in both directions of the interface
 *
 * There is no drop policy and no rule about forwarding: whether packets are forwarded is a question
 * for those who own it (Docker, ufw, the administrator).
 */
#pragma once

#include <net/if.h>

#include "base/buf.h"
#include "base/ip.h"

enum {
	FIREWALL_TABLE_MAX = 64,
	FIREWALL_MARK = 0x2000, /* outside the bits of kube-proxy, Calico, Cilium and Tailscale */
};

struct firewall {
	const char *interface;
	struct ip_addr own4, own6;             /* our mesh addresses */
	struct ip_prefix own_pods4, own_pods6; /* family 0: this board runs no pods */
	struct ip_prefix mesh4, mesh6, pods4, pods6, services4, services6;
	/* Links that are not guarded, beside lo, ours and links_inside_patterns; and exceptions of those. */
	const char (*inside)[IFNAMSIZ];
	size_t n_inside;
	const char (*outside)[IFNAMSIZ];
	size_t n_outside;
};

/* Appends the transaction that puts the table in place of any older one. */
void firewall_add_text(const struct firewall *firewall, struct buf *ret);

/* Appends the transaction that removes the table of @ifname's mesh, also if it is not there. */
void firewall_add_removal(const char *ifname, struct buf *ret);

/* The name of the table of the mesh with the interface @ifname, in @ret. Returns @ret. */
const char *firewall_table(const char *ifname, char ret[static FIREWALL_TABLE_MAX]);
