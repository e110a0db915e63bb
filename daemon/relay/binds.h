/*
 * binds: which member is where, for the UDP relay (PROTOCOL.md section 12). It decides what becomes
 * of a datagram and makes what the relay says itself. Pure: the caller passes the time, and sends.
 *
 * There is one entry for each member and none for anybody else, so nobody can fill it. A binding
 * ends by itself: whether it is over is looked at when it is met, so there is no timer.
 *
 * A cookie is a hash, keyed with a secret of the relay's that changes every two minutes, of the
 * address and the member's turn: a number that no other member has, and another one each time the
 * binding moves or ends. So a recorded BIND cannot bring back an address that the member has left.
 *
 * A member may be connected by DERP, too. His packets go the way by which he sent last: what UDP no
 * longer brings to him, it no longer brings from him either. A BIND that only keeps him bound tells
 * nothing: it may be the last one that came through.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "relay/fate.h"
#include "relay/members.h"
#include "relay/strangers.h"
#include "wire/udprelay.h"

enum {
	BINDS_LIFETIME_S = 60,
	BINDS_COOKIE_S = 120, /* a cookie is good for so long at least, and twice that at most */
	BINDS_ABSENT_EVERY_S = 1, /* ABSENT to one member */
};

struct binds;

/* Where a member is reached: what DATA to it needs. */
struct binds_way {
	uint32_t node, session;
	struct endpoint remote;
	struct ip_addr local; /* of ours, which it sends to; family 0: any */
};

/* What the relay says itself; len 0: nothing. */
struct binds_reply {
	size_t len;
	uint8_t data[UDPRELAY_REPLY_MAX];
};

/*
 * @secret and @key are the relay's X25519 pair; both and @strangers are borrowed. NULL: out of
 * memory.
 */
struct binds *binds_new(const uint8_t *secret, const uint8_t *key, struct strangers *strangers);
/* Wipes the keys. */
struct binds *binds_free(struct binds *binds);

/*
 * Who @members are now. Whoever is not among them any more, or has another identity key, is unbound
 * whatever happens. Newcomers cannot bind before binds_derive() has come to them. -ENOMEM: they
 * were not taken up.
 */
int binds_follow(struct binds *binds, const struct members *members);
/*
 * Derives the keys of @n members who have none yet (each costs 0.2 ms of processor time, 1 ms on a
 * small board). False: all have theirs.
 */
bool binds_derive(struct binds *binds, unsigned n);

/* Unbinds whom strangers_denied() now speaks of. */
void binds_drop_denied(struct binds *binds);
/* @session's member cannot be sent to from the address that it asked: it is no longer ours. */
void binds_local_gone(struct binds *binds, uint32_t session);
/* Whether @node is bound, and to which address (@ret_from may be NULL). */
bool binds_has(const struct binds *binds, uint32_t node, uint64_t now_us, struct ip_addr *ret_from);
/* Members that are bound. */
size_t binds_count(const struct binds *binds, uint64_t now_us);

/*
 * A BIND (by udprelay_type()) from @from to our address @local. *ret_reply goes back there.
 * FATE_BOUND, COOKIE, PACED, DENIED, STRANGER or FORGED.
 */
enum fate binds_bind(struct binds *binds, const uint8_t data[static UDPRELAY_BIND_LEN],
	const struct endpoint *from, const struct ip_addr *local, uint64_t now_us,
	struct binds_reply *ret_reply);

/*
 * DATA of @session for @node from @from. FATE_CARRIED: to *ret_to (borrowed until the next call),
 * and it is from node *ret_source. FATE_BRIDGED: the same, but @node is not bound (*ret_to is NULL)
 * or has shown himself by DERP since: he is to be looked for there first. Else UNKNOWN, ELSEWHERE,
 * PACED (either of them, without an answer) or TO_SELF, and *ret_reply goes back.
 */
enum fate binds_route(struct binds *binds, uint32_t session, uint32_t node,
	const struct endpoint *from, uint64_t now_us, const struct binds_way **ret_to,
	uint32_t *ret_source, struct binds_reply *ret_reply);

/*
 * Node @from sends something to node @to by DERP, where @to is @connected, too, or not. Where it is
 * to go by UDP (borrowed until the next call). NULL: it is not; @to is not bound, or has shown
 * himself by DERP since.
 */
const struct binds_way *binds_reach(
	struct binds *binds, uint32_t from, uint32_t to, bool connected, uint64_t now_us);
/* Node @node has come to DERP just now: so he shows himself there. */
void binds_came(struct binds *binds, uint32_t node);

/*
 * @member is to be told that @node is nowhere here: *ret_reply, which goes to where it returns
 * (borrowed until the next call). NULL: @member is not bound, or was told such a thing just now.
 */
const struct binds_way *binds_absent(struct binds *binds, uint32_t member, uint32_t node,
	uint64_t now_us, struct binds_reply *ret_reply);
