/*
 * segment: super-packets written out byte by byte, then thousands of random ones against packets that
 * were built one by one; completion of single packets; and everything that must be refused. Packets lie
 * on the heap at their exact size, so that a sanitizer sees a byte too many.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "packets.h"
#include "packet/segment.h"

static uint8_t *heap_copy(const uint8_t *p, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	if (len)
		memcpy(copy, p, len);
	return copy;
}

static void expect_segment(
	const struct segment_plan *plan, size_t i, const uint8_t *expected, size_t expected_len)
{
	uint8_t *head = heap_copy(expected, plan->head_len);
	const uint8_t *payload;
	size_t payload_len;

	memset(head, 0xee, plan->head_len);
	segment_head(plan, i, head, &payload, &payload_len);
	assert_int_equal(segment_len(plan, i), plan->head_len + payload_len);
	assert_int_equal(plan->head_len + payload_len, expected_len);
	assert_memory_equal(head, expected, plan->head_len);
	assert_memory_equal(payload, expected + plan->head_len, payload_len);
	free(head);
}

static void expect_plan(const struct vnet_head *head, uint8_t *super, size_t len, int family,
	struct segment_plan *plan)
{
	bool v6 = family == AF_INET6;

	assert_int_equal(segment_plan(head, super, len, plan), 0);
	assert_int_equal(plan->family, family);
	assert_ptr_equal(plan->src, super + (v6 ? 8 : 12));
	assert_ptr_equal(plan->dst, super + (v6 ? 24 : 16));
}

/* "hello wor" in fours: sequence and id wrap, CWR first only, PSH and FIN last only, ECT kept. */
static void test_tcp_v4_bytes(void **state)
{
	uint8_t super[] = { 0x45, 0x02, 0x00, 0x3d, 0xff, 0xff, 0x40, 0x00, 0x40, 0x06, 0x1c, 0xa6,
		0x0a, 0x01, 0x02, 0x03, 0x0a, 0x09, 0x08, 0x07, 0x12, 0x34, 0x00, 0x50, 0xff, 0xff,
		0xff, 0xfe, 0x01, 0x02, 0x03, 0x04, 0x80, 0x99, 0x01, 0xf4, 0x1e, 0x43, 0x00, 0x00,
		0x01, 0x01, 0x08, 0x0a, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x02, 'h', 'e',
		'l', 'l', 'o', ' ', 'w', 'o', 'r' };
	static const uint8_t first[] = { 0x45, 0x02, 0x00, 0x38, 0xff, 0xff, 0x40, 0x00, 0x40, 0x06,
		0x1c, 0xab, 0x0a, 0x01, 0x02, 0x03, 0x0a, 0x09, 0x08, 0x07, 0x12, 0x34, 0x00, 0x50,
		0xff, 0xff, 0xff, 0xfe, 0x01, 0x02, 0x03, 0x04, 0x80, 0x90, 0x01, 0xf4, 0x6a, 0xd4,
		0x00, 0x00, 0x01, 0x01, 0x08, 0x0a, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x02,
		'h', 'e', 'l', 'l' };
	static const uint8_t second[] = { 0x45, 0x02, 0x00, 0x38, 0x00, 0x00, 0x40, 0x00, 0x40,
		0x06, 0x1c, 0xab, 0x0a, 0x01, 0x02, 0x03, 0x0a, 0x09, 0x08, 0x07, 0x12, 0x34, 0x00,
		0x50, 0x00, 0x00, 0x00, 0x02, 0x01, 0x02, 0x03, 0x04, 0x80, 0x10, 0x01, 0xf4, 0x59,
		0x93, 0x00, 0x00, 0x01, 0x01, 0x08, 0x0a, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,
		0x02, 'o', ' ', 'w', 'o' };
	static const uint8_t third[] = { 0x45, 0x02, 0x00, 0x35, 0x00, 0x01, 0x40, 0x00, 0x40, 0x06,
		0x1c, 0xad, 0x0a, 0x01, 0x02, 0x03, 0x0a, 0x09, 0x08, 0x07, 0x12, 0x34, 0x00, 0x50,
		0x00, 0x00, 0x00, 0x06, 0x01, 0x02, 0x03, 0x04, 0x80, 0x19, 0x01, 0xf4, 0xce, 0x18,
		0x00, 0x00, 0x01, 0x01, 0x08, 0x0a, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x02,
		'r' };
	const struct vnet_head head = { .flags = VNET_NEEDS_CSUM,
		.gso = VNET_GSO_TCPV4,
		.ecn = true,
		.hdr_len = 52,
		.gso_size = 4,
		.csum_start = 20,
		.csum_offset = 16 };
	struct segment_plan plan;

	expect_plan(&head, super, sizeof(super), AF_INET, &plan);
	assert_int_equal(plan.n, 3);
	assert_int_equal(plan.head_len, 52);
	expect_segment(&plan, 2, third, sizeof(third)); /* in any order, and again */
	expect_segment(&plan, 0, first, sizeof(first));
	expect_segment(&plan, 1, second, sizeof(second));
	expect_segment(&plan, 0, first, sizeof(first));
}

static void test_udp_v6_bytes(void **state)
{
	uint8_t super[] = { 0x60, 0x01, 0x23, 0x45, 0x00, 0x0e, 0x11, 0x40, 0xfd, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0, 0, 1, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0x13,
		0x88, 0x17, 0x70, 0x00, 0x0e, 0xfa, 0x23, 'a', 'b', 'c', 'd', 'e', 'f' };
	static const uint8_t first[] = { 0x60, 0x01, 0x23, 0x45, 0x00, 0x0c, 0x11, 0x40, 0xfd, 0, 0,
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 2, 0x13, 0x88, 0x17, 0x70, 0x00, 0x0c, 0x16, 0x13, 'a', 'b', 'c', 'd' };
	static const uint8_t second[] = { 0x60, 0x01, 0x23, 0x45, 0x00, 0x0a, 0x11, 0x40, 0xfd, 0,
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 2, 0x13, 0x88, 0x17, 0x70, 0x00, 0x0a, 0x75, 0x77, 'e', 'f' };
	const struct vnet_head head = { .flags = VNET_NEEDS_CSUM,
		.gso = VNET_GSO_UDP_L4,
		.hdr_len = 48,
		.gso_size = 4,
		.csum_start = 40,
		.csum_offset = 6 };
	struct segment_plan plan;

	expect_plan(&head, super, sizeof(super), AF_INET6, &plan);
	assert_int_equal(plan.n, 2);
	expect_segment(&plan, 0, first, sizeof(first));
	expect_segment(&plan, 1, second, sizeof(second));
}

static uint8_t noise[PACKET_ROOM], super_room[PACKET_ROOM + 200], one[PACKET_ROOM + 200];

static void random_spec(uint64_t *random, struct packet_spec *ret)
{
	static const uint8_t options[40] = { 1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1, 5, 10 };
	static const uint8_t v4_options[40] = { 7, 39, 4 };
	static const uint8_t extension[64] = { 0, 0, 1, 4 };
	static uint8_t sized[64];
	uint32_t r = next_random(random);

	*ret = (struct packet_spec){ .v6 = r & 1,
		.df = r & 2,
		.protocol = r & 4 ? TCP : UDP,
		.tos = (uint8_t) (r >> 8),
		.ttl = (uint8_t) (r >> 16),
		.flags = (uint8_t) ((r >> 24) & ~(SYN | RST)),
		.reserved = (r >> 3) & 15,
		.id = (uint16_t) next_random(random),
		.sport = (uint16_t) next_random(random),
		.dport = (uint16_t) next_random(random),
		.window = (uint16_t) next_random(random),
		.label = next_random(random),
		.seq = next_random(random),
		.ack = next_random(random),
		.host = (uint8_t) next_random(random),
		.options = options,
		.options_len = 4 * (next_random(random) % 11),
		.payload = noise + next_random(random) % 256 };
	if (next_random(random) % 2)
		return;
	if (!ret->v6) {
		ret->ip_extra = v4_options;
		ret->ip_extra_len = 4 * (next_random(random) % 11);
		return;
	}
	ret->ip_extra_len = 8 * (1 + next_random(random) % 8);
	ret->extra_type = next_random(random) % 2 ? HOP_BY_HOP : DST_OPTIONS;
	memcpy(sized, extension, sizeof(sized));
	sized[1] = (uint8_t) (ret->ip_extra_len / 8 - 1);
	ret->ip_extra = sized;
}

static struct vnet_head announce(const struct packet_spec *s, size_t gso_size)
{
	return (struct vnet_head){ .flags = VNET_NEEDS_CSUM,
		.gso = s->protocol == UDP ? VNET_GSO_UDP_L4
		       : s->v6            ? VNET_GSO_TCPV6
					  : VNET_GSO_TCPV4,
		.ecn = s->flags & CWR,
		.hdr_len = (uint16_t) packet_head(s),
		.gso_size = (uint16_t) gso_size,
		.csum_start = (uint16_t) packet_transport(s),
		.csum_offset = s->protocol == TCP ? 16 : 6 };
}

/* Segment @i of @n of what @s describes, built by itself. */
static size_t build_segment(const struct packet_spec *s, size_t gso_size, size_t i, size_t n)
{
	struct packet_spec part = *s;

	part.payload += i * gso_size;
	part.payload_len = i + 1 < n ? gso_size : s->payload_len - i * gso_size;
	part.id = (uint16_t) (s->id + i);
	part.seq = s->seq + (uint32_t) (i * gso_size);
	if (i > 0)
		part.flags &= (uint8_t) ~CWR;
	if (i + 1 < n)
		part.flags &= (uint8_t) ~(PSH | FIN);
	return packet_build(&part, one);
}

static void split_and_compare(const struct packet_spec *s, size_t gso_size, bool trailer)
{
	size_t len = packet_build(s, super_room), n = (s->payload_len + gso_size - 1) / gso_size;
	struct vnet_head head = announce(s, gso_size);
	struct segment_plan plan;
	uint8_t *super;

	packet_unsum(super_room, len, packet_transport(s), s->protocol);
	super = heap_copy(super_room, len + (trailer ? 9 : 0));
	head.hdr_len = (uint16_t) (head.hdr_len * 3); /* a hint, not to be believed */
	assert_int_equal(segment_plan(&head, super, len + (trailer ? 9 : 0), &plan), 0);
	assert_int_equal(plan.n, n ? n : 1);
	for (size_t i = 0; i < plan.n; i += 1 + plan.n / 200) {
		size_t part = build_segment(s, gso_size, i, plan.n);

		if (!s->ip_extra_len)
			assert_null(packet_fault(one, part));
		expect_segment(&plan, i, one, part);
	}
	expect_segment(&plan, plan.n - 1, one, build_segment(s, gso_size, plan.n - 1, plan.n));
	free(super);
}

static void fill_noise(void)
{
	uint64_t random = 7;

	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (uint8_t) next_random(&random);
}

static void test_random(void **state)
{
	uint64_t random = 4711;

	fill_noise();
	for (int i = 0; i < 4000; i++) {
		struct packet_spec s;
		size_t most = i % 20 ? 3000 : 65000;

		random_spec(&random, &s);
		s.payload_len = next_random(&random) % (most - packet_head(&s));
		split_and_compare(&s, 1 + next_random(&random) % 1500, i % 3 == 0);
	}
}

/* As full as a length field allows, in single bytes: more segments than anyone keeps a table of. */
static void test_single_bytes(void **state)
{
	struct packet_spec s = {
		.protocol = UDP, .ttl = 1, .payload = noise, .payload_len = 65507
	};

	fill_noise();
	split_and_compare(&s, 1, false);
	s.v6 = true;
	s.payload_len = 65527;
	split_and_compare(&s, 1, false);
	s.protocol = TCP;
	s.payload_len = 65515;
	split_and_compare(&s, 65514, false);
}

/* A segment whose sum comes out as 0 must carry 0xffff: 0 would mean "no checksum". */
static void test_udp_zero_sum(void **state)
{
	struct packet_spec s = { .v6 = true, .protocol = UDP, .payload_len = 4 };
	int zeroes = 0;

	fill_noise();
	for (unsigned word = 0; word < 65536; word++) {
		put16(noise, word);
		s.payload = noise;
		s.payload_len = 4;
		if (build_segment(&s, 2, 0, 2) != 50 || get16(one + 46) != 0xffff)
			continue;
		split_and_compare(&s, 2, false);
		zeroes++;
	}
	assert_true(zeroes > 0);
}

/* A source route: the pseudo header was made with the last hop's address, which we keep. */
static void test_routing_header(void **state)
{
	static const uint8_t route[24] = { 0, 2, 2, 1, [8] = 0xfd, [23] = 0x77 };
	struct packet_spec s = { .v6 = true,
		.protocol = TCP,
		.flags = ACK,
		.ip_extra = route,
		.ip_extra_len = 24,
		.extra_type = ROUTING,
		.payload = noise,
		.payload_len = 1000 };
	size_t len = packet_build(&s, super_room);
	struct vnet_head head = announce(&s, 300);
	struct segment_plan plan;
	uint8_t hop[16], seg[1500];
	const uint8_t *payload;
	size_t payload_len;

	memcpy(hop, super_room + 24, 16);
	memcpy(super_room + 24, super_room + 48, 16); /* as if it had arrived */
	packet_unsum(super_room, len, 64, TCP);
	memcpy(super_room + 24, hop, 16);
	assert_int_equal(segment_plan(&head, super_room, len, &plan), 0);
	assert_int_equal(plan.n, 4);
	for (size_t i = 0; i < 4; i++) {
		segment_head(&plan, i, seg, &payload, &payload_len);
		memcpy(seg + plan.head_len, payload, payload_len);
		assert_memory_equal(seg + 24, hop, 16);
		memcpy(seg + 24, seg + 48, 16);
		len = plan.head_len + payload_len;
		assert_int_equal(
			slow_sum(slow_pseudo(seg, TCP, len - 64), seg + 64, len - 64), 0xffff);
	}
	head.flags = 0; /* then nobody knows the sum */
	assert_int_equal(segment_plan(&head, super_room, 20 + 64 + 1000, &plan), -EBADMSG);
}

/* No segmentation asked for: the packet leaves as it lies, its checksum completed. */
static void test_complete(void **state)
{
	uint64_t random = 99;

	fill_noise();
	for (int i = 0; i < 2000; i++) {
		struct packet_spec s;
		struct vnet_head head;
		struct segment_plan plan;
		size_t len;
		uint8_t *p;

		random_spec(&random, &s);
		s.flags = (uint8_t) next_random(&random);
		s.payload_len = next_random(&random) % 1400;
		len = packet_build(&s, one);
		memcpy(super_room, one, len);
		packet_unsum(super_room, len, packet_transport(&s), s.protocol);
		p = heap_copy(super_room, len);
		head = announce(&s, 0);
		head.gso = VNET_GSO_NONE;
		assert_int_equal(segment_plan(&head, p, len, &plan), 0);
		assert_int_equal(plan.n, 1);
		assert_int_equal(plan.head_len, 0);
		expect_segment(&plan, 0, one, len);
		head.flags = 0; /* nothing is missing: nothing is touched */
		p[packet_transport(&s)] ^= 0x55;
		one[packet_transport(&s)] ^= 0x55;
		assert_int_equal(segment_plan(&head, p, len, &plan), 0);
		expect_segment(&plan, 0, one, len);
		free(p);
	}
}

/* Any place behind the IP header will do for a checksum, up to the last two bytes. */
static void test_complete_places(void **state)
{
	struct packet_spec s = { .protocol = UDP, .payload = noise, .payload_len = 32 };
	size_t len = packet_build(&s, one); /* 60 */
	static const struct {
		uint16_t start, offset;
		bool taken;
	} cases[] = {
		{ 20, 6, true },
		{ 20, 38, true },
		{ 20, 39, false },
		{ 20, 40, false },
		{ 58, 0, true },
		{ 59, 0, false },
		{ 60, 0, false },
		{ 19, 1, false },
		{ 0, 10, false },
		{ 21, 2, true },
		{ 65535, 65535, false },
		{ 20, 65535, false },
		{ 65535, 0, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vnet_head head = { .flags = VNET_NEEDS_CSUM,
			.csum_start = cases[i].start,
			.csum_offset = cases[i].offset };
		uint8_t *p = heap_copy(one, len);
		struct segment_plan plan;
		int r = segment_plan(&head, p, len, &plan);

		if (r != (cases[i].taken ? 0 : -EBADMSG))
			fail_msg("start %u offset %u", cases[i].start, cases[i].offset);
		if (r < 0)
			assert_memory_equal(p, one, len);
		free(p);
	}
}

struct refusal {
	const char *what;
	bool v6;
	int protocol;
	size_t at, len; /* of what is overwritten, and with what; len 0: nothing */
	const char *with;
	size_t keep; /* bytes of the packet that are handed over; 0: all */
	struct vnet_head head;
};

#define ASKS(type, size, start, offset)                                      \
	{                                                                    \
		.flags = VNET_NEEDS_CSUM, .gso = (type), .gso_size = (size), \
		.csum_start = (start), .csum_offset = (offset)               \
	}
#define ASKS_TCP4 ASKS(VNET_GSO_TCPV4, 100, 20, 16)
#define ASKS_TCP6 ASKS(VNET_GSO_TCPV6, 100, 40, 16)
#define ASKS_UDP4 ASKS(VNET_GSO_UDP_L4, 100, 20, 6)

static const struct refusal refusals[] = {
	{ "version 0", false, TCP, 0, 1, "\x05", 0, ASKS_TCP4 },
	{ "version 15", false, TCP, 0, 1, "\xf5", 0, ASKS_TCP4 },
	{ "IPv4 header of 16 bytes", false, TCP, 0, 1, "\x44", 0, ASKS_TCP4 },
	{ "IPv4 header behind the end", false, TCP, 0, 1, "\x4f", 41, ASKS_TCP4 },
	{ "IPv4 longer than what was read", false, TCP, 2, 2, "\xff\xff", 0, ASKS_TCP4 },
	{ "IPv4 shorter than its header", false, TCP, 2, 2, "\x00\x13", 0, ASKS_TCP4 },
	{ "one byte missing", false, TCP, 0, 0, "", 1039, ASKS_TCP4 },
	{ "one byte", false, TCP, 0, 0, "", 1, ASKS_TCP4 },
	{ "IPv4 cut", false, TCP, 0, 0, "", 19, ASKS_TCP4 },
	{ "IPv6 cut", true, TCP, 0, 0, "", 39, ASKS_TCP6 },
	{ "IPv6 longer than what was read", true, TCP, 4, 2, "\xff\xff", 0, ASKS_TCP6 },
	{ "no room for TCP", false, TCP, 2, 2, "\x00\x27", 0, ASKS_TCP4 },
	{ "no room for UDP", false, UDP, 2, 2, "\x00\x1b", 0, ASKS_UDP4 },
	{ "TCP header of 16 bytes", false, TCP, 32, 1, "\x40", 0, ASKS_TCP4 },
	{ "TCP header of 0 bytes", false, TCP, 32, 1, "\x00", 0, ASKS_TCP4 },
	{ "TCP header behind the end", false, TCP, 2, 2, "\x00\x3b", 0,
		ASKS_TCP4 }, /* with offset 15, see below */
	{ "first fragment", false, TCP, 6, 2, "\x20\x00", 0, ASKS_TCP4 },
	{ "later fragment", false, UDP, 6, 2, "\x00\x01", 0, ASKS_UDP4 },
	{ "SYN", false, TCP, 33, 1, "\x02", 0, ASKS_TCP4 },
	{ "RST", false, TCP, 33, 1, "\x14", 0, ASKS_TCP4 },
	{ "segments of 0 bytes", false, TCP, 0, 0, "", 0, ASKS(VNET_GSO_TCPV4, 0, 20, 16) },
	{ "TSO6 of IPv4", false, TCP, 0, 0, "", 0, ASKS(VNET_GSO_TCPV6, 100, 20, 16) },
	{ "TSO4 of IPv6", true, TCP, 0, 0, "", 0, ASKS(VNET_GSO_TCPV4, 100, 40, 16) },
	{ "TSO of UDP", false, UDP, 0, 0, "", 0, ASKS(VNET_GSO_TCPV4, 100, 20, 6) },
	{ "USO of TCP", false, TCP, 0, 0, "", 0, ASKS(VNET_GSO_UDP_L4, 100, 20, 16) },
	{ "TSO of ICMP", false, TCP, 9, 1, "\x01", 0, ASKS_TCP4 },
	{ "TSO of a v6 fragment", true, TCP, 6, 1, "\x2c", 0, ASKS_TCP6 },
	{ "checksum starts elsewhere", false, TCP, 0, 0, "", 0, ASKS(VNET_GSO_TCPV4, 100, 24, 16) },
	{ "checksum field elsewhere", false, TCP, 0, 0, "", 0, ASKS(VNET_GSO_TCPV4, 100, 20, 6) },
	{ "checksum of UDP elsewhere", false, UDP, 0, 0, "", 0, ASKS(VNET_GSO_UDP_L4, 99, 20, 16) },
	{ "extension header behind the end", true, TCP, 6, 1, "\x00", 0, ASKS_TCP6 },
};

static void test_refused(void **state)
{
	fill_noise();
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		const struct refusal *r = &refusals[i];
		struct packet_spec s = { .v6 = r->v6,
			.protocol = r->protocol,
			.flags = ACK,
			.sport = 0x00ff, /* as an extension header: 2 KB */
			.payload = noise,
			.payload_len = 1000 };
		size_t len = packet_build(&s, one);
		struct segment_plan plan;
		uint8_t *p;

		if (strstr(r->what, "TCP header behind"))
			one[32] = 0xf0;
		memcpy(one + r->at, r->with, r->len);
		p = heap_copy(one, r->keep ? r->keep : len);
		if (segment_plan(&r->head, p, r->keep ? r->keep : len, &plan) != -EBADMSG)
			fail_msg("%s was taken", r->what);
		free(p);
	}
}

/* 192 bytes of headers are taken, 200 are not. */
static void test_head_limit(void **state)
{
	static uint8_t extension[128] = { 0, 15 };
	struct packet_spec s = { .v6 = true,
		.protocol = TCP,
		.ip_extra = extension,
		.extra_type = DST_OPTIONS,
		.options = noise,
		.payload = noise,
		.payload_len = 3000 };

	for (size_t n = 12; n <= 13; n++) {
		struct segment_plan plan;
		struct vnet_head head;
		size_t len;

		s.ip_extra_len = n * 8;
		extension[1] = (uint8_t) (n - 1);
		s.options_len = 36;
		head = announce(&s, 1000);
		len = packet_build(&s, super_room);
		assert_int_equal(
			segment_plan(&head, super_room, len, &plan), n == 12 ? 0 : -EBADMSG);
		if (n == 12)
			assert_int_equal(plan.head_len, SEGMENT_HEAD_MAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tcp_v4_bytes),
		cmocka_unit_test(test_udp_v6_bytes),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_single_bytes),
		cmocka_unit_test(test_udp_zero_sum),
		cmocka_unit_test(test_routing_header),
		cmocka_unit_test(test_complete),
		cmocka_unit_test(test_complete_places),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_head_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
