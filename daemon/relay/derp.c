/* derp: see derp.h and derp-internal.h. */
#include "relay/derp-internal.h"

#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/encode.h"
#include "sys/x509/x509.h"

enum {
	STRANGERS_MAX = 512,
	STRANGERS_PER_SOURCE_MAX = 64,
	STRANGERS_MIN = 8,
	RESTART_IN_MS = 1000, /* by chance up to that, so that not all come back at once */
	RESTART_TRY_MS = 5000,
};

/* --- who comes in --- */

/* The oldest of the source that has most; of that of @addr if it has too many. */
static struct derp_conn *stranger_to_go(struct derp *d, const struct ip_addr *addr, bool of_source)
{
	unsigned most = 0;
	struct derp_conn *found = NULL;

	for (struct derp_conn *c = d->strangers; c; c = c->next) {
		unsigned n;

		if (c->broken || (of_source && !door_same_source(d->door, addr, &c->addr)))
			continue;
		n = door_strangers_from(d->door, &c->addr);
		if (n >= most) {
			most = n;
			found = c;
		}
	}
	return found;
}

static void make_room(struct derp *d, const struct ip_addr *addr)
{
	enum door_crowd crowd = door_crowd(d->door, addr);
	struct derp_conn *c;

	if (crowd == DOOR_ROOM)
		return;
	c = stranger_to_go(d, addr, crowd == DOOR_CROWDED_SOURCE);
	if (!c)
		return;
	derp_client_end(&c->client, DERP_END_CROWDED, NULL, d->now_us);
	c->broken = true;
	derp_touch(c);
}

static int let_in(
	struct derp *d, int fd, const struct endpoint *peer, const void *first, size_t first_len)
{
	struct tls_stream *tls = tls_stream_new(d->tls, fd, first, first_len);
	struct derp_conn *c;
	int r;

	if (!tls) {
		(void) close(fd);
		return -ENOMEM;
	}
	r = derp_conn_new(d->core->event, fd, tls, derp_on_io, &c);
	if (r < 0) {
		(void) tls_stream_free(tls);
		return r;
	}
	derp_client_init(&c->client, &d->keys, &d->pool, &derp_client_hooks, c, d->now_us);
	c->derp = d;
	c->addr = peer->addr;
	derp_link(c, &d->strangers);
	door_came(d->door, &c->addr);
	d->counters.accepted++;
	derp_touch(c);
	if (first_len) /* of which the socket says nothing */
		derp_want_turn(c);
	make_room(d, &c->addr);
	return 0;
}

void derp_take(
	struct derp *d, int fd, const struct endpoint *peer, const void *first, size_t first_len)
{
	d->now_us = clock_now_us();
	if (d->closing || door_ask(d->door, &peer->addr, d->now_us) != DOOR_ENTER) {
		d->counters.turned_away++;
		(void) close(fd);
	} else if (let_in(d, fd, peer, first, first_len) < 0) {
		d->counters.ended[DERP_END_MEMORY]++;
	}
	derp_settle(d);
}

/* --- from outside --- */

void derp_set_hooks(struct derp *d, const struct derp_hooks *hooks, void *ctx)
{
	d->hooks = hooks;
	d->ctx = ctx;
}

void derp_flush(struct derp *d)
{
	derp_settle(d);
}

void derp_follow(struct derp *d)
{
	d->now_us = clock_now_us();
	for (struct derp_conn *c = d->known; c; c = c->next) {
		const struct relay_member *member = members_by_wg(d->core->members, c->client.key);

		if (member && member->id == c->node)
			continue;
		derp_client_end(&c->client, DERP_END_REMOVED,
			"this board is no member of the mesh any more", d->now_us);
		derp_touch(c);
	}
	derp_settle(d);
}

void derp_say_restart(struct derp *d)
{
	d->now_us = clock_now_us();
	d->closing = true;
	for (struct derp_conn *c = d->known; c; c = c->next) {
		derp_client_say_restart(
			&c->client, randombytes_uniform(RESTART_IN_MS), RESTART_TRY_MS, d->now_us);
		derp_touch(c);
	}
	derp_settle(d);
}

bool derp_has(const struct derp *d, const uint8_t key[static DERP_KEY_LEN],
	struct ip_addr *ret_from, uint64_t *ret_since_us)
{
	const struct derp_conn *c = derp_table_find(&d->table, key);

	if (!c)
		return false;
	*ret_from = c->addr;
	*ret_since_us = c->client.since_us;
	return true;
}

void derp_counters(const struct derp *d, struct derp_counters *ret)
{
	*ret = d->counters;
	ret->waiting_bytes = d->pool.used;
	ret->packets_out = d->pool.taken;
	ret->delay_us = d->pool.delay_us;
	ret->delay_max_us = d->pool.delay_max_us;
	memcpy(ret->drops, d->pool.drops, sizeof(ret->drops));
	ret->clients = d->table.n;
	for (const struct derp_conn *c = d->strangers; c; c = c->next)
		ret->strangers++;
	for (const struct derp_conn *c = d->known; c; c = c->next) {
		ret->preferred += c->listed && c->client.preferred;
		ret->unsaid += c->client.unsaid;
	}
}

/* --- its life --- */

static unsigned clamp(unsigned n, unsigned min, unsigned max)
{
	return n < min ? min : n > max ? max : n;
}

static int open_door(struct derp *d, const struct derp_config *config)
{
	struct door_limits limits = {
		.strangers = clamp(config->clients_max / 4, STRANGERS_MIN, STRANGERS_MAX),
		.per_source = config->per_source_max ? config->per_source_max : UINT_MAX,
		.rates = config->rates,
	};

	limits.places = config->clients_max + limits.strangers;
	limits.strangers_per_source =
		clamp(limits.strangers / 4, STRANGERS_MIN, STRANGERS_PER_SOURCE_MAX);
	return door_new(&limits, &d->door);
}

/*
 * Behind our certificate goes another, whose name is the DERP key ("derpkey" and hex) and whose
 * number the protocol's version: whoever knows DERP saves two round trips by it.
 */
static int open_tls(struct derp *d, const struct derp_config *config, struct err *err)
{
	struct tls_options options = { .seed = config->tls_seed, .name = config->name };
	char name[sizeof("derpkey") + KEY_HEX_LEN] = "derpkey";
	CLEANUP(free_p) char *pem = NULL;
	int r;

	key_to_hex(d->keys.key, name + strlen(name));
	r = x509_certificate_pem_numbered(config->tls_seed, name, DERP_VERSION, &pem);
	if (r < 0)
		return err_set(err, r, "DERP: make a certificate: %s", strerror(-r));
	options.behind = pem;
	return tls_party_new(&options, &d->tls, err);
}

static int add_sources(struct derp *d)
{
	sd_event *event = d->core->event;
	int r = sd_event_add_time(
		event, &d->on_timer, CLOCK_BOOTTIME, 0, DERP_LOOK_US, derp_on_timer, d);

	if (r >= 0)
		r = sd_event_source_set_enabled(d->on_timer, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_io(event, &d->on_turn, d->turn_fd, EPOLLIN, derp_on_turn, d);
	if (r >= 0)
		r = sd_event_source_set_enabled(d->on_turn, SD_EVENT_OFF);
	return r;
}

int derp_new(struct relay_core *core, const struct derp_config *config, struct derp **ret,
	struct err *err)
{
	struct derp *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return err_set(err, -ENOMEM, "DERP: out of memory");
	d->core = core;
	d->keys = (struct derp_keys){ core->secret, core->key };
	d->pool.max = config->pool_max;
	d->clients_max = config->clients_max;
	d->due_us = UINT64_MAX;
	d->turn_fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	r = d->turn_fd < 0 ? -errno : open_door(d, config);
	if (r == 0)
		r = derp_table_init(&d->table, config->clients_max);
	if (r == 0)
		r = add_sources(d);
	if (r < 0)
		(void) err_set(err, r, "DERP: it cannot be started (%s)", strerror(-r));
	else
		r = open_tls(d, config, err);
	if (r < 0) {
		(void) derp_free(d);
		return r;
	}
	*ret = d;
	return 0;
}

struct derp *derp_free(struct derp *d)
{
	struct derp_conn *c;

	if (!d)
		return NULL;
	while ((c = derp_next_conn(d, NULL))) {
		derp_unlink(c);
		(void) derp_conn_free(c);
	}
	sd_event_source_disable_unref(d->on_timer);
	sd_event_source_disable_unref(d->on_turn);
	close_p(&d->turn_fd);
	derp_table_done(&d->table);
	(void) door_free(d->door);
	(void) tls_party_free(d->tls);
	free(d);
	return NULL;
}
