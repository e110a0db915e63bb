/*
 * udp: the relay's UDP port (PROTOCOL.md section 12), which also answers STUN. It carries datagrams
 * between members that are bound here. A subject: it knows no other.
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
	uint64_t said, said_bytes;    /* by the relay itself: cookies, hints, answers */
	uint64_t calls_in, calls_out; /* to the kernel, with messages: trains or datagrams */
	uint64_t messages_in, messages_out;
	uint64_t overruns; /* messages that came while a receive buffer was full; wraps early */
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

uint16_t udp_port(const struct udp *udp);
bool udp_has_small_buffers(const struct udp *udp); /* the kernel granted less than asked */
size_t udp_bound(const struct udp *udp);           /* members that are bound now */
/* As they are now; borrowed. */
const struct udp_counters *udp_counters(struct udp *udp);
