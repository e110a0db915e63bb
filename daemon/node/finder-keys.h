/*
 * finder-keys: by which key a peer's disco is sealed, and whose it is that comes in. A part of
 * finder.h.
 */
#pragma once

#include "mesh/netmap.h"
#include "node/peer.h"

/* Makes the keys of @peer, if its identity in @map is another one than before. */
void finder_keys_renew(struct peer *peer, const struct pair_self *self, const struct netmap *map);

/* Whose disco has @hint; NULL: nobody's. */
struct peer *finder_keys_hint(struct peers *peers, const uint8_t hint[static DISCO_HINT_LEN]);
/* Whom the tunnel knows by @key; NULL: nobody. */
struct peer *finder_keys_tunnel(struct peers *peers, const uint8_t key[static TUNNEL_KEY_LEN]);
