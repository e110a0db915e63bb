/*
 * One timer (five seconds) asks the tunnel who is there, tells systemd, and lets slower repairs
 * run. The watchdog is fed only after the tunnel's thread has answered: were it stuck, so would we
 * be.
 */
#include <errno.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "base/log.h"
#include "node/hearthd.h"
#include "sys/notify/notify.h"

#define TICK_US (5 * USEC_PER_SEC)
#define SLOW_US (60 * USEC_PER_SEC)

/* It is root's: we only say that the next start will fail. */
static void look_at_config(struct hearthd *h)
{
	struct config config;
	struct err why = { 0 }, err = { 0 };

	if (config_read(h->config_path, &config, &why) < 0)
		err_set(&err, why.code,
			"hearthd goes on as before, but will not start again: %.600s", why.text);
	problem_set(&h->core.problems, "config", &err);
}

void tick_keep_files(struct hearthd *h)
{
	control_keep(h);
	look_at_config(h);
	pods_hurry(h->pods);
	uapi_keep(h->uapi);
	keep_look(h->keep);
	overlay_look(h->overlay);
}

/* Soon, because power may go; once settled seldom, because of the card. */
static void save_book(struct hearthd *h, uint64_t now_us)
{
	if (now_us < h->save_us || !book_has_changes(h->core.book))
		return;
	h->save_us = h->settled ? now_us + SLOW_US : 0;
	keep_book(h->keep, now_us);
}

static void mend(struct hearthd *h, uint64_t now_us)
{
	if (now_us < h->slow_us)
		return;
	h->slow_us = now_us + SLOW_US;
	h->settled = true;
	tick_keep_files(h);
	mesh_retry(h);
}

static int on_tick(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct hearthd *h = ctx;
	uint64_t now_us = clock_now_us();

	status_look(h);
	finder_look(h->finder);
	status_tell(h);
	mtus_look(h->mtus);
	keep_save_seen(h->keep, now_us);
	assist_retry(h);
	relays_look(h->relays);
	beacon_look(h->beacon);
	mapped_look(h->mapped);
	holes_look(h->holes);
	exchange_look(h->exchange, sync_state(h->sync)->connected, now_us);
	announce_check(h->announce, h->mesh_state == MESH_UP);
	pods_look(h->pods, now_us);
	save_book(h, now_us);
	mend(h, now_us);
	if (h->watchdog)
		(void) notify_send("WATCHDOG=1");
	(void) sd_event_source_set_time_relative(source, h->tick_us);
	(void) sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	return 0;
}

int tick_begin(struct hearthd *h, struct err *err)
{
	uint64_t limit_us = 0;
	int r;

	h->watchdog = sd_watchdog_enabled(0, &limit_us) > 0;
	h->tick_us = h->watchdog && limit_us / 3 < TICK_US ? limit_us / 3 : TICK_US;
	h->slow_us = clock_now_us() + SLOW_US;
	r = sd_event_add_time_relative(
		h->core.event, &h->tick, CLOCK_BOOTTIME, USEC_PER_SEC, 0, on_tick, h);
	return r < 0 ? err_set(err, r, "cannot set up a timer: %s", strerror(-r)) : 0;
}

void tick_end(struct hearthd *h)
{
	if (h->wall)            /* it is made last */
		status_look(h); /* where they answered last */
	h->tick = sd_event_source_disable_unref(h->tick);
}
