/*
 * meet: relays of which an administrator said only where they are (added.h), a subject. Connections
 * of ours are kept there as at the mesh's relays (carry.h), whoever it is: so a relay that waits
 * for its enrolment lets boards reach us, its own first. The key that it holds is noted. When a
 * record of the mesh names that key, the host is that relay's, and its record says so: the other
 * addresses of that record are tried for a moment before, and those where it is not met go.
 *
 * A host that a record says, and that is said again, is tried again; if another relay is there by
 * now it is no longer the old one's.
 *
 * Nothing else comes of it: the host is never believed who it is, nor what addresses its clients
 * have, and a host that is no relay's of the mesh within a day is forgotten.
 */
#pragma once

#include "coordinator/carry.h"
#include "coordinator/coord.h"

enum { MEET_RELAYS_MAX = ADDED_MAX + NODE_RELAY_HOSTS_MAX };
#define MEET_TRY_US   (UINT64_C(3) * 1000000)  /* so long an address has to answer */
#define MEET_LEAVE_US (UINT64_C(60) * 1000000) /* its clients have to move to what carry keeps */

struct meet;

struct meet_hooks {
	/* meet_relays() says others. */
	void (*changed)(void *ctx);
};

int meet_open(struct coord *coord, struct meet **ret, struct err *err);
void meet_on_changed(struct meet *meet, const struct meet_hooks *hooks, void *ctx);
struct meet *meet_close(struct meet *meet);

/* Those to be carried beside the records'; @ret has room for MEET_RELAYS_MAX. Borrowed. */
size_t meet_relays(struct meet *meet, struct carry_relay *ret);
/* As in struct carry_config. */
void meet_heard(struct meet *meet, uint32_t watch, const uint8_t *pin, const struct err *why);
/* The list is another one, or the records are. */
void meet_look(struct meet *meet);

enum meet_state {
	MEET_TRYING,   /* nobody has kept a connection of ours there, or not now */
	MEET_WAITING,  /* a relay that is none of the mesh's, nor wants to be one of its boards' */
	MEET_ASKS,     /* the relay of a node that asks to be one */
	MEET_PORT,     /* a relay of the mesh, whose record has another TCP port */
	MEET_CHECKING, /* a relay of the mesh: its record follows in a moment */
	MEET_RECORDED,
};
const char *meet_state_name(enum meet_state state);
/* How it stands with @added, and with whom: *ret_node is borrowed, NULL if nobody knows. */
enum meet_state meet_state(
	const struct coord *coord, const struct added *added, const struct node **ret_node);
