/* Requests of wg(8): framing, then the whole set; its parts stay inside its lists. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "wire/uapi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_UAPI_SET struct uapi_set set = { 0 };
	long len = uapi_request_len((const char *) data, size, 0);

	if (len < 0 || (size_t) len > size)
		abort();
	if (len > 1 && uapi_request_len((const char *) data, size, (size_t) len - 1) != len)
		abort();
	if (uapi_request_operation((const char *) data, len ? (size_t) len : size) != UAPI_SET)
		return 0;
	if (uapi_set_parse((const char *) data, len ? (size_t) len : size, &set) < 0)
		return 0;
	if (len == 0)
		abort(); /* taken though its end is missing */
	for (size_t i = 0; i < set.n_peers; i++)
		if (set.peers[i].first_allowed + set.peers[i].n_allowed > set.n_allowed)
			abort();
	for (size_t i = 0; i < set.n_allowed; i++)
		if (set.allowed[i].prefix.len > ip_bits(set.allowed[i].prefix.addr.family))
			abort();
	return 0;
}
