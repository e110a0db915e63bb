/* The layouts of WireGuard's messages, and every wrong length, type and reserved byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "wire/wg.h"

static const struct {
	uint8_t type;
	size_t len;
	bool longer; /* may be longer */
} kinds[] = {
	{ WG_TYPE_INITIATION, 148, false },
	{ WG_TYPE_RESPONSE, 92, false },
	{ WG_TYPE_COOKIE_REPLY, 64, false },
	{ WG_TYPE_DATA, 32, true },
};

static void test_types(void **state)
{
	uint8_t data[300];

	for (unsigned type = 0; type < 256; type++)
		for (size_t len = 0; len <= sizeof(data); len++) {
			int expected = -EBADMSG;

			memset(data, 0, sizeof(data));
			data[0] = (uint8_t) type;
			for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
				if (kinds[k].type == type &&
					(len == kinds[k].len ||
						(kinds[k].longer && len > kinds[k].len)))
					expected = kinds[k].type;
			assert_int_equal(wg_message_type(data, len), expected);
			for (unsigned reserved = 1; reserved < 4 && len >= 4; reserved++) {
				data[reserved] = 1;
				assert_int_equal(wg_message_type(data, len), -EBADMSG);
				data[reserved] = 0;
			}
		}
}

/* Bytes 0, 1, 2 ... behind the type: each field must come from its place. */
static void count_up(uint8_t *data, size_t len, uint8_t type)
{
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t) i;
	memcpy(data, (uint8_t[]){ type, 0, 0, 0 }, 4);
}

static void test_initiation(void **state)
{
	uint8_t data[WG_INITIATION_LEN + 1], back[WG_INITIATION_LEN];
	struct wg_initiation m;

	count_up(data, sizeof(data), 1);
	assert_int_equal(wg_initiation_parse(data, WG_INITIATION_LEN, &m), 0);
	assert_int_equal(m.sender, 0x07060504);
	assert_int_equal(m.ephemeral[0], 8);
	assert_int_equal(m.sealed_static[0], 40);
	assert_int_equal(m.sealed_timestamp[0], 88);
	assert_int_equal(m.sealed_timestamp[27], 115);
	assert_int_equal(wg_mac1_offset(WG_INITIATION_LEN), 116);
	assert_int_equal(wg_mac2_offset(WG_INITIATION_LEN), 132);
	wg_initiation_format(&m, back);
	memset(data + 116, 0, 32);
	assert_memory_equal(data, back, sizeof(back));
	assert_int_equal(wg_initiation_parse(data, WG_INITIATION_LEN + 1, &m), -EBADMSG);
	assert_int_equal(wg_initiation_parse(data, WG_INITIATION_LEN - 1, &m), -EBADMSG);
	data[0] = 2;
	assert_int_equal(wg_initiation_parse(data, WG_INITIATION_LEN, &m), -EBADMSG);
}

static void test_response(void **state)
{
	uint8_t data[WG_RESPONSE_LEN + 1], back[WG_RESPONSE_LEN];
	struct wg_response m;

	count_up(data, sizeof(data), 2);
	assert_int_equal(wg_response_parse(data, WG_RESPONSE_LEN, &m), 0);
	assert_int_equal(m.sender, 0x07060504);
	assert_int_equal(m.receiver, 0x0b0a0908);
	assert_int_equal(m.ephemeral[0], 12);
	assert_int_equal(m.sealed_nothing[0], 44);
	assert_int_equal(wg_mac1_offset(WG_RESPONSE_LEN), 60);
	wg_response_format(&m, back);
	memset(data + 60, 0, 32);
	assert_memory_equal(data, back, sizeof(back));
	assert_int_equal(wg_response_parse(data, WG_RESPONSE_LEN + 1, &m), -EBADMSG);
	assert_int_equal(wg_response_parse(data, WG_RESPONSE_LEN - 1, &m), -EBADMSG);
}

static void test_cookie_reply(void **state)
{
	uint8_t data[WG_COOKIE_REPLY_LEN + 1], back[WG_COOKIE_REPLY_LEN];
	struct wg_cookie_reply m;

	count_up(data, sizeof(data), 3);
	assert_int_equal(wg_cookie_reply_parse(data, WG_COOKIE_REPLY_LEN, &m), 0);
	assert_int_equal(m.receiver, 0x07060504);
	assert_int_equal(m.nonce[0], 8);
	assert_int_equal(m.sealed_cookie[0], 32);
	wg_cookie_reply_format(&m, back);
	assert_memory_equal(data, back, sizeof(back));
	assert_int_equal(wg_cookie_reply_parse(data, WG_COOKIE_REPLY_LEN + 1, &m), -EBADMSG);
	assert_int_equal(wg_cookie_reply_parse(data, WG_COOKIE_REPLY_LEN - 1, &m), -EBADMSG);
}

static void test_data(void **state)
{
	uint8_t data[40], head[WG_DATA_HEAD_LEN];
	struct wg_data_head m;

	count_up(data, sizeof(data), 4);
	assert_true(wg_data_head_parse(data, sizeof(data), &m));
	assert_int_equal(m.receiver, 0x07060504);
	assert_true(m.counter == UINT64_C(0x0f0e0d0c0b0a0908));
	wg_data_head_format(head, m.receiver, m.counter);
	assert_memory_equal(data, head, sizeof(head));
	assert_false(wg_data_head_parse(data, 31, &m));
	assert_false(wg_data_head_parse(data, 0, &m));
	data[3] = 1;
	assert_false(wg_data_head_parse(data, sizeof(data), &m));
}

static void test_seems_sealed(void **state)
{
	uint8_t p[80] = { 0x45, 0, 0, 60, [8] = 64, 17, [28] = 4 };
	uint8_t hops = 0;

	assert_true(wg_seems_sealed(p, 60, &hops)); /* a data message of 32 bytes */
	assert_int_equal(hops, 64);
	assert_false(wg_seems_sealed(p, 59, &hops)); /* too short for one */
	p[29] = 1;
	assert_false(wg_seems_sealed(p, 60, &hops));
	p[7] = 8; /* not the first fragment: who knows */
	assert_true(wg_seems_sealed(p, 60, &hops));
	p[7] = 0;
	p[6] = 0x20; /* more fragments */
	assert_true(wg_seems_sealed(p, 60, &hops));
	p[9] = 6;
	assert_false(wg_seems_sealed(p, 60, &hops));
	memcpy(p, (uint8_t[80]){ 0x60, 0, 0, 0, 0, 40, 17, 9, [48] = 4 }, 80);
	assert_true(wg_seems_sealed(p, 80, &hops));
	assert_int_equal(hops, 9);
	p[6] = 58;
	assert_false(wg_seems_sealed(p, 80, &hops));
	p[6] = 44;
	assert_false(wg_seems_sealed(p, 80, &hops)); /* a fragment of something else */
	p[40] = 17;
	assert_true(wg_seems_sealed(p, 80, &hops));
	assert_false(wg_seems_sealed(p, 40, &hops));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_initiation),
		cmocka_unit_test(test_response),
		cmocka_unit_test(test_cookie_reply),
		cmocka_unit_test(test_data),
		cmocka_unit_test(test_seems_sealed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
