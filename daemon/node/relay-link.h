/*
 * relay-link: a relay of the mesh as this board uses it: the addresses of its hosts, a carrier of
 * the ferry's to one of them, and a bond there. A part of relays.h, whose thread's it is.
 */
#pragma once

#include "mesh/bond.h"
#include "mesh/home.h"
#include "node/core.h"
#include "sys/resolve/resolve.h"
#include "tunnel/ferry.h"

enum { RELAY_LINK_ADDRS = 8 };
/* So long without an answer, and it carries nothing. */
#define RELAY_LINK_PATIENCE_US UINT64_C(1000000)
/* An address has so long to answer, before the next one is tried. */
#define RELAY_LINK_TRY_US UINT64_C(3000000)
/* From one look-up of its names to the next, while it does not answer. */
#define RELAY_LINK_ASK_US UINT64_C(5000000)

struct relay_link {
	struct core *core; /* borrowed */
	uint32_t id;
	struct node_relay record; /* a copy */
	bool usable;              /* its key is one */
	void (*changed)(void *ctx);
	void *ctx;

	struct ferry *ferry;                     /* borrowed; NULL: it is not used now */
	uint64_t used_us;                        /* since then */
	struct endpoint addrs[RELAY_LINK_ADDRS]; /* of its hosts, as last looked up */
	size_t n_addrs;
	struct endpoint found[RELAY_LINK_ADDRS]; /* so far by the look-up under way */
	size_t n_found, host;                    /* which of its hosts is looked up */
	struct resolve *asking;                  /* that is a name */
	uint64_t asked_us;                       /* the last look-up began; 0: none did */

	bool open; /* a carrier to @to */
	struct endpoint to;
	uint64_t tried_us; /* that address, or any, since then; 0: at once */
	struct bond bond;
	uint32_t session; /* the ferry was told, 0: none */
	uint64_t rtt_us;  /* smoothed; 0: not known */
	struct err why;   /* the last that went wrong with names and addresses */
	bool carried;     /* when relays.h looked last */
};

/*
 * Of @node, which has the field. @changed is called with @ctx when names were looked up: run again.
 * The link must not be moved in memory.
 */
void relay_link_init(struct relay_link *link, struct core *core, const struct pair_self *self,
	const struct node *node, void (*changed)(void *ctx), void *ctx);
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
/* Our own addresses are others: the carrier is opened again, and the names looked up. */
void relay_link_moved(struct relay_link *link, uint64_t now_us);

/* Packets can go by it. */
bool relay_link_carries(const struct relay_link *link, uint64_t now_us);
/* As home.h and relayed.h see it. */
struct home_choice relay_link_choice(const struct relay_link *link, uint64_t now_us);

/* "bound", "refused" (it answers, and does not know us), "silent", "unused". */
const char *relay_link_state(const struct relay_link *link, uint64_t now_us);
enum { RELAY_LINK_WHY_MAX = 384 };
/* What is wrong with it, for a person; "" if it carries. Returns @ret. */
const char *relay_link_why(
	const struct relay_link *link, uint64_t now_us, char ret[static RELAY_LINK_WHY_MAX]);
