/*
 * derp-load: clients of a DERP server, ours or another: as many as are wanted, idle; or two that
 * are busy. For tests. With -s they come from the addresses of that prefix in turn, which must be
 * local here.
 *
 *   derp-load keys FIRST COUNT
 *     Of clients FIRST and on, one a line, always the same: the WireGuard public key, by which DERP
 *     knows them, and an identity key for a member's record. In base64.
 *
 *   derp-load info KEY NUMBER
 *     The frame by which that client logs in at the server with this X25519 key. Both in hex.
 *
 *   derp-load idle [-s PREFIX] [-r COUNT] ADDRESS:PORT FIRST COUNT
 *     Logs in clients FIRST and on, at most COUNT (64) at a time, and keeps them. Prints "in N"
 *     when all are in or have been refused, "lost NUMBER: WHY" of each that is refused or goes
 *     later, and ends with its input, on which each line is answered by "in N".
 *
 *   derp-load talk [-s PREFIX] ADDRESS:PORT A B
 *   derp-load flood [-s PREFIX] ADDRESS:PORT A B
 *     Client A says something to client B, who says it back, every 2 ms, 1200 bytes; or it sends
 *     such packets as fast as it goes, and B reads nothing. Prints "ready" when both are in, and
 *     when its input ends what was sent, and how long answers took (JSON).
 */
#include "derp-load.h"

#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/encode.h"
#include "derp-end.h"

enum { AT_ONCE = 64 };

static uint32_t number(const char *text, uint32_t max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end || n > max)
		end_die(text, "no such number");
	return (uint32_t) n;
}

static uint32_t client(const char *text)
{
	return number(text, UINT32_MAX / 2);
}

static void print_keys(uint32_t first, uint32_t count)
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
}

static void print_info(const char *server, uint32_t self)
{
	uint8_t secret[DERP_KEY_LEN], key[DERP_KEY_LEN], to[DERP_KEY_LEN];
	uint8_t frame[DERP_INFO_FRAME_MAX];
	int n;

	if (key_from_hex(server, strlen(server), to) < 0)
		end_die(server, "no key");
	end_key(self, secret, key);
	n = end_info_put(secret, key, to, frame);
	for (int i = 0; i < n; i++)
		(void) printf("%02x", frame[i]);
	(void) printf("\n");
}

static void usage(void)
{
	end_die("usage", "derp-load keys FIRST COUNT, info KEY NUMBER, "
			 "idle [-s PREFIX] [-r COUNT] ADDRESS:PORT FIRST COUNT, or "
			 "talk or flood [-s PREFIX] ADDRESS:PORT A B");
}

/* What has a way to a server: the verb is argv[0]. */
static void run(int argc, char **argv)
{
	struct load_way way = { 0 };
	uint32_t at_once = AT_ONCE;
	const char *verb = argv[0];

	for (int o; (o = getopt(argc, argv, "s:r:")) >= 0;) {
		if (o == 's' && ip_prefix_parse(optarg, &way.from) < 0)
			end_die(optarg, "no prefix");
		if (o == 'r')
			at_once = number(optarg, LOAD_CLIENTS_MAX);
	}
	argc -= optind;
	argv += optind;
	if (argc != 3)
		usage();
	if (endpoint_parse(argv[0], &way.to) < 0)
		end_die(argv[0], "no address and port");
	if (strcmp(verb, "idle") == 0)
		load_idle(&way, client(argv[1]), number(argv[2], LOAD_CLIENTS_MAX), at_once);
	else if (strcmp(verb, "talk") == 0 || strcmp(verb, "flood") == 0)
		load_pair(&way, client(argv[1]), client(argv[2]), *verb == 'f');
	else
		usage();
}

int main(int argc, char **argv)
{
	if (sodium_init() < 0)
		return 1;
	(void) signal(SIGPIPE, SIG_IGN);
	if (argc == 4 && strcmp(argv[1], "keys") == 0)
		print_keys(client(argv[2]), number(argv[3], LOAD_CLIENTS_MAX));
	else if (argc == 4 && strcmp(argv[1], "info") == 0)
		print_info(argv[2], client(argv[3]));
	else if (argc > 1)
		run(argc - 1, argv + 1);
	else
		usage();
	return 0;
}
