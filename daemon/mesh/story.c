/* story: see story.h. */
#include "mesh/story.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/encode.h"
#include "base/json.h"

/* What of a node's record other readers act upon, each told if it changed. */
struct teller {
	struct story *story;
	size_t len;
};

__attribute__((format(printf, 2, 3))) static void say(struct teller *t, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(t->story->text + t->len, sizeof(t->story->text) - t->len, format, ap);
	va_end(ap);
	if (n > 0)
		t->len += (size_t) n;
	if (t->len >= sizeof(t->story->text))
		t->len = sizeof(t->story->text) - 1;
}

const char *story_key(const uint8_t key[static NODE_KEY_LEN], char ret[static STORY_KEY_LEN])
{
	char text[KEY_BASE64_LEN];

	key_to_base64(key, text);
	(void) snprintf(ret, STORY_KEY_LEN, "%.*s", STORY_KEY_LEN - 1, text);
	return ret;
}

static void tell_key(struct teller *t, const char *what, const uint8_t *was, const uint8_t *is)
{
	char a[STORY_KEY_LEN], b[STORY_KEY_LEN];

	if (memcmp(was, is, NODE_KEY_LEN) != 0)
		say(t, "%s %s instead of %s", what, story_key(is, a), story_key(was, b));
}

/* Others trust it with whom they talk to and when, so that its keys are news, too. */
static void tell_relay(struct teller *t, const struct node_relay *was, const struct node_relay *is)
{
	if (!is->n_hosts) {
		say(t, " is no relay any more");
		return;
	}
	say(t, was->n_hosts ? " is found as a relay at" : " is a relay, at");
	for (size_t i = 0; i < is->n_hosts; i++)
		say(t, "%s %s", i ? "," : "", is->hosts[i]);
	say(t, ", TCP %u, UDP %u", is->tcp, is->udp);
	if (was->n_hosts && (memcmp(was->pin, is->pin, sizeof(is->pin)) != 0 ||
				    memcmp(was->key, is->key, sizeof(is->key)) != 0))
		say(t, ", with OTHER KEYS");
}

static void tell_new_node(struct teller *t, const struct node *node)
{
	char addr[IP_TEXT_MAX], key[STORY_KEY_LEN];

	say(t, "%s joins as node %u, %s, %s; identity %s", node->name, (unsigned) node->id,
		node_role_name(node->role), ip_addr_format(&node->mesh4, addr),
		story_key(node->identity, key));
	if (node->relay.n_hosts) {
		say(t, "; it");
		tell_relay(t, &(struct node_relay){ 0 }, &node->relay);
	}
}

static bool same_json(const json_t *a, const json_t *b)
{
	return a == b || json_equal(a, b) ||
	       (json_is_null(a) && !json_object_size(b) && !json_array_size(b));
}

static void tell_changes(struct teller *t, const struct node *was, const struct node *is)
{
	size_t begun;

	say(t, "%s (node %u)", was->name, (unsigned) is->id);
	begun = t->len;
	if (t->story->rekeys) {
		say(t, " is given OTHER KEYS: ");
		tell_key(t, "identity", was->identity, is->identity);
		if (memcmp(was->identity, is->identity, NODE_KEY_LEN) != 0 &&
			memcmp(was->wg, is->wg, NODE_KEY_LEN) != 0)
			say(t, ", ");
		tell_key(t, "WireGuard", was->wg, is->wg);
	}
	if (strcmp(was->name, is->name) != 0)
		say(t, "%s is called %s", t->len > begun ? ", and" : "", is->name);
	if (was->role != is->role)
		say(t, "%s is a %s", t->len > begun ? ", and" : "", node_role_name(is->role));
	if (!same_json(was->labels, is->labels))
		say(t, "%s has other labels", t->len > begun ? ", and" : "");
	if (!same_json(was->tags, is->tags))
		say(t, "%s has other tags", t->len > begun ? ", and" : "");
	if (!node_relay_equal(&was->relay, &is->relay)) {
		say(t, "%s", t->len > begun ? ", and" : "");
		tell_relay(t, &was->relay, &is->relay);
	}
	if (t->len == begun)
		say(t, " is written once more");
}

static void tell_node(struct teller *t, const struct netmap *before, const json_t *json)
{
	CLEANUP_NODE struct node node = { 0 };
	struct err err = { 0 };
	const struct node *was;

	if (node_from_json(json, &node, &err) < 0) {
		say(t, "a node that cannot be understood: %s", err.text);
		return;
	}
	was = netmap_by_id(before, node.id);
	t->story->id = node.id;
	memcpy(t->story->name, node.name, sizeof(node.name));
	t->story->rekeys = was && (memcmp(was->identity, node.identity, NODE_KEY_LEN) != 0 ||
					  memcmp(was->wg, node.wg, NODE_KEY_LEN) != 0);
	if (was)
		tell_changes(t, was, &node);
	else
		tell_new_node(t, &node);
}

static void tell_urls(struct teller *t, const struct settings *was, const struct settings *is)
{
	if (was->n_urls == is->n_urls && was->n_by_hand == is->n_by_hand &&
		!memcmp(was->urls, is->urls, sizeof(is->urls[0]) * is->n_urls))
		return;
	for (size_t i = 0; i < is->n_urls; i++)
		say(t, "%s %s%s", i ? "," : "; the coordinator is found at", is->urls[i],
			i < is->n_by_hand ? " (set by hand)" : "");
}

static bool same_stun(const struct settings *a, const struct settings *b)
{
	if (a->n_stun != b->n_stun)
		return false;
	for (size_t i = 0; i < a->n_stun; i++)
		if (!outside_equal(&a->stun[i], &b->stun[i]))
			return false;
	return true;
}

static bool same_relays(const struct settings *a, const struct settings *b)
{
	if (a->n_relays != b->n_relays)
		return false;
	for (size_t i = 0; i < a->n_relays; i++)
		if (!foreign_equal(&a->relays[i], &b->relays[i]))
			return false;
	return true;
}

/* Who sees the boards' packets, sealed as they are, and hears where they are. */
static void tell_servers(struct teller *t, const struct settings *was, const struct settings *is)
{
	char at[OUTSIDE_TEXT_MAX];

	if (!same_stun(was, is))
		say(t, "; STUN servers: %s", is->n_stun ? "" : "none");
	for (size_t i = 0; !same_stun(was, is) && i < is->n_stun; i++)
		say(t, "%s%s", i ? ", " : "", outside_format(&is->stun[i], at));
	if (!same_relays(was, is))
		say(t, "; foreign relays: %s", is->n_relays ? "" : "none");
	for (size_t i = 0; !same_relays(was, is) && i < is->n_relays; i++)
		say(t, "%s%s at %s", i ? ", " : "", is->relays[i].name,
			outside_format(&is->relays[i].at, at));
}

static void tell_settings(struct teller *t, const struct netmap *before, const json_t *json)
{
	CLEANUP_SETTINGS struct settings is = { 0 };
	const struct settings *was = netmap_settings(before);
	char range[PREFIX_TEXT_MAX], key[STORY_KEY_LEN];
	struct err err = { 0 };

	if (settings_from_json(json, &is, &err) < 0) {
		say(t, "settings that cannot be understood: %s", err.text);
		return;
	}
	if (!was) {
		say(t, "mesh %s, %s", is.mesh, ip_prefix_format(&is.mesh4, range));
		return;
	}
	say(t, "settings");
	if (was->n_pins != is.n_pins || memcmp(was->pins, is.pins, sizeof(is.pins[0]) * is.n_pins))
		for (size_t i = 0; i < is.n_pins; i++)
			say(t, "%s %s", i ? "," : ": the coordinator's TLS key is",
				story_key(is.pins[i], key));
	tell_urls(t, was, &is);
	if (is.n_coordinators && (was->n_coordinators != is.n_coordinators ||
					 was->coordinators[0].node != is.coordinators[0].node))
		say(t, "; it runs on node %u", (unsigned) is.coordinators[0].node);
	tell_servers(t, was, &is);
}

static void tell_signing_key(struct teller *t, const struct netmap *before, const json_t *json)
{
	struct record_key key;
	char text[STORY_KEY_LEN];

	if (record_key_from_json(json, &key, NULL) < 0)
		say(t, "a key that cannot be understood");
	else
		say(t, "the root key certifies %s signing key %s",
			netmap_seq(before) ? "another" : "the", story_key(key.key, text));
}

static void tell_tombstone(struct teller *t, const struct netmap *before, const json_t *json)
{
	struct tombstone tombstone;
	const struct node *was;

	if (tombstone_from_json(json, &tombstone, NULL) < 0) {
		say(t, "a tombstone that cannot be understood");
		return;
	}
	was = netmap_by_id(before, tombstone.id);
	t->story->id = tombstone.id;
	if (was)
		memcpy(t->story->name, was->name, sizeof(was->name));
	say(t, "%s%snode %u is removed: %s", was ? was->name : "", was ? ", " : "",
		(unsigned) tombstone.id, tombstone.reason);
}

void story_tell(const struct netmap *before, const struct record *record, struct story *ret)
{
	static const struct {
		const char *type;
		void (*tell)(struct teller *t, const struct netmap *before, const json_t *json);
	} types[] = {
		{ RECORD_TYPE_NODE, tell_node },
		{ RECORD_TYPE_SETTINGS, tell_settings },
		{ RECORD_TYPE_KEY, tell_signing_key },
		{ RECORD_TYPE_TOMBSTONE, tell_tombstone },
	};
	CLEANUP_JSON json_t *json = record_payload_json(record, NULL);
	struct teller t = { .story = ret };

	*ret = (struct story){ 0 };
	for (size_t i = 0; json && i < sizeof(types) / sizeof(types[0]); i++)
		if (!strcmp(record->type, types[i].type)) {
			types[i].tell(&t, before, json);
			return;
		}
	say(&t, "%s", json ? "not read by this version" : "its payload cannot be understood");
}
