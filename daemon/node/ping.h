/*
 * ping: ICMP echo, through the mesh's interface for `hearth ping`, and past it for `hearth why`.
 * Needs CAP_NET_RAW.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/err.h"
#include "base/ip.h"

struct ping;

/*
 * The end of one echo: its round trip in microseconds, or -ETIMEDOUT, -EHOSTUNREACH, -ECANCELED ...
 */
typedef void (*ping_done_fn)(void *ctx, int64_t rtt_us_or_errno);

/* @ifname is copied; NULL: as routes lead. The sockets are opened when first used. */
int ping_new(sd_event *event, const char *ifname, struct ping **ret, struct err *err);
/* What waits ends with -ECANCELED, told from within; to send then fails with the same. */
struct ping *ping_free(struct ping *ping);

enum { PING_SIZE_DEFAULT = 56, PING_SIZE_MIN = 16, PING_SIZE_MAX = 65000, PING_WAITING_MAX = 1024 };

/*
 * Sends one echo with @size bytes of data to @to. @done (may be NULL: nobody waits) is called once:
 * from the loop, after @timeout_us at the latest, or from ping_free(). -EBUSY if too many wait; or
 * the socket's error.
 */
int ping_send(struct ping *ping, const struct ip_addr *to, size_t size, uint64_t timeout_us,
	ping_done_fn done, void *ctx, struct err *err);

enum { PING_NONCE = 8 };

/* An echo reply. Identifier and number are as they were sent, no byte order is meant. */
struct ping_reply {
	uint16_t id, seq;
	uint8_t nonce[PING_NONCE];
};

/* What a raw ICMP socket of @family received. False: it is no echo reply that carries a nonce. */
bool ping_parse_reply(int family, const uint8_t *data, size_t len, struct ping_reply *ret);
