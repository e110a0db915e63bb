/*
 * hearth relay list: the coordinator knows who is a relay, who asks to be one, and by whom each
 * says that it was reached from outside. On a board without a coordinator hearthd says what the
 * board sees of them itself.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/env.h"
#include "base/json.h"
#include "base/names.h"
#include "board/config.h"
#include "cli/cli.h"
#include "wire/reached.h"

static bool is_reached(const json_t *one, enum reached_way way)
{
	return json_is_object(
		json_object_get(json_object_get(one, "reached"), reached_way_name(way)));
}

/* "udp: pi4-4g-b 2 min ago", "tcp: not yet" */
static void add_way(const json_t *one, enum reached_way way, struct buf *ret)
{
	const char *name = reached_way_name(way);
	const json_t *by = json_object_get(json_object_get(one, "reached"), name);
	char ago[32];

	buf_printf(ret, "%s%s: ", ret->len ? ", " : "", name);
	if (is_reached(one, way))
		buf_printf(ret, "%s %s ago", *cli_str(by, "name") ? cli_str(by, "name") : "?",
			cli_ago(cli_u64(by, "at"), clock_wall_us() / USEC_PER_SEC, ago));
	else
		buf_add_str(ret, "not yet");
}

static const char *reached_text(const json_t *one, bool udp, struct buf *buf)
{
	if (!json_is_object(json_object_get(one, "reached")))
		return "not known";
	if (udp)
		add_way(one, REACHED_UDP, buf);
	add_way(one, REACHED_TCP, buf);
	return buf_str(buf);
}

/* What to do about a way by which nobody came. */
static void explain(const json_t *one, bool udp, const char *udp_port, const char *tcp_port)
{
	bool no_udp = udp && !is_reached(one, REACHED_UDP);
	bool no_tcp = !is_reached(one, REACHED_TCP);

	if (!json_is_object(json_object_get(one, "reached")) || (!no_udp && !no_tcp))
		return;
	printf("\n%s: no board has come from outside by %s%s%s%s%s yet. If one should have: open "
	       "that port in\nthe firewall, and behind a router forward it there.\n",
		cli_str(one, "name"), no_udp ? "UDP" : "", no_udp ? udp_port : "",
		no_udp && no_tcp ? " or " : "", no_tcp ? "TCP" : "", no_tcp ? tcp_port : "");
}

/* --- as the coordinator tells it --- */

static void port_text(const json_t *relay, const char *way, char ret[static 24])
{
	uint64_t port = cli_u64(relay, way);

	*ret = '\0';
	if (port)
		(void) snprintf(ret, 24, " %llu", (unsigned long long) port);
}

static void print_known(const json_t *relays)
{
	CLEANUP_CLI_TABLE struct cli_table t = { 0 };
	static const char *const head[] = { "NAME", "STATE", "HOSTS", "TCP", "UDP",
		"REACHED FROM OUTSIDE" };
	char tcp[24], udp[24];
	size_t i;
	json_t *one;

	cli_table_head(&t, head, ARRAY_LEN(head));
	json_array_foreach((json_t *) relays, i, one)
	{
		const json_t *relay = json_object_get(one, "relay");
		CLEANUP_BUF struct buf hosts = { 0 };
		CLEANUP_BUF struct buf reached = { 0 };

		port_text(relay, "tcp", tcp);
		port_text(relay, "udp", udp);
		cli_table_add(&t, cli_str(one, "name"));
		cli_table_add(&t, cli_str(one, "state"));
		cli_table_add(&t, cli_join(json_object_get(relay, "hosts"), &hosts));
		cli_table_add(&t, *tcp ? tcp + 1 : "");
		cli_table_add(&t, *udp ? udp + 1 : "");
		cli_table_add(&t, reached_text(one, *udp, &reached));
	}
	cli_table_print(&t);
	json_array_foreach((json_t *) relays, i, one)
	{
		const json_t *relay = json_object_get(one, "relay");

		port_text(relay, "tcp", tcp);
		port_text(relay, "udp", udp);
		if (!strcmp(cli_str(one, "state"), "serving"))
			explain(one, *udp, udp, tcp);
	}
}

/* --- as this board sees it --- */

static void print_seen(const json_t *relays)
{
	CLEANUP_CLI_TABLE struct cli_table t = { 0 };
	static const char *const head[] = { "NAME", "FROM HERE", "ENDPOINT",
		"REACHED FROM OUTSIDE" };
	size_t i;
	json_t *one;

	cli_table_head(&t, head, ARRAY_LEN(head));
	json_array_foreach((json_t *) relays, i, one)
	{
		CLEANUP_BUF struct buf reached = { 0 };

		cli_table_add(&t, cli_str(one, "name"));
		cli_table_add(&t, cli_str(one, "state"));
		cli_table_add(&t, cli_str(one, "endpoint"));
		cli_table_add(&t, reached_text(one, true, &reached));
	}
	cli_table_print(&t);
	json_array_foreach((json_t *) relays, i, one) explain(one, true, "", "");
	printf("\nNo coordinator runs on this board: `hearth relay list` where one does knows "
	       "more.\n");
}

static bool has_coordinator(void)
{
	char path[PATH_TEXT_MAX];

	(void) snprintf(
		path, sizeof(path), "%s/%s", env_dir("HEARTH_RUN", NAMES_RUN), NAMES_COORD_SOCK);
	return access(path, F_OK) == 0;
}

int cli_relay_list(const struct cli_verb *verb, int argc, char **argv)
{
	struct cli_options o = { .verb = verb };
	bool known = has_coordinator();

	for (int c; (c = cli_getopt(&o, argc, argv, NULL)) != -1;)
		return c == 'h' ? CLI_DONE : CLI_USAGE;
	int r = cli_operands(&o, argc, argv, 0, 0);

	if (r)
		return r;
	CLEANUP_JSON json_t *reply = NULL;

	r = cli_call(known ? CLI_COORDINATOR : CLI_HEARTHD, known ? "relay.list" : "status", NULL,
		&reply);
	if (r)
		return r;
	const json_t *relays = json_object_get(reply, "relays");

	if (o.json) {
		CLEANUP_JSON json_t *shown = json_pack(
			"{s:O, s:O*}", "relays", relays, "added", json_object_get(reply, "added"));

		return shown ? cli_print_json(shown) : cli_fail(CLI_FAILED, "out of memory");
	}
	if (known) {
		print_known(relays);
		cli_print_added(json_object_get(reply, "added"));
	} else {
		print_seen(relays);
	}
	return CLI_DONE;
}
