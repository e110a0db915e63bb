/*
 * relay-hosts: where no other board finds a relay, whatever its record says or DNS answers. A relay
 * is there for boards that have no way into the mesh yet, and may not have them send to themselves,
 * to pods or to services. An address of a LAN is fine: one house may have a relay of its own. Pure.
 */
#pragma once

#include "base/err.h"
#include "base/ip.h"
#include "mesh/netmap.h"
#include "wire/node-relay.h"
#include "wire/outside.h"
#include "wire/settings.h"

/*
 * Why a relay is not to be found at @addr: a clause ("no single machine has it"); NULL: it may be.
 * For each answer of DNS, too.
 */
const char *relay_host_refused(const struct settings *settings, const struct ip_addr *addr);

/*
 * Sets the hosts of @ret to those of a board with @addrs (in any order) that names none itself: the
 * addresses that everybody reaches, if there are any, else those of its house; IPv4 first.
 */
void relay_hosts_own(const struct ip_addr *addrs, size_t n, struct node_relay *ret);

/*
 * Where relays of the mesh take TCP connections, for a board that knows nothing yet: up to @max in
 * @ret, and how many. The boards that came last first, one host of each before the second ones;
 * those on a coordinator's own board after all others, for they are where it is.
 */
size_t relay_hosts_choose(const struct netmap *netmap, struct outside *ret, size_t max);

/*
 * Whether a record that is made now may say @relay: 0, or -EINVAL and @err: the first host that is
 * such an address, a name that can only lead to one, or written in another way than the one there
 * is (wire/outside.h), why, and what would do instead. Records of before may be written anyhow.
 */
int relay_hosts_check(
	const struct settings *settings, const struct node_relay *relay, struct err *err);
