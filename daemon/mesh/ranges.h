/*
 * ranges: whether the address ranges of a mesh can be used together, on this LAN, and beside an
 * installed Tailscale.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ip.h"
#include "wire/settings.h"

/* A prefix in use on this machine, never one of Hearth's own interfaces. */
struct ranges_local {
	struct ip_prefix prefix; /* default routes, link-local and loopback are skipped */
	const char *name;        /* the interface, or what uses it; borrowed */
};

enum ranges_flags {
	RANGES_TAILSCALE = 1 << 0, /* its interface or its firewall rules are on this machine */
	/*
	 * The machine's owner did not say otherwise: IPv4 ranges must be private (RFC 1918,
	 * 100.64.0.0/10), IPv6 ranges in the ULA. A mesh is made of others' numbers: with
	 * 8.8.8.0/24 among them whoever runs the coordinator would get what this machine sends
	 * there.
	 */
	RANGES_ONLY_PRIVATE = 1 << 1,
};

enum { RANGES_RANDOM_LEN = 5 };

/*
 * The defaults: 10.77.0.0/16, 10.244.0.0/16, 10.96.0.0/16 and a ULA of @random (RFC 4193 section
 * 3.2.1: 40 random bits) with what lies in it. Virtual addresses included.
 */
void ranges_set_defaults(struct settings *settings, const uint8_t random[static RANGES_RANDOM_LEN]);

/* Sets ula, mesh6, pods6 and services6 from a /48. -EINVAL if @ula is none in fd00::/8. */
int ranges_set_ula(struct settings *settings, const struct ip_prefix *ula);

/*
 * 0, -EINVAL for a range of an unfit length or place, -EPERM for one that is not private,
 * -EADDRINUSE for an overlap among the ranges, with a local prefix, or with what an installed
 * Tailscale drops. @err names both ranges and the flag of `hearth-coord init` that helps.
 */
int ranges_check(const struct settings *settings, const struct ranges_local *locals,
	size_t n_locals, unsigned flags, struct err *err);
