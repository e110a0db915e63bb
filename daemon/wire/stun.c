/*
 * stun: see stun.h. Messages are walked by one function, attribute by attribute, which never looks
 * beyond the bytes that have come; sections are those of RFC 8489.
 */
#include "wire/stun.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "packet/bytes.h"

/* The message type of section 5: class and method, as they lie in the first 16 bits. */
enum { BINDING_REQUEST = 0x0001, BINDING_SUCCESS = 0x0101, BINDING_ERROR = 0x0111 };

enum { AT_LEN = 2, AT_COOKIE = 4, AT_TX = 8 };
enum { COOKIE = 0x2112a442, COOKIE_LEN = 4 };
enum { ATTR_HEAD_LEN = 4, FINGERPRINT_LEN = ATTR_HEAD_LEN + 4 };
enum { FAMILY_IPV4 = 1, FAMILY_IPV6 = 2 };
enum { ERROR_UNKNOWN_ATTRIBUTE = 420 };

/* From OPTIONAL on they may be ignored by who does not know them (14). */
enum attr_type {
	ATTR_MAPPED_ADDRESS = 0x0001,
	ATTR_SOURCE_ADDRESS = 0x0004, /* of RFC 3489, as the next */
	ATTR_CHANGED_ADDRESS = 0x0005,
	ATTR_USERNAME = 0x0006,
	ATTR_MESSAGE_INTEGRITY = 0x0008,
	ATTR_ERROR_CODE = 0x0009,
	ATTR_UNKNOWN_ATTRIBUTES = 0x000a,
	ATTR_REALM = 0x0014,
	ATTR_NONCE = 0x0015,
	ATTR_MESSAGE_INTEGRITY_SHA256 = 0x001c,
	ATTR_PASSWORD_ALGORITHM = 0x001d,
	ATTR_USERHASH = 0x001e,
	ATTR_XOR_MAPPED_ADDRESS = 0x0020,
	ATTR_OPTIONAL = 0x8000,
	ATTR_XOR_MAPPED_ADDRESS_OLD = 0x8020,
	ATTR_FINGERPRINT = 0x8028,
};

/* The CRC-32 of ITU V.42, four bits at a time: messages are short, and so is the table. */
static uint32_t crc32(const uint8_t *data, size_t len)
{
	static const uint32_t table[16] = { 0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
		0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8,
		0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c };
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < len; i++) {
		crc ^= data[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}

/* Of what precedes the attribute (14.7); the number added is "STUN" in ASCII. */
static uint32_t fingerprint(const uint8_t *data, size_t len)
{
	return crc32(data, len) ^ 0x5354554e;
}

bool stun_looks(const uint8_t *data, size_t len)
{
	return len >= STUN_HEAD_LEN && !(data[0] & 0xc0) && be32_read(data + AT_COOKIE) == COOKIE &&
	       len % 4 == 0 && be16_read(data + AT_LEN) == len - STUN_HEAD_LEN;
}

struct walk {
	const uint8_t *data;
	size_t len, at;   /* @at: where the next attribute begins */
	bool sealed;      /* an integrity attribute has passed */
	bool fingerprint; /* has passed, right and last */
};

struct attr {
	uint16_t type, len;
	const uint8_t *value;
};

static int start(const uint8_t *data, size_t len, struct walk *ret)
{
	if (!stun_looks(data, len) || len > STUN_MAX_LEN)
		return -EBADMSG;
	*ret = (struct walk){ .data = data, .len = len, .at = STUN_HEAD_LEN };
	return 0;
}

static bool is_fingerprint(const struct walk *w, size_t at, const struct attr *a)
{
	return a->len == 4 && w->at == w->len && be32_read(a->value) == fingerprint(w->data, at);
}

/* What an integrity attribute does not cover is ignored, but for a stronger one (14.5, 14.6). */
static bool counts(struct walk *w, uint16_t type)
{
	if (type == ATTR_MESSAGE_INTEGRITY || type == ATTR_MESSAGE_INTEGRITY_SHA256)
		w->sealed = true;
	return !w->sealed;
}

/* The next attribute that counts: 1 and @ret, or 0 at the end, or -EBADMSG. */
static int next(struct walk *w, struct attr *ret)
{
	while (w->at < w->len) { /* then a head is left: both are multiples of 4 */
		size_t at = w->at, padded;

		ret->type = be16_read(w->data + at);
		ret->len = be16_read(w->data + at + 2);
		ret->value = w->data + at + ATTR_HEAD_LEN;
		padded = (ret->len + 3U) & ~3U;
		if (padded > w->len - at - ATTR_HEAD_LEN)
			return -EBADMSG;
		w->at += ATTR_HEAD_LEN + padded;
		if (ret->type == ATTR_FINGERPRINT) {
			if (!is_fingerprint(w, at, ret))
				return -EBADMSG;
			w->fingerprint = true;
		} else if (counts(w, ret->type)) {
			return 1;
		}
	}
	return 0;
}

/* Defined by the RFC for some message, and so no reason to refuse this one. */
static bool is_known(uint16_t type)
{
	switch (type) {
	case ATTR_MAPPED_ADDRESS:
	case ATTR_USERNAME:
	case ATTR_ERROR_CODE:
	case ATTR_UNKNOWN_ATTRIBUTES:
	case ATTR_REALM:
	case ATTR_NONCE:
	case ATTR_PASSWORD_ALGORITHM:
	case ATTR_USERHASH:
	case ATTR_XOR_MAPPED_ADDRESS:
		return true;
	default:
		return type >= ATTR_OPTIONAL;
	}
}

static void note_unknown(struct stun_request *request, uint16_t type)
{
	for (unsigned i = 0; i < request->n_unknown; i++)
		if (request->unknown[i] == type)
			return;
	if (request->n_unknown < STUN_UNKNOWN_MAX)
		request->unknown[request->n_unknown++] = type;
}

int stun_request_parse(const uint8_t *data, size_t len, struct stun_request *ret)
{
	struct stun_request request = { 0 };
	struct walk w;
	struct attr a;
	int r = start(data, len, &w);

	if (r < 0)
		return r;
	if (be16_read(data) != BINDING_REQUEST)
		return -ENOMSG;
	while ((r = next(&w, &a)) > 0)
		if (!is_known(a.type))
			note_unknown(&request, a.type);
	if (r < 0)
		return r;
	memcpy(request.tx, data + AT_TX, STUN_TX_LEN);
	request.fingerprint = w.fingerprint;
	*ret = request;
	return 0;
}

/* A message that is written; its length field is kept right from attribute to attribute. */
struct message {
	uint8_t *data;
	size_t len;
};

static void put_head(struct message *m, uint16_t type, const uint8_t tx[static STUN_TX_LEN])
{
	be16_write(m->data, type);
	be16_write(m->data + AT_LEN, 0);
	be32_write(m->data + AT_COOKIE, COOKIE);
	memcpy(m->data + AT_TX, tx, STUN_TX_LEN);
	m->len = STUN_HEAD_LEN;
}

/* Returns where the value is to be written; it is zero, as is its padding. */
static uint8_t *put_attr(struct message *m, uint16_t type, uint16_t len)
{
	uint8_t *at = m->data + m->len;
	size_t padded = (len + 3U) & ~3U;

	be16_write(at, type);
	be16_write(at + 2, len);
	memset(at + ATTR_HEAD_LEN, 0, padded);
	m->len += ATTR_HEAD_LEN + padded;
	be16_write(m->data + AT_LEN, (uint16_t) (m->len - STUN_HEAD_LEN));
	return at + ATTR_HEAD_LEN;
}

static void put_fingerprint(struct message *m)
{
	uint8_t *value = put_attr(m, ATTR_FINGERPRINT, 4);

	be32_write(value, fingerprint(m->data, m->len - FINGERPRINT_LEN));
}

/*
 * So that no NAT on the way takes the address for one it has to change, it is hidden under cookie
 * and transaction, which lie one behind the other (14.2).
 */
static void cross(const uint8_t *data, uint8_t port[static 2], uint8_t *address, size_t n)
{
	for (size_t i = 0; i < 2; i++)
		port[i] ^= data[AT_COOKIE + i];
	for (size_t i = 0; i < n; i++)
		address[i] ^= data[AT_COOKIE + i];
}

static void put_address(struct message *m, const struct endpoint *from)
{
	bool v4 = from->addr.family == AF_INET;
	size_t n = ip_bytes(from->addr.family);
	uint8_t *value;

	assert(n > 0);
	value = put_attr(m, ATTR_XOR_MAPPED_ADDRESS, (uint16_t) (4 + n));
	value[1] = v4 ? FAMILY_IPV4 : FAMILY_IPV6;
	be16_write(value + 2, from->port);
	memcpy(value + 4, from->addr.bytes, n);
	cross(m->data, value + 2, value + 4, n);
}

static void put_unknown(struct message *m, const struct stun_request *request)
{
	uint8_t *value = put_attr(m, ATTR_ERROR_CODE, 4);

	value[2] = ERROR_UNKNOWN_ATTRIBUTE / 100;
	value[3] = ERROR_UNKNOWN_ATTRIBUTE % 100;
	value = put_attr(m, ATTR_UNKNOWN_ATTRIBUTES, (uint16_t) (2 * request->n_unknown));
	for (unsigned i = 0; i < request->n_unknown; i++)
		be16_write(value + (size_t) 2 * i, request->unknown[i]);
}

size_t stun_answer_format(const struct stun_request *request, const struct endpoint *from,
	uint8_t ret_data[static STUN_ANSWER_MAX_LEN])
{
	struct message m = { .data = ret_data };

	if (request->n_unknown > 0) {
		put_head(&m, BINDING_ERROR, request->tx);
		put_unknown(&m, request);
	} else {
		put_head(&m, BINDING_SUCCESS, request->tx);
		put_address(&m, from);
	}
	if (request->fingerprint)
		put_fingerprint(&m);
	return m.len;
}

void stun_request_format(
	const uint8_t tx[static STUN_TX_LEN], uint8_t ret_data[static STUN_REQUEST_LEN])
{
	struct message m = { .data = ret_data };

	put_head(&m, BINDING_REQUEST, tx);
	put_fingerprint(&m);
	assert(m.len == STUN_REQUEST_LEN);
}

/* Nobody is seen from port 0 or from the unspecified address. */
static int get_address(
	const uint8_t *data, const struct attr *a, bool crossed, struct endpoint *ret)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	uint8_t port[2], address[16];
	size_t n;

	if (a->len < 4)
		return -EBADMSG;
	n = a->value[1] == FAMILY_IPV4 ? 4 : a->value[1] == FAMILY_IPV6 ? 16 : 0;
	if (n == 0 || a->len != 4 + n)
		return -EBADMSG;
	memcpy(port, a->value + 2, 2);
	memcpy(address, a->value + 4, n);
	if (crossed)
		cross(data, port, address, n);
	memcpy(&in.sin_port, port, 2);
	in6.sin6_port = in.sin_port;
	memcpy(n == 4 ? (void *) &in.sin_addr : (void *) &in6.sin6_addr, address, n);
	(void) endpoint_from_sockaddr(
		n == 4 ? (const struct sockaddr *) &in : (const struct sockaddr *) &in6,
		ret); /* a mapped one is IPv4 */
	return ret->port == 0 || ip_addr_is_unspecified(&ret->addr) ? -EBADMSG : 0;
}

/* The class is the hundreds (14.8). What the phrase says is for people. */
static int get_error(const struct attr *a, unsigned *ret)
{
	unsigned class, number;

	if (a->len < 4)
		return -EBADMSG;
	class = a->value[2] & 7;
	number = a->value[3];
	if (class < 3 || class > 6 || number > 99)
		return -EBADMSG;
	*ret = class * 100 + number;
	return 0;
}

/* How much an address says: the higher counts, and of two alike the first (14). */
static unsigned weight(uint16_t type)
{
	switch (type) {
	case ATTR_XOR_MAPPED_ADDRESS:
		return 3;
	case ATTR_XOR_MAPPED_ADDRESS_OLD:
		return 2;
	case ATTR_MAPPED_ADDRESS:
		return 1;
	default:
		return 0;
	}
}

/* Servers of RFC 3489, from which MAPPED-ADDRESS comes, send their own addresses, too. */
static bool is_known_in_answer(uint16_t type)
{
	return is_known(type) || type == ATTR_SOURCE_ADDRESS || type == ATTR_CHANGED_ADDRESS;
}

static int success_parse(struct walk *w, struct endpoint *ret)
{
	unsigned best = 0;
	struct attr a;
	int r;

	while ((r = next(w, &a)) > 0) {
		unsigned this = weight(a.type);

		if (!is_known_in_answer(a.type))
			return -EBADMSG;
		if (this <= best)
			continue;
		r = get_address(w->data, &a, a.type != ATTR_MAPPED_ADDRESS, ret);
		if (r < 0)
			return r;
		best = this;
	}
	return r < 0 ? r : best ? 0 : -EBADMSG;
}

static int error_parse(struct walk *w, unsigned *ret)
{
	unsigned error = 0;
	struct attr a;
	int r;

	while ((r = next(w, &a)) > 0) {
		if (!is_known_in_answer(a.type))
			return -EBADMSG;
		if (a.type != ATTR_ERROR_CODE || error)
			continue;
		r = get_error(&a, &error);
		if (r < 0)
			return r;
	}
	if (r < 0 || !error)
		return -EBADMSG;
	*ret = error;
	return 0;
}

int stun_answer_parse(const uint8_t *data, size_t len, struct stun_answer *ret)
{
	struct stun_answer answer = { 0 };
	struct walk w;
	int r = start(data, len, &w);

	if (r < 0)
		return r;
	switch (be16_read(data)) {
	case BINDING_SUCCESS:
		r = success_parse(&w, &answer.mapped);
		break;
	case BINDING_ERROR:
		r = error_parse(&w, &answer.error);
		break;
	default:
		r = -ENOMSG;
	}
	if (r < 0)
		return r;
	memcpy(answer.tx, data + AT_TX, STUN_TX_LEN);
	*ret = answer;
	return 0;
}
