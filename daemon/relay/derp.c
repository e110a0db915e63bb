/*
 * derp: see derp.h. Whatever happens to a connection, it is touched; when the event is done with,
 * those that were touched are flushed, so that many packets make one write, and ended if they are
 * over: so nothing is freed below anybody's feet.
 */
#include "relay/derp.h"

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
#include "relay/derp-conn.h"
#include "relay/derp-table.h"
#include "sys/x509/x509.h"

enum {
	STRANGERS_MAX = 512,
	STRANGERS_PER_SOURCE_MAX = 64,
	STRANGERS_MIN = 8,
	RESTART_IN_MS = 1000, /* by chance up to that, so that not all come back at once */
	RESTART_TRY_MS = 5000,
};

#define LOOK_US (250 * USEC_PER_MSEC) /* no two looks at all are closer */

/* Connections that wait for their turn to be read. */
struct turns {
	struct derp_conn *first, *last;
};

struct derp {
	struct relay_core *core;
	struct derp_keys keys;
	struct tls_party *tls;
	struct door *door;
	struct derp_pool pool;
	struct derp_table table;
	unsigned clients_max;
	sd_event_source *on_timer, *on_turn;
	int turn_fd; /* always readable: so its turn comes when all others' have */
	struct derp_conn *strangers, *known; /* newest first */
	struct derp_conn *touched;           /* of both */
	struct turns strange, more;          /* strangers; those of whom OpenSSL holds something */
	uint64_t now_us;                     /* of this event */
	uint64_t due_us, looked_us;
	bool closing;
	const struct derp_hooks *hooks; /* NULL: nobody is elsewhere */
	void *ctx;
	struct derp_counters counters; /* those that grow */
	uint8_t scratch[DERP_CONN_READ_MAX];
};

/* --- lists --- */

static void link_to(struct derp_conn *c, struct derp_conn **list)
{
	c->next = *list;
	c->pprev = list;
	if (c->next)
		c->next->pprev = &c->next;
	*list = c;
}

static void unlink_it(struct derp_conn *c)
{
	*c->pprev = c->next;
	if (c->next)
		c->next->pprev = c->pprev;
}

/* All of them, one after the other. */
static struct derp_conn *next_conn(const struct derp *d, const struct derp_conn *c)
{
	if (!c && d->strangers)
		return d->strangers;
	if (c && c->next)
		return c->next;
	return !c || !c->proved ? d->known : NULL;
}

static void touch(struct derp_conn *c)
{
	if (c->touched)
		return;
	c->touched = true;
	c->next_touched = c->derp->touched;
	c->derp->touched = c;
}

static struct turns *turns_of(struct derp_conn *c)
{
	return c->proved ? &c->derp->more : &c->derp->strange;
}

static void wants_turn(struct derp_conn *c)
{
	struct turns *t = turns_of(c);

	if (c->waits)
		return;
	c->waits = true;
	c->next_turn = NULL;
	if (t->first)
		t->last->next_turn = c;
	else
		t->first = c;
	t->last = c;
	(void) sd_event_source_set_enabled(c->derp->on_turn, SD_EVENT_ON);
}

static void wants_no_turn(struct derp_conn *c)
{
	struct derp *d = c->derp;
	struct turns *t = turns_of(c);
	struct derp_conn **at = &t->first, *before = NULL;

	if (!c->waits)
		return;
	for (; *at != c; at = &(*at)->next_turn)
		before = *at;
	*at = c->next_turn;
	if (t->last == c)
		t->last = before;
	c->waits = false;
	if (!d->more.first && !d->strange.first)
		(void) sd_event_source_set_enabled(d->on_turn, SD_EVENT_OFF);
}

/* --- members among themselves --- */

/* It is not to be found by its key any more. */
static void unlist(struct derp_conn *c)
{
	if (c->listed)
		derp_table_remove(&c->derp->table, c);
	c->listed = false;
}

static struct derp_conn *find_node(const struct derp *d, uint32_t node)
{
	const struct relay_member *member = members_by_id(d->core->members, node);

	return member ? derp_table_find(&d->table, member->wg) : NULL;
}

/* Whoever has had to do with it lately needs no longer send here. */
static void tell_gone(struct derp_conn *c)
{
	struct derp *d = c->derp;

	if (d->hooks && d->hooks->has(d->ctx, c->node, d->now_us))
		return;
	for (size_t i = 0; i < DERP_CONN_PARTNERS && c->partners[i]; i++) {
		struct derp_conn *other = find_node(d, c->partners[i]);

		if (other) {
			derp_client_say_gone(
				&other->client, c->client.key, DERP_GONE_DISCONNECTED, d->now_us);
			touch(other);
		} else if (d->hooks) {
			d->hooks->say_gone(d->ctx, c->partners[i], c->node, d->now_us);
		}
	}
}

/* The newest wins: the other one is, as a rule, what is left of a network that it has left. */
static void replace(struct derp_conn *old, struct derp_conn *c)
{
	unlist(old);
	memcpy(c->partners, old->partners, sizeof(c->partners));
	derp_client_end(&old->client, DERP_END_REPLACED,
		"another connection came with this key, and has taken its place", c->derp->now_us);
	touch(old);
}

static enum derp_end on_login(void *ctx, struct derp_client *client)
{
	struct derp_conn *c = ctx;
	struct derp *d = c->derp;
	struct derp_conn *old = derp_table_find(&d->table, client->key);
	const struct relay_member *member = members_by_wg(d->core->members, client->key);

	if (!member)
		return DERP_END_STRANGER;
	if (!old && d->table.n >= d->clients_max)
		return DERP_END_FULL;
	if (old)
		replace(old, c);
	derp_table_put(&d->table, c);
	c->listed = c->proved = true;
	c->node = member->id;
	unlink_it(c);
	link_to(c, &d->known);
	door_proved(d->door, &c->addr, d->now_us);
	d->counters.logins++;
	return DERP_END_NOT;
}

/* The member with the key @to, where he is @connected (or NULL); 0: there is none. */
static uint32_t node_of(const struct derp *d, const uint8_t to[static DERP_KEY_LEN],
	const struct derp_conn *connected)
{
	const struct relay_member *member = connected ? NULL : members_by_wg(d->core->members, to);

	return connected ? connected->node : member ? member->id : 0;
}

/* What goes elsewhere. */
static bool deliver(struct derp_conn *c, uint32_t to, const struct derp_conn *connected,
	const uint8_t *data, size_t len)
{
	struct derp *d = c->derp;

	if (!d->hooks || !to || to == c->node)
		return false;
	return d->hooks->deliver(d->ctx, c->node, to, connected != NULL, data, len, d->now_us);
}

static void on_packet(void *ctx, struct derp_client *client, const uint8_t to[static DERP_KEY_LEN],
	const uint8_t *data, size_t len)
{
	struct derp_conn *c = ctx;
	struct derp *d = c->derp;
	struct derp_conn *other = derp_table_find(&d->table, to);
	uint32_t node = node_of(d, to, other);
	bool elsewhere = deliver(c, node, other, data, len);

	d->counters.packets_in++;
	d->counters.bytes_in += len;
	if (!other && !elsewhere) {
		d->counters.not_here++;
		derp_client_say_gone(client, to, DERP_GONE_NOT_HERE, d->now_us);
		return;
	}
	derp_conn_note(c, node);
	if (!other)
		return;
	derp_conn_note(other, c->node);
	if (elsewhere)
		return;
	(void) derp_client_put(&other->client, client->key, data, len, d->now_us);
	touch(other);
}

static const struct derp_client_hooks client_hooks = { .login = on_login, .packet = on_packet };

/* --- when an event is done with --- */

/* Wakes us then, unless something does before. */
static void arm(struct derp *d, uint64_t due_us)
{
	if (due_us < d->looked_us + LOOK_US)
		due_us = d->looked_us + LOOK_US;
	if (due_us >= d->due_us)
		return;
	d->due_us = due_us;
	(void) sd_event_source_set_time(d->on_timer, due_us);
	(void) sd_event_source_set_enabled(d->on_timer, SD_EVENT_ONESHOT);
}

static void remove_conn(struct derp_conn *c)
{
	struct derp *d = c->derp;

	d->counters.ended[c->client.end]++;
	d->counters.unsaid += c->client.unsaid;
	door_left(d->door, &c->addr, c->proved);
	wants_no_turn(c);
	unlink_it(c);
	(void) derp_conn_free(c);
}

static void look_after(struct derp_conn *c)
{
	struct derp *d = c->derp;

	derp_conn_flush(c, d->now_us);
	if (c->client.state == DERP_CLIENT_ENDING && c->listed) {
		unlist(c);
		tell_gone(c);
	}
	if (derp_conn_is_over(c, d->now_us))
		return remove_conn(c);
	derp_conn_watch(c);
	arm(d, derp_client_due_us(&c->client));
}

static void settle(struct derp *d)
{
	struct derp_conn *c;

	while ((c = d->touched)) {
		d->touched = c->next_touched;
		c->touched = false;
		look_after(c);
	}
	if (d->hooks)
		d->hooks->delivered(d->ctx);
}

/* --- events --- */

static void read_from(struct derp_conn *c)
{
	if (!c->proved)
		wants_no_turn(c); /* it may be a member then, who waits elsewhere */
	if (derp_conn_read(c, c->derp->scratch, c->derp->now_us))
		wants_turn(c);
	touch(c);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct derp_conn *c = ctx;
	struct derp *d = c->derp;
	bool over = revents & (EPOLLHUP | EPOLLERR);

	d->now_us = clock_now_us();
	if (c->client.state == DERP_CLIENT_ENDING)
		c->broken |= over;
	else if (!c->proved && !over && (revents & EPOLLIN))
		wants_turn(c); /* a handshake is dear: one at a time, and others in between */
	else if (revents & ~EPOLLOUT)
		read_from(c);
	touch(c);
	settle(d);
	return 0;
}

static void take_turn(struct turns *t)
{
	struct derp_conn *c = t->first;

	if (!c)
		return;
	wants_no_turn(c);
	read_from(c); /* and to the end, if it wants another one */
}

static int on_turn(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct derp *d = ctx;

	d->now_us = clock_now_us();
	take_turn(&d->more);
	take_turn(&d->strange);
	settle(d);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct derp *d = ctx;

	d->now_us = d->looked_us = clock_now_us();
	d->due_us = UINT64_MAX;
	for (struct derp_conn *c = NULL; (c = next_conn(d, c));) {
		if (derp_client_due_us(&c->client) <= d->now_us) {
			derp_client_tick(&c->client, d->now_us);
			touch(c);
		} else {
			arm(d, derp_client_due_us(&c->client));
		}
	}
	settle(d);
	return 0;
}

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
	touch(c);
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
	r = derp_conn_new(d->core->event, fd, tls, on_io, &c);
	if (r < 0) {
		(void) tls_stream_free(tls);
		return r;
	}
	derp_client_init(&c->client, &d->keys, &d->pool, &client_hooks, c, d->now_us);
	c->derp = d;
	c->addr = peer->addr;
	link_to(c, &d->strangers);
	door_came(d->door, &c->addr);
	d->counters.accepted++;
	touch(c);
	if (first_len) /* of which the socket says nothing */
		wants_turn(c);
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
	settle(d);
}

/* --- from outside --- */

void derp_set_hooks(struct derp *d, const struct derp_hooks *hooks, void *ctx)
{
	d->hooks = hooks;
	d->ctx = ctx;
}

bool derp_put(struct derp *d, uint32_t from, uint32_t to, const uint8_t *data, size_t len,
	uint64_t now_us)
{
	const struct relay_member *sender = members_by_id(d->core->members, from);
	struct derp_conn *c = find_node(d, to);

	if (!sender || !c)
		return false;
	d->now_us = now_us;
	derp_conn_note(c, from);
	(void) derp_client_put(&c->client, sender->wg, data, len, now_us);
	touch(c);
	return true;
}

void derp_flush(struct derp *d)
{
	settle(d);
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
		touch(c);
	}
	settle(d);
}

void derp_say_restart(struct derp *d)
{
	d->now_us = clock_now_us();
	d->closing = true;
	for (struct derp_conn *c = d->known; c; c = c->next) {
		derp_client_say_restart(
			&c->client, randombytes_uniform(RESTART_IN_MS), RESTART_TRY_MS, d->now_us);
		touch(c);
	}
	settle(d);
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
	int r = sd_event_add_time(event, &d->on_timer, CLOCK_BOOTTIME, 0, LOOK_US, on_timer, d);

	if (r >= 0)
		r = sd_event_source_set_enabled(d->on_timer, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_io(event, &d->on_turn, d->turn_fd, EPOLLIN, on_turn, d);
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
	while ((c = next_conn(d, NULL))) {
		unlink_it(c);
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
