/* relay-hosts: see relay-hosts.h. */
#include "mesh/relay-hosts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ::ffff:10.77.0.1 is sent to where 10.77.0.1 is. */
static struct ip_addr unmapped(const struct ip_addr *addr)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct ip_addr v4 = { .family = AF_INET };

	if (addr->family != AF_INET6 || memcmp(addr->bytes, mapped, sizeof(mapped)) != 0)
		return *addr;
	memcpy(v4.bytes, addr->bytes + sizeof(mapped), 4);
	return v4;
}

/* Of this machine, or of none: 0.0.0.0/8 and the broadcast address are neither. */
static bool is_nobodys(const struct ip_addr *addr)
{
	static const uint8_t everybody[4] = { 255, 255, 255, 255 };

	return ip_addr_is_unspecified(addr) || ip_addr_is_multicast(addr) ||
	       (addr->family == AF_INET &&
		       (!addr->bytes[0] || !memcmp(addr->bytes, everybody, sizeof(everybody))));
}

const char *relay_host_refused(const struct settings *settings, const struct ip_addr *addr)
{
	struct ip_prefix inside[SETTINGS_RANGES];
	size_t n = settings_ranges(settings, inside);
	struct ip_addr a = unmapped(addr);

	if (is_nobodys(&a))
		return "is no address of one machine";
	if (ip_addr_is_loopback(&a))
		return "is a loopback address, which every board has for itself";
	if (ip_addr_is_link_local(&a))
		return "is a link-local address, which ends at the next router";
	for (size_t i = 0; i < n; i++)
		if (ip_prefix_contains(&inside[i], &a))
			return "is an address of the mesh itself, its pods or services, "
			       "which is reached only once there is a way";
	return NULL;
}

/* @name is @domain or ends with it, at a dot. */
static bool is_within(const char *name, const char *domain)
{
	size_t len = strlen(name), end = strlen(domain);

	return len >= end && !strcasecmp(name + len - end, domain) &&
	       (len == end || name[len - end - 1] == '.');
}

static const char *name_refused(const struct settings *settings, const char *name)
{
	char domain[FIELD_NAME_MAX + sizeof(".internal")];

	(void) snprintf(domain, sizeof(domain), "%s.internal", settings->mesh);
	if (is_within(name, "localhost"))
		return "is the name that every machine has for itself";
	if (is_within(name, domain))
		return "is a name of the mesh itself, which is reached only once there is a way";
	return NULL;
}

int relay_hosts_check(
	const struct settings *settings, const struct node_relay *relay, struct err *err)
{
	for (size_t i = 0; i < relay->n_hosts; i++) {
		const char *host = relay->hosts[i];
		struct ip_addr addr;
		const char *why = ip_addr_parse(host, &addr) == 0
					  ? relay_host_refused(settings, &addr)
					  : name_refused(settings, host);

		if (why)
			return err_set(err, -EINVAL,
				"%s %s; name an address or a DNS name of the board at which others "
				"reach it without the mesh",
				host, why);
	}
	return 0;
}
