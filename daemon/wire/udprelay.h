/*
 * udprelay: the datagrams between a member and the UDP relay that carries its packets to other
 * members. PROTOCOL.md section 12 has them to the byte. They share the relay's UDP port with STUN
 * (whose first byte is 0 to 3), and the member's with nobody.
 *
 *   BIND     member -> relay   here am I, by a cookie that proves the address and a seal
 *   COOKIE   relay -> anybody  not yet: say it again with this
 *   BOUND    relay -> member   you are, by this session, and this cookie is for the next time
 *   DATA     both ways         12 bytes, and behind them what is carried
 *   UNKNOWN  relay -> anybody  a session that is not bound to where it came from: bind again
 *   ABSENT   relay -> member   whom you send to is not bound here
 *
 * Nothing that the relay says to an address before that has echoed a cookie is longer than what it
 * answers, and BOUND is as long as BIND. COOKIE, UNKNOWN and ABSENT are hints: they are not sealed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "wire/pair.h"

enum udprelay_type {
	UDPRELAY_NONE, /* of them */
	UDPRELAY_BIND,
	UDPRELAY_COOKIE,
	UDPRELAY_BOUND,
	UDPRELAY_DATA,
	UDPRELAY_UNKNOWN,
	UDPRELAY_ABSENT,
};

enum {
	UDPRELAY_HINT_LEN = 8,
	UDPRELAY_COOKIE_LEN = 16,
	UDPRELAY_NONCE_LEN = 24,
	UDPRELAY_ECHO_LEN = 8, /* of a BIND's nonce, in the COOKIE that answers it */
	UDPRELAY_BIND_LEN = 108,
	UDPRELAY_COOKIE_MSG_LEN = 28,
	UDPRELAY_BOUND_LEN = 108,
	UDPRELAY_DATA_HEAD_LEN = 12,
	UDPRELAY_PAYLOAD_MAX = 9200,
	UDPRELAY_UNKNOWN_LEN = 8,
	UDPRELAY_ABSENT_LEN = 12,
	UDPRELAY_REPLY_MAX = UDPRELAY_BOUND_LEN, /* the longest that the relay makes itself */
};

/* Which one it is, by its head and its length (of DATA: with a payload that fits). */
enum udprelay_type udprelay_type(const uint8_t *data, size_t len);
/* The four bytes that it begins with, as a number. */
uint32_t udprelay_head(enum udprelay_type type);

/*
 * Of what @sender (the member's identity key, or the relay's X25519 key) sends under @key
 * (pair_relay_key(), pair_member_key()): the receiver finds the key by it.
 */
void udprelay_hint(const uint8_t key[static PAIR_KEY_LEN],
	const uint8_t sender[static PAIR_KEY_LEN], uint8_t ret_hint[static UDPRELAY_HINT_LEN]);

/* --- BIND --- */

struct udprelay_bind {
	uint64_t tx; /* by chance, another each time */
	uint32_t node;
};

/*
 * Where hint, cookie and nonce lie in a BIND, all borrowed: what can be looked at before the seal.
 * Only of what udprelay_type() says is one.
 */
struct udprelay_bind_head {
	const uint8_t *hint, *cookie, *nonce;
};
struct udprelay_bind_head udprelay_bind_head(const uint8_t data[static UDPRELAY_BIND_LEN]);

/* Opens and decodes. -EBADMSG: no BIND, or not sealed with @key. */
int udprelay_bind_open(const uint8_t key[static PAIR_KEY_LEN], const uint8_t *data, size_t len,
	struct udprelay_bind *ret);
/* Encodes and seals. @cookie is zero where there is none yet. @nonce must be random. */
void udprelay_bind_seal(const uint8_t key[static PAIR_KEY_LEN],
	const uint8_t hint[static UDPRELAY_HINT_LEN],
	const uint8_t cookie[static UDPRELAY_COOKIE_LEN],
	const uint8_t nonce[static UDPRELAY_NONCE_LEN], const struct udprelay_bind *bind,
	uint8_t ret_data[static UDPRELAY_BIND_LEN]);

/* --- COOKIE --- */

struct udprelay_cookie {
	uint8_t echo[UDPRELAY_ECHO_LEN]; /* the BIND's nonce begins so */
	uint8_t cookie[UDPRELAY_COOKIE_LEN];
};

/* -EBADMSG: no COOKIE. */
int udprelay_cookie_parse(const uint8_t *data, size_t len, struct udprelay_cookie *ret);
void udprelay_cookie_format(
	const struct udprelay_cookie *cookie, uint8_t ret_data[static UDPRELAY_COOKIE_MSG_LEN]);

/* --- BOUND --- */

struct udprelay_bound {
	uint64_t tx;          /* the BIND's */
	uint32_t session;     /* not 0 */
	uint16_t lifetime_s;  /* after the BIND, without another one */
	struct endpoint seen; /* where the BIND came from, without scope */
	uint8_t cookie[UDPRELAY_COOKIE_LEN];
};

/* Opens and decodes. -EBADMSG: no BOUND, not sealed with @key, or one without a session. */
int udprelay_bound_open(const uint8_t key[static PAIR_KEY_LEN], const uint8_t *data, size_t len,
	struct udprelay_bound *ret);
/* Encodes and seals. @hint is of the relay. @nonce must be random. */
void udprelay_bound_seal(const uint8_t key[static PAIR_KEY_LEN],
	const uint8_t hint[static UDPRELAY_HINT_LEN],
	const uint8_t nonce[static UDPRELAY_NONCE_LEN], const struct udprelay_bound *bound,
	uint8_t ret_data[static UDPRELAY_BOUND_LEN]);

/* --- DATA --- */

/* @session is the member's, whichever way it goes; @node the other member: to, or from whom. */
void udprelay_data_head(
	uint8_t ret[static UDPRELAY_DATA_HEAD_LEN], uint32_t session, uint32_t node);
/* Is the head right, and is there a payload (1 to UDPRELAY_PAYLOAD_MAX bytes) behind it? */
bool udprelay_data_parse(
	const uint8_t *data, size_t len, uint32_t *ret_session, uint32_t *ret_node);

/* --- UNKNOWN and ABSENT --- */

int udprelay_unknown_parse(const uint8_t *data, size_t len, uint32_t *ret_session);
void udprelay_unknown_format(uint32_t session, uint8_t ret_data[static UDPRELAY_UNKNOWN_LEN]);

int udprelay_absent_parse(
	const uint8_t *data, size_t len, uint32_t *ret_session, uint32_t *ret_node);
void udprelay_absent_format(
	uint32_t session, uint32_t node, uint8_t ret_data[static UDPRELAY_ABSENT_LEN]);
