/* why: see why.h. The fields are in tables, by what they are; reader and writer go through them. */
#include "wire/why.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "wire/fields.h"
#include "wire/node.h"

/* Numbers that come in 32 bits. A span is null where it is WHY_NEVER. */
static const struct {
	const char *key;
	size_t at;
	uint32_t max;
	bool span;
} numbers[] = {
#define AT(field) offsetof(struct why_facts, field)
	{ "node", AT(node), NODE_ID_MAX, false },
	{ "about", AT(about), NODE_ID_MAX, false },
	{ "relays", AT(relays), NODE_ID_MAX, false },
	{ "bound", AT(bound), NODE_ID_MAX, false },
	{ "relay", AT(relay), NODE_ID_MAX, false },
	{ "mtu", AT(mtu), UINT16_MAX, false },
	{ "knows", AT(knows), UINT16_MAX, false },
	{ "since_s", AT(since_s), WHY_NEVER - 1, true },
	{ "search_s", AT(search_s), WHY_NEVER - 1, true },
	{ "heard_s", AT(heard_s), WHY_NEVER - 1, true },
	{ "handshake_s", AT(handshake_s), WHY_NEVER - 1, true },
	{ "pong_s", AT(pong_s), WHY_NEVER - 1, true },
	{ "ping4_sent_s", AT(pings[WHY_IPV4].sent_s), WHY_NEVER - 1, true },
	{ "ping4_answered_s", AT(pings[WHY_IPV4].answered_s), WHY_NEVER - 1, true },
	{ "ping4_heard_s", AT(pings[WHY_IPV4].heard_s), WHY_NEVER - 1, true },
	{ "ping6_sent_s", AT(pings[WHY_IPV6].sent_s), WHY_NEVER - 1, true },
	{ "ping6_answered_s", AT(pings[WHY_IPV6].answered_s), WHY_NEVER - 1, true },
	{ "ping6_heard_s", AT(pings[WHY_IPV6].heard_s), WHY_NEVER - 1, true },
};

static const struct {
	const char *key;
	size_t at;
	uint64_t max;
} long_numbers[] = {
	{ "seq", AT(seq), INT64_MAX },
	{ "time_s", AT(time_s), INT64_MAX },
	{ "rtt_us", AT(rtt_us), INT64_MAX },
};

static const struct {
	const char *key;
	size_t at;
} bools[] = {
	{ "coordinator", AT(coordinator) },
	{ "proxy", AT(proxy) },
	{ "relay_tcp", AT(relay_tcp) },
	{ "absent", AT(absent) },
};

/* By the numbers of their enums, which are as wide as this. The first stands for later ones. */
typedef unsigned word;
static_assert(sizeof(enum why_way) == sizeof(word) && sizeof(enum why_known) == sizeof(word) &&
		      sizeof(enum why_portmap) == sizeof(word),
	"enums are read and written by way of unsigned");

static const char *const selves[] = { "up", "waiting", "removed", "replaced", NULL };
static const char *const ways[] = { "none", "direct", "relayed", NULL };
static const char *const knowns[] = { "unknown", "yes", "no", NULL };
static const char *const mappings[] = { "unknown", "none", "same", "counting", "random", NULL };
static const char *const filterings[] = { "unknown", "none", "address", "port", NULL };
static const char *const portmaps[] = { "unknown", "off", "none", "refused", "behind", "mapped",
	NULL };

static const struct {
	const char *key;
	size_t at;
	const char *const *names;
} words[] = {
	{ "self", AT(self), selves },
	{ "way", AT(way), ways },
	{ "udp4", AT(udp[WHY_IPV4]), knowns },
	{ "udp6", AT(udp[WHY_IPV6]), knowns },
	{ "mapping", AT(mapping), mappings },
	{ "filtering", AT(filtering), filterings },
	{ "portmap", AT(portmap), portmaps },
};
#undef AT

/* Where the field is that lies @at so many bytes. */
static void *field(struct why_facts *f, size_t at)
{
	return (char *) f + at;
}

static const void *field_of(const struct why_facts *f, size_t at)
{
	return (const char *) f + at;
}

/* --- reading --- */

static int read_numbers(const json_t *json, struct why_facts *f, struct err *err)
{
	uint64_t n;
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(numbers) && r == 0; i++) {
		uint32_t *to = field(f, numbers[i].at);

		if (numbers[i].span && !json_has(json, numbers[i].key)) {
			*to = WHY_NEVER;
			continue;
		}
		r = json_get_u64(json, numbers[i].key, numbers[i].max, &n, err);
		if (r == 0)
			*to = (uint32_t) n;
	}
	for (size_t i = 0; i < ARRAY_LEN(long_numbers) && r == 0; i++)
		r = json_get_u64(json, long_numbers[i].key, long_numbers[i].max,
			field(f, long_numbers[i].at), err);
	return r;
}

static int read_words(const json_t *json, struct why_facts *f, struct err *err)
{
	const char *text;
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(bools) && r == 0; i++)
		r = json_get_bool(json, bools[i].key, field(f, bools[i].at), err);
	for (size_t i = 0; i < ARRAY_LEN(words) && r == 0; i++) {
		const char *const *names = words[i].names;
		word *to = field(f, words[i].at);

		r = json_get_str(json, words[i].key, &text, err);
		for (word k = 0; r == 0 && names[k]; k++)
			if (!strcmp(text, names[k]))
				*to = k;
	}
	return r;
}

/* It is only shown and compared: nothing is sent there. */
static int read_endpoint(const json_t *json, const char *key, struct endpoint *ret, struct err *err)
{
	const char *text = json_string_value(json);
	char again[ENDPOINT_TEXT_MAX];
	struct endpoint endpoint;

	if (!text || endpoint_parse(text, &endpoint) < 0 ||
		strcmp(endpoint_format(&endpoint, again), text) != 0)
		return err_set(err, -EINVAL, "field \"%s\" must be an ADDRESS:PORT", key);
	*ret = endpoint;
	return 0;
}

static int read_endpoints(const json_t *json, const char *key, size_t max, struct endpoint *ret,
	size_t *ret_n, struct err *err)
{
	json_t *list;
	int r = json_get_array(json, key, max, &list, err);

	for (size_t i = 0; r == 0 && i < json_array_size(list); i++)
		r = read_endpoint(json_array_get(list, i), key, &ret[i], err);
	if (r == 0)
		*ret_n = json_array_size(list);
	return r;
}

static int read_all(const json_t *json, struct why_facts *f, struct err *err)
{
	int r = field_get_text(json, "version", sizeof(f->version), f->version, err);

	if (r == 0)
		r = read_numbers(json, f, err);
	if (r == 0)
		r = read_words(json, f, err);
	if (r == 0)
		r = read_endpoints(
			json, "addresses", PRESENCE_ENDPOINTS_MAX, f->addrs, &f->n_addrs, err);
	if (r == 0)
		r = read_endpoints(
			json, "outside", WHY_OUTSIDE_MAX, f->outside, &f->n_outside, err);
	if (r == 0 && json_has(json, "endpoint"))
		r = read_endpoint(json_object_get(json, "endpoint"), "endpoint", &f->to, err);
	if (r == 0 && json_has(json, "gateway"))
		r = json_get_addr(json, "gateway", AF_UNSPEC, &f->gateway, err);
	if (r == 0 && json_has(json, "portmap_by"))
		r = field_get_text(json, "portmap_by", sizeof(f->portmap_by), f->portmap_by, err);
	if (r == 0 && json_has(json, "router"))
		r = field_get_text(json, "router", sizeof(f->router), f->router, err);
	return r;
}

int why_facts_from_json(const json_t *json, struct why_facts *ret, struct err *err)
{
	struct why_facts facts = { 0 };
	int r = field_refuse_missing(read_all(json, &facts, err), err);

	if (r == 0 && (!facts.node || !facts.about || facts.node == facts.about))
		r = err_set(err, -EINVAL, "\"node\" and \"about\" must be two boards");
	if (r == 0)
		*ret = facts;
	return r;
}

/* --- writing --- */

static json_t *endpoint_json(const struct endpoint *endpoint)
{
	char text[ENDPOINT_TEXT_MAX];

	return endpoint->addr.family ? json_string(endpoint_format(endpoint, text)) : json_null();
}

static json_t *endpoints_json(const struct endpoint *list, size_t n)
{
	json_t *json = json_array();

	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(json, endpoint_json(&list[i])) < 0) {
			json_decref(json);
			return NULL;
		}
	return json;
}

static json_t *text_or_null(const char *text)
{
	return *text ? json_string(text) : json_null();
}

static int put_numbers(const struct why_facts *f, json_t *json)
{
	int bad = 0;

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		const uint32_t *n = field_of(f, numbers[i].at);

		bad |= json_object_set_new(json, numbers[i].key,
			numbers[i].span && *n == WHY_NEVER ? json_null() : json_integer(*n));
	}
	for (size_t i = 0; i < ARRAY_LEN(long_numbers); i++) {
		const uint64_t *n = field_of(f, long_numbers[i].at);

		bad |= json_object_set_new(
			json, long_numbers[i].key, json_integer((json_int_t) *n));
	}
	return bad;
}

static int put_words(const struct why_facts *f, json_t *json)
{
	int bad = 0;

	for (size_t i = 0; i < ARRAY_LEN(bools); i++) {
		const bool *yes = field_of(f, bools[i].at);

		bad |= json_object_set_new(json, bools[i].key, json_boolean(*yes));
	}
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		const word *k = field_of(f, words[i].at);

		bad |= json_object_set_new(json, words[i].key, json_string(words[i].names[*k]));
	}
	return bad;
}

json_t *why_facts_to_json(const struct why_facts *f)
{
	CLEANUP_JSON json_t *json = json_object();
	int bad = json ? put_numbers(f, json) | put_words(f, json) : -1;

	bad |= json_object_set_new(json, "version", json_string(f->version));
	bad |= json_object_set_new(json, "addresses", endpoints_json(f->addrs, f->n_addrs));
	bad |= json_object_set_new(json, "outside", endpoints_json(f->outside, f->n_outside));
	bad |= json_object_set_new(json, "endpoint", endpoint_json(&f->to));
	bad |= json_object_set_new(
		json, "gateway", f->gateway.family ? field_addr(&f->gateway) : json_null());
	bad |= json_object_set_new(json, "portmap_by", text_or_null(f->portmap_by));
	bad |= json_object_set_new(json, "router", text_or_null(f->router));
	return bad ? NULL : TAKE(json);
}
