/* The verbs that ask hearthd: status, ip, reload. Ping and why have files of their own. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "board/config.h"
#include "board/refused.h"
#include "cli/cli.h"
#include "wire/node-name.h"
#include "wire/pass.h"

static uint64_t wall_s(void)
{
	return clock_wall_us() / USEC_PER_SEC;
}

/* "tcp" is what needs a word: it is slower, and means that no UDP gets out. */
static bool is_tcp(const json_t *obj, const char *key)
{
	return !strcmp(cli_str(obj, key), "tcp");
}

/* "direct 192.0.2.7:41741", "relayed by vps (TCP)", "connecting" */
static void add_way(const json_t *peer, struct buf *ret)
{
	const char *state = cli_str(peer, "state"), *relay = cli_str(peer, "relay");

	buf_add_str(ret, state);
	if (!strcmp(state, "direct") && *cli_str(peer, "endpoint"))
		buf_printf(ret, " %s", cli_str(peer, "endpoint"));
	else if (!strcmp(state, "relayed") && *relay)
		buf_printf(ret, " by %s%s", relay, is_tcp(peer, "relay_way") ? " (TCP)" : "");
}

static bool is_reached(const json_t *peer)
{
	const char *state = cli_str(peer, "state");

	return !strcmp(state, "direct") || !strcmp(state, "relayed");
}

static void add_peer(const json_t *peer, bool verbose, struct cli_table *t)
{
	CLEANUP_BUF struct buf way = { 0 };
	uint64_t mtu = is_reached(peer) ? cli_u64(peer, "mtu") : 0;
	char text[32];

	add_way(peer, &way);
	cli_table_add(t, cli_str(peer, "name"));
	cli_table_add(t, cli_str(peer, "role"));
	cli_table_add(t, cli_str(peer, "mesh4"));
	cli_table_add(t, buf_str(&way));
	cli_table_add(t, cli_rtt(is_reached(peer) ? cli_u64(peer, "rtt_us") : 0, text));
	(void) snprintf(text, sizeof(text), "%llu", (unsigned long long) mtu);
	cli_table_add(t, mtu ? text : "");
	cli_table_add(t, cli_ago(cli_u64(peer, "last_handshake"), wall_s(), text));
	if (!verbose)
		return;
	cli_table_add(t, cli_bytes(cli_u64(peer, "rx_bytes"), text));
	cli_table_add(t, cli_bytes(cli_u64(peer, "tx_bytes"), text));
}

/* What was carried makes the lines too long for most. */
static void print_peers(const json_t *peers, bool verbose)
{
	CLEANUP_CLI_TABLE struct cli_table t = { 0 };
	static const char *const head[] = { "NAME", "ROLE", "ADDRESS", "WAY", "RTT", "MTU",
		"HANDSHAKE", "RECEIVED", "SENT" };
	size_t i;
	json_t *p;

	cli_table_head(&t, head, verbose ? ARRAY_LEN(head) : ARRAY_LEN(head) - 2);
	json_array_foreach(peers, i, p)
	{
		add_peer(p, verbose, &t);
	}
	cli_table_print(&t);
}

/* Whoever waits for a board wants to know why; what is just being tried needs no word. */
static void explain_silence(const json_t *peers)
{
	enum { PATIENCE_S = 120 };
	unsigned n = 0;
	size_t i;
	json_t *p;

	json_array_foreach(peers, i, p)
	{
		uint64_t s = cli_u64(p, "state_seconds");
		char ago[32];

		if (is_reached(p) || s < PATIENCE_S)
			continue;
		printf("%s%s (%s for %s)", n++ ? ", " : "\nNot heard from: ", cli_str(p, "name"),
			cli_str(p, "state"), cli_ago(1, 1 + s, ago));
	}
	if (n)
		printf("\nIt is off, or the two boards do not hear each other: "
		       "`hearth why PEER` says which.\n");
}

/* Told past hearthd, which may be the one who asked. */
static void print_refused(const struct refused *refused, FILE *to)
{
	char ago[32];

	if (refused->count)
		fprintf(to,
			"refused      root refused %llu request%s since this board booted "
			"that nothing of Hearth's makes, the last %s ago by user %u: %s: %s. "
			"Somebody may have taken over the programs of that user: "
			"journalctl -u hearth-helper\n",
			(unsigned long long) refused->count, refused->count == 1 ? "" : "s",
			cli_ago(refused->at, wall_s(), ago), (unsigned) refused->uid, refused->call,
			refused->why);
}

/* "connected by relay vps (203.0.113.5)" */
static void print_connection(const json_t *coord)
{
	const char *url = cli_str(coord, "url"), *relay = cli_str(coord, "relay"), *host;
	uint16_t port;

	if (pass_url_is_relayed(url, &host, &port))
		printf("coordinator  connected by relay %s%s%s%s\n", relay, *relay ? " (" : "",
			host, *relay ? ")" : "");
	else
		printf("coordinator  connected to %s%s\n", url,
			json_is_true(json_object_get(coord, "by_hand")) ? " (set by hand)" : "");
}

static void print_status(const json_t *status, const struct refused *refused, bool verbose)
{
	const json_t *node = json_object_get(status, "node"),
		     *coord = json_object_get(status, "coordinator"),
		     *log = json_object_get(status, "log"),
		     *peers = json_object_get(status, "peers");
	char ago[32];

	printf("%s  %s in mesh %s  %s  %s\n", cli_str(node, "name"), cli_str(node, "role"),
		cli_str(status, "mesh"), cli_str(node, "mesh4"), cli_str(node, "mesh6"));
	printf("interface    %s, MTU %llu, UDP port %llu\n", cli_str(status, "interface"),
		(unsigned long long) cli_u64(status, "mtu"),
		(unsigned long long) cli_u64(status, "port"));
	if (*cli_str(node, "pods4"))
		printf("pods         %s  %s\n", cli_str(node, "pods4"), cli_str(node, "pods6"));
	if (json_is_true(json_object_get(coord, "connected")))
		print_connection(coord);
	else
		printf("coordinator  not reached since %s%s%s "
		       "(the mesh goes on as it last knew it)\n",
			cli_u64(coord, "since") ? cli_ago(cli_u64(coord, "since"), wall_s(), ago)
						: "the start",
			*cli_str(coord, "error") ? ": " : "", cli_str(coord, "error"));
	printf("log          record %llu%s%s\n", (unsigned long long) cli_u64(log, "seq"),
		*cli_str(log, "problem") ? "; " : "", cli_str(log, "problem"));
	size_t i;
	json_t *problem;

	json_array_foreach(json_object_get(status, "problems"), i, problem)
		printf("problem      %s\n", cli_text(problem, ""));
	print_refused(refused, stdout);
	printf("\n");
	if (json_array_size(peers))
		print_peers(peers, verbose);
	else
		printf("No other board yet. On the coordinator: hearth token create\n");
	explain_silence(peers);
}

static void print_links(const json_t *links)
{
	CLEANUP_CLI_TABLE struct cli_table t = { 0 };
	static const char *const head[] = { "LINK", "VERDICT", "GUARDED", "ANNOUNCED", "WHY" };

	cli_table_head(&t, head, ARRAY_LEN(head));
	size_t i, k;
	json_t *link, *addr;

	json_array_foreach(links, i, link)
	{
		CLEANUP_BUF struct buf addrs = { 0 };

		json_array_foreach(json_object_get(link, "addresses"), k, addr)
			buf_printf(&addrs, "%s%s", k ? " " : "", cli_text(addr, "?"));
		cli_table_add(&t, cli_str(link, "name"));
		cli_table_add(&t, cli_str(link, "verdict"));
		cli_table_add(&t, json_is_true(json_object_get(link, "guarded")) ? "yes" : "no");
		cli_table_add(&t, buf_str(&addrs));
		cli_table_add(&t, cli_str(link, "why"));
	}
	printf("\n");
	cli_table_print(&t);
}

/* A line each: "port mapping (ipv4) at 192.168.1.1: 203.0.113.5:41741 by pcp". */
static void print_mappings(const json_t *mappings)
{
	size_t i;
	json_t *mapping;

	json_array_foreach(mappings, i, mapping)
	{
		const json_t *code = json_object_get(mapping, "code");
		bool there = json_is_string(json_object_get(mapping, "protocol"));

		printf("%sport mapping (%s)", i ? "" : "\n", cli_str(mapping, "family"));
		if (json_is_string(json_object_get(mapping, "gateway")))
			printf(" at %s", cli_str(mapping, "gateway"));
		printf(": ");
		if (there)
			printf("%s by %s%s\n", cli_str(mapping, "endpoint"),
				cli_str(mapping, "protocol"),
				json_is_true(json_object_get(mapping, "nested"))
					? ", behind another NAT"
					: "");
		else if (json_is_integer(code))
			printf("none, %s (%lld)\n", cli_str(mapping, "words"),
				(long long) json_integer_value(code));
		else
			printf("none, %s\n", cli_str(mapping, "words"));
	}
}

static void print_relays(const json_t *relays)
{
	CLEANUP_CLI_TABLE struct cli_table t = { 0 };
	static const char *const head[] = { "RELAY", "STATE", "HOME", "ROUND TRIP", "ENDPOINT",
		"WHY" };

	cli_table_head(&t, head, ARRAY_LEN(head));
	size_t i;
	json_t *relay;

	json_array_foreach(relays, i, relay)
	{
		char rtt[32];

		cli_table_add(&t, cli_str(relay, "name"));
		cli_table_add(&t, is_tcp(relay, "way") ? "bound (TCP)" : cli_str(relay, "state"));
		cli_table_add(&t, json_is_true(json_object_get(relay, "home")) ? "yes" : "no");
		cli_table_add(&t, cli_rtt(cli_u64(relay, "rtt_us"), rtt));
		cli_table_add(&t, cli_str(relay, "endpoint"));
		cli_table_add(&t, cli_str(relay, "problem"));
	}
	printf("\n");
	cli_table_print(&t);
}

static json_t *refused_json(const struct refused *refused)
{
	if (!refused->count)
		return json_null();
	return json_pack("{s:I, s:I, s:I, s:s, s:s}", "count", (json_int_t) refused->count, "at",
		(json_int_t) refused->at, "uid", (json_int_t) refused->uid, "call", refused->call,
		"why", refused->why);
}

int cli_status(const struct cli_verb *verb, int argc, char **argv)
{
	static const struct option options[] = { { "verbose", no_argument, NULL, 'v' }, { 0 } };
	struct cli_options o = { .verb = verb };
	bool verbose = false;

	for (int c; (c = cli_getopt(&o, argc, argv, options)) != -1;) {
		if (c != 'v')
			return c == 'h' ? CLI_DONE : CLI_USAGE;
		verbose = true;
	}
	int r = cli_operands(&o, argc, argv, 0, 0);

	if (r)
		return r;
	CLEANUP_JSON json_t *status = NULL;
	struct refused refused = { 0 };
	struct paths paths;

	paths_init(&paths);
	(void) refused_read(paths.run, &refused, NULL); /* none: nothing was */
	r = cli_call(CLI_HEARTHD, "status", NULL, &status);
	if (r) {
		print_refused(&refused, stderr);
		return r;
	}
	if (o.json) {
		(void) json_object_set_new(status, "refused", refused_json(&refused));
		return cli_print_json(status);
	}
	print_status(status, &refused, verbose);
	if (verbose)
		print_links(json_object_get(status, "links"));
	if (verbose)
		print_mappings(json_object_get(status, "port_mappings"));
	if (verbose && json_array_size(json_object_get(status, "relays")))
		print_relays(json_object_get(status, "relays"));
	return CLI_DONE;
}

static const struct option family_options[] = {
	{ "ipv4", no_argument, NULL, '4' },
	{ "ipv6", no_argument, NULL, '6' },
	{ 0 },
};

/* As much of a board as tells whether it is meant. */
static void read_node(const json_t *json, struct node *ret)
{
	*ret = (struct node){ .id = (uint32_t) cli_u64(json, "id") };
	(void) snprintf(ret->name, sizeof(ret->name), "%s", cli_str(json, "name"));
	(void) ip_addr_parse(cli_str(json, "mesh4"), &ret->mesh4);
	(void) ip_addr_parse(cli_str(json, "mesh6"), &ret->mesh6);
	(void) ip_prefix_parse(cli_str(json, "pods4"), &ret->pods4);
	(void) ip_prefix_parse(cli_str(json, "pods6"), &ret->pods6);
}

static void look_at(
	const json_t *json, const struct node_meant *meant, int *fits, const json_t **ret)
{
	struct node node;
	int n;

	read_node(json, &node);
	n = node_meant_fits(meant, &node);
	if (n > *fits) {
		*fits = n;
		*ret = json;
	}
}

static const json_t *find_node(const json_t *status, const char *text)
{
	const json_t *self = json_object_get(status, "node"), *found = NULL;
	struct node_meant meant;
	int fits = 0;
	size_t i;
	json_t *p;

	if (!text)
		return self;
	node_meant_parse(text, cli_str(status, "mesh"), &meant);
	look_at(self, &meant, &fits, &found);
	json_array_foreach(json_object_get(status, "peers"), i, p)
	{
		look_at(p, &meant, &fits, &found);
	}
	return found;
}

int cli_ip(const struct cli_verb *verb, int argc, char **argv)
{
	struct cli_options o = { .verb = verb };
	int family = 0;

	for (int c; (c = cli_getopt(&o, argc, argv, family_options)) != -1;) {
		if (c != '4' && c != '6')
			return c == 'h' ? CLI_DONE : CLI_USAGE;
		family = c - '0';
	}
	int r = cli_operands(&o, argc, argv, 0, 1);

	if (r)
		return r;
	const char *name = optind < argc ? argv[optind] : NULL;
	CLEANUP_JSON json_t *status = NULL;

	r = cli_call(CLI_HEARTHD, "status", NULL, &status);
	if (r)
		return r;
	const json_t *node = find_node(status, name);

	if (!node)
		return cli_fail(CLI_FAILED, "no board is \"%s\"; `hearth status` lists them", name);
	if (o.json) {
		CLEANUP_JSON json_t *out =
			json_pack("{s:s, s:s, s:s}", "name", cli_str(node, "name"), "mesh4",
				cli_str(node, "mesh4"), "mesh6", cli_str(node, "mesh6"));

		return out ? cli_print_json(out) : cli_fail(CLI_FAILED, "out of memory");
	}
	if (family != 6)
		puts(cli_str(node, "mesh4"));
	if (family != 4)
		puts(cli_str(node, "mesh6"));
	return CLI_DONE;
}

int cli_reload(const struct cli_verb *verb, int argc, char **argv)
{
	struct cli_options o = { .verb = verb };

	for (int c; (c = cli_getopt(&o, argc, argv, NULL)) != -1;)
		return c == 'h' ? CLI_DONE : CLI_USAGE;
	int r = cli_operands(&o, argc, argv, 0, 0);

	if (r)
		return r;
	CLEANUP_JSON json_t *reply = NULL;

	return cli_call(CLI_HEARTHD, "reload", NULL, &reply);
}
