/*
 * why: what one board knows of how it reaches another, told to that board or to a person
 * (PROTOCOL.md section 11, the call `why`). What follows from two of these is mesh/why.h's.
 *
 * Spans are in whole seconds before the telling; clocks of two boards are never compared, but for
 * finding out that they differ.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ip.h"
#include "base/json.h"
#include "wire/presence.h"

enum {
	WHY_VERSION_MAX = 32, /* with the NUL, as the next */
	WHY_BY_MAX = 16,
	WHY_ROUTER_MAX = 18,
	WHY_OUTSIDE_MAX = 4,
};
#define WHY_NEVER UINT32_MAX /* of a span: it never was, or is not */

/* What the board is in its mesh. */
enum why_self { WHY_SELF_UP, WHY_SELF_WAITING, WHY_SELF_REMOVED, WHY_SELF_REPLACED };

enum why_way { WHY_WAY_NONE, WHY_WAY_DIRECT, WHY_WAY_RELAYED };

enum why_known { WHY_UNKNOWN, WHY_YES, WHY_NO };

/* Which outside port the board's router gives to a new destination (RFC 4787 section 4.1). */
enum why_mapping {
	WHY_MAPPING_UNKNOWN,
	WHY_MAPPING_NONE,     /* no NAT */
	WHY_MAPPING_SAME,     /* the one that it has: endpoint-independent */
	WHY_MAPPING_COUNTING, /* the next one, or the one after that */
	WHY_MAPPING_RANDOM,
};

/* Whom it lets in there (section 5). */
enum why_filtering {
	WHY_FILTERING_UNKNOWN,
	WHY_FILTERING_NONE,
	WHY_FILTERING_ADDRESS,
	WHY_FILTERING_PORT,
};

/* What became of asking the router for a port of its own. */
enum why_portmap {
	WHY_PORTMAP_UNKNOWN,
	WHY_PORTMAP_OFF,     /* by the board's configuration */
	WHY_PORTMAP_NONE,    /* it offers none */
	WHY_PORTMAP_REFUSED, /* it offers some, and gives none */
	WHY_PORTMAP_BEHIND,  /* it gives one, and is behind another NAT itself */
	WHY_PORTMAP_MAPPED,
};

enum why_family { WHY_IPV4, WHY_IPV6, WHY_FAMILIES };

/* Pings of direct ways of one family, to and from the other board. */
struct why_pings {
	uint32_t sent_s, answered_s; /* ours, the last one */
	uint32_t heard_s;            /* the other's: the last one that came in */
};

struct why_facts {
	char version[WHY_VERSION_MAX]; /* of hearthd */
	uint32_t node, about;          /* who tells; of the way to whom */
	enum why_self self;
	uint64_t seq;     /* the last record of its log */
	uint64_t time_s;  /* since 1970, as it believes */
	bool coordinator; /* it is connected to it */

	/* --- its network --- */
	struct endpoint addrs[PRESENCE_ENDPOINTS_MAX]; /* of its links; none: it has no network */
	size_t n_addrs;
	enum why_known udp[WHY_FAMILIES]; /* gets out, and is answered */
	bool proxy;                       /* TCP to the outside goes by one */
	enum why_mapping mapping;
	enum why_filtering filtering;
	struct endpoint outside[WHY_OUTSIDE_MAX]; /* where others see it; family 0: none any more */
	size_t n_outside;
	enum why_portmap portmap;
	char portmap_by[WHY_BY_MAX]; /* "PCP", "NAT-PMP", "UPnP"; "" */
	struct ip_addr gateway;      /* what its router takes for its own outside; family 0 */
	/*
	 * The link address of what leads it out by IPv4, "": not known. Only compared: two boards
	 * that are told the same are in one house, whatever both call their LAN.
	 */
	char router[WHY_ROUTER_MAX];
	uint32_t relays, bound; /* of the mesh that it knows, and that carry for it */

	/* --- the way --- */
	enum why_way way;
	struct endpoint to;            /* of a direct one */
	uint32_t relay;                /* of a relayed one: the relay's node */
	bool relay_tcp;                /* by TCP to there */
	uint64_t rtt_us;               /* 0: not known */
	uint32_t mtu;                  /* that was proved; 0: not known */
	uint32_t since_s;              /* it has been this way; WHY_NEVER: not known */
	uint32_t search_s;             /* a direct one has been looked for */
	uint32_t knows;                /* so many addresses of the other are tried */
	uint32_t heard_s, handshake_s; /* the tunnel: the last packet and handshake */
	uint32_t pong_s;               /* the last answer to a ping by whichever way */
	struct why_pings pings[WHY_FAMILIES];
	bool absent; /* a relay said last that the other is not there */
};

/*
 * Reads @json without trusting it: 0, -EINVAL, -ENOMEM. A word of a later version counts as
 * unknown, where that is a word.
 */
int why_facts_from_json(const json_t *json, struct why_facts *ret, struct err *err);
/* A new document, NULL when out of memory. */
json_t *why_facts_to_json(const struct why_facts *facts);
