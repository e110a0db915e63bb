/*
 * urls: keeps the settings' URLs in step with this machine's addresses, if they are to be found.
 * rtnetlink tells of changes; they are looked at once they have settled. Addresses are only added,
 * newest first, so that nothing is lost while an uplink is down; an address that comes and goes, or
 * two that alternate, write one record each. The oldest make room, but none that this machine has,
 * and none that a person set: those stand first and stay. Whatever happens, a few records an hour
 * are the most: the log is for ever. Once there was more than one, an address counts only when it
 * has been there for a minute: a LAN host can give us a new one each second.
 */
#include "coordinator/urls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/pace.h"
#include "board/links.h"
#include "coordinator/addrs.h"
#include "sys/net/monitor.h"

enum { RECORDS_AT_ONCE = 4 };
#define RECORD_EVERY_US (15 * 60 * USEC_PER_SEC)
#define QUIET_US        USEC_PER_SEC
#define LATEST_US       (5 * USEC_PER_SEC)
#define AGAIN_US        (60 * USEC_PER_SEC)
#define LIVES_US        (60 * USEC_PER_SEC)

struct urls {
	struct coord *coord;
	void (*look)(void *ctx);
	void *look_ctx;
	sd_event_source *io, *timer;
	int fd;
	uint64_t first_us; /* of the changes that have not been looked at, 0: none */
	struct pace pace;
	bool held_back; /* and said so */
	struct life {
		char url[FIELD_URL_MAX];
		uint64_t since_us;
	} lives[FIELD_URLS_MAX]; /* of those found last */
	size_t n_lives;
};

static void arm(struct urls *urls, uint64_t wait_us)
{
	(void) sd_event_source_set_time_relative(urls->timer, wait_us);
	(void) sd_event_source_set_enabled(urls->timer, SD_EVENT_ONESHOT);
}

/* --- which --- */

static bool has_url(const char (*urls)[FIELD_URL_MAX], size_t n, const char *url)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(urls[i], url))
			return true;
	return false;
}

/* Where the new one's room is: behind the last, or the oldest found one that is not in @found. */
static size_t find_room(const struct settings *s, const char (*found)[FIELD_URL_MAX], size_t n)
{
	size_t i = s->n_urls;

	if (i < FIELD_URLS_MAX)
		return i;
	while (i > s->n_by_hand && has_url(found, n, s->urls[i - 1]))
		i--;
	return i > s->n_by_hand ? i - 1 : FIELD_URLS_MAX;
}

size_t urls_add(struct settings *s, const char (*found)[FIELD_URL_MAX], size_t n)
{
	size_t added = 0, first = s->n_by_hand;

	for (size_t i = n; i > 0; i--) {
		const char *url = found[i - 1];
		size_t room = find_room(s, found, n);

		if (has_url((const char(*)[FIELD_URL_MAX]) s->urls, s->n_urls, url) ||
			room == FIELD_URLS_MAX)
			continue;
		memmove(s->urls[first + 1], s->urls[first], (room - first) * FIELD_URL_MAX);
		memcpy(s->urls[first], url, FIELD_URL_MAX);
		s->n_urls += room == s->n_urls;
		added++;
	}
	return added;
}

/*
 * Remembers since when each is there, and keeps those of @found that are to be told. Returns how
 * many.
 */
static size_t keep_settled(
	struct urls *urls, char (*found)[FIELD_URL_MAX], size_t n, uint64_t now_us)
{
	bool restless = pace_left(&urls->pace, RECORDS_AT_ONCE, RECORD_EVERY_US, now_us) + 1 <
			RECORDS_AT_ONCE;
	struct life lives[FIELD_URLS_MAX];
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		memcpy(lives[i].url, found[i], FIELD_URL_MAX);
		lives[i].since_us = now_us;
		for (size_t k = 0; k < urls->n_lives; k++)
			if (!strcmp(urls->lives[k].url, found[i]))
				lives[i].since_us = urls->lives[k].since_us;
		if (!restless || now_us - lives[i].since_us >= LIVES_US)
			memmove(found[kept++], lives[i].url, FIELD_URL_MAX);
	}
	memcpy(urls->lives, lives, n * sizeof(lives[0]));
	urls->n_lives = n;
	if (kept < n)
		arm(urls, LIVES_US);
	return kept;
}

size_t urls_merge(const struct coord *c, struct settings *settings)
{
	char found[FIELD_URLS_MAX][FIELD_URL_MAX];
	struct err err = { 0 };
	int n = c->urls_found ? addrs_urls(settings, c->port, found, &err) : 0;

	if (n < 0)
		log_seldom(LOG_LEVEL_WARNING,
			"this machine's addresses are not known, those of before stay: %s",
			err.text);
	if (n > 0 && c->urls)
		n = (int) keep_settled(c->urls, found, (size_t) n, clock_now_us());
	return n > 0 ? urls_add(settings, (const char(*)[FIELD_URL_MAX]) found, (size_t) n) : 0;
}

/* --- the record --- */

struct refresh {
	struct change change;
	struct coord *coord;
	struct buf added;
};

static int decide(struct change *change, struct store_batch *batch)
{
	struct refresh *refresh = (struct refresh *) change;
	CLEANUP_SETTINGS struct settings s = { 0 };
	CLEANUP_JSON json_t *payload = NULL;
	size_t n;
	int r;

	settings_copy(coord_settings(refresh->coord), &s);
	n = urls_merge(refresh->coord, &s);
	if (!n)
		return 0;
	for (size_t i = 0; i < n; i++)
		buf_printf(&refresh->added, " %s", s.urls[s.n_by_hand + i]);
	payload = settings_to_json(&s);
	r = ledger_set_record(change, RECORD_TYPE_SETTINGS, payload);
	return r < 0 ? r : 1;
}

static void done(struct change *change, int r)
{
	struct refresh *refresh = (struct refresh *) change;

	if (r < 0)
		log_seldom(LOG_LEVEL_WARNING,
			"this machine's new addresses could not be announced, ignoring: %s",
			change->err.text);
	else if (r > 0)
		log_notice(
			"boards now also look for the coordinator at%s", buf_str(&refresh->added));
	buf_done(&refresh->added);
	free(refresh);
}

/* --- when --- */

/* False: enough for now; it is looked at again later. */
static bool may_write(struct urls *urls)
{
	if (pace_may(&urls->pace, RECORDS_AT_ONCE, RECORD_EVERY_US, clock_now_us(), NULL)) {
		urls->held_back = false;
		return true;
	}
	if (!urls->held_back)
		log_notice("this machine's addresses change so often that new ones are announced "
			   "every %d minutes only",
			(int) (RECORD_EVERY_US / USEC_PER_SEC / 60));
	urls->held_back = true;
	arm(urls, AGAIN_US);
	return false;
}

void urls_refresh(struct coord *c)
{
	CLEANUP_SETTINGS struct settings s = { 0 };
	struct refresh *refresh;

	settings_copy(coord_settings(c), &s);
	if (!urls_merge(c, &s) || !may_write(c->urls))
		return;
	refresh = calloc(1, sizeof(*refresh));
	if (!refresh)
		return; /* next time */
	refresh->change = (struct change){ .decide = decide, .done = done };
	refresh->coord = c;
	if (ledger_submit(c->ledger, &refresh->change) < 0) {
		free(refresh);
		arm(c->urls, AGAIN_US);
	}
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct urls *urls = ctx;

	urls->first_us = 0;
	if (urls->fd < 0)
		arm(urls, AGAIN_US);
	if (urls->look)
		urls->look(urls->look_ctx);
	urls_refresh(urls->coord);
	return 0;
}

static void note(struct urls *urls)
{
	uint64_t now = clock_now_us(), wait = QUIET_US;

	if (!urls->first_us)
		urls->first_us = now;
	if (now + wait > urls->first_us + LATEST_US)
		wait = urls->first_us + LATEST_US > now ? urls->first_us + LATEST_US - now : 0;
	arm(urls, wait);
}

static void on_change(void *ctx, const struct monitor_event *event)
{
	if (!event->gone && links_may_change(event)) /* nothing is taken away */
		note(ctx);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	if (monitor_read(fd, on_change, ctx) < 0)
		note(ctx); /* some were lost */
	return 0;
}

void urls_on_look(struct urls *urls, void (*look)(void *ctx), void *ctx)
{
	urls->look = look;
	urls->look_ctx = ctx;
}

/* Without word of changes it is looked once a minute. */
static void watch(struct urls *urls)
{
	struct err why = { 0 };
	int r;

	urls->fd = monitor_open(MONITOR_LINKS | MONITOR_ADDRS | MONITOR_ROUTES, &why);
	if (urls->fd >= 0) {
		r = sd_event_add_io(urls->coord->event, &urls->io, urls->fd, EPOLLIN, on_io, urls);
		if (r < 0) {
			(void) err_set(&why, r, "event loop: %s", strerror(-r));
			(void) close(take_fd(&urls->fd));
		}
	}
	if (urls->fd < 0)
		log_notice("%s; looking for new addresses of this machine once a minute", why.text);
	arm(urls, AGAIN_US);
}

static void unwatch(struct urls *urls)
{
	urls->io = sd_event_source_disable_unref(urls->io);
	if (urls->fd >= 0)
		(void) close(take_fd(&urls->fd));
	(void) sd_event_source_set_enabled(urls->timer, SD_EVENT_OFF);
	urls->first_us = 0;
}

void urls_set_found(struct coord *coord, bool found)
{
	if (coord->urls_found == found)
		return;
	coord->urls_found = found;
	if (found)
		watch(coord->urls);
	else
		unwatch(coord->urls);
}

int urls_open(struct coord *coord, struct urls **ret, struct err *err)
{
	struct urls *urls = calloc(1, sizeof(*urls));
	int r;

	if (!urls)
		return err_set(err, -ENOMEM, "out of memory");
	urls->coord = coord;
	urls->fd = -1;
	r = sd_event_add_time_relative(
		coord->event, &urls->timer, CLOCK_MONOTONIC, AGAIN_US, 0, on_timer, urls);
	if (r < 0) {
		(void) urls_close(urls);
		return err_set(err, r, "event loop: %s", strerror(-r));
	}
	if (coord->urls_found)
		watch(urls);
	else
		unwatch(urls);
	*ret = urls;
	return 0;
}

struct urls *urls_close(struct urls *urls)
{
	if (!urls)
		return NULL;
	sd_event_source_disable_unref(urls->io);
	sd_event_source_disable_unref(urls->timer);
	close_p(&urls->fd);
	free(urls);
	return NULL;
}
