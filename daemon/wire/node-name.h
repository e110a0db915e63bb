/*
 * node-name: what a person may call a board, and which board a person means. A chosen name becomes
 * the board's host name in the mesh and its node's name in Kubernetes, so it is one DNS label (RFC
 * 1123, section 2.1) that means nothing else to anybody. Names know no case; the canonical one is
 * lower. What a record may hold (node.h) is wider: a board that has a name keeps it when a later
 * version reserves it.
 */
#pragma once

#include <stdbool.h>

#include "wire/node.h"

/*
 * The canonical form of @text into @ret, or -EINVAL with @err: a clause without a full stop that
 * names @text, says why it cannot be, and what would do, if something near it would.
 */
int node_name_choose(const char *text, char ret[static NODE_NAME_MAX], struct err *err);

/*
 * The acceptable name nearest to @text, which may be anything: "My_Laptop" gives "my-laptop",
 * "Küche" "kueche", "pi3.local" "pi3". False if there is none that is near.
 */
bool node_name_suggest(const char *text, char ret[static NODE_NAME_MAX]);

/* Whom a person means, told by a name in any case, a full name, a number or an address. */
struct node_meant {
	char name[NODE_NAME_MAX]; /* in lower case, without the mesh's domain; "": it is none */
	uint32_t id;              /* 0: it is none */
	struct ip_addr addr;      /* family 0: it is none */
};

/*
 * Pure. @text may be anything: pi3, PI3.home.internal (with or without a dot at its end), 3,
 * 10.77.0.3. The domain is that of @mesh; NULL: not known.
 */
void node_meant_parse(const char *text, const char *mesh, struct node_meant *ret);

/*
 * How well @node fits: 2 by its name or by an address that is its own or in its pods; 1 by its
 * number, which a board of an older mesh may have for a name; 0 not. Only id, name, mesh4, mesh6,
 * pods4 and pods6 are looked at.
 */
int node_meant_fits(const struct node_meant *meant, const struct node *node);
