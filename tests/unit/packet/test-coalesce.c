/*
 * coalesce: what joins and what does not, pair by pair; the super-packet's bytes; the limits; and long
 * random mixtures of flows with loss, duplicates, reordering and corruption, split again and compared.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "receiver.h"
#include "packet/segment.h"

static uint8_t noise[PACKET_ROOM], room[PACKET_ROOM + 200];

static const uint8_t timestamps[12] = { 1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2 };
static const uint8_t later[12] = { 1, 1, 8, 10, 0, 0, 0, 2, 0, 0, 0, 2 };
static const uint8_t v4_option[4] = { 1, 1, 1, 1 };
static const uint8_t extension[8] = { 0, 0, 1, 4 };

static struct packet_spec plain(bool v6, int protocol)
{
	return (struct packet_spec){ .v6 = v6,
		.df = true,
		.protocol = protocol,
		.tos = 2,
		.ttl = 64,
		.flags = ACK,
		.id = 0xffff,
		.sport = 1000,
		.dport = 2000,
		.window = 500,
		.label = 0xabcde,
		.seq = 0xfffffff0,
		.ack = 77,
		.options = timestamps,
		.options_len = 12,
		.payload = noise,
		.payload_len = 1000 };
}

static void put(struct receiver *r, const struct packet_spec *s)
{
	receiver_put(r, room, packet_build(s, room));
}

/* Goes on to the packet that follows @s. */
static void advance(struct packet_spec *s)
{
	s->seq += (uint32_t) s->payload_len;
	s->payload += s->payload_len;
	s->id++;
}

static void test_super_packet(void **state)
{
	for (int kind = 0; kind < 4; kind++) {
		struct receiver *r = receiver_new(true, true);
		struct packet_spec s = plain(kind & 1, kind & 2 ? TCP : UDP);
		uint8_t whole[PACKET_ROOM];
		size_t len;

		s.df = kind & 2;
		for (int i = 0; i < 5; i++) {
			if (i == 4) {
				s.payload_len = 10;
				s.flags = ACK | PSH;
			}
			put(r, &s);
			advance(&s);
		}
		assert_int_equal(r->writes, 1); /* the short one ended it */
		assert_int_equal(r->segments_last, 5);
		assert_int_equal(r->last.gso_size, 1000);
		s = plain(kind & 1, kind & 2 ? TCP : UDP);
		s.df = kind & 2;
		s.flags = ACK | PSH;
		s.payload_len = 4010;
		len = packet_build(&s, whole);
		packet_unsum(whole, len, packet_transport(&s), s.protocol);
		assert_int_equal(r->flat_len, len);
		assert_memory_equal(r->flat, whole, len);
		receiver_free(r);
	}
}

struct pair {
	const char *what;
	unsigned joined; /* segments of the first write */
	void (*change)(struct packet_spec *second);
	size_t flip; /* offset of a bit to turn over in the second; 0: none */
};

#define CHANGE(name, code)                      \
	static void name(struct packet_spec *s) \
	{                                       \
		code;                           \
	}

CHANGE(nothing, (void) s)
CHANGE(shorter, s->payload_len = 999)
CHANGE(single_byte, s->payload_len = 1)
CHANGE(longer, s->payload_len = 1001)
CHANGE(no_payload, s->payload_len = 0)
CHANGE(other_tos, s->tos = 0)
CHANGE(congestion, s->tos = 3)
CHANGE(other_ttl, s->ttl = 63)
CHANGE(no_df, s->df = false)
CHANGE(any_id, s->id = 5)
CHANGE(v4_options, (s->ip_extra = v4_option, s->ip_extra_len = 4))
CHANGE(v6_extension, (s->ip_extra = extension, s->ip_extra_len = 8, s->extra_type = DST_OPTIONS))
CHANGE(other_label, s->label ^= 1)
CHANGE(other_port, s->sport++)
CHANGE(other_host, s->host++)
CHANGE(other_ack, s->ack++)
CHANGE(other_window, s->window++)
CHANGE(other_options, s->options = later)
CHANGE(fewer_options, s->options_len = 0)
CHANGE(gap, s->seq++)
CHANGE(overlap, s->seq--)
CHANGE(again, s->seq -= 1000)
CHANGE(push, s->flags |= PSH)
CHANGE(fin, s->flags |= FIN)
CHANGE(syn, s->flags |= SYN)
CHANGE(rst, s->flags |= RST)
CHANGE(urgent, s->flags |= URG)
CHANGE(cwr, s->flags |= CWR)
CHANGE(ece, s->flags |= ECE)
CHANGE(no_ack, s->flags = PSH)
CHANGE(accurate_ecn, s->reserved = 1)
CHANGE(urgent_pointer, s->urgent = 1)

static const struct pair tcp_pairs[] = {
	{ "the next", 2, nothing, 0 },
	{ "a shorter one", 2, shorter, 0 },
	{ "one byte", 2, single_byte, 0 },
	{ "a longer one", 1, longer, 0 },
	{ "a pure ACK", 1, no_payload, 0 },
	{ "another TOS", 1, other_tos, 0 },
	{ "a CE mark", 1, congestion, 0 },
	{ "another TTL", 1, other_ttl, 0 },
	{ "another port", 1, other_port, 0 },
	{ "another host", 1, other_host, 0 },
	{ "another ack", 1, other_ack, 0 },
	{ "another window", 1, other_window, 0 },
	{ "another timestamp", 1, other_options, 0 },
	{ "no options", 1, fewer_options, 0 },
	{ "a gap", 1, gap, 0 },
	{ "an overlap", 1, overlap, 0 },
	{ "a duplicate", 1, again, 0 },
	{ "PSH", 2, push, 0 },
	{ "FIN", 2, fin, 0 },
	{ "SYN", 1, syn, 0 },
	{ "RST", 1, rst, 0 },
	{ "URG", 1, urgent, 0 },
	{ "CWR", 1, cwr, 0 },
	{ "ECE", 1, ece, 0 },
	{ "no ACK flag", 1, no_ack, 0 },
	{ "another accurate ECN count", 1, accurate_ecn, 0 },
	{ "an urgent pointer", 1, urgent_pointer, 0 },
	{ "a wrong checksum: payload", 1, nothing, 500 },
	{ "a wrong checksum: itself", 1, nothing, 57 },
};

static const struct pair udp_pairs[] = {
	{ "the next", 2, nothing, 0 },
	{ "a shorter one", 2, shorter, 0 },
	{ "a longer one", 1, longer, 0 },
	{ "an empty one", 1, no_payload, 0 },
	{ "another TOS", 1, other_tos, 0 },
	{ "a CE mark", 1, congestion, 0 },
	{ "another TTL", 1, other_ttl, 0 },
	{ "another port", 1, other_port, 0 },
	{ "a wrong checksum", 1, nothing, 500 },
};

static const struct pair v4_pairs[] = {
	{ "any id, DF", 2, any_id, 0 },
	{ "no DF in the second", 1, no_df, 0 },
	{ "IP options", 1, v4_options, 0 },
	{ "a wrong IP checksum", 1, nothing, 10 },
	{ "an id on the way changed", 1, nothing, 5 },
	{ "a reserved bit", 1, nothing, 6 },
};

static const struct pair v6_pairs[] = {
	{ "another flow label", 1, other_label, 0 },
	{ "an extension header", 1, v6_extension, 0 },
};

static void check_pair(const struct pair *pair, bool v6, int protocol)
{
	struct receiver *r = receiver_new(true, true);
	struct packet_spec s = plain(v6, protocol);
	unsigned joined;
	size_t len;

	put(r, &s);
	advance(&s);
	pair->change(&s);
	len = packet_build(&s, room);
	if (pair->flip)
		room[pair->flip] ^= 0x80;
	receiver_put(r, room, len);
	joined = r->writes == 1 ? (unsigned) r->segments_last : 0;
	if (r->writes == 0) { /* still open, or in two flows */
		coalesce_flush(&r->c);
		joined = r->writes == 1 ? (unsigned) r->segments_last : 0;
	}
	if ((joined == 2) != (pair->joined == 2))
		fail_msg("IPv%d %s: %s", v6 ? 6 : 4, protocol == TCP ? "TCP" : "UDP", pair->what);
	if (pair->flip) {
		coalesce_flush(&r->c);
		assert_int_equal(r->last.flags, 0); /* the wrong one came last, unflagged */
	}
	receiver_free(r);
}

#define CHECK_PAIRS(table, v6, protocol)                                \
	for (size_t i = 0; i < sizeof(table) / sizeof((table)[0]); i++) \
	check_pair(&(table)[i], v6, protocol)

static void test_pairs(void **state)
{
	CHECK_PAIRS(tcp_pairs, false, TCP);
	CHECK_PAIRS(tcp_pairs, true, TCP);
	CHECK_PAIRS(udp_pairs, false, UDP);
	CHECK_PAIRS(udp_pairs, true, UDP);
	CHECK_PAIRS(v4_pairs, false, TCP);
	CHECK_PAIRS(v4_pairs, false, UDP);
	CHECK_PAIRS(v6_pairs, true, TCP);
	CHECK_PAIRS(v6_pairs, true, UDP);
}

/* Packets that may be fragmented need their ids: only those that count on are joined. */
static void test_ids_without_df(void **state)
{
	struct receiver *r = receiver_new(true, true);
	struct packet_spec s = plain(false, TCP);

	s.df = false;
	s.id = 0xfffe;
	for (int i = 0; i < 4; i++) {
		put(r, &s);
		advance(&s);
	}
	s.id++;
	put(r, &s);
	assert_int_equal(r->writes, 1);
	assert_int_equal(r->segments_last, 4);
	advance(&s);
	s.id--;
	put(r, &s);
	assert_int_equal(r->writes, 2);
	assert_int_equal(r->segments_last, 1);
	receiver_free(r);
}

static void test_single(void **state)
{
	struct receiver *r = receiver_new(true, true);
	struct packet_spec s = plain(false, TCP);

	put(r, &s);
	assert_int_equal(r->writes, 0);
	receiver_flush(r);
	assert_int_equal(r->writes, 1);
	assert_int_equal(r->last.flags, VNET_DATA_VALID);
	s.payload_len = 0; /* a pure ACK does not wait */
	put(r, &s);
	assert_int_equal(r->writes, 2);
	assert_int_equal(r->last.flags, 0);
	s.payload_len = 5;
	s.flags |= PSH; /* a question or answer neither */
	put(r, &s);
	assert_int_equal(r->writes, 3);
	receiver_free(r);
}

/* UDP over IPv4 without a checksum: after what is pending, untouched and unflagged. */
static void test_udp_without_sum(void **state)
{
	struct receiver *r = receiver_new(true, true);
	struct packet_spec s = plain(false, UDP);
	size_t len;

	put(r, &s);
	len = packet_build(&s, room);
	put16(room + 26, 0);
	receiver_put(r, room, len);
	assert_int_equal(r->writes, 2);
	assert_int_equal(r->last.flags, 0);
	receiver_free(r);
}

/* Two in a row with the same fault, their checksums right: neither is joined nor vouched for. */
static void test_twice_odd(void **state)
{
	static const struct {
		size_t at;
		unsigned value;
	} faults[] = {
		{ 6, 0x2000 },           /* first fragments */
		{ 6, 0x8000 },           /* a bit that must be 0 */
		{ 24, 107 },             /* UDP shorter than IP */
		{ 24, 109 }, { 2, 127 }, /* padding was left */
	};

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		struct receiver *r = receiver_new(true, true);
		struct packet_spec s = plain(false, UDP);

		s.payload_len = 100;
		for (unsigned k = 0; k < 2; k++) {
			size_t len = packet_build(&s, room);

			put16(room + faults[i].at, faults[i].value);
			fix_v4_sum(room);
			fix_transport_sum(room, len, 20, UDP);
			receiver_put(r, room, len);
			assert_int_equal(r->writes, k + 1);
			assert_int_equal(r->last.flags, 0);
			advance(&s);
		}
		receiver_free(r);
	}
}

/* Nor does a datagram without checksum count as verified where the sum would have been just that. */
static void test_udp_sum_by_chance(void **state)
{
	struct receiver *r = receiver_new(true, true);
	struct packet_spec s = plain(false, UDP);
	uint8_t payload[4] = { 0 };
	size_t len = 0;

	s.payload = payload;
	s.payload_len = 4;
	for (unsigned word = 0; word < 65536 && (len == 0 || get16(room + 26) != 0xffff); word++) {
		put16(payload, word);
		len = packet_build(&s, room);
	}
	assert_int_equal(get16(room + 26), 0xffff);
	put16(room + 26, 0);
	for (unsigned k = 0; k < 2; k++) {
		receiver_put(r, room, len);
		assert_int_equal(r->writes, k + 1);
		assert_int_equal(r->last.flags, 0);
	}
	receiver_free(r);
}

static void test_switched_off(void **state)
{
	for (int kind = 0; kind < 2; kind++) {
		struct receiver *r = receiver_new(kind == 0, kind == 1);
		struct packet_spec tcp = plain(true, TCP), udp = plain(true, UDP);

		for (int i = 0; i < 3; i++) {
			put(r, &tcp);
			put(r, &udp);
			advance(&tcp);
			advance(&udp);
		}
		assert_int_equal(r->writes, 3);
		assert_int_equal(r->last.flags, 0);
		receiver_flush(r);
		assert_int_equal(r->writes, 4);
		assert_int_equal(r->segments_last, 3);
		receiver_free(r);
	}
}

/* Neither more than 64 segments nor a length that its field cannot hold. */
static void test_limits(void **state)
{
	static const struct {
		size_t payload_len, segments;
	} cases[] = { { 1, 64 }, { 100, 64 }, { 1022, 64 }, { 1023, 64 }, { 1240, 52 }, { 9000, 7 },
		{ 30000, 2 }, { 32741, 2 }, { 32742, 1 }, { 65483, 1 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct receiver *r = receiver_new(true, true);
		struct packet_spec s = plain(false, TCP);

		s.payload_len = cases[i].payload_len;
		for (size_t k = 0; k <= cases[i].segments; k++) {
			put(r, &s);
			s.seq += (uint32_t) s.payload_len;
		}
		if (r->segments_most != cases[i].segments)
			fail_msg("%zu bytes: %zu segments", s.payload_len, r->segments_most);
		receiver_free(r);
	}
}

/* Eight flows are joined side by side; the ninth writes out one, each time another. */
static void test_flows(void **state)
{
	struct receiver *r = receiver_new(true, true);
	struct packet_spec s[16];

	for (int i = 0; i < 8; i++) {
		s[i] = plain(i & 1, i & 2 ? TCP : UDP);
		s[i].host = (uint8_t) (i & 4);
		put(r, &s[i]);
	}
	for (int round = 0; round < 3; round++)
		for (int i = 7; i >= 0; i--) {
			advance(&s[i]);
			put(r, &s[i]);
		}
	assert_int_equal(r->writes, 0);
	for (int i = 8; i < 16; i++) {
		s[i] = plain(i & 1, TCP);
		s[i].sport = (uint16_t) i;
		put(r, &s[i]);
		assert_int_equal(r->writes, i - 7);
		assert_int_equal(r->segments_last, 4);
	}
	receiver_free(r);
}

/* A fragment, an ICMP message or a packet with options does not overtake what it may belong to. */
static void test_hidden_ports(void **state)
{
	for (int kind = 0; kind < 4; kind++) {
		struct receiver *r = receiver_new(true, true);
		struct packet_spec s = plain(kind == 3, UDP), other = s;
		size_t len;

		other.host = 9;
		put(r, &s);
		put(r, &other);
		if (kind == 2)
			v4_options(&s);
		if (kind == 3)
			v6_extension(&s);
		len = packet_build(&s, room);
		if (kind == 0)
			put16(room + 6, 0x2000);
		if (kind == 1)
			room[9] = 1;
		receiver_put(r, room, len);
		assert_int_equal(r->writes, 2); /* the other host's still waits */
		receiver_free(r);
	}
}

/* Whatever it is, it is passed on. */
static void test_garbage(void **state)
{
	struct receiver *r = receiver_new(true, true);
	struct packet_spec s = plain(false, TCP);
	uint64_t random = 12;
	size_t len = packet_build(&s, room);

	for (size_t cut = 0; cut <= 60; cut++) {
		receiver_put(r, room, cut); /* its header claims more */
		assert_int_equal(r->writes, cut + 1);
		assert_int_equal(r->last.flags, 0);
	}
	receiver_put(r, room, len + 1); /* padding was left */
	assert_int_equal(r->writes, 62);
	receiver_flush(r);
	for (int i = 0; i < 20000; i++) {
		size_t n = next_random(&random) % 120;

		for (size_t k = 0; k < n; k++)
			room[k] = (uint8_t) next_random(&random);
		if (n)
			room[0] = next_random(&random) % 2 ? 0x45 : 0x60;
		receiver_put(r, room, n);
		if (i % 100 == 0)
			receiver_flush(r);
	}
	receiver_free(r);
}

/* Any single bit that turns over anywhere in the middle packet of three shows up as a packet by itself. */
static void test_every_bit(void **state)
{
	for (int kind = 0; kind < 4; kind++) {
		struct packet_spec s = plain(kind & 1, kind & 2 ? TCP : UDP);
		size_t len;

		s.payload_len = 24;
		len = packet_head(&s) + 24;
		for (size_t bit = 0; bit < len * 8; bit++) {
			struct receiver *r = receiver_new(true, true);
			struct packet_spec next = s;

			put(r, &next);
			advance(&next);
			packet_build(&next, room);
			room[bit / 8] ^= (uint8_t) (1 << bit % 8);
			receiver_put(r, room, len);
			advance(&next);
			put(r, &next);
			receiver_flush(r); /* compares: see receiver.h */
			/* A datagram with another port is of another flow: then its neighbours join. */
			assert_in_range(r->segments_most, 1, kind & 2 ? 1 : 2);
			receiver_free(r);
		}
	}
}

/* What segment makes of a super-packet is the same super-packet again. */
static void test_split_and_join(void **state)
{
	uint64_t random = 31337;
	struct receiver *r = receiver_new(true, true);

	for (int i = 0; i < 600; i++) {
		struct packet_spec s =
			plain(next_random(&random) & 1, next_random(&random) & 1 ? TCP : UDP);
		size_t step = 1 + next_random(&random) % 1500, most = step * 60, len, payload_len;
		struct vnet_head head = { .flags = VNET_NEEDS_CSUM, .gso_size = (uint16_t) step };
		struct segment_plan plan;
		static uint8_t super[PACKET_ROOM + 200];
		const uint8_t *payload;

		s.df = next_random(&random) & 1;
		s.id = (uint16_t) next_random(&random);
		s.seq = next_random(&random);
		s.flags |= next_random(&random) & (PSH | FIN | ECE);
		s.payload_len =
			step + 1 + next_random(&random) % ((most > 60000 ? 60000 : most) - step);
		len = packet_build(&s, super);
		packet_unsum(super, len, packet_transport(&s), s.protocol);
		head.gso = s.protocol == UDP ? VNET_GSO_UDP_L4
			   : s.v6            ? VNET_GSO_TCPV6
					     : VNET_GSO_TCPV4;
		head.csum_start = (uint16_t) packet_transport(&s);
		head.csum_offset = s.protocol == UDP ? 6 : 16;
		assert_int_equal(segment_plan(&head, super, len, &plan), 0);
		for (size_t k = 0; k < plan.n; k++) {
			segment_head(&plan, k, room, &payload, &payload_len);
			memcpy(room + plan.head_len, payload, payload_len);
			assert_null(packet_fault(room, plan.head_len + payload_len));
			receiver_put(r, room, plan.head_len + payload_len);
		}
		r->writes = 0;
		coalesce_flush(&r->c);
		assert_true(r->writes <= 1);
		assert_int_equal(r->flat_len, len);
		assert_memory_equal(r->flat, super, len);
		assert_int_equal(r->last.gso_size, step);
		receiver_flush(r);
	}
	receiver_free(r);
}

/* Twelve flows through a bad line. */
static void test_bad_line(void **state)
{
	struct receiver *r = receiver_new(true, true);
	struct packet_spec flows[12];
	uint64_t random = 2026;
	size_t joined = 0;

	for (unsigned i = 0; i < 12; i++) {
		flows[i] = plain(i & 1, i & 2 ? TCP : UDP);
		flows[i].sport = (uint16_t) i;
		flows[i].df = i & 4;
	}
	for (int i = 0; i < 60000; i++) {
		struct packet_spec *s = &flows[next_random(&random) % (i % 1000 < 500 ? 3 : 12)];
		uint32_t chance = next_random(&random);
		struct packet_spec now = *s;
		size_t len;

		now.payload_len = chance % 16 == 0 ? next_random(&random) % 1300 : 1200;
		now.payload = noise + next_random(&random) % 1000;
		if (chance >> 8 & 1 && chance % 32 == 1)
			now.flags |= (uint8_t) (1 << (chance >> 9) % 8);
		if (chance % 64 == 3)
			now.seq -= 1200; /* again */
		else if (chance % 64 == 4)
			now.seq += 1200; /* too early */
		if (chance % 128 == 5)
			now.tos = 3;
		if (chance % 256 == 6)
			(now.v6 ? v6_extension : v4_options)(&now);
		len = packet_build(&now, room);
		if (chance % 64 == 7)
			room[next_random(&random) % len] ^= (uint8_t) (1 << (chance >> 9) % 8);
		receiver_put(r, room, len);
		joined += r->segments_last > 1;
		s->seq = now.seq + (uint32_t) now.payload_len;
		s->id++;
		if (r->n_sent == 256 || chance % 512 == 9)
			receiver_flush(r);
	}
	assert_true(joined > 10000);
	receiver_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_super_packet),
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_ids_without_df),
		cmocka_unit_test(test_single),
		cmocka_unit_test(test_udp_without_sum),
		cmocka_unit_test(test_udp_sum_by_chance),
		cmocka_unit_test(test_twice_odd),
		cmocka_unit_test(test_switched_off),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_flows),
		cmocka_unit_test(test_hidden_ports),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_every_bit),
		cmocka_unit_test(test_split_and_join),
		cmocka_unit_test(test_bad_line),
	};
	uint64_t random = 5;

	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (uint8_t) next_random(&random);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
