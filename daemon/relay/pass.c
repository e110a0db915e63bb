/*
 * pass: see pass.h. Clients wait, are given to a parked connection, and carried once it has taken
 * them; settle() decides, at the end of each event, so that nothing is freed below anybody's
 * feet.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "relay/pass-internal.h"

#define TICK_US USEC_PER_SEC

/* Looks after all of them, as long as there is anybody. */
static void tick(struct pass *p)
{
	if (p->ticking)
		return;
	p->ticking = true;
	(void) sd_event_source_set_time_relative(p->on_timer, TICK_US);
	(void) sd_event_source_set_enabled(p->on_timer, SD_EVENT_ONESHOT);
}

static void settle(struct pass *p);

/* --- clients --- */

static void client_end(struct client *c)
{
	struct pass *p = c->pass;
	struct parked *by = c->by;
	uint64_t out = 0, in = 0;

	if (by) { /* it has heard of him */
		by->client = NULL;
		park_end(by);
	}
	if (c->pump)
		pump_bytes(c->pump, &out, &in);
	p->counters.bytes_in += in;
	p->counters.bytes_out += out;
	*c->pprev = c->next;
	if (c->next)
		c->next->pprev = c->pprev;
	door_left(p->clients_door, &c->peer.addr, false);
	sd_event_source_disable_unref(c->io);
	(void) pump_free(c->pump);
	close_p(&c->fd);
	buf_done(&c->first);
	free(c);
}

static void on_over(void *ctx, struct pump *pump)
{
	client_end(ctx);
}

static void client_taken(struct client *c, const void *more, size_t more_len)
{
	struct parked *by = c->by;
	const struct pump_ends ends = { .tls = by->tls,
		.tls_fd = by->fd,
		.fd = c->fd,
		.to_socket = more,
		.to_socket_len = more_len,
		.to_tls = c->first.data + c->first_sent,
		.to_tls_len = c->first.len - c->first_sent };

	c->io = sd_event_source_disable_unref(c->io);
	by->io = sd_event_source_disable_unref(by->io);
	if (pump_new(c->pass->core->event, &ends, on_over, c, &c->pump) < 0)
		return client_end(c);
	c->fd = -1;
	buf_done(&c->first);
	c->pass->counters.taken++;
	c->pass->counters.bytes_in += c->first_sent;
	c->by = NULL;
	by->tls = NULL;
	by->client = NULL;
	park_end(by);
}

/* He has hung up before he was taken: what he says waits in his socket. */
static int on_client(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct client *c = ctx;
	struct pass *p = c->pass;

	p->now_us = clock_now_us();
	client_end(c);
	settle(p);
	return 0;
}

/*
 * The oldest of the source that has most; of that of @addr if it has too many. Those who are
 * carried stay as long as there are others: the coordinator has let them in, and has limits of its
 * own.
 */
static struct client *client_to_go(struct pass *p, const struct ip_addr *addr, bool of_source)
{
	unsigned most = 0;
	struct client *found = NULL;

	for (struct client *c = p->clients; c; c = c->next) {
		unsigned n;

		if ((of_source && !door_same_source(p->clients_door, addr, &c->peer.addr)) ||
			(found && c->pump && !found->pump))
			continue;
		n = door_strangers_from(p->clients_door, &c->peer.addr);
		if (!found || n >= most || (found->pump && !c->pump)) {
			most = n;
			found = c;
		}
	}
	return found;
}

static void make_room(struct pass *p, const struct ip_addr *addr)
{
	enum door_crowd crowd = door_crowd(p->clients_door, addr);
	struct client *c =
		crowd == DOOR_ROOM ? NULL : client_to_go(p, addr, crowd == DOOR_CROWDED_SOURCE);

	if (!c)
		return;
	p->counters.crowded++;
	client_end(c);
}

static int let_in(struct pass *p, int fd, const struct endpoint *peer, const uint8_t *pin,
	const struct buf *first)
{
	struct client *c = calloc(1, sizeof(*c));
	int r = -ENOMEM;

	if (!c)
		return r;
	*c = (struct client){ .pass = p, .peer = *peer, .since_us = p->now_us };
	memcpy(c->pin, pin, PASS_PIN_LEN);
	buf_add(&c->first, first->data, first->len);
	if (!buf_failed(&c->first))
		r = sd_event_add_io(p->core->event, &c->io, fd, EPOLLRDHUP, on_client, c);
	if (r < 0) {
		buf_done(&c->first);
		free(c);
		return r;
	}
	c->fd = fd;
	c->next = p->clients;
	c->pprev = &p->clients;
	if (c->next)
		c->next->pprev = &c->next;
	p->clients = c;
	door_came(p->clients_door, &peer->addr);
	make_room(p, &peer->addr); /* which takes the oldest */
	return 0;
}

/* --- who gets what --- */

static bool waits(const struct client *c)
{
	return !c->by && !c->pump;
}

/* Of a source that has fewest, so that a crowd delays itself; of these the oldest. */
static struct client *next_to_serve(struct pass *p, const uint8_t *pin, unsigned *ret_others)
{
	struct client *found = NULL;
	unsigned fewest = UINT_MAX, n_waiting = 0;

	for (struct client *c = p->clients; c; c = c->next) {
		unsigned n;

		if (!waits(c) || memcmp(c->pin, pin, PASS_PIN_LEN) != 0)
			continue;
		n_waiting++;
		n = door_strangers_from(p->clients_door, &c->peer.addr);
		if (n <= fewest) {
			fewest = n;
			found = c;
		}
	}
	*ret_others = n_waiting - (found != NULL);
	return found;
}

static void settle(struct pass *p)
{
	for (size_t i = 0; i < p->n_pins; i++) {
		struct parked *k;

		while ((k = park_find(p, p->pins[i]))) {
			unsigned others;
			struct client *c = next_to_serve(p, p->pins[i], &others);

			if (!c)
				break;
			(void) park_open(k, c, others); /* if not, there may be another one */
		}
	}
	if (p->clients || p->parked)
		tick(p);
}

static const struct park_hooks hooks = {
	.settle = settle, .taken = client_taken, .refused = client_end
};

bool pass_serves(const char *name)
{
	uint8_t pin[PASS_PIN_LEN];

	return !strcmp(name, PASS_PARK_NAME) || pass_pin_of_name(name, pin) == 0;
}

static void take_client(struct pass *p, int fd, const struct endpoint *peer, const uint8_t *pin,
	const struct buf *first)
{
	p->counters.clients++;
	if (!park_knows(p, pin)) {
		p->counters.unknown++;
		(void) close(fd);
	} else if (door_ask(p->clients_door, &peer->addr, p->now_us) != DOOR_ENTER) {
		p->counters.turned_away++;
		(void) close(fd);
	} else if (let_in(p, fd, peer, pin, first) < 0) {
		(void) close(fd);
	}
}

void pass_take(struct pass *p, int fd, const struct endpoint *peer, const char *name,
	const void *first, size_t first_len)
{
	const struct buf borrowed = { .data = (char *) (uintptr_t) first, .len = first_len };
	uint8_t pin[PASS_PIN_LEN];

	p->now_us = clock_now_us();
	if (pass_pin_of_name(name, pin) == 0)
		take_client(p, fd, peer, pin, &borrowed);
	else
		park_join(p, fd, peer, first, first_len);
	settle(p);
}

/* --- time, and other coordinators --- */

static void look_at_client(struct client *c)
{
	struct pass *p = c->pass;

	if (c->pump) {
		if (pump_is_stuck(c->pump, p->now_us))
			client_end(c);
	} else if (p->now_us - c->since_us >= PASS_WAIT_US) {
		p->counters.waited++;
		client_end(c);
	}
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct pass *p = ctx;
	struct parked *next_parked;
	struct client *next;

	p->now_us = clock_now_us();
	p->ticking = false;
	for (struct parked *k = p->parked; k; k = next_parked) {
		next_parked = k->next;
		park_look(k);
	}
	for (struct client *c = p->clients; c; c = next) {
		next = c->next;
		look_at_client(c);
	}
	settle(p);
	return 0;
}

void pass_follow(struct pass *p, const uint8_t (*pins)[PASS_PIN_LEN], size_t n)
{
	struct parked *next_parked;
	struct client *next;

	p->now_us = clock_now_us();
	p->n_pins = n < PASS_COORDINATORS_MAX ? n : PASS_COORDINATORS_MAX;
	memcpy(p->pins, pins, p->n_pins * PASS_PIN_LEN);
	for (struct client *c = p->clients; c; c = next) {
		next = c->next;
		if (!park_knows(p, c->pin))
			client_end(c);
	}
	for (struct parked *k = p->parked; k; k = next_parked) {
		next_parked = k->next;
		if (k->proved && !park_knows(p, k->pin))
			park_end(k);
	}
	settle(p);
}

/* --- its life --- */

static int open_doors(struct pass *p, const struct pass_config *config)
{
	const struct door_limits clients = {
		.places = config->clients_max + 1,
		.per_source = config->clients_max + 1,
		.strangers = config->clients_max,
		.strangers_per_source = config->per_source_max,
		.rates = config->rates,
	};
	const struct door_limits parks = {
		.places = PASS_COORDINATORS_MAX * PASS_PARKED_MAX + PASS_JOINING_MAX + 1,
		.per_source = UINT_MAX,
		.strangers = PASS_JOINING_MAX,
		.strangers_per_source = PASS_JOINING_PER_SOURCE,
		.rates = { .stranger = { 32, USEC_PER_SEC },
			.strangers = { 500, USEC_PER_SEC / 100 },
			.proven = { 1000, USEC_PER_SEC / 500 },
			.proven_for_us = 3600 * USEC_PER_SEC },
	};
	int r = door_new(&clients, &p->clients_door);

	return r < 0 ? r : door_new(&parks, &p->parks_door);
}

int pass_new(struct relay_core *core, const struct pass_config *config, struct pass **ret,
	struct err *err)
{
	const struct tls_options tls = {
		.asks = true, .seed = config->tls_seed, .name = config->name
	};
	struct pass *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return err_set(err, -ENOMEM, "pass-through: out of memory");
	p->core = core;
	p->hooks = &hooks;
	r = open_doors(p, config);
	if (r == 0)
		r = sd_event_add_time(core->event, &p->on_timer, CLOCK_BOOTTIME, 0,
			100 * USEC_PER_MSEC, on_timer, p);
	if (r >= 0)
		r = sd_event_source_set_enabled(p->on_timer, SD_EVENT_OFF);
	if (r < 0)
		(void) err_set(err, r, "pass-through: it cannot be started (%s)", strerror(-r));
	else
		r = tls_party_new(&tls, &p->tls, err);
	if (r < 0) {
		(void) pass_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

struct pass *pass_free(struct pass *p)
{
	if (!p)
		return NULL;
	while (p->clients)
		client_end(p->clients);
	while (p->parked)
		park_end(p->parked);
	sd_event_source_disable_unref(p->on_timer);
	(void) tls_party_free(p->tls);
	(void) door_free(p->clients_door);
	(void) door_free(p->parks_door);
	free(p);
	return NULL;
}

void pass_counters(const struct pass *p, struct pass_counters *ret)
{
	*ret = p->counters;
	for (const struct parked *k = p->parked; k; k = k->next) {
		ret->joining += k->state == PARKED_JOINING;
		ret->parked += k->state == PARKED_WAITING;
	}
	for (const struct client *c = p->clients; c; c = c->next) {
		ret->waiting += !c->pump;
		ret->carried += c->pump != NULL;
	}
}
