/*
 * derp: the relay's DERP service (PROTOCOL.md section 13), a subject: TLS 1.3 on TCP, members of
 * the mesh only, each known by its WireGuard key. What one member sends to another's key goes on to
 * that one's connection, or to where he is else (relay/bridge.h). It never waits for anybody: who
 * takes nothing loses what was for him (relay/derp-queue.h), and whoever comes in with a key takes
 * the place of who had it.
 *
 * Bounds: strangers (who have not shown a member's key) in all and of one source, how fast they
 * come (sys/httpd/door.h), members, bytes that wait in all; times as in relay/derp-client.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ip.h"
#include "relay/core.h"
#include "relay/derp-client.h"
#include "sys/httpd/door.h"
#include "sys/tls/tls.h"

struct derp;

struct derp_config {
	const uint8_t *tls_seed; /* of the Ed25519 key whose pin is in the node's record */
	const char *name;        /* for the certificate */
	unsigned clients_max;    /* members at once; strangers are a quarter of it, at most 512 */
	unsigned per_source_max; /* of one address or /64, strangers or not; 0: no limit */
	struct door_rates rates;
	size_t pool_max; /* bytes that wait for members, in all */
};

struct derp_counters {
	/* Now. */
	unsigned clients, strangers, preferred;
	size_t waiting_bytes;
	/* Since the start. */
	uint64_t accepted, turned_away; /* connections; and those the door did not let in */
	uint64_t logins, ended[DERP_ENDS];
	uint64_t packets_in, bytes_in;  /* from members, without heads */
	uint64_t packets_out, delay_us; /* to members; how long they waited, all together */
	uint64_t delay_max_us;          /* of one */
	uint64_t not_here;              /* packets for a key that is not here */
	uint64_t unsaid;                /* small frames for which there was no room */
	uint64_t drops[DERP_DROPS];     /* packets, by reason */
};

/* "closed", "slow_login" ...; "full", "stale" ...: labels of Prometheus. */
const char *derp_end_name(enum derp_end end);
const char *derp_drop_name(enum derp_drop why);

/* @core is borrowed, @config not kept. 0, or -errno and @err. */
int derp_new(struct relay_core *core, const struct derp_config *config, struct derp **ret,
	struct err *err);
struct derp *derp_free(struct derp *derp);

/*
 * A connection from @peer that was accepted, of which @first was already read (at most
 * TLS_FIRST_MAX bytes, copied). @fd does not wait, and is taken in any case: at the door, too.
 */
void derp_take(struct derp *derp, int fd, const struct endpoint *peer, const void *first,
	size_t first_len);

/* Members may be elsewhere, too, or only there. */
struct derp_hooks {
	/*
	 * Node @from sends this to node @to, who is @connected, or not. Borrowed. True: it is on
	 * its way elsewhere, or dropped and counted. False: it is not for there.
	 */
	bool (*deliver)(void *ctx, uint32_t from, uint32_t to, bool connected, const uint8_t *data,
		size_t len, uint64_t now_us);
	/* That is all for now. */
	void (*delivered)(void *ctx);
	/* @node has logged in. */
	void (*came)(void *ctx, uint32_t node);
	/* @node is not connected any more. Is he elsewhere? */
	bool (*has)(void *ctx, uint32_t node, uint64_t now_us);
	/* Then @to, who is not connected, is to be told of it. */
	void (*say_gone)(void *ctx, uint32_t to, uint32_t node, uint64_t now_us);
};

/* Both are borrowed. Until then nobody is elsewhere. */
void derp_set_hooks(struct derp *derp, const struct derp_hooks *hooks, void *ctx);

/*
 * Node @from sends this from elsewhere to node @to, whose queue it goes to, copied. False: @to is
 * not connected. True: it leaves with derp_flush(), or is dropped and counted.
 */
bool derp_put(struct derp *derp, uint32_t from, uint32_t to, const uint8_t *data, size_t len,
	uint64_t now_us);
void derp_flush(struct derp *derp);

/* core->members are others: who is none any more goes. */
void derp_follow(struct derp *derp);

/*
 * Before an end that will not be for long: nobody is let in any more, and all are told when to come
 * back. Sent as far as the sockets take it at once; for the rest the loop may go on for a moment.
 */
void derp_say_restart(struct derp *derp);

/* Whether the member with this key is connected: from where, and since when (clock_now_us()). */
bool derp_has(const struct derp *derp, const uint8_t key[static DERP_KEY_LEN],
	struct ip_addr *ret_from, uint64_t *ret_since_us);
void derp_counters(const struct derp *derp, struct derp_counters *ret);
