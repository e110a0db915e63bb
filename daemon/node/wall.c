/* wall: see wall.h. Nothing is put back and nobody accused before the kernel was asked. */
#include "node/wall.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/names.h"
#include "node/firewall.h"
#include "node/repair.h"
#include "sys/net/link.h"
#include "sys/net/rule.h"
#include "sys/nft/nft.h"

#define DELAY_US (500 * USEC_PER_MSEC)

enum gate { GATE_UNKNOWN, GATE_OPEN, GATE_SHUT };

struct wall {
	struct core *core;
	const struct wall_hooks *hooks;
	void *ctx;
	struct nft *nft;                /* NULL: this kernel or our rights do not allow it */
	char table[FIREWALL_TABLE_MAX]; /* of nftables */
	sd_event_source *timer;
	char *text;      /* applied or being applied; NULL: there is to be none */
	size_t links_at; /* in the text, where what is said of links begins */
	bool failed;
	enum gate gate; /* for what comes by the tunnel for others than us */
	struct repair repairs;
};

static uint16_t coordinator_port(const struct settings *settings, uint32_t id)
{
	for (size_t i = 0; i < settings->n_coordinators; i++)
		if (settings->coordinators[i].node == id)
			return settings->coordinators[i].port;
	return 0;
}

/*
 * While the rules are missing, what comes by the tunnel reaches this board alone: a routing rule
 * sees to that, which needs nothing of nftables.
 */
static void shut(struct wall *wall, bool missing, struct err *ret)
{
	const char *ifname = wall->core->config.interface;

	if (missing) {
		wall->gate =
			rule_prohibit(wall->core->nl, ifname, ret) < 0 ? GATE_UNKNOWN : GATE_SHUT;
	} else if (wall->gate != GATE_OPEN) {
		(void) rule_permit(wall->core->nl, ifname, ret);
		wall->gate = ret->code ? GATE_UNKNOWN : GATE_OPEN;
	}
}

static bool is_missing(struct wall *wall)
{
	int r = wall->nft ? nft_is_there(wall->nft) : 0;

	return r < 0 ? wall->gate != GATE_OPEN : r == 0;
}

/* What is wrong, and what that means for others' packets. */
static void say_failed(struct wall *wall, const struct err *err)
{
	bool missing = is_missing(wall);
	struct err why = { 0 }, gate = { 0 };

	shut(wall, missing, &gate);
	if (!missing)
		err_set(&why, err->code,
			"the firewall's rules are older ones, new ones cannot be put in place: "
			"%.600s",
			err->text);
	else if (gate.code)
		err_set(&why, err->code,
			"the firewall's rules are not in place: %.300s; members of the mesh can "
			"send through this board to whatever it reaches, because this failed as "
			"well: %.200s",
			err->text, gate.text);
	else
		err_set(&why, err->code,
			"the firewall's rules are not in place: %.400s; until they are, nothing "
			"from the mesh is passed on, and pods of this board are cut off from those "
			"of others",
			err->text);
	problem_set(&wall->core->problems, "firewall", &why);
}

/* Rules are in place. That the gate cannot be opened is a problem of its own, until it can. */
static void let_pass(struct wall *wall)
{
	struct err gate = { 0 };

	shut(wall, false, &gate);
	if (gate.code || !wall->failed)
		problem_set(&wall->core->problems, "firewall", &gate);
}

static void done(void *ctx, int r, const struct err *err)
{
	struct wall *wall = ctx;

	wall->failed = r < 0;
	if (!wall->text) {
		if (r < 0)
			log_warning("%s, ignoring", err->text); /* what was taken down stays */
	} else if (r < 0) {
		say_failed(wall, err);
	} else {
		let_pass(wall);
		log_debug("nftables table inet %s is in place", wall->table);
	}
	wall->hooks->settled(wall->ctx);
}

static void say_fight(struct wall *wall, const struct err *gate)
{
	struct err err = { 0 };

	err_set(&err, -EBUSY,
		"another program keeps removing rules from nftables table inet %s; find it (`nft "
		"monitor`), and let it keep that table; while rules are missing, nothing from the "
		"mesh is passed on to pods of this board%s%.200s",
		wall->table, gate->code ? "; it should not be, but " : "", gate->text);
	problem_set(&wall->core->problems, "rules", &err);
}

static void say_repair(struct wall *wall, uint64_t now)
{
	static const struct err none;

	if (repair_is_fight(&wall->repairs, now)) {
		say_fight(wall, &none);
		return;
	}
	problem_set(&wall->core->problems, "rules", NULL);
	log_seldom(LOG_LEVEL_NOTICE,
		"somebody removed rules from nftables table inet %s; putting them back",
		wall->table);
}

static void look_later(struct wall *wall, uint64_t wait_us)
{
	(void) sd_event_source_set_time_relative(wall->timer, wait_us);
	(void) sd_event_source_set_enabled(wall->timer, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct wall *wall = ctx;
	uint64_t now = clock_now_us(), wait_us = repair_wait_us(&wall->repairs, now);
	struct err err = { 0 };

	if (!wall->text)
		return 0;
	if (nft_is_whole(wall->nft)) {
		if (!wall->failed && !nft_is_busy(wall->nft))
			let_pass(wall);
		return 0;
	}
	if (wait_us) {
		shut(wall, true, &err);
		say_fight(wall, &err);
		look_later(wall, wait_us);
		return 0;
	}
	repair_done(&wall->repairs, now);
	say_repair(wall, now);
	if (nft_apply(wall->nft, wall->text, &err) < 0)
		done(wall, err.code, &err);
	return 0;
}

static void touched(void *ctx)
{
	struct wall *wall = ctx;
	int waits = SD_EVENT_OFF;

	(void) sd_event_source_get_enabled(wall->timer, &waits);
	if (waits == SD_EVENT_OFF)
		look_later(wall, DELAY_US);
}

/* Somebody plugs in a card: what rules counted and remember is not lost over it. */
static bool only_links_changed(struct wall *wall, const char *text, size_t links_at)
{
	return wall->text && wall->links_at == links_at && !memcmp(wall->text, text, links_at) &&
	       !wall->failed && !nft_is_busy(wall->nft) && nft_is_whole(wall->nft);
}

/* @again: also if they are the ones of last time. */
static void apply(struct wall *wall, const struct settings *settings, const struct node *self,
	const struct candidates *own, bool again)
{
	struct firewall firewall = {
		.interface = wall->core->config.interface,
		.own4 = self->mesh4,
		.own6 = self->mesh6,
		.own_pods4 = self->pods4,
		.own_pods6 = self->pods6,
		.mesh4 = settings->mesh4,
		.mesh6 = settings->mesh6,
		.pods4 = settings->pods4,
		.pods6 = settings->pods6,
		.services4 = settings->services4,
		.services6 = settings->services6,
		.closed = { NAMES_BOARD_PORT, coordinator_port(settings, self->id) },
		.inside = own->inside,
		.n_inside = own->n_inside,
		.outside = own->outside,
		.n_outside = own->n_outside,
	};
	CLEANUP_BUF struct buf text = { 0 };
	struct err err = { 0 };
	size_t links_at, from = 0;

	if (!wall->nft)
		return;
	firewall.n_closed = firewall.closed[1] ? 2 : 1;
	firewall_add_rules(&firewall, &text);
	links_at = text.len;
	firewall_add_links(&firewall, &text);
	if (buf_failed(&text) || (!again && wall->text && !strcmp(buf_str(&text), wall->text)))
		return;
	if (!again && only_links_changed(wall, buf_str(&text), links_at))
		from = links_at;
	free(wall->text);
	wall->text = buf_take(&text, NULL);
	wall->links_at = links_at;
	if (nft_apply(wall->nft, wall->text + from, &err) < 0)
		done(wall, err.code, &err);
}

void wall_apply(struct wall *wall, const struct settings *settings, const struct node *self,
	const struct candidates *own)
{
	apply(wall, settings, self, own, false);
}

/* --- who did wrong within the hour, as the rules remember it --- */

enum { NAMED_MAX = 3, MEMBERS_MAX = 64 };

struct wrongdoers {
	struct wall *wall;
	struct buf names;
	size_t n;
	uint32_t ids[MEMBERS_MAX]; /* of those that are counted */
};

static void add_name(struct wrongdoers *w, const char *name)
{
	if (w->n++ < NAMED_MAX)
		buf_printf(&w->names, "%s%s", w->n > 1 ? ", " : "", name);
}

static void on_sender(void *ctx, const void *key, size_t len)
{
	struct wrongdoers *w = ctx;
	struct ip_addr addr = { .family = len == 4 ? AF_INET : AF_INET6 };
	const struct node *node;

	if (len != ip_bytes(addr.family))
		return;
	memcpy(addr.bytes, key, len);
	node = netmap_by_addr(book_netmap(w->wall->core->book), &addr);
	for (size_t i = 0; node && i < w->n; i++)
		if (w->ids[i] == node->id)
			node = NULL;
	if (!node || w->n == MEMBERS_MAX)
		return;
	w->ids[w->n] = node->id;
	add_name(w, node->name);
}

/* By the container's id, which `crictl pods` and `podman ps` show. */
static void on_liar(void *ctx, const void *key, size_t len)
{
	struct wrongdoers *w = ctx;
	char name[IF_NAMESIZE] = "", text[IF_NAMESIZE + LINK_ALIAS_MAX + 32];
	struct link link;

	memcpy(name, key, len < sizeof(name) - 1 ? len : sizeof(name) - 1);
	if (link_find(w->wall->core->nl, name, &link, NULL) < 0)
		return; /* it is gone */
	(void) snprintf(text, sizeof(text), "%s (%s)", link.name, link.alias);
	add_name(w, text);
}

static void tell(struct wrongdoers *w, const char *name, const char *before, const char *after)
{
	struct err err = { 0 };

	if (w->n > NAMED_MAX)
		buf_printf(&w->names, " and %zu more", w->n - NAMED_MAX);
	if (w->n && !buf_failed(&w->names))
		err_set(&err, -EPERM, "within the last hour %s%s%s", before, buf_str(&w->names),
			after);
	problem_set(&w->wall->core->problems, name, &err);
	buf_done(&w->names);
}

static void look_for_wrongdoers(struct wall *wall)
{
	struct wrongdoers senders = { .wall = wall }, liars = { .wall = wall };

	if (!wall->nft || nft_is_busy(wall->nft) ||
		nft_keys(wall->nft, FIREWALL_SENDERS4, on_sender, &senders) < 0 ||
		nft_keys(wall->nft, FIREWALL_SENDERS6, on_sender, &senders) < 0 ||
		nft_keys(wall->nft, FIREWALL_LIARS, on_liar, &liars) < 0) {
		buf_done(&senders.names);
		buf_done(&liars.names);
		return;
	}
	tell(&senders, "astray", "",
		" sent through the mesh to this board what is for none of its addresses; it was "
		"dropped. Routes were changed there by hand, or somebody else rules that board: "
		"look at it, and if in doubt `hearth node remove` it");
	tell(&liars, "liars", "a pod of this board sent as somebody else, by ",
		"; that was dropped. Look what runs in it; one with several networks may answer by "
		"the wrong one");
}

static int watch(struct wall *wall, struct err *err)
{
	if (wall->nft)
		return 0;
	return nft_new(wall->core->event, wall->table, done, touched, wall, &wall->nft, err);
}

void wall_begin(struct wall *wall)
{
	struct err err = { 0 };

	if (watch(wall, &err) < 0) {
		say_failed(wall, &err);
	} else if (wall->gate == GATE_UNKNOWN && is_missing(wall)) {
		shut(wall, true, &err);
		if (err.code)
			problem_set(&wall->core->problems, "firewall", &err);
	} else if (wall->gate == GATE_UNKNOWN) {
		let_pass(wall);
	}
}

void wall_retry(struct wall *wall, const struct settings *settings, const struct node *self,
	const struct candidates *own)
{
	bool missed = !wall->nft;

	wall_begin(wall);
	if (wall->failed || (missed && wall->nft))
		apply(wall, settings, self, own, true);
	else if (wall->nft && !nft_is_whole(wall->nft))
		touched(wall);
	if (!repair_is_fight(&wall->repairs, clock_now_us()) && wall->gate != GATE_SHUT)
		problem_set(&wall->core->problems, "rules", NULL);
	look_for_wrongdoers(wall);
}

void wall_take_down(struct wall *wall)
{
	static const char *const over[] = { "firewall", "rules", "astray", "liars" };
	CLEANUP_BUF struct buf removal = { 0 };
	struct err err = { 0 };

	free(wall->text);
	wall->text = NULL;
	firewall_add_removal(wall->core->config.interface, &removal);
	if (wall->nft && nft_apply(wall->nft, buf_str(&removal), &err) < 0)
		log_warning("%s, ignoring", err.text);
	/* Of an interface that is down. */
	(void) rule_permit(wall->core->nl, wall->core->config.interface, NULL);
	wall->gate = GATE_UNKNOWN;
	for (size_t i = 0; i < ARRAY_LEN(over); i++)
		problem_set(&wall->core->problems, over[i], NULL);
}

bool wall_is_busy(const struct wall *wall)
{
	return wall->nft && nft_is_busy(wall->nft);
}

int wall_new(struct core *core, const struct wall_hooks *hooks, void *ctx, struct wall **ret,
	struct err *err)
{
	struct wall *wall = calloc(1, sizeof(*wall));
	int r;

	if (!wall)
		return err_set(err, -ENOMEM, "out of memory");
	*wall = (struct wall){ .core = core, .hooks = hooks, .ctx = ctx };
	r = sd_event_add_time(core->event, &wall->timer, CLOCK_MONOTONIC, 0, 0, on_timer, wall);
	if (r < 0) {
		wall_free(wall);
		return err_set(err, r, "cannot set up a timer: %s", strerror(-r));
	}
	(void) sd_event_source_set_enabled(wall->timer, SD_EVENT_OFF);
	(void) firewall_table(core->config.interface, wall->table);
	(void) watch(wall, NULL); /* wall_begin() says so if it fails */
	*ret = wall;
	return 0;
}

struct wall *wall_free(struct wall *wall)
{
	if (!wall)
		return NULL;
	nft_free(wall->nft);
	sd_event_source_disable_unref(wall->timer);
	free(wall->text);
	free(wall);
	return NULL;
}
