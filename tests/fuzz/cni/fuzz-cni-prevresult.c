/* A previous result: read for CHECK, passed on by ADD, and what ADD made of it read again. */
#include <stdlib.h>
#include <string.h>

#include "cni/result.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = { 0 };
	CLEANUP_JSON json_t *prev = json_parse((const char *) data, size, &err);
	struct result result;
	struct attachment at;
	struct lease lease = { .n_addrs = 1 };

	if (!json_is_object(prev))
		return 0;
	if (result_read(prev, "hth0123456789", "eth0", &result, &err) < 0 && !*err.text)
		abort();
	(void) attach_name(&at, "net", "c1", "eth0", &err);
	(void) ip_addr_parse("10.244.1.7", &lease.addrs[0]);
	for (int v = 0; v < CONF_VERSIONS; v++) {
		struct conf conf = { .version = (enum conf_version) v, .prev = prev };
		CLEANUP_JSON json_t *made = result_add(&conf, &at, "/n", 1420, &lease, &err);

		if (made && result_read(made, at.link, "eth0", &result, &err) == 0 &&
			!(result.has_pod && result.has_host && result.n_addrs))
			abort();
	}
	return 0;
}
