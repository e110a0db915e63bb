/* serve-say: see serve-internal.h. */
#include "relay/serve-internal.h"

#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "relay/metrics-text.h"
#include "sys/notify/notify.h"

#define STATUS_US (10 * USEC_PER_SEC)

void serve_say_status(struct serve *s)
{
	char text[sizeof(s->said)];
	size_t members, bound = s->udp ? udp_bound(s->udp) : 0;
	struct derp_counters derp;

	(void) members_list(s->core.members, &members);
	derp_counters(s->derp, &derp);
	if (s->waiting)
		(void) snprintf(text, sizeof(text),
			"waits for its enrolment; only coordinators that it waits for are let in, "
			"at port %u",
			s->tcp_port);
	else if (*admit_problem(s->admit))
		(void) snprintf(text, sizeof(text), "%zu members; hearthd: %.100s", members,
			admit_problem(s->admit));
	else
		(void) snprintf(text, sizeof(text),
			"%zu members, %zu of them here by UDP, %u by TCP; ports %u and %u", members,
			bound, derp.clients, s->udp ? udp_port(s->udp) : 0, s->tcp_port);
	if (strcmp(text, s->said) != 0 && notify_status("%s", text) >= 0)
		(void) snprintf(s->said, sizeof(s->said), "%s", text);
}

void serve_say_metrics(void *ctx, struct buf *text)
{
	struct serve *s = ctx;
	struct front_counters front;
	struct derp_counters derp;
	struct pass_counters pass;
	struct elsewhere_counters elsewhere;
	struct metrics_values values = { .udp = s->udp ? udp_counters(s->udp) : NULL,
		.bound = s->udp ? udp_bound(s->udp) : 0,
		.derp = &derp,
		.front = &front,
		.pass = &pass,
		.elsewhere = s->elsewhere ? &elsewhere : NULL,
		.waiting = s->waiting,
		.unserved = s->unserved };

	(void) members_list(s->core.members, &values.members);
	derp_counters(s->derp, &derp);
	front_counters(s->front, &front);
	pass_counters(s->pass, &pass);
	if (s->elsewhere)
		elsewhere_counters(s->elsewhere, &elsewhere);
	metrics_text(&values, text);
}

static int on_status(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct serve *s = ctx;

	serve_say_status(s);
	if (s->watchdog)
		(void) notify_send("WATCHDOG=1");
	(void) sd_event_source_set_time_relative(source, s->status_us);
	(void) sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	return 0;
}

int serve_say_begin(struct serve *s, struct err *err)
{
	uint64_t limit_us = 0;
	int r;

	s->watchdog = sd_watchdog_enabled(0, &limit_us) > 0;
	s->status_us = s->watchdog && limit_us / 3 < STATUS_US ? limit_us / 3 : STATUS_US;
	r = sd_event_add_time_relative(
		s->core.event, &s->on_status, CLOCK_MONOTONIC, s->status_us, 0, on_status, s);
	return r < 0 ? err_set(err, r, "event loop: %s", strerror(-r)) : 0;
}
