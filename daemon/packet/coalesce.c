/*
 * The rules are those of the kernel's GRO (same headers, contiguous sequence, equal sizes but the
 * last; PSH, FIN, a shorter segment or a full super-packet end a run), narrowed to packets without
 * IP options, extension headers or fragments. What is no candidate is passed on at once, after what
 * is pending of its flow; where the flow cannot be told, after all that is pending between its two
 * addresses.
 *
 * Reads and writes nothing outside the packets it was given, whatever they contain.
 */
#include "packet/coalesce.h"

#include <netinet/in.h>
#include <string.h>

#include "packet/bytes.h"
#include "packet/checksum.h"
#include "packet/inet.h"

/* A packet as far as it is understood. */
struct packet {
	uint8_t *data;
	size_t len;
	bool v6, has_addresses, has_ports; /* has_ports: key is the flow's */
	bool candidate;                    /* may be joined, if its checksums are right */
	bool last;                         /* ends a run */
	uint8_t protocol;
	size_t transport, head_len; /* head_len: IP and transport */
	uint64_t key[5], pseudo;
	uint32_t hash;
};

/* Of the word at INET_TCP_OFFSET: all but PSH and FIN, as the packet has them in memory. */
static const uint8_t TCP_WORD_MASK[4] = { 0xff, 0xff & ~(INET_TCP_PSH | INET_TCP_FIN), 0xff, 0xff };

static uint32_t hash_key(const uint64_t key[static 5])
{
	uint64_t h = key[4] * UINT64_C(0x9e3779b97f4a7c15);

	h = (h ^ (h >> 32) ^ key[0] ^ (key[1] << 1)) * UINT64_C(0xff51afd7ed558ccd);
	h = (h ^ (h >> 32) ^ key[2] ^ (key[3] << 1)) * UINT64_C(0xc4ceb9fe1a85ec53);
	return (uint32_t) (h >> 32);
}

static bool keys_match(const uint64_t a[static 5], const uint64_t b[static 5])
{
	return ((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]) | (a[4] ^ b[4])) == 0;
}

/*
 * True if a plain IPv4 header of TCP or UDP was read; addresses are taken if they are there at all.
 */
static bool read_v4(struct packet *p)
{
	const uint8_t *d = p->data;

	if (p->len < INET_V4_HEAD)
		return false;
	p->has_addresses = true;
	p->key[0] = raw64_read(d + INET_V4_ADDRESSES);
	p->transport = INET_V4_HEAD;
	p->protocol = d[INET_V4_PROTOCOL];
	return d[0] == 0x45 && be16_read(d + INET_V4_LEN) == p->len &&
	       (be16_read(d + INET_V4_FRAGMENT) & ~INET_V4_DF) == 0;
}

static bool read_v6(struct packet *p)
{
	const uint8_t *d = p->data;

	if (p->len < INET_V6_HEAD)
		return false;
	p->has_addresses = true;
	for (size_t i = 0; i < 4; i++)
		p->key[i] = raw64_read(d + INET_V6_ADDRESSES + i * 8);
	p->transport = INET_V6_HEAD;
	p->protocol = d[INET_V6_NEXT];
	return INET_V6_HEAD + (size_t) be16_read(d + INET_V6_LEN) == p->len;
}

static void read_tcp(struct packet *p)
{
	const uint8_t *t = p->data + p->transport;
	size_t left = p->len - p->transport, head;
	uint8_t flags;

	if (left < INET_TCP_HEAD)
		return;
	p->has_ports = true;
	head = (size_t) (t[INET_TCP_OFFSET] >> 4) * 4;
	flags = t[INET_TCP_FLAGS];
	p->head_len = p->transport + head;
	p->last = flags & (INET_TCP_PSH | INET_TCP_FIN);
	flags &= (uint8_t) ~(INET_TCP_PSH | INET_TCP_FIN | INET_TCP_ECE);
	p->candidate = flags == INET_TCP_ACK_FLAG && head >= INET_TCP_HEAD && head < left;
}

static void read_udp(struct packet *p)
{
	const uint8_t *t = p->data + p->transport;
	size_t left = p->len - p->transport;

	if (left < INET_UDP_HEAD)
		return;
	p->has_ports = true;
	p->head_len = p->transport + INET_UDP_HEAD;
	p->candidate = left > INET_UDP_HEAD && be16_read(t + INET_UDP_LEN) == left &&
		       raw16_read(t + INET_UDP_SUM) != 0;
}

static void read_packet(const struct coalesce *c, uint8_t *data, size_t len, struct packet *ret)
{
	bool plain = false;

	*ret = (struct packet){ .data = data, .len = len, .v6 = len > 0 && data[0] >> 4 == 6 };
	if (ret->v6)
		plain = read_v6(ret);
	else if (len > 0 && data[0] >> 4 == 4)
		plain = read_v4(ret);
	if (!plain)
		return;
	if (ret->protocol == IPPROTO_TCP)
		read_tcp(ret);
	else if (ret->protocol == IPPROTO_UDP)
		read_udp(ret);
	if (!ret->has_ports)
		return;
	if (!(ret->protocol == IPPROTO_TCP ? c->tcp : c->udp))
		ret->candidate = false;
	ret->key[4] = raw32_read(data + ret->transport) | (uint64_t) ret->protocol << 32 |
		      (uint64_t) ret->v6 << 40;
	ret->hash = hash_key(ret->key);
}

/* Both checksums; leaves the sum of the pseudo header for later. */
static bool is_intact(struct packet *p)
{
	size_t len = p->len - p->transport;

	if (p->v6) {
		p->pseudo = checksum_pseudo(
			p->data + INET_V6_ADDRESSES, INET_V6_ADDRESSES_LEN, p->protocol);
	} else {
		if (checksum_fold(checksum_add_words(0, p->data, INET_V4_HEAD / 4)) != UINT16_MAX)
			return false;
		p->pseudo = checksum_pseudo(
			p->data + INET_V4_ADDRESSES, INET_V4_ADDRESSES_LEN, p->protocol);
	}
	return checksum_fold(checksum_add(p->pseudo + htobe16((uint16_t) len),
		       p->data + p->transport, len)) == UINT16_MAX;
}

static void emit(struct coalesce *c, const struct vnet_head *head, struct iovec *iov, int n)
{
	uint8_t bytes[VNET_HEAD_LEN];

	vnet_format(head, bytes);
	iov[0] = (struct iovec){ bytes, sizeof(bytes) };
	c->write(c->ctx, head, iov, n);
}

/* By itself and as it came. */
static void emit_alone(struct coalesce *c, uint8_t *data, size_t len, uint8_t flags)
{
	const struct vnet_head head = { .flags = flags };
	struct iovec iov[2] = { [1] = { data, len } };

	emit(c, &head, iov, 2);
}

/* Makes the first packet's headers those of the super-packet. */
static void rebuild(struct coalesce_flow *f, struct vnet_head *ret)
{
	uint8_t *p = f->iov[1].iov_base, *t = p + f->transport;
	size_t total = f->head_len + f->payload_len, len = total - f->transport;
	bool tcp = f->protocol == IPPROTO_TCP;
	uint16_t sum = checksum_fold(f->pseudo + htobe16((uint16_t) len));

	if (f->transport == INET_V6_HEAD) {
		be16_write(p + INET_V6_LEN, (uint16_t) len);
	} else {
		be16_write(p + INET_V4_LEN, (uint16_t) total);
		raw16_write(p + INET_V4_SUM, 0);
		raw16_write(p + INET_V4_SUM,
			(uint16_t) ~checksum_fold(checksum_add_words(0, p, INET_V4_HEAD / 4)));
	}
	if (tcp)
		t[INET_TCP_FLAGS] |= f->tcp_flags;
	else
		be16_write(t + INET_UDP_LEN, (uint16_t) len);
	raw16_write(t + (tcp ? INET_TCP_SUM : INET_UDP_SUM), sum);
	*ret = (struct vnet_head){ .flags = VNET_NEEDS_CSUM,
		.gso = !tcp                           ? VNET_GSO_UDP_L4
		       : f->transport == INET_V6_HEAD ? VNET_GSO_TCPV6
						      : VNET_GSO_TCPV4,
		.hdr_len = (uint16_t) f->head_len,
		.gso_size = f->size,
		.csum_start = (uint16_t) f->transport,
		.csum_offset = tcp ? INET_TCP_SUM : INET_UDP_SUM };
}

/* Gives the first packet, which is not its run's last, its own headers back: undoes rebuild(). */
static void restore_first(const struct vnet_head *head, uint8_t *data, size_t len)
{
	size_t transport = head->csum_start, left = len - transport;
	bool tcp = head->gso != VNET_GSO_UDP_L4, v6 = data[0] >> 4 == 6;
	uint8_t *t = data + transport, *sum = t + head->csum_offset;
	uint64_t pseudo = v6 ? checksum_pseudo(data + INET_V6_ADDRESSES, INET_V6_ADDRESSES_LEN,
				       data[INET_V6_NEXT])
			     : checksum_pseudo(data + INET_V4_ADDRESSES, INET_V4_ADDRESSES_LEN,
				       data[INET_V4_PROTOCOL]);

	if (v6) {
		be16_write(data + INET_V6_LEN, (uint16_t) left);
	} else {
		be16_write(data + INET_V4_LEN, (uint16_t) len);
		raw16_write(data + INET_V4_SUM, 0);
		raw16_write(data + INET_V4_SUM,
			(uint16_t) ~checksum_fold(checksum_add_words(0, data, INET_V4_HEAD / 4)));
	}
	if (tcp)
		t[INET_TCP_FLAGS] &= (uint8_t) ~(INET_TCP_PSH | INET_TCP_FIN);
	else
		be16_write(t + INET_UDP_LEN, (uint16_t) left);
	raw16_write(sum, 0);
	raw16_write(sum, checksum_field(checksum_add(pseudo + htobe16((uint16_t) left), t, left)));
}

void coalesce_undo(const struct vnet_head *head, struct iovec *iov, int n)
{
	restore_first(head, iov[1].iov_base, iov[1].iov_len);
	/* The headers of the others lie untouched before their payload. */
	for (int i = 2; i < n; i++)
		iov[i] = (struct iovec){ (uint8_t *) iov[i].iov_base - head->hdr_len,
			iov[i].iov_len + head->hdr_len };
}

static void flush_flow(struct coalesce *c, struct coalesce_flow *f)
{
	struct vnet_head head = { .flags = VNET_DATA_VALID };
	int n = f->n;

	if (n == 0)
		return;
	if (n > 1)
		rebuild(f, &head);
	f->n = 0;
	emit(c, &head, f->iov, n + 1);
}

/* What is pending between the addresses of @p, in that direction. */
static void flush_addresses(struct coalesce *c, const struct packet *p)
{
	for (size_t i = 0; i < COALESCE_FLOWS; i++) {
		struct coalesce_flow *f = &c->flows[i];

		if (f->n > 0 && (f->transport == INET_V6_HEAD) == p->v6 &&
			memcmp(f->key, p->key, 4 * sizeof(f->key[0])) == 0)
			flush_flow(c, f);
	}
}

/* The flow of @p that has something pending, or NULL. */
static struct coalesce_flow *find_flow(struct coalesce *c, const struct packet *p)
{
	for (unsigned i = 0; i < COALESCE_FLOWS; i++) {
		unsigned at = (c->last + i) % COALESCE_FLOWS;
		struct coalesce_flow *f = &c->flows[at];

		if (c->hashes[at] == p->hash && f->n > 0 && keys_match(f->key, p->key)) {
			c->last = at;
			return f;
		}
	}
	return NULL;
}

static void start_flow(struct coalesce *c, const struct packet *p)
{
	unsigned at = 0;
	struct coalesce_flow *f;

	while (at < COALESCE_FLOWS && c->flows[at].n > 0)
		at++;
	if (at == COALESCE_FLOWS) {
		at = c->victim;
		c->victim = (at + 1) % COALESCE_FLOWS;
		flush_flow(c, &c->flows[at]);
	}
	f = &c->flows[at];
	c->last = at;
	c->hashes[at] = p->hash;
	memcpy(f->key, p->key, sizeof(f->key));
	f->pseudo = p->pseudo;
	f->transport = p->transport;
	f->head_len = p->head_len;
	f->payload_len = p->len - p->head_len;
	f->size = (uint16_t) f->payload_len;
	f->next_id = (uint16_t) (be16_read(p->data + INET_V4_ID) + 1);
	f->next_seq = be32_read(p->data + p->transport + INET_TCP_SEQ) + (uint32_t) f->payload_len;
	f->protocol = p->protocol;
	f->tcp_flags = 0;
	f->n = 1;
	f->iov[1] = (struct iovec){ p->data, p->len };
}

/* Everything that one IP header must say for all segments, except lengths and the sum. */
static bool ip_matches(const struct coalesce_flow *f, const struct packet *p)
{
	const uint8_t *a = f->iov[1].iov_base, *b = p->data;

	if (p->v6)
		return raw32_read(a) == raw32_read(b) && a[INET_V6_HOPS] == b[INET_V6_HOPS];
	if (a[INET_V4_TOS] != b[INET_V4_TOS] || a[INET_V4_TTL] != b[INET_V4_TTL] ||
		raw16_read(a + INET_V4_FRAGMENT) != raw16_read(b + INET_V4_FRAGMENT))
		return false;
	/* RFC 6864 section 4.1: the id of what may not be fragmented means nothing. */
	return raw16_read(b + INET_V4_FRAGMENT) != 0 || be16_read(b + INET_V4_ID) == f->next_id;
}

static bool tcp_matches(const struct coalesce_flow *f, const struct packet *p)
{
	const uint8_t *a = (const uint8_t *) f->iov[1].iov_base + f->transport;
	const uint8_t *b = p->data + p->transport;
	uint32_t word = raw32_read(a + INET_TCP_OFFSET) ^ raw32_read(b + INET_TCP_OFFSET);

	return be32_read(b + INET_TCP_SEQ) == f->next_seq &&
	       raw32_read(a + INET_TCP_ACK) == raw32_read(b + INET_TCP_ACK) &&
	       (word & raw32_read(TCP_WORD_MASK)) == 0 &&
	       raw16_read(a + INET_TCP_URGENT) == raw16_read(b + INET_TCP_URGENT) &&
	       memcmp(a + INET_TCP_HEAD, b + INET_TCP_HEAD,
		       p->head_len - p->transport - INET_TCP_HEAD) == 0;
}

/*
 * Whether @p continues the run of its flow. The options of both TCP headers are equally long if so.
 */
static bool continues(const struct coalesce_flow *f, const struct packet *p)
{
	size_t payload_len = p->len - p->head_len;

	return payload_len <= f->size && p->head_len == f->head_len &&
	       f->head_len + f->payload_len + payload_len <= COALESCE_BYTES && ip_matches(f, p) &&
	       (p->protocol != IPPROTO_TCP || tcp_matches(f, p));
}

static void join(struct coalesce *c, struct coalesce_flow *f, const struct packet *p)
{
	size_t payload_len = p->len - p->head_len;

	f->iov[++f->n] = (struct iovec){ p->data + p->head_len, payload_len };
	f->payload_len += payload_len;
	f->next_seq += (uint32_t) payload_len;
	f->next_id++;
	if (p->last && p->protocol == IPPROTO_TCP)
		f->tcp_flags = p->data[p->transport + INET_TCP_FLAGS];
	if (p->last || payload_len < f->size || f->n == COALESCE_SEGMENTS)
		flush_flow(c, f);
}

void coalesce_init(struct coalesce *c, bool tcp, bool udp, coalesce_write write, void *ctx)
{
	c->write = write;
	c->ctx = ctx;
	c->tcp = tcp;
	c->udp = udp;
	c->last = c->victim = 0;
	for (size_t i = 0; i < COALESCE_FLOWS; i++)
		c->flows[i].n = 0;
}

void coalesce_add(struct coalesce *c, uint8_t *packet, size_t len)
{
	struct coalesce_flow *f = NULL;
	struct packet p;
	bool intact = false;

	read_packet(c, packet, len, &p);
	if (p.has_ports)
		f = find_flow(c, &p);
	else if (p.has_addresses)
		flush_addresses(c, &p);
	/* What begins with a last segment stays alone: then the kernel may verify it. */
	if (p.candidate && (f || !p.last))
		intact = is_intact(&p);
	if (intact && f && continues(f, &p)) {
		join(c, f, &p);
		return;
	}
	if (f)
		flush_flow(c, f);
	if (intact && !p.last)
		start_flow(c, &p);
	else
		emit_alone(c, packet, len, intact ? VNET_DATA_VALID : 0);
}

void coalesce_flush(struct coalesce *c)
{
	for (size_t i = 0; i < COALESCE_FLOWS; i++)
		flush_flow(c, &c->flows[i]);
}
