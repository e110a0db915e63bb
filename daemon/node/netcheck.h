/*
 * netcheck: what hearthd says of the network around this board: the JSON of `hearth netcheck`.
 * Pure.
 */
#pragma once

#include "base/json.h"
#include "node/mapped.h"
#include "node/relays.h"

/* All borrowed. */
struct netcheck {
	struct nat_report nat;
	const struct endpoint *own, *announced; /* the latter beside the former */
	size_t n_own, n_announced;
	const struct mapped_server *servers;
	size_t n_servers;
	const struct mapped_counters *counters;
	const struct relays_report *relays;
	size_t n_relays;
	const struct netmap *map; /* for names */
};

/* A new document, or NULL when out of memory. */
json_t *netcheck_json(const struct netcheck *check);
