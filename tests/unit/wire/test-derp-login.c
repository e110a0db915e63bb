/*
 * derp-login with servers that do as they should, in pieces of any size, and with those that do
 * not: none gets further than it may, and the reason is said.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "derp-vectors.h"
#include "wire/derp-http.h"
#include "wire/derp-login.h"

static const struct derp_keys client = { client_secret, client_key };
static const struct derp_keys server = { server_secret, server_key };
static const uint8_t ping[DERP_PING_FRAME_LEN] = { DERP_PING, 0, 0, 0, 8, 1, 2, 3 };

/* What the server says, one part behind the other. */
struct talk {
	uint8_t data[80000];
	size_t len;
};

static void say(struct talk *t, const void *data, size_t len)
{
	assert_true(len <= sizeof(t->data) - t->len);
	memcpy(t->data + t->len, data, len);
	t->len += len;
}

static void say_text(struct talk *t, const char *text)
{
	say(t, text, strlen(text));
}

static void say_key(struct talk *t, const uint8_t *key)
{
	uint8_t frame[DERP_SERVER_KEY_LEN];

	derp_server_key_put(key, frame);
	say(t, frame, sizeof(frame));
}

static void say_info(struct talk *t, const struct derp_keys *from, const uint8_t *to)
{
	static const struct derp_server_info info = { .version = 2 };
	uint8_t frame[DERP_INFO_FRAME_MAX];
	int n = derp_server_info_put(&info, from, to, nonce, frame);

	assert_true(n > 0);
	say(t, frame, (size_t) n);
}

static void say_health(struct talk *t, const char *text)
{
	uint8_t frame[DERP_HEALTH_FRAME_MAX];

	say(t, frame, derp_health_put(text, frame));
}

static void say_frame(struct talk *t, uint8_t type, size_t len)
{
	uint8_t head[DERP_HEAD_LEN] = { type, 0, (uint8_t) (len >> 16), (uint8_t) (len >> 8),
		(uint8_t) len };
	static const uint8_t zeros[70000];

	say(t, head, sizeof(head));
	say(t, zeros, len);
}

static void begin(struct derp_login *l)
{
	assert_int_equal(derp_login_init(l, &client, server_key, "vps.example:443", nonce), 0);
}

/* @ret_left: what was not taken of it. */
static int listen_to(
	struct derp_login *l, const struct talk *t, size_t step, size_t *ret_left, struct err *err)
{
	int r = 0;

	*ret_left = 0;
	for (size_t at = 0; at < t->len && r == 0; at += step) {
		size_t len = t->len - at < step ? t->len - at : step;
		const uint8_t *data = t->data + at;

		r = derp_login_input(l, &data, &len, err);
		assert_true(r != 0 || len == 0);
		*ret_left = t->len - at - step < t->len ? t->len - at - step + len : len;
	}
	return r;
}

/* All in one, and nothing that another than this server could read. */
static void test_what_we_say(void **state)
{
	struct derp_login l;
	struct derp_http request;
	struct derp_reader reader = { 0 };
	struct derp_frame frame;
	struct derp_client_info info;
	uint8_t key[DERP_KEY_LEN];
	const uint8_t *data;
	size_t len;
	int n;

	begin(&l);
	data = derp_login_output(&l, &len);
	n = derp_http_parse((const char *) data, len, &request);
	assert_true(n > 0);
	assert_true(derp_http_upgrades(&request) && request.fast_start);
	assert_non_null(memmem(data, (size_t) n, "\r\nHost: vps.example:443\r\n", 25));
	derp_login_sent(&l, (size_t) n);
	data = derp_login_output(&l, &len);
	assert_int_equal(
		derp_reader_next(&reader, DERP_STAGE_SERVER_LOGIN, &data, &len, &frame), 1);
	assert_int_equal(len, 0);
	assert_int_equal(derp_client_info_parse(&frame, client_secret, key, &info), -EBADMSG);
	assert_int_equal(derp_client_info_parse(&frame, server_secret, key, &info), 0);
	assert_memory_equal(key, client_key, sizeof(key));
	assert_true(info.version == 2 && info.can_ack_pings && !info.prober);
	(void) derp_login_output(&l, &len);
	derp_login_sent(&l, len);
	(void) derp_login_output(&l, &len);
	assert_int_equal(len, 0);
	derp_reader_done(&reader);
	derp_login_done(&l);
}

static void test_no_key(void **state)
{
	static const uint8_t low_order[DERP_KEY_LEN] = { 1 };
	char host[DERP_LOGIN_OUT_MAX + 1];
	struct derp_login l;

	assert_int_equal(derp_login_init(&l, &client, low_order, "vps.example", nonce), -EBADMSG);
	memset(host, 'x', sizeof(host) - 1);
	host[sizeof(host) - 1] = '\0';
	assert_int_equal(derp_login_init(&l, &client, server_key, host, nonce), -EINVAL);
	host[DERP_LOGIN_OUT_MAX - 120] = '\0'; /* room for the one, not for both */
	assert_int_equal(derp_login_init(&l, &client, server_key, host, nonce), -EINVAL);
}

static void say_good(struct talk *t, unsigned which)
{
	if (which & 1)
		say_text(t, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: DERP\r\n"
			    "Derp-Version: 2\r\n\r\n");
	say_key(t, server_key);
	if (which & 2) {
		say_frame(t, DERP_KEEP_ALIVE, 0);
		say_frame(t, 0x77, 5000); /* of a later version */
		say_health(t, "");
	}
	say_info(t, &server, client_key);
	say(t, ping, sizeof(ping));
}

/* With or without an answer in HTTP, in any pieces; what comes behind is not touched. */
static void test_in(void **state)
{
	static const size_t steps[] = { 1, 2, 3, 7, 64, 1000, 4096, 80000 };

	for (unsigned which = 0; which < 4; which++)
		for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
			static struct talk t;
			struct err err = { 0 };
			struct derp_login l;
			size_t left;

			t.len = 0;
			say_good(&t, which);
			begin(&l);
			assert_int_equal(listen_to(&l, &t, steps[i], &left, &err), 1);
			assert_int_equal(l.state, DERP_LOGIN_IN);
			assert_int_equal(left, sizeof(ping));
			derp_login_done(&l);
		}
}

static void say_another_key(struct talk *t)
{
	say_key(t, client_key);
	say_info(t, &server, client_key);
}

static void say_almost_the_key(struct talk *t)
{
	uint8_t key[DERP_KEY_LEN];

	memcpy(key, server_key, sizeof(key));
	key[31] ^= 0x80; /* the same to X25519, but not ours */
	say_key(t, key);
	say_info(t, &server, client_key);
}

/* It has forwarded us to another, whose key it says; what that one says does not open for it. */
static void say_sealed_by_another(struct talk *t)
{
	say_key(t, server_key);
	say_info(t, &client, client_key);
}

static void say_sealed_to_another(struct talk *t)
{
	say_key(t, server_key);
	say_info(t, &server, server_key);
}

static void say_info_first(struct talk *t)
{
	say_info(t, &server, client_key);
	say_key(t, server_key);
}

static void say_long_key(struct talk *t)
{
	say_frame(t, DERP_SERVER_KEY, 1025);
}

static void say_bad_magic(struct talk *t)
{
	say_key(t, server_key);
	t->data[DERP_HEAD_LEN]++;
}

static void say_404(struct talk *t)
{
	say_text(t, "HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno\n");
}

static void say_long_head(struct talk *t)
{
	say_text(t, "HTTP/1.1 101 Switching Protocols\r\n");
	while (t->len < 3000)
		say_text(t, "X-Padding: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n");
}

static void say_bad_head(struct talk *t)
{
	say_text(t, "HTTP/1.1 101\nUpgrade: DERP\n\n");
}

static void say_ssh(struct talk *t)
{
	say_text(t, "SSH-2.0-OpenSSH_9.2p1\r\n");
}

static void say_h_garbage(struct talk *t)
{
	say_text(t, "Hello\r\n\r\n");
}

static void say_huge_frame(struct talk *t)
{
	uint8_t head[DERP_HEAD_LEN] = { DERP_RECV, 0xff, 0xff, 0xff, 0xff };

	say_key(t, server_key);
	say(t, head, sizeof(head));
}

static void say_client_frame(struct talk *t)
{
	say_key(t, server_key);
	say_frame(t, DERP_SEND, 40);
}

static void say_without_end(struct talk *t)
{
	say_key(t, server_key);
	for (int i = 0; i < 40; i++)
		say_frame(t, DERP_KEEP_ALIVE, 0), say_frame(t, 0x77, 1000);
}

static void say_big_before_in(struct talk *t)
{
	say_key(t, server_key);
	say_frame(t, DERP_RECV, 65000);
	say_info(t, &server, client_key);
}

static void say_refusal(struct talk *t)
{
	say_key(t, server_key);
	say_health(t, "members\nonly");
}

static void test_hostile(void **state)
{
	static const struct {
		void (*talk)(struct talk *t);
		int code;
		const char *why;
	} cases[] = {
		{ say_another_key, -EKEYREJECTED, "its key is not the one in its record" },
		{ say_almost_the_key, -EKEYREJECTED, "its key is not the one in its record" },
		{ say_sealed_by_another, -EBADMSG,
			"what it says of itself is not sealed by its key" },
		{ say_sealed_to_another, -EBADMSG,
			"what it says of itself is not sealed by its key" },
		{ say_info_first, -EPROTO, "it does not speak DERP" },
		{ say_long_key, -EMSGSIZE, "it does not speak DERP" },
		{ say_bad_magic, -EPROTO, "it does not speak DERP" },
		{ say_404, -EPROTO, "it is no relay: it answers with HTTP status 404" },
		{ say_long_head, -EPROTO, "it does not speak DERP" },
		{ say_bad_head, -EPROTO, "it does not speak DERP" },
		{ say_ssh, -EPROTO, "it does not speak DERP" },
		{ say_h_garbage, -EPROTO, "it does not speak DERP" },
		{ say_huge_frame, -EMSGSIZE, "it does not speak DERP" },
		{ say_client_frame, -EPROTO, "it does not speak DERP" },
		{ say_without_end, -EMSGSIZE, "it talks without end before it lets us in" },
		{ say_big_before_in, -EMSGSIZE, "it talks without end before it lets us in" },
		{ say_refusal, -EREMOTEIO, "it says: members\\x0aonly" },
	};
	static const size_t steps[] = { 1, 50, 4096 };

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		for (size_t k = 0; k < sizeof(steps) / sizeof(*steps); k++) {
			static struct talk t;
			struct err err = { 0 };
			struct derp_login l;
			size_t left;

			t.len = 0;
			cases[i].talk(&t);
			begin(&l);
			assert_int_equal(listen_to(&l, &t, steps[k], &left, &err), cases[i].code);
			assert_string_equal(err.text, cases[i].why);
			assert_int_not_equal(l.state, DERP_LOGIN_IN);
			assert_true(l.reader.cap <= 2 * DERP_LOGIN_IN_MAX + 5000);
			derp_login_done(&l);
		}
}

/* It stops anywhere before the end: nothing is believed yet, and more is waited for. */
static void test_stalls(void **state)
{
	static struct talk t;
	struct err err = { 0 };
	size_t whole, left;

	t.len = 0;
	say_good(&t, 3);
	whole = t.len - sizeof(ping);
	for (size_t len = 0; len < whole; len++) {
		struct derp_login l;

		t.len = len;
		begin(&l);
		assert_int_equal(listen_to(&l, &t, 100, &left, &err), 0);
		assert_int_not_equal(l.state, DERP_LOGIN_IN);
		derp_login_done(&l);
	}
}

static void test_status(void **state)
{
	static const struct {
		const char *text;
		int r, status;
	} cases[] = {
		{ "HTTP/1.1 101 Switching Protocols\r\nA: b\r\n\r\nrest", 42, 101 },
		{ "HTTP/1.0 200\r\n\r\n", 16, 200 },
		{ "HTTP/1.1 599 \r\n\r\n", 17, 599 },
		{ "HTTP/1.1 101 Switch", 0, 0 },
		{ "HTTP/1.1 101 x\r\nA: b\r\n", 0, 0 },
		{ "", 0, 0 },
		{ "HTTP/1.1 600 x\r\n\r\n", -EBADMSG, 0 },
		{ "HTTP/1.1 099 x\r\n\r\n", -EBADMSG, 0 },
		{ "HTTP/1.1 1o1 x\r\n\r\n", -EBADMSG, 0 },
		{ "HTTP/1.1 1011\r\n\r\n", -EBADMSG, 0 },
		{ "HTTP/1.1 10\r\n\r\n", -EBADMSG, 0 },
		{ "HTTP/2.0 200 x\r\n\r\n", -EBADMSG, 0 },
		{ "HTTP/1.x 200 x\r\n\r\n", -EBADMSG, 0 },
		{ "HTTP/1.1200 x\r\n\r\n", -EBADMSG, 0 },
		{ "HTTP/1.1 200 x\r\n folded\r\n\r\n", -EBADMSG, 0 },
		{ "HTTP/1.1 200 x\r\nno field\r\n\r\n", -EBADMSG, 0 },
		{ "HTTP/1.1 200 x\n\n", -EBADMSG, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int status = 0;

		assert_int_equal(
			derp_http_status_parse(cases[i].text, strlen(cases[i].text), &status),
			cases[i].r);
		assert_int_equal(status, cases[i].status);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_we_say),
		cmocka_unit_test(test_no_key),
		cmocka_unit_test(test_in),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_stalls),
		cmocka_unit_test(test_status),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
