/* settings: see settings.h. */
#include "wire/settings.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "wire/node.h"

#define BY_HAND "urls_by_hand"

enum { DNS_INDEX = 53, API_INDEX = 1, DNS_INDEX_SMALL = 2, RESERVED6_LEN = 112 };

/* The table of ranges: their field, family and the lengths allowed. */
static const struct {
	const char *field;
	size_t offset;
	uint8_t family, min, max;
} ranges[] = {
	{ "mesh4", offsetof(struct settings, mesh4), AF_INET, 8, 24 },
	{ "ula", offsetof(struct settings, ula), AF_INET6, 48, 48 },
	{ "mesh6", offsetof(struct settings, mesh6), AF_INET6, 64, 64 },
	{ "pods4", offsetof(struct settings, pods4), AF_INET, 8, 23 },
	{ "pods6", offsetof(struct settings, pods6), AF_INET6, 48, 63 },
	{ "services4", offsetof(struct settings, services4), AF_INET, 12, 28 },
	{ "services6", offsetof(struct settings, services6), AF_INET6, 108, 124 },
};

static const struct ip_prefix *range_at(const struct settings *settings, size_t i)
{
	return (const struct ip_prefix *) ((const char *) settings + ranges[i].offset);
}

void settings_done(struct settings *settings)
{
	json_decref(settings->origin);
	*settings = (struct settings){ 0 };
}

static uint64_t size_of(const struct ip_prefix *prefix)
{
	unsigned bits = ip_bits(prefix->addr.family) - prefix->len;

	return bits > 63 ? UINT64_MAX : UINT64_C(1) << bits;
}

struct ip_prefix settings_reserved4(const struct settings *settings)
{
	uint8_t len = settings->mesh4.len < 20 ? 24 : (uint8_t) (settings->mesh4.len + 4);
	struct ip_prefix block = { .len = len };

	(void) ip_prefix_subnet(
		&settings->mesh4, len, (UINT64_C(1) << (len - settings->mesh4.len)) - 1, &block);
	return block;
}

struct ip_prefix settings_reserved6(const struct settings *settings)
{
	struct ip_prefix block = { .len = RESERVED6_LEN };

	(void) ip_prefix_subnet(&settings->mesh6, RESERVED6_LEN, 0xffff, &block);
	return block;
}

void settings_set_virtual(struct settings *settings)
{
	struct ip_prefix four = settings_reserved4(settings), six = settings_reserved6(settings);
	uint64_t dns4 = size_of(&four) > DNS_INDEX + 1 ? DNS_INDEX : DNS_INDEX_SMALL;

	(void) ip_prefix_nth(&four, API_INDEX, &settings->api4);
	(void) ip_prefix_nth(&four, dns4, &settings->dns4);
	(void) ip_prefix_nth(&six, API_INDEX, &settings->api6);
	/* ::ffff:53 reads as the port; it is hexadecimal, as people write addresses. */
	(void) ip_prefix_nth(&six, 0x53, &settings->dns6);
}

int settings_check_ranges(const struct settings *settings, struct err *err)
{
	struct ip_prefix first;

	for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
		const struct ip_prefix *range = range_at(settings, i);

		if (range->addr.family != ranges[i].family)
			return err_set(err, -EINVAL, "field \"%s\" must be an IPv%d prefix",
				ranges[i].field, ranges[i].family == AF_INET ? 4 : 6);
		if (range->len < ranges[i].min || range->len > ranges[i].max) {
			if (ranges[i].min == ranges[i].max)
				return err_set(err, -EINVAL, "field \"%s\" must be a /%d",
					ranges[i].field, ranges[i].min);
			return err_set(err, -EINVAL, "field \"%s\" must be between a /%d and a /%d",
				ranges[i].field, ranges[i].min, ranges[i].max);
		}
	}
	if (settings->ula.addr.bytes[0] != 0xfd)
		return err_set(err, -EINVAL, "field \"ula\" must lie in fd00::/8");
	(void) ip_prefix_subnet(&settings->ula, 64, 0, &first);
	if (!ip_prefix_equal(&settings->mesh6, &first))
		return err_set(err, -EINVAL, "field \"mesh6\" must be the first /64 of \"ula\"");
	return 0;
}

static int check_virtual(const struct settings *settings, struct err *err)
{
	struct ip_prefix four = settings_reserved4(settings), six = settings_reserved6(settings);

	if (!ip_prefix_contains(&four, &settings->api4) ||
		!ip_prefix_contains(&four, &settings->dns4) ||
		!ip_prefix_contains(&six, &settings->api6) ||
		!ip_prefix_contains(&six, &settings->dns6) ||
		ip_addr_equal(&settings->api4, &settings->dns4) ||
		ip_addr_equal(&settings->api6, &settings->dns6))
		return err_set(err, -EINVAL,
			"field \"virtual\" must name four addresses of the reserved blocks");
	return 0;
}

static int read_ranges(const json_t *json, struct settings *settings, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
		struct ip_prefix *range =
			(struct ip_prefix *) ((char *) settings + ranges[i].offset);
		int r = field_get_prefix(json, ranges[i].field, ranges[i].family, range, err);

		if (r)
			return r;
	}
	return settings_check_ranges(settings, err);
}

/* Optional: meshes made before it have none. */
static int read_coordinators(const json_t *json, struct settings *settings, struct err *err)
{
	json_t *list;
	int r;

	if (!json_has(json, "coordinators"))
		return 0;
	r = json_get_array(json, "coordinators", SETTINGS_COORDINATORS_MAX, &list, err);
	for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
		struct settings_coordinator *c = &settings->coordinators[i];
		const json_t *entry = json_array_get(list, i);
		uint64_t node = 0, port = 0;

		if (!json_is_object(entry))
			return err_set(err, -EINVAL, "field \"coordinators\" must hold objects");
		if ((r = json_get_u64(entry, "node", NODE_ID_MAX, &node, err)) ||
			(r = json_get_u64(entry, "port", UINT16_MAX, &port, err)))
			return r;
		if (!node || !port)
			return err_set(err, -EINVAL,
				"field \"coordinators\" must name a node and a port above 0");
		*c = (struct settings_coordinator){ (uint32_t) node, (uint16_t) port };
		settings->n_coordinators++;
	}
	return r;
}

/* --- servers outside --- */

/* Whether @name is of @mesh: "home.internal" or what lies below it. */
static bool is_of_mesh(const char *name, const char *mesh)
{
	char domain[FIELD_NAME_MAX + sizeof(".internal")];
	size_t len = strlen(name);
	size_t n = (size_t) snprintf(domain, sizeof(domain), "%s.internal", mesh);

	return len >= n && !strcasecmp(name + len - n, domain) &&
	       (len == n || name[len - n - 1] == '.');
}

int settings_check_outside(const struct settings *settings, const char *host, struct err *err)
{
	struct ip_prefix inside[SETTINGS_RANGES];
	size_t n = settings_ranges(settings, inside);
	struct ip_addr addr;
	char text[PREFIX_TEXT_MAX];

	if (ip_addr_parse(host, &addr) < 0) {
		if (!is_of_mesh(host, settings->mesh))
			return 0;
		return err_set(err, -EINVAL,
			"%s is a name of this mesh, which boards find by way of the mesh only: "
			"name the machine as it is known outside of it",
			host);
	}
	addr = ip_addr_unmapped(&addr);
	for (size_t i = 0; i < n; i++)
		if (ip_prefix_contains(&inside[i], &addr))
			return err_set(err, -EINVAL,
				"%s lies in this mesh's own range %s, which boards reach by way of "
				"the mesh only: name the machine's address on its own network",
				host, ip_prefix_format(&inside[i], text));
	return 0;
}

int settings_read_stun(const json_t *obj, struct settings *settings, struct err *err)
{
	json_t *list = NULL;
	int r = json_has(obj, "stun") ? json_get_array(obj, "stun", SETTINGS_STUN_MAX, &list, err)
				      : 0;

	settings->n_stun = 0;
	for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i));
		struct outside *at = &settings->stun[i];

		if (!text || outside_parse(text, at) < 0)
			return err_set(err, -EINVAL, "field \"stun\" must be a list of HOST:PORT");
		for (size_t k = 0; k < i; k++)
			if (outside_equal(at, &settings->stun[k]))
				return err_set(err, -EINVAL, "%s is there twice", text);
		r = settings_check_outside(settings, at->host, err);
		settings->n_stun++;
	}
	return r;
}

int settings_read_relays(const json_t *obj, struct settings *settings, struct err *err)
{
	json_t *list = NULL;
	int r = json_has(obj, "relays")
			? json_get_array(obj, "relays", SETTINGS_RELAYS_MAX, &list, err)
			: 0;

	settings->n_relays = 0;
	for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
		struct foreign *f = &settings->relays[i];

		r = foreign_from_json(json_array_get(list, i), f, err);
		if (r)
			return err_prefix(err, "field \"relays\"");
		for (size_t k = 0; k < i; k++) {
			if (!strcmp(f->name, settings->relays[k].name))
				return err_set(err, -EINVAL,
					"two relays are called %s: name one otherwise", f->name);
			if (outside_equal(&f->at, &settings->relays[k].at))
				return err_set(err, -EINVAL, "the relay %s is there twice, as %s",
					f->name, settings->relays[k].name);
		}
		r = settings_check_outside(settings, f->at.host, err);
		settings->n_relays++;
	}
	return r;
}

/* --- the URLs that a person set --- */

/* Moves @url, if it is among the others, behind those that are by hand already. */
static void put_by_hand(struct settings *settings, const char *url)
{
	size_t to = settings->n_by_hand, at = to;

	while (at < settings->n_urls && strcmp(settings->urls[at], url) != 0)
		at++;
	if (at == settings->n_urls)
		return;
	memmove(settings->urls[to + 1], settings->urls[to], (at - to) * FIELD_URL_MAX);
	memcpy(settings->urls[to], url, strlen(url) + 1);
	settings->n_by_hand++;
}

/* Optional. What is no more among `urls` says nothing. */
static int read_urls(const json_t *json, struct settings *settings, struct err *err)
{
	char by_hand[FIELD_URLS_MAX][FIELD_URL_MAX];
	size_t n = 0;
	int r = field_get_urls(json, "urls", 1, settings->urls, &settings->n_urls, err);

	if (r == 0 && json_has(json, BY_HAND))
		r = field_get_urls(json, BY_HAND, 0, by_hand, &n, err);
	for (size_t i = 0; r == 0 && i < n; i++)
		put_by_hand(settings, by_hand[i]);
	return r;
}

static int read_fields(const json_t *json, struct settings *settings, struct err *err)
{
	json_t *virtual;
	int r;

	if ((r = field_get_name(json, "mesh", settings->mesh, err)) ||
		(r = read_ranges(json, settings, err)) || (r = read_urls(json, settings, err)) ||
		(r = read_coordinators(json, settings, err)) ||
		(r = field_get_keys(json, "pins", 1, FIELD_PINS_MAX, settings->pins,
			 &settings->n_pins, err)) ||
		(r = settings_read_stun(json, settings, err)) ||
		(r = settings_read_relays(json, settings, err)) ||
		(r = json_get_object(json, "virtual", &virtual, err)) ||
		(r = field_get_addr(virtual, "api4", AF_INET, &settings->api4, err)) ||
		(r = field_get_addr(virtual, "api6", AF_INET6, &settings->api6, err)) ||
		(r = field_get_addr(virtual, "dns4", AF_INET, &settings->dns4, err)) ||
		(r = field_get_addr(virtual, "dns6", AF_INET6, &settings->dns6, err)))
		return r;
	settings->has_next_pin = json_has(json, "next_pin");
	if (settings->has_next_pin &&
		(r = field_get_nonzero_key(json, "next_pin", settings->next_pin, err)))
		return r;
	return check_virtual(settings, err);
}

int settings_from_json(const json_t *json, struct settings *ret, struct err *err)
{
	CLEANUP_SETTINGS struct settings settings = { 0 };
	int r = field_refuse_missing(read_fields(json, &settings, err), err);

	if (r) {
		err_prefix(err, "settings");
		return r;
	}
	settings.origin = json_incref((json_t *) json);
	*ret = settings;
	settings = (struct settings){ 0 };
	return 0;
}

static json_t *virtual_to_json(const struct settings *settings)
{
	CLEANUP_JSON json_t *json = NULL;
	const json_t *origin = settings->origin;

	json = field_copy_origin(origin ? json_object_get(origin, "virtual") : NULL);
	int bad = json_object_set_new(json, "api4", field_addr(&settings->api4));

	bad |= json_object_set_new(json, "api6", field_addr(&settings->api6));
	bad |= json_object_set_new(json, "dns4", field_addr(&settings->dns4));
	bad |= json_object_set_new(json, "dns6", field_addr(&settings->dns6));
	return bad ? NULL : TAKE(json);
}

static json_t *coordinators_to_json(const struct settings *settings)
{
	const json_t *old =
		settings->origin ? json_object_get(settings->origin, "coordinators") : NULL;
	CLEANUP_JSON json_t *list = json_array();
	int bad = !list;

	for (size_t i = 0; !bad && i < settings->n_coordinators; i++) {
		const struct settings_coordinator *c = &settings->coordinators[i];
		const json_t *origin = json_array_get(old, i);
		bool same = json_integer_value(json_object_get(origin, "node")) == c->node;
		CLEANUP_JSON json_t *entry = field_copy_origin(same ? origin : NULL);

		bad |= json_object_set_new(entry, "node", json_integer(c->node));
		bad |= json_object_set_new(entry, "port", json_integer(c->port));
		bad |= json_array_append(list, entry);
	}
	return bad ? NULL : TAKE(list);
}

static json_t *stun_to_json(const struct settings *settings)
{
	CLEANUP_JSON json_t *list = json_array();
	int bad = !list;

	for (size_t i = 0; !bad && i < settings->n_stun; i++) {
		char text[OUTSIDE_TEXT_MAX];

		bad = json_array_append_new(
			list, json_string(outside_format(&settings->stun[i], text)));
	}
	return bad ? NULL : TAKE(list);
}

static const json_t *find_named(const json_t *list, const char *name)
{
	size_t i;
	json_t *entry;

	json_array_foreach((json_t *) list, i, entry)
	{
		const char *text = json_string_value(json_object_get(entry, "name"));

		if (text && !strcmp(text, name))
			return entry;
	}
	return NULL;
}

static json_t *relays_to_json(const struct settings *settings)
{
	const json_t *old = settings->origin ? json_object_get(settings->origin, "relays") : NULL;
	CLEANUP_JSON json_t *list = json_array();
	int bad = !list;

	for (size_t i = 0; !bad && i < settings->n_relays; i++) {
		const struct foreign *f = &settings->relays[i];

		bad = json_array_append_new(list, foreign_to_json(f, find_named(old, f->name)));
	}
	return bad ? NULL : TAKE(list);
}

json_t *settings_to_json(const struct settings *settings)
{
	CLEANUP_JSON json_t *json = field_copy_origin(settings->origin);
	int bad = json_object_set_new(json, "mesh", json_string(settings->mesh));

	for (size_t i = 0; i < ARRAY_LEN(ranges); i++)
		bad |= json_object_set_new(
			json, ranges[i].field, field_prefix(range_at(settings, i)));
	bad |= json_object_set_new(json, "urls", field_urls(settings->urls, settings->n_urls));
	if (settings->n_by_hand)
		bad |= json_object_set_new(
			json, BY_HAND, field_urls(settings->urls, settings->n_by_hand));
	else
		(void) json_object_del(json, BY_HAND); /* -1: has none */
	if (settings->n_coordinators || json_object_get(json, "coordinators"))
		bad |= json_object_set_new(json, "coordinators", coordinators_to_json(settings));
	bad |= json_object_set_new(json, "pins", field_keys(settings->pins, settings->n_pins));
	bad |= json_object_set_new(json, "next_pin",
		settings->has_next_pin ? field_key(settings->next_pin) : json_null());
	bad |= json_object_set_new(json, "relays", relays_to_json(settings));
	bad |= json_object_set_new(json, "stun", stun_to_json(settings));
	bad |= json_object_set_new(json, "virtual", virtual_to_json(settings));
	return bad ? NULL : TAKE(json);
}

void settings_copy(const struct settings *settings, struct settings *ret)
{
	*ret = *settings;
	json_incref(ret->origin);
}

size_t settings_ranges(
	const struct settings *settings, struct ip_prefix ret[static SETTINGS_RANGES])
{
	ret[0] = settings->mesh4;
	ret[1] = settings->mesh6;
	ret[2] = settings->pods4;
	ret[3] = settings->pods6;
	ret[4] = settings->services4;
	ret[5] = settings->services6;
	return SETTINGS_RANGES;
}

bool settings_same_ranges(const struct settings *a, const struct settings *b)
{
	for (size_t i = 0; i < ARRAY_LEN(ranges); i++)
		if (!ip_prefix_equal(range_at(a, i), range_at(b, i)))
			return false;
	return ip_addr_equal(&a->api4, &b->api4) && ip_addr_equal(&a->api6, &b->api6) &&
	       ip_addr_equal(&a->dns4, &b->dns4) && ip_addr_equal(&a->dns6, &b->dns6);
}
