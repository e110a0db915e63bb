/*
 * stun: Session Traversal Utilities for NAT (RFC 8489), as much of it as tells somebody under which
 * address the world sees him: Binding requests over UDP and their answers, both address families.
 * A STUN message begins with two zero bits and has a magic cookie: that tells it from what else
 * comes to the same port.
 *
 * The server is the "basic" one of section 12. Such a server should not ask for credentials, since
 * checking them is more work than answering. So MESSAGE-INTEGRITY, USERNAME and the like are
 * understood and not looked at (6.3: what is known but not expected is ignored), what follows a
 * MESSAGE-INTEGRITY is ignored as 14.5 demands, and the answer has none.
 *
 * Who forges a source address can have answers sent there. They are no weapon: an answer holds what
 * was asked for and nothing else. No SOFTWARE (6.3.1.1 would have one, for people who debug), no
 * reason phrase, each unknown attribute once. So it is at most 12 bytes longer than its request,
 * 24 with an IPv6 address: 1.25 and 1.35 times as long, with the heads of IP and UDP. To demand
 * more of requests would turn clients away: the 20 bytes of a bare header are a good one. To
 * anything but a request there is no answer, so two servers cannot be set on each other. How many
 * requests are answered in a second is the caller's to bound.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"

enum {
	STUN_HEAD_LEN = 20,
	STUN_TX_LEN = 12,
	/* Of IPv6's least MTU, as 6.1 bounds messages on a path that is not known. */
	STUN_MAX_LEN = 1280 - 40 - 8,
	STUN_REQUEST_LEN = STUN_HEAD_LEN + 8,
	STUN_UNKNOWN_MAX = 8,
	/* The longest is an error: ERROR-CODE, UNKNOWN-ATTRIBUTES and FINGERPRINT. */
	STUN_ANSWER_MAX_LEN = STUN_HEAD_LEN + 8 + 4 + 2 * STUN_UNKNOWN_MAX + 8,
};

struct stun_request {
	uint8_t tx[STUN_TX_LEN];
	bool fingerprint; /* it has one, so the answer has one, too */
	/*
	 * The attributes that a server has to understand and we do not, each once. If there is one,
	 * the answer is error 420; of more than STUN_UNKNOWN_MAX it names the first ones.
	 */
	unsigned n_unknown;
	uint16_t unknown[STUN_UNKNOWN_MAX];
};

struct stun_answer {
	uint8_t tx[STUN_TX_LEN]; /* whose it is: the caller compares it with what was asked */
	unsigned error;          /* 300 to 699, then there is no address; or 0 */
	struct endpoint mapped;  /* how the server saw us; without scope */
};

/* Is it a STUN message, by its head and its length? Nothing behind the head is looked at. */
bool stun_looks(const uint8_t *data, size_t len);

/*
 * A Binding request. -EBADMSG: no STUN message, broken, longer than STUN_MAX_LEN, or its
 * fingerprint is wrong or not last; -ENOMSG: a sound head of something else (an answer, an
 * indication, a request for another method). Neither gets an answer.
 */
int stun_request_parse(const uint8_t *data, size_t len, struct stun_request *ret);

/*
 * The answer to @request that came from @from (of either family): a success, or error 420. Returns
 * its length.
 */
size_t stun_answer_format(const struct stun_request *request, const struct endpoint *from,
	uint8_t ret_data[static STUN_ANSWER_MAX_LEN]);

/* A Binding request with a fingerprint. @tx must be random: it is all that proves the answer. */
void stun_request_format(
	const uint8_t tx[static STUN_TX_LEN], uint8_t ret_data[static STUN_REQUEST_LEN]);

/*
 * An answer to a Binding request, with a fingerprint or without. The address is that of
 * XOR-MAPPED-ADDRESS, or of its old number 0x8020, or of MAPPED-ADDRESS, as servers of RFC 3489
 * send it. -EBADMSG: no STUN message, broken, too long, a wrong fingerprint, without an address
 * or an error code, or with an attribute that we had to understand (6.3.3, 6.3.4); -ENOMSG: a
 * sound head of something else.
 */
int stun_answer_parse(const uint8_t *data, size_t len, struct stun_answer *ret);
