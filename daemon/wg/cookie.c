/* cookie: see cookie.h. No allocation; a MAC computed by a failing library is never valid. */
#include "wg/cookie.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

/* A MAC of zero bytes that comes from a failure is no MAC. */
static bool mac_equals(
	struct wg_crypto *crypto, const uint8_t a[static WG_MAC_LEN], const uint8_t *b)
{
	return sodium_memcmp(a, b, WG_MAC_LEN) == 0 && !wg_crypto_take_failure(crypto);
}

bool wg_mac1_is_valid(struct wg_crypto *crypto, const struct wg_identity *identity,
	const uint8_t *message, size_t len)
{
	uint8_t mac[WG_MAC_LEN];

	wg_mac(crypto, mac, identity->mac1_key, WG_KEY_LEN, message, wg_mac1_offset(len));
	return mac_equals(crypto, mac, message + wg_mac1_offset(len));
}

/*
 * What proves @source: a MAC of its address and port under a secret that changes every two minutes.
 */
static void cookie_of(struct wg_crypto *crypto, struct wg_cookie_checker *checker,
	const struct endpoint *source, uint64_t now_us, uint8_t ret[static WG_COOKIE_LEN])
{
	uint8_t text[19] = { source->addr.family };

	memcpy(text + 1, source->addr.bytes, 16);
	text[17] = (uint8_t) (source->port >> 8);
	text[18] = (uint8_t) source->port;
	if (!checker->have || now_us - checker->born_us >= WG_COOKIE_SECRET_US) {
		randombytes_buf(checker->secret, sizeof(checker->secret));
		checker->born_us = now_us;
		checker->have = true;
	}
	wg_mac(crypto, ret, checker->secret, sizeof(checker->secret), text, sizeof(text));
}

bool wg_mac2_is_valid(struct wg_crypto *crypto, struct wg_cookie_checker *checker,
	const struct endpoint *source, const uint8_t *message, size_t len, uint64_t now_us)
{
	uint8_t cookie[WG_COOKIE_LEN], mac[WG_MAC_LEN];

	cookie_of(crypto, checker, source, now_us, cookie);
	wg_mac(crypto, mac, cookie, sizeof(cookie), message, wg_mac2_offset(len));
	bool valid = mac_equals(crypto, mac, message + wg_mac2_offset(len));

	sodium_memzero(cookie, sizeof(cookie));
	return valid;
}

int wg_cookie_reply_make(struct wg_crypto *crypto, struct wg_cookie_checker *checker,
	const struct wg_identity *identity, const struct endpoint *source, const uint8_t *message,
	size_t len, uint64_t now_us, struct wg_cookie_reply *ret)
{
	uint8_t cookie[WG_COOKIE_LEN];

	cookie_of(crypto, checker, source, now_us, cookie);
	if (wg_crypto_take_failure(crypto))
		return -EIO;
	ret->receiver = wg_le32_read(message + 4);
	randombytes_buf(ret->nonce, sizeof(ret->nonce));
	(void) crypto_aead_xchacha20poly1305_ietf_encrypt(ret->sealed_cookie, NULL, cookie,
		sizeof(cookie), message + wg_mac1_offset(len), WG_MAC_LEN, NULL, ret->nonce,
		identity->cookie_key);
	sodium_memzero(cookie, sizeof(cookie));
	return 0;
}

void wg_macs_add(struct wg_crypto *crypto, struct wg_cookie_jar *jar,
	const struct wg_remote *remote, uint8_t *message, size_t len, uint64_t now_us)
{
	uint8_t *mac1 = message + wg_mac1_offset(len), *mac2 = message + wg_mac2_offset(len);

	wg_mac(crypto, mac1, remote->mac1_key, WG_KEY_LEN, message, wg_mac1_offset(len));
	memcpy(jar->mac1, mac1, WG_MAC_LEN);
	jar->have_mac1 = true;
	if (jar->have_cookie && now_us - jar->born_us >= WG_COOKIE_SECRET_US - WG_COOKIE_LATENCY_US)
		jar->have_cookie = false;
	if (jar->have_cookie)
		wg_mac(crypto, mac2, jar->cookie, sizeof(jar->cookie), message,
			wg_mac2_offset(len));
	else
		memset(mac2, 0, WG_MAC_LEN);
}

int wg_cookie_reply_take(struct wg_cookie_jar *jar, const struct wg_remote *remote,
	const struct wg_cookie_reply *reply, uint64_t now_us)
{
	uint8_t cookie[WG_COOKIE_LEN];

	if (!jar->have_mac1)
		return -EKEYREJECTED;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(cookie, NULL, NULL, reply->sealed_cookie,
		    sizeof(reply->sealed_cookie), jar->mac1, WG_MAC_LEN, reply->nonce,
		    remote->cookie_key) < 0)
		return -EKEYREJECTED;
	memcpy(jar->cookie, cookie, sizeof(cookie));
	sodium_memzero(cookie, sizeof(cookie));
	jar->born_us = now_us;
	jar->have_cookie = true;
	jar->have_mac1 = false; /* one reply per message */
	return 0;
}
