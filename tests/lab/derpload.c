/*
 * derpload: clients of a DERP server, ours or another, as many as are wanted, idle. For tests.
 *
 *   derpload keys FIRST COUNT
 *     Of clients FIRST and on, one a line, always the same: the WireGuard public key, by which DERP
 *     knows them, and an identity key for a member's record. In base64.
 *
 *   derpload idle [-s PREFIX] [-r COUNT] ADDRESS:PORT FIRST COUNT
 *     Logs in clients FIRST and on, at most COUNT (64) at a time, with -s from the addresses of
 *     that prefix in turn (they must be local here), and keeps them. Prints "in N" when all are in
 *     or have been refused, "lost NUMBER: WHY" of each that is refused or goes later, and ends with
 *     its input, on which each line is answered by "in N".
 */
#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "base/encode.h"
#include "derp-end.h"

enum { CLIENTS_MAX = 16384, AT_ONCE = 64, EVENTS = 256 };

static void die(const char *what, const char *why)
{
	(void) fprintf(stderr, "derpload: %s: %s\n", what, why);
	exit(1);
}

static uint32_t number(const char *text, uint32_t max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end || n > max)
		die(text, "no such number");
	return (uint32_t) n;
}

static struct endpoint place(const char *text)
{
	struct endpoint at;

	if (endpoint_parse(text, &at) < 0)
		die(text, "no address and port");
	return at;
}

static int print_keys(uint32_t first, uint32_t count)
{
	uint8_t secret[DERP_KEY_LEN], key[DERP_KEY_LEN], unused[crypto_sign_SECRETKEYBYTES];
	char wg[KEY_BASE64_LEN], identity[KEY_BASE64_LEN];

	for (uint32_t i = 0; i < count; i++) {
		end_key(first + i, secret, key);
		key_to_base64(key, wg);
		(void) crypto_sign_seed_keypair(key, unused, secret);
		key_to_base64(key, identity);
		(void) printf("%s %s\n", wg, identity);
	}
	return 0;
}

/* --- many that are idle --- */

struct crowd {
	struct end *ends;
	bool *counted; /* in, or gone, as is counted below */
	uint32_t first, count, at_once, begun, pending, in;
	struct endpoint to;
	struct ip_prefix from;
	struct tls_party *party;
	int epoll;
	bool told;
};

static void tell(struct crowd *c)
{
	(void) printf("in %u\n", c->in);
	(void) fflush(stdout);
}

static void lose(struct crowd *c, uint32_t i, const char *why)
{
	if (c->counted[i])
		c->in--;
	else
		c->pending--;
	c->ends[i].state = END_GONE;
	(void) printf("lost %u: %s\n", c->first + i, why);
	end_close(&c->ends[i]);
}

static void watch(struct crowd *c, uint32_t i, int how)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = i };

	if (end_wants_to_write(&c->ends[i]))
		event.events |= EPOLLOUT;
	if (epoll_ctl(c->epoll, how, c->ends[i].fd, &event) < 0)
		die("epoll", strerror(errno));
}

static void begin(struct crowd *c)
{
	struct ip_addr from = { 0 };
	uint32_t i = c->begun++;
	int r;

	if (c->from.addr.family) {
		unsigned bits = ip_bits(c->from.addr.family) - c->from.len;

		(void) ip_prefix_nth(&c->from, bits < 32 ? i % (1U << bits) : i, &from);
	}
	c->pending++;
	r = end_open(&c->ends[i], c->party, &c->to, &from, c->first + i);
	if (r < 0)
		lose(c, i, strerror(-r));
	else
		watch(c, i, EPOLL_CTL_ADD);
}

static void attend(struct crowd *c, uint32_t i)
{
	struct end *end = &c->ends[i];
	bool was_in = c->counted[i];

	while (end_progress(end, NULL, NULL))
		;
	if (end->state == END_GONE)
		return lose(c, i, end->why);
	if (end->state == END_IN && !was_in) {
		c->counted[i] = true;
		c->pending--;
		c->in++;
	}
	watch(c, i, EPOLL_CTL_MOD);
}

static void serve_crowd(struct crowd *c)
{
	struct epoll_event events[EVENTS], input = { .events = EPOLLIN, .data.u32 = UINT32_MAX };
	char line[64];
	bool ended = false;

	(void) epoll_ctl(c->epoll, EPOLL_CTL_ADD, STDIN_FILENO, &input);
	while (!ended) {
		int n;

		while (c->begun < c->count && c->pending < c->at_once)
			begin(c);
		if (c->begun == c->count && c->pending == 0 && !c->told) {
			c->told = true;
			tell(c);
		}
		n = epoll_wait(c->epoll, events, EVENTS, -1);
		for (int i = 0; i < n; i++) {
			uint32_t which = events[i].data.u32;

			if (which == UINT32_MAX && read(STDIN_FILENO, line, sizeof(line)) <= 0)
				ended = true;
			else if (which == UINT32_MAX)
				tell(c);
			else if (c->ends[which].state != END_GONE)
				attend(c, which);
		}
		(void) fflush(stdout);
	}
}

static int run_idle(int argc, char **argv)
{
	struct crowd c = { .at_once = AT_ONCE, .epoll = epoll_create1(EPOLL_CLOEXEC) };

	for (int o; (o = getopt(argc, argv, "s:r:")) >= 0;) {
		if (o == 's' && ip_prefix_parse(optarg, &c.from) < 0)
			die(optarg, "no prefix");
		if (o == 'r')
			c.at_once = number(optarg, CLIENTS_MAX);
	}
	if (argc - optind != 3 || !(c.party = end_party()))
		return 2;
	c.to = place(argv[optind]);
	c.first = number(argv[optind + 1], UINT32_MAX / 2);
	c.count = number(argv[optind + 2], CLIENTS_MAX);
	c.ends = calloc(c.count, sizeof(*c.ends));
	c.counted = calloc(c.count, sizeof(*c.counted));
	if (!c.ends || !c.counted)
		die("clients", "out of memory");
	(void) descriptors_allow(c.count + 64);
	serve_crowd(&c);
	for (uint32_t i = 0; i < c.begun; i++)
		end_close(&c.ends[i]);
	free(c.ends);
	free(c.counted);
	(void) tls_party_free(c.party);
	return 0;
}

int main(int argc, char **argv)
{
	if (sodium_init() < 0)
		return 1;
	(void) signal(SIGPIPE, SIG_IGN);
	if (argc == 4 && strcmp(argv[1], "keys") == 0)
		return print_keys(number(argv[2], UINT32_MAX / 2), number(argv[3], CLIENTS_MAX));
	if (argc > 4 && strcmp(argv[1], "idle") == 0)
		return run_idle(argc - 1, argv + 1);
	die("usage",
		"derpload keys FIRST COUNT, or idle [-s PREFIX] [-r COUNT] ADDRESS:PORT FIRST COUNT");
}
