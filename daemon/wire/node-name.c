/* node-name: see node-name.h. */
#include "wire/node-name.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/number.h"

/* As much of a wrong name as a person needs to see it again. */
enum { SHOWN_MAX = 80 };

struct reserved {
	const char *name, *why;
};

static const char means_itself[] = "on every machine it means that machine itself";
static const char special[] = "RFC 6761 gives it a meaning of its own";
static const char of_the_mesh[] = "the mesh uses it for a service of its own";
static const char of_the_network[] = "other programs look for a service under it";

static const struct reserved reserved[] = {
	{ "localhost", means_itself },
	{ "localhost4", means_itself },
	{ "localhost6", means_itself },
	{ "localdomain", means_itself },
	{ "ip6-localhost", means_itself }, /* these six: Debian's /etc/hosts */
	{ "ip6-loopback", means_itself },
	{ "ip6-localnet", means_itself },
	{ "ip6-mcastprefix", means_itself },
	{ "ip6-allnodes", means_itself },
	{ "ip6-allrouters", means_itself },
	{ "broadcasthost", means_itself },
	{ "test", special },
	{ "example", special },
	{ "invalid", special },
	{ "local", special }, /* RFC 6762 */
	{ "onion", special }, /* RFC 7686 */
	{ "alt", special },   /* RFC 9476 */
	{ "arpa", special },
	{ "internal", special }, /* ICANN, 2024: and the end of our own names */
	{ "api", of_the_mesh },
	{ "dns", of_the_mesh },
	{ "relay", of_the_mesh },
	{ "coordinator", of_the_mesh },
	{ "gateway", of_the_mesh },
	{ "kubernetes", of_the_mesh },
	{ "wpad", of_the_network },
	{ "isatap", of_the_network },
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return c >= 'a' && c <= 'z';
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char) (c + ('a' - 'A')) : c;
}

static const struct reserved *find_reserved(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
		if (!strcmp(name, reserved[i].name))
			return &reserved[i];
	return NULL;
}

/* What inet_aton(3), and with it ping and ssh, takes for an IPv4 address: 7, 0x1f. */
static bool is_number(const char *name)
{
	size_t len = strlen(name);

	if (len > 2 && name[0] == '0' && name[1] == 'x')
		return strspn(name + 2, "0123456789abcdef") == len - 2;
	return strspn(name, "0123456789") == len;
}

/* RFC 5890, section 2.3.1: "xn--..." and its like are encodings of something else. */
static bool is_encoded(const char *name)
{
	return strlen(name) >= 4 && name[2] == '-' && name[3] == '-';
}

/* Why the canonical @name cannot be chosen, NULL if it can. */
static const char *objection(const char *name)
{
	const struct reserved *r = find_reserved(name);

	if (strlen(name) >= NODE_NAME_MAX)
		return "it is longer than 63 characters";
	if (!field_name_is_valid(name))
		return "a name is made of a-z, 0-9 and hyphens, which are not at its ends";
	if (r)
		return r->why;
	if (is_number(name))
		return "a number would be taken for an address";
	if (is_encoded(name))
		return "two hyphens in the third and fourth place mark an encoded name (RFC 5890)";
	return NULL;
}

/* @text in lower case, as far as a name can be long; the objection to it. */
static const char *canonical(const char *text, char ret[static NODE_NAME_MAX + 1])
{
	size_t len = strnlen(text, NODE_NAME_MAX);

	for (size_t i = 0; i < len; i++)
		ret[i] = lower(text[i]);
	ret[len] = 0;
	return objection(ret);
}

/* --- the nearest one --- */

/* U+00C0 to U+017F without their accents; German and Nordic letters as they are spelt without. */
static const char latin[][3] = { "a", "a", "a", "a", "ae", "a", "ae", "c", "e", "e", "e", "e", "i",
	"i", "i", "i", "d", "n", "o", "o", "o", "o", "oe", "", "o", "u", "u", "u", "ue", "y", "th",
	"ss", "a", "a", "a", "a", "ae", "a", "ae", "c", "e", "e", "e", "e", "i", "i", "i", "i", "d",
	"n", "o", "o", "o", "o", "oe", "", "o", "u", "u", "u", "ue", "y", "th", "y", "a", "a", "a",
	"a", "a", "a", "c", "c", "c", "c", "c", "c", "c", "c", "d", "d", "d", "d", "e", "e", "e",
	"e", "e", "e", "e", "e", "e", "e", "g", "g", "g", "g", "g", "g", "g", "g", "h", "h", "h",
	"h", "i", "i", "i", "i", "i", "i", "i", "i", "i", "i", "ij", "ij", "j", "j", "k", "k", "k",
	"l", "l", "l", "l", "l", "l", "l", "l", "l", "l", "n", "n", "n", "n", "n", "n", "n", "n",
	"n", "o", "o", "o", "o", "o", "o", "oe", "oe", "r", "r", "r", "r", "r", "r", "s", "s", "s",
	"s", "s", "s", "s", "s", "t", "t", "t", "t", "t", "t", "u", "u", "u", "u", "u", "u", "u",
	"u", "u", "u", "u", "u", "w", "w", "y", "y", "y", "z", "z", "z", "z", "z", "z", "s" };

/*
 * Appends what the character at @p becomes to the @len bytes of @ret and returns how long it is. A
 * hyphen for what has no letter; nothing for an apostrophe and for a combining accent (U+0300 to
 * U+036F).
 */
static size_t spell(const char *p, char *ret, size_t *len)
{
	unsigned char c = (unsigned char) p[0], next = c ? (unsigned char) p[1] : 0;
	const char *as = "-";
	char one[2] = { lower(p[0]), 0 };
	size_t used = 1;

	if (is_letter(one[0]) || is_digit(one[0])) {
		as = one;
	} else if (c >= 0xc3 && c <= 0xc5 && (next & 0xc0) == 0x80) {
		as = latin[((c & 0x1fU) << 6 | (next & 0x3fU)) - 0xc0];
		used = 2;
	} else if (c == '\'' || (c == 0xcc && (next & 0xc0) == 0x80) ||
		   (c == 0xcd && next >= 0x80 && next <= 0xaf)) {
		as = "";
		used = c == '\'' ? 1 : 2;
	} else if (!strncmp(p, "\xe2\x80\x99", 3)) { /* the typographer's apostrophe */
		as = "";
		used = 3;
	}
	if (*as == '-' && (!*len || ret[*len - 1] == '-'))
		as = ""; /* one hyphen is enough, and none in front */
	while (*as && *len < NODE_NAME_MAX - 1)
		ret[(*len)++] = *as++;
	return used;
}

static bool looks_like_an_address(const char *text)
{
	struct ip_addr addr;

	return ip_addr_parse(text, &addr) == 0 || strspn(text, "0123456789.") == strlen(text);
}

/* A number gets a word before it, a reserved name a number behind it, as people do themselves. */
static bool amend(char name[static NODE_NAME_MAX])
{
	char amended[NODE_NAME_MAX + 8];
	const struct reserved *r = find_reserved(name);

	if (!objection(name))
		return true;
	if (r && r->why == means_itself)
		return false; /* nobody gave it this name */
	(void) snprintf(amended, sizeof(amended), r ? "%s-1" : "board-%s", name);
	if (!name[0] || objection(amended))
		return false;
	memcpy(name, amended, strlen(amended) + 1);
	return true;
}

bool node_name_suggest(const char *text, char ret[static NODE_NAME_MAX])
{
	char name[NODE_NAME_MAX + 1];
	bool whole = looks_like_an_address(text);
	size_t len = 0;

	if (!canonical(text, name)) {
		memcpy(ret, name, NODE_NAME_MAX);
		return true;
	}
	for (const char *p = text + strspn(text, ". \t"); *p && (whole || *p != '.');)
		p += spell(p, name, &len);
	while (len && name[len - 1] == '-')
		len--;
	name[len] = 0;
	if (!amend(name))
		return false;
	memcpy(ret, name, NODE_NAME_MAX);
	return true;
}

/* --- choosing --- */

/* @text as a terminal can show it, at most SHOWN_MAX bytes of it. */
static const char *shown(const char *text, char ret[static SHOWN_MAX + 4])
{
	size_t len = strlen(text), n = len < SHOWN_MAX ? len : SHOWN_MAX;

	while (n < len && n && ((unsigned char) text[n] & 0xc0) == 0x80)
		n--; /* not in the middle of a character */
	for (size_t i = 0; i < n; i++)
		ret[i] = (unsigned char) text[i] < 0x20 || text[i] == 0x7f ? '?' : text[i];
	memcpy(ret + n, n < len ? "..." : "", n < len ? 4 : 1);
	return ret;
}

int node_name_choose(const char *text, char ret[static NODE_NAME_MAX], struct err *err)
{
	char name[NODE_NAME_MAX + 1], near[NODE_NAME_MAX], seen[SHOWN_MAX + 4];
	const char *why = canonical(text, name);

	if (!why) {
		memcpy(ret, name, NODE_NAME_MAX);
		return 0;
	}
	if (!*text)
		return err_set(err, -EINVAL, "a board needs a name");
	if (node_name_suggest(text, near))
		return err_set(err, -EINVAL, "\"%s\" cannot be a board's name: %s; \"%s\" would do",
			shown(text, seen), why, near);
	return err_set(err, -EINVAL, "\"%s\" cannot be a board's name: %s", shown(text, seen), why);
}

/* --- meaning --- */

/* How much of @text is left without the mesh's domain and a dot at the end. */
static size_t without_domain(const char *text, const char *mesh)
{
	char domain[FIELD_NAME_MAX + 16];
	size_t len = strlen(text), n;

	if (len > 1 && text[len - 1] == '.')
		len--;
	if (!mesh)
		return len;
	n = (size_t) snprintf(domain, sizeof(domain), ".%s.internal", mesh);
	return len > n && !strncasecmp(text + len - n, domain, n) ? len - n : len;
}

void node_meant_parse(const char *text, const char *mesh, struct node_meant *ret)
{
	struct node_meant meant = { 0 };
	size_t len = without_domain(text, mesh);
	uint64_t id;

	*ret = meant;
	if (ip_addr_parse(text, &ret->addr) == 0 || len >= sizeof(meant.name))
		return;
	for (size_t i = 0; i < len; i++)
		meant.name[i] = lower(text[i]);
	if (number_parse(meant.name, 1, NODE_ID_MAX, &id) == 0)
		meant.id = (uint32_t) id;
	*ret = meant;
}

int node_meant_fits(const struct node_meant *meant, const struct node *node)
{
	const struct ip_addr *addr = &meant->addr;

	if (addr->family &&
		(ip_addr_equal(addr, &node->mesh4) || ip_addr_equal(addr, &node->mesh6) ||
			(node_has_pods(node) && (ip_prefix_contains(&node->pods4, addr) ||
							ip_prefix_contains(&node->pods6, addr)))))
		return 2;
	if (meant->name[0] && !strcmp(meant->name, node->name))
		return 2;
	return meant->id && meant->id == node->id;
}
