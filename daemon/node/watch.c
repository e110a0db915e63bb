/*
 * One timer (five seconds) asks the tunnel who is there, tells systemd, and lets slower repairs run.
 * The watchdog is fed only after the tunnel's thread has answered: were it stuck, so would we be.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "base/log.h"
#include "node/hearthd.h"
#include "sys/notify/notify.h"

#define TICK_US   (5 * USEC_PER_SEC)
#define SLOW_US   (60 * USEC_PER_SEC)
#define ANSWER_US USEC_PER_SEC

void watch_refresh(struct hearthd *h)
{
	if (h->mesh_state == MESH_UP)
		peers_look(h->peers, h->tunnel, clock_now_us());
	else
		peers_clear(h->peers);
}

/* A packet through every tunnel carries our new address to the other end, and asks for one back. */
void watch_moved(struct hearthd *h)
{
	size_t n;
	const struct peer *list = peers_list(h->peers, &n);

	for (size_t i = 0; i < n; i++) {
		const struct node *node = netmap_by_id(book_netmap(h->core.book), list[i].id);

		if (node && list[i].stats.session)
			(void) ping_send(
				h->ping, &node->mesh4, PING_SIZE_DEFAULT, 0, NULL, NULL, NULL);
	}
	h->moved_us = clock_now_us();
	(void) sd_event_source_set_time_relative(h->moved_timer, ANSWER_US);
	(void) sd_event_source_set_enabled(h->moved_timer, SD_EVENT_ONESHOT);
}

/*
 * The address a peer was talked to at may be out of reach from where we are now (the last of its family is
 * gone), and the peer has only our old one. The tunnel would find out 15 s after the next packet.
 */
static int on_moved(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct hearthd *h = ctx;
	const struct peer *list;
	size_t n;

	watch_refresh(h);
	list = peers_list(h->peers, &n);
	for (size_t i = 0; h->tunnel && i < n; i++) {
		const struct tunnel_peer_stats *stats = &list[i].stats;

		if (stats->session && stats->last_receive_us < h->moved_us)
			(void) tunnel_doubt(h->tunnel, stats->key);
	}
	return 0;
}

static const struct node *node_of(void *ctx, uint32_t id)
{
	return netmap_by_id(book_netmap(((const struct hearthd *) ctx)->core.book), id);
}

void watch_fill_report(struct hearthd *h, struct report *ret)
{
	static const char *problems[PROBLEMS_MAX]; /* one loop, one report at a time */
	size_t n = problems_texts(&h->core.problems, problems), n_peers;
	const struct peer *peers = peers_list(h->peers, &n_peers);

	*ret = (struct report){
		.mesh = h->core.config.mesh,
		.state = h->mesh_state,
		.id = h->core.config.node,
		.self = core_self(&h->core),
		.ifname = h->core.config.interface,
		.mtu = candidates_interface_mtu(h->uplink_mtu),
		.port = h->tunnel ? tunnel_port(h->tunnel) : 0,
		.endpoints = uplink_candidates(h->uplink)->endpoints,
		.n_endpoints = uplink_candidates(h->uplink)->n_endpoints,
		.links = uplink_links(h->uplink),
		.sync = sync_state(h->sync),
		.seq = mesh_log_head(book_log(h->core.book)),
		.head = mesh_log_head_hash(book_log(h->core.book)),
		.peers = peers,
		.n_peers = n_peers,
		.n_reachable = peers_reachable(h->peers),
		.node_of = node_of,
		.ctx = h,
		.log_problem = problem_text(&h->core.problems, "log"),
		.problems = problems,
		.n_problems = n,
		.now_us = clock_now_us(),
		.now_wall_us = clock_wall_us(),
		.systemd = sd_booted() > 0,
	};
}

/* Only what is new: each word wakes PID 1. */
static void say_to_systemd(struct hearthd *h, const char *text)
{
	if (notify_status("%s", text) < 0)
		return; /* at the next tick */
	free(h->said);
	h->said = strdup(text); /* without memory it is said once more */
}

void watch_notify(struct hearthd *h)
{
	CLEANUP_BUF struct buf text = { 0 };
	struct report report;

	if (!h->begun)
		return;
	watch_fill_report(h, &report);
	report_sentence(&report, &text);
	if (!h->said || strcmp(buf_str(&text), h->said) != 0)
		say_to_systemd(h, buf_str(&text));
	/* Removed and replaced are answers, too: there is nothing to wait for. */
	if (!h->ready && h->mesh_state != MESH_WAITING && !wall_is_busy(h->wall)) {
		h->ready = notify_send("READY=1") != -EAGAIN; /* else at the next tick */
		if (h->ready)
			log_info("ready");
	}
}

/* --- the timer --- */

static int on_tick(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct hearthd *h = ctx;
	uint64_t now = clock_now_us();

	watch_refresh(h);
	watch_notify(h);
	save_seen(h, now);
	assist_retry(h);
	mesh_check_addresses(h);
	pods_look(h->pods, now);
	/* Soon, because power may go; once settled seldom, because of the card. */
	if (now >= h->save_us && book_has_changes(h->core.book)) {
		h->save_us = h->settled ? now + SLOW_US : 0;
		save_book(h, now);
	}
	if (now >= h->slow_us) {
		h->slow_us = now + SLOW_US;
		h->settled = true;
		hearthd_keep_files(h);
		mesh_retry(h);
	}
	if (h->watchdog)
		(void) notify_send("WATCHDOG=1");
	(void) sd_event_source_set_time_relative(source, h->tick_us);
	(void) sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	return 0;
}

int watch_begin(struct hearthd *h, struct err *err)
{
	uint64_t limit_us = 0;
	int r;

	h->watchdog = sd_watchdog_enabled(0, &limit_us) > 0;
	h->tick_us = h->watchdog && limit_us / 3 < TICK_US ? limit_us / 3 : TICK_US;
	h->slow_us = clock_now_us() + SLOW_US;
	r = sd_event_add_time_relative(
		h->core.event, &h->tick, CLOCK_MONOTONIC, USEC_PER_SEC, 0, on_tick, h);
	if (r >= 0)
		r = sd_event_add_time(
			h->core.event, &h->moved_timer, CLOCK_MONOTONIC, 0, 0, on_moved, h);
	if (r < 0)
		return err_set(err, r, "cannot set up timers: %s", strerror(-r));
	(void) sd_event_source_set_enabled(h->moved_timer, SD_EVENT_OFF);
	return 0;
}

void watch_end(struct hearthd *h)
{
	if (h->peers)
		watch_refresh(h); /* where they answered last */
	h->tick = sd_event_source_disable_unref(h->tick);
	h->moved_timer = sd_event_source_disable_unref(h->moved_timer);
	free(h->said);
	h->said = NULL;
	json_decref(h->status);
	h->status = NULL;
}
