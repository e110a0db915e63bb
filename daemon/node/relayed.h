/*
 * relayed: which peers are carried by relays, and each by which. A part of relays.h, whose thread's
 * it is.
 *
 * A peer is carried while no direct way to it is known to work, from its new doubt on; for five
 * minutes behind that, and no longer where nothing comes of it. What carries it has to answer the
 * finder's pings, else another relay is tried: that by which it was heard, its home, ours, any.
 */
#pragma once

#include "mesh/home.h"
#include "node/peer.h"
#include "tunnel/ferry.h"
#include "tunnel/tunnel.h"

enum { RELAYED_MAX = 256 /* peers at a time */ };
#define RELAYED_LINGER_US UINT64_C(300000000)
#define RELAYED_TRIAL_US  UINT64_C(60000000) /* so long, even where others wait for the place */
/* With the first relay, but three round trips at least; then twice as much ... */
#define RELAYED_PATIENCE_US UINT64_C(500000)
#define RELAYED_TIRED_US    UINT64_C(60000000) /* ... up to here */

struct relayed;

/* Both are borrowed. NULL: out of memory. */
struct relayed *relayed_new(const struct book *book, struct peers *peers);
struct relayed *relayed_free(struct relayed *relayed);

/* Both or neither, for as long as they are there. Nobody is carried at first. */
void relayed_use(struct relayed *relayed, struct ferry *ferry, struct tunnel *tunnel);

/* The relays there are, borrowed, and which is home (0: none). */
void relayed_set(struct relayed *relayed, const struct home_choice *list, size_t n, uint32_t home);

/* There is a reason to try node @id by relays, or all (0), though that may have been in vain. */
void relayed_want(struct relayed *relayed, uint32_t id);
/* @relay says that something came from node @id, whom we do not send to by it. */
void relayed_heard(struct relayed *relayed, uint32_t id, uint32_t relay, uint64_t now_us);
/* @relay says that node @id is not there. */
void relayed_absent(struct relayed *relayed, uint32_t id, uint32_t relay);
/* What is sent to node @id is not answered. Returns by which relay it goes, 0: by none. */
uint32_t relayed_doubt(struct relayed *relayed, uint32_t id, uint64_t now_us);

/*
 * All that is due. *ret_changed: pings are. Returns when it is to be called again, UINT64_MAX: not
 * before something happens.
 */
uint64_t relayed_run(struct relayed *relayed, uint64_t now_us, bool *ret_changed);
