/* The verbs that ask hearthd: status, ping, ip, reload. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/number.h"
#include "board/config.h"
#include "board/refused.h"
#include "cli/cli.h"
#include "wire/node-name.h"
#include "wire/pass.h"

enum { PINGS_MAX = 100000 };

static uint64_t wall_s(void)
{
	return clock_wall_us() / USEC_PER_SEC;
}

/* "tcp" is what needs a word: it is slower, and means that no UDP gets out. */
static bool is_tcp(const json_t *obj, const char *key)
{
	return !strcmp(cli_str(obj, key), "tcp");
}

/* "relayed by vps, 23 ms", "relayed by vps (TCP), 41 ms" */
static void add_state(const json_t *peer, struct buf *ret)
{
	const char *relay = cli_str(peer, "relay");

	buf_add_str(ret, cli_str(peer, "state"));
	if (strcmp(cli_str(peer, "state"), "relayed") != 0)
		return;
	if (*relay)
		buf_printf(ret, " by %s%s", relay, is_tcp(peer, "relay_way") ? " (TCP)" : "");
	if (cli_u64(peer, "rtt_us"))
		buf_printf(ret, ", %.0f ms", (double) cli_u64(peer, "rtt_us") / 1000);
}

static void print_peers(const json_t *peers)
{
	CLEANUP_CLI_TABLE struct cli_table t = { 0 };
	static const char *const head[] = { "NAME", "ROLE", "ADDRESS", "STATE", "ENDPOINT",
		"HANDSHAKE", "RECEIVED", "SENT" };

	cli_table_head(&t, head, ARRAY_LEN(head));
	size_t i;
	json_t *p;

	json_array_foreach(peers, i, p)
	{
		CLEANUP_BUF struct buf state = { 0 };
		char text[32];

		add_state(p, &state);
		cli_table_add(&t, cli_str(p, "name"));
		cli_table_add(&t, cli_str(p, "role"));
		cli_table_add(&t, cli_str(p, "mesh4"));
		cli_table_add(&t, buf_str(&state));
		cli_table_add(&t, cli_str(p, "endpoint"));
		cli_table_add(&t, cli_ago(cli_u64(p, "last_handshake"), wall_s(), text));
		cli_table_add(&t, cli_bytes(cli_u64(p, "rx_bytes"), text));
		cli_table_add(&t, cli_bytes(cli_u64(p, "tx_bytes"), text));
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

		if (!strcmp(cli_str(p, "state"), "direct") ||
			!strcmp(cli_str(p, "state"), "relayed") || s < PATIENCE_S)
			continue;
		printf("%s%s (%s for %s)", n++ ? ", " : "\nNot heard from: ", cli_str(p, "name"),
			cli_str(p, "state"), cli_ago(1, 1 + s, ago));
	}
	if (n)
		printf("\nIt is off, or the two boards do not hear each other: "
		       "look at `systemctl status hearthd`\nthere, "
		       "and let its UDP port (41741 unless set) in where it has a firewall.\n");
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

static void print_status(const json_t *status, const struct refused *refused)
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
		print_peers(peers);
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
		uint64_t rtt_us = cli_u64(relay, "rtt_us");
		char rtt[32] = "";

		if (rtt_us)
			(void) snprintf(rtt, sizeof(rtt), "%.1f ms", (double) rtt_us / 1000);
		cli_table_add(&t, cli_str(relay, "name"));
		cli_table_add(&t, is_tcp(relay, "way") ? "bound (TCP)" : cli_str(relay, "state"));
		cli_table_add(&t, json_is_true(json_object_get(relay, "home")) ? "yes" : "no");
		cli_table_add(&t, rtt);
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
	print_status(status, &refused);
	if (verbose)
		print_links(json_object_get(status, "links"));
	if (verbose && json_array_size(json_object_get(status, "relays")))
		print_relays(json_object_get(status, "relays"));
	return CLI_DONE;
}

static const struct option family_options[] = {
	{ "ipv4", no_argument, NULL, '4' },
	{ "ipv6", no_argument, NULL, '6' },
	{ 0 },
};

static const struct option ping_options[] = {
	{ "ipv4", no_argument, NULL, '4' },
	{ "ipv6", no_argument, NULL, '6' },
	{ "count", required_argument, NULL, 'c' },
	{ 0 },
};

/* One echo a second, as people know ping. */
static void wait_rest_of_second(uint64_t started_us)
{
	uint64_t passed = clock_now_us() - started_us;

	if (passed >= USEC_PER_SEC)
		return;
	struct timespec rest = { .tv_nsec = (long) (USEC_PER_SEC - passed) * 1000 };

	(void) nanosleep(&rest, NULL); /* interrupted: the next echo goes out early */
}

static void say_answer(const char *to, const json_t *reply)
{
	const char *by = cli_str(reply, "endpoint"), *relay = cli_str(reply, "relay");

	if (!reply)
		printf("no answer from %s within 2 s\n", to);
	else
		printf("%s (%s) answered in %.3f ms by %s%s\n", cli_str(reply, "name"),
			cli_str(reply, "address"), (double) cli_u64(reply, "rtt_us") / 1000,
			*relay ? "relay " : "",
			*relay ? relay
			: *by  ? by
			       : "itself");
}

int cli_ping(const struct cli_verb *verb, int argc, char **argv)
{
	struct cli_options o = { .verb = verb };
	int family = 4, answered = 0;
	uint64_t count = 4;

	for (int c; (c = cli_getopt(&o, argc, argv, ping_options)) != -1;) {
		if (c == '4' || c == '6')
			family = c - '0';
		else if (c == 'c' && number_parse(optarg, 1, PINGS_MAX, &count) == 0)
			continue;
		else if (c == 'c')
			return cli_fail(CLI_USAGE,
				"ping: -c takes a number from 1 to %d, not \"%.40s\"", PINGS_MAX,
				optarg);
		else
			return c == 'h' ? CLI_DONE : CLI_USAGE;
	}
	int wrong = cli_operands(&o, argc, argv, 1, 1);

	if (wrong)
		return wrong;
	CLEANUP_JSON json_t *all = json_array();

	for (uint64_t i = 0; i < count; i++) {
		CLEANUP_JSON json_t *reply = NULL;
		uint64_t started = clock_now_us();
		int r = cli_call_unless(CLI_HEARTHD, "ping",
			json_pack("{s:s, s:i, s:i}", "peer", argv[optind], "family", family,
				"timeout_ms", 2000),
			"timeout", &reply);

		if (r == CLI_FAILED)
			return r;
		if (r == 0)
			answered++;
		if (o.json)
			(void) json_array_append(all, r ? json_null() : reply);
		else
			say_answer(argv[optind], r == 0 ? reply : NULL);
		(void) fflush(stdout);
		if (i + 1 < count)
			wait_rest_of_second(started);
	}
	if (o.json)
		(void) cli_print_json(all);
	return answered ? CLI_DONE : CLI_FAILED;
}

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
