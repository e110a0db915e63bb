/*
 * relay-hosts: where no other board finds a relay, whatever its record says or DNS answers. A relay
 * is there for boards that have no way into the mesh yet, and may not have them send to themselves,
 * to pods or to services. An address of a LAN is fine: one house may have a relay of its own. Pure.
 */
#pragma once

#include "base/err.h"
#include "base/ip.h"
#include "wire/node-relay.h"
#include "wire/settings.h"

/*
 * Why a relay is not to be found at @addr: a clause ("no single machine has it"); NULL: it may be.
 * For each answer of DNS, too.
 */
const char *relay_host_refused(const struct settings *settings, const struct ip_addr *addr);

/*
 * Whether a record that is made now may say @relay: 0, or -EINVAL and @err: the first host that is
 * such an address, a name that can only lead to one, or written in another way than the one there
 * is (wire/outside.h), why, and what would do instead. Records of before may be written anyhow.
 */
int relay_hosts_check(
	const struct settings *settings, const struct node_relay *relay, struct err *err);
