/*
 * wait: see wait.h. While somebody waits it is looked ten times a second, at the cost of those who
 * do.
 */
#include "node/wait.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define CHECK_US (100 * USEC_PER_MSEC)

struct wait {
	struct wait *next;
	struct ipc_request *request;
	struct wait_for what;
	uint64_t deadline_us;
	bool gone;
};

struct waits {
	const struct waits_hooks *hooks;
	void *ctx;
	struct wait *list;
	sd_event_source *timer; /* off while nobody waits */
};

static void is_gone(void *ctx)
{
	((struct wait *) ctx)->gone = true;
}

static void arm(struct waits *waits, uint64_t in_us)
{
	(void) sd_event_source_set_time_relative(waits->timer, in_us);
	(void) sd_event_source_set_enabled(waits->timer, SD_EVENT_ONESHOT);
}

static void end(struct waits *waits, struct wait *w, bool done)
{
	json_t *answer = waits->hooks->answer(waits->ctx, &w->what, done);

	if (answer)
		ipc_request_reply(w->request, answer);
	else
		ipc_request_fail(w->request, "internal", "out of memory");
	free(w);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct waits *waits = ctx;
	struct wait **p = &waits->list;
	uint64_t now_us = clock_now_us(), began_us = clock_cpu_us();

	waits->hooks->look(waits->ctx);
	for (const struct wait *w = waits->list; w; w = w->next)
		if (!w->gone)
			ipc_request_charge(w->request, clock_cpu_us() - began_us);
	while (*p) {
		struct wait *w = *p;
		bool done = waits->hooks->has_come(waits->ctx, &w->what);

		if (!done && !w->gone && now_us < w->deadline_us) {
			p = &w->next;
			continue;
		}
		*p = w->next;
		end(waits, w, done);
	}
	if (waits->list)
		arm(waits, CHECK_US);
	return 0;
}

int waits_new(struct core *core, const struct waits_hooks *hooks, void *ctx, struct waits **ret,
	struct err *err)
{
	struct waits *waits = calloc(1, sizeof(*waits));
	int r;

	if (!waits)
		return err_set(err, -ENOMEM, "out of memory");
	waits->hooks = hooks;
	waits->ctx = ctx;
	r = sd_event_add_time(
		core->event, &waits->timer, CLOCK_MONOTONIC, 0, USEC_PER_MSEC, on_timer, waits);
	if (r >= 0)
		r = sd_event_source_set_enabled(waits->timer, SD_EVENT_OFF);
	if (r < 0) {
		(void) waits_free(waits);
		return err_set(err, r, "cannot set up a timer: %s", strerror(-r));
	}
	*ret = waits;
	return 0;
}

struct waits *waits_free(struct waits *waits)
{
	if (!waits)
		return NULL;
	while (waits->list) {
		struct wait *w = waits->list;

		waits->list = w->next;
		end(waits, w, false);
	}
	waits->timer = sd_event_source_disable_unref(waits->timer);
	free(waits);
	return NULL;
}

void waits_add(struct waits *waits, struct ipc_request *request, const struct wait_for *what,
	uint64_t timeout_us)
{
	struct wait *w = calloc(1, sizeof(*w));

	if (!w) {
		ipc_request_fail(request, "internal", "out of memory");
		return;
	}
	*w = (struct wait){ .next = waits->list,
		.request = request,
		.what = *what,
		.deadline_us = clock_now_us() + timeout_us };
	waits->list = w;
	ipc_request_on_gone(request, is_gone, w);
	arm(waits, 0);
}
