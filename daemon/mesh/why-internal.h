/* why-internal: shared by the files of why.h. */
#pragma once

#include "mesh/why.h"

enum {
	WHY_RECENT_S = 30, /* pings are sent at least every 15 s while a way is looked for ... */
	/* ... but to public addresses only after calls, which may be 120 s apart (ways-call.c). */
	WHY_SELDOM_S = 150,
	WHY_NOT = -1, /* it is not this cause */
};

/* A cause that may be, and the test for it: a set of enum why_at, or WHY_NOT. */
struct why_rule {
	enum why_cause cause;
	int (*fits)(const struct why_case *c);
};

/* --- why-nets.c --- */

typedef bool (*why_test_fn)(const struct why_facts *f, const struct why_facts *other);
/* At which ends it is so. @other is NULL where it is not known. */
unsigned why_ends(const struct why_case *c, why_test_fn test);
/* The same as a rule has it. */
int why_where(const struct why_case *c, why_test_fn test);

/* One that a carrier gives to its customers (RFC 6598). */
bool why_is_cgnat(const struct ip_addr *addr);
bool why_is_global(const struct ip_addr *addr, int family);
bool why_has_global(const struct why_facts *f, int family);
/* An address of its links. */
bool why_has_addr(const struct why_facts *f, const struct ip_addr *addr);
/* UDP of that family gets out and is answered, or may do: it has an address. */
bool why_can_use(const struct why_facts *f, enum why_family family);
/* Whether @addr is on a LAN of the board's. */
bool why_is_near(const struct why_facts *f, const struct ip_addr *addr);
/* Whether IPv4 leaves both by one address: WHY_UNKNOWN where one of them does not know. */
enum why_known why_share_outside(const struct why_facts *a, const struct why_facts *b);
/* Both are on one LAN, as far as that can be told; of the other, what it announced last counts. */
bool why_share_lan(const struct why_case *c);

/* --- why-direct.c, why-relayed.c --- */

/* The last one of each always fits. */
extern const struct why_rule why_direct_rules[];
extern const struct why_rule why_relayed_rules[];

/* --- why-evidence.c --- */

void why_list_evidence(
	const struct why_case *c, const struct why_finding *finding, struct why_verdict *v);
