/*
 * elsewhere: TLS connections that ask this port for somebody else, such as a web server that had it
 * before: passed on to one address, from their first byte and unread. A subject. Strangers' bytes
 * go to a place that the board's own root has named (relay.json, "pass_to"), and nowhere else.
 *
 * Bounds: connections in all and of one source (one more ends the one that has been idle longest,
 * of the source that has most), how fast they come, 10 s until they are through, and the times of
 * duct.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ip.h"
#include "relay/core.h"
#include "sys/httpd/door.h"
#include "wire/fields.h"

#define ELSEWHERE_CONNECT_US UINT64_C(10000000)

struct elsewhere;

struct elsewhere_config {
	struct endpoint to;
	unsigned max, per_source;
	struct door_rates rates;
};

struct elsewhere_counters {
	unsigned carried; /* now */
	/* Since the start. */
	uint64_t came;
	uint64_t turned_away, crowded, unreachable,
		circles;                  /* those that were not carried, or not on */
	uint64_t bytes_there, bytes_back; /* of those that have ended */
};

/*
 * Whether a connection that asks for @name (wire/hello.h) wants somebody else. The relay's own are:
 * none, for clients that know it by an address say none, and so does what is no TLS; the names of
 * section 14 and whatever else ends so; and the names in @hosts, where its clients look for it.
 * Pure.
 */
bool elsewhere_asks(const char *name, const char (*hosts)[FIELD_HOST_MAX], size_t n);

/* @core is borrowed, @config not kept. 0, or -errno and @err. */
int elsewhere_new(struct relay_core *core, const struct elsewhere_config *config,
	struct elsewhere **ret, struct err *err);
struct elsewhere *elsewhere_free(struct elsewhere *elsewhere);

/*
 * A connection from @peer, of which @first was already read (copied). @fd, which does not wait, is
 * taken.
 */
void elsewhere_take(struct elsewhere *elsewhere, int fd, const struct endpoint *peer,
	const void *first, size_t first_len);

void elsewhere_counters(const struct elsewhere *elsewhere, struct elsewhere_counters *ret);
