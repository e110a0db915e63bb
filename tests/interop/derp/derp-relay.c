/*
 * The relay's TCP port with its DERP service alone, for tests: derp-relay ADDRESS:PORT KEY... lets
 * in whoever has one of the public KEYs (hex). It prints its port, its X25519 key (hex) and the pin
 * of its certificate, then does what lines on standard input say:
 *
 *   remove KEY   that one is no member any more
 *   restart      says so to all, and ends
 *
 * At the end of the input it prints what it counted, and ends.
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/encode.h"
#include "relay/derp.h"
#include "relay/front.h"
#include "sys/listen/listen.h"
#include "sys/x509/x509.h"

enum { MEMBERS = 64, LINE = 128 };

struct tool {
	struct relay_core core;
	struct front *front;
	struct derp *derp;
	struct relay_member members[MEMBERS];
	size_t n;
};

static int fail(const char *what, int r)
{
	fprintf(stderr, "derp-relay: %s: %s\n", what, strerror(-r));
	return 1;
}

static int add_member(struct tool *t, const char *hex)
{
	struct relay_member *m = &t->members[t->n];

	if (t->n == MEMBERS || key_from_hex(hex, strlen(hex), m->wg) < 0)
		return -EINVAL;
	memcpy(m->identity, m->wg, sizeof(m->wg));
	m->id = (uint32_t) ++t->n;
	return 0;
}

static void remove_member(struct tool *t, const char *hex)
{
	uint8_t key[KEY_LEN];

	if (key_from_hex(hex, strlen(hex), key) < 0)
		return;
	for (size_t i = 0; i < t->n; i++)
		if (!memcmp(t->members[i].wg, key, sizeof(key)))
			t->members[i] = t->members[--t->n];
	if (members_set(t->core.members, t->members, t->n) == 0)
		derp_follow(t->derp);
}

static void print_counters(struct tool *t)
{
	struct derp_counters c;

	derp_counters(t->derp, &c);
	printf("logins %llu, packets %llu in %llu out, not here %llu",
		(unsigned long long) c.logins, (unsigned long long) c.packets_in,
		(unsigned long long) c.packets_out, (unsigned long long) c.not_here);
	for (int i = 0; i < DERP_DROPS; i++)
		printf(", %s %llu", derp_drop_name((enum derp_drop) i),
			(unsigned long long) c.drops[i]);
	printf("; waited %llu us on average\n",
		(unsigned long long) (c.packets_out ? c.delay_us / c.packets_out : 0));
	for (int i = 1; i < DERP_ENDS; i++)
		if (c.ended[i])
			printf("ended: %s %llu\n", derp_end_name((enum derp_end) i),
				(unsigned long long) c.ended[i]);
}

static int on_input(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct tool *t = ctx;
	char line[LINE];

	if (!fgets(line, sizeof(line), stdin)) {
		print_counters(t);
		return sd_event_exit(t->core.event, 0);
	}
	line[strcspn(line, "\n")] = '\0';
	if (!strncmp(line, "remove ", 7))
		remove_member(t, line + 7);
	if (strcmp(line, "restart") != 0)
		return 0;
	derp_say_restart(t->derp);
	return sd_event_exit(t->core.event, 0);
}

static void on_arrived(void *ctx, int fd, const struct endpoint *peer, const char *name,
	const void *first, size_t first_len)
{
	struct tool *t = ctx;

	derp_take(t->derp, fd, peer, first, first_len);
}

static const struct front_hooks hooks = { .arrived = on_arrived };

static int run(struct tool *t, const char *where)
{
	static const uint8_t seed[TLS_SEED_LEN] = { 7 };
	struct derp_config config = {
		.tls_seed = seed, .name = "relay", .clients_max = 64, .pool_max = 64 << 20
	};
	struct front_config door = { .places = FRONT_PLACES_DEFAULT,
		.per_source = FRONT_PER_SOURCE_DEFAULT };
	uint8_t tls_key[X509_KEY_LEN];
	char pin[X509_PIN_TEXT_LEN], hex[KEY_HEX_LEN];
	sd_event_source *on_stdin = NULL;
	struct err err = { 0 };
	uint16_t port = 0;
	int r;

	if (derp_new(&t->core, &config, &t->derp, &err) < 0 ||
		listen_open(where, &door.listen_fd, &err) < 0)
		return fail(err.text, err.code);
	port = listen_port(door.listen_fd);
	if (front_new(&t->core, &door, &hooks, t, &t->front, &err) < 0)
		return fail(err.text, err.code);
	r = sd_event_add_io(t->core.event, &on_stdin, STDIN_FILENO, EPOLLIN, on_input, t);
	if (r < 0)
		return fail("standard input", r);
	if (x509_public_key(seed, tls_key) < 0 || x509_pin_of_key(tls_key, pin) < 0)
		return fail("no pin", -EIO);
	key_to_hex(t->core.key, hex);
	printf("%u %s %s\n", port, hex, pin);
	(void) fflush(stdout);
	r = sd_event_loop(t->core.event);
	sd_event_source_disable_unref(on_stdin);
	return r < 0 ? fail("loop", r) : 0;
}

int main(int argc, char **argv)
{
	static struct tool tool;
	struct relay_core *core = &tool.core;
	int r = argc < 2 || sodium_init() < 0 ? -EINVAL : sd_event_new(&core->event);

	core->secret[0] = 9;
	(void) crypto_scalarmult_base(core->key, core->secret);
	core->members = members_new();
	for (int i = 2; i < argc && r >= 0; i++)
		r = add_member(&tool, argv[i]);
	if (r >= 0)
		r = members_set(core->members, tool.members, tool.n);
	if (r < 0)
		return fail("usage: derp-relay ADDRESS:PORT KEY...", r);
	(void) setvbuf(stdin, NULL, _IONBF, 0); /* what is buffered the loop does not see */
	r = run(&tool, argv[1]);
	tool.front = front_free(tool.front);
	tool.derp = derp_free(tool.derp);
	core->members = members_free(core->members);
	core->event = sd_event_unref(core->event);
	return r;
}
