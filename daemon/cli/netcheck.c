/*
 * hearth netcheck: the network around this board, in words. hearthd asks the servers anew for it;
 * what to do about what is bad is decided here, for people only.
 */
#include <stdio.h>
#include <string.h>

#include "base/ip.h"
#include "base/json.h"
#include "cli/cli.h"

static bool is(const json_t *obj, const char *key, const char *value)
{
	return !strcmp(cli_str(obj, key), value);
}

static bool is_hard(const json_t *side)
{
	return is(side, "mapping", "counting") || is(side, "mapping", "random");
}

static bool works(const json_t *side)
{
	return json_is_true(json_object_get(side, "udp"));
}

static bool is_open(const json_t *side)
{
	return json_is_true(json_object_get(side, "open"));
}

/* That address belongs to a house or a carrier, so there is one more router behind this one. */
static bool is_behind_another(const json_t *side)
{
	const char *text = cli_text(json_array_get(json_object_get(side, "outside"), 0), "");
	struct endpoint e;

	return works(side) && !is_open(side) && endpoint_parse(text, &e) == 0 &&
	       ip_addr_is_private(&e.addr);
}

/* How the router chooses ports, and what that means. */
static void print_mapping(const json_t *side)
{
	int step = (int) json_integer_value(json_object_get(side, "step"));

	if (is(side, "mapping", "independent"))
		printf("             the router keeps that port for every destination: direct "
		       "connections work with most boards\n");
	else if (is(side, "mapping", "counting"))
		printf("             the router gives every destination another port, counting "
		       "in steps of %d: direct connections need help\n",
			step);
	else if (is(side, "mapping", "random"))
		printf("             the router gives every destination another port: direct "
		       "connections need help\n");
	else
		printf("             whether the router keeps that port for every destination is "
		       "not known: only one server answered\n");
	if (is_behind_another(side))
		printf("             that address is private: another router follows, perhaps "
		       "the carrier's\n");
}

static void print_side(const char *name, const json_t *side)
{
	CLEANUP_BUF struct buf outside = { 0 }, own = { 0 };
	const json_t *udp = json_object_get(side, "udp");

	printf("%-12s ", name);
	if (!json_array_size(json_object_get(side, "addresses")))
		printf("this board has no address that others could try\n");
	else if (json_is_false(udp))
		printf("no UDP gets out, or no answer back in: no server answered\n");
	else if (!works(side))
		printf("not known: there is no server outside of this network to ask\n");
	else if (is_open(side))
		printf("UDP works, without a router that translates: others see %s\n",
			cli_join(json_object_get(side, "outside"), &own));
	else {
		printf("UDP works; others see %s\n",
			cli_join(json_object_get(side, "outside"), &outside));
		print_mapping(side);
	}
}

static void print_servers(const json_t *servers)
{
	CLEANUP_CLI_TABLE struct cli_table t = { 0 };
	static const char *const head[] = { "SERVER", "KIND", "ENDPOINT", "ROUND TRIP" };

	cli_table_head(&t, head, ARRAY_LEN(head));
	size_t i;
	json_t *s;

	json_array_foreach(servers, i, s)
	{
		uint64_t rtt_us = cli_u64(s, "rtt_us");
		char rtt[32] = "no answer";

		if (!json_is_true(json_object_get(s, "asked")))
			continue; /* no address of its family */
		if (rtt_us)
			(void) snprintf(rtt, sizeof(rtt), "%.1f ms", (double) rtt_us / 1000);
		cli_table_add(&t, cli_str(s, "name"));
		cli_table_add(
			&t, json_is_true(json_object_get(s, "relay")) ? "relay" : "STUN server");
		cli_table_add(&t, cli_str(s, "endpoint"));
		cli_table_add(&t, rtt);
	}
	printf("\n");
	cli_table_print(&t);
}

static bool goes_by_tcp(const json_t *relays)
{
	size_t i;
	json_t *relay;

	json_array_foreach(relays, i, relay)
	{
		if (is(relay, "way", "tcp"))
			return true;
	}
	return false;
}

static void advise_blocked(const json_t *relays)
{
	printf("\nNo UDP gets out of this network%s.\nLet it out in the router or firewall, if "
	       "that is yours: from this board's own port, and to 3478\nof the relays.\n",
		goes_by_tcp(relays) ? "; a relay carries this board over TCP, which is slower"
				    : "");
}

/* What would make it better, if anything needs to be. */
static void advise(const json_t *reply)
{
	const json_t *v4 = json_object_get(reply, "ipv4"), *v6 = json_object_get(reply, "ipv6");
	const json_t *servers = json_object_get(reply, "servers");
	bool blocked = json_is_false(json_object_get(v4, "udp")) ||
		       json_is_false(json_object_get(v6, "udp"));

	if (!json_array_size(servers))
		printf("\nThere is no relay and no STUN server that could say how the world sees "
		       "this board. Boards of\nseveral houses need a relay: see `hearth relay "
		       "enable`.\n");
	else if (blocked && !works(v4) && !works(v6))
		advise_blocked(json_object_get(reply, "relays"));
	else if ((is_hard(v4) || is_hard(v6)) && !is_open(v6) && !is_open(v4))
		printf("\nTo be reached directly: turn on UPnP or NAT-PMP in the router, forward "
		       "this board's UDP port\nto it there, or give it a public IPv6 address. "
		       "Until then a relay may carry it.\n");
	else if (works(v4) && is(v4, "mapping", "unknown"))
		printf("\nA second server tells more: on the coordinator, `hearth settings set "
		       "--stun HOST`.\n");
}

static void print_reply(const json_t *reply)
{
	CLEANUP_BUF struct buf announced = { 0 };
	const char *port_mapping = cli_str(reply, "port_mapping");

	print_side("IPv4", json_object_get(reply, "ipv4"));
	print_side("IPv6", json_object_get(reply, "ipv6"));
	printf("port mapping %s\n", *port_mapping ? port_mapping : "not looked for");
	if (json_array_size(json_object_get(reply, "announced")))
		printf("announced    %s, beside this board's own addresses\n",
			cli_join(json_object_get(reply, "announced"), &announced));
	if (json_array_size(json_object_get(reply, "servers")))
		print_servers(json_object_get(reply, "servers"));
	advise(reply);
}

int cli_netcheck(const struct cli_verb *verb, int argc, char **argv)
{
	struct cli_options o = { .verb = verb };

	for (int c; (c = cli_getopt(&o, argc, argv, NULL)) != -1;)
		return c == 'h' ? CLI_DONE : CLI_USAGE;
	int r = cli_operands(&o, argc, argv, 0, 0);

	if (r)
		return r;
	CLEANUP_JSON json_t *reply = NULL;

	r = cli_call(CLI_HEARTHD, "netcheck", NULL, &reply);
	if (r)
		return r;
	if (o.json)
		return cli_print_json(reply);
	print_reply(reply);
	return CLI_DONE;
}
