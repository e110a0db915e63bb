/* outside: see outside.h. */
#include "wire/outside.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/number.h"

/* As much of a wrong text as a person needs to see it again. */
#define SHOWN "\"%.80s\""

static const char scheme[] = "https://";
enum { SCHEME_LEN = sizeof(scheme) - 1 };

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char) (c + ('a' - 'A')) : c;
}

static const char means_itself[] = "on every machine it means that machine itself";

/* 0.0.0.0/8 (RFC 791, section 3.2) and 255.255.255.255. */
static bool is_of_this_network(const struct ip_addr *addr)
{
	static const uint8_t broadcast[4] = { 255, 255, 255, 255 };

	return addr->family == AF_INET &&
	       (!addr->bytes[0] || !memcmp(addr->bytes, broadcast, sizeof(broadcast)));
}

const char *outside_addr_objection(const struct ip_addr *addr)
{
	struct ip_addr a = ip_addr_unmapped(addr);

	if (ip_addr_is_loopback(&a))
		return means_itself;
	if (ip_addr_is_link_local(&a))
		return "it is good on one link only";
	if (ip_addr_is_multicast(&a) || ip_addr_is_unspecified(&a) || is_of_this_network(&a))
		return "no single machine has it";
	return NULL;
}

/* RFC 6761, section 6.3. */
static bool is_localhost(const char *name)
{
	static const char local[] = "localhost";
	size_t len = strlen(name), n = sizeof(local) - 1;

	return len >= n && !strcasecmp(name + len - n, local) &&
	       (len == n || name[len - n - 1] == '.');
}

const char *outside_host_objection(const char *host)
{
	struct ip_addr addr;

	if (ip_addr_parse(host, &addr) == 0)
		return outside_addr_objection(&addr);
	return is_localhost(host) ? means_itself : NULL;
}

bool outside_host_is_valid(const char *host)
{
	struct ip_addr addr;
	char text[IP_TEXT_MAX];

	if (outside_host_objection(host))
		return false;
	if (ip_addr_parse(host, &addr) == 0) {
		addr = ip_addr_unmapped(&addr);
		return !strcmp(ip_addr_format(&addr, text), host);
	}
	for (const char *p = host; *p; p++)
		if (*p != lower(*p))
			return false;
	return field_host_is_valid(host);
}

/*
 * Host and port of "HOST:PORT", "[HOST]:PORT" or either without its port, then *ret_port is "". An
 * IPv6 address without brackets is a host without a port. False: it is nothing of the kind.
 */
static bool split(const char *text, char *ret_host, size_t size, const char **ret_port)
{
	bool brackets = *text == '[';
	const char *host = text + brackets, *end = strchr(text, brackets ? ']' : ':'), *port;

	if (!end && brackets)
		return false;
	if (!end || (!brackets && strchr(end + 1, ':')))
		end = text + strlen(text);
	port = end + brackets;
	if ((*port && (*port != ':' || !port[1])) || (size_t) (end - host) >= size)
		return false;
	memcpy(ret_host, host, (size_t) (end - host));
	ret_host[end - host] = '\0';
	*ret_port = *port ? port + 1 : "";
	return !brackets || strchr(ret_host, ':');
}

int outside_parse(const char *text, struct outside *ret)
{
	struct outside at = { 0 };
	char again[OUTSIDE_TEXT_MAX];
	const char *digits;
	uint64_t port;

	if (!split(text, at.host, sizeof(at.host), &digits) || !outside_host_is_valid(at.host) ||
		number_parse(digits, 1, UINT16_MAX, &port) < 0)
		return -EINVAL;
	at.port = (uint16_t) port;
	if (strcmp(outside_format(&at, again), text) != 0)
		return -EINVAL;
	*ret = at;
	return 0;
}

const char *outside_format(const struct outside *at, char ret[static OUTSIDE_TEXT_MAX])
{
	bool brackets = strchr(at->host, ':');

	(void) snprintf(ret, OUTSIDE_TEXT_MAX, "%s%.*s%s:%u", brackets ? "[" : "",
		FIELD_HOST_MAX - 1, at->host, brackets ? "]" : "", (unsigned) at->port);
	return ret;
}

bool outside_equal(const struct outside *a, const struct outside *b)
{
	return a->port == b->port && !strcmp(a->host, b->host);
}

/* --- as a person writes it --- */

void outside_host_write(char host[static FIELD_HOST_MAX])
{
	size_t len = strlen(host);
	struct ip_addr addr;

	for (size_t i = 0; i < len; i++)
		host[i] = lower(host[i]);
	if (len > 1 && host[len - 1] == '.')
		host[len - 1] = '\0';
	if (ip_addr_parse(host, &addr) < 0)
		return;
	addr = ip_addr_unmapped(&addr);
	(void) ip_addr_format(&addr, host);
}

/* @shown names the whole text, @text is its host and port. */
static int choose(const char *shown, const char *text, struct outside *ret, struct err *err)
{
	struct outside at = { 0 };
	const char *digits;
	uint64_t port = 0;

	if (!split(text, at.host, sizeof(at.host), &digits))
		return err_set(err, -EINVAL,
			SHOWN " is no host and port: write HOST:PORT, and an IPv6 address in "
			      "brackets",
			shown);
	outside_host_write(at.host);
	if (!field_host_is_valid(at.host))
		return err_set(err, -EINVAL,
			SHOWN " has no host that can be: a DNS name (letters, digits, hyphens and "
			      "dots) or an address",
			shown);
	if (*digits && number_parse(digits, 1, UINT16_MAX, &port) < 0)
		return err_set(
			err, -EINVAL, SHOWN " has a port that cannot be: from 1 to 65535", shown);
	at.port = (uint16_t) port;
	*ret = at;
	return 0;
}

int outside_choose(const char *text, uint16_t port, struct outside *ret, struct err *err)
{
	struct outside at = { 0 };
	const char *why;

	if (strstr(text, "://"))
		return err_set(
			err, -EINVAL, SHOWN " is a URL: write its host and port alone", text);
	if (choose(text, text, &at, err) < 0)
		return -EINVAL;
	why = outside_host_objection(at.host);
	if (why)
		return err_set(err, -EINVAL, SHOWN " is not for all boards: %s", text, why);
	if (!at.port)
		at.port = port;
	*ret = at;
	return 0;
}

/* What is wrong with @text before its host is looked at. */
static int check_scheme(const char *text, struct err *err)
{
	const char *other = strstr(text, "://");

	if (strchr(text, '@'))
		return err_set(err, -EINVAL,
			"a URL with a user or a password in it is refused: boards and coordinator "
			"know each other by their keys; write https://HOST:PORT");
	if (strncasecmp(text, scheme, SCHEME_LEN) != 0)
		return err_set(err, -EINVAL,
			SHOWN " is no https:// URL, and boards ask a coordinator by nothing else: "
			      "write https://%.80s",
			text,
			other   ? other + 3
			: *text ? text
				: "HOST:PORT");
	return 0;
}

int outside_choose_url(const char *text, char ret[static FIELD_URL_MAX], struct err *err)
{
	char place[FIELD_URL_MAX], shown[OUTSIDE_TEXT_MAX];
	struct outside at = { 0 };

	if (check_scheme(text, err) < 0)
		return -EINVAL;
	const char *rest = text + SCHEME_LEN;
	size_t len = strcspn(rest, "/?#");

	if (strcmp(rest + len, "/") != 0 && rest[len])
		return err_set(err, -EINVAL,
			SHOWN " has something behind its host and port, which no board asks for: "
			      "write https://%.*s",
			text, (int) (len < 80 ? len : 80), rest);
	if (len >= sizeof(place) - SCHEME_LEN)
		return err_set(err, -EINVAL, SHOWN " is too long: at most %d characters", text,
			FIELD_URL_MAX - 1);
	memcpy(place, rest, len);
	place[len] = '\0';
	if (choose(text, place, &at, err) < 0)
		return -EINVAL;
	(void) outside_format(&at, shown);
	if (!at.port)
		*strrchr(shown, ':') = '\0';
	if (strlen(shown) >= FIELD_URL_MAX - SCHEME_LEN)
		return err_set(err, -EINVAL, SHOWN " is too long: at most %d characters", text,
			FIELD_URL_MAX - 1);
	(void) snprintf(
		ret, FIELD_URL_MAX, "%s%.*s", scheme, FIELD_URL_MAX - SCHEME_LEN - 1, shown);
	return 0;
}
