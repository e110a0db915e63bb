/*
 * hello: see hello.h. First the records are walked, as far as they have come, until the message in
 * them is complete; then it is put together and read. Every length is checked against what is left
 * of the thing that it is in.
 */
#include "wire/hello.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "packet/bytes.h"

enum {
	CONTENT_HANDSHAKE = 22,
	MAJOR_VERSION = 3,
	MESSAGE_CLIENT_HELLO = 1,
	RANDOM_LEN = 32,
	SESSION_MAX = 32,
	EXTENSION_SERVER_NAME = 0,
	NAME_HOST = 0,
	LABEL_MAX = 63,
};

enum { MESSAGE_MAX = HELLO_MAX_LEN - HELLO_RECORD_HEAD_LEN };

/*
 * Each byte is judged when it comes, so that who talks something else learns it at once. The minor
 * version may be any (RFC 5246 E.1); another major one no TLS server would take.
 */
static int record_head(const uint8_t *head, size_t len, size_t *ret_fragment)
{
	size_t fragment;

	if (len >= 1 && head[0] != CONTENT_HANDSHAKE)
		return -EBADMSG;
	if (len >= 2 && head[1] != MAJOR_VERSION)
		return -EBADMSG;
	if (len < HELLO_RECORD_HEAD_LEN)
		return -EAGAIN;
	fragment = be16_read(head + 3);
	if (fragment == 0 || fragment > HELLO_FRAGMENT_MAX) /* RFC 8446 5.1: none is empty */
		return -EBADMSG;
	*ret_fragment = fragment;
	return 0;
}

/* Of the whole message; of one whose head is not yet there, of the head. */
static size_t message_len(const struct hello *h)
{
	if (h->have < HELLO_MESSAGE_HEAD_LEN)
		return HELLO_MESSAGE_HEAD_LEN;
	return HELLO_MESSAGE_HEAD_LEN + ((size_t) h->head[1] << 16 | be16_read(h->head + 2));
}

/* Steps over @n bytes of the message, at @data, and keeps those of its head. */
static void step(struct hello *h, const uint8_t *data, size_t n)
{
	for (size_t i = 0; i < n && h->have + i < HELLO_MESSAGE_HEAD_LEN; i++)
		h->head[h->have + i] = data[i];
	h->have += n;
	h->fragment -= n;
	h->at += n;
}

/* Might it still end within our bound? What this record does not hold needs another head. */
static bool fits(const struct hello *h)
{
	size_t missing = message_len(h) - h->have;

	if (missing > h->fragment)
		missing += HELLO_RECORD_HEAD_LEN;
	return h->at + missing <= HELLO_MAX_LEN;
}

static size_t least(size_t a, size_t b, size_t c)
{
	size_t ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* In steps of which none leads beyond the message, and the first not beyond its head. */
static int walk(struct hello *h, const uint8_t *data, size_t len)
{
	while (h->have < message_len(h)) {
		size_t n;
		int r;

		if (h->have > 0 && h->head[0] != MESSAGE_CLIENT_HELLO)
			return -EBADMSG;
		if (!fits(h))
			return -EMSGSIZE;
		if (h->fragment == 0) {
			r = record_head(data + h->at, len - h->at, &h->fragment);
			if (r < 0)
				return r;
			h->at += HELLO_RECORD_HEAD_LEN;
		}
		n = least(len - h->at, h->fragment, message_len(h) - h->have);
		if (n == 0)
			return -EAGAIN;
		step(h, data + h->at, n);
	}
	return 0;
}

/* The message, without the heads of the records that walk() has been through. */
static void gather(const uint8_t *data, size_t want, uint8_t *ret_message)
{
	while (want > 0) {
		size_t n = be16_read(data + 3);

		if (n > want)
			n = want;
		memcpy(ret_message, data + HELLO_RECORD_HEAD_LEN, n);
		data += HELLO_RECORD_HEAD_LEN + n;
		ret_message += n;
		want -= n;
	}
}

/* Bytes that are not yet read. */
struct span {
	const uint8_t *p;
	size_t len;
};

static bool take(struct span *from, size_t n, struct span *ret)
{
	if (from->len < n)
		return false;
	*ret = (struct span){ from->p, n };
	from->p += n;
	from->len -= n;
	return true;
}

/* A number of @width bytes. */
static bool take_number(struct span *from, size_t width, size_t *ret)
{
	struct span bytes;

	if (!take(from, width, &bytes))
		return false;
	*ret = 0;
	for (size_t i = 0; i < width; i++)
		*ret = *ret << 8 | bytes.p[i];
	return true;
}

/* A length of @width bytes, and as many bytes. */
static bool take_vector(struct span *from, size_t width, struct span *ret)
{
	size_t len;

	return take_number(from, width, &len) && take(from, len, ret);
}

/* May a host's label be so? It is in lower case; '_' is not of RFC 1123 (2.1), but in use. */
static bool is_label(const char *label, size_t len)
{
	if (len == 0 || len > LABEL_MAX || label[0] == '-' || label[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = label[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
			return false;
	}
	return true;
}

/*
 * No dot at the end, and no literal address (RFC 6066 3): IPv6 fails by its colons, and a name
 * whose last label is a number is IPv4, as no top-level domain is one (RFC 3696 2).
 */
static bool is_host_name(const char *name)
{
	const char *label = name;

	for (;;) {
		size_t len = strcspn(label, ".");

		if (!is_label(label, len))
			return false;
		if (!label[len])
			return strspn(label, "0123456789") < len;
		label += len + 1;
	}
}

static bool set_name(struct hello *h, const struct span *host)
{
	if (host->len == 0 || host->len >= sizeof(h->name))
		return false;
	for (size_t i = 0; i < host->len; i++) {
		uint8_t c = host->p[i];

		h->name[i] = (char) (c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
	}
	h->name[host->len] = '\0';
	return strlen(h->name) == host->len && is_host_name(h->name);
}

/*
 * One name of each type at most (RFC 6066 3). Only host names were ever defined; names of other
 * types would begin with a length, too.
 */
static bool read_server_name(struct hello *h, struct span data)
{
	struct span names, name;
	size_t type;

	if (!take_vector(&data, 2, &names) || data.len != 0 || names.len == 0)
		return false;
	while (names.len > 0) {
		if (!take_number(&names, 1, &type) || !take_vector(&names, 2, &name))
			return false;
		if (type == NAME_HOST && (h->name[0] || !set_name(h, &name)))
			return false;
	}
	return true;
}

static bool read_extensions(struct hello *h, struct span extensions)
{
	bool named = false;
	struct span data;
	size_t type;

	while (extensions.len > 0) {
		if (!take_number(&extensions, 2, &type) || !take_vector(&extensions, 2, &data))
			return false;
		if (type != EXTENSION_SERVER_NAME)
			continue;
		if (named || !read_server_name(h, data))
			return false;
		named = true;
	}
	return true;
}

/* A client of TLS 1.2 may send no extensions at all (RFC 5246 7.4.1.2). */
static bool read_body(struct hello *h, struct span body)
{
	struct span skipped, session, suites, methods, extensions;

	if (!take(&body, 2 + RANDOM_LEN, &skipped) || !take_vector(&body, 1, &session) ||
		!take_vector(&body, 2, &suites) || !take_vector(&body, 1, &methods))
		return false;
	if (session.len > SESSION_MAX || suites.len == 0 || suites.len % 2 || methods.len == 0)
		return false;
	if (body.len == 0)
		return true;
	return take_vector(&body, 2, &extensions) && body.len == 0 &&
	       read_extensions(h, extensions);
}

int hello_read(struct hello *hello, const uint8_t *data, size_t len)
{
	uint8_t message[MESSAGE_MAX];
	struct span body;
	size_t total;
	int r = walk(hello, data, len);

	if (r < 0)
		return r;
	total = message_len(hello);
	assert(total <= sizeof(message)); /* fits() has seen to it */
	gather(data, total, message);
	body = (struct span){ message + HELLO_MESSAGE_HEAD_LEN, total - HELLO_MESSAGE_HEAD_LEN };
	hello->name[0] = '\0'; /* of a call before this one */
	if (read_body(hello, body))
		return 0;
	hello->name[0] = '\0'; /* what had been read when the fault was met */
	return -EBADMSG;
}
