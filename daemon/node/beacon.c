/*
 * Whatever comes in costs little, however much it is. Nothing is looked at twice: first the head,
 * then the seal, which a stranger in the LAN cannot make; then it is read, if its source has not
 * sent too many; and only what is newer than what is known has its signature looked at. When more
 * comes than boards ever send, the port is not read for a moment, and the kernel drops it.
 */
#include "node/beacon.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "base/limiter.h"
#include "base/log.h"
#include "mesh/herald.h"
#include "sys/sock/multicast.h"
#include "wire/beacon.h"

enum {
	READ_AT_ONCE = 32,
	READ_BURST = 256, /* a hundred boards that start together say so three times */
	SOURCE_BURST = 8,
	SOURCES_MAX = 256,
	LOOK_BURST = 128,
};
#define READ_EVERY_US   (4 * USEC_PER_MSEC)
#define READ_PAUSE_US   (250 * USEC_PER_MSEC)
#define SOURCE_EVERY_US (500 * USEC_PER_MSEC)
#define LOOK_EVERY_US   (20 * USEC_PER_MSEC)

_Static_assert((int) BEACON_PAYLOAD_MAX == (int) PRESENCE_PAYLOAD_MAX, "a presence fits");
_Static_assert((int) BEACON_SIG_LEN == (int) PRESENCE_SIG_LEN, "its signature fits");

/* One family's. */
struct ear {
	struct beacon *beacon;
	struct multicast group;
	sd_event_source *io; /* NULL: not open */
};

struct beacon {
	struct core *core;
	const struct peers *peers;
	const struct beacon_hooks *hooks;
	void *ctx;
	struct beacon_mesh mesh;
	struct herald herald;
	bool told; /* our own presence is the one of now */
	struct ear ears[2];
	sd_event_source *timer;
	uint64_t deaf_until_us; /* 0: it listens */
	struct pace reads, looks;
	struct limiter *sources;
	struct beacon_counters counters;
};

static bool is_open(const struct beacon *b)
{
	return b->ears[0].io || b->ears[1].io;
}

/* --- speaking --- */

static void send_by(struct beacon *b, const struct ear *ear, const uint8_t *data, size_t len)
{
	for (size_t i = 0; ear->io && i < ear->group.n_links; i++)
		if (multicast_send(&ear->group, ear->group.links[i], data, len) == 0)
			b->counters.sent++; /* a link without an address yet is told later */
}

static void say(struct beacon *b, enum beacon_type type)
{
	const struct presence *own = book_presence(b->core->book, b->core->config.node);
	uint8_t nonce[BEACON_NONCE_LEN], data[BEACON_MAX_LEN];
	struct beacon_message message = { .type = type };
	size_t len;

	if (!own)
		return;
	message.payload = own->payload;
	message.payload_len = own->payload_len;
	memcpy(message.sig, own->sig, sizeof(message.sig));
	randombytes_buf(nonce, sizeof(nonce));
	len = beacon_seal(&b->mesh, nonce, &message, data);
	for (size_t i = 0; i < ARRAY_LEN(b->ears); i++)
		send_by(b, &b->ears[i], data, len);
}

/* --- the timer: to speak, and to listen again --- */

/* To a few milliseconds while somebody waits. */
static void arm(struct beacon *b, uint64_t now_us)
{
	uint64_t at_us = is_open(b) && b->told ? herald_deadline(&b->herald) : HERALD_NEVER;
	uint64_t wait_us;

	if (b->deaf_until_us && b->deaf_until_us < at_us)
		at_us = b->deaf_until_us;
	wait_us = at_us > now_us ? at_us - now_us : 0;
	if (at_us != HERALD_NEVER) {
		(void) sd_event_source_set_time_relative(b->timer, wait_us);
		(void) sd_event_source_set_time_accuracy(
			b->timer, (wait_us < USEC_PER_SEC ? 10 : 250) * USEC_PER_MSEC);
	}
	(void) sd_event_source_set_enabled(
		b->timer, at_us != HERALD_NEVER ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static void speak(struct beacon *b)
{
	uint64_t now_us = clock_now_us();

	if (is_open(b) && b->told)
		switch (herald_speak(&b->herald, now_us)) {
		case HERALD_NOTHING:
			break;
		case HERALD_ANNOUNCE:
			say(b, BEACON_ANNOUNCE);
			break;
		case HERALD_ASK:
			say(b, BEACON_ASK);
			break;
		}
	arm(b, now_us);
}

static void listen_if(struct beacon *b, bool on)
{
	for (size_t i = 0; i < ARRAY_LEN(b->ears); i++)
		if (b->ears[i].io)
			(void) sd_event_source_set_enabled(
				b->ears[i].io, on ? SD_EVENT_ON : SD_EVENT_OFF);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct beacon *b = ctx;

	if (b->deaf_until_us && clock_now_us() >= b->deaf_until_us) {
		b->deaf_until_us = 0;
		listen_if(b, true);
	}
	speak(b);
	return 0;
}

/* --- listening --- */

/* Who asks has no use for an answer if it is with us all the time, and has said nothing new. */
static bool needs_answer(const struct beacon *b, uint32_t id, bool news)
{
	const struct peer *peer = peers_get(b->peers, id);

	return news || !peer || !peer->reachable;
}

/* 1 if it is news, 0 if not, or as book_add_presence(). */
static int take_presence(struct beacon *b, const json_t *doc, uint64_t now_us)
{
	struct book_heard heard = { 0 };
	struct err err = { 0 };
	int r = book_add_presence(b->core->book, doc, now_us, &heard, &err);

	if (r < 0)
		log_debug("beacon: %s, ignoring", err.text);
	if (r > 0)
		b->hooks->heard(b->ctx, &heard);
	return r;
}

/* What is sealed, by somebody who knows the mesh's key: any user of a board may. */
static void read_message(struct beacon *b, const struct beacon_message *message, uint64_t now_us)
{
	struct presence sent = { .payload = message->payload, .payload_len = message->payload_len };
	CLEANUP(presence_done) struct presence presence = { 0 };
	CLEANUP_JSON json_t *doc = NULL;
	int r = -EBADMSG;

	memcpy(sent.sig, message->sig, sizeof(sent.sig));
	doc = presence_to_json(&sent);
	if (doc && presence_from_json(doc, &presence, NULL) == 0) {
		if (presence.node == b->core->config.node)
			return; /* our own, sent again by somebody */
		r = take_presence(b, doc, now_us);
	}
	if (r == -ENOENT)
		b->counters.strange++;
	else if (r < 0)
		b->counters.bad++;
	if (r < 0)
		return;
	b->counters.heard++;
	b->counters.news += r > 0;
	if (message->type == BEACON_ASK && needs_answer(b, presence.node, r > 0))
		herald_asked(&b->herald, now_us, randombytes_random());
}

/* In the LAN each address is a source of its own: all of IPv6's are of one /64. */
static bool may_look(struct beacon *b, const struct ip_addr *from, uint64_t now_us)
{
	return limiter_take(b->sources, from, now_us, NULL) &&
	       pace_may(&b->looks, LOOK_BURST, LOOK_EVERY_US, now_us, NULL);
}

static void take(struct beacon *b, const uint8_t *data, size_t len, const struct ip_addr *from,
	uint64_t now_us)
{
	uint8_t body[BEACON_BODY_MAX];
	struct beacon_message message;
	int r = beacon_looks(&b->mesh, data, len) ? beacon_open(&b->mesh, data, len, body, &message)
						  : -ENOMSG;

	if (r == -ENOMSG)
		b->counters.strange++;
	else if (r < 0)
		b->counters.bad++;
	else if (!may_look(b, from, now_us))
		b->counters.unread++;
	else
		read_message(b, &message, now_us);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	const struct ear *ear = ctx;
	struct beacon *b = ear->beacon;
	uint64_t now_us = clock_now_us();
	uint8_t data[BEACON_MAX_LEN];
	struct ip_addr from;

	for (int i = 0; i < READ_AT_ONCE && ear->io; i++) {
		ssize_t len;

		if (!pace_may(&b->reads, READ_BURST, READ_EVERY_US, now_us, NULL)) {
			b->deaf_until_us = now_us + READ_PAUSE_US;
			listen_if(b, false);
			break;
		}
		len = multicast_recv(&ear->group, data, sizeof(data), &from);
		if (len < 0)
			break;
		take(b, data, (size_t) len, &from, now_us);
	}
	arm(b, now_us);
	return 0;
}

/* --- where --- */

static void add_link(int link, int list[static MULTICAST_LINKS_MAX], size_t *n)
{
	for (size_t i = 0; i < *n; i++)
		if (list[i] == link)
			return;
	if (*n < MULTICAST_LINKS_MAX)
		list[(*n)++] = link;
}

/* A link with an address to be announced; one of IPv4, for IPv4. */
static size_t find_links(const struct links *links, int family, int ret[static MULTICAST_LINKS_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < links->n_addrs; i++) {
		const struct link_verdict *v = &links->list[links->addrs[i].link];

		if (v->class != LINK_CLASS_LOOPBACK &&
			(family == AF_INET6 || links->addrs[i].addr.family == family))
			add_link(v->index, ret, &n);
	}
	return n;
}

static void close_ear(struct ear *ear)
{
	if (!ear->io)
		return;
	ear->io = sd_event_source_disable_unref(ear->io);
	multicast_close(&ear->group);
}

/* 0 as well where the machine lacks the family. */
static int open_ear(struct beacon *b, struct ear *ear, const char *group, struct err *err)
{
	struct endpoint to = { .port = BEACON_PORT };
	int r;

	if (ear->io)
		return 0;
	(void) ip_addr_parse(group, &to.addr);
	r = multicast_open(&to, &ear->group, err);
	if (r == -EAFNOSUPPORT)
		return 0;
	if (r < 0)
		return r;
	r = sd_event_add_io(b->core->event, &ear->io, ear->group.fd, EPOLLIN, on_io, ear);
	if (r >= 0)
		return 0;
	multicast_close(&ear->group);
	return err_set(err, r, "listen to UDP port %d: %s", BEACON_PORT, strerror(-r));
}

static void open_ears(struct beacon *b)
{
	struct err err = { 0 };
	int r = open_ear(b, &b->ears[0], BEACON_GROUP4, &err);

	if (r == 0)
		r = open_ear(b, &b->ears[1], BEACON_GROUP6, &err);
	if (r < 0)
		(void) err_prefix(&err,
			"without coordinator, boards of this LAN that are at other addresses are "
			"not found");
	problem_set(&b->core->problems, "beacon", r < 0 ? &err : NULL);
}

static void be_silent(struct beacon *b)
{
	for (size_t i = 0; i < ARRAY_LEN(b->ears); i++)
		close_ear(&b->ears[i]);
	herald_init(&b->herald);
	b->deaf_until_us = 0;
	problem_set(&b->core->problems, "beacon", NULL);
	arm(b, clock_now_us());
}

void beacon_follow(struct beacon *b, const struct links *links)
{
	size_t fresh = 0;

	if (!links) {
		be_silent(b);
		return;
	}
	open_ears(b);
	for (size_t i = 0; i < ARRAY_LEN(b->ears); i++) {
		struct ear *ear = &b->ears[i];
		int list[MULTICAST_LINKS_MAX];
		size_t n = find_links(links, i == 0 ? AF_INET : AF_INET6, list);

		if (ear->io)
			fresh += multicast_join(&ear->group, list, n);
	}
	if (fresh && b->told)
		herald_moved(&b->herald, clock_now_us());
	speak(b);
}

void beacon_tell(struct beacon *b)
{
	b->told = true;
	herald_moved(&b->herald, clock_now_us());
	speak(b);
}

void beacon_look(struct beacon *b)
{
	size_t n;
	const struct peer *list = peers_list(b->peers, &n);
	bool any = false;

	for (size_t i = 0; i < n; i++)
		any = any || !list[i].reachable;
	herald_misses(&b->herald, any, clock_now_us());
	speak(b);
}

const struct beacon_counters *beacon_counters(const struct beacon *b)
{
	return &b->counters;
}

/* --- its life --- */

int beacon_new(struct core *core, const struct peers *peers, const struct beacon_hooks *hooks,
	void *ctx, struct beacon **ret, struct err *err)
{
	struct beacon *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return err_set(err, -ENOMEM, "out of memory");
	*b = (struct beacon){ .core = core, .peers = peers, .hooks = hooks, .ctx = ctx };
	b->ears[0].beacon = b->ears[1].beacon = b;
	beacon_mesh_init(&b->mesh, core->config.root);
	herald_init(&b->herald);
	b->sources = limiter_new(SOURCE_BURST, SOURCE_EVERY_US, SOURCES_MAX);
	r = b->sources
		    ? sd_event_add_time(core->event, &b->timer, CLOCK_MONOTONIC, 0, 0, on_timer, b)
		    : -ENOMEM;
	if (r < 0) {
		beacon_free(b);
		return err_set(err, r, "cannot set up a timer: %s", strerror(-r));
	}
	(void) sd_event_source_set_enabled(b->timer, SD_EVENT_OFF);
	*ret = b;
	return 0;
}

struct beacon *beacon_free(struct beacon *b)
{
	if (!b)
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(b->ears); i++)
		close_ear(&b->ears[i]);
	sd_event_source_disable_unref(b->timer);
	limiter_free(b->sources);
	free(b);
	return NULL;
}
