/*
 * links: what each link of this machine is, and why; which of its addresses others may try; and
 * from which links packets are believed. The one filter of uplinks, for hearthd and the
 * coordinator.
 *
 * Kind and structure (a bridge's ports, a VLAN's lower link) are the evidence; names only tell
 * apart what looks the same, such as Docker's bridge and a home router's. A default route makes no
 * uplink of a VPN, and its absence takes nothing from one: it only ranks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "sys/net/addr.h"
#include "sys/net/link.h"
#include "sys/net/monitor.h"
#include "sys/net/route.h"

enum { LINKS_ADDRS_MAX = 32, LINKS_WHY_MAX = 128 };

enum link_class {
	LINK_CLASS_LOOPBACK,  /* or a dummy: addresses of the machine itself */
	LINK_CLASS_MESH,      /* this mesh's interface, or that of another mesh */
	LINK_CLASS_POD,       /* to a pod of Hearth's */
	LINK_CLASS_CONTAINER, /* containers' and virtual machines' of others */
	LINK_CLASS_OVERLAY,   /* tunnels and VPNs */
	LINK_CLASS_PORT,      /* of a bridge, a bond: its master has the addresses */
	LINK_CLASS_UPLINK,
	LINK_CLASS_UNKNOWN, /* perhaps an uplink: announced last, and guarded */
};

struct link_verdict {
	int index;
	char name[IFNAMSIZ];
	enum link_class class;
	bool up, has_default;
	bool inside; /* what comes in by it is not checked for sources that lie */
	unsigned mtu;
	const char *why;         /* static */
	char via[LINK_KIND_MAX]; /* the port, lower link or kind that decided, or "" */
};

/* An address that others may try. */
struct links_address {
	struct ip_addr addr;
	size_t link; /* its verdict's place */
};

struct links {
	struct link_verdict *list; /* owned; in the kernel's order */
	size_t n;
	/* Those of links with a default route first, then of other uplinks, the unsure last. */
	struct links_address addrs[LINKS_ADDRS_MAX];
	size_t n_addrs;
};

void links_done(struct links *links);
#define CLEANUP_LINKS CLEANUP(links_done)

/* What rtnetlink listed. */
struct links_facts {
	struct link *links;
	size_t n_links;
	struct link_addr *addrs;
	size_t n_addrs;
	struct route *defaults; /* default routes, by which packets would leave */
	size_t n_defaults;
};

/* Asks the kernel. 0 or -errno; the caller owns *@ret. */
int links_facts_read(struct nl *nl, struct links_facts *ret, struct err *err);
void links_facts_done(struct links_facts *facts);
#define CLEANUP_LINKS_FACTS CLEANUP(links_facts_done)

struct links_rules {
	const struct ip_prefix *denied; /* ranges of mesh, pods and services: never announced */
	size_t n_denied;
	const char *own_ifname; /* the mesh's interface, or NULL: not known */
	bool lasting;           /* no temporary address, even if there is no other */
};

/*
 * Pure. Announced are addresses of any scope wider than the link, of links that are up and are
 * uplinks, unknown or the machine's own; never one that is not ready, going away, or temporary (RFC
 * 8981) while a lasting one of the same prefix is there. 0 or -ENOMEM.
 */
int links_judge(
	const struct links_facts *facts, const struct links_rules *rules, struct links *ret);

/*
 * Whether a change (of links, addresses or routes) may change what links_judge() finds, but for
 * what is the interface of this mesh. Pods come and go, and what is link-local is announced to
 * nobody.
 */
bool links_may_change(const struct monitor_event *event);

/* By its name. */
bool links_is_tailscale(const char *ifname);

/* "uplink", "container" ... */
const char *link_class_name(enum link_class class);
/* "a bridge with hardware in it (eth0)" */
const char *link_verdict_why(
	const struct link_verdict *verdict, char ret_text[static LINKS_WHY_MAX]);

/*
 * Names of the links that container runtimes make one of for each container, such as "veth*":
 * inside, unless a verdict says otherwise. So that a container that comes changes no rule. NULL at
 * the end.
 */
extern const char *const links_inside_patterns[];
bool links_matches_inside_pattern(const char *name);
