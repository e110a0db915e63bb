/* The verbs that administer the mesh: tokens, nodes and relays, asked of hearth-coord. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/number.h"
#include "base/text.h"
#include "base/usage.h"
#include "cli/cli.h"
#include "wire/node-label.h"
#include "wire/node-name.h"

enum {
	OPT_ROLE = 256,
	OPT_NAME,
	OPT_TTL,
	OPT_REUSABLE,
	OPT_RELAY,
	OPT_REPLACE,
	OPT_TAG,
	OPT_LABEL
};

static const struct option token_options[] = {
	{ "role", required_argument, NULL, OPT_ROLE },
	{ "name", required_argument, NULL, OPT_NAME },
	{ "ttl", required_argument, NULL, OPT_TTL },
	{ "reusable", no_argument, NULL, OPT_REUSABLE },
	{ "relay", no_argument, NULL, OPT_RELAY },
	{ "replace", required_argument, NULL, OPT_REPLACE },
	{ "tag", required_argument, NULL, OPT_TAG },
	{ "label", required_argument, NULL, OPT_LABEL },
	{ 0 },
};

enum { TTL_MINUTES_MAX = 366 * 24 * 60 };

static int set_label(const char *verb, json_t *labels, const char *text)
{
	const char *eq = strchr(text, '=');
	char key[512];
	struct err err = { 0 };

	if (!eq || eq == text || (size_t) (eq - text) >= sizeof(key))
		return cli_fail(CLI_USAGE, "%s: a label is KEY=VALUE, not \"%.80s\"", verb, text);
	(void) snprintf(key, sizeof(key), "%.*s", (int) (eq - text), text);
	if (node_label_check(key, eq + 1, &err) < 0)
		return cli_fail(CLI_USAGE, "%s: %s", verb, err.text);
	return json_object_set_new(labels, key, json_string(eq + 1)) < 0
		       ? cli_fail(CLI_FAILED, "out of memory")
		       : 0;
}

/* What needs no coordinator to be seen. */
static int check_role(const char *text)
{
	static const char *const names[] = { "control-plane", "worker", "member", NULL };
	enum node_role role;
	const char *near = usage_nearest(text, names);

	if (node_role_parse(text, &role) == 0)
		return 0;
	return cli_fail(CLI_USAGE,
		near ? "token create: --role takes control-plane, worker or member, not \"%.40s\"; "
		       "did you mean %s?"
		     : "token create: --role takes control-plane, worker or member, not \"%.40s\"",
		text, near);
}

static int check_name(const char *verb, const char *text)
{
	char name[NODE_NAME_MAX];
	struct err err = { 0 };

	return node_name_choose(text, name, &err) < 0
		       ? cli_fail(CLI_USAGE, "%s: %s", verb, err.text)
		       : 0;
}

static int check_tag(const char *text)
{
	return field_name_is_valid(text) ? 0
					 : cli_fail(CLI_USAGE,
						   "token create: --tag takes 1 to 63 of a-z, 0-9 "
						   "and hyphens inside, not \"%.80s\"",
						   text);
}

static int set_text(json_t *args, const char *key, const char *text)
{
	return json_object_set_new(args, key, json_string(text)) < 0
		       ? cli_fail(CLI_USAGE, "token create: --%s is not valid text", key)
		       : 0;
}

/* One option into @args. 0 or an exit status. */
static int token_option(int c, json_t *args)
{
	uint64_t minutes;
	int r = 0;

	switch (c) {
	case OPT_ROLE:
		r = check_role(optarg);
		return r ? r : set_text(args, "role", optarg);
	case OPT_NAME:
		r = check_name("token create", optarg);
		return r ? r : set_text(args, "name", optarg);
	case OPT_REPLACE:
		return set_text(args, "replace", optarg);
	case OPT_REUSABLE:
		(void) json_object_set_new(args, "reusable", json_true());
		return 0;
	case OPT_RELAY:
		(void) json_object_set_new(args, "relay", json_true());
		return 0;
	case OPT_TTL:
		if (number_parse(optarg, 1, TTL_MINUTES_MAX, &minutes) < 0)
			return cli_fail(CLI_USAGE,
				"token create: --ttl takes minutes, from 1 to %d, not \"%.40s\"",
				TTL_MINUTES_MAX, optarg);
		(void) json_object_set_new(args, "ttl_s", json_integer((json_int_t) minutes * 60));
		return 0;
	case OPT_TAG:
		r = check_tag(optarg);
		if (r == 0)
			(void) json_array_append_new(
				json_object_get(args, "tags"), json_string(optarg));
		return r;
	default:
		return set_label("token create", json_object_get(args, "labels"), optarg);
	}
}

int cli_token_create(const struct cli_verb *verb, int argc, char **argv)
{
	struct cli_options o = { .verb = verb };
	CLEANUP_JSON json_t *args = json_pack("{s:[], s:{}}", "tags", "labels");

	if (!args)
		return cli_fail(CLI_FAILED, "out of memory");
	for (int c; (c = cli_getopt(&o, argc, argv, token_options)) != -1;) {
		if (c < 256)
			return c == 'h' ? CLI_DONE : CLI_USAGE;
		int r = token_option(c, args);

		if (r)
			return r;
	}
	if (optind < argc)
		return cli_fail(CLI_USAGE,
			"token create: what is \"%.40s\"? "
			"There are options only; did you mean --name %.40s?",
			argv[optind], argv[optind]);
	CLEANUP_JSON json_t *reply = NULL;
	int r = cli_call(CLI_COORDINATOR, "token.create", TAKE(args), &reply);

	if (r)
		return r;
	if (o.json)
		return cli_print_json(reply);
	char text[32];
	uint64_t now = clock_wall_us() / USEC_PER_SEC, expires = cli_u64(reply, "expires");

	fprintf(stderr,
		"Token %s for %s %s, good for %s. "
		"On the board: sudo enroll-node, and paste it when asked.\n",
		cli_str(reply, "id"),
		json_is_true(json_object_get(reply, "reusable")) ? "any number of boards as"
								 : "one",
		cli_str(reply, "role"), cli_ago(now, expires, text));
	puts(cli_str(reply, "token"));
	return CLI_DONE;
}

static void print_tokens(const json_t *tokens)
{
	CLEANUP_CLI_TABLE struct cli_table t = { 0 };
	static const char *const head[] = { "ID", "ROLE", "NAME", "STATE", "EXPIRES", "USED BY" };
	uint64_t now = clock_wall_us() / USEC_PER_SEC;

	cli_table_head(&t, head, ARRAY_LEN(head));
	size_t i;
	json_t *token;

	json_array_foreach((json_t *) tokens, i, token)
	{
		CLEANUP_BUF struct buf used = { 0 };
		char text[32], expires[48], role[64];
		uint64_t when = cli_u64(token, "expires");
		const char *ago = when > now ? cli_ago(now, when, text) : cli_ago(when, now, text);

		(void) snprintf(expires, sizeof(expires), when > now ? "in %s" : "%s ago", ago);
		(void) snprintf(role, sizeof(role), "%s%s", cli_str(token, "role"),
			json_is_true(json_object_get(token, "relay")) ? ", relay" : "");
		cli_table_add(&t, cli_str(token, "id"));
		cli_table_add(&t, role);
		cli_table_add(&t, *cli_str(token, "replace") ? cli_str(token, "replace")
							     : cli_str(token, "name"));
		cli_table_add(&t, cli_str(token, "state"));
		cli_table_add(&t, expires);
		cli_table_add(&t, cli_join(json_object_get(token, "used_by"), &used));
	}
	cli_table_print(&t);
}

/* "key=value key=value" */
static const char *label_text(const json_t *labels, struct buf *buf)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *) labels, key, value)
	{
		char shown[512];

		(void) text_clean(key, strlen(key), TEXT_LINE, shown, sizeof(shown));
		buf_printf(buf, "%s%s=%s", buf->len ? " " : "", shown, cli_text(value, "?"));
	}
	return buf_str(buf);
}

static void print_nodes(const json_t *nodes)
{
	CLEANUP_CLI_TABLE struct cli_table t = { 0 };
	static const char *const head[] = { "ID", "NAME", "ROLE", "IPV4", "IPV6", "PODS",
		"COORDINATOR SEES" };
	uint64_t now = clock_wall_us() / USEC_PER_SEC;

	cli_table_head(&t, head, ARRAY_LEN(head));
	size_t i;
	json_t *node;

	json_array_foreach((json_t *) nodes, i, node)
	{
		char id[24], text[32], seen[48];

		(void) snprintf(id, sizeof(id), "%llu", (unsigned long long) cli_u64(node, "id"));
		(void) snprintf(seen, sizeof(seen), "%s%s",
			cli_ago(cli_u64(node, "last_seen"), now, text),
			cli_u64(node, "last_seen") ? " ago" : "");
		cli_table_add(&t, id);
		cli_table_add(&t, cli_str(node, "name"));
		cli_table_add(&t, cli_str(node, "role"));
		cli_table_add(&t, cli_str(node, "mesh4"));
		cli_table_add(&t, cli_str(node, "mesh6"));
		cli_table_add(&t, cli_str(node, "pods4"));
		cli_table_add(
			&t, json_is_true(json_object_get(node, "connected")) ? "connected" : seen);
	}
	cli_table_print(&t);
}

/* A verb without operands that lists @field of the reply. */
static int list(const struct cli_verb *verb, const char *call, const char *field,
	void (*print)(const json_t *), int argc, char **argv)
{
	struct cli_options o = { .verb = verb };

	for (int c; (c = cli_getopt(&o, argc, argv, NULL)) != -1;)
		return c == 'h' ? CLI_DONE : CLI_USAGE;
	int r = cli_operands(&o, argc, argv, 0, 0);

	if (r)
		return r;
	CLEANUP_JSON json_t *reply = NULL;

	r = cli_call(CLI_COORDINATOR, call, NULL, &reply);
	if (r)
		return r;
	if (o.json)
		return cli_print_json(reply);
	print(json_object_get(reply, field));
	return CLI_DONE;
}

int cli_token_list(const struct cli_verb *verb, int argc, char **argv)
{
	return list(verb, "token.list", "tokens", print_tokens, argc, argv);
}

int cli_node_list(const struct cli_verb *verb, int argc, char **argv)
{
	return list(verb, "node.list", "nodes", print_nodes, argc, argv);
}

/*
 * A verb whose operands are the fields @first and @second (may be NULL) of the call. @say tells
 * what was done, of the reply; the operand @text may be anything that means the same.
 */
static int act(const struct cli_verb *verb, const char *call, const char *first, const char *second,
	void (*say)(const json_t *reply, const char *text), int argc, char **argv)
{
	struct cli_options o = { .verb = verb };

	for (int c; (c = cli_getopt(&o, argc, argv, NULL)) != -1;)
		return c == 'h' ? CLI_DONE : CLI_USAGE;
	int r = cli_operands(&o, argc, argv, second ? 2 : 1, second ? 2 : 1);

	if (r == 0 && second)
		r = check_name(verb->name, argv[optind + 1]);
	if (r)
		return r;
	json_t *args = json_pack("{s:s}", first, argv[optind]);

	if (!args ||
		(second && json_object_set_new(args, second, json_string(argv[optind + 1])) < 0)) {
		json_decref(args);
		return cli_fail(CLI_USAGE, "%s: the operands are not valid text", verb->name);
	}
	CLEANUP_JSON json_t *reply = NULL;

	r = cli_call(CLI_COORDINATOR, call, args, &reply);
	if (r)
		return r;
	if (o.json)
		return cli_print_json(reply);
	say(reply, argv[optind]);
	return CLI_DONE;
}

static void say_revoked(const json_t *reply, const char *text)
{
	fprintf(stderr, "%s is revoked: it lets nobody in any more\n", text);
}

int cli_token_revoke(const struct cli_verb *verb, int argc, char **argv)
{
	return act(verb, "token.revoke", "id", NULL, say_revoked, argc, argv);
}

static void say_removed(const json_t *reply, const char *text)
{
	fprintf(stderr,
		"%s (node %llu) is removed: its keys and addresses are never accepted again\n",
		cli_str(reply, "name"), (unsigned long long) cli_u64(reply, "id"));
}

int cli_node_remove(const struct cli_verb *verb, int argc, char **argv)
{
	return act(verb, "node.remove", "node", NULL, say_removed, argc, argv);
}

static void say_renamed(const json_t *reply, const char *text)
{
	fprintf(stderr,
		"%s is called %s now: addresses stay, and its kubeadm files follow. "
		"Is it part of the cluster already? A Node's name cannot be changed: "
		"rename the board back, or let it join anew (hearth(1) says how)\n",
		text, cli_str(reply, "name"));
}

int cli_node_rename(const struct cli_verb *verb, int argc, char **argv)
{
	return act(verb, "node.rename", "node", "name", say_renamed, argc, argv);
}

static void say_allowed(const json_t *reply, const char *text)
{
	const json_t *hosts = json_object_get(json_object_get(reply, "relay"), "hosts");
	CLEANUP_BUF struct buf buf = { 0 };

	if (json_is_true(json_object_get(reply, "changed")))
		fprintf(stderr, "%s is a relay from now on, found at %s\n", cli_str(reply, "name"),
			cli_join(hosts, &buf));
	else
		fprintf(stderr, "%s is a relay already; nothing was changed\n",
			cli_str(reply, "name"));
}

int cli_relay_allow(const struct cli_verb *verb, int argc, char **argv)
{
	return act(verb, "relay.allow", "node", NULL, say_allowed, argc, argv);
}

static void say_denied(const json_t *reply, const char *text)
{
	fprintf(stderr,
		json_is_true(json_object_get(reply, "changed"))
			? "%s is no relay, and may not be one unless it asks anew and you say "
			  "yes. That it does not ask: sudo hearth relay disable, on it\n"
			: "%s is no relay, and does not ask to be one; nothing was changed\n",
		cli_str(reply, "name"));
}

int cli_relay_deny(const struct cli_verb *verb, int argc, char **argv)
{
	return act(verb, "relay.deny", "node", NULL, say_denied, argc, argv);
}

/* KEY=VALUE sets one, KEY- takes one away, as kubectl has it. */
static int add_change(json_t *args, const char *text)
{
	size_t len = strlen(text);

	if (strchr(text, '=') || len < 2 || text[len - 1] != '-')
		return set_label("node label", json_object_get(args, "set"), text);
	return json_array_append_new(json_object_get(args, "remove"), json_stringn(text, len - 1)) <
			       0
		       ? cli_fail(CLI_USAGE, "node label: \"%.80s\" is not valid text", text)
		       : 0;
}

/* kubelet takes labels when it registers, and not again. */
static void say_labelled(const json_t *reply, char **changes, int n)
{
	CLEANUP_BUF struct buf labels = { 0 };
	const char *name = cli_str(reply, "name");

	if (!json_is_true(json_object_get(reply, "changed"))) {
		fprintf(stderr, "%s has these labels already; nothing was changed\n", name);
	} else {
		fprintf(stderr,
			"%s: labels changed, and on their way into its kubeadm files. Is it part "
			"of the cluster already? Then also: kubectl label --overwrite node %s",
			name, name);
		for (int i = 0; i < n; i++)
			fprintf(stderr, " %s", changes[i]);
		fputc('\n', stderr);
	}
	printf("%s\n", label_text(json_object_get(reply, "labels"), &labels));
}

int cli_node_label(const struct cli_verb *verb, int argc, char **argv)
{
	struct cli_options o = { .verb = verb };

	for (int c; (c = cli_getopt(&o, argc, argv, NULL)) != -1;)
		return c == 'h' ? CLI_DONE : CLI_USAGE;
	int r = cli_operands(&o, argc, argv, 2, 1 + NODE_LABELS_MAX);

	if (r)
		return r;
	CLEANUP_JSON json_t *args =
		json_pack("{s:s, s:{}, s:[]}", "node", argv[optind], "set", "remove");

	if (!args)
		return cli_fail(CLI_USAGE, "node label: the name is not valid text");
	for (int i = optind + 1; r == 0 && i < argc; i++)
		r = add_change(args, argv[i]);
	if (r)
		return r;
	CLEANUP_JSON json_t *reply = NULL;

	r = cli_call(CLI_COORDINATOR, "node.label", TAKE(args), &reply);
	if (r)
		return r;
	if (o.json)
		return cli_print_json(reply);
	say_labelled(reply, argv + optind + 1, argc - optind - 1);
	return CLI_DONE;
}
