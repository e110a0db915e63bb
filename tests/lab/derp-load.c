/*
 * Members at a relay's DERP service, many or busy. For tests and benches: a member's keys are made
 * of its number, from 1 (tests/unit/relay/derp-login.h). RELAY is ADDRESS:PORT, KEY the relay's
 * X25519 key in hex, FROM the address that the connections come from ("-": as routed).
 *
 *   derp-load members N           members 1 to N, as hearthd's answer to `members` has them (JSON)
 *   derp-load info KEY I          the frame by which member I logs in, in hex
 *   derp-load key I               its key, in hex
 *
 *   derp-load idle RELAY KEY FROM FIRST N
 *     N members log in, 16 at a time, and stay. 256 come from one address, the next from the next.
 *   derp-load talk RELAY KEY FROM A B [EVERY_US [BYTES]]
 *     Member A says something to member B, who says it back, every 2 ms, 1200 bytes.
 *   derp-load flood RELAY KEY FROM A B [BYTES]
 *     Member A sends to B as fast as it goes, and B reads nothing.
 *
 * These three print a line when all are in, then one of JSON when standard input ends, or sooner
 * if somebody is hung up on.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/ip.h"
#include "derp-login.h"
#include "packet/bytes.h"
#include "sys/tls/tls.h"

#define FAST "GET /derp HTTP/1.1\r\nUpgrade: DERP\r\nDerp-Fast-Start: 1\r\n\r\n"

enum {
	AT_ONCE = 16,
	PER_ADDRESS = 256,
	PACKET_MIN = 8, /* when it was sent */
	PACKET_MAX = 60000,
	TRIPS_MAX = 1 << 20,
	READ_MAX = 65536,
};

#define LAST_US (2 * USEC_PER_SEC) /* for answers, when the input has ended */

struct load;

struct client {
	struct load *load;
	struct login_keys keys;
	struct tls_stream *tls;
	sd_event_source *io;
	struct derp_reader reader;
	bool asked, in, deaf;
	unsigned number;
};

struct load {
	sd_event *event;
	struct tls_party *party;
	struct endpoint relay, from;
	uint8_t key[DERP_KEY_LEN];
	struct client *clients;
	unsigned first, n, begun, in;
	int status;
	sd_event_source *timer;

	/* talk and flood */
	bool talks, floods, ends;
	uint64_t every_us;
	size_t len;
	uint8_t packet[DERP_PACKET_HEAD_LEN + PACKET_MAX];
	size_t at; /* of the packet, what has gone */
	uint64_t sent, answered;
	uint32_t *trips_us;
};

static void fail(const char *what)
{
	fprintf(stderr, "derp-load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t number(const char *text, uint64_t max)
{
	char *end;
	unsigned long long n = strtoull(text, &end, 10);

	errno = EINVAL;
	if (*end || !*text || n > max)
		fail(text);
	return n;
}

/* --- frames --- */

static void on_trip(struct load *l, const uint8_t *data, size_t len)
{
	uint64_t now_us = clock_now_us();

	if (len < PACKET_MIN || l->answered >= TRIPS_MAX)
		return;
	l->trips_us[l->answered++] = (uint32_t) (now_us - be64_read(data));
}

static void send_packet(
	struct client *c, const uint8_t to[static DERP_KEY_LEN], const void *data, size_t len)
{
	static uint8_t frame[DERP_PACKET_HEAD_LEN + PACKET_MAX];
	size_t n = packet_frame(to, data, len, frame);

	/* a link that is full: this one is not sent, and so not answered */
	for (size_t at = 0; at < n && !tls_stream_keeps(c->tls); at += TLS_RECORD_MAX)
		(void) tls_stream_write(
			c->tls, frame + at, n - at < TLS_RECORD_MAX ? n - at : TLS_RECORD_MAX);
}

static void begin_next(struct load *l);
static void all_are_in(struct load *l);

static void on_frame(struct client *c, const struct derp_frame *frame)
{
	struct load *l = c->load;
	const uint8_t *from, *data;
	size_t len;

	if (frame->type == DERP_SERVER_INFO && !c->in) {
		c->in = true;
		l->in++;
		begin_next(l);
		if (l->in == l->n)
			all_are_in(l);
	} else if (frame->type == DERP_RECV && l->talks &&
		   derp_packet_parse(frame, &from, &data, &len) == 0 && len <= PACKET_MAX) {
		if (c == &l->clients[0])
			on_trip(l, data, len);
		else
			send_packet(c, from, data, len);
	}
}

/* --- a connection --- */

static void lost(struct client *c, const char *how)
{
	fprintf(stderr, "derp-load: member %u: %s\n", c->number, how);
	c->load->status = 1;
	(void) sd_event_exit(c->load->event, 0);
}

static void log_in(struct client *c)
{
	uint8_t text[sizeof(FAST) - 1 + DERP_INFO_FRAME_MAX];
	size_t len = sizeof(FAST) - 1;

	memcpy(text, FAST, len);
	len += login_frame(&c->keys, c->load->key, DERP_VERSION, text + len);
	c->asked = true;
	if (tls_stream_write(c->tls, text, len) < 0)
		lost(c, "cannot log in");
}

static void flood(struct client *c)
{
	struct load *l = c->load;
	size_t len = DERP_PACKET_HEAD_LEN + l->len;

	for (int i = 0; i < 64 && !tls_stream_keeps(c->tls); i++) {
		size_t n = len - l->at < TLS_RECORD_MAX ? len - l->at : TLS_RECORD_MAX;
		int r = tls_stream_write(c->tls, l->packet + l->at, n);

		if (r < 0 && r != -EAGAIN)
			return lost(c, strerror(-r));
		l->at = (l->at + n) % len;
		l->sent += l->at == 0;
	}
}

static void read_all(struct client *c)
{
	static uint8_t in[READ_MAX];
	struct derp_frame frame;
	ssize_t n;
	int r = 0;

	while (!c->deaf && (n = tls_stream_read(c->tls, in, sizeof(in))) > 0) {
		const uint8_t *data = in;
		size_t len = (size_t) n;

		while ((r = derp_reader_next(
				&c->reader, DERP_STAGE_CLIENT_OPEN, &data, &len, &frame)) > 0)
			on_frame(c, &frame);
		if (r < 0)
			return lost(c, "sent what is no frame");
	}
	if (!c->deaf && n != -EAGAIN)
		lost(c, n ? strerror((int) -n) : "hung up on");
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct client *c = ctx;
	struct load *l = c->load;
	bool floods;

	(void) tls_stream_flush(c->tls);
	read_all(c);
	if (!c->asked && tls_stream_is_open(c->tls))
		log_in(c);
	floods = l->floods && l->in == l->n && c == &l->clients[0];
	if (floods)
		flood(c);
	(void) sd_event_source_set_io_events(c->io,
		(c->deaf ? 0 : EPOLLIN) | (floods || tls_stream_keeps(c->tls) ? EPOLLOUT : 0));
	return 0;
}

static void bind_to(const struct load *l, unsigned i, int fd)
{
	struct endpoint from = l->from;
	struct sockaddr_storage sa;
	const int one = 1;
	socklen_t len;

	if (!from.addr.family)
		return;
	if (from.addr.family == AF_INET)
		be32_write(from.addr.bytes, be32_read(from.addr.bytes) + i / PER_ADDRESS);
	len = endpoint_to_sockaddr(&from, &sa);
	(void) setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *) &sa, len) < 0)
		fail("bind");
}

static void begin(struct load *l, unsigned i)
{
	struct client *c = &l->clients[i];
	struct sockaddr_storage sa;
	socklen_t len = endpoint_to_sockaddr(&l->relay, &sa);
	int fd = socket(l->relay.addr.family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0)
		fail("socket");
	bind_to(l, i, fd);
	if (connect(fd, (struct sockaddr *) &sa, len) < 0)
		fail("connect");
	(void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void) fcntl(fd, F_SETFL, O_NONBLOCK);
	*c = (struct client){ .load = l, .number = l->first + i };
	c->keys = login_keys(c->number);
	c->tls = tls_stream_connect(l->party, fd, "relay");
	if (!c->tls || sd_event_add_io(l->event, &c->io, fd, EPOLLIN | EPOLLOUT, on_io, c) < 0)
		fail("connection");
}

static void begin_next(struct load *l)
{
	while (l->begun < l->n && l->begun - l->in < AT_ONCE)
		begin(l, l->begun++);
}

/* --- what they do when all are in --- */

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct load *l = ctx;
	uint8_t data[PACKET_MAX] = { 0 };

	if (l->ends)
		return sd_event_exit(l->event, 0);
	be64_write(data, clock_now_us());
	send_packet(&l->clients[0], l->clients[1].keys.key, data, l->len);
	l->sent++;
	(void) sd_event_source_set_time_relative(source, l->every_us);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static void all_are_in(struct load *l)
{
	printf("%u are in\n", l->in);
	if (l->talks && sd_event_add_time_relative(
				l->event, &l->timer, CLOCK_MONOTONIC, 0, 100, on_timer, l) < 0)
		fail("timer");
	if (!l->floods)
		return;
	l->clients[1].deaf = true;
	(void) sd_event_source_set_io_events(l->clients[1].io, 0);
	derp_packet_head(DERP_SEND, l->clients[1].keys.key, l->len, l->packet);
	(void) sd_event_source_set_io_events(l->clients[0].io, EPOLLIN | EPOLLOUT);
}

/* Answers may be on their way still. */
static int on_input(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct load *l = ctx;
	char text[64];

	if (read(fd, text, sizeof(text)) > 0)
		return 0;
	l->ends = true;
	if (!l->timer || l->answered == l->sent)
		return sd_event_exit(l->event, 0);
	(void) sd_event_source_set_time_relative(l->timer, LAST_US / 10);
	(void) sd_event_source_set_enabled(l->timer, SD_EVENT_ONESHOT);
	return sd_event_source_set_enabled(source, SD_EVENT_OFF);
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *) a, y = *(const uint32_t *) b;

	return x < y ? -1 : x > y;
}

static uint32_t quantile(const struct load *l, unsigned per_mille)
{
	return l->answered ? l->trips_us[(l->answered - 1) * per_mille / 1000] : 0;
}

static void tell(struct load *l)
{
	if (l->answered)
		qsort(l->trips_us, l->answered, sizeof(l->trips_us[0]), compare);
	printf("{\"in\":%u,\"sent\":%" PRIu64 ",\"answered\":%" PRIu64 ",\"median_us\":%" PRIu32
	       ",\"p99_us\":%" PRIu32 ",\"longest_us\":%" PRIu32 "}\n",
		l->in, l->sent, l->answered, quantile(l, 500), quantile(l, 990), quantile(l, 1000));
}

/* --- its life --- */

static void allow_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void) setrlimit(RLIMIT_NOFILE, &limit);
}

static void read_place(struct load *l, char **argv)
{
	errno = EINVAL;
	if (endpoint_parse(argv[0], &l->relay) < 0)
		fail(argv[0]);
	if (key_from_hex(argv[1], strlen(argv[1]), l->key) < 0)
		fail(argv[1]);
	if (strcmp(argv[2], "-") != 0 && ip_addr_parse(argv[2], &l->from.addr) < 0)
		fail(argv[2]);
}

static int run(struct load *l)
{
	static const uint8_t seed[TLS_SEED_LEN] = { 1 };
	const struct tls_options options = { .client = true, .seed = seed, .name = "load" };
	struct err err;

	setlinebuf(stdout);
	(void) signal(SIGPIPE, SIG_IGN);
	allow_descriptors();
	if (tls_party_new(&options, &l->party, &err) < 0 || sd_event_new(&l->event) < 0 ||
		sd_event_add_io(l->event, NULL, STDIN_FILENO, EPOLLIN, on_input, l) < 0)
		fail("start");
	l->clients = calloc(l->n, sizeof(*l->clients));
	l->trips_us = malloc(TRIPS_MAX * sizeof(l->trips_us[0]));
	if (!l->clients || !l->trips_us)
		fail("memory");
	begin_next(l);
	(void) sd_event_loop(l->event);
	tell(l);
	return l->status; /* what is open the kernel closes */
}

static int pair(struct load *l, int argc, char **argv)
{
	int more = 5;

	read_place(l, argv);
	l->first = (unsigned) number(argv[3], 65535);
	if (number(argv[4], 65535) != l->first + 1)
		fail("B must be the one after A");
	l->n = 2;
	l->every_us = 2 * USEC_PER_MSEC;
	if (l->talks && argc > more)
		l->every_us = number(argv[more++], USEC_PER_SEC);
	l->len = argc > more ? number(argv[more], PACKET_MAX) : 1200;
	if (l->len < PACKET_MIN)
		l->len = PACKET_MIN;
	return run(l);
}

static int print_members(unsigned n)
{
	char wg[KEY_BASE64_LEN], identity[KEY_BASE64_LEN];

	printf("[");
	for (unsigned i = 1; i <= n; i++) {
		struct login_keys k = login_keys(i);

		key_to_base64(k.key, wg);
		key_to_base64(k.secret, identity); /* it is nobody's; but they differ */
		printf("%s{\"id\":%u,\"name\":\"member-%u\",\"wg\":\"%s\",\"identity\":\"%s\"}",
			i > 1 ? "," : "", i, i, wg, identity);
	}
	printf("]\n");
	return 0;
}

static int print_hex(const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		printf("%02x", data[i]);
	printf("\n");
	return 0;
}

static int print_info(const char *relay, unsigned i)
{
	struct login_keys k = login_keys(i);
	uint8_t key[DERP_KEY_LEN], frame[DERP_INFO_FRAME_MAX];

	errno = EINVAL;
	if (key_from_hex(relay, strlen(relay), key) < 0)
		fail(relay);
	return print_hex(frame, login_frame(&k, key, DERP_VERSION, frame));
}

int main(int argc, char **argv)
{
	static struct load l;
	const char *verb = argc > 1 ? argv[1] : "";

	if (sodium_init() < 0)
		return 1;
	if (argc == 3 && !strcmp(verb, "members"))
		return print_members((unsigned) number(argv[2], 65535));
	if (argc == 3 && !strcmp(verb, "key"))
		return print_hex(login_keys((unsigned) number(argv[2], 65535)).key, DERP_KEY_LEN);
	if (argc == 4 && !strcmp(verb, "info"))
		return print_info(argv[2], (unsigned) number(argv[3], 65535));
	l.talks = !strcmp(verb, "talk");
	l.floods = !strcmp(verb, "flood");
	if (argc >= 7 && argc <= 9 && (l.talks || l.floods))
		return pair(&l, argc - 2, argv + 2);
	if (argc == 7 && !strcmp(verb, "idle")) {
		read_place(&l, argv + 2);
		l.first = (unsigned) number(argv[5], 65535);
		l.n = (unsigned) number(argv[6], 16384);
		return run(&l);
	}
	fprintf(stderr, "derp-load members N | info KEY I | key I\n"
			"derp-load idle RELAY KEY FROM FIRST N\n"
			"derp-load talk RELAY KEY FROM A B [EVERY_US [BYTES]]\n"
			"derp-load flood RELAY KEY FROM A B [BYTES]\n");
	return 2;
}
