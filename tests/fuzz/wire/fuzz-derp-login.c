/*
 * What a server says to a client that logs in, cut at odd places. The first byte says where the
 * input takes over from an honest server: at the start, behind its HTTP, behind its key, or in what
 * it has sealed.
 */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "wire/derp-http.h"
#include "wire/derp-login.h"

static uint8_t secret[DERP_KEY_LEN] = { 1 }, key[DERP_KEY_LEN];
static uint8_t server_secret[DERP_KEY_LEN] = { 2 }, server_key[DERP_KEY_LEN];
static const uint8_t nonce[DERP_NONCE_LEN] = { 3 };

static void check(bool good)
{
	if (!good)
		abort();
}

struct talk {
	uint8_t data[DERP_LOGIN_IN_MAX + 4096];
	size_t len;
};

static void say(struct talk *t, const void *data, size_t len)
{
	if (len > sizeof(t->data) - t->len)
		len = sizeof(t->data) - t->len;
	memcpy(t->data + t->len, data, len);
	t->len += len;
}

static void say_sealed(struct talk *t, const uint8_t *text, size_t size)
{
	uint8_t frame[DERP_INFO_FRAME_MAX];
	size_t len = size < DERP_INFO_MAX ? size : DERP_INFO_MAX;
	size_t n = DERP_NONCE_LEN + DERP_TAG_LEN + len;

	frame[0] = DERP_SERVER_INFO;
	frame[1] = frame[2] = 0;
	frame[3] = (uint8_t) (n >> 8);
	frame[4] = (uint8_t) n;
	memcpy(frame + DERP_HEAD_LEN, nonce, sizeof(nonce));
	check(crypto_box_easy(frame + DERP_HEAD_LEN + DERP_NONCE_LEN, text, len, nonce, key,
		      server_secret) == 0);
	say(t, frame, DERP_HEAD_LEN + n);
}

static void listen_to(struct derp_login *l, const struct talk *t, size_t step)
{
	struct err err = { 0 };
	int r = 0;

	for (size_t at = 0; at < t->len && r == 0; at += step) {
		size_t len = t->len - at < step ? t->len - at : step, had = len;
		const uint8_t *data = t->data + at;

		r = derp_login_input(l, &data, &len, &err);
		check(data + len == t->data + at + had);
		check(r != 0 || len == 0);
		check(l->reader.cap <= 3 * DERP_LOGIN_IN_MAX);
	}
	check((r == 1) == (l->state == DERP_LOGIN_IN));
	check(r >= 0 || (err.code == r && err.text[0]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
	const struct derp_keys self = { secret, key };
	uint8_t greeting[DERP_SERVER_KEY_LEN];
	struct derp_login login;
	struct talk talk;
	int status;

	if (size == 0)
		return 0;
	talk.len = 0;
	(void) crypto_scalarmult_base(key, secret);
	(void) crypto_scalarmult_base(server_key, server_secret);
	derp_server_key_put(server_key, greeting);
	if (data[0] & 1)
		say(&talk, answer, sizeof(answer) - 1);
	if (data[0] & 6)
		say(&talk, greeting, sizeof(greeting));
	if (data[0] & 4)
		say_sealed(&talk, data + 1, size - 1);
	else
		say(&talk, data + 1, size - 1);
	check(derp_login_init(&login, &self, server_key, "vps.example", nonce) == 0);
	listen_to(&login, &talk, 1 + data[0] / 8);
	derp_login_done(&login);
	if (derp_http_status_parse((const char *) data, size, &status) > 0)
		check(status >= 100 && status <= 599);
	return 0;
}
