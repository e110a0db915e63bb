/* multi: see multi.h. Each socket that libcurl waits for is a source of the loop's. */
#include "sys/curl/multi.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "base/clock.h"

struct watch {
	struct watch *next, **link;
	sd_event_source *source;
};

struct multi {
	sd_event *event;
	sd_event_source *timer, *later;
	CURLM *handle;
	struct watch *watches;
	multi_ran_fn ran;
	void *ctx;
};

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct multi *m = ctx;
	int mask = 0, running;

	if (revents & (EPOLLIN | EPOLLHUP))
		mask |= CURL_CSELECT_IN;
	if (revents & EPOLLOUT)
		mask |= CURL_CSELECT_OUT;
	if (revents & EPOLLERR)
		mask |= CURL_CSELECT_ERR;
	(void) curl_multi_socket_action(m->handle, fd, mask, &running);
	m->ran(m->ctx);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct multi *m = ctx;
	int running;

	(void) curl_multi_socket_action(m->handle, CURL_SOCKET_TIMEOUT, 0, &running);
	m->ran(m->ctx);
	return 0;
}

static int on_later(sd_event_source *source, void *ctx)
{
	return on_timer(source, 0, ctx);
}

static void watch_free(struct watch *w)
{
	*w->link = w->next;
	if (w->next)
		w->next->link = w->link;
	sd_event_source_disable_unref(w->source);
	free(w);
}

static int watch_new(struct multi *m, curl_socket_t fd, uint32_t events)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (!w)
		return -1;
	if (sd_event_add_io(m->event, &w->source, fd, events, on_io, m) < 0) {
		free(w);
		return -1;
	}
	w->next = m->watches;
	w->link = &m->watches;
	if (w->next)
		w->next->link = &w->next;
	m->watches = w;
	(void) curl_multi_assign(m->handle, fd, w);
	return 0;
}

static int want_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *known)
{
	struct multi *m = ctx;
	struct watch *w = known;
	uint32_t events = 0;

	if (what == CURL_POLL_REMOVE) {
		if (w)
			watch_free(w);
		(void) curl_multi_assign(m->handle, fd, NULL);
		return 0;
	}
	if (what & CURL_POLL_IN)
		events |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		events |= EPOLLOUT;
	if (w)
		return sd_event_source_set_io_events(w->source, events) < 0 ? -1 : 0;
	return watch_new(m, fd, events);
}

static int want_timer(CURLM *handle, long timeout_ms, void *ctx)
{
	struct multi *m = ctx;

	if (timeout_ms < 0)
		return sd_event_source_set_enabled(m->timer, SD_EVENT_OFF) < 0 ? -1 : 0;
	if (timeout_ms == 0) /* a timer would come up to 250 ms late, and wake the board for it */
		return sd_event_source_set_enabled(m->later, SD_EVENT_ONESHOT) < 0 ? -1 : 0;
	if (sd_event_source_set_time_relative(m->timer, (uint64_t) timeout_ms * USEC_PER_MSEC) < 0)
		return -1;
	return sd_event_source_set_enabled(m->timer, SD_EVENT_ONESHOT) < 0 ? -1 : 0;
}

static int set_callbacks(struct multi *m)
{
	CURLMcode r = CURLM_OK;

	r |= curl_multi_setopt(m->handle, CURLMOPT_SOCKETFUNCTION, want_socket);
	r |= curl_multi_setopt(m->handle, CURLMOPT_SOCKETDATA, m);
	r |= curl_multi_setopt(m->handle, CURLMOPT_TIMERFUNCTION, want_timer);
	r |= curl_multi_setopt(m->handle, CURLMOPT_TIMERDATA, m);
	return r ? -ENOMEM : 0;
}

static int open_sources(struct multi *m)
{
	int r = sd_event_add_time(m->event, &m->timer, CLOCK_MONOTONIC, 0, 0, on_timer, m);

	if (r >= 0)
		r = sd_event_source_set_enabled(m->timer, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_defer(m->event, &m->later, on_later, m);
	if (r >= 0)
		r = sd_event_source_set_enabled(m->later, SD_EVENT_OFF);
	return r < 0 ? r : 0;
}

int multi_new(sd_event *event, multi_ran_fn ran, void *ctx, struct multi **ret)
{
	struct multi *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	m->event = sd_event_ref(event);
	m->ran = ran;
	m->ctx = ctx;
	m->handle = curl_multi_init();
	r = m->handle ? open_sources(m) : -ENOMEM;
	if (r == 0)
		r = set_callbacks(m);
	if (r < 0) {
		(void) multi_free(m);
		return r;
	}
	*ret = m;
	return 0;
}

CURLM *multi_handle(const struct multi *multi)
{
	return multi->handle;
}

static void close_sources(struct multi *m)
{
	while (m->watches)
		watch_free(m->watches);
	sd_event_source_disable_unref(m->timer);
	sd_event_source_disable_unref(m->later);
	sd_event_unref(m->event);
}

struct multi *multi_free(struct multi *m)
{
	if (!m)
		return NULL;
	if (m->handle)
		(void) curl_multi_cleanup(m->handle); /* it may ask for sockets and timers */
	close_sources(m);
	free(m);
	return NULL;
}

CURLM *multi_leave(struct multi *m)
{
	CURLM *handle = m->handle;

	(void) curl_multi_setopt(handle, CURLMOPT_SOCKETFUNCTION, NULL);
	(void) curl_multi_setopt(handle, CURLMOPT_TIMERFUNCTION, NULL);
	close_sources(m);
	free(m);
	return handle;
}
