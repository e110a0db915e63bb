/*
 * upnp: asks a gateway for a port by UPnP-IGD (libminiupnpc). The library blocks, reads as much as
 * it is sent, and understands XML: so it runs in a process of its own, which is hearthd's program
 * again, but has none of its keys, no right at all, no file where the kernel has Landlock, little
 * memory and a few seconds. Devices other than the gateway itself are not spoken to, whatever it or
 * somebody else says of where it is.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/err.h"
#include "base/ip.h"

/* hearthd with this argument alone is that process. */
#define UPNP_ARGUMENT "--upnp"

enum {
	UPNP_URL_MAX = 256,
	UPNP_SEARCH_MS = 1000,     /* so long devices may take to answer a search, of four */
	UPNP_LONGEST_US = 8000000, /* all of it; then it is ended */
};

/* What is asked for: all of it IPv4. */
struct upnp_job {
	bool remove; /* what was mapped is to go: @wanted, at @url */
	struct ip_addr gateway, own;
	uint16_t port;   /* of ours, UDP */
	uint16_t wanted; /* outside */
	uint32_t lifetime_s;
	char name[32];          /* by which people know it at the gateway */
	char url[UPNP_URL_MAX]; /* of the device's description when last asked; "": search */
};

enum upnp_result {
	UPNP_DONE,
	UPNP_NOBODY,     /* no such device at the gateway */
	UPNP_REFUSED,    /* @code is why (UPnP's number), or less than 0: no answer */
	UPNP_NO_ADDRESS, /* it tells of no outside address */
	UPNP_BROKEN,     /* it could not be asked, or broke who asked */
};

struct upnp_end {
	enum upnp_result result;
	int code;
	struct endpoint outside; /* as it says: to be judged */
	uint32_t lifetime_s;     /* 0: for ever */
	char url[UPNP_URL_MAX];
};

struct upnp;
/* From the loop, once; the handle is gone. */
typedef void (*upnp_done_fn)(void *ctx, const struct upnp_end *end);
/* 0, or -errno with @err, and @done is not called. */
int upnp_start(sd_event *event, const struct upnp_job *job, upnp_done_fn done, void *ctx,
	struct upnp **ret, struct err *err);
/* @done is not called; it may have been done all the same. NULL is fine. Returns NULL. */
struct upnp *upnp_cancel(struct upnp *upnp);
/* The same, waiting for it, for @timeout_us at most. */
void upnp_run(const struct upnp_job *job, uint64_t timeout_us, struct upnp_end *ret);

/* --- in the process --- */

/* Reads the job from standard input, writes the end to standard output. Returns the exit status. */
int upnp_main(void);
/* Gives up what is not needed for it. 0 or -errno. */
int upnp_confine(void);
/* Does it, by the library. */
void upnp_do(const struct upnp_job *job, struct upnp_end *ret);
/* Whether @url is one of @gateway itself: http, its address in figures, perhaps a port, a path. */
bool upnp_url_is_at(const char *url, const struct ip_addr *gateway);
