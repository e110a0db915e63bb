/*
 * peer: THE table of the mesh's other boards, by number: what the tunnel was told of each, and what
 * it said of each. A peer that is not reachable now is never removed; only its record's end does
 * that.
 */
#pragma once

#include "base/pace.h"
#include "board/book.h"
#include "board/seen.h"
#include "mesh/mtu.h"
#include "mesh/ways.h"
#include "node/finder-probe.h"
#include "tunnel/tunnel.h"
#include "wire/disco.h"

enum {
	PEER_KEEPALIVE_S = 25,
	PEER_KEEPALIVE_NAT_S = 18, /* where it goes out by a NAT of ours: some forget after 20 s */
};
/* Who said something in that time is reachable: two keepalives and a half. */
#define PEER_REACHABLE_US (UINT64_C(60) * 1000000)

/* What a peer and we know alone (wire/pair.h), made for its identity key of the moment. */
struct peer_pair {
	uint8_t identity[FIELD_KEY_LEN];
	bool usable;
	uint8_t key[PAIR_KEY_LEN];
	uint8_t hint_out[DISCO_HINT_LEN], hint_in[DISCO_HINT_LEN];
	uint64_t run;               /* of the peer's hearthd, 0: not known */
	struct pace pongs;          /* to where it has answered from */
	struct pace pongs_anywhere; /* whoever plays its pings again must not use up those */
};

/* Whether and when a port of it is guessed: the holes' (holes.h). */
struct peer_guess {
	uint64_t since_us; /* it has called in vain since then; 0: it has not */
	uint64_t called_us;
	struct backoff pause;
	bool open;    /* ports of ours are open to it, and calls say so */
	bool invited; /* it has just said the same to us */
};

/* How long what is sent to it may be: the mtus' (mtus.h). */
struct peer_mtu {
	struct mtu search;
	struct endpoint way; /* of which that is known; AF_UNSPEC: none */
	uint32_t relay;      /* by which it leads, as below */
	uint64_t sent_bytes; /* when it was looked at last */
	unsigned told;       /* what its routes were given last; 0: nothing yet */
};

struct peer {
	uint32_t id;
	/* -- what the tunnel was told -- */
	bool is_told;            /* all of it, without a failure */
	struct tunnel_peer told; /* its key counts also without is_told, unless that is zero */
	struct ip_prefix allowed[NODE_ALLOWED_MAX];
	/* -- where it is, and how that is found out: the finder's -- */
	struct ways ways;
	struct peer_pair pair;
	struct finder_probes probes;
	uint64_t bytes; /* of stats, both ways, at the last finder_look() */
	/* -- the relays' (relays.h) -- */
	uint32_t relay; /* the node by which the relayed one of its ways goes; 0: there is none */
	bool relay_in_vain; /* none was of use: not again before there is a new reason */
	bool relay_absent;  /* it said last that the peer is not there */
	struct peer_guess guess;
	struct peer_mtu mtu;
	/* -- what the tunnel said last -- */
	struct tunnel_peer_stats stats;
	bool has_presence; /* an address is known */
	bool reachable;
	bool lost;         /* in this look: it was reachable, and is not */
	bool ever;         /* since hearthd started */
	uint64_t since_us; /* wall clock: reachable or lost since then; 0: nothing happened yet */
	uint64_t state_us; /* monotonic: in its state since then */
	uint64_t recalled_us; /* a way that was heard just then was not, but remembered; 0: none */
	struct endpoint endpoint; /* the last one in use; AF_UNSPEC: none yet */
};

/* What packets to it may be, as its routes have it. */
static inline unsigned peer_mtu(const struct peer *peer)
{
	return peer->mtu.told ? peer->mtu.told : MTU_LEAST;
}

struct peers;

struct peers_hooks {
	/* Node @id answers at another address than before. */
	void (*moved)(void *ctx, uint32_t id);
	/* Nothing has come from node @id for so long that it counts as unreachable now. */
	void (*lost)(void *ctx, uint32_t id);
};

/*
 * @book and @seen are borrowed: peers that are new to the tunnel are tried where they were seen
 * last, too.
 */
struct peers *peers_new(const struct book *book, struct seen *seen, uint32_t self,
	const struct peers_hooks *hooks, void *ctx);
struct peers *peers_free(struct peers *peers);

/* All of them, by number. Borrowed until the table changes. */
const struct peer *peers_list(const struct peers *peers, size_t *ret_n);
/* The same, for who changes what is its own. */
struct peer *peers_all(struct peers *peers, size_t *ret_n);
/* NULL if there is none. Borrowed likewise. */
const struct peer *peers_get(const struct peers *peers, uint32_t id);
struct peer *peers_change(struct peers *peers, uint32_t id);
size_t peers_reachable(const struct peers *peers);

/*
 * What the tunnel should know of @node but where it is: pure. @ret->allowed points to @allowed. The
 * presence may be NULL. One that says that it has no IPv6 is allowed none: the tunnel then answers
 * what is sent there with "unreachable".
 */
void peer_describe(const struct node *node, const struct presence *presence,
	struct ip_prefix allowed[static NODE_ALLOWED_MAX], struct tunnel_peer *ret);

/*
 * Adds, changes and removes peers of @tunnel until they are those of the book; what has not changed
 * is not touched. Their ways are those that they announce, but for our own addresses. Returns the
 * number of peers of which the tunnel was told, or its last failure with @err (the others are done
 * all the same).
 */
int peers_apply(struct peers *peers, struct tunnel *tunnel, const struct endpoint *own,
	size_t n_own, struct err *err);
/* The same of the one node @id, whose presence is a new one. */
int peers_apply_one(struct peers *peers, struct tunnel *tunnel, uint32_t id,
	const struct endpoint *own, size_t n_own, struct err *err);

/* Asks @tunnel (NULL: there is none) what it knows of them, and notes where they answer. */
void peers_look(struct peers *peers, struct tunnel *tunnel, uint64_t now_us);

/* Starts a handshake with every peer whose session is not fresh. */
void peers_initiate(struct peers *peers, struct tunnel *tunnel);

/* The tunnel was opened anew: it knows nobody. */
void peers_forget(struct peers *peers);
/* There is no mesh: no peers either. */
void peers_clear(struct peers *peers);
