/*
 * carry: connections that this coordinator keeps open to the mesh's relays, so that boards which
 * cannot reach it reach it through them (PROTOCOL.md section 14). It knows nothing of the
 * coordinator: relays are handed in, and clients out.
 *
 * A relay is believed what address a client has, and no more: it is an enrolled board, which an
 * administrator let be a relay. It may state none of the mesh's own. One of which only the place is
 * known (any_key) is not believed even that: its clients come from where it is itself.
 *
 * Bounds: relays, connections that wait at each (three, more while clients wait there), those that
 * carry a client in all; one try at a time at a relay that does not answer, with
 * pauses of half a second to 15 s.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/err.h"
#include "base/ip.h"
#include "wire/node-relay.h"
#include "wire/settings.h"

enum { CARRY_RELAYS_MAX = 32, CARRY_PARKED = 3, CARRY_PARKED_MAX = 32 };

struct carry;

struct carry_relay {
	uint32_t node;
	const char *name;
	const struct node_relay *relay;
	bool here;      /* on this very machine */
	bool any_key;   /* not only the key with relay->pin: nobody knows it yet */
	uint32_t watch; /* not 0: heard() tells what becomes of it, not the log */
};

struct carry_config {
	const uint8_t *seed; /* of the coordinator's TLS key: the relay knows its pin */
	unsigned carried_max;
	/* A client at @fd, a stream socket that does not wait; taken. Below 0: he is not let in. */
	int (*take)(void *ctx, int fd, const struct endpoint *client);
	/*
	 * The relay of @watch keeps a connection of ours, and holds the key with @pin; or one could
	 * not be made or broke, then @pin is NULL and @why says why (-ENETUNREACH: this machine has
	 * no way there). No function of this header may be called.
	 */
	void (*heard)(void *ctx, uint32_t watch, const uint8_t *pin, const struct err *why);
	void *ctx;
};

struct carry_counters {
	unsigned parked, carried; /* now */
	uint64_t taken, refused;
};

/* @config is not kept. 0, or -errno and @err. */
int carry_new(
	sd_event *event, const struct carry_config *config, struct carry **ret, struct err *err);
struct carry *carry_free(struct carry *carry);

/*
 * The relays are these from now on, those beyond CARRY_RELAYS_MAX left out; copied. Nobody comes
 * from an address of the mesh that has @settings (not kept), and no relay is looked for there.
 */
void carry_follow(struct carry *carry, const struct carry_relay *relays, size_t n,
	const struct settings *settings);

void carry_counters(const struct carry *carry, struct carry_counters *ret);
