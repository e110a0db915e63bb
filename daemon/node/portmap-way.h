/*
 * portmap-way: at which gateway a board's port is to be mapped, and to which of its addresses.
 */
#pragma once

#include <stdbool.h>

#include "board/links.h"
#include "sys/net/nl.h"
#include "sys/portmap/pmp.h"

/*
 * That of the default route of @family, by an uplink of @links at which the board has an address;
 * of IPv6 one of the internet's. False: there is none.
 */
bool portmap_find_way(struct nl *nl, const struct links *links, int family, struct pmp_way *ret);
