/* rule: the small parts that the rules share. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/number.h"
#include "kubeadm/rules.h"

const json_t *rule_document(const json_t *docs, const char *kind)
{
	size_t i;
	json_t *doc;

	json_array_foreach(docs, i, doc)
	{
		if (!strcmp(rule_text(doc, "kind"), kind))
			return doc;
	}
	return NULL;
}

const char *rule_text(const json_t *obj, const char *key)
{
	const char *s = json_string_value(json_object_get(obj, key));

	return s ? s : "";
}

const char *rule_argument(const json_t *list, const char *name)
{
	const char *value = NULL;
	size_t i;
	json_t *arg;

	json_array_foreach(list, i, arg)
	{
		if (!strcmp(rule_text(arg, "name"), name))
			value = rule_text(arg, "value");
	}
	return value;
}

bool rule_one_of(const char *text, const char *const list[])
{
	for (size_t i = 0; list[i]; i++)
		if (!strcmp(text, list[i]))
			return true;
	return false;
}

bool rule_hex(const char *text, size_t len)
{
	return strlen(text) == len && strspn(text, "0123456789abcdef") == len;
}

static bool rule_dns_name(const char *text)
{
	size_t all = strlen(text);

	if (!all || all > 253)
		return false;
	for (const char *p = text;; p++) {
		size_t n = strspn(p, "abcdefghijklmnopqrstuvwxyz0123456789-");

		if (!n || n > 63 || p[0] == '-' || p[n - 1] == '-')
			return false;
		p += n;
		if (!*p)
			return true;
		if (*p != '.')
			return false;
	}
}

int64_t rule_duration(const char *text)
{
	static const struct {
		const char *unit;
		double us;
	} units[] = { { "ns", 1e-3 }, { "us", 1 }, { "\xc2\xb5s", 1 }, { "ms", 1e3 }, { "s", 1e6 },
		{ "m", 60e6 }, { "h", 3600e6 } };
	double sum = 0;

	if (!strcmp(text, "0"))
		return 0;
	if (!*text)
		return -1;
	while (*text) {
		size_t n = strspn(text, "0123456789."), u = 0;

		if (!n || n > 20 || (n == 1 && *text == '.'))
			return -1;
		char number[24], *end;

		memcpy(number, text, n);
		number[n] = 0;
		double value = strtod(number, &end);

		if (*end)
			return -1;
		text += n;
		/* "ms" must not be read as "m" */
		while (u < ARRAY_LEN(units) &&
			(strncmp(text, units[u].unit, strlen(units[u].unit)) ||
				isalpha((unsigned char) text[strlen(units[u].unit)])))
			u++;
		if (u == ARRAY_LEN(units))
			return -1;
		sum += value * units[u].us;
		text += strlen(units[u].unit);
	}
	return sum < 9e15 ? (int64_t) sum : -1;
}

/*
 * resource.ParseQuantity() without its signs: digits, then a suffix of either kind or an exponent.
 */
double rule_quantity(const char *text)
{
	static const struct {
		const char *suffix;
		double factor;
	} suffixes[] = { { "", 1 }, { "n", 1e-9 }, { "u", 1e-6 }, { "m", 1e-3 }, { "k", 1e3 },
		{ "M", 1e6 }, { "G", 1e9 }, { "T", 1e12 }, { "P", 1e15 }, { "E", 1e18 },
		{ "Ki", 0x1p10 }, { "Mi", 0x1p20 }, { "Gi", 0x1p30 }, { "Ti", 0x1p40 },
		{ "Pi", 0x1p50 }, { "Ei", 0x1p60 } };
	size_t n = strspn(text, "0123456789."), e = n;

	if (!n || n > 40 || strcspn(text, "0123456789") >= n)
		return -1;
	if ((text[n] == 'e' || text[n] == 'E') && text[n + 1]) {
		e = n + 1 + (text[n + 1] == '+' || text[n + 1] == '-');
		size_t digits = strspn(text + e, "0123456789");

		if (!digits || digits > 3 || text[e + digits])
			return -1;
		e += digits;
	}
	char number[64], *end;

	memcpy(number, text, e);
	number[e] = 0;
	double value = strtod(number, &end);

	if (*end)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
		if (!strcmp(text + e, suffixes[i].suffix))
			return value * suffixes[i].factor;
	return -1;
}

bool rule_host_port(const char *text, char ret_host[static 256], unsigned *ret_port)
{
	const char *end = text + strlen(text), *colon = strrchr(text, ':');
	uint64_t port = 0;
	struct ip_addr addr;
	bool bracket = *text == '[';

	if (colon && (strchr(text, ':') == colon || (bracket && colon[-1] == ']'))) {
		if (number_parse(colon + 1, 1, UINT16_MAX, &port) < 0)
			return false;
		end = colon;
	}
	size_t len = (size_t) (end - text);

	if (bracket && (len < 2 || text[len - 1] != ']'))
		return false;
	len -= bracket ? 2 : 0;
	if (!len || len > 255)
		return false;
	char host[256];

	memcpy(host, text + bracket, len);
	host[len] = 0;
	bool v6 = ip_addr_parse(host, &addr) == 0 && addr.family == AF_INET6;

	if (bracket ? !v6 : !v6 && !rule_dns_name(host))
		return false;
	memcpy(ret_host, host, len + 1);
	*ret_port = (unsigned) port;
	return true;
}

bool rule_is_pair(const char *text, const struct ip_prefix *v4, const struct ip_prefix *v6)
{
	char copy[2 * PREFIX_TEXT_MAX + 1];
	struct ip_prefix a, b;

	if (strlen(text) >= sizeof(copy))
		return false;
	(void) snprintf(copy, sizeof(copy), "%s", text);
	char *comma = strchr(copy, ',');

	if (!comma)
		return false;
	*comma++ = 0;
	return ip_prefix_parse(copy, &a) == 0 && ip_prefix_parse(comma, &b) == 0 &&
	       a.len == v4->len && ip_addr_equal(&a.addr, &v4->addr) && b.len == v6->len &&
	       ip_addr_equal(&b.addr, &v6->addr);
}

unsigned rule_bind_port(const json_t *owner)
{
	const json_t *port =
		json_object_get(json_object_get(owner, "localAPIEndpoint"), "bindPort");
	json_int_t n = json_integer_value(port);

	return n > 0 && n <= UINT16_MAX ? (unsigned) n : KUBEADM_API_PORT;
}

void rules_note(const struct rules *rules, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	(void) vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (rules->notes)
		json_array_append_new(rules->notes, json_string(text));
}
