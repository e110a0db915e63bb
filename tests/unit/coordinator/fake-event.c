/* fake-event: see fake-event.h. */
#include "fake-event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <systemd/sd-event.h>
#include <time.h>

#include <cmocka.h>

struct sd_event {
	unsigned refs;
	bool exits;
};

struct sd_event_source {
	sd_event_source *next;
	sd_event *event;
	clockid_t clock;
	uint64_t due_us;
	int fd; /* -1: a timer */
	int enabled;
	sd_event_time_handler_t on_time;
	sd_event_io_handler_t on_io;
	sd_event_signal_handler_t on_signal;
	int signo; /* 0: none */
	void *ctx;
};

int fake_event_fails;
static uint64_t now_us = FAKE_NOW_US, wall_us = FAKE_WALL_S * USEC_PER_SEC;
static sd_event_source *sources;

void fake_event_reset(void)
{
	assert_null(sources);
	now_us = FAKE_NOW_US;
	wall_us = FAKE_WALL_S * USEC_PER_SEC;
	fake_event_fails = 0;
}

uint64_t clock_now_us(void)
{
	return now_us;
}

uint64_t clock_wall_us(void)
{
	return wall_us;
}

uint64_t clock_cpu_us(void)
{
	return 0;
}

void fake_event_set_wall(uint64_t s)
{
	wall_us = s * USEC_PER_SEC;
}

static uint64_t wait_of(const sd_event_source *s)
{
	uint64_t at = s->clock == CLOCK_REALTIME ? wall_us : now_us;

	return s->due_us > at ? s->due_us - at : 0;
}

static sd_event_source *first_due(uint64_t within_us)
{
	sd_event_source *found = NULL;

	for (sd_event_source *s = sources; s; s = s->next)
		if (s->on_time && s->enabled != SD_EVENT_OFF && wait_of(s) <= within_us &&
			(!found || wait_of(s) < wait_of(found)))
			found = s;
	return found;
}

void fake_event_pass(uint64_t us)
{
	sd_event_source *s;

	for (unsigned n = 0; (s = first_due(us)); n++) {
		uint64_t wait = wait_of(s);

		assert_true(n < 100000); /* or it arms itself for now, without end */
		now_us += wait;
		wall_us += wait;
		us -= wait;
		if (s->enabled == SD_EVENT_ONESHOT)
			s->enabled = SD_EVENT_OFF;
		assert_int_equal(s->on_time(s, s->due_us, s->ctx), 0);
	}
	now_us += us;
	wall_us += us;
}

void fake_event_stall(uint64_t us)
{
	now_us += us;
	wall_us += us;
}

uint64_t fake_event_next_us(void)
{
	const sd_event_source *s = first_due(UINT64_MAX);

	return s ? wait_of(s) : UINT64_MAX;
}

size_t fake_event_sources(void)
{
	size_t n = 0;

	for (const sd_event_source *s = sources; s; s = s->next)
		n++;
	return n;
}

void fake_event_ready(int fd)
{
	for (sd_event_source *s = sources, *next; s; s = next) {
		next = s->next;
		if (s->fd == fd && s->enabled != SD_EVENT_OFF)
			assert_int_equal(s->on_io(s, fd, 1, s->ctx), 0);
	}
}

static void drop_signals(const sd_event *event);

int sd_event_new(sd_event **ret)
{
	*ret = calloc(1, sizeof(**ret));
	assert_non_null(*ret);
	(*ret)->refs = 1;
	return 0;
}

/* A new one each time: nobody asks twice. */
int sd_event_default(sd_event **ret)
{
	return fake_event_fails < 0 ? fake_event_fails : sd_event_new(ret);
}

sd_event *sd_event_ref(sd_event *event)
{
	if (event)
		event->refs++;
	return event;
}

sd_event *sd_event_unref(sd_event *event)
{
	if (event && --event->refs == 0) {
		drop_signals(event);
		free(event);
	}
	return NULL;
}

static int add(sd_event *event, sd_event_source **ret, const sd_event_source *source)
{
	sd_event_source *s = malloc(sizeof(*s));

	assert_non_null(s);
	assert_non_null(event);
	if (fake_event_fails < 0) {
		free(s);
		return fake_event_fails;
	}
	*s = *source;
	s->event = event;
	s->next = sources;
	sources = s;
	if (ret)
		*ret = s;
	return 0;
}

int sd_event_add_time(sd_event *event, sd_event_source **ret, clockid_t clock, uint64_t usec,
	uint64_t accuracy, sd_event_time_handler_t callback, void *ctx)
{
	sd_event_source s = { .clock = clock, .due_us = usec, .fd = -1, .ctx = ctx };

	s.on_time = callback;
	s.enabled = SD_EVENT_ONESHOT;
	return add(event, ret, &s);
}

int sd_event_add_time_relative(sd_event *event, sd_event_source **ret, clockid_t clock,
	uint64_t usec, uint64_t accuracy, sd_event_time_handler_t callback, void *ctx)
{
	uint64_t at = clock == CLOCK_REALTIME ? wall_us : now_us;

	return sd_event_add_time(event, ret, clock, at + usec, accuracy, callback, ctx);
}

int sd_event_add_io(sd_event *event, sd_event_source **ret, int fd, uint32_t events,
	sd_event_io_handler_t callback, void *ctx)
{
	sd_event_source s = { .fd = fd, .on_io = callback, .enabled = SD_EVENT_ON, .ctx = ctx };

	return add(event, ret, &s);
}

/* Here all that can be done is done at once. */
int sd_event_source_set_io_events(sd_event_source *source, uint32_t events)
{
	return 0;
}

int sd_event_source_set_time(sd_event_source *source, uint64_t usec)
{
	source->due_us = usec;
	return 0;
}

int sd_event_source_set_time_relative(sd_event_source *source, uint64_t usec)
{
	source->due_us = (source->clock == CLOCK_REALTIME ? wall_us : now_us) + usec;
	return 0;
}

/* Here all are called in time. */
int sd_event_source_set_time_accuracy(sd_event_source *source, uint64_t usec)
{
	return 0;
}

int sd_event_source_set_enabled(sd_event_source *source, int enabled)
{
	if (source)
		source->enabled = enabled;
	return 0;
}

int sd_event_source_get_enabled(sd_event_source *source, int *ret)
{
	*ret = source->enabled;
	return source->enabled != SD_EVENT_OFF;
}

sd_event *sd_event_source_get_event(sd_event_source *source)
{
	return source->event;
}

/* --- the loop, and signals --- */

int (*fake_event_on_loop)(void);

int sd_event_loop(sd_event *event)
{
	return fake_event_on_loop ? fake_event_on_loop() : 0;
}

int sd_event_exit(sd_event *event, int code)
{
	event->exits = true;
	return 0;
}

bool fake_event_is_ending(const struct sd_event *event)
{
	return event->exits;
}

/* Without @ret the loop owns it, and it goes with the loop. */
int sd_event_add_signal(sd_event *event, sd_event_source **ret, int signo,
	sd_event_signal_handler_t callback, void *ctx)
{
	sd_event_source s = { .fd = -1, .on_signal = callback, .signo = signo, .ctx = ctx };

	assert_null(ret);
	return add(event, NULL, &s);
}

bool fake_event_signal(int signo)
{
	bool exits = false;

	for (sd_event_source *s = sources; s; s = s->next)
		if (s->signo == signo) {
			assert_int_equal(s->on_signal(s, NULL, s->ctx), 0);
			exits |= s->event->exits;
		}
	return exits;
}

/* --- the end --- */

static void drop_signals(const sd_event *event)
{
	for (sd_event_source **at = &sources; *at;) {
		sd_event_source *s = *at;

		if (s->event == event && s->signo) {
			*at = s->next;
			free(s);
		} else {
			at = &s->next;
		}
	}
}

sd_event_source *sd_event_source_disable_unref(sd_event_source *source)
{
	sd_event_source **at = &sources;

	if (!source)
		return NULL;
	while (*at && *at != source)
		at = &(*at)->next;
	assert_ptr_equal(*at, source);
	*at = source->next;
	free(source);
	return NULL;
}
