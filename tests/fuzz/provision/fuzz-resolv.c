/* Any resolv.conf gives at most three servers, and what we write of it says the same again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "provision/enroll.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct settings settings;
	CLEANUP_BUF struct buf out = { 0 };
	CLEANUP_BUF struct buf again = { 0 };
	CLEANUP(free_p) char *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = 0;
	(void) ip_prefix_parse("10.77.0.0/16", &settings.mesh4);
	(void) ip_prefix_parse("fd12:3456:789a::/64", &settings.mesh6);
	unsigned n = resolv_servers(text, &settings, &out);

	if (n > 3 || resolv_servers(buf_str(&out), &settings, &again) != n ||
		strcmp(buf_str(&out), buf_str(&again)) != 0)
		abort();
	return 0;
}
