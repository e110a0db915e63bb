/*
 * peers: keeps the tunnel's peers equal to what netmap and presences say.
 */
#pragma once

#include "board/book.h"
#include "board/seen.h"
#include "tunnel/tunnel.h"

struct peers;

enum { PEERS_KEEPALIVE_S = 25 };

struct peers *peers_new(void);
struct peers *peers_free(struct peers *peers);
/* Peers that are new to the tunnel are tried where they were seen last, too. Borrowed. */
void peers_remember(struct peers *peers, const struct seen *seen);

/*
 * What the tunnel should know of @node: pure. @ret->allowed points to @allowed. The presence may be
 * NULL; our own addresses are left out of its endpoints. One that says that it has no IPv6 is allowed
 * none: the tunnel then answers what is sent there with "unreachable".
 */
void peers_describe(const struct node *node, const struct presence *presence,
	const struct endpoint *own, size_t n_own, struct ip_prefix allowed[static NODE_ALLOWED_MAX],
	struct tunnel_peer *ret);

/*
 * Adds, changes and removes peers of @tunnel until they are those of @book except @self; what has not
 * changed is not touched. New ones and those with new addresses get a handshake at once. Returns the
 * number of changes, or the last failure of the tunnel with @err (the others are done all the same).
 */
int peers_apply(struct peers *peers, struct tunnel *tunnel, const struct book *book, uint32_t self,
	const struct endpoint *own, size_t n_own, struct err *err);

/* The same of the one node @id, whose presence is a new one. It is in the netmap, and not we. */
int peers_apply_one(struct peers *peers, struct tunnel *tunnel, const struct book *book,
	uint32_t id, const struct endpoint *own, size_t n_own, struct err *err);

/* Starts a handshake with every peer whose session is not fresh. */
void peers_initiate(struct peers *peers, struct tunnel *tunnel);

/* The tunnel was opened anew: it knows nobody. */
void peers_forget(struct peers *peers);
