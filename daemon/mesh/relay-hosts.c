/* relay-hosts: see relay-hosts.h. */
#include "mesh/relay-hosts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "wire/outside.h"

const char *relay_host_refused(const struct settings *settings, const struct ip_addr *addr)
{
	const char *why = outside_addr_objection(addr);
	struct ip_addr a = ip_addr_unmapped(addr);
	struct ip_prefix inside[SETTINGS_RANGES];
	size_t n = settings_ranges(settings, inside);

	for (size_t i = 0; !why && i < n; i++)
		if (ip_prefix_contains(&inside[i], &a))
			why = "it lies in the mesh's own ranges, which boards reach by way of the "
			      "mesh only";
	return why;
}

int relay_hosts_check(
	const struct settings *settings, const struct node_relay *relay, struct err *err)
{
	for (size_t i = 0; i < relay->n_hosts; i++) {
		const char *host = relay->hosts[i], *why = outside_host_objection(host);

		if (why)
			return err_set(err, -EINVAL,
				"%s is not for all boards: %s; name an address or a DNS name at "
				"which others reach this one",
				host, why);
		if (settings_check_outside(settings, host, err) < 0)
			return -EINVAL;
		if (!outside_host_is_valid(host)) {
			char written[FIELD_HOST_MAX];

			(void) snprintf(written, sizeof(written), "%s", host);
			outside_host_write(written);
			return err_set(
				err, -EINVAL, "records name %s otherwise: write %s", host, written);
		}
	}
	return 0;
}

/* An order that does not depend on that of links: another one would be another record. */
static bool is_before(const struct ip_addr *a, const struct ip_addr *b)
{
	if (a->family != b->family)
		return a->family == AF_INET;
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) < 0;
}

/* The first one behind @after, NULL: the first of all. */
static const struct ip_addr *next_own(
	const struct ip_addr *addrs, size_t n, bool private, const struct ip_addr *after)
{
	const struct ip_addr *found = NULL;

	for (size_t i = 0; i < n; i++) {
		if (ip_addr_is_private(&addrs[i]) != private || ip_addr_is_link_local(&addrs[i]) ||
			(after && !is_before(after, &addrs[i])))
			continue;
		if (!found || is_before(&addrs[i], found))
			found = &addrs[i];
	}
	return found;
}

static void add_own(const struct ip_addr *addrs, size_t n, bool private, struct node_relay *ret)
{
	const struct ip_addr *a = NULL;

	while (ret->n_hosts < NODE_RELAY_HOSTS_MAX && (a = next_own(addrs, n, private, a)))
		(void) ip_addr_format(a, ret->hosts[ret->n_hosts++]);
}

void relay_hosts_own(const struct ip_addr *addrs, size_t n, struct node_relay *ret)
{
	ret->n_hosts = 0;
	add_own(addrs, n, false, ret);
	if (!ret->n_hosts)
		add_own(addrs, n, true, ret);
}

static bool has_coordinator(const struct settings *settings, const struct node *node)
{
	for (size_t i = 0; i < settings->n_coordinators; i++)
		if (settings->coordinators[i].node == node->id)
			return true;
	return false;
}

/* Host @k of each. */
static size_t choose(
	const struct netmap *map, bool beside, size_t k, struct outside *ret, size_t max)
{
	size_t n = 0;

	for (uint32_t id = netmap_highest_id(map); id && n < max; id--) {
		const struct node *node = netmap_by_id(map, id);

		if (!node || k >= node->relay.n_hosts ||
			has_coordinator(netmap_settings(map), node) != beside)
			continue;
		(void) snprintf(ret[n].host, sizeof(ret[n].host), "%s", node->relay.hosts[k]);
		ret[n++].port = node->relay.tcp;
	}
	return n;
}

size_t relay_hosts_choose(const struct netmap *map, struct outside *ret, size_t max)
{
	size_t n = 0;

	if (!netmap_settings(map))
		return 0;
	for (size_t k = 0; k < NODE_RELAY_HOSTS_MAX; k++)
		n += choose(map, false, k, ret + n, max - n);
	for (size_t k = 0; k < NODE_RELAY_HOSTS_MAX; k++)
		n += choose(map, true, k, ret + n, max - n);
	return n;
}
