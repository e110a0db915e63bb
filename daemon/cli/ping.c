/*
 * `hearth ping`: echoes through the mesh, one a second as people know ping, each with the way by
 * which it went; when that changes meanwhile, a line says so.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/number.h"
#include "cli/cli.h"

enum {
	PINGS_MAX = 100000,
	PINGS = 4,
	PINGS_UNTIL_DIRECT = 30,
	BYTES_MIN = 16, /* what hearthd takes */
	BYTES_MAX = 65000,
	TIMEOUT_S = 2,
	TIMEOUT_MAX_S = 20, /* less than hearthd has to answer a call */
	WAY_TEXT_MAX = 160,
};
enum { SIZE = 256, TIMEOUT, UNTIL_DIRECT }; /* options without a letter */

struct pings {
	struct cli_options o;
	const char *peer;
	int family;
	uint64_t count, size, timeout_s; /* 0: as usual */
	bool until_direct;

	uint64_t answered;
	bool is_direct;         /* the last one that was answered */
	json_t *all;            /* with --json: the replies */
	char way[WAY_TEXT_MAX]; /* the last one's, "": none yet */
	char rtt[32];           /* and its round trip */
};

static const struct option options[] = {
	{ "ipv4", no_argument, NULL, '4' },
	{ "ipv6", no_argument, NULL, '6' },
	{ "count", required_argument, NULL, 'c' },
	{ "size", required_argument, NULL, SIZE },
	{ "timeout", required_argument, NULL, TIMEOUT },
	{ "until-direct", no_argument, NULL, UNTIL_DIRECT },
	{ 0 },
};

static int read_number(int c, struct pings *p)
{
	static const struct {
		int c;
		const char *name;
		uint64_t min, max;
	} numbers[] = { { 'c', "-c", 1, PINGS_MAX }, { SIZE, "--size", BYTES_MIN, BYTES_MAX },
		{ TIMEOUT, "--timeout", 1, TIMEOUT_MAX_S } };
	uint64_t *to = c == 'c' ? &p->count : c == SIZE ? &p->size : &p->timeout_s;
	size_t i = 0;

	while (numbers[i].c != c)
		i++;
	if (number_parse(optarg, numbers[i].min, numbers[i].max, to) == 0)
		return 0;
	return cli_fail(CLI_USAGE, "ping: %s takes a number from %llu to %llu, not \"%.40s\"",
		numbers[i].name, (unsigned long long) numbers[i].min,
		(unsigned long long) numbers[i].max, optarg);
}

/* 0, or CLI_USAGE; or that all is said (CLI_USAGE + 1). */
static int read_options(int argc, char **argv, struct pings *p)
{
	int r = 0;

	for (int c; r == 0 && (c = cli_getopt(&p->o, argc, argv, options)) != -1;) {
		if (c == '4' || c == '6')
			p->family = c - '0';
		else if (c == UNTIL_DIRECT)
			p->until_direct = true;
		else if (c == 'c' || c == SIZE || c == TIMEOUT)
			r = read_number(c, p);
		else
			r = c == 'h' ? CLI_USAGE + 1 : CLI_USAGE;
	}
	if (r == 0)
		r = cli_operands(&p->o, argc, argv, 1, 1);
	if (r)
		return r;
	p->peer = argv[optind];
	if (!p->count)
		p->count = p->until_direct ? PINGS_UNTIL_DIRECT : PINGS;
	return 0;
}

static void wait_rest_of_second(uint64_t started_us)
{
	uint64_t passed = clock_now_us() - started_us;

	if (passed >= USEC_PER_SEC)
		return;
	struct timespec rest = { .tv_nsec = (long) (USEC_PER_SEC - passed) * 1000 };

	(void) nanosleep(&rest, NULL); /* interrupted: the next echo goes out early */
}

/* "direct at 192.168.1.7:41741", "relayed by vps (TCP)"; "" where hearthd knows of no way. */
static void find_way(const json_t *reply, char ret[static WAY_TEXT_MAX], bool *ret_direct)
{
	const char *relay = cli_str(reply, "relay"), *endpoint = cli_str(reply, "endpoint");
	bool tcp = !strcmp(cli_str(reply, "relay_way"), "tcp");

	*ret = 0;
	*ret_direct = !*relay && *endpoint;
	if (*relay)
		(void) snprintf(ret, WAY_TEXT_MAX, "relayed by %s%s", relay, tcp ? " (TCP)" : "");
	else if (*endpoint)
		(void) snprintf(ret, WAY_TEXT_MAX, "direct at %s", endpoint);
}

static void say_change(const struct pings *p, const char *way, const char *rtt)
{
	if (*p->way && *way && strcmp(p->way, way) != 0)
		printf("now %s, %s (was %s, %s)\n", way, rtt, p->way, p->rtt);
}

static void say_answer(struct pings *p, const json_t *reply)
{
	uint64_t mtu = cli_u64(reply, "mtu");
	char way[WAY_TEXT_MAX], rtt[32];

	find_way(reply, way, &p->is_direct);
	(void) cli_rtt(cli_u64(reply, "rtt_us"), rtt);
	if (p->o.json) {
		(void) json_array_append(p->all, (json_t *) reply);
		return;
	}
	say_change(p, way, rtt);
	printf("%s (%s) answered in %s%s%s", cli_str(reply, "name"), cli_str(reply, "address"), rtt,
		*way ? ", " : "", way);
	if (mtu)
		printf(", MTU %llu", (unsigned long long) mtu);
	printf("\n");
	(void) snprintf(p->way, sizeof(p->way), "%s", way);
	(void) snprintf(p->rtt, sizeof(p->rtt), "%s", rtt);
}

static void say_none(struct pings *p, uint64_t timeout_s)
{
	if (p->o.json)
		(void) json_array_append_new(p->all, json_null());
	else
		printf("no answer from %s within %llu s\n", p->peer,
			(unsigned long long) timeout_s);
}

/* CLI_FAILED: there is no use in going on, and that was said. */
static int ping_once(struct pings *p)
{
	uint64_t timeout_s = p->timeout_s ? p->timeout_s : TIMEOUT_S;
	json_t *args = json_pack("{s:s, s:i, s:I}", "peer", p->peer, "family", p->family,
		"timeout_ms", (json_int_t) timeout_s * 1000);
	CLEANUP_JSON json_t *reply = NULL;
	int r;

	if (p->size)
		(void) json_object_set_new(args, "size", json_integer((json_int_t) p->size));
	r = cli_call_unless(CLI_HEARTHD, "ping", args, "timeout", &reply);
	if (r == CLI_FAILED)
		return r;
	if (r == 0) {
		p->answered++;
		say_answer(p, reply);
	} else {
		say_none(p, timeout_s);
	}
	(void) fflush(stdout);
	return 0;
}

static int finish(const struct pings *p)
{
	if (p->o.json)
		(void) cli_print_json(p->all);
	if (p->until_direct && p->answered && !p->is_direct)
		return cli_fail(CLI_FAILED,
			"%s is not direct after %llu ping%s; `hearth why %s` says why", p->peer,
			(unsigned long long) p->count, p->count == 1 ? "" : "s", p->peer);
	return p->answered ? CLI_DONE : CLI_FAILED;
}

int cli_ping(const struct cli_verb *verb, int argc, char **argv)
{
	CLEANUP_JSON json_t *all = json_array();
	struct pings p = { .o = { .verb = verb }, .family = 4, .all = all };
	int r = read_options(argc, argv, &p);

	if (r)
		return r > CLI_USAGE ? CLI_DONE : r;
	for (uint64_t i = 0; i < p.count; i++) {
		uint64_t started_us = clock_now_us();

		r = ping_once(&p);
		if (r)
			return r;
		if (p.until_direct && p.is_direct)
			break;
		if (i + 1 < p.count)
			wait_rest_of_second(started_us);
	}
	return finish(&p);
}
