/*
 * mapping: how a board comes to one port that its gateway has mapped to it, and keeps it. Pure: the
 * caller does what mapping_act() says, reports what came of it, and says what time it is
 * (microseconds of a clock that never goes back).
 *
 * PCP and NAT-PMP are asked together, UPnP once neither has answered for a moment (it takes longer,
 * and costs more), and what answers first is taken. A mapping is asked for again and again, which
 * renews it, makes it anew where the gateway has lost it, and finds out where it has moved. A
 * gateway that offers none is left alone, ever longer.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "base/pace.h"

enum mapping_protocol { MAPPING_NONE, MAPPING_PCP, MAPPING_NATPMP, MAPPING_UPNP };
enum { MAPPING_PROTOCOLS = MAPPING_UPNP + 1 };
/* "pcp", "nat-pmp", "upnp"; NULL for MAPPING_NONE. */
const char *mapping_protocol_name(enum mapping_protocol protocol);

enum {
	MAPPING_LIFETIME_S = 7200, /* asked for */
	/* A gateway that gives less wants to be asked all the time: it is not, and none is used. */
	MAPPING_LIFETIME_MIN_S = 120,
	MAPPING_LIFETIME_MAX_S = 86400, /* RFC 6887, 15: nothing is believed for longer */
	MAPPING_FIRST_US = 250000,      /* so long PCP and NAT-PMP have, the gateway is near */
	MAPPING_SENDS = 4,              /* after so much, twice that ... */
	MAPPING_LOOK_US = 900000000,    /* it is asked for again after so long, or half its life */
	MAPPING_LOST_US = 10000000,     /* again, where one was lost; then after twice that ... */
	MAPPING_FIRST_AGAIN_US = 60000000, /* where there was none: both may have just started; */
	MAPPING_AGAIN_US = 600000000,      /* then after this, twice that ... */
};
#define MAPPING_AGAIN_MOST_US UINT64_C(3600000000)
#define MAPPING_NEVER         UINT64_MAX

/* Why there is none. In netcheck and status by its name. */
enum mapping_why {
	MAPPING_WHY_NONE,       /* there is one */
	MAPPING_WHY_OFF,        /* switched off in the configuration */
	MAPPING_WHY_NO_GATEWAY, /* no default route with a gateway */
	MAPPING_WHY_NEEDLESS,   /* this board's own address is a public one */
	MAPPING_WHY_ASKING,
	MAPPING_WHY_NOTHING,    /* the gateway answers nothing */
	MAPPING_WHY_REFUSED,    /* it says no */
	MAPPING_WHY_NO_ADDRESS, /* it names no address that others could try */
	MAPPING_WHY_SHORT,      /* for too short */
	MAPPING_WHY_BROKEN,     /* what it answers cannot be understood, or never ends */
};
/* "off", "no-gateway" ... and the same in a few words. */
const char *mapping_why_name(enum mapping_why why);
const char *mapping_why_words(enum mapping_why why);

/* What to do now. */
enum mapping_act {
	MAPPING_ACT_WAIT,   /* nothing, until mapping_deadline() or something happens */
	MAPPING_ACT_PCP,    /* send a MAP */
	MAPPING_ACT_LOOK,   /* ask for the outside address by NAT-PMP */
	MAPPING_ACT_NATPMP, /* ask for the port by NAT-PMP */
	MAPPING_ACT_UPNP,   /* start asking by UPnP */
};

/* One that was made, as the gateway says. */
struct mapping_made {
	struct endpoint outside;
	uint32_t lifetime_s; /* 0: for ever (UPnP) */
	bool has_epoch;
	uint32_t epoch_s;
};

struct mapping_try {
	enum { MAPPING_TRY_OVER, MAPPING_TRY_WAITS, MAPPING_TRY_RUNS, MAPPING_TRY_THERE } state;
	unsigned sends;
	uint64_t next_us;
};

struct mapping {
	bool wanted;
	bool with[MAPPING_PROTOCOLS]; /* what the gateway is asked by */

	bool in_round;     /* answers are waited for */
	uint64_t round_us; /* when it began; of the last one, while there is none */
	struct mapping_try tries[MAPPING_PROTOCOLS];
	struct ip_addr address; /* outside, by NAT-PMP in this round */

	uint64_t next_us; /* the next round */
	unsigned failures;
	struct damper damper; /* of what begins and hurries */

	enum mapping_protocol held; /* NONE: there is none */
	struct endpoint outside;    /* of the one held, else of the last one: asked for again */
	uint32_t lifetime_s;
	uint64_t until_us;
	bool had; /* since it began there was one */

	struct { /* ... there is none; what the round that goes on has found */
		enum mapping_why why;
		int detail; /* the number by which it was refused, 0: none */
	} why, found;

	struct { /* the gateway's clock, as it was told last (RFC 6887, 8.5) */
		bool known;
		uint32_t server_s;
		uint64_t at_us;
	} epochs[MAPPING_PROTOCOLS];
	unsigned restarts; /* of the gateway */
};

/* Nothing is asked yet. UPnP and NAT-PMP are only for IPv4 (@family). */
void mapping_init(struct mapping *mapping, int family);

/* The gateway, or this board's address there, is another: what was is forgotten, ask anew. */
void mapping_begin(struct mapping *mapping, uint64_t now_us);
/* There is nobody to ask: @why. */
void mapping_end(struct mapping *mapping, enum mapping_why why);
/* It may be lost: ask again now; whoever says so all the time is heard ever more seldom. */
void mapping_hurry(struct mapping *mapping, uint64_t now_us);

/* To be called until it says MAPPING_ACT_WAIT. */
enum mapping_act mapping_act(struct mapping *mapping, uint64_t now_us);
/* When mapping_act() may have something; MAPPING_NEVER: not before something happens. */
uint64_t mapping_deadline(const struct mapping *mapping);

/*
 * What came of it. True: by its clock the gateway has started anew since it was asked last, so that
 * what else it was asked for is lost as well. What comes when nothing was asked is ignored.
 */
bool mapping_made(struct mapping *mapping, enum mapping_protocol by,
	const struct mapping_made *made, uint64_t now_us);
/* NAT-PMP tells the address first. */
bool mapping_address(
	struct mapping *mapping, const struct ip_addr *outside, uint32_t epoch_s, uint64_t now_us);
void mapping_refused(struct mapping *mapping, enum mapping_protocol by, enum mapping_why why,
	int detail, uint64_t now_us);

/* The one that is held, NULL: none. Borrowed. */
const struct endpoint *mapping_outside(const struct mapping *mapping);
/* It is an address of a house or a carrier: there is another NAT above, so few can reach it. */
bool mapping_is_nested(const struct mapping *mapping);

/*
 * Whether others may be told of @outside, which a gateway of @family named: an address that
 * somebody could be at, and none of the mesh's own (@denied).
 */
bool mapping_may_be_told(const struct endpoint *outside, int family, const struct ip_prefix *denied,
	size_t n_denied);
