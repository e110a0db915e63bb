/*
 * fake-ferry: the ferry for tests, with the tunnel beside it and the resolver that finds relays.
 * What was asked of them is kept, by the number of the relay or peer; nothing happens by itself.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "tunnel/ferry.h"
#include "sys/resolve/resolve.h"
#include "tunnel/tunnel.h"
#include "wire/udprelay.h"

enum { FAKE_FERRY_FD = 78, FAKE_IDS = 400, FAKE_LOOKUPS_MAX = 16 };

struct fake_ferry {
	unsigned open; /* how many there are */
	size_t passengers;
	uint16_t port; /* of the tunnel, as it was told */
	int fails, peers_fail, holes_fail;
	bool unreachable4; /* no carrier can be opened by IPv4 */
};
extern struct fake_ferry fake_ferry;

struct fake_carrier {
	bool open;
	struct endpoint to;
	uint32_t session;
	unsigned opened, n_binds;
	uint8_t bind[UDPRELAY_BIND_LEN];
};
extern struct fake_carrier fake_carriers[FAKE_IDS];

struct fake_stream {
	bool open;
	unsigned opened, n_pings;
	struct ferry_stream stream;
	uint64_t heard_us;
};
extern struct fake_stream fake_streams[FAKE_IDS];

struct fake_passenger {
	bool there;
	uint32_t by;
	unsigned changes;
	uint8_t key[FERRY_KEY_LEN];
};
extern struct fake_passenger fake_passengers[FAKE_IDS];

/* What leads to a peer itself, by his number; the descriptor is open while it does. */
struct fake_hole {
	bool open;
	int fd;
	unsigned opened;
};
extern struct fake_hole fake_holes[FAKE_IDS];

struct fake_tunnel {
	uint16_t port;
	bool allowed[FAKE_IDS];
};
extern struct fake_tunnel fake_tunnel;

/* Names that were looked up, in order. */
struct resolve {
	char name[64];
	resolve_fn done;
	void *ctx;
	bool asked;
};
extern struct resolve fake_lookups[FAKE_LOOKUPS_MAX];
extern unsigned fake_lookups_n;

void fake_ferry_reset(void);
/* There is none any more, nobody is carried, nothing is asked. */
void fake_ferry_check(void);

/* Where peer @node is on the loopback. */
struct endpoint fake_ferry_loopback(uint32_t node);
/* One more event, read when FAKE_FERRY_FD is ready; and the data of the last, to be written. */
struct ferry_event *fake_ferry_push(enum ferry_event_kind kind, uint32_t relay);
uint8_t *fake_ferry_data(void);

/* The answer to the last question; "": there is none. */
void fake_resolved(const char *one, const char *other);
