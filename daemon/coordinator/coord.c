/* coord: see coord.h. */
#include "coordinator/coord.h"

#include "base/clock.h"

uint64_t coord_now_s(void)
{
	return clock_wall_us() / USEC_PER_SEC;
}

bool coord_is_ending(const struct coord *coord)
{
	return !coord->store;
}

const struct netmap *coord_netmap(const struct coord *coord)
{
	return ledger_netmap(coord->ledger);
}

const struct settings *coord_settings(const struct coord *coord)
{
	return netmap_settings(coord_netmap(coord));
}
