/* coord: see coord.h. */
#include "coordinator/coord.h"

#include <errno.h>

#include "base/clock.h"
#include "board/keys.h"
#include "mesh/relay-hosts.h"

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

int coord_check_relay(const struct coord *coord, const struct node_relay *relay, struct err *err)
{
	if (relay->n_hosts && keys_is_low_order(relay->key))
		return err_set(err, -EINVAL, "relay: field \"key\" is no usable key");
	return relay_hosts_check(coord_settings(coord), relay, err);
}
