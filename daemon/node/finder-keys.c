/* finder-keys: see finder-keys.h. */
#include "node/finder-keys.h"

#include <string.h>

#include "base/log.h"

/* A board that was wiped and enrolled again has another identity. */
void finder_keys_renew(struct peer *peer, const struct pair_self *self, const struct netmap *map)
{
	const struct node *node = netmap_by_id(map, peer->id);
	struct peer_pair *pair = &peer->pair;

	if (!node || !memcmp(pair->identity, node->identity, sizeof(pair->identity)))
		return;
	memcpy(pair->identity, node->identity, sizeof(pair->identity));
	pair->run = 0;
	pair->usable = pair_key(self, node->identity, PAIR_LABEL_DISCO, pair->key) == 0;
	if (!pair->usable) {
		log_seldom(LOG_LEVEL_WARNING,
			"the identity key of board %s is none that pings can be sealed with: it is "
			"not looked for. Enrol it again",
			node->name);
		return;
	}
	disco_hint(pair->key, self->identity, pair->hint_out);
	disco_hint(pair->key, node->identity, pair->hint_in);
}

struct peer *finder_keys_hint(struct peers *peers, const uint8_t hint[static DISCO_HINT_LEN])
{
	size_t n;
	struct peer *list = peers_all(peers, &n);

	for (size_t i = 0; i < n; i++)
		if (list[i].pair.usable && !memcmp(list[i].pair.hint_in, hint, DISCO_HINT_LEN))
			return &list[i];
	return NULL;
}

struct peer *finder_keys_tunnel(struct peers *peers, const uint8_t key[static TUNNEL_KEY_LEN])
{
	size_t n;
	struct peer *list = peers_all(peers, &n);

	for (size_t i = 0; i < n; i++)
		if (!memcmp(list[i].told.key, key, TUNNEL_KEY_LEN))
			return &list[i];
	return NULL;
}
