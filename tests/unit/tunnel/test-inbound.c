/*
 * To the device, without a kernel: a super-packet that it refuses is written again packet by packet, so
 * that nothing is lost, and none of that kind is made any more; other errors cost what was written.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../packet/packets.h"
#include "base/log.h"
#include "tunnel/internal.h"

enum { PACKETS = 6, LEN_MAX = 256 };

static struct {
	uint8_t packet[LEN_MAX], flags;
	size_t len;
} written[4 * PACKETS];
static size_t n_written, n_super, n_refused;
static int refusal; /* of super-packets */

static ssize_t fake_write(struct lane *l, const struct iovec *iov, int n)
{
	struct vnet_head head;
	size_t len = 0;

	assert_int_equal(iov[0].iov_len, VNET_HEAD_LEN);
	assert_int_equal(vnet_parse(iov[0].iov_base, &head), 0);
	if (head.gso != VNET_GSO_NONE) {
		n_super += !refusal;
		n_refused += refusal != 0;
		return refusal ? refusal : 1;
	}
	for (int i = 1; i < n; i++) {
		assert_true(len + iov[i].iov_len <= LEN_MAX);
		memcpy(written[n_written].packet + len, iov[i].iov_base, iov[i].iov_len);
		len += iov[i].iov_len;
	}
	written[n_written].len = len;
	written[n_written++].flags = head.flags;
	return (ssize_t) len;
}

static int open_tunnel(void **state)
{
	static const struct tunnel_io io = { .tun_write = fake_write };
	struct tunnel *t = tunnel_new_bare(&io);

	log_set_level(LOG_LEVEL_ERROR);
	if (!t)
		return -1;
	t->tun.header = true;
	coalesce_init(&t->lanes[0]->coalesce, true, true, inbound_write, t->lanes[0]);
	n_written = n_super = n_refused = 0;
	refusal = 0;
	*state = t;
	return 0;
}

static int close_tunnel(void **state)
{
	(void) tunnel_free_bare(*state);
	return 0;
}

/* A run of packets of one flow, the last of them shorter and, of TCP, with PSH. */
static void put_run(struct tunnel *t, bool v6, int protocol, uint8_t ret[PACKETS][LEN_MAX],
	size_t ret_lens[static PACKETS])
{
	static const uint8_t payload[100] = { 1, 2, 3, 250 };
	static uint8_t data[PACKETS][LEN_MAX];
	struct packet_spec s = { .v6 = v6,
		.protocol = protocol,
		.ttl = 64,
		.flags = ACK,
		.id = 0xfffd,
		.seq = 0xffffff00,
		.sport = 1,
		.dport = 2,
		.payload = payload,
		.payload_len = 100 };

	for (int i = 0; i < PACKETS; i++) {
		if (i + 1 == PACKETS) {
			s.payload_len = 31;
			s.flags |= PSH;
		}
		ret_lens[i] = packet_build(&s, ret[i]);
		memcpy(data[i], ret[i], ret_lens[i]);
		coalesce_add(&t->lanes[0]->coalesce, data[i], ret_lens[i]);
		s.seq += 100;
		s.id++;
	}
	coalesce_flush(&t->lanes[0]->coalesce);
}

static void assert_all_written(uint8_t packets[PACKETS][LEN_MAX], const size_t lens[static PACKETS])
{
	assert_int_equal(n_written, PACKETS);
	for (int i = 0; i < PACKETS; i++) {
		assert_int_equal(written[i].len, lens[i]);
		assert_memory_equal(written[i].packet, packets[i], lens[i]);
		assert_int_equal(written[i].flags & ~VNET_DATA_VALID, 0);
	}
	n_written = 0;
}

static void test_refused(void **state)
{
	for (int kind = 0; kind < 4; kind++) {
		bool v6 = kind & 1, udp = kind & 2;
		uint8_t packets[PACKETS][LEN_MAX];
		size_t lens[PACKETS];
		struct tunnel *t = NULL;

		assert_int_equal(open_tunnel((void **) &t), 0);
		refusal = -EINVAL;
		put_run(t, v6, udp ? UDP : TCP, packets, lens);
		assert_int_equal(n_refused, 1);
		assert_all_written(packets, lens);
		put_run(t, v6, udp ? UDP : TCP, packets, lens);
		assert_int_equal(n_refused, 1); /* not tried again */
		assert_all_written(packets, lens);
		assert_int_equal(t->lanes[0]->counters.tun_write_errors, 0);
		refusal = 0;
		put_run(t, v6, udp ? TCP : UDP, packets, lens);
		assert_int_equal(n_super, 1); /* the other kind goes on */
		assert_int_equal(t->lanes[0]->counters.tun_super_written, 1);
		(void) tunnel_free_bare(t);
	}
}

static void test_other_errors(void **state)
{
	struct tunnel *t = *state;
	uint8_t packets[PACKETS][LEN_MAX];
	size_t lens[PACKETS];

	refusal = -EIO;
	put_run(t, false, TCP, packets, lens);
	assert_int_equal(n_refused, 1);
	assert_int_equal(n_written, 0);
	assert_int_equal(t->lanes[0]->counters.tun_write_errors, PACKETS);
	assert_int_equal(t->lanes[0]->tun_error, 0);
	refusal = -EBADFD;
	put_run(t, false, TCP, packets, lens);
	assert_int_equal(t->lanes[0]->tun_error, -EBADFD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test_setup_teardown(test_other_errors, open_tunnel, close_tunnel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
