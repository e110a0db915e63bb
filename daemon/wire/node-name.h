/*
 * node-name: what a person may call a board. A chosen name becomes the board's host name in the mesh and
 * its node's name in Kubernetes, so it is one DNS label (RFC 1123, section 2.1) that means nothing else
 * to anybody. Names know no case; the canonical one is lower. What a record may hold (node.h) is wider:
 * a board that has a name keeps it when a later version reserves it.
 */
#pragma once

#include <stdbool.h>

#include "wire/node.h"

/*
 * The canonical form of @text into @ret, or -EINVAL with @err: a clause without a full stop that names
 * @text, says why it cannot be, and what would do, if something near it would.
 */
int node_name_choose(const char *text, char ret[static NODE_NAME_MAX], struct err *err);

/*
 * The acceptable name nearest to @text, which may be anything: "My_Laptop" gives "my-laptop", "Küche"
 * "kueche", "pi3.local" "pi3". False if there is none that is near.
 */
bool node_name_suggest(const char *text, char ret[static NODE_NAME_MAX]);
