/*
 * The table of nftables is put in place whole, and again when somebody takes something out of it; more and more
 * slowly if that goes on. Until it is there, and while it cannot be, nothing that comes by the tunnel is
 * passed on: the gate is shut.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "node/firewall.h"
#include "node/hearthd.h"
#include "sys/net/rule.h"

#define DELAY_US (500 * USEC_PER_MSEC)

static uint16_t coordinator_port(const struct settings *settings, uint32_t id)
{
	for (size_t i = 0; i < settings->n_coordinators; i++)
		if (settings->coordinators[i].node == id)
			return settings->coordinators[i].port;
	return 0;
}

/*
 * While the rules are missing, what comes by the tunnel reaches this board alone: a routing rule sees to that,
 * which needs nothing of nftables.
 */
static void shut(struct hearthd *h, bool missing, struct err *ret)
{
	if (missing) {
		h->gate = rule_prohibit(h->core.nl, h->core.config.interface, ret) < 0
				  ? GATE_UNKNOWN
				  : GATE_SHUT;
	} else if (h->gate != GATE_OPEN) {
		(void) rule_permit(h->core.nl, h->core.config.interface, ret);
		h->gate = ret->code ? GATE_UNKNOWN : GATE_OPEN;
	}
}

static bool is_missing(struct hearthd *h)
{
	int r = h->nft ? nft_is_there(h->nft) : 0;

	return r < 0 ? h->gate != GATE_OPEN : r == 0;
}

/* What is wrong, and what that means for others' packets. */
static void say_failed(struct hearthd *h, const struct err *err)
{
	bool missing = is_missing(h);
	struct err why = { 0 }, gate = { 0 };

	shut(h, missing, &gate);
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
	problem_set(&h->core.problems, "firewall", &why);
}

static void done(void *ctx, int r, const struct err *err)
{
	struct hearthd *h = ctx;
	struct err gate = { 0 };

	h->firewall_failed = r < 0;
	if (r < 0) {
		say_failed(h, err);
	} else {
		shut(h, false, &gate);
		problem_set(&h->core.problems, "firewall", &gate);
		log_debug("nftables table inet %s is in place", h->table);
	}
	watch_notify(h); /* it may have been all that systemd's READY was waiting for */
}

static void say_fight(struct hearthd *h, const struct err *gate)
{
	struct err err = { 0 };

	err_set(&err, -EBUSY,
		"another program keeps removing rules from nftables table inet %s; find it (`nft "
		"monitor`), and let it keep that table; while rules are missing, nothing from the "
		"mesh is passed on to pods of this board%s%.200s",
		h->table, gate->code ? "; it should not be, but " : "", gate->text);
	problem_set(&h->core.problems, "rules", &err);
}

static void say_repair(struct hearthd *h, uint64_t now)
{
	static const struct err none;

	if (repair_is_fight(&h->firewall_repairs, now)) {
		say_fight(h, &none);
		return;
	}
	problem_set(&h->core.problems, "rules", NULL);
	log_seldom(LOG_LEVEL_NOTICE,
		"somebody removed rules from nftables table inet %s; putting them back", h->table);
}

static void look_later(struct hearthd *h, uint64_t wait_us)
{
	(void) sd_event_source_set_time_relative(h->firewall_timer, wait_us);
	(void) sd_event_source_set_enabled(h->firewall_timer, SD_EVENT_ONESHOT);
}

/* Nothing is put back and nobody accused before the kernel was asked. */
static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct hearthd *h = ctx;
	uint64_t now = clock_now_us(), wait_us = repair_wait_us(&h->firewall_repairs, now);
	struct err err = { 0 };

	if (h->mesh_state != MESH_UP || !h->firewall_text)
		return 0;
	if (nft_is_whole(h->nft)) {
		if (!h->firewall_failed && !nft_is_busy(h->nft))
			shut(h, false, &err);
		return 0;
	}
	if (wait_us) {
		shut(h, true, &err);
		say_fight(h, &err);
		look_later(h, wait_us);
		return 0;
	}
	repair_done(&h->firewall_repairs, now);
	say_repair(h, now);
	if (nft_apply(h->nft, h->firewall_text, &err) < 0)
		done(h, err.code, &err);
	return 0;
}

static void touched(void *ctx)
{
	struct hearthd *h = ctx;
	int waits = SD_EVENT_OFF;

	(void) sd_event_source_get_enabled(h->firewall_timer, &waits);
	if (waits == SD_EVENT_OFF)
		look_later(h, DELAY_US);
}

void wall_apply(
	struct hearthd *h, const struct settings *settings, const struct node *self, bool again)
{
	const struct candidates *own = uplink_candidates(h->uplink);
	struct firewall firewall = {
		.interface = h->core.config.interface,
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
		.coordinator_port = coordinator_port(settings, self->id),
		.inside = own->inside,
		.n_inside = own->n_inside,
		.outside = own->outside,
		.n_outside = own->n_outside,
	};
	CLEANUP_BUF struct buf text = { 0 };
	struct err err = { 0 };

	if (!h->nft)
		return;
	firewall_add_text(&firewall, &text);
	if (buf_failed(&text) ||
		(!again && h->firewall_text && !strcmp(buf_str(&text), h->firewall_text)))
		return;
	free(h->firewall_text);
	h->firewall_text = buf_take(&text, NULL);
	if (nft_apply(h->nft, h->firewall_text, &err) < 0)
		done(h, err.code, &err);
}

/* --- who did wrong within the hour, as the rules remember it --- */

enum { NAMED_MAX = 3, MEMBERS_MAX = 64 };

struct wrongdoers {
	struct hearthd *h;
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
	node = netmap_by_addr(book_netmap(w->h->core.book), &addr);
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
	if (link_find(w->h->core.nl, name, &link, NULL) < 0)
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
	problem_set(&w->h->core.problems, name, &err);
	buf_done(&w->names);
}

static void look_for_wrongdoers(struct hearthd *h)
{
	struct wrongdoers senders = { .h = h }, liars = { .h = h };

	if (!h->nft || nft_is_busy(h->nft) ||
		nft_keys(h->nft, FIREWALL_SENDERS4, on_sender, &senders) < 0 ||
		nft_keys(h->nft, FIREWALL_SENDERS6, on_sender, &senders) < 0 ||
		nft_keys(h->nft, FIREWALL_LIARS, on_liar, &liars) < 0) {
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

static int watch(struct hearthd *h, struct err *err)
{
	return h->nft ? 0 : nft_new(h->core.event, h->table, done, touched, h, &h->nft, err);
}

void wall_begin(struct hearthd *h)
{
	struct err err = { 0 };

	if (watch(h, &err) < 0) {
		say_failed(h, &err);
	} else if (h->gate == GATE_UNKNOWN) {
		shut(h, is_missing(h), &err);
		if (err.code)
			problem_set(&h->core.problems, "firewall", &err);
	}
}

void wall_retry(struct hearthd *h, const struct settings *settings, const struct node *self)
{
	bool missed = !h->nft;

	wall_begin(h);
	if (h->firewall_failed || (missed && h->nft))
		wall_apply(h, settings, self, true);
	else if (h->nft && !nft_is_whole(h->nft))
		touched(h);
	if (!repair_is_fight(&h->firewall_repairs, clock_now_us()) && h->gate != GATE_SHUT)
		problem_set(&h->core.problems, "rules", NULL);
	look_for_wrongdoers(h);
}

void wall_take_down(struct hearthd *h)
{
	CLEANUP_BUF struct buf removal = { 0 };
	struct err err = { 0 };

	free(h->firewall_text);
	h->firewall_text = NULL;
	firewall_add_removal(h->core.config.interface, &removal);
	if (h->nft && nft_apply(h->nft, buf_str(&removal), &err) < 0)
		log_warning("%s, ignoring", err.text);
	(void) rule_permit(
		h->core.nl, h->core.config.interface, NULL); /* of an interface that is down */
	h->gate = GATE_UNKNOWN;
}

int wall_open(struct hearthd *h, struct err *err)
{
	int r = sd_event_add_time(
		h->core.event, &h->firewall_timer, CLOCK_MONOTONIC, 0, 0, on_timer, h);

	if (r < 0)
		return err_set(err, r, "cannot set up a timer: %s", strerror(-r));
	(void) sd_event_source_set_enabled(h->firewall_timer, SD_EVENT_OFF);
	(void) firewall_table(h->core.config.interface, h->table);
	(void) watch(h, NULL); /* wall_begin() says so if it fails */
	return 0;
}

void wall_close(struct hearthd *h)
{
	h->nft = nft_free(h->nft);
	h->firewall_timer = sd_event_source_disable_unref(h->firewall_timer);
	free(h->firewall_text);
	h->firewall_text = NULL;
}
