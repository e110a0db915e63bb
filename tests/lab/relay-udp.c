/*
 * The UDP relay by itself, and a pair of its members that talk as fast as they can. For tests: the
 * relay's key and its members' are those of tests/unit/relay/relay-maker.c.
 *
 *   relay-udp serve [PORT]
 *     Prints "port N" and obeys lines on stdin, each answered by one line; ends with stdin:
 *       count              the counters, processor time and bound members, as JSON
 *       members I ...      members 0 to 7 are these from now on
 *       deny PREFIX ...    addresses that are not served
 *
 *   relay-udp speed ADDRESS PORT SECONDS PAYLOAD MBIT FROM TO
 *     Member FROM sends trains of datagrams with PAYLOAD bytes to member TO over the relay, MBIT
 *     (0: as many as go) a second. Prints as JSON what was sent and what came, each in Mbit/s of
 *     payload.
 *
 *   relay-udp pump ADDRESS PORT SECONDS PAYLOAD MBIT FROM-PORT TO-PORT HEAD
 *     The same with another's relay, at which both local ports are bound already: its datagrams
 *     begin with HEAD, in hexadecimal.
 *
 *   relay-udp bind I [COOKIE]
 *   relay-udp bound I BOUND
 *     For programs that cannot seal: prints a BIND of member I with this cookie; what a BOUND to it
 *     says, as JSON. Bytes are hexadecimal.
 */
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "relay-maker.h"
#include "relay/udp.h"

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* --- serve --- */

struct server {
	struct maker maker;
	struct relay_core core;
	struct udp *udp;
};

static void print_counters(const struct server *s)
{
	const struct udp_counters *c = udp_counters(s->udp);
	struct rusage used;

	(void) getrusage(RUSAGE_SELF, &used);
	for (int i = 0; i < FATES; i++)
		printf("%s\"%s\":%" PRIu64, i ? "," : "{", fate_name((enum fate) i), c->fates[i]);
	printf(",\"received\":%" PRIu64 ",\"received_bytes\":%" PRIu64 ",\"carried_bytes\":%" PRIu64
	       ",\"said\":%" PRIu64 ",\"said_bytes\":%" PRIu64,
		c->received, c->received_bytes, c->carried_bytes, c->said, c->said_bytes);
	printf(",\"overruns\":%" PRIu64, c->overruns);
	printf(",\"messages_in\":%" PRIu64 ",\"calls_in\":%" PRIu64 ",\"messages_out\":%" PRIu64
	       ",\"calls_out\":%" PRIu64,
		c->messages_in, c->calls_in, c->messages_out, c->calls_out);
	printf(",\"bound\":%zu,\"cpu_us\":%lld,\"memory_kib\":%ld}\n", udp_bound(s->udp),
		(long long) (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000 +
			used.ru_utime.tv_usec + used.ru_stime.tv_usec,
		used.ru_maxrss);
}

static int set_members(struct server *s, char *words)
{
	struct relay_member list[MAKER_MEMBERS];
	size_t n = 0;
	int r;

	for (char *word; (word = strsep(&words, " ")) && n < MAKER_MEMBERS;)
		list[n++] = s->maker.list[strtoul(word, NULL, 10) % MAKER_MEMBERS];
	r = members_set(s->core.members, list, n);
	return r < 0 ? r : udp_follow(s->udp);
}

static int set_denied(struct server *s, char *words)
{
	struct ip_prefix list[8];
	size_t n = 0;

	for (char *word; (word = strsep(&words, " ")) && n < ARRAY_LEN(list); n++)
		if (ip_prefix_parse(word, &list[n]) < 0)
			return -EINVAL;
	return udp_deny(s->udp, list, n);
}

static int on_line(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct server *s = ctx;
	char line[512], *words = line;
	const char *verb;

	if (!fgets(line, sizeof(line), stdin))
		return sd_event_exit(s->core.event, 0);
	line[strcspn(line, "\n")] = '\0';
	verb = strsep(&words, " ");
	if (strcmp(verb, "count") == 0)
		print_counters(s);
	else if (strcmp(verb, "members") == 0)
		printf("%d\n", set_members(s, words));
	else if (strcmp(verb, "deny") == 0)
		printf("%d\n", set_denied(s, words));
	else
		printf("what is %s?\n", verb);
	return 0;
}

static int serve(uint16_t port)
{
	struct udp_options options = { .port = port };
	struct server s = { 0 };
	struct err err;

	setlinebuf(stdout);
	setvbuf(stdin, NULL, _IONBF, 0); /* no line may wait behind another where no event tells */
	maker_init(&s.maker);
	memcpy(s.core.secret, s.maker.secret, sizeof(s.core.secret));
	memcpy(s.core.key, s.maker.key, sizeof(s.core.key));
	s.core.members = members_new();
	if (members_set(s.core.members, s.maker.list, MAKER_MEMBERS) < 0 ||
		sd_event_new(&s.core.event) < 0 ||
		sd_event_add_io(s.core.event, NULL, STDIN_FILENO, EPOLLIN, on_line, &s) < 0)
		fail("serve");
	if (udp_new(&s.core, &options, &s.udp, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	printf("port %u\n", udp_port(s.udp));
	(void) sd_event_loop(s.core.event);
	(void) udp_free(s.udp);
	(void) members_free(s.core.members);
	(void) sd_event_unref(s.core.event);
	return 0;
}

/* --- speed, pump --- */

enum { HEAD_MAX = 64 };

struct speed {
	struct maker maker;
	struct endpoint relay;
	uint64_t duration_us;
	size_t payload, from, to;
	uint64_t mbit;
	uint8_t head[HEAD_MAX];
	size_t head_len;
	uint64_t *sent, *came; /* bytes of payload, shared with the children */
};

static uint32_t bind_member(const struct speed *s, size_t i, int fd)
{
	uint8_t data[UDPRELAY_BIND_LEN], answer[2048];
	struct udprelay_bound bound;
	struct udprelay_cookie cookie;
	bool has_cookie = false;

	for (int tries = 0; tries < 20; tries++) {
		ssize_t n;

		maker_bind(&s->maker, i, has_cookie ? cookie.cookie : NULL, 1, data);
		(void) send(fd, data, sizeof(data), 0);
		n = recv(fd, answer, sizeof(answer), 0);
		if (n > 0 && udprelay_cookie_parse(answer, (size_t) n, &cookie) == 0)
			has_cookie = true;
		else if (n > 0 &&
			 udprelay_bound_open(s->maker.keys[i], answer, (size_t) n, &bound) == 0)
			return bound.session;
	}
	fprintf(stderr, "member %zu cannot bind\n", i);
	exit(1);
}

static int open_member(const struct speed *s, uint16_t port)
{
	const struct timeval patience = { .tv_usec = 500000 };
	const int size = 8 * 1024 * 1024, on = 1;
	const struct endpoint any = { { .family = s->relay.addr.family }, .port = port };
	struct sockaddr_storage own, sa;
	socklen_t own_len = endpoint_to_sockaddr(&any, &own);
	socklen_t len = endpoint_to_sockaddr(&s->relay, &sa);
	int fd = socket(s->relay.addr.family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *) &own, own_len) < 0 ||
		connect(fd, (struct sockaddr *) &sa, len) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
		setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof(on)) < 0)
		fail("member");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		(void) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	return fd;
}

/* Until nothing has come for half a second. */
static void run_receiver(const struct speed *s, int fd)
{
	uint8_t *data = malloc(65536);
	ssize_t n;

	while (data && (n = recv(fd, data, 65536, 0)) > 0)
		*s->came += (uint64_t) n / (s->head_len + s->payload) * s->payload;
	free(data);
}

static void run_sender(const struct speed *s, int fd)
{
	const size_t size = s->head_len + s->payload;
	const size_t n = 65000 / size < 64 ? 65000 / size : 64;
	uint16_t segment = (uint16_t) size;
	uint8_t *data = calloc(n, size);
	uint64_t start_us = clock_now_us(), now_us = start_us;

	if (!data || setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &(int){ segment }, sizeof(int)) < 0)
		fail("train");
	for (size_t i = 0; i < n; i++)
		memcpy(data + i * size, s->head, s->head_len);
	while (now_us - start_us < s->duration_us) {
		struct timespec pause = { .tv_nsec = 20000 };

		now_us = clock_now_us();
		if (s->mbit && *s->sent * 8 > (now_us - start_us) * s->mbit)
			(void) nanosleep(&pause, NULL);
		else if (send(fd, data, n * size, 0) > 0)
			*s->sent += n * s->payload;
	}
	free(data);
}

static int run_speed(struct speed *s, int from, int to)
{
	uint64_t *shared =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t receiver;
	int status = 0;

	if (shared == MAP_FAILED)
		fail("speed");
	s->sent = &shared[0];
	s->came = &shared[1];
	receiver = fork();
	if (receiver < 0)
		fail("fork");
	if (receiver == 0) {
		run_receiver(s, to);
		_exit(0);
	}
	run_sender(s, from);
	(void) waitpid(receiver, &status, 0);
	printf("{\"sent_mbit\":%.1f,\"came_mbit\":%.1f,\"came_bytes\":%" PRIu64
	       ",\"sent_bytes\":%" PRIu64 "}\n",
		(double) *s->sent * 8 / (double) s->duration_us,
		(double) *s->came * 8 / (double) s->duration_us, *s->came, *s->sent);
	return status != 0;
}

static void read_speed(char **argv, struct speed *ret)
{
	*ret = (struct speed){ .relay = { .port = (uint16_t) strtoul(argv[1], NULL, 10) },
		.duration_us = strtoull(argv[2], NULL, 10) * USEC_PER_SEC,
		.payload = strtoul(argv[3], NULL, 10),
		.mbit = strtoull(argv[4], NULL, 10) };
	if (ip_addr_parse(argv[0], &ret->relay.addr) < 0 || ret->payload == 0 ||
		ret->payload > 9200)
		fail("speed");
}

static int speed(char **argv)
{
	struct speed s;
	int from, to;

	read_speed(argv, &s);
	s.from = strtoul(argv[5], NULL, 10) % MAKER_MEMBERS;
	s.to = strtoul(argv[6], NULL, 10) % MAKER_MEMBERS;
	maker_init(&s.maker);
	from = open_member(&s, 0);
	to = open_member(&s, 0);
	s.head_len = UDPRELAY_DATA_HEAD_LEN;
	udprelay_data_head(s.head, bind_member(&s, s.from, from), s.maker.list[s.to].id);
	(void) bind_member(&s, s.to, to);
	return run_speed(&s, from, to);
}

/* --- bind, bound --- */

static size_t read_hex(const char *text, uint8_t *ret, size_t capacity)
{
	size_t len = 0;

	if (sodium_hex2bin(ret, capacity, text, strlen(text), NULL, &len, NULL) != 0)
		fail("hexadecimal");
	return len;
}

static int pump(char **argv)
{
	struct speed s;

	read_speed(argv, &s);
	s.head_len = read_hex(argv[7], s.head, sizeof(s.head));
	return run_speed(&s, open_member(&s, (uint16_t) strtoul(argv[5], NULL, 10)),
		open_member(&s, (uint16_t) strtoul(argv[6], NULL, 10)));
}

static int print_bind(const char *member, const char *cookie_hex)
{
	uint8_t data[UDPRELAY_BIND_LEN], cookie[UDPRELAY_COOKIE_LEN];
	char hex[2 * sizeof(data) + 1];
	struct maker maker;

	maker_init(&maker);
	if (cookie_hex)
		(void) read_hex(cookie_hex, cookie, sizeof(cookie));
	maker_bind(&maker, strtoul(member, NULL, 10) % MAKER_MEMBERS, cookie_hex ? cookie : NULL, 1,
		data);
	puts(sodium_bin2hex(hex, sizeof(hex), data, sizeof(data)));
	return 0;
}

static int print_bound(const char *member, const char *data_hex)
{
	uint8_t data[UDPRELAY_BOUND_LEN];
	size_t len = read_hex(data_hex, data, sizeof(data));
	char hex[2 * UDPRELAY_COOKIE_LEN + 1], seen[ENDPOINT_TEXT_MAX];
	struct udprelay_bound bound;
	struct maker maker;

	maker_init(&maker);
	if (udprelay_bound_open(
		    maker.keys[strtoul(member, NULL, 10) % MAKER_MEMBERS], data, len, &bound) < 0)
		return 1;
	printf("{\"session\":%u,\"seen\":\"%s\",\"cookie\":\"%s\"}\n", bound.session,
		endpoint_format(&bound.seen, seen),
		sodium_bin2hex(hex, sizeof(hex), bound.cookie, sizeof(bound.cookie)));
	return 0;
}

int main(int argc, char **argv)
{
	if (sodium_init() < 0)
		return 1;
	if (argc >= 2 && argc <= 3 && strcmp(argv[1], "serve") == 0)
		return serve(argc == 3 ? (uint16_t) strtoul(argv[2], NULL, 10) : 0);
	if (argc == 9 && strcmp(argv[1], "speed") == 0)
		return speed(argv + 2);
	if (argc == 10 && strcmp(argv[1], "pump") == 0)
		return pump(argv + 2);
	if (argc >= 3 && argc <= 4 && strcmp(argv[1], "bind") == 0)
		return print_bind(argv[2], argv[3]);
	if (argc == 4 && strcmp(argv[1], "bound") == 0)
		return print_bound(argv[2], argv[3]);
	fprintf(stderr,
		"relay-udp serve [PORT] | bind I [COOKIE] | bound I BOUND\n"
		"relay-udp speed ADDRESS PORT SECONDS PAYLOAD MBIT FROM TO\n"
		"relay-udp pump ADDRESS PORT SECONDS PAYLOAD MBIT FROM-PORT TO-PORT HEAD\n");
	return 2;
}
