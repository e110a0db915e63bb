/*
 * udp: the relay's UDP port (PROTOCOL.md section 12), which also answers STUN. It carries datagrams
 * between members that are bound here, and to and from those that are elsewhere (relay/bridge.h).
 * A subject: it knows no other.
 *
 * What a kernel hands over as one message (UDP_GRO: a train of datagrams of one size from one
 * sender) is sent on as one (UDP_SEGMENT), where it was received: twelve bytes of each datagram are
 * written, nothing is copied, allocated or kept. What does not fit a send buffer is lost and
 * counted, so nobody can make another wait.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ip.h"
#include "relay/core.h"
#include "relay/fate.h"

enum { UDP_PORT_DEFAULT = 3478 };

struct udp_options {
	uint16_t port; /* 0: one that is free */
	uint32_t mark; /* of what is sent, as the tunnel's own packets have one; 0: none */
	/* Addresses that are not served: mesh, pods and services. Copied. */
	const struct ip_prefix *denied;
	size_t n_denied;
};

/* Since the start. Datagrams where nothing else is said. */
struct udp_counters {
	uint64_t fates[FATES];
	uint64_t received, received_bytes;
	uint64_t carried_bytes;       /* of fates[FATE_CARRIED], with the 12 bytes of each */
	uint64_t fetched;             /* packets from elsewhere that were sent */
	uint64_t fetched_unfit;       /* not sent: empty, or longer than DATA may be */
	uint64_t fetched_lost;        /* not sent: no room in a send buffer, or refused */
	uint64_t said, said_bytes;    /* by the relay itself: cookies, hints, answers */
	uint64_t calls_in, calls_out; /* to the kernel, with messages: trains or datagrams */
	uint64_t messages_in, messages_out;
	uint64_t overruns; /* messages that came while a receive buffer was full; wraps early */
};

/* Members that are not bound here may be elsewhere. */
struct udp_hooks {
	/*
	 * Node @from sends this to node @to. Borrowed. False: @to is not there. True: it is on its
	 * way, or dropped and counted.
	 */
	bool (*deliver)(void *ctx, uint32_t from, uint32_t to, const uint8_t *data, size_t len,
		uint64_t now_us);
	/* Some was delivered, and that is all for now. */
	void (*delivered)(void *ctx);
};

struct udp;

/*
 * Opens the port in both families. core->members as they are; @core is borrowed. -EADDRINUSE and
 * others, with a text.
 */
int udp_new(struct relay_core *core, const struct udp_options *options, struct udp **ret,
	struct err *err);
struct udp *udp_free(struct udp *udp);

/*
 * core->members have changed: whoever is no member any more, or has another identity key, is
 * unbound now, even when this fails. -ENOMEM: newcomers have to wait for the next call.
 */
int udp_follow(struct udp *udp);
/* The addresses that are not served have changed. -E2BIG: too many, it stays as it is. */
int udp_deny(struct udp *udp, const struct ip_prefix *prefixes, size_t n);

/* Both are borrowed. Until then nobody is elsewhere. */
void udp_set_hooks(struct udp *udp, const struct udp_hooks *hooks, void *ctx);

/*
 * Node @from sends this from elsewhere, where @to is @connected, too, or not. Copied. False: it is
 * not for us: @to is not bound, or rather there. True: it leaves with udp_flush() at the latest, or
 * is dropped and counted.
 */
bool udp_put(struct udp *udp, uint32_t from, uint32_t to, bool connected, const uint8_t *data,
	size_t len, uint64_t now_us);
/*
 * Node @node has come elsewhere just now. If he is bound, too, it is as a rule because nothing gets
 * through there any more: what is for him goes there, until he sends something here.
 */
void udp_came(struct udp *udp, uint32_t node);
/* Tells node @to, if it is bound, that @node is nowhere here. */
void udp_say_absent(struct udp *udp, uint32_t to, uint32_t node, uint64_t now_us);
void udp_flush(struct udp *udp);

uint16_t udp_port(const struct udp *udp);
bool udp_has_small_buffers(const struct udp *udp); /* the kernel granted less than asked */
size_t udp_bound(const struct udp *udp);           /* members that are bound now */
/* Whether @node is bound, and to which address (@ret_from may be NULL). */
bool udp_has(const struct udp *udp, uint32_t node, uint64_t now_us, struct ip_addr *ret_from);
/* As they are now; borrowed. */
const struct udp_counters *udp_counters(struct udp *udp);
