/*
 * cookie: MAC1, MAC2 and cookie replies (paper, section 5.4.7): under load a host answers a
 * handshake message with a cookie, and works only for those who prove, by sending it back, that
 * they receive at their address.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ip.h"
#include "wg/noise.h"

/* Replaced after 120 s; the other side uses a cookie 5 s less, for what is under way. */
#define WG_COOKIE_SECRET_US  UINT64_C(120000000)
#define WG_COOKIE_LATENCY_US UINT64_C(5000000)

/* The side under load. */
struct wg_cookie_checker {
	bool have;
	uint64_t born_us;
	uint8_t secret[WG_KEY_LEN];
};

/* The side that begins, one per peer. */
struct wg_cookie_jar {
	bool have_cookie, have_mac1;
	uint64_t born_us;
	uint8_t cookie[WG_COOKIE_LEN];
	uint8_t mac1[WG_MAC_LEN]; /* of the last message sent: a reply must belong to it */
};

/* @message is a whole initiation or response. Constant time. */
bool wg_mac1_is_valid(struct wg_crypto *crypto, const struct wg_identity *identity,
	const uint8_t *message, size_t len);
bool wg_mac2_is_valid(struct wg_crypto *crypto, struct wg_cookie_checker *checker,
	const struct endpoint *source, const uint8_t *message, size_t len, uint64_t now_us);
/* The cookie reply to @message from @source. -EIO. */
int wg_cookie_reply_make(struct wg_crypto *crypto, struct wg_cookie_checker *checker,
	const struct wg_identity *identity, const struct endpoint *source, const uint8_t *message,
	size_t len, uint64_t now_us, struct wg_cookie_reply *ret);

/* Writes mac1 and, with a cookie at hand, mac2 into a message to @remote. */
void wg_macs_add(struct wg_crypto *crypto, struct wg_cookie_jar *jar,
	const struct wg_remote *remote, uint8_t *message, size_t len, uint64_t now_us);
/* Takes the cookie. -EKEYREJECTED if it does not belong to the last message. */
int wg_cookie_reply_take(struct wg_cookie_jar *jar, const struct wg_remote *remote,
	const struct wg_cookie_reply *reply, uint64_t now_us);
