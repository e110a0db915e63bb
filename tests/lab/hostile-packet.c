/*
 * The packets of hostile-super: how an honest one is built, and what is done to it. Whoever builds one
 * says with it what the other end may make of it.
 */
#include "hostile-packet.h"

#include <netinet/in.h>
#include <string.h>

#include <sodium.h>

#include "packet/inet.h"

uint64_t hostile_dice_state = 1;
static uint64_t unique; /* so that no two packets are the same */

static const char *const names[] = {
#define NAME(name, text) text,
	MUTATIONS(NAME)
#undef NAME
};

const char *hostile_name(enum mutation m)
{
	return names[m];
}

uint64_t hostile_dice(uint64_t n)
{
	uint64_t x = hostile_dice_state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (x ^ (x >> 31)) % n;
}

/* --- checksums and headers ------------------------------------------------------------------ */

uint32_t hostile_sum(uint32_t sum, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t) data[i] << 8 | data[i + 1];
	if (len & 1)
		sum += (uint32_t) data[len - 1] << 8;
	return sum;
}

uint16_t hostile_sum_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) sum;
}

uint32_t hostile_pseudo_sum(const uint8_t *ip, uint8_t proto, size_t len)
{
	uint32_t sum = ip[0] >> 4 == 4 ? hostile_sum(0, ip + 12, 8) : hostile_sum(0, ip + 8, 32);

	return sum + proto + (uint32_t) (len >> 16) + (uint32_t) (len & 0xffff);
}

void hostile_finish_ip4(uint8_t *ip, size_t total)
{
	put16(ip + 2, (unsigned) total);
	put16(ip + 10, 0);
	put16(ip + 10, (uint16_t) ~hostile_sum_fold(hostile_sum(0, ip, (size_t) (ip[0] & 15) * 4)));
}

void hostile_finish_l4(uint8_t *ip, size_t at, uint8_t proto, size_t len)
{
	uint8_t *field = ip + at + (proto == IPPROTO_TCP ? 16 : 6);
	uint16_t sum;

	if (proto == IPPROTO_UDP)
		put16(ip + at + 4, (unsigned) len);
	put16(field, 0);
	sum = (uint16_t) ~hostile_sum_fold(
		hostile_sum(hostile_pseudo_sum(ip, proto, len), ip + at, len));
	if (proto == IPPROTO_UDP && sum == 0)
		sum = 0xffff;
	put16(field, sum);
}

static size_t put_ip(uint8_t *ip, const struct spec *s, size_t l4_len)
{
	const struct flow *f = &s->f;
	size_t at;

	if (f->family == 4) {
		size_t head = s->ip_options ? 24 : 20;

		ip[0] = (uint8_t) (0x40 | head / 4);
		ip[1] = f->tos;
		put16(ip + 4, f->id);
		put16(ip + 6, s->fragment ? s->fragment : f->df ? 0x4000 : 0);
		ip[8] = f->ttl;
		ip[9] = f->proto;
		memcpy(ip + 12, (uint8_t[]){ 10, 20, (uint8_t) (1 + f->peer), 2, 10, 20, 0, 1 }, 8);
		if (s->ip_options)
			memcpy(ip + 20, "\x01\x01\x01\x00", 4);
		hostile_finish_ip4(ip, head + l4_len);
		return head;
	}
	memset(ip, 0, 40);
	put32(ip, UINT32_C(6) << 28 | (uint32_t) f->tos << 20 | s->label);
	ip[6] = f->proto;
	ip[7] = f->ttl;
	memcpy(ip + 8, (uint8_t[]){ 0xfd, 0x20, 0, (uint8_t) (1 + f->peer) }, 4);
	ip[23] = 2;
	memcpy(ip + 24, (uint8_t[]){ 0xfd, 0x20 }, 2);
	ip[39] = 1;
	at = 40;
	if (s->extension || s->fragment) {
		ip[6] = s->fragment ? 44 : 60;
		memset(ip + 40, 0, 8);
		ip[40] = f->proto;
		if (s->fragment) {
			put16(ip + 42, (s->fragment & 0x1fffU) << 3 | (s->fragment >> 13 & 1));
			put32(ip + 44, f->id);
		} else {
			ip[42] = 1; /* PadN */
			ip[43] = 4;
		}
		at += 8;
	}
	put16(ip + 4, (unsigned) (at - 40 + l4_len));
	return at;
}

static size_t put_l4_head(uint8_t *l4, const struct spec *s)
{
	const struct flow *f = &s->f;

	put16(l4, f->sport);
	put16(l4 + 2, f->dport);
	if (f->proto == IPPROTO_UDP) {
		put16(l4 + 4, (unsigned) (8 + s->payload));
		put16(l4 + 6, 0);
		return 8;
	}
	put32(l4 + 4, f->seq);
	put32(l4 + 8, f->ack);
	l4[12] = f->stamps ? 8 << 4 : 5 << 4;
	l4[13] = s->flags;
	put16(l4 + 14, f->window);
	put16(l4 + 16, 0);
	put16(l4 + 18, s->urgent);
	if (!f->stamps)
		return 20;
	memcpy(l4 + 20, "\x01\x01\x08\x0a", 4);
	put32(l4 + 24, f->stamp);
	put32(l4 + 28, 77);
	return 32;
}

/* Builds the packet of @s; returns where its TCP or UDP header is. */
size_t hostile_build(struct packet *p, const struct spec *s)
{
	uint8_t l4[64];
	size_t head = put_l4_head(l4, s), len = head + s->payload;
	size_t at = put_ip(p->inner, s, len);
	uint8_t *payload = p->inner + at + head;

	memcpy(p->inner + at, l4, head);
	unique++;
	for (size_t i = 0; i < s->payload; i++)
		payload[i] = i < 8 ? (uint8_t) (unique >> 8 * i)
				   : (uint8_t) ((unique * 2654435761U + i * 40503U) >> 7);
	if (s->fragment & 0x1fff)
		; /* a later fragment: the middle of a datagram */
	else
		hostile_finish_l4(p->inner, at, s->f.proto, len);
	p->ip_len = at + len;
	p->inner_len = (p->ip_len + 15) & ~(size_t) 15;
	memset(p->inner + p->ip_len, 0, p->inner_len - p->ip_len);
	p->any_id = s->f.family == 4 && (p->inner[6] & 0x40);
	return at;
}

void hostile_flow_init(
	struct flow *f, unsigned i, int peer, int family, uint8_t proto, size_t payload)
{
	*f = (struct flow){ .peer = peer,
		.family = family,
		.proto = proto,
		.sport = (uint16_t) (1000 + i),
		.dport = 2000,
		.id = (uint16_t) hostile_dice(65536),
		.seq = (uint32_t) hostile_dice(UINT32_MAX),
		.ack = (uint32_t) hostile_dice(UINT32_MAX),
		.stamp = (uint32_t) hostile_dice(UINT32_MAX),
		.window = 500,
		.ttl = 64,
		.df = hostile_dice(3) > 0,
		.stamps = hostile_dice(2) == 0,
		.payload = payload };
}

/* What changes before the packet is built. */
void hostile_mutate_spec(struct spec *s, enum mutation m)
{
	static const uint8_t flag_of[] = { [MUTATE_FIN] = INET_TCP_FIN,
		[MUTATE_SYN] = INET_TCP_SYN,
		[MUTATE_RST] = INET_TCP_RST,
		[MUTATE_PSH] = INET_TCP_PSH,
		[MUTATE_URG] = INET_TCP_URG,
		[MUTATE_ECE] = INET_TCP_ECE,
		[MUTATE_CWR] = INET_TCP_CWR };
	struct flow *f = &s->f;

	if ((size_t) m < sizeof(flag_of))
		s->flags |= flag_of[m];
	switch (m) {
	case MUTATE_ACK:
		f->ack += 1000;
		break;
	case MUTATE_WINDOW:
		f->window++;
		break;
	case MUTATE_STAMP:
		f->stamp++;
		break;
	case MUTATE_NO_STAMPS:
		f->stamps = !f->stamps;
		break;
	case MUTATE_TOS:
		f->tos ^= 0x10;
		break;
	case MUTATE_MARKED_CE:
		f->tos |= 3;
		break;
	case MUTATE_TTL:
		f->ttl--;
		break;
	case MUTATE_URG:
		s->urgent = 5;
		break;
	case MUTATE_URGENT_POINTER:
		s->urgent = 9;
		break;
	case MUTATE_DF:
		f->df = !f->df;
		break;
	case MUTATE_IP_OPTIONS:
		s->ip_options = true;
		break;
	case MUTATE_FLOW_LABEL:
		s->label = 0x12345;
		break;
	case MUTATE_GAP:
		f->seq += 5000;
		break;
	case MUTATE_OVERLAP:
		f->seq -= (uint32_t) (s->payload / 2 + 1);
		break;
	case MUTATE_AGAIN_SEQ:
		f->seq -= (uint32_t) s->payload;
		break;
	case MUTATE_SMALL:
		s->payload = 9 + hostile_dice(s->payload > 20 ? s->payload - 20 : 1);
		break;
	case MUTATE_BIG:
		s->payload += 1 + hostile_dice(120);
		break;
	case MUTATE_PURE_ACK:
		s->payload = 0;
		f->ack += (uint32_t) (1 + unique);
		break;
	case MUTATE_ID_JUMP:
		f->id = (uint16_t) (f->id + 100);
		break;
	case MUTATE_ID_SAME:
		f->id--;
		break;
	case MUTATE_FIRST_FRAGMENT:
		s->fragment = 0x2000;
		s->payload &= ~(size_t) 7;
		break;
	case MUTATE_LATER_FRAGMENT:
		s->fragment = (uint16_t) (0x2000 | (1 + hostile_dice(100)));
		break;
	case MUTATE_EXTENSION:
		s->extension = true;
		break;
	default:
		break;
	}
}

/* What changes after it. @at: of TCP or UDP. */
void hostile_mutate_inner(struct packet *p, size_t at, enum mutation m)
{
	uint8_t *ip = p->inner;
	bool four = ip[0] >> 4 == 4;
	size_t total = four ? 2 : 4, own = four ? 0 : 40;

	switch (m) {
	case MUTATE_BAD_SUM:
		ip[p->ip_len - 1] ^= (uint8_t) (1 + hostile_dice(255));
		p->expect = ALONE;
		break;
	case MUTATE_BAD_IP_SUM:
		if (four) {
			ip[10] ^= 0x40;
			p->expect = SINGLE;
		}
		break;
	case MUTATE_UDP_NO_SUM:
		if (ip[at - (four ? 11 : 34)] == IPPROTO_UDP) {
			put16(ip + at + 6, 0);
			if (!four)
				p->expect = ALONE; /* RFC 8200: there must be one */
		}
		break;
	case MUTATE_EMPTY:
		p->inner_len = 0;
		p->expect = NEVER;
		break;
	case MUTATE_ONE_BYTE:
		p->inner_len = 1;
		p->expect = NEVER;
		break;
	case MUTATE_BAD_VERSION:
		ip[0] = (uint8_t) ((ip[0] & 15) | (hostile_dice(2) ? 0x50 : 0x00));
		p->expect = NEVER;
		break;
	case MUTATE_SHORT_HEADER:
		if (four) {
			ip[0] = (uint8_t) (0x40 | hostile_dice(5));
			p->expect = NEVER;
		}
		break;
	case MUTATE_LONG_HEADER:
		if (four) {
			p->inner_len = p->ip_len = 40;
			put16(ip + 2, 40);
			ip[0] = 0x4f;
			p->expect = NEVER;
		}
		break;
	case MUTATE_TOTAL_TOO_LONG:
		put16(ip + total, (unsigned) (p->inner_len - own + 1 + hostile_dice(2000)));
		p->expect = NEVER;
		break;
	case MUTATE_TOTAL_TOO_SHORT:
		if (four) {
			put16(ip + 2, (unsigned) hostile_dice(20));
			p->expect = NEVER;
		}
		break;
	case MUTATE_TRAILING:
		p->inner_len += 32;
		memset(ip + p->ip_len, 0xee, p->inner_len - p->ip_len);
		break;
	case MUTATE_BAD_OFFSET:
		ip[at + 12] = (uint8_t) (hostile_dice(5) << 4);
		p->expect = ALONE;
		break;
	case MUTATE_LONG_OFFSET:
		ip[at + 12] = 0xf0;
		p->expect = ALONE;
		break;
	case MUTATE_UDP_LEN_SHORT:
		put16(ip + at + 4, (unsigned) (8 + hostile_dice(p->ip_len - at - 8)));
		p->expect = ALONE;
		break;
	case MUTATE_UDP_LEN_LONG:
		put16(ip + at + 4, (unsigned) (p->ip_len - at + 1 + hostile_dice(100)));
		p->expect = ALONE;
		break;
	case MUTATE_RESERVED_FLAG:
		ip[at + 12] |= 0x04;
		hostile_finish_l4(ip, at, IPPROTO_TCP, p->ip_len - at);
		break;
	case MUTATE_FOREIGN_SOURCE:
		ip[four ? 15 : 23] ^= 0x7f;
		p->expect = NEVER;
		break;
	case MUTATE_OTHER_PEERS_SOURCE:
		ip[four ? 14 : 11] ^= 3; /* 1 <-> 2 */
		p->expect = NEVER;
		break;
	case MUTATE_FIRST_FRAGMENT:
	case MUTATE_LATER_FRAGMENT:
		p->expect = UNMARKED;
		break;
	default:
		break;
	}
}

void hostile_mutate_wire(struct packet *p, enum mutation m)
{
	switch (m) {
	case MUTATE_FLIP:
		p->datagram[16 + hostile_dice(p->datagram_len - 16)] ^=
			(uint8_t) (1 << hostile_dice(8));
		break;
	case MUTATE_FLIP_COUNTER:
		p->datagram[8 + hostile_dice(2)] ^= (uint8_t) (1 << hostile_dice(8));
		break;
	case MUTATE_UNKNOWN_INDEX:
		p->datagram[4 + hostile_dice(4)] ^= 0x5a;
		break;
	case MUTATE_OTHER_TYPE:
		p->datagram[0] = (uint8_t[]){ 0, 1, 2, 3, 5, 255 }[hostile_dice(6)];
		break;
	case MUTATE_RESERVED_BYTES:
		p->datagram[1 + hostile_dice(3)] = 1;
		break;
	case MUTATE_GARBAGE:
		randombytes_buf(p->datagram, p->datagram_len);
		break;
	case MUTATE_SHORTENED:
		p->datagram_len -= 1 + hostile_dice(p->datagram_len - 33);
		break;
	case MUTATE_TINY:
		p->datagram_len = 1 + hostile_dice(31);
		break;
	default:
		return;
	}
	p->expect = NEVER;
}

/* Does @m say something about packets of @f? */
bool hostile_applies(const struct flow *f, enum mutation m)
{
	bool tcp = f->proto == IPPROTO_TCP;

	switch (m) {
	case MUTATE_BAD_IP_SUM:
	case MUTATE_SHORT_HEADER:
	case MUTATE_LONG_HEADER:
	case MUTATE_TOTAL_TOO_SHORT:
	case MUTATE_DF:
	case MUTATE_IP_OPTIONS:
	case MUTATE_ID_JUMP:
	case MUTATE_ID_SAME:
		return f->family == 4;
	case MUTATE_EXTENSION:
	case MUTATE_FLOW_LABEL:
		return f->family == 6;
	case MUTATE_UDP_NO_SUM:
	case MUTATE_UDP_LEN_SHORT:
	case MUTATE_UDP_LEN_LONG:
		return !tcp;
	case MUTATE_BAD_OFFSET:
	case MUTATE_LONG_OFFSET:
	case MUTATE_ACK:
	case MUTATE_WINDOW:
	case MUTATE_STAMP:
	case MUTATE_NO_STAMPS:
	case MUTATE_PSH:
	case MUTATE_FIN:
	case MUTATE_URG:
	case MUTATE_URGENT_POINTER:
	case MUTATE_SYN:
	case MUTATE_RST:
	case MUTATE_CWR:
	case MUTATE_ECE:
	case MUTATE_GAP:
	case MUTATE_OVERLAP:
	case MUTATE_AGAIN_SEQ:
	case MUTATE_PURE_ACK:
	case MUTATE_RESERVED_FLAG:
		return tcp;
	default:
		return true;
	}
}
