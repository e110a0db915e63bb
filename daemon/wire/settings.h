/*
 * settings: what all nodes of a mesh have in common (PROTOCOL.md section 4).
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/ip.h"
#include "wire/fields.h"
#include "wire/foreign.h"

enum { SETTINGS_COORDINATORS_MAX = 8, SETTINGS_STUN_MAX = 8, SETTINGS_RELAYS_MAX = 8 };

/*
 * A node on whose machine a coordinator runs: it is also to be had at that node's mesh addresses.
 */
struct settings_coordinator {
	uint32_t node;
	uint16_t port;
};

/* Zero-initialise. */
struct settings {
	char mesh[FIELD_NAME_MAX];
	struct ip_prefix mesh4;     /* /8 to /24 */
	struct ip_prefix mesh6;     /* the first /64 of ula */
	struct ip_prefix ula;       /* a /48 in fd00::/8 */
	struct ip_prefix pods4;     /* /8 to /23 */
	struct ip_prefix pods6;     /* /48 to /63 */
	struct ip_prefix services4; /* /12 to /28 */
	struct ip_prefix services6; /* /108 to /124 */
	char urls[FIELD_URLS_MAX][FIELD_URL_MAX];
	size_t n_urls;
	size_t n_by_hand; /* of these the first, which a person set; others are machines' own */
	struct settings_coordinator coordinators[SETTINGS_COORDINATORS_MAX];
	size_t n_coordinators; /* 0: not known (yet) */
	uint8_t pins[FIELD_PINS_MAX][FIELD_KEY_LEN];
	size_t n_pins;
	bool has_next_pin;
	uint8_t next_pin[FIELD_KEY_LEN];
	struct outside stun[SETTINGS_STUN_MAX];
	size_t n_stun;
	struct foreign relays[SETTINGS_RELAYS_MAX]; /* no boards: those have it in their record */
	size_t n_relays;
	struct ip_addr api4, api6, dns4, dns6; /* within the reserved blocks */
	json_t *origin;                        /* owned or NULL: as in struct node */
};

void settings_done(struct settings *settings);
#define CLEANUP_SETTINGS CLEANUP(settings_done)

/*
 * 0, -EINVAL, -ENOMEM. The lengths above and the place of mesh6 and of the virtual addresses are
 * checked; overlaps among the ranges are mesh/ranges'. URLs that are by hand come first in @ret,
 * wherever a version that does not know of them had put others.
 */
int settings_from_json(const json_t *json, struct settings *ret, struct err *err);
/* A new document, NULL when out of memory. */
json_t *settings_to_json(const struct settings *settings);
void settings_copy(const struct settings *settings, struct settings *ret);

/* The same checks of the ranges alone, for ranges that a person typed. */
int settings_check_ranges(const struct settings *settings, struct err *err);

/*
 * The lists "stun" and "relays" of @obj alone, with the ranges that @settings has; absent: none.
 * The refusals name what is in the list, and are fit for whoever wrote it.
 */
int settings_read_stun(const json_t *obj, struct settings *settings, struct err *err);
int settings_read_relays(const json_t *obj, struct settings *settings, struct err *err);

/*
 * -EINVAL if @host, a name or an address, is found by way of the mesh only: an address in one of
 * its ranges, or a name of its own. Nothing that brings boards to each other can be there.
 */
int settings_check_outside(const struct settings *settings, const char *host, struct err *err);

/* Mesh, pods and services, both families: addresses of the inside, never of a machine's network. */
enum { SETTINGS_RANGES = 6 };
size_t settings_ranges(
	const struct settings *settings, struct ip_prefix ret[static SETTINGS_RANGES]);

/* True if all ranges and virtual addresses are the same: they never change in a mesh's life. */
bool settings_same_ranges(const struct settings *a, const struct settings *b);

/*
 * The block at the top of mesh4 (a /24, or a sixteenth) and of mesh6 (::ffff:0/112) that no node
 * gets.
 */
struct ip_prefix settings_reserved4(const struct settings *settings);
struct ip_prefix settings_reserved6(const struct settings *settings);

/* Sets api4, dns4, api6 and dns6 from mesh4 and mesh6. */
void settings_set_virtual(struct settings *settings);
