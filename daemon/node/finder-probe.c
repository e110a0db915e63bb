/* finder-probe: see finder-probe.h. */
#include "node/finder-probe.h"

#include <sodium.h>

int finder_probes_send(struct finder_probes *probes, struct tunnel *tunnel, const struct peer *peer,
	const struct disco *ping, const struct endpoint *to, size_t len, uint64_t now_us)
{
	uint8_t nonce[DISCO_NONCE_LEN], data[DISCO_MAX_LEN];
	int r;

	randombytes_buf(nonce, sizeof(nonce));
	disco_seal(peer->pair.key, peer->pair.hint_out, nonce, ping, len, data);
	r = tunnel_send_whole(tunnel, to, data, len);
	if (r < 0)
		return r;
	probes->list[probes->next] = (struct finder_probe){
		.tx = ping->tx, .at_us = now_us, .id = peer->id, .to = *to, .len = len
	};
	probes->next = (probes->next + 1) % FINDER_PROBES_MAX;
	return 0;
}

const struct finder_probe *finder_probes_take(
	struct finder_probes *probes, uint64_t tx, uint32_t id, const struct endpoint *from)
{
	for (size_t i = 0; tx && i < FINDER_PROBES_MAX; i++) {
		struct finder_probe *probe = &probes->list[i];

		if (probe->tx != tx || probe->id != id || !endpoint_equal(&probe->to, from))
			continue;
		probe->tx = 0;
		return probe;
	}
	return NULL;
}
