/*
 * ferried: a tunnel with a ferry beside it, as hearthd has them, and a relay that does nothing but carry.
 *
 *   ferried end IFNAME NODE PORT PEER direct|relay ADDRESS:PORT
 *       A tunnel at UDP port PORT whose only peer is node PEER, for all addresses: at ADDRESS:PORT, or
 *       by the relay there. Prints "ready", and its counters after every line that it reads.
 *   ferried relay PORT
 *       A relay without proofs: whoever says BIND and its number is that node.
 *
 * Keys and sessions follow from the numbers.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "base/cleanup.h"
#include "packet/bytes.h"
#include "sys/sock/sock.h"
#include "tunnel/ferry.h"
#include "tunnel/tunnel.h"
#include "wire/udprelay.h"

enum { SESSIONS = 1000, RELAY = 1, NODES = 16, SLOTS = 8, BIND_LEN = 8 };

static _Noreturn void die(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	exit(1);
}

static uint32_t number(const char *text, uint32_t max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end || n == 0 || n > max)
		die(text, "no such number");
	return (uint32_t) n;
}

/* --- an end --- */

static void key_of(uint32_t node, uint8_t ret_private[static 32], uint8_t ret_public[static 32])
{
	const uint8_t seed[4] = { (uint8_t) node };

	crypto_generichash(ret_private, 32, seed, sizeof(seed), NULL, 0);
	if (crypto_scalarmult_base(ret_public, ret_private) != 0)
		die("key", "impossible");
}

static struct tunnel *open_tunnel(const char *ifname, uint32_t node, uint16_t port)
{
	const struct tunnel_config config = {
		.ifname = ifname, .tun_fd = -1, .port = port, .managed = true
	};
	uint8_t private[32], public[32];
	struct tunnel *t = NULL;
	struct err err = { 0 };

	if (tunnel_open(&config, &t, &err) < 0)
		die("tunnel", err.text);
	key_of(node, private, public);
	(void) tunnel_set_private_key(t, private);
	return t;
}

/* Where the tunnel is to send for @peer: at the ferry's socket. */
static struct endpoint by_relay(struct ferry *f, struct tunnel *t, uint32_t node, uint32_t peer,
	const struct endpoint *relay)
{
	uint8_t bind[BIND_LEN] = { 0xf1, 'H', 1, UDPRELAY_BIND }, private[32], public[32];
	struct endpoint at = { 0 };
	struct err err = { 0 };

	be32_write(bind + 4, node);
	key_of(peer, private, public);
	if (ferry_relay_open(f, RELAY, relay, 0, &err) < 0)
		die("relay", err.text);
	if (ferry_send_control(f, RELAY, bind, sizeof(bind)) < 0 ||
		ferry_relay_session(f, RELAY, SESSIONS + node) < 0 ||
		ferry_peer_add(f, peer, public, &at) < 0 ||
		ferry_peer_carrier(f, peer, RELAY) < 0 ||
		tunnel_allow_loopback(t, at.port, true) < 0)
		die("ferry", "refused");
	return at;
}

static void add_peer(struct tunnel *t, uint32_t peer, const struct endpoint *endpoint)
{
	struct ip_prefix all[2] = { { .addr = { .family = AF_INET } },
		{ .addr = { .family = AF_INET6 } } };
	struct tunnel_peer p = { .endpoint = *endpoint, .allowed = all, .n_allowed = 2 };
	uint8_t private[32];

	key_of(peer, private, p.key);
	if (tunnel_set_peer(t, &p) < 0)
		die("peer", "refused");
}

#define SHOW(c, name) (void) printf(#name " %" PRIu64 "\n", (c).name)

static void show(struct tunnel *t, struct ferry *f)
{
	struct tunnel_counters c = { 0 };
	struct ferry_counters n = { 0 };

	(void) tunnel_get_counters(t, &c);
	(void) ferry_get_counters(f, &n);
	SHOW(c, tx_datagrams);
	SHOW(c, tx_super);
	SHOW(c, rx_datagrams);
	SHOW(c, rx_super);
	SHOW(c, rx_denied);
	SHOW(n, from_tunnel);
	SHOW(n, from_tunnel_super);
	SHOW(n, to_relay);
	SHOW(n, to_relay_super);
	SHOW(n, to_relay_full);
	SHOW(n, to_relay_refused);
	SHOW(n, no_relay);
	SHOW(n, foreign);
	SHOW(n, from_relay);
	SHOW(n, from_relay_super);
	SHOW(n, from_relay_full);
	SHOW(n, malformed);
	SHOW(n, bad_session);
	SHOW(n, unknown_node);
	SHOW(n, to_tunnel);
	SHOW(n, to_tunnel_super);
	SHOW(n, to_tunnel_full);
	SHOW(n, to_tunnel_refused);
	(void) printf("end\n");
	(void) fflush(stdout);
}

static void serve(struct tunnel *t, struct ferry *f)
{
	struct pollfd fds[] = { { .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = tunnel_event_fd(t), .events = POLLIN },
		{ .fd = ferry_event_fd(f), .events = POLLIN } };
	struct tunnel_event event;
	struct ferry_event told;
	char line[64];

	for (;;) {
		if (poll(fds, ARRAY_LEN(fds), -1) < 0)
			continue;
		while (tunnel_next_event(t, &event))
			;
		while (ferry_next_event(f, &told))
			;
		if (!fds[0].revents)
			continue;
		if (read(STDIN_FILENO, line, sizeof(line)) <= 0)
			return;
		show(t, f);
	}
}

static int run_end(char **argv)
{
	uint32_t node = number(argv[1], NODES - 1), peer = number(argv[3], NODES - 1);
	uint16_t port = (uint16_t) number(argv[2], UINT16_MAX);
	struct tunnel *t = open_tunnel(argv[0], node, port);
	struct endpoint at;
	struct ferry *f = NULL;
	struct err err = { 0 };

	if (endpoint_parse(argv[5], &at) < 0)
		die(argv[5], "no such endpoint");
	if (ferry_new(port, &f, &err) < 0)
		die("ferry", err.text);
	if (!strcmp(argv[4], "relay"))
		at = by_relay(f, t, node, peer, &at);
	add_peer(t, peer, &at);
	(void) printf("ready\n");
	(void) fflush(stdout);
	serve(t, f);
	f = ferry_free(f);
	t = tunnel_close(t);
	return 0;
}

/* --- the relay --- */

static struct endpoint members[NODES];

/* Whose first datagram this is, the whole message is: @msg goes where that does. False: nowhere. */
static bool turn_round(struct sock_msg *msg)
{
	size_t size = sock_msg_datagrams(msg) > 1 ? msg->segment : msg->len;
	uint32_t session, node;

	if (msg->len == BIND_LEN && msg->data[3] == UDPRELAY_BIND) {
		node = be32_read(msg->data + 4);
		if (node < NODES)
			members[node] = msg->remote;
		return false;
	}
	if (!udprelay_data_parse(msg->data, size, &session, &node) || node >= NODES ||
		!members[node].port)
		return false;
	for (size_t at = 0; at + UDPRELAY_DATA_HEAD_LEN <= msg->len; at += size)
		udprelay_data_head(msg->data + at, SESSIONS + node, session - SESSIONS);
	msg->remote = members[node];
	msg->local = (struct ip_addr){ 0 };
	return true;
}

static void carry(struct sock *sock, struct sock_batch *batch, int fd)
{
	static uint8_t slots[SLOTS][65536];
	struct sock_msg msgs[SLOTS];
	size_t n = 0;
	int got;

	for (size_t i = 0; i < SLOTS; i++)
		msgs[i].data = slots[i];
	got = sock_recv(batch, fd, msgs, SLOTS, sizeof(slots[0]) - 1);
	for (int i = 0; i < got; i++)
		if (turn_round(&msgs[i]))
			msgs[n++] = msgs[i];
	(void) sock_send(batch, sock, msgs, n);
}

static int run_relay(const char *port)
{
	struct sock_batch *batch = sock_batch_new();
	struct err err = { 0 };
	struct sock sock;

	if (!batch)
		die("relay", "no memory");
	if (sock_open((uint16_t) number(port, UINT16_MAX), 0, true, &sock, &err) < 0)
		die("relay", err.text);
	(void) printf("ready\n");
	(void) fflush(stdout);
	for (;;) {
		struct pollfd fds[] = { { .fd = sock.fd4, .events = POLLIN },
			{ .fd = sock.fd6, .events = POLLIN } };

		if (poll(fds, ARRAY_LEN(fds), -1) < 0)
			continue;
		for (size_t i = 0; i < ARRAY_LEN(fds); i++)
			if (fds[i].revents)
				carry(&sock, batch, fds[i].fd);
	}
}

int main(int argc, char **argv)
{
	if (sodium_init() < 0)
		return 1;
	(void) signal(SIGPIPE, SIG_IGN);
	if (argc == 8 && !strcmp(argv[1], "end"))
		return run_end(argv + 2);
	if (argc == 3 && !strcmp(argv[1], "relay"))
		return run_relay(argv[2]);
	die("usage", "ferried end IFNAME NODE PORT PEER direct|relay ADDRESS:PORT, or relay PORT");
}
