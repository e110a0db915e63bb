/*
 * hearth relay add, remove: where a relay is that nobody has enrolled yet, or that has moved. The
 * coordinator tries to keep connections there; what comes of it within seconds is told here, and
 * later by `relay list`.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "board/relayfile.h"
#include "cli/cli.h"
#include "wire/outside.h"

#define WAIT_US  UINT64_C(15000000)
#define PAUSE_US 200000

static bool is(const json_t *added, const char *state)
{
	return !strcmp(cli_str(added, "state"), state);
}

static const char *where(const json_t *added, char ret[static OUTSIDE_TEXT_MAX])
{
	struct outside at = { .port = (uint16_t) cli_u64(added, "port") };

	(void) snprintf(at.host, sizeof(at.host), "%s", cli_str(added, "host"));
	return outside_format(&at, ret);
}

/* --- relay list --- */

static void print_state(const json_t *added, struct buf *ret)
{
	const char *node = cli_str(added, "node"), *problem = cli_str(added, "problem");

	if (is(added, "waiting"))
		buf_printf(ret, "waits for its enrolment");
	else if (is(added, "asks"))
		buf_printf(ret, "%s's, which asks to be a relay", node);
	else if (is(added, "port"))
		buf_printf(ret, "%s's, whose record has another TCP port", node);
	else if (is(added, "checking"))
		buf_printf(ret, "%s's, whose record will say so in a moment", node);
	else if (is(added, "recorded"))
		buf_printf(ret, "%s's, whose record says so", node);
	else
		buf_printf(ret, "no relay is met there yet%s%s", *problem ? ": " : "", problem);
}

void cli_print_added(const json_t *added)
{
	CLEANUP_CLI_TABLE struct cli_table t = { 0 };
	static const char *const head[] = { "ADDED", "SINCE", "STATE" };
	uint64_t now = clock_wall_us() / USEC_PER_SEC;
	size_t i;
	json_t *one;

	if (!json_array_size(added))
		return;
	putchar('\n');
	cli_table_head(&t, head, ARRAY_LEN(head));
	json_array_foreach((json_t *) added, i, one)
	{
		CLEANUP_BUF struct buf state = { 0 };
		char at[OUTSIDE_TEXT_MAX], since[32];

		print_state(one, &state);
		cli_table_add(&t, where(one, at));
		cli_table_add(&t, cli_ago(cli_u64(one, "since"), now, since));
		cli_table_add(&t, buf_str(&state));
	}
	cli_table_print(&t);
}

/* --- relay add --- */

/* What is good to hear of it; NULL: it is not that far. */
static const char *good_news(const json_t *added, char *ret, size_t size)
{
	const char *node = cli_str(added, "node");
	char at[OUTSIDE_TEXT_MAX];

	(void) where(added, at);
	if (is(added, "waiting"))
		(void) snprintf(ret, size,
			"Parked at %s, at a relay that waits for its enrolment: enroll-node there "
			"goes on by itself now.",
			at);
	else if (is(added, "asks"))
		(void) snprintf(ret, size,
			"Parked at %s, at the relay of %s, which asks to be one. It may be: hearth "
			"relay allow %s",
			at, node, node);
	else if (is(added, "recorded"))
		(void) snprintf(ret, size,
			"%s is found at %s: its record says so now, and boards follow.", node, at);
	else
		return NULL;
	return ret;
}

static int refuse_port(const json_t *added)
{
	const char *node = cli_str(added, "node");
	char at[OUTSIDE_TEXT_MAX];

	return cli_fail(CLI_FAILED,
		"%s is the relay of %s, but its record has another TCP port, and has one for all "
		"hosts. Let the relay have this one (sudo hearth relay enable --port %u, on %s), "
		"or forward the one of its record and add that",
		where(added, at), node, (unsigned) cli_u64(added, "port"), node);
}

static int give_up(const json_t *added)
{
	const char *problem = cli_str(added, "problem");
	char at[OUTSIDE_TEXT_MAX];

	return cli_fail(CLI_FAILED,
		"no relay is met at %s yet: %s. Does hearth-relay run there, and is the port open "
		"in firewalls? It is tried for a day (what becomes of it: hearth relay list; no "
		"more of it: hearth relay remove %s)",
		where(added, at), *problem ? problem : "no answer", cli_str(added, "host"));
}

/* 0 and the entry of @host, a new reference. */
static int look(const char *host, json_t **ret)
{
	CLEANUP_JSON json_t *reply = NULL;
	int r = cli_call(CLI_COORDINATOR, "relay.list", NULL, &reply);
	size_t i;
	json_t *one;

	if (r)
		return r;
	json_array_foreach(json_object_get(reply, "added"), i,
		one) if (!strcmp(cli_str(one, "host"), host)) *ret = json_incref(one);
	return *ret ? 0 : cli_fail(CLI_FAILED, "%s is not added any more", host);
}

/* What has become of it: the exit status; below 0: that is not known yet. */
static int tell(const struct cli_options *o, const json_t *added, bool last)
{
	char text[512];
	const char *good = good_news(added, text, sizeof(text));
	int status = CLI_DONE;

	if (is(added, "port"))
		status = refuse_port(added);
	else if (!good && !last)
		return -EAGAIN;
	else if (!good)
		status = give_up(added);
	else if (!o->json)
		fprintf(stderr, "%s\n", good);
	if (o->json)
		(void) cli_print_json(added);
	return status;
}

static int wait_for(const struct cli_options *o, const char *host)
{
	uint64_t end_us = clock_now_us() + WAIT_US;

	for (;;) {
		CLEANUP_JSON json_t *added = NULL;
		int r = look(host, &added);

		if (r == 0)
			r = tell(o, added, clock_now_us() >= end_us);
		if (r >= 0)
			return r;
		(void) usleep(PAUSE_US);
	}
}

/* 0, or an exit status. -1: all was said. */
static int read_words(
	struct cli_options *o, int argc, char **argv, uint16_t port, struct outside *ret)
{
	struct err err = { 0 };
	int r;

	for (int c; (c = cli_getopt(o, argc, argv, NULL)) != -1;)
		return c == 'h' ? -1 : CLI_USAGE;
	r = cli_operands(o, argc, argv, 1, 1);
	if (r == 0 && outside_choose(argv[optind], port, ret, &err) < 0)
		r = cli_fail(CLI_USAGE, "%s: %s", o->verb->name, err.text);
	return r;
}

int cli_relay_add(const struct cli_verb *verb, int argc, char **argv)
{
	struct cli_options o = { .verb = verb };
	CLEANUP_JSON json_t *reply = NULL;
	struct outside at;
	int r = read_words(&o, argc, argv, RELAYFILE_TCP_DEFAULT, &at);

	if (r)
		return r < 0 ? CLI_DONE : r;
	r = cli_call(CLI_COORDINATOR, "relay.add",
		json_pack("{s:s, s:i}", "host", at.host, "port", (int) at.port), &reply);
	return r ? r : wait_for(&o, at.host);
}

/* --- relay remove --- */

static void say_removed(const json_t *reply)
{
	const json_t *hosts = json_object_get(json_object_get(reply, "relay"), "hosts");
	const char *node = cli_str(reply, "node");
	size_t i;
	json_t *host;

	fprintf(stderr, "%s is forgotten", cli_str(reply, "host"));
	if (*node)
		fprintf(stderr, "; %s is found at ", node);
	json_array_foreach((json_t *) hosts, i, host)
		fprintf(stderr, "%s%s", i ? ", " : "", cli_text(host, "?"));
	fputs("\n", stderr);
}

int cli_relay_remove(const struct cli_verb *verb, int argc, char **argv)
{
	struct cli_options o = { .verb = verb };
	CLEANUP_JSON json_t *reply = NULL;
	struct outside at;
	int r = read_words(&o, argc, argv, RELAYFILE_TCP_DEFAULT, &at);

	if (r)
		return r < 0 ? CLI_DONE : r;
	r = cli_call(CLI_COORDINATOR, "relay.remove", json_pack("{s:s}", "host", at.host), &reply);
	if (r)
		return r;
	if (o.json)
		return cli_print_json(reply);
	say_removed(reply);
	return CLI_DONE;
}
