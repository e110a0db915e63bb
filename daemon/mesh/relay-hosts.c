/* relay-hosts: see relay-hosts.h. */
#include "mesh/relay-hosts.h"

#include <errno.h>
#include <stdio.h>

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
