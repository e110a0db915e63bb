/* Addresses that devices tell of themselves: what is taken for the gateway's leads there. */
#include <stdlib.h>
#include <string.h>

#include "sys/portmap/upnp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct ip_addr gateway = { AF_INET, { 192, 168, 1, 1 } };
	static const char begins[] = "http://192.168.1.1";
	char *url = malloc(size + 1);

	if (!url)
		return 0;
	memcpy(url, data, size);
	url[size] = 0;
	if (upnp_url_is_at(url, &gateway)) {
		const char *rest = url + sizeof(begins) - 1;

		if (strncmp(url, begins, sizeof(begins) - 1) != 0)
			abort();
		rest += *rest == ':' ? 1 + strspn(rest + 1, "0123456789") : 0;
		if (*rest != '/')
			abort();
	}
	free(url);
	return 0;
}
