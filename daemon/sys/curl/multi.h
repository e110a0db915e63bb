/*
 * multi: a multi handle of libcurl whose sockets and timers are an event loop's.
 */
#pragma once

#include <curl/curl.h>
#include <systemd/sd-event.h>

struct multi;

/*
 * libcurl has done something and has returned: there may be messages (curl_multi_info_read). From
 * the loop; it may free @ctx and the multi with it.
 */
typedef void (*multi_ran_fn)(void *ctx);

/* 0 or -errno. @event gets a reference. */
int multi_new(sd_event *event, multi_ran_fn ran, void *ctx, struct multi **ret);
/* Borrowed. */
CURLM *multi_handle(const struct multi *multi);
/* The easy handles in it must have been removed. NULL is fine. Returns NULL. */
struct multi *multi_free(struct multi *multi);
/*
 * The multi handle without the loop: the caller's, with the easy handles in it. @multi is gone.
 * From now on it may be used by any one thread; nobody looks at its timers.
 */
CURLM *multi_leave(struct multi *multi);
