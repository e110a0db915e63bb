/*
 * why: how packets reach another board, why not better, and what would help: one sentence for a
 * person, found from what the two boards know (wire/why.h). The other's part may be missing: then
 * from this board's alone. Pure.
 *
 *   why.c           the cause, and whose it is: of no way at all
 *   why-direct.c    of a direct one
 *   why-relayed.c   of a relayed one
 *   why-nets.c      who is whose neighbour
 *   why-tell.c      what a person is told of it; why-evidence.c: the lines below
 */
#pragma once

#include "base/buf.h"
#include "wire/node.h"
#include "wire/why.h"

/* In the order in which one is looked for. Names (why_cause_name()) stay as they are. */
enum why_cause {
	/* --- reached directly --- */
	WHY_DIRECT_LAN,
	WHY_DIRECT_IPV6,
	WHY_DIRECT_HAIRPIN, /* behind one NAT, which turns packets around */
	WHY_DIRECT_MAPPED,  /* by a port that a router was asked for */
	WHY_DIRECT_PUBLIC,  /* no NAT is before one of the two */
	WHY_DIRECT_NAT,     /* through what they opened by pinging */

	/* --- by a relay, because --- */
	WHY_ONLY_PROXY,
	WHY_UDP_BLOCKED,
	WHY_DIRECT_LOST,  /* a moment ago */
	WHY_IPV4_BLOCKED, /* there is an address, and no UDP from it: and the other needs it */
	WHY_NO_COMMON_FAMILY,
	WHY_SEARCHING,  /* not for long yet */
	WHY_NO_ADDRESS, /* none is known where the other might be met */
	WHY_ISOLATED,   /* on one LAN, which carries nothing between the two */
	WHY_FIREWALL,   /* nothing gets in at one end */
	WHY_IPV6_FIREWALL,
	WHY_NO_HAIRPIN, /* behind one NAT, which does not turn packets around */
	WHY_HARD_BOTH,
	WHY_CGNAT,
	WHY_DOUBLE_NAT,
	WHY_HARD_NAT,
	WHY_IPV6_BLOCKED, /* there is an address, and nothing of it gets through */
	WHY_VERSIONS,
	WHY_UNEXPLAINED,

	/* --- not at all, because --- */
	WHY_OWN_REMOVED,
	WHY_OWN_REPLACED,
	WHY_OWN_WAITING,
	WHY_REMOVED,
	WHY_OWN_OFFLINE,
	WHY_KEYS,
	WHY_NEVER_SEEN,
	WHY_OTHER_CUT_OFF, /* it is on: somebody reaches it, and no relay does */
	WHY_HEARTHD_OFF,   /* its machine answers, and Hearth there does not */
	WHY_RELAY_SILENT,
	WHY_NO_RELAY,
	WHY_PEER_OFF,
	WHY_CAUSES
};

/* "hard_nat". */
const char *why_cause_name(enum why_cause cause);

/* Whose it is: a set. */
enum why_at { WHY_AT_HERE = 1, WHY_AT_THERE = 2, WHY_AT_BOTH = 3 };

/* Why nothing is known of what the other knows. */
enum why_missing {
	WHY_MISSING_NOT, /* it is known */
	WHY_MISSING_UNASKED,
	WHY_MISSING_SILENT,  /* it does not answer */
	WHY_MISSING_OLD,     /* its hearthd does not know the question */
	WHY_MISSING_REFUSED, /* or has no time for it, or its answer makes no sense */
};

/* A board of the mesh as a person knows it. All borrowed. */
struct why_end {
	const char *name;
	const char *site;              /* the house it is in; NULL: not said */
	const struct why_facts *facts; /* NULL: not known */
};

/* What a third board says of the other. */
struct why_witness {
	const char *name;
	enum why_way way;
	uint32_t heard_s;
};

struct why_case {
	struct why_end here, there;
	enum why_missing missing;         /* of there.facts */
	const struct endpoint *announced; /* the other's addresses, as it told everybody last */
	size_t n_announced;
	bool removed; /* the log says that the other is no board of the mesh any more */
	/* One of its addresses answered an ICMP echo just now; family 0: none did. */
	struct ip_addr echo;
	const struct why_witness *witnesses;
	size_t n_witnesses;
	const char *relay; /* the name of the one by which it goes, or would; NULL: none */
};

/*
 * Whether it makes sense to ask @addr for an ICMP echo: it is on a network of this board's, or one
 * of a house, and so nobody else's.
 */
bool why_may_echo(const struct why_facts *here, const struct ip_addr *addr);

struct why_finding {
	enum why_way way;
	enum why_cause cause;
	unsigned at; /* a set of enum why_at; 0: nobody's */
};

/* here.facts is there. */
void why_find(const struct why_case *what, struct why_finding *ret);

enum { WHY_TEXT_MAX = 512, WHY_EVIDENCE_MAX = 16 };

struct why_verdict {
	char sentence[WHY_TEXT_MAX];
	char fix[WHY_TEXT_MAX]; /* what to do; "": nothing */
	char evidence[WHY_EVIDENCE_MAX][WHY_TEXT_MAX];
	size_t n_evidence;
};

void why_tell(
	const struct why_case *what, const struct why_finding *finding, struct why_verdict *ret);
