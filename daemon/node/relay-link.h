/*
 * relay-link: the way to a relay of the mesh by UDP: a carrier of the ferry's to one of its
 * addresses, and a bond there. A part of relays.h, whose thread's it is.
 */
#pragma once

#include "mesh/bond.h"
#include "node/relay-addrs.h"
#include "tunnel/ferry.h"

/* So long without an answer, and it carries nothing. */
#define RELAY_LINK_PATIENCE_US UINT64_C(1000000)
/* An address has so long to answer, before the next one is tried. */
#define RELAY_LINK_TRY_US UINT64_C(3000000)
/* While another way serves, that grows to so long; */
#define RELAY_LINK_TRY_MAX_US UINT64_C(48000000)
/* and to so long where none does, once all was in vain for a minute: it may stay away for days. */
#define RELAY_LINK_TRY_TIRED_US UINT64_C(24000000)

struct relay_link {
	uint32_t id;
	uint16_t port;             /* 0: there is no such way */
	bool usable;               /* there is, and the relay's key is one */
	struct relay_addrs *addrs; /* borrowed */

	struct ferry *ferry; /* borrowed; NULL: it is not used now */
	uint64_t used_us;    /* since then */
	bool patient;        /* another way serves meanwhile */

	bool open; /* a carrier to @to */
	struct endpoint to;
	unsigned times;    /* of addrs, when we looked last */
	unsigned in_vain;  /* addresses that were tried since one answered */
	uint64_t tried_us; /* that address, or any, since then; 0: at once */
	struct bond bond;
	uint32_t session; /* the ferry was told, 0: none */
	uint64_t rtt_us;  /* smoothed; 0: not known */
	struct err why;   /* the last that went wrong with a carrier */
};

/*
 * To the relay @id with this @record, of the board @node. False: nothing can be sealed to its key.
 */
bool relay_link_init(struct relay_link *link, const struct pair_self *self, uint32_t node,
	uint32_t id, const struct node_relay *record, struct relay_addrs *addrs, uint64_t now_us);
/* The ferry, if it was used, is to be there still. */
void relay_link_done(struct relay_link *link);

/* Whether it is used from now on, with @ferry; NULL: no more. */
void relay_link_use(struct relay_link *link, struct ferry *ferry, uint64_t now_us);

/* All that is due. When it is to be called again, UINT64_MAX: not before something happens. */
uint64_t relay_link_run(struct relay_link *link, uint64_t now_us);

/* A message that is no DATA came from it. */
void relay_link_take(struct relay_link *link, const uint8_t *data, size_t len, uint64_t now_us);
/* The kernel, or a machine on the way, refuses what is sent to it; or nothing comes back. */
void relay_link_doubt(struct relay_link *link, uint64_t now_us);
/* Our own addresses are others: the carrier is opened again, at the first address. */
void relay_link_moved(struct relay_link *link, uint64_t now_us);

/* Packets can go by it. */
bool relay_link_carries(const struct relay_link *link, uint64_t now_us);
/* It does not answer, and has had its time; one that is not used may be good. */
bool relay_link_is_silent(const struct relay_link *link, uint64_t now_us);
/* It answers, and does not know us. */
bool relay_link_is_refused(const struct relay_link *link, uint64_t now_us);

enum { RELAY_LINK_WHY_MAX = 384 };
/* Why it does not carry, for a person. Returns @ret. */
const char *relay_link_why(
	const struct relay_link *link, uint64_t now_us, char ret[static RELAY_LINK_WHY_MAX]);
