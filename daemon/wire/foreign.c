/* foreign: see foreign.h. */
#include "wire/foreign.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/encode.h"
#include "base/number.h"
#include "base/usage.h"

static const char web[] = "web";

static int read_pin(const json_t *json, struct foreign *f, struct err *err)
{
	const char *text;
	int r = json_get_str(json, "pin", &text, err);

	if (r)
		return r;
	f->web = !strcmp(text, web);
	return f->web ? 0 : field_get_nonzero_key(json, "pin", f->pin, err);
}

int foreign_from_json(const json_t *json, struct foreign *ret, struct err *err)
{
	struct foreign f = { 0 };
	uint64_t tcp = 0, stun = 0;
	const char *host = NULL;
	int r;

	if (!json_is_object(json))
		return err_set(err, -EINVAL, "a relay must be an object");
	if ((r = field_get_name(json, "name", f.name, err)) ||
		(r = json_get_str(json, "host", &host, err)) ||
		(r = json_get_u64(json, "tcp", UINT16_MAX, &tcp, err)) ||
		(json_has(json, "stun") &&
			(r = json_get_u64(json, "stun", UINT16_MAX, &stun, err))) ||
		(r = read_pin(json, &f, err)))
		return field_refuse_missing(r, err);
	if (!outside_host_is_valid(host))
		return err_set(err, -EINVAL,
			"field \"host\" must be a name in lower case or an address that other "
			"machines can reach");
	if (!tcp)
		return err_set(err, -EINVAL, "field \"tcp\" must be a port above 0");
	(void) snprintf(f.at.host, sizeof(f.at.host), "%s", host);
	f.at.port = (uint16_t) tcp;
	f.stun = (uint16_t) stun;
	*ret = f;
	return 0;
}

json_t *foreign_to_json(const struct foreign *relay, const json_t *origin)
{
	CLEANUP_JSON json_t *json = field_copy_origin(origin);
	int bad = json_object_set_new(json, "name", json_string(relay->name));

	bad |= json_object_set_new(json, "host", json_string(relay->at.host));
	bad |= json_object_set_new(json, "tcp", json_integer(relay->at.port));
	if (relay->stun)
		bad |= json_object_set_new(json, "stun", json_integer(relay->stun));
	else
		(void) json_object_del(json, "stun"); /* -1: has none */
	bad |= json_object_set_new(
		json, "pin", relay->web ? json_string(web) : field_key(relay->pin));
	return bad ? NULL : TAKE(json);
}

bool foreign_equal(const struct foreign *a, const struct foreign *b)
{
	return !strcmp(a->name, b->name) && outside_equal(&a->at, &b->at) && a->stun == b->stun &&
	       a->web == b->web && !memcmp(a->pin, b->pin, sizeof(a->pin));
}

/* --- as a person writes it --- */

/* "derp1.example.org" is derp1, 192.0.2.1 is 192-0-2-1. */
static void name_by_host(struct foreign *f)
{
	struct ip_addr addr;
	bool whole = ip_addr_parse(f->at.host, &addr) == 0;
	const char *from = f->at.host + strspn(f->at.host, ":"); /* ::2 */
	size_t len = whole ? strlen(from) : strcspn(from, ".");

	memcpy(f->name, from, len);
	for (size_t i = 0; i < len; i++)
		if (f->name[i] == '.' || f->name[i] == ':')
			f->name[i] = '-';
	while (len && f->name[len - 1] == '-') /* 2001:db8:: */
		len--;
	f->name[len] = '\0';
}

static int set_name(struct foreign *f, const char *value, struct err *err)
{
	if (!field_name_is_valid(value))
		return err_set(err, -EINVAL,
			"name=%.80s: a name is made of a-z, 0-9 and hyphens, which are not at its "
			"ends, at most %d",
			value, FIELD_NAME_MAX - 1);
	(void) snprintf(f->name, sizeof(f->name), "%s", value);
	return 0;
}

static int set_stun(struct foreign *f, const char *value, struct err *err)
{
	uint64_t port = 0;

	if (strcmp(value, "none") != 0 && number_parse(value, 1, UINT16_MAX, &port) < 0)
		return err_set(err, -EINVAL,
			"stun=%.80s: write its UDP port for STUN, from 1 to 65535, or none", value);
	f->stun = (uint16_t) port;
	return 0;
}

static int set_pin(struct foreign *f, const char *value, struct err *err)
{
	static const char prefix[] = "sha256//"; /* as curl has it */
	size_t n = !strncmp(value, prefix, sizeof(prefix) - 1) ? sizeof(prefix) - 1 : 0;

	f->web = !strcmp(value, web);
	memset(f->pin, 0, sizeof(f->pin));
	if (f->web)
		return 0;
	if (key_from_base64(value + n, f->pin) < 0 || sodium_is_zero(f->pin, sizeof(f->pin)))
		return err_set(err, -EINVAL,
			"pin=%.80s: write web (its certificate is checked as browsers do) or the "
			"SHA-256 of its public key in base64, as curl's --pinnedpubkey",
			value);
	return 0;
}

static const struct {
	const char *name;
	int (*set)(struct foreign *f, const char *value, struct err *err);
} words[] = {
	{ "name", set_name },
	{ "stun", set_stun },
	{ "pin", set_pin },
};

/* "name=value" */
static int set_word(struct foreign *f, char *word, struct err *err)
{
	const char *names[ARRAY_LEN(words) + 1] = { NULL }, *near;
	char *value = strchr(word, '=');

	if (value)
		*value++ = '\0';
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		names[i] = words[i].name;
		if (!strcmp(word, words[i].name))
			return value ? words[i].set(f, value, err)
				     : err_set(err, -EINVAL, "%s wants a value: %s=...", word,
					       word);
	}
	near = usage_nearest(word, names);
	return err_set(err, -EINVAL,
		near ? "\"%.40s\" is nothing that is said of a relay; did you mean %s?"
		     : "\"%.40s\" is nothing that is said of a relay; there are name=, stun= and "
		       "pin=",
		word, near);
}

int foreign_choose(const char *text, struct foreign *ret, struct err *err)
{
	struct foreign f = { .stun = FOREIGN_STUN, .web = true };
	char copy[1024], *rest = copy;
	size_t len = strlen(text);
	int r;

	if (len >= sizeof(copy))
		return err_set(err, -EINVAL, "\"%.40s...\" is too long", text);
	memcpy(copy, text, len + 1);
	r = outside_choose(strsep(&rest, ","), FOREIGN_TCP, &f.at, err);
	if (r == 0)
		name_by_host(&f);
	while (r == 0 && rest)
		r = set_word(&f, strsep(&rest, ","), err);
	if (r == 0)
		*ret = f;
	return r;
}
