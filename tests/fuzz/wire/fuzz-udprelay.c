/*
 * The UDP relay's datagrams: the input as it is, and the input as the bodies of a BIND and a BOUND
 * that are sealed, so that the decoders behind the seal are met. What is understood is made again:
 * to the same bytes where it is not sealed, else to the same meaning. Nobody else takes it.
 */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "wire/disco.h"
#include "wire/udprelay.h"
#include "wire/wg.h"

enum { BIND_BODY = 40, BIND_HEAD = 52, BOUND_BODY = 56, BOUND_HEAD = 36, NONCE = 24 };

static const uint8_t key[PAIR_KEY_LEN] = { 1 }, nonce[UDPRELAY_NONCE_LEN] = { 2 };

static void check_bind(int r, const struct udprelay_bind *got)
{
	uint8_t data[UDPRELAY_BIND_LEN];
	struct udprelay_bind again;

	if (r == -EBADMSG)
		return;
	udprelay_bind_seal(key, key, key, nonce, got, data);
	if (r != 0 || udprelay_bind_open(key, data, sizeof(data), &again) != 0 ||
		again.tx != got->tx || again.node != got->node)
		abort();
}

static void check_bound(int r, const struct udprelay_bound *got)
{
	uint8_t data[UDPRELAY_BOUND_LEN];
	struct udprelay_bound again;

	if (r == -EBADMSG)
		return;
	udprelay_bound_seal(key, key, nonce, got, data);
	if (r != 0 || udprelay_bound_open(key, data, sizeof(data), &again) != 0 ||
		again.tx != got->tx || again.session != got->session ||
		again.lifetime_s != got->lifetime_s || !endpoint_equal(&again.seen, &got->seen) ||
		memcmp(again.cookie, got->cookie, sizeof(got->cookie)) != 0)
		abort();
}

/* Those without a seal. Returns how many took it. */
static int check_plain(const uint8_t *data, size_t size)
{
	uint8_t made[UDPRELAY_REPLY_MAX];
	struct udprelay_cookie cookie;
	uint32_t session, node;
	size_t len = 0;
	int n = 0;

	if (udprelay_cookie_parse(data, size, &cookie) == 0 && ++n) {
		udprelay_cookie_format(&cookie, made);
		len = size;
	}
	if (udprelay_data_parse(data, size, &session, &node) && ++n) {
		udprelay_data_head(made, session, node);
		len = UDPRELAY_DATA_HEAD_LEN;
	}
	if (udprelay_unknown_parse(data, size, &session) == 0 && ++n) {
		udprelay_unknown_format(session, made);
		len = size;
	}
	if (udprelay_absent_parse(data, size, &session, &node) == 0 && ++n) {
		udprelay_absent_format(session, node, made);
		len = size;
	}
	if (len > 0 && memcmp(made, data, len) != 0)
		abort();
	return n;
}

static void check_as_it_is(const uint8_t *data, size_t size)
{
	enum udprelay_type type = udprelay_type(data, size);
	struct udprelay_bound bound;
	struct udprelay_bind bind;
	const uint8_t *hint;
	int n = check_plain(data, size);

	check_bind(udprelay_bind_open(key, data, size, &bind), &bind);
	check_bound(udprelay_bound_open(key, data, size, &bound), &bound);
	if (n != (type != UDPRELAY_NONE && type != UDPRELAY_BIND && type != UDPRELAY_BOUND))
		abort();
	if (type != UDPRELAY_NONE && (wg_begins(data, size) || disco_looks(data, size, &hint)))
		abort();
}

static void seal(uint8_t *data, size_t head, const uint8_t *body, size_t len)
{
	memcpy(data + head - NONCE, nonce, NONCE);
	(void) crypto_aead_xchacha20poly1305_ietf_encrypt(
		data + head, NULL, body, len, data, head - NONCE, NULL, nonce, key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t to_relay[UDPRELAY_BIND_LEN] = { 0xf1, 'H', 1, UDPRELAY_BIND };
	uint8_t to_member[UDPRELAY_BOUND_LEN] = { 0xf1, 'H', 1, UDPRELAY_BOUND };
	uint8_t body[BOUND_BODY] = { 0 };
	struct udprelay_bound bound;
	struct udprelay_bind bind;

	check_as_it_is(data, size);
	if (size > 0)
		memcpy(body, data, size < sizeof(body) ? size : sizeof(body));
	seal(to_relay, BIND_HEAD, body, BIND_BODY);
	if (udprelay_bind_open(key, to_relay, sizeof(to_relay), &bind) != 0)
		abort();
	check_bind(0, &bind);
	seal(to_member, BOUND_HEAD, body, BOUND_BODY);
	check_bound(udprelay_bound_open(key, to_member, sizeof(to_member), &bound), &bound);
	return 0;
}
