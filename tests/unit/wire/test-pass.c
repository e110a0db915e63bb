/* pass: names of coordinators (known answers by Python's base64), and the frames on parked ones. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "wire/pass.h"

/* --- names --- */

static void test_names(void **state)
{
	static const struct {
		uint8_t first, step; /* the pin: first, first + step ... */
		const char *name;
	} cases[] = {
		{ 0, 1, "c-aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq.hearth.internal" },
		{ 0xff, 0,
			"c-777777777777777777777777777777777777777777777777777q.hearth.internal" },
		{ 0, 0, "c-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.hearth.internal" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t pin[PASS_PIN_LEN], again[PASS_PIN_LEN];
		char name[PASS_NAME_MAX];

		for (size_t k = 0; k < sizeof(pin); k++)
			pin[k] = (uint8_t) (cases[i].first + k * cases[i].step);
		pass_name_of_pin(pin, name);
		assert_string_equal(name, cases[i].name);
		assert_int_equal(pass_pin_of_name(name, again), 0);
		assert_memory_equal(pin, again, sizeof(pin));
	}
}

static void test_url_made(void **state)
{
	static const uint8_t pin[PASS_PIN_LEN] = { 0 };
	static const char whole[] =
		"https://c-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.hearth.internal:443"
		"#2001:db8::5";
	char text[sizeof(whole)];

	assert_int_equal(pass_url(pin, "2001:db8::5", 443, text, sizeof(text)), 0);
	assert_string_equal(text, whole);
	assert_int_equal(pass_url(pin, "2001:db8::5", 443, text, sizeof(text) - 1), -ENAMETOOLONG);
}

static void test_no_names(void **state)
{
	static const char *const names[] = {
		"",
		PASS_PARK_NAME,
		"relay.example.org",
		"c-aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dyp.hearth.internal",
		"c-aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypqa.hearth.internal",
		"c-aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dyp1.hearth.internal",
		"c-AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQTCQKRMFYYDENBWHA5DYPQ.hearth.internal",
		"d-aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq.hearth.internal",
		"c-aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq.hearth.internel",
		/* The bits behind the pin are not 0. */
		"c-aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypr.hearth.internal",
		"c-7777777777777777777777777777777777777777777777777777.hearth.internal",
	};
	uint8_t pin[PASS_PIN_LEN] = { 42 };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (pass_pin_of_name(names[i], pin) != -EINVAL || pin[0] != 42)
			fail_msg("%s", names[i]);
}

/* --- URLs --- */

#define NAME "c-aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq.hearth.internal"

static void test_urls(void **state)
{
	static const struct {
		const char *url, *host, *told;
		uint16_t port;
	} cases[] = {
		{ "https://" NAME ":3340#vps.example.org", "vps.example.org",
			"the coordinator by relay vps.example.org:3340", 3340 },
		{ "https://" NAME ":443#203.0.113.5", "203.0.113.5",
			"the coordinator by relay 203.0.113.5:443", 443 },
		{ "https://" NAME ":65535#2001:db8::5", "2001:db8::5",
			"the coordinator by relay [2001:db8::5]:65535", 65535 },
		{ "https://192.0.2.1:8443", NULL, "https://192.0.2.1:8443", 0 },
		{ "https://" NAME ":3340", NULL, "https://" NAME ":3340", 0 },
		{ "https://" NAME "#h", NULL, "https://" NAME "#h", 0 },
		{ "https://" NAME ":#h", NULL, "https://" NAME ":#h", 0 },
		{ "https://" NAME ":65536#h", NULL, "https://" NAME ":65536#h", 0 },
		{ "https://" NAME ":123456789#h", NULL, "https://" NAME ":123456789#h", 0 },
		{ "https://x" NAME ":3340#h", NULL, "https://x" NAME ":3340#h", 0 },
		{ "http://" NAME ":3340#h", NULL, "http://" NAME ":3340#h", 0 },
		{ "https://c-x.hearth.internal:3340#h", NULL, "https://c-x.hearth.internal:3340#h",
			0 },
		{ "#", NULL, "#", 0 },
		{ "", NULL, "", 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *host = NULL;
		char told[PASS_TOLD_MAX];
		uint16_t port = 0;

		assert_int_equal(
			pass_url_is_relayed(cases[i].url, &host, &port), cases[i].host != NULL);
		assert_int_equal(port, cases[i].port);
		if (cases[i].host)
			assert_string_equal(host, cases[i].host);
		assert_string_equal(pass_url_tell(cases[i].url, told), cases[i].told);
	}
}

/* --- frames --- */

static void test_frames(void **state)
{
	static const uint8_t open4[PASS_FRAME_LEN] = { 0xf2, 'H', 1, 4, 0x1f, 0x90, 0,
		7, [18] = 0xff, 0xff, 192, 0, 2, 9 };
	struct pass_frame frame = { .type = PASS_OPEN,
		.client = { .addr = { AF_INET, { 192, 0, 2, 9 } }, .port = 8080 },
		.waiting = 7 };
	struct pass_frame again = { 0 };
	uint8_t data[PASS_FRAME_LEN];

	pass_frame_put(&frame, data);
	assert_memory_equal(data, open4, sizeof(open4));
	assert_int_equal(pass_frame_parse(data, &again), 0);
	assert_true(endpoint_equal(&frame.client, &again.client));
	assert_int_equal(again.waiting, 7);

	frame.client.addr = (struct ip_addr){ AF_INET6, { 0x20, 1, 0xd, 0xb8, [15] = 1 } };
	pass_frame_put(&frame, data);
	assert_int_equal(pass_frame_parse(data, &again), 0);
	assert_true(endpoint_equal(&frame.client, &again.client));

	for (int type = PASS_PARK; type <= PASS_FULL; type++) {
		if (type == PASS_OPEN)
			continue;
		pass_frame_put(&(struct pass_frame){ .type = (enum pass_type) type }, data);
		assert_int_equal(data[3], type);
		assert_int_equal(pass_frame_parse(data, &again), 0);
		assert_int_equal(again.type, type);
	}
}

static void test_bad_frames(void **state)
{
	static const uint8_t good[PASS_FRAME_LEN] = { 0xf2, 'H', 1, 4, 1, 1, [18] = 0xff, 0xff, 192,
		0, 2, 9 };
	static const struct {
		size_t at, n;
		uint8_t value[PASS_FRAME_LEN];
	} cases[] = {
		{ 0, 1, { 0xf1 } }, { 1, 1, { 'h' } }, { 2, 1, { 2 } }, { 3, 1, { 0 } },
		{ 3, 1, { 7 } }, { 3, 1, { PASS_PING } }, /* which has no client */
		{ 4, 2, { 0, 0 } },                       /* no port */
		{ 20, 4, { 0, 0, 0, 0 } },                /* 0.0.0.0 */
		{ 20, 1, { 224 } },                       /* multicast */
		{ 8, 16, { 0 } },                         /* :: */
		{ 8, 16, { 0xff, 2, [15] = 1 } },         /* ff02::1 */
	};
	struct pass_frame frame = { .waiting = 42 };

	assert_int_equal(pass_frame_parse(good, &frame), 0);
	frame.waiting = 42;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t data[PASS_FRAME_LEN];

		memcpy(data, good, sizeof(data));
		memcpy(data + cases[i].at, cases[i].value, cases[i].n);
		if (pass_frame_parse(data, &frame) != -EBADMSG || frame.waiting != 42)
			fail_msg("case %zu", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_url_made),
		cmocka_unit_test(test_no_names),
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_bad_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
