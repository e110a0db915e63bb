/* The request before DERP: what is answered how; nothing of it reaches the answer unseen. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "wire/derp-http.h"

static const uint8_t key[DERP_KEY_LEN] = { 0xab, [31] = 0x01 };

/* Tailscale's client, byte by byte: whole at the last one and not before. */
static void test_upgrade(void **state)
{
	static const char request[] = "GET /derp HTTP/1.1\r\nHost: relay.example:3340\r\n"
				      "User-Agent: Go-http-client/1.1\r\nConnection: Upgrade\r\n"
				      "Ideal-Node: 1a\r\nUpgrade: DERP\r\n\r\n\2\0\0\0";
	struct derp_http got;
	char answer[DERP_HTTP_ANSWER_MAX];
	size_t whole = sizeof(request) - 5;

	for (size_t len = 0; len < whole; len++)
		assert_int_equal(derp_http_parse(request, len, &got), 0);
	assert_int_equal(derp_http_parse(request, sizeof(request) - 1, &got), whole);
	assert_true(derp_http_upgrades(&got));
	assert_false(got.fast_start);
	size_t len = derp_http_answer(&got, key, answer);

	assert_string_equal(answer,
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: DERP\r\nConnection: Upgrade\r\n"
		"Derp-Version: 2\r\nDerp-Public-Key: ab000000000000000000000000000000"
		"00000000000000000000000000000001\r\n\r\n");
	assert_int_equal(len, strlen(answer));
}

static void test_answers(void **state)
{
	static const struct {
		const char *request, *begins, *contains;
	} cases[] = {
		{ "GET /derp HTTP/1.1\r\nupgrade:  derp\t\r\n\r\n", "HTTP/1.1 101",
			"Upgrade: DERP\r\n" },
		{ "GET /derp?x=1 HTTP/1.1\r\nUpgrade: DERP\r\n\r\n", "HTTP/1.1 101", "" },
		{ "GET /derp HTTP/1.1\r\nUpgrade: DERP\r\nDerp-Fast-Start: 1\r\n\r\n", "", "" },
		{ "GET /derp HTTP/1.1\r\n\r\n", "HTTP/1.1 426", "Upgrade: DERP\r\n" },
		{ "GET /derp HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", "HTTP/1.1 426", "WebSocket" },
		{ "POST /derp HTTP/1.1\r\nUpgrade: DERP\r\n\r\n", "HTTP/1.1 405", "Allow: GET" },
		{ "GET /derp/probe HTTP/1.1\r\n\r\n", "HTTP/1.1 200",
			"Access-Control-Allow-Origin: *\r\n" },
		{ "HEAD /derp/latency-check HTTP/1.1\r\n\r\n", "HTTP/1.1 200",
			"Content-Length: 0\r\n" },
		{ "PUT /derp/probe HTTP/1.1\r\n\r\n", "HTTP/1.1 405", "" },
		{ "GET /generate_204 HTTP/1.1\r\n\r\n", "HTTP/1.1 204", "no-store" },
		{ "GET /generate_204 HTTP/1.1\r\nX-Tailscale-Challenge: ts_a.b-c:9\r\n\r\n",
			"HTTP/1.1 204", "\r\nX-Tailscale-Response: response ts_a.b-c:9\r\n" },
		{ "GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 404", "Hearth" },
		{ "GET /derp/ HTTP/1.1\r\nUpgrade: DERP\r\n\r\n", "HTTP/1.1 404", "" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char answer[DERP_HTTP_ANSWER_MAX] = "";
		struct derp_http got;

		assert_int_equal(derp_http_parse(cases[i].request, strlen(cases[i].request), &got),
			strlen(cases[i].request));
		size_t len = derp_http_answer(&got, key, answer);

		assert_int_equal(len, strlen(answer));
		assert_in_range(len, 0, sizeof(answer) - 1);
		if (strncmp(answer, cases[i].begins, strlen(cases[i].begins)) != 0 ||
			!strstr(answer, cases[i].contains))
			fail_msg("%s: %s", cases[i].request, answer);
		if (!*cases[i].begins)
			assert_int_equal(len, 0);
	}
}

/* A challenge comes back as it is, or not at all. */
static void test_challenge(void **state)
{
	static const char *const bad[] = { "", "a b", "a\xc3\xa4", "<script>", "a/b",
		"01234567890123456789012345678901234567890123456789012345678901234" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char request[256] = "GET /generate_204 HTTP/1.1\r\nX-Tailscale-Challenge: ";
		char answer[DERP_HTTP_ANSWER_MAX];
		struct derp_http got;

		strcat(strcat(request, bad[i]), "\r\n\r\n");
		assert_int_equal(derp_http_parse(request, strlen(request), &got), strlen(request));
		(void) derp_http_answer(&got, key, answer);
		assert_null(strstr(answer, "X-Tailscale-Response"));
	}
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
		"\r\n\r\n",
		"GET /derp\r\n\r\n",
		"GET /derp HTTP/1.0\r\n\r\n",
		"GET /derp HTTP/2.0\r\n\r\n",
		"GET  /derp HTTP/1.1\r\n\r\n",
		"G@T /derp HTTP/1.1\r\n\r\n",
		"GET /derp HTTP/1.1\n\n",
		"GET /derp HTTP/1.1\r\nUpgrade: DERP\n\r\n",
		"GET /derp HTTP/1.1\r\n Upgrade: DERP\r\n\r\n",
		"GET /derp HTTP/1.1\r\nUpgrade : DERP\r\n\r\n",
		"GET /derp HTTP/1.1\r\nUpgrade\r\n\r\n",
		"GET /derp HTTP/1.1\r\n: DERP\r\n\r\n",
		"GET /derp HTTP/1.1\r\nX: a\rb\r\n\r\n",
		"GET /derp HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcd",
		"GET /derp HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
		"\x16\x03\x01\x02", /* TLS inside TLS: known at once */
		"GET /de\x01",
	};
	char answer[DERP_HTTP_ANSWER_MAX], many[DERP_HTTP_MAX + 100];
	struct derp_http got;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (derp_http_parse(bad[i], strlen(bad[i]), &got) != -EBADMSG)
			fail_msg("%s", bad[i]);
	assert_int_equal(
		derp_http_parse("GET /derp HTTP/1.1\r\nA: \0\r\n\r\n", 27, &got), -EBADMSG);
	memset(many, 'a', sizeof(many));
	memcpy(many, "GET /", 5);
	assert_int_equal(derp_http_parse(many, DERP_HTTP_MAX - 1, &got), 0);
	assert_int_equal(derp_http_parse(many, DERP_HTTP_MAX, &got), -EMSGSIZE);
	assert_int_equal(derp_http_parse(many, sizeof(many), &got), -EMSGSIZE);
	size_t len = derp_http_refusal(answer);

	assert_int_equal(len, strlen(answer));
	assert_non_null(strstr(answer, "HTTP/1.1 400 "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_upgrade),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_challenge),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
