/*
 * sources: whom this board asks for news: the URLs at which a coordinator of its mesh may be found,
 * and the keys that it is known by. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/encode.h"
#include "board/config.h"
#include "mesh/netmap.h"
#include "sys/http/http.h"
#include "wire/settings.h"

enum { SOURCES_MADE_MAX = 2 * SETTINGS_COORDINATORS_MAX, SOURCES_RELAYED_MAX = 16 };

/* Holds pointers into itself: not to be copied. */
struct sources {
	const char *urls[HTTP_URLS_MAX]; /* those of configuration and settings are borrowed */
	size_t n_urls;
	char made[SOURCES_MADE_MAX][FIELD_URL_MAX]; /* of mesh and loopback addresses */
	size_t n_made;
	char relayed[SOURCES_RELAYED_MAX][FIELD_URL_MAX]; /* by way of a relay; see sys/http */
	size_t n_relayed;
	char pins[FIELD_PINS_MAX][KEY_BASE64_LEN];
	const char *pin_list[FIELD_PINS_MAX];
	size_t n_pins;
};

/*
 * In the order in which they are tried when none has answered yet: this machine; the newest of the
 * signed settings; through the tunnel, which works wherever the coordinator has moved to as long as
 * any path to its board does; by way of the mesh's relays, at which a coordinator behind a NAT
 * keeps connections open; the older ones; what enrolment wrote, with which we came here.
 */
void sources_find(const struct config *config, const struct netmap *map, struct sources *ret);

/* Whether @url is one that leads through the tunnel, or stays on this machine. */
bool sources_made(const struct sources *sources, const char *url);

/* The board whose relay @url leads through; NULL: it leads through none of the mesh. */
const struct node *sources_relay(
	const struct config *config, const struct netmap *map, const char *url);

/* All of it in one line, to see whether it is what it was. NULL: out of memory. */
char *sources_text(const struct sources *sources);
