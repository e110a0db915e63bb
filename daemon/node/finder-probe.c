/* finder-probe: see finder-probe.h. */
#include "node/finder-probe.h"

#include "base/cleanup.h"

void finder_probes_note(struct finder_probes *probes, const struct finder_probe *probe)
{
	probes->list[probes->next] = *probe;
	probes->next = (probes->next + 1) % FINDER_PROBES_MAX;
}

const struct finder_probe *finder_probes_take(
	struct finder_probes *probes, uint64_t tx, const struct endpoint *from)
{
	for (size_t i = 0; tx && i < FINDER_PROBES_MAX; i++) {
		struct finder_probe *probe = &probes->list[i];

		if (probe->tx != tx || !endpoint_equal(&probe->to, from))
			continue;
		probe->tx = 0;
		return probe;
	}
	return NULL;
}
