/* vnet: the ten bytes, as virtio 1.2 section 5.1.6 lays them out. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

#include "packet/vnet.h"

static void test_bytes(void **state)
{
	static const uint8_t bytes[VNET_HEAD_LEN] = { 1, 0x84, 0x48, 0, 0xd4, 0x04, 40, 0, 16, 0 };
	struct vnet_head head;
	uint8_t again[VNET_HEAD_LEN];

	assert_int_equal(vnet_parse(bytes, &head), 0);
	assert_int_equal(head.flags, VNET_NEEDS_CSUM);
	assert_int_equal(head.gso, VNET_GSO_TCPV6);
	assert_true(head.ecn);
	assert_int_equal(head.hdr_len, 72);
	assert_int_equal(head.gso_size, 1236);
	assert_int_equal(head.csum_start, 40);
	assert_int_equal(head.csum_offset, 16);
	vnet_format(&head, again);
	assert_memory_equal(bytes, again, sizeof(bytes));
}

static void test_every_type(void **state)
{
	for (unsigned type = 0; type < 256; type++) {
		const uint8_t bytes[VNET_HEAD_LEN] = { 0, (uint8_t) type };
		unsigned plain = type & 0x7f;
		struct vnet_head head;

		assert_int_equal(vnet_parse(bytes, &head),
			plain == 0 || plain == 1 || plain == 4 || plain == 5 ? 0 : -EBADMSG);
	}
}

static void test_every_flag(void **state)
{
	for (unsigned flags = 0; flags < 256; flags++) {
		const uint8_t bytes[VNET_HEAD_LEN] = { (uint8_t) flags };
		struct vnet_head head;
		int r = vnet_parse(bytes, &head);

		assert_int_equal(r, flags & 4 ? -EBADMSG : 0);
		if (r == 0)
			assert_int_equal(head.flags, flags & 3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_every_type),
		cmocka_unit_test(test_every_flag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
