/*
 * seen: where peers answered from last, if that is none of the addresses they announce: the outside
 * of a NAT. A board that starts again can open a connection to them at once, while they would not
 * notice for 15 seconds that their session is gone.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ip.h"
#include "board/write.h"
#include "mesh/netmap.h"

struct seen;

/* What the file @path says; one that is absent or damaged says nothing. NULL when out of memory. */
struct seen *seen_open(const char *path);
/* The same of what was read from it already: @json is taken and may be NULL. */
struct seen *seen_new(const char *path, json_t *json);
struct seen *seen_free(struct seen *seen);

/* True if node @id is known to have answered from *@ret. */
bool seen_get(const struct seen *seen, uint32_t id, struct endpoint *ret);

/* Node @id answered from @endpoint; NULL: from an address it announces. */
void seen_note(struct seen *seen, uint32_t id, const struct endpoint *endpoint);

/*
 * What changed, to be written: the more seldom the longer that goes on, at once if @now_us is
 * UINT64_MAX; nodes that are not in @map are forgotten. NULL: nothing is to be written. One that
 * failed (seen_written()) is tried again: nothing depends on it.
 */
struct write *seen_write(struct seen *seen, const struct netmap *map, uint64_t now_us);
void seen_written(struct seen *seen, const struct write *write);
