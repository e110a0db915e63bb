/*
 * bond: this board's binding at one UDP relay (PROTOCOL.md section 12): it binds itself, says so
 * again before that ends, and tries for ever while nothing answers. Pure: the caller sends, and
 * says what time it is (microseconds of a clock that never goes back).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/udprelay.h"

enum {
	BOND_FIRST_US = 200000,    /* between the first two BINDs; then twice as much ... */
	BOND_SELDOM_US = 30000000, /* ... up to here, for ever */
	BOND_AGAIN_US = 20000000,  /* from BOUND to the next BIND, or a third of its lifetime */
	BOND_PAUSE_US = 1000000,   /* between BINDs that a doubt hurries, as by UNKNOWN */
	BOND_LIFETIME_MIN_US = 15000000, /* whatever the relay says */
	BOND_SENT = 4,                   /* BINDs that may be answered yet */
};

/* A COOKIE hurries one BIND for each that was due by itself. */
enum bond_hurry { BOND_HURRY_MAY, BOND_HURRY_NOW, BOND_HURRY_DONE };

struct bond {
	uint8_t key[PAIR_KEY_LEN]; /* secret: bond_done() wipes it */
	uint8_t hint_out[UDPRELAY_HINT_LEN];
	uint32_t node;
	uint8_t cookie[UDPRELAY_COOKIE_LEN]; /* zero: none yet */
	struct {
		uint64_t tx, at_us; /* tx 0: none */
		uint8_t echo[UDPRELAY_ECHO_LEN];
	} sent[BOND_SENT];
	unsigned next_sent; /* which of them is the oldest */
	uint64_t next_us;   /* the next BIND */
	uint64_t pause_us;  /* from that to another */
	enum bond_hurry hurry;
	uint64_t hinted_us;   /* a doubt made us bind again then */
	uint64_t silent_us;   /* the first BIND since the last BOUND; 0: none went since */
	bool asked_again;     /* a COOKIE came since the last BOUND */
	uint32_t session;     /* 0: not bound yet */
	uint64_t until_us;    /* that is good */
	uint64_t rtt_us;      /* of the last BIND that was answered */
	struct endpoint seen; /* where the relay saw us, AF_UNSPEC: not said yet */
};

/* By chance, anew for each BIND. */
struct bond_chance {
	uint64_t tx; /* not 0 */
	uint8_t nonce[UDPRELAY_NONCE_LEN];
};

/*
 * Of node @node, whose half @self is, with the relay of the X25519 key @relay: due at once.
 * -EBADMSG: that is no key.
 */
int bond_init(struct bond *bond, const struct pair_self *self, uint32_t node,
	const uint8_t relay[static PAIR_KEY_LEN], uint64_t now_us);
void bond_done(struct bond *bond);

/* A BIND to be sent now: true, and it is in @ret. */
bool bond_bind(struct bond *bond, uint64_t now_us, const struct bond_chance *chance,
	uint8_t ret[static UDPRELAY_BIND_LEN]);
/* When bond_bind() has one. */
uint64_t bond_deadline(const struct bond *bond);

/*
 * Something came from the relay's address that is no DATA. True: it is a BOUND that answers one of
 * the last BINDs; @session, @seen and @rtt_us are those of now. Anything else may change the
 * deadline.
 */
bool bond_take(struct bond *bond, const uint8_t *data, size_t len, uint64_t now_us);

/* Our address may be another, or the relay is reached at another one: it is told at once. */
void bond_moved(struct bond *bond, uint64_t now_us);

/* Something speaks against it: it is told soon, once a second at most. */
void bond_doubt(struct bond *bond, uint64_t now_us);

/* What others send us by this relay reaches us, as far as we know. */
bool bond_is_bound(const struct bond *bond, uint64_t now_us);
/* For how long the relay has not answered as it should; 0: it has. */
uint64_t bond_silence_us(const struct bond *bond, uint64_t now_us);
/* It hears us, and does not bind us: it does not know us (yet). */
bool bond_is_refused(const struct bond *bond, uint64_t now_us);
