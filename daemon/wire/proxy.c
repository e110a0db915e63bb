/*
 * proxy: see proxy.h. Of a URL, the last '@' before the path ends the password: people forget to
 * encode one. A name is taken as it is: whether it exists, DNS says.
 */
#include "wire/proxy.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/ip.h"
#include "base/number.h"

static const struct scheme {
	const char *name;
	enum proxy_kind kind;
	uint16_t port;
} schemes[] = {
	{ "http://", PROXY_HTTP, 80 },
	{ "https://", PROXY_HTTPS, 443 },
	{ "socks5h://", PROXY_SOCKS5, 1080 },
	{ "socks5://", PROXY_SOCKS5, 1080 },
};

void proxy_done(struct proxy *proxy)
{
	explicit_bzero(proxy, sizeof(*proxy));
}

/* --- of a URL --- */

static const struct scheme *take_scheme(const char **url)
{
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
		size_t len = strlen(schemes[i].name);

		if (!strncasecmp(*url, schemes[i].name, len)) {
			*url += len;
			return &schemes[i];
		}
	}
	return strstr(*url, "://") ? NULL : &schemes[0];
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, tolower((unsigned char) c)) : NULL;

	return at ? (int) (at - digits) : -1;
}

/* False: too long, a '%' without two digits, or a character that no keyboard has. */
static bool decode(const char *text, size_t len, char ret[static PROXY_USER_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char) text[i];

		if (c == '%') {
			int high = i + 2 < len ? hex_digit(text[i + 1]) : -1;
			int low = high < 0 ? -1 : hex_digit(text[i + 2]);

			if (low < 0)
				return false;
			c = (unsigned char) (high << 4 | low);
			i += 2;
		}
		if (c < ' ' || c == 0x7f || n == PROXY_USER_MAX - 1)
			return false;
		ret[n++] = (char) c;
	}
	ret[n] = 0;
	return true;
}

static int take_user(const char *text, size_t len, struct proxy *ret, struct err *err)
{
	const char *colon = memchr(text, ':', len);
	size_t user = colon ? (size_t) (colon - text) : len;

	if (!decode(text, user, ret->user) ||
		(colon && !decode(colon + 1, len - user - 1, ret->password)))
		return err_set(err, -EINVAL,
			"its user or password is too long, or not percent-encoded (%%25 is a "
			"percent sign)");
	ret->has_user = true;
	return 0;
}

static bool name_is_plain(const char *name)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz0123456789-._";

	return *name && strspn(name, plain) == strlen(name);
}

/* "[ADDRESS]" or a name or an IPv4 address, of @len bytes. */
static bool take_host(const char *text, size_t len, char ret[static PROXY_HOST_MAX])
{
	bool brackets = len > 2 && text[0] == '[' && text[len - 1] == ']';
	struct ip_addr addr;

	if (brackets) {
		text++;
		len -= 2;
	}
	if (!len || len >= PROXY_HOST_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		ret[i] = (char) tolower((unsigned char) text[i]);
	ret[len] = 0;
	if (brackets)
		return ip_addr_parse(ret, &addr) == 0 && addr.family == AF_INET6;
	return name_is_plain(ret);
}

/* The ':' before the port, or the end. */
static const char *find_port(const char *text, const char *end)
{
	for (const char *p = end; p > text && p[-1] != ']'; p--)
		if (p[-1] == ':')
			return p - 1;
	return end;
}

static int take_place(const char *text, const char *end, struct proxy *ret, struct err *err)
{
	const char *colon = find_port(text, end);
	char digits[8] = "";
	uint64_t port;

	if (!take_host(text, (size_t) (colon - text), ret->host))
		return err_set(err, -EINVAL,
			"it names no host; http://USER:PASSWORD@HOST:PORT is needed, with what is "
			"no letter or digit in the password percent-encoded (%%40 is @)");
	if (colon == end || colon + 1 == end)
		return 0;
	if (end - colon - 1 < (ptrdiff_t) sizeof(digits))
		memcpy(digits, colon + 1, (size_t) (end - colon - 1));
	if (number_parse(digits, 1, UINT16_MAX, &port) < 0)
		return err_set(err, -EINVAL, "its port is none from 1 to 65535");
	ret->port = (uint16_t) port;
	return 0;
}

int proxy_parse(const char *url, struct proxy *ret, struct err *err)
{
	CLEANUP_PROXY struct proxy proxy = { 0 };
	const struct scheme *scheme = take_scheme(&url);
	const char *end = url + strcspn(url, "/?#"), *at;
	int r = 0;

	if (!scheme)
		return err_set(err, -EINVAL, "it is none of http://, https:// and socks5h://");
	if (strlen(url) >= PROXY_URL_MAX || strcmp(end, *end == '/' ? "/" : "") != 0)
		return err_set(err, -EINVAL,
			"it goes on behind its host and port, or is too long; a '/', '?' or '#' of "
			"the password is written %%2F, %%3F or %%23");
	proxy.kind = scheme->kind;
	proxy.port = scheme->port;
	at = memrchr(url, '@', (size_t) (end - url));
	if (at)
		r = take_user(url, (size_t) (at - url), &proxy, err);
	if (r == 0)
		r = take_place(at ? at + 1 : url, end, &proxy, err);
	if (r == 0)
		*ret = proxy;
	return r;
}

const char *proxy_text(const struct proxy *proxy, char ret[static PROXY_TEXT_MAX])
{
	(void) snprintf(ret, PROXY_TEXT_MAX, strchr(proxy->host, ':') ? "[%s]:%u" : "%s:%u",
		proxy->host, proxy->port);
	return ret;
}

/* --- what needs none --- */

/* "10.1.2.3/8" is the range that it lies in. */
static bool range_has(const char *entry, const struct ip_addr *addr)
{
	const char *slash = strchr(entry, '/');
	char text[IP_TEXT_MAX] = "";
	struct ip_addr base, plain;
	struct ip_prefix range;
	uint64_t bits;

	if (slash && slash - entry < IP_TEXT_MAX)
		memcpy(text, entry, (size_t) (slash - entry));
	if (ip_addr_parse(slash ? text : entry, &base) < 0)
		return false;
	bits = ip_bits(base.family);
	if (slash && number_parse(slash + 1, 0, bits, &bits) < 0)
		return false;
	plain = ip_addr_unmapped(&base);
	if (plain.family != base.family && bits >= 96) {
		base = plain;
		bits -= 96;
	}
	range = ip_prefix_of(&base, (uint8_t) bits);
	return ip_prefix_contains(&range, addr);
}

static bool name_is_below(const char *entry, const char *host)
{
	size_t len, host_len = strlen(host);

	if (!strncmp(entry, "*.", 2))
		entry++;
	entry += *entry == '.';
	len = strlen(entry);
	while (len && entry[len - 1] == '.')
		len--;
	while (host_len && host[host_len - 1] == '.')
		host_len--;
	if (!len || host_len < len || strncasecmp(host + host_len - len, entry, len) != 0)
		return false;
	return host_len == len || host[host_len - len - 1] == '.';
}

/* Takes ":PORT" and brackets from @entry. False: it is for another port. */
static bool take_port(char *entry, uint16_t port)
{
	char *end = entry[0] == '[' ? strchr(entry, ']') : NULL;
	char *colon = end ? end + 1 : strchr(entry, ':');
	uint64_t wanted = port;

	if (!end && colon && strchr(colon + 1, ':'))
		colon = NULL; /* an address of IPv6 */
	if (colon && *colon == ':') {
		if (number_parse(colon + 1, 1, UINT16_MAX, &wanted) < 0)
			return false;
		*colon = 0;
	}
	if (end && (*colon == 0 || *colon == '/'))
		memmove(end, colon, strlen(colon) + 1);
	if (end)
		memmove(entry, entry + 1, strlen(entry));
	return wanted == port;
}

static bool entry_has(char *entry, const char *host, uint16_t port)
{
	struct ip_addr addr;

	if (!strcmp(entry, "*"))
		return true;
	if (!take_port(entry, port))
		return false;
	if (ip_addr_parse(host, &addr) < 0)
		return name_is_below(entry, host);
	addr = ip_addr_unmapped(&addr);
	return range_has(entry, &addr);
}

bool proxy_is_excepted(const char *list, const char *host, uint16_t port)
{
	static const char between[] = ", \t\r\n;";

	for (;;) {
		char entry[PROXY_HOST_MAX + 8];
		size_t len;

		list += strspn(list, between);
		len = strcspn(list, between);
		if (!len)
			return false;
		if (len < sizeof(entry)) {
			memcpy(entry, list, len);
			entry[len] = 0;
			if (entry_has(entry, host, port))
				return true;
		}
		list += len;
	}
}
