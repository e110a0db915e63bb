/*
 * hostile-packet: packets for hostile-super: flows of TCP and UDP, and everything that may be wrong
 * with one of their packets. Pure but for the dice.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { INNER_MAX = 1420, DATAGRAM_MAX = 16 + INNER_MAX + 64 + 16 };

/* What the other end may do with a packet. */
enum expect {
	EXACT, /* comes out once, unchanged */
	ALONE, /* its checksum is wrong: not at all, or once, unchanged, alone and not vouched for */
	SINGLE,   /* not at all, or once, unchanged and alone */
	UNMARKED, /* once, unchanged, alone and not vouched for: a fragment */
	NEVER
};

struct packet {
	uint8_t inner[INNER_MAX + 64]; /* with padding */
	size_t inner_len, ip_len;      /* sealed; shown by the device */
	uint8_t datagram[DATAGRAM_MAX];
	size_t datagram_len;
	enum expect expect;
	unsigned flow, seen;
	bool any_id; /* the IP id is without meaning (MUTATE_DF) */
	const char *what;
};

struct flow {
	int peer; /* 0, 1 */
	int family;
	uint8_t proto;
	uint16_t sport, dport, id;
	uint32_t seq, ack, stamp;
	uint16_t window;
	uint8_t tos, ttl, tcp_flags;
	bool df, stamps, fixed_id;
	size_t payload;
};

struct spec { /* one packet of a flow, before mutation takes hold */
	struct flow f;
	uint8_t flags;
	size_t payload;
	uint16_t urgent;
	uint32_t label;
	bool ip_options, extension;
	uint16_t fragment; /* of IPv4: flags and offset; of IPv6: in a header of its own */
};

/* What may be done to a packet. */
#define MUTATIONS(X)                                             \
	X(NONE, "clean")                                         \
	/* on the wire */                                        \
	X(FLIP, "bit flipped")                                   \
	X(FLIP_COUNTER, "counter flipped")                       \
	X(UNKNOWN_INDEX, "unknown index")                        \
	X(OTHER_TYPE, "another type")                            \
	X(RESERVED_BYTES, "reserved bytes")                      \
	X(GARBAGE, "garbage")                                    \
	X(SHORTENED, "shortened")                                \
	X(TINY, "a few bytes")                                   \
	X(TWICE, "twice")                                        \
	/* inside: the checksum */                               \
	X(BAD_SUM, "bad checksum")                               \
	X(CANCELLING, "bad checksums that cancel out")           \
	X(BAD_IP_SUM, "bad IP checksum")                         \
	X(UDP_NO_SUM, "UDP without checksum")                    \
	/* inside: lengths and shapes */                         \
	X(EMPTY, "keepalive")                                    \
	X(ONE_BYTE, "one byte inside")                           \
	X(BAD_VERSION, "bad version")                            \
	X(SHORT_HEADER, "header too short")                      \
	X(LONG_HEADER, "header too long")                        \
	X(TOTAL_TOO_LONG, "total length too long")               \
	X(TOTAL_TOO_SHORT, "total length too short")             \
	X(TRAILING, "bytes behind the packet")                   \
	X(BAD_OFFSET, "TCP offset too small")                    \
	X(LONG_OFFSET, "TCP offset too large")                   \
	X(UDP_LEN_SHORT, "UDP length too small")                 \
	X(UDP_LEN_LONG, "UDP length too large")                  \
	X(FIRST_FRAGMENT, "first fragment")                      \
	X(LATER_FRAGMENT, "later fragment")                      \
	X(EXTENSION, "extension header")                         \
	X(FOREIGN_SOURCE, "foreign source")                      \
	X(OTHER_PEERS_SOURCE, "the other peer's source")         \
	/* inside: headers that differ from their neighbours' */ \
	X(ACK, "another ack")                                    \
	X(WINDOW, "another window")                              \
	X(STAMP, "another timestamp")                            \
	X(NO_STAMPS, "without timestamps")                       \
	X(TOS, "another TOS")                                    \
	X(MARKED_CE, "marked CE")                                \
	X(TTL, "another TTL")                                    \
	X(PSH, "PSH")                                            \
	X(FIN, "FIN")                                            \
	X(URG, "URG")                                            \
	X(URGENT_POINTER, "urgent pointer")                      \
	X(SYN, "SYN")                                            \
	X(RST, "RST")                                            \
	X(CWR, "CWR")                                            \
	X(ECE, "ECE")                                            \
	X(DF, "another DF")                                      \
	X(IP_OPTIONS, "IP options")                              \
	X(FLOW_LABEL, "flow label")                              \
	X(GAP, "gap")                                            \
	X(OVERLAP, "overlap")                                    \
	X(AGAIN_SEQ, "sent again")                               \
	X(SMALL, "smaller")                                      \
	X(BIG, "larger")                                         \
	X(PURE_ACK, "pure ACK")                                  \
	X(ID_JUMP, "IP id jumps")                                \
	X(ID_SAME, "IP id stays")                                \
	X(RESERVED_FLAG, "reserved TCP flag")

enum mutation {
#define MUTATION(name, text) MUTATE_##name,
	MUTATIONS(MUTATION)
#undef MUTATION
		MUTATION_COUNT
};

const char *hostile_name(enum mutation m);

extern uint64_t hostile_dice_state; /* the seed */
/* 0 .. n - 1. */
uint64_t hostile_dice(uint64_t n);

/* One's complement sums, not folded and folded; of the pseudo header of the packet at @ip. */
uint32_t hostile_sum(uint32_t sum, const uint8_t *data, size_t len);
uint16_t hostile_sum_fold(uint32_t sum);
uint32_t hostile_pseudo_sum(const uint8_t *ip, uint8_t proto, size_t len);
/* Writes total length and checksum of IPv4; length (of UDP) and checksum of what lies at @at. */
void hostile_finish_ip4(uint8_t *ip, size_t total);
void hostile_finish_l4(uint8_t *ip, size_t at, uint8_t proto, size_t len);

/* Flow number @i of 10.20.(1 + peer).2 or fd20:(1 + peer)::2 to 10.20.0.1 or fd20::1. */
void hostile_flow_init(
	struct flow *f, unsigned i, int peer, int family, uint8_t proto, size_t payload);
/* Does @m say something about packets of @f? */
bool hostile_applies(const struct flow *f, enum mutation m);
/* What changes before the packet is built, in it, and once it is sealed. */
void hostile_mutate_spec(struct spec *s, enum mutation m);
/* Builds the packet of @s; returns where its TCP or UDP header is: @at of the next. */
size_t hostile_build(struct packet *p, const struct spec *s);
void hostile_mutate_inner(struct packet *p, size_t at, enum mutation m);
void hostile_mutate_wire(struct packet *p, enum mutation m);

static inline void put16(uint8_t *at, unsigned v)
{
	at[0] = (uint8_t) (v >> 8);
	at[1] = (uint8_t) v;
}

static inline unsigned get16(const uint8_t *at)
{
	return (unsigned) at[0] << 8 | at[1];
}

static inline void put32(uint8_t *at, uint32_t v)
{
	put16(at, v >> 16);
	put16(at + 2, v & 0xffff);
}

static inline uint32_t get32(const uint8_t *at)
{
	return get16(at) << 16 | get16(at + 2);
}
