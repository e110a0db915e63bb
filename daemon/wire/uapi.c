/*
 * Requests are parsed strictly, as wireguard-go does it: an unknown key, a value that is not
 * exactly of its kind or a peer's key before "public_key=" refuses the whole request. One table of
 * keys drives the reading. Lines are bounded, lists grow by doubling; the size of a request bounds
 * them.
 */
#include "wire/uapi.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/encode.h"

/* Part of a request: not terminated. */
struct text {
	const char *at;
	size_t len;
};

static bool text_is(struct text t, const char *word)
{
	return t.len == strlen(word) && memcmp(t.at, word, t.len) == 0;
}

static void wipe(void *p, size_t len)
{
	if (len > 0)
		explicit_bzero(p, len);
}

long uapi_request_len(const char *data, size_t len, size_t seen)
{
	size_t bound = len < UAPI_REQUEST_MAX ? len : UAPI_REQUEST_MAX;
	size_t from = seen > 0 ? seen - 1 : 0; /* the first of the two newlines may be seen */
	const char *end = NULL;

	if (len > 0 && data[0] == '\n')
		return 1;
	if (from < bound)
		end = memmem(data + from, bound - from, "\n\n", 2);
	if (end)
		return end - data + 2;
	return len >= UAPI_REQUEST_MAX ? -E2BIG : 0;
}

int uapi_request_operation(const char *data, size_t len)
{
	static const char get[] = "get=1\n", set[] = "set=1\n";

	/* A get has no further lines. */
	if (len == strlen(get) + 1 && memcmp(data, get, strlen(get)) == 0 && data[len - 1] == '\n')
		return UAPI_GET;
	if (len >= strlen(set) + 1 && memcmp(data, set, strlen(set)) == 0)
		return UAPI_SET;
	return -EPROTO;
}

/* Decimal, or hexadecimal with 0x; no sign, no blank. */
static int read_number(struct text value, uint64_t max, uint64_t *ret)
{
	unsigned base = 10;
	uint64_t n = 0;
	size_t i = 0;

	if (value.len > 2 && value.at[0] == '0' && (value.at[1] | 0x20) == 'x') {
		base = 16;
		i = 2;
	}
	if (i == value.len || value.len > 20)
		return -EINVAL;
	for (; i < value.len; i++) {
		unsigned char c = (unsigned char) value.at[i];
		unsigned digit = 255;

		if (c >= '0' && c <= '9')
			digit = c - '0';
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			digit = (c | 0x20) - 'a' + 10U;
		if (digit >= base)
			return -EINVAL;
		n = n * base + digit;
		if (n > max)
			return -EINVAL;
	}
	*ret = n;
	return 0;
}

static int read_true(struct text value, bool *ret)
{
	if (!text_is(value, "true"))
		return -EINVAL;
	*ret = true;
	return 0;
}

static int copy_text(struct text value, char *ret, size_t size)
{
	if (value.len >= size || memchr(value.at, '\0', value.len))
		return -EINVAL;
	memcpy(ret, value.at, value.len);
	ret[value.len] = '\0';
	return 0;
}

/* A zone that is a name goes to @peer->zone; a number is endpoint_parse()'s. */
static int read_endpoint(struct text value, struct uapi_set_peer *peer)
{
	char text[ENDPOINT_TEXT_MAX + UAPI_ZONE_MAX];
	char *percent, *bracket;
	int r = copy_text(value, text, sizeof(text));

	if (r < 0)
		return r;
	peer->zone[0] = '\0';
	percent = strchr(text, '%');
	bracket = percent ? strchr(percent, ']') : NULL;
	if (bracket && (percent[1] < '0' || percent[1] > '9')) {
		struct text zone = { percent + 1, (size_t) (bracket - percent - 1) };

		if (zone.len == 0)
			return -EINVAL;
		r = copy_text(zone, peer->zone, sizeof(peer->zone));
		if (r < 0)
			return r;
		memmove(percent, bracket, strlen(bracket) + 1);
	}
	r = endpoint_parse(text, &peer->endpoint);
	if (r < 0)
		return r;
	if (peer->endpoint.port == 0 || ip_addr_is_unspecified(&peer->endpoint.addr))
		return -EINVAL;
	peer->has_endpoint = true;
	return 0;
}

/* Host bits are cleared, as the kernel does it. Without a slash: the one address. */
static int read_prefix(struct text value, struct ip_prefix *ret)
{
	char text[PREFIX_TEXT_MAX];
	struct ip_addr addr;
	uint64_t len;
	char *slash;
	int r = copy_text(value, text, sizeof(text));

	if (r < 0)
		return r;
	slash = strchr(text, '/');
	if (slash)
		*slash = '\0';
	r = ip_addr_parse(text, &addr);
	if (r < 0)
		return r;
	len = ip_bits(addr.family);
	if (slash) {
		r = read_number(
			(struct text){ slash + 1, strlen(slash + 1) }, ip_bits(addr.family), &len);
		if (r < 0)
			return r;
	}
	*ret = ip_prefix_of(&addr, (uint8_t) len);
	return 0;
}

/* Makes room for one more element. The old block is wiped: it may hold secrets. */
static int grow(void **list, size_t n, size_t *cap, size_t size)
{
	size_t more = *cap ? *cap * 2 : 8;
	void *fresh;

	if (n < *cap)
		return 0;
	fresh = calloc(more, size);
	if (!fresh)
		return -ENOMEM;
	if (n > 0)
		memcpy(fresh, *list, n * size);
	wipe(*list, n * size);
	free(*list);
	*list = fresh;
	*cap = more;
	return 0;
}

static struct uapi_set_peer *current(struct uapi_set *set)
{
	return &set->peers[set->n_peers - 1];
}

static int set_private_key(struct uapi_set *set, struct text value)
{
	set->has_private_key = true;
	return key_from_hex(value.at, value.len, set->private_key);
}

static int set_listen_port(struct uapi_set *set, struct text value)
{
	uint64_t n = 0;
	int r = read_number(value, UINT16_MAX, &n);

	set->listen_port = (uint16_t) n;
	set->has_listen_port = true;
	return r;
}

static int set_fwmark(struct uapi_set *set, struct text value)
{
	uint64_t n = 0;
	int r = value.len == 0 ? 0 : read_number(value, UINT32_MAX, &n); /* "fwmark=": none */

	set->fwmark = (uint32_t) n;
	set->has_fwmark = true;
	return r;
}

static int set_replace_peers(struct uapi_set *set, struct text value)
{
	return read_true(value, &set->replace_peers);
}

static int set_public_key(struct uapi_set *set, struct text value)
{
	void *list = set->peers;
	int r = grow(&list, set->n_peers, &set->cap_peers, sizeof(*set->peers));

	if (r < 0)
		return r;
	set->peers = list;
	set->n_peers++;
	*current(set) = (struct uapi_set_peer){ .first_allowed = set->n_allowed };
	return key_from_hex(value.at, value.len, current(set)->key);
}

static int set_remove(struct uapi_set *set, struct text value)
{
	return read_true(value, &current(set)->remove);
}

static int set_update_only(struct uapi_set *set, struct text value)
{
	return read_true(value, &current(set)->update_only);
}

static int set_psk(struct uapi_set *set, struct text value)
{
	current(set)->has_psk = true;
	return key_from_hex(value.at, value.len, current(set)->psk);
}

static int set_endpoint(struct uapi_set *set, struct text value)
{
	return read_endpoint(value, current(set));
}

static int set_keepalive(struct uapi_set *set, struct text value)
{
	uint64_t n = 0;
	int r = text_is(value, "off") ? 0 : read_number(value, UINT16_MAX, &n);

	current(set)->keepalive_s = (uint16_t) n;
	current(set)->has_keepalive = true;
	return r;
}

static int set_replace_allowed(struct uapi_set *set, struct text value)
{
	return read_true(value, &current(set)->replace_allowed_ips);
}

static int set_allowed(struct uapi_set *set, struct text value)
{
	struct uapi_allowed allowed = { 0 };
	void *list = set->allowed;
	int r;

	if (value.len > 0 && (value.at[0] == '-' || value.at[0] == '+')) {
		allowed.remove = value.at[0] == '-';
		value.at++;
		value.len--;
	}
	r = read_prefix(value, &allowed.prefix);
	if (r < 0)
		return r;
	r = grow(&list, set->n_allowed, &set->cap_allowed, sizeof(*set->allowed));
	if (r < 0)
		return r;
	set->allowed = list;
	set->allowed[set->n_allowed++] = allowed;
	current(set)->n_allowed++;
	return 0;
}

static int set_protocol_version(struct uapi_set *set, struct text value)
{
	return text_is(value, "1") ? 0 : -EINVAL;
}

static const struct key {
	const char *name;
	bool of_peer;
	int (*read)(struct uapi_set *set, struct text value);
} keys[] = {
	{ "private_key", false, set_private_key },
	{ "listen_port", false, set_listen_port },
	{ "fwmark", false, set_fwmark },
	{ "replace_peers", false, set_replace_peers },
	{ "public_key", false, set_public_key },
	{ "remove", true, set_remove },
	{ "update_only", true, set_update_only },
	{ "preshared_key", true, set_psk },
	{ "endpoint", true, set_endpoint },
	{ "persistent_keepalive_interval", true, set_keepalive },
	{ "replace_allowed_ips", true, set_replace_allowed },
	{ "allowed_ip", true, set_allowed },
	{ "protocol_version", true, set_protocol_version },
};

static int set_line(struct uapi_set *set, struct text line)
{
	const char *equals = memchr(line.at, '=', line.len);
	struct text name, value;

	if (!equals || line.len > UAPI_LINE_MAX)
		return -EPROTO;
	name = (struct text){ line.at, (size_t) (equals - line.at) };
	value = (struct text){ equals + 1, line.len - name.len - 1 };
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (!text_is(name, keys[i].name))
			continue;
		if (keys[i].of_peer && set->n_peers == 0)
			return -EPROTO;
		/* What belongs to the device comes before the first peer. */
		if (!keys[i].of_peer && keys[i].read != set_public_key && set->n_peers > 0)
			return -EPROTO;
		return keys[i].read(set, value);
	}
	return -EPROTO;
}

int uapi_set_parse(const char *data, size_t len, struct uapi_set *ret)
{
	const char *at = data, *end = data + len;
	bool first = true;

	*ret = (struct uapi_set){ 0 };
	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t) (end - at));
		struct text line = { at, newline ? (size_t) (newline - at) : 0 };
		int r = 0;

		if (!newline)
			return -EPROTO;
		at = newline + 1;
		if (line.len == 0) /* the request's end, and nothing behind it */
			return at == end && !first ? 0 : -EPROTO;
		if (first)
			r = text_is(line, "set=1") ? 0 : -EPROTO;
		else
			r = set_line(ret, line);
		if (r < 0)
			return r;
		first = false;
	}
	return -EPROTO;
}

void uapi_set_done(struct uapi_set *set)
{
	wipe(set->peers, set->n_peers * sizeof(*set->peers));
	free(set->peers);
	free(set->allowed);
	wipe(set, sizeof(*set));
}

void uapi_get_done(struct uapi_get *get)
{
	for (size_t i = 0; i < get->n_peers; i++)
		free(get->peers[i].allowed);
	wipe(get->peers, get->n_peers * sizeof(*get->peers));
	free(get->peers);
	wipe(get, sizeof(*get));
}

static void add_key(struct buf *ret, const char *name, const uint8_t key[static UAPI_KEY_LEN])
{
	char hex[KEY_HEX_LEN];

	key_to_hex(key, hex);
	buf_printf(ret, "%s=%s\n", name, hex);
	wipe(hex, sizeof(hex));
}

static void format_peer(const struct uapi_get_peer *peer, struct buf *ret)
{
	char endpoint[ENDPOINT_TEXT_MAX], prefix[PREFIX_TEXT_MAX];
	uint64_t at_us = peer->last_handshake_wall_us;

	add_key(ret, "public_key", peer->key);
	add_key(ret, "preshared_key", peer->psk);
	buf_add_str(ret, "protocol_version=1\n");
	if (peer->endpoint.addr.family)
		buf_printf(ret, "endpoint=%s\n", endpoint_format(&peer->endpoint, endpoint));
	buf_printf(ret,
		"last_handshake_time_sec=%" PRIu64 "\nlast_handshake_time_nsec=%" PRIu64 "\n",
		at_us / 1000000, at_us % 1000000 * 1000);
	buf_printf(ret, "tx_bytes=%" PRIu64 "\nrx_bytes=%" PRIu64 "\n", peer->tx_bytes,
		peer->rx_bytes);
	buf_printf(ret, "persistent_keepalive_interval=%u\n", peer->keepalive_s);
	for (size_t i = 0; i < peer->n_allowed; i++)
		buf_printf(ret, "allowed_ip=%s\n", ip_prefix_format(&peer->allowed[i], prefix));
}

void uapi_get_format(const struct uapi_get *get, struct buf *ret)
{
	static const uint8_t none[UAPI_KEY_LEN];

	if (memcmp(get->private_key, none, sizeof(none)) != 0)
		add_key(ret, "private_key", get->private_key);
	if (get->listen_port)
		buf_printf(ret, "listen_port=%u\n", get->listen_port);
	if (get->fwmark)
		buf_printf(ret, "fwmark=%" PRIu32 "\n", get->fwmark);
	for (size_t i = 0; i < get->n_peers; i++)
		format_peer(&get->peers[i], ret);
}

void uapi_reply_end(struct buf *ret, int r)
{
	buf_printf(ret, "errno=%d\n\n", r);
}
